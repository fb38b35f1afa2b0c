# SPDX-License-Identifier: MIT
"""Events, as an iterator and for asyncio."""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import dataclass
from typing import AsyncIterator, Callable, Iterator, Optional

from . import _abi
from ._abi import lib


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
        )


class EventStream:
    """Events from when it was made until it is closed, or its engine is.

    Iterate over it, with ``for`` in a thread or with ``async for`` in a coroutine; each event is given out once. At most
    ``limit`` events wait; when more come the oldest are dropped and ``dropped`` counts them.
    """

    def __init__(self, close: "Callable[[EventStream], None]", call_id: Optional[str], limit: int) -> None:
        self._close = close
        self._call_id = call_id
        self._limit = limit
        self._queue: "queue.Queue[Optional[Event]]" = queue.Queue()
        self._lock = threading.Lock()
        self._waiting: "Optional[tuple]" = None  # (loop, future) of a coroutine
        self._ended = False
        self.dropped = 0

    def _put(self, event: Optional[Event]) -> None:
        """On any thread. None: there will be no more."""
        if event is not None and self._call_id is not None and event.call_id != self._call_id:
            return
        with self._lock:
            if event is not None and self._queue.qsize() >= self._limit:
                self._queue.get_nowait()
                self.dropped += 1
            self._queue.put(event)
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            loop, future = waiting
            try:
                loop.call_soon_threadsafe(lambda: future.done() or future.set_result(None))
            except RuntimeError:
                pass  # its loop has been closed: nobody waits any more

    def get(self, timeout: Optional[float] = None) -> Event:
        """The next event. ``timeout`` in seconds, None to wait for ever.

        Raises :class:`queue.Empty` when time is up and :class:`StopIteration` when there will be no more.
        """
        if self._ended:
            raise StopIteration
        event = self._queue.get(timeout=timeout)
        if event is None:
            self._ended = True
            raise StopIteration
        return event

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return self.get()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while True:
            with self._lock:
                try:
                    event = None if self._ended else self._queue.get_nowait()
                    self._ended = event is None
                    break
                except queue.Empty:
                    loop = asyncio.get_running_loop()
                    future = loop.create_future()
                    self._waiting = (loop, future)
            await future
        if event is None:
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        """No more events. Whoever waits is told."""
        self._close(self)
        self._put(None)

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
