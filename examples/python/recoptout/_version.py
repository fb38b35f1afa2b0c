# SPDX-License-Identifier: MIT
"""The version of the C headers that the layouts in _abi.py were written from."""

VERSION = "0.2.0"
