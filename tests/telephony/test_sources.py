# SPDX-License-Identifier: MIT
"""Audio and keys come from where the session description says: from nobody else, and also from behind a translator."""

import time

import pytest

import wire
from phone import Beside, Phone, line, play
from server import Server

FAST = ("--window-ms", "300")


@pytest.fixture(scope="module")
def said():
    return wire.speech(41, 2, wire.PCMU)


@pytest.fixture(scope="module")
def noise():
    return wire.speech(42, 2, wire.PCMU)


def kept(server, phone):
    phone.hang_up()
    return server.leg(server.stored(phone.call_id), "caller")


def outsiders(noise):
    return wire.Stream(43, wire.PCMU).audio(noise[: 20 * wire.FRAME]).digits("*9").audio(noise[20 * wire.FRAME :])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_outsider_is_not_heard(tmp_path, said, noise, host, when):
    """Neither recorded, nor are its keys anybody's, nor does it keep out the caller; it is counted."""
    mine, theirs = wire.Stream(41, wire.PCMU).audio(said), outsiders(noise)
    with Server(tmp_path, *FAST) as server, Phone(server, "mine@test") as phone, line(host) as other:
        phone.call()
        if when == "before":
            play(theirs.packets, theirs.ssrc, other, phone.remote)
            phone.speak(mine)
        else:
            with Beside(theirs.packets, theirs.ssrc, other, phone.remote):
                phone.speak(mine)
        assert kept(server, phone) == mine.recorded()
        server.stop()
        assert f"{len(theirs.packets)} of strangers" in server.lines[-1], server.lines[-1]


@pytest.mark.parametrize("ssrc", ["own", "copied"])
def test_an_outsider_during_a_silence(tmp_path, said, noise, ssrc):
    """Also one that knows the stream's number, from another host."""
    mine = wire.Stream(41, wire.PCMU).audio(said)
    theirs, rest = outsiders(noise), wire.Stream(41, wire.PCMU)
    rest.seq, rest.ts = mine.seq, mine.ts + theirs.ms * 8
    rest.audio(said)
    theirs.ssrc = mine.ssrc if ssrc == "copied" else theirs.ssrc
    for n, p in enumerate(theirs.packets):
        p.seq = mine.seq + n
    with Server(tmp_path, *FAST) as server, Phone(server, "silent@test") as phone, line("127.0.0.2") as other:
        phone.call()
        phone.speak(mine)
        play(theirs.packets, theirs.ssrc, other, phone.remote)
        phone.say(rest.packets, mine.ssrc)
        audio = kept(server, phone)
        assert audio.startswith(said) and audio.endswith(said) and not audio[len(said) : -len(said)].strip(b"\xff")


def test_the_port_changes_in_mid_call(tmp_path, said):
    """As a translator does that has forgotten a flow: the stream goes on, and nothing of it is lost."""
    stream = wire.Stream(41, wire.PCMU).audio(said).audio(said)
    half = len(stream.packets) // 2
    with Server(tmp_path, *FAST) as server, Phone(server, "moved@test") as phone, line() as other:
        phone.call()
        phone.say(stream.packets[:half], stream.ssrc)
        phone.say(stream.packets[half:], stream.ssrc, other)
        other.settimeout(2)
        assert other.recv(2048), "what the server says follows"
        assert kept(server, phone) == stream.recorded()


@pytest.mark.parametrize("keys_only", [True, False])
def test_keys_after_a_change_of_the_port(tmp_path, said, keys_only):
    stream = wire.Stream(41, wire.PCMU).audio(said)
    before = len(stream.packets)
    if not keys_only:
        stream.audio(said[: 10 * wire.FRAME])
    stream.digits("*9")
    with Server(tmp_path, *FAST) as server, Phone(server, "moved@test") as phone, line() as other:
        phone.call()
        phone.say(stream.packets[:before], stream.ssrc)
        phone.say(stream.packets[before:], stream.ssrc, other)
        server.says("opt-out by dtmf")
        phone.hang_up()
        server.erased("moved@test")


@pytest.mark.parametrize("address", ["192.168.17.4", "10.1.2.3", "0.0.0.0"])
def test_a_phone_behind_a_translator(tmp_path, said, address):
    """Its description names an address of its own network. It speaks from where its INVITE came from."""
    stream = wire.Stream(41, wire.PCMU).audio(said).digits("*9")
    with Server(tmp_path, *FAST) as server, Phone(server, "nat@test") as phone, line("127.0.0.3") as other:
        phone.call(host=address)
        theirs = outsiders(said)
        with Beside(theirs.packets, theirs.ssrc, other, phone.remote):
            phone.say(stream.packets[:100], stream.ssrc)
        if address != "0.0.0.0":
            assert phone.heard(), "the server answers to where the audio comes from"
        assert not any("opt-out" in text for text in server.lines)
        phone.say(stream.packets[100:], stream.ssrc)
        server.says("opt-out by dtmf")
        phone.hang_up()
        server.erased("nat@test")


