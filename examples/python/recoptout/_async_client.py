# SPDX-License-Identifier: MIT
"""The client of the control socket for the tasks of an event loop."""

from __future__ import annotations

import asyncio
import collections
import itertools
import os
from typing import Any, AsyncIterator, Coroutine, Deque, Dict, List, Optional, Set, Tuple

from . import _wire
from ._wire import LINE_MAX, Answer, ControlError, Path

class _Stream(_wire.Kept):
    """And the tasks that wait for an event."""

    def __init__(self, call_id: Optional[str]) -> None:
        super().__init__(call_id)
        self.error: Optional[Exception] = None
        self._waiting: Deque["asyncio.Future[None]"] = collections.deque()

    def put(self, event: Answer) -> None:
        super().put(event)
        self.wake()

    def wake(self) -> None:
        """Who finds nothing waits again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def next(self) -> Answer:
        while True:
            event = self.take()
            if event is not None:
                return event
            if self.error is not None:
                raise self.error
            future: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future


class AsyncClient:
    """As :class:`Client`, for the tasks of one event loop. Connected by ``async with`` or :meth:`connect`."""

    __module__ = "recoptout.control"

    def __init__(
        self, path: Path, timeout: float = 5.0, *, server_uid: Optional[int] = None, reconnect: bool = False
    ) -> None:
        self._path = os.fspath(path)
        self._timeout = timeout
        self._uid = server_uid
        self._reconnect = reconnect
        self._closed = False
        self._owner = _wire.Owner()
        self._numbers = itertools.count(1)
        self._asked: Dict[int, "asyncio.Future[Answer]"] = {}  # not answered, as they were sent
        self._refusal: Optional[Answer] = None  # an error without an id, which may be that of any of these
        self._back_off = _wire.BackOff()
        self._streams: List[_Stream] = []
        self._writer: Optional[asyncio.StreamWriter] = None
        self._reader: Optional["asyncio.Task[None]"] = None
        self._again: Optional["asyncio.Task[None]"] = None
        self._lock: Optional[asyncio.Lock] = None  # made in the loop that it is for
        self._asking: "Set[asyncio.Task[Answer]]" = set()

    @property
    def _connecting(self) -> asyncio.Lock:
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    # ---- connecting ----

    async def _open(self) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path, limit=2 * LINE_MAX)
                break
            except BlockingIOError:  # its queue is full: there is nothing to wait for (unix(7))
                await asyncio.sleep(0.005)
        try:
            _wire.check_server(writer.get_extra_info("socket"), self._path, self._uid)
        except BaseException:
            writer.close()
            raise
        return reader, writer

    async def _connect_once(self) -> None:
        reader, writer = await asyncio.wait_for(self._open(), self._timeout)
        self._writer = writer
        self._reader = asyncio.get_running_loop().create_task(self._read(reader, writer))
        if self._streams:
            await asyncio.wait_for(self._subscribe(), self._timeout)
            for stream in self._streams:
                stream.put(_wire.missed())

    async def connect(self) -> "AsyncClient":
        """Connect. Fails if there is nobody now, also with ``reconnect``."""
        if self._lock is None:  # not connected yet, wherever it was made
            self._owner = _wire.Owner()
        self._owner.check()
        async with self._connecting:
            if self._writer is None:
                try:
                    await self._connect_once()
                except asyncio.TimeoutError:
                    raise TimeoutError(f"{self._path} does not answer") from None
        return self

    async def _connected(self) -> None:
        while True:
            async with self._connecting:
                if self._closed:
                    raise _wire.lost()
                if self._writer is not None:
                    return
                if not self._reconnect:
                    raise _wire.lost()
                pause = self._back_off.left()
                if pause == 0:
                    self._back_off.tried()
                    try:
                        return await self._connect_once()
                    except PermissionError:
                        raise
                    except (OSError, ControlError, asyncio.TimeoutError):
                        self._drop(self._writer)
                    pause = self._back_off.left()
            await asyncio.sleep(pause)

    def _drop(self, writer: Optional[asyncio.StreamWriter]) -> None:
        if writer is None:
            return
        writer.close()
        if writer is not self._writer:
            return
        self._writer = None
        self._blame()
        asked, self._asked, self._refusal = self._asked, {}, None
        for future in asked.values():
            if not future.done():
                future.set_exception(_wire.lost())
                future.exception()  # if nobody waits for it any more, that is no news
        if self._reconnect and not self._closed:
            if self._streams and (self._again is None or self._again.done()):  # events are to come without a request
                self._again = asyncio.get_running_loop().create_task(self._subscribe_again())
            return
        for stream in self._streams:
            stream.error = _wire.lost()
            stream.wake()

    async def _subscribe_again(self) -> None:
        try:
            while self._writer is None and not self._closed:
                await self._connected()
        except OSError as why:
            for stream in self._streams:
                stream.error = why
                stream.wake()

    # ---- lines ----

    def _dispatch(self, line: Answer) -> None:
        if "event" in line:
            for stream in self._streams:
                stream.put(line)
            return
        if "id" not in line:
            self._refusal = line
            if len(self._asked) == 1:
                self._blame()
            return
        self._answer(line["id"], line)

    def _answer(self, number: int, line: Answer) -> None:
        future = self._asked.pop(number, None)
        if future is not None and not future.done():
            future.set_result(line)

    def _blame(self) -> None:
        """As Client._blame()."""
        if self._refusal is not None and self._asked:
            self._answer(next(iter(self._asked)), self._refusal)
            self._refusal = None

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line = await reader.readline()
                if not line.endswith(b"\n"):
                    break
                self._dispatch(_wire.parsed(line))
        except (OSError, ValueError):  # ValueError: too long, or no JSON; no engine says that
            pass
        finally:
            self._drop(writer)

    def _send(self, number: int, line: bytes) -> "asyncio.Future[Answer]":
        """The line is the connection's when this returns."""
        if self._writer is None:
            raise _wire.lost()
        future: "asyncio.Future[Answer]" = asyncio.get_running_loop().create_future()
        self._asked[number] = future  # until it is answered, also if nobody waits any more
        self._writer.write(line)
        return future

    async def _subscribe(self) -> None:
        number = next(self._numbers)
        wanted = _wire.call_filter({stream.call_id for stream in self._streams})
        _wire.checked(await self._send(number, _wire.request_line(number, "events", {"call_id": wanted})))

    # ---- requests ----

    async def _ask(self, number: int, line: bytes, sent: "Optional[asyncio.Future[Answer]]") -> Answer:
        while True:
            try:
                if sent is None:
                    await self._connected()
                    sent = self._send(number, line)
                return await sent
            except ConnectionError:
                if not self._reconnect or self._closed:
                    raise
                sent = None

    async def _answer_in_time(
        self, number: int, line: bytes, sent: "Optional[asyncio.Future[Answer]]", limit: float
    ) -> Answer:
        try:
            return await asyncio.wait_for(self._ask(number, line, sent), limit)
        except asyncio.TimeoutError:
            raise _wire.too_late(self._refusal) from None

    async def _wait_for(self, task: "asyncio.Task[Answer]", line: bytes) -> Answer:
        return _wire.checked(await asyncio.shield(task), line)

    def _done(self, task: "asyncio.Task[Answer]") -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # if nobody waits for it any more, that is no news

    def request(self, do: str, *, waits: float = 0.0, **members: Any) -> "Coroutine[Any, Any, Answer]":
        """As :meth:`Client.request`. It is asked when this returns a coroutine, which is awaited, or made a task of, for the answer; a
        cancellation does not undo what was asked for, also one that comes first. While there is no connection, with ``reconnect``,
        it is asked as soon as there is one again."""
        try:
            self._owner.check()
            number = next(self._numbers)
            line = _wire.request_line(number, do, members)
            sent = self._send(number, line) if self._writer is not None else None
        except (ControlError, TypeError, ValueError) as why:
            return _wire.raised(why)
        task = asyncio.get_running_loop().create_task(self._answer_in_time(number, line, sent, self._timeout + waits))
        self._asking.add(task)
        task.add_done_callback(self._done)
        return self._wait_for(task, line)

    async def hello(self) -> Answer:
        """As :meth:`Client.hello`."""
        return await self.request("hello")

    def opt_out(
        self,
        call_id: str,
        source: str = "control",
        language: str = "en",
        company: Optional[str] = None,
        wait: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> "Coroutine[Any, Any, Answer]":
        """As :meth:`Client.opt_out`, and asked when this returns, as :meth:`request`."""
        return self.request(
            "opt_out",
            waits=_wire.seconds_waited(wait, timeout),
            **_wire.opt_out_members(call_id, source, language, company, wait, timeout),
        )

    async def status(self, call_id: str, language: str = "en") -> Answer:
        """As :meth:`Client.status`."""
        return await self.request("status", call_id=call_id, language=language)

    async def pending(self) -> List[Answer]:
        """As :meth:`Client.pending`."""
        return (await self.request("pending"))["pending"]

    async def tool_definition(self, dialect: str, **options: Any) -> Answer:
        """As :meth:`Client.tool_definition`."""
        return (await self.request("tool", dialect=dialect, **options))["definition"]

    def tool_call(
        self, call_id: str, message: Any, dialect: str = "auto", wait: Optional[float] = None, **options: Any
    ) -> "Coroutine[Any, Any, Answer]":
        """As :meth:`Client.tool_call`, and asked when this returns, as :meth:`request`."""
        return self.request(
            "tool_call",
            waits=wait or 0.0,
            call_id=call_id,
            message=message,
            dialect=dialect,
            wait_ms=_wire.milliseconds(wait),
            **options,
        )

    async def events(self, call_id: Optional[str] = None) -> "AsyncIterator[Answer]":
        """As :meth:`Client.events`: ``async for event in await client.events()``."""
        self._owner.check()
        stream = _Stream(call_id)
        self._streams.append(stream)
        try:
            await self._connected()
            await asyncio.wait_for(self._subscribe(), self._timeout)
        except BaseException:
            self._streams.remove(stream)
            raise
        return self._each_event(stream)

    async def _each_event(self, stream: _Stream) -> "AsyncIterator[Answer]":
        try:
            while True:
                self._owner.check()
                yield await stream.next()
        finally:
            self._streams.remove(stream)

    async def close(self) -> None:
        """As :meth:`Client.close`."""
        if self._owner.in_child:
            if self._writer is not None:
                _wire.let_go(self._writer.get_extra_info("socket").fileno())
            return
        self._closed = True
        self._drop(self._writer)
        for stream in self._streams:
            stream.error = stream.error or _wire.lost()
            stream.wake()
        tasks = [task for task in (self._reader, self._again) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> "AsyncClient":
        return await self.connect()

    async def __aexit__(self, *_: object) -> None:
        await self.close()
