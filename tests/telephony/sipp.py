# SPDX-License-Identifier: MIT
"""Calls placed by sipp, which was not written here: scenarios made of steps."""

import os
import pathlib
import socket
import subprocess

HEAD = """INVITE sip:agent@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:agent@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {cseq} INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
{more}Content-Type: application/sdp
Content-Length: [len]

v=0
o=caller {cseq} {cseq} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
{session}m=audio [auto_media_port] RTP/AVP {law} 101
a=rtpmap:{law} {name}/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
{media}"""

REQUEST = """{method} [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:agent@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {cseq} {method}
Max-Forwards: 70
Content-Length: 0
"""

REPLY = """SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:caller@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=caller 9 9 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP {law} 101
a=rtpmap:{law} {name}/8000
a=rtpmap:101 telephone-event/8000
"""


def free_port():
    """A port that is free for UDP and for TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
                return udp.getsockname()[1]
            except OSError:
                continue


def free_media():
    """A port for RTP, and the one two above it, which sipp takes for video; below the ports of the server."""
    while True:
        port = 10000 + free_port() % 2400 * 4
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
                a.bind(("127.0.0.1", port))
                b.bind(("127.0.0.1", port + 2))
                return port
        except OSError:
            continue


def _text(message):
    return "<![CDATA[\n" + message.replace("\r", "") + "\n]]>"


class Scenario:
    """Steps of a caller, in order; call(), then what happens during the call, then bye()."""

    def __init__(self, law=8):
        self.law, self.name = law, {0: "PCMU", 8: "PCMA"}[law]
        self.cseq, self.steps = 0, []

    def _say(self, message, retrans=' retrans="500"'):
        self.steps.append(f"<send{retrans}>{_text(message)}</send>")
        return self

    def _hear(self, code, body=None, optional=False):
        check = ""
        if body is not None:
            check = f'<action><ereg regexp="{body}" search_in="msg" check_it="true" assign_to="1"/></action>'
        if optional:
            self.steps.append(f'<recv response="{code}" optional="true"/>')
        else:
            self.steps.append(f'<recv response="{code}" rrs="true">{check}</recv>')
        return self

    def invite(self, session="", media="", more="", record=None, code=200):
        """An INVITE, or another one within the call; `record` is what the answer has to say."""
        self.cseq += 1
        text = HEAD.format(cseq=self.cseq, law=self.law, name=self.name, session=session, media=media, more=more)
        self._say(text)
        self._hear(100, optional=True)._hear(180, optional=True)
        self._hear(code, f"a=record:{record}.?" if record else None)
        return self._say(REQUEST.format(method="ACK", cseq=self.cseq), retrans="")

    def play(self, stream, folder, name):
        path = pathlib.Path(folder) / f"{name}.pcap"
        stream.pcap(path)
        self.steps.append(f'<nop><action><exec play_pcap_audio="{path}"/></action></nop>')
        return self

    def wait(self, ms):
        self.steps.append(f'<pause milliseconds="{int(ms)}"/>')
        return self

    def invited(self, record):
        """The server sends a re-INVITE that says how the recording stands."""
        self.steps.append(f'<recv request="INVITE"><action><ereg regexp="a=record:{record}.?" search_in="msg"'
                          ' check_it="true" assign_to="1"/></action></recv>')
        self._say(REPLY.format(law=self.law, name=self.name))
        self.steps.append('<recv request="ACK"/>')
        return self

    def bye(self):
        self.cseq += 1
        self._say(REQUEST.format(method="BYE", cseq=self.cseq))
        return self._hear(200)

    def hung_up(self):
        """The server says BYE."""
        self.steps.append('<recv request="BYE"/>')
        return self._say(REPLY.split("Contact")[0] + "Content-Length: 0\n", retrans="")

    def xml(self):
        used = '<Reference variables="1"/>'
        return '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="call">\n%s\n%s\n</scenario>\n' % (
            "\n".join(self.steps), used if "assign_to" in "".join(self.steps) else "")


class Sipp:
    """A running sipp. done() waits for it and fails the test if one of its calls failed."""

    def __init__(self, folder, port, scenario=None, cid="call-%u@test", calls=1, at_once=1, rate=50, more=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.port, self.media = free_port(), free_media()
        command = ["sipp", f"127.0.0.1:{port}", "-i", "127.0.0.1", "-p", str(self.port), "-mp", str(self.media),
                   "-m", str(calls), "-l", str(at_once), "-r", str(rate), "-nostdin", "-cid_str", cid,
                   "-timeout", "90", "-timeout_error", "-trace_err", "-error_file", "errors.log", *more]
        if scenario is not None:
            (self.folder / "scenario.xml").write_text(scenario.xml())
            command += ["-sf", "scenario.xml"]
        self.log = open(self.folder / "sipp.log", "wb")
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=self.log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, env=dict(os.environ, TERM="dumb"))

    def done(self, timeout=100):
        code = self.process.wait(timeout)
        self.log.close()
        assert code == 0, f"sipp ended with {code}: {self.told()}"

    def told(self):
        """What it complained of, or its last screen."""
        errors = self.folder / "errors.log"
        return (errors if errors.exists() else self.folder / "sipp.log").read_text(errors="replace")[-3000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        elif self.process.returncode != 0:
            print(f"sipp had ended with {self.process.returncode}: {self.told()}")
        self.log.close()
