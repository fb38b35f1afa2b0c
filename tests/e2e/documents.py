#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the documents print is run as it is printed, in a clean clone, by a user who has nothing but it.

    documents.py [--quick] [FILE.md...]

Of README.md, docs/*.md and the README.md of each example, from top to bottom, as somebody reads who follows it: README.md first, whose
Install and virtual environment the others go on with. HOME is a new folder.

- ```sh: the whole block by bash, which ends at the first command that fails. A command with the comment "until Ctrl-C" runs beside what
  follows, and is ended so, and then has to end well.
- ```c, ```python: if its first line is a comment with a file's name (/* tiny.c */, # hello.py) it is saved under that name, for the
  commands to use. Any other Python of a document is one program, run at the end of it; names that are the reader's are in YOURS.
- ```json: configuration of an MCP client: the server is started as it says, and asked for its tools.
- No word after ``` is a picture, a format or an output, and is not run.

A word after the language says what else it takes, and must be one of these:

- slow: left out with --quick, for it takes long or starts servers.
- server: is for a telephony server that the reader has (rtpengine, Janus, Asterisk, FreeSWITCH): not run here; the adapters meet servers in
  make check-telephony. There may be a few of these.
- target: targets of the Makefile or scripts, which make check, make check-all or CI run as steps of their own: only that there are such.

Folders of a server that is installed (/run/pbx and its likes, see PLACES) are replaced by folders below HOME, where an engine listens. pip
reaches no registry: what builds the package is Debian's.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACES = ("/run/pbx", "/var/lib/pbx", "/run/recoptout", "/var/lib/recoptout-records", "/var/lib/recoptout", "/var/spool/rtpengine")
CALL_ID = "a84b4c76e66710"  # of the call in all documents
CALL_STORED = "f81d4fae7dec11"  # of one that has ended, and is stored
LANGUAGES = {"sh", "c", "python", "json", "xml"}
TAKES = {"slow", "target", "server"}
SERVERS_MOST = 8  # blocks that nobody runs

#: what a reader has, and a document does not print
YOURS = '''
frame = b"\\xff" * 160
message = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "call_1", "type": "function", "function": {"name": "recording_opt_out", "arguments": "{}"}}]}
send = print
'''

ENGINE = f'''
import sys
from recoptout import Engine
engine = Engine(sys.argv[1] + "/state", sys.argv[2], opt_out_enabled=True, private_rings=True, late_opt_out=0)
with engine.session("{CALL_STORED}") as call:
    leg = call.add_leg("caller")
    call.start()
    call.push(leg, bytes(160))
engine.wait_idle(60)
call = engine.session("{CALL_ID}")
leg = call.add_leg("caller")
call.start()
call.push(leg, bytes(160))
call.opt_out()
engine.serve(sys.argv[1] + "/recoptout.sock")
print("ready", flush=True)
sys.stdin.read()
engine.close()
'''


class Wrong(Exception):
    """A document does not hold what it says."""


class Block:
    def __init__(self, name, line, info):
        self.where, self.text = f"{name}:{line}", ""
        self.language, _, self.takes = info.partition(" ")
        if self.language and self.language not in LANGUAGES:
            raise Wrong(f"{self.where}: ```{info}: the language is one of {', '.join(sorted(LANGUAGES))}")
        if self.takes and self.takes not in TAKES:
            raise Wrong(f"{self.where}: ```{info}: the second word is one of {', '.join(sorted(TAKES))}")

    @property
    def file_name(self):
        found = re.match(r"(?:/\* (\S+\.[ch]) \*/|# (\S+\.py))\n", self.text)
        return found and (found[1] or found[2])


def blocks_of(name, text):
    """The fenced blocks of a document."""
    found, block, indent = [], None, 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"( *)```(.*)$", line)
        if fence and block is None:
            block, indent = Block(name, number, fence[2].strip()), len(fence[1])
        elif fence:
            found.append(block)
            block = None
        elif block is not None:
            block.text += line[indent:] + "\n"
    if block is not None:
        raise Wrong(f"{block.where}: a block without an end")
    return found