def test_what_a_phone_behind_a_translator_said_first_is_kept(tmp_path, said):
    stream = wire.Stream(41, wire.PCMU).audio(said)
    with Server(tmp_path, *FAST) as server, Phone(server, "nat@test") as phone:
        phone.call(host="192.168.17.4")
        phone.speak(stream)
        assert kept(server, phone) == stream.recorded()


def test_another_port_than_it_named(tmp_path, said):
    """A sender that is not symmetric is heard when nothing has come from the port that it named for a while."""
    stream = wire.Stream(41, wire.PCMU).audio(said).audio(said).audio(said).digits("*9")
    with Server(tmp_path, *FAST) as server, Phone(server, "other@test") as phone, line() as out:
        phone.call()
        phone.speak(stream, out)
        server.says("opt-out by dtmf")
        assert phone.heard(), "it listens where it said"
        phone.hang_up()
        server.erased("other@test")


def test_a_new_description_moves_the_call(tmp_path, said, noise):
    """After a re-INVITE that names another port the former one is an outsider."""
    first, second = wire.Stream(41, wire.PCMU).audio(said), wire.Stream(44, wire.PCMU).audio(noise)
    late = wire.Stream(45, wire.PCMU).audio(said).digits("*9")
    with Server(tmp_path, *FAST) as server, Phone(server, "moved@test") as phone, line() as other:
        phone.call()
        phone.speak(first)
        assert phone.again(port=other.getsockname()[1]).code == 200
        with Beside(late.packets, late.ssrc, phone.rtp, phone.remote):
            phone.speak(second, other)
        audio = kept(server, phone)
        assert audio.startswith(said) and audio.endswith(noise) and len(audio) < len(said + noise) + 8000


@pytest.mark.parametrize("how", [{"host": "0.0.0.0"}, {"media": "a=inactive\r\n"}, {"media": "a=sendonly\r\n"}, {"port": 0}])
def test_hold_and_back(tmp_path, said, how):
    """Who is on hold is still who it was, and may object."""
    stream = wire.Stream(41, wire.PCMU).audio(said).digits("*9")
    with Server(tmp_path, *FAST) as server, Phone(server, "hold@test") as phone:
        phone.call()
        phone.say(stream.packets[:100], stream.ssrc)
        assert phone.again(**how).code == 200
        phone.heard()
        time.sleep(0.3)  # nothing is sent to who is on hold
        assert not phone.heard()
        phone.say(stream.packets[100:], stream.ssrc)
        server.says("opt-out by dtmf")
        assert phone.again().code == 200
        phone.hang_up()
        server.erased("hold@test")


def test_a_stream_that_starts_again_with_another_number(tmp_path, said, noise):
    """Another SSRC from the same port, at once: nothing is lost."""
    first, second = wire.Stream(41, wire.PCMU).audio(said), wire.Stream(44, wire.PCMU).audio(noise)
    with Server(tmp_path, *FAST) as server, Phone(server, "again@test") as phone:
        phone.call()
        phone.speak(first)
        phone.speak(second)
        assert kept(server, phone) == said + noise


def test_two_streams_at_once_from_one_port(tmp_path, said, noise):
    """The first one is the caller; recording both would make the leg twice as long. Keys in the second one count."""
    mine, theirs = wire.Stream(41, wire.PCMU).audio(said), wire.Stream(43, wire.PCMU).audio(noise)
    with Server(tmp_path, *FAST) as server, Phone(server, "two@test") as phone:
        phone.call()
        phone.say(mine.packets[:10], mine.ssrc)
        with Beside(theirs.packets[:85], theirs.ssrc, phone.rtp, phone.remote):
            phone.say(mine.packets[10:], mine.ssrc)
        assert kept(server, phone) == mine.recorded()
    keys = wire.Stream(43, wire.PCMU).digits("*9")
    (tmp_path / "keys").mkdir()
    with Server(tmp_path / "keys", *FAST) as server, Phone(server, "two@test") as phone:
        phone.call()
        phone.say(mine.packets[:10], mine.ssrc)
        with Beside(keys.packets, keys.ssrc, phone.rtp, phone.remote):
            phone.say(mine.packets[10:], mine.ssrc)
        server.says("opt-out by dtmf")
        phone.hang_up()


def test_a_broken_description_changes_nothing(tmp_path, said):
    """It is refused; the call goes on as it was agreed on before."""
    stream = wire.Stream(41, wire.PCMU).audio(said)
    with Server(tmp_path, *FAST) as server, Phone(server, "broken@test") as phone:
        phone.call()
        phone.say(stream.packets[:50], stream.ssrc)
        for body in ("v=0\r\nc=nowhere\r\n", phone.sdp(pts=[9], maps={9: "G722/8000"}), "no description"):
            reply = phone.ask("INVITE", body)
            assert reply.code == 488, reply.text
            phone.send(phone.message("ACK", branch=phone.branch))
        phone.heard()
        phone.say(stream.packets[50:], stream.ssrc)
        assert len(phone.heard()) > 40, "and is still heard where it was"
        audio = kept(server, phone)
        assert audio.startswith(said[:8000]) and audio.endswith(said[8000:])


