# SPDX-License-Identifier: MIT
"""A phone in the test's hand: every header, port, number and moment can be what no real phone would choose."""

import random
import re
import socket
import struct
import threading
import time

import wire

SDP = ("v=0\r\no=phone {n} {n} IN IP4 127.0.0.1\r\ns={name}\r\nc=IN IP4 {host}\r\nt=0 0\r\n{session}"
       "m=audio {port} RTP/AVP {pts}\r\n{maps}{media}")
MAPS = {0: "PCMU/8000", 8: "PCMA/8000", 13: "CN/8000", 101: "telephone-event/8000"}


class Reply:
    def __init__(self, data):
        head, _, self.body = data.decode(errors="replace").partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.first, self.text = lines[0], data.decode(errors="replace")
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers[name] = f"{self.headers[name]}, {value.strip()}" if name in self.headers else value.strip()
        self.is_reply = self.first.startswith("SIP/2.0 ")
        self.code = int(self.first.split(" ")[1]) if self.is_reply else 0
        self.method = self.headers.get("cseq", " ").split(" ")[-1]

    def media(self):
        """Where the server hears."""
        return re.search(r"^c=IN IP4 (\S+)", self.body, re.M)[1], int(re.search(r"^m=audio (\d+)", self.body, re.M)[1])


class Phone:
    """One dialog over UDP. Requests of the server are answered with 200, as if by somebody who agrees to everything."""

    def __init__(self, server, call_id, law=wire.PCMU):
        self.server, self.call_id, self.law = server, call_id, law
        self.tag, self.to_tag, self.cseq, self.n = f"{random.getrandbits(40):x}", "", 0, 0
        self.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sip.bind(("127.0.0.1", 0))
        self.sip.settimeout(10)
        self.port = self.sip.getsockname()[1]
        self.rtp = line()
        self.host, self.rtp_port = self.rtp.getsockname()
        self.remote, self.requests = None, []
        self.answering = True

    def close(self):
        self.sip.close()
        self.rtp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def sdp(self, host=None, port=None, pts=None, maps=None, session="", media="", name="-"):
        self.n += 1
        pts = [self.law, wire.EVENT] if pts is None else pts
        maps = MAPS if maps is None else maps
        lines = "".join(f"a=rtpmap:{pt} {maps[pt]}\r\n" for pt in pts if pt in maps)
        return SDP.format(n=self.n, host=host or self.host, port=self.rtp_port if port is None else port, name=name,
                          pts=" ".join(map(str, pts)), maps=lines, session=session, media=media)

    def message(self, method, body="", kind="application/sdp", headers="", cseq=None, branch=None):
        if cseq is None:
            self.cseq += 0 if method in ("ACK", "CANCEL") else 1
            cseq = self.cseq
        branch = branch or f"z9hG4bK{random.getrandbits(60):x}"
        self.branch = branch
        to = f";tag={self.to_tag}" if self.to_tag else ""
        body = body.encode() if isinstance(body, str) else body
        kind = f"Content-Type: {kind}\r\n" if body else ""
        return (f"{method} sip:agent@127.0.0.1:{self.server.port} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch}\r\n"
                f"From: <sip:phone@127.0.0.1>;tag={self.tag}\r\nTo: <sip:agent@127.0.0.1>{to}\r\n"
                f"Call-ID: {self.call_id}\r\nCSeq: {cseq} {method}\r\n"
                f"Contact: <sip:phone@127.0.0.1:{self.port}>\r\nMax-Forwards: 70\r\n{headers}{kind}"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    def send(self, data):
        self.sip.sendto(data, ("127.0.0.1", self.server.port))

    def hear(self, method):
        """The final answer to a request of ours."""
        while True:
            reply = Reply(self.sip.recv(65536))
            if not reply.is_reply:
                self._answer(reply)
            elif reply.method == method and reply.code >= 200:
                return reply

    def _answer(self, request):
        self.requests.append(request)
        if request.first.startswith("ACK") or not self.answering:
            return
        keep = "".join(f"{name}: {request.headers[name]}\r\n" for name in ("via", "from", "to", "call-id", "cseq"))
        body = self.sdp() if request.body else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self.send((f"SIP/2.0 200 OK\r\n{keep}Contact: <sip:phone@127.0.0.1:{self.port}>\r\n{kind}"
                   f"Content-Length: {len(body)}\r\n\r\n{body}").encode())

    def ask(self, method, body="", kind="application/sdp", headers="", cseq=None):
        self.send(self.message(method, body, kind, headers, cseq))
        return self.hear(method)

    def call(self, headers="", **sdp):
        """INVITE, 200, ACK."""
        reply = self.ask("INVITE", self.sdp(**sdp), headers=headers)
        assert reply.code == 200, reply.text
        self.to_tag = reply.headers["to"].split("tag=")[1]
        self.ack()
        self.remote = reply.media()
        return reply

    def ack(self):
        self.send(self.message("ACK"))

    def again(self, **sdp):
        """A re-INVITE."""
        reply = self.ask("INVITE", self.sdp(**sdp))
        self.ack()
        return reply

    def hang_up(self):
        reply = self.ask("BYE")
        assert reply.code == 200, reply.text

    # ---- audio

    def say(self, packets, ssrc, via=None):
        """Sends packets at their moments."""
        play(packets, ssrc, via or self.rtp, self.remote)

    def speak(self, stream, via=None, since=0):
        self.say(stream.packets[since:], stream.ssrc, via)

    def heard(self):
        """Payloads that have arrived so far."""
        self.rtp.setblocking(False)
        out = []
        try:
            while True:
                out.append(self.rtp.recv(2048)[12:])
        except BlockingIOError:
            self.rtp.setblocking(True)
            return out


def line(host="127.0.0.1"):
    """A socket for RTP."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((host, 0))
    return s


def play(packets, ssrc, via, to):
    """At their moments, counted from the first one's."""
    begun, zero = time.monotonic(), packets[0].at_ms
    for p in packets:
        wait = begun + (p.at_ms - zero) / 1000 - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        via.sendto(p.rtp(ssrc), to)


class Beside:
    """Something that is sent while the test does another thing."""

    def __init__(self, *args):
        self.thread = threading.Thread(target=play, args=args)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join()


def event(code, duration, end=False):
    return struct.pack("!BBH", code, (0x80 if end else 0) | 10, duration)
