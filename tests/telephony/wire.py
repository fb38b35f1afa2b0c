# SPDX-License-Identifier: MIT
"""What goes over the wire: speech as G.711, RTP streams as pcap files for sipp, recordings as WAV files."""

import pathlib
import random
import re
import struct

FRAME = 160  # samples of 20 ms
PCMU, PCMA, EVENT = 0, 8, 101
SILENCE = {PCMU: b"\xff", PCMA: b"\xd5"}
SPEECH = pathlib.Path("/usr/share/asterisk/sounds/en_US_f_Allison")


def riff(path):
    """The chunks of a RIFF file by name."""
    data = pathlib.Path(path).read_bytes()
    assert data[:4] == b"RIFF" and data[8:12] == b"WAVE", path
    chunks, at = {}, 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        chunks[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return chunks


def samples_of(path):
    """The bytes of all samples of a WAV file."""
    return riff(path)[b"data"]


def law_of(path):
    """The format tag (RFC 2361) of a WAV file: 6 is A-law, 7 is mu-law."""
    return struct.unpack_from("<H", riff(path)[b"fmt "])[0]


def mulaw(sample):
    """ITU-T G.711, from the definition, so that it is not the code under test that is compared with itself."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 15) & 0xFF


def alaw(sample):
    sign, magnitude = (0, ~sample) if sample < 0 else (0x80, sample)
    magnitude >>= 4
    exponent = max(magnitude.bit_length() - 4, 0)
    return (sign | exponent << 4 | magnitude >> max(exponent - 1, 0) & 15) ^ 0x55


def speech(seed, seconds, law):
    """So many seconds of recorded human speech, without pauses of digital silence, in frames of 20 ms."""
    draw, out, encode = random.Random(seed), bytearray(), mulaw if law == PCMU else alaw
    files = sorted(SPEECH.glob("*.wav"))
    assert files, f"no speech in {SPEECH}; is asterisk-core-sounds-en-wav installed?"
    want = int(seconds * 50) * FRAME
    table = {}
    while len(out) < want:
        data = samples_of(draw.choice(files))
        for (sample,) in struct.iter_unpack("<h", data[: len(data) // 2 * 2]):
            if sample not in table:
                table[sample] = encode(sample)
            out.append(table[sample])
    return bytes(out[:want])


class Packet:
    def __init__(self, at_ms, seq, ts, pt, payload, marker=False):
        self.at_ms, self.seq, self.ts, self.pt, self.payload, self.marker = at_ms, seq, ts, pt, payload, marker

    def rtp(self, ssrc):
        head = struct.pack("!BBHII", 0x80, self.pt | 0x80 * self.marker, self.seq & 0xFFFF, self.ts & 0xFFFFFFFF, ssrc)
        return head + self.payload


class Stream:
    """An RTP stream as it is spoken; then packets may be lost, doubled, swapped."""

    def __init__(self, seed, law):
        draw = random.Random(seed)
        self.law, self.ssrc = law, draw.getrandbits(32)
        self.seq, self.ts, self.now = draw.getrandbits(15), draw.getrandbits(31), 0.0
        self.start, self.packets = self.ts, []

    def audio(self, data):
        for at in range(0, len(data), FRAME):
            self.packets.append(Packet(self.now, self.seq, self.ts, self.law, data[at : at + FRAME]))
            self.seq, self.ts, self.now = self.seq + 1, self.ts + FRAME, self.now + 20
        return self

    def digits(self, keys):
        """Telephone events (RFC 4733): 100 ms each, the last packet three times, then 40 ms of nothing."""
        for key in keys:
            code = "0123456789*#ABCD".index(key)
            for n in list(range(1, 6)) + [5, 5]:
                end = 0x80 if n == 5 else 0
                payload = struct.pack("!BBH", code, end | 10, n * FRAME)
                self.packets.append(Packet(self.now, self.seq, self.ts, EVENT, payload, n == 1))
                self.seq += 1
                self.now += 20 if n < 5 else 0
            self.ts += 7 * FRAME
            self.now += 60
        return self

    @property
    def ms(self):
        return int(self.now)

    def recorded(self):
        """What a recording of it has to hold: each sample at the place of its timestamp, silence where none came."""
        audio = {p.ts - self.start: p.payload for p in self.packets if p.pt == self.law}
        begin = min(audio)
        end = max(at + len(payload) for at, payload in audio.items())
        out = bytearray(SILENCE[self.law] * (end - begin))
        for at, payload in audio.items():
            out[at - begin : at - begin + len(payload)] = payload
        return bytes(out)

    def pcap(self, path):
        """A file that sipp plays: Ethernet, IPv4, UDP; it puts its own addresses in."""
        with open(path, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for p in self.packets:
                rtp = p.rtp(self.ssrc)
                udp = struct.pack("!HHHH", 6000, 7000, 8 + len(rtp), 0) + rtp
                ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
                frame = b"\0" * 12 + b"\x08\0" + ip + udp
                us = int(p.at_ms * 1000)
                out.write(struct.pack("<IIII", 1700000000 + us // 1000000, us % 1000000, len(frame), len(frame)) + frame)
        return self


def begins_late(kept, whole, law):
    """How many samples of silence stand before what has to be there as a whole."""
    lead = len(kept) - len(whole)
    assert lead >= 0 and kept[lead:] == whole and not kept[:lead].strip(SILENCE[law]), (len(kept), len(whole), kept.find(whole))
    return lead


def captured(path, sip_port):
    """Payloads of the RTP packets of a capture that a server sent, as they were sent: from where it says in its answers."""
    sent = list(datagrams(path))
    ports = {int(port) for source, data in sent if source == sip_port for port in re.findall(rb"^m=audio (\d+)", data, re.M)}
    return [data[12:] for source, data in sent if source in ports]


def datagrams(path):
    """Source ports and contents."""
    data, at = pathlib.Path(path).read_bytes(), 24
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        frame = data[at + 16 : at + 16 + size]
        at += 16 + size
        udp = frame[14 + (frame[14] & 15) * 4 :]
        yield struct.unpack_from("!H", udp)[0], udp[8:]
