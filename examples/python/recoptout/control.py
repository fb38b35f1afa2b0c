# SPDX-License-Identifier: MIT
"""The clients for an engine in another process. They need no library: a socket and JSON.

    with Client("/run/pbx/recoptout.sock") as engine:
        print(engine.opt_out("a84b4c76e66710", language="de")["sentence"])

    async with AsyncClient("/run/pbx/recoptout.sock") as engine:
        print((await engine.opt_out("a84b4c76e66710", language="de"))["sentence"])
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from typing import List, Optional

from ._async_client import AsyncClient
from ._client import Client
from ._wire import LINE_MAX, Answer, ControlError

__all__ = ["LINE_MAX", "AsyncClient", "Client", "ControlError"]


# ---- for the person on call at night ----

_USAGE = """usage: python3 -m recoptout.control [--user NAME] SOCKET
           hello | pending | events [CALL_ID] | status CALL_ID | opt-out CALL_ID

--user: whom the engine runs as, if not as you or as root.

Prints what the engine answers, a line of JSON each; on stderr, what that means where it is no plain yes.

Exit code
  0  it was answered; also an opt-out of an id that this engine does not know, whose status is "noted", and nothing was stopped
  1  an error was answered: RCO_E_NOT_FOUND, a status where no opt-out is known; RCO_E_ENDED, an opt-out that came too late
  2  it could not be asked: wrong arguments, or nobody there"""


def _meaning(answer: Answer, call_id: Optional[str]) -> Optional[str]:
    """What is easily overlooked in an answer: a mistyped id, an objection that came too late."""
    if answer.get("status") == "noted":
        return (
            f"No call {call_id!r} is known to this engine. The wish is noted, and applies if a call of that id begins; "
            "nothing was stopped or erased. Is the id right?"
        )
    if answer.get("error") == "RCO_E_NOT_FOUND":  # of a call that goes on, too
        return f"{answer.get('detail', 'not found')}. No objection has come in under this id."
    if answer.get("error") == "RCO_E_ENDED":
        return (
            f"{answer.get('detail', 'the call has ended')}. NOTHING WAS ERASED: its recording is stored, or will be soon, and has to be "
            'deleted where it is. In output_dir, the file NAME.json with this "call_id" lists the "files" to remove; if it is not there '
            'yet, wait for it. ("An objection that comes too late" in docs/operations.md.)'
        )
    return None


def _say(line: Answer) -> bool:
    """False if nobody reads any more."""
    try:
        print(json.dumps(line), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is not to fail at exit
        return False
    return True


def _report(answer: Answer, call_id: Optional[str]) -> int:
    _say(answer)
    meaning = _meaning(answer, call_id)
    if meaning is not None:
        print(meaning, file=sys.stderr)
    return 0 if answer.get("ok") else 1


def _run(client: Client, command: str, call_id: Optional[str]) -> int:
    try:
        if command != "events":
            return _report(client.request(command.replace("-", "_"), call_id=call_id), call_id)
        for event in client.events(call_id):
            if not _say(event):
                break
        return 0
    except ControlError as why:
        return _report(why.answer, call_id)


def _why_not(path: str, why: OSError) -> str:
    """Why it could not be asked, and what to do."""
    if isinstance(why, (FileNotFoundError, ConnectionRefusedError)):
        return f"nobody serves {path}: is the engine running, and is this its socket?"
    if isinstance(why, PermissionError) and why.errno is not None:
        return f"{path} may not be opened by this user: ask as the engine's user, or as root with --user NAME"
    if isinstance(why, PermissionError):
        return f"{why}; if that is the engine's user, give --user NAME"
    if isinstance(why, ConnectionError):
        return f"{path}: {why}: it has ended, or does not let this user in (allowed_uids, gid)"
    return f"{path}: {why}"


def main(arguments: List[str]) -> int:
    """The command line."""
    commands = {"hello": (0,), "pending": (0,), "events": (0, 1), "status": (1,), "opt-out": (1,)}
    uid = None
    if arguments[:1] in (["-h"], ["--help"]):
        print(_USAGE)
        return 0
    if len(arguments) > 1 and arguments[0] == "--user":
        try:
            uid = pwd.getpwnam(arguments[1]).pw_uid
        except KeyError:
            print(f"there is no user {arguments[1]}", file=sys.stderr)
            return 2
        arguments = arguments[2:]
    if len(arguments) < 2 or len(arguments) - 2 not in commands.get(arguments[1], ()):
        print(_USAGE, file=sys.stderr)
        return 2
    path, command, call_id = arguments[0], arguments[1], arguments[2] if len(arguments) > 2 else None
    try:
        with Client(path, server_uid=uid) as client:
            return _run(client, command, call_id)
    except OSError as why:
        print(_why_not(path, why), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
