# SPDX-License-Identifier: MIT
"""The loops that users begin with, over recorded conversations: no call is lost, none is unanswered, and no lie is said."""

import importlib.util
import json
import os
import pathlib

import pytest

import recoptout

HERE = pathlib.Path(__file__).parent
PROGRAMS = pathlib.Path(os.environ.get("HANDLERS", HERE.parent))
CONVERSATIONS = json.loads((HERE / "loops.json").read_text(encoding="utf-8"))


def program(platform):
    spec = importlib.util.spec_from_file_location(platform, PROGRAMS / f"{platform}_tool_loop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Tool:
    def __init__(self, answer):
        self.definition, self.answer = {}, answer

    def __call__(self, arguments):
        if self.answer is None:
            raise KeyError("broken")
        return self.answer


def check_protocol(platform, messages):
    """Each call is answered once, by the message after it. Returns the ids that were answered."""
    answered, open_ = [], []
    for message in messages:
        if platform == "openai":
            results = [message["tool_call_id"]] if message["role"] == "tool" else []
            calls = [c["id"] for c in message.get("tool_calls") or []]
        else:
            blocks = message["content"] if isinstance(message["content"], list) else []
            assert blocks or message["role"] == "user"
            results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
            calls = [b["id"] for b in blocks if b["type"] == "tool_use"]
            if results:
                assert [b["type"] for b in blocks][: len(results)] == ["tool_result"] * len(results)
                assert sorted(results) == sorted(open_)
        for result in results:
            open_.remove(result)
            answered.append(result)
        if not results:
            assert open_ == [], "a call without an answer"
        open_ = open_ + calls
    assert open_ == []
    return answered


@pytest.mark.parametrize(
    "platform, talk", [pytest.param(p, t, id=f"{p}: {t['name']}") for p, talks in CONVERSATIONS.items() for t in talks]
)
def test_conversation(make_engine, platform, talk):
    loop = program(platform)
    engine = make_engine()
    call = engine.session("loop", legal_hold=talk.get("held", False))  # held: it is never true that it is deleted
    leg = call.add_leg("caller")
    call.start()
    assert call.push(leg, b"\xff" * 160)
    replies = iter(talk["replies"])
    messages = [{"role": "user", "content": "Hello."}]
    said = loop.turn(call, lambda m, t: next(replies, talk.get("endless")), messages,
                     {"invoice": Tool("12 euros"), "broken": Tool(None)}, "en")
    truths = {recoptout.sentence(name) for name in ("erasing", "erased", "held", "retrying")}
    for wanted in talk["said"]:
        if wanted == "TRUTH":
            assert said in truths
        else:
            assert said == (recoptout.sentence("error") if wanted == "ERROR" else wanted)
    assert (call.receipt is not None) == talk["opted_out"] != call.push(leg, b"\xff" * 160)
    answered = check_protocol(platform, messages)
    if talk["tools"] is not None:
        assert sorted(answered) == talk["tools"]
    assert json.dumps(messages).count(loop.CORRECTION) == talk.get("corrected", 0)
    assert next(replies, None) is None
    call.close()


@pytest.mark.parametrize("platform", CONVERSATIONS)
def test_disabled_there_is_no_tool_and_no_claim_passes(make_engine, platform):
    loop = program(platform)
    engine = make_engine(opt_out_enabled=False)
    lie = {"openai": {"role": "assistant", "content": "The recording has been stopped."},
           "anthropic": {"role": "assistant", "stop_reason": "end_turn",
                         "content": [{"type": "text", "text": "The recording has been stopped."}]}}[platform]
    with engine.session("off") as call:
        offered = []
        said = loop.turn(call, lambda m, t: offered.append(len(t)) or lie, [], {}, "en")
        assert said == recoptout.sentence("error") and set(offered) == {0} and call.receipt is None
