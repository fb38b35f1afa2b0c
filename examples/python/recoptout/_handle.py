# SPDX-License-Identifier: MIT
"""Objects of C, whose life is that of the Python objects that point to them.

A signal's handler may raise between any two steps of Python: Ctrl-C, a time limit. So nothing here is a pair of steps, of which
the second would be missing then. What points to an object of C frees it when the last reference goes, and who is inside the
library holds one on the interpreter's stack, from where it vanishes however the function ends. All of this is C: no step of
Python, at which a handler could run, is taken between the making of an object and its having an owner, nor to free it.
"""

from __future__ import annotations

import ctypes
import functools
import operator
import os
import sys
import threading
import types
from typing import Any, Callable, Set, Type, TypeVar

from . import _abi
from ._abi import E_FORKED, E_INVALID, lib
from .errors import RecoptoutError

_F = TypeVar("_F", bound=Callable[..., Any])
_generation = 0


def _forked() -> None:
    global _generation
    _generation += 1


# What other threads were doing at the fork is never finished in the child: there nothing is entered any more.
os.register_at_fork(after_in_child=_forked)


class Birth:
    """The process in which something was made."""

    def __init__(self) -> None:
        self._born = _generation

    @property
    def is_foreign(self) -> bool:
        """Whether this is a child of that process."""
        return self._born != _generation

    def check(self) -> None:
        """Raise in a child."""
        if self._born != _generation:
            raise RecoptoutError(E_FORKED)


# ---- what the library calls ----

_callbacks: Set[types.CodeType] = set()


def callback(function: _F) -> _F:
    """Decorates what the library calls, on a thread of its own or on the one that called it."""
    _callbacks.add(function.__code__)  # type: ignore[attr-defined]
    return function


def in_callback() -> bool:
    """Whether this thread is inside one."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code in _callbacks:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


# ---- owners ----


def _owner(name: str, free: Any) -> Type[ctypes.c_void_p]:
    """A pointer that frees what it points to. It is given to C to be filled in, so that there is no moment without an owner."""
    return type(name, (ctypes.c_void_p,), {"__del__": property(functools.partial(types.MethodType, free))})


def _agent_owner(name: str, free: str) -> Type[ctypes.c_void_p]:
    """The same of librecoptout-agent. Without that library there is nothing to be owned."""
    return _owner(name, getattr(_abi.agent, free)) if _abi.has_agent else type(name, (ctypes.c_void_p,), {})


EngineOwner = _owner("EngineOwner", lib.rco_engine_free)
SessionOwner = _owner("SessionOwner", lib.rco_session_free)
ControlOwner = _agent_owner("ControlOwner", "rco_control_close")
BookOwner = _agent_owner("BookOwner", "rco_phrasebook_free")
ReceiptOwner = _owner("ReceiptOwner", lib.rco_receipt_free)
AnswerOwner = _agent_owner("AnswerOwner", "rco_tool_answer_free")


class View(_abi.PyBuffer):
    """The bytes of an object, as long as this lives."""

    __del__ = property(functools.partial(types.MethodType, _abi.release_buffer))


class Entry(ctypes.c_void_p):
    """A pointer whose last reference opens a lock, for who waits until nobody has it any more."""

    __del__ = property(operator.attrgetter("left"))

    def __init__(self, pointer: ctypes.c_void_p, lock: threading.Lock) -> None:
        self.left = lock.release
        super().__init__(pointer.value)


# ---- handles ----


class Handle(Birth):
    """A pointer that can be taken away, while others are still inside with it.

    Nobody keeps ``raw`` in a variable: who reads it as an argument of a call has a reference that ends with the call.
    """

    def __init__(self, raw: Any, closed: str) -> None:
        super().__init__()
        self.raw = raw
        self._closed = closed

    @property
    def is_open(self) -> bool:
        """Whether shut() is still to come."""
        return self.raw is not None

    def twin(self) -> "Handle":
        """Another one, which is open until it is shut itself."""
        return Handle(self.entered(), self._closed)

    def entered(self) -> Any:
        """The pointer; raises if it has been taken away, or this is not the process that made it."""
        self.check()
        raw = self.raw
        if raw is None:
            raise ValueError(self._closed)
        return raw

    def call(self, function: Callable[..., int], *arguments: Any) -> int:
        """What a function of C answers."""
        self.check()
        return self.answered(function(self.raw, *arguments))

    def answered(self, code: int) -> int:
        """The code; raises if C was given NULL, because the pointer was taken away meanwhile."""
        if code == E_INVALID and self.raw is None:
            raise ValueError(self._closed)
        return code

    def shut(self) -> None:
        """Let nobody in any more. It is freed, now or as soon as the last one has left."""
        if not self.is_foreign:
            self.raw = None
