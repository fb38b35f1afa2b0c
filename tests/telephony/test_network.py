# SPDX-License-Identifier: MIT
"""A network as it is: loss, reordering, duplicates, wrong payload types, strangers, and bytes that are no SIP or RTP."""

import os
import random
import socket

import pytest

import wire
from server import Server
from sipp import Scenario, Sipp

FAST = ("--window-ms", "300")
SIZE = 5


def lossy(stream, draw):
    del stream.packets[30]
    stream.packets = [p for i, p in enumerate(stream.packets) if i < 5 or draw.random() > 0.05]


def bursts(stream, draw):
    """Twenty packets at once are more than what is waited for."""
    del stream.packets[100:120]


def reordered(stream, draw):
    for at in range(5, len(stream.packets) - 4, 7):
        a, b = stream.packets[at], stream.packets[at + draw.randrange(1, 4)]
        i, j = stream.packets.index(a), stream.packets.index(b)
        stream.packets[i], stream.packets[j] = b, a
        a.at_ms, b.at_ms = b.at_ms, a.at_ms


def doubled(stream, draw):
    out = []
    for p in stream.packets:
        out.append(p)
        if draw.random() < 0.2:
            out.append(wire.Packet(p.at_ms, p.seq, p.ts, p.pt, p.payload))
    stream.packets = out


def mixed_up(stream, draw):
    """Payload types that were not agreed on, some with the right numbers, come in between."""
    out = []
    for p in stream.packets:
        if draw.random() < 0.1:
            out.append(wire.Packet(p.at_ms, p.seq, p.ts, draw.choice([18, 3, 96, 127]), os.urandom(20)))
        out.append(p)
    stream.packets = out


def around(stream, draw):
    """Sequence numbers and timestamps that begin again at zero."""
    shift, time = 0xFFFF - stream.packets[40].seq, 0xFFFFFFFF - stream.packets[60].ts
    for p in stream.packets:
        p.seq, p.ts = p.seq + shift, p.ts + time
    stream.start += time


@pytest.mark.parametrize("trouble", [lossy, bursts, reordered, doubled, mixed_up, around])
def test_what_arrives_is_kept_in_its_place(tmp_path, trouble):
    draw = random.Random(7)
    stream = wire.Stream(7, wire.PCMU).audio(wire.speech(7, SIZE, wire.PCMU))
    trouble(stream, draw)
    with Server(tmp_path, *FAST) as server:
        caller = Scenario(wire.PCMU).invite(record="on").play(stream, tmp_path, "said").wait(stream.ms + 300).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "net@test").done()
        kept = server.leg(server.stored("net@test"), "caller")
    expected = stream.recorded()
    assert len(kept) == len(expected)
    assert kept == expected


def test_keys_of_which_most_packets_are_lost(tmp_path):
    said = wire.speech(7, 2, wire.PCMU)
    stream = wire.Stream(7, wire.PCMU).audio(said).digits("*9").audio(said)
    events = [p for p in stream.packets if p.pt == wire.EVENT]
    keep = {events[2], events[-2]}  # one of each key, neither with the marker
    stream.packets = [p for p in stream.packets if p.pt != wire.EVENT or p in keep]
    with Server(tmp_path, *FAST) as server:
        caller = Scenario(wire.PCMU).invite(record="on").play(stream, tmp_path, "said").wait(stream.ms).bye()
        Sipp(tmp_path / "sipp", server.port, caller, "keys@test").done()
        server.erased("keys@test")


MALFORMED = [
    b"",
    b"\0" * 512,
    b"INVITE",
    b"INVITE sip:a SIP/2.0\r\n\r\n",
    b"\xff" * 1400,
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\nFrom: a\r\nTo: b\r\n\r\n",
]

INVITE = (
    "INVITE sip:agent@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{n}\r\nFrom: <sip:a@127.0.0.1>;tag={n}\r\n"
    "To: <sip:b@127.0.0.1>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:{port}>\r\nMax-Forwards: 70\r\n"
    "Content-Type: application/sdp\r\nContent-Length: {size}\r\n\r\n"
)

BODIES = [
    b"v=0\r\n",
    b"a=recordpref:off\r\n" * 3000,
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 99999999999 RTP/AVP 0\r\n",
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n",
    os.urandom(700),
]


def test_malformed_sip_and_rtp(tmp_path):
    """Nothing that strangers send ends the server, or gets into a recording."""
    draw, said = random.Random(3), wire.speech(3, 6, wire.PCMU)
    stream = wire.Stream(3, wire.PCMU).audio(said)
    with Server(tmp_path, *FAST) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        port = stranger.getsockname()[1]
        caller = Scenario(wire.PCMU).invite(record="on").play(stream, tmp_path, "said").wait(stream.ms + 300).bye()
        sipp = Sipp(tmp_path / "sipp", server.port, caller, "calm@test")
        server.says("calm@test: answered")
        good = INVITE.format(port=port, n="good", call_id="x", size=0).encode()
        for n in range(300):
            text = draw.choice(MALFORMED)
            if n % 3 == 0:
                body = draw.choice(BODIES)
                text = INVITE.format(port=port, n=n, call_id=f"bad-{n}", size=len(body)).encode() + body
            elif n % 3 == 1:
                cut = bytearray(good)
                for _ in range(draw.randrange(1, 20)):
                    cut[draw.randrange(len(cut))] = draw.randrange(256)
                text = bytes(cut[: draw.randrange(1, len(cut))])
            stranger.sendto(text[:60000], ("127.0.0.1", server.port))
            for rtp in server.rtp[:40:2]:
                stranger.sendto(draw.choice([b"", b"\x80", os.urandom(172), wire.Packet(0, n, n, 0, b"!" * 160).rtp(1)]),
                                ("127.0.0.1", rtp))
        sipp.done()
        assert server.leg(server.stored("calm@test"), "caller") == stream.recorded()


def test_call_ids_that_are_no_names(tmp_path):
    """A Call-ID becomes no path, and one that the library refuses is answered and not recorded."""
    said = wire.Stream(5, wire.PCMU).audio(wire.speech(5, 1, wire.PCMU))
    with Server(tmp_path, *FAST) as server:
        for n, call_id in enumerate(["../../../etc/passwd", "a" * 255, "%s%n@x", "a" * 256]):
            state = "on" if len(call_id) < 256 else "off"
            caller = Scenario(wire.PCMU).invite(record=state).play(said, tmp_path, "said").wait(said.ms + 100).bye()
            Sipp(tmp_path / f"sipp{n}", server.port, caller, call_id.replace("%", "%%")).done()
            if state == "on":
                server.stored(call_id)
        assert len(server.records()) == 3
        assert all(path.parent == server.output for path in server.folder.rglob("*.wav"))
