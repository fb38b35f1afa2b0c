# SPDX-License-Identifier: MIT
"""Requests beside the beginning and end of a call are answered as RFC 3261 and its kin ask for, and preferences in them count."""

import socket
import time

import pytest

import wire
from phone import Phone, Reply, line
from server import Server

FAST = ("--window-ms", "300")
OFF, PAUSE, ON = ("a=recordpref:off\r\n", "a=recordpref:pause\r\n", "a=recordpref:on\r\n")
AWARE = "Supported: timer, record-aware\r\n"


def talk(phone, seconds=1):
    stream = wire.Stream(51, phone.law).audio(wire.speech(51, seconds, phone.law))
    phone.speak(stream)
    return stream


def methods(reply):
    return {m.strip() for m in reply.headers["allow"].split(",")}


def test_update_objects(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "update@test") as phone:
        phone.call()
        talk(phone)
        reply = phone.ask("UPDATE", phone.sdp(media=OFF))
        assert reply.code == 200 and "a=record:off" in reply.body and "contact" in reply.headers
        phone.hang_up()
        server.erased("update@test")


def test_update_pauses_and_goes_on(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "update@test") as phone:
        phone.call()
        said = talk(phone).recorded()
        assert "a=record:paused" in phone.ask("UPDATE", phone.sdp(session=PAUSE)).body
        talk(phone)
        assert "a=record:on" in phone.ask("UPDATE", phone.sdp(session=ON)).body
        talk(phone)
        phone.hang_up()
        kept = server.leg(server.stored("update@test"), "caller")
        assert kept.startswith(said) and kept.endswith(said) and len(kept) < 2 * len(said) + 4000


def test_update_without_a_description(tmp_path):
    """As phones refresh a session (RFC 4028)."""
    with Server(tmp_path, *FAST) as server, Phone(server, "update@test") as phone:
        phone.call()
        reply = phone.ask("UPDATE", headers="Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n")
        assert reply.code == 200 and not reply.body and "contact" in reply.headers
        phone.hang_up()


def test_update_that_is_refused_objects_all_the_same(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "update@test") as phone:
        phone.call()
        talk(phone)
        assert phone.ask("UPDATE", phone.sdp(pts=[9], maps={9: "G722/8000"}, media=OFF)).code == 488
        phone.hang_up()
        server.erased("update@test")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_request_that_names_another_method_objects_all_the_same(tmp_path, method):
    with Server(tmp_path, *FAST) as server, Phone(server, "odd@test") as phone:
        phone.call()
        talk(phone)
        phone.send(phone.message(method, phone.sdp(media=OFF)).replace(b"CSeq: 2 " + method.encode(), b"CSeq: 2 OPTIONS"))
        server.says("recordpref: opted out")
        phone.hang_up()
        server.erased("odd@test")


def test_update_in_a_body_of_several_parts(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "update@test") as phone:
        phone.call()
        talk(phone)
        body = f"--b\r\nContent-Type: application/sdp\r\n\r\n{phone.sdp(session=OFF)}\r\n--b--\r\n"
        phone.ask("UPDATE", body, "multipart/mixed;boundary=b")
        phone.hang_up()
        server.erased("update@test")


