# SPDX-License-Identifier: MIT
"""Backends written in Python: they store, they erase, and what they raise is never taken for success."""

import threading

import pytest

import recoptout
from conftest import noise


class Store(recoptout.UploadBackend, recoptout.DeletionBackend):
    def __init__(self):
        self.parts, self.files, self.calls, self.fail = {}, {}, [], {}
        self.lose = 0  # uploads, when they are to be committed
        self.lock = threading.Lock()

    def _enter(self, name, file):
        with self.lock:
            self.calls.append((name, file.key))
            if self.fail.get(name, 0) > 0 and file.kind == 1:
                self.fail[name] -= 1
                raise OSError(f"{name} does not work")

    def begin(self, file):
        self._enter("begin", file)
        self.parts[file.key] = {}
        return "upload-" + file.key

    def put(self, file, part, data):
        self._enter("put", file)
        assert file.upload_id == "upload-" + file.key
        self.parts[file.key][part] = data

    def commit(self, file):
        self._enter("commit", file)
        if self.lose > 0 and file.kind == 1:
            self.lose -= 1
            self.parts.pop(file.key)
        parts = self.parts.pop(file.key, None)
        if parts is None:  # again, of one that was committed; or of one that is lost
            if file.key in self.files:
                return "v1"
            raise recoptout.NotFound()
        self.files[file.key] = b"".join(parts[n] for n in sorted(parts))
        return "v1"

    def abort(self, file):
        self._enter("abort", file)
        self.parts.pop(file.key, None)
        return True

    def list(self, file):
        return (file.key in self.files) + (file.key in self.parts)

    def head(self, file):
        return (len(self.files[file.key]), "v1") if file.key in self.files else None

    def remove(self, file):
        self._enter("remove", file)
        self.files.pop(file.key, None)
        return True

    def verify(self, file):
        return file.key not in self.files

    def audio(self):
        return [data for key, data in self.files.items() if key.endswith(".wav")]


def record(engine, call_id, frames):
    call = engine.session(call_id)
    leg = call.add_leg("caller")
    call.start()
    for frame in frames:
        assert call.push(leg, frame)
    return call


def test_upload_and_deletion(make_engine):
    store = Store()
    engine = make_engine(upload=store, deletion=store)
    frames = noise(1, 50)
    record(engine, "kept", frames).close()
    engine.wait_idle(20)
    assert len(store.audio()) == 1 and b"".join(frames) in store.audio()[0]
    gone = record(engine, "gone", noise(2, 50))
    assert gone.opt_out(wait="verified", timeout=20).status == "verified"
    gone.close()
    engine.wait_idle(20)
    assert len(store.audio()) == 1
    assert sum(key.endswith(".json") for key in store.files) == 2  # call records of both


def test_erased_while_it_is_uploaded(make_engine):
    store = Store()
    engine = make_engine(upload=store, deletion=store, late_opt_out=3600)
    call = record(engine, "late", noise(3, 50))
    with engine.events("late") as events:
        call.end()
        for event in events:
            if event.type == "upload_started":
                break
    assert call.opt_out(wait="verified", timeout=20).status == "verified"
    assert store.audio() == [] and not any(key.endswith(".wav") for key in store.parts)
    assert any(name == "abort" for name, _ in store.calls)


def raised(caplog):
    return [str(record.exc_info[1]) for record in caplog.records if record.name == "recoptout"]


def test_what_raises_is_tried_again(make_engine, caplog):
    store = Store()
    store.fail = {"begin": 1, "put": 2, "commit": 1}
    engine = make_engine(upload=store, deletion=store)
    frames = noise(4, 20)
    record(engine, "kept", frames).close()
    engine.wait_idle(30)
    assert len(store.audio()) == 1 and b"".join(frames) in store.audio()[0]
    assert sorted(raised(caplog)) == ["begin does not work", "commit does not work"] + ["put does not work"] * 2
    # an upload that is lost when it is to be committed is sent once more
    store.lose = 1
    record(engine, "lost", frames).close()
    engine.wait_idle(30)
    assert len(store.audio()) == 2 and store.lose == 0
    # and an erasure that raises is pending, not done
    store = Store()
    store.fail = {"abort": 1000000, "remove": 1000000}
    engine.close()
    engine = make_engine(upload=store, deletion=store, late_opt_out=3600)
    call = record(engine, "stuck", noise(5, 20))
    with engine.events("stuck") as events:
        call.end()
        for event in events:
            if event.type == "upload_started":
                break
        call.opt_out()
        for event in events:
            if event.type == "erase_retry":
                assert event.code == -30  # RCO_E_CALLBACK
                break
    assert call.receipt.status == "retrying"
    assert [p.call_id for p in engine.pending] == ["stuck"]
    store.fail = {}
    assert call.opt_out(wait="verified", timeout=30).status == "verified"


