# SPDX-License-Identifier: MIT
"""Tool calls, sentences, claims, and the socket for other processes."""

import json
import os
import subprocess
import sys

import pytest

import recoptout
from recoptout import agent
from recoptout.control import Client, ControlError
from conftest import noise


def started(engine, call_id):
    call = engine.session(call_id)
    leg = call.add_leg("caller")
    call.start()
    call.push(leg, noise(1, 1)[0])
    return call


def test_definitions(engine):
    for dialect in agent.DIALECTS:
        if dialect == "auto":
            continue
        tool = engine.tool_definition(dialect, url="https://calls.example/tool")
        assert "recording_opt_out" in json.dumps(tool)
    strict = engine.tool_definition("openai-chat", strict=True)
    assert strict["function"]["strict"] and not strict["function"]["parameters"]["properties"]
    with pytest.raises(ValueError):
        engine.tool_definition("klingon")
    with pytest.raises(recoptout.RecoptoutError):
        engine.tool_definition("vapi")  # without a url


def test_tool_call(engine):
    call = started(engine, "tool")
    message = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "book", "arguments": ""}}]}
    answer = call.tool_call(message)
    assert (answer.calls, answer.others, answer.json, answer.data) == (0, 1, "", None)
    assert call.state == "recording"
    message["tool_calls"][0]["function"]["name"] = "recording_opt_out"
    answer = call.tool_call(json.dumps(message), language="de", wait=20)
    assert answer.dialect == "openai-chat" and answer.code == 0
    assert answer.data[0]["tool_call_id"] == "c1"
    inner = json.loads(answer.data[0]["content"])
    assert inner["status"] in ("erased", "verified") and "gelöscht" in inner["sentence"]
    assert inner["receipt_id"] == answer.receipt.id == call.receipt.id
    # what cannot be read is a call if it names the tool
    other = started(engine, "other")
    assert other.tool_call("{ broken").calls == 0
    assert other.state == "recording"
    assert other.tool_call("{ name: recording_opt_out").calls == 1
    assert other.receipt is not None
    # an id goes back as it came, in whatever characters
    answer = other.tool_call('{"type":"tool_use","id":"t\u00fc\U0001f600","name":"recording_opt_out"}')
    assert answer.data["tool_use_id"] == "t\u00fc\U0001f600"
    answer = other.tool_call(b'{"type":"tool_use","id":"t\xfc","name":"recording_opt_out","input":"\xff"}')
    assert answer.data["tool_use_id"] == "t\u00fc"
    with pytest.raises(recoptout.RecoptoutError):
        engine.tool_call("{}")  # nothing says which call is meant


def test_an_answer_also_when_it_did_not_work(engine):
    engine.opt_out_enabled = False
    with engine.session("x") as call:
        answer = call.tool_call({"type": "tool_use", "id": "t", "name": "recording_opt_out", "input": {}})
        assert answer.code == -18 and answer.receipt is None and answer.data["is_error"]
        assert answer.sentence == recoptout.sentence("not_available")


def test_sentences():
    for language in recoptout.languages():
        for name in agent.SENTENCES:
            assert recoptout.sentence(name, language)
    assert "Acme" in recoptout.sentence("announcement", "de", company="Acme")
    book = recoptout.Phrasebook()
    book.set("en", "erased", "All gone at {company}.")
    assert recoptout.sentence("erased", "en", "Acme", book) == "All gone at Acme."
    with pytest.raises(ValueError, match="erased"):
        recoptout.sentence("nonsense")


def test_claims(engine):
    assert recoptout.claims("I have deleted the recording.") == {"erased"}
    assert recoptout.claims("Soll ich die Aufnahme löschen?", "de") == set()
    call = started(engine, "claims")
    with engine.events("claims") as events:
        assert call.agent_said("I have stopped the recording.", "en") == {"stopped"}
        assert next(e for e in events if e.type == "agent_claim").count == 1
    call.opt_out(wait="verified", timeout=20)
    assert call.agent_said("The recording has been stopped and deleted.", "en") == set()


def test_control(engine, tmp_path):
    tmp_path.chmod(0o700)
    path = tmp_path / "sock"
    engine.serve(path)
    call = started(engine, "far")
    with Client(path) as client:
        assert client.hello()["version"] == recoptout.__version__
        with pytest.raises(ControlError) as why:
            client.status("far")
        assert why.value.name == "RCO_E_NOT_FOUND"
        answer = client.opt_out("far", language="de", wait="verified", timeout=20)
        assert answer["status"] == "verified" and "gelöscht" in answer["sentence"]
        assert recoptout.verify_receipt(answer["receipt"], engine.public_key) == "verified"
        assert client.pending() == []
        assert client.tool_definition("mcp")["name"] == "recording_opt_out"
        near = started(engine, "near")
        answer = client.tool_call("near", {"type": "tool_use", "id": "t", "name": "recording_opt_out", "input": {}})
        assert answer["answer"]["tool_use_id"] == "t" and near.receipt is not None
        events = client.events("later")
        started(engine, "later")
        assert next(events)["event"] == "started"
    call.close()
    engine.close()
    assert not path.exists()
    with pytest.raises(OSError):
        Client(path)


