# SPDX-License-Identifier: MIT
"""Callers who are silent send nothing (RFC 3389, RFC 3551): the two legs fit each other all the same, whatever the timestamps say."""

import threading
import time

import pytest

import wire
from phone import Phone
from server import Server

NEAR = 1000  # samples; an eighth of a second
TALK = 4  # seconds


class Caller:
    """Talks, is silent for some time, and talks again; meanwhile it notes when it heard what."""

    def __init__(self, server, name, silence, **kind):
        self.phone, self.silence, self.kind = Phone(server, f"{name}@test"), silence, kind
        self.said = [wire.speech(61 + n, TALK, wire.PCMU) for n in range(2)]
        self.heard, self.sent = [], []
        self.thread = threading.Thread(target=self.run)

    def listen(self):
        while not self.over:
            try:
                data = self.phone.rtp.recv(2048)
                self.heard.append((time.monotonic(), data[12:]))
            except OSError:
                return

    def run(self):
        phone = self.phone
        phone.call(pts=[0, 13, 101])
        self.over = False
        phone.rtp.settimeout(1)
        ear = threading.Thread(target=self.listen)
        ear.start()
        time.sleep(self.kind.get("first", 0))
        stream = wire.Stream(63, wire.PCMU)
        if "around" in self.kind:
            stream.seq, stream.ts = 0xFFFF - 210, 0xFFFFFFFF - 8000 * (TALK + 2)
        for n in range(2):
            done = len(stream.packets)
            stream.audio(self.said[n])
            self.sent.append(time.monotonic())
            phone.say(stream.packets[done:], stream.ssrc)
            if n == 0:
                self.be_silent(stream)
        self.over = True
        ear.join()
        phone.hang_up()

    def be_silent(self, stream):
        end, begun = time.monotonic() + self.silence, stream.ts
        while self.kind.get("noise") and time.monotonic() + 0.2 < end:
            packet = wire.Packet(0, stream.seq, stream.ts, 13, b"\x40")
            self.phone.rtp.sendto(packet.rtp(stream.ssrc), self.phone.remote)
            stream.seq, stream.ts = stream.seq + 1, stream.ts + 1600
            time.sleep(0.2)  # as often as phones tell how loud their room is
        time.sleep(max(0, end - time.monotonic()))
        stream.ts = begun + int(self.silence * 8000)
        if "still" in self.kind:
            stream.ts = begun
        if "leap" in self.kind:
            stream.ts = begun + 3600 * 8000
        if "again" in self.kind:
            stream.ssrc, stream.seq, stream.ts = 4711, 17, 99

    def check(self, server):
        record = server.stored(self.phone.call_id)
        (path,) = server.audio(record)
        data = wire.samples_of(path)
        caller, agent = data[0::2], data[1::2]
        # where the second talk is, as time has it; a sender without good timestamps may need two seconds to be placed
        begin = caller.index(self.said[0][: 5 * wire.FRAME])
        tail = self.said[1][-8000:]
        assert tail in caller, (self.phone.call_id, len(caller), [caller.find(self.said[1][n * 160 : n * 160 + 160]) for n in range(0, 200, 10)])
        place = caller.rindex(tail) - begin
        due = (self.sent[1] - self.sent[0] + TALK - 1) * 8000
        assert abs(place - due) < NEAR, f"{self.phone.call_id}: {(place - due) / 8000:+.3f} s"
        if "still" not in self.kind:
            assert caller.index(self.said[1]) > 0, "what was said is whole"
        # and what the agent said then
        for share in (0.1, 0.5, 0.9):
            at, payload = self.heard[int(len(self.heard) * share)]
            where = [n for n in range(max(0, begin + int((at - self.sent[0]) * 8000) - 4 * NEAR),
                                      begin + int((at - self.sent[0]) * 8000) + 4 * NEAR)
                     if agent[n : n + len(payload)] == payload]
            off = min(abs(n - begin - (at - self.sent[0]) * 8000) for n in where)
            assert off < NEAR, f"{self.phone.call_id}: the agent is {off / 8000:.3f} s off"
        self.phone.close()


