# SPDX-License-Identifier: MIT
"""Opt-out beside recorders that others wrote: real rtpengine, real Janus; Asterisk and FreeSWITCH by their documented exchanges."""

import base64
import contextlib
import http.server
import pathlib
import socket
import socketserver
import threading

import pytest

import wire
from daemons import Janus, Rtpengine, running
from gateway import Gateway, files_below, unlinked
from server import wait_for


@pytest.fixture(scope="module")
def said():
    return wire.speech(21, 3, wire.PCMU)


def size_of(paths):
    return sum(pathlib.Path(p).stat().st_size for p in paths)


# ---- rtpengine

@pytest.fixture
def rtpengine(tmp_path):
    engine = Rtpengine(tmp_path)
    with running(engine.command, tmp_path, "rtpengine") as process:
        engine.pid = process.pid
        engine.ask(command="ping")
        yield engine


def pcaps(engine, call_id):
    return [p for p in files_below(engine.dir) if call_id in p]


def test_rtpengine_is_stopped_and_its_files_are_erased(tmp_path, rtpengine, said):
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir) as gateway:
        talkers = rtpengine.call("gone-1", said) + rtpengine.call("kept-1", said)
        assert gateway.say("start gone-1")["ok"] and gateway.say("start kept-1")["ok"]
        wait_for("audio in both files", lambda: all(size_of(pcaps(rtpengine, c)) > 20000 for c in ("gone-1", "kept-1")))
        answer = gateway.say("opt-out gone-1")
        assert answer["error"] == "RCO_OK" and answer["status"] in ("durable", "erased", "verified"), answer
        gateway.verified("gone-1")
        # the audio still flows, and is written nowhere, not even to a file without a name
        at = talkers[0].sent
        wait_for("more audio", lambda: talkers[0].sent > at + 50)
        assert pcaps(rtpengine, "gone-1") == [] and unlinked(rtpengine.pid, rtpengine.dir) == []
        before = size_of(pcaps(rtpengine, "kept-1"))
        wait_for("the other call is recorded on", lambda: size_of(pcaps(rtpengine, "kept-1")) > before)
        assert gateway.say("end gone-1")["ok"]
        rtpengine.ask(command="delete", **{"call-id": "kept-1", "from-tag": "a"})
        assert gateway.say("end kept-1")["ok"]
        for talker in talkers:
            talker.stop()
        assert any("pcaps" in p for p in pcaps(rtpengine, "kept-1"))


def test_rtpengine_knows_that_unlinking_is_not_stopping(rtpengine, said):
    """Why the gateway does what it does: the check for unseen recordings finds this one."""
    talkers = rtpengine.call("seen", said)
    path = wait_for("its file", lambda: [p for p in pcaps(rtpengine, "seen") if p.endswith(".pcap")])[0]
    pathlib.Path(path).unlink()
    assert unlinked(rtpengine.pid, rtpengine.dir)
    for talker in talkers:
        talker.stop()


def test_rtpengine_that_does_not_answer(tmp_path, said):
    """P13, P7: it is asked again, and nobody is told of a stop until it confirms one."""
    engine = Rtpengine(tmp_path)
    with Gateway(tmp_path, "rtpengine", "--at", engine.at, "--dir", engine.dir) as gateway:
        assert gateway.say("start mute")["ok"]
        answer = gateway.say("opt-out mute")
        assert answer["error"] == "RCO_E_CALLBACK" and answer["status"] == "requested", answer
        assert "deleted" not in answer["sentence"] and "erased" not in answer["sentence"]
        with running(engine.command, tmp_path, "rtpengine"):
            gateway.verified("mute")
        assert "does not answer" in gateway.log.read_text()
        gateway.say("end mute")


