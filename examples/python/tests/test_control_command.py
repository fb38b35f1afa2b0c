# SPDX-License-Identifier: MIT
"""python3 -m recoptout.control: what it says, and its exit codes."""

import errno
import itertools
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time

from recoptout import control
from conftest import FakeSocket, started


def ask(*arguments, **options):
    command = [sys.executable, "-m", "recoptout.control", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_a_mistyped_id_is_told_plainly(engine, path):
    engine.serve(path)
    done = ask(path, "opt-out", "a84c")
    assert done.returncode == 0 and json.loads(done.stdout)["status"] == "noted"
    assert "No call 'a84c' is known" in done.stderr and "Is the id right?" in done.stderr
    done = ask(path, "status", "b84c")
    assert done.returncode == 1 and "no call b84c is known" in done.stderr and "No objection has come in" in done.stderr
    assert ask("--user", "nobody-of-that-name", path, "hello").returncode == 2


def test_a_right_id_is_not_doubted(engine, path):
    engine.serve(path)
    call = started(engine, "going-on")
    done = ask(path, "status", "going-on")
    assert done.returncode == 1 and "call going-on was not opted out" in done.stderr and "right?" not in done.stderr
    assert ask(path, "opt-out", "going-on").stderr == ""
    done = ask(path, "status", "going-on")
    assert done.returncode == 0 and done.stderr == ""
    call.close()


def test_an_objection_that_comes_too_late_is_told_where_the_recording_is(engine, path, tmp_path, out):
    engine.serve(path)
    call = started(engine, "over")
    call.end()
    done = ask(path, "opt-out", "over")
    assert done.returncode == 1 and json.loads(done.stdout)["error"] == "RCO_E_ENDED"
    assert "NOTHING WAS ERASED" in done.stderr and "output_dir" in done.stderr and "over" in done.stderr
    call.close()
    engine.wait_idle(30)
    (record,) = [json.loads((tmp_path / "out" / name).read_text()) for name in out() if name.endswith(".json")]
    assert record["call_id"] == "over"  # and the files that it names are all that there is
    assert sorted([*record["files"], record["recording"] + ".json"]) == out()


def test_who_cannot_ask_is_told_what_to_do(path, tmp_path):
    done = ask(path, "hello")
    assert done.returncode == 2 and f"nobody serves {path}" in done.stderr and "Errno" not in done.stderr
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))  # as a process that died leaves it
    done = ask(path, "pending")
    assert done.returncode == 2 and f"nobody serves {path}" in done.stderr and "Errno" not in done.stderr
    left.close()
    path.unlink()

    fake = FakeSocket(path, lambda lines: None)  # it closes the connection
    done = ask(path, "hello")
    assert done.returncode == 2 and "allowed_uids" in done.stderr
    fake.close()
    for help in ("--help", "-h"):
        done = ask(help)
        assert done.returncode == 0 and "Exit code" in done.stdout and done.stderr == ""


def test_what_stands_for_an_errno():
    path = "/run/pbx/sock"
    for why, says in (
        (PermissionError(errno.EACCES, "Permission denied"), "as root with --user NAME"),
        (PermissionError(f"{path} is served by user 7, not by user 0 or root"), "user 7, not by user 0 or root; if that is"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "nobody serves"),
        (TimeoutError("no answer in time"), "no answer in time"),
    ):
        assert path in control._why_not(path, why) and says in control._why_not(path, why)


def test_an_error_can_be_pickled():
    error = control.ControlError({"ok": False, "code": -15, "error": "RCO_E_ENDED", "detail": "it is over"})
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.name, str(again)) == (-15, "RCO_E_ENDED", "RCO_E_ENDED: it is over")


def test_whoever_has_read_enough_ends_it_quietly(engine, path):
    engine.serve(path)
    command = [sys.executable, "-m", "recoptout.control", str(path), "events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        number = itertools.count()

        def call():
            started(engine, f"n{next(number)}").close()

        reader = threading.Thread(target=lambda: asked.stdout.readline())
        reader.start()
        while reader.is_alive():  # it may not listen yet
            call()
            reader.join(0.2)
        asked.stdout.close()
        end = time.monotonic() + 60
        while asked.poll() is None and time.monotonic() < end:
            call()
            time.sleep(0.05)
        assert asked.returncode == 0 and asked.stderr.read() == ""
    read, write = os.pipe()  # and an answer that nobody reads
    os.close(read)
    done = subprocess.run([*command[:-1], "opt-out", "unread"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(write)
    assert done.returncode == 0 and "Errno" not in done.stderr and engine.receipt("unread").status == "noted"


def test_as_many_listeners_as_there_may_be_is_an_error_and_no_traceback(path):
    def serve(lines):
        number = json.loads(lines.readline())["id"]
        answer = {"ok": False, "code": -9, "error": "RCO_E_LIMIT", "detail": "listeners", "id": number}
        lines.write(json.dumps(answer).encode() + b"\n")
        lines.flush()

    fake = FakeSocket(path, serve)
    done = ask(path, "events")
    assert done.returncode == 1 and json.loads(done.stdout)["error"] == "RCO_E_LIMIT" and "Traceback" not in done.stderr
    fake.close()
