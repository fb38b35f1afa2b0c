# SPDX-License-Identifier: MIT
"""The clients of the control socket for the tasks of an event loop, and clients in a child after fork()."""

import asyncio
import json
import os
import socket
import threading

import pytest

import recoptout
from recoptout.control import AsyncClient, Client, ControlError
from conftest import FakeSocket, started


# ---- a child ----


def in_a_child(use):
    """Its exit code: 0 if all went as it should."""
    child = os.fork()
    if child == 0:
        try:
            use()
            os._exit(0)
        except BaseException as why:  # pytest's own end is its parent's
            os.write(2, f"{why!r}\n".encode())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def refused(use):
    with pytest.raises(ControlError) as why:
        use()
    assert why.value.name == "RCO_E_FORKED" and why.value.code == -22 and "connect again" in str(why.value)


@pytest.mark.parametrize("reconnect", [False, True])
def test_a_child_gets_none_of_its_parents_answers(engine, path, reconnect):
    engine.serve(path)
    with Client(path, timeout=60, reconnect=reconnect) as client:
        events = client.events("later")
        other = client.events("other")
        client._lock.acquire()  # as another thread may have when it is forked

        def use():
            for ask in (client.hello, client.pending, lambda: client.opt_out("child"), client.events, lambda: next(events)):
                refused(ask)
            other.close()
            client.close()
            client.close()
            with Client(path, timeout=60) as own:
                assert own.opt_out("of-the-child")["ok"]

        try:
            assert in_a_child(use) == 0
        finally:
            client._lock.release()
        assert json.loads(client.opt_out("of-the-parent")["receipt"])["call_id"] == "of-the-parent"
        call = started(engine, "later")
        assert next(events)["call_id"] == "later"
        call.close()
    assert engine.receipt("of-the-child") is not None and engine.receipt("child") is None


def test_a_child_of_a_loop_gets_none_of_its_parents_answers(engine, path):
    engine.serve(path)

    async def run():
        unconnected = AsyncClient(path, timeout=60)
        async with AsyncClient(path, timeout=60) as client:
            events = await client.events("later")

            def use():
                for ask in (client.hello, lambda: client.opt_out("child"), client.events, client.connect, events.__anext__):
                    refused(lambda: asyncio.run(awaited(ask)))
                asyncio.run(client.close())

                async def own():
                    async with unconnected:  # that was made before is no harm
                        assert (await unconnected.opt_out("of-the-child"))["ok"]

                asyncio.run(own())

            assert in_a_child(use) == 0
            assert json.loads((await client.opt_out("of-the-parent"))["receipt"])["call_id"] == "of-the-parent"
            call = started(engine, "later")
            assert (await events.__anext__())["call_id"] == "later"
            call.close()

    asyncio.run(run())
    assert engine.receipt("of-the-child") is not None and engine.receipt("child") is None


def test_a_socket_that_only_a_child_has(path):
    """Its engine is dead: nobody waits for an answer."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    child = os.fork()
    if child == 0:
        listening.listen(8)
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(ConnectionRefusedError) as why:
        Client(path, timeout=60)
    assert "has ended" in str(why.value)

    async def ask():
        with pytest.raises(ConnectionRefusedError):
            await AsyncClient(path, timeout=60).connect()

    asyncio.run(ask())
    listening.close()


async def awaited(ask):
    return await ask()


# ---- asyncio ----


def test_asyncio(engine, path):
    engine.serve(path)

    async def ask():
        async with AsyncClient(path, timeout=60) as client:
            answers = await asyncio.gather(*(client.opt_out(f"c{i}") for i in range(300)))
            for i, answer in enumerate(answers):
                assert json.loads(answer["receipt"])["call_id"] == f"c{i}"
            with pytest.raises(ControlError):
                await client.status("nobody")
            assert (await client.hello())["version"] == recoptout.__version__
            assert await client.pending() == []
            assert (await client.tool_definition("mcp"))["name"] == "recording_opt_out"
            call = started(engine, "far")
            message = {"type": "tool_use", "id": "t", "name": "recording_opt_out", "input": {}}
            answer = await client.tool_call("far", message, wait=20)
            assert answer["status"] in ("erased", "verified")
            call.close()
            events = await client.events("later")
            waiting = [asyncio.ensure_future(events.__anext__())]
            later = started(engine, "later")
            assert (await waiting[0])["event"] == "started"
            later.close()
        with pytest.raises(ConnectionError):
            await client.hello()

    asyncio.run(ask())


def test_asyncio_times_out_and_goes_on(path):
    release = threading.Event()

    def serve(lines):
        first = json.loads(lines.readline())
        release.wait(60)
        for request in (first, json.loads(lines.readline())):
            lines.write(json.dumps({"ok": True, "id": request["id"], "do": request["do"]}).encode() + b"\n")
        lines.flush()
        lines.readline()

    fake = FakeSocket(path, serve)

    async def ask():
        async with AsyncClient(path, timeout=0.2) as client:
            with pytest.raises(TimeoutError):
                await client.request("first")
            client._timeout = 60
            release.set()
            assert (await client.request("second"))["do"] == "second"

    asyncio.run(ask())
    fake.close()


def test_asyncio_reconnects(make_engine, path):
    engine = make_engine()
    engine.serve(path)

    async def ask():
        async with AsyncClient(path, timeout=60, reconnect=True) as client:
            first = await client.opt_out("a call to come")
            events = await client.events()
            engine.close()
            again = asyncio.ensure_future(client.opt_out("a call to come"))
            await asyncio.sleep(0.2)
            other = make_engine()
            other.serve(path)
            again = await again
            assert json.loads(again["receipt"])["receipt"] == json.loads(first["receipt"])["receipt"]
            while await events.__anext__() != {"event": "lost", "count": 0}:
                pass
            call = started(other, "after")
            async for event in events:
                if event.get("call_id") == "after":
                    break
            call.close()
            await events.aclose()

    asyncio.run(ask())


def test_asyncio_events_come_again_without_any_request(make_engine, path):
    engine = make_engine()
    engine.serve(path)

    async def ask():
        async with AsyncClient(path, timeout=60, reconnect=True) as client:
            events = await client.events("after")
            engine.close()
            await asyncio.sleep(0.1)
            other = make_engine()
            other.serve(path)
            assert await events.__anext__() == {"event": "lost", "count": 0}
            call = started(other, "after")
            assert (await events.__anext__())["call_id"] == "after"
            call.close()

    asyncio.run(ask())


def test_asyncio_lost_without_reconnecting(engine, path):
    engine.serve(path)

    async def ask():
        async with AsyncClient(path) as client:
            events = await client.events()
            engine.close()
            with pytest.raises(ConnectionError):
                await events.__anext__()
            with pytest.raises(ConnectionError):
                await client.hello()

    asyncio.run(ask())
