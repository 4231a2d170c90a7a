#!/usr/bin/env python3
"""What well-known mail programs say, as they say it: Thunderbird, Apple Mail, Outlook. Against the binary in both modes,
over TLS as they come."""
import base64
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import Dev, check_transcript, done, imap_login

USER, PASSWORD = "u@example.test", "secret"
PLAIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
PLAIN_TEXT = (b"From: Ann <a@b.c>\r\nTo: u@example.test\r\nSubject: one\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
              b"Message-ID: <1@b.c>\r\n\r\nhello\r\n")
WITH_FILE = (b"From: Ben <b@b.c>\r\nSubject: two\r\nReferences: <1@b.c>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
             b"boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee\r\n--b\r\nContent-Type: image/png; name=x.png\r\n"
             b"Content-Disposition: attachment; filename=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n")

THUNDERBIRD = r"""
@t imaps
S: \* OK \[CAPABILITY .*\] .*
C: 1 capability
S: \* CAPABILITY .* SASL-IR .* AUTH=PLAIN
S: 1 OK .*
C: 2 authenticate PLAIN ${plain}
S: 2 OK \[CAPABILITY .*\] .*
C: 3 ID ("name" "Thunderbird" "version" "128.5.0")
S: \* ID .*
S: 3 OK .*
C: 4 namespace
S: \* NAMESPACE \(\("" "/"\)\) NIL NIL
S: 4 OK .*
C: 5 list (subscribed) "" "*" return (special-use)
S: \* LIST \(\\Subscribed \\HasNoChildren \\Archive\) "/" Archive
S* \* LIST \(\\Subscribed \\HasNoChildren\) "/" INBOX
S* 5 OK .*
C: 6 list "" "INBOX"
S: \* LIST \(\\HasNoChildren\) "/" INBOX
S: 6 OK .*
C: 7 select "INBOX" (CONDSTORE)
S* \* OK \[HIGHESTMODSEQ \d+\] .*
S* 7 OK \[READ-WRITE\] .*
C: 8 UID fetch 1:* (FLAGS)
S: \* 1 FETCH \(UID 1 FLAGS \(\)\)
S: \* 2 FETCH \(UID 2 FLAGS \(\)\)
S: 8 OK .*
C: 9 UID fetch 1:2 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])
S: \* 1 FETCH \(UID 1 RFC822.SIZE \d+ FLAGS \(\) BODY\[HEADER.FIELDS \(From To .* Reply-To\)\] \{\d+\}
S* \)
S: \* 2 FETCH \(UID 2 RFC822.SIZE \d+ FLAGS \(\) BODY\[HEADER.FIELDS \(From To .* Reply-To\)\] \{\d+\}
S* \)
S: 9 OK .*
C: 10 UID fetch 1 (UID RFC822.SIZE BODY[])
S: \* 1 FETCH \(UID 1 RFC822.SIZE \d+ BODY\[\] \{\d+\}
S* hello
S:  FLAGS \(\\Seen\) MODSEQ \(\d+\)\)
S: 10 OK .*
C: 11 uid store 1 +Flags ($label1 NonJunk)
S: \* FLAGS \(.* \$label1 NonJunk\)
S: \* OK \[PERMANENTFLAGS .*\] .*
S: \* 1 FETCH \(UID 1 FLAGS \(\\Seen \$label1 NonJunk\) MODSEQ \(\d+\)\)
S: 11 OK .*
C: 12 create "Archives/2026"
S: 12 OK .*
C: 13 subscribe "Archives/2026"
S: 13 OK .*
C: 14 uid move 1 "Archives/2026"
S: \* OK \[COPYUID \d+ 1 1\] .*
S: \* 1 EXPUNGE
S: 14 OK .*
C: 15 append "Sent" (\Seen) {6+}
C: a: b
C:
S: 15 OK \[APPENDUID \d+ 1\] .*
C: 16 STATUS "Archives/2026" (UIDNEXT MESSAGES UNSEEN RECENT)
S: \* STATUS Archives/2026 \(MESSAGES 1 UIDNEXT 2 UNSEEN 0 RECENT 0\)
S: 16 OK .*
C: 17 IDLE
S: \+ .*
C: DONE
S: 17 OK .*
C: 18 select "Archives/2026" (CONDSTORE)
S: \* OK \[CLOSED\] .*
S* 18 OK .*
C: 19 UID fetch 1:* (FLAGS) (CHANGEDSINCE 1)
S: \* 1 FETCH \(UID 1 FLAGS \(\\Seen \$label1 NonJunk\) MODSEQ \(\d+\)\)
S: 19 OK .*
C: 20 uid store 1 +FLAGS (\Deleted)
S: \* 1 FETCH \(UID 1 FLAGS \(\\Deleted \\Seen \$label1 NonJunk\) MODSEQ \(\d+\)\)
S: 20 OK .*
C: 21 expunge
S: \* 1 EXPUNGE
S: 21 OK .*
C: 22 close
S: 22 OK .*
C: 23 unsubscribe "Archives/2026"
S: 23 OK .*
C: 24 delete "Archives/2026"
S: 24 OK .*
C: 25 logout
S: \* BYE .*
S: 25 OK .*
"""

