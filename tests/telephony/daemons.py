# SPDX-License-Identifier: MIT
"""rtpengine and Janus, as Debian ships them, with audio that goes through them."""

import contextlib
import json
import pathlib
import socket
import subprocess
import threading
import time
import urllib.request

import wire
from server import wait_for
from sipp import free_port


@contextlib.contextmanager
def running(command, folder, name):
    with open(pathlib.Path(folder) / f"{name}.log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Talker:
    """G.711 to a port, 50 frames a second, until stop(); the frames are those of `said`, over and over."""

    def __init__(self, port, said):
        self.port, self.said = port, said
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.local = self.socket.getsockname()[1]
        self.ended = threading.Event()
        self.sent = 0

    def to(self, port):
        self.port = port
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self):
        while not self.ended.wait(0.02):  # the pace of the stream
            at = self.sent * wire.FRAME % len(self.said)
            packet = wire.Packet(0, self.sent, self.sent * wire.FRAME, wire.PCMU, self.said[at : at + wire.FRAME])
            self.socket.sendto(packet.rtp(7), ("127.0.0.1", self.port))
            self.sent += 1

    def stop(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()


def bencode(value):
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(v) for k, v in sorted(value.items())) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    data = value.encode()
    return str(len(data)).encode() + b":" + data


class Rtpengine:
    def __init__(self, folder):
        self.dir, self.port, self.cookie = pathlib.Path(folder) / "rtpengine", free_port(), 0
        self.dir.mkdir()
        self.at = f"127.0.0.1:{self.port}"
        self.command = ["rtpengine", "--table=-1", "--interface=127.0.0.1", f"--listen-ng={self.at}", "--foreground",
                        "--log-stderr", f"--recording-dir={self.dir}", "--recording-method=pcap",
                        "--recording-format=eth", "--port-min=30000", "--port-max=30999"]

    def ask(self, **request):
        self.cookie += 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            s.connect(("127.0.0.1", self.port))
            for _ in range(30):
                try:
                    s.send(f"{self.cookie} ".encode() + bencode({k.replace("_", "-"): v for k, v in request.items()}))
                    return s.recv(65536)
                except (socket.timeout, ConnectionError):
                    time.sleep(0.1)  # it is only starting
        raise AssertionError("rtpengine does not answer")

    def call(self, call_id, said):
        """A call of two parties who talk, recorded."""
        talkers = [Talker(0, said), Talker(0, said)]
        for side, command, tags in ((0, "offer", {"from-tag": "a"}), (1, "answer", {"from-tag": "a", "to-tag": "b"})):
            sdp = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                   f"m=audio {talkers[side].local} RTP/AVP 0\r\n")
            answer = self.ask(command=command, ICE="remove", sdp=sdp, **{"call-id": call_id, **tags})
            port = int(answer.split(b"m=audio ")[1].split()[0])
            talkers[1 - side].to(port)
        assert b"2:ok" in self.ask(command="start recording", **{"call-id": call_id})
        return talkers


class Janus:
    def __init__(self, folder):
        self.dir, self.configs = pathlib.Path(folder) / "janus", pathlib.Path(folder) / "janus-config"
        self.dir.mkdir()
        self.configs.mkdir()
        self.port = free_port()
        self.at = f"http://127.0.0.1:{self.port}/janus"
        off = ",".join(f"libjanus_{p}.so" for p in ("duktape", "echotest", "lua", "nosip", "recordplay", "sip", "streaming",
                                                    "textroom", "videocall", "videoroom", "voicemail"))
        transports = ",".join(f"libjanus_{p}.so" for p in ("mqtt", "nanomsg", "pfunix", "rabbitmq", "websockets"))
        (self.configs / "janus.jcfg").write_text(
            f'general: {{ configs_folder = "{self.configs}" debug_level = 2 session_timeout = 0 }}\n'
            f'plugins: {{ disable = "{off}" }}\ntransports: {{ disable = "{transports}" }}\n')
        (self.configs / "janus.transport.http.jcfg").write_text(
            f'general: {{ base_path = "/janus" http = true port = {self.port} ip = "127.0.0.1" https = false }}\n'
            "admin: { admin_http = false }\n")
        (self.configs / "janus.plugin.audiobridge.jcfg").write_text(
            'general: { local_ip = "127.0.0.1" rtp_port_range = "31000-31999" record_tmp_ext = "tmp" }\n')
        self.command = ["janus", f"--configs-folder={self.configs}", f"--config={self.configs}/janus.jcfg",
                        "--disable-colors"]

    def post(self, path, **body):
        data = json.dumps({"transaction": "t", **body}).encode()
        request = urllib.request.Request(self.at + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def ready(self):
        def answers():
            try:
                return self.post("", janus="create")["data"]["id"]
            except OSError:
                return None
        self.session = f"/{wait_for('Janus', answers)}"
        self.handle = f"{self.session}/{self.attach()}"

    def attach(self):
        return self.post(self.session, janus="attach", plugin="janus.plugin.audiobridge")["data"]["id"]

    def message(self, handle, **body):
        return self.post(handle, janus="message", body=body)

    def call(self, room, file, said):
        """A room with one who talks over plain RTP, recorded."""
        answer = self.message(self.handle, request="create", room=room, secret="s", record=False,
                              allow_rtp_participants=True, sampling_rate=8000)
        assert answer["plugindata"]["data"]["audiobridge"] == "created", answer
        talker = Talker(0, said)
        handle = f"{self.session}/{self.attach()}"
        self.message(handle, request="join", room=room, codec="pcmu",
                     rtp={"ip": "127.0.0.1", "port": talker.local, "payload_type": 0})
        joined = None
        while joined is None:
            with urllib.request.urlopen(f"{self.at}{self.session}", timeout=40) as events:
                event = json.load(events).get("plugindata", {}).get("data", {})
            joined = event if event.get("audiobridge") == "joined" and "rtp" in event else None
        talker.to(joined["rtp"]["port"])
        answer = self.message(self.handle, request="enable_recording", room=room, secret="s", record=True,
                              record_file=file, record_dir=str(self.dir))
        assert answer["plugindata"]["data"]["audiobridge"] == "success", answer
        wait_for("the file", lambda: list(self.dir.glob(file + "*")))
        return [talker]
