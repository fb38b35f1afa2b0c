# SPDX-License-Identifier: MIT
"""The gateway beside Asterisk and FreeSWITCH, which are not in Debian: their exchanges, from scripted.py."""

import contextlib
import http.server
import os
import pathlib
import socket
import socketserver
import subprocess
import threading
import time

import pytest

from gateway import Gateway, files_below
from scripted import ANY, Ami, Ari, Esl, EVENT, NOT_FOUND, Recording
from server import wait_for

A, B = "0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"


@pytest.fixture
def ari():
    with Ari().serve() as server:
        yield server


@pytest.fixture
def ami():
    with Ami().serve() as server:
        yield server


@pytest.fixture
def esl():
    with Esl().serve() as server:
        yield server


@pytest.fixture
def monitor(tmp_path):
    folder = tmp_path / "monitor"
    folder.mkdir()
    return folder


def beside_ari(tmp_path, server):
    return Gateway(tmp_path, "asterisk", "--at", f"http://{server.at}/ari", "--user", "agent").with_password("word")


def beside_ami(tmp_path, server, folder, **more):
    return Gateway(tmp_path, "asterisk", "--at", server.at, "--dir", folder, "--user", "agent", **more).with_password("word")


def beside_freeswitch(tmp_path, server, folder, **more):
    return Gateway(tmp_path, "freeswitch", "--at", server.at, "--dir", folder, **more).with_password("ClueCon")


