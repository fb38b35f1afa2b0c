# SPDX-License-Identifier: MIT
"""The engine: one for a process and a state folder."""

from __future__ import annotations

import atexit
import ctypes
import json as _json
import os
import threading
import weakref
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Union

from . import _abi, agent, storage
from ._abi import lib
from .errors import check, error
from .events import Event, EventStream
from .receipt import Receipt
from .session import Session, opt_out_options, opt_out_result

_CONSENT = {"implied": 1, "ask_first": 2, "off": 3}
_SWITCH = {None: 0, True: 1, False: 2}
_EXPORT = {"wav": 1, "wav.zst": 2}
_LAYOUT = {"per_leg": 1, "stereo": 2}
_LEVELS = {1: "error", 2: "warn", 3: "info", 4: "debug"}

_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Before the interpreter goes: afterwards a worker that calls back would find nothing to call."""
    for engine in list(_engines):
        engine.close()


@dataclass(frozen=True)
class Pending:
    """An opt-out that is not done with."""

    call_id: str
    receipt_id: str
    status: str
    attempts: int
    requested_us: int
    deadline_us: int


def _ms(seconds: Optional[float]) -> int:
    """None is the library's default, 0 is "none at all"."""
    if seconds is None:
        return 0
    return int(seconds * 1000) or _abi.NONE_MS


