# SPDX-License-Identifier: MIT
"""Mutants by chance: conditions turned round, calls and assignments left out, bounds and flags changed."""
import random
import re

SESSION = ["unit/test_permission", "unit/test_store_answers", "unit/test_upload_order", "unit/test_recovery_order",
           "unit/test_ring_memory", "unit/test_session", "unit/test_legal_hold", "unit/test_recorder",
           "unit/test_host_driven", "promises/test_p12_early", "promises/test_p06_once",
           "promises/test_p02_no_commit", "promises/test_p14_late_words", "promises/test_p07_truth",
           "promises/test_p13_toward_privacy", "promises/test_p03_durable", "promises/test_p04_nothing_stays"]
LEDGER = ["unit/test_ledger_order", "unit/test_ledger", "unit/test_ledger_rotation", "unit/test_ledger_damage",
          "unit/test_ledger_nth"]
SPOOL = ["unit/test_spool_order", "unit/test_spool", "unit/test_spool_damage", "unit/test_spool_damage_slots",
         "unit/test_spool_faults", "unit/test_spool_epochs", "unit/test_key_provider",
         "unit/test_spool_index", "unit/test_spool_compact"]

# Where to look, and which tests are likely to notice first.
FILES = {
    "lib/media/gate.h": ["unit/test_gate", "promises/test_p02_no_commit", "promises/test_p01_stop"],
    "lib/media/gaps.c": ["unit/test_gaps", "promises/test_media_time"],
    "lib/session/push.c": ["unit/test_push_frames", "promises/test_p02_no_commit", "unit/test_bad_input",
                           "unit/test_frames", "promises/test_p01_stop"],
    "lib/session/opt_out.c": SESSION,
    "lib/session/latch.c": SESSION,
    "lib/session/facts.c": SESSION,
    "lib/session/upload.c": SESSION + ["promises/test_p05_kept"],
    "lib/session/erase.c": SESSION,
    "lib/session/drain.c": SESSION + ["promises/test_p05_kept", "unit/test_stalls"],
    "lib/session/journal.c": SESSION + ["promises/test_p05_kept", "unit/test_bad_files"],
    "lib/session/replay.c": SESSION + ["promises/test_p05_kept", "unit/test_bad_files"],
    "lib/session/recover.c": SESSION + ["promises/test_p05_kept", "unit/test_bad_files", "crash/test_images"],
    "lib/session/revive.c": SESSION + ["promises/test_p05_kept", "unit/test_bad_files", "crash/test_images"],
    "lib/session/scan.c": SESSION + ["promises/test_p05_kept", "unit/test_bad_files", "crash/test_images"],
    "lib/ledger/ledger.c": LEDGER,
    "lib/ledger/ledger_replay.c": LEDGER,
    "lib/storage/spool_slots.c": SPOOL,
    "lib/storage/spool_open.c": SPOOL,
    "lib/storage/spool_epochs.c": SPOOL,
    "lib/storage/spool_epoch_files.c": SPOOL,
    "lib/storage/spool_rotate.c": SPOOL + ["unit/test_slow_keys"],
}

CALL = re.compile(r"^\t+(\(void\))?[a-z_]\w*(->\w+)*\(.*\);$")
ASSIGN = re.compile(r"^\t+(\*?\w+(->|\.))[^=(]*\s[|&+-]?=\s.*;$")


def negated(line):
    """if (a) becomes if (!(a)), where the condition ends on the same line."""
    m = re.match(r"^(\t+(?:\} else )?(?:if|while) \()(.*)(\)(?: \{)?)$", line)
    if m and m[2].count("(") == m[2].count(")"):
        yield f"{m[1]}!({m[2]}){m[3]}"


def replaced(line):
    for pattern, new in ((r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "), (r" == ", " != "),
                         (r" != ", " == "), (r" && ", " || "), (r" \|\| ", " && "), (r" \| \w+", ""), (r" \+ 1\b", ""),
                         (r" - 1\b", ""), (r"\breturn rc;", "return RCO_OK;")):
        for m in re.finditer(pattern, line):
            yield line[:m.start()] + new + line[m.end():]


def left_out(line, previous):
    """A statement of a block by itself is None; one that is all an if has becomes an empty one."""
    if CALL.match(line) or ASSIGN.match(line):
        alone = re.match(r"^\t+(\} )?(if|else|while|for)\b", previous) and not previous.endswith(("{", ";"))
        yield re.match(r"^\t+", line)[0] + ";" if alone else None


def candidates(lines):
    """(first line, how many lines, new lines) of each change there is."""
    for i, line in enumerate(lines[:-1]):
        code = line.split("/*")[0].rstrip()
        if code != line.rstrip() or "__builtin_prefetch" in line or not line.startswith("\t") or line.lstrip().startswith(("*", "case ", "const ")):
            continue
        for new in list(negated(line)) + list(replaced(line)):
            yield i, 1, [new]
        for new in left_out(line, lines[i - 1]):
            yield i, 1, [] if new is None else [new]
        following = lines[i + 1]
        if all(CALL.match(x) or ASSIGN.match(x) for x in (line, following)) and \
                any(CALL.match(x) for x in (line, following)) and \
                re.match(r"^\t+", line)[0] == re.match(r"^\t+", following)[0]:
            yield i, 2, [following, line]


def unique(lines, at, count):
    """Lines before `at` that have to be named so that the place is the only one of its kind."""
    text = "\n" + "\n".join(lines) + "\n"
    for before in range(at + 1):
        if text.count("\n" + "\n".join(lines[at - before:at + count]) + "\n") == 1:
            return before
    return at


def choose(mutant_class, root, count, seed):
    """The same for the same seed and code; as many of each file."""
    chance = random.Random(seed)
    per_file = {}
    for file in FILES:
        lines = (root / file).read_text().split("\n")
        found = list(candidates(lines))
        chance.shuffle(found)
        per_file[file] = (lines, found)
    chosen = []
    while len(chosen) < count and any(found for _, found in per_file.values()):
        for file, (lines, found) in per_file.items():
            if not found or len(chosen) == count:
                continue
            at, size, new = found.pop()
            before = unique(lines, at, size)
            m = mutant_class(f"{file.rsplit('/', 1)[1]}:{at + 1}-{len(found)}")
            m.file, m.promise, m.tests = file, "-", FILES[file]
            m.old = lines[at - before:at + size]
            m.new = lines[at - before:at] + new
            chosen.append(m)
    return chosen
