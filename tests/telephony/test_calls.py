# SPDX-License-Identifier: MIT
"""Calls of sipp with recorded speech: what is kept is what was said, leg by leg; of whom objects nothing stays."""

import subprocess
import time

import pytest

import wire
from server import Server, control, wait_for
from sipp import Scenario, Sipp, free_port

FAST = ("--window-ms", "300")
OFF = "a=recordpref:off\n"
LATE = 8000  # samples: of two legs one may begin after the other, more so on a busy machine


@pytest.fixture(scope="module")
def said():
    return wire.speech(1, 4, wire.PCMA)


def stream(said):
    return wire.Stream(1, wire.PCMA).audio(said)


def marker(said):
    return said[len(said) // 2 : len(said) // 2 + 64]


def announcement():
    return str(sorted(wire.SPEECH.glob("*.wav"))[3])


@pytest.mark.parametrize("law", [wire.PCMU, wire.PCMA])
def test_a_kept_call_is_what_was_said(tmp_path, law):
    said = wire.Stream(1, law).audio(wire.speech(1, 4, law))
    capture = tmp_path / "lo.pcap"
    with Server(tmp_path, "--announcement", announcement(), *FAST) as server:
        tap = subprocess.Popen(["dumpcap", "-q", "-P", "-i", "lo", "-f", "udp", "-w", str(capture)], stderr=subprocess.PIPE)
        wait_for("the capture to begin", capture.exists)
        caller = Scenario(law).invite(record="on").play(said, tmp_path, "said").wait(said.ms + 500).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "kept@test").done()
        record = server.stored("kept@test")
        tap.terminate()
        tap.communicate()
    assert [leg["label"] for leg in record["legs"]] == ["caller", "agent"] and record["opt_out"] is None
    assert wire.begins_late(server.leg(record, "caller"), said.recorded(), law) < LATE
    assert all(wire.law_of(path) == {wire.PCMU: 7, wire.PCMA: 6}[law] for path in server.audio(record))
    # the other leg is what the server sent: its announcement, then what it repeats
    sent = b"".join(wire.captured(capture, server.port))
    assert len(sent) > 2 * 8000 and wire.begins_late(server.leg(record, "agent"), sent, law) < LATE
    assert server.holds(marker(said.recorded())), "the search has to find what is there"


def test_keys(tmp_path, said):
    """*9 stops and erases; the call goes on, and a record-aware phone is told."""
    speech = stream(said).digits("*9").audio(said)
    with Server(tmp_path, *FAST) as server:
        caller = Scenario().invite(record="on", more="Supported: record-aware\n").play(speech, tmp_path, "said")
        caller.invited("off").wait(speech.ms - 3000).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "keys@test").done()
        record = server.erased("keys@test")
        assert record["duration_ms"] > 7000, "the call went on"
        assert not server.holds(marker(said))


def test_other_keys_change_nothing(tmp_path, said):
    speech = stream(said).digits("*8*").audio(said).digits("9")
    with Server(tmp_path, "--dtmf", "*99", *FAST) as server:
        caller = Scenario().invite(record="on").play(speech, tmp_path, "said").wait(speech.ms + 300).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "other@test").done()
        assert server.leg(server.stored("other@test"), "caller") == speech.recorded()


def test_a_phone_that_changes_its_mind_during_the_call(tmp_path, said):
    speech = stream(said)
    with Server(tmp_path, *FAST) as server:
        caller = Scenario().invite(record="on").play(speech, tmp_path, "said").wait(2000)
        caller.invite(media=OFF, record="off").wait(1000).invite(media="a=recordpref:on\n", record="off").wait(500).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "mind@test").done()
        server.erased("mind@test")
        assert not server.holds(marker(said))


def test_pause_and_on(tmp_path, said):
    speech = stream(said)
    with Server(tmp_path, *FAST) as server:
        caller = Scenario().invite(record="on").play(speech, tmp_path, "said").wait(1000)
        caller.invite(session="a=recordpref:pause\n", record="paused").wait(1000)
        caller.invite(session="a=recordpref:on\n", record="on").wait(speech.ms).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "pause@test").done()
        kept = server.leg(server.stored("pause@test"), "caller")
        missing = len(speech.recorded()) - len(kept)
        assert 0 < missing < 3 * 8000, "what was said meanwhile is left out"
        assert speech.recorded().startswith(kept[: 8000 // 2]) and speech.recorded().endswith(kept[-8000 // 2 :])


@pytest.mark.parametrize("policy,state,kept", [("erase", "off", False), ("stop", "off", False), ("ignore", "on", True)])
def test_a_phone_that_objects_in_its_invite(tmp_path, said, policy, state, kept):
    speech = stream(said)
    answer = "paused" if policy == "stop" else state
    with Server(tmp_path, "--recordpref", policy, *FAST) as server:
        caller = Scenario().invite(session=OFF, record=answer).play(speech, tmp_path, "said").wait(2000).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "first@test").done()
        record = server.record("first@test")
        assert bool(record["opt_out"]) == (policy == "erase")
        if kept:
            server.says("first@test: stored")
        assert bool(server.audio(record)) == kept


def test_a_tool_call(tmp_path, said):
    """An agent's tool, through the socket: durable when it is answered, and erased soon."""
    speech = stream(said)
    with Server(tmp_path, *FAST) as server, server.client() as tool:
        caller = Scenario().invite(record="on").play(speech, tmp_path, "said").wait(speech.ms).bye()
        sipp = Sipp(tmp_path / "sipp", server.port, caller, "tool@test")
        server.says("tool@test: answered")
        time.sleep(1)  # of talking
        answer = tool.tool_call("tool@test", {"name": "recording_opt_out", "arguments": "{}"}, language="de")
        assert answer["status"] in ("durable", "erased", "verified") and "Aufzeichnung" in answer["sentence"]
        sipp.done()
        server.erased("tool@test")
        assert not server.holds(marker(said))


def test_a_tool_call_for_a_call_that_is_not_known_yet(tmp_path, said):
    speech = stream(said)
    with Server(tmp_path, *FAST) as server, server.client() as tool:
        answer = tool.opt_out("later@test")
        assert answer["status"] == "noted"
        caller = Scenario().invite(record="off").play(speech, tmp_path, "said").wait(1500).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "later@test").done()
        record = server.record("later@test")
        assert record["opt_out"] and not server.audio(record)
        # and no other call
        other = Scenario().invite(record="on").play(speech, tmp_path, "said").wait(1500).bye()
        Sipp(tmp_path / "sipp2", server.port, other, "another@test").done()
        assert server.audio(server.stored("another@test"))