def stays_requested(gateway, call_id, seconds=1.5):
    """Nothing more is said, however often it was asked again meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert gateway.status(call_id) == "requested"
        time.sleep(0.1)


def never_erased(gateway, call_id, seconds=1.5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert gateway.status(call_id) in ("requested", "stopped", "durable", "retrying")
        time.sleep(0.1)


# ---- ARI

def test_ari_stops_what_is_live_and_erases_what_is_stored(tmp_path, ari):
    ari.record("going.on")
    ari.stored.add("was-stored")
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start a name=going.on")["ok"] and gateway.say("start b name=was-stored")["ok"]
        ari.first.append(("DELETE live", ANY, 500, "", None))
        assert gateway.say("opt-out a")["status"] == "requested"
        ari.first.clear()
        gateway.verified("a")
        assert gateway.say("opt-out b")["error"] == "RCO_OK"
        gateway.verified("b")
        assert not ari.live and not ari.stored


@pytest.mark.parametrize("given,name", [("sub%2Fdir%2Fn1", "sub/dir/n1"), ("sub/dir/n1", "sub/dir/n1"), ("two%20words", "two words"),
                                        ("1%2B1", "1+1"), ("1+1", "1+1"), ("Gespr%C3%A4ch", "Gespräch"), ("Gespräch", "Gespräch"),
                                        ("a%25b", "a%b"), ("a?b#c", "a?b#c")])
def test_names_of_ari_are_percent_encoded(tmp_path, ari, given, name):
    ari.record(name)
    ari.record("another")
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say(f"start a name={given}")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert ari.stored == {"another"} == set(ari.live)


def test_names_that_are_none(tmp_path, ari):
    with beside_ari(tmp_path, ari) as gateway:
        for name in ("../x", "%2E%2E/x", "a/%2e%2e/x", "/x", "%2Fx", "", ".", "a//b", "%", "%4", "%zz", "%00", "a%0d%0aX:", "a%7f"):
            assert gateway.say(f"start c name={name}")["error"] == "RCO_E_INVALID", name
    assert ari.asked == []


def test_ari_queued_behind_a_playback(tmp_path, ari):
    """DELETE would answer 204, and it would record all the same when the playback ends."""
    ari.live["q"] = "queued"
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start q name=q")["ok"]
        assert gateway.say("opt-out q")["status"] == "requested"
        stays_requested(gateway, "q")
        assert not [request for request, _ in ari.asked if request.startswith("DELETE live")]
        ari.record("q")
        gateway.verified("q")
        assert not ari.live and not ari.stored


def test_ari_that_was_canceled_by_somebody_while_queued_and_records_all_the_same(tmp_path, ari):
    ari.live["q"] = "canceled"
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start q name=q")["ok"]
        assert gateway.say("opt-out q")["status"] == "requested"
        stays_requested(gateway, "q")
        ari.record("q")
        gateway.verified("q")
        assert not ari.live and not ari.stored


def test_ari_in_the_beep(tmp_path, ari):
    """DELETE would answer 500, then 409 for ever, and it would record until the channel hangs up."""
    ari.live["b"] = "beep"
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start b name=b")["ok"]
        assert gateway.say("opt-out b")["status"] == "requested"
        stays_requested(gateway, "b")
        assert not [request for request, _ in ari.asked if request == "DELETE live"]
        ari.record("b")
        gateway.verified("b")


def test_ari_in_the_beep_over_a_stored_one_has_no_proof_until_it_ends(tmp_path, ari):
    ari.live["b"] = "beep over a stored one"
    ari.stored.add("b")
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start b name=b")["ok"]
        assert gateway.say("opt-out b")["status"] == "requested"
        stays_requested(gateway, "b", 3)
        del ari.live["b"]  # the channel has hung up
        gateway.verified("b")
        assert not ari.stored


def test_ari_that_is_live_for_a_moment_after_its_204(tmp_path, ari):
    ari.record("m")
    polls = iter([None] * 3)

    def happens(name, what, inner=ari.happens):
        if what != "discard":
            inner(name, what)
    ari.happens = happens
    ari.first.append(("DELETE live", "recording", 204, "", "discard"))

    def answer(method, path, authorization, inner=ari.answer):
        if method == "GET" and path.endswith("live/m") and ("DELETE live", "recording") in ari.asked and next(polls, 1):
            ari.live.pop("m", None)
            ari.stored.discard("m")
        return inner(method, path, authorization)
    ari.answer = answer
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start m name=m")["ok"]
        assert gateway.say("opt-out m")["error"] == "RCO_OK"
        gateway.verified("m")
        assert [r for r, _ in ari.asked].count("DELETE live") == 1


ARI_ERRORS = [(401, '{"message":"Authentication required"}', "refuses user and password"), (403, '{"message":"Write access denied"}', "only read"),
              (404, '{"message":"Resource not found"}', "is not the URL of ARI"), (404, "", "is not the URL of ARI"),
              (404, "Recording not found", "is not the URL of ARI"), (404, '{"message":"recording not found"}', "is not the URL of ARI"),
              (503, "", "503"), (500, "{}", "500"), (409, '{"message":"x"}', "in the beep"), (302, NOT_FOUND, "302"), (410, NOT_FOUND, "410")]


@pytest.mark.parametrize("status,body,said", ARI_ERRORS)
@pytest.mark.parametrize("request_", ["GET live", "DELETE live"])
def test_ari_errors_confirm_nothing(tmp_path, ari, request_, status, body, said):
    ari.record("e")
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start e name=e")["ok"]
        ari.first.append((request_, ANY, status, body, None))
        assert gateway.say("opt-out e")["status"] == "requested"
        assert said in gateway.log_text()
        ari.first.clear()
        gateway.verified("e")


CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
ARI_RAW = {
    "cut off": "HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\n\r\n" + NOT_FOUND,
    "cut off in a chunk": f"HTTP/1.1 404 Not Found\r\n{CHUNKED}1f\r\n" + NOT_FOUND[:10],
    "two": f"HTTP/1.1 404 Not Found\r\nContent-Length: {2 * len(NOT_FOUND)}\r\n\r\n" + NOT_FOUND * 2,
    "no status": "HTTP/1.1\r\n\r\n" + NOT_FOUND,
    "no HTTP": NOT_FOUND,
    "redirect": "HTTP/1.1 302 Found\r\nLocation: /ari/recordings/live/none\r\nContent-Length: 0\r\n\r\n",
    "endless head": "HTTP/1.1 404 Not Found\r\n" + "X: y\r\n" * 100000,
    "huge": "HTTP/1.1 404 Not Found\r\nContent-Length: 9999999\r\n\r\n" + " " * 9999999,
    "nothing": "",
}


@pytest.mark.parametrize("raw", ARI_RAW)
def test_ari_answers_that_are_none(tmp_path, raw):
    class Raw(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                self.request.recv(65536)
                self.request.sendall(ARI_RAW[raw].encode())

    with Ari().listening(socketserver.ThreadingTCPServer, Raw) as server:
        with beside_ari(tmp_path, server) as gateway:
            assert gateway.say("start a name=n")["ok"]
            assert gateway.say("opt-out a")["status"] == "requested"


def test_ari_in_chunks_is_an_answer(tmp_path, ari):
    def chunked(handler):
        status, body = ari.answer(handler.command, handler.path, handler.headers.get("Authorization"))
        handler.wfile.write(f"HTTP/1.1 {status} X\r\n".encode())
        handler.wfile.write(b"\r\n" if status == 204 else
                            (CHUNKED + "".join(f"1\r\n{c}\r\n" for c in body) + "0\r\n\r\n").encode())

    class Chunked(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        do_GET = do_DELETE = do_POST = chunked

        def log_message(self, *_):
            pass

    ari.record("n")
    with ari.listening(http.server.ThreadingHTTPServer, Chunked):
        with beside_ari(tmp_path, ari) as gateway:
            assert gateway.say("start a name=n")["ok"]
            assert gateway.say("opt-out a")["error"] == "RCO_OK"
            gateway.verified("a")


def test_a_name_that_ari_does_not_know_is_not_called_stopped(tmp_path, ari):
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start w name=wrong")["ok"]
        assert gateway.say("opt-out w")["status"] == "requested"
        assert "neither live nor stored" in gateway.log_text()
        ari.record("wrong")  # it was only not there yet
        gateway.verified("w")


def test_the_end_of_a_kept_call_discards_nothing(tmp_path, ari):
    for name in ("kept", "queued"):
        ari.record(name)
    ari.live["queued"] = "queued"
    with beside_ari(tmp_path, ari) as gateway:
        for name in ("kept", "queued"):
            assert gateway.say(f"start {name} name={name}")["ok"] and gateway.say(f"end {name}")["ok"]
        wait_for("it is stored", lambda: "kept" not in ari.live)
        assert ari.stored == {"kept", "queued"} and not [r for r, _ in ari.asked if r.startswith("DELETE")]


def test_ari_starts_again_after_the_objection(tmp_path, ari):
    ari.record("n")
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start n name=n")["ok"] and gateway.say("opt-out n")["ok"]
        gateway.verified("n")
        ari.record("n")
        wait_for("it is stopped again, and erased", lambda: not ari.live and not ari.stored)


def test_a_later_call_of_the_same_name_in_ari(tmp_path, ari):
    ari.record("n")
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start a name=n")["ok"] and gateway.say("opt-out a")["ok"]
        gateway.verified("a")
        assert gateway.say("end a")["ok"] and gateway.say("start b name=n")["ok"]
        ari.record("n")
        time.sleep(4)  # several looks
        assert ari.live == {"n": "recording"} and ari.stored == {"n"}


# ---- AMI

CHANNEL = "PJSIP/100-00000001"


def test_ami_stops_all_mixmonitors_and_finds_what_they_wrote(tmp_path, ami, monitor):
    ami.record(CHANNEL, monitor, "x.wav49", receive="x-in.wav", transmit="x-out")
    ami.record(CHANNEL, monitor, "second.gsm")
    ami.record("PJSIP/100-00000002", monitor, "kept.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav49")["ok"]
        assert gateway.say("start b channel=PJSIP/100-00000002 file=kept.wav")["ok"]
        answer = gateway.say("opt-out a")
        assert answer["error"] == "RCO_OK" and answer["status"] in ("durable", "retrying", "erased", "verified")
        gateway.verified("a")
        assert not ami.channels[CHANNEL] and files_below(monitor) == [str(monitor / "kept.wav")]
        assert [m.files[0].file.closed for m in ami.channels["PJSIP/100-00000002"]] == [False]


@pytest.mark.parametrize("given", ["x", "sub/x", "x.wav49", "x.wav", "a..b.wav"])
def test_names_as_mixmonitor_writes_them(tmp_path, ami, monitor, given):
    """Also when the channel, which could tell, is gone."""
    monitored = ami.record(CHANNEL, monitor, given)
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file={given}")["ok"]
        monitored.stop()
        ami.channels.clear()
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == []


def test_legs_are_known_although_the_channel_is_gone(tmp_path, ami, monitor):
    """They are asked for while it goes on."""
    monitored = ami.record(CHANNEL, monitor, "x.wav", receive="other-in.wav", transmit="other-out.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        wait_for("it was asked", lambda: "Command" in [r for r, _ in ami.asked])
        wait_for("and is written down", lambda: "other-out.wav" in (gateway.folder / "state/recorders/calls").read_text())
        monitored.stop()
        ami.channels.clear()
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == []


def test_the_list_of_another_channel_is_not_taken_for_ours(tmp_path, ami, monitor):
    """`mixmonitor list` takes the beginning of a name."""
    ami.record(CHANNEL + "2", monitor, "kept.wav")
    Recording(monitor / "x.wav").close()
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == [str(monitor / "kept.wav")] and ami.channels[CHANNEL + "2"]


@pytest.mark.parametrize("state", [None, "idle"])
def test_no_such_channel_confirms_nothing_while_the_file_is_open(tmp_path, ami, monitor, state):
    recording = Recording(monitor / "x.wav")
    if state:
        ami.channels[CHANNEL] = []
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a")
        assert recording.path.exists() and "is open" in gateway.log_text()
        recording.close()
        gateway.verified("a")
        assert files_below(monitor) == []


def test_a_mixmonitor_that_went_to_another_channel(tmp_path, ami, monitor):
    """A pick-up: the file is the same, the channel is not."""
    ami.record("Local/9@x-00000007;1", monitor, "x.wav49")
    ami.record("PJSIP/200-00000003", monitor, "kept.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav49")["ok"]
        gateway.say("opt-out a")
        gateway.verified("a")
        assert files_below(monitor) == [str(monitor / "kept.wav")] and ami.channels["PJSIP/200-00000003"]


def test_a_file_that_never_was_seen_is_not_called_erased(tmp_path, ami, monitor):
    """A wrong --dir, or a wrong name: it lies elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    ami.record(CHANNEL, elsewhere, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a")
        assert files_below(elsewhere) and str(elsewhere) in gateway.log_text()
        assert gateway.say("start b channel=nobody file=y.wav")["ok"]
        assert gateway.say("opt-out b")["status"] == "requested"


def test_a_folder_that_the_recorder_knows_by_a_link(tmp_path, ami, esl, monitor):
    link = tmp_path / "by-a-link"
    link.symlink_to(monitor)
    ami.record(CHANNEL, link, "sub/x.wav", receive="in.wav")
    with beside_ami(tmp_path, ami, link) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file={link}/sub/x.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == []
    esl.record(B, link / "y.wav")  # it followed a transfer
    with beside_freeswitch(tmp_path, esl, link) as gateway:
        assert gateway.say(f"start b uuid={A} file={monitor}/y.wav")["ok"]
        gateway.say("opt-out b")
        gateway.verified("b")
        assert files_below(monitor) == [] and esl.channels[B] == {}


def test_asterisk_in_a_container_names_the_folder_otherwise(tmp_path, ami, monitor):
    ami.record(CHANNEL, monitor, "x.wav", receive="in.wav")
    ami.variables[CHANNEL] = "/var/spool/asterisk/monitor/x.wav"
    ami.channels[CHANNEL][0].names = ["/var/spool/asterisk/monitor/x.wav", "/var/spool/asterisk/monitor/in.wav", None]
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == []


@pytest.mark.parametrize("action", ["StopMixMonitor", "GetVar", "Command"])
def test_ami_permissions(tmp_path, ami, monitor, action):
    """Who may stop and not list loses the names that only the list has; who may not stop has nothing confirmed."""
    ami.record(CHANNEL, monitor, "x.wav")
    ami.first.append((action, ANY, "Error", "Permission denied", None))
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        answer = gateway.say("opt-out a")
        if action == "StopMixMonitor":
            assert answer["status"] == "requested" and "Permission denied" in gateway.log_text()
            ami.first.clear()
        gateway.verified("a")
        assert files_below(monitor) == []


def test_ami_refuses_the_login(tmp_path, ami, monitor):
    ami.record(CHANNEL, monitor, "x.wav")
    gateway = beside_ami(tmp_path, ami, monitor)
    gateway.secret("other")
    with gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested" and "Authentication failed" in gateway.log_text()


@pytest.mark.parametrize("ignored", [("GetVar", "Command", "CoreShowChannels"), ("Command",)])
def test_ami_that_ignores_what_it_does_not_know(tmp_path, ami, monitor, ignored):
    """It is stopped all the same: what it writes is only asked before."""
    ami.record(CHANNEL, monitor, "x.wav")

    def lines(action, inner=ami.lines):
        return ("", []) if action["Action"] in ignored else inner(action)
    ami.lines = lines
    with beside_ami(tmp_path, ami, monitor, settings=("--timeout-ms", "500")) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == []


AMI_LINES = {
    "another's answer": "Response: Error\r\nActionID: r99\r\nMessage: No such channel\r\n\r\n",
    "no id": "Response: Success\r\n\r\nResponse: Error\r\nMessage: Could not stop monitoring channel\r\n\r\n",
    "no response": "ActionID: r{n}\r\nMessage: Could not stop monitoring channel\r\n\r\n",
    "cut off": "Response: Success\r\nActionID: r{n}\r\n",
    "another word": "Response: Error\r\nActionID: r{n}\r\nMessage: No such channel x\r\n\r\n",
    "goodbye": "Response: Goodbye\r\nActionID: r{n}\r\nMessage: Thanks for all the fish.\r\n\r\n",
    "huge": "Response: Success\r\nX: " + "x" * 100000 + "\r\nActionID: r{n}\r\n\r\n",
    "many": "Event: Hangup\r\nX: y\r\n\r\n" * 5000,
    "rows": "Response: Success\r\nActionID: r{n}\r\nOutput: 0x1\t/etc/passwd\t../../x\t\r\nValue: /etc/passwd\r\n\r\n",
}


@pytest.mark.parametrize("said", AMI_LINES)
def test_ami_that_says_something_else(tmp_path, ami, monitor, said):
    recording = Recording(monitor / "x.wav")

    def lines(action):
        return AMI_LINES[said].replace("{n}", action["ActionID"][1:]), []
    ami.lines, inner = lines, ami.lines
    with beside_ami(tmp_path, ami, monitor, settings=("--timeout-ms", "300")) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        recording.close()
        stays_requested(gateway, "a", 1)
        assert recording.path.exists()
        ami.lines = inner
        if said == "rows":  # it records something outside as well, it says
            never_erased(gateway, "a")
        else:
            gateway.verified("a")


def test_a_mixmonitor_of_another_folder_and_the_same_name_is_left(tmp_path, ami, monitor):
    """It is looked for by its whole path where it has gone."""
    recording = Recording(monitor / "x.wav")
    other = ami.record("PJSIP/200-00000003", tmp_path / "other", "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        recording.close()
        gateway.verified("a")
        assert not other.files[0].file.closed and other.files[0].path.exists()


def test_a_copy_that_the_command_of_mixmonitor_makes_when_it_stops(tmp_path, ami, monitor):
    """It is named in `start`, and comes when everything is over."""
    late = threading.Event()

    def copy(path):
        def run():
            late.wait(20)
            (monitor / "x.mp3").write_bytes(b"audio")
        threading.Thread(target=run, daemon=True).start()

    ami.record(CHANNEL, monitor, "x.wav", command=copy)
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav copy=x.mp3")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert gateway.say("end a")["ok"] and not late.is_set()
        late.set()
        wait_for("it came", lambda: "x.mp3" in gateway.log_text() or (monitor / "x.mp3").exists())
        wait_for("it is erased", lambda: files_below(monitor) == [])


# ---- FreeSWITCH

def test_freeswitch(tmp_path, esl, monitor):
    esl.record(A, monitor / "a.wav")
    esl.record(B, monitor / "kept.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file={monitor}/a.wav")["ok"], "an absolute name, as FreeSWITCH has them"
        assert not gateway.say("start c uuid=x;stop file=c.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == [str(monitor / "kept.wav")] and esl.channels[B]


def test_freeswitch_that_keeps_on(tmp_path, esl, monitor):
    esl.record(A, monitor / "a.wav")
    esl.first.append(("uuid_record all", ANY, "+OK Success\n", None))
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=a.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested" and "still records" in gateway.log_text()
        esl.first.clear()
        gateway.verified("a")


@pytest.mark.parametrize("state", [None, "idle"])
def test_cannot_locate_session_confirms_nothing_while_the_file_is_open(tmp_path, esl, monitor, state):
    """A channel that is gone, or the `record` application, which has no media bug."""
    recording = Recording(monitor / "a.wav")
    if state:
        esl.channels[A] = {}
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=a.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a")
        assert recording.path.exists()
        recording.close()
        gateway.verified("a")
        assert files_below(monitor) == []


def test_freeswitch_closes_the_file_after_its_channel_is_gone(tmp_path, esl, monitor):
    recording = Recording(monitor / "a.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=a.wav")["ok"]
        timer = threading.Timer(0.2, recording.close)
        timer.start()
        assert gateway.say("opt-out a")["error"] == "RCO_OK", "it is waited for"
        timer.join()
        gateway.verified("a")


def test_a_recording_that_followed_a_transfer(tmp_path, esl, monitor):
    esl.record(B, monitor / "a.wav")
    esl.record(B, monitor / "kept.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=a.wav")["ok"]
        gateway.say("opt-out a")
        gateway.verified("a")
        assert files_below(monitor) == [str(monitor / "kept.wav")] and list(esl.channels[B]) == [str(monitor / "kept.wav")]


ESL_BEFORE = ["Content-Type: text/disconnect-notice\nContent-Length: 67\n\nDisconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n",
              "Content-Type: api/response\nContent-Length: 0\n\n", "Content-Type: api/response\nContent-Length: 18\n\n-ERR no such thing",
              "Content-Type: api/response\nContent-Length: -1\n\n", "Content-Type: api/response\nContent-Length: 99999999999999999999\n\n",
              "Content-Type: api/response\nContent-Length: 4\n\n+OK\0", "\0\0\0\0"]


@pytest.mark.parametrize("before", ESL_BEFORE)
def test_freeswitch_that_says_something_else_first(tmp_path, esl, monitor, before):
    esl.record(A, monitor / "a.wav")
    esl.first.append(("uuid_record all", ANY, "-ERR command not found\n", None))
    esl.before = before
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=a.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        esl.before = ""
        esl.first.clear()
        gateway.verified("a")


def test_freeswitch_refuses_the_password(tmp_path, esl, monitor):
    esl.record(A, monitor / "a.wav")
    gateway = beside_freeswitch(tmp_path, esl, monitor)
    gateway.secret("other")
    with gateway:
        assert gateway.say(f"start a uuid={A} file=a.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested" and "-ERR invalid" in gateway.log_text()


# ---- a restart of the gateway

def test_an_objection_before_a_restart_is_not_forgotten(tmp_path, ami, monitor):
    """The recorder was away; the next gateway asks it, says no more than is so, and then erases."""
    monitored = ami.record(CHANNEL, monitor, "x.wav")
    ami.first.append(("StopMixMonitor", ANY, "Error", "Permission denied", None))
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        gateway.kill()
    with beside_ami(tmp_path, ami, monitor) as gateway:
        stays_requested(gateway, "a")
        assert monitored.files[0].path.exists()
        ami.first.clear()
        gateway.verified("a")
        assert files_below(monitor) == [] and not ami.channels[CHANNEL]


def test_an_objection_after_a_restart_asks_the_recorder(tmp_path, ami, monitor):
    monitored = ami.record(CHANNEL, monitor, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        gateway.kill()
    with beside_ami(tmp_path, ami, monitor) as gateway:
        ami.first.append(("StopMixMonitor", ANY, "Error", "Permission denied", None))
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a")
        assert monitored.files[0].path.exists(), "unlinked, it would be written on unseen"
        ami.first.clear()
        gateway.verified("a")
        assert files_below(monitor) == [] and not ami.channels[CHANNEL]


def test_start_again_after_a_restart_does_not_record_on(tmp_path, ami, monitor):
    ami.record(CHANNEL, monitor, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"] and gateway.say("opt-out a")["ok"]
        gateway.verified("a")
    ami.record(CHANNEL, monitor, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        wait_for("it is stopped", lambda: not ami.channels[CHANNEL])
        wait_for("and erased", lambda: files_below(monitor) == [])


def test_a_second_start_after_the_objection_does_not_record_on(tmp_path, ami, monitor):
    ami.record(CHANNEL, monitor, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"] and gateway.say("opt-out a")["ok"]
        gateway.verified("a")
        ami.record("PJSIP/7-00000007", monitor, "y.wav")
        assert gateway.say("start a channel=PJSIP/7-00000007 file=y.wav")["ok"]
        wait_for("it is stopped", lambda: not ami.channels["PJSIP/7-00000007"])
        wait_for("and erased", lambda: files_below(monitor) == [])


def test_two_recordings_of_one_call(tmp_path, ami, monitor):
    ami.record(CHANNEL, monitor, "x.wav")
    ami.record("PJSIP/7-00000007", monitor, "y.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        assert gateway.say("start a channel=PJSIP/7-00000007 file=y.wav")["ok"]
        assert gateway.say("start a channel=PJSIP/7-00000007 file=y.wav")["error"] == "RCO_E_CALL_EXISTS"
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == [] and not any(ami.channels.values())


def test_an_early_objection_says_nothing_untrue_while_the_recorder_goes_on(tmp_path, ami, monitor):
    monitored = ami.record(CHANNEL, monitor, "x.wav")
    ami.first.append(("StopMixMonitor", ANY, "Error", "Permission denied", None))
    with beside_ami(tmp_path, ami, monitor) as gateway:
        first = gateway.say("opt-out a")
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        again = gateway.say("opt-out a")
        assert again["receipt"] == first["receipt"] and again["status"] not in ("erased", "verified")
        assert monitored.files[0].path.exists()
        gateway.kill()
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert monitored.files[0].path.exists()
        ami.first.clear()
        wait_for("it is stopped and erased", lambda: files_below(monitor) == [] and not ami.channels[CHANNEL])
        assert gateway.say("opt-out a")["receipt"] == first["receipt"]


@pytest.mark.parametrize("what", ["mode", "link", "second name"])
def test_a_journal_that_others_could_have_written_is_refused(tmp_path, ami, monitor, what):
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
    journal = gateway.folder / "state/recorders/calls"
    assert journal.stat().st_mode & 0o777 == 0o600
    if what == "mode":
        journal.chmod(0o666)
    elif what == "link":
        journal.rename(tmp_path / "calls")
        journal.symlink_to(tmp_path / "calls")
    else:
        os.link(journal, tmp_path / "calls")
    run = subprocess.run(gateway.command, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1 and str(journal) in run.stderr


def test_a_journal_that_was_cut_off(tmp_path, ami, monitor):
    ami.record(CHANNEL, monitor, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        gateway.kill()
    with open(gateway.folder / "state/recorders/calls", "ab") as journal:
        journal.write(b'\0\xff{"n":"x"}\n[]\n{"n":77,"call":7,"parts":[[1]]}\n{"n":78,"call":"b","parts":{"a":1},"files":3}\n{"n":2,"call":"cut')
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == [] and "damaged" in gateway.log_text()


@pytest.mark.parametrize("restarted", [False, True])
def test_an_objection_after_the_end(tmp_path, esl, monitor, restarted):
    esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor, settings=("--window-ms", "10000", "--timeout-ms", "1000")) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"] and gateway.say("end a")["ok"]
        wait_for("the end stops it", lambda: not esl.channels[A])
        assert (monitor / "x.wav").exists(), "and keeps it"
        if restarted:
            gateway.kill()
            gateway.__enter__()
        gateway.say("opt-out a")
        gateway.verified("a")
        assert files_below(monitor) == []


def test_the_end_of_a_call_whose_recorder_goes_on(tmp_path, esl, monitor):
    """An objection after it asks again, and says no more than is so."""
    recording = Recording(monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor, settings=("--window-ms", "10000", "--timeout-ms", "500")) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"] and gateway.say("end a")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a", 1)
        recording.close()
        gateway.verified("a")
        assert files_below(monitor) == []


def test_a_kept_call_is_forgotten_when_its_time_is_over(tmp_path, esl, monitor):
    esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor, settings=("--window-ms", "300", "--timeout-ms", "500", "--watch-s", "1")) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"] and gateway.say("end a")["ok"]
        wait_for("it is forgotten", lambda: gateway.say("end a")["error"] == "RCO_E_NOT_FOUND")
        assert (monitor / "x.wav").exists() and gateway.say("opt-out a")["error"] == "RCO_E_ENDED"


# ---- which file is whose

def test_a_recorder_that_is_started_again_on_the_same_file(tmp_path, ami, monitor):
    """First it is stopped, then the file goes."""
    ami.record(CHANNEL, monitor, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"] and gateway.say("opt-out a")["ok"]
        gateway.verified("a")
        again = ami.record(CHANNEL, monitor, "x.wav")
        wait_for("it is stopped again", lambda: again.files[0].file.closed)
        wait_for("and erased", lambda: files_below(monitor) == [])
        gateway.verified("a")


@pytest.mark.parametrize("announced", [True, False])
def test_a_later_call_that_uses_the_same_name_keeps_its_file(tmp_path, esl, monitor, announced):
    esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"] and gateway.say("opt-out a")["ok"]
        gateway.verified("a")
        assert gateway.say("end a")["ok"]
        time.sleep(0.05)  # file times are some milliseconds coarse
        if announced:
            assert gateway.say(f"start b uuid={B} file=x.wav")["ok"]
        other = esl.record(B, monitor / "x.wav")
        time.sleep(2)  # several looks
        assert other.path.exists() and not other.file.closed
        other.close()
        time.sleep(1.5)
        assert other.path.exists()


def test_a_call_that_objects_does_not_take_the_file_of_an_earlier_one(tmp_path, esl, monitor):
    """A kept recording of that name lies there when the next call objects before its recorder has begun."""
    esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        wait_for("it was seen", lambda: "x.wav\"" in (gateway.folder / "state/recorders/calls").read_text().replace("/x", "x"))
        esl.channels.pop(A)[str(monitor / "x.wav")].close()
        assert gateway.say("end a")["ok"]
        time.sleep(0.05)
        assert gateway.say(f"start b uuid={B} file=x.wav")["ok"]
        assert gateway.say("opt-out b")["status"] == "requested"
        time.sleep(1.5)
        assert (monitor / "x.wav").exists()


def test_an_old_file_of_that_name_is_no_file_of_the_call(tmp_path, esl, monitor):
    Recording(monitor / "x.wav").close()
    os.utime(monitor / "x.wav", (time.time() - 3600, time.time() - 3600))
    esl.channels[A] = {}
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        # it was born a moment ago, so that only a file system without births is fooled by its time
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["error"] in ("RCO_OK", "RCO_E_CALLBACK")


ODD = {"folder": lambda p, t: p.mkdir(), "link": lambda p, t: p.symlink_to(t), "pipe": lambda p, t: os.mkfifo(p),
       "second name": lambda p, t: os.link(t, p)}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_recording_is_left_alone_and_nothing_is_called_erased(tmp_path, esl, monitor, kind):
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    ODD[kind](monitor / "x.wav", target)
    esl.channels[A] = {}
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] not in ("erased", "verified")
        time.sleep(1)
        assert gateway.status("a") not in ("erased", "verified")
        assert target.read_bytes() == b"precious" and os.path.lexists(monitor / "x.wav")


def test_a_folder_on_the_way_that_is_a_link(tmp_path, esl, monitor):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "x.wav").write_bytes(b"precious")
    (monitor / "sub").symlink_to(precious)
    esl.channels[A] = {}
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=sub/x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        time.sleep(1)
        assert (precious / "x.wav").exists()


def test_a_folder_that_is_not_there_is_refused_at_the_start(tmp_path, esl, monitor):
    for wrong in (tmp_path / "nothing", tmp_path / "file"):
        (tmp_path / "file").write_bytes(b"")
        gateway = beside_freeswitch(tmp_path, esl, wrong)
        run = subprocess.run(gateway.command, capture_output=True, text=True, timeout=30)
        assert run.returncode == 2 and str(wrong) in run.stderr


def without(gateway, *capabilities, user=None):
    """The same gateway with less power."""
    gateway.command = ["setpriv", "--bounding-set=" + ",".join(f"-{c}" for c in capabilities), *(["--reuid", str(user), "--clear-groups"] if user else []),
                       *gateway.command]
    return gateway


def test_without_a_lease_the_word_of_nobody_is_no_proof(tmp_path, esl, monitor):
    """Another user's files, and no CAP_LEASE: whether they are written is not known, and is called so."""
    recording = Recording(monitor / "x.wav")
    os.chown(recording.path, 12345, 12345)
    os.chown(monitor, 12345, 12345)
    with without(beside_freeswitch(tmp_path, esl, monitor), "lease") as gateway:
        assert "CAP_LEASE" in gateway.log_text()
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        recording.close()
        stays_requested(gateway, "a")
        assert recording.path.exists() and "cannot be told" in gateway.log_text()


def test_without_a_lease_the_recorders_own_word_counts(tmp_path, esl, monitor):
    """+OK, and no media bug is left; and the file is quiet."""
    recording = esl.record(A, monitor / "x.wav")
    os.chown(recording.path, 12345, 12345)
    with without(beside_freeswitch(tmp_path, esl, monitor), "lease") as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        gateway.say("opt-out a")
        gateway.verified("a")
        assert files_below(monitor) == []


def test_a_gateway_that_may_not_remove_says_so(tmp_path, esl, monitor):
    recording = esl.record(A, monitor / "x.wav")
    monitor.chmod(0o555)
    tmp_path.chmod(0o755)
    gateway = without(beside_freeswitch(tmp_path, esl, monitor), "dac_override", "dac_read_search", "lease", "fowner")
    with gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        gateway.say("opt-out a")
        time.sleep(1)
        assert recording.path.exists() and gateway.status("a") not in ("erased", "verified")
        monitor.chmod(0o755)
        gateway.verified("a")
    assert "may not remove" in gateway.log_text()


# ---- the door

def ask_all(gateway, lines):
    answers = [None] * len(lines)

    def one(i):
        answers[i] = gateway.say(lines[i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(lines))]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return answers, time.monotonic() - start


@contextlib.contextmanager
def silent():
    with socket.create_server(("127.0.0.1", 0), backlog=200) as mute:
        yield f"127.0.0.1:{mute.getsockname()[1]}"


def test_a_silent_recorder_keeps_nobody_else_waiting(tmp_path, monitor):
    with silent() as at:
        server = type("Mute", (), {"at": at})
        with beside_ami(tmp_path, server, monitor, settings=("--timeout-ms", "2000")) as gateway:
            for i in range(12):
                assert gateway.say(f"start c{i} channel=c{i} file=c{i}.wav")["ok"]
            answers, took = ask_all(gateway, [f"opt-out c{i}" for i in range(6)])
            assert [a["status"] for a in answers] == ["requested"] * 6 and took < 5, took
            with gateway.client() as client:  # and at the other door
                start = time.monotonic()
                for i in range(6, 12):
                    assert client.request("opt_out", call_id=f"c{i}")["status"] == "requested"
                assert time.monotonic() - start < 5


HOSTILE = [b"start x uuid=" + A.encode() + b" file=" + f for f in (
    b"../x.wav", b"a/../../x.wav", b"/etc/passwd", b"/", b"", b".", b"..", b"a//b", b"./x.wav", b"a\tb.wav", b"a\0b.wav", b"a\rX: y", b"\x7f",
    b"\xff\xfe.wav", b"\xc3\x28")] + [
    b"start x\r uuid=" + A.encode(), b"\0", b"\xff", b"start \xe2\x80 x", b"opt-out a\rb", b"opt-out a\0b", b"start x " + b"k=v " * 20,
    b"start x uuid=" + A.encode() + b"\r\napi", b"opt-out " + b"x" * 300, b"end " + b"x" * 300]


def test_hostile_lines(tmp_path, esl, monitor):
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        for line in HOSTILE:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(str(gateway.door))
                s.sendall(line + b"\n")
                answer = s.makefile("rb").readline()
                assert b'"ok":false' in answer, (line, answer)
        for line in (b"x" * 100000, b"\0" * 9000, b"start half"):
            with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(ConnectionError):
                s.settimeout(10)
                s.connect(str(gateway.door))
                s.sendall(line)
                while s.recv(4096):
                    pass
        assert gateway.say(f"start ok uuid={A} file=ok.wav")["ok"]
    assert esl.asked == []


@pytest.mark.parametrize(("mode", "owner"), [(0o1777, None), (0o777, None), (0o775, None), (0o755, 64321)])
def test_a_folder_of_others_for_the_door(tmp_path, esl, monitor, mode, owner):
    if owner is not None and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = tmp_path / "doors"
    folder.mkdir()
    folder.chmod(mode)
    if owner is not None:
        os.chown(folder, owner, owner)
    gateway = beside_freeswitch(tmp_path, esl, monitor)
    gateway.command[gateway.command.index("--door") + 1] = str(folder / "door")
    run = subprocess.run(gateway.command, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1 and str(folder) in run.stderr and "folder of your own" in run.stderr
    assert not (folder / "door").exists()


def test_many_at_the_door(tmp_path, esl, monitor):
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        for i in range(100):
            esl.record(f"0a1b2c3d-0000-4000-8000-{i:012}", monitor / f"{i}.wav")
        starts, _ = ask_all(gateway, [f"start {i} uuid=0a1b2c3d-0000-4000-8000-{i:012} file={i}.wav" for i in range(100)])
        assert all(a["ok"] for a in starts)
        outs, _ = ask_all(gateway, [f"opt-out {i}" for i in range(0, 100, 2)])
        assert all(a["error"] == "RCO_OK" for a in outs), outs
        for i in range(0, 100, 2):
            gateway.verified(str(i))
        assert {pathlib.Path(p).stem for p in files_below(monitor)} == {str(i) for i in range(1, 100, 2)}


def test_a_door_that_is_taken(tmp_path, esl, monitor):
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        second = beside_freeswitch(tmp_path / "..", esl, monitor)
        second.command[second.command.index("--door") + 1] = str(gateway.door)
        run = subprocess.run(second.command, capture_output=True, text=True, timeout=30)
        assert run.returncode == 1 and "another process serves it" in run.stderr
        assert gateway.say(f"start ok uuid={A} file=ok.wav")["ok"]


# ---- a handle that comes again

LATE = ("--window-ms", "20000", "--timeout-ms", "1000")
DAHDI = "DAHDI/3-1"


def recorded_on(recording):
    """It is still open, and there."""
    assert not recording.file.closed and recording.path.exists(), recording.path


def kept_call(gateway, ami, monitor, name, **more):
    """One that was recorded on DAHDI's channel, has ended, and was kept."""
    recorded = ami.record(DAHDI, monitor, f"{name}.wav", **more)
    assert gateway.say(f"start {name} channel={DAHDI} file={name}.wav")["ok"]
    wait_for("it was asked", lambda: "Command" in [r for r, _ in ami.asked])
    recorded.stop()
    del ami.channels[DAHDI]
    assert gateway.say(f"end {name}")["ok"]
    return recorded


PERMITTED = {"all": [], "no list": ["Command"], "no list and no variable": ["Command", "GetVar"]}


@pytest.mark.parametrize("denied", PERMITTED)
@pytest.mark.parametrize("announced", [False, True])
def test_a_late_objection_stops_nobody_else_on_the_channel(tmp_path, ami, monitor, announced, denied):
    with beside_ami(tmp_path, ami, monitor, settings=LATE) as gateway:
        kept_call(gateway, ami, monitor, "f1")
        ami.first += [(action, ANY, "Error", "Permission denied", None) for action in PERMITTED[denied]]
        ami.record(DAHDI, monitor, "f2.wav", receive="f2-in.wav")
        if announced:
            assert gateway.say(f"start f2 channel={DAHDI} file=f2.wav")["ok"]
        gateway.say("opt-out f1")
        gateway.verified("f1")
        time.sleep(1)  # several looks
        assert files_below(monitor) == [str(monitor / "f2-in.wav"), str(monitor / "f2.wav")]
        for file in ami.channels[DAHDI][0].files:
            recorded_on(file)
        if announced:
            ami.first.clear()
            gateway.say("opt-out f2")
            gateway.verified("f2")
            assert files_below(monitor) == [] and not ami.channels[DAHDI]


@pytest.mark.parametrize("denied", PERMITTED)
@pytest.mark.parametrize("announced", [False, True])
def test_a_late_end_stops_nobody_else_on_the_channel(tmp_path, ami, monitor, announced, denied):
    first = ami.record(DAHDI, monitor, "d1.wav")
    with beside_ami(tmp_path, ami, monitor, settings=LATE) as gateway:
        assert gateway.say(f"start d1 channel={DAHDI} file=d1.wav")["ok"]
        first.stop()
        ami.channels[DAHDI] = []
        ami.first += [(action, ANY, "Error", "Permission denied", None) for action in PERMITTED[denied]]
        second = ami.record(DAHDI, monitor, "d2.wav")
        if announced:
            assert gateway.say(f"start d2 channel={DAHDI} file=d2.wav")["ok"]
        assert gateway.say("end d1")["ok"]
        time.sleep(2)
        recorded_on(second.files[0])
        gateway.say("opt-out d1")
        gateway.verified("d1")
        recorded_on(second.files[0])


@pytest.mark.parametrize("denied", PERMITTED)
def test_the_end_of_a_call_stops_what_is_its_own(tmp_path, ami, monitor, denied):
    """The channel lives on, and so does the MixMonitor, as after a transfer into the dialplan."""
    ami.first += [(action, ANY, "Error", "Permission denied", None) for action in PERMITTED[denied]]
    monitored = ami.record(DAHDI, monitor, "d1.wav")
    with beside_ami(tmp_path, ami, monitor, settings=LATE) as gateway:
        assert gateway.say(f"start d1 channel={DAHDI} file=d1.wav")["ok"] and gateway.say("end d1")["ok"]
        wait_for("it is stopped", lambda: monitored.files[0].file.closed)
        assert monitored.files[0].path.exists()
        gateway.say("opt-out d1")
        gateway.verified("d1")


@pytest.mark.parametrize("objects", ["c1", "c2"])
def test_two_calls_that_go_on_with_one_channel(tmp_path, ami, monitor, objects):
    """Each is stopped by its own file, whichever came first."""
    files = {name: ami.record(DAHDI, monitor, f"{name}.wav").files[0] for name in ("c1", "c2")}
    with beside_ami(tmp_path, ami, monitor, settings=LATE) as gateway:
        for name in files:
            assert gateway.say(f"start {name} channel={DAHDI} file={name}.wav")["ok"]
        gateway.say(f"opt-out {objects}")
        gateway.verified(objects)
        assert not files.pop(objects).path.exists()
        recorded_on(*files.values())


def test_a_kept_file_that_somebody_reads_is_not_taken_for_recorded(tmp_path, ami, monitor):
    """It is being copied, while the channel has another call."""
    ami.first += [(action, ANY, "Error", "Permission denied", None) for action in ("Command", "GetVar")]
    with beside_ami(tmp_path, ami, monitor, settings=LATE) as gateway:
        ami.record(DAHDI, monitor, "f1.wav").stop()
        del ami.channels[DAHDI]
        assert gateway.say(f"start f1 channel={DAHDI} file=f1.wav")["ok"] and gateway.say("end f1")["ok"]
        second = ami.record(DAHDI, monitor, "f2.wav")
        with open(monitor / "f1.wav", "rb"):
            assert gateway.say("opt-out f1")["status"] not in ("erased", "verified")
            assert (monitor / "f1.wav").exists()
        gateway.verified("f1")
        recorded_on(second.files[0])


def test_a_late_objection_after_a_restart_stops_nobody_else(tmp_path, ami, monitor):
    with beside_ami(tmp_path, ami, monitor, settings=LATE) as gateway:
        kept_call(gateway, ami, monitor, "f1")
        second = ami.record(DAHDI, monitor, "f2.wav")
        gateway.kill()
    with beside_ami(tmp_path, ami, monitor, settings=LATE) as gateway:
        gateway.say("opt-out f1")
        gateway.verified("f1")
        recorded_on(second.files[0])


@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("late", ["opt-out", "end"])
def test_freeswitch_and_a_uuid_that_comes_again(tmp_path, esl, monitor, announced, late):
    """Another recording of the channel, for another call."""
    with beside_freeswitch(tmp_path, esl, monitor, settings=LATE) as gateway:
        first = esl.record(A, monitor / "1.wav")
        assert gateway.say(f"start c1 uuid={A} file=1.wav")["ok"]
        first.close()
        esl.channels[A] = {}
        if late == "opt-out":
            assert gateway.say("end c1")["ok"]
        second = esl.record(A, monitor / "2.wav")
        if announced:
            assert gateway.say(f"start c2 uuid={A} file=2.wav")["ok"]
        if late == "end":
            assert gateway.say("end c1")["ok"]
            time.sleep(1.5)
            recorded_on(second)
        gateway.say("opt-out c1")
        gateway.verified("c1")
        recorded_on(second)
        assert files_below(monitor) == [str(monitor / "2.wav")]


def test_ari_and_a_name_that_comes_again(tmp_path, ari):
    with beside_ari(tmp_path, ari) as gateway:
        gateway.command += ["--window-ms", "20000"]
    with gateway:
        ari.record("n")
        assert gateway.say("start a name=n")["ok"] and gateway.say("end a")["ok"]
        wait_for("it is stored", lambda: not ari.live)
        assert gateway.say("start b name=n")["ok"]
        ari.record("n")
        gateway.say("opt-out a")
        time.sleep(1.5)
        assert ari.live == {"n": "recording"} and ari.stored == {"n"}


# ---- what lies beside a recording

BESIDE = ["a.txt", "a.json", "a.WAV", "a.raw", "a.gsm", "a.wav.txt", "a.", "a.wav49", "a.sln16", "a.ogg"]


@pytest.mark.parametrize("made", ["before", "during"])
def test_neighbours_of_a_recording_are_left(tmp_path, ami, monitor, made):
    """`mixmonitor list` has no endings: what has another one and is not being written is not MixMonitor's."""
    def make():
        for name in BESIDE:
            (monitor / name).write_bytes(b"precious")
    if made == "before":
        make()
        time.sleep(0.05)  # file times are some milliseconds coarse
    ami.record(CHANNEL, monitor, "a.wav", receive="a-in.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=a.wav")["ok"]
        if made == "during":
            make()
        start = time.monotonic()
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert time.monotonic() - start < 5
        assert {pathlib.Path(p).name for p in files_below(monitor)} == set(BESIDE)


def test_notes_that_are_being_written_beside_a_recording_are_left(tmp_path, ami, monitor):
    ami.record(CHANNEL, monitor, "a.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway, open(monitor / "a.txt", "w", encoding="utf-8") as notes:
        assert gateway.say(f"start a channel={CHANNEL} file=a.wav")["ok"]
        notes.write("caller asked for a refund")
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
    assert files_below(monitor) == [str(monitor / "a.txt")]


def test_a_variable_that_names_an_older_file_erases_nothing(tmp_path, ami, monitor):
    """MIXMONITOR_FILENAME stays when its MixMonitor has stopped."""
    ami.record(CHANNEL, monitor, "earlier.wav").stop()
    ami.channels[CHANNEL] = []
    time.sleep(0.05)
    ami.record(CHANNEL, monitor, "a.wav")
    ami.variables[CHANNEL] = str(monitor / "earlier.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=a.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == [str(monitor / "earlier.wav")]


def test_many_files_of_one_call_are_erased_soon(tmp_path, ami, monitor):
    for i in range(4):
        ami.record(CHANNEL, monitor, f"{i}.wav", receive=f"{i}-in.wav", transmit=f"{i}-out.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=0.wav")["ok"]
        start = time.monotonic()
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert time.monotonic() - start < 5 and files_below(monitor) == []


# ---- what has gone, and was not erased here

def rename(path):
    path.rename(path.with_name("moved.wav"))


def to_another_folder(path):
    (path.parent.parent / "archive").mkdir()
    path.rename(path.parent.parent / "archive" / path.name)


def convert(path):
    path.with_suffix(".mp3").write_bytes(path.read_bytes())
    path.unlink()


TAKEN = [rename, to_another_folder, convert]


def seen(gateway, name="x.wav"):
    wait_for("it was seen", lambda: f"/{name}" in (gateway.folder / "state/recorders/calls").read_text().replace("\\/", "/"))


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("over", [False, True])
def test_freeswitch_and_a_file_that_was_taken_away_before_the_objection(tmp_path, esl, monitor, taken, over):
    recording = esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        seen(gateway)
        if over:
            esl.channels.pop(A)
            recording.close()
        taken(monitor / "x.wav")
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a", 1)
        gateway.kill()
    with gateway:
        stays_requested(gateway, "a", 1)


@pytest.mark.parametrize("taken", TAKEN)
def test_ami_and_a_file_that_was_taken_away_before_the_objection(tmp_path, ami, monitor, taken):
    ami.record(CHANNEL, monitor, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        seen(gateway)
        taken(monitor / "x.wav")
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a")


def test_a_file_that_is_moved_back(tmp_path, esl, monitor):
    recording = esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        seen(gateway)
        rename(recording.path)
        assert gateway.say("opt-out a")["status"] == "requested"
        (monitor / "moved.wav").rename(recording.path)
        gateway.verified("a")
        assert files_below(monitor) == []


def test_one_of_two_files_is_taken_away(tmp_path, esl, monitor):
    """The other one is erased, and nothing is called erased."""
    for name in ("x.wav", "y.wav"):
        esl.record(A, monitor / name)
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav file=y.wav")["ok"]
        seen(gateway)
        seen(gateway, "y.wav")
        rename(monitor / "x.wav")
        gateway.say("opt-out a")
        wait_for("the other one is erased", lambda: not (monitor / "y.wav").exists())
        never_erased(gateway, "a")
        assert not esl.channels[A] and "was not erased here" in gateway.log_text()


def test_a_file_that_is_taken_away_after_the_end(tmp_path, esl, monitor):
    """The end had stopped the recorder: that is said, and no more."""
    esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor, settings=LATE) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        seen(gateway)
        assert gateway.say("end a")["ok"]
        wait_for("it is stopped", lambda: not esl.channels[A])
        wait_for("and that is known", lambda: gateway.say("end a")["error"] == "RCO_E_ENDED")
        rename(monitor / "x.wav")
        assert gateway.say("opt-out a")["status"] in ("stopped", "durable", "retrying")
        never_erased(gateway, "a")
        assert "who has moved or copied it" in gateway.log_text() and "not confirmed" not in gateway.log_text()


def test_what_freeswitch_itself_removes_as_it_stops_is_erased(tmp_path, esl, monitor):
    """RECORD_MIN_SEC: it keeps no recording of two seconds."""
    esl.record(A, monitor / "x.wav")
    esl.first.append(("uuid_record all", "records", "+OK Success\n", "discard all"))
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")


def test_what_freeswitch_renames_as_it_stops_is_not(tmp_path, esl, monitor):
    esl.record(A, monitor / "x.wav")
    esl.first.append(("uuid_record all", "records", "+OK Success\n", "rename all"))
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a")


def test_a_stored_recording_of_ari_that_was_taken_away(tmp_path, ari):
    ari.record("n")
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start a name=n")["ok"]
        wait_for("it was asked", lambda: ("GET live", "recording") in ari.asked)
        wait_for("it is written down", lambda: "ari:n" in (gateway.folder / "state/recorders/calls").read_text())
        ari.live.clear()
        ari.stored.clear()  # DELETE of it is 404
        gateway.say("opt-out a")
        never_erased(gateway, "a")


# ---- what was never seen, and what start did not name

def test_one_of_two_names_is_wrong(tmp_path, esl, monitor):
    for name in ("x.wav", "y.wav"):
        esl.record(A, monitor / name)
    esl.first.append(("uuid_buglist", ANY, "<media-bugs>\n</media-bugs>\n", None))  # the list has nothing of it
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav file=y.WAV")["ok"]
        gateway.say("opt-out a")
        wait_for("the one that was seen is erased", lambda: files_below(monitor) == [str(monitor / "y.wav")])
        never_erased(gateway, "a")
        assert "y.WAV" in gateway.log_text()
        (monitor / "y.wav").rename(monitor / "y.WAV")
        gateway.verified("a")
        assert files_below(monitor) == []


def test_one_of_two_names_of_ari_is_wrong(tmp_path, ari):
    ari.record("one")
    with beside_ari(tmp_path, ari) as gateway:
        assert gateway.say("start a name=one")["ok"] and gateway.say("start a name=two")["ok"]
        assert gateway.say("opt-out a")["status"] == "requested"
        stays_requested(gateway, "a")
        assert "ARI knows no recording two" in gateway.log_text()


def test_freeswitch_and_a_second_recording_that_start_did_not_name(tmp_path, esl, monitor):
    for name in ("x.wav", "other.wav"):
        esl.record(A, monitor / name)
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == [] and not esl.channels[A]
        again = esl.record(A, monitor / "another.wav")
        wait_for("it is stopped, and erased", lambda: again.file.closed and files_below(monitor) == [])


def test_freeswitch_and_a_second_recording_elsewhere(tmp_path, esl, monitor):
    """It is stopped, and cannot be erased; also one that is called as the first."""
    esl.record(A, tmp_path / "elsewhere" / "x.wav")
    esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        gateway.say("opt-out a")
        wait_for("what can be erased is", lambda: files_below(monitor) == [])
        never_erased(gateway, "a")
        assert not esl.channels[A] and str(tmp_path / "elsewhere" / "x.wav") in gateway.log_text()


def test_freeswitch_in_a_container_names_the_folder_otherwise(tmp_path, esl, monitor):
    esl.channels[A] = {"/var/lib/freeswitch/recordings/x.wav": Recording(monitor / "x.wav")}
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")


@pytest.mark.parametrize("listed", [True, False])
def test_ami_and_a_second_mixmonitor_that_start_did_not_name(tmp_path, ami, monitor, listed):
    for name in ("x.wav", "other.wav"):
        ami.record(CHANNEL, monitor, name)
    if not listed:
        ami.first.append(("Command", ANY, "Error", "Permission denied", None))
        ami.variables[CHANNEL] = str(monitor / "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        gateway.say("opt-out a")
        if listed:
            gateway.verified("a")
            assert files_below(monitor) == []
            return
        wait_for("the one that was named is erased", lambda: files_below(monitor) == [str(monitor / "other.wav")])
        never_erased(gateway, "a")
        assert not ami.channels[CHANNEL]
        gateway.kill()
    with gateway:
        never_erased(gateway, "a")


def test_ami_and_a_second_mixmonitor_elsewhere(tmp_path, ami, monitor):
    ami.record(CHANNEL, tmp_path / "elsewhere", "y.wav")
    ami.record(CHANNEL, monitor, "x.wav")
    with beside_ami(tmp_path, ami, monitor) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        gateway.say("opt-out a")
        wait_for("what can be erased is", lambda: files_below(monitor) == [])
        never_erased(gateway, "a")


# ---- who speaks and goes

def tell(gateway, said, close=True):
    """All at once; what was answered, or at once away."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(gateway.door))
        s.sendall(said)
        if close:
            return b""
        s.shutdown(socket.SHUT_WR)
        return s.makefile("rb").read()


@pytest.mark.parametrize("before", [b"opt-out c9\n", b"opt-out c9\nopt-out c8\n", b"end c9\n", b"garbage\n", b"\n", b"x" * 20000 + b"\n", b""])
@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_an_objection_counts_no_matter_who_hears_the_answer(tmp_path, esl, monitor, before, close, end):
    esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start c1 uuid={A} file=x.wav")["ok"]
        answers = tell(gateway, before + b"opt-out c1" + end, close)
        assert close or answers.count(b"\n") == before.count(b"\n") + 1
        wait_for("it is erased", lambda: files_below(monitor) == [] and not esl.channels[A])
        gateway.verified("c1")


@pytest.mark.parametrize("said", [b"opt-out", b"opt-out ", b"opt-out c1 now", b"end c1", b"start c1 uuid=x file=y.wa", b"opt-out " + b"c" * 9000])
def test_a_last_line_that_may_be_cut_off_is_refused_aloud(tmp_path, esl, monitor, said):
    recording = esl.record(A, monitor / "x.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        assert gateway.say(f"start c1 uuid={A} file=x.wav")["ok"]
        assert b'"ok":false' in tell(gateway, said, close=False)
        assert gateway.say("end c1")["ok"], "it goes on"
        assert recording.path.exists()


# ---- time

AMI_SILENT = {"after the login": "", "half an answer": "Response: Success\r\nActionID: {id}\r\n", "events only": EVENT}


@pytest.mark.parametrize("said", AMI_SILENT)
@pytest.mark.parametrize("ended", [False, True])
def test_ami_that_falls_silent_costs_one_time_out(tmp_path, ami, monitor, said, ended):
    recording = Recording(monitor / "x.wav")
    ami.lines = lambda action: (AMI_SILENT[said].replace("{id}", action["ActionID"]), [])
    with beside_ami(tmp_path, ami, monitor, settings=LATE) as gateway:
        assert gateway.say(f"start a channel={CHANNEL} file=x.wav")["ok"]
        if ended:
            assert gateway.say("end a")["ok"]
            time.sleep(1.5)  # its own attempt is over
        start = time.monotonic()
        assert gateway.say("opt-out a")["status"] == "requested"
        assert time.monotonic() - start < 1.7  # two would be 2 s
        recording.close()


def test_freeswitch_that_falls_silent_costs_one_time_out(tmp_path, esl, monitor):
    """It has answered the stop, and not what channels there are."""
    recording = Recording(monitor / "x.wav")
    late = threading.Event()

    def api(words, inner=esl.api):
        if words[0] == "show":
            late.wait(20)
        elif words[0] == "uuid_buglist":
            time.sleep(0.6)
        return inner(words)
    esl.api = api
    with beside_freeswitch(tmp_path, esl, monitor, settings=LATE) as gateway:
        assert gateway.say(f"start a uuid={A} file=x.wav")["ok"]
        recording.close()
        start = time.monotonic()
        gateway.say("opt-out a")
        assert time.monotonic() - start < 1.5
        late.set()


# ---- what is said of a call

def test_keys_that_are_not_known_are_refused(tmp_path, ami, monitor):
    with beside_ami(tmp_path, ami, monitor) as gateway:
        for words, named in (("file=x.wav files=y.wav", "files="), ("file=x.wav channel=other", "channel= came twice"),
                             ("file=x.wav name=n", "name="), ("file=x.wav =n", "= is not known"), ("file=x.wav FILE=n", "FILE="),
                             ("file=x.wav chan=n", "chan="), (f"file={'x' * 296}.wav", "255 bytes"), (f"file={'x' * 300}/x.wav", "255 bytes"),
                             (f"file={'x' * 252}", "255 bytes")):
            answer = gateway.say(f"start a channel={CHANNEL} {words}")
            assert answer["error"] == "RCO_E_INVALID" and named in answer["detail"], answer
        assert gateway.say(f"start a channel={CHANNEL} file={'x' * 251}.wav file=y.wav")["ok"]
        for line in ("opt-out a b", "end a b"):
            assert gateway.say(line)["error"] == "RCO_E_INVALID"
        with pytest.raises(Exception, match="was not opted out"):
            gateway.status("a")
    assert ami.asked == [] or "StopMixMonitor" not in [r for r, _ in ami.asked]


@pytest.mark.parametrize("uuid", ["call-1", "2026.11.29_17:00@pbx-a", "x", "0a1b2c3d", "A" * 200])
def test_any_uuid_that_freeswitch_may_be_told(tmp_path, esl, monitor, uuid):
    esl.record(uuid, monitor / "a.wav")
    with beside_freeswitch(tmp_path, esl, monitor) as gateway:
        for wrong in ("", "a;b", "a,b", "-x", "a|b", "a\"b", "ä"):
            assert gateway.say(f"start a uuid={wrong} file=a.wav")["error"] == "RCO_E_INVALID"
        assert gateway.say(f"start a uuid={uuid} file=a.wav")["ok"]
        assert gateway.say("opt-out a")["error"] == "RCO_OK"
        gateway.verified("a")
        assert files_below(monitor) == []
