# SPDX-License-Identifier: MIT
"""A platform's message as bytes, for the library and for the control socket."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import fractions
import itertools
import json as _json
import os
import signal
import uuid
from dataclasses import fields, is_dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple

_JSON = (type(None), bool, int, float, str, dict, list, tuple)
_ITEMS_MAX = 10000  # of an iterator, which might have no end
_CONVERSIONS_MAX = 100  # of objects within objects, each of which might make another one
_REPEATS_MAX = 10000  # of what stands in a message in several places: objects that hold each other make ever more of them
_TEXTS = (  # what stands for a word or a number, and holds no call
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
    decimal.Decimal,
    fractions.Fraction,
    complex,
    uuid.UUID,
    os.PathLike,
    type,
    type(Ellipsis),
    type(NotImplemented),
)


class Read(bytes):
    """What came as objects."""

    unreadable: Optional[str] = None

    def __new__(cls, data: bytes, unread: Optional[str]) -> "Read":
        made = super().__new__(cls, data)
        made.unreadable = unread
        return made


def unreadable(data: bytes) -> Optional[str]:
    """What of a message could not be read, for a TypeError if no call is found in the rest; None if all could."""
    return getattr(data, "unreadable", None)


def message_bytes(message: Any) -> bytes:
    """A message as it came: text, bytes, or an object of JSON, which may hold objects of a platform's package.

    What cannot be read is null, for a call may be beside it; :func:`unreadable` says what it was. However deeply a message is
    nested, and if it holds itself, what is in it is found.
    """
    if isinstance(message, str):
        return message.encode("utf-8", "surrogatepass")
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    writer = _Writer()
    writer.write(message)
    return Read("".join(writer.out).encode(), writer.unreadable)


class _Writer:
    """json.dumps(), without recursion and with objects."""

    def __init__(self) -> None:
        self.out: List[str] = []
        self.unreadable: Optional[str] = None
        self._open: "List[Tuple[Iterator[Any], str, Any, int]]" = []  # its members, its end, itself, how often it was converted
        self._path: "set[int]" = set()
        self._converted = 0
        self._seen: "Dict[int, Any]" = {}  # what was written, kept so that no other object gets its id
        self._repeats = 0

    def write(self, message: Any) -> None:
        self._begin(message)
        while self._open:
            members, end, itself, converted = self._open[-1]
            try:
                member = next(members)
            except StopIteration:
                self.out.append(end)
                self._open.pop()
                self._path.discard(id(itself))
                self._converted -= converted
                continue
            if self.out[-1] not in ("{", "["):
                self.out.append(",")
            if end == "}":
                self.out.append(_json.dumps(member[0]) + ":")
                member = member[1]
            self._begin(member)

    def _begin(self, value: Any) -> None:
        """A scalar, or the beginning of what holds others."""
        itself, converted = value, 0
        if id(value) in self._path or self._is_one_too_many(value):
            value = None
        elif isinstance(value, tuple) and hasattr(value, "_asdict"):  # a named one
            value = value._asdict()
        while not isinstance(value, _JSON):
            if self._converted + converted >= _CONVERSIONS_MAX:
                self._not_read(value)
                value = None
            else:
                value = self._plain(value)
                converted += 1
        if isinstance(value, dict):
            self.out.append("{")
            self._open.append((iter([(_key(key), member) for key, member in list(value.items())]), "}", itself, converted))
        elif isinstance(value, (list, tuple)):
            self.out.append("[")
            self._open.append((iter(list(value)), "]", itself, converted))
        else:
            return self._scalar(value)
        self._path.add(id(itself))
        self._converted += converted

    def _is_one_too_many(self, value: Any) -> bool:
        """All is written once, and again as long as there is room."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return False
        if id(value) not in self._seen:
            self._seen[id(value)] = value
            return False
        self._repeats += 1
        return self._repeats > _REPEATS_MAX

    def _scalar(self, value: Any) -> None:
        try:
            self.out.append(_json.dumps(value))
        except ValueError:  # a number of more digits than Python prints
            self.out.append("null")

    def _not_read(self, value: Any) -> None:
        if self.unreadable is None:
            kind = type(value)
            self.unreadable = f"a message with {kind.__module__}.{kind.__qualname__} in it, which cannot be read, and no call beside it"

    def _plain(self, value: Any) -> Any:
        """An object that JSON does not know, as one that it knows, or that is converted in turn: by the first way that works."""
        for way in _WAYS:
            try:
                found = way(value)
            except Exception as error:
                if _is_of_signal(error):
                    raise
                continue
            if found is not None and found is not value:
                return found
        members = _members(value)
        if all(name.startswith("_") for name in members):  # it shows none: a call may be behind them
            self._not_read(value)
            if not members:
                return None
        return members


def _is_of_signal(error: BaseException) -> bool:
    """A signal's handler raised it, as Celery's does when a task takes too long: it is not the object's, and ends what runs."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename != __file__:
            frames.append(trace.tb_frame.f_code)
        trace = trace.tb_next
    if not frames:
        return False
    handlers = [handler for handler in map(signal.getsignal, signal.valid_signals()) if callable(handler)]
    return any(
        getattr(way, "__code__", None) in frames
        for handler in handlers
        for way in (handler, getattr(handler, "func", None), getattr(type(handler), "__call__", None))
    )


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return bytes(key).decode("utf-8", "replace") if isinstance(key, (bytes, bytearray)) else str(key)


def _text(value: Any) -> Any:
    """What holds nothing."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    return str(value) if isinstance(value, _TEXTS) or callable(value) and not hasattr(value, "__dict__") else None


def _mapping(value: Any) -> Optional[Dict[Any, Any]]:
    if isinstance(value, collections.abc.Mapping):
        return {key: value[key] for key in list(value)}
    return None


def _protobuf(value: Any) -> Any:
    """A message of protobuf, or of proto-plus, which has one inside."""
    inner = getattr(value, "_pb", value)
    if hasattr(inner, "DESCRIPTOR") and callable(getattr(inner, "ListFields", None)):
        return {field.name: member for field, member in inner.ListFields()}
    return None


def _own(name: str) -> Any:
    def way(value: Any) -> Any:
        found = getattr(value, name, None)
        return found() if callable(found) else None

    return way


def _own_of_type(value: Any) -> Any:
    """proto-plus: the class has it, by its own class, and the object has not."""
    return type(value).to_dict(value)


def _to_json(value: Any) -> Any:
    found = getattr(value, "to_json", None)
    return _json.loads(found()) if callable(found) else None


def _dataclass(value: Any) -> Optional[Dict[str, Any]]:
    return {field.name: getattr(value, field.name) for field in fields(value)} if is_dataclass(value) else None


def _items(value: Any) -> Optional[List[Any]]:
    """Sets, and whatever gives one thing after the other and has no members to show."""
    if isinstance(value, (collections.abc.Sequence, collections.abc.Set, collections.abc.Iterator)) or (
        all(name.startswith("_") for name in _members(value))
    ):
        return list(itertools.islice(value, _ITEMS_MAX))
    return None


def _members(value: Any) -> Dict[str, Any]:
    """What is in its __dict__ and its __slots__."""
    found: Dict[str, Any] = {}
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    found.update(getattr(value, "__dict__", {}))
    return found


_WAYS = (
    _text,
    _mapping,
    _protobuf,
    _own("model_dump"),  # OpenAI, Anthropic
    _own("to_dict"),  # Google
    _own_of_type,
    _dataclass,
    _items,
    _to_json,
)
