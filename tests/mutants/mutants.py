#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Applies mutants to copies of the built tree and shows each to the tests. See run.sh for its options."""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import auto

PARTS = ["lib", "include", "tests", "examples", "docs", "README.md", "Makefile", "CHANGELOG.md"]
LIBRARIES = ["librecoptout.a", "librecoptout-agent.a"]
BUILT = ["obj", ".flags"] + LIBRARIES
LINK_MAX_S = 300
RUN_FIRST_MAX_S = 240  # a test that was never seen to pass here


class TableError(Exception):
    pass


# ---- the table


class Mutant:
    def __init__(self, name):
        self.name = name
        self.file = self.promise = self.equivalent = ""
        self.tests = []
        self.old, self.new = [], []

    def apply(self, text):
        """The mutated text; the old lines have to be there exactly once."""
        old, new = "\n".join(self.old) + "\n", "\n".join(self.new) + "\n" if self.new else ""
        count = ("\n" + text).count("\n" + old)
        if count != 1:
            raise TableError(f"{self.name}: its old lines are {count} times in {self.file}")
        mutated = ("\n" + text).replace("\n" + old, "\n" + new)[1:]
        if mutated == text:
            raise TableError(f"{self.name} changes nothing")
        return mutated


def read_table(path):
    mutants, current = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("# "):
            continue
        if line.startswith("## "):
            current = Mutant(line[3:].strip())
            mutants.append(current)
        elif current is None or not line:
            continue
        elif line[0] in " -+":
            if line[0] != "+":
                current.old.append(line[1:])
            if line[0] != "-":
                current.new.append(line[1:])
        else:
            key, _, value = line.partition(":")
            if key == "tests":
                current.tests = value.split()
            elif key in ("file", "promise", "equivalent"):
                setattr(current, key, value.strip())
            else:
                raise TableError(f"{path.name}:{number}: {line}")
    names = [m.name for m in mutants]
    for m in mutants:
        if not (m.file and m.promise and m.old and (m.tests or m.equivalent)) or names.count(m.name) > 1:
            raise TableError(f"{m.name}: file, promise, lines, and tests or equivalent; each name once")
    return mutants


# ---- a copy of the tree


def make_environment():
    """The make that called us shares its job slots by descriptors, which the makes below do not get."""
    environment = dict(os.environ)
    flags = environment.get("MAKEFLAGS", "").split(" ")
    environment["MAKEFLAGS"] = " ".join(f for f in flags if not re.match(r"-j|--jobserver", f))
    environment.pop("MFLAGS", None)
    return environment


