# SPDX-License-Identifier: MIT
"""Threads, closing, fork, and objects that nobody closed."""

import asyncio
import concurrent.futures
import copy
import gc
import os
import subprocess
import sys
import threading
import warnings

import pytest

import recoptout
from conftest import noise
from test_backends import Store, record


def ask(*events):
    """Wait, but not for ever."""
    for event in events:
        assert event.wait(20)


def test_two_tasks_on_one_stream_are_both_woken(engine):
    async def take(stream):
        return await stream.__anext__()

    async def all_of_it():
        with engine.events() as stream:
            tasks = [asyncio.create_task(take(stream)) for _ in range(3)]
            await asyncio.sleep(0)  # all of them wait
            for name in ("a", "b", "c"):
                with engine.session(name) as call:
                    call.start()
            got = await asyncio.wait_for(asyncio.gather(*tasks), 20)
            assert len(set(got)) == 3  # each event once

    asyncio.run(all_of_it())


def test_a_task_that_was_cancelled_takes_no_event_with_it(engine):
    async def all_of_it():
        with engine.events() as stream:
            first = asyncio.create_task(stream.__anext__())
            second = asyncio.create_task(stream.__anext__())
            await asyncio.sleep(0)
            first.cancel()
            with engine.session("x") as call:
                call.start()
            assert (await asyncio.wait_for(second, 20)).type == "started"
            assert not stream._waiting

    asyncio.run(all_of_it())


def test_closing_a_stream_wakes_every_thread_and_task(engine):
    stream = engine.events("nobody")
    threads = [threading.Thread(target=lambda: list(stream)) for _ in range(3)]

    async def coroutines():
        tasks = [asyncio.create_task(anext_or_none(stream)) for _ in range(3)]
        await asyncio.sleep(0)
        stream.close()
        return await asyncio.wait_for(asyncio.gather(*tasks), 20)

    async def anext_or_none(stream):
        async for event in stream:
            return event

    for thread in threads:
        thread.start()
    assert asyncio.run(coroutines()) == [None] * 3
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_a_stream_that_was_dropped_gathers_nothing(engine):
    engine.events()
    gc.collect()
    assert not recoptout.engine._living(engine._streams)


def test_a_busy_executor_does_not_delay_a_stop(engine):
    """The stop is before the queue: all threads of the loop's executor are taken."""
    call = engine.session("queued")
    leg = call.add_leg("caller")
    call.start()
    taken, free = threading.Event(), threading.Event()

    async def handler():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
        loop.run_in_executor(None, lambda: (taken.set(), free.wait(20)))
        ask(taken)
        task = asyncio.create_task(call.tool_call_async({"type": "tool_use", "id": "t", "name": "recording_opt_out", "input": {}}))
        await asyncio.sleep(0)
        refused = not call.push(leg, noise(1, 1)[0])
        free.set()
        return refused, await task

    refused, answer = asyncio.run(handler())
    assert refused and answer.data["tool_use_id"] == "t" and answer.receipt.status != "stopped"