def test_while_it_rings(tmp_path, said):
    speech = stream(said)
    with Server(tmp_path, "--ring-ms", "1500", *FAST) as server, server.client() as tool:
        caller = Scenario().invite(record="off").play(speech, tmp_path, "said").wait(1500).bye()
        sipp = Sipp(tmp_path / "sipp", server.port, caller, "ring@test")
        server.says("ring@test: rings")
        assert tool.opt_out("ring@test")["status"] == "not_recording"
        sipp.done()
        record = server.record("ring@test")
        assert record["opt_out"] and not server.audio(record)


def test_after_hang_up(tmp_path, said):
    speech = stream(said)
    with Server(tmp_path, "--window-ms", "60000") as server, server.client() as tool:
        caller = Scenario().invite(record="on").play(speech, tmp_path, "said").wait(speech.ms).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "late@test").done()
        server.says("late@test: ended")
        assert tool.opt_out("late@test")["ok"]
        server.erased("late@test")
        assert not server.holds(marker(said))


@pytest.mark.parametrize("when", ["dialling", "talking", "never"])
def test_during_a_transfer(tmp_path, when):
    """*1 connects with a human; who objects meanwhile, or then, is recorded on no leg."""
    said = wire.speech(1, 4, wire.PCMU)  # what the human of sipp speaks
    port = free_port()
    keys = {"dialling": "*1*9", "talking": "*1", "never": "*1"}[when]
    speech = wire.Stream(1, wire.PCMU).audio(said).digits(keys).audio(said)
    if when == "talking":
        speech.digits("*9").audio(said)
    with Server(tmp_path, "--transfer-to", f"sip:human@127.0.0.1:{port}", *FAST) as server:
        human = subprocess.Popen(["sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-mp", "19800", "-rtp_echo",
                                  "-nostdin"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
        try:
            caller = Scenario(wire.PCMU).invite(record="on").play(speech, tmp_path, "said").wait(speech.ms + 500).bye()
            Sipp(tmp_path / "sipp", server.port, caller, "transfer@test").done()
            server.says("talks to sip:human")
            if when == "never":
                record = server.stored("transfer@test")
                assert server.leg(record, "caller") == speech.recorded()
                # the human repeats what it hears, and came in after the caller's first words
                heard = server.leg(record, "human")
                repeated = heard.lstrip(wire.SILENCE[wire.PCMU])
                assert len(repeated) > 8000 and repeated in speech.recorded()
                assert abs(len(heard) - len(repeated) - speech.recorded().rindex(repeated)) < 8000 // 5
            else:
                server.erased("transfer@test")
                assert not server.holds(marker(said))
        finally:
            human.kill()
            human.wait()


def test_it_is_off_where_it_is_not_offered(tmp_path, said):
    speech = stream(said).digits("*9").audio(said)
    with Server(tmp_path, "--no-opt-out", *FAST) as server, server.client() as tool:
        caller = Scenario().invite(session=OFF, record="on").play(speech, tmp_path, "said").wait(speech.ms).bye()
        sipp = Sipp(tmp_path / "sipp", server.port, caller, "off@test")
        server.says("off@test: answered")
        with pytest.raises(control.ControlError) as refused:
            tool.opt_out("off@test")
        assert refused.value.name == "RCO_E_NOT_AVAILABLE"
        sipp.done()
        assert server.audio(server.stored("off@test"))


def test_two_callers_of_one_call_id(tmp_path, said):
    """The second is answered and not recorded: whose would an objection be?"""
    speech = stream(said)
    with Server(tmp_path, *FAST) as server:
        first = Scenario().invite(record="on").play(speech, tmp_path, "said").wait(speech.ms).bye()
        sipp = Sipp(tmp_path / "sipp", server.port, first, "same@test")
        server.says("same@test: answered")
        second = Scenario().invite(record="off").play(speech, tmp_path, "said").wait(1000).bye()
        Sipp(tmp_path / "sipp2", server.port, second, "same@test").done()
        server.says("not recorded: RCO_E_CALL_EXISTS")
        sipp.done()
        record = server.stored("same@test")
        assert server.leg(record, "caller") == speech.recorded() and len(server.records()) == 1
