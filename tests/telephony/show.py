#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A caller says "stop the recording", and that is heard: `make show`.

Speech is synthesised (flite) and recorded (Asterisk's prompts), spoken into a SIP call (sipp), answered and recorded by
examples/sip_recorder, listened to by examples/ear (pocketsphinx, offline), which opts the call out. Printed is what
happened when, counted from the last sample of the phrase.
"""

import datetime
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import wire
from server import BUILD, Server
from sipp import Scenario, Sipp

PHRASE = "stop the recording"


def linear(path):
    return [s for (s,) in struct.iter_unpack("<h", wire.samples_of(path)[: len(wire.samples_of(path)) // 2 * 2])]


def synthesised(folder, text):
    """8 kHz, ending with the last sample that can be heard."""
    path = folder / "flite.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(path)], check=True, stdout=subprocess.DEVNULL)
    rate = struct.unpack_from("<I", wire.riff(path)[b"fmt "], 4)[0]
    samples = linear(path)
    if rate == 16000:  # the mean of two neighbours is filter enough for a phone
        samples = [(a + b) // 2 for a, b in zip(samples[::2], samples[1::2])]
    while samples and abs(samples[-1]) < 500:
        samples.pop()
    return samples


def small_talk(name):
    return linear(wire.SPEECH / name)


def spoken(folder):
    """All samples of the call, and where the phrase ends."""
    before = small_talk("vm-intro.wav") + [0] * 2000
    phrase = synthesised(folder, "please " + PHRASE)
    return before + phrase, len(before) + len(phrase), [0] * 4000 + small_talk("vm-goodbye.wav") + [0] * 8000


class Show:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        samples, self.end, after = spoken(self.folder)
        law = bytes(wire.mulaw(s) for s in samples + after)
        law += wire.SILENCE[wire.PCMU] * (-len(law) % wire.FRAME)
        self.said = law
        self.stream = wire.Stream(1, wire.PCMU).audio(law)
        self.log = self.folder / "ear.log"

    def run(self):
        """The lines of the ear by what they tell, the server when all is over, and the events of the engine."""
        script = self.folder / "ear.sh"
        script.write_text(f'#!/bin/sh\nexec "{BUILD}/examples/ear" --control "{self.folder}/control" --mark {self.end} '
                          f'--phrase "{PHRASE}" "$1" >>"{self.log}" 2>&1\n')
        script.chmod(0o700)
        server = Server(self.folder, "--window-ms", "300", "--ear", str(script))
        with server:
            caller = Scenario(wire.PCMU).invite(record="on").play(self.stream, self.folder, "said")
            caller.wait(self.stream.ms + 300).bye()
            sipp = Sipp(self.folder / "sipp", server.port, caller, "show@test")
            server.says("show@test: answered")
            sipp.done()
            server.record("show@test")
            self.record = server.erased("show@test") if any("verified" in line for line in server.lines) else None
        told = {}
        for line in self.log.read_text().splitlines():
            told.update(json.loads(line) if line.startswith("{") else {"error": line})
        return told, server


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6


def main():
    with tempfile.TemporaryDirectory(prefix="rco-show-") as folder:
        show = Show(folder)
        told, server = show.run()
        if "heard" not in told:
            print("not heard:", told, *server.lines[-10:], sep="\n  ")
            return 1
        out, zero = show.record["opt_out"], told["at_us"]
        steps = [(0, "the caller has said: please " + PHRASE), (told["heard_us"] - zero, f"heard: {told['heard']}")]
        steps += [(moment(out[key]) - zero, text) for key, text in (
            ("requested_at", "recording stopped"), ("durable_at", "the stop is on disk"),
            ("erased_at", "everything recorded is erased"), ("verified_at", "looked again: nothing left")) if out.get(key)]
        steps.append((told["answered_us"] - zero, f"the agent knows: {told['status']}"))
        for us, text in sorted(steps, key=lambda step: step[0]):
            print(f"{us / 1000:+9.1f} ms  {text}")
        print(f"call record: {show.record['duration_ms'] / 1000:.1f} s of call, recorded audio that is left: "
              f"{len(server.audio(show.record))} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