def test_packets_that_are_not_audio(tmp_path, said):
    """STUN and RTCP on the port, padding, extensions, contributors, other versions, no payload: each as it is meant."""
    stream = wire.Stream(41, wire.PCMU).audio(said)
    with Server(tmp_path, *FAST) as server, Phone(server, "odd@test") as phone:
        phone.call()
        for n, p in enumerate(stream.packets):
            data = bytearray(p.rtp(stream.ssrc))
            if n % 5 == 1:  # padding that looks like audio
                data = bytes([data[0] | 0x20]) + data[1:] + b"\x11\x12\x13\x04"
            elif n % 5 == 2:  # two words of extension
                data = bytes([data[0] | 0x10]) + data[1:12] + b"\xbe\xde\0\2ABCDEFGH" + data[12:]
            elif n % 5 == 3:  # two contributors
                data = bytes([data[0] | 2]) + data[1:12] + b"\0\0\0\1\0\0\0\2" + data[12:]
            for extra in (b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12), b"\x80\xc8\0\6" + bytes(24), bytes([0x40]) + data[1:],
                          b"\xb0\0" + data[2:12], b"\xa0\0" + data[2:] + b"\xff", b"\x80"):
                phone.rtp.sendto(extra, phone.remote)
            phone.rtp.sendto(bytes(data), phone.remote)
            time.sleep(0.02)  # the pace of a phone
        assert kept(server, phone) == stream.recorded()


@pytest.mark.parametrize("ms", [10, 30, 60, 17])
def test_frames_of_any_length(tmp_path, said, ms):
    stream = wire.Stream(41, wire.PCMU)
    size = ms * 8
    for at in range(0, len(said) // size * size, size):
        stream.packets.append(wire.Packet(stream.now, stream.seq, stream.ts, wire.PCMU, said[at : at + size]))
        stream.seq, stream.ts, stream.now = stream.seq + 1, stream.ts + size, stream.now + ms
    with Server(tmp_path, *FAST) as server, Phone(server, "frames@test") as phone:
        phone.call()
        phone.speak(stream)
        assert kept(server, phone) == stream.recorded()


def test_a_law_that_changes(tmp_path, said):
    """A leg keeps the law that it began with; the peer is sent what it asks for."""
    other = wire.Stream(46, wire.PCMA).audio(wire.speech(41, 2, wire.PCMA))
    with Server(tmp_path, *FAST) as server, Phone(server, "law@test") as phone:
        phone.call()
        phone.speak(wire.Stream(41, wire.PCMU).audio(said))
        assert " 8" in phone.again(pts=[8, 101]).body.split("m=audio")[1].split("\r\n")[0]
        phone.heard()
        phone.rtp.settimeout(2)
        phone.say(other.packets[:50], other.ssrc)
        assert {phone.rtp.recv(2048)[1] & 0x7F for _ in range(20)} == {8}
        audio = kept(server, phone)
        assert audio.startswith(said) and wire.law_of(server.audio(server.record("law@test"))[0]) == 7


def test_what_was_not_agreed_on_is_not_audio(tmp_path, said):
    """A payload type that the server knows and the phone did not offer."""
    stream, other = wire.Stream(41, wire.PCMU).audio(said), wire.Stream(41, wire.PCMA).audio(said)
    with Server(tmp_path, *FAST) as server, Phone(server, "pt@test") as phone:
        phone.call(pts=[0])
        keys = wire.Stream(41, wire.PCMU).digits("*9")  # 101 is nothing here
        for p in other.packets[:20] + keys.packets:
            phone.rtp.sendto(p.rtp(stream.ssrc), phone.remote)
        phone.speak(stream)
        assert kept(server, phone) == stream.recorded()




@pytest.mark.parametrize("order", ["first", "last"])
def test_several_media(tmp_path, said, order):
    """One audio is taken, others are refused; what is preferred for any of them counts."""
    stream = wire.Stream(41, wire.PCMU).audio(said)
    with Server(tmp_path, *FAST) as server, Phone(server, "media@test") as phone, line() as other:
        more = f"m=audio {other.getsockname()[1]} RTP/AVP 8\r\nm=video 9 RTP/AVP 96\r\n"
        body = phone.sdp(media=more) if order == "first" else phone.sdp().replace("m=audio", "m=video 9 RTP/AVP 96\r\nm=audio")
        reply = phone.ask("INVITE", body)
        assert reply.code == 200 and reply.body.count("m=") == body.count("m=")
        phone.to_tag = reply.headers["to"].split("tag=")[1]
        phone.ack()
        ports = [int(text.split(" ")[1]) for text in reply.body.split("\r\n") if text.startswith("m=")]
        assert sum(port != 0 for port in ports) == 1
        phone.remote = ("127.0.0.1", max(ports))
        phone.speak(stream)
        assert kept(server, phone) == stream.recorded()
