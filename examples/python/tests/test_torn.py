# SPDX-License-Identifier: MIT
"""Exceptions that come between any two steps, as those of a signal's handler do, and tasks that end before they begin."""

import asyncio
import gc
import subprocess
import sys

import pytest

import recoptout
from conftest import noise
from recoptout.control import AsyncClient

CALL = {"type": "tool_use", "id": "t", "name": "recording_opt_out", "input": {}}

INTERRUPTED = """
import signal, sys, warnings, recoptout
warnings.simplefilter("ignore", ResourceWarning)
sys.unraisablehook = lambda _: None  # what a destructor was torn out of
CALL = {"type": "tool_use", "id": "t", "name": "recording_opt_out", "input": {}}
def open_engine():
    return recoptout.Engine(sys.argv[1] + "/s", sys.argv[1] + "/o", opt_out_enabled=True, private_rings=True, late_opt_out=0)
engine = open_engine()
stream = engine.events(limit=100)
class Late(Exception):
    pass
def late(*_):
    raise Late
signal.signal(signal.SIGALRM, late)
def tool_call(call, leg):
    call.tool_call(CALL)
def several(call, leg):
    call.push(leg, bytearray(160)); call.stats; call.receipt; engine.opt_out(call.call_id, nonblock=True).sentence("de")
def events(call, leg):
    stream.get(timeout=1)
def sessions(call, leg):
    with engine.session(call.call_id + "-2") as other:
        other.start()
def streams(call, leg):
    with engine.events() as other:
        engine.session(call.call_id + "-3").close()
works = (tool_call, several, events, sessions, streams)
torn = 0
for i in range(int(sys.argv[2])):
    call = engine.session(f"call{i}"); leg = call.add_leg("caller"); call.start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-5 * (i // len(works) % 40 + 1))
        try:
            works[i % len(works)](call, leg)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Late:
        torn += 1
        if i % 50 == 0:  # with the traceback at hand, and what it keeps
            engine.close(); engine = open_engine(); stream = engine.events(limit=100)
            continue
    call.opt_out()
    assert not call.push(leg, bytes(160))
    call.close()
engine.close()
open_engine().close()  # nothing has kept its folder
print("torn" if torn > int(sys.argv[2]) // 20 else torn)
"""


def test_whatever_is_torn_out_of_leaves_nothing_locked(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path), "1500"], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "torn\n"), done.stderr


CLOSED_IN_HANDLER = """
import os, signal, sys, recoptout
engine = recoptout.Engine(sys.argv[1] + "/s", sys.argv[1] + "/o", opt_out_enabled=True, private_rings=True, late_opt_out=0)
signal.signal(signal.SIGUSR1, lambda *_: engine.close())
call = engine.session("c")
try:
    for i in range(100000):
        if i == 500:
            os.kill(os.getpid(), signal.SIGUSR1)
        call.stats
except ValueError:
    print("closed")
"""


def test_a_handler_may_close_the_engine(tmp_path):
    done = subprocess.run([sys.executable, "-c", CLOSED_IN_HANDLER, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr


def started(engine, name):
    call = engine.session(name)
    leg = call.add_leg("caller")
    call.start()
    assert call.push(leg, noise(1, 1)[0])
    return call, leg


def ask(call, how):
    return call.tool_call_async(CALL) if how == "tool_call" else call.opt_out_async()


@pytest.mark.parametrize("how", ["tool_call", "opt_out"])
def test_an_objection_is_not_lost_with_its_task(engine, how):
    async def cancelled():
        call, leg = started(engine, how + "-cancelled")
        task = asyncio.create_task(ask(call, how))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not call.push(leg, noise(1, 1)[0])

    async def no_time():
        call, leg = started(engine, how + "-no-time")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ask(call, how), 0)
        assert not call.push(leg, noise(1, 1)[0])

    async def together():
        call, _ = started(engine, how + "-together")
        for answer in await asyncio.gather(ask(call, how), ask(call, how)):
            assert (answer.receipt if how == "tool_call" else answer).durable_us

    for each in (cancelled, no_time, together):
        asyncio.run(each())


@pytest.mark.parametrize("how", ["tool_call", "opt_out"])
def test_who_hangs_up_does_not_take_the_answer_away(engine, how):
    async def handler(name, steps):
        call, _ = started(engine, name)
        task = asyncio.create_task(ask(call, how))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.close()
        answer = await task
        assert (answer.receipt if how == "tool_call" else answer).durable_us

    for steps in range(4):
        asyncio.run(handler(f"{how}{steps}", steps))
    gc.collect()
    assert engine.stats["sessions_open"] == 0


def test_the_engine_closed_meanwhile(make_engine):
    engine = make_engine()

    async def handler():
        tool, opt_out = started(engine, "a")[0], started(engine, "b")[0]
        answers = tool.tool_call_async(CALL), opt_out.opt_out_async()
        engine.close()
        assert (await answers[0]).data["tool_use_id"] == "t"
        assert (await answers[1]).call_id == "b"

    asyncio.run(handler())
    assert make_engine().opt_out("b").durable_us


def test_what_is_wrong_is_raised_to_who_awaits(make_engine):
    engine = make_engine(opt_out_enabled=False)
    call, leg = started(engine, "kept")

    async def handler():
        for wrong, kind in (
            (call.opt_out_async(), recoptout.NotAvailable),
            (call.opt_out_async(wait="soon"), ValueError),
            (call.tool_call_async(CALL, wait=-1), ValueError),
        ):
            with pytest.raises(kind):
                await wrong
        assert call.push(leg, noise(1, 1)[0])

    asyncio.run(handler())


@pytest.mark.parametrize("how", ["tool_call", "opt_out"])
def test_a_client_s_request_is_not_lost_with_its_task(engine, tmp_path, how):
    engine.serve(tmp_path / "socket")

    async def handler():
        async with AsyncClient(tmp_path / "socket") as client:
            for name in ("cancelled", "no-time"):
                call, leg = started(engine, f"{how}-{name}")
                asked = client.tool_call(call.call_id, CALL) if how == "tool_call" else client.opt_out(call.call_id)
                if name == "cancelled":
                    task = asyncio.create_task(asked)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                else:
                    with pytest.raises(asyncio.TimeoutError):
                        await asyncio.wait_for(asked, 0)
                assert (await client.status(call.call_id))["receipt"]  # which was asked later
                assert not call.push(leg, noise(1, 1)[0])

    asyncio.run(handler())


def test_a_client_s_request_is_not_lost_while_there_is_no_engine(make_engine, tmp_path):
    engine = make_engine()
    engine.serve(tmp_path / "socket")

    async def handler():
        async with AsyncClient(tmp_path / "socket", timeout=60, reconnect=True) as client:
            await client.hello()
            engine.close()
            while client._writer is not None:
                await asyncio.sleep(0)
            task = asyncio.create_task(client.opt_out("late"))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            other = make_engine()
            other.serve(tmp_path / "socket")
            while other.receipt("late") is None:
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(handler(), 60))