def test_control_needs_no_library(engine, tmp_path):
    tmp_path.chmod(0o700)
    engine.serve(tmp_path / "sock")

    def ask(*arguments):
        environment = dict(os.environ, RECOPTOUT_LIBRARY="/nonexistent/librecoptout.so.2")
        done = subprocess.run(
            [sys.executable, "-m", "recoptout.control", str(tmp_path / "sock"), *arguments],
            capture_output=True, text=True, timeout=60, env=environment,
        )
        return done.returncode, done.stdout, done.stderr

    code, out, _ = ask("opt-out", "from a shell")
    assert code == 0 and json.loads(out)["status"] == "noted"
    assert "no call of this id is known" in json.loads(out)["detail"]
    assert ask("pending")[0] == 0
    code, out, _ = ask("status", "nobody")
    assert code == 1 and json.loads(out)["error"] == "RCO_E_NOT_FOUND"
    assert ask("dance")[0] == 2 and ask("status")[0] == 2 and ask()[0] == 2
    engine.close()
    assert ask("hello")[0] == 2


def test_without_the_library_it_is_said_where_it_was_looked_for():
    environment = dict(os.environ, RECOPTOUT_LIBRARY="/nonexistent/librecoptout.so.2")
    done = subprocess.run(
        [sys.executable, "-c", "from recoptout import Engine"], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 1 and "/nonexistent/librecoptout.so.2" in done.stderr


WITHOUT_AGENT = """
import sys, recoptout
from recoptout.control import Client
assert recoptout.has_feature("spool") and not recoptout.has_feature("agent") and not recoptout.has_feature("control")
with recoptout.Engine(sys.argv[1] + "/s", sys.argv[1] + "/o", opt_out_enabled=True, ring_dir=sys.argv[1]) as engine:
    call = engine.session("call")
    call.add_leg("caller")
    call.start()
    call.push(0, b"x" * 160)
    receipt = call.opt_out(wait="erased", timeout=20)
    assert receipt.status in ("erased", "verified")
    assert recoptout.verify_receipt(receipt.json, engine.public_key) == receipt.status
    asks = [
        lambda: receipt.sentence("de"),
        lambda: recoptout.sentence("erased", "de"),
        lambda: recoptout.claims("x"),
        lambda: recoptout.languages(),
        lambda: recoptout.Phrasebook(),
        lambda: call.tool_call("{}"),
        lambda: engine.tool_call("{}", call_id="call"),
        lambda: engine.tool_definition("mcp"),
        lambda: call.agent_said("it is deleted"),
        lambda: engine.serve(sys.argv[1] + "/sock"),
    ]
    for ask in asks:
        try:
            ask()
        except recoptout.AgentLibraryMissing as why:
            assert "/nonexistent/agent.so" in str(why)
        else:
            raise AssertionError("nothing was missing")
print("all told")
"""


def test_with_the_first_library_alone(tmp_path):
    assert recoptout.has_feature("agent") and recoptout.has_feature("control") and recoptout.has_feature("spool")
    assert not recoptout.has_feature("teleport")
    with pytest.raises(TypeError):
        recoptout.has_feature(None)
    environment = dict(os.environ, RECOPTOUT_AGENT_LIBRARY="/nonexistent/agent.so")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_AGENT, str(tmp_path)], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.stdout == "all told\n", done.stderr


EXIT = """
import recoptout, sys
engine = recoptout.Engine(sys.argv[1] + "/s", sys.argv[1] + "/o", opt_out_enabled=True, ring_dir=sys.argv[1])
class Store(recoptout.UploadBackend):
    def begin(self, file): return None
class Gone(recoptout.DeletionBackend):
    def remove(self, file): return True
engine2 = recoptout.Engine(sys.argv[1] + "/s2", sys.argv[1] + "/o2", opt_out_enabled=True, upload=Store(), deletion=Gone(),
                           late_opt_out=0, private_rings=True, log=lambda level, line: None)
for e in (engine, engine2):
    call = e.session("open")
    leg = call.add_leg("caller")
    call.start()
    for i in range(40): call.push(leg, bytes([i]) * 160)
    stream = e.events()
    ended = e.session("ended"); ended.add_leg("caller"); ended.start(); ended.push(0, b"x" * 160); ended.end()
call.opt_out(nonblock=True)
keep = (engine, engine2, call, stream)
print("bye")
"""


def test_interpreter_exit_with_a_live_engine(tmp_path):
    for _ in range(10):
        done = subprocess.run([sys.executable, "-c", EXIT, str(tmp_path)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "bye\n"), done.stderr
        assert "Fatal" not in done.stderr