CALLERS = {
    "gap": (8, {}), "noise": (8, {"noise": True}), "still": (8, {"still": True}), "leap": (8, {"leap": True}),
    "again": (8, {"again": True}), "around": (8, {"around": True}), "short": (2, {}), "late": (2, {"first": 14}),
    "long": (30, {}), "long-noise": (30, {"noise": True}),
}


@pytest.mark.parametrize("agent", [True, False])
def test_the_legs_fit_each_other(tmp_path, agent):
    """With an agent that talks all the time; and with the server's echo, which is silent with the caller."""
    options = ["--agent", str(sorted(wire.SPEECH.glob("*.wav"), key=lambda p: p.stat().st_size)[-1])] if agent else []
    with Server(tmp_path, "--window-ms", "300", "--stereo", *options) as server:
        callers = [Caller(server, name, silence, **kind) for name, (silence, kind) in CALLERS.items()
                   if agent or (silence < 30 and name != "late")]
        for caller in callers:
            caller.thread.start()
        for caller in callers:
            caller.thread.join()
        for caller in callers:
            caller.check(server)
        assert not any(leg["overflowed_frames"] for record in server.records().values() for leg in record["legs"])


# ---- timestamps that stand still in a pause

class Still:
    """Talks, sends nothing that tells of time, and goes on with the next timestamp."""

    def __init__(self, server, gap, between="", second=2.0, law=wire.PCMU):
        self.gap, self.between, self.second = gap, between, second
        self.phone = Phone(server, f"still-{gap}-{between or 'nothing'}-{second}@test", law)
        self.thread = threading.Thread(target=self.run)

    def run(self):
        phone = self.phone
        phone.call(pts=[phone.law, 13, 101])
        self.said = [wire.speech(70 + n, seconds, phone.law) for n, seconds in enumerate((1.5, self.second))]
        stream = wire.Stream(71, phone.law).audio(self.said[0])
        begun = time.monotonic()
        phone.speak(stream)
        end = time.monotonic() + self.gap
        while self.between and time.monotonic() + 0.2 < end:
            done = len(stream.packets)
            if self.between == "noise":
                stream.packets.append(wire.Packet(stream.now, stream.seq, stream.ts, 13, b"\x40"))
                stream.seq += 1
            else:
                ts = stream.ts
                stream.digits("5")
                stream.ts = ts
            phone.speak(stream, since=done)
            time.sleep(0.15)
        time.sleep(max(0, end - time.monotonic()))
        self.due = (time.monotonic() - begun) * 8000
        done = len(stream.packets)
        stream.audio(self.said[1])
        phone.speak(stream, since=done)
        phone.hang_up()
        phone.close()

    def check(self, server):
        kept = server.leg(server.stored(self.phone.call_id), "caller")
        silence = wire.SILENCE[self.phone.law]
        assert kept.startswith(self.said[0]) and kept.rstrip(silence).endswith(self.said[1].rstrip(silence)), self.phone.call_id
        assert not kept[len(self.said[0]) : kept.rindex(self.said[1])].strip(silence), "nothing but silence is between them"
        off = kept.rindex(self.said[1]) - self.due
        assert abs(off) < NEAR, f"{self.phone.call_id}: {off / 8000:+.3f} s"


def test_timestamps_that_stand_still(tmp_path):
    """Also when so little is said after the pause that the call is over before it could be told from a late stream."""
    with Server(tmp_path, "--window-ms", "300") as server:
        callers = [Still(server, gap, between, second) for gap in (1, 4, 9, 12) for between in ("", "noise", "keys")
                   for second in (0.1, 0.5, 2.0)] + [Still(server, 4.5, "", 2.0, wire.PCMA)]
        for caller in callers:
            caller.thread.start()
        for caller in callers:
            caller.thread.join()
        for caller in callers:
            caller.check(server)


