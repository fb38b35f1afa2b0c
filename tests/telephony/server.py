# SPDX-License-Identifier: MIT
"""The telephony server under test, and what it leaves."""

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types

import wire
from sipp import free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("B", "build")

# Of the package only what is plain Python: its __init__ wants the library to be installed.
_package = types.ModuleType("recoptout")
_package.__path__ = [str(TOP / "examples/python/recoptout")]
sys.modules.setdefault("recoptout", _package)
control = importlib.import_module("recoptout.control")


def wait_for(what, condition, seconds=20.0):
    """Until it is so; what is waited for has no event that a test could take part in."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Server:
    """sip_recorder with folders of its own; start() again after kill() takes up what was left."""

    def __init__(self, folder, *options):
        self.folder = pathlib.Path(folder)
        self.state, self.output = self.folder / "state", self.folder / "recordings"
        self.socket, self.port = self.folder / "control", free_port()
        self.options, self.process, self.lines = options, None, []
        self.output.mkdir(exist_ok=True)
        os.chmod(self.folder, 0o700)

    def command_line(self):
        base = 20000 + free_port() % 200 * 50
        self.rtp = range(base, base + 2001)
        return [str(BUILD / "examples/sip_recorder"), "--state", str(self.state), "--output", str(self.output),
                "--control", str(self.socket), "--listen", f"127.0.0.1:{self.port}", "--rtp-ports",
                f"{self.rtp[0]}-{self.rtp[-1]}", *self.options]

    def start(self):
        self.process = subprocess.Popen(self.command_line(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()
        self.says("answers at")
        return self

    def _read(self, pipe):
        for line in pipe:
            self.lines.append(line.rstrip("\n"))

    def says(self, text, seconds=30.0):
        """Wait for a line of its log."""
        def found():
            if self.process.poll() is not None:
                self.reader.join()
            hit = [line for line in self.lines if text in line]
            assert hit or self.process.poll() is None, "the server ended: " + "\n".join(self.lines[-20:])
            return hit
        return wait_for(f"{text!r} in {self.lines[-20:]}", found, seconds)[0]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.reader.join()
        assert code == 0, "\n".join(self.lines[-20:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None:
            self.kill()
            print("\n".join(self.lines[-60:]))
        else:
            self.stop()

    def client(self):
        return control.Client(self.socket, timeout=20)

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # ---- what it leaves

    def records(self):
        """All call records by call id."""
        out = {}
        for path in self.output.glob("*.json"):
            record = json.loads(path.read_text())
            out[record["call_id"]] = record
        return out

    def record(self, call_id, seconds=30.0):
        return wait_for(f"a call record of {call_id}", lambda: self.records().get(call_id), seconds)

    def stored(self, call_id):
        self.says(f"{call_id}: stored")
        return self.record(call_id)

    def erased(self, call_id):
        """Nothing of the call's audio is left, and the record says that it was opted out."""
        self.says(f"{call_id}: verified")
        record = wait_for("a record of the opt-out",
                          lambda: (self.records().get(call_id) or {}).get("opt_out") and self.records()[call_id])
        assert not self.audio(record), record
        return record

    def audio(self, record):
        return sorted(self.output.glob(record["recording"] + "*.wav"))

    def leg(self, record, label):
        return wire.samples_of(self.output / f"{record['recording']}.{label}.wav")

    def holds(self, marker):
        """Files below the server's folders and among its rings that hold these bytes."""
        hits = []
        for top in (self.folder, pathlib.Path("/dev/shm")):
            for folder, _, names in os.walk(top):  # which passes over folders that go meanwhile
                for path in (pathlib.Path(folder, name) for name in names):
                    try:
                        if path.is_file() and path.suffix != ".pcap" and marker in path.read_bytes():
                            hits.append(path)
                    except OSError:
                        continue  # gone meanwhile
        return hits
