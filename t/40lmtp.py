"""LMTP hand-over (RFC 2033), and who may speak for others: PROXY protocol 1 and 2 and XCLIENT, from listed peers only;
against the binary, in both modes."""
import re
import socket
import ssl
import struct

from posthouse import (Dev, TranscriptError, command, done, imap_login, imap_messages, is_equal, ok, play, records, wait_for,
                       without_trace)

USER, BOB, FULL = "alice@example.test", "bob@example.test", "full@example.test"

HAND_OVER = r"""
@a lmtp
S: 220 localhost LMTP posthouse
C: EHLO mta.example.org
S: 500 5\.5\.1 .*
C: MAIL FROM:<s@far.test>
S: 503 5\.5\.1 .*
C: LHLO mta.example.org
S* 250 HELP
C! MAIL FROM:<s@far.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<full@example.test>\r\n
C! RCPT TO:<bob@example.test>\r\nRCPT TO:<ALICE@example.test>\r\nDATA\r\n
S: 250 2\.1\.0 .*
S: 250 2\.1\.5 .*
S: 550 5\.1\.1 .*
S: 250 2\.1\.5 .*
S: 250 2\.1\.5 .*
S: 250 2\.1\.5 .*
S: 354 .*
# one reply for each recipient that was taken, in their order
C! From: s@far.test\r\nSubject: handed over\r\n\r\n${body}\r\n.\r\n
S: 250 2\.0\.0 .*
S: 552 5\.2\.3 .*
S: 250 2\.0\.0 .*
S: 250 2\.0\.0 .*
C! MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<alice@example.test>\r\nBDAT 31 LAST\r\nFrom: s@far.test\r\n\r\nsecond\r\n\r\n.
S: 250 2\.1\.0 .*
S: 250 2\.1\.5 .*
S: 250 2\.1\.5 .*
S: 250 2\.0\.0 .*
S: 250 2\.0\.0 .*
C! MAIL FROM:<>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n
S: 250 2\.1\.0 .*
S: 550 5\.1\.1 .*
S: 503 5\.5\.1 .*
C: RSET
S: 250 .*
C! MAIL FROM:<s@far.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n
S: 250 .*
S: 250 .*
S: 250 .*
S: 354 .*
C! From: s@far.test\r\n\r\nbare\n\r\n.\r\n
S: 550 5\.6\.0 .*
S: 550 5\.6\.0 .*
C: QUIT
S: 221 .*
EOF
"""

ALONE = r"""
@a lmtp
S* 220 .*
C: LHLO mta.example.org
S* 250 HELP
C! MAIL FROM:<s@far.test>\r\nRCPT TO:<full@example.test>\r\nDATA\r\n
S: 250 2\.1\.0 .*
S: 250 2\.1\.5 .*
S: 354 .*
C! From: s@far.test\r\n\r\n${body}\r\n.\r\n
S: 552 5\.2\.3 .*
C: QUIT
S: 221 .*
"""

MESSAGE = b"From: s@far.test\r\nSubject: x\r\n\r\ntext\r\n"


