# SPDX-License-Identifier: MIT
"""What is known of an opt-out at one moment."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Optional

from . import _abi
from ._abi import lib
from .errors import check

_FACTS = (
    "stopped",
    "durable",
    "erased",
    "verified",
    "held",
    "recorded",
    "before_birth",
    "after_end",
    "swept",
    "recovered",
    "escalated",
)


@dataclass(frozen=True)
class Receipt:
    """Evidence of an opt-out. It holds no audio, no hash of audio and no phone number."""

    id: str
    call_id: str
    #: who asked
    source: str
    #: "durable", "erased", "verified", "pending", "not_recording", "held", ...
    status: str
    #: names of what is true: "stopped", "durable", "erased", "verified", "held", "recorded", ...
    facts: frozenset
    #: wall clock, microseconds since 1970; None where it has not come
    requested_us: Optional[int]
    stopped_us: Optional[int]
    durable_us: Optional[int]
    erased_us: Optional[int]
    verified_us: Optional[int]
    #: the signed line, for :func:`verify_receipt` and for your files
    json: str
    _status: int

    def sentence(self, language: str = "en", company: Optional[str] = None) -> str:
        """What may be said to the caller now."""
        from .agent import sentence

        return sentence(lib.rco_sentence_for(0, self._status), language, company)

    @classmethod
    def _take(cls, handle: ctypes.c_void_p, free: bool = True) -> "Optional[Receipt]":
        """Read a C receipt, and free it if it is ours."""
        if not handle:
            return None
        try:
            return cls._read(handle)
        finally:
            if free:
                lib.rco_receipt_free(handle)

    @classmethod
    def _read(cls, handle: ctypes.c_void_p) -> "Receipt":
        buffer = ctypes.create_string_buffer(_abi.RECEIPT_JSON_MAX)
        size = ctypes.c_size_t()
        check(lib.rco_receipt_to_json(handle, buffer, len(buffer), ctypes.byref(size)))
        bits = lib.rco_receipt_facts(handle)
        status = lib.rco_receipt_status(handle)
        times = [lib.rco_receipt_time_us(handle, moment) or None for moment in range(1, 6)]
        return cls(
            lib.rco_receipt_id(handle).decode(),
            lib.rco_receipt_call_id(handle).decode(),
            lib.rco_receipt_source(handle).decode(),
            lib.rco_status_name(status).decode(),
            frozenset(name for bit, name in enumerate(_FACTS) if bits & (1 << bit)),
            *times,
            buffer.value.decode("ascii"),
            status,
        )


def verify_receipt(json: str, public_key: bytes) -> str:
    """Check a receipt's signature, without an engine.

    ``public_key``: 32 bytes, of :attr:`Engine.public_key`, got by another way than the receipt. Returns the status that it
    speaks of; raises :class:`RecoptoutError` if it is not genuine.
    """
    if len(public_key) != 32:
        raise ValueError("a public key has 32 bytes")
    data = json.encode("utf-8")
    status = ctypes.c_uint32()
    check(lib.rco_receipt_verify(data, len(data), public_key, ctypes.byref(status)))
    return lib.rco_status_name(status.value).decode()
