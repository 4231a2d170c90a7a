"""Whole scenes of SMTP against the binary, in both modes: what a session may say and in which order is tested elsewhere
(t/20smtp-session.c); here it is followed to where the mail ends up, octet for octet."""
import email
import re
import smtplib
from pathlib import Path

from posthouse import (Dev, FakeSmtp, TranscriptError, command, diag, done, imap_login, imap_messages, is_equal, ok,
                       play, random_message, role_pid, submit, wait_messages, without_trace)

USER, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@example.test"
MAIL = (f"From: <{USER}>\r\nTo: <{BOB}>\r\nSubject: hello\r\nDate: Mon, 06 Jul 2026 10:00:00 +0000\r\n"
        "Message-ID: <1@example.test>\r\n\r\ntext\r\n").encode()
DATE = r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000"


def scene(dev, name, text, **given):
    try:
        play(dev, text, **given)
        return ok(True, name)
    except TranscriptError as e:
        return ok(False, name, str(e))


def take(dev, user=BOB, count=1, mailbox="INBOX"):
    """`count` messages as they are stored; the mailbox is empty afterwards."""
    try:
        got = wait_messages(dev, user, count, mailbox=mailbox)
    except TimeoutError as e:
        diag(e)
        got = imap_messages(dev, user, mailbox=mailbox)
    with imap_login(dev, user) as imap:
        imap.select(f'"{mailbox}"')
        if got:
            imap.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
            imap.expunge()
    return got


START = r"""
@a smtp
S: 220 localhost ESMTP posthouse
C: EHLO client.example.org
S* 250 HELP
"""

PIPELINED = START + r"""
C! MAIL FROM:<s@far.test> SIZE=99 BODY=8BITMIME\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<nobody@example.test>\r\n
C! RCPT TO:<CAROL@Example.Test>\r\nDATA\r\n
S: 250 2\.1\.0 .*
S: 250 2\.1\.5 .*
S: 550 5\.1\.1 .*
S: 250 2\.1\.5 .*
S: 354 .*
C! From: s@far.test\r\nSubject: one\r\n\r\n..\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\n
C! BDAT 38\r\nFrom: s@far.test\r\nSubject: two\r\n\r\n.\r\nxBDAT 4 LAST\r\nyz\r\nQUIT\r\n
S: 250 2\.0\.0 Ok: queued as (?P<one>\w+)
S: 250 2\.1\.0 .*
S: 250 2\.1\.5 .*
S: 250 2\.0\.0 .*
S: 250 2\.0\.0 Ok: queued as (?P<two>\w+)
S: 221 2\.0\.0 .*
EOF
"""

UTF8 = START + r"""
C: MAIL FROM:<ü@far.test> SMTPUTF8 BODY=8BITMIME
S: 250 .*
C: RCPT TO:<bob+ü@example.test>
S: 250 .*
C: RCPT TO:<"bob"@example.test>
S: 250 .*
C: DATA
S: 354 .*
C: From: <ü@far.test>
C: Subject: Grüße
C:
C: 東京
C: .
S: 250 .*
C: RSET
S: 250 .*
C: MAIL FROM:<ü@far.test>
S: 553 5\.6\.7 .*
"""

BINARY = START + r"""
C: MAIL FROM:<s@far.test> BODY=BINARYMIME
S: 250 .*
C: RCPT TO:<bob@example.test>
S: 250 .*
C: BDAT 76
C! From: s@far.test\r\nContent-Transfer-Encoding: binary\r\nSubject: x\r\n\r\n\x00\x01\r\n.\r\n\xff\n
S: 250 .*
C! BDAT 3 LAST\r\n\r\rx
S: 250 .*
"""

SMUGGLED = r"""
C! MAIL FROM:<s@far.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n
S: 250 .*
S: 250 .*
S: 354 .*
C! From: s@far.test\r\n\r\ntext${ending}MAIL FROM:<evil@far.test>\r\nRCPT TO:<carol@example.test>\r\nDATA\r\nevil\r\n.\r\n
S: 550 5\.6\.0 .*
"""

INJECTED = r"""
@a ${port}
S: 220 .*
C: ${hello} c.example.org
S* 250 HELP
C! STARTTLS\r\nMAIL FROM:<evil@far.test>\r\n
EOF
"""

