# SPDX-License-Identifier: MIT
"""One call."""

from __future__ import annotations

import asyncio
import ctypes
import json as _json
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from . import _abi, agent
from ._abi import lib
from .errors import check, error
from .receipt import Receipt

if TYPE_CHECKING:
    from .engine import Engine

#: audio formats by name: G.711 and linear PCM, 16 bit in the machine's byte order, one channel
FORMATS = {"pcmu": 1, "pcma": 2, "s16-8k": 3, "s16-16k": 4, "s16-24k": 5, "s16-48k": 6}
_WAITS = {None: 0, "erased": 5, "verified": 6}


def opt_out_options(source: str, wait: Optional[str], timeout: float, nonblock: bool) -> _abi.OptOutOptions:
    """The C options of an opt-out."""
    if wait not in _WAITS:
        raise ValueError("wait is None, 'erased' or 'verified'")
    options = _abi.OptOutOptions(
        wait_status=_WAITS[wait], timeout_ms=int(timeout * 1000), source=_abi.text(source)
    )
    options.flags = _abi.OPT_OUT_NONBLOCK if nonblock else 0
    return options


def opt_out_result(code: int, handle: ctypes.c_void_p) -> Receipt:
    """The receipt; where the library says more than "done", it goes with the exception."""
    why = error(code) if code < 0 else None
    receipt = Receipt._take(handle)
    if why is not None:
        if hasattr(type(why), "receipt"):
            why.receipt = receipt  # type: ignore[attr-defined]
        raise why
    if receipt is None:
        raise MemoryError("the opt-out stands, but there was no memory for its receipt")
    return receipt