def test_update_before_the_answer(tmp_path):
    """The INVITE's offer waits for its answer: the UPDATE is refused for now (RFC 3311, 5.2), and has been heard."""
    with Server(tmp_path, "--ring-ms", "1500", *FAST) as server, Phone(server, "early@test") as phone:
        phone.send(phone.message("INVITE", phone.sdp()))
        ringing = Reply(phone.sip.recv(65536))
        assert ringing.code == 180
        phone.to_tag = ringing.headers["to"].split("tag=")[1]
        reply = phone.ask("UPDATE", phone.sdp(session=OFF))
        assert reply.code == 500 and "retry-after" in reply.headers
        assert "a=record:off" in phone.hear("INVITE").body
        phone.cseq -= 1
        phone.ack()
        phone.cseq += 1
        phone.hang_up()
        assert server.record("early@test")["opt_out"]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_who_objects_while_the_server_asks(tmp_path, method):
    """The server's re-INVITE is under way; the phone's own request is refused with 491, and its preference counts."""
    with Server(tmp_path, *FAST) as server, Phone(server, "glare@test") as phone:
        phone.call(headers=AWARE)
        talk(phone)
        assert "a=record:paused" in phone.ask("UPDATE", phone.sdp(session=PAUSE)).body
        phone.answering = False
        assert phone.ask("UPDATE", phone.sdp(session=ON)).code == 200  # it was told by the answers
        for key in "*1":
            phone.ask("INFO", f"Signal={key}", "application/dtmf-relay")
        with server.client() as tool:
            tool.opt_out("glare@test")
        while not phone.requests:
            phone.ask("OPTIONS")
        assert phone.ask(method, phone.sdp(session=OFF)).code == 491
        phone.hang_up()
        server.erased("glare@test")


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_an_objection_during_glare_is_the_only_one(tmp_path, method):
    """As above, but nobody else has objected: the server tells a pause that a second phone asked for."""
    with Server(tmp_path, "--recordpref", "erase", *FAST) as server, Phone(server, "glare@test") as phone:
        reply = phone.ask("INVITE", "", headers=AWARE)  # the server makes the offer
        phone.to_tag = reply.headers["to"].split("tag=")[1]
        phone.send(phone.message("ACK", phone.sdp()))
        phone.remote = reply.media()
        talk(phone)
        assert phone.ask("UPDATE", phone.sdp(session=PAUSE)).code == 200
        old = phone.cseq
        assert phone.ask(method, phone.sdp(session=OFF), cseq=old - 1).code == 500, "it was overtaken"
        phone.hang_up()
        server.erased("glare@test")


def test_what_was_overtaken_takes_nothing_back(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "order@test") as phone:
        phone.call()
        talk(phone)
        assert "a=record:paused" in phone.ask("UPDATE", phone.sdp(session=PAUSE)).body
        assert phone.ask("UPDATE", phone.sdp(session=ON), cseq=phone.cseq - 1).code == 500
        assert "a=record:paused" in phone.ask("UPDATE", phone.sdp()).body
        phone.hang_up()
        server.says("order@test: stored")


def test_an_offer_in_the_answer(tmp_path):
    """An INVITE without a description: the preference comes with the ACK."""
    with Server(tmp_path, *FAST) as server, Phone(server, "late@test") as phone:
        reply = phone.ask("INVITE")
        assert reply.code == 200 and "a=record:" in reply.body
        phone.to_tag = reply.headers["to"].split("tag=")[1]
        phone.send(phone.message("ACK", phone.sdp(media=OFF)))
        server.says("recordpref: opted out")
        phone.hang_up()
        assert server.record("late@test")["opt_out"]


