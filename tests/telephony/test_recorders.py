# SPDX-License-Identifier: MIT
"""Opt-out beside recorders that others wrote: real rtpengine, real Janus; and what answers nonsense."""

import contextlib
import pathlib
import signal
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
        with running(engine.command, tmp_path, "rtpengine") as process:
            engine.pid = process.pid
            talkers = engine.call("mute", said)
            gateway.verified("mute")
            assert pcaps(engine, "mute") == [] and unlinked(engine.pid, engine.dir) == []
            for talker in talkers:
                talker.stop()
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
        # rtpengine has no such call, and there is no file of it: nothing is known, whatever rtpengine calls it.
        assert gateway.say("opt-out late/1@x")["status"] == "requested"
        late = rtpengine.dir / "pcaps" / "late%2F1%40x-0123456789abcdef.pcap"
        other = rtpengine.dir / "pcaps" / "late-0123456789abcdef.pcap"
        for path in (late, other):
            path.write_bytes(b"audio")
        wait_for("it is erased", lambda: not late.exists())
        gateway.verified("late/1@x")
        assert other.exists()


def test_rtpengine_under_another_id(tmp_path, rtpengine, said):
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir) as gateway:
        talkers = rtpengine.call("real", said)
        wait_for("audio", lambda: size_of(pcaps(rtpengine, "real")) > 20000)
        assert gateway.say("start mistyped ng=rael")["ok"]
        assert gateway.say("opt-out mistyped")["status"] == "requested"
        assert "is ng= its call id" in gateway.log_text()
        before = size_of(pcaps(rtpengine, "real"))
        wait_for("the real one is recorded on", lambda: size_of(pcaps(rtpengine, "real")) > before)
        assert gateway.say("opt-out mistyped")["status"] == "requested"
        for talker in talkers:
            talker.stop()


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

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Fool)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"127.0.0.1:{server.server_address[1]}"
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


# ---- the brothers of what was seen beside Asterisk and FreeSWITCH

@pytest.mark.parametrize("objects", ["before", "after"])
def test_rtpengine_and_a_gateway_that_was_killed(tmp_path, said, objects):
    """It goes on with what it has to stop; an unlinked pcap would grow on unseen."""
    engine = Rtpengine(tmp_path)
    gateway = Gateway(tmp_path, "rtpengine", "--at", engine.at, "--dir", engine.dir)
    with running(engine.command, tmp_path, "rtpengine") as process:
        talkers = engine.call("r", said)
        with gateway:
            assert gateway.say("start r")["ok"]
            if objects == "before":
                process.send_signal(signal.SIGSTOP)  # it hangs: nothing is confirmed
                assert gateway.say("opt-out r")["status"] == "requested"
            gateway.kill()
        process.send_signal(signal.SIGCONT)
        with gateway:
            if objects == "after":
                assert gateway.say("opt-out r")["error"] == "RCO_OK"
            gateway.verified("r")
            assert pcaps(engine, "r") == [] and unlinked(process.pid, engine.dir) == []
            at = talkers[0].sent
            wait_for("more audio", lambda: talkers[0].sent > at + 50)
            assert pcaps(engine, "r") == [] and unlinked(process.pid, engine.dir) == []
        for talker in talkers:
            talker.stop()


def test_rtpengine_is_told_to_record_again(tmp_path, rtpengine, said):
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir) as gateway:
        talkers = rtpengine.call("again", said)
        assert gateway.say("start again")["ok"] and gateway.say("opt-out again")["error"] == "RCO_OK"
        gateway.verified("again")
        assert b"2:ok" in rtpengine.ask(command="start recording", **{"call-id": "again"})
        wait_for("it is stopped and erased", lambda: "there is a file again" in gateway.log_text() and pcaps(rtpengine, "again") == [])
        at = talkers[0].sent
        wait_for("more audio", lambda: talkers[0].sent > at + 50)
        assert pcaps(rtpengine, "again") == [] and unlinked(rtpengine.pid, rtpengine.dir) == []
        for talker in talkers:
            talker.stop()


def test_rtpengine_and_a_later_call_of_the_same_id(tmp_path, rtpengine, said):
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir) as gateway:
        talkers = rtpengine.call("same", said)
        assert gateway.say("start same")["ok"] and gateway.say("opt-out same")["error"] == "RCO_OK"
        gateway.verified("same")
        rtpengine.ask(command="delete", **{"call-id": "same", "from-tag": "a"})
        assert gateway.say("end same")["ok"] and gateway.say("start same")["ok"]
        talkers += rtpengine.call("same", said)
        wait_for("it is recorded", lambda: size_of(pcaps(rtpengine, "same")) > 20000)
        before = size_of(pcaps(rtpengine, "same"))
        wait_for("and recorded on", lambda: size_of(pcaps(rtpengine, "same")) > before + 20000)
        for talker in talkers:
            talker.stop()


def test_a_pcap_that_somebody_reads_is_not_called_erased(tmp_path, rtpengine, said):
    """A copy may be under way; it goes when that is over."""
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir) as gateway:
        talkers = rtpengine.call("read", said)
        assert gateway.say("start read")["ok"]
        path = wait_for("its file", lambda: [p for p in pcaps(rtpengine, "read") if p.endswith(".pcap")])[0]
        with open(path, "rb"):
            assert gateway.say("opt-out read")["status"] == "requested" and "is open" in gateway.log_text()
        gateway.verified("read")
        assert pcaps(rtpengine, "read") == []
        for talker in talkers:
            talker.stop()


