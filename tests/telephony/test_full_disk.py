# SPDX-License-Identifier: MIT
"""The disk of the server's state is full: calls go on, objections hold, and what was asked for is done when there is room."""

import pathlib
import shutil
import subprocess

import pytest

import wire
from server import Server, wait_for
from sipp import Scenario, Sipp

SMALL = 'mount -t tmpfs -o size=24m,mode=700 none "$0" && shift 0 && exec "$@"'


def may_mount(folder):
    probe = subprocess.run(["unshare", "-m", "sh", "-c", SMALL, str(folder), "true"], capture_output=True, check=False)
    return shutil.which("unshare") is not None and probe.returncode == 0


class Small(Server):
    """Its state is on a small disk that only the server sees."""

    def command_line(self):
        return ["unshare", "-m", "sh", "-c", SMALL, str(self.state), *super().command_line()]

    def inside(self):
        return pathlib.Path(f"/proc/{self.process.pid}/root") / self.state.relative_to("/")

    def fill(self):
        with open(self.inside() / "filler", "wb", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while filler.write(b"x" * size) == size:
                        pass
                except OSError:
                    continue

    def make_room(self):
        (self.inside() / "filler").unlink()


def test_a_full_disk(tmp_path):
    (tmp_path / "state").mkdir()
    if not may_mount(tmp_path / "state"):
        pytest.skip("no right to mount a small disk")
    said = wire.speech(31, 4, wire.PCMA)
    stream = wire.Stream(31, wire.PCMA).audio(said)
    with Small(tmp_path, "--window-ms", "300") as server, server.client() as tool:
        server.fill()
        sipps = []
        for name in ("kept", "gone"):
            talk = Scenario().invite().play(stream, tmp_path, name).wait(stream.ms + 500).bye()
            sipps.append(Sipp(tmp_path / f"sipp-{name}", server.port, talk, f"{name}@test"))
            server.says(f"{name}@test: answered")
        answer = tool.opt_out("gone@test")
        assert answer["status"] in ("stopped", "durable", "erased", "verified"), answer
        for sipp in sipps:
            sipp.done()  # both calls go on to their end
        assert any("No space left" in line for line in server.lines), "the disk was not full"
        server.make_room()
        server.erased("gone@test")
        kept = server.leg(server.stored("kept@test"), "caller")
        # what did not fit into the rings meanwhile is missing, and counted; what is there was said
        lost = server.record("kept@test")["legs"][0]["overflowed_frames"]
        assert len(kept) + lost * wire.FRAME == len(said)
        assert all(kept[at : at + wire.FRAME] in said for at in range(0, len(kept), wire.FRAME))
