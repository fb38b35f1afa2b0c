# SPDX-License-Identifier: MIT
"""What both clients of the control socket say, and understand."""

from __future__ import annotations

import collections
import errno
import json
import os
import socket
import struct
import time
from typing import Any, Deque, Dict, Optional, Set, Tuple, Union

from ._message import Read, message_bytes, unreadable

LINE_MAX = 65536
EVENTS_MAX = 10000  # that nobody has asked for yet
BACK_OFF = (0.02, 1.0)  # seconds between tries to connect again: the shortest, and the longest

Path = Union[str, "os.PathLike[str]"]
Answer = Dict[str, Any]


class ControlError(Exception):
    """The engine answered an error: ``code`` and ``name`` ("RCO_E_ENDED") are the library's."""

    __module__ = "recoptout.control"

    def __init__(self, answer: Answer) -> None:
        self.code: int = answer.get("code", 0)
        self.name: str = answer.get("error", "")
        self.answer = answer
        super().__init__(f"{self.name}: {answer.get('detail', '')}")

    def __reduce__(self) -> Tuple[Any, ...]:
        return ControlError, (self.answer,)


def request_line(number: int, do: str, members: Dict[str, Any]) -> bytes:
    if "id" in members:
        raise ValueError("the client numbers its requests itself")
    asked = {"do": do, "id": number, **{name: value for name, value in members.items() if value is not None}}
    message = asked.pop("message", None)
    line, unread = json.dumps(asked, allow_nan=False), None
    if len(line) + 2 > LINE_MAX:
        raise ValueError(f"a request without its message is at most {LINE_MAX} bytes long")
    if message is not None:
        text, unread = message_text(message)
        line = f'{line[:-1]}, "message": {text}}}'
    return Read(line.encode("ascii") + b"\n", unread)


def message_text(message: Any) -> Tuple[str, Optional[str]]:
    """As JSON; as a string of JSON if it came as text, or has what JSON cannot say: its reader decides, not this end."""
    if isinstance(message, str):
        return json.dumps(message), None
    data = message_bytes(message)
    text = data.decode("utf-8", "replace")
    as_text = isinstance(message, (bytes, bytearray, memoryview)) or "NaN" in text or "Infinity" in text
    return json.dumps(text) if as_text else text, unreadable(data)


async def raised(why: Exception) -> Any:
    raise why


def checked(answer: Answer, line: bytes = b"") -> Answer:
    if answer.get("calls") == 0 and unreadable(line):
        raise TypeError(unreadable(line))
    if not answer.get("ok") and "receipt" not in answer:
        raise ControlError(answer)
    return answer


def milliseconds(seconds: Optional[float]) -> Optional[int]:
    return None if seconds is None else int(seconds * 1000)


def check_server(connection: socket.socket, path: str, uid: Optional[int]) -> None:
    pid, found, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    expected = os.geteuid() if uid is None else uid
    if found not in (expected, 0):
        raise PermissionError(f"{path} is served by user {found}, not by user {expected} or root")
    # The process that listens serves, and nobody else: a child that has the socket still gives no answer. 0 cannot be seen from here.
    if pid > 0 and not _is_there(pid):
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"process {pid} has ended, and a child of it keeps the socket", path)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def lost() -> ConnectionError:
    return ConnectionError("the connection to the engine is lost")


def parsed(line: bytes) -> Answer:
    answer = json.loads(line)
    if not isinstance(answer, dict) or not isinstance(answer.get("id", 0), (int, str)):
        raise ValueError("an answer is an object, with an id of ours or none")
    return answer


def too_late(refusal: Optional[Answer]) -> TimeoutError:
    said = "" if refusal is None else f"; to one of the requests the engine said: {ControlError(refusal)}"
    return TimeoutError("no answer in time" + said)


class BackOff:
    """When to connect again: at once, later and later if that does not last, and at once again if it did."""

    def __init__(self) -> None:
        self._pause = 0.0
        self._next = float("-inf")

    def left(self) -> float:
        """Seconds until it may be tried."""
        return max(0.0, self._next - time.monotonic())

    def tried(self) -> None:
        now = time.monotonic()
        if now - self._next >= BACK_OFF[1]:
            self._pause = 0.0
        self._pause = min(max(self._pause * 2, BACK_OFF[0]), BACK_OFF[1])
        self._next = now + self._pause


class Owner:
    """The process that made a connection. A child has its descriptor too, and would read the answers to its parent."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def in_child(self) -> bool:
        """Whether this is a child of that process. Locks may be held there by threads that are not here: take none."""
        return self._pid != os.getpid()

    def check(self) -> None:
        if self.in_child:
            detail = "the connection belongs to the parent process: connect again"
            raise ControlError({"ok": False, "code": -22, "error": "RCO_E_FORKED", "detail": detail})


def let_go(descriptor: int) -> None:
    """Close a child's descriptor, and nothing of its parent's: neither shutdown(2) nor what an event loop undoes in an epoll(7)
    that both have. Its number stays taken, for the one who closes it later."""
    if descriptor >= 0:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


def missed() -> Answer:
    """What tells that events may be missing. Each is one of its own."""
    return {"event": "lost", "count": 0}


def wanted(event: Answer, call_id: Optional[str]) -> bool:
    return call_id is None or event.get("call_id", call_id) == call_id


def call_filter(call_ids: Set[Optional[str]]) -> Optional[str]:
    """What to subscribe to: one call, or all."""
    return next(iter(call_ids)) if len(call_ids) == 1 else None


class Kept:
    """Events that nobody has asked for yet; those that did not fit are counted."""

    def __init__(self, call_id: Optional[str]) -> None:
        self.call_id = call_id
        self._events: Deque[Answer] = collections.deque()
        self._last: Optional[Answer] = None
        self._missed = 0

    def put(self, event: Answer) -> None:
        """Once, though one that was torn out of it puts it again."""
        if not wanted(event, self.call_id):
            return
        fits = len(self._events) < EVENTS_MAX and self._missed == 0
        if event is self._last:
            return
        self._last = event
        if fits:
            self._events.append(event)
        else:
            self._missed += 1

    def take(self) -> Optional[Answer]:
        if self._events:
            return self._events.popleft()
        if self._missed:
            count, self._missed = self._missed, 0
            return {"event": "lost", "count": count}
        return None


def seconds_waited(wait: Optional[str], timeout: Optional[float]) -> float:
    return 0.0 if wait is None else min(timeout or 5.0, 60.0)


def opt_out_members(
    call_id: str, source: str, language: str, company: Optional[str], wait: Optional[str], timeout: Optional[float]
) -> Dict[str, Any]:
    return {
        "call_id": call_id,
        "source": source,
        "language": language,
        "company": company,
        "wait": wait,
        "timeout_ms": milliseconds(timeout),
    }
