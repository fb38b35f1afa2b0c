# SPDX-License-Identifier: MIT
"""Calls: what is kept, what is gone, what is refused."""

import array
import json
import os

import pytest

import recoptout
from conftest import noise


def begin(engine, call_id, **options):
    call = engine.session(call_id, **options)
    leg = call.add_leg("caller", "pcmu")
    call.start()
    return call, leg


def test_a_kept_call_is_stored_bit_exact(engine, out, tmp_path):
    frames = noise(1, 50)
    call, leg = begin(engine, "kept")
    with call:
        assert all(call.push(leg, frame) for frame in frames)
        assert call.state == "recording"
        assert call.stats["accepted_frames"] == 50
    engine.wait_idle(20)
    waves = [name for name in out() if name.endswith(".wav")]
    assert len(waves) == 1
    assert b"".join(frames) in (tmp_path / "out" / waves[0]).read_bytes()
    assert call.call_id == "kept"


def test_frames_are_where_their_position_says(engine, out, tmp_path):
    first, second, third = noise(3, 3)
    call, leg = begin(engine, "placed")
    with call:
        assert call.push(leg, first, position=160)
        assert call.push(leg, second)
        assert call.push(leg, bytearray(third), position=1600)
        for late in (0, 1759):
            with pytest.raises(recoptout.RecoptoutError) as why:
                call.push(leg, first, position=late)
            assert why.value.name == "RCO_E_POSITION"
        for wrong in (-1, 1 << 64, (1 << 64) - 1):
            with pytest.raises(ValueError):
                call.push(leg, first, position=wrong)
        with pytest.raises(TypeError):
            call.push(leg, first, position=1.5)
        assert call.stats["late_frames"] == 2 and call.stats["gap_bytes"] == 160 + 1600 - 480
        call.pause()
        assert not call.push(leg, first, position=9999)
    engine.wait_idle(20)
    (wave,) = [name for name in out() if name.endswith(".wav")]
    silence = b"\xff"
    want = silence * 160 + first + second + silence * (1600 - 480) + third
    assert (tmp_path / "out" / wave).read_bytes().endswith(want)


def test_an_opted_out_call_is_gone(engine, out, tmp_path):
    call, leg = begin(engine, "gone")
    for frame in noise(2, 50):
        assert call.push(leg, frame)
    receipt = call.opt_out(source="test", wait="verified", timeout=20)
    assert receipt.status == "verified"
    assert {"stopped", "durable", "erased", "verified", "recorded"} <= receipt.facts
    assert receipt.requested_us <= receipt.durable_us <= receipt.verified_us
    assert receipt.source == "test" and receipt.call_id == "gone"
    assert not call.push(leg, noise(2, 1)[0])
    assert call.opt_out().id == receipt.id == engine.receipt("gone").id
    assert call.call_record["call_id"] == "gone"
    with pytest.raises(recoptout.OptedOut):
        call.resume()
    call.close()
    engine.wait_idle(20)
    assert [name for name in out() if name.endswith(".wav")] == []
    assert len(out()) == 1  # the call record is kept


def test_receipts_are_evidence(engine):
    receipt = engine.opt_out("unborn")
    assert receipt.status == "noted" and receipt.facts == {"durable", "early"}
    assert receipt.sentence() == recoptout.sentence("noted")
    assert recoptout.verify_receipt(receipt.json, engine.public_key) == "noted"
    body = json.loads(receipt.json)
    assert body["call_id"] == "unborn" and receipt.issued_us >= receipt.durable_us
    assert receipt.ledger_head == (body["ledger_seq"], body["ledger_hash"]) and len(body["ledger_hash"]) == 64
    with pytest.raises(recoptout.RecoptoutError) as why:
        recoptout.verify_receipt(receipt.json.replace("unborn", "other!"), engine.public_key)
    assert why.value.name == "RCO_E_SIGNATURE"
    with pytest.raises(ValueError):
        recoptout.verify_receipt(receipt.json, b"short")
    # and it holds for the call that comes
    call = engine.session("unborn")
    with pytest.raises(recoptout.OptedOut):
        call.start()


