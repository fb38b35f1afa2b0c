# SPDX-License-Identifier: MIT
import os
import random

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
        chosen = dict(opt_out_enabled=True, window=0, sweep_delay=0, retry_min=0.01, retry_max=0.02, ring_dir=tmp_path)
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
    return lambda: sorted(os.listdir(tmp_path / "out")) if (tmp_path / "out").exists() else []