class Engine:
    """Records calls, and stops and erases where a caller objects.

    ``state_dir``: folder for ledger, spool and keys. ``output_dir``: where finished recordings go, unless ``upload`` and
    ``deletion`` are given. ``opt_out_enabled`` is off unless you say so. Times are in seconds; None leaves the default of the
    library. ``log(level, message)`` gets lines for your log: "error", "warn", "info", "debug".

    Use it as a context manager, or close() it; an engine that is left open is closed when the interpreter exits. Fork before
    you make one, not after.
    """

    def __init__(
        self,
        state_dir: "Union[str, os.PathLike[str]]",
        output_dir: "Union[str, os.PathLike[str], None]" = None,
        *,
        opt_out_enabled: bool = False,
        consent: str = "implied",
        key_dir: "Union[str, os.PathLike[str], None]" = None,
        ring_dir: "Union[str, os.PathLike[str], None]" = None,
        private_rings: bool = False,
        ring_pool_bytes: int = 0,
        workers: int = 0,
        window: Optional[float] = None,
        sweep_delay: Optional[float] = None,
        erase_deadline: Optional[float] = None,
        retry_min: Optional[float] = None,
        retry_max: Optional[float] = None,
        backend_timeout: Optional[float] = None,
        flush_interval: Optional[float] = None,
        erase_transcripts: bool = False,
        erase_analytics: bool = False,
        export: str = "wav",
        layout: str = "per_leg",
        buffer: Optional[storage.BufferBackend] = None,
        upload: Optional[storage.UploadBackend] = None,
        deletion: Optional[storage.DeletionBackend] = None,
        log: Optional[Callable[[str, str], None]] = None,
    ) -> None:
        self._handle: Optional[ctypes.c_void_p] = None
        self._lock = threading.Lock()
        self._streams: List[EventStream] = []
        self._sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()
        self._controls: List[ctypes.c_void_p] = []
        self._books: List[agent.Phrasebook] = []
        self._log_to = log
        config = _abi.EngineConfig(
            ring_pool_bytes=ring_pool_bytes,
            opt_out_enabled=int(opt_out_enabled),
            consent=_CONSENT[consent],
            erase_kinds=(2 if erase_transcripts else 0) | (4 if erase_analytics else 0),
            export_format=_EXPORT[export],
            export_layout=_LAYOUT[layout],
            workers=workers,
            window_ms=_ms(window),
            sweep_delay_ms=_ms(sweep_delay),
            erase_deadline_ms=_ms(erase_deadline),
            retry_min_ms=_ms(retry_min),
            retry_max_ms=_ms(retry_max),
            backend_timeout_ms=_ms(backend_timeout),
            flush_interval_ms=_ms(flush_interval),
            state_dir=os.fsencode(state_dir),
            output_dir=os.fsencode(output_dir) if output_dir is not None else None,
            key_dir=os.fsencode(key_dir) if key_dir is not None else None,
            ring_dir=os.fsencode(ring_dir) if ring_dir is not None else None,
        )
        config.flags = _abi.ENGINE_PRIVATE_RINGS if private_rings else 0
        # What C calls has to live as long as the engine does.
        self._event_fn = _abi.EventFn(self._hear)
        config.event = self._event_fn
        if log is not None:
            self._log_fn = _abi.LogFn(self._log)
            config.log = self._log_fn
        self._tables = self._give_tables(config, buffer, upload, deletion)
        handle = ctypes.c_void_p()
        check(lib.rco_engine_create(ctypes.byref(config), ctypes.byref(handle)))
        self._handle = handle
        _engines.add(self)

    @staticmethod
    def _give_tables(config: _abi.EngineConfig, buffer: Any, upload: Any, deletion: Any) -> List[Any]:
        kept: List[Any] = []
        for member, backend, make in (
            ("buffer", buffer, storage.buffer_table),
            ("upload", upload, storage.upload_table),
            ("deletion", deletion, storage.deletion_table),
        ):
            if backend is not None:
                table = make(backend)
                kept.append(table)
                setattr(config, member, ctypes.addressof(table))
        return kept

    @property
    def _live(self) -> ctypes.c_void_p:
        if self._handle is None:
            raise ValueError("the engine is closed")
        return self._handle

    # ---- callbacks ----

    def _hear(self, raw: Any, _: Any) -> None:
        try:
            with self._lock:
                streams = list(self._streams)
            if streams:
                event = Event._read(raw.contents)
                for stream in streams:
                    stream._put(event)
        except BaseException:  # noqa: B036  there is no caller that it could reach
            storage._report("Engine events")

    def _log(self, level: int, message: bytes, size: int, _: Any) -> None:
        try:
            if self._log_to is not None:
                self._log_to(_LEVELS.get(level, "info"), message.decode("utf-8", "replace"))
        except BaseException:  # noqa: B036
            storage._report("Engine log")

    # ---- calls ----

    def session(
        self,
        call_id: str,
        *,
        consent: Optional[str] = None,
        opt_out: Optional[bool] = None,
        legal_hold: bool = False,
    ) -> Session:
        """Begin a call. ``call_id``: your opaque id, never a phone number. ``opt_out``: None as the engine, else this call's switch.

        If somebody has opted out for this id already it is born opted out: it can be used, and nothing is recorded.
        """
        options = _abi.SessionOptions(
            consent=0 if consent is None else _CONSENT[consent],
            opt_out=_SWITCH[opt_out],
            legal_hold=int(legal_hold),
            call_id=_abi.text(call_id),
        )
        handle = ctypes.c_void_p()
        check(lib.rco_session_create(self._live, ctypes.byref(options), ctypes.byref(handle)))
        session = Session(self, handle, call_id)
        self._sessions.add(session)
        return session

    def _forget(self, session: Session) -> None:
        self._sessions.discard(session)

    def opt_out(
        self,
        call_id: str,
        source: str = "python",
        wait: Optional[str] = None,
        timeout: float = 5.0,
        nonblock: bool = False,
    ) -> Receipt:
        """:meth:`Session.opt_out` by call id. For an id that is not known yet it is kept, and holds for the next call of that id."""
        handle = ctypes.c_void_p()
        options = opt_out_options(source, wait, timeout, nonblock)
        code = lib.rco_opt_out_call(self._live, _abi.text(call_id), ctypes.byref(options), ctypes.byref(handle))
        return opt_out_result(code, handle)

    def receipt(self, call_id: str) -> Optional[Receipt]:
        """What is known of the opt-out of a call now; None without one."""
        handle = ctypes.c_void_p()
        code = lib.rco_engine_receipt(self._live, _abi.text(call_id), ctypes.byref(handle))
        if code == _abi.E_NOT_FOUND:
            return None
        check(code)
        return Receipt._take(handle)

    def register_artifact(self, call_id: str, location: str, kind: int = 1, version: Optional[str] = None) -> None:
        """:meth:`Session.register_artifact` by call id, for what finishes after the call."""
        arguments = (_abi.text(call_id), kind, _abi.text(location), _abi.text(version))
        check(lib.rco_engine_register_artifact(self._live, *arguments))

    def lift_legal_hold(self, call_id: str) -> None:
        """What was held is erased now, if its call was opted out."""
        check(lib.rco_engine_lift_legal_hold(self._live, _abi.text(call_id)))

    # ---- agents ----

    def tool_definition(
        self,
        dialect: str,
        *,
        url: Optional[str] = None,
        strict: bool = False,
        description: Optional[str] = None,
        session: Optional[Session] = None,
    ) -> Dict[str, Any]:
        """The opt-out tool as the platform wants it described, for its list of tools.

        Raises :class:`NotAvailable` while opt-out is disabled: then the agent has no such tool.
        """
        options = _abi.ToolOptions(
            dialect=agent.dialect_number(dialect),
            session=session._live if session is not None else None,
            url=_abi.text(url),
            description=_abi.text(description),
        )
        options.flags = _abi.TOOL_STRICT if strict else 0
        size = ctypes.c_size_t()
        code = lib.rco_tool_definition(self._live, ctypes.byref(options), None, 0, ctypes.byref(size))
        if code != _abi.E_LIMIT:
            check(code)
        buffer = ctypes.create_string_buffer(size.value + 1)
        check(lib.rco_tool_definition(self._live, ctypes.byref(options), buffer, len(buffer), ctypes.byref(size)))
        return _json.loads(buffer.value)

    def tool_call(
        self,
        message: Any,
        dialect: str = "auto",
        *,
        session: Optional[Session] = None,
        call_id: Optional[str] = None,
        envelope: bool = False,
        language: str = "en",
        company: Optional[str] = None,
        book: Optional[agent.Phrasebook] = None,
        source: str = "agent-tool",
        wait: float = 0.0,
    ) -> agent.ToolAnswer:
        """A language model called a tool: opt the bound call out if it was ours, and make the answer.

        ``message``: the call, or the whole message with its calls, as text, bytes or parsed. Which call is meant is what you
        bind: ``session``, or ``call_id``; with ``envelope`` the platform's own envelope (Vapi, Retell), if you have verified
        who sent it. Never what the model wrote. ``wait``: seconds to wait for "erased" before answering.

        An answer is returned also where the opt-out did not work, for the platform has to be told: see its ``code``.
        """
        data = message_data = agent.message_bytes(message)
        request = _abi.ToolRequest(
            dialect=agent.dialect_number(dialect),
            wait_ms=int(wait * 1000),
            session=session._live if session is not None else None,
            call_id=_abi.text(call_id),
            language=_abi.text(language),
            company=_abi.text(company),
            book=book._handle if book is not None else None,
            json=data,
            json_bytes=len(message_data),
            source=_abi.text(source),
        )
        request.flags = _abi.TOOL_ENVELOPE if envelope else 0
        handle = ctypes.c_void_p()
        code = lib.rco_tool_call(self._live, ctypes.byref(request), ctypes.byref(handle))
        if not handle:
            raise error(code)
        return agent.read_answer(code, handle)

    # ---- events, looking, other processes ----

    def events(self, call_id: Optional[str] = None, limit: int = 10000) -> EventStream:
        """Events from now on, of one call or of all."""
        stream = EventStream(self._stop_stream, call_id, limit)
        with self._lock:
            if self._handle is None:
                raise ValueError("the engine is closed")
            self._streams.append(stream)
        return stream

    def _stop_stream(self, stream: EventStream) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)

    def complete(self, op: int, question: str, answer: Any = None, code: int = 0) -> None:
        """Answer an operation that a backend's method left PENDING.

        ``question``: the method's name; ``answer``: what it would have returned; ``code``: a negative error instead.
        """
        result = _abi.Result()
        if code == 0:
            storage.fill(result, question, answer)
        check(lib.rco_complete(self._live, op, code, ctypes.byref(result)))

    @property
    def pending(self) -> List[Pending]:
        """Opt-outs whose erasure is not verified yet."""
        found: List[Pending] = []

        def one(raw: Any, _: Any) -> int:
            p = raw.contents
            status = lib.rco_status_name(p.status).decode()
            found.append(
                Pending(p.call_id.decode(), p.receipt_id.decode(), status, p.attempts, p.requested_us, p.deadline_us)
            )
            return 0

        check(lib.rco_engine_pending(self._live, _abi.PendingFn(one), None))
        return found

    @property
    def stats(self) -> Dict[str, int]:
        """Counters: sessions_open, erasures_pending, erasures_escalated, tombstones_waiting, frames_overflowed, ..."""
        raw = _abi.EngineStats()
        check(lib.rco_engine_get_stats(self._live, ctypes.byref(raw)))
        return {name: getattr(raw, name) for name, _ in _abi.EngineStats._fields_}

    @property
    def public_key(self) -> bytes:
        """The Ed25519 key that receipts are signed with; publish it to whoever verifies them."""
        key = ctypes.create_string_buffer(32)
        check(lib.rco_engine_public_key(self._live, key))
        return key.raw

    @property
    def opt_out_enabled(self) -> bool:
        """The switch."""
        return check(lib.rco_engine_opt_out_enabled(self._live)) == 1

    @opt_out_enabled.setter
    def opt_out_enabled(self, enabled: bool) -> None:
        check(lib.rco_engine_set_opt_out_enabled(self._live, int(enabled)))

    def wait_idle(self, timeout: float = 30.0) -> None:
        """Until nothing is left to be uploaded or erased; :class:`WaitTimeout` after ``timeout`` seconds."""
        check(lib.rco_engine_wait_idle(self._live, int(timeout * 1000)))

    def serve(
        self, path: "Union[str, os.PathLike[str]]", *, book: Optional[agent.Phrasebook] = None, max_clients: int = 0
    ) -> None:
        """Open the door for other processes: a Unix-domain socket, until the engine is closed. See :mod:`recoptout.control`."""
        options = _abi.ControlOptions(
            path=os.fsencode(path), max_clients=max_clients, book=book._handle if book is not None else None
        )
        handle = ctypes.c_void_p()
        check(lib.rco_control_open(self._live, ctypes.byref(options), ctypes.byref(handle)))
        self._controls.append(handle)
        if book is not None:
            self._books.append(book)

    # ---- life ----

    def close(self) -> None:
        """Close sessions and sockets, and the engine. What is unfinished goes on with the next engine of this state folder."""
        with self._lock:
            handle, self._handle = self._handle, None
            streams, self._streams = self._streams, []
        if handle is None:
            return
        for control in self._controls:
            lib.rco_control_close(control)
        for session in list(self._sessions):
            session.close()
        lib.rco_engine_free(handle)
        for stream in streams:
            stream._put(None)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()
