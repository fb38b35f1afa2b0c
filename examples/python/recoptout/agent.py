# SPDX-License-Identifier: MIT
"""For voice agents: what may be said, what was claimed, and the answers to tool calls."""

from __future__ import annotations

import ctypes
import json as _json
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Union

from . import _abi, _arguments
from ._handle import AnswerOwner, BookOwner, Handle
from ._message import message_bytes, unreadable
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
            "error",
            "noted",
        )
    )
}


def _dialects() -> Dict[str, int]:
    found: Dict[str, int] = {}
    while _abi.agent.rco_dialect_name(len(found)) is not None:
        found[_abi.agent.rco_dialect_name(len(found)).decode()] = len(found)
    return found


#: whose tool calls are understood, by name: "openai-chat", "anthropic", "gemini", "mcp", "vapi", ...; none without
#: librecoptout-agent
DIALECTS = _dialects() if _abi.has_agent else {}


def dialect_number(name: str) -> int:
    """The number of a dialect; ValueError names those there are, AgentLibraryMissing that there is no library for them."""
    _abi.agent.rco_dialect_name  # noqa: B018
    return _arguments.choice("dialect", name, DIALECTS)


def languages() -> List[str]:
    """Tags of the built-in languages, "en" first."""
    found: List[str] = []
    while _abi.agent.rco_language_at(len(found)) is not None:
        found.append(_abi.agent.rco_language_at(len(found)).decode())
    return found


class Phrasebook:
    """Sentences of your own; what is not in it is taken from the built-in ones.

        book = Phrasebook()
        book.set("de", "erased", "Alles ist gelöscht.")

    That they are true stays yours to see to. ``{company}`` is replaced by the company's name.
    """

    def __init__(self) -> None:
        book = BookOwner()
        check(_abi.agent.rco_phrasebook_create(None, ctypes.byref(book)))
        self._handle = Handle(book, "the phrasebook is gone")
        self._names: Dict[str, None] = {}  # for repr()

    def __repr__(self) -> str:
        return f"<recoptout.Phrasebook: {', '.join(self._names) or 'empty'}>"

    def set(self, language: str, name: str, text: Optional[str]) -> None:
        """Put a sentence in; None takes it out. Not while another thread uses the book."""
        number = _arguments.choice("name", name, SENTENCES)
        tag = _arguments.string("language", language)
        check(self._handle.call(_abi.agent.rco_phrasebook_set, tag, number, _arguments.text("text", text)))
        if text is None:
            self._names.pop(f"{language}/{name}", None)
        else:
            self._names[f"{language}/{name}"] = None


def book_handle(book: Optional[Phrasebook]) -> Optional[ctypes.c_void_p]:
    """For a struct; the one who asks keeps the book as long as C uses it."""
    if book is None:
        return None
    if not isinstance(book, Phrasebook):
        raise TypeError(f"book is a Phrasebook, not {type(book).__name__}")
    return book._handle.entered()


def sentence(
    name: Union[str, int], language: str = "en", company: Optional[str] = None, book: Optional[Phrasebook] = None
) -> str:
    """A sentence: "announcement", "guidance" (for the agent's prompt), "ask_consent", "erased", "erasing", ..."""
    number = _arguments.choice("name", name, SENTENCES) if isinstance(name, str) else _arguments.whole("name", name)
    size = ctypes.c_size_t()
    tag, firm = _arguments.string("language", language), _arguments.text("company", company)
    arguments = (book_handle(book), tag, number, firm)
    code = _abi.agent.rco_sentence_get(*arguments, None, 0, ctypes.byref(size))
    if code != _abi.E_LIMIT:
        check(code)
    buffer = ctypes.create_string_buffer(size.value + 1)
    check(_abi.agent.rco_sentence_get(*arguments, buffer, len(buffer), ctypes.byref(size)))
    return buffer.value.decode("utf-8")


def claims(text: str, language: Optional[str] = None) -> frozenset:
    """What a text claims about the recording: a set of "stopped" and "erased"."""
    data = said(text)
    return claim_names(_abi.agent.rco_claims(_arguments.text("language", language), data, len(data)))


def said(text: str) -> bytes:
    """What an agent says, for C: whatever is in it is looked at."""
    if not isinstance(text, str):
        raise TypeError(f"text is a str, not {type(text).__name__}")
    return text.encode("utf-8", "replace")


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


def checked_answer(answer: ToolAnswer, data: bytes) -> ToolAnswer:
    """Raises if no call was found in a message of which not all could be read."""
    if answer.calls == 0 and unreadable(data):
        raise TypeError(unreadable(data))
    return answer


def read_answer(code: int, handle: AnswerOwner) -> ToolAnswer:
    """A C answer."""
    receipt = _abi.agent.rco_tool_answer_receipt(handle)
    return ToolAnswer(
        _abi.agent.rco_tool_answer_json(handle, None).decode("utf-8"),
        _abi.agent.rco_tool_answer_calls(handle),
        _abi.agent.rco_tool_answer_others(handle),
        _abi.agent.rco_dialect_name(_abi.agent.rco_tool_answer_dialect(handle)).decode(),
        _abi.agent.rco_tool_answer_sentence(handle).decode("utf-8"),
        Receipt._read(ctypes.c_void_p(receipt)) if receipt else None,
        code,
    )
