# SPDX-License-Identifier: MIT
"""Storage backends written in Python.

Methods may block, are called on the engine's worker threads (several at once if it has several workers), and answer by
returning. An exception is answered as "callback failed": it never counts as success, is tried again, and goes to the
logger "recoptout". To answer later
return :data:`PENDING` and call :meth:`Engine.complete` with the ``op`` that came with the question.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, List, Optional, Tuple

from . import _abi
from ._abi import CONFIRM_DONE, CONFIRM_GONE, CONFIRM_PRESENT
from ._arguments import whole
from ._handle import callback
from .errors import RecoptoutError


_log = logging.getLogger("recoptout")


class _Pending:
    def __repr__(self) -> str:
        return "PENDING"


#: returned by a method that answers later, by Engine.complete()
PENDING = _Pending()


@dataclass(frozen=True)
class FileObject:
    """One file in a store."""

    #: name of the operation, for Engine.complete()
    op: int
    #: [A-Za-z0-9._-] for what the library uploads, else the location that the host registered
    key: str
    upload_id: str
    #: one version, "" for all
    version: str
    call_id: str
    content_type: str
    recording_id: bytes
    #: of the whole file, 0 if not known
    size_bytes: int
    #: 1 audio, 2 transcript, 4 analytics, 8 metadata
    kind: int
    #: registered by the host, not uploaded by the library
    of_host: bool

    @classmethod
    def _read(cls, raw: _abi.ObjectStruct, op: int) -> "FileObject":
        return cls(
            op,
            raw.key.decode("utf-8", "surrogateescape"),
            raw.upload_id.decode("utf-8", "surrogateescape"),
            raw.version.decode("utf-8", "surrogateescape"),
            (raw.call_id or b"").decode("utf-8", "replace"),
            (raw.content_type or b"").decode(),
            bytes(raw.recording_id),
            raw.size_bytes,
            raw.kind,
            raw.store == 2,
        )


@dataclass(frozen=True)
class Recording:
    """A recording to be kept. ``meta`` is to be given back by scan()."""

    op: int
    id: bytes
    meta: bytes = field(repr=False)


@dataclass(frozen=True)
class Chunk:
    """A piece of one leg's audio, at ``position`` bytes from its beginning."""

    op: int
    recording_id: bytes
    leg: int
    format: int
    position: int
    time_us: int
    data: bytes = field(repr=False)  # a caller's voice


class UploadBackend:
    """Where finished files go. Nothing may be visible under its key before commit()."""

    def begin(self, file: FileObject) -> Optional[str]:
        """Start an upload. Returns its id in the store, or None."""
        raise NotImplementedError

    def put(self, file: FileObject, part: int, data: bytes) -> None:
        """Take part ``part``, counted from 1; again after a failure."""
        raise NotImplementedError

    def commit(self, file: FileObject) -> Optional[str]:
        """Make the file visible, durably. Returns its version, or None.

        Called again for the same upload id until it succeeds, after a restart too, whatever else it raises; raises
        :class:`NotFound` if there is no such upload any more and its file is not there: then it is sent once more.
        """
        raise NotImplementedError

    def abort(self, file: FileObject) -> bool:
        """Give the upload up; with an empty upload id every upload of that key. True only if no part is left."""
        raise NotImplementedError

    def list(self, file: FileObject) -> int:
        """How many files, versions and unfinished uploads there are under the key."""
        raise NotImplementedError

    def head(self, file: FileObject) -> Optional[Tuple[int, str]]:
        """Size in bytes and version of the finished file, or None if there is none."""
        raise NotImplementedError


class DeletionBackend:
    """Removes files."""

    def remove(self, file: FileObject) -> bool:
        """Remove the file, all versions unless one is named. True only if it is gone, durably."""
        raise NotImplementedError

    def verify(self, file: FileObject) -> bool:
        """Look again. True if it is gone."""
        raise NotImplementedError


