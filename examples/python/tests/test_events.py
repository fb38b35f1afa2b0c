# SPDX-License-Identifier: MIT
"""Events for threads and for coroutines, and opting out while a thread pushes."""

import asyncio
import queue
import threading

import pytest

from conftest import noise


def test_iterator(engine):
    with engine.events("mine") as mine, engine.events() as all_of_them:
        with engine.session("other") as call:
            call.start()
        with engine.session("mine") as call:
            leg = call.add_leg("caller")
            call.start()
            call.push(leg, noise(1, 1)[0])
            call.opt_out(wait="verified", timeout=20)
        seen = []
        for event in mine:
            assert event.call_id == "mine"
            seen.append(event.type)
            if event.type == "verified":
                assert event.status == "verified" and event.receipt_id == call_receipt(engine)
                break
        order = [seen.index(t) for t in ("started", "opted_out", "durable", "erased", "verified")]
        assert order == sorted(order)
        assert all_of_them.get(timeout=5).call_id == "other"
    assert [e.type for e in mine][-1:] != ["never"]  # ends, for it was closed
    with pytest.raises(StopIteration):
        mine.get()


def call_receipt(engine):
    return engine.receipt("mine").id


def test_limit_drops_the_oldest(engine):
    stream = engine.events(limit=3)
    for i in range(5):
        with engine.session(f"c{i}") as call:
            call.start()
    engine.wait_idle(20)
    stream.close()
    assert stream.dropped > 0
    assert len(list(stream)) <= 3


def test_closing_the_engine_ends_the_stream(engine):
    stream = engine.events()
    got = []
    thread = threading.Thread(target=lambda: got.extend(stream))
    thread.start()
    engine.close()
    thread.join(20)
    assert not thread.is_alive()


def test_time_is_up(engine):
    with engine.events() as stream, pytest.raises(queue.Empty):
        stream.get(timeout=0.01)


def test_asyncio_handler_opts_out_while_a_thread_pushes(engine):
    """The tool handler is a coroutine; the media thread never notices but by the refusal."""
    call = engine.session("busy")
    leg = call.add_leg("caller")
    call.start()
    frames = noise(7, 50)
    pushed, refused, stop = [0], [0], threading.Event()

    def media():
        i = 0
        while not stop.is_set():
            try:
                if call.push(leg, frames[i % 50]):
                    pushed[0] += 1
                else:
                    refused[0] += 1
            except Exception as why:  # a full ring is none
                assert "OVERFLOW" in getattr(why, "name", ""), why
            i += 1

    async def handler():
        while pushed[0] < 1000:
            await asyncio.sleep(0)
        answer = await call.tool_call_async(
            {"type": "tool_use", "id": "t1", "name": "recording_opt_out", "input": {}}, language="de"
        )
        accepted = call.stats["accepted_frames"]
        return answer, accepted

    async def watch(stream):
        async for event in stream:
            if event.type == "verified":
                return event

    async def both():
        with engine.events("busy") as stream:
            watcher = asyncio.create_task(watch(stream))
            result = await handler()
            return result, await asyncio.wait_for(watcher, 20)

    thread = threading.Thread(target=media)
    thread.start()
    try:
        (answer, accepted), verified = asyncio.run(both())
        while refused[0] < 1000:
            pass
    finally:
        stop.set()
        thread.join()
    assert answer.data["tool_use_id"] == "t1"
    assert "beendet" in answer.sentence
    assert verified.call_id == "busy"
    assert call.stats["accepted_frames"] == accepted  # none after the answer


def test_a_cancelled_handler_undoes_nothing(engine):
    call = engine.session("cancelled")
    leg = call.add_leg("caller")
    call.start()
    call.push(leg, noise(8, 1)[0])

    async def interrupted():
        task = asyncio.create_task(call.opt_out_async())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert call.opt_out(wait="verified", timeout=20).status == "verified"
    assert not call.push(leg, noise(8, 1)[0])


def test_an_event_is_answered_through_asyncio(engine):
    """OpenAI tells one call in several events: the answer goes with the first, and again with that one only."""
    events = [
        {"type": "response.function_call_arguments.done", "call_id": "c1", "name": "recording_opt_out", "arguments": "{}"},
        {"type": "response.output_item.done", "item": {"type": "function_call", "call_id": "c1", "name": "recording_opt_out"}},
    ]
    for dialect in ("auto", "openai-realtime"):
        call = engine.session(f"async-{dialect}")
        call.start()
        answers = [asyncio.run(call.tool_call_async(event, dialect, language="de")) for event in [*events, *events]]
        assert [answer.calls for answer in answers] == [1, 1, 1, 1]
        assert [bool(answer.json) for answer in answers] == [True, False, True, False]
        assert answers[0].data[0]["item"]["call_id"] == "c1" and answers[0].receipt is not None
    item = {"type": "response.output_item.done", "sequence_number": 3, "item": events[1]["item"]}
    call = engine.session("async-responses")
    call.start()
    assert asyncio.run(call.tool_call_async(item, "openai-responses")).data["call_id"] == "c1"