def test_a_folder_that_is_not_the_one_of_rtpengine(tmp_path, rtpengine, said):
    """P13: that no description is seen is no confirmation where none would be seen."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", elsewhere) as gateway:
        talkers = rtpengine.call("else", said)
        assert gateway.say("start else")["ok"]
        assert gateway.say("opt-out else")["status"] == "requested"
        assert "cannot be read" in gateway.log.read_text()
        for talker in talkers:
            talker.stop()


def test_rtpengine_that_was_killed_while_it_recorded(tmp_path, said):
    """It left its description in tmp/, as if it went on. The next one does not know the call: nobody writes it."""
    engine = Rtpengine(tmp_path)
    with Gateway(tmp_path, "rtpengine", "--at", engine.at, "--dir", engine.dir) as gateway:
        with running(engine.command, tmp_path, "rtpengine") as process:
            talkers = engine.call("orphan", said)
            assert gateway.say("start orphan")["ok"]
            wait_for("audio", lambda: size_of(pcaps(engine, "orphan")) > 4096)
            process.kill()
            process.wait()
        assert [p for p in pcaps(engine, "orphan") if "/tmp/rtpengine-meta" in p]
        assert gateway.say("opt-out orphan")["status"] == "requested"
        assert pcaps(engine, "orphan"), "nothing is erased before it is known that nobody writes it"
        with running(engine.command, tmp_path, "rtpengine"):
            gateway.verified("orphan")
            assert pcaps(engine, "orphan") == []
        for talker in talkers:
            talker.stop()


def test_no_cookie_comes_twice(tmp_path):
    """A server answers a cookie that it has seen from its memory, and does nothing: not after a new start either."""
    runs = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        for name in ("first", "second"):
            with Gateway(tmp_path, "rtpengine", "--at", f"127.0.0.1:{server.getsockname()[1]}", "--dir", tmp_path) as gateway:
                assert gateway.say(f"start {name}")["ok"]
                assert gateway.say(f"opt-out {name}")["status"] == "requested"
            server.setblocking(False)
            cookies = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    cookies.append(server.recv(4096).split(b" ")[0])
            runs.append(cookies)
    assert all(len(cookies) >= 2 for cookies in runs), "it is said again, for a datagram may be lost"
    assert runs[0][0] == runs[0][1], "with the same cookie, for an answer may be lost"
    assert not set(runs[0]) & set(runs[1])


def test_a_file_that_appears_after_the_stop(tmp_path, rtpengine, said):
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir) as gateway:
        gateway.say("start late/1@x ng=late/1@x")
        assert gateway.say("opt-out late/1@x")["ok"]
        gateway.verified("late/1@x")
        late = rtpengine.dir / "pcaps" / "late%2F1%40x-0123456789abcdef.pcap"
        other = rtpengine.dir / "pcaps" / "late-0123456789abcdef.pcap"
        for path in (late, other):
            path.write_bytes(b"audio")
        wait_for("it is erased", lambda: not late.exists())
        assert other.exists()


def test_an_objection_before_the_call_is_known(tmp_path, rtpengine, said):
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir) as gateway:
        assert gateway.say("opt-out early")["ok"]
        talkers = rtpengine.call("early", said)
        assert gateway.say("start early")["ok"]
        wait_for("nothing is left", lambda: pcaps(rtpengine, "early") == [])
        assert unlinked(rtpengine.pid, rtpengine.dir) == []
        for talker in talkers:
            talker.stop()


def test_words_at_the_door(tmp_path, rtpengine):
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir) as gateway:
        for line in ("", "start", "dance x", "start x y", "start x " + "k=v " * 20, "end nobody", "start " + "x" * 300):
            assert gateway.say(line)["ok"] is False, line
        assert gateway.say("start once")["ok"] and gateway.say("start once")["error"] == "RCO_E_CALL_EXISTS"


# ---- Janus

@pytest.fixture
def janus(tmp_path):
    bridge = Janus(tmp_path)
    with running(bridge.command, tmp_path, "janus") as process:
        bridge.pid = process.pid
        bridge.ready()
        yield bridge


def test_janus_is_stopped_and_its_file_is_erased(tmp_path, janus, said):
    with Gateway(tmp_path, "janus", "--at", janus.at, "--dir", janus.dir) as gateway:
        talkers = janus.call(1, "gone.wav", said) + janus.call(2, "kept.wav", said)
        for room, name in ((1, "gone"), (2, "kept")):
            assert gateway.say(f"start {name} room={room} file={name}.wav secret=s")["ok"]
        wait_for("audio in both files", lambda: len(files_below(janus.dir)) == 2 and
                 all(size_of([p]) > 4096 for p in files_below(janus.dir)))
        assert gateway.say("opt-out gone")["error"] == "RCO_OK"
        gateway.verified("gone")
        at = talkers[0].sent
        wait_for("more audio", lambda: talkers[0].sent > at + 50)
        assert [pathlib.Path(p).name[:4] for p in files_below(janus.dir)] == ["kept"]
        assert unlinked(janus.pid, janus.dir) == []
        assert gateway.say("end kept")["ok"]
        wait_for("the file has its name", lambda: (janus.dir / "kept.wav").exists())
        for talker in talkers:
            talker.stop()


def test_janus_refuses_a_wrong_secret(tmp_path, janus, said):
    with Gateway(tmp_path, "janus", "--at", janus.at, "--dir", janus.dir) as gateway:
        talkers = janus.call(3, "wrong.wav", said)
        wait_for("its file", lambda: files_below(janus.dir))
        gateway.say("start wrong room=3 file=wrong.wav secret=x")
        assert gateway.say("opt-out wrong")["status"] == "requested"
        assert files_below(janus.dir), "nothing is erased while it is recorded"
        janus.message(janus.handle, request="destroy", room=3, secret="s")
        gateway.verified("wrong")
        assert files_below(janus.dir) == []
        for talker in talkers:
            talker.stop()


# ---- Asterisk

class Ari(http.server.BaseHTTPRequestHandler):
    """GET and DELETE of /ari/recordings, as Asterisk's REST documentation has them."""

    live, stored, refuse = set(), set(), 0

    def do(self):
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"agent:word").decode():
            return 401
        if Ari.refuse > 0 and self.command == "DELETE":
            Ari.refuse -= 1
            return 500
        if not self.path.startswith("/ari/recordings/"):
            return 404
        kind, name = self.path.rsplit("/", 2)[1:]
        names = {"live": Ari.live, "stored": Ari.stored}[kind]
        if name not in names:
            return 404
        if self.command == "DELETE":
            names.discard(name)
            return 204
        return 200

    def do_GET(self):
        status = self.do()
        what = "Recording" if self.path.startswith("/ari/recordings/") else "Resource"
        body = b"{}" if status == 200 else b'{"message": "%s not found"}' % what.encode() if status == 404 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_GET

    def log_message(self, *_):
        pass


