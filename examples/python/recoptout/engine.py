# SPDX-License-Identifier: MIT
"""The engine: one for a process and a state folder."""

from __future__ import annotations

import atexit
import ctypes
import json as _json
import os
import threading
import warnings
import weakref
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from . import _abi, _arguments, agent, storage
from ._abi import lib
from ._handle import AnswerOwner, ControlOwner, EngineOwner, Entry, Handle, ReceiptOwner, SessionOwner, callback, in_callback
from .errors import check, error
from .events import Event, EventStream
from .receipt import Receipt
from .session import Session, artifact, opt_out_options, opt_out_result

_CONSENT = {"implied": 1, "ask_first": 2, "off": 3}
_EXPORT = {"wav": 1, "wav.zst": 2}
_LAYOUT = {"per_leg": 1, "stereo": 2}
_LEVELS = {1: "error", 2: "warn", 3: "info", 4: "debug"}

_engines: "Dict[int, weakref.ref[Engine]]" = {}
_owners: Dict[int, Any] = {}  # of engines that are open: what is collected with an engine may not be what frees it


@atexit.register
def _close_all() -> None:
    """Before the interpreter goes: afterwards a worker that calls back would find nothing to call."""
    for engine in _living(_engines):
        engine._close(limit=5.0)


def _living(references: "Dict[int, weakref.ref[Any]]") -> List[Any]:
    """What is still there of the objects in a table by id(). One step of C each time: nothing has to be locked."""
    return [found for found in [reference() for reference in list(references.values())] if found is not None]


@dataclass(frozen=True)
class Pending:
    """An opt-out that is not done with."""

    call_id: str
    receipt_id: str
    status: str
    attempts: int
    requested_us: int
    deadline_us: int


