# SPDX-License-Identifier: MIT
"""A peer within its own dialog that writes what no phone would; built with SAN=address this looks for more than an end."""

import os
import random
import re
import resource
import socket
import struct

import pytest

import wire
from phone import Phone, event
from server import Server, wait_for

ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "150"))
METHODS = ["UPDATE", "INVITE", "INFO", "OPTIONS", "REFER", "PRACK", "MESSAGE", "BOGUS", "ACK", "CANCEL"]
KINDS = ["application/sdp", "application/dtmf-relay", "application/dtmf", "multipart/mixed;boundary=b", "a/b", "/", ""]
LINES = ["a=recordpref:pause", "a=recordpref:on", "a=record:on", "a=inactive", "a=sendonly", "a=recvonly", "a=sendrecv", "c=IN IP4 0.0.0.0",
         "c=IN IP6 ::1", "c=IN IP4 host.example", "c=IN IP4 255.255.255.255", "m=audio 0 RTP/AVP 0", "m=audio 9 RTP/AVP 0 101",
         "m=audio 99999 RTP/AVP 0", "m=audio -1 RTP/AVP 0", "m=video 9 RTP/AVP 96", "m=audio 9 RTP/SAVP 0", "m=audio 9 RTP/AVP" + " 96" * 300,
         "a=rtpmap:96 telephone-event/8000", "a=rtpmap:0 PCMA/8000", "a=rtpmap:101 PCMU/8000", "a=rtpmap:4294967296 x/1", "a=rtpmap:",
         "a=fmtp:101 0-15,66-70", "a=rtcp:1 IN IP4 127.0.0.1", "a=ptime:0", "a=ptime:4294967295", "b=AS:99999999999", "s=" + "x" * 9000,
         "v=0", "o=- 1 1 IN IP4 127.0.0.1", "=", "a", "\0\0\0"]
HEADERS = ["Require: \r\n", "Require: ,,,\r\n", "Require: " + "x," * 300 + "\r\n", "Require: a b\r\n", "Supported: record-aware\r\n",
           "Content-Encoding: gzip\r\n", "Session-Expires: 0\r\n", "Record-Route: <sip:x>\r\n", "Contact: *\r\n", "Route: <\r\n"]


def body(draw, phone):
    way = draw.randrange(5)
    if way == 0:
        return os.urandom(draw.randrange(600))
    text = phone.sdp() if way < 4 else ""
    lines = text.split("\r\n") + [draw.choice(LINES) for _ in range(draw.randrange(6))]
    if way > 1:
        draw.shuffle(lines)
    data = bytearray("\r\n".join(lines).encode())
    for _ in range(draw.randrange(3) if way == 3 else 0):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def packet(draw, n):
    pt = draw.choice([0, 8, 13, 101, 102, 96, 72, 127])
    payload = draw.choice([b"", b"\1", event(draw.randrange(256), draw.randrange(65536), draw.random() < 0.5), os.urandom(160),
                           os.urandom(draw.randrange(1700))])
    seq, ts = draw.choice([n, n, n, draw.randrange(65536)]), draw.choice([n * 160, n * 160, draw.getrandbits(32)])
    head = bytes([draw.choice([0x80, 0x80, 0x80, 0x90, 0xA0, 0xB0, 0x8F, 0x40, 0xBF]), pt | draw.choice([0, 0x80])])
    return head + struct.pack("!HII", seq, ts, draw.choice([7, 7, 7, 8, draw.getrandbits(32)])) + payload


