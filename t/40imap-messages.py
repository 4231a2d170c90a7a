#!/usr/bin/env python3
"""IMAP commands about messages, against the binary in both modes: FETCH, SEARCH, STORE, COPY, MOVE, EXPUNGE."""
import imaplib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import Dev, check_transcript, done, ok, tls_context

USER, PASSWORD = "u@example.test", "secret"
MAIL = (b"From: Ann <a@b.c>\r\nSubject: %s\r\nX-Foo: bar\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
        b"boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
        b"quoted-printable\r\n\r\nGr=FC=DFe\r\n--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"AAEC\r\n--b\r\nContent-Type: text/x\r\nContent-Transfer-Encoding: x-none\r\n\r\nx\r\n--b--\r\n")
BIG = b"Subject: big\r\n\r\n" + b"".join(b"line %d of a long message\r\n" % i for i in range(150000))

FETCH = r"""
@a imap
S: \* OK .*
C: 1 LOGIN u@example.test secret
S: 1 OK .*
C: 2 SELECT INBOX
S* 2 OK .*
C: 3 FETCH 1:3 (UID FLAGS RFC822.SIZE)
S: \* 1 FETCH \(UID 1 FLAGS \(\) RFC822.SIZE \d+\)
S: \* 2 FETCH \(UID 2 FLAGS \(\) RFC822.SIZE \d+\)
S: \* 3 FETCH \(UID 3 FLAGS \(\) RFC822.SIZE \d+\)
S: 3 OK .*
C: 4 FETCH 1 (ENVELOPE BODY.PEEK[HEADER.FIELDS (X-Foo subject)])
S: \* 1 FETCH \(ENVELOPE \(NIL "one" .*\) BODY\[HEADER.FIELDS \(X-Foo subject\)\] \{28\}
S: Subject: one
S: X-Foo: bar
S:
S: \)
S: 4 OK .*
C: 5 FETCH 1 (BODY[1] BINARY[1] BINARY.SIZE[2] BODY[9] BODY[]<2.3>)
S: \* 1 FETCH \(BODY\[1\] \{9\}
S: Gr=FC=DFe BINARY\[1\] \{5\}
S: .* BINARY.SIZE\[2\] 3 BODY\[9\] NIL BODY\[\]<2> \{3\}
S: om: FLAGS \(\\Seen\)\)
S: 5 OK .*
C: 6 UID FETCH 2 BINARY.PEEK[3]
S: \* 2 FETCH \(UID 2 BINARY\[3\] NIL\)
S: 6 NO \[UNKNOWN-CTE\] .*
C: 6b UID FETCH 2 (BINARY.SIZE[3] FLAGS BINARY.SIZE[4])
S: \* 2 FETCH \(UID 2 UID 2 FLAGS \(\) BINARY.SIZE\[4\] 0\)
S: 6b NO \[UNKNOWN-CTE\] .*
C: 7 FETCH 2 BINARY.PEEK[2]
S: \* 2 FETCH \(BINARY\[2\] ~\{3\}
S: \x00\x01\x02\)
S: 7 OK .*
C: 8 FETCH 9 FLAGS
S: 8 BAD .*
C: 9 UID FETCH 9 FLAGS
S: 9 OK .*
C: 10 FETCH 1 (FLAGS
S: 10 BAD .*
# the largest number there is is not `*`
C: 11 UID FETCH 4294967295 FLAGS
S: 11 OK .*
C: 12 FETCH 4294967295 FLAGS
S: 12 BAD .*
C: 13 UID FETCH 4294967295:* UID
S: \* 3 FETCH \(UID 3\)
S: 13 OK .*
"""

CHANGE = r"""
@a imap
S: \* OK .*
C: 1 LOGIN u@example.test secret
S: 1 OK .*
C: 2 SELECT INBOX
S* 2 OK .*
@b imap
S: \* OK .*
C: 1 LOGIN u@example.test secret
S: 1 OK .*
C: 2 SELECT INBOX
S* 2 OK .*
@a
C: 3 STORE 2 +FLAGS (\Flagged work)
S: \* FLAGS \(.* work\)
S: \* OK \[PERMANENTFLAGS \(.* work \\\*\)\] .*
S: \* 2 FETCH \(FLAGS \(\\Flagged work\)\)
S: 3 OK .*
C: 4 UID STORE 3 FLAGS.SILENT (\Draft)
S: 4 OK .*
C: 5 SEARCH KEYWORD work
S: \* SEARCH 2
S: 5 OK .*
C: 6 SEARCH BODY "gr\u00fc\u00dfe" UNFLAGGED
S: \* SEARCH 1 3
S: 6 OK .*
C: 7 UID SEARCH RETURN (MIN MAX COUNT SAVE) 1:3 NOT SEEN
S: \* ESEARCH \(TAG "7"\) UID MIN 2 MAX 3 COUNT 2
S: 7 OK .*
C: 8 FETCH $ UID
S: \* 2 FETCH \(UID 2\)
S: \* 3 FETCH \(UID 3\)
S: 8 OK .*
C: 9 SEARCH OR 9 2:7
S: \* SEARCH 2 3
S: 9 OK .*
C: 9 UID SEARCH RETURN (COUNT) 4,5:6
S: \* ESEARCH \(TAG "9"\) UID COUNT 0
S: 9 OK .*
C: 9 SEARCH CHARSET x-none TEXT a
S: 9 NO \[BADCHARSET .*\] .*
C: 10 COPY 1:2 Sent
S: 10 OK \[COPYUID \d+ 1:2 1:2\] .*
C: 11 COPY 1 Nowhere
S: 11 NO \[TRYCREATE\] .*
C: 12 MOVE 3 Archive
S: \* OK \[COPYUID \d+ 3 1\] .*
S: \* 3 EXPUNGE
S: 12 OK .*
@b
C: 3 FETCH 2 (FLAGS)
S: \* 2 FETCH \(FLAGS \(\\Flagged work\)\)
S* 3 OK .*
C: 4 FETCH 3 (FLAGS)
S: 4 NO \[EXPUNGEISSUED\] .*
C: 5 NOOP
S: \* 3 EXPUNGE
S: 5 OK .*
C: 6 STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\Deleted)
S: \* OK \[HIGHESTMODSEQ \d+\] .*
S: 6 OK \[MODIFIED 1\] .*
C: 7 STORE 1 (UNCHANGEDSINCE 9999) +FLAGS.SILENT (\Deleted)
S: \* 1 FETCH \(UID 1 MODSEQ \(\d+\)\)
S: 7 OK .*
@a
C: 13 NOOP
S: \* 1 FETCH \(FLAGS \(\\Deleted \\Seen\)\)
S: 13 OK .*
C: 14 UID EXPUNGE 2:9
S: 14 OK .*
C: 15 EXPUNGE
S: \* 1 EXPUNGE
S: 15 OK .*
C: 16 EXAMINE INBOX
S* 16 OK .*
C: 17 STORE 1 FLAGS ()
S: 17 NO .*
C: 18 EXPUNGE
S: 18 NO .*
"""


def connect(dev, tls):
    imap = imaplib.IMAP4_SSL(dev.host, dev.imaps, ssl_context=tls_context(dev)) if tls else imaplib.IMAP4(
        dev.host, dev.imap)
    imap.login(USER, PASSWORD)
    return imap


def check_big(dev, tls):
    name = "TLS" if tls else "plain"
    imap = connect(dev, tls)
    imap.select("Drafts")
    got = imap.fetch("1:2", "(UID BODY.PEEK[])")[1]
    ok([part[1] for part in got if isinstance(part, tuple)] == [BIG, MAIL % b"small"], f"{name}: megabytes, octet for octet")
    for offset, length in ((0, 1), (65000, 70000), (1000000, 2000000), (len(BIG) - 5, 99)):
        got = imap.fetch("1", f"(BODY.PEEK[]<{offset}.{length}>)")[1]
        ok(got[0][1] == BIG[offset:offset + length], f"{name}: {length} octets from {offset}")
    imap.logout()


for processes in (False, True):
    with Dev(processes=processes, users={USER: PASSWORD}) as dev:
        imap = connect(dev, False)
        for subject in (b"one", b"two", b"three"):
            imap.append("INBOX", None, None, MAIL % subject)
        imap.append("Drafts", None, None, BIG)
        imap.append("Drafts", None, None, MAIL % b"small")
        imap.logout()
        check_transcript(dev, FETCH, "FETCH")
        check_transcript(dev, CHANGE.replace(r"\u00fc\u00df", "\u00fc\u00df"), "two sessions search, store, copy, move, expunge")
        for tls in (False, True):
            check_big(dev, tls)
done()