TLS = r"""
@a smtp
S: 220 .*
C: EHLO c.example.org
S* 250-STARTTLS
S* 250 HELP
C: STARTTLS
S: 220 2\.0\.0 .*
TLS
C: MAIL FROM:<s@far.test>
S: 503 .*
C: EHLO d.example.org
S* 250 HELP
C! MAIL FROM:<s@far.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n
S: 250 .*
S: 250 .*
S: 354 .*
C! From: s@far.test\r\nSubject: tls\r\n\r\n.\r\n
S: 250 .*
"""

NO_LOGIN = r"""
@a submission
S: 220 .*
C: EHLO c.example.org
S* 250-STARTTLS
S* 250 HELP
C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
S: 538 5\.7\.11 .*
C: MAIL FROM:<alice@example.test>
S: 530 5\.7\.0 .*
C: STARTTLS
S: 220 .*
TLS
C: EHLO c.example.org
S* 250-AUTH PLAIN LOGIN
S* 250 HELP
C: MAIL FROM:<alice@example.test>
S: 530 5\.7\.0 .*
C: AUTH LOGIN
S: 334 VXNlcm5hbWU6
C: YWxpY2VAZXhhbXBsZS50ZXN0
S: 334 UGFzc3dvcmQ6
C: d3Jvbmc=
S: 535 5\.7\.8 .*
C: AUTH LOGIN YWxpY2VAZXhhbXBsZS50ZXN0
S: 334 UGFzc3dvcmQ6
C: c2VjcmV0
S: 235 2\.7\.0 .*
C: MAIL FROM:<bob@example.test>
S: 553 5\.7\.1 .*
C: MAIL FROM:<>
S: 250 .*
C: RSET
S: 250 .*
C: MAIL FROM:<ALICE+tag@Example.Test> AUTH=<>
S: 250 .*
C: RCPT TO:<bob@example.test> NOTIFY=NEVER
S: 250 .*
C: DATA
S: 354 .*
C: From: bob@example.test
C:
C: .
S: 550 5\.7\.1 .*
"""


def test_received(dev):
    """The lines on top, exactly."""
    scene(dev, "pipelined, DATA and BDAT", PIPELINED)
    one, two = take(dev, BOB, 2)
    (other,) = take(dev, CAROL)
    lines = (r"Return-Path: <s@far\.test>\r\nDelivered-To: {}\r\n(?:(?!Received: )[A-Z][\w-]+: [^\r]*\r\n(?:[ \t][^\r]*\r\n)*)*"
             r"Received: from client\.example\.org \((?:[\w.-]+ )?\[127\.0\.0\.1\]\)\r\n"
             r"\tby localhost with ESMTP id \w{{13}};\r\n\t" + DATE.replace("{", "{{").replace("}", "}}")
             + r"\r\nFrom: s@far\.test\r\nSubject: one\r\n\r\n\.\r\n")
    for got, rcpt in ((one, r"bob@example\.test"), (other, r"(?i:carol@example\.test)")):
        text = got.decode()
        ok(re.fullmatch(lines.format(rcpt), text), f"the lines on top of one of two, {rcpt}", text)
    text = two.decode()
    ok(text.startswith("Return-Path: <>\r\nDelivered-To: bob@example.test\r\n")
       and text.endswith("\r\nSubject: two\r\n\r\n.\r\nxyz\r\n"), "null sender, BDAT in chunks, a dot alone is text", text)
    ok(re.search(r" id \w{13}\r\n\tfor <bob@example\.test>;\r\n\t" + DATE, text), "a single recipient is named", text)


def test_encodings(dev):
    scene(dev, "SMTPUTF8", UTF8)
    (got,) = take(dev)
    ok("Return-Path: <ü@far.test>\r\n" in got.decode() and got.endswith("Subject: Grüße\r\n\r\n東京\r\n".encode())
       and b"with UTF8SMTP id" in got, "SMTPUTF8: delivered once for two addresses", got)
    scene(dev, "BINARYMIME", BINARY)
    wait_messages(dev, BOB, 1)
    with imap_login(dev, BOB) as imap:
        imap.select(readonly=True)
        exact = imap.fetch("1", "(BINARY.PEEK[])")[1][0][1]
    (shown,) = take(dev)
    ok(exact.endswith(b"Content-Transfer-Encoding: binary\r\nSubject: x\r\n\r\n\0\1\r\n.\r\n\xff\n\r\rx"),
       "BINARYMIME: every octet", exact)
    # IMAP sends no NUL outside of BINARY (RFC 9051 4.3)
    is_equal(shown, exact.replace(b"\0", b"\x80"), "BINARYMIME: as it is shown in BODY[]")


