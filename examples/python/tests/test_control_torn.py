# SPDX-License-Identifier: MIT
"""A signal's handler raises in the thread that reads for all: what the others wait for is not lost, and nothing stays locked."""

import itertools
import json
import os
import signal
import sys
import threading

import pytest

from recoptout import _client, _wire
from recoptout.control import Client, ControlError
from conftest import FakeSocket, started

pytestmark = pytest.mark.skipif(sys.version_info < (3, 10), reason="older ones look for signals between any two steps")


class Late(Exception):
    pass


class Torn:
    """Raises at the n-th step of a thread at which Python would look for signals: behind a call of C, or where a function begins."""

    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, arg):
        if event == "c_return" or (event == "call" and frame.f_code.co_filename in (_client.__file__, _wire.__file__)):
            self.left -= 1
            if self.left == 0:
                raise Late

    def __enter__(self):
        sys.setprofile(self)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    @property
    def was(self):
        return self.left <= 0


class TwoAsk:
    """A server that answers the other thread first, as soon as both have asked, so that this thread reads the other's answer."""

    def __init__(self, path):
        self.asked = threading.Event()
        self.fake = FakeSocket(path, self.serve)

    def serve(self, lines):
        said, number = [], itertools.count(1)
        for line in lines:
            said.append(json.loads(line))
            self.asked.set()
            if any(request["do"] == "other" for request in said):
                for request in sorted(said, key=lambda r: r["do"] == "mine"):
                    answer = {"ok": True, "id": request["id"], "do": request["do"]}
                    for line in ({"event": "x", "number": next(number)}, answer):
                        lines.write(json.dumps(line).encode() + b"\n")
                lines.flush()


def both(path, n):
    """True if this thread was torn out of its request at that step. The other's answer comes in any case."""
    server = TwoAsk(path)
    got = []
    with Client(path, timeout=60) as client:
        stream = _wire.Kept(None)
        client._streams.append(stream)

        def other():
            server.asked.wait()
            got.append(client.request("other")["do"])

        thread = threading.Thread(target=other)
        thread.start()
        with Torn(n) as torn:
            try:
                client.request("mine")
            except Late:
                pass
        server.asked.set()  # if it was torn out of before that was sent
        thread.join(60)
        assert not thread.is_alive() and got == ["other"], n
        for lock in (client._lock, client._connecting, client._connection.reader, client._connection.writer):
            assert free_for_others(lock), n
        events = [event["number"] for event in iter(stream.take, None)]
        assert events in ([1], [1, 2]) and client._bells == [], n
    server.fake.close()
    os.unlink(path)
    return torn.was


def free_for_others(lock):
    said = []

    def look():
        said.append(lock.acquire(False))
        if said[0]:
            lock.release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return said[0]


def test_at_every_step(path):
    n = 1
    while both(path, n):
        n += 1
    assert n > 50


@pytest.mark.parametrize("asks", [False, True])
def test_by_signals(engine, path, asks):
    """With an engine, messages larger than a socket takes at once, and a handler that asks, too, before it raises."""
    engine.serve(path)
    wrong, over = [], threading.Event()
    mine = started(engine, "mine")
    message = {"role": "assistant", "content": "x" * 1_000_000}

    def ask(client, name):
        for i in itertools.count():
            if over.is_set():
                return
            try:
                answer = client.opt_out(f"{name}-{i}")
                if json.loads(answer["receipt"])["call_id"] != f"{name}-{i}":
                    wrong.append(answer)
            except Exception as why:
                wrong.append(why)
                return

    torn = 0
    with Client(path, timeout=60) as client:

        def late(*_):
            if asks:
                client.hello()
            raise Late

        before = signal.signal(signal.SIGALRM, late)
        threads = [threading.Thread(target=ask, args=(client, name)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for i in range(2000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-5 * (i % 60 + 1))
                try:
                    client.tool_call("mine", message) if i % 10 == 0 else client.status("nobody")
                except ControlError:
                    pass
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Late:
                torn += 1
        signal.signal(signal.SIGALRM, before)
        over.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert wrong == [] and torn > 20
        assert client.opt_out("mine")["ok"] and mine.receipt is not None
    mine.close()


def lost_and_found(path, n):
    """The same while it connects again, with events to subscribe to: the other thread is answered by the new connection."""

    def serve(lines):
        for line in lines:
            if not opened:
                opened.append(1)
                return  # the first connection ends with the first request
            lines.write(json.dumps({"ok": True, "id": json.loads(line)["id"]}).encode() + b"\n")
            lines.flush()

    opened, got = [], []
    fake = FakeSocket(path, serve)
    with Client(path, timeout=60, reconnect=True) as client:
        client._streams.append(_wire.Kept(None))
        with Torn(n) as torn:
            try:
                client.request("mine")
            except Late:
                pass
        thread = threading.Thread(target=lambda: got.append(client.request("other")["ok"]))
        thread.start()
        thread.join(60)
        assert not thread.is_alive() and got == [True], n
        for lock in (client._lock, client._connecting, client._connection.reader, client._connection.writer):
            assert free_for_others(lock), n
    opened.append(1)
    fake.close()
    os.unlink(path)
    return torn.was


def test_at_every_step_of_connecting_again(path, monkeypatch):
    monkeypatch.setattr(_wire, "BACK_OFF", (0.0001, 0.001))
    n = 1
    while lost_and_found(path, n):
        n += 1
    assert n > 100
