# SPDX-License-Identifier: MIT
"""The client of the control socket for threads.

A signal's handler may raise while the main thread is in here (Ctrl-C, a worker's time limit), and what other threads wait for must not
be lost with that. Python 3.10 and newer look for signals after a call, where a function begins and where a loop begins its next turn. So
what must not come apart has none of these in it, or is one call of C: ``list.extend(map(read, ...))`` has kept what it has read when
it returns. What is done twice if somebody was torn out between doing it and noting it does no harm the second time. Locks can be
entered again by the thread that has them, for a handler may ask, too.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Optional

from . import _wire
from ._wire import LINE_MAX, Answer, ControlError, Path

_LOOK_AGAIN = 1.0  # seconds, after which who waits looks whether somebody who read or sent for it was torn out of that
_NO_SIGNAL = (socket.MSG_NOSIGNAL,)


class _Connection:
    """A socket, and what goes and comes through it. The client's lock guards what has no lock of its own."""

    def __init__(self, path: str, uid: Optional[int], deadline: float) -> None:
        self.reader = threading.RLock()  # of who reads for all
        self.taken: List[bytes] = []  # read, not looked at yet
        self.rest = b""
        self.unpacked = 0
        self.lines: List[Answer] = []  # not seen to yet
        self.writer = threading.RLock()  # of who sends what is in `out`
        self.out: List[memoryview] = []
        self.counts: List[int] = []  # bytes of the first that were sent, and are still in it
        self.answers: Dict[int, Answer] = {}
        self.sent: Dict[int, bool] = {}  # not answered, as they were sent; whether somebody waits
        self.heard: Optional[Answer] = None  # an error without an id
        self.refusal: Optional[Answer] = None  # the same, as long as it may be that of any in `sent`
        self.error: Optional[Exception] = None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(path, deadline)
            _wire.check_server(self.socket, path, uid)
        except BaseException:
            self.socket.close()
            raise

    def _connect(self, path: str, deadline: float) -> None:
        self.socket.setblocking(False)
        while True:
            try:
                return self.socket.connect(path)
            except BlockingIOError:  # its queue is full: there is nothing to wait for (unix(7))
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"{path} does not answer") from None
                time.sleep(0.005)

    def _wait(self, what: int, seconds: float) -> bool:
        poll = select.poll()
        if self.socket.fileno() < 0:  # closed by another thread
            raise _wire.lost()
        poll.register(self.socket, what)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    # ---- sending ----

    def _write(self) -> bool:
        """What there is room for; whether that was all. For who has `writer`."""
        while True:
            while self.counts:  # no call in here: see above
                rest = self.out[0][self.counts[0] :]
                if rest:
                    self.out[0] = rest
                else:
                    del self.out[0]
                del self.counts[0]
            if not self.out:
                return True
            try:
                self.counts.extend(map(self.socket.send, self.out, _NO_SIGNAL))
            except BlockingIOError:
                return False

    def send(self, deadline: float) -> None:
        """All that is to be sent. TimeoutError if that was not possible by then: nothing else can be said behind half a line."""
        with self.writer:
            while not self._write():
                if not self._wait(select.POLLOUT, deadline - time.monotonic()):
                    raise TimeoutError("the engine does not read")

    def _write_on(self) -> bool:
        """What somebody was torn out of sending. Whether there is to be room for more."""
        got: List[bool] = []
        try:
            got.extend(map(self.writer.acquire, (False,)))
            return got[0] and not self._write()
        finally:
            if got and got[0]:
                self.writer.release()

    # ---- reading ----

    def _read(self) -> bool:
        try:
            self.taken.extend(map(self.socket.recv, (LINE_MAX,)))
            return True
        except BlockingIOError:
            return False

    def read(self, seconds: float) -> None:
        """What comes by then, into `taken`. For who has `reader`."""
        if self._read():
            return
        room = select.POLLOUT if self._write_on() else 0
        if self._wait(select.POLLIN | room, seconds):
            self._read()

    def unpack(self) -> None:
        """What was taken becomes lines, or an error."""
        while self.taken:
            taken, unpacked, answers, error = self.taken[0], self.unpacked, [], None
            *lines, rest = (self.rest + taken).split(b"\n")
            try:
                if not taken:
                    raise _wire.lost()
                if len(rest) > LINE_MAX:
                    raise ConnectionError("a line from the engine is too long")
                answers = [_wire.parsed(line) for line in lines]
            except (OSError, ValueError) as why:
                error = why if isinstance(why, OSError) else ConnectionError("what answered is not an engine")
            if self.unpacked == unpacked:  # no call from here on: see above
                self.unpacked = unpacked + 1
                self.rest = rest
                self.lines = self.lines + answers
                self.error = self.error or error
                del self.taken[0]

    def close(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
        except OSError:
            pass
        self.socket.close()


class Client:
    """A connection, for any number of threads at once. ``timeout``: seconds, for connecting and for each answer, besides what the
    request itself waits for an erasure.

    After a time-out (:class:`TimeoutError`) or a lost connection (:class:`ConnectionError`) it is not known whether something was
    done: ask again, for an opt-out is the same however often it is asked for. With ``reconnect`` the client does so, as long as the
    request's time lasts: it connects again, at most once a second if that does not last, sends again what was not answered, and
    subscribes again. A line that the engine does not understand, after which it closes, is a :class:`ControlError` for who sent it.

    Events come in while somebody asks for them or for anything else: who has called :meth:`events` and does neither is closed by
    the engine when the socket is full. A message too large for the socket's buffer that the engine does not read in time is a
    :class:`TimeoutError` too, and ends the connection: half a line was sent.

    ``server_uid``: the user that serves there, if it is not this one. Root may in any case.

    A connection is its process's: in a child after fork() all but :meth:`close` raises :class:`ControlError` "RCO_E_FORKED". Connect
    again there.

    A signal's handler may raise at any moment (Python 3.10 or newer): the request that it is torn out of may or may not have been
    made, so make it again; other threads get their answers, and nothing stays locked.
    """

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
        self._streams: List[_wire.Kept] = []
        self._lock = threading.RLock()  # guards connections, streams and what is kept
        self._connecting = threading.RLock()
        self._bells: List[Any] = []  # a lock for each that waits; to let go of it wakes it
        self._back_off = _wire.BackOff()
        self._connection = _Connection(self._path, self._uid, time.monotonic() + timeout)

    # ---- one connection ----

    def _deliver(self, connection: _Connection, line: Answer) -> None:
        if "event" in line:
            for stream in self._streams:
                stream.put(line)
        elif "id" not in line:
            if connection.heard is not line:
                connection.heard = connection.refusal = line
            if len(connection.sent) == 1:
                self._blame(connection)
        elif line["id"] in connection.sent:
            if connection.sent[line["id"]]:  # not the late answer to what was given up
                connection.answers[line["id"]] = line
            del connection.sent[line["id"]]

    def _blame(self, connection: _Connection) -> None:
        """The refusal goes to the oldest that is not answered: the engine answers what came before, and reads nothing behind."""
        if connection.refusal is None or not connection.sent:
            return
        number = next(iter(connection.sent))
        if connection.refusal is not None and number in connection.sent:
            if connection.sent[number]:
                connection.answers[number] = connection.refusal
            connection.refusal = None
            del connection.sent[number]

    def _take_in(self, connection: _Connection) -> None:
        """What was read, by whomever. Lock held."""
        connection.unpack()
        while connection.lines:
            line = connection.lines[0]
            self._deliver(connection, line)
            if connection.lines and connection.lines[0] is line:
                del connection.lines[0]
        if connection.error is not None:
            self._blame(connection)

    def _ring(self) -> None:
        for bell in tuple(self._bells):
            try:
                bell.release()
            except RuntimeError:  # it was let go before
                pass

    def _read_for_all(self, connection: _Connection, seconds: float) -> bool:
        """False if another thread reads."""
        got: List[bool] = []
        try:
            got.extend(map(connection.reader.acquire, (False,)))
            if got[0]:
                connection.read(seconds)
            return got[0]
        except OSError as why:
            connection.error = connection.error or why
            return True
        finally:
            if got and got[0]:
                connection.reader.release()
                self._ring()

    def _read_until(self, connection: _Connection, ready: Callable[[], bool], deadline: Optional[float]) -> None:
        """Until it is ready: one thread reads for all that wait. TimeoutError, or the connection's error."""
        bell = threading.Lock()
        bell.acquire()
        try:
            self._bells.append(bell)  # before looking whether anybody reads, who rings when that is over
            while True:
                with self._lock:
                    self._take_in(connection)
                    if ready():
                        return
                    if connection.error is not None:
                        raise connection.error
                left = _LOOK_AGAIN if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise _wire.too_late(connection.refusal)
                left = min(left, _LOOK_AGAIN)
                if not self._read_for_all(connection, left):
                    bell.acquire(timeout=left)
        finally:
            if bell in self._bells:
                self._bells.remove(bell)

    def _send(self, connection: _Connection, number: int, line: bytes, deadline: float) -> None:
        with self._lock:
            if connection.error is not None:
                raise connection.error
            view = memoryview(line)
            connection.sent[number] = True
            connection.out.append(view)
        try:
            connection.send(deadline)
        except TimeoutError:
            self._give_up(connection, _wire.lost())  # half a line was sent, perhaps
            raise
        except OSError:
            pass  # it closed; why, it may have said before: that is read now

    def _exchange(self, connection: _Connection, number: int, line: bytes, deadline: float) -> Answer:
        try:
            self._send(connection, number, line, deadline)
            self._read_until(connection, lambda: number in connection.answers, deadline)
            return connection.answers.pop(number)
        except TimeoutError:
            raise
        except OSError as why:
            self._give_up(connection, why)
            raise _wire.lost() from why
        finally:
            with self._lock:
                if number in connection.sent:
                    connection.sent[number] = False
                connection.answers.pop(number, None)

    def _give_up(self, connection: _Connection, why: Exception) -> None:
        with self._lock:
            connection.error = connection.error or why
        connection.close()
        self._ring()

    # ---- connecting again ----

    def _subscribe(self, connection: _Connection, deadline: float) -> None:
        number = next(self._numbers)
        with self._lock:
            wanted = _wire.call_filter({stream.call_id for stream in self._streams})
        _wire.checked(self._exchange(connection, number, _wire.request_line(number, "events", {"call_id": wanted}), deadline))

    def _connect_again(self, deadline: float) -> None:
        connection = _Connection(self._path, self._uid, deadline)
        try:
            if self._streams:
                self._subscribe(connection, deadline)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if self._connection.error is None:  # a signal's handler was here meanwhile
                return connection.close()
            self._connection = connection
            for stream in self._streams:
                stream.put(_wire.missed())
        self._ring()

    def _connected(self, deadline: Optional[float]) -> _Connection:
        while True:
            with self._connecting:
                connection = self._connection
                if self._closed:
                    raise _wire.lost()
                if connection.error is None:
                    return connection
                if not self._reconnect:
                    raise _wire.lost() from connection.error
                pause = self._back_off.left()
                if pause == 0:
                    self._back_off.tried()
                    try:
                        self._connect_again(min(deadline or float("inf"), time.monotonic() + self._timeout))
                        continue
                    except PermissionError:
                        raise
                    except (OSError, ControlError):
                        pause = self._back_off.left()
                        if deadline is not None and time.monotonic() + pause >= deadline:
                            raise
            if deadline is not None:
                if time.monotonic() >= deadline:
                    raise _wire.lost() from connection.error
                pause = min(pause, max(0.0, deadline - time.monotonic()))
            time.sleep(pause)

    # ---- requests ----

    def request(self, do: str, *, waits: float = 0.0, **members: Any) -> Answer:
        """Ask, and return the answer; :class:`ControlError` if it is an error without a receipt. ``waits``: seconds that the
        engine itself may wait, besides the time-out."""
        self._owner.check()
        number = next(self._numbers)
        line = _wire.request_line(number, do, members)
        deadline = time.monotonic() + self._timeout + waits
        while True:
            try:
                return _wire.checked(self._exchange(self._connected(deadline), number, line, deadline), line)
            except ConnectionError:
                if not self._reconnect or self._closed or time.monotonic() >= deadline:
                    raise

    def hello(self) -> Answer:
        """Version, process id, and whether opt-out is enabled."""
        return self.request("hello")

    def opt_out(
        self,
        call_id: str,
        source: str = "control",
        language: str = "en",
        company: Optional[str] = None,
        wait: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Answer:
        """Opt a call out, durably. The answer has ``status``, ``sentence`` and ``receipt`` (its signed line). ``wait``: for "erased"
        or "verified", at most ``timeout`` seconds (5 without; 60 at most)."""
        return self.request(
            "opt_out",
            waits=_wire.seconds_waited(wait, timeout),
            **_wire.opt_out_members(call_id, source, language, company, wait, timeout),
        )

    def status(self, call_id: str, language: str = "en") -> Answer:
        """What is known of a call's opt-out now."""
        return self.request("status", call_id=call_id, language=language)

    def pending(self) -> List[Answer]:
        """Opt-outs whose erasure is not verified yet, at most 100."""
        return self.request("pending")["pending"]

    def tool_definition(self, dialect: str, **options: Any) -> Answer:
        """The tool for an agent; ControlError "RCO_E_NOT_AVAILABLE" while there is none."""
        return self.request("tool", dialect=dialect, **options)["definition"]

    def tool_call(
        self, call_id: str, message: Any, dialect: str = "auto", wait: Optional[float] = None, **options: Any
    ) -> Answer:
        """A language model called a tool in the call that you name: ``answer`` is for the platform. ``message``: an object, or text or
        bytes as they came. ``wait``: so many seconds for "erased"."""
        return self.request(
            "tool_call",
            waits=wait or 0.0,
            call_id=call_id,
            message=message,
            dialect=dialect,
            wait_ms=_wire.milliseconds(wait),
            **options,
        )

    def events(self, call_id: Optional[str] = None) -> "Iterator[Answer]":
        """Events from now on, of one call or of all; for one thread. They end with the connection, by
        :class:`ConnectionError`; with ``reconnect`` they go on, and ``{"event": "lost", "count": 0}`` tells that some may be missing."""
        self._owner.check()
        stream = _wire.Kept(call_id)
        try:
            with self._lock:
                self._streams.append(stream)
            self._subscribe(self._connected(time.monotonic() + self._timeout), time.monotonic() + self._timeout)
        except BaseException:
            self._forget(stream)
            raise
        return self._each_event(stream)

    def _forget(self, stream: _wire.Kept) -> None:
        if self._owner.in_child:
            return
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)

    def _next_event(self, stream: _wire.Kept) -> Answer:
        found: List[Answer] = []

        def ready() -> bool:
            event = stream.take()
            if event is not None:
                found.append(event)
            return event is not None

        self._owner.check()
        while not found:
            connection = self._connected(None)
            try:
                self._read_until(connection, ready, None)
            except OSError as why:
                self._give_up(connection, why)
                if not self._reconnect or self._closed:
                    raise _wire.lost() from why
        return found[0]

    def _each_event(self, stream: _wire.Kept) -> "Iterator[Answer]":
        try:
            while True:
                yield self._next_event(stream)
        finally:
            self._forget(stream)

    def close(self) -> None:
        """Close the connection: what waits for it gets :class:`ConnectionError`. In a child after fork(): the child's descriptor."""
        if self._owner.in_child:
            return _wire.let_go(self._connection.socket.fileno())
        self._closed = True
        self._give_up(self._connection, _wire.lost())

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