def test_smuggling(dev):
    for ending in (r"\n.\n", r"\n.\r\n", r"\r.\r", r"\r\n.\n", r"\r.\r\n", r"\r\n.\r", r"\r\n\x00.\r\n"):
        scene(dev, f"smuggling with {ending}", START + SMUGGLED, ending=ending)
    is_equal((imap_messages(dev, BOB), imap_messages(dev, CAROL)), ([], []), "smuggling: nothing arrived")


def test_tls(dev, strict):
    for port in ("smtp", "submission", "lmtp"):
        scene(dev, f"text behind STARTTLS, {port}", INJECTED.replace("${port}", port), hello="LHLO" if port == "lmtp" else "EHLO")
    scene(dev, "STARTTLS", TLS)
    (got,) = take(dev)
    ok(re.search(rb"Received: from d\.example\.org \((?:[\w.-]+ )?\[127\.0\.0\.1\]\)\r\n"
                 rb"\t\(using TLSv1\.3 \w+\)\r\n\tby localhost with ESMTPS", got), "STARTTLS: told in Received", got)
    scene(strict, "AUTH after TLS only; sender and author must be the login's", NO_LOGIN)


def test_addresses(dev, far):
    """Aliases, catch-all, subaddresses, postmaster, local and remote in one go."""
    for words in (("alias", "add", "team@example.test", BOB, "deep@example.test", "x@far.test"),
                  ("alias", "add", "deep@example.test", CAROL, "team@example.test"),
                  ("domain", "add", "other.test"), ("alias", "add", "@other.test", CAROL)):
        command(dev, *words)
    with imap_login(dev, BOB) as imap:
        imap.create("Lists")
    submit(dev, USER, ["team@example.test", BOB, "Far.Away@far.test", "x@far.test"], MAIL)
    got = take(dev, BOB) + take(dev, CAROL)
    is_equal([without_trace(m) for m in got], [MAIL] * 2, "an alias that leads to an alias, to itself, and far away: once each")
    is_equal(sorted(far.wait(1)[0].recipients), ["Far.Away@far.test", "x@far.test"], "and in one transaction far away, once each")
    with smtplib.SMTP(dev.host, dev.smtp) as session:
        session.sendmail("s@far.test", ["any.one@other.test", "bob+lists@example.test", "postmaster@example.test", "Postmaster"], MAIL)
        is_equal(session.docmd("MAIL", "FROM:<>")[0], 250, "one more")
        codes = [session.rcpt(a)[0] for a in ("bob+nothing@example.test", "nobody+x@example.test", "any@elsewhere.test",
                                              "x%elsewhere.test@example.test")]
        is_equal(codes, [250, 550, 550, 550], "a tag without a folder, a tag of nobody, relaying, relaying in disguise")
    is_equal(len(take(dev, CAROL)), 1, "catch-all")
    is_equal((len(take(dev, BOB, mailbox="Lists")), imap_messages(dev, BOB)), (1, []), "a tag that names a folder")
    is_equal(len(take(dev, USER)), 1, "postmaster of a domain, and without one, once")


def test_submitted(dev):
    """What is added and taken out."""
    text = (f"From: Alice <{USER}>\r\nTo: {BOB}\r\nBcc: {CAROL}\r\nbcc:\r\n x@y.test\r\nSubject: x\r\nResent-Bcc: z@y.test\r\n"
            "\r\nBcc: stays\r\n")
    submit(dev, USER, [BOB, CAROL], text.encode())
    for user in (BOB, CAROL):
        message = email.message_from_bytes(take(dev, user)[0])
        ok(re.fullmatch(DATE, message["Date"] or "") and re.fullmatch(r"<\w+@localhost>", message["Message-ID"] or ""),
           f"{user}: Date and Message-ID added", message.items())
        ok(not message["Bcc"] and not message["Resent-Bcc"] and message.get_payload() == "Bcc: stays\r\n", f"{user}: Bcc taken out",
           message.as_string())
    submit(dev, USER, [BOB], MAIL)
    is_equal(without_trace(take(dev)[0]), MAIL, "a complete message stays as it is")


