# SPDX-License-Identifier: MIT
"""What callers pass in, checked before C sees it: ctypes cuts numbers to their low bits and strings at a NUL without a word.

A wrong type is a TypeError, a wrong value a ValueError; both name the argument.
"""

from __future__ import annotations

import logging
import math
import operator
import os
import re
from typing import Any, Dict, Iterable, Optional, Tuple, TypeVar

from ._abi import NONE_MS

_T = TypeVar("_T")
_U32 = 0xFFFFFFFF
_LABEL = re.compile("[a-z0-9_.-]{1,31}")
_log = logging.getLogger("recoptout")


def _kind(value: object) -> str:
    return type(value).__name__


def choice(name: str, value: Any, choices: Dict[str, _T]) -> _T:
    """What a name stands for."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {_kind(value)}")
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; there are {', '.join(map(repr, choices))}")
    return choices[value]


def switch(name: str, value: Any) -> bool:
    """True or False: "no" and "false" are strings, and strings are true in Python."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {_kind(value)}")
    return value


def whole(name: str, value: Any, least: int = 0, most: int = _U32) -> int:
    """A whole number."""
    if isinstance(value, bool):
        raise TypeError(f"{name} is a whole number, not bool")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {_kind(value)}") from None
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}; it is from {least} to {most}")
    return number


def seconds(name: str, value: Any, most: int = NONE_MS // 1000 - 1) -> float:
    """A time of 0 seconds or more; without ``most``, one that C can hold in milliseconds."""
    if isinstance(value, bool) or isinstance(value, (str, bytes)):
        raise TypeError(f"{name} is a number of seconds, not {_kind(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name} is a number of seconds, not {_kind(value)}") from None
    if not 0 <= number < most + 1:  # NaN is neither
        raise ValueError(f"{name} is {value} seconds; it is from 0 to {most}")
    return number


def milliseconds(name: str, value: Any) -> int:
    """Seconds as C takes them. What is above nothing stays above nothing."""
    return min(math.ceil(seconds(name, value) * 1000), NONE_MS - 1)


def period(name: str, value: Optional[Any], none: bool = False) -> int:
    """A time of the engine's: None is the library's default; 0, where that means something, "none at all"."""
    if value is None:
        return 0
    ms = milliseconds(name, value)
    if ms == 0 and not none:
        raise ValueError(f"{name} is 0 seconds; it is more, or None for the default")
    return ms or NONE_MS


def whole_seconds(name: str, value: Optional[Any], most: int = _U32) -> int:
    """A time that C takes in seconds: None is the library's default, and 0 would be that too."""
    if value is None:
        return 0
    number = min(math.ceil(seconds(name, value, most)), most)
    if number == 0:
        raise ValueError(f"{name} is 0 seconds; it is more, or None for the default")
    return number


def text(name: str, value: Optional[str]) -> Optional[bytes]:
    """A string for C, in UTF-8; None is NULL."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {_kind(value)}")
    if "\0" in value:
        raise ValueError(f"{name} has a NUL in it, which would end it there")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{name} has a surrogate in it, which is no character") from None


def label(source: Any, default: str) -> bytes:
    """The name of who asks. An objection is not refused for its label: what is none is left out, and the log says so."""
    if source is None:
        return default.encode()
    if not isinstance(source, str) or not _LABEL.fullmatch(source):
        _log.warning("the source is 1 to 31 of [a-z0-9_.-]: left out, %r is written instead", default)
        return default.encode()
    return source.encode()


def string(name: str, value: str) -> bytes:
    """A string for C that has to be there."""
    if value is None:
        raise TypeError(f"{name} is a str, not None")
    found = text(name, value)
    assert found is not None
    return found


def call(value: "str | bytes") -> "Tuple[bytes, bool]":
    """Which call is meant, for C, and whether by its recording."""
    if not isinstance(value, bytes):
        return string("call_id", value), False
    if len(value) != 16:
        raise TypeError(f"call_id is a str, or the 16 bytes of a recording_id, not {len(value)} bytes")
    return value, True


def path(name: str, value: "os.PathLike[str] | str") -> bytes:
    """A path for C."""
    try:
        data = os.fsencode(value)
    except TypeError:
        raise TypeError(f"{name} is a path, not {_kind(value)}") from None
    if not data or b"\0" in data:
        raise ValueError(f"{name} is {'empty' if not data else 'a path with a NUL in it'}")
    return data


def backend(name: str, value: Any, methods: Iterable[str]) -> Any:
    """An object with the methods of a backend."""
    if isinstance(value, type):
        raise TypeError(f"{name} is the class {value.__name__}; give an object of it: {value.__name__}()")
    lacking = [method for method in methods if not callable(getattr(value, method, None))]
    if lacking:
        raise TypeError(f"{name} is {_kind(value)}, which lacks {', '.join(lacking)}")
    return value
