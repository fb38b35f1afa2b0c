# SPDX-License-Identifier: MIT
"""Events, as an iterator and for asyncio."""

from __future__ import annotations

import asyncio
import collections
import itertools
import queue
import time
import weakref
from dataclasses import dataclass
from typing import AsyncIterator, Callable, Deque, Dict, Iterator, Optional, Union

from . import _abi, _arguments
from ._abi import lib
from ._handle import Birth


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    #: "opted_out", "durable", "erased", "verified", "stored", ...
    type: str
    call_id: str
    receipt_id: str
    #: of the call's opt-out, "unknown" without one
    status: str
    #: of an error behind it, or 0
    code: int
    count: int
    attempt: int
    #: wall clock, microseconds since 1970
    time_us: int
    message: str
    #: 16 bytes, of the recording; tells calls of one id apart; zero for events of the engine
    recording_id: bytes = b""

    @classmethod
    def _read(cls, raw: _abi.EventStruct) -> "Event":
        return cls(
            lib.rco_event_name(raw.type).decode(),
            raw.call_id.decode(),
            raw.receipt_id.decode(),
            lib.rco_status_name(raw.status).decode(),
            raw.code,
            raw.count,
            raw.attempt,
            raw.time_us,
            raw.message.decode("utf-8", "replace"),
            bytes(raw.recording_id),
        )


class EventStream:
    """Events from when it was made until it is closed, or its engine is.

    Iterate over it, with ``for`` in threads or with ``async for`` in coroutines, as many as you like; each event is given out
    once. At most ``limit`` events wait; when more come the oldest are dropped and ``dropped`` counts them.
    """

    def __init__(self, close: "Callable[[EventStream], None]", call_id: Optional[str], limit: int) -> None:
        self._birth = Birth()
        self._close = close
        self._call_id = call_id
        self._limit = limit
        self._events: Deque[Event] = collections.deque()
        # Who waits is woken by what it holds itself, so that nothing is left behind by one that was torn out of waiting.
        self._waiting: "Dict[int, weakref.ref[Union[queue.SimpleQueue[None], _Task]]]" = {}
        self._numbers = itertools.count()
        self._ended = False
        self.dropped = 0

    def __repr__(self) -> str:
        of = "" if self._call_id is None else f" of call {self._call_id!r}"
        state = "closed" if self._ended else "open"
        return f"<recoptout.EventStream{of}: {state}, {len(self._events)} waiting, {self.dropped} dropped>"

    def _put(self, event: Optional[Event]) -> None:
        """On any thread. None: there will be no more."""
        if event is not None and self._call_id is not None and event.call_id != self._call_id:
            return
        if event is None:
            self._ended = True
        elif self._ended:
            return
        else:
            self._events.append(event)
            if len(self._events) > self._limit:
                try:
                    self._events.popleft()
                    self.dropped += 1
                except IndexError:
                    pass  # taken meanwhile
        # All are woken, for one that has been cancelled or timed out meanwhile would keep it from the others.
        for number, reference in list(self._waiting.items()):
            waiter = reference()
            if waiter is None:
                self._waiting.pop(number, None)
            else:
                waiter.put(None)

    def _take(self) -> Optional[Event]:
        """The next event, None if there is none yet, StopIteration if there will be none."""
        ended = self._ended  # before it is looked whether there is one: what came last came before the end
        try:
            return self._events.popleft()
        except IndexError:
            if ended:
                raise StopIteration from None
            return None

    def get(self, timeout: Optional[float] = None) -> Event:
        """The next event. ``timeout`` in seconds, None to wait for ever.

        Raises :class:`queue.Empty` when time is up and :class:`StopIteration` when there will be no more.
        """
        limit = None if timeout is None else _arguments.seconds("timeout", timeout)
        self._birth.check()
        deadline = None if limit is None else time.monotonic() + limit
        woken: "queue.SimpleQueue[None]" = queue.SimpleQueue()
        number = next(self._numbers)
        self._waiting[number] = weakref.ref(woken)
        try:
            event = self._take()
            while event is None:
                woken.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
                event = self._take()
            return event
        finally:
            self._waiting.pop(number, None)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return self.get()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        self._birth.check()
        while True:
            task = _Task()
            number = next(self._numbers)
            self._waiting[number] = weakref.ref(task)
            try:
                event = self._take()
                if event is not None:
                    return event
                await task.woken
            except StopIteration:
                raise StopAsyncIteration from None
            finally:
                self._waiting.pop(number, None)

    def close(self) -> None:
        """No more events. Waiting tasks get those that are there, and are told."""
        if self._birth.is_foreign:
            return
        self._close(self)
        self._put(None)

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Task:
    """A coroutine that waits, to be woken as a thread is, by putting something."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.woken: "asyncio.Future[None]" = self._loop.create_future()

    def put(self, _: None) -> None:
        """On any thread."""
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            pass  # its loop has been closed: nobody waits any more

    def _wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)
