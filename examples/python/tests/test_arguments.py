# SPDX-License-Identifier: MIT
"""What is passed in wrongly is refused, with a word on what it should have been, and nothing is done."""

import collections
import dataclasses
import math
import pickle
import time
import types

import pytest

import recoptout
from recoptout import agent
from conftest import noise


@pytest.mark.parametrize(
    "option, value, why, says",
    [
        ("consent", "maybe", ValueError, "'ask_first'"),
        ("consent", None, TypeError, "consent"),
        ("export", "mp3", ValueError, "'wav.zst'"),
        ("layout", b"stereo", TypeError, "layout"),
        ("late_opt_out", -1, ValueError, "late_opt_out is -1"),
        ("late_opt_out", math.nan, ValueError, "late_opt_out"),
        ("late_opt_out", "10", TypeError, "late_opt_out"),
        ("sweep_delay", -0.001, ValueError, "sweep_delay"),
        ("sweep_delay", True, TypeError, "sweep_delay"),
        ("erase_deadline", math.inf, ValueError, "erase_deadline"),
        ("retry_min", 10**400, ValueError, "retry_min"),
        ("retry_max", 2**32 / 1000, ValueError, "retry_max"),
        ("backend_timeout", 0, ValueError, "None for the default"),
        ("flush_interval", 0.0, ValueError, "flush_interval"),
        ("early_opt_out_ttl", 0, ValueError, "early_opt_out_ttl is 0"),
        ("early_opt_out_ttl", 2**32, ValueError, "early_opt_out_ttl"),
        ("early_opt_out_ttl", "1d", TypeError, "early_opt_out_ttl"),
        ("remember_ended", -1, ValueError, "remember_ended"),
        ("ledger_retention", 0, ValueError, "ledger_retention is 0"),
        ("ledger_retention", math.inf, ValueError, "ledger_retention"),
        ("ledger_retention", True, TypeError, "ledger_retention"),
        ("workers", 2**32 + 1, ValueError, "workers"),
        ("workers", -1, ValueError, "workers"),
        ("workers", 1.5, TypeError, "workers"),
        ("workers", True, TypeError, "workers"),
        ("ring_pool_bytes", -4096, ValueError, "ring_pool_bytes"),
        ("opt_out_enabled", "false", TypeError, "opt_out_enabled"),
        ("opt_out_enabled", None, TypeError, "opt_out_enabled"),
        ("private_rings", "no", TypeError, "private_rings"),
        ("erase_transcripts", 1, TypeError, "erase_transcripts"),
        ("erase_analytics", "no", TypeError, "erase_analytics"),
        ("key_dir", "keys\0and more", ValueError, "key_dir"),
        ("ring_dir", "", ValueError, "ring_dir"),
        ("log", "stderr", TypeError, "log"),
        ("upload", recoptout.UploadBackend, TypeError, r"UploadBackend\(\)"),
        ("buffer", recoptout.UploadBackend(), TypeError, "append"),
        ("deletion", object(), TypeError, "remove, verify"),
    ],
)
def test_options_of_an_engine(tmp_path, option, value, why, says):
    with pytest.raises(why, match=says):
        recoptout.Engine(tmp_path / "s", tmp_path / "o", **{option: value})
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("path, why", [("s\0t", ValueError), ("", ValueError), (7, TypeError), (None, TypeError)])
def test_a_state_folder_is_a_path(tmp_path, path, why):
    with pytest.raises(why, match="state_dir"):
        recoptout.Engine(path, tmp_path)


def test_a_short_time_is_not_none_at_all(make_engine):
    """0.0001 s is a millisecond, the least there is; 0 would be no window."""
    engine = make_engine(late_opt_out=0.0001, retry_min=0.0001)
    engine.close()


