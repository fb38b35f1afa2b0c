# SPDX-License-Identifier: MIT
import os
import random
import socket
import threading

import pytest

import recoptout


def noise(seed: int, frames: int) -> "list[bytes]":
    """Frames of 20 ms of G.711 that no other seed has."""
    chance = random.Random(seed)
    return [chance.randbytes(160) for _ in range(frames)]


@pytest.fixture
def make_engine(tmp_path):
    """Engines with short times, closed at the end."""
    made = []

    def make(**options):
        chosen = dict(opt_out_enabled=True, late_opt_out=0, sweep_delay=0, retry_min=0.01, retry_max=0.02, ring_dir=tmp_path)
        chosen.update(options)
        engine = recoptout.Engine(tmp_path / "state", tmp_path / "out", **chosen)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make_engine):
    return make_engine()


@pytest.fixture
def out(tmp_path):
    """Names of the finished files."""
    folder = tmp_path / "out"
    return lambda: sorted(n for n in os.listdir(folder) if n[0] != ".") if folder.exists() else []


@pytest.fixture
def path(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path / "sock"


def started(engine, call_id):
    call = engine.session(call_id)
    leg = call.add_leg("caller")
    call.start()
    call.push(leg, noise(1, 1)[0])
    return call


class FakeSocket:
    """A server of our own, that answers as it is told."""

    def __init__(self, path, serve):
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen(8)
        self.thread = threading.Thread(target=self._run, args=(serve,), daemon=True)
        self.thread.start()

    def _run(self, serve):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            try:
                with connection, connection.makefile("rwb") as lines:
                    serve(lines)
            except ConnectionError:
                pass  # the client went before it had read all

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.thread.join(20)
        self.listening.close()
