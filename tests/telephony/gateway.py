# SPDX-License-Identifier: MIT
"""The gateway of examples/recorders beside a recorder, and the door to it."""

import json
import os
import pathlib
import socket
import subprocess

from server import BUILD, control, wait_for


class Gateway:
    def __init__(self, folder, recorder, *options, settings=("--window-ms", "300", "--timeout-ms", "1000")):
        self.folder = pathlib.Path(folder) / "gateway"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.door = self.folder / "door"
        output = self.folder / "records"
        output.mkdir(exist_ok=True)
        self.command = [str(BUILD / "examples/recorders"), recorder, "--state", str(self.folder / "state"), "--output",
                        str(output), "--door", str(self.door), "--control", str(self.folder / "control"),
                        *settings, *map(str, options)]
        self.log = self.folder / "log"

    def with_password(self, text):
        self.command += ["--password-file", str(self.secret(text))]
        return self

    def log_text(self):
        return self.log.read_text()

    def status(self, call_id):
        with self.client() as client:
            return client.status(call_id)["status"]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.door.unlink()

    def is_open(self):
        """A socket has its name before anybody listens."""
        with socket.socket(socket.AF_UNIX) as s:
            return self.door.exists() and s.connect_ex(str(self.door)) == 0

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        wait_for("the gateway", lambda: self.is_open() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() == -9:
            return
        self.process.terminate()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if kind is not None:
            print(self.log.read_text())
        elif code != 0:
            raise AssertionError(f"the gateway ended with {code}: {self.log.read_text()}")

    def say(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(self.door))
            s.sendall(line.encode() + b"\n")
            return json.loads(s.makefile().readline())

    def client(self):
        return control.Client(self.folder / "control", timeout=20)

    def verified(self, call_id):
        with self.client() as client:
            wait_for(f"{call_id} erased", lambda: client.status(call_id)["status"] == "verified", 30)

    def secret(self, text):
        path = self.folder / "password"
        path.write_text(text + "\n")
        os.chmod(path, 0o600)
        return path


def unlinked(pid, folder):
    """Deleted files below a folder that a process still has open: a recording that goes on unseen."""
    out = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith(str(folder)) and target.endswith(" (deleted)"):
            out.append(target)
    return out


def files_below(folder):
    return sorted(str(p) for p in pathlib.Path(folder).rglob("*") if p.is_file())
