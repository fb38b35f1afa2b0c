# SPDX-License-Identifier: MIT
"""The C interface as ctypes sees it: the library, its structs, its functions. Layouts are checked when this is imported."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, Dict, List, Tuple

ABI = 2
AGENT_ABI = 2
PENDING = 1
OK = 0
E_INVALID = -1
E_NO_MEMORY = -5
E_LIMIT = -9
E_FORKED = -22
E_CALLBACK = -30
E_NOT_FOUND = -33

ENGINE_HOST_DRIVEN = 1
ENGINE_PRIVATE_RINGS = 2
OPT_OUT_NONBLOCK = 1
TOOL_STRICT = 1
TOOL_ENVELOPE = 1
TOOL_NONBLOCK = 2
NONE_MS = 0xFFFFFFFF
RECEIPT_JSON_MAX = 4096
CONFIRM_DONE, CONFIRM_GONE, CONFIRM_PRESENT = 1, 2, 3


class LibraryMissing(ImportError):
    """librecoptout is not installed. :mod:`recoptout.control` works without it."""


class AgentLibraryMissing(LibraryMissing):
    """librecoptout-agent is not installed: the tool, the sentences, the claims and the socket's server are not there. Calls are
    recorded and opted out without it."""


AGENT_FILE = f"librecoptout-agent.so.{AGENT_ABI}"


def _load() -> ctypes.CDLL:
    name = os.environ.get("RECOPTOUT_LIBRARY") or ctypes.util.find_library("recoptout") or f"librecoptout.so.{ABI}"
    try:
        return ctypes.CDLL(name)
    except OSError as why:
        raise LibraryMissing(
            f"{name} cannot be loaded ({why}). Install librecoptout (make install), or say where it is with "
            "RECOPTOUT_LIBRARY=/path/to/librecoptout.so.2"
        ) from why


def _agent_name() -> str:
    """Said by the environment; else beside a library of which it is said where it is; else where the loader looks."""
    said = os.environ.get("RECOPTOUT_AGENT_LIBRARY")
    if said:
        return said
    core = os.environ.get("RECOPTOUT_LIBRARY")
    if core and os.path.dirname(core):
        return os.path.join(os.path.dirname(core), AGENT_FILE)
    return ctypes.util.find_library("recoptout-agent") or AGENT_FILE


class _NoAgent:
    """In place of the library: calling a function of it tells that, and where it was looked for."""

    def __init__(self, missing: AgentLibraryMissing) -> None:
        self._missing = missing

    def __getattr__(self, name: str) -> Any:
        if name.startswith("rco_"):
            raise AgentLibraryMissing(*self._missing.args) from self._missing.__cause__
        raise AttributeError(name)


def _load_agent() -> Any:
    name = _agent_name()
    try:
        return ctypes.CDLL(name)
    except OSError as why:
        missing = AgentLibraryMissing(
            f"{name} cannot be loaded ({why}): it has what voice agents and other processes need. Install librecoptout-agent "
            f"(make install), or say where it is with RECOPTOUT_AGENT_LIBRARY=/path/to/{AGENT_FILE}"
        )
        missing.__cause__ = why
        return _NoAgent(missing)


lib = _load()
#: librecoptout-agent, which uses the library loaded before it
agent = _load_agent()
has_agent = not isinstance(agent, _NoAgent)


class Head(Structure):
    """What every struct begins with."""

    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32)]

    def __init__(self, **values: object) -> None:
        super().__init__(struct_size=ctypes.sizeof(self), **values)


class EventStruct(Head):
    _fields_ = [
        ("type", c_uint32),
        ("status", c_uint32),
        ("code", c_int32),
        ("attempt", c_uint32),
        ("count", c_uint64),
        ("time_us", c_int64),
        ("call_id", c_char_p),
        ("receipt_id", c_char_p),
        ("message", c_char_p),
        ("user_data", c_void_p),
        ("recording_id", c_uint8 * 16),
        ("reserved", c_void_p),
    ]


EventFn = CFUNCTYPE(None, POINTER(EventStruct), c_void_p)
LogFn = CFUNCTYPE(None, c_uint32, c_char_p, c_size_t, c_void_p)


class EngineConfig(Head):
    _fields_ = [
        ("ring_pool_bytes", c_uint64),
        ("segment_bytes", c_uint64),
        ("upload_part_bytes", c_uint64),
        ("ledger_retention_s", c_uint64),
        ("opt_out_enabled", c_uint32),
        ("consent", c_uint32),
        ("erase_kinds", c_uint32),
        ("export_format", c_uint32),
        ("export_layout", c_uint32),
        ("workers", c_uint32),
        ("flush_interval_ms", c_uint32),
        ("late_opt_out_ms", c_uint32),
        ("sweep_delay_ms", c_uint32),
        ("erase_deadline_ms", c_uint32),
        ("retry_min_ms", c_uint32),
        ("retry_max_ms", c_uint32),
        ("backend_timeout_ms", c_uint32),
        ("early_opt_out_ttl_s", c_uint32),
        ("remember_ended_s", c_uint32),
        ("key_epoch_s", c_uint32),
        ("state_dir", c_char_p),
        ("output_dir", c_char_p),
        ("key_dir", c_char_p),
        ("ring_dir", c_char_p),
        ("buffer", c_void_p),
        ("buffer_user_data", c_void_p),
        ("upload", c_void_p),
        ("upload_user_data", c_void_p),
        ("deletion", c_void_p),
        ("deletion_user_data", c_void_p),
        ("keys", c_void_p),
        ("keys_user_data", c_void_p),
        ("allocator", c_void_p),
        ("clock", c_void_p),
        ("log", LogFn),
        ("log_user_data", c_void_p),
        ("event", EventFn),
        ("event_user_data", c_void_p),
        ("early_opt_outs_max", c_uint32),
        ("remember_opt_outs", c_uint32),
        ("thread", c_void_p),
        ("thread_user_data", c_void_p),
        ("log_level", c_uint32),
        ("reserved1", c_uint32),
    ]


class SessionOptions(Head):
    _fields_ = [
        ("consent", c_uint32),
        ("opt_out", c_uint32),
        ("legal_hold", c_uint32),
        ("reserved0", c_uint32),
        ("call_id", c_char_p),
        ("recorder", c_void_p),
        ("recorder_user_data", c_void_p),
        ("user_data", c_void_p),
        ("reserved1", c_void_p),
    ]


class OptOutOptions(Head):
    _fields_ = [
        ("wait_status", c_uint32),
        ("timeout_ms", c_uint32),
        ("source", c_char_p),
        ("reserved", c_void_p),
    ]


class SessionStats(Head):
    _fields_ = [
        ("state", c_uint32),
        ("legs", c_uint32),
        ("created_us", c_int64),
        ("started_us", c_int64),
        ("ended_us", c_int64),
        ("stopped_us", c_int64),
        ("accepted_bytes", c_uint64),
        ("accepted_frames", c_uint64),
        ("overflowed_frames", c_uint64),
        ("buffered_bytes", c_uint64),
        ("late_frames", c_uint64),
        ("gap_bytes", c_uint64),
        ("recording_id", c_uint8 * 16),
    ]


class Frame(Structure):
    _fields_ = [
        ("session", c_void_p),
        ("data", c_void_p),
        ("position", c_uint64),
        ("size_bytes", c_uint32),
        ("leg", c_uint32),
        ("format", c_uint32),
        ("flags", c_uint32),
        ("result", c_int32),
        ("reserved", c_uint32),
    ]


class EngineStats(Head):
    _fields_ = [
        ("sessions_open", c_uint64),
        ("sessions_recording", c_uint64),
        ("uploads_pending", c_uint64),
        ("erasures_pending", c_uint64),
        ("erasures_escalated", c_uint64),
        ("tombstones_waiting", c_uint64),
        ("opt_outs_early", c_uint64),
        ("holds", c_uint64),
        ("frames_overflowed", c_uint64),
        ("quarantined_files", c_uint64),
        ("ring_bytes_total", c_uint64),
        ("ring_bytes_free", c_uint64),
    ]


class PendingStruct(Head):
    _fields_ = [
        ("status", c_uint32),
        ("attempts", c_uint32),
        ("requested_us", c_int64),
        ("deadline_us", c_int64),
        ("call_id", c_char_p),
        ("receipt_id", c_char_p),
    ]


PendingFn = CFUNCTYPE(c_int, POINTER(PendingStruct), c_void_p)


class ToolOptions(Head):
    _fields_ = [
        ("dialect", c_uint32),
        ("reserved0", c_uint32),
        ("session", c_void_p),
        ("url", c_char_p),
        ("description", c_char_p),
        ("reserved1", c_void_p),
    ]


class ToolRequest(Head):
    _fields_ = [
        ("dialect", c_uint32),
        ("wait_ms", c_uint32),
        ("session", c_void_p),
        ("call_id", c_char_p),
        ("language", c_char_p),
        ("company", c_char_p),
        ("book", c_void_p),
        ("json", c_char_p),
        ("json_bytes", c_size_t),
        ("source", c_char_p),
        ("reserved", c_void_p),
    ]


class ControlOptions(Head):
    _fields_ = [
        ("max_clients", c_uint32),
        ("idle_ms", c_uint32),
        ("path", c_char_p),
        ("allowed_uids", POINTER(c_uint32)),
        ("n_allowed_uids", c_size_t),
        ("book", c_void_p),
        ("reserved", c_void_p),
        ("gid", c_uint32),
        ("early_per_user", c_uint32),
        ("thread", c_void_p),
        ("thread_user_data", c_void_p),
    ]


class Result(Head):
    _fields_ = [
        ("confirmed", c_uint32),
        ("reserved0", c_uint32),
        ("size_bytes", c_uint64),
        ("count", c_uint64),
        ("upload_id", c_char * 256),
        ("version", c_char * 256),
    ]


class RecordingStruct(Head):
    _fields_ = [("id", c_uint8 * 16), ("meta", c_void_p), ("meta_bytes", c_size_t)]


class ChunkStruct(Head):
    _fields_ = [
        ("recording_id", c_uint8 * 16),
        ("leg", c_uint32),
        ("format", c_uint32),
        ("position_bytes", c_uint64),
        ("time_us", c_int64),
        ("data", c_void_p),
        ("size_bytes", c_size_t),
    ]


class ScannedStruct(Head):
    _fields_ = [
        ("id", c_uint8 * 16),
        ("meta", c_void_p),
        ("meta_bytes", c_size_t),
        ("leg_format", c_uint32 * 8),
        ("leg_bytes", c_uint64 * 8),
        ("damaged_bytes", c_uint64),
    ]


class ObjectStruct(Head):
    _fields_ = [
        ("kind", c_uint32),
        ("store", c_uint32),
        ("recording_id", c_uint8 * 16),
        ("size_bytes", c_uint64),
        ("key", c_char_p),
        ("upload_id", c_char_p),
        ("version", c_char_p),
        ("call_id", c_char_p),
        ("content_type", c_char_p),
        ("reserved", c_void_p),
    ]


Id = POINTER(c_uint8)
OpenFn = CFUNCTYPE(c_int, POINTER(RecordingStruct), c_uint64, POINTER(Result), c_void_p)
AppendFn = CFUNCTYPE(c_int, POINTER(ChunkStruct), c_uint64, POINTER(Result), c_void_p)
FlushFn = CFUNCTYPE(c_int, c_uint64, POINTER(Result), c_void_p)
IdFn = CFUNCTYPE(c_int, Id, c_uint64, POINTER(Result), c_void_p)
ReadFn = CFUNCTYPE(c_int, Id, c_uint32, c_uint64, c_void_p, c_size_t, c_uint64, POINTER(Result), c_void_p)
RevokeFn = CFUNCTYPE(None, Id, c_void_p)
FoundFn = CFUNCTYPE(None, POINTER(ScannedStruct), c_void_p)
ScanFn = CFUNCTYPE(c_int, FoundFn, c_void_p, c_void_p)
AttachFn = CFUNCTYPE(c_int, c_void_p, c_void_p)
DetachFn = CFUNCTYPE(None, c_void_p, c_void_p)
ObjectFn = CFUNCTYPE(c_int, POINTER(ObjectStruct), c_uint64, POINTER(Result), c_void_p)
PutFn = CFUNCTYPE(c_int, POINTER(ObjectStruct), c_uint32, c_void_p, c_size_t, c_uint64, POINTER(Result), c_void_p)


class BufferOps(Head):
    _fields_ = [
        ("attach", AttachFn),
        ("detach", DetachFn),
        ("open", OpenFn),
        ("append", AppendFn),
        ("flush", FlushFn),
        ("seal", IdFn),
        ("read", ReadFn),
        ("revoke", RevokeFn),
        ("erase", IdFn),
        ("scan", ScanFn),
        ("reserved", c_void_p),
    ]


class UploadOps(Head):
    _fields_ = [
        ("attach", AttachFn),
        ("detach", DetachFn),
        ("begin", ObjectFn),
        ("put", PutFn),
        ("commit", ObjectFn),
        ("abort", ObjectFn),
        ("list", ObjectFn),
        ("head", ObjectFn),
        ("reserved", c_void_p),
    ]


class DeletionOps(Head):
    _fields_ = [
        ("attach", AttachFn),
        ("detach", DetachFn),
        ("remove", ObjectFn),
        ("verify", ObjectFn),
        ("reserved", c_void_p),
    ]


class PyBuffer(Structure):
    """Py_buffer (PEP 3118), to reach the bytes of any object that has some."""

    _fields_ = [
        ("buf", c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", c_int),
        ("ndim", c_int),
        ("format", c_char_p),
        ("shape", c_void_p),
        ("strides", c_void_p),
        ("suboffsets", c_void_p),
        ("internal", c_void_p),
    ]


get_buffer = ctypes.pythonapi.PyObject_GetBuffer
get_buffer.argtypes = [ctypes.py_object, POINTER(PyBuffer), c_int]
get_buffer.restype = c_int
release_buffer = ctypes.pythonapi.PyBuffer_Release
release_buffer.argtypes = [POINTER(PyBuffer)]
release_buffer.restype = None

_STRUCTS = {
    1: EngineConfig,
    2: SessionOptions,
    3: OptOutOptions,
    4: EventStruct,
    5: SessionStats,
    6: EngineStats,
    10: Result,
    11: ObjectStruct,
    12: RecordingStruct,
    13: ChunkStruct,
    14: ScannedStruct,
    15: BufferOps,
    16: UploadOps,
    17: DeletionOps,
    23: Frame,
    24: PendingStruct,
}
_AGENT_STRUCTS = {25: ToolOptions, 26: ToolRequest, 27: ControlOptions}


def _check(library: Any, name: str, prefix: str, abi: int, structs: Dict[int, Any]) -> None:
    version, sizeof = getattr(library, prefix + "abi_version"), getattr(library, prefix + "abi_sizeof")
    version.restype = sizeof.restype = c_uint32
    sizeof.argtypes = [c_uint32]
    if version() != abi:
        raise ImportError(f"{name} has binary interface {version()}; this package knows {abi}")
    for number, struct in structs.items():
        size = sizeof(number)
        if size < ctypes.sizeof(struct):  # a newer library may have appended members
            raise ImportError(
                f"{struct.__name__} has {size} bytes in {name} and {ctypes.sizeof(struct)} here: "
                "the library is older than this package"
            )


_check(lib, "librecoptout", "rco_", ABI, _STRUCTS)
if has_agent:
    _check(agent, "librecoptout-agent", "rco_agent_", AGENT_ABI, _AGENT_STRUCTS)

_OUT = POINTER(c_void_p)
_PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {
    "rco_version_string": (c_char_p, []),
    "rco_has_feature": (c_int, [c_char_p]),
    "rco_error_name": (c_char_p, [c_int]),
    "rco_strerror": (c_char_p, [c_int]),
    "rco_error_detail": (c_char_p, []),
    "rco_status_name": (c_char_p, [c_uint32]),
    "rco_event_name": (c_char_p, [c_uint32]),
    "rco_session_state_name": (c_char_p, [c_uint32]),
    "rco_engine_create": (c_int, [POINTER(EngineConfig), _OUT]),
    "rco_engine_free": (None, [c_void_p]),
    "rco_engine_set_opt_out_enabled": (c_int, [c_void_p, c_int]),
    "rco_engine_opt_out_enabled": (c_int, [c_void_p]),
    "rco_engine_run": (c_int, [c_void_p, c_uint32, c_uint32]),
    "rco_engine_wait_idle": (c_int, [c_void_p, c_uint32]),
    "rco_engine_get_stats": (c_int, [c_void_p, POINTER(EngineStats)]),
    "rco_engine_each_pending": (c_int, [c_void_p, PendingFn, c_void_p]),
    "rco_engine_public_key": (c_int, [c_void_p, c_char_p]),
    "rco_engine_recorder_stopped": (c_int, [c_void_p, c_char_p]),
    "rco_engine_receipt": (c_int, [c_void_p, c_char_p, _OUT]),
    "rco_engine_lift_legal_hold": (c_int, [c_void_p, c_char_p]),
    "rco_engine_register_artifact": (c_int, [c_void_p, c_char_p, c_uint32, c_char_p, c_char_p]),
    "rco_recording_opt_out": (c_int, [c_void_p, c_char_p, POINTER(OptOutOptions), _OUT]),
    "rco_recording_receipt": (c_int, [c_void_p, c_char_p, _OUT]),
    "rco_recording_register_artifact": (c_int, [c_void_p, c_char_p, c_uint32, c_char_p, c_char_p]),
    "rco_recording_set_legal_hold": (c_int, [c_void_p, c_char_p, c_int]),
    "rco_recording_recorder_stopped": (c_int, [c_void_p, c_char_p]),
    "rco_session_create": (c_int, [c_void_p, POINTER(SessionOptions), _OUT]),
    "rco_session_add_leg": (c_int, [c_void_p, c_char_p, c_uint32, POINTER(c_uint32)]),
    "rco_session_start": (c_int, [c_void_p]),
    "rco_session_push": (c_int, [c_void_p, c_uint32, c_uint32, c_void_p, c_size_t]),
    "rco_frames_push": (c_int32, [POINTER(Frame), c_uint32]),
    "rco_session_pause": (c_int, [c_void_p]),
    "rco_session_resume": (c_int, [c_void_p]),
    "rco_session_end": (c_int, [c_void_p]),
    "rco_session_set_consent": (c_int, [c_void_p, c_int]),
    "rco_session_set_legal_hold": (c_int, [c_void_p, c_int]),
    "rco_session_register_artifact": (c_int, [c_void_p, c_uint32, c_char_p, c_char_p]),
    "rco_session_get_stats": (c_int, [c_void_p, POINTER(SessionStats)]),
    "rco_session_call_record": (c_int, [c_void_p, c_char_p, c_size_t, POINTER(c_size_t)]),
    "rco_session_opt_out_enabled": (c_int, [c_void_p]),
    "rco_session_receipt": (c_int, [c_void_p, _OUT]),
    "rco_session_free": (None, [c_void_p]),
    "rco_opt_out": (c_int, [c_void_p, POINTER(OptOutOptions), _OUT]),
    "rco_engine_opt_out": (c_int, [c_void_p, c_char_p, POINTER(OptOutOptions), _OUT]),
    "rco_receipt_id": (c_char_p, [c_void_p]),
    "rco_receipt_call_id": (c_char_p, [c_void_p]),
    "rco_receipt_source": (c_char_p, [c_void_p]),
    "rco_receipt_status": (c_uint32, [c_void_p]),
    "rco_receipt_code": (c_int, [c_void_p]),
    "rco_receipt_facts": (c_uint32, [c_void_p]),
    "rco_receipt_time_us": (c_int64, [c_void_p, c_uint32]),
    "rco_receipt_to_json": (c_int, [c_void_p, c_char_p, c_size_t, POINTER(c_size_t)]),
    "rco_receipt_verify": (c_int, [c_char_p, c_size_t, c_char_p, POINTER(c_uint32)]),
    "rco_receipt_free": (None, [c_void_p]),
    "rco_op_complete": (c_int, [c_void_p, c_uint64, c_int, POINTER(Result)]),
}
_AGENT_PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {
    "rco_agent_has_feature": (c_int, [c_char_p]),
    "rco_phrasebook_create": (c_int, [c_void_p, _OUT]),
    "rco_phrasebook_set": (c_int, [c_void_p, c_char_p, c_uint32, c_char_p]),
    "rco_phrasebook_free": (None, [c_void_p]),
    "rco_sentence_get": (c_int, [c_void_p, c_char_p, c_uint32, c_char_p, c_char_p, c_size_t, POINTER(c_size_t)]),
    "rco_sentence_for": (c_uint32, [c_int, c_uint32]),
    "rco_language_at": (c_char_p, [c_uint32]),
    "rco_dialect_name": (c_char_p, [c_uint32]),
    "rco_tool_definition": (c_int, [c_void_p, POINTER(ToolOptions), c_char_p, c_size_t, POINTER(c_size_t)]),
    "rco_tool_call": (c_int, [c_void_p, POINTER(ToolRequest), _OUT]),
    "rco_tool_answer_json": (c_char_p, [c_void_p, POINTER(c_size_t)]),
    "rco_tool_answer_calls": (c_uint32, [c_void_p]),
    "rco_tool_answer_others": (c_uint32, [c_void_p]),
    "rco_tool_answer_dialect": (c_uint32, [c_void_p]),
    "rco_tool_answer_sentence": (c_char_p, [c_void_p]),
    "rco_tool_answer_receipt": (c_void_p, [c_void_p]),
    "rco_tool_answer_free": (None, [c_void_p]),
    "rco_claims": (c_uint32, [c_char_p, c_char_p, c_size_t]),
    "rco_session_check_claims": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t, POINTER(c_uint32)]),
    "rco_control_open": (c_int, [c_void_p, POINTER(ControlOptions), _OUT]),
    "rco_control_close": (None, [c_void_p]),
}


def _declare(library: Any, name: str, prototypes: Dict[str, Tuple[Any, List[Any]]]) -> None:
    for function_name, (result, arguments) in prototypes.items():
        try:
            function = getattr(library, function_name)
        except AttributeError:
            raise ImportError(f"{name} has no {function_name}(): it is older than this package") from None
        function.restype = result
        function.argtypes = arguments


_declare(lib, "librecoptout", _PROTOTYPES)
if has_agent:
    _declare(agent, "librecoptout-agent", _AGENT_PROTOTYPES)


def has_feature(name: str) -> bool:
    """Whether the libraries that are loaded have a feature: "spool", "wav.zst", "agent", "control", ... (recoptout.h)"""
    if not isinstance(name, str):
        raise TypeError(f"name is a str, not {type(name).__name__}")
    text = name.encode("utf-8")
    return (agent.rco_agent_has_feature(text) if has_agent else lib.rco_has_feature(text)) == 1
