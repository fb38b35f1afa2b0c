#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges what gcovr gathered.

    coverage.py GCOVR_JSON FLOORS REPORT

Prints a table of the parts of lib/, and writes it to REPORT with every branch that was not taken. FLOORS says how many
percent of a part's branches have to be taken: a line "PART PERCENT" each. A line that begins with # is a comment.
"""
import json
import re
import sys

PARTS = [  # the first that matches
    ("recovery", r"lib/session/(recover|found|scan|revive)\.[ch]"),
    ("gate", r"lib/session/push\.c|lib/media/(gate\.h|buddy\.[ch]|pool\.[ch])"),
    ("session", r"lib/session/.*"),
    ("ledger", r"lib/ledger/.*"),
    ("spool", r"lib/storage/spool.*"),
    ("storage", r"lib/storage/.*"),
    ("media", r"lib/media/.*"),
    ("agent", r"lib/agent/.*"),
    ("control", r"lib/control/.*"),
    ("sip", r"lib/sip/.*"),
    ("conformance", r"lib/conformance/.*"),
    ("base", r"lib/base/.*"),
]


class Count:
    def __init__(self):
        self.lines = self.lines_run = self.branches = self.taken = 0

    def add(self, other):
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def percent(self):
        """Rounded down, so that 100 means all."""
        return self.taken * 1000 // self.branches / 10 if self.branches else 100.0

    def row(self, name, floor=None):
        wanted = "" if floor is None else f"{floor:>8.1f}%"
        return (f"{name:<10} {self.lines_run:>6} of {self.lines:<6} {self.taken:>6} of {self.branches:<6}"
                f" {self.percent:>6.1f}% {wanted}")


def part_of(path):
    for name, pattern in PARTS:
        if re.fullmatch(pattern, path):
            return name
    sys.exit(f"coverage: {path} is in no part; add it to PARTS in {sys.argv[0]}")


def read_floors(path):
    floors = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.strip() and not line.startswith("#"):
                entry = re.fullmatch(r"(\w+) +(\d+(?:\.\d)?)", line.strip())
                if entry is None or entry[1] not in (name for name, _ in PARTS):
                    sys.exit(f"{path}:{number}: not a part of lib/ and a percentage")
                floors[entry[1]] = float(entry[2])
    return floors


def look_at(entry, untaken):
    """What of a file was run; its branches that were not taken go to `untaken`."""
    count = Count()
    with open(entry["file"], encoding="utf-8") as f:
        source = f.read().split("\n")
    for line in entry["lines"]:
        if line["gcovr/noncode"]:
            continue
        number, branches = line["line_number"], line["branches"]
        left = [str(n) for n, branch in enumerate(branches) if branch["count"] == 0]
        count.lines += 1
        count.lines_run += line["count"] > 0
        count.branches += len(branches)
        count.taken += len(branches) - len(left)
        if left:
            untaken.append(f"{entry['file']}:{number}: {source[number - 1].strip()}\n"
                           f"    branch {','.join(left)} of {len(branches)}")
    return count


def main():
    raw, floors_file, report = sys.argv[1:]
    floors, untaken = read_floors(floors_file), []
    counts, whole = {name: Count() for name, _ in PARTS}, Count()
    with open(raw, encoding="utf-8") as f:
        for entry in sorted(json.load(f)["files"], key=lambda entry: entry["file"]):
            count = look_at(entry, untaken)
            counts[part_of(entry["file"])].add(count)
            whole.add(count)
    table = [f"{'':<10} {'lines run':<16} {'branches taken':<16} {'':>7} {'at least':>9}"]
    table += [counts[name].row(name, floors.get(name)) for name in [*floors, *(n for n, _ in PARTS if n not in floors)]]
    table.append(whole.row("lib/"))
    with open(report, "w", encoding="utf-8") as f:
        f.write("\n".join([*table, "", *untaken]) + "\n")
    print("\n".join(table))
    print(f"each branch that is not taken: {report}")
    low = [name for name, floor in floors.items() if counts[name].percent < floor]
    if low:
        print(f"coverage: fewer branches than {floors_file} wants: {', '.join(low)}")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
