# SPDX-License-Identifier: MIT
"""For voice agents: what may be said, what was claimed, and the answers to tool calls."""

from __future__ import annotations

import ctypes
import json as _json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Union

from . import _abi
from ._abi import lib
from .errors import check
from .receipt import Receipt

#: what can be said, by name
SENTENCES = {
    name: number + 1
    for number, name in enumerate(
        (
            "announcement",
            "guidance",
            "ask_consent",
            "erased",
            "erasing",
            "retrying",
            "stopped",
            "stopping",
            "not_recording",
            "held",
            "not_available",
            "ended",
            "trouble",
        )
    )
}


def _dialects() -> Dict[str, int]:
    found: Dict[str, int] = {}
    while lib.rco_dialect_name(len(found)) is not None:
        found[lib.rco_dialect_name(len(found)).decode()] = len(found)
    return found


#: whose tool calls are understood, by name: "openai-chat", "anthropic", "gemini", "mcp", "vapi", ...
DIALECTS = _dialects()


def dialect_number(name: str) -> int:
    """The number of a dialect; ValueError names those there are."""
    if name not in DIALECTS:
        raise ValueError(f"unknown dialect {name!r}; there are {', '.join(DIALECTS)}")
    return DIALECTS[name]


def languages() -> List[str]:
    """Tags of the built-in languages, "en" first."""
    found: List[str] = []
    while lib.rco_language_at(len(found)) is not None:
        found.append(lib.rco_language_at(len(found)).decode())
    return found


class Phrasebook:
    """Sentences of your own; what is not in it is taken from the built-in ones.

        book = Phrasebook()
        book.set("de", "erased", "Alles ist gelöscht.")

    That they are true stays yours to see to. ``{company}`` is replaced by the company's name.
    """

    def __init__(self) -> None:
        handle = ctypes.c_void_p()
        check(lib.rco_phrasebook_create(None, ctypes.byref(handle)))
        self._handle = handle

    def set(self, language: str, name: str, text: Optional[str]) -> None:
        """Put a sentence in; None takes it out. Not while another thread uses the book."""
        check(lib.rco_phrasebook_set(self._handle, _abi.text(language), SENTENCES[name], _abi.text(text)))

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            lib.rco_phrasebook_free(handle)


def sentence(
    name: Union[str, int], language: str = "en", company: Optional[str] = None, book: Optional[Phrasebook] = None
) -> str:
    """A sentence: "announcement", "guidance" (for the agent's prompt), "ask_consent", "erased", "erasing", ..."""
    number = SENTENCES[name] if isinstance(name, str) else name
    size = ctypes.c_size_t()
    arguments = (book._handle if book else None, _abi.text(language), number, _abi.text(company))
    code = lib.rco_sentence_get(*arguments, None, 0, ctypes.byref(size))
    if code != _abi.E_LIMIT:
        check(code)
    buffer = ctypes.create_string_buffer(size.value + 1)
    check(lib.rco_sentence_get(*arguments, buffer, len(buffer), ctypes.byref(size)))
    return buffer.value.decode("utf-8")


def claims(text: str, language: Optional[str] = None) -> frozenset:
    """What a text claims about the recording: a set of "stopped" and "erased"."""
    data = text.encode("utf-8", "replace")
    return claim_names(lib.rco_claims(_abi.text(language), data, len(data)))


def claim_names(bits: int) -> frozenset:
    """The names of RCO_CLAIM_... bits."""
    return frozenset(name for bit, name in ((1, "stopped"), (2, "erased")) if bits & bit)


@dataclass(frozen=True)
class ToolAnswer:
    """What is to be sent back for a message with tool calls."""

    #: as the platform expects it; "" if no call was this tool's
    json: str
    #: calls of this tool in the message, and of others, which are yours
    calls: int
    others: int
    #: the dialect that was recognised
    dialect: str
    #: for the caller, in the call's language
    sentence: str
    receipt: Optional[Receipt]
    #: what rco_opt_out() returned, 0 if all is well
    code: int

    @property
    def data(self) -> Any:
        """``json``, parsed; None if there is none."""
        return _json.loads(self.json) if self.json else None


def message_bytes(message: Any) -> bytes:
    """A message as it came: text, bytes, or an object of JSON."""
    if isinstance(message, str):
        return message.encode("utf-8", "surrogatepass")
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    if hasattr(message, "model_dump"):  # objects of the OpenAI and Anthropic packages
        message = message.model_dump()
    return _json.dumps(message, default=str).encode()


def read_answer(code: int, handle: ctypes.c_void_p) -> ToolAnswer:
    """A C answer, which is freed."""
    try:
        return ToolAnswer(
            lib.rco_tool_answer_json(handle, None).decode("ascii"),
            lib.rco_tool_answer_calls(handle),
            lib.rco_tool_answer_others(handle),
            lib.rco_dialect_name(lib.rco_tool_answer_dialect(handle)).decode(),
            lib.rco_tool_answer_sentence(handle).decode("utf-8"),
            Receipt._take(ctypes.c_void_p(lib.rco_tool_answer_receipt(handle)), free=False),
            code,
        )
    finally:
        lib.rco_tool_answer_free(handle)
