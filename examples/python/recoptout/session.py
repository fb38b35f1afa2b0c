# SPDX-License-Identifier: MIT
"""One call."""

from __future__ import annotations

import asyncio
import ctypes
import json as _json
import warnings
from typing import TYPE_CHECKING, Any, Callable, Coroutine, Dict, Optional, TypeVar

from . import _abi, _arguments, agent
from ._abi import lib
from ._handle import Handle, ReceiptOwner, View
from .errors import RecoptoutError, check, error
from .receipt import Receipt

if TYPE_CHECKING:
    from .engine import Engine

#: audio formats by name: G.711 and linear PCM, 16 bit in the machine's byte order, one channel
FORMATS = {"pcmu": 1, "pcma": 2, "s16-8k": 3, "s16-16k": 4, "s16-24k": 5, "s16-48k": 6}
_T = TypeVar("_T")
_WAITS = {"erased": 5, "verified": 6}


def opt_out_options(source: str, wait: Optional[str], timeout: float, nonblock: bool) -> _abi.OptOutOptions:
    """The C options of an opt-out."""
    options = _abi.OptOutOptions(
        wait_status=0 if wait is None else _arguments.choice("wait", wait, _WAITS),
        timeout_ms=_arguments.milliseconds("timeout", timeout),
        source=_arguments.label(source, "python"),
    )
    options.flags = _abi.OPT_OUT_NONBLOCK if _arguments.switch("nonblock", nonblock) else 0
    return options


def artifact(location: str, kind: int, version: Optional[str]) -> tuple:
    """The C arguments of an artifact."""
    return _arguments.whole("kind", kind), _arguments.string("location", location), _arguments.text("version", version)


def opt_out_result(code: int, handle: ReceiptOwner) -> Receipt:
    """The receipt, which says what is outstanding of a request that stands."""
    check(code)
    if not handle:
        raise MemoryError("the opt-out stands, but there was no memory for its receipt")
    return Receipt._read(handle)


#: what is raised to who awaits; all else is no answer of ours, and not kept from who calls
_REFUSED = (RecoptoutError, TypeError, ValueError)


async def _raise(why: Exception) -> Any:
    raise why


async def _return(answer: _T) -> _T:
    return answer


async def _on_a_thread(work: Callable[[], _T]) -> _T:
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, work))


def _opt_out(handle: Handle, options: _abi.OptOutOptions) -> Receipt:
    receipt = ReceiptOwner()
    return opt_out_result(handle.call(lib.rco_opt_out, ctypes.byref(options), ctypes.byref(receipt)), receipt)


def _push_frame(session: Any, frame: _abi.Frame) -> int:
    frame.session = session.value
    lib.rco_frames_push(ctypes.byref(frame), 1)
    return frame.result


