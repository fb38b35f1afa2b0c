# SPDX-License-Identifier: MIT
"""Two hundred calls at once; and a server that is killed in the middle of some."""

import random
import threading
import time

import wire
from server import Server, wait_for
from sipp import Scenario, Sipp

CALLS, TOOL, KEYS = 200, 20, 20


def test_two_hundred_calls_of_which_a_fifth_objects(tmp_path):
    said = wire.speech(11, 8, wire.PCMA)
    stream = wire.Stream(11, wire.PCMA).audio(said)
    draw = random.Random(12)
    with Server(tmp_path, "--window-ms", "2000", "--agent", str(sorted(wire.SPEECH.glob("*.wav"))[3])) as server:
        talk = Scenario().invite().play(stream, tmp_path, "said").wait(stream.ms + 1500).bye()
        objects = []
        for i in range(KEYS // 5):  # at different moments
            keyed = wire.Stream(20 + i, wire.PCMA)
            cut = draw.randrange(50, 350) * wire.FRAME
            keyed.audio(said[:cut]).digits("*9").audio(said[cut:])
            objects.append(Scenario().invite().play(keyed, tmp_path, f"keys{i}").wait(keyed.ms + 1500).bye())
        before, begun = server.cpu_s(), time.monotonic()
        crowd = [Sipp(tmp_path / "talk", server.port, talk, "talk-%u@test", CALLS - KEYS, CALLS, 100)]
        crowd += [Sipp(tmp_path / f"keys{i}", server.port, o, f"keys{i}-%u@test", 5, 5) for i, o in enumerate(objects)]
        moments = sorted((draw.uniform(0.5, 8), f"talk-{n}@test") for n in draw.sample(range(1, CALLS - KEYS + 1), TOOL))
        with server.client() as tool:
            for at, call_id in moments:
                time.sleep(max(0, begun + at - time.monotonic()))  # at these moments of the call, whatever it does
                assert tool.opt_out(call_id)["ok"]
        for sipp in crowd:
            sipp.done(150)
        used, took = server.cpu_s() - before, time.monotonic() - begun
        records = wait_for("all records", lambda: len(server.records()) >= CALLS and server.records(), 60)
        gone = {call_id for _, call_id in moments} | {c for c in records if c.startswith("keys")}
        assert len(records) == CALLS and len(gone) == TOOL + KEYS
        wait_for("all stored", lambda: sum(bool(server.audio(r)) for r in server.records().values()) >= CALLS - len(gone), 60)
        with server.client() as tool:
            wait_for("all erased", lambda: not tool.pending(), 60)
        wrong, overflowed = [], 0
        for call_id, record in server.records().items():
            if call_id in gone:
                wrong += [call_id] if server.audio(record) or not record["opt_out"] else []
            else:
                overflowed += sum(leg["overflowed_frames"] for leg in record["legs"])
                # the agent may have begun a little before the caller
                late = wire.begins_late(server.leg(record, "caller"), stream.recorded(), wire.PCMA)
                wrong += [call_id] if late > 8000 else []
        assert not wrong and not overflowed
    print(f"{CALLS} calls in {took:.1f} s: {used:.2f} s of processor, {1000 * used / CALLS / (stream.ms / 1000 + 1.5):.2f} ms a call and second")


def test_a_server_that_is_killed_during_calls(tmp_path):
    """The next start keeps what was recorded of the calls that go on, and finishes what an objection had begun."""
    said = wire.speech(13, 6, wire.PCMA)
    stream = wire.Stream(13, wire.PCMA).audio(said)
    server = Server(tmp_path, "--window-ms", "300")
    server.start()
    sipps = []
    try:
        with server.client() as tool:
            for name in ("kept", "gone", "unborn"):
                talk = Scenario().invite().play(stream, tmp_path, name).wait(60000).bye()
                if name == "unborn":
                    tool.opt_out("unborn@test")
                sipps.append(Sipp(tmp_path / name, server.port, talk, f"{name}@test"))
                server.says(f"{name}@test: answered")
            time.sleep(3)  # of talking
            assert tool.opt_out("gone@test")["status"] in ("durable", "erased", "verified")
            server.kill()
        for sipp in sipps:
            sipp.stop()
        with server:
            record = server.stored("kept@test")
            server.says("gone@test: verified")
            kept = server.leg(record, "caller")
            assert record["recovered"] and stream.recorded().startswith(kept) and len(kept) > 2 * 8000
            gone = wait_for("its record", lambda: server.records().get("gone@test"))
            assert gone["opt_out"] and not server.audio(gone)
            assert [p for p in server.output.glob("*.wav") if not p.name.startswith(record["recording"])] == []
            # the folder is fit for calls again, and what nobody objected to is kept
            again = Scenario().invite(record="on").play(stream, tmp_path, "again").wait(1000).bye()
            Sipp(tmp_path / "again", server.port, again, "again@test").done()
            server.stored("again@test")
    finally:
        for sipp in sipps:
            sipp.stop()
        if server.process.poll() is None:
            server.kill()


def test_it_ends_in_order(tmp_path):
    """SIGTERM says BYE to everyone; what waits for its window is left to the next start, which is told."""
    stream = wire.Stream(13, wire.PCMA).audio(wire.speech(13, 3, wire.PCMA))
    server = Server(tmp_path, "--window-ms", "3000")
    with server:
        talk = Scenario().invite(record="on").play(stream, tmp_path, "said").hung_up()
        sipp = Sipp(tmp_path / "sipp", server.port, talk, "end@test")
        server.says("end@test: answered")
        time.sleep(1)  # of talking
        server.stop()
        sipp.done()
    assert any("1 to be stored, 0 to be erased: the next start goes on with that" in line for line in server.lines)
    with server:
        record = server.stored("end@test")
        kept = server.leg(record, "caller")
        assert stream.recorded().startswith(kept) and len(kept) > 8000 // 2
