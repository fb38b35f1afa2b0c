#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A caller says "stop the recording", and that is heard: `make show`.

Speech is synthesised (flite) and recorded (Asterisk's prompts), spoken into a SIP call (sipp), answered and recorded by
examples/sip_recorder, listened to by examples/ear (pocketsphinx, offline), which opts the call out. Printed is what
happened when, counted from the last sample of the phrase; build/show.svg is the same as a picture.
"""

import datetime
import html
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
        self.samples = samples + after
        law = bytes(wire.mulaw(s) for s in self.samples)
        law += wire.SILENCE[wire.PCMU] * (-len(law) % wire.FRAME)
        self.said = law
        self.stream = wire.Stream(1, wire.PCMU).audio(law)
        self.log = self.folder / "ear.log"

    def run(self):
        """The lines of the ear by what they tell, the server when all is over, and the events of the engine."""
        script = self.folder / "ear.sh"
        script.write_text(f'#!/bin/sh\nexec "{BUILD}/examples/ear" --control "{self.folder}/control" --mark {self.end} '
                          f'--phrase "{PHRASE}" >>"{self.log}" 2>&1\n')
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


RATE, WIDTH, LEFT, TOP, HIGH = 8000, 1000, 24, 60, 120


def picture(samples, end, steps, path):
    """The caller's words over a time axis in seconds, up to where recording stopped: that is erased. Below, the steps."""
    length = len(samples) / RATE
    stop_s = end / RATE + next(us for us, text in steps if text == "recording stopped") / 1e6

    def x(seconds):
        return LEFT + seconds / length * (WIDTH - 2 * LEFT)

    def text(at_x, at_y, words, extra=""):
        return f'<text x="{at_x:.1f}" y="{at_y:.1f}" {extra}>{html.escape(words)}</text>'

    middle, axis, per = TOP + HIGH / 2, TOP + HIGH + 8, max(1, len(samples) // 900)
    peaks = [max(abs(s) for s in samples[i : i + per]) / 32768 * HIGH / 2 + 0.5 for i in range(0, len(samples), per)]
    wave = "".join(f"M{x(i * per / RATE):.1f} {middle - h:.1f}V{middle + h:.1f}" for i, h in enumerate(peaks))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {axis + 54 + 20 * len(steps)}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        text(LEFT, 28, f"“please {PHRASE}”, said in a SIP call and heard offline", 'font-size="17"'),
        f'<path d="{wave}" stroke="#2a7ab0" fill="none"/>',
        f'<rect x="{LEFT}" y="{TOP}" width="{x(stop_s) - LEFT:.1f}" height="{HIGH}" fill="#c0392b" opacity=".14"/>',
        text(LEFT + 6, TOP + 16, "erased", 'fill="#c0392b"'),
        f'<line id="said" x1="{x(end / RATE):.1f}" x2="{x(end / RATE):.1f}" y1="{TOP}" y2="{axis}" stroke="#555" stroke-dasharray="2 3"/>',
        f'<line id="stop" x1="{x(stop_s):.1f}" x2="{x(stop_s):.1f}" y1="{TOP - 14}" y2="{axis}" stroke="#c0392b" stroke-width="2"/>',
        text(x(stop_s) + 5, TOP - 4, f"stop at {stop_s:.2f} s", 'fill="#c0392b" font-weight="bold"'),
        f'<line x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{axis}" y2="{axis}" stroke="#666"/>',
    ]
    for second in range(int(length) + 1):
        lines.append(f'<line x1="{x(second):.1f}" x2="{x(second):.1f}" y1="{axis}" y2="{axis + 5}" stroke="#666"/>')
        lines.append(text(x(second), axis + 18, f"{second} s", 'text-anchor="middle" font-size="10" fill="#666" class="tick"'))
    for row, (us, words) in enumerate(steps):
        at_y = axis + 50 + 20 * row
        lines.append(text(130, at_y, f"{us / 1000:+.1f} ms", 'text-anchor="end" fill="#666"') + text(146, at_y, words))
    pathlib.Path(path).write_text("\n".join(lines) + "\n</svg>\n", encoding="utf-8")


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6


def steps_of(show, told):
    """What happened when: microseconds after the last sample of the phrase, and what."""
    out, zero = show.record["opt_out"], told["at_us"]
    steps = [(0, "the caller has said: please " + PHRASE), (told["heard_us"] - zero, f"heard: {told['heard'].strip()}")]
    steps += [(moment(out[key]) - zero, text) for key, text in (
        ("requested_at", "recording stopped"), ("durable_at", "the stop is on disk"),
        ("erased_at", "everything recorded is erased"), ("verified_at", "looked again: nothing left")) if out.get(key)]
    steps.append((told["answered_us"] - zero, f"the agent knows: {told['status']}"))
    return sorted(steps, key=lambda step: step[0])


def main():
    with tempfile.TemporaryDirectory(prefix="rco-show-") as folder:
        show = Show(folder)
        told, server = show.run()
        if "heard" not in told:
            print("not heard:", told, *server.lines[-10:], sep="\n  ")
            return 1
        steps = steps_of(show, told)
        for us, text in steps:
            print(f"{us / 1000:+9.1f} ms  {text}")
        print(f"call record: {show.record['duration_ms'] / 1000:.1f} s of call, recorded audio that is left: "
              f"{len(server.audio(show.record))} files")
        picture(show.samples, show.end, steps, f"{BUILD}/show.svg")
        print(f"picture: {BUILD}/show.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