def test_hand_over(processes):
    with Dev(processes=processes, users=dict.fromkeys((USER, BOB, FULL), "secret")) as dev:
        command(dev, "user", "quota", FULL, "--quota", "20K")
        text = "x" * 70
        body = r"\r\n".join([text] * 400)
        try:
            play(dev, HAND_OVER, body=body)
            ok(True, "LMTP: one reply for each recipient, one over quota")
        except TranscriptError as e:
            ok(False, "LMTP: one reply for each recipient, one over quota", e)
        first = b"From: s@far.test\r\nSubject: handed over\r\n\r\n" + b"\r\n".join([text.encode()] * 400) + b"\r\n"
        second = b"From: s@far.test\r\n\r\nsecond\r\n\r\n."
        for user in (USER, BOB):
            got = imap_messages(dev, user)
            is_equal([without_trace(m) for m in got], [first, second], f"LMTP: {user} has both, once")
            ok(got[0].startswith(b"Return-Path: <s@far.test>\r\nDelivered-To: " + user.encode()) and b"with LMTP id" in got[0],
               f"LMTP: {user}: Return-Path, Delivered-To, Received", got[0][:600])
        is_equal(imap_messages(dev, FULL), [], "LMTP: the one over quota has none")
        mixed = [r for r in records(dev, FULL)[0]["recipients"] if r["address"] == FULL]
        is_equal([(r["outcome"], r["detail"]) for r in mixed], [("refused", "the message is bigger than the quota")], "LMTP: explain says why")
        try:
            play(dev, ALONE, body=body)
            ok(True, "LMTP: the one over quota alone")
        except TranscriptError as e:
            ok(False, "LMTP: the one over quota alone", e)
        wait_for(lambda: len(records(dev, FULL)) == 2, "the record of the refusal")
        alone = records(dev, FULL)[0]
        ok(alone["kind"] == "refused" and alone["reply"].startswith("552 5.2.3") and alone["recipients"][0]["detail"].startswith("552 5.2.3"),
           "LMTP: what nobody took is refused in the record, too", alone)
    with Dev("--set", "smtp.lmtp_from=192.0.2.0/24", processes=processes) as dev, socket.create_connection((dev.host, dev.lmtp)) as s:
        ok(s.recv(100).startswith(b"554 5.7.1"), "LMTP: from listed networks only")


# --- on behalf of others ---

def v2(command_byte, family, payload):
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command_byte, family]) + struct.pack("!H", len(payload)) + payload


def proxied(address, port=1234):
    four = ":" not in address
    kind = socket.AF_INET if four else socket.AF_INET6
    return v2(1, 0x11 if four else 0x21, socket.inet_pton(kind, address) + socket.inet_pton(kind, "192.0.2.8" if four else "2001:db8::8")
              + struct.pack("!HH", port, 25))


class Session:
    """A dialogue in one go: everything said, all replies."""

    def __init__(self, dev, port, first=b"", tls=False):
        self.sock = socket.create_connection((dev.host, getattr(dev, port)), 60)
        self.sock.sendall(first)
        if tls:
            context = ssl.create_default_context(cafile=dev.ca)
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            lines.append(line)
            if line[3:4] != b"-":
                return b"".join(lines)

    def say(self, *lines):
        for line in lines:
            self.sock.sendall(line.encode() + b"\r\n")
            last = self.reply()
        return last

    def deliver(self, subject):
        self.say("EHLO c.example.org", "MAIL FROM:<s@far.test>", f"RCPT TO:<{BOB}>", "DATA")
        self.sock.sendall(MESSAGE.replace(b": x", b": " + subject.encode()) + b".\r\n")
        return self.reply()[:3]

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.file.close()
        self.sock.close()


def received(dev, subject):
    with imap_login(dev, BOB) as imap:
        imap.select()
        found = imap.search(None, "SUBJECT", subject)[1][0].split()
        text = imap.fetch(found[-1], "(BODY.PEEK[])")[1][0][1].decode()
        return re.search(r"Received: (from .*?)\r\n", text)[1]