class Tree:
    def __init__(self, root, folder, shm, running):
        self.root, self.folder, self.saved = root, folder, None
        self.shm, self.running = shm, running
        self.tmp = folder / "tmp"
        self.tmp.mkdir(parents=True)
        for part in PARTS:
            copy_any(root / part, folder / part)
        for part in BUILT:
            copy_any(root / "build" / part, folder / "build" / part)
        self.library = self.stripped()
        self.pristine = {p: p.stat().st_mtime_ns for p in self.objects()}

    def objects(self):
        return [p for p in (self.folder / "build").rglob("*") if p.suffix in (".o", ".d", ".a")]

    def stripped(self):
        """The libraries without what names lines, to tell whether the code is another."""
        out = self.tmp / "stripped.a"
        found = []
        for library in LIBRARIES:
            subprocess.run(["strip", "-g", "-o", out, self.folder / "build" / library], check=True)
            found.append(out.read_bytes())
        return found

    def make(self, targets):
        """What it said if it failed, else an empty string."""
        try:
            done = subprocess.run(["make", "-s", "-j1"] + targets, cwd=self.folder, env=make_environment(),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LINK_MAX_S)
        except subprocess.TimeoutExpired:
            return f"not made within {LINK_MAX_S} s"
        said = done.stdout.decode(errors="replace")
        errors = [line for line in said.splitlines() if "error:" in line or "undefined" in line]
        return "" if done.returncode == 0 else (errors or [said])[0]

    def mutate(self, mutant):
        path = self.folder / mutant.file
        text = mutant.apply(path.read_text())
        self.saved = path
        path.write_text(text)
        said = self.make([f"build/{library}" for library in LIBRARIES])
        if said:
            raise TableError(f"{mutant.name} does not compile: {said}")
        if self.stripped() == self.library:
            raise TableError(f"{mutant.name} changes no object code")

    def restore(self):
        """As it was copied, times too, so that nothing more is made again than the next mutant needs."""
        if self.saved:
            shutil.copy2(self.root / self.saved.relative_to(self.folder), self.saved)
        self.saved = None
        for path in self.objects():
            if path not in self.pristine:
                path.unlink()
            elif path.stat().st_mtime_ns != self.pristine[path]:
                shutil.copy2(self.root / path.relative_to(self.folder), path)
        for path in (self.folder / "build/tests").glob("*/*"):
            path.unlink()

    def run(self, test, limit_s):
        """("", seconds) if the test passed, else (what failed, seconds), and its output."""
        begun = time.monotonic()
        shm = tempfile.mkdtemp(dir=self.shm)
        environment = dict(os.environ, TMPDIR=str(self.tmp), T_SHM=shm)
        with open(self.tmp / "log", "w+b") as log:
            process = subprocess.Popen([f"build/tests/{test}"], cwd=self.folder, env=environment, stdout=log,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
            self.running.add(process.pid)
            try:
                code = process.wait(timeout=limit_s)
            except subprocess.TimeoutExpired:
                code = None
            end_group(process.pid)
            process.wait()
            self.running.discard(process.pid)
            log.seek(0)
            output = log.read().decode(errors="replace")
        seconds = time.monotonic() - begun
        shutil.rmtree(shm, ignore_errors=True)
        for left in self.tmp.iterdir():
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
        return verdict(code, output), seconds, output


def end_group(pid):
    """A test with all that it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def copy_any(source, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to, symlinks=True)
    else:
        shutil.copy2(source, to)


def verdict(code, output):
    if code == 0:
        return ""
    failed = re.findall(r"^\[  FAILED  \] (\w+)$", output, re.M)
    begun = re.findall(r"^\[ RUN      \] (\w+)$", output, re.M)
    name = failed[0] if failed else begun[-1] if begun else "?"
    if code is None:
        return f"{name} (time-out)"
    return name if code > 0 else f"{name} (signal {-code})"


# ---- what the tests do without a mutant


class Control:
    """Each test is run once on the code as it is: only one that passes there can notice anything."""

    def __init__(self, tree, seen):
        self.tree, self.seen = tree, seen

    def limit_s(self, test):
        """How long it may take; None if it fails by itself."""
        if test not in self.seen:
            said = self.tree.make([f"build/tests/{test}"])
            if said:
                raise TableError(f"{test} cannot be made: {said}")
            failed, seconds, _ = self.tree.run(test, RUN_FIRST_MAX_S)
            if failed:
                print(f"  {test} fails without any mutant ({failed}) and is not asked", flush=True)
            self.seen[test] = None if failed else 20 + 8 * seconds
        return self.seen[test]


# ---- all of them


class Run:
    def __init__(self, mutants, options, root, work, shm):
        self.todo = list(mutants)
        self.options, self.root, self.work = options, work / "as-it-is", work
        for part in PARTS:
            copy_any(root / part, self.root / part)
        for part in BUILT:
            copy_any(root / "build" / part, self.root / "build" / part)
        self.lock = threading.Lock()
        self.result = {"killed": [], "equivalent": [], "survived": [], "error": []}
        self.seen = {}  # what Control knows
        self.shm, self.running = shm, set()
        self.all_tests = [str(p.relative_to("tests"))[:-2] for p in sorted(pathlib.Path("tests").glob("*/test_*.c"))]

    def tell(self, kind, mutant, text, seconds):
        with self.lock:
            self.result[kind].append(mutant)
            print(f"  {kind:10} {mutant.name:34} {mutant.promise:9} {text}  {seconds:.1f} s", flush=True)

    def keep(self, mutant, output):
        if self.options.keep_logs:
            folder = pathlib.Path(self.options.keep_logs)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{mutant.name}.log").write_text(output)

    def shown_to(self, tree, control, mutant, tests):
        """What noticed it, or an empty string."""
        for test in tests:
            limit = control.limit_s(test)
            if limit is None:
                continue
            said = tree.make([f"build/tests/{test}"])
            if said:
                raise TableError(f"{mutant.name}: {test} cannot be made: {said}")
            failed, _, output = tree.run(test, limit)
            if failed:
                self.keep(mutant, output)
                return f"{test}: {failed}"
        return ""

    def one(self, tree, control, mutant):
        begun = time.monotonic()
        try:
            tree.mutate(mutant)
            if mutant.equivalent:
                self.tell("equivalent", mutant, mutant.equivalent, time.monotonic() - begun)
                return
            noticed = self.shown_to(tree, control, mutant, mutant.tests)
            if not noticed and not self.options.listed:
                noticed = self.shown_to(tree, control, mutant, [t for t in self.all_tests if t not in mutant.tests])
            self.tell("killed" if noticed else "survived", mutant, noticed or mutant.file, time.monotonic() - begun)
        except TableError as error:
            self.tell("error", mutant, str(error), time.monotonic() - begun)
        finally:
            tree.restore()

    def worker(self, number):
        tree, other = (Tree(self.root, self.work / name, self.shm, self.running)
                       for name in (str(number), f"{number}-control"))
        control = Control(other, self.seen)
        while True:
            with self.lock:
                if not self.todo:
                    return
                mutant = self.todo.pop(0)
            self.one(tree, control, mutant)

    def go(self):
        begun, total = time.monotonic(), len(self.todo)
        threads = [threading.Thread(target=self.worker, args=(i,), daemon=True) for i in range(self.options.jobs)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:  # also if the run is ended from outside
            self.todo = []
            for pid in list(self.running):
                end_group(pid)
        counts = ", ".join(f"{len(self.result[k])} {k}" for k in self.result)
        missing = total - sum(map(len, self.result.values()))  # whatever ended a worker is told above
        print(f"{total} mutants: {counts}, {missing} not tried; {time.monotonic() - begun:.0f} s")
        for mutant in self.result["survived"]:
            print(f"\nsurvived: {mutant.name} ({mutant.file}, {mutant.promise})")
            print("\n".join(["-" + line for line in mutant.old] + ["+" + line for line in mutant.new]))
        return 1 if self.result["error"] or self.result["survived"] or missing else 0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--listed", action="store_true")
    parser.add_argument("--keep-logs")
    parser.add_argument("--auto", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    root = pathlib.Path.cwd()
    try:
        if options.auto:
            mutants = auto.choose(Mutant, root, options.auto, options.seed)
        else:
            mutants = read_table(root / "tests/mutants/table")
        unknown = set(options.only) - {m.name for m in mutants}
        if unknown:
            raise TableError(f"no mutant is called {', '.join(sorted(unknown))}")
        mutants = [m for m in mutants if not options.only or m.name in options.only]
        for mutant in mutants:
            mutant.apply((root / mutant.file).read_text())
    except TableError as error:
        print(error, file=sys.stderr)
        return 1
    if options.list or options.show:
        for m in mutants:
            print(f"{m.name:36} {m.promise:9} {m.file:32} {'equivalent' if m.equivalent else ' '.join(m.tests)}")
            if options.show:
                print("\n".join(["    -" + line for line in m.old] + ["    +" + line for line in m.new]))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="rco-mutants-", ignore_cleanup_errors=True) as work, \
            tempfile.TemporaryDirectory(prefix="rco-mutants-", dir="/dev/shm") as shm:
        return Run(mutants, options, root, pathlib.Path(work), shm).go()


if __name__ == "__main__":
    sys.exit(main())
