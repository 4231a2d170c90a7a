#!/usr/bin/env python3
"""The helpers of the Python tests, tested by themselves."""
import os
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import posthouse
from fakedns import NXDOMAIN, SERVFAIL, TYPES, encode_name
from posthouse import (Dev, FakeDns, FakeSmtp, TranscriptError, done, is_equal, odd_messages, ok, play, random_message,
                       without_trace)

HERE = Path(__file__).resolve().parent
SERVER = """#!/usr/bin/env python3
import json, os, signal, sys, time
args = sys.argv[1:]
line = json.dumps({{"ready": True, "pid": os.getpid(), "host": "127.0.0.1", "smtp": 2525, "args": args}})
open(args[args.index("--ready") + 1], "w").write(line)
signal.signal(signal.SIGTERM, lambda *a: sys.exit({status}))
sys.stderr.write({stderr!r})
sys.stderr.flush()
{before}
print(line, flush=True)
time.sleep(60)
"""


class At:
    """A server for `play`: a host and ports by name."""
    def __init__(self, **ports):
        self.host = "127.0.0.1"
        self.__dict__.update(ports)


def raises(kind, f, *args, **named):
    try:
        f(*args, **named)
    except kind as e:
        return str(e) or "no text"
    return ""


def script(text, **env):
    """(exit status, output) of a test script that uses the helpers."""
    p = subprocess.run([sys.executable, "-c", "from posthouse import *\n" + text], capture_output=True, text=True,
                       env=dict({k: v for k, v in os.environ.items() if k != "POSTHOUSE_NO_SKIP"},
                                PYTHONPATH=str(HERE), **env))
    return p.returncode, p.stdout


def tap():
    is_equal(script("ok(True, 'a'); is_equal(1, 1, 'b'); done()"), (0, "ok 1 - a\nok 2 - b\n1..2\n"), "two passes")
    status, out = script("plan(2); ok(False, 'a', 'why'); ok(True, 'b'); done()")
    ok(status == 1 and "not ok 1 - a\n# why" in out, "a failure is told", out)
    is_equal(script("plan(2); ok(True, 'a'); done()")[0], 1, "a plan that is not kept fails")
    is_equal(script("done()")[0], 1, "nothing tested fails")
    status, out = script("is_equal(b'aXc', b'abc', 'x'); done()")
    ok("differ at octet 1" in out, "the place of a difference is told", out)
    is_equal(script("skip('s', 'r'); done()")[0], 0, "a skip passes")
    is_equal(script("skip('s', 'r'); done()", POSTHOUSE_NO_SKIP="1")[0], 1, "but not in CI")


def fake_server(folder, status=0, stderr="", before=""):
    path = Path(folder) / "server"
    path.write_text(SERVER.format(status=status, stderr=stderr, before=before))
    path.chmod(0o755)
    return str(path)


def run_dev(**server):
    with tempfile.TemporaryDirectory() as folder:
        with Dev(processes=True, users={"a@b.test": "pw"}, program=fake_server(folder, **server)) as dev:
            return dev.pid, dev.process.pid, dev.smtp, dev.args


def dev():
    pid, child, smtp, args = run_dev()
    ok(pid == child and smtp == 2525, "the ready line becomes attributes")
    is_equal(args[3:], ["--processes", "--user", "a@b.test:pw"], "options are passed on")
    ok(raises(AssertionError, run_dev, status=3), "a bad exit status is told")
    ok("sanitizer" in raises(AssertionError, run_dev, stderr="==1==ERROR: AddressSanitizer: heap-use-after-free\n"),
       "a sanitizer report is told")
    ok("has ended with 1" in raises(RuntimeError, run_dev, before="sys.exit(1)"), "a server that ends early is told")


def messages():
    odd = odd_messages()
    ok(all(m.endswith(b"\r\n") and b"\r\n\r\n" in m for _, m in odd), "odd messages have a header and end with CRLF")
    ok(all(m.count(b"\n") == m.count(b"\r\n") == m.count(b"\r") for _, m in odd), "no bare CR or LF")
    ok(all(len(line) <= 998 for _, m in odd for line in m.split(b"\r\n")), "no line over 998 octets")
    many = [random_message(i) for i in range(50)]
    ok(many == [random_message(i) for i in range(50)], "the same seed, the same message")
    ok(len(set(many)) == 50, "another seed, another message")
    is_equal(without_trace(b"Return-Path: <>\r\nReceived: a\r\n\tb\r\nSubject: x\r\n"), b"Subject: x\r\n",
             "trace is cut off")


def fake_smtp():
    message = dict(odd_messages())["dots at line start"]
    with FakeSmtp(replies={"RCPT": [None, "550 5.1.1 no"], ".": ["451 4.3.0 later", None]}) as fake:
        with smtplib.SMTP(fake.host, fake.port) as smtp:
            ok(raises(smtplib.SMTPDataError, smtp.sendmail, "a@x.test", ["b@y.test", "c@y.test"], message),
               "scripted replies are given in turn")
            smtp.sendmail("a@x.test", ["b@y.test"], message)
        got = fake.wait(1)
    is_equal(len(got), 1, "a message that was refused is not kept")
    is_equal((got[0].sender, got[0].recipients), ("a@x.test", ["b@y.test"]), "the envelope is kept")
    is_equal(got[0].data, message, "and the content, octet for octet")
    with FakeSmtp(replies={"CONNECT": [FakeSmtp.CLOSE]}) as fake:
        ok(raises(smtplib.SMTPServerDisconnected, smtplib.SMTP, fake.host, fake.port), "CLOSE drops the connection")


