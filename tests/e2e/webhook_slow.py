# SPDX-License-Identifier: MIT
"""Clients of examples/webhook that send a byte now and then: none is there for ever, and many keep nobody out.

    webhook_slow.py PROGRAM FOLDER    prints how many checks passed
"""

import pathlib
import re
import resource
import select
import socket
import subprocess
import sys
import time

LIMIT_S = 3
SECRET = "a secret of the tests' own"


def head(more, secret=SECRET):
    return f"POST /elevenlabs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n{more}\r\n\r\n".encode()


class Server:
    def __init__(self, program, folder):
        with open(folder + "/slow-secret", "w") as file:
            file.write(SECRET)
        options = ["--state", folder + "/slow-state", "--output", folder + "/slow-out", "--secret-file", folder + "/slow-secret"]
        self.log = open(folder + "/slow-log", "w+")
        self.process = subprocess.Popen(
            [program, *options, "--limit", str(LIMIT_S)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.port = int(self.process.stdout.readline().split()[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


def answer(connection):
    """The status and the body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            return None
        data += more
    size = int(re.search(rb"content-length: *(\d+)", data, re.I).group(1))
    body = data.partition(b"\r\n\r\n")[2]
    while len(body) < size:
        body += connection.recv(4096)
    return int(data.split()[1]), body


def ask(connection, call_id):
    connection.sendall(head(f"X-Call-Id: {call_id}\r\nContent-Length: 2") + b"{}")
    return answer(connection)


def drips(server):
    """In its head, in its body, and in a body in chunks: each is closed after the limit. One that asks again and again is not."""
    begun = time.monotonic()
    slow = [server.connect() for _ in range(3)]
    slow[0].sendall(b"POST /elevenlabs HTTP/1.1\r\nX: ")
    slow[1].sendall(head("X-Call-Id: in-drips\r\nContent-Length: 1000000"))
    slow[2].sendall(head("X-Call-Id: in-chunks\r\nTransfer-Encoding: chunked"))
    steady, asked, ended = server.connect(), 0, {}
    while len(ended) < 3 or time.monotonic() < begun + 2 * LIMIT_S:
        there = [c for c in slow if c not in ended]
        closed = set(select.select(there, [], [], 0.2)[0])  # none of them has anything to read but its end
        for connection in there:
            try:
                if connection not in closed:
                    connection.sendall(b"1\r\nx\r\n" if connection is slow[2] else b"x")
                    continue
                assert connection.recv(100) == b""
            except OSError:
                pass
            ended[connection] = time.monotonic() - begun
        if time.monotonic() - begun > asked:
            status, _ = ask(steady, f"steady-{asked}")
            assert status == 200
            asked += 1
        assert time.monotonic() - begun < 10 * LIMIT_S, "somebody is still there"
    assert all(seconds >= LIMIT_S - 0.1 for seconds in ended.values()), ended.values()
    assert asked > LIMIT_S
    said = server.said()
    assert said.count(f"not whole in {LIMIT_S} s") == 2, said  # of who has not shown the secret there is no need to tell
    for connection in [*slow, steady]:
        connection.close()
    return 4


def crowds(server, begin):
    """Who comes is served, while more are there than there are places for, and each sends something now and then."""
    crowd = []
    for _ in range(1500):
        crowd.append(server.connect())
        crowd[-1].sendall(begin)
    for i in range(20):
        for connection in crowd[i::20]:
            try:
                connection.sendall(b"x")
            except OSError:
                pass  # it was sent away
        with server.connect() as one:
            status, body = ask(one, f"crowded-{i}")
            assert status == 200 and b'"receipt_id"' in body, (status, body)
    for connection in crowd:
        connection.close()
    return 1


def are_in_the_ledger(folder, call_ids):
    """At this address what came of a body is a call of the tool, and the header says of whom."""
    ledger = b"".join(path.read_bytes() for path in pathlib.Path(folder, "slow-state", "ledger").iterdir())
    for call_id in call_ids:
        assert call_id.encode() in ledger, f"{call_id} was asked for, and its request was cut off: nothing was done"
    return len(call_ids)


def main(program, folder):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    server = Server(program, folder)
    passed = drips(server)
    for begin in (b"POST /elevenlabs HTTP/1.1\r\nX: ", head("X-Call-Id: slow\r\nContent-Length: 1000000"), head("Y: 1", "wrong")):
        passed += crowds(server, begin)
    with server.connect() as one:
        one.sendall(head("X-Call-Id: went-away\r\nContent-Length: 100") + b"{")
    rest = server.connect()
    rest.sendall(head("X-Call-Id: there-at-the-end\r\nContent-Length: 100") + b"{")
    assert ask(server.connect(), "afterwards")[0] == 200  # by then the server has seen those
    server.end()
    rest.close()
    passed += are_in_the_ledger(folder, ["in-drips", "in-chunks", "went-away", "there-at-the-end"])
    print(passed)


main(*sys.argv[1:])