APPLE = r"""
@m imaps
S: \* OK .*
C: 1.60 CAPABILITY
S: \* CAPABILITY .*
S: 1.60 OK .*
C: 2.60 AUTHENTICATE PLAIN
S: \+ ?
C: ${plain}
S: 2.60 OK .*
C: 3.60 CAPABILITY
S: \* CAPABILITY .*
S: 3.60 OK .*
C: 4.60 ID ("name" "Mac OS X Mail" "version" "16.0 (3826.300.87)" "os" "macOS" "os-version" "15.2 (24C101)" "vendor" "Apple Inc.")
S: \* ID .*
S: 4.60 OK .*
C: 5.60 ENABLE CONDSTORE
S: \* ENABLED CONDSTORE
S: 5.60 OK .*
C: 6.60 LIST "" ""
S: \* LIST \(\\Noselect\) "/" ""
S: 6.60 OK .*
C: 7.60 LIST "" "*"
S* 7.60 OK .*
C: 8.60 LSUB "" "*"
S* \* LSUB \(\) "/" INBOX
S* 8.60 OK .*
C: 9.60 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)
S: \* STATUS INBOX \(MESSAGES 1 UIDNEXT 3 UIDVALIDITY \d+ UNSEEN 1 HIGHESTMODSEQ \d+\)
S: 9.60 OK .*
C: 10.60 SELECT INBOX (CONDSTORE)
S* 10.60 OK .*
C: 11.60 FETCH 1:* (FLAGS UID)
S: \* 1 FETCH \(FLAGS \(\) UID 2\)
S: 11.60 OK .*
C: 12.60 UID SEARCH 1:1 NOT DELETED
S: \* SEARCH 2
S: 12.60 OK .*
C: 13.60 UID FETCH 2 (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type x-priority x-uniform-type-identifier x-universally-unique-identifier list-id list-unsubscribe bimi-indicator)] MODSEQ)
S: \* 1 FETCH \(UID 2 INTERNALDATE ".{26}" RFC822.SIZE \d+ FLAGS \(\) BODY\[HEADER.FIELDS \(date .* bimi-indicator\)\] \{\d+\}
S* Subject: two
S*  MODSEQ \(\d+\)\)
S: 13.60 OK .*
C: 14.60 UID FETCH 2 (BODYSTRUCTURE BODY.PEEK[HEADER])
S: \* 1 FETCH \(UID 2 BODYSTRUCTURE \(\("text" "plain" .*\)\("image" "png" \("name" "x.png"\) NIL NIL "base64" 4 .*\) "mixed" .*\) BODY\[HEADER\] \{\d+\}
S* \)
S: 14.60 OK .*
C: 15.60 UID FETCH 2 (BODY.PEEK[1.MIME] BODY.PEEK[1] BODY.PEEK[2]<0.32768>)
S: \* 1 FETCH \(UID 2 BODY\[1.MIME\] \{28\}
S: Content-Type: text/plain
S:
S:  BODY\[1\] \{3\}
S: see BODY\[2\]<0> \{4\}
S: AAEC\)
S: 15.60 OK .*
C: 16.60 UID STORE 2 +FLAGS.SILENT ($NotJunk NotJunk)
S: \* FLAGS .*
S: \* OK \[PERMANENTFLAGS .*
S: 16.60 OK .*
C: 17.60 UID STORE 2 -FLAGS.SILENT (JunkRecorded Junk $Junk)
S: 17.60 OK .*
C: 18.60 CREATE "Deleted Messages"
S: 18.60 OK .*
C: 19.60 UID COPY 2 "Deleted Messages"
S: 19.60 OK \[COPYUID \d+ 2 1\] .*
C: 20.60 UID STORE 2 +FLAGS.SILENT (\Deleted \Seen)
S: 20.60 OK .*
C: 21.60 UID EXPUNGE 2
S: \* 1 EXPUNGE
S: 21.60 OK \[HIGHESTMODSEQ \d+\] .*
C: 22.60 APPEND "Drafts" (\Seen \Draft $NotJunk) "26-Nov-2026 20:00:00 +0100" {6}
S: \+ .*
C: a: b
C:
S: 22.60 OK \[APPENDUID \d+ 1\] .*
C: 23.60 IDLE
S: \+ .*
C: DONE
S: 23.60 OK .*
C: 24.60 CLOSE
S: 24.60 OK .*
C: 25.60 LOGOUT
S: \* BYE .*
S: 25.60 OK .*
"""

