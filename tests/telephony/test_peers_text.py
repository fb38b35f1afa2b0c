# SPDX-License-Identifier: MIT
"""What a peer writes stays text: in the log, in the command line and environment of an ear, in the names of files."""

import json
import socket
import stat
import sys

import pytest

import wire
from phone import Phone, Reply
from server import Server, wait_for
from sipp import Scenario, Sipp

FAST = ("--window-ms", "300")
IDS = ["-x", "--help", "--control=/tmp/other", "-", "$(id)`id`;id|id&", "a b", "*", "~root", "../../x", "a'b\"c", "%s%n%999999d"]
CONTROLS = ["esc\x1b[2J\x1b]0;owned\x07", "back\x08\x08\x08ok", "del\x7f", "tab\tvt\x0bff\x0c", "lone\\x1b"]
NO_ASCII = ["c1\u009b31m".encode(), "turned\u202eder".encode(), "\u2028line".encode(), "caf\u00e9@\u4f8b".encode(),
            b"\xff\xfe\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"]
DUMP = """#!{python}
import json, os, sys
with open({out!r} + str(os.getpid()), "w") as out:
    json.dump({{"args": sys.argv[1:], "env": {{k: v for k, v in os.environ.items() if "CALL" in k}},
               "fds": sorted(os.listdir("/proc/self/fd")), "bytes": len(sys.stdin.buffer.read())}}, out)
"""


def harmless(text):
    return all(c.isprintable() for c in text)


def ear(folder):
    """A program that writes down what it was given."""
    script = folder / "dump.py"
    script.write_text(DUMP.format(python=sys.executable, out=str(folder / "heard.")))
    script.chmod(stat.S_IRWXU)
    return script


def test_a_call_id_is_no_word_of_a_command(tmp_path):
    said = wire.Stream(71, wire.PCMU).audio(wire.speech(71, 0.3, wire.PCMU))
    with Server(tmp_path, "--ear", f"{ear(tmp_path)} --fixed", *FAST) as server:
        for call_id in IDS:
            with Phone(server, call_id) as phone:
                phone.call()
                phone.speak(said)
                phone.hang_up()
            server.stored(call_id)
        heard = wait_for("all ears", lambda: len(list(tmp_path.glob("heard.*"))) == len(IDS) and list(tmp_path.glob("heard.*")))
        notes = wait_for("what they wrote", lambda: all(p.stat().st_size for p in heard) and [json.loads(p.read_text()) for p in heard])
    assert {n["env"]["RECOPTOUT_CALL_ID"] for n in notes} == set(IDS)
    assert all(n["args"] == ["--fixed"] and n["bytes"] == 2 * len(said.recorded()) for n in notes), notes
    # 0 to 2, what it writes to and the folder that it reads: no socket of another call
    assert all(len(n["fds"]) <= 5 for n in notes), notes
    assert sorted(server.records()) == sorted(IDS)


@pytest.mark.parametrize("call_id", CONTROLS)
def test_a_call_id_is_written_so_that_it_can_be_read(tmp_path, call_id):
    """Answered; where the library takes it for no id, not recorded."""
    said = wire.Stream(71, wire.PCMU).audio(wire.speech(71, 0.3, wire.PCMU))
    with Server(tmp_path, *FAST) as server, Phone(server, call_id) as phone:
        reply = phone.call(name="session\x1b[31m", media="a=recordpref:\x1b]0;x\x07\r\n",
                           headers="User-Agent: a\x1b[1mb\r\nSubject: \x07\x07\r\n")
        assert ("a=record:on" in reply.body) == call_id.isprintable()
        phone.speak(said)
        for key in "*9":
            phone.ask("INFO", f"Signal={key}", "application/dtmf-relay")
        phone.hang_up()
        server.says("ended")
    assert all(harmless(text) for text in server.lines), server.lines
    assert any(call_id.encode("unicode_escape").decode()[:3] in text for text in server.lines)


def test_a_call_id_that_is_not_ascii(tmp_path):
    """It is none (RFC 3261, 25.1): refused, and no other call is touched."""
    with Server(tmp_path, *FAST) as server, Phone(server, "plain@test") as phone:
        for raw in NO_ASCII:
            data = phone.message("INVITE", phone.sdp()).replace(b"plain@test", raw)
            phone.send(data)
            assert phone.hear("INVITE").code == 400
            phone.send(phone.message("ACK", branch=phone.branch).replace(b"plain@test", raw))
        phone.call()
        phone.hang_up()
        server.says("plain@test: ended")
    assert all(harmless(text) for text in server.lines), server.lines


@pytest.mark.parametrize("data", [
    b"FOO\x1b[2J sip:a\x1b]0;x\x07@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 FOO\x1b[2J\r\nContent-Length: 0\r\n\r\n",
    b"SIP/2.0 200 OK\x1b[2J\x07\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 BYE\x1b[2J\r\nContent-Length: 0\r\n\r\n",
    b"CANCEL sip:\x1b@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKy\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n"])
def test_requests_and_answers_that_nobody_expects(tmp_path, data):
    with Server(tmp_path, *FAST) as server, Phone(server, "after@test") as phone:
        phone.send(data.replace(b"{port}", str(phone.port).encode()))
        phone.call()
        phone.hang_up()
        server.says("after@test: ended")
    assert all(harmless(text) for text in server.lines), server.lines


def test_a_transfer_that_is_refused_with_words(tmp_path):
    """The reason is the human's; it is not repeated."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as human:
        human.bind(("127.0.0.1", 0))
        human.settimeout(10)
        with Server(tmp_path, "--transfer-to", f"sip:nobody@127.0.0.1:{human.getsockname()[1]}", *FAST) as server:
            with Phone(server, "to@test") as phone:
                phone.call()
                for key in "*1":
                    phone.ask("INFO", f"Signal={key}", "application/dtmf-relay")
                data, source = human.recvfrom(65536)
                asked = Reply(data).headers
                keep = "".join(f"{name}: {asked[name]}\r\n" for name in ("via", "from", "call-id", "cseq"))
                human.sendto(f"SIP/2.0 603 \x1b[31mNo\x07\r\n{keep}To: {asked['to']};tag=\x1b1\r\nContent-Length: 0\r\n\r\n".encode(),
                             source)
                server.says("the transfer was refused with 603")
                phone.hang_up()
    assert all(harmless(text) for text in server.lines), server.lines


def test_a_call_id_of_sipp_with_a_dash(tmp_path):
    """The same with a real SIP client."""
    said = wire.Stream(71, wire.PCMU).audio(wire.speech(71, 1, wire.PCMU))
    with Server(tmp_path, "--ear", str(ear(tmp_path)), *FAST) as server:
        caller = Scenario(wire.PCMU).invite(record="on").play(said, tmp_path, "said").wait(said.ms + 100).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "--quiet").done()
        assert server.leg(server.stored("--quiet"), "caller") == said.recorded()
