#!/usr/bin/env python3
"""Clients that come back and want to know what they missed (RFC 7162), against the binary in both modes."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import Dev, check_transcript, done, imap_login

USER, PASSWORD = "u@example.test", "secret"

# `a` looks at nine messages and goes; `b` changes and expunges some; `a` comes back
RESYNC = r"""
@b imap
S: \* OK .*
C: 1 LOGIN u@example.test secret
S: 1 OK \[CAPABILITY .* CONDSTORE QRESYNC .*\] .*
C: 2 SELECT INBOX (QRESYNC (1 1))
S: 2 BAD Enable QRESYNC first
C: 3 SELECT INBOX
S* \* OK \[UIDVALIDITY (?P<validity>\d+)\] .*
S* \* OK \[HIGHESTMODSEQ (?P<before>\d+)\] .*
S* 3 OK .*
C: 4 UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)
S: 4 BAD VANISHED needs QRESYNC
C: 5 STORE 2 +FLAGS (\Seen)
S: \* 2 FETCH \(FLAGS \(\\Seen\)\)
S: 5 OK .*
C: 6 STORE 1,4:5,9 +FLAGS.SILENT (\Deleted)
S: 6 OK .*
C: 7 EXPUNGE
S: \* 9 EXPUNGE
S: \* 5 EXPUNGE
S: \* 4 EXPUNGE
S: \* 1 EXPUNGE
S: 7 OK .*
C: 8 UID STORE 8 +FLAGS.SILENT (\Flagged)
S: 8 OK .*
@a imap
S: \* OK .*
C: 1 LOGIN u@example.test secret
S: 1 OK .*
C: 2 ENABLE QRESYNC
S: \* ENABLED QRESYNC
S: 2 OK .*
C: 3 SELECT INBOX (QRESYNC (${validity} ${before}))
S* \* OK \[MAILBOXID \(F\d+\)\] .*
S: \* VANISHED \(EARLIER\) 1,4:5,9
S: \* 1 FETCH \(UID 2 FLAGS \(\\Seen\) MODSEQ \(\d+\)\)
S: \* 5 FETCH \(UID 8 FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)
S: 3 OK \[READ-WRITE\] .*
# another UIDVALIDITY: nothing that the client has is of use
C: 4 EXAMINE INBOX (CONDSTORE QRESYNC (1 ${before}))
S: \* OK \[CLOSED\] .*
S* \* OK \[MAILBOXID \(F\d+\)\] .*
S: 4 OK \[READ-ONLY\] .*
# known UIDs, and numbers that are still right (3.2.5.2): the third message is UID 6
C: 5 SELECT INBOX (QRESYNC (${validity} ${before} 2:8))
S* \* VANISHED \(EARLIER\) 4:5
S: \* 1 FETCH \(UID 2 .*\)
S: \* 5 FETCH \(UID 8 .*\)
S: 5 OK .*
C: 6 SELECT INBOX (QRESYNC (${validity} ${before} 1:9 (1,3,6 2,6,9)))
S* \* VANISHED \(EARLIER\) 9
S: \* 1 FETCH \(UID 2 .*\)
S: \* 5 FETCH \(UID 8 .*\)
S: 6 OK .*
C: 7 SELECT INBOX (QRESYNC (${validity} ${before} (1:3 2,3,7)))
S* \* VANISHED \(EARLIER\) 4:5,9
S: \* 1 FETCH \(UID 2 .*\)
S: \* 5 FETCH \(UID 8 .*\)
S: 7 OK .*
C: 8 SELECT INBOX (QRESYNC (${validity} ${before} 1:*))
S: 8 BAD .*
C: 9 SELECT INBOX (QRESYNC (${validity} ${before} $))
S: 9 BAD .*
C: 10 SELECT INBOX (QRESYNC (${validity}))
S: 10 BAD .*
C: 11 UID FETCH 1:9 FLAGS (VANISHED CHANGEDSINCE ${before})
S: \* VANISHED \(EARLIER\) 1,4:5,9
S: \* 1 FETCH \(UID 2 FLAGS \(\\Seen\) MODSEQ \(\d+\)\)
S: \* 5 FETCH \(UID 8 FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)
S: 11 OK .*
C: 12 FETCH 1 FLAGS (VANISHED CHANGEDSINCE 1)
S: 12 BAD .*
C: 13 UID FETCH 1 FLAGS (VANISHED)
S: 13 BAD .*
# news come with UIDs: VANISHED, and FETCH of what this session did and others did
C: 14 STORE 1 +FLAGS (\Deleted)
S: \* 1 FETCH \(UID 2 FLAGS \(\\Deleted \\Seen\) MODSEQ \(\d+\)\)
S: 14 OK .*
C: 15 FETCH 2 BODY[]
S: \* 2 FETCH \(BODY\[\] \{1\}
S: x FLAGS \(\\Seen\) UID 3 MODSEQ \(\d+\)\)
S: 15 OK .*
@b
C: 9 EXPUNGE
S* 9 OK .*
@a
# what is in view still is no earlier news
C: 16 UID FETCH 1:9 FLAGS (VANISHED CHANGEDSINCE ${before})
S: \* VANISHED \(EARLIER\) 1,4:5,9
S: \* 2 FETCH \(UID 3 .*\)
S: \* 5 FETCH \(UID 8 .*\)
S: \* VANISHED 2
S: 16 OK .*
C: 17 UID STORE 3,6 +FLAGS.SILENT (\Deleted)
S: 17 OK .*
C: 18 EXPUNGE
S: \* VANISHED 3,6
S: 18 OK \[HIGHESTMODSEQ \d+\] .*
C: 19 CREATE gone
S: 19 OK .*
C: 20 UID COPY 7:8 gone
S: 20 OK .*
C: 21 SELECT gone
S* 21 OK .*
@b
C: 10 DELETE gone
S: \* 2 EXPUNGE
S: \* 1 EXPUNGE
S: 10 OK .*
@a
C: 22 NOOP
S: \* VANISHED 1:2
S: 22 OK .*
"""

for processes in (False, True):
    with Dev(processes=processes, users={USER: PASSWORD}) as dev:
        with imap_login(dev, USER, PASSWORD) as imap:
            for _ in range(9):
                imap.append("INBOX", None, None, b"x")
        check_transcript(dev, RESYNC, "QRESYNC")
done()