def test_janus_and_a_gateway_that_was_killed(tmp_path, janus, said):
    gateway = Gateway(tmp_path, "janus", "--at", janus.at, "--dir", janus.dir)
    talkers = janus.call(5, "x.wav", said)
    with gateway:
        assert gateway.say("start x room=5 file=x.wav secret=s")["ok"]
        gateway.kill()
    with gateway:
        assert gateway.say("opt-out x")["error"] == "RCO_OK"
        gateway.verified("x")
        assert files_below(janus.dir) == [] and unlinked(janus.pid, janus.dir) == []
    for talker in talkers:
        talker.stop()


def test_janus_is_told_to_record_again(tmp_path, janus, said):
    with Gateway(tmp_path, "janus", "--at", janus.at, "--dir", janus.dir) as gateway:
        talkers = janus.call(6, "x.wav", said)
        assert gateway.say("start x room=6 file=x.wav secret=s")["ok"] and gateway.say("opt-out x")["error"] == "RCO_OK"
        gateway.verified("x")
        janus.message(janus.handle, request="enable_recording", room=6, secret="s", record=True, record_file="x.wav",
                      record_dir=str(janus.dir))
        wait_for("it is stopped and erased", lambda: "there is a file again" in gateway.log_text() and files_below(janus.dir) == [])
        at = talkers[0].sent
        wait_for("more audio", lambda: talkers[0].sent > at + 50)
        assert files_below(janus.dir) == [] and unlinked(janus.pid, janus.dir) == []
        for talker in talkers:
            talker.stop()


def test_janus_does_not_know_the_room(tmp_path, janus, said):
    """A wrong room: that it is not there is no word about the one that is recorded."""
    with Gateway(tmp_path, "janus", "--at", janus.at, "--dir", janus.dir) as gateway:
        talkers = janus.call(7, "x.wav", said)
        assert gateway.say("start x room=77 file=x.wav secret=s")["ok"]
        assert gateway.say("opt-out x")["status"] == "requested" and files_below(janus.dir)
        for talker in talkers:
            talker.stop()


# ---- a handle that comes again

LATE = ("--window-ms", "20000", "--timeout-ms", "1000")


@pytest.mark.parametrize("late", ["opt-out", "end"])
@pytest.mark.parametrize("announced", [True, False])
def test_janus_and_a_room_that_comes_again(tmp_path, janus, said, announced, late):
    """A late word about the first call leaves the recording of the second alone."""
    def record(name, on):
        answer = janus.message(janus.handle, request="enable_recording", room=12, secret="s", record=on, record_file=name,
                               record_dir=str(janus.dir))
        assert answer["plugindata"]["data"]["audiobridge"] == "success", answer

    with Gateway(tmp_path, "janus", "--at", janus.at, "--dir", janus.dir, settings=LATE) as gateway:
        talkers = janus.call(12, "b1.wav", said)
        assert gateway.say("start cb1 room=12 file=b1.wav secret=s")["ok"]
        if late == "opt-out":
            assert gateway.say("end cb1")["ok"]
        else:
            record("b1.wav", False)
        wait_for("it is stopped", lambda: (janus.dir / "b1.wav").exists())
        record("b2.wav", True)
        wait_for("the second is recorded", lambda: size_of(janus.dir.glob("b2.wav*")) > 4096)
        if announced:
            assert gateway.say("start cb2 room=12 file=b2.wav secret=s")["ok"]
        if late == "end":
            assert gateway.say("end cb1")["ok"]
        gateway.say("opt-out cb1")
        gateway.verified("cb1")
        before = size_of(janus.dir.glob("b2.wav*"))
        wait_for("the second is recorded on", lambda: size_of(janus.dir.glob("b2.wav*")) > before)
        if announced:
            assert gateway.say("opt-out cb2")["error"] == "RCO_OK"
            gateway.verified("cb2")
            assert files_below(janus.dir) == []
        for talker in talkers:
            talker.stop()


def test_two_who_are_in_one_recording_of_janus(tmp_path, janus, said):
    """Both calls named the same room and the same file: each may stop it."""
    with Gateway(tmp_path, "janus", "--at", janus.at, "--dir", janus.dir, settings=LATE) as gateway:
        talkers = janus.call(12, "b.wav", said)
        for name in ("p1", "p2"):
            assert gateway.say(f"start {name} room=12 file=b.wav secret=s")["ok"]
        assert gateway.say("opt-out p1")["error"] == "RCO_OK"
        gateway.verified("p1")
        assert files_below(janus.dir) == []
        for talker in talkers:
            talker.stop()


def test_rtpengine_and_an_id_that_comes_again(tmp_path, rtpengine, said):
    with Gateway(tmp_path, "rtpengine", "--at", rtpengine.at, "--dir", rtpengine.dir, settings=LATE) as gateway:
        talkers = rtpengine.call("same", said)
        assert gateway.say("start f1 ng=same")["ok"]
        wait_for("it is recorded", lambda: size_of(pcaps(rtpengine, "same")) > 20000)
        assert gateway.say("end f1")["ok"]
        rtpengine.ask(command="delete", **{"call-id": "same", "from-tag": "a"})
        first = set(pcaps(rtpengine, "same"))
        assert gateway.say("start f2 ng=same")["ok"]
        talkers += rtpengine.call("same", said)
        gateway.say("opt-out f1")
        gateway.verified("f1")
        second = set(pcaps(rtpengine, "same"))
        assert second and not first & second
        before = size_of(second)
        wait_for("the second is recorded on", lambda: size_of(second) > before + 10000)
        for talker in talkers:
            talker.stop()