def commands_of(text):
    """Lines, those that end in a backslash joined with the next."""
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.lstrip().startswith("#")]


class Reader:
    """Somebody who follows the documents, in a clone of his own."""

    def __init__(self, folder, quick):
        self.folder, self.quick = pathlib.Path(folder), quick
        self.home, self.tree = self.folder / "home", self.folder / "librecoptout"
        self.home.mkdir()
        self.ran = self.servers = 0
        self.environment = {
            "HOME": str(self.home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "EDITOR": "true", "CC": os.environ.get("CC", "cc"),
            "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "no", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONPATH": str(self.folder / "wheel"), "CCACHE_DIR": os.path.expanduser("~/.cache/ccache"),
        }  # fmt: skip
        # What pip fetches to build with: the environment brings setuptools, but no wheel.
        (self.folder / "wheel").mkdir()
        for found in pathlib.Path("/usr/lib/python3/dist-packages").glob("wheel*"):
            (self.folder / "wheel" / found.name).symlink_to(found)
        self.clone()

    def clone(self):
        """What is committed, and over it what is not yet."""
        if not (ROOT / ".git").exists():  # unpacked from an archive
            shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns("build"))
            return
        git = ["git", "-C", str(ROOT)]
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(self.tree)], check=True)
        listed = subprocess.run([*git, "ls-files", "-z", "-m", "-o", "-d", "--exclude-standard"], check=True, capture_output=True)
        for name in filter(None, listed.stdout.decode().split("\0")):
            target = self.tree / name
            if (ROOT / name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
            else:
                target.unlink(missing_ok=True)

    def documents(self):
        """README.md first: it installs."""
        found = sorted([*self.tree.glob("docs/*.md"), *self.tree.glob("examples/**/README.md")])
        return ["README.md", *(str(path.relative_to(self.tree)) for path in found)]

    def place(self, text):
        """The reader's folders for those of a server that is installed."""
        for place in sorted(PLACES, key=len, reverse=True):
            text = re.sub(re.escape(place) + r"(?![\w-])", str(self.home / place.strip("/").replace("/", "-")), text)
        return text

    def make_places(self):
        for place in PLACES:
            folder = pathlib.Path(self.place(place))
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)

    # ---- a document ----

    def follow(self, name):
        blocks = blocks_of(name, (self.tree / name).read_text(encoding="utf-8"))
        self.make_places()
        script, python, at = [], [], {}
        for block in blocks:
            if not block.language or (block.takes == "slow" and self.quick):
                continue
            if block.takes == "server":
                self.servers += 1
                if self.servers > SERVERS_MOST:
                    raise Wrong(f"{block.where}: the {self.servers}th block that is not run; {SERVERS_MOST} may be")
                continue
            self.ran += 1
            if block.takes == "target":
                self.look_for_targets(block)
            elif block.language == "sh":
                script.append(self.shell(block))
            elif block.file_name:
                script.append(f"cat >{block.file_name} <<'END OF THE BLOCK'\n{self.place(block.text)}END OF THE BLOCK\n")
            elif block.language == "python":
                python.append(self.place(block.text))
                at = block.where
            elif block.language == "json":
                self.mcp_client(block)
            else:
                raise Wrong(f"{block.where}: no first line names the file of this program")
        if python:
            (self.folder / "yours.py").write_text(YOURS + "\n".join(python), encoding="utf-8")
            script.append(f"echo '== the Python of {at}' >&2\n(cd {self.home} && timeout 60 python3 {self.folder}/yours.py)\n")
        if script:
            self.bash(name, script)

    def shell(self, block):
        lines = [f"echo '== {block.where}' >&2"]
        for line in commands_of(self.place(block.text)):
            if "until Ctrl-C" in line:
                lines.append(f"beside {line.partition('#')[0]}")
            else:
                lines.append(line)
        return "\n".join(lines) + "\n"

    def bash(self, name, script):
        """One shell for a document, as one terminal is; what it exports README.md's successors have too."""
        text = f"""set -e
cd {self.tree}
started=()
beside() {{ # runs beside what follows: waits until it has said something, or for two seconds
    mkfifo {self.folder}/said.$BASHPID.${{#started[@]}} && local said=$_
    env --default-signal=INT "$@" > >(tee $said) & started+=($!)
    read -r -t 2 <$said || true
}}
{"".join(script)}
for process in "${{started[@]}}"; do kill -INT $process; done
for process in "${{started[@]}}"; do status=0; wait $process || status=$?; [ $status = 0 ] || [ $status = 130 ]; done
set +e
env -0 >{self.folder}/environment
"""
        needs_engine = name == "docs/operations.md"
        with self.engine() if needs_engine else nothing():
            done = subprocess.run(["bash", "-c", text], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=1500)  # fmt: skip
        if done.returncode != 0:
            raise Wrong(f"{name}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        exported = dict(one.split("=", 1) for one in (self.folder / "environment").read_text().split("\0") if "=" in one)
        if name == "README.md":
            self.environment.update({key: value for key, value in exported.items() if key not in ("_", "PWD", "OLDPWD", "SHLVL")})

    def look_for_targets(self, block):
        makefile = (self.tree / "Makefile").read_text(encoding="utf-8")
        for line in commands_of(block.text):
            words = line.partition("#")[0].split()
            targets = [word for word in words[1:] if "=" not in word and not word.startswith('"') and re.fullmatch(r"[a-z-]+", word)]
            if words[0] == "make":
                for target in targets:
                    if not re.search(rf"^{target}:|^[^\t\n]*\b{target}:", makefile, re.M):
                        raise Wrong(f"{block.where}: there is no target {target}")
            elif not os.access(self.tree / words[0], os.X_OK):
                raise Wrong(f"{block.where}: {words[0]} cannot be run")

    # ---- what is asked ----

    def engine(self):
        python = self.environment.get("VIRTUAL_ENV", "/usr") + "/bin/python3"
        folders = [self.place("/run/pbx"), self.place("/var/lib/pbx/recordings")]
        return Engine([python, "-c", ENGINE, *folders], self.environment)

    def mcp_client(self, block):
        with self.engine():
            for server in json.loads(self.place(block.text))["mcpServers"].values():
                asked = [{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                    "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "reader", "version": "1"}}},
                    {"jsonrpc": "2.0", "method": "notifications/initialized"},
                    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}]  # fmt: skip
                done = subprocess.run([shutil.which(server["command"], path=self.environment["PATH"]) or server["command"], *server["args"]],
                                      input="".join(json.dumps(one) + "\n" for one in asked), capture_output=True, text=True, timeout=60,
                                      env={"HOME": str(self.home), "PATH": self.environment["PATH"]}, cwd="/")  # fmt: skip
                if '"recording_opt_out"' not in done.stdout:
                    raise Wrong(f"{block.where}: {server['command']} names no tool: {done.stdout}{done.stderr}")


class Engine:
    """The host's, as the documents assume it."""

    def __init__(self, command, environment):
        self.command, self.environment = command, environment

    def __enter__(self):
        self.process = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Wrong("the engine of the documents did not start")

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)


class nothing:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


def main(arguments):
    quick = "--quick" in arguments
    wanted = [one for one in arguments if one != "--quick"]
    with tempfile.TemporaryDirectory(prefix="rco-documents-") as folder:
        reader = Reader(folder, quick)
        names = reader.documents()
        unknown = set(wanted) - set(names)
        if unknown:
            raise Wrong(f"{', '.join(unknown)}: not among {', '.join(names)}")
        for name in names:
            if not wanted or name in wanted or name == "README.md":
                print(f"   {name}", flush=True)
                reader.follow(name)
    print(f"documents: {reader.ran} blocks of {len(names)} documents run as printed" + (", without the slow ones" if quick else ""))
    if "TALLY" in os.environ:
        with open(os.environ["TALLY"], "a", encoding="utf-8") as tally:
            tally.write(f"{reader.ran} passed, 0 failed\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Wrong as why:
        sys.exit(f"documents: {why}")
