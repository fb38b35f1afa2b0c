# SPDX-License-Identifier: MIT
"""Exceptions, one for each code that a caller may want to tell apart."""

from __future__ import annotations

from ._abi import lib


class RecoptoutError(Exception):
    """Something did not work. ``code`` is the number of the C library, ``name`` its name ("RCO_E_ENDED")."""

    def __init__(self, code: int, detail: str = "") -> None:
        self.code = code
        self.name = lib.rco_error_name(code).decode()
        super().__init__(detail or lib.rco_strerror(code).decode())

    def __reduce__(self) -> tuple:  # pickle calls a class with what str() is made of, which lacks the code
        return type(self), (self.code, str(self)), self.__dict__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {self})"


class CallExists(RecoptoutError):
    """A call of this id is still going on."""


class OptedOut(RecoptoutError):
    """The caller has objected: nothing is recorded any more."""


class CallEnded(RecoptoutError):
    """The call is over, and its window for a late opt-out has passed."""


class NotAvailable(RecoptoutError):
    """Opt-out is not enabled."""


class NotDurable(RecoptoutError):
    """It could not be written down, and was not done."""


class WaitTimeout(RecoptoutError):
    """What was waited for has not come yet."""


class BackendError(RecoptoutError):
    """The host's recorder or a backend did not confirm."""


class NotFound(RecoptoutError):
    """There is no such thing. A backend raises it, without arguments, for what it does not hold."""

    def __init__(self, code: int = -33, detail: str = "") -> None:
        super().__init__(code, detail)


_CLASSES = {
    -7: CallExists,
    -13: OptedOut,
    -15: CallEnded,
    -18: NotAvailable,
    -19: NotDurable,
    -20: WaitTimeout,
    -30: BackendError,
    -33: NotFound,
}


def error(code: int) -> RecoptoutError:
    """The exception for a code that the library has just returned on this thread."""
    return _CLASSES.get(code, RecoptoutError)(code, lib.rco_error_detail().decode("utf-8", "replace"))


def check(code: int) -> int:
    """Raise for an error; the code otherwise."""
    if code < 0:
        raise error(code)
    return code