OUTLOOK = r"""
@o imaps
S: \* OK .*
C: k4px CAPABILITY
S: \* CAPABILITY .*
S: k4px OK .*
C: y5bn LOGIN "u@example.test" "secret"
S: y5bn OK .*
C: rh1s LIST "" "INBOX"
S: \* LIST .* "/" INBOX
S: rh1s OK .*
C: 5pcq LIST "" *
S* 5pcq OK .*
C: q1q8 LSUB "" *
S* q1q8 OK .*
C: 2k0d CREATE "Sent Items"
S: 2k0d OK .*
C: 7f5w SUBSCRIBE "Sent Items"
S: 7f5w OK .*
C: 0wnv SELECT "Deleted Messages"
S* 0wnv OK .*
C: x6z7 UID FETCH 1:* (UID FLAGS)
S: \* 1 FETCH \(UID 1 FLAGS \(.*\)\)
S: x6z7 OK .*
C: amz3 UID FETCH 1:1 (BODY.PEEK[HEADER.FIELDS ("Return-Path" "From" "Subject" "X-MS-Exchange-Inbox-Rules-Loop")] ENVELOPE BODYSTRUCTURE INTERNALDATE FLAGS UID RFC822.SIZE)
S: \* 1 FETCH \(UID 1 BODY\[HEADER.FIELDS \(Return-Path From .*\)\] \{\d+\}
S*  ENVELOPE \(NIL "two" .*\) BODYSTRUCTURE \(.*\) INTERNALDATE ".*" FLAGS \(.*\) RFC822.SIZE \d+\)
S: amz3 OK .*
C: pp2o UID FETCH 1 (BODY.PEEK[] UID)
S: \* 1 FETCH \(UID 1 BODY\[\] \{\d+\}
S* \)
S: pp2o OK .*
C: 3gdg UID SEARCH SINCE 1-Jan-2020 UNSEEN
S: \* SEARCH.*
S: 3gdg OK .*
C: 9e2w UID STORE 1 +FLAGS (\Deleted \Seen)
S: \* 1 FETCH \(UID 1 FLAGS \(\\Deleted .*\)\)
S: 9e2w OK .*
C: d2op NOOP
S: d2op OK .*
C: m4ui EXPUNGE
S: \* 1 EXPUNGE
S: m4ui OK .*
C: f1ir APPEND "Sent Items" (\Seen) " 6-Nov-2026 20:00:00 +0100" {6}
S: \+ .*
C: a: b
C:
S: f1ir OK .*
C: u7e2 STATUS "Sent Items" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)
S: \* STATUS "Sent Items" \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+ UNSEEN 0\)
S: u7e2 OK .*
C: zz0p LOGOUT
S: \* BYE .*
S: zz0p OK .*
"""

for processes in (False, True):
    with Dev(processes=processes, users={USER: PASSWORD}) as dev:
        with imap_login(dev, USER, PASSWORD) as imap:
            for message in (PLAIN_TEXT, WITH_FILE):
                imap.append("INBOX", None, None, message)
        check_transcript(dev, THUNDERBIRD, "Thunderbird", plain=PLAIN)
        check_transcript(dev, APPLE, "Apple Mail", plain=PLAIN)
        check_transcript(dev, OUTLOOK, "Outlook")
done()