def test_a_restart_forgets_no_opt_out(tmp_path):
    folders = (tmp_path / "state", tmp_path / "out")
    quick = dict(opt_out_enabled=True, late_opt_out=0.1, sweep_delay=0.1, flush_interval=0.02, early_opt_outs_max=2)
    with recoptout.Engine(*folders, **quick) as engine:
        call, leg = begin(engine, "gone")
        call.push(leg, noise(1, 1)[0])
        receipt = call.opt_out(wait="verified")
        call.close()
        kept, leg = begin(engine, "kept")
        kept.push(leg, noise(2, 1)[0])
        kept.close()
        engine.wait_idle(20)
        receipt = engine.receipt("gone")
    late = tmp_path / "late.wav"
    late.write_bytes(b"audio")
    with recoptout.Engine(*folders, **quick) as engine:
        again = engine.opt_out("gone")
        assert (again.id, again.status, again.facts) == (receipt.id, "verified", receipt.facts)
        assert again.verified_us == receipt.verified_us
        engine.register_artifact("gone", str(late))
        engine.wait_idle(20)
        assert not late.exists() and engine.receipt("gone").id == receipt.id
        # one that was kept is not known any more, and its recording lies there
        assert engine.opt_out("kept").status == "noted"
        assert len(list(folders[1].glob("*.wav"))) == 1
        assert engine.opt_out("{{call_id}}").status == "noted"
        with pytest.raises(recoptout.RecoptoutError) as why:
            engine.opt_out("undefined")
        assert why.value.name == "RCO_E_LIMIT"


def test_any_buffer_can_be_pushed(engine, out, tmp_path):
    frames = noise(3, 4)
    call, leg = begin(engine, "buffers")
    samples = array.array("B", frames[1])
    held = bytearray(b"xx" + frames[3] + b"xx")
    with call:
        assert call.push(leg, frames[0])
        assert call.push(leg, samples)
        assert call.push(leg, memoryview(frames[2]))
        assert call.push(leg, memoryview(held)[2:-2])
        with pytest.raises(TypeError):
            call.push(leg, 7)
        with pytest.raises(BufferError):
            call.push(leg, memoryview(held)[::2])
        with pytest.raises(recoptout.RecoptoutError) as why:
            call.push(leg, b"")
        assert why.value.name == "RCO_E_FRAME"
        with pytest.raises(recoptout.RecoptoutError):
            call.push(99, frames[0])
    held.append(0)  # the buffer was given back
    engine.wait_idle(20)
    wave = next(name for name in out() if name.endswith(".wav"))
    assert b"".join(frames) in (tmp_path / "out" / wave).read_bytes()


def test_pause_consent_and_hold(make_engine):
    engine = make_engine(consent="ask_first")
    call, leg = begin(engine, "asked")
    frame = noise(4, 1)[0]
    assert not call.push(leg, frame)
    call.set_consent(True)
    assert call.push(leg, frame)
    call.pause()
    assert not call.push(leg, frame) and call.state == "paused"
    call.resume()
    assert call.push(leg, frame)
    call.set_legal_hold(True)
    assert call.opt_out().status == "held"
    assert [p.status for p in engine.pending] == ["held"]
    call.set_legal_hold(False)
    assert call.opt_out(wait="verified", timeout=20).status == "verified"
    assert engine.pending == []
    no = engine.session("no")
    no.set_consent(False)
    assert no.receipt is not None