class Session:
    """A call that may be recorded. Made by :meth:`Engine.session`; use it as a context manager, or close() it.

    Methods may be called from any thread, push() from one thread at a time for each leg. All raise
    :class:`RecoptoutError` or one of its classes.
    """

    def __init__(self, engine: "Engine", handle: ctypes.c_void_p, call_id: str) -> None:
        self._engine = engine
        self._handle: Optional[ctypes.c_void_p] = handle
        self._legs: Dict[int, int] = {}
        self._push = lib.rco_session_push
        self.call_id = call_id

    @property
    def _live(self) -> ctypes.c_void_p:
        if self._handle is None:
            raise ValueError(f"the session of call {self.call_id} is closed")
        return self._handle

    # ---- recording ----

    def add_leg(self, label: str, format: str = "pcmu") -> int:
        """A direction of audio; its number. ``format``: "pcmu", "pcma", "s16-8k", "s16-16k", "s16-24k", "s16-48k"."""
        if format not in FORMATS:
            raise ValueError(f"unknown format {format!r}; there are {', '.join(FORMATS)}")
        leg = ctypes.c_uint32()
        check(lib.rco_session_add_leg(self._live, _abi.text(label), FORMATS[format], ctypes.byref(leg)))
        self._legs[leg.value] = FORMATS[format]
        return leg.value

    def start(self) -> None:
        """Record from now on; with consent "ask_first", from when it is granted."""
        check(lib.rco_session_start(self._live))

    def push(self, leg: int, frame: Any) -> bool:
        """One frame of a leg: whole samples in any object with a buffer, 20 ms as a rule.

        True if it was accepted; False if nothing is being recorded: opted out, paused, ended, not started, no consent.
        Raises for a full ring ("RCO_E_OVERFLOW") and for what is wrong with the frame.
        """
        if type(frame) is bytes:
            code = self._push(self._live, leg, self._legs.get(leg, 0), frame, len(frame))
        else:
            code = self._push_buffer(leg, frame)
        if code == 0:
            return True
        if -17 <= code <= -13:  # RCO_E_OPTED_OUT to RCO_E_NO_CONSENT
            return False
        raise error(code)

    def _push_buffer(self, leg: int, frame: Any) -> int:
        view = _abi.PyBuffer()
        _abi.get_buffer(frame, ctypes.byref(view), 0)  # raises by itself
        try:
            return self._push(self._live, leg, self._legs.get(leg, 0), view.buf, view.len)
        finally:
            _abi.release_buffer(ctypes.byref(view))

    def pause(self) -> None:
        """Accept nothing until resume()."""
        check(lib.rco_session_pause(self._live))

    def resume(self) -> None:
        """Accept frames again. Never for a call that was opted out: that raises :class:`OptedOut`."""
        check(lib.rco_session_resume(self._live))

    def end(self) -> None:
        """The call is over. What was recorded is stored when the window for late opt-outs has passed."""
        check(lib.rco_session_end(self._live))

    def set_consent(self, granted: bool) -> None:
        """What the caller answered. No is an opt-out, and as final."""
        check(lib.rco_session_set_consent(self._live, int(granted)))

    def set_legal_hold(self, hold: bool) -> None:
        """Keep what was recorded even if the call is opted out; recording stops all the same."""
        check(lib.rco_session_set_legal_hold(self._live, int(hold)))

    def register_artifact(self, location: str, kind: int = 1, version: Optional[str] = None) -> None:
        """A copy that the library did not make, to be erased with the call. ``kind``: 1 audio, 2 transcript, 4 analytics."""
        check(lib.rco_session_register_artifact(self._live, kind, _abi.text(location), _abi.text(version)))

    # ---- opting out ----

    @property
    def opt_out_enabled(self) -> bool:
        """Whether this call can be opted out: if not, give its agent no tool."""
        return check(lib.rco_session_opt_out_enabled(self._live)) == 1

    def opt_out(
        self, source: str = "python", wait: Optional[str] = None, timeout: float = 5.0, nonblock: bool = False
    ) -> Receipt:
        """The caller objects: stop recording, and erase what was recorded. Cannot be undone.

        When it returns nothing is accepted any more and the request is durable; with ``nonblock`` only the first, and an
        event says the second. ``wait``: "erased" or "verified", for at most ``timeout`` seconds.

        Raises :class:`NotDurable`, :class:`WaitTimeout` or :class:`BackendError`, with the receipt, where the call was
        stopped but not all is well; :class:`NotAvailable` and :class:`CallEnded` where nothing was done.
        """
        handle = ctypes.c_void_p()
        options = opt_out_options(source, wait, timeout, nonblock)
        return opt_out_result(lib.rco_opt_out(self._live, ctypes.byref(options), ctypes.byref(handle)), handle)

    async def opt_out_async(self, source: str = "python", wait: Optional[str] = None, timeout: float = 5.0) -> Receipt:
        """The same for coroutines. Recording has stopped before it waits for anything, and a cancellation undoes nothing."""
        self.opt_out(source, nonblock=True)
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self.opt_out, source, wait, timeout))

    @property
    def receipt(self) -> Optional[Receipt]:
        """What is known of this call's opt-out now; None without one."""
        handle = ctypes.c_void_p()
        code = lib.rco_session_receipt(self._live, ctypes.byref(handle))
        if code == _abi.E_NOT_FOUND:
            return None
        check(code)
        return Receipt._take(handle)

    # ---- agents ----

    def tool_definition(self, dialect: str, **options: Any) -> Dict[str, Any]:
        """The tool for this call's agent, see :meth:`Engine.tool_definition`."""
        return self._engine.tool_definition(dialect, session=self, **options)

    def tool_call(self, message: Any, dialect: str = "auto", **options: Any) -> agent.ToolAnswer:
        """A language model called a tool in this call, see :meth:`Engine.tool_call`."""
        return self._engine.tool_call(message, dialect, session=self, **options)

    async def tool_call_async(self, message: Any, dialect: str = "auto", **options: Any) -> agent.ToolAnswer:
        """The same for coroutines; a cancellation undoes nothing."""
        run: Callable[[], agent.ToolAnswer] = lambda: self.tool_call(message, dialect, **options)
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, run))

    def agent_said(self, text: str, language: Optional[str] = None) -> frozenset:
        """A turn of the agent. Claims in it that are not true, a set of "stopped" and "erased"; an event tells them too."""
        data = text.encode("utf-8", "replace")
        untrue = ctypes.c_uint32()
        check(lib.rco_agent_turn(self._live, _abi.text(language), data, len(data), ctypes.byref(untrue)))
        return agent.claim_names(untrue.value)

    # ---- looking ----

    @property
    def stats(self) -> Dict[str, Any]:
        """Counters: state, legs, accepted_bytes, accepted_frames, overflowed_frames, buffered_bytes, times in microseconds."""
        raw = _abi.SessionStats()
        check(lib.rco_session_get_stats(self._live, ctypes.byref(raw)))
        found = {name: getattr(raw, name) for name, _ in _abi.SessionStats._fields_[1:-1]}
        found["state"] = lib.rco_session_state_name(raw.state).decode()
        return found

    @property
    def state(self) -> str:
        """ "idle", "recording", "paused", "ended", "opted_out", "erasing", "verified", ..."""
        return self.stats["state"]

    @property
    def call_record(self) -> Dict[str, Any]:
        """The call record: what is kept of a call also after an opt-out."""
        buffer = ctypes.create_string_buffer(8192)
        size = ctypes.c_size_t()
        check(lib.rco_session_call_record(self._live, buffer, len(buffer), ctypes.byref(size)))
        return _json.loads(buffer.value)

    # ---- life ----

    def close(self) -> None:
        """Give the handle back. A call that has not ended is ended; uploads and erasures go on."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._engine._forget(self)
            lib.rco_session_free(handle)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