def test_options(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "options@test") as phone:
        for _ in range(2):  # before the call and in it
            reply = phone.ask("OPTIONS", headers="Accept: application/sdp\r\n")
            assert reply.code == 200 and "record-aware" in reply.headers["supported"]
            assert methods(reply) == {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE"}
            assert "application/sdp" in reply.headers["accept"]
            if phone.to_tag:
                break
            answer = phone.call()
            assert "UPDATE" in methods(answer) and "record-aware" in answer.headers["supported"]
        phone.hang_up()
        phone.to_tag = "nobody"
        assert phone.ask("OPTIONS").code == 481


@pytest.mark.parametrize("method,within,without", [
    ("REFER", 405, 405), ("SUBSCRIBE", 405, 405), ("MESSAGE", 405, 405), ("REGISTER", 405, 405), ("PRACK", 481, 405),
    ("NOTIFY", 405, 405), ("PUBLISH", 405, 405), ("FROBNICATE", 501, 501), ("update", 501, 501)])
def test_methods_that_are_not_there(tmp_path, method, within, without):
    with Server(tmp_path, *FAST) as server, Phone(server, "method@test") as phone:
        reply = phone.ask(method)
        assert reply.code == without and "UPDATE" in methods(reply), reply.text
        phone.call()
        reply = phone.ask(method)
        assert reply.code == within and "UPDATE" in methods(reply), reply.text
        phone.hang_up()


@pytest.mark.parametrize("method", ["UPDATE", "INVITE", "BYE", "INFO", "OPTIONS"])
def test_dialogs_that_are_not_there(tmp_path, method):
    with Server(tmp_path, *FAST) as server, Phone(server, "nobody@test") as phone:
        phone.to_tag = "0123456789abcdef"
        assert phone.ask(method, phone.sdp(media=OFF) if method != "INFO" else "").code == 481


def test_what_is_required(tmp_path):
    """100rel and all others are refused by name (RFC 3261, 8.2.2.3); in a call an objection counts before that."""
    with Server(tmp_path, *FAST) as server, Phone(server, "require@test") as phone:
        reply = phone.ask("INVITE", phone.sdp(), headers="Require: 100rel, record-aware\r\n")
        assert reply.code == 420 and reply.headers["unsupported"] == "100rel"
        phone.send(phone.message("ACK", branch=phone.branch))
        phone.call(headers="Require: record-aware\r\n")
        talk(phone)
        assert phone.ask("UPDATE", phone.sdp(media=OFF), headers="Require: timer\r\n").code == 420
        phone.hang_up()
        server.erased("require@test")


ZERO = {"port": 0}


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("how", [{"media": OFF}, {"session": OFF}, {"media": "a=bundle-only\r\n" + OFF}])
def test_an_objection_of_one_who_is_held_by_port_0(tmp_path, method, how):
    with Server(tmp_path, *FAST) as server, Phone(server, "held@test") as phone:
        phone.call()
        talk(phone)
        reply = phone.ask(method, phone.sdp(**ZERO, **how))
        assert reply.code == 200 and "a=record:off" in reply.body
        if method == "INVITE":
            phone.ack()
        assert "a=record:off" in phone.again().body
        phone.hang_up()
        server.erased("held@test")


def test_what_is_said_below_port_0_takes_nothing_back(tmp_path):
    """A pause counts there, as it is an objection for a while; `on` does not."""
    with Server(tmp_path, *FAST) as server, Phone(server, "held@test") as phone:
        phone.call()
        talk(phone)
        assert "a=record:paused" in phone.again(**ZERO, media=PAUSE).body
        for wish in (ON, "a=recordpref:nopreference\r\n"):
            assert "a=record:paused" in phone.again(**ZERO, media=wish).body
        assert "a=record:on" in phone.again(media=ON).body
        phone.hang_up()
        server.stored("held@test")


def refuse(phone, how, wish):
    """An INVITE with a preference, which is not answered with 200."""
    ways = {"420": {"headers": "Require: 100rel\r\n"}, "400": {}, "488": {}}
    body = phone.sdp(session=wish, **({"pts": [9], "maps": {9: "G722/8000"}} if how == "488" else {}))
    message = phone.message("INVITE", body, **ways[how])
    if how == "400":
        message = message.replace(b"CSeq: %d INVITE" % phone.cseq, b"CSeq: %d UPDATE" % phone.cseq)
    phone.send(message)
    reply = Reply(phone.sip.recv(65536))
    assert reply.code == int(how), reply.text
    phone.send(phone.message("ACK", branch=phone.branch))


@pytest.mark.parametrize("how", ["420", "400", "488"])
def test_an_objection_that_was_refused_holds_for_the_next_invite(tmp_path, how):
    """The same Call-ID and tag, the next number, without a word of it (RFC 3261, 8.1.3.5); refused twice, too."""
    with Server(tmp_path, *FAST) as server, Phone(server, "again@test") as phone:
        refuse(phone, how, OFF)
        refuse(phone, "420", ON)
        assert "a=record:off" in phone.call(headers=AWARE).body
        talk(phone)
        phone.hang_up()
        record = server.record("again@test")
        assert record["opt_out"] and not server.audio(record)


def test_an_objection_holds_after_a_cancel(tmp_path):
    with Server(tmp_path, "--ring-ms", "1000", *FAST) as server, Phone(server, "cancel@test") as phone:
        phone.send(phone.message("INVITE", phone.sdp(media=OFF)))
        server.says("cancel@test: rings")
        phone.send(phone.message("CANCEL", branch=phone.branch))
        assert phone.hear("INVITE").code == 487
        phone.send(phone.message("ACK", branch=phone.branch))
        server.says("cancel@test: ended")
        assert "a=record:off" in phone.call().body
        phone.hang_up()


def test_a_pause_that_was_refused_holds_until_on(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "again@test") as phone:
        refuse(phone, "488", PAUSE)
        assert "a=record:paused" in phone.call().body
        assert "a=record:on" in phone.again(session=ON).body
        talk(phone)
        phone.hang_up()
        server.stored("again@test")


def move(phone):
    """To another host."""
    phone.sip.close()
    phone.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.sip.bind(("127.0.0.2", phone.port))
    phone.sip.settimeout(10)


@pytest.mark.parametrize("who", ["another tag", "another host", "another call", "after the answer"])
def test_nobody_else_objects_in_an_invite_that_is_refused(tmp_path, who):
    with Server(tmp_path, *FAST) as server, Phone(server, "mine@test") as phone, Phone(server, "mine@test") as other:
        if who == "another host":
            move(other)
        other.cseq = 10  # the same request by two ways would be a loop (RFC 3261, 8.2.2.2)
        if who != "another tag":
            other.tag = phone.tag
        if who == "another call":
            other.call_id = "other@test"
        if who == "after the answer":  # it was for that call, which is over
            refuse(phone, "420", OFF)
            assert "a=record:off" in phone.call().body
            phone.hang_up()
            server.says("mine@test: ended")
            phone.to_tag = ""
        else:
            refuse(other, "420", OFF)
        assert "a=record:on" in phone.call().body
        talk(phone)
        phone.hang_up()
        server.says("mine@test: stored")


def test_many_refused_invites_of_one_host_push_out_none_of_another(tmp_path):
    with Server(tmp_path, *FAST) as server, Phone(server, "first@test") as phone, Phone(server, "") as other:
        move(other)
        refuse(phone, "420", OFF)
        for n in range(600):
            other.call_id = f"flood-{n}@test"
            refuse(other, "420", OFF)
        assert "a=record:off" in phone.call().body
        phone.hang_up()


@pytest.mark.parametrize("when", ["rings", "offers nothing"])
def test_cancel(tmp_path, when):
    with Server(tmp_path, "--ring-ms", "60000", *FAST) as server, Phone(server, "cancel@test") as phone:
        phone.send(phone.message("INVITE", phone.sdp() if when == "rings" else ""))
        server.says("cancel@test: rings")
        phone.send(phone.message("CANCEL", branch=phone.branch))
        assert phone.hear("INVITE").code == 487 or phone.hear("INVITE").code == 487
        phone.send(phone.message("ACK", branch=phone.branch))
        phone.send(phone.message("CANCEL", branch="z9hG4bKother"))
        assert phone.hear("CANCEL").code in (200, 481)
        server.says("cancel@test: ended")


def test_a_bye_that_races_with_an_objection(tmp_path):
    """Whichever comes first, nothing is left."""
    with Server(tmp_path, "--window-ms", "2000") as server:
        for n in range(6):
            with Phone(server, f"race-{n}@test") as phone:
                phone.call()
                stream = wire.Stream(n, wire.PCMU).audio(wire.speech(51, 0.4, wire.PCMU)).digits("*9")
                phone.say(stream.packets[:-7 + n], stream.ssrc)
                phone.send(phone.message("BYE"))
                for p in stream.packets[-7 + n:]:
                    phone.rtp.sendto(p.rtp(stream.ssrc), phone.remote)
                assert phone.hear("BYE").code == 200
            server.erased(f"race-{n}@test")


def info(phone, key, cseq=None, code=200):
    assert phone.ask("INFO", f"Signal={key}\r\n", "application/dtmf-relay", cseq=cseq).code == code


WINDOW = ("--window-ms", "3000")


@pytest.mark.parametrize("before", [0, 1])
def test_keys_by_info_after_the_end(tmp_path, before):
    """BYE overtook them, or the second one: they are refused, and count."""
    with Server(tmp_path, *WINDOW) as server, Phone(server, "late@test") as phone:
        phone.call()
        talk(phone)
        for key in "*9"[:before]:
            info(phone, key)
        phone.hang_up()
        for key in "*9"[before:]:
            info(phone, key, code=481)
        server.says("opt-out by dtmf")
        server.erased("late@test")


def test_infos_that_bye_overtook(tmp_path):
    with Server(tmp_path, *WINDOW) as server, Phone(server, "late@test") as phone:
        phone.call()
        talk(phone)
        phone.cseq += 2
        phone.hang_up()
        info(phone, "9", phone.cseq - 1, 481)
        info(phone, "*", phone.cseq - 2, 481)
        server.erased("late@test")


@pytest.mark.parametrize("method", ["UPDATE", "INVITE", "ACK"])
def test_a_preference_after_the_end(tmp_path, method):
    with Server(tmp_path, *WINDOW) as server, Phone(server, "late@test") as phone:
        phone.call()
        talk(phone)
        phone.hang_up()
        phone.send(phone.message(method, phone.sdp(session=OFF)))
        if method != "ACK":
            assert phone.hear(method).code == 481
        server.says("recordpref: opted out")
        server.erased("late@test")


def test_only_the_peer_objects_after_the_end(tmp_path):
    """Another dialog, another host, another wish, or too late: what was recorded stays."""
    with Server(tmp_path, *WINDOW) as server, Phone(server, "kept@test") as phone, Phone(server, "kept@test") as other:
        phone.call()
        said = talk(phone).recorded()
        phone.hang_up()
        assert phone.ask("UPDATE", phone.sdp(session=PAUSE)).code == 481
        other.to_tag, other.cseq = phone.to_tag, phone.cseq + 10
        assert other.ask("UPDATE", other.sdp(session=OFF)).code == 481  # with a tag of its own
        other.tag, other.to_tag = phone.tag, "nobody"
        assert other.ask("UPDATE", other.sdp(session=OFF)).code == 481
        other.to_tag = phone.to_tag
        other.sip.close()
        other.sip = line("127.0.0.2")
        other.sip.settimeout(10)
        other.port = other.sip.getsockname()[1]
        text = other.message("UPDATE", other.sdp(session=OFF)).replace(b"UDP 127.0.0.1:", b"UDP 127.0.0.2:")
        other.send(text)
        assert other.hear("UPDATE").code == 481
        for key in "*9":
            other.send(other.message("INFO", f"Signal={key}", "application/dtmf-relay"))
            assert other.hear("INFO").code == 481
        time.sleep(1.5)  # longer than what is late may take
        assert phone.ask("UPDATE", phone.sdp(session=OFF)).code == 481
        assert server.leg(server.stored("kept@test"), "caller") == said


class Human(Phone):
    """Whom a caller is connected with."""

    def __init__(self, server):
        super().__init__(server, "")

    def pick_up(self):
        """INVITE, 200, ACK."""
        invite = Reply(self.sip.recv(65536))
        assert invite.first.startswith("INVITE")
        self.call_id = invite.headers["call-id"]
        self.to_tag = invite.headers["from"].split("tag=")[1]
        self.remote = invite.media()
        keep = "".join(f"{name}: {invite.headers[name]}\r\n" for name in ("via", "from", "call-id", "cseq"))
        body = self.sdp()
        self.send((f"SIP/2.0 200 OK\r\n{keep}To: {invite.headers['to']};tag={self.tag}\r\nContact: <sip:human@127.0.0.1:{self.port}>\r\n"
                   f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
        assert Reply(self.sip.recv(65536)).first.startswith("ACK")


@pytest.mark.parametrize("who", ["human", "caller"])
@pytest.mark.parametrize("way", ["info", "audio", "recordpref"])
def test_a_human_objects_after_the_end(tmp_path, who, way):
    """Of the human's own call, or of the caller's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at:
        at.bind(("127.0.0.1", 0))
        port = at.getsockname()[1]
    with Server(tmp_path, "--transfer-to", f"sip:human@127.0.0.1:{port}", *WINDOW) as server:
        with Phone(server, "human@test") as phone, Human(server) as human:
            human.sip.close()
            human.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            human.sip.bind(("127.0.0.1", port))
            human.sip.settimeout(10)
            human.port = port
            phone.call()
            for key in "*1":
                info(phone, key)
            human.pick_up()
            server.says("talks to")
            talk(human)
            (human if who == "human" else phone).hang_up()
            if way == "info":
                for key in "*9":
                    info(human, key, code=481)
            elif way == "audio":
                human.speak(wire.Stream(51, wire.PCMU).digits("*9"))
            else:
                assert human.ask("UPDATE", human.sdp(session=OFF)).code == 481
            server.says("opt-out by dtmf" if way != "recordpref" else "recordpref: opted out")
            if who == "human":
                phone.hang_up()
            server.erased("human@test")


@pytest.mark.parametrize("over", ["OPTIONS", "UPDATE"])
def test_keys_that_another_request_overtook(tmp_path, over):
    with Server(tmp_path, *FAST) as server, Phone(server, "order@test") as phone:
        phone.call()
        talk(phone)
        phone.cseq += 2
        assert phone.ask(over).code == 200
        info(phone, "*", phone.cseq - 2, 500)
        info(phone, "9", phone.cseq - 1, 500)
        server.says("opt-out by dtmf")
        phone.hang_up()
        server.erased("order@test")


def test_keys_that_overtook_each_other(tmp_path):
    """They count in the order in which they were pressed, and each once."""
    with Server(tmp_path, "--dtmf", "*99", *FAST) as server, Phone(server, "order@test") as phone:
        phone.call()
        talk(phone)
        first = phone.cseq + 1
        info(phone, "9", first + 3)
        info(phone, "5", first + 4)
        info(phone, "*", first + 1, 500)
        for _ in range(2):
            info(phone, "9", first + 3, 500)
        assert not any("opt-out" in text for text in server.lines)
        info(phone, "9", first + 2, 500)
        server.says("opt-out by dtmf")
        phone.cseq = first + 5
        phone.hang_up()
        server.erased("order@test")


def test_agent_without_an_announcement(tmp_path):
    agent = str(sorted(wire.SPEECH.glob("*.wav"))[3])
    with Server(tmp_path, "--agent", agent, *FAST) as server, Phone(server, "agent@test") as phone:
        phone.call()
        time.sleep(2)  # it speaks, whether the caller does or not
        heard = b"".join(phone.heard())
        phone.hang_up()
        leg = server.leg(server.stored("agent@test"), "agent")
    assert len(heard) > 8000 and leg[:8000] == heard[:8000] and len(set(heard)) > 20


def test_a_call_id_that_is_used_again(tmp_path):
    """At once after the end: another call, recorded, and late keys of the first one are not its."""
    said = wire.speech(51, 1, wire.PCMU)
    with Server(tmp_path, "--window-ms", "1500") as server:
        with Phone(server, "again@test") as first, Phone(server, "again@test") as second:
            first.call()
            talk(first)
            first.hang_up()
            assert "a=record:on" in second.call().body
            keys = wire.Stream(52, wire.PCMU).digits("*9")
            first.speak(keys)
            second.speak(wire.Stream(53, wire.PCMU).audio(said))
            second.hang_up()
        server.says("opt-out by dtmf")
        server.says("again@test: verified")
        server.says("again@test: stored")
        files = [wire.samples_of(path) for path in server.output.glob("*.caller.wav")]
        assert files == [said]
