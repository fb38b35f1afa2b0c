#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Saves the binary interface as it is now: make abi-dump. docs/abi.md says when.

    librecoptout.abi, librecoptout-agent.abi    for abidiff, written by dump.sh
    layout.inc                                  places, sizes and numbers, for test_layout.c
    client-VERSION/headers.inc                  the headers without comments, for the client of this version, if there is one
"""

import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEADERS = ["recoptout.h", *sorted(f"recoptout/{p.name}" for p in (ROOT / "include/recoptout").glob("*.h")
                                     if p.name != "conformance.h")]  # see dump.sh
INCLUDES = "".join(f"#include <{h}>\n" for h in HEADERS)

# Places on processors with 64-bit pointers; with 32-bit pointers where a 64-bit number begins at a multiple of four (i386);
# with 32-bit pointers where it begins at a multiple of eight (arm, mips, powerpc).
TARGETS = [["-m64"], ["-m32"], ["-m32", "-malign-double"]]


def gcc(flags, text):
    command = ["gcc", "-std=c11", "-ffreestanding", f"-I{ROOT}/include", *flags, "-x", "c", "-", "-o", "-"]
    return subprocess.run(command, input=INCLUDES + text, capture_output=True, check=True, text=True).stdout


def values(flags, expressions, size=4):
    """What these constant expressions are for the processor that `flags` choose; `size` is the bytes of each."""
    kind, directive, above = {4: ("unsigned", "long", 1), 8: ("long long", "quad", 1 << 40)}[size]  # zeros are written otherwise
    text = f"const {kind} table[] = {{%s}};\n" % ",".join(f"({kind})({e}) + {above}" for e in expressions)
    found = [int(n) - above for n in re.findall(rf"\.{directive}\s+(-?\d+)", gcc(["-S", *flags], text))]
    assert len(found) == len(expressions), "the assembler text was not understood"
    return found


def structs():
    """{name: [member, ...]} of all public structs that have members."""
    found = {}
    for dump in ("librecoptout.abi", "librecoptout-agent.abi"):
        for one in xml.etree.ElementTree.parse(HERE / dump).iter("class-decl"):
            members = [m.find("var-decl").get("name") for m in one.findall("data-member")]
            if one.get("name").startswith("rco_") and members:
                found[one.get("name")] = members
    return found


def numbers():
    """Names of all enumerators and of all macros that are numbers, in the order of the headers."""
    enumerators = re.findall(r"\b(RCO_[A-Z0-9_]*[A-Z0-9]) = ", gcc(["-E", "-P"], ""))
    macros = re.findall(r"#define (RCO_[A-Z0-9_]+) [(\d]", gcc(["-E", "-dD"], ""))
    return [n for n in enumerators + macros if not n.startswith("RCO_VERSION_")]


def layout():
    found = structs()
    ids = {name: f"RCO_STRUCT_{name[4:].upper()}" for name in found}
    order = dict(zip(found, values([], ids.values())))
    lines = ["/* SPDX-License-Identifier: MIT */",
             "/* Written by make abi-dump; see docs/abi.md. */",
             "",
             "/* X(struct, member, its place with 64-bit pointers, on i386, with 32-bit pointers elsewhere, its size with 64-bit, with",
             " * 32-bit pointers) */"]
    entries = {True: [], False: []}
    for name in sorted(found, key=order.get):
        members = found[name]
        questions = [f"offsetof({name}, {m})" for m in members] + [f"sizeof((({name} *)0)->{m})" for m in members]
        answers = [values(flags, [*questions, f"sizeof({name})"]) for flags in TARGETS]
        lines.append(f"#define SAVED_{name}(X)" + "".join(
            f" \\\n\tX({name}, {m}, " + ", ".join(str(a[i]) for a in answers)
            + f", {answers[0][len(members) + i]}, {answers[1][len(members) + i]})" for i, m in enumerate(members)))
        entries[members[0] == "struct_size"].append(
            f" \\\n\tX({ids[name]}, {name}, " + ", ".join(str(a[-1]) for a in answers) + f", SAVED_{name})")
    lines += ["", "/* X(id, struct, its size with 64-bit pointers, on i386, with 32-bit pointers elsewhere, members) */",
              "#define SAVED_STRUCTS(X)" + "".join(entries[True]),
              "", "/* Those without struct_size and flags: they are passed in arrays, and never grow. */",
              "#define SAVED_ELEMENTS(X)" + "".join(entries[False])]
    names = numbers()
    lines += ["", "/* X(name, number) */", "#define SAVED_NUMBERS(X)" + "".join(
        f" \\\n\tX({n}, {v})" for n, v in zip(names, values([], names, size=8)))]
    return "\n".join(lines) + "\n"


def headers():
    text = "/* SPDX-License-Identifier: MIT */\n/* Written by make abi-dump; see docs/abi.md. */\n"
    for name in HEADERS:
        code = (ROOT / "include" / name).read_text()
        code = re.sub(r'("(?:\\.|[^"\\\n])*")|/\*.*?\*/|//[^\n]*', lambda m: m.group(1) or "", code, flags=re.S)
        code = re.sub(r"#include <recoptout.*\n", "", code)
        text += re.sub(r"[ \t]*\n\s*\n", "\n", re.sub(r"[ \t]+\n", "\n", code)).lstrip("\n")
    return text


def main():
    subprocess.run([HERE / "dump.sh", "include", "lib", HERE], check=True)
    text, path = layout(), HERE / "layout.inc"
    version = re.search(r'RCO_VERSION_STRING "(.*)"', (ROOT / "include/recoptout.h").read_text()).group(1)
    places = re.compile(r"X\((?!.*SAVED_).*\)")  # not the sizes of structs, which grow
    lost = set(places.findall(path.read_text())) - set(places.findall(text)) if path.exists() else set()
    lost = {line for line in lost if ", reserved" not in line}  # may get a name
    path.write_text(text)
    client = HERE / f"client-{version}"
    if client.exists():
        (client / "headers.inc").write_text(headers())
    if lost:
        print(f"{len(lost)} places or numbers are not as they were: see git diff {os.path.relpath(path)}")
        if not version.startswith("0."):
            sys.exit("From 1.0.0 on they stay.")


main()
