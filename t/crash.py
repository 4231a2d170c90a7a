"""Traffic with a memory, for tests that kill the server or cut its power: each worker knows what was acknowledged and
the one operation, if any, whose answer it never saw. `verify` compares with what a restarted server has:

- every acknowledged operation is there, once, with the right octets and flags;
- the one without an answer is there wholly or not at all;
- UIDVALIDITY stays, UIDNEXT and HIGHESTMODSEQ never go back, no UID and no mod-sequence is used a second time.

Each account belongs to one worker, so what its mailboxes should hold is known exactly.
"""
import imaplib
import os
import random
import re
import shutil
import smtplib
import threading
import time

from posthouse import wait_for, without_trace

REFUSED = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error)
TIMEOUT_S = 60
BIG_SHARE = 0.06        # of messages beyond one chunk (64 KiB); all octets are read again at every check
BURST = 8               # steps of a worker in a round before it slows down
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "$one", "$two", "$three")


def memory_disk():
    """Where syncing costs nothing, if there is such a place: what a process has written outlives its death anyway."""
    free = shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else 0
    return "/dev/shm" if free > 1 << 30 else None


class Lie(AssertionError):
    """The server broke a promise."""


def check(condition, what):
    if not condition:
        raise Lie(what)


def answered(status, data, what):
    """A refusal is no lie."""
    if status != "OK":
        raise imaplib.IMAP4.error(f"{what}: {status} {data}")


def content(ident, sender="a@sender.test", big=False):
    """The message of an ident, the same octets every time."""
    lines = random.Random(ident).randrange(2, 30) if not big else random.Random(ident).randrange(1050, 1400)
    return (f"From: <{sender}>\r\nTo: <b@example.test>\r\nSubject: {ident}\r\nMessage-ID: <{ident}@sender.test>\r\n"
            "Date: Tue, 21 Jul 2026 10:00:00 +0000\r\n\r\n" + f"{ident} says it again, 64 octets a line, for checksums.\r\n"
            * lines).encode()


def is_big(ident):
    return "-big-" in ident


def imap_open(server, user, password="secret"):
    imap = imaplib.IMAP4(server.host, server.imap, timeout=TIMEOUT_S)
    imap.login(user, password)
    return imap


def send(smtp, sender, recipients, message):
    """To all of them or to none: a message without some of its recipients is for another test."""
    code, text = smtp.mail(sender)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, text, sender)
    for to in recipients:
        code, text = smtp.rcpt(to)
        if code != 250:
            raise smtplib.SMTPRecipientsRefused({to: (code, text)})
    code, text = smtp.data(message)
    if code != 250:
        raise smtplib.SMTPDataError(code, text)