class Engine:
    """Records calls, and stops and erases where a caller objects.

    ``state_dir``: folder for ledger, spool and keys. ``output_dir``: where finished recordings go, unless ``upload`` and
    ``deletion`` are given. ``opt_out_enabled`` is off unless you say so. Times are in seconds; None leaves the default of the
    library. ``late_opt_out``: how long after its end a call can still be opted out; ``early_opt_out_ttl``: how long an opt-out for a call not
    known waits for it, and ``early_opt_outs_max``, how many of these may; ``remember_ended``: how long an ended call is known;
    ``remember_opt_outs``: of how many calls whose opt-out is done with the receipt is known; ``ledger_retention``: when the evidence of
    closed opt-outs is deleted, which without it is never. ``log(level, message)`` gets lines for your log: "error", "warn", "info", "debug".

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
        late_opt_out: Optional[float] = None,
        sweep_delay: Optional[float] = None,
        erase_deadline: Optional[float] = None,
        retry_min: Optional[float] = None,
        retry_max: Optional[float] = None,
        backend_timeout: Optional[float] = None,
        flush_interval: Optional[float] = None,
        early_opt_out_ttl: Optional[float] = None,
        remember_ended: Optional[float] = None,
        ledger_retention: Optional[float] = None,
        early_opt_outs_max: int = 0,
        remember_opt_outs: int = 0,
        erase_transcripts: bool = False,
        erase_analytics: bool = False,
        export: str = "wav",
        layout: str = "per_leg",
        buffer: Optional[storage.BufferBackend] = None,
        upload: Optional[storage.UploadBackend] = None,
        deletion: Optional[storage.DeletionBackend] = None,
        log: Optional[Callable[[str, str], None]] = None,
    ) -> None:
        self._streams: "Dict[int, weakref.ref[EventStream]]" = {}
        self._handles: "Dict[int, weakref.ref[Handle]]" = {}  # of sessions
        self._controls: List[ControlOwner] = []
        if log is not None and not callable(log):
            raise TypeError(f"log is a function of level and message, not {type(log).__name__}")
        self._log_to = log
        kinds = (2 if _arguments.switch("erase_transcripts", erase_transcripts) else 0) | (
            4 if _arguments.switch("erase_analytics", erase_analytics) else 0
        )
        config = _abi.EngineConfig(
            ring_pool_bytes=_arguments.whole("ring_pool_bytes", ring_pool_bytes, 0, 2**63 - 1),
            opt_out_enabled=_arguments.switch("opt_out_enabled", opt_out_enabled),
            consent=_arguments.choice("consent", consent, _CONSENT),
            erase_kinds=kinds,
            export_format=_arguments.choice("export", export, _EXPORT),
            export_layout=_arguments.choice("layout", layout, _LAYOUT),
            workers=_arguments.whole("workers", workers),
            late_opt_out_ms=_arguments.period("late_opt_out", late_opt_out, none=True),
            sweep_delay_ms=_arguments.period("sweep_delay", sweep_delay, none=True),
            erase_deadline_ms=_arguments.period("erase_deadline", erase_deadline),
            retry_min_ms=_arguments.period("retry_min", retry_min),
            retry_max_ms=_arguments.period("retry_max", retry_max),
            backend_timeout_ms=_arguments.period("backend_timeout", backend_timeout),
            flush_interval_ms=_arguments.period("flush_interval", flush_interval),
            early_opt_out_ttl_s=_arguments.whole_seconds("early_opt_out_ttl", early_opt_out_ttl),
            remember_ended_s=_arguments.whole_seconds("remember_ended", 1 if remember_ended == 0 else remember_ended),
            ledger_retention_s=_arguments.whole_seconds("ledger_retention", ledger_retention, 2**53),
            early_opt_outs_max=_arguments.whole("early_opt_outs_max", early_opt_outs_max),
            remember_opt_outs=_arguments.whole("remember_opt_outs", remember_opt_outs),
            state_dir=_arguments.path("state_dir", state_dir),
            output_dir=_arguments.path("output_dir", output_dir) if output_dir is not None else None,
            key_dir=_arguments.path("key_dir", key_dir) if key_dir is not None else None,
            ring_dir=_arguments.path("ring_dir", ring_dir) if ring_dir is not None else None,
        )
        config.flags = _abi.ENGINE_PRIVATE_RINGS if _arguments.switch("private_rings", private_rings) else 0
        # What C calls has to live as long as the engine does.
        self._event_fn = _abi.EventFn(self._hear)
        config.event = self._event_fn
        if log is not None:
            self._log_fn = _abi.LogFn(self._log)
            config.log = self._log_fn
        self._tables = self._give_tables(config, buffer, upload, deletion)
        self._name = os.fsdecode(state_dir)
        self._left = threading.Lock()  # held while somebody may be inside
        self._left.acquire()
        self._owner: Optional[EngineOwner] = EngineOwner()
        check(lib.rco_engine_create(ctypes.byref(config), ctypes.byref(self._owner)))
        self._handle = Handle(Entry(self._owner, self._left), "the engine is closed")
        _engines[id(self)] = weakref.ref(self)
        _owners[id(self)] = self._owner

    def __repr__(self) -> str:
        state = f"open, {len(_living(self._handles))} sessions" if self._handle.is_open else "closed"
        return f"<recoptout.Engine {self._name!r}: {state}>"

    @staticmethod
    def _give_tables(config: _abi.EngineConfig, buffer: Any, upload: Any, deletion: Any) -> List[Any]:
        kept: List[Any] = []
        for member, backend, make, kind in (
            ("buffer", buffer, storage.buffer_table, storage.BufferBackend),
            ("upload", upload, storage.upload_table, storage.UploadBackend),
            ("deletion", deletion, storage.deletion_table, storage.DeletionBackend),
        ):
            if backend is not None:
                table = make(_arguments.backend(member, backend, storage.methods(kind)))
                kept.append(table)
                setattr(config, member, ctypes.addressof(table))
        return kept

    def _ask(self, function: Callable[..., int], *arguments: Any) -> int:
        return check(self._handle.call(function, *arguments))

    # ---- callbacks ----

    @callback
    def _hear(self, raw: Any, _: Any) -> None:
        try:
            streams = _living(self._streams)
            if streams:
                event = Event._read(raw.contents)
                for stream in streams:
                    stream._put(event)
        except BaseException:  # noqa: B036  there is no caller that it could reach
            storage._report("Engine events")

    @callback
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
        nonblock: bool = False,
    ) -> Session:
        """Begin a call. ``call_id``: your opaque id, never a phone number. ``opt_out``: None as the engine, else this call's switch.

        If somebody has opted out for this id already it is born opted out: it can be used, and nothing is recorded. With ``nonblock`` none
        of its methods but :meth:`Session.opt_out` waits for a disk: a ``request_done`` event tells that a hold or an artifact is on it.
        """
        options = _abi.SessionOptions(
            flags=_arguments.switch("nonblock", nonblock),
            consent=0 if consent is None else _arguments.choice("consent", consent, _CONSENT),
            opt_out=0 if opt_out is None else 1 if _arguments.switch("opt_out", opt_out) else 2,
            legal_hold=_arguments.switch("legal_hold", legal_hold),
            call_id=_arguments.string("call_id", call_id),
        )
        handle = Handle(SessionOwner(), f"the session of call {call_id} is closed")
        handle.raw.engine = self._handle.entered()  # which is freed later
        self._keep(handle)  # first: should it be torn out of here, close() finds it all the same
        try:
            code = lib.rco_session_create(self._handle.raw, ctypes.byref(options), ctypes.byref(handle.raw))
            check(self._handle.answered(code))
        except BaseException:
            handle.raw = None  # a traceback would keep it
            raise
        return Session(self, handle, call_id)

    def _twin(self, handle: Handle) -> Handle:
        """Another handle of a session, for what goes on when the session is closed."""
        twin = handle.twin()
        self._keep(twin)
        return twin

    def _keep(self, handle: Handle) -> None:
        """A session's handle, which is taken away when the engine is closed."""
        self._handles[id(handle)] = weakref.ref(handle)
        if not self._handle.is_open:  # closed meanwhile, perhaps without seeing this one
            handle.shut()

    def opt_out(
        self,
        call_id: Union[str, bytes],
        source: str = "python",
        wait: Optional[str] = None,
        timeout: float = 5.0,
        nonblock: bool = False,
    ) -> Receipt:
        """:meth:`Session.opt_out` by call id. For an id that is not known yet it is kept, and holds for the next call of that id.

        Here and in what follows the 16 bytes of a ``recording_id``, as events have it, name one call for ever, where the id of a call
        stands for the latest of that id; one that is not known is :class:`NotFound` then, and nothing is kept.
        """
        handle = ReceiptOwner()
        options = opt_out_options(source, wait, timeout, nonblock)
        name, recording = _arguments.call(call_id)
        function = lib.rco_recording_opt_out if recording else lib.rco_engine_opt_out
        return opt_out_result(self._handle.call(function, name, ctypes.byref(options), ctypes.byref(handle)), handle)

    def receipt(self, call_id: Union[str, bytes]) -> Optional[Receipt]:
        """What is known of the opt-out of a call now; None without one."""
        handle = ReceiptOwner()
        name, recording = _arguments.call(call_id)
        function = lib.rco_recording_receipt if recording else lib.rco_engine_receipt
        code = self._handle.call(function, name, ctypes.byref(handle))
        return None if code == _abi.E_NOT_FOUND or check(code) < 0 else Receipt._read(handle)

    def register_artifact(self, call_id: Union[str, bytes], location: str, kind: int = 1, version: Optional[str] = None) -> None:
        """:meth:`Session.register_artifact` by call id, for what finishes after the call."""
        number, place, its_version = artifact(location, kind, version)
        name, recording = _arguments.call(call_id)
        function = lib.rco_recording_register_artifact if recording else lib.rco_engine_register_artifact
        self._ask(function, name, number, place, its_version)

    def recorder_stopped(self, call_id: Union[str, bytes]) -> None:
        """The recorder that an earlier process started for this call has stopped: nobody else can know."""
        name, recording = _arguments.call(call_id)
        self._ask(lib.rco_recording_recorder_stopped if recording else lib.rco_engine_recorder_stopped, name)

    def lift_legal_hold(self, call_id: Union[str, bytes]) -> None:
        """What was held is erased now, if its call was opted out."""
        name, recording = _arguments.call(call_id)
        if recording:
            self._ask(lib.rco_recording_set_legal_hold, name, 0)
        else:
            self._ask(lib.rco_engine_lift_legal_hold, name)

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
            url=_arguments.text("url", url),
            description=_arguments.text("description", description),
        )
        options.flags = _abi.TOOL_STRICT if _arguments.switch("strict", strict) else 0
        size = ctypes.c_size_t()
        try:
            handle = _handle_of(session)
            held = options.session = handle.entered() if handle is not None else None
            code = self._handle.call(_abi.agent.rco_tool_definition, ctypes.byref(options), None, 0, ctypes.byref(size))
            if code != _abi.E_LIMIT:
                check(code)
            buffer = ctypes.create_string_buffer(size.value + 1)
            self._ask(_abi.agent.rco_tool_definition, ctypes.byref(options), buffer, len(buffer), ctypes.byref(size))
        finally:
            held = None  # noqa: F841  a traceback would keep it
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
        data = agent.message_bytes(message)
        return self._tool_call(data, dialect, _handle_of(session), call_id, envelope, language, company, book, source, wait)

    def _tool_call(
        self,
        data: bytes,
        dialect: str,
        session: Optional[Handle] = None,
        call_id: Optional[str] = None,
        envelope: bool = False,
        language: str = "en",
        company: Optional[str] = None,
        book: Optional[agent.Phrasebook] = None,
        source: str = "agent-tool",
        wait: float = 0.0,
        nonblock: bool = False,
    ) -> agent.ToolAnswer:
        request = _abi.ToolRequest(
            dialect=agent.dialect_number(dialect),
            wait_ms=_arguments.milliseconds("wait", wait),
            call_id=_arguments.text("call_id", call_id),
            language=_arguments.text("language", language),
            company=_arguments.text("company", company),
            book=agent.book_handle(book),
            json=data,
            json_bytes=len(data),
            source=_arguments.label(source, "agent-tool"),
        )
        request.flags = (_abi.TOOL_ENVELOPE if _arguments.switch("envelope", envelope) else 0) | (
            _abi.TOOL_NONBLOCK if nonblock else 0
        )
        handle = AnswerOwner()
        try:
            held = request.session = session.entered() if session is not None else None
            code = self._handle.call(_abi.agent.rco_tool_call, ctypes.byref(request), ctypes.byref(handle))
        finally:
            held = None  # noqa: F841  a traceback would keep it
        if not handle:
            raise error(code)
        return agent.checked_answer(agent.read_answer(code, handle), data)

    # ---- events, looking, other processes ----

    def events(self, call_id: Optional[str] = None, limit: int = 10000) -> EventStream:
        """Events from now on, of one call or of all."""
        _arguments.text("call_id", call_id)
        stream = EventStream(self._stop_stream, call_id, _arguments.whole("limit", limit, 1, 2**63 - 1))
        self._handle.entered()
        for key, reference in list(self._streams.items()):
            if reference() is None:
                self._streams.pop(key, None)
        self._streams[id(stream)] = weakref.ref(stream)
        if not self._handle.is_open:  # closed meanwhile, perhaps without seeing this one
            stream._put(None)
        return stream

    def _stop_stream(self, stream: EventStream) -> None:
        self._streams.pop(id(stream), None)

    def complete(self, op: int, question: str, answer: Any = None, code: int = 0) -> None:
        """Answer an operation that a backend's method left PENDING.

        ``question``: the method's name; ``answer``: what it would have returned; ``code``: a negative error instead.
        """
        result = _abi.Result()
        if question not in storage.QUESTIONS:
            raise ValueError(f"question is {question!r}; there are {', '.join(map(repr, storage.QUESTIONS))}")
        if _arguments.whole("code", code, -(2**31), 0) == 0 and storage.fill(result, question, answer) is storage.PENDING:
            raise ValueError("answer is PENDING, which is no answer")
        self._ask(lib.rco_op_complete, _arguments.whole("op", op, 0, 2**64 - 1), code, ctypes.byref(result))

    @property
    def pending(self) -> List[Pending]:
        """Opt-outs whose erasure is not verified yet."""
        found: List[Pending] = []

        @callback
        def one(raw: Any, _: Any) -> int:
            p = raw.contents
            status = lib.rco_status_name(p.status).decode()
            found.append(
                Pending(p.call_id.decode(), p.receipt_id.decode(), status, p.attempts, p.requested_us, p.deadline_us)
            )
            return 0

        self._ask(lib.rco_engine_each_pending, _abi.PendingFn(one), None)
        return found

    @property
    def stats(self) -> Dict[str, int]:
        """Counters: sessions_open, erasures_pending, erasures_escalated, tombstones_waiting, frames_overflowed, ..."""
        raw = _abi.EngineStats()
        self._ask(lib.rco_engine_get_stats, ctypes.byref(raw))
        return {name: getattr(raw, name) for name, _ in _abi.EngineStats._fields_}

    @property
    def public_key(self) -> bytes:
        """The Ed25519 key that receipts are signed with; publish it to those who verify them."""
        key = ctypes.create_string_buffer(32)
        self._ask(lib.rco_engine_public_key, key)
        return key.raw

    @property
    def opt_out_enabled(self) -> bool:
        """The switch."""
        return self._ask(lib.rco_engine_opt_out_enabled) == 1

    @opt_out_enabled.setter
    def opt_out_enabled(self, enabled: bool) -> None:
        self._ask(lib.rco_engine_set_opt_out_enabled, _arguments.switch("enabled", enabled))

    def wait_idle(self, timeout: float = 30.0) -> None:
        """Until nothing is left to be uploaded or erased; :class:`WaitTimeout` after ``timeout`` seconds."""
        self._ask(lib.rco_engine_wait_idle, _arguments.milliseconds("timeout", timeout))

    def serve(
        self,
        path: "Union[str, os.PathLike[str]]",
        *,
        book: Optional[agent.Phrasebook] = None,
        max_clients: int = 0,
        idle: float = 0.0,
        group: Optional[int] = None,
        allowed_uids: Sequence[int] = (),
        early_per_user: int = 0,
    ) -> None:
        """Open the control socket: for other processes, a Unix-domain socket, until the engine is closed. See :mod:`recoptout.control`.

        ``group``: the number of a group whose members get in, or of them those in ``allowed_uids`` if there are any; without
        a group these get in besides root and the engine's user. ``idle``: seconds for sending a line, and for reading an answer.
        ``early_per_user``: opt-outs for calls not known that a user may have waiting, root and the engine's user excepted; 10,000.
        """
        uids = [_arguments.whole("a user of allowed_uids", uid) for uid in allowed_uids]
        options = _abi.ControlOptions(
            path=_arguments.path("path", path),
            max_clients=_arguments.whole("max_clients", max_clients),
            idle_ms=_arguments.milliseconds("idle", idle),
            early_per_user=_arguments.whole("early_per_user", early_per_user),
            allowed_uids=(ctypes.c_uint32 * len(uids))(*uids) if uids else None,
            n_allowed_uids=len(uids),
            book=agent.book_handle(book),
        )
        if group is not None:
            options.flags = 1  # RCO_CONTROL_GROUP
            options.gid = _arguments.whole("group", group)
        control = ControlOwner()
        control.book = book  # what C uses lives as long
        control.engine = self._handle.entered()
        try:
            code = _abi.agent.rco_control_open(self._handle.raw, ctypes.byref(options), ctypes.byref(control))
            check(self._handle.answered(code))
            self._controls.append(control)
        finally:
            del control  # a traceback would keep it

    # ---- life ----

    def close(self) -> None:
        """Close sessions and sockets, and the engine. What is unfinished goes on with the next engine of this state folder.

        Waits until other threads have left the engine's and its sessions' methods. Not from a backend's method or ``log``.
        """
        if in_callback():
            raise RuntimeError("an engine cannot be closed by what it calls: let another thread do it")
        self._close(None)

    def _close(self, limit: Optional[float]) -> None:
        """Nothing that cannot be done again, should it be torn out of here."""
        if self._handle.is_foreign:
            return
        self._handle.shut()
        self._controls.clear()
        for handle in _living(self._handles):
            handle.shut()
        if limit is None:
            with self._left:
                pass
        elif not self._left.acquire(timeout=limit):
            return  # left to the end of the process
        else:
            self._left.release()
        self._owner = None
        _owners.pop(id(self), None)
        _engines.pop(id(self), None)
        for stream in _living(self._streams):
            stream._put(None)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if id(self) not in _owners or self._handle.is_foreign:
            return
        warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self)
        if in_callback():  # collected on a thread of an engine's, which would wait for itself
            threading.Thread(target=self._close, args=(None,)).start()
        else:
            self._close(None)


def _handle_of(session: Optional[Session]) -> Optional[Handle]:
    if session is not None and not isinstance(session, Session):
        raise TypeError(f"session is a Session, not {type(session).__name__}")
    return session._handle if session is not None else None
