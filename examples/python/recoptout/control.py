# SPDX-License-Identifier: MIT
"""The client for an engine in another process. Needs no library: a socket and JSON.

    with Client("/run/pbx/recoptout.sock") as engine:
        print(engine.opt_out("a84b4c76e66710", language="de")["sentence"])
"""

from __future__ import annotations

import collections
import json
import os
import socket
import struct
import sys
from typing import Any, Deque, Dict, Iterator, List, Optional, Union

LINE_MAX = 65536


class ControlError(Exception):
    """The engine answered an error: ``code`` and ``name`` ("RCO_E_ENDED") are the library's."""

    def __init__(self, answer: Dict[str, Any]) -> None:
        self.code: int = answer.get("code", 0)
        self.name: str = answer.get("error", "")
        self.answer = answer
        super().__init__(f"{self.name}: {answer.get('detail', '')}")


class Client:
    """A connection. One thread at a time. ``timeout``: seconds, for connecting and for each answer.

    After a time-out or a lost connection (:class:`OSError`) it is not known whether something was done: connect again and ask
    again, for an opt-out is the same however often it is asked for.
    """

    def __init__(self, path: "Union[str, os.PathLike[str]]", timeout: float = 5.0) -> None:
        self._events: Deque[Dict[str, Any]] = collections.deque(maxlen=10000)
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(os.fspath(path))
            _, uid, _ = struct.unpack("3i", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if uid not in (os.geteuid(), 0):
                raise PermissionError(f"{os.fspath(path)} is served by user {uid}, not by you or root")
        except BaseException:
            self._socket.close()
            raise

    def _line(self) -> Dict[str, Any]:
        while b"\n" not in self._rest:
            if len(self._rest) > LINE_MAX:
                self.close()
                raise ConnectionError("a line from the engine is too long")
            data = self._socket.recv(65536)
            if not data:
                self.close()
                raise ConnectionError("the connection to the engine is lost")
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return json.loads(line)

    def request(self, do: str, **members: Any) -> Dict[str, Any]:
        """Ask, and return the answer; :class:`ControlError` if it is an error without a receipt."""
        asked = {"do": do, **{name: value for name, value in members.items() if value is not None}}
        try:
            self._socket.sendall(json.dumps(asked).encode() + b"\n")
            while True:
                answer = self._line()
                if "event" not in answer:
                    break
                self._events.append(answer)
        except OSError:
            self.close()  # an answer may still come that nobody expects any more
            raise
        if not answer.get("ok") and "receipt" not in answer:
            raise ControlError(answer)
        return answer

    def hello(self) -> Dict[str, Any]:
        """Version, process id, and whether opt-out is enabled."""
        return self.request("hello")

    def opt_out(
        self,
        call_id: str,
        source: str = "control",
        language: str = "en",
        company: Optional[str] = None,
        wait: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Dict[str, Any]:
        """Opt a call out, durably. The answer has ``status``, ``sentence`` and ``receipt`` (its signed line)."""
        ms = None if timeout is None else int(timeout * 1000)
        return self.request(
            "opt_out", call_id=call_id, source=source, language=language, company=company, wait=wait, timeout_ms=ms
        )

    def status(self, call_id: str, language: str = "en") -> Dict[str, Any]:
        """What is known of a call's opt-out now."""
        return self.request("status", call_id=call_id, language=language)

    def pending(self) -> List[Dict[str, Any]]:
        """Opt-outs whose erasure is not verified yet, at most 100."""
        return self.request("pending")["pending"]

    def tool_definition(self, dialect: str, **options: Any) -> Dict[str, Any]:
        """The tool for an agent; ControlError "RCO_E_NOT_AVAILABLE" while there is none."""
        return self.request("tool", dialect=dialect, **options)["definition"]

    def tool_call(self, call_id: str, message: Any, dialect: str = "auto", **options: Any) -> Dict[str, Any]:
        """A language model called a tool in the call that you name: ``answer`` is for the platform."""
        return self.request("tool_call", call_id=call_id, message=message, dialect=dialect, **options)

    def events(self, call_id: Optional[str] = None) -> Iterator[Dict[str, Any]]:
        """Events from now on, as long as the connection lasts."""
        self.request("events", call_id=call_id)
        self._socket.settimeout(None)
        return self._each_event()

    def _each_event(self) -> Iterator[Dict[str, Any]]:
        while True:
            if self._events:
                yield self._events.popleft()
                continue
            line = self._line()
            if "event" in line:
                yield line

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_USAGE = """usage: python3 -m recoptout.control SOCKET hello | pending | events [CALL_ID] | status CALL_ID | opt-out CALL_ID

Prints what the engine answers, a line of JSON each. Exit code 1 if it answered an error, 2 if it could not be asked."""


def main(arguments: List[str]) -> int:
    """The command line, for whoever has to look at night."""
    commands = {"hello": 0, "pending": 0, "events": (0, 1), "status": 1, "opt-out": 1}
    if len(arguments) < 2 or arguments[1] not in commands:
        print(_USAGE, file=sys.stderr)
        return 2
    path, command, rest = arguments[0], arguments[1], arguments[2:]
    if len(rest) not in (commands[command] if isinstance(commands[command], tuple) else (commands[command],)):
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        with Client(path) as client:
            if command == "events":
                for event in client.events(*rest):
                    print(json.dumps(event), flush=True)
            else:
                print(json.dumps(client.request(command.replace("-", "_"), call_id=rest[0] if rest else None)))
    except ControlError as why:
        print(json.dumps(why.answer))
        return 1
    except OSError as why:
        print(f"{path}: {why}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
