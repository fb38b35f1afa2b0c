#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges what gcovr gathered.

    coverage.py GCOVR_JSON FOLDER REPORT

FOLDER holds *.txt files that say why a branch is not taken. An entry is a line without indentation,

    FILE: FUNCTION: SOURCE LINE

and below it one or more indented ones,

    never 1,3: reason        these branches are not taken in any run
    rarely 0: reason         taken or not, as threads happen to meet

Branches of a line are numbered from 0 in the order of gcov. Lines of a function that read the same are numbered on, as
if they were one. A line that begins with # is a comment.
"""
import collections
import glob
import json
import os
import re
import sys

ROOMS = [  # the first that matches; the second member says whether each branch has to be taken or explained
    ("recovery", True, r"lib/session/recover\.[ch]"),
    ("gate", True, r"lib/session/push\.c|lib/media/(gate\.h|pool\.[ch])"),
    ("session", True, r"lib/session/.*"),
    ("ledger", True, r"lib/ledger/.*"),
    ("spool", True, r"lib/storage/spool.*"),
    ("storage", False, r"lib/storage/.*"),
    ("media", False, r"lib/media/.*"),
    ("agent", False, r"lib/agent/.*"),
    ("control", False, r"lib/control/.*"),
    ("sip", False, r"lib/sip/.*"),
    ("base", False, r"lib/base/.*"),
]


def room_of(path):
    for name, proven, pattern in ROOMS:
        if re.fullmatch(pattern, path):
            return name, proven
    sys.exit(f"coverage: {path} is in no room; add it to ROOMS in {sys.argv[0]}")


class Place:
    """The lines of one function that read the same."""

    def __init__(self, line):
        self.line = line
        self.taken = []


class File:
    def __init__(self, entry):
        self.path = entry["file"]
        self.room, self.proven = room_of(self.path)
        self.lines = self.lines_run = 0
        self.places = collections.OrderedDict()
        with open(self.path, encoding="utf-8") as f:
            source = f.read().split("\n")
        starts = sorted((f["lineno"], f["name"]) for f in entry["functions"])
        for line in sorted(entry["lines"], key=lambda line: line["line_number"]):
            if line["gcovr/noncode"]:
                continue
            self.lines += 1
            self.lines_run += line["count"] > 0
            if not line["branches"]:
                continue
            number = line["line_number"]
            before = [name for start, name in starts if start <= number]
            key = (self.path, before[-1] if before else "?", " ".join(source[number - 1].split()))
            place = self.places.setdefault(key, Place(number))
            place.taken += [branch["count"] > 0 for branch in line["branches"]]

    @property
    def branches(self):
        return sum(len(place.taken) for place in self.places.values())

    @property
    def branches_taken(self):
        return sum(sum(place.taken) for place in self.places.values())


def read_reasons(folder):
    """{key: [(word, set of branches, reason, where)]}, and what is wrong with the files."""
    reasons, wrong = collections.OrderedDict(), []
    for name in sorted(glob.glob(os.path.join(folder, "*.txt"))):
        key = None
        with open(name, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                where = f"{name}:{number}"
                if not line.strip() or line.startswith("#"):
                    continue
                head = re.fullmatch(r"(lib/\S+): (\w+): (\S.*)", line.rstrip())
                body = re.fullmatch(r"\s+(never|rarely) (\d+(?:,\d+)*): (\S.{15,})", line.rstrip())
                if head:
                    key = (head[1], head[2], " ".join(head[3].split()))
                    if key in reasons:
                        wrong.append(f"{where}: this line has an entry already")
                    reasons.setdefault(key, [])
                elif body and key:
                    reasons[key].append((body[1], {int(n) for n in body[2].split(",")}, body[3], where))
                else:
                    wrong.append(f"{where}: neither FILE: FUNCTION: LINE nor an indented never/rarely N: reason")
    return reasons, wrong


def judge(places, reasons):
    """What is wrong with the reasons, and {key: branches explained}."""
    wrong, explained = [], collections.defaultdict(set)
    for key, given in reasons.items():
        place = places.get(key)
        if place is None:
            wrong.append(f"no such line any more: {': '.join(key)}")
            continue
        if not given:
            wrong.append(f"an entry without a reason: {': '.join(key)}")
        for word, branches, _, where in given:
            beyond = sorted(n for n in branches if n >= len(place.taken))
            if beyond:
                wrong.append(f"{where}: the line has {len(place.taken)} branches, not {beyond[-1] + 1}")
            if branches & explained[key]:
                wrong.append(f"{where}: explained twice")
            taken = sorted(n for n in branches if n < len(place.taken) and place.taken[n])
            if word == "never" and taken:
                wrong.append(f"{where}: taken after all: branch {','.join(map(str, taken))}")
            explained[key] |= branches
    return wrong, explained


def percent(part, whole):
    """Rounded down, so that 100 means all."""
    return "-" if whole == 0 else f"{part * 1000 // whole / 10:.1f}%"


def table(files, explained):
    def row(name, group):
        lines = sum(f.lines for f in group), sum(f.lines_run for f in group)
        branches = sum(f.branches for f in group), sum(f.branches_taken for f in group)
        why = sum(n < len(p.taken) and not p.taken[n] for f in group for k, p in f.places.items()
                  for n in explained.get(k, ()))
        yield (f"{name:<36} {lines[1]:>6} of {lines[0]:<6} {percent(lines[1], lines[0]):>6}"
               f" {branches[1]:>6} of {branches[0]:<6} {percent(branches[1], branches[0]):>6}"
               f" {why:>9} {branches[0] - branches[1] - why:>6}")

    yield f"{'':<36} {'lines run':<23} {'branches taken':<23} {'explained':>9} {'open':>6}"
    for name, proven, _ in sorted(ROOMS, key=lambda room: not room[1]):
        group = [f for f in files if f.room == name]
        for f in group:
            yield from row("  " + f.path, [f])
        yield from row(name + ("" if proven else " (listed only)"), group)
        yield ""
    yield from row("rooms that are proven", [f for f in files if f.proven])
    yield from row("lib/", files)


def untaken(files, reasons, explained):
    """Each branch that no test takes: the explained ones with their reasons, then the open ones."""
    for f in files:
        for key, place in f.places.items():
            for _, branches, reason, _ in reasons.get(key, ()):
                left = sorted(n for n in branches if n < len(place.taken) and not place.taken[n])
                if left:
                    yield (f"explained  {f.path}:{place.line}: {key[1]}: {key[2]}\n"
                           f"           branch {','.join(map(str, left))}: {reason}")
    for f in files:
        for key, place in f.places.items():
            left = [n for n, taken in enumerate(place.taken) if not taken and n not in explained.get(key, ())]
            if left:
                kind = "OPEN" if f.proven else "not taken"
                yield (f"{kind:<10} {f.path}:{place.line}: {key[1]}: {key[2]}\n"
                       f"           branch {','.join(map(str, left))} of {len(place.taken)}")


def main():
    raw, folder, report = sys.argv[1:]
    with open(raw, encoding="utf-8") as f:
        files = sorted((File(entry) for entry in json.load(f)["files"]), key=lambda f: f.path)
    places = {key: place for f in files for key, place in f.places.items()}
    reasons, wrong = read_reasons(folder)
    misused, explained = judge(places, reasons)
    wrong += misused
    opened = sum(not taken and n not in explained.get(key, ()) for f in files if f.proven
                 for key, place in f.places.items() for n, taken in enumerate(place.taken))
    text = "\n".join([*untaken(files, reasons, explained), "", *table(files, explained), *wrong]) + "\n"
    with open(report, "w", encoding="utf-8") as f:
        f.write(text)
    # A terminal gets what has to be acted on; the file has all.
    shown = [entry for entry in untaken(files, reasons, explained) if entry.startswith("OPEN")]
    print("\n".join([*shown, "", *table(files, explained), *wrong]))
    print(f"all of it: {report}")
    if opened or wrong:
        print(f"coverage: {opened} branches of the proven rooms are neither taken nor explained,"
              f" {len(wrong)} explanations do not hold")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
