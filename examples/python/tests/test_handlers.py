# SPDX-License-Identifier: MIT
"""The handlers that users begin with, run as programs against recorded conversations."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(os.environ.get("HANDLERS", pathlib.Path(__file__).parent.parent))


@pytest.mark.parametrize(
    "program, recorded, last, status",
    [
        ("openai_tool_loop.py", "openai.json", "What about your invoice?", ("durable", "erased", "verified")),
        ("openai_tool_loop.py", "openai_lie.json", "What else can I do", ("durable", "erased", "verified")),
        ("anthropic_tool_loop.py", "anthropic.json", "weitersprechen.", ("durable", "erased", "verified")),
        ("anthropic_tool_loop.py", "anthropic_lie.json", "gelöscht", ("durable", "erased", "verified")),
    ],
)
def test_handler(program, recorded, last, status):
    done = subprocess.run(
        [sys.executable, HERE / program, HERE / "recorded" / recorded], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert last in lines[-2]
    assert lines[-1].removeprefix("status: ") in status