def test_disabled_is_the_default(tmp_path):
    with recoptout.Engine(tmp_path / "s", tmp_path / "o", private_rings=True) as engine:
        assert not engine.opt_out_enabled
        with engine.session("x") as call:
            with pytest.raises(recoptout.NotAvailable) as why:
                call.opt_out()
            assert why.value.code == -18 and why.value.name == "RCO_E_NOT_AVAILABLE"
            with pytest.raises(recoptout.NotAvailable):
                call.tool_definition("anthropic")
            assert not call.opt_out_enabled
            assert call.receipt is None and engine.receipt("x") is None
        engine.opt_out_enabled = True
        with engine.session("y", opt_out=False) as call:
            assert not call.opt_out_enabled
        with engine.session("z") as call:
            assert call.opt_out_enabled


def test_errors_are_exceptions(engine, tmp_path):
    call = engine.session("twice")
    with pytest.raises(recoptout.CallExists):
        engine.session("twice")
    with pytest.raises(recoptout.RecoptoutError):
        engine.session("")
    with pytest.raises(ValueError):
        engine.session("a\0b")
    with pytest.raises(ValueError):
        call.add_leg("caller", "mp3")
    with pytest.raises(ValueError):
        call.opt_out(wait="tomorrow")
    call.end()
    with pytest.raises(recoptout.CallEnded):
        call.end()
    call.close()
    call.close()
    with pytest.raises(ValueError):
        call.start()
    with pytest.raises(recoptout.RecoptoutError) as why:
        recoptout.Engine(tmp_path / "state", tmp_path / "out")
    assert why.value.name == "RCO_E_BUSY"
    engine.close()
    engine.close()
    with pytest.raises(ValueError):
        engine.session("late")


def test_closing_ends_calls_and_loses_nothing(make_engine, out):
    engine = make_engine()
    call, leg = begin(engine, "open")
    call.push(leg, noise(5, 1)[0])
    engine.close()
    with pytest.raises(ValueError):
        call.push(leg, b"\xff" * 160)
    engine = make_engine()
    engine.wait_idle(20)
    assert any(name.endswith(".wav") for name in out())


def test_a_thousand_sessions_leave_nothing_behind(engine):
    def one(i):
        with engine.session(f"call {i}") as call:
            leg = call.add_leg("caller")
            call.start()
            call.push(leg, b"\xff" * 160)
            if i % 2:
                call.opt_out()

    def memory():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    for i in range(500):
        one(i)
    engine.wait_idle(60)
    before, descriptors = memory(), len(os.listdir("/proc/self/fd"))
    for i in range(500, 1500):
        one(i)
    engine.wait_idle(60)
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1
    # what is remembered of ended calls (for remember_ended_s) is a few KiB each
    assert memory() - before < 16 * 1024 * 1024
    assert engine.stats["sessions_open"] == 0
    assert len(engine._handles) == 0


def test_a_call_that_waits_for_no_disk(engine):
    call, leg = begin(engine, "later", nonblock=True)
    with engine.events("later") as stream, call:
        assert call.push(leg, bytes(160))
        call.set_legal_hold(True)
        done = next(event for event in stream if event.type == "request_done")
        assert (done.code, done.count) == (0, 3)
        assert call.opt_out().status == "held"
        call.set_legal_hold(False)
        assert next(event for event in stream if event.type == "request_done").count == 4


def test_a_call_by_its_recording(make_engine):
    """Of two calls with one id each is asked for alone."""
    engine = make_engine(late_opt_out=60)
    with engine.events() as stream:
        recordings = []
        for _ in range(2):
            call, leg = begin(engine, "channel-7")
            with call:
                assert call.push(leg, bytes(160))
                recordings.append(next(e.recording_id for e in stream if e.type == "started"))
    assert engine.opt_out(recordings[0], wait="verified", timeout=20).status == "verified"
    assert engine.receipt(recordings[0]).status == "verified"
    assert engine.receipt(recordings[1]) is None
    assert engine.receipt("channel-7") is None  # which is the second one
    for method in (engine.opt_out, engine.recorder_stopped, engine.lift_legal_hold):
        with pytest.raises(recoptout.NotFound):
            method(bytes(16))
    with pytest.raises(TypeError, match="16 bytes"):
        engine.receipt(b"abc")