@pytest.mark.parametrize(
    "options, member, value",
    [
        ({"early_opt_out_ttl": 60}, "early_opt_out_ttl_s", 60),
        ({"early_opt_out_ttl": 0.2}, "early_opt_out_ttl_s", 1),
        ({"early_opt_out_ttl": 90 * 86400}, "early_opt_out_ttl_s", 90 * 86400),
        ({"remember_ended": 0}, "remember_ended_s", 1),
        ({"ledger_retention": 10 * 365 * 86400}, "ledger_retention_s", 10 * 365 * 86400),
        ({"late_opt_out": 2.5}, "late_opt_out_ms", 2500),
        ({}, "ledger_retention_s", 0),
    ],
)
def test_times_reach_the_engine(tmp_path, monkeypatch, options, member, value):
    """What C is given: a time in the unit of its member."""
    given = []
    create = recoptout.engine.lib.rco_engine_create

    def watch(config, handle):
        given.append(getattr(config._obj, member))
        return create(config, handle)

    monkeypatch.setattr(recoptout.engine.lib, "rco_engine_create", watch)
    recoptout.Engine(tmp_path / "s", tmp_path / "o", ring_dir=tmp_path, **options).close()
    assert given == [value]


def test_a_wish_for_a_call_not_known_waits_as_long_as_it_is_told(make_engine):
    engine = make_engine(early_opt_out_ttl=1)
    assert engine.opt_out("early").status == "noted"
    end = time.monotonic() + 30
    while engine.receipt("early") is not None:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_options_of_a_call(engine):
    for option, value, why, says in (
        ("consent", "maybe", ValueError, "'implied'"),
        ("opt_out", "yes", TypeError, "opt_out"),
        ("legal_hold", "no", TypeError, "legal_hold"),
    ):
        with pytest.raises(why, match=says):
            engine.session("x", **{option: value})
    for call_id, why in ((b"x", TypeError), (None, TypeError), (7, TypeError), ("a\0b", ValueError), ("\ud800", ValueError)):
        for method in (engine.session, engine.opt_out, engine.receipt, engine.lift_legal_hold):
            with pytest.raises(why, match="call_id"):
                method(call_id)
    assert engine.stats["sessions_open"] == 0 and engine.pending == []
    call = engine.session("y")
    leg = call.add_leg("caller")
    call.start()
    frame = noise(1, 1)[0]
    for other, why in ((2**32 + leg, ValueError), (-1, ValueError), (float(leg), TypeError), ("0", TypeError), (False, TypeError)):
        with pytest.raises(why, match="leg"):
            call.push(other, frame)
    with pytest.raises(TypeError):
        call.push(leg, "not bytes")
    assert call.stats["accepted_frames"] == 0
    for wrong in (lambda: call.add_leg(b"agent"), lambda: call.add_leg("agent", ["pcmu"]), lambda: call.set_consent("no"),
                  lambda: call.set_consent(None), lambda: call.set_legal_hold(0), lambda: call.opt_out(nonblock="no"),
                  lambda: call.opt_out(timeout="5"), lambda: call.opt_out(timeout=None), lambda: call.opt_out(wait=5),
                  lambda: call.register_artifact(b"/x"), lambda: call.agent_said(None), lambda: call.agent_said("x", 7),
                  lambda: call.tool_call({}, language=b"de"), lambda: call.tool_call({}, envelope="no"),
                  lambda: call.tool_definition("mcp", strict=1), lambda: engine.wait_idle(None), lambda: engine.serve(None),
                  lambda: engine.tool_call({}, session="y"), lambda: engine.tool_call({}, call_id="y", book="book")):
        with pytest.raises(TypeError):
            wrong()
    for wrong in (lambda: call.opt_out(timeout=-1), lambda: call.opt_out(timeout=math.nan), lambda: call.opt_out(wait="soon"),
                  lambda: call.register_artifact("/x", kind=2**32 + 1), lambda: call.register_artifact("/x\0y"),
                  lambda: call.tool_call({}, wait=-1), lambda: engine.wait_idle(-1), lambda: engine.wait_idle(1e12),
                  lambda: engine.serve("s\0t"), lambda: engine.serve("x", max_clients=-1), lambda: engine.events(limit=0),
                  lambda: engine.complete(1, "delete", True), lambda: engine.complete(-1, "remove", True),
                  lambda: engine.complete(1, "remove", code=5), lambda: engine.complete(1, "list", -1),
                  lambda: engine.complete(1, "remove", recoptout.PENDING)):
        with pytest.raises(ValueError):
            wrong()
    assert call.receipt is None and call.state == "recording"  # none of it was an opt-out
    with pytest.raises(TypeError, match="enabled"):
        engine.opt_out_enabled = "false"
    assert engine.opt_out_enabled
    call.close()