def test_a_hostile_peer(tmp_path):
    draw = random.Random(int(os.environ.get("HOSTILE_SEED", "1")))
    calm = wire.Stream(81, wire.PCMU).audio(wire.speech(81, 2, wire.PCMU))
    with Server(tmp_path, "--window-ms", "300", "--dtmf", "*#AB", "--transfer-to", "sip:nobody@127.0.0.1:9", "--transfer-dtmf", "C") as server:
        for n in range(ROUNDS):
            if n % 25 == 0:
                phone = Phone(server, f"hostile-{n}@test")
                phone.call(headers=draw.choice(["", "Supported: record-aware\r\n"]))
            kind = draw.choice(KINDS)
            phone.send(phone.message(draw.choice(METHODS), body(draw, phone), kind, draw.choice(HEADERS + [""] * 10),
                                     cseq=draw.choice([None, None, 0, 2**32 - 1, 2**32])))
            for k in range(20):
                phone.rtp.sendto(packet(draw, n * 20 + k), phone.remote)
            if n % 25 == 24:
                phone.send(phone.message("BYE"))
                phone.close()
        with Phone(server, "calm@test") as other:
            other.call()
            other.speak(calm)
            other.hang_up()
            assert server.leg(server.stored("calm@test"), "caller") == calm.recorded()
    assert not any("AddressSanitizer" in text or "runtime error" in text for text in server.lines), server.lines[-40:]


# ---- requests that are not whole

EVERY = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "REGISTER", "MESSAGE", "REFER", "PRACK", "FROBNICATE"]
DAMAGED = [b"", b" ", b"\0", b"<", b"<>", b";", b";tag=", b":", b"0", b"-1", b"1", b"99999999999999999999 INVITE", b"1 BYE", b"sip:", b"<sip:>", b"\xff\xfe",
           b'"', b"a" * 4000, b",", b"SIP/2.0/UDP", b"SIP/2.0/UDP ;branch", b"*"]


def variants(message):
    """The request with each header gone, damaged in each way, twice, or in its short form."""
    head, _, rest = message.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for n, text in enumerate(lines[1:], 1):
        name = text.split(b":")[0]
        for other in [[], [text, text], [name], [name + b":"], *([name + b": " + value] for value in DAMAGED)]:
            yield b"\r\n".join(lines[:n] + other + lines[n + 1 :]) + b"\r\n\r\n" + rest
    yield lines[0] + b"\r\n\r\n"


def unharmed(server, call_id="calm@test"):
    """A call that is recorded as ever."""
    calm = wire.Stream(81, wire.PCMU).audio(wire.speech(81, 1, wire.PCMU))
    with Phone(server, call_id) as other:
        other.call()
        other.speak(calm)
        other.hang_up()
        assert server.leg(server.stored(call_id), "caller") == calm.recorded()


def lives(server):
    with Phone(server, f"{random.getrandbits(40):x}@test") as other:
        assert other.ask("OPTIONS").code in (200, 503)


def no_report(server):
    assert not any("AddressSanitizer" in text or "runtime error" in text for text in server.lines), server.lines[-40:]


def test_a_header_that_is_missing(tmp_path):
    """An INVITE without a Call-ID ended the server once."""
    with Server(tmp_path, "--window-ms", "300") as server, Phone(server, "bare@test") as phone:
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            for method in EVERY:
                text = re.sub(rf"\r\n{name}: [^\r]*".encode(), b"", phone.message(method, phone.sdp() if method == "INVITE" else ""))
                phone.send(text)
                if method not in ("ACK", "CANCEL") and name in ("From", "To", "Call-ID"):
                    assert phone.hear(method).code == 400, (name, method)
        unharmed(server)


@pytest.mark.parametrize("within", [False, True])
def test_every_header_of_every_method(tmp_path, within):
    with Server(tmp_path, "--window-ms", "300", "--max-calls", "100000") as server:
        for method in EVERY:
            with Phone(server, f"{method}@test") as phone:
                if within:
                    phone.call()
                message = phone.message(method, phone.sdp() if method in ("INVITE", "UPDATE") else "")
                for n, text in enumerate(variants(message)):
                    phone.send(text)
                    if n % 40 == 39:  # no faster than it reads
                        lives(server)
        unharmed(server)
    no_report(server)