@pytest.mark.parametrize("stall,pace", [(0.5, 0), (1.5, 0), (3, 0), (0.5, 4), (1.5, 4), (4, 1), (4, 4), (9, 1), (9, 4)])
def test_what_a_network_kept_back(tmp_path, stall, pace):
    """It comes all at once, or almost: nothing was missing, and no silence is put in."""
    said = wire.speech(75, stall + 3, wire.PCMU)
    stream = wire.Stream(75, wire.PCMU).audio(said)
    begin, kept_back = 1000, 1000 + stall * 1000
    for n, p in enumerate(stream.packets):
        if begin <= p.at_ms < kept_back:
            p.at_ms = kept_back + (p.at_ms - begin) / 20 * pace
        elif p.at_ms >= kept_back:
            p.at_ms = max(p.at_ms, kept_back + stall * 50 * pace)
    with Server(tmp_path, "--window-ms", "300") as server, Phone(server, "stall@test") as phone:
        phone.call()
        phone.speak(stream)
        phone.hang_up()
        record = server.stored("stall@test")
        assert server.leg(record, "caller") == said
        assert not any(leg["overflowed_frames"] for leg in record["legs"])


def test_silence_that_leaps_back_and_forth(tmp_path):
    """Timestamps from a hostile sender: the leg is not longer than the call, and what was said is there."""
    said = wire.speech(64, 3, wire.PCMU)
    stream = wire.Stream(64, wire.PCMU).audio(said)
    for n, p in enumerate(stream.packets):
        p.ts += (0, 0x7FFFFFFF, 0x80000000, 3999, -3999, 0xFFFFFFFF, 8000 * 86400)[n // 9 % 7] if n % 9 == 4 else 0
    with Server(tmp_path, "--window-ms", "300") as server, Phone(server, "hostile@test") as phone:
        phone.call()
        phone.speak(stream)
        phone.hang_up()
        kept = server.leg(server.stored("hostile@test"), "caller")
    assert len(said) <= len(kept) < 2 * len(said)
    assert all(p.payload in kept for p in stream.packets)


def test_a_pause_in_a_silence(tmp_path):
    """Recording is paused and goes on while one leg is silent: what is left out is the same in both."""
    with Server(tmp_path, "--window-ms", "300", "--stereo", "--agent",
                str(sorted(wire.SPEECH.glob("*.wav"), key=lambda p: p.stat().st_size)[-1])) as server:
        with Phone(server, "pause@test") as phone:
            said = [wire.speech(65 + n, 2, wire.PCMU) for n in range(2)]
            stream = wire.Stream(65, wire.PCMU).audio(said[0])
            phone.call()
            first = time.monotonic()
            phone.speak(stream)
            time.sleep(6)  # of silence
            paused = time.monotonic()
            assert phone.ask("UPDATE", phone.sdp(session="a=recordpref:pause\r\n")).code == 200
            time.sleep(1.5)
            assert phone.ask("UPDATE", phone.sdp(session="a=recordpref:on\r\n")).code == 200
            resumed = time.monotonic()
            time.sleep(1.5)
            stream.ts += 9 * 8000
            done = len(stream.packets)
            stream.audio(said[1])
            second = time.monotonic()
            phone.say(stream.packets[done:], stream.ssrc)
            phone.hang_up()
        (path,) = server.audio(server.stored("pause@test"))
        data = wire.samples_of(path)
        caller, agent = data[0::2], data[1::2]
        place = caller.rindex(said[1][-8000:]) - caller.index(said[0][:800])
        due = (second - first - (resumed - paused) + 1) * 8000
        assert abs(place - due) < 2 * NEAR, (place - due) / 8000
        assert abs(len(caller.rstrip(b"\xff")) - len(agent.rstrip(b"\xff"))) < 2 * NEAR
