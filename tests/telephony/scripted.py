# SPDX-License-Identifier: MIT
"""Asterisk 22.10 and FreeSWITCH 1.11, as they answered when they were asked: tables of exchanges.

A table has, for a request and the state of what it is about, what is answered and what then happens. To have a server
answer otherwise, put a line before the others: server.first.append((request, state, answer, what happens)); a state of
ANY fits all.
"""

import base64
import contextlib
import http.server
import json
import os
import pathlib
import socketserver
import threading
import urllib.parse

ANY = object()


class Scripted:
    def __init__(self, table):
        self.table, self.first, self.asked, self.lock = table, [], [], threading.RLock()

    def exchange(self, request, state):
        with self.lock:
            self.asked.append((request, state))
            for row in [*self.first, *self.table]:
                if row[0] == request and (row[1] is ANY or row[1] == state):
                    return row[2:]
        raise AssertionError(f"nothing is known of {request} of what is {state}")

    @contextlib.contextmanager
    def listening(self, kind, handler):
        kind.allow_reuse_address = True
        kind.request_queue_size = 128
        with kind(("127.0.0.1", 0), handler) as server:
            server.daemon_threads, server.scripted = True, self
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            self.at = f"127.0.0.1:{server.server_address[1]}"
            yield self
            server.shutdown()
            thread.join()


class Recording:
    """A file that a recorder writes: open until close()."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "ab", buffering=0)
        self.write()

    def write(self):
        self.file.write(b"audio" * 100)

    def close(self):
        self.file.close()


# ---- ARI

NOT_FOUND = '{"message":"Recording not found"}'

ARI = [
    # request        state         status body                  then
    ("GET live", None, 404, NOT_FOUND, None),
    ("DELETE live", None, 404, NOT_FOUND, None),
    ("POST live", None, 404, NOT_FOUND, None),
    ("GET live", ANY, 200, "live", None),
    ("DELETE live", "recording", 204, "", "discard"),
    ("DELETE live", "paused", 204, "", "discard"),
    ("DELETE live", "queued", 204, "", "canceled"),  # and when the playback ends it records all the same
    ("DELETE live", "canceled", 409, "", None),
    ("DELETE live", "beep", 500, '{"message":"Unable to cancel recording"}', "spoilt"),
    ("DELETE live", "spoilt", 409, "", None),  # for ever, and it records until the channel hangs up
    ("DELETE live", "beep over a stored one", 204, "", "spoilt"),
    ("POST live", "recording", 204, "", "store"),
    ("POST live", "paused", 204, "", "store"),
    ("GET stored", None, 404, NOT_FOUND, None),
    ("GET stored", "there", 200, "stored", None),
    ("DELETE stored", None, 404, NOT_FOUND, None),
    ("DELETE stored", "there", 204, "", "erase"),
]

# What GET says of a state that the table tells apart.
ARI_SAYS = {"beep": "recording", "beep over a stored one": "recording", "spoilt": "recording"}


class Ari(Scripted):
    def __init__(self):
        super().__init__(ARI)
        self.live, self.stored = {}, set()

    def record(self, name):
        """It records into a file, which GET stored sees at once."""
        self.live[name] = "recording"
        self.stored.add(name)

    def happens(self, name, what):
        if what == "discard":
            del self.live[name]
            self.stored.discard(name)
        elif what == "store":
            del self.live[name]
        elif what == "erase":
            self.stored.discard(name)
        elif what is not None:
            self.live[name] = what

    def answer(self, method, path, authorization):
        if authorization != "Basic " + base64.b64encode(b"agent:word").decode():
            return 401, '{"message":"Authentication required"}'
        parts = path.split("/")
        if path.endswith("/stop"):
            parts = parts[:-1]
        if parts[:3] != ["", "ari", "recordings"] or len(parts) != 5:
            return 404, '{"message":"Resource not found"}'
        kind, name = parts[3], urllib.parse.unquote(parts[4])
        with self.lock:
            state = self.live.get(name) if kind == "live" else "there" if name in self.stored else None
            status, body, then = self.exchange(f"{method} {kind}", state)
            self.happens(name, then)
        if body == "live":
            body = json.dumps({"name": name, "format": "wav", "state": ARI_SAYS.get(state, state), "target_uri": "channel:1"})
        return status, json.dumps({"name": name, "format": "wav"}) if body == "stored" else body

    def serve(self):
        return self.listening(http.server.ThreadingHTTPServer, _AriHandler)


class _AriHandler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        status, body = self.server.scripted.answer(self.command, self.path, self.headers.get("Authorization"))
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_DELETE = do_POST = answer

    def log_message(self, *_):
        pass


# ---- AMI

EVENT = "Event: VarSet\r\nPrivilege: dialplan,all\r\nChannel: PJSIP/9-00000009\r\nVariable: X\r\nMessage: No such channel\r\n\r\n"

AMI = [
    # action          state     response  message                                  then
    ("StopMixMonitor", "records", "Success", "", "stop"),
    ("StopMixMonitor", "idle", "Error", "Could not stop monitoring channel", None),
    ("StopMixMonitor", None, "Error", "No such channel", None),
    ("GetVar", "records", "Success", "", "variable"),
    ("GetVar", "idle", "Success", "", "variable"),
    ("GetVar", None, "Error", "No such channel", None),
    ("Command", ANY, "Success", "Command output follows", "list"),
    ("CoreShowChannels", None, "Success", "Channels will follow", "channels"),
]


class MixMonitor:
    """One of a channel's, with its files as Asterisk writes them: open until it is stopped."""

    def __init__(self, folder, name, receive="", transmit="", command=None):
        self.names = [self.written(folder, n) if n else None for n in (name, receive, transmit)]
        self.files = [Recording(n) for n in self.names if n]
        self.id, self.command = f"0x{id(self):x}", command

    @staticmethod
    def written(folder, name):
        if name.endswith(".wav49"):
            name = name[: -len("wav49")] + "WAV"
        elif "." not in name.rsplit("/", 1)[-1]:
            name += ".raw"
        return f"{folder}/{name}"

    def row(self):
        return "\t".join([self.id, *(n.rsplit(".", 1)[0] if n else "" for n in self.names)])

    def stop(self):
        for file in self.files:
            file.close()
        if self.command:
            self.command(self.files[0].path)


