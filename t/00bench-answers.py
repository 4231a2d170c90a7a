#!/usr/bin/env python3
"""The load generator must find wrong answers: fed by fake servers that give right and wrong ones."""
import json
import socket
import subprocess
import threading

from posthouse import BUILD, FakeSmtp, done, is_equal, ok

LOAD = BUILD / "t" / "bench" / "load"


def load(*args):
    """(exit status, result, what was complained about)."""
    p = subprocess.run([str(LOAD), *map(str, args), "--timeout", "20"], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=60)
    return p.returncode, json.loads(p.stdout), p.stderr


def smtp(name, right, options=(), **fake):
    with FakeSmtp(**fake) as server:
        status, result, complaint = load("smtp", "--port", server.port, "--messages", 5, "--connections", 2, *options)
        ok((status == 0) == right and result["ok"] == right, f"smtp: {name}", f"{result} {complaint}")
        if right:
            is_equal((len(server.messages), {len(m.data) for m in server.messages}), (5, {4096}),
                     f"smtp: {name}: all sent")


class FakeImap:
    """Answers LOGIN, SELECT of two messages and the FETCH commands of mode fetch-body; `bodies` are the responses to
    the last one, `end` its tagged answer."""

    def __init__(self, bodies, end="OK done"):
        self.bodies, self.end = bodies, end
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def answer(self, command):
        if command.startswith(b"SELECT"):
            return b"* 2 EXISTS\r\n", "OK [READ-WRITE] done"
        if b"RFC822.SIZE" in command:
            return b"* 1 FETCH (RFC822.SIZE 5)\r\n* 2 FETCH (RFC822.SIZE 13)\r\n", "OK done"
        if command.startswith(b"UID FETCH"):
            return b"".join(self.bodies), self.end
        return b"", "OK done"

    def serve(self):
        sock, _ = self.listener.accept()
        with sock, sock.makefile("rb") as lines:
            sock.sendall(b"* OK ready\r\n")
            for line in lines:
                tag, command = line.split(b" ", 1)
                untagged, end = self.answer(command)
                reply = untagged + tag + b" " + end.encode() + b"\r\n"
                for i in range(0, len(reply), 7):    # torn at every place
                    sock.sendall(reply[i:i + 7])


FIRST = b"* 1 FETCH (UID 1 BODY[] {5}\r\nabc\r\n)\r\n"
SECOND = b"* 2 FETCH (UID 2 BODY[] {13}\r\na2 OK no\r\n}\r\n)\r\n"


def imap(name, right, *bodies, **end):
    status, result, complaint = load("fetch-body", "--port", FakeImap(bodies, **end).port)
    ok((status == 0) == right and result["ok"] == right, f"imap: {name}", f"{result} {complaint}")


smtp("right answers", True)
smtp("right answers without pipelining", True, ["--no-pipelining"])
smtp("a connection per message", True, ["--per-connection", 1])
smtp("a message is refused", False, replies={".": [None, "451 4.3.0 no"]})
smtp("a recipient is refused", False, replies={"RCPT": ["550 5.1.1 no"]})
smtp("another positive code", False, replies={".": [None, "251 2.0.0 hm"]})
smtp("a reply that is none", False, replies={"EHLO": ["hello"]})
smtp("two replies for one", False, replies={"MAIL": ["250 2.1.0 ok\r\n250 2.1.0 ok"]})
smtp("the connection breaks", False, replies={"DATA": [FakeSmtp.CLOSE]})
imap("right answers", True, FIRST, SECOND)
imap("a message is missing", False, FIRST)
imap("a message comes twice", False, FIRST, FIRST)
imap("a literal is shorter than the message", False, FIRST, SECOND.replace(b"{13}\r\na2 OK no", b"{12}\r\na2 OK n"))
imap("a literal is longer than it says", False, FIRST, SECOND.replace(b"a2 OK no", b"a2 OK no!"))
imap("the command fails", False, FIRST, SECOND, end="NO sorry")
imap("another tag", False, FIRST, SECOND, b"a9 OK done\r\n")
done()