class BufferBackend:
    """Where audio waits until it is uploaded or erased."""

    def open(self, recording: Recording) -> None:
        """Prepare a recording; again for one that is open: no effect."""
        raise NotImplementedError

    def append(self, chunk: Chunk) -> None:
        """Take a piece; one that overlaps what is held already appears once."""
        raise NotImplementedError

    def read(self, recording_id: bytes, leg: int, position: int, size: int) -> bytes:
        """At most ``size`` bytes of a leg from ``position`` on; empty at its end.

        Raises :class:`NotFound` for a recording that is not held: this is how an erasure is verified.
        """
        raise NotImplementedError

    def erase(self, recording_id: bytes) -> bool:
        """Remove every trace. True only if nothing is left, durably."""
        raise NotImplementedError

    def flush(self) -> None:
        """Make everything taken so far survive a power cut."""

    def seal(self, recording_id: bytes) -> None:
        """No more pieces of this recording come."""

    def scan(self) -> Iterable[Tuple[bytes, bytes, List[Tuple[int, int]]]]:
        """What is held from before: (id, meta, [(format, bytes) of each leg])."""
        return ()


# ---- tables ----

#: what a backend can be asked, by the name of its method
QUESTIONS = (
    "begin", "put", "commit", "abort", "list", "head", "remove", "verify",
    "open", "append", "read", "erase", "flush", "seal",
)  # fmt: skip


def methods(kind: type) -> List[str]:
    """The methods of a kind of backend that have to be there."""
    return [name for name in vars(kind) if not name.startswith("_")]


def _report(where: str) -> None:
    """A callback has nobody to raise to: what it raised goes to the log."""
    _log.exception("%s raised; answered as \"callback failed\"", where)


@callback
def _answered(where: str, result: Any, work: Callable[[_abi.Result], Any]) -> int:
    """Run a slot: OK with what it confirmed, PENDING, or an error; whatever is raised is one."""
    try:
        if work(result.contents) is PENDING:
            return _abi.PENDING
        return _abi.OK
    except RecoptoutError as why:
        return why.code if why.code < 0 else _abi.E_CALLBACK
    except BaseException:  # noqa: B036  also KeyboardInterrupt: there is no caller that it could reach
        _report(where)
        return _abi.E_CALLBACK


def _set_text(result: _abi.Result, member: str, value: Optional[str]) -> None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{member} is a str or None, not {type(value).__name__}")
    data = (value or "").encode("utf-8", "surrogateescape")
    if len(data) > 255 or b"\0" in data:
        raise ValueError(f"{member} is longer than 255 bytes or has a NUL in it")
    setattr(result, member, data)


def fill(result: _abi.Result, question: str, answer: Any) -> Any:
    """Put what a method returned into a result. Only what is positively said is confirmed."""
    if answer is PENDING:
        return PENDING
    if question in ("abort", "remove", "verify", "erase"):
        if answer is True:
            result.confirmed = CONFIRM_GONE
        elif question == "verify":
            result.confirmed = CONFIRM_PRESENT
    elif question == "list":
        result.count = whole("list()", answer)
        result.confirmed = CONFIRM_PRESENT if answer else CONFIRM_GONE
    elif question == "head":
        result.confirmed = CONFIRM_GONE if answer is None else CONFIRM_PRESENT
        if answer is not None:
            result.size_bytes = whole("the size of head()", answer[0], 0, 2**64 - 1)
            _set_text(result, "version", answer[1])
    else:
        if question == "begin":
            _set_text(result, "upload_id", answer)
        elif question == "commit":
            _set_text(result, "version", answer)
        result.confirmed = CONFIRM_DONE
    return None


def _object_slot(backend: Any, name: str) -> Any:
    method = getattr(backend, name)
    where = f"{type(backend).__name__}.{name}"

    def slot(raw: Any, op: int, result: Any, _: Any) -> int:
        return _answered(where, result, lambda r: fill(r, name, method(FileObject._read(raw.contents, op))))

    return _abi.ObjectFn(slot)