class Session:
    """A call that may be recorded. Made by :meth:`Engine.session`; use it as a context manager, or close() it.

    Methods may be called from any thread, push() from one thread at a time for each leg. All raise
    :class:`RecoptoutError` or one of its classes.
    """

    def __init__(self, engine: "Engine", handle: Handle, call_id: str) -> None:
        self._engine = engine
        self._handle = handle
        self._legs: Dict[int, int] = {}
        self._push = lib.rco_session_push
        self.call_id = call_id

    def __repr__(self) -> str:
        try:
            state = self.state
        except (ValueError, RecoptoutError):
            state = "closed"
        return f"<recoptout.Session {self.call_id!r}: {state}, {len(self._legs)} legs>"

    def _ask(self, function: Callable[..., int], *arguments: Any) -> int:
        return check(self._handle.call(function, *arguments))

    # ---- recording ----

    def add_leg(self, label: str, format: str = "pcmu") -> int:
        """A direction of audio; its number. ``format``: "pcmu", "pcma", "s16-8k", "s16-16k", "s16-24k", "s16-48k"."""
        number = _arguments.choice("format", format, FORMATS)
        leg = ctypes.c_uint32()
        self._ask(lib.rco_session_add_leg, _arguments.string("label", label), number, ctypes.byref(leg))
        self._legs[leg.value] = number
        return leg.value

    def start(self) -> None:
        """Record from now on; with consent "ask_first", from when it is granted."""
        self._ask(lib.rco_session_start)

    def push(self, leg: int, frame: Any, position: Optional[int] = None) -> bool:
        """One frame of a leg: whole samples in any object with a buffer, 20 ms as a rule.

        ``position``: where it begins on the leg's clock, in samples; what is not pushed before it is silence. None:
        right behind the last frame.

        True if it was accepted; False if nothing is being recorded: opted out, paused, ended, not started, no consent.
        Raises for a full ring ("RCO_E_OVERFLOW"), for a frame that is late or overlaps ("RCO_E_POSITION"), and for what
        is wrong with the frame.
        """
        if type(leg) is not int or leg not in self._legs:
            leg = _arguments.whole("leg", leg)
        format = self._legs.get(leg, 0)
        if position is not None:
            code = self._push_at(leg, format, frame, _arguments.whole("position", position, most=(1 << 64) - 2))
        elif type(frame) is bytes:
            code = self._handle.call(self._push, leg, format, frame, len(frame))
        else:
            code = self._push_buffer(leg, format, frame)
        if code == 0:
            return True
        if -17 <= code <= -13:  # RCO_E_OPTED_OUT to RCO_E_NO_CONSENT
            return False
        raise error(code)

    def _push_at(self, leg: int, format: int, frame: Any, position: int) -> int:
        view = View()
        try:
            _abi.get_buffer(frame, ctypes.byref(view), 0)  # raises by itself
            if view.len >= 1 << 32:
                return -11  # RCO_E_FRAME
            one = _abi.Frame(None, view.buf, position, view.len, leg, format)
            return self._handle.call(_push_frame, one)
        finally:
            del view  # a traceback would keep it

    def _push_buffer(self, leg: int, format: int, frame: Any) -> int:
        view = View()
        try:
            _abi.get_buffer(frame, ctypes.byref(view), 0)  # raises by itself
            return self._handle.call(self._push, leg, format, view.buf, view.len)
        finally:
            del view  # a traceback would keep it

    def pause(self) -> None:
        """Accept nothing until resume()."""
        self._ask(lib.rco_session_pause)

    def resume(self) -> None:
        """Accept frames again. Never for a call that was opted out: that raises :class:`OptedOut`."""
        self._ask(lib.rco_session_resume)

    def end(self) -> None:
        """The call is over. What was recorded is stored when the window for late opt-outs has passed."""
        self._ask(lib.rco_session_end)

    def set_consent(self, granted: bool) -> None:
        """What the caller answered. No is an opt-out, and as final."""
        self._ask(lib.rco_session_set_consent, _arguments.switch("granted", granted))

    def set_legal_hold(self, hold: bool) -> None:
        """Keep what was recorded even if the call is opted out; recording stops all the same."""
        self._ask(lib.rco_session_set_legal_hold, _arguments.switch("hold", hold))

    def register_artifact(self, location: str, kind: int = 1, version: Optional[str] = None) -> None:
        """A copy that the library did not make, to be erased with the call. ``kind``: 1 audio, 2 transcript, 4 analytics."""
        self._ask(lib.rco_session_register_artifact, *artifact(location, kind, version))

    # ---- opting out ----

    @property
    def opt_out_enabled(self) -> bool:
        """Whether this call can be opted out: if not, give its agent no tool."""
        return self._ask(lib.rco_session_opt_out_enabled) == 1

    def opt_out(
        self, source: str = "python", wait: Optional[str] = None, timeout: float = 5.0, nonblock: bool = False
    ) -> Receipt:
        """The caller objects: stop recording, and erase what was recorded. Cannot be undone.

        When it returns nothing is accepted any more, and the request is durable, unless the receipt's ``reason`` says
        something else: with ``nonblock``, or where the disk or the host's recorder fails so far. Events tell when that has
        come. ``wait``: "erased" or "verified", for at most ``timeout`` seconds.

        Raises only where nothing was done: :class:`NotAvailable`, :class:`CallEnded` and the like.
        """
        return _opt_out(self._handle, opt_out_options(source, wait, timeout, nonblock))

    def opt_out_async(
        self, source: str = "python", wait: Optional[str] = None, timeout: float = 5.0
    ) -> "Coroutine[Any, Any, Receipt]":
        """The same for coroutines: recording has stopped when this returns a coroutine, which is awaited, or made a task of, for the
        receipt. A cancellation undoes nothing, also one that comes first, and the receipt comes also if the call is closed meanwhile.

        What :meth:`opt_out` raises is raised to who awaits. If the engine is closed meanwhile its next one says whether the request
        is durable, and the receipt is that of the beginning.
        """
        try:
            options = opt_out_options(source, wait, timeout, False)
            first = _opt_out(self._handle, opt_out_options(source, None, 0.0, True))
            handle = self._engine._twin(self._handle)
        except _REFUSED as why:
            return _raise(why)

        def answer() -> Receipt:
            try:
                return _opt_out(handle, options)
            except ValueError:
                return first

        return _on_a_thread(answer)

    @property
    def receipt(self) -> Optional[Receipt]:
        """What is known of this call's opt-out now; None without one."""
        handle = ReceiptOwner()
        code = self._handle.call(lib.rco_session_receipt, ctypes.byref(handle))
        return None if code == _abi.E_NOT_FOUND or check(code) < 0 else Receipt._read(handle)

    # ---- agents ----

    def tool_definition(self, dialect: str, **options: Any) -> Dict[str, Any]:
        """The tool for this call's agent, see :meth:`Engine.tool_definition`."""
        return self._engine.tool_definition(dialect, session=self, **options)

    def tool_call(self, message: Any, dialect: str = "auto", **options: Any) -> agent.ToolAnswer:
        """A language model called a tool in this call, see :meth:`Engine.tool_call`."""
        return self._engine.tool_call(message, dialect, session=self, **options)

    def tool_call_async(
        self, message: Any, dialect: str = "auto", **options: Any
    ) -> "Coroutine[Any, Any, agent.ToolAnswer]":
        """The same for coroutines: if it was our tool, recording has stopped when this returns a coroutine, which is awaited, or made
        a task of, for the answer. A cancellation undoes nothing, also one that comes first, and the answer comes also if the call or
        the engine is closed meanwhile. What :meth:`tool_call` raises is raised to who awaits.
        """
        try:
            _arguments.milliseconds("wait", options.get("wait", 0.0))
            data = agent.message_bytes(message)
            handle = self._engine._twin(self._handle)
            first = self._engine._tool_call(data, dialect, handle, nonblock=True, **{**options, "wait": 0})
        except _REFUSED as why:
            return _raise(why)

        def answer() -> agent.ToolAnswer:
            try:
                return self._engine._tool_call(data, dialect, handle, **options)
            except ValueError:  # the engine was closed: what was so then is what can be said
                return first

        return _on_a_thread(answer) if first.calls > 0 else _return(first)

    def agent_said(self, text: str, language: Optional[str] = None) -> frozenset:
        """A turn of the agent. Claims in it that are not true, a set of "stopped" and "erased"; an event tells them too."""
        data = agent.said(text)
        untrue = ctypes.c_uint32()
        tag = _arguments.text("language", language)
        self._ask(_abi.agent.rco_session_check_claims, tag, data, len(data), ctypes.byref(untrue))
        return agent.claim_names(untrue.value)

    # ---- looking ----

    @property
    def stats(self) -> Dict[str, Any]:
        """Counters: state, legs, accepted_bytes, accepted_frames, overflowed_frames, buffered_bytes, late_frames, gap_bytes, times in microseconds."""
        raw = _abi.SessionStats()
        self._ask(lib.rco_session_get_stats, ctypes.byref(raw))
        found = {name: getattr(raw, name) for name, _ in _abi.SessionStats._fields_[1:-1]}
        found["state"] = lib.rco_session_state_name(raw.state).decode()
        return found

    @property
    def state(self) -> str:
        """ "idle", "recording", "paused", "ended", "uploading", "stored", "opted_out", "closed": see RCO_STATE_... of recoptout.h; after
        an opt-out it stays "opted_out", and the receipt says the rest"""
        return self.stats["state"]

    @property
    def call_record(self) -> Dict[str, Any]:
        """The call record: what is kept of a call also after an opt-out."""
        buffer = ctypes.create_string_buffer(8192)
        size = ctypes.c_size_t()
        self._ask(lib.rco_session_call_record, buffer, len(buffer), ctypes.byref(size))
        return _json.loads(buffer.value)

    # ---- life ----

    def close(self) -> None:
        """Give the handle back. A call that has not ended is ended; uploads and erasures go on.

        What other threads are doing with it is not disturbed: then it is given back when they are done.
        """
        self._handle.shut()
        self._engine._handles.pop(id(self._handle), None)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and handle.is_open and not handle.is_foreign:
            warnings.warn(f"{self!r} was not closed; its call is ended", ResourceWarning, source=self)
            self.close()