class Mailbox:
    """What one mailbox holds now: {uid: (ident, flags, modseq)}."""

    def __init__(self, imap, name):
        self.name, self.messages = name, {}
        status, data = imap.select(name)
        answered(status, data, f"SELECT {name}")
        self.uidvalidity, self.uidnext, self.highestmodseq = (
            int(imap.response(code)[1][0]) for code in ("UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ"))
        if int(data[0]):
            self.read(imap)
        check(len(self.messages) == int(data[0]), f"{name}: {data[0]} messages, {len(self.messages)} fetched")

    def read(self, imap):
        status, parts = imap.uid("FETCH", "1:*", "(FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        answered(status, parts, f"FETCH in {self.name}")
        for part in parts:
            if not isinstance(part, tuple):
                continue
            row = part[0].decode()
            flags = re.search(r"FLAGS \(([^)]*)\)", row)[1].split()
            self.messages[int(re.search(r"UID (\d+)", row)[1])] = (
                part[1].decode().split(": ")[1].strip(), frozenset(flags) - {"\\Recent"},
                int(re.search(r"MODSEQ \((\d+)\)", row)[1]))

    def plain(self):
        return {uid: (ident, flags) for uid, (ident, flags, _) in self.messages.items()}


class History:
    """What was ever seen in the mailboxes of an account."""

    def __init__(self):
        self.boxes = {}      # name: (uidvalidity, uidnext, highestmodseq)
        self.uids = {}       # (name, uid): ident
        self.modseqs = {}    # (name, uid, modseq): flags
        self.last = {}       # (name, uid): modseq
        self.read = set()    # idents whose octets were compared, with name and uid

    def see(self, box):
        validity, uidnext, highest = self.boxes.get(box.name, (box.uidvalidity, 1, 1))
        check(box.uidvalidity == validity, f"{box.name}: UIDVALIDITY {box.uidvalidity}, was {validity}")
        check(box.uidnext >= uidnext, f"{box.name}: UIDNEXT {box.uidnext}, was {uidnext}")
        check(box.highestmodseq >= highest, f"{box.name}: HIGHESTMODSEQ {box.highestmodseq}, was {highest}")
        self.boxes[box.name] = (box.uidvalidity, box.uidnext, box.highestmodseq)
        for uid, (ident, flags, modseq) in box.messages.items():
            self.see_message(box, uid, ident, flags, modseq)

    def see_message(self, box, uid, ident, flags, modseq):
        key = (box.name, uid)
        check(uid < box.uidnext, f"{key}: not below UIDNEXT {box.uidnext}")
        check(modseq <= box.highestmodseq, f"{key}: MODSEQ {modseq} above HIGHESTMODSEQ {box.highestmodseq}")
        check(self.uids.setdefault(key, ident) == ident, f"{key}: {ident}, was {self.uids[key]}: the UID came again")
        check(modseq >= self.last.get(key, 0), f"{key}: MODSEQ {modseq}, was {self.last.get(key)}")
        before = self.modseqs.setdefault((*key, modseq), flags)
        check(before == flags, f"{key}: MODSEQ {modseq} with {set(flags)}, was with {set(before)}")
        self.last[key] = modseq

    def compare_octets(self, imap, box, sender="a@sender.test"):
        """Those not yet compared; `box` is selected."""
        fresh = [uid for uid in box.messages if (box.name, uid) not in self.read]
        if not fresh:
            return
        status, parts = imap.uid("FETCH", ",".join(map(str, fresh)), "(BODY.PEEK[])")
        answered(status, parts, f"{box.name}: BODY[]")
        got = {int(re.search(rb"UID (\d+)", p[0])[1]): p[1] for p in parts if isinstance(p, tuple)}
        for uid in fresh:
            ident = box.messages[uid][0]
            check(without_trace(got.get(uid, b"")) == content(ident, sender, is_big(ident)),
                  f"{box.name} {uid}: not the octets of {ident}")
            self.read.add((box.name, uid))


class Worker:
    """One kind of traffic. `run` goes on until `halt` is set or something is refused."""

    def __init__(self, seed, name):
        self.rng, self.name, self.number = random.Random(f"{seed} {name}"), name, 0
        self.steps = self.refusals = 0
        self.session = self.why = None

    def start(self, server, halt):
        self.thread = threading.Thread(target=self.run, args=(server, halt), daemon=True)
        self.thread.start()

    def run(self, server, halt):
        begun = self.steps
        try:
            while not halt.is_set():
                if self.session is None:
                    self.session = self.connect(server)
                self.step()
                self.steps += 1
                if self.steps - begun > BURST:      # the death is late: let it find somebody, and not too much
                    time.sleep(0.02)
        except REFUSED as e:
            self.refusals += 1
            self.why, self.session = e, None

    def join(self):
        self.thread.join(3 * TIMEOUT_S)
        check(not self.thread.is_alive(), f"{self.name} hangs")

    def ident(self):
        self.number += 1
        big = self.rng.random() < BIG_SHARE
        return f"{self.name}-{'big' if big else 'small'}-{self.number:05d}"


class Mutator(Worker):
    """APPEND, STORE, COPY, MOVE and EXPUNGE, each of which is one operation: after a lost answer the mailboxes are as
    before or as after it."""
    BOXES = ("INBOX", "Archive", "Trash")

    def __init__(self, seed, name):
        super().__init__(seed, name)
        self.user = f"{name}@example.test"
        self.boxes = {box: {} for box in self.BOXES}
        self.uidnext = dict.fromkeys(self.BOXES, 1)
        self.after = None       # as it will be once the operation that is on its way is done
        self.history = History()

    def connect(self, server):
        imap = imap_open(server, self.user)
        self.selected = None
        return imap

    def step(self):
        box = self.rng.choice(self.BOXES)
        if len(self.boxes[box]) < 3:
            return self.append(box)
        action = self.rng.choice((self.append, self.store, self.store, self.copy, self.move, self.expunge, self.expunge))
        return action(box)

    def do(self, after, uidnext, call):
        """One operation: until its OK nobody knows."""
        self.after = (after, uidnext)
        status, data = call()
        if status != "OK":
            raise imaplib.IMAP4.error(data)
        self.boxes, self.uidnext = after, uidnext
        self.after = None

    def changed(self, box, rows):
        return {**self.boxes, box: rows}

    def select(self, box):
        if self.selected != box:
            status, data = self.session.select(box)
            if status != "OK":
                raise imaplib.IMAP4.error(data)
            self.selected = box

    def some(self, box):
        uids = sorted(self.boxes[box])
        return sorted(self.rng.sample(uids, self.rng.randrange(1, min(len(uids), 4) + 1)))

    def append(self, box):
        ident = self.ident()
        uid = self.uidnext[box]
        flags = frozenset(self.rng.sample(FLAGS[:3], self.rng.randrange(3)))
        rows = {**self.boxes[box], uid: (ident, flags)}
        self.do(self.changed(box, rows), {**self.uidnext, box: uid + 1},
                lambda: self.session.append(box, " ".join(flags) or None, None, content(ident, big=is_big(ident))))

    def store(self, box):
        uids, flag, add = self.some(box), self.rng.choice(FLAGS), self.rng.random() < 0.6
        self.select(box)
        rows = {uid: (ident, (flags | {flag} if add else flags - {flag}) if uid in uids else flags)
                for uid, (ident, flags) in self.boxes[box].items()}
        self.do(self.changed(box, rows), self.uidnext, lambda: self.session.uid(
            "STORE", ",".join(map(str, uids)), ("+" if add else "-") + "FLAGS.SILENT", f"({flag})"))

    def put(self, box, uids, to):
        """The rows of `to` with copies of `uids`, which get the next UIDs in order."""
        first = self.uidnext[to]
        rows = {**self.boxes[to], **{first + i: self.boxes[box][uid] for i, uid in enumerate(uids)}}
        return rows, {**self.uidnext, to: first + len(uids)}

    def copy(self, box):
        uids, to = self.some(box), self.rng.choice(self.BOXES)
        self.select(box)
        rows, uidnext = self.put(box, uids, to)
        self.do(self.changed(to, rows), uidnext, lambda: self.session.uid("COPY", ",".join(map(str, uids)), to))

    def move(self, box):
        uids, to = self.some(box), self.rng.choice([b for b in self.BOXES if b != box])
        self.select(box)
        rows, uidnext = self.put(box, uids, to)
        left = {uid: row for uid, row in self.boxes[box].items() if uid not in uids}
        self.do({**self.changed(box, left), to: rows}, uidnext,
                lambda: self.session.uid("MOVE", ",".join(map(str, uids)), to))

    def expunge(self, box):
        uids = self.some(box)
        names = ",".join(map(str, uids))
        self.select(box)
        rows = {uid: (ident, flags | {"\\Deleted"} if uid in uids else flags)
                for uid, (ident, flags) in self.boxes[box].items()}
        self.do(self.changed(box, rows), self.uidnext,
                lambda: self.session.uid("STORE", names, "+FLAGS.SILENT", "(\\Deleted)"))
        left = {uid: row for uid, row in rows.items() if uid not in uids}
        self.do(self.changed(box, left), self.uidnext, lambda: self.session.uid("EXPUNGE", names))

    def verify(self, server, _empty=True):
        with imap_open(server, self.user) as imap:
            seen = {}
            for name in self.BOXES:
                seen[name] = Mailbox(imap, name)
                self.history.see(seen[name])
                self.history.compare_octets(imap, seen[name])
        now = ({name: box.plain() for name, box in seen.items()}, {name: box.uidnext for name, box in seen.items()})
        before = (self.boxes, self.uidnext)
        check(now in (before, self.after), f"{self.name}: neither as before nor as after the operation without an answer:\n"
              f"now {now}\nbefore {before}\nafter {self.after}")
        self.boxes, self.uidnext = now
        self.after = None


class Delivering(Worker):
    """SMTP to two accounts, to both in one transaction now and then. One verifies for both accounts."""
    KEEP = 25       # messages in a mailbox before it is emptied

    def __init__(self, seed, name, port="smtp", recipients=("in1@example.test", "in2@example.test")):
        super().__init__(seed, name)
        self.port, self.locals = port, recipients
        self.acked = {}         # ident: recipients
        self.pending = None
        self.history = {to: History() for to in recipients}
        self.sender = "a@sender.test"

    def connect(self, server):
        smtp = smtplib.SMTP(server.host, getattr(server, self.port), timeout=TIMEOUT_S)
        smtp.ehlo("client.test")
        return smtp

    def step(self):
        ident = self.ident()
        to = list(self.locals) if self.rng.random() < 0.5 else [self.rng.choice(self.locals)]
        self.pending = (ident, to)
        send(self.session, self.sender, to, content(ident, self.sender, is_big(ident)))
        self.acked[ident] = to
        self.pending = None

    def found(self, server, to, empty):
        """The idents in an INBOX, which is emptied when there are many and `empty` says so."""
        with imap_open(server, to) as imap:
            box = Mailbox(imap, "INBOX")
            self.history[to].see(box)
            self.history[to].compare_octets(imap, box, self.sender)
            empty = empty and len(box.messages) > self.KEEP
            if empty:
                wait_for(lambda: imap.uid("STORE", "1:*", "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
                         and imap.expunge()[0] == "OK", f"EXPUNGE for {to}")
        return [ident for ident, _, _ in box.messages.values()], empty

    def verify(self, server, empty=True):
        got, emptied = {}, {}
        for to in self.locals:
            got[to], emptied[to] = self.found(server, to, empty)
            check(len(set(got[to])) == len(got[to]), f"{to}: twice: {sorted(got[to])}")
        self.settle(got)
        for to in self.locals:
            want = {ident for ident, tos in self.acked.items() if to in tos}
            check(set(got[to]) == want, f"{to}: lost {want - set(got[to])}, not sent {set(got[to]) - want}")
        for ident, tos in list(self.acked.items()):
            self.acked[ident] = [to for to in tos if not emptied[to]]
            if not self.acked[ident]:
                del self.acked[ident]

    def settle(self, got):
        """The one without an answer: with all its recipients or none."""
        if self.pending is None:
            return
        ident, tos = self.pending
        there = [to for to in tos if ident in got[to]]
        check(there in ([], tos), f"{ident}: to {tos}, delivered to {there} only")
        if there:
            self.acked[ident] = tos
        self.pending = None


class Submitting(Delivering):
    """Submission to the own INBOX and through the relay to an address far away that is used once."""

    def __init__(self, seed, name, far, queue):
        super().__init__(seed, name, "submission", (f"{name}@example.test",))
        self.sender, self.far, self.queue = f"{name}@example.test", far, queue
        self.sent = set()       # idents whose copy for far away was accepted

    def connect(self, server):
        smtp = super().connect(server)
        smtp.login(self.sender, "secret")
        return smtp

    def step(self):
        ident = self.ident()
        self.pending = (ident, list(self.locals))
        send(self.session, self.sender, [*self.locals, f"{ident}@away.test"],
             content(ident, self.sender, is_big(ident)))
        self.acked[ident] = list(self.locals)
        self.sent.add(ident)
        self.pending = None

    def settle(self, got):
        """Every one accepted stands in the queue, or has arrived: looked at in this order."""
        queued = [to.split("@")[0] for to in self.queue()]
        check(len(set(queued)) == len(queued), f"twice in the queue: {sorted(queued)}")
        arrived = self.arrived()
        if self.pending is not None:
            ident = self.pending[0]
            there, away = ident in got[self.sender], ident in queued or ident in arrived
            check(there == away, f"{ident}: own copy {there}, queued or sent {away}")
            if away:
                self.sent.add(ident)
        super().settle(got)
        have = set(queued) | set(arrived)
        check(have == self.sent, f"queue: lost {self.sent - have}, never accepted {have - self.sent}")

    def arrived(self):
        with self.far.changed:
            return [m.recipients[0].split("@")[0] for m in self.far.messages]
