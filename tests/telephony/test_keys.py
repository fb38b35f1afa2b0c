# SPDX-License-Identifier: MIT
"""Keys that object: events as good and bad senders write them (RFC 4733), and INFO requests."""

import pytest

import wire
from phone import Phone, event
from server import Server

FAST = ("--window-ms", "300")
STAR, HASH, NINE, ONE = 10, 11, 9, 1


class Sender:
    """Events, packet by packet."""

    def __init__(self, pt=wire.EVENT, ssrc=77):
        self.seq, self.ts, self.now, self.pt, self.ssrc, self.packets = 100, 5000, 0, pt, ssrc, []

    def add(self, code, duration, end=False, marker=False, ts=None, step=10):
        self.packets.append(wire.Packet(self.now, self.seq, self.ts if ts is None else ts, self.pt,
                                        event(code, duration, end), marker))
        self.seq, self.now = self.seq + 1, self.now + step
        return self

    def press(self, code, advance=1600, markers=True):
        """Eight packets; the timestamp of the next press is so much later."""
        for n in range(1, 6):
            self.add(code, n * 160, marker=markers and n == 1)
        for _ in range(3):
            self.add(code, 800, end=True)
        self.ts += advance
        return self

    def hold(self, code, segments):
        """For longer than a duration can tell: each segment begins where the last one ended, without a marker."""
        for n in range(segments):
            for duration in (160, 30000, 0xFFFF):
                self.add(code, duration, marker=n == 0 and duration == 160)
            self.ts += 0xFFFF
        self.ts += 1600
        return self


def frozen():
    """All keys have one timestamp."""
    return Sender().press(STAR, 0).press(NINE, 0)


def frozen_repeated():
    """The same key again with the same timestamp."""
    return Sender().press(STAR, 0).press(NINE, 0).press(NINE, 0)


def frozen_unmarked():
    return Sender().press(STAR, 0, markers=False).press(NINE, 0, markers=False).press(NINE, 0, markers=False)


def no_ends():
    s = Sender().press(STAR).press(NINE)
    s.packets = [p for p in s.packets if not p.payload[1] & 0x80]
    return s


def only_ends():
    s = Sender().press(STAR).press(NINE)
    s.packets = [p for p in s.packets if p.payload[1] & 0x80]
    return s


def one_each():
    s = Sender().press(STAR).press(NINE)
    s.packets = [s.packets[7], s.packets[8]]
    return s


def swapped():
    """Neighbours that overtook each other, also at the border between two keys."""
    s = Sender().press(STAR).press(NINE)
    for at in range(0, 15, 2):
        a, b = s.packets[at], s.packets[at + 1]
        a.at_ms, b.at_ms = b.at_ms, a.at_ms
    s.packets[6], s.packets[9] = s.packets[9], s.packets[6]
    s.packets[6].at_ms, s.packets[9].at_ms = s.packets[9].at_ms, s.packets[6].at_ms
    s.packets.sort(key=lambda p: p.at_ms)
    return s


def doubled():
    s = Sender().press(STAR).press(NINE)
    s.packets = [p for p in s.packets for _ in range(3)]
    return s


def held_long():
    return Sender().hold(STAR, 3).press(NINE)


def held_long_at_last():
    return Sender().press(STAR).hold(NINE, 2)


def around_zero():
    s = Sender()
    s.seq, s.ts = 0xFFFC, 0xFFFFFF00
    return s.press(STAR).press(NINE)


def a_flash_between():
    return Sender().press(STAR).press(16).press(NINE)


OBJECT = [frozen, no_ends, only_ends, one_each, swapped, doubled, held_long, held_long_at_last, around_zero, a_flash_between]


@pytest.mark.parametrize("sender", OBJECT)
def test_star_nine_objects(tmp_path, sender):
    with Server(tmp_path, *FAST) as server, Phone(server, "keys@test") as phone:
        phone.call()
        s = sender()
        phone.say(s.packets, s.ssrc)
        server.says("opt-out by dtmf", 5)
        phone.hang_up()


@pytest.mark.parametrize("sender", [frozen_repeated, frozen_unmarked])
def test_a_key_twice_with_one_timestamp(tmp_path, sender):
    with Server(tmp_path, "--dtmf", "*99", *FAST) as server, Phone(server, "keys@test") as phone:
        phone.call()
        s = sender()
        phone.say(s.packets, s.ssrc)
        server.says("opt-out by dtmf", 5)
        phone.hang_up()


def lost_markers_once():
    s = Sender().press(STAR).press(NINE, markers=False)
    s.packets = [p for n, p in enumerate(s.packets) if n % 3]
    return s


@pytest.mark.parametrize("sender", [lost_markers_once, held_long_at_last, doubled, swapped, no_ends])
def test_one_press_is_one_key(tmp_path, sender):
    """*99 is not what was pressed."""
    with Server(tmp_path, "--dtmf", "*99", *FAST) as server, Phone(server, "keys@test") as phone:
        phone.call()
        s = sender()
        phone.say(s.packets, s.ssrc)
        s = wire.Stream(9, wire.PCMU).audio(wire.speech(9, 0.5, wire.PCMU))
        phone.speak(s)
        phone.hang_up()
        server.stored("keys@test")
        assert not any("opt-out" in text for text in server.lines)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("pt", [96, 127, 35])