def upload_table(backend: UploadBackend) -> _abi.UploadOps:
    """The C table of a backend. Keep it as long as the engine lives: it holds the callbacks."""
    where = f"{type(backend).__name__}.put"

    def put(raw: Any, part: int, data: int, size: int, op: int, result: Any, _: Any) -> int:
        return _answered(
            where,
            result,
            lambda r: fill(r, "put", backend.put(FileObject._read(raw.contents, op), part, ctypes.string_at(data, size))),
        )

    table = _abi.UploadOps(put=_abi.PutFn(put))
    for name in ("begin", "commit", "abort", "list", "head"):
        setattr(table, name, _object_slot(backend, name))
    return table


def deletion_table(backend: DeletionBackend) -> _abi.DeletionOps:
    """The C table of a backend."""
    return _abi.DeletionOps(remove=_object_slot(backend, "remove"), verify=_object_slot(backend, "verify"))


def buffer_table(backend: BufferBackend) -> _abi.BufferOps:
    """The C table of a backend."""
    name = type(backend).__name__

    def open_(raw: Any, op: int, result: Any, _: Any) -> int:
        def work(r: _abi.Result) -> Any:
            c = raw.contents
            recording = Recording(op, bytes(c.id), ctypes.string_at(c.meta, c.meta_bytes) if c.meta else b"")
            return fill(r, "open", backend.open(recording))

        return _answered(f"{name}.open", result, work)

    def append(raw: Any, op: int, result: Any, _: Any) -> int:
        def work(r: _abi.Result) -> Any:
            c = raw.contents
            data = ctypes.string_at(c.data, c.size_bytes)
            chunk = Chunk(op, bytes(c.recording_id), c.leg, c.format, c.position_bytes, c.time_us, data)
            return fill(r, "append", backend.append(chunk))

        return _answered(f"{name}.append", result, work)

    def read(rid: Any, leg: int, position: int, to: int, cap: int, op: int, result: Any, _: Any) -> int:
        def work(r: _abi.Result) -> Any:
            data = backend.read(ctypes.string_at(rid, 16), leg, position, cap)
            if len(data) > cap:
                raise ValueError("read() returned more than was asked for")
            ctypes.memmove(to, data, len(data))
            r.size_bytes = len(data)
            return fill(r, "read", None)

        return _answered(f"{name}.read", result, work)

    def of_id(question: str) -> Any:
        def slot(rid: Any, op: int, result: Any, _: Any) -> int:
            return _answered(
                f"{name}.{question}",
                result,
                lambda r: fill(r, question, getattr(backend, question)(ctypes.string_at(rid, 16))),
            )

        return _abi.IdFn(slot)

    def flush(op: int, result: Any, _: Any) -> int:
        return _answered(f"{name}.flush", result, lambda r: fill(r, "flush", backend.flush()))

    @callback
    def scan(found: Any, found_data: Any, _: Any) -> int:
        try:
            for rid, meta, legs in backend.scan():
                kept = ctypes.create_string_buffer(meta, len(meta))
                one = _abi.ScannedStruct(meta=ctypes.cast(kept, ctypes.c_void_p), meta_bytes=len(meta))
                one.id[:] = rid
                for i, (fmt, size) in enumerate(legs):
                    one.leg_format[i], one.leg_bytes[i] = fmt, size
                found(ctypes.byref(one), found_data)
            return _abi.OK
        except BaseException:  # noqa: B036
            _report(f"{name}.scan")
            return _abi.E_CALLBACK

    return _abi.BufferOps(
        open=_abi.OpenFn(open_),
        append=_abi.AppendFn(append),
        flush=_abi.FlushFn(flush),
        seal=of_id("seal"),
        read=_abi.ReadFn(read),
        erase=of_id("erase"),
        scan=_abi.ScanFn(scan),
    )