def test_closing_while_other_threads_are_inside(make_engine):
    """No thread meets freed memory: each gets its answer, or is told that it is closed."""
    for _ in range(20):
        engine = make_engine()
        call = engine.session("busy")
        leg = call.add_leg("caller")
        call.start()
        failures = []

        def use(work):
            try:
                while True:
                    work()
            except ValueError as why:
                assert "closed" in str(why)
            except recoptout.RecoptoutError as why:
                if why.name not in ("RCO_E_OVERFLOW", "RCO_E_ENDED", "RCO_E_HANDLE"):
                    failures.append(why)
            except BaseException as why:
                failures.append(why)

        works = (lambda: call.push(leg, b"\xff" * 160), lambda: call.stats, lambda: engine.stats, lambda: engine.pending)
        threads = [threading.Thread(target=use, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        call.close()
        engine.close()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert failures == []


def test_a_cancelled_task_closes_its_session_under_the_waiting_thread(make_engine):
    """opt_out_async() waits on a thread; the task ends, and `with` closes the session meanwhile."""
    stuck, go = threading.Event(), threading.Event()

    class Slow(Store):
        def verify(self, file):
            stuck.set()
            ask(go)
            return super().verify(file)

    store = Slow()
    engine = make_engine(upload=store, deletion=store, late_opt_out=3600)
    call = record(engine, "slow", noise(2, 20))
    with engine.events("slow") as events:
        call.end()
        next(e for e in events if e.type == "upload_started")

    async def handler():
        with call:
            task = asyncio.create_task(call.opt_out_async(wait="verified", timeout=20))
            await asyncio.get_running_loop().run_in_executor(None, ask, stuck)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        with pytest.raises(ValueError):
            call.stats
        go.set()

    asyncio.run(handler())
    assert engine.opt_out("slow", wait="verified", timeout=20).status == "verified"


def test_a_copy_frees_nothing_twice(engine):
    call = engine.session("copied")
    other = copy.copy(call)
    call.close()
    other.close()
    with pytest.raises(ValueError):
        other.start()


def test_what_a_callback_may_not_do_is_said(make_engine):
    said = []
    holder = {}

    class Closing(Store):
        def begin(self, file):
            with pytest.raises(RuntimeError) as why:
                holder["engine"].close()
            said.append(str(why.value))
            return super().begin(file)

    store = Closing()
    holder["engine"] = make_engine(upload=store, deletion=store)
    record(holder["engine"], "kept", noise(3, 5)).close()
    holder["engine"].wait_idle(20)
    assert said and "another thread" in said[0] and len(store.audio()) == 1


def test_a_log_that_raises_disturbs_nothing(make_engine, caplog, tmp_path):
    def log(level, line):
        raise SystemExit("no")

    engine = make_engine(log=log, upload=Failing(), deletion=Store())
    record(engine, "kept", noise(4, 5)).close()
    engine.wait_idle(20)
    assert any("log" in r.getMessage() for r in caplog.records)


class Failing(Store):
    tries = 0

    def begin(self, file):
        self.tries += 1
        if self.tries < 3:
            raise OSError("not yet")
        return super().begin(file)


def test_what_nobody_closed_is_closed_with_a_warning(make_engine, tmp_path):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        engine = recoptout.Engine(tmp_path / "s", tmp_path / "o", private_rings=True, late_opt_out=0)
        call = engine.session("lost")
        call.start()
        del call
        gc.collect()
        assert engine.stats["sessions_open"] == 0 and "'lost'" in str(told.pop().message)  # which holds the session
        del engine
        gc.collect()
        assert "Engine" in str(told.pop().message)
    recoptout.Engine(tmp_path / "s", tmp_path / "o", private_rings=True).close()  # not BUSY


FORK = """
import os, sys, threading, recoptout
engine = recoptout.Engine(sys.argv[1] + "/s", sys.argv[1] + "/o", opt_out_enabled=True, private_rings=True)
call = engine.session("parent"); leg = call.add_leg("caller"); call.start()
stream = engine.events()
call.push(leg, b"x" * 160)
idle = engine.events("nobody")  # a thread is inside it, and another inside the library
threads = [threading.Thread(target=lambda: list(idle)), threading.Thread(target=lambda: engine.wait_idle(20))]
for thread in threads: thread.start()
while not idle._waiting: os.sched_yield()
child = os.fork()
if child == 0:
    for wrong in (call.start, lambda: call.push(leg, b"x" * 160), lambda: engine.stats, lambda: stream.get(timeout=5),
                  lambda: engine.session("child"), lambda: call.opt_out(), lambda: engine.events()):
        try:
            wrong()
            os._exit(7)
        except recoptout.RecoptoutError as why:
            assert why.name == "RCO_E_FORKED", why
    repr(engine), repr(call), repr(stream)
    call.close(); stream.close(); engine.close()
    del call, engine, stream
    sys.stdout.write("child\\n"); sys.stdout.flush()
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert call.push(leg, b"x" * 160) and call.opt_out(wait="verified", timeout=20).status == "verified"
call.close(); engine.close()
for thread in threads: thread.join()
print("parent")
"""


def test_a_child_uses_nothing_of_its_parent(tmp_path):
    done = subprocess.run([sys.executable, "-c", FORK, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "child\nparent\n"), done.stderr


HANG = """
import recoptout, sys, threading
engine = recoptout.Engine(sys.argv[1] + "/s", sys.argv[1] + "/o", opt_out_enabled=True, private_rings=True, late_opt_out=30)
call = engine.session("open"); leg = call.add_leg("caller"); call.start(); call.push(leg, b"x" * 160); call.end()
inside = threading.Event()
def wait():
    inside.set()
    engine.wait_idle(3600)
threading.Thread(target=wait, daemon=True).start()
inside.wait()
print("bye", flush=True)
"""


def test_exit_is_not_kept_waiting_by_a_daemon_thread(tmp_path):
    done = subprocess.run([sys.executable, "-c", HANG, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "bye\n"), done.stderr
