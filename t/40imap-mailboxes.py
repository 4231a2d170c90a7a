#!/usr/bin/env python3
"""IMAP commands about mailboxes, against the binary in both modes: names, LIST, SELECT and its sisters."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import Dev, check_transcript, done

USER, PASSWORD = "u@example.test", "secret"

# RFC 9051 5.1, 6.3.9.7: names are normalized, and the client is told
NORMAL = r"""
@a imap
S: \* OK .*
C: 1 LOGIN u@example.test secret
S: 1 OK .*
C: 2 CREATE "n/a&Awg-"
S: 2 OK \[MAILBOXID .*\] .*
C: 3 LIST "" n/*
S: \* LIST \(\\HasNoChildren\) "/" "n/&AOQ-"
S: 3 OK .*
C: 4 ENABLE IMAP4rev2
S: \* ENABLED IMAP4rev2
S: 4 OK .*
C: 5 CREATE "ö"
S: \* LIST \(\) "/" "ö" \("OLDNAME" \("ö"\)\)
S: 5 OK .*
C: 6 CREATE "ö"
S: 6 NO \[ALREADYEXISTS\] .*
C: 7 SELECT "ö"
S* \* LIST \(\) "/" "ö" \("OLDNAME" \("ö"\)\)
S: 7 OK .*
C: 8 SELECT inbox
S: \* OK \[CLOSED\] .*
S* \* LIST \(\) "/" INBOX \("OLDNAME" \(inbox\)\)
S: 8 OK .*
C: 9 SELECT Sent
S* \* LIST \(\\Sent\) "/" Sent
S: 9 OK .*
C: 10 RENAME "ö" "ü"
S: \* LIST \(\) "/" "ü" \("OLDNAME" \("ö"\)\)
S: 10 OK .*
C: 11 RENAME "ü" other
S: 11 OK .*
C: 12 CREATE "ü"
S: 12 OK .*
C: 13 APPEND "ü" {1+}
C: x
S: \* LIST \(\) "/" "ü" \("OLDNAME" \("ü"\)\)
S: 13 OK .*
C: 14 DELETE "ü"
S: \* LIST \(\\NonExistent\) "/" "ü" \("OLDNAME" \("ü"\)\)
S: 14 OK .*
"""

TREE = r"""
@a imap
S: \* OK .*
C: 1 LOGIN u@example.test secret
S: 1 OK .*
C: 2 CREATE p/q/r
S: 2 OK .*
C: 3 DELETE p
S: 3 OK .*
C: 4 DELETE p
S: 4 NO \[NONEXISTENT\] .*
C: 5 LIST "" p*
S: \* LIST \(\\Noselect \\HasChildren\) "/" p
S: \* LIST \(\\HasChildren\) "/" p/q
S: \* LIST \(\\HasNoChildren\) "/" p/q/r
S: 5 OK .*
# a name that is only a parent can be renamed (RFC 9051 6.3.6)
C: 6 RENAME p z
S: 6 OK .*
C: 7 LIST "" (p* z*) RETURN (SUBSCRIBED)
S: \* LIST \(\\NonExistent \\HasChildren\) "/" z
S: \* LIST \(\\HasChildren\) "/" z/q
S: \* LIST \(\\HasNoChildren\) "/" z/q/r
S: 7 OK .*
C: 8 RENAME z z
S: 8 NO \[ALREADYEXISTS\] .*
C: 9 RENAME z z/y
S: 9 NO \[CANNOT\] .*
C: 10 SUBSCRIBE z/q/r
S: 10 OK .*
# CHILDINFO for those whose children are not told themselves, only (RFC 5258 3.5)
C: 11 LIST (SUBSCRIBED RECURSIVEMATCH) "" (z z/q)
S: \* LIST \(\\NonExistent \\HasChildren\) "/" z \("CHILDINFO" \("SUBSCRIBED"\)\)
S: \* LIST \(\\HasChildren\) "/" z/q \("CHILDINFO" \("SUBSCRIBED"\)\)
S: 11 OK .*
C: 12 LIST (SUBSCRIBED RECURSIVEMATCH) "" z*
S: \* LIST \(\\Subscribed \\HasNoChildren\) "/" z/q/r
S: 12 OK .*
C: 13 SUBSCRIBE z/q
S: 13 OK .*
C: 14 LIST (RECURSIVEMATCH SUBSCRIBED) "" z/%
S: \* LIST \(\\Subscribed \\HasChildren\) "/" z/q \("CHILDINFO" \("SUBSCRIBED"\)\)
S: 14 OK .*
C: 15 LIST (RECURSIVEMATCH REMOTE) "" *
S: 15 BAD .*
# the old mailbox is closed, even when there is no new one (RFC 3501 6.3.1, RFC 7162 3.2.11)
C: 16 SELECT z/q
S* 16 OK \[READ-WRITE\] .*
C: 17 SELECT nowhere
S: \* OK \[CLOSED\] .*
S: 17 NO \[NONEXISTENT\] .*
C: 18 CLOSE
S: 18 BAD .*
# INBOX in any case also where a wildcard makes up the rest
C: 50 LIST "" (inb% i%x *box n*box nbox* inboxes)
S: \* LIST \(\\HasNoChildren\) "/" INBOX
S: 50 OK .*
C: 51 CREATE INBOX/Inbox
S: 51 OK .*
C: 52 LIST "inb" ox/%
S: \* LIST \(\\HasNoChildren\) "/" INBOX/Inbox
S: 52 OK .*
C: 53 LIST "" inbox/INBOX
S: 53 OK .*
C: 54 LSUB "" iNb*
S: \* LSUB \(\) "/" INBOX
S: 54 OK .*
"""

for processes in (False, True):
    with Dev(processes=processes, users={USER: PASSWORD}) as dev:
        check_transcript(dev, NORMAL, "names are normalized")
        check_transcript(dev, TREE, "names of parents")
done()
