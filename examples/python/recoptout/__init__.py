# SPDX-License-Identifier: MIT
"""Callers who object are not recorded.

    from recoptout import Engine

    with Engine(state_dir="/var/lib/pbx/recoptout", output_dir="/var/lib/pbx/recordings", opt_out_enabled=True) as engine:
        with engine.session("a84b4c76e66710") as call:
            caller = call.add_leg("caller", "pcmu")
            call.start()
            call.push(caller, frame)          # any buffer; media thread
            receipt = call.opt_out()          # any thread; durable when it returns
            print(receipt.status, receipt.sentence("de"))

The package is a binding to ``librecoptout.so.2`` and needs nothing but that library and ctypes. It looks for the library in
``RECOPTOUT_LIBRARY``, then where the system's loader looks. Sentences, tools, claims and ``Engine.serve()`` are those of
``librecoptout-agent.so.2``, looked for in ``RECOPTOUT_AGENT_LIBRARY``, beside ``RECOPTOUT_LIBRARY``, then where the loader
looks; without it they raise :class:`AgentLibraryMissing`, and all else works. :func:`has_feature` tells what is there.
:mod:`recoptout.control` needs no library at all.
"""

from ._version import VERSION as __version__
from ._library import missing

if missing is None:
    from .errors import (
        BackendError,
        CallEnded,
        CallExists,
        NotAvailable,
        NotDurable,
        NotFound,
        OptedOut,
        RecoptoutError,
        WaitTimeout,
    )
    from ._abi import AgentLibraryMissing, has_feature
    from .agent import Phrasebook, ToolAnswer, claims, languages, sentence
    from .engine import Engine, Pending
    from .events import Event, EventStream
    from .receipt import Receipt, verify_receipt
    from .session import Session
    from .storage import PENDING, BufferBackend, Chunk, DeletionBackend, FileObject, Recording, UploadBackend
else:

    def __getattr__(name: str) -> object:
        """All but the socket's client needs the library: asking for it tells where it was looked for."""
        if name in __all__:
            raise missing
        raise AttributeError(name)


__all__ = [
    "AgentLibraryMissing",
    "BackendError",
    "BufferBackend",
    "CallEnded",
    "CallExists",
    "Chunk",
    "DeletionBackend",
    "Engine",
    "Event",
    "EventStream",
    "FileObject",
    "NotAvailable",
    "NotDurable",
    "NotFound",
    "OptedOut",
    "PENDING",
    "Pending",
    "Phrasebook",
    "Receipt",
    "RecoptoutError",
    "Recording",
    "Session",
    "ToolAnswer",
    "UploadBackend",
    "WaitTimeout",
    "__version__",
    "claims",
    "has_feature",
    "languages",
    "sentence",
    "verify_receipt",
]