class Ami(Scripted):
    def __init__(self):
        super().__init__(AMI)
        self.channels, self.variables = {}, {}
        self.delay = threading.Event()  # set by those who want nobody to be answered

    def record(self, channel, *args, **more):
        monitor = MixMonitor(*args, **more)
        self.channels.setdefault(channel, []).append(monitor)
        self.variables[channel] = monitor.names[0]
        return monitor

    def lines(self, action):
        """The answer's lines, and its events."""
        name, channel = action["Action"], action.get("Channel")
        with self.lock:
            state = None if channel not in self.channels else "records" if self.channels[channel] else "idle"
            response, message, then = self.exchange(name, state)
            out = [f"Response: {response}", f"ActionID: {action['ActionID']}"] + ([f"Message: {message}"] if message else [])
            events = []
            if then == "stop":
                monitors = self.channels[channel]
                wanted = [m for m in monitors if m.id == action.get("MixMonitorID")] or monitors[-1:]
                monitors.remove(wanted[0])
                wanted[0].stop()
            elif then == "variable":
                out += [f"Variable: {action['Variable']}", f"Value: {self.variables.get(channel, '')}"]
            elif then == "list":
                out += self.listed(action["Command"].removeprefix("mixmonitor list "))
            elif then == "channels":
                out.append("EventList: start")
                events = [f"Event: CoreShowChannel\r\nActionID: {action['ActionID']}\r\nChannel: {c}\r\nUniqueid: 1.{i}\r\n\r\n"
                          for i, c in enumerate(self.channels)]
                events.append(f"Event: CoreShowChannelsComplete\r\nActionID: {action['ActionID']}\r\nEventList: Complete\r\n\r\n")
        return "\r\n".join(out) + "\r\n\r\n", events

    def listed(self, prefix):
        """By the beginning of the channel's name, as the CLI takes it."""
        found = [c for c in self.channels if c.startswith(prefix)]
        if not found:
            return [f"Output: No channel matching '{prefix}' found."]
        rows = ["MixMonitor ID\tFile\tReceive File\tTransmit File", "=" * 73] + [m.row() for m in self.channels[found[0]]]
        return [f"Output: {row}" for row in rows]

    def serve(self):
        return self.listening(socketserver.ThreadingTCPServer, _AmiHandler)