def test_half_an_answer_confirms_nothing(make_engine):
    class Vague(Store):
        sure = False

        def remove(self, file):
            super().remove(file)
            return True if self.sure else None  # as a function that forgot its return does

        def abort(self, file):
            super().abort(file)
            return 1 if not self.sure else True  # true, but not True

    store = Vague()
    engine = make_engine(upload=store, deletion=store, late_opt_out=3600)
    call = record(engine, "vague", noise(6, 10))
    with engine.events("vague") as events:
        call.end()
        for event in events:
            if event.type == "upload_started":
                break
        call.opt_out()
        assert next(e for e in events if e.type == "erase_retry").code == -36  # RCO_E_UNCONFIRMED
    store.sure = True
    assert call.opt_out(wait="verified", timeout=30).status == "verified"


def test_answering_later(make_engine):
    class Slow(Store):
        engine, threads = None, []

        def put(self, file, part, data):
            super().put(file, part, data)
            thread = threading.Thread(target=self.engine.complete, args=(file.op, "put"))
            self.threads.append(thread)
            thread.start()
            return recoptout.PENDING

    store = Slow()
    engine = store.engine = make_engine(upload=store, deletion=store)
    record(engine, "slow", noise(7, 10)).close()
    engine.wait_idle(30)
    for thread in store.threads:
        thread.join()
    assert len(store.audio()) == 1
    with pytest.raises(recoptout.RecoptoutError) as why:
        engine.complete(12345, "put")
    assert why.value.name == "RCO_E_STALE"


class Tape(recoptout.BufferBackend):
    """Audio in Python's memory; kept by the test over a restart."""

    def __init__(self):
        self.held, self.flushed = {}, 0

    def open(self, recording):
        self.held.setdefault(recording.id, (recording.meta, {}))

    def append(self, chunk):
        legs = self.held[chunk.recording_id][1]
        fmt, data = legs.get(chunk.leg, (chunk.format, b""))
        legs[chunk.leg] = (fmt, data[: chunk.position] + chunk.data)

    def read(self, recording_id, leg, position, size):
        if recording_id not in self.held:
            raise recoptout.NotFound()
        return self.held[recording_id][1][leg][1][position : position + size]

    def erase(self, recording_id):
        self.held.pop(recording_id, None)
        return True

    def flush(self):
        self.flushed += 1

    def scan(self):
        for rid, (meta, legs) in self.held.items():
            table = [legs.get(n, (0, b"")) for n in range(max(legs, default=-1) + 1)]
            yield rid, meta, [(fmt, len(data)) for fmt, data in table]


def test_buffer(make_engine, out, tmp_path):
    tape = Tape()
    engine = make_engine(buffer=tape)
    kept, gone = noise(8, 40), noise(9, 40)
    call = record(engine, "gone", gone)
    assert call.opt_out(wait="verified", timeout=20).status == "verified"
    assert tape.held == {}
    record(engine, "kept", kept)
    engine.close()  # with the call going on: the next engine takes it up
    engine = make_engine(buffer=tape)
    engine.wait_idle(20)
    waves = [name for name in out() if name.endswith(".wav")]
    assert len(waves) == 1 and b"".join(kept) in (tmp_path / "out" / waves[0]).read_bytes()
    assert tape.held == {} and tape.flushed > 0


def test_a_table_with_holes_is_never_success(make_engine, caplog):
    class Half(recoptout.UploadBackend):
        pass

    engine = make_engine(upload=Half(), deletion=recoptout.DeletionBackend())
    call = record(engine, "half", noise(10, 5))
    with engine.events("half") as events:
        call.end()
        assert next(e for e in events if e.type == "upload_retry").code == -30
    assert any(record.exc_info[0] is NotImplementedError for record in caplog.records)