def test_the_number_and_rate_that_the_phone_gives(tmp_path, pt, rate):
    with Server(tmp_path, *FAST) as server, Phone(server, "keys@test") as phone:
        reply = phone.call(pts=[0, pt], maps={0: "PCMU/8000", pt: f"telephone-event/{rate}"})
        assert f"a=rtpmap:{pt} telephone-event/{rate}" in reply.body
        s = Sender(pt).press(STAR).press(NINE)
        phone.say(s.packets, s.ssrc)
        server.says("opt-out by dtmf", 5)
        phone.hang_up()


def test_a_number_that_an_update_changes(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "keys@test") as phone:
        phone.call()
        assert phone.ask("UPDATE", phone.sdp(pts=[0, 98], maps={0: "PCMU/8000", 98: "telephone-event/8000"})).code == 200
        s = Sender(98).press(STAR).press(NINE)
        phone.say(s.packets, s.ssrc)
        server.says("opt-out by dtmf", 5)
        phone.hang_up()


def test_a_number_that_means_something_else(tmp_path):
    """101 is the server's own choice; here the phone has given it to a codec, whose bytes are no keys."""
    with Server(tmp_path, *FAST) as server, Phone(server, "keys@test") as phone:
        phone.call(pts=[0, 101], maps={0: "PCMU/8000", 101: "opus/48000/2"})
        s = Sender(101).press(STAR).press(NINE)
        phone.say(s.packets, s.ssrc)
        s = wire.Stream(9, wire.PCMU).audio(wire.speech(9, 0.5, wire.PCMU))
        phone.speak(s)
        phone.hang_up()
        server.stored("keys@test")
        assert not any("opt-out" in text for text in server.lines)


INFO = [
    ("application/dtmf-relay", "Signal=*\r\nDuration=250\r\n", "Signal=9\r\nDuration=250\r\n"),
    ("application/dtmf-relay", "Signal= *\n", "signal = 9"),
    ("application/dtmf-relay", "Duration=100\r\nSignal=10\r\n", "Duration=100\r\nSignal=9\r\n"),
    ("application/dtmf", "*", "9"),
    ("application/dtmf", "10\r\n", "9\r\n"),
    ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\r\n" "y=Digits\r\n" "d=*\r\n", "d=9\r\n"),
    ("Application/DTMF-Relay", "SIGNAL=*\r\n", "SIGNAL=9\r\n"),
]


@pytest.mark.parametrize("kind,first,second", INFO)
def test_keys_by_info(tmp_path, kind, first, second):
    with Server(tmp_path, *FAST) as server, Phone(server, "info@test") as phone:
        phone.call()
        for body in (first, second):
            assert phone.ask("INFO", body, kind).code == 200
        server.says("opt-out by dtmf", 5)
        phone.hang_up()


def test_an_info_that_is_repeated_counts_once(tmp_path):
    with Server(tmp_path, "--dtmf", "*99", *FAST) as server, Phone(server, "info@test") as phone:
        phone.call()
        assert phone.ask("INFO", "Signal=*", "application/dtmf-relay").code == 200
        again = phone.message("INFO", "Signal=9", "application/dtmf-relay")
        for _ in range(3):
            phone.send(again)
            assert phone.hear("INFO").code == 200
        assert phone.ask("OPTIONS").code == 200
        assert not any("opt-out" in text for text in server.lines)
        assert phone.ask("INFO", "Signal=9", "application/dtmf-relay").code == 200
        server.says("opt-out by dtmf", 5)
        phone.hang_up()


def test_a_phone_that_sends_keys_in_both_ways(tmp_path):
    with Server(tmp_path, "--dtmf", "*89", *FAST) as server, Phone(server, "both@test") as phone:
        phone.call()
        s = Sender()
        for key, code in (("*", STAR), ("8", 8), ("9", NINE)):
            done = len(s.packets)
            s.press(code)
            phone.say(s.packets[done:], s.ssrc)
            assert phone.ask("INFO", f"Signal={key}", "application/dtmf-relay").code == 200
        server.says("opt-out by dtmf", 5)
        phone.hang_up()


@pytest.mark.parametrize("kind,body,code", [
    ("application/dtmf-relay", "Signal=\r\n", 200), ("application/dtmf-relay", "=" * 5000, 200),
    ("application/dtmf-relay", "Signal=99\r\n", 200), ("application/dtmf", "\0\0", 200),
    ("application/dtmf", "", 200), ("text/plain", "*9", 415), ("application/sdp", "v=0\r\n", 415)])
def test_infos_that_hold_no_key(tmp_path, kind, body, code):
    with Server(tmp_path, *FAST) as server, Phone(server, "info@test") as phone:
        phone.call()
        assert phone.ask("INFO", body, kind).code == code
        phone.hang_up()
        server.says("info@test: ended")
        assert not any("opt-out" in text for text in server.lines)


def test_keys_while_it_rings(tmp_path):
    with Server(tmp_path, "--ring-ms", "1500", *FAST) as server, Phone(server, "ring@test") as phone:
        phone.send(phone.message("INVITE", phone.sdp()))
        server.says("ring@test: rings")
        reply = phone.sip.recv(65536).decode()
        assert " 180 " in reply
        phone.to_tag = reply.split("\r\nTo: ")[1].split("\r\n")[0].split("tag=")[1]
        for key in "*9":
            assert phone.ask("INFO", f"Signal={key}", "application/dtmf-relay").code == 200
        server.says("opt-out by dtmf", 5)
        answer = phone.hear("INVITE")
        assert "a=record:off" in answer.body
        phone.cseq -= 2  # the ACK has the number of the INVITE
        phone.ack()
        phone.cseq += 2
        phone.hang_up()
        assert server.record("ring@test")["opt_out"]