def test_proxy(processes):
    with Dev("--set", "smtp.proxy_from=127.0.0.0/8", processes=processes, users={BOB: "secret", USER: "secret"}) as dev:
        for name, header, want in (("v1", b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n", "[192.0.2.7]"),
                                   ("v1six", b"PROXY TCP6 2001:db8::7 2001:db8::8 1234 25\r\n", "[IPv6:2001:db8::7]"),
                                   ("v1unknown", b"PROXY UNKNOWN\r\n", "[127.0.0.1]"),
                                   ("v2", proxied("192.0.2.9"), "[192.0.2.9]"), ("v2six", proxied("2001:db8::9"), "[IPv6:2001:db8::9]"),
                                   ("v2local", v2(0, 0, b""), "[127.0.0.1]"),
                                   ("v2more", proxied("192.0.2.10")[:14] + struct.pack("!H", 12 + 7) + proxied("192.0.2.10")[16:]
                                    + b"\x04\0\x04abcd", "[192.0.2.10]")):
            with Session(dev, "smtp", header) as s:
                is_equal((s.reply()[:3], s.deliver(name)), (b"220", b"250"), f"PROXY {name}")
                ok(want in received(dev, name), f"PROXY {name}: believed", received(dev, name))
        for name, header in (("none", b"EHLO x\r\n"), ("nonsense", b"PROXY TCP4 1.2.3 x\r\n"), ("v2 of version 3", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"),
                             ("too long", b"PROXY TCP4 " + b"1" * 200)):
            with Session(dev, "smtp", header) as s:
                got = s.file.read()
                ok(not got.startswith(b"220") and b"250" not in got, f"PROXY {name}: the connection ends", got)
        with Session(dev, "submissions", proxied("192.0.2.11"), tls=True) as s:
            is_equal(s.reply()[:3], b"220", "PROXY before TLS")
    with Dev("--set", "smtp.proxy_from=192.0.2.0/24", processes=processes, users={BOB: "secret"}) as dev:
        with Session(dev, "smtp", b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\n") as s:
            is_equal((s.reply()[:3], s.reply()[:3]), (b"220", b"500"), "PROXY from somebody else: an unknown command")
            s.deliver("unlisted")
            ok("[127.0.0.1]" in received(dev, "unlisted"), "and not believed")


def test_xclient(processes):
    with Dev(processes=processes, users={BOB: "secret", USER: "secret"}) as dev:
        for port in ("smtp", "lmtp"):
            with Session(dev, port) as s:
                s.reply()
                hello = "LHLO" if port == "lmtp" else "EHLO"
                ok(b"XCLIENT NAME ADDR PORT HELO" in s.say(f"{hello} c.example.org"), f"XCLIENT, {port}: offered from loopback in dev")
                is_equal(s.say("XCLIENT ADDR=192.0.2.77 NAME=h+2Ex.example.net PORT=999")[:3], b"220",
                         f"XCLIENT, {port}: begins anew")
                is_equal(s.say("MAIL FROM:<s@far.test>")[:3], b"503", f"XCLIENT, {port}: all is forgotten")
        with Session(dev, "smtp") as s:
            s.reply()
            s.say("EHLO c.example.org", "XCLIENT ADDR=192.0.2.78 NAME=h.example.net")
            is_equal(s.deliver("xclient"), b"250", "XCLIENT: then as always")
            ok("[192.0.2.78]" in received(dev, "xclient"), "XCLIENT: believed", received(dev, "xclient"))
        with Session(dev, "smtp") as s:
            s.reply()
            s.say("EHLO c.example.org", "XCLIENT ADDR=192.0.2.79 HELO=told.example.net", "MAIL FROM:<s@far.test>", f"RCPT TO:<{BOB}>",
                  "DATA")
            s.sock.sendall(MESSAGE.replace(b": x", b": helo") + b".\r\n")
            s.reply()
            ok(received(dev, "helo").startswith("from told.example.net"), "XCLIENT: HELO told, none needed", received(dev, "helo"))
        with Session(dev, "submission") as s:
            s.reply()
            s.say("EHLO c.example.org", "XCLIENT ADDR=192.0.2.79")
            ok(b"AUTH" not in s.say("EHLO c.example.org"), "XCLIENT: the told address counts for what is allowed")
    with Dev("--set", "smtp.xclient_from=192.0.2.0/24", processes=processes) as dev, Session(dev, "smtp") as s:
        s.reply()
        ok(b"XCLIENT" not in s.say("EHLO c.example.org"), "XCLIENT: not offered to others")
        is_equal(s.say("XCLIENT ADDR=192.0.2.1")[:3], b"502", "XCLIENT: not taken from others")


for mode in (False, True):
    test_hand_over(mode)
    test_proxy(mode)
    test_xclient(mode)
done()