def mangled(draw, message):
    data = bytearray(message)
    for _ in range(draw.choice([1, 1, 1, 2, 3, 8, 30])):
        at, way = draw.randrange(len(data)), draw.randrange(6)
        if way == 0:
            data[at] = draw.randrange(256)
        elif way == 1:
            data[at] ^= 1 << draw.randrange(8)
        elif way == 2:
            del data[at : at + draw.choice([1, 1, 2, 10, 80])]
        elif way == 3:
            data[at:at] = draw.choice([b"\r\n", b"\0", b":", b" ", b"<", b'"', b";", b",", b"%", bytes(data[at : at + 40])])
        elif way == 4:
            data[at : at + 1] = bytes([data[at]]) * draw.randrange(1, 300)
        else:
            other = draw.randrange(len(data))
            data[at], data[other] = data[other], data[at]
        if not data:
            return b"\0"
    return bytes(data)


@pytest.mark.parametrize("seed", range(int(os.environ.get("HOSTILE_SEEDS", "3"))))
def test_requests_byte_by_byte(tmp_path, seed):
    draw = random.Random(seed)
    with Server(tmp_path, "--window-ms", "300", "--max-calls", "200") as server, Phone(server, "dialog@test") as inside:
        inside.call()
        for n in range(ROUNDS * 8):
            if n % 100 == 0:
                outside = Phone(server, f"mangled-{n}@test")
            phone, method = draw.choice([inside, outside]), draw.choice(EVERY[:7])
            if phone is inside and method == "BYE" and n % 20:
                method = "INFO"
            body = phone.sdp(session=draw.choice(["", "a=recordpref:pause\r\n"])) if method in ("INVITE", "UPDATE") else "Signal=5\r\n" if method == "INFO" else ""
            kind = "application/dtmf-relay" if method == "INFO" else "application/sdp"
            phone.send(mangled(draw, phone.message(method, body, kind)))
            if n % 100 == 99:
                outside.close()
                lives(server)
    no_report(server)


# ---- nothing left to open

def test_no_ports_for_audio(tmp_path):
    """Each call more than the ports allow is refused, and the next one after an end is answered."""
    base = random.randrange(40000, 50000, 16)
    with Server(tmp_path, "--window-ms", "300", "--rtp-ports", f"{base}-{base + 4}", "--transfer-to",
                "sip:nobody@127.0.0.1:9") as server:
        phones = [Phone(server, f"port-{n}@test") for n in range(6)]
        codes = []
        for phone in phones:
            reply = phone.ask("INVITE", phone.sdp())
            codes.append(reply.code)
            if reply.code == 200:
                phone.to_tag = reply.headers["to"].split("tag=")[1]
            phone.send(phone.message("ACK") if reply.code == 200 else phone.message("ACK", branch=phone.branch))
        assert codes[0] == 200 and set(codes) == {200, 500}, codes
        for key in "*1":
            assert phones[0].ask("INFO", f"Signal={key}", "application/dtmf-relay").code == 200
        server.says("port-0@test: cannot be transferred")
        for phone, code in zip(phones, codes):
            if code == 200:
                phone.hang_up()
            phone.close()

        def free():
            with Phone(server, f"{random.getrandbits(40):x}@test") as other:
                return other.ask("INVITE", other.sdp()).code == 200
        wait_for("a port", free)
    no_report(server)


def test_no_descriptors(tmp_path):
    with Server(tmp_path, "--window-ms", "300") as server:
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 1, before[1]))
        for n in range(5):
            with Phone(server, f"full-{n}@test") as phone:
                assert phone.ask("INVITE", phone.sdp()).code == 500
                phone.send(phone.message("ACK", branch=phone.branch))
        with socket.create_connection(("127.0.0.1", server.port)):
            with Phone(server, "options@test") as phone:
                assert phone.ask("OPTIONS").code == 200
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        unharmed(server)
    no_report(server)