class _AmiHandler(socketserver.StreamRequestHandler):
    def action(self):
        lines = {}
        for raw in iter(self.rfile.readline, b"\r\n"):
            if not raw:
                return None
            key, _, value = raw.decode().strip().partition(": ")
            lines[key] = value
        return lines

    def handle(self):
        with contextlib.suppress(ConnectionError):
            self.wfile.write(b"Asterisk Call Manager/11.0.0\r\n")
            while (action := self.action()) is not None:
                if action["Action"] == "Login":
                    good = (action["Username"], action["Secret"]) == ("agent", "word")
                    answer, events = "Response: {}\r\nActionID: {}\r\nMessage: Authentication {}\r\n\r\n".format(
                        *(("Success", action["ActionID"], "accepted") if good else ("Error", action["ActionID"], "failed"))), []
                else:
                    answer, events = self.server.scripted.lines(action)
                # events come between, some with the id of the action that brought them about
                echo = f"Event: Newexten\r\nActionID: {action['ActionID']}\r\nMessage: Could not stop monitoring channel\r\n\r\n"
                self.wfile.write((EVENT + echo + answer + "".join(events) + EVENT).encode())


# ---- FreeSWITCH

BUG = " <media-bug>\n  <function>{}</function>\n  <target>{}</target>\n  <thread-locked>0</thread-locked>\n </media-bug>\n"

ESL = [
    # command          state     answer                                  then
    ("uuid_record all", "records", "+OK Success\n", "stop all"),
    ("uuid_record all", "idle", "-ERR Cannot stop record session!\n", None),
    ("uuid_record all", None, "-ERR Cannot locate session!\n", None),
    ("uuid_record one", "records", "+OK Success\n", "stop one"),
    ("uuid_record one", "idle", "-ERR Cannot stop record session!\n", None),
    ("uuid_record one", None, "-ERR Cannot locate session!\n", None),
    ("uuid_buglist", None, "-ERR no reply\n", None),
    ("uuid_buglist", ANY, "bugs", None),
    ("show", None, "channels", None),
]


class Esl(Scripted):
    def __init__(self):
        super().__init__(ESL)
        self.channels = {}  # uuid: {path: Recording}
        self.before = ""    # what comes before each answer

    def record(self, uuid, path):
        recording = Recording(path)
        self.channels.setdefault(uuid, {})[str(path)] = recording
        return recording

    def api(self, words):
        command, uuid = words[0], words[1]
        if command == "uuid_record":
            command += " all" if words[3] == "all" else " one"
        with self.lock:
            running = self.channels.get(uuid)
            if command == "uuid_record one" and running is not None:
                state = "records" if words[3] in running else "idle"
            else:
                state = None if running is None else "records" if running else "idle"
            answer, then = self.exchange(command, state)
            stopped = list(running) if then in ("stop all", "discard all", "rename all") else [words[3]] if then == "stop one" else []
            for path in stopped:
                running.pop(path).close()
                if then == "discard all":
                    os.unlink(path)
                elif then == "rename all":
                    os.rename(path, path + ".old")
            if answer == "bugs":
                answer = "<media-bugs>\n" + BUG.format("speex", "") + "".join(
                    BUG.format("session_record", p) for p in self.channels[uuid]) + "</media-bugs>\n"
            elif answer == "channels":
                answer = "uuid,direction,created,name,state\n" + "".join(
                    f"{u},inbound,2026-11-29 10:00:00,sofia/internal/1,CS_EXECUTE\n" for u in self.channels)
                answer += f"\n{len(self.channels)} total.\n"
        return answer

    def serve(self):
        return self.listening(socketserver.ThreadingTCPServer, _EslHandler)


class _EslHandler(socketserver.StreamRequestHandler):
    def reply(self, kind, body="", text=""):
        head = f"Content-Type: {kind}\n" + (f"Reply-Text: {text}\n" if text else "")
        self.wfile.write((head + (f"Content-Length: {len(body)}\n\n{body}" if body else "\n")).encode())

    def handle(self):
        with contextlib.suppress(ConnectionError):
            self.reply("auth/request")
            for raw in self.rfile:
                words = raw.decode().split()
                if words and words[0] == "auth":
                    self.reply("command/reply", text="+OK accepted" if words[1] == "ClueCon" else "-ERR invalid")
                elif words:
                    answer = self.server.scripted.api(words[1:])
                    self.reply("text/event-plain", "Event-Name: HEARTBEAT\n\n")
                    self.reply("log/data", "-ERR Cannot locate session!\n" * 2000)  # longer than any answer of ours
                    self.wfile.write(self.server.scripted.before.encode())
                    self.reply("api/response", answer)
