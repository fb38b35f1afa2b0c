# SPDX-License-Identifier: MIT
"""The clients of the control socket: threads, messages, lost connections, and an engine that comes back."""

import asyncio
import datetime
import decimal
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import types
import uuid

import pytest

import recoptout
from recoptout import _wire
from recoptout.control import AsyncClient, Client, ControlError
from conftest import FakeSocket, started


def test_a_client_shared_by_threads(engine, path):
    engine.serve(path)
    wrong = []

    def ask(client, name):
        for i in range(100):
            answer = client.opt_out(f"{name}-{i}")
            if json.loads(answer["receipt"])["call_id"] != f"{name}-{i}":
                wrong.append((name, i))

    with Client(path, timeout=60) as client:
        threads = [threading.Thread(target=ask, args=(client, name)) for name in ("a", "b", "c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_who_waits_does_not_hold_up_the_others(make_engine, path):
    class Stuck(recoptout.DeletionBackend):
        def remove(self, thing):
            raise OSError("not now")

        def verify(self, thing):
            return False

    engine = make_engine(deletion=Stuck())
    engine.serve(path)
    call = started(engine, "slow")
    call.register_artifact("/nonexistent/copy.wav")
    with Client(path, timeout=60) as client:
        lost = []

        def wait():
            with pytest.raises(ConnectionError):
                client.opt_out("slow", wait="verified", timeout=30)
            lost.append(1)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while call.receipt is None:
            time.sleep(0.001)
        other = started(engine, "quick")
        before = time.monotonic()
        client.opt_out("quick")
        assert time.monotonic() - before < 25 and waiting.is_alive()
        assert other.receipt is not None
        # and a waiting thread is not left alone when the connection is closed under it
        client.close()
        waiting.join(60)
        assert not waiting.is_alive() and lost == [1]


def test_answers_are_matched_by_their_id(path):
    def serve(lines):
        asked = [json.loads(lines.readline()) for _ in range(2)]
        for request in reversed(asked):
            answer = {"ok": True, "code": 0, "error": "RCO_OK", "id": request["id"], "pid": request["call_id"]}
            lines.write(json.dumps({"ok": True, "id": 10**9}).encode() + b"\n")  # nobody's
            lines.write(json.dumps(answer).encode() + b"\n")
        lines.flush()
        lines.readline()

    fake = FakeSocket(path, serve)
    got = {}
    with Client(path, timeout=60) as client:

        def ask(name):
            got[name] = client.request("status", call_id=name)["pid"]

        threads = [threading.Thread(target=ask, args=(name,)) for name in ("x", "y")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == {"x": "x", "y": "y"}
    fake.close()


def test_a_late_answer_goes_to_nobody(path):
    release = threading.Event()

    def serve(lines):
        first = json.loads(lines.readline())
        release.wait(60)
        for request in (first, json.loads(lines.readline())):
            lines.write(json.dumps({"ok": True, "id": request["id"], "do": request["do"]}).encode() + b"\n")
        lines.flush()
        lines.readline()

    fake = FakeSocket(path, serve)
    with Client(path, timeout=0.2) as client:
        with pytest.raises(TimeoutError):
            client.request("first")
        client._timeout = 60
        release.set()
        assert client.request("second")["do"] == "second"
    fake.close()


def test_an_opt_out_that_waits_may_take_longer_than_an_answer(path):
    def serve(lines):
        request = json.loads(lines.readline())
        time.sleep(0.5)
        lines.write(json.dumps({"ok": True, "id": request["id"]}).encode() + b"\n")
        lines.flush()

    fake = FakeSocket(path, serve)
    with Client(path, timeout=0.1) as client:
        assert client.opt_out("x", wait="verified", timeout=60)["ok"]
    fake.close()


def test_lost_without_reconnecting(engine, path):
    engine.serve(path)
    with Client(path) as client:
        events = client.events()
        engine.close()
        with pytest.raises(ConnectionError):
            next(events)
        with pytest.raises(ConnectionError):
            client.hello()


def test_reconnecting(make_engine, path, tmp_path):
    engine = make_engine()
    engine.serve(path)
    started(engine, "before").opt_out()
    client = Client(path, timeout=60, reconnect=True)
    first = client.opt_out("a call to come")
    events = client.events()
    engine.close()
    back = []

    def come_back():
        time.sleep(0.3)
        back.append(make_engine())
        back[0].serve(path)

    thread = threading.Thread(target=come_back)
    thread.start()
    again = client.opt_out("a call to come")  # sent again until somebody answers, and the same
    thread.join()
    assert json.loads(again["receipt"])["receipt"] == json.loads(first["receipt"])["receipt"]
    call = started(back[0], "after")
    while next(events) != {"event": "lost", "count": 0}:  # events may be missing, and it is said
        pass
    assert next(event for event in events if event.get("call_id") == "after")["event"] == "started"
    call.close()
    client.close()


def test_reconnecting_ends_with_the_time(engine, path):
    engine.serve(path)
    with Client(path, timeout=0.3, reconnect=True) as client:
        client.hello()
        engine.close()
        with pytest.raises(OSError):
            client.hello()


def test_events_of_two_calls_through_one_client(engine, path):
    engine.serve(path)
    with Client(path, timeout=60) as client:
        one, two = client.events("one"), client.events("two")
        calls = [started(engine, name) for name in ("other", "two", "one")]
        assert next(one)["call_id"] == "one" and next(two)["call_id"] == "two"
        for call in calls:
            call.close()


def test_a_message_of_any_size(engine, path):
    engine.serve(path)
    ours = {"id": "t", "type": "tool_use", "name": "recording_opt_out", "input": {"why": "x" * 3_000_000}}
    other = dict(ours, name="book_table", input={"n": float("nan"), "text": "\ud800 \0"})
    with Client(path, timeout=60) as client:
        call = started(engine, "big")
        answer = client.tool_call("big", other)
        assert answer["calls"] == 0 and call.receipt is None
        answer = client.tool_call("big", ours, wait=20)
        assert answer["answer"]["tool_use_id"] == "t" and answer["status"] in ("erased", "verified")
        with pytest.raises(ValueError):
            client.opt_out("x", company="x" * 70000)
        with pytest.raises(ValueError):
            client.request("hello", id=1)


def test_a_message_with_objects_in_it(engine, path):
    """What Engine.tool_call() takes the clients take: an objection does not fail on a date beside it."""
    engine.serve(path)
    call = {"id": "t", "type": "tool_use", "name": "recording_opt_out", "input": {}}
    beside = [b"\x00\xff", datetime.datetime.now(), decimal.Decimal("1.5"), uuid.uuid4(), {1}, float("nan")]
    with Client(path, timeout=60) as client:
        for i, value in enumerate([*beside, {("a", 1): 2}]):
            answer = client.tool_call(f"objects-{i}", {"role": "assistant", "content": [call], "beside": value})
            assert answer["calls"] == 1 and answer["answer"][0]["tool_use_id"] == "t"
        answer = client.tool_call("objects", {"role": "assistant", "content": [types.SimpleNamespace(**call)]})
        assert answer["calls"] == 1

    async def ask():
        async with AsyncClient(path, timeout=60) as client:
            message = {"type": "response.function_call_arguments.done", "call_id": "c", "name": "recording_opt_out", "at": beside[1]}
            lost = asyncio.ensure_future(client.tool_call("objects-async", message))
            await asyncio.sleep(0)
            lost.cancel()
            with pytest.raises(asyncio.CancelledError):
                await lost
            return await client.tool_call("objects-async", message)

    assert asyncio.run(ask())["answer"]  # the first answer went to nobody


def test_whom_it_expects(path):
    fake = FakeSocket(path, lambda lines: None)
    with pytest.raises(PermissionError) as why:
        _wire.check_server(FakeServer(4242), "sock", None)
    assert "4242" in str(why.value)
    _wire.check_server(FakeServer(4242), "sock", 4242)
    _wire.check_server(FakeServer(0), "sock", 4242)  # root may
    with pytest.raises(PermissionError):
        _wire.check_server(FakeServer(4242), "sock", 4243)
    Client(path, server_uid=os.geteuid()).close()
    fake.close()


class FakeServer:
    def __init__(self, uid):
        self.uid = uid

    def getsockopt(self, *_):
        return b"\0" * 4 + self.uid.to_bytes(4, sys.byteorder) + b"\0" * 4


def come_as(folder, name, user, group):
    """In a child that is in the folder before it becomes another user: what is above may be shut to everybody."""
    child = os.fork()
    if child == 0:
        code = 9
        try:
            os.chdir(folder)
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(30)
                s.connect(name)
                s.sendall(b'{"do":"hello"}\n')
                code = 0 if b'"ok":true' in s.recv(65536) else 1
        except OSError:
            code = 1
        finally:
            os._exit(code)
    return {0: "answered", 1: "closed"}[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can come as somebody else")
def test_a_group_and_users(engine):
    folder = tempfile.mkdtemp(dir="/tmp")  # others get there, wherever the tests are
    try:
        os.chmod(folder, 0o711)

        def ask(name, user, group):
            return come_as(folder, name, user, group)

        engine.serve(f"{folder}/group", group=4300)
        assert ask("group", 4242, 4300) == "answered" and ask("group", 4242, 4301) == "closed"
        engine.serve(f"{folder}/users", allowed_uids=[4242], idle=5, early_per_user=5)
        assert ask("users", 4242, 4301) == "answered" and ask("users", 4243, 4300) == "closed"
    finally:
        engine.close()
        shutil.rmtree(folder)


# ---- a line that the engine does not like ----


def poison(monkeypatch):
    """The request "poison" becomes a line that is not JSON."""
    right = _wire.request_line
    monkeypatch.setattr(_wire, "request_line", lambda n, do, more: b"{poison\n" if do == "poison" else right(n, do, more))


@pytest.mark.parametrize("reconnect", [False, True])
def test_what_the_engine_says_to_a_line_without_an_id(engine, path, monkeypatch, reconnect):
    engine.serve(path)
    poison(monkeypatch)
    with Client(path, timeout=60, reconnect=reconnect) as client:
        with pytest.raises(ControlError) as why:
            client.request("poison")
        assert why.value.name == "RCO_E_INVALID" and "one JSON object" in str(why.value)
        if reconnect:
            assert client.opt_out("afterwards")["ok"]
        else:
            with pytest.raises(ConnectionError):
                client.hello()

    async def ask():
        async with AsyncClient(path, timeout=60, reconnect=reconnect) as client:
            with pytest.raises(ControlError) as why:
                await client.request("poison")
            assert why.value.name == "RCO_E_INVALID" and "one JSON object" in str(why.value)

    asyncio.run(ask())


def test_what_is_asked_beside_such_a_line_is_answered(engine, path, monkeypatch):
    engine.serve(path)
    poison(monkeypatch)

    async def asked():
        async with AsyncClient(path, timeout=60, reconnect=True) as client:
            before = [client.opt_out(f"before-{i}") for i in range(20)]
            after = [client.opt_out(f"after-{i}") for i in range(20)]
            poisons = [client.request("poison") for _ in range(3)]
            mixed = [*before, poisons[0], *after, *poisons[1:]]
            return await asyncio.gather(*mixed, return_exceptions=True)

    answers = asyncio.run(asked())
    refused = [i for i, answer in enumerate(answers) if isinstance(answer, ControlError)]
    assert refused == [20, 41, 42] and all(answers[i].name == "RCO_E_INVALID" for i in refused)
    assert sum(isinstance(answer, dict) and answer["ok"] for answer in answers) == 40

    got = {}
    with Client(path, timeout=60, reconnect=True) as client:

        def ask(i):
            try:
                got[i] = client.request("poison") if i % 4 == 0 else client.opt_out(f"thread-{i}")
            except Exception as why:
                got[i] = why

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i, answer in got.items():
        assert isinstance(answer, ControlError) if i % 4 == 0 else answer["ok"], (i, answer)


def test_an_engine_that_always_closes_is_not_asked_without_pause(path):
    made = []

    def serve(lines):
        made.append(1)
        request = json.loads(lines.readline())
        if request["do"] == "events":
            lines.write(json.dumps({"ok": True, "code": 0, "id": request["id"]}).encode() + b"\n")
            lines.flush()

    fake = FakeSocket(path, serve)
    with Client(path, timeout=1.5, reconnect=True) as client:
        with pytest.raises(OSError):
            client.hello()
    assert 3 <= len(made) < 20
    made.clear()
    with Client(path, timeout=60, reconnect=True) as client:
        events = client.events()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert next(events) == {"event": "lost", "count": 0}
    assert 3 <= len(made) < 20
    made.clear()

    async def ask():
        async with AsyncClient(path, timeout=1.5, reconnect=True) as client:
            with pytest.raises(OSError):
                await client.hello()

    asyncio.run(ask())
    assert 3 <= len(made) < 20
    fake.close()


def test_a_stopped_engine_is_a_time_out_however_long_the_message(path):
    release = threading.Event()
    fake = FakeSocket(path, lambda lines: release.wait(60))
    with Client(path, timeout=0.2) as client:
        with pytest.raises(TimeoutError):
            client.tool_call("x", "x" * 5_000_000)
        with pytest.raises(ConnectionError):  # half a line was sent
            client.hello()
    release.set()
    fake.close()
