# SPDX-License-Identifier: MIT
"""What is known of an opt-out at one moment."""

from __future__ import annotations

import ctypes
import json as _json
from dataclasses import dataclass, field
from typing import Optional, Tuple, Union

from . import _abi, _arguments
from ._abi import lib
from .errors import check

_FACTS = (
    "stopped",
    "durable",
    "erased",
    "verified",
    "held",
    "recorded",
    "early",
    "after_end",
    "swept",
    "recovered",
    "escalated",
    "unregistered",
)


@dataclass(frozen=True)
class Receipt:
    """Evidence of an opt-out. It holds no audio, no hash of audio and no phone number."""

    id: str
    call_id: str
    #: who asked
    source: str
    #: "durable", "erased", "verified", "retrying", "not_recording", "held", ...; "noted": the engine knows no such call, and
    #: nothing is known of its recording
    status: str
    #: names of what is true: "stopped", "durable", "erased", "verified", "held", "recorded", ...
    facts: frozenset
    #: wall clock, microseconds since 1970; None where it has not come
    requested_us: Optional[int]
    stopped_us: Optional[int]
    durable_us: Optional[int]
    erased_us: Optional[int]
    verified_us: Optional[int]
    #: when this was true
    issued_us: Optional[int]
    #: the signed line, for :func:`verify_receipt` and for your files
    json: str = field(repr=False)
    #: what is outstanding of the request that gave it: "" nothing; "RCO_PENDING" it is under way; "RCO_E_NOT_DURABLE",
    #: "RCO_E_CALLBACK" (the host's recorder) failed so far and is tried again; "RCO_E_TIMEOUT" what was waited for
    reason: str
    _status: int = field(repr=False)

    @property
    def ledger_head(self) -> "Optional[Tuple[int, str]]":
        """Sequence number and hash (in hex) of the newest durable entry of the engine's ledger when this was issued."""
        body = _json.loads(self.json)
        return (body["ledger_seq"], body["ledger_hash"]) if "ledger_seq" in body else None

    def sentence(self, language: str = "en", company: Optional[str] = None) -> str:
        """What may be said to the caller now."""
        from .agent import sentence

        return sentence(_abi.agent.rco_sentence_for(0, self._status), language, company)

    @classmethod
    def _read(cls, handle: ctypes.c_void_p) -> "Receipt":
        buffer = ctypes.create_string_buffer(_abi.RECEIPT_JSON_MAX)
        size = ctypes.c_size_t()
        check(lib.rco_receipt_to_json(handle, buffer, len(buffer), ctypes.byref(size)))
        bits = lib.rco_receipt_facts(handle)
        status = lib.rco_receipt_status(handle)
        times = [lib.rco_receipt_time_us(handle, moment) or None for moment in range(1, 7)]
        return cls(
            lib.rco_receipt_id(handle).decode(),
            lib.rco_receipt_call_id(handle).decode(),
            lib.rco_receipt_source(handle).decode(),
            lib.rco_status_name(status).decode(),
            frozenset(name for bit, name in enumerate(_FACTS) if bits & (1 << bit)),
            *times,
            buffer.value.decode("ascii"),
            lib.rco_error_name(code).decode() if (code := lib.rco_receipt_code(handle)) else "",
            status,
        )


def verify_receipt(json: "Union[str, bytes]", public_key: bytes) -> str:
    """Check a receipt's signature, without an engine.

    ``public_key``: 32 bytes, of :attr:`Engine.public_key`, got by another way than the receipt. Returns the status that it
    speaks of; raises :class:`RecoptoutError` if it is not genuine.
    """
    if not isinstance(public_key, (bytes, bytearray, memoryview)):
        raise TypeError(f"public_key is bytes, not {type(public_key).__name__}")
    key = bytes(public_key)
    if len(key) != 32:
        raise ValueError("a public key has 32 bytes")
    data = bytes(json) if isinstance(json, (bytes, bytearray)) else _arguments.string("json", json)
    status = ctypes.c_uint32()
    check(lib.rco_receipt_verify(data, len(data), key, ctypes.byref(status)))
    return lib.rco_status_name(status.value).decode()