def serve(kind, handler):
    kind.allow_reuse_address = True
    server = kind(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"127.0.0.1:{server.server_address[1]}"


def test_ari(tmp_path):
    server, at = serve(http.server.ThreadingHTTPServer, Ari)
    Ari.live, Ari.stored, Ari.refuse = {"going.on"}, {"was-stored"}, 0
    gateway = Gateway(tmp_path, "asterisk", "--at", f"http://{at}/ari", "--user", "agent", "--password-file", "X")
    gateway.command[-1] = str(gateway.secret("word"))
    with gateway:
        assert gateway.say("start a name=going.on")["ok"]
        assert gateway.say("start b name=was-stored")["ok"]
        assert not gateway.say("start c name=../x")["ok"]
        Ari.refuse = 1
        assert gateway.say("opt-out a")["status"] == "requested"
        gateway.verified("a")
        assert gateway.say("opt-out b")["error"] == "RCO_OK"
        gateway.verified("b")
        assert not Ari.live and not Ari.stored
        Ari.stored.add("going.on")  # a late copy
        wait_for("it is erased", lambda: not Ari.stored)
    server.shutdown()


def test_a_url_that_is_not_the_one_of_ari(tmp_path):
    """404 comes from any web server; it is no word on a recording."""
    server, at = serve(http.server.ThreadingHTTPServer, Ari)
    Ari.live, Ari.stored, Ari.refuse = {"going.on"}, set(), 0
    gateway = Gateway(tmp_path, "asterisk", "--at", f"http://{at}/elsewhere", "--user", "agent", "--password-file", "X")
    gateway.command[-1] = str(gateway.secret("word"))
    with gateway:
        assert gateway.say("start a name=going.on")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        assert "is not the URL of ARI" in gateway.log.read_text()
    server.shutdown()


def test_a_recorder_that_hangs_keeps_nobody_at_the_door_waiting(tmp_path):
    """It takes connections, and says nothing; each look at its files lasts until the time is over."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as mute:
        gateway = Gateway(tmp_path, "asterisk", "--at", f"http://127.0.0.1:{mute.getsockname()[1]}/ari", "--user", "agent",
                          "--password-file", "X", settings=("--timeout-ms", "4000"))
        gateway.command[-1] = str(gateway.secret("word"))
        with gateway:
            for i in range(30):
                assert gateway.say(f"start c{i} name=n{i}")["ok"]
            assert gateway.say("opt-out c1")["status"] == "requested"
            assert gateway.say("end nobody")["error"] == "RCO_E_NOT_FOUND"


class Ami(socketserver.StreamRequestHandler):
    """Login and StopMixMonitor of the manager interface, with an event in between."""

    channels, refuse = {}, ""  # how many MixMonitors each has

    def action(self):
        lines = {}
        for raw in iter(self.rfile.readline, b"\r\n"):
            if not raw:
                return None
            key, _, value = raw.decode().strip().partition(": ")
            lines[key] = value
        return lines

    def reply(self, action, response, message):
        self.wfile.write(b"Event: VarSet\r\nVariable: X\r\nMessage: No such channel\r\n\r\n")
        self.wfile.write(f"Response: {response}\r\nActionID: {action['ActionID']}\r\nMessage: {message}\r\n\r\n".encode())

    def handle(self):
        self.wfile.write(b"Asterisk Call Manager/9.0.0\r\n")
        while (action := self.action()) is not None:
            if action["Action"] == "Login":
                good = (action["Username"], action["Secret"]) == ("agent", "word")
                self.reply(action, "Success" if good else "Error", "Authentication accepted" if good else "failed")
            elif Ami.refuse:
                self.reply(action, "Error", Ami.refuse)
            elif Ami.channels.get(action["Channel"], 0) > 0:
                Ami.channels[action["Channel"]] -= 1
                self.reply(action, "Success", "")
            elif action["Channel"] in Ami.channels:
                self.reply(action, "Error", "Could not stop monitoring channel")
            else:
                self.reply(action, "Error", "No such channel")


def test_ami(tmp_path):
    server, at = serve(socketserver.ThreadingTCPServer, Ami)
    Ami.channels, Ami.refuse = {"PJSIP/100-00000001": 2}, "Permission denied"
    monitor = tmp_path / "monitor"
    monitor.mkdir()
    gateway = Gateway(tmp_path, "asterisk", "--at", at, "--dir", monitor, "--user", "agent", "--password-file", "X")
    gateway.command[-1] = str(gateway.secret("word"))
    with gateway:
        for name in ("a", "b"):
            (monitor / f"{name}.wav").write_bytes(b"audio")
        assert gateway.say("start a channel=PJSIP/100-00000001 file=a.wav")["ok"]
        assert gateway.say("start b channel=PJSIP/100-00000002 file=b.wav")["ok"]
        assert not gateway.say("start c channel=x file=../c.wav")["ok"]
        assert not gateway.say("start c channel=x file=")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        assert (monitor / "a.wav").exists(), "not erased while it is written"
        Ami.refuse = ""
        gateway.verified("a")
        assert not any(Ami.channels.values()) and files_below(monitor) == [str(monitor / "b.wav")]
        assert gateway.say("opt-out b")["error"] == "RCO_OK"  # its channel is gone, and so is its MixMonitor
        gateway.verified("b")
        assert files_below(monitor) == []
    server.shutdown()


# ---- FreeSWITCH

class Esl(socketserver.StreamRequestHandler):
    """The event socket: auth, uuid_record, uuid_buglist."""

    recording, keeps_on, said, closes = set(), 0, [], None

    def reply(self, kind, body="", text=""):
        head = f"Content-Type: {kind}\n" + (f"Reply-Text: {text}\n" if text else "")
        self.wfile.write((head + (f"Content-Length: {len(body)}\n\n{body}" if body else "\n")).encode())

    def api(self, command, uuid):
        if uuid not in Esl.recording:
            return f"-ERR No such channel {uuid}!\n"
        if command == "uuid_record":
            if Esl.closes:
                Esl.closes.write_bytes(b"audio")  # under its last name
            return "+OK Success\n"
        if Esl.keeps_on > 0:
            Esl.keeps_on -= 1
            return "<media-bugs>\n <media-bug>\n  <function>session_record</function>\n </media-bug>\n</media-bugs>\n"
        return "<media-bugs>\n <media-bug>\n  <function>speex</function>\n </media-bug>\n</media-bugs>\n"

    def handle(self):
        self.reply("auth/request")
        for raw in self.rfile:
            words = raw.decode().split()
            if not words:
                continue
            Esl.said.append(" ".join(words))
            if words[0] == "auth":
                self.reply("command/reply", text="+OK accepted" if words[1] == "ClueCon" else "-ERR invalid")
            else:
                self.reply("text/event-plain", "Event-Name: HEARTBEAT\n\n")
                self.reply("api/response", self.api(words[1], words[2]))


def test_freeswitch(tmp_path):
    server, at = serve(socketserver.ThreadingTCPServer, Esl)
    a, b = "0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"
    Esl.recording, Esl.keeps_on, Esl.said = {a}, 2, []
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    gateway = Gateway(tmp_path, "freeswitch", "--at", at, "--dir", recordings, "--password-file", "X")
    gateway.command[-1] = str(gateway.secret("ClueCon"))
    with gateway:
        for name in ("a", "b"):
            (recordings / f"{name}.wav").write_bytes(b"audio")
        assert gateway.say(f"start a uuid={a} file=a.wav")["ok"] and gateway.say(f"start b uuid={b} file=b.wav")["ok"]
        assert not gateway.say("start c uuid=x;stop file=c.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        gateway.verified("a")
        assert f"api uuid_record {a} stop all" in Esl.said
        assert gateway.say("opt-out b")["error"] == "RCO_OK"
        gateway.verified("b")
        assert files_below(recordings) == []
    server.shutdown()


def test_what_has_its_name_only_when_it_stops_is_gone_when_it_is_said(tmp_path):
    """P13: "verified" is not said of a call while a file of it, of a name that came late, is still there."""
    server, at = serve(socketserver.ThreadingTCPServer, Esl)
    uuid = "0a1b2c3d-0000-4000-8000-000000000003"
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    Esl.recording, Esl.keeps_on, Esl.said, Esl.closes = {uuid}, 0, [], recordings / "x.wav"
    gateway = Gateway(tmp_path, "freeswitch", "--at", at, "--dir", recordings, "--password-file", "X")
    gateway.command[-1] = str(gateway.secret("ClueCon"))
    with gateway, gateway.client() as client:
        assert gateway.say(f"start x uuid={uuid} file=x.wav")["ok"]
        assert gateway.say("opt-out x")["error"] == "RCO_OK"
        while client.status("x")["status"] != "verified":
            pass
        assert files_below(recordings) == []
        Esl.closes = None
    server.shutdown()


# ---- answers that are none

NONSENSE = [b"", b"\0" * 4096, b"A" * 70000, b"Response: Success\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n", b"Content-Length: 99999999\n\n",
            b"Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK\n\nContent-Type: api/response\nContent-Length: 5\n\n"]


@pytest.mark.parametrize("recorder,start", [("asterisk", "start x channel=c file=x.wav"),
                                            ("freeswitch", "start x uuid=0a1b2c3d-0000-4000-8000-000000000001 file=x.wav")])
def test_nonsense_is_no_confirmation(tmp_path, recorder, start):
    turn = iter(NONSENSE * 100)

    class Fool(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                self.request.sendall(next(turn))
            except OSError:
                pass

    server, at = serve(socketserver.ThreadingTCPServer, Fool)
    (tmp_path / "x.wav").write_bytes(b"audio")
    gateway = Gateway(tmp_path, recorder, "--at", at, "--dir", tmp_path, "--user", "u", "--password-file", "X",
                      settings=("--timeout-ms", "200"))
    gateway.command[-1] = str(gateway.secret("p"))
    with gateway:
        assert gateway.say(start)["ok"]
        for _ in NONSENSE:
            assert gateway.say("opt-out x")["status"] == "requested"
        assert (tmp_path / "x.wav").exists()
    server.shutdown()


def test_a_fool_instead_of_rtpengine(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as fool:
        fool.bind(("127.0.0.1", 0))
        answers = iter([b"d6:result", b"d99999999999999999999:x", b"l" * 5000, b"d1:a" + b"l" * 500, b"i1e", b"", b"d6:resulti2ee"] * 100)

        def run():
            try:
                while True:
                    packet, sender = fool.recvfrom(4096)
                    fool.sendto(packet.split(b" ")[0] + b" " + next(answers), sender)
            except OSError:
                pass

        threading.Thread(target=run, daemon=True).start()
        at = f"127.0.0.1:{fool.getsockname()[1]}"
        with Gateway(tmp_path, "rtpengine", "--at", at, "--dir", tmp_path) as gateway:
            assert gateway.say("start x")["ok"]
            for _ in range(7):
                assert gateway.say("opt-out x")["status"] == "requested"