def test_sentences_and_receipts(engine):
    receipt = engine.opt_out("r")
    assert recoptout.verify_receipt(receipt.json.encode(), bytearray(engine.public_key)) == receipt.status
    for wrong, why in ((lambda: recoptout.verify_receipt(receipt.json, "k" * 32), TypeError),
                       (lambda: recoptout.verify_receipt(None, engine.public_key), TypeError),
                       (lambda: recoptout.sentence("deleted"), ValueError), (lambda: recoptout.sentence(2**32 + 1), ValueError),
                       (lambda: recoptout.sentence("erased", None), TypeError), (lambda: recoptout.claims(b"x"), TypeError),
                       (lambda: recoptout.Phrasebook().set("en", "deleted", "x"), ValueError),
                       (lambda: recoptout.Phrasebook().set("en", "erased", b"x"), TypeError),
                       (lambda: engine.tool_definition(7), TypeError)):
        with pytest.raises(why):
            wrong()


def test_reprs_say_what_it_is_and_no_more(make_engine):
    engine = make_engine()
    call = engine.session("told")
    call.add_leg("caller")
    assert "state'" in repr(engine) and "open, 1 sessions" in repr(engine)
    assert repr(call) == "<recoptout.Session 'told': idle, 1 legs>"
    call.start()
    assert "recording" in repr(call)
    receipt = call.opt_out()
    assert "'told'" in repr(receipt) and receipt.json not in repr(receipt) and len(repr(receipt)) < 600
    stream = engine.events("told", limit=3)
    assert repr(stream) == "<recoptout.EventStream of call 'told': open, 0 waiting, 0 dropped>"
    book = recoptout.Phrasebook()
    book.set("de", "erased", "Weg.")
    assert repr(book) == "<recoptout.Phrasebook: de/erased>"
    assert "voice" not in repr(recoptout.Chunk(1, b"i" * 16, 0, 1, 0, 0, b"a caller's voice"))
    assert "secret" not in repr(recoptout.Recording(1, b"i" * 16, b"secret"))
    engine.close()
    assert "closed" in repr(engine) and "closed" in repr(call) and "closed" in repr(stream)


def test_errors_travel_between_processes(engine):
    with pytest.raises(recoptout.RecoptoutError) as why:
        engine.session("")
    copy = pickle.loads(pickle.dumps(why.value))
    assert (type(copy), copy.code, copy.name, str(copy)) == (type(why.value), why.value.code, why.value.name, str(why.value))
    assert "RCO_E_" in repr(why.value)


@dataclasses.dataclass
class Call:
    type: str
    id: str
    name: str
    input: dict


class Model:
    def __init__(self, **members):
        self.members = members

    def model_dump(self):
        return self.members


CALL = {"type": "tool_use", "id": "t", "name": "recording_opt_out", "input": {}}
Named = collections.namedtuple("Named", CALL)


@pytest.mark.parametrize(
    "block", [Call(**CALL), Model(**CALL), Named(**CALL)._asdict(), types.SimpleNamespace(**CALL)], ids=lambda b: type(b).__name__
)
def test_a_call_among_the_objects_of_a_package_is_not_lost(engine, block):
    """A message is often a dict with a package's objects in it; each of them may be the call."""
    call = engine.session("objects")
    call.start()
    answer = call.tool_call({"role": "assistant", "content": [block], "stop_reason": "tool_use", "usage": {1, 2}})
    assert answer.calls == 1 and call.receipt is not None
    assert answer.data[0]["tool_use_id"] == "t"
    assert agent.message_bytes(memoryview(b"{}")) == b"{}"