def test_loops(dev):
    with smtplib.SMTP(dev.host, dev.smtp) as session:
        for name, header, code in (("51 Received fields", b"Received: x\r\n" * 51, 554), ("50", b"Received: x\r\n" * 50, 250),
                                   ("Delivered-To of the recipient", b"Delivered-To: bob@example.test\r\n", 554)):
            session.ehlo_or_helo_if_needed()
            session.mail("s@far.test")
            session.rcpt(BOB)
            is_equal(session.data(header + MAIL)[0], code, f"loops: {name}")
    is_equal(len(take(dev)), 1, "loops: one came in")


def test_limits(dev):
    """LIMITS (RFC 9422) are what is kept; the 101st recipient is for the next transaction."""
    with smtplib.SMTP(dev.host, dev.smtp) as session:
        session.ehlo()
        limits = dict(word.split("=") for word in session.esmtp_features["limits"].split())
        session.mail("s@far.test")
        codes = [session.rcpt(f"bob+{i}@example.test")[0] for i in range(int(limits["RCPTMAX"]) + 1)]
        is_equal((codes[:-1], codes[-1]), ([250] * int(limits["RCPTMAX"]), 452), "LIMITS: RCPTMAX is the limit")
        is_equal(session.data(MAIL)[0], 250, "and those before are served")
    is_equal(len(take(dev)), 1, "a hundred addresses of one mailbox: once")


def memory_kib(pid):
    """Most anonymous memory now: pages of the store that are mapped are no memory of the process."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def test_big(processes):
    """50 MB stream through: no process grows by the size of the message."""
    head = MAIL.replace(b"text\r\n", b"")
    line = b"0123456789" * 7 + b"\r\n"
    body = line * ((50 * 1024 * 1024 - len(head) - 2000) // len(line))
    with Dev(processes=processes, users={USER: "secret", BOB: "secret"}, env={"ASAN_OPTIONS": "quarantine_size_mb=1"}) as dev:
        pids = {r: role_pid(dev, r) for r in ("mx", "store", "imap")} if processes else {"posthouse": dev.pid}
        submit(dev, USER, [BOB], random_message(1, 300))
        take(dev)
        before = {r: memory_kib(p) for r, p in pids.items()}
        most = dict(before)
        with smtplib.SMTP(dev.host, dev.smtp, timeout=300) as session:
            session.ehlo()
            session.mail("s@far.test")
            for rcpt in (BOB, USER):
                session.rcpt(rcpt)
            session.docmd("DATA")
            session.send(head)
            for at in range(0, len(body), 1 << 20):
                session.send(body[at:at + (1 << 20)])
                most = {r: max(most[r], memory_kib(p)) for r, p in pids.items()}
            is_equal(session.docmd(".")[0], 250, "50 MB: taken")
            code = session.docmd("MAIL", "FROM:<s@far.test> SIZE=52428801")[0]
            is_equal(code, 552, "beyond SIZE: refused before it comes")
        with imap_login(dev, BOB) as imap:
            imap.select()
            parts = imap.fetch("1", "(BODY.PEEK[])")[1]
        is_equal(without_trace(parts[0][1]), head + body, "50 MB: octet for octet")
        most = {r: max(most[r], memory_kib(p)) for r, p in pids.items()}
        grown = {r: most[r] - before[r] for r in pids}
        diag(f"grown by KiB: {grown}")
        ok(all(kib < 25 * 1024 for kib in grown.values()), "50 MB: bounded memory", grown)


for mode in (False, True):
    with FakeSmtp() as relay, Dev(processes=mode, users=dict.fromkeys((USER, BOB, CAROL), "secret"),
                                  route=f"{relay.host}:{relay.port}") as server:
        test_received(server)
        test_encodings(server)
        test_smuggling(server)
        with Dev("--set", "smtp.auth_without_tls=off", processes=mode, users={USER: "secret", BOB: "secret"}) as strict:
            test_tls(server, strict)
        test_addresses(server, relay)
        test_submitted(server)
        test_loops(server)
        test_limits(server)
    test_big(mode)
done()
