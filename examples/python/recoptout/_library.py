# SPDX-License-Identifier: MIT
"""Whether the library is there. One that is there and does not fit is an error at once."""

from __future__ import annotations

from typing import Optional

missing: Optional[ImportError] = None
try:
    from . import _abi  # noqa: F401
except ImportError as why:
    if type(why).__name__ != "LibraryMissing":
        raise
    missing = why