def fake_smtp_tls():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = folder + "/c.pem", folder + "/k.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=fake",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        with FakeSmtp(cert=cert, key=key, login=("u", "p")) as fake:
            with smtplib.SMTP(fake.host, fake.port) as smtp:
                smtp.starttls(context=ssl.create_default_context(cafile=cert))
                ok(raises(smtplib.SMTPAuthenticationError, smtp.login, "u", "wrong"), "a wrong password is refused")
            with smtplib.SMTP(fake.host, fake.port) as smtp:
                smtp.starttls(context=ssl.create_default_context(cafile=cert))
                smtp.login("u", "p")
                smtp.sendmail("a@x.test", ["b@y.test"], "Subject: x\r\n\r\n")
            got = fake.wait(1)[0]
            is_equal((got.tls, got.login), (True, ("u", "p")), "TLS and login are kept")


def transcript():
    with FakeSmtp() as fake:
        kept = play(At(smtp=fake.port), r"""
            # a session
            @a smtp
            S: 220 (?P<host>\S+) .*
            C: EHLO ${me}
            S* 250 [A-Z]+
            C! MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n
            S: 250 .*
            S: 250 .*
            @b smtp
            S: 220 ${host} ESMTP
            @a
            C: QUIT
            S: 221 .*
            EOF
            """, me="me.test")
        is_equal(kept["host"], "fake.test", "a transcript plays, and keeps what matched")
        ok("line 2: S: 221" in raises(TranscriptError, play, At(smtp=fake.port), "@a smtp\nS: 221 .*"),
           "a deviation is told with its line")


def ask(dns, name, kind, tcp=False):
    """(RCODE, answers, truncated, whole reply)."""
    query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + encode_name(name) + struct.pack("!HH", TYPES[kind], 1)
    if tcp:
        with socket.create_connection((dns.host, dns.port), 10) as s:
            s.sendall(struct.pack("!H", len(query)) + query)
            with s.makefile("rb") as f:
                reply = f.read(struct.unpack("!H", f.read(2))[0])
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            s.sendto(query, (dns.host, dns.port))
            reply = s.recv(4096)
    ident, flags, _, answers, _, _ = struct.unpack("!6H", reply[:12])
    assert ident == 7 and flags & 0x8000
    return flags & 15, answers, bool(flags & 0x0200), reply


def fake_dns():
    with FakeDns() as dns:
        dns.add("example.test", "MX", 10, "mx.example.test")
        dns.add("mx.example.test", "A", "127.0.0.1")
        dns.add("mx.example.test", "AAAA", "::1")
        dns.add("alias.test", "CNAME", "mx.example.test")
        dns.add("_25._tcp.mx.example.test", "TLSA", 3, 1, 1, "ab" * 32)
        dns.add("long.test", "TXT", "x" * 900)
        dns.fail("broken.test", SERVFAIL)
        dns.drop("silent.test")
        dns.delay("mx.example.test", 0.05)
        is_equal(ask(dns, "Example.TEST", "MX")[:3], (0, 1, False), "MX")
        ok(ask(dns, "example.test", "MX")[3].endswith(struct.pack("!H", 10) + encode_name("mx.example.test")),
           "its data")
        is_equal(ask(dns, "alias.test", "A")[:2], (0, 2), "CNAME and what it points at")
        is_equal(ask(dns, "mx.example.test", "TXT")[:2], (0, 0), "no data")
        is_equal(ask(dns, "_tcp.mx.example.test", "A")[:2], (0, 0), "a name in between exists")
        is_equal(ask(dns, "nobody.test", "A")[0], NXDOMAIN, "NXDOMAIN")
        is_equal(ask(dns, "broken.test", "A")[0], SERVFAIL, "SERVFAIL")
        is_equal(ask(dns, "long.test", "TXT")[:3], (0, 0, True), "truncated over UDP")
        is_equal(ask(dns, "long.test", "TXT", tcp=True)[:3], (0, 1, False), "whole over TCP")
        ok(raises(TimeoutError, ask, dns, "silent.test", "A"), "silence")
        before = time.monotonic()
        ask(dns, "mx.example.test", "AAAA")
        ok(time.monotonic() - before >= 0.05, "delay")
        dns.remove("example.test", "MX")
        is_equal(ask(dns, "example.test", "MX")[:2], (0, 0), "records can be removed")
        ok(("silent.test", "A") in dns.queries, "queries are kept")


posthouse.START_S = 10
for part in (tap, dev, messages, fake_smtp, fake_smtp_tls, transcript, fake_dns):
    part()
done()
