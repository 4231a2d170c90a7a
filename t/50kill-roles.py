"""Every role is killed in turn (SIGKILL) while mail comes in, is appended, flagged, submitted, relayed and watched:
the others keep their sessions, the role works again, and nothing that was acknowledged is lost or doubled."""
import imaplib
import os
import re
import signal
import smtplib
import socket
import threading
import time

from posthouse import Dev, FakeSmtp, diag, done, fetch_messages, imap_login, is_equal, ok, role_pid, tls_context, wait_for

ROLES = ("mx", "submit", "imap", "auth", "relay", "store")
USERS = {f"{u}@example.test": "secret" for u in ("in", "out", "app", "flag", "idle")}
REFUSED = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error)


class Worker(threading.Thread):
    """Does one step after the other until told to stop. A step that raises is one that was not acknowledged."""

    def __init__(self, dev):
        super().__init__(daemon=True)
        self.dev, self.stopping, self.steps, self.why, self.session = dev, False, 0, "", None
        self.tried, self.acked = set(), set()
        self.bug = None

    def run(self):
        number = 0
        while not self.stopping:
            number += 1
            try:
                self.step(f"{self.name_}-{number:05d}")
                self.steps += 1
                time.sleep(0.005)
            except REFUSED as e:
                self.why, self.session = repr(e), None
                time.sleep(0.02)
            except Exception as e:    # shown by check()
                self.bug = e
                raise

    def works(self, what):
        """Two more steps done: the second has begun after this call."""
        want = self.steps + 2
        start = time.monotonic()
        try:
            wait_for(lambda: self.steps >= want, what, 30)
        except TimeoutError:
            return ok(False, what, f"last refusal: {self.why}, bug: {self.bug}")
        self.took = time.monotonic() - start
        return True


def mail(ident, to):
    return (f"From: <{ident}@sender.test>\r\nTo: <{to}>\r\nSubject: {ident}\r\n\r\n".encode() + b"x" * 2000 + b"\r\n")


class Incoming(Worker):
    name_ = "in"

    def step(self, ident):
        if not self.session:
            self.session = smtplib.SMTP(self.dev.host, self.dev.smtp, timeout=20)
            self.session.ehlo("client.test")
            self.served = 0
        self.tried.add(ident)
        self.session.sendmail("a@sender.test", ["in@example.test"], mail(ident, "in@example.test"))
        self.acked.add(ident)
        self.served += 1
        if self.served == 50:
            self.session.quit()
            self.session = None


class Submitting(Worker):
    """To a local user and through the relay."""
    name_ = "out"

    def step(self, ident):
        if not self.session:
            self.session = smtplib.SMTP_SSL(self.dev.host, self.dev.submissions, timeout=20, context=tls_context(self.dev))
            self.session.login("out@example.test", "secret")
            self.served = 0
        self.tried.add(ident)
        refused = self.session.sendmail(
            "out@example.test", ["out@example.test", "far@away.test"],
            mail(ident, "far@away.test").replace(ident.encode() + b"@sender.test", b"out@example.test"))
        if refused:     # one of two: the message was taken for the other
            raise smtplib.SMTPRecipientsRefused(refused)
        self.acked.add(ident)
        self.served += 1
        if self.served == 50:
            self.session.quit()
            self.session = None


class Imap(Worker):
    user = None

    def login(self):
        if not self.session:
            session = imap_login(self.dev, self.user)
            session.select()
            self.session = session
        return self.session


class Appending(Imap):
    name_, user = "app", "app@example.test"

    def step(self, ident):
        session = self.login()
        self.tried.add(ident)
        status, data = session.append("INBOX", None, None, mail(ident, self.user))
        if status != "OK":
            raise imaplib.IMAP4.error(data)
        self.acked.add(ident)


class Flagging(Imap):
    """One keyword after the other on one message: the set that was acknowledged stays."""
    name_, user = "flag", "flag@example.test"

    def step(self, ident):
        session = self.login()
        keyword = f"k{int(ident.split('-')[1]) % 40}"
        self.tried.add(keyword)
        status, data = session.store("1", "+FLAGS.SILENT", f"({keyword})")
        if status != "OK":
            raise imaplib.IMAP4.error(data)
        self.acked.add(keyword)


class Idling(threading.Thread):
    """Watches INBOX of idle@; `seen` is the number of messages that it was told of."""

    def __init__(self, dev):
        super().__init__(daemon=True)
        self.dev, self.stopping, self.seen, self.opened = dev, False, 0, 0

    def run(self):
        while not self.stopping:
            try:
                with imap_login(self.dev, "idle@example.test") as session:
                    self.watch(session)
            except REFUSED:
                time.sleep(0.02)

    def watch(self, session):
        self.seen = int(session.select(readonly=True)[1][0])
        session.send(b"W1 IDLE\r\n")
        self.opened += 1
        session.sock.settimeout(0.5)
        octets = b""
        while not self.stopping:
            try:
                more = session.sock.recv(4096)
            except socket.timeout:
                continue
            if not more:
                raise EOFError
            octets += more
            for line in octets.split(b"\r\n")[:-1]:
                exists = re.fullmatch(rb"\* (\d+) EXISTS", line)
                if exists:
                    self.seen = int(exists[1])
            octets = octets.split(b"\r\n")[-1]


def idents(messages):
    return [re.search(rb"^Subject: (\S+)", m, re.M)[1].decode() for m in messages]


def check_kept(name, worker, got):
    """What was acknowledged is there once, and nothing was invented."""
    twice = {i for i in got if got.count(i) > 1}
    ok(not worker.acked - set(got), f"{name}: {len(worker.acked)} acknowledged, all there",
       f"lost: {sorted(worker.acked - set(got))[:10]}")
    ok(not twice, f"{name}: none twice", sorted(twice)[:10])
    ok(set(got) <= worker.tried, f"{name}: none that was not sent", sorted(set(got) - worker.tried)[:10])


def kill_role(dev, role, workers, idler):
    """Sessions of the roles that live go on over the death; then everything works."""
    old = wait_for(lambda: role_pid(dev, role), f"a process of {role}")
    imap, smtp = imap_login(dev, "idle@example.test"), smtplib.SMTP(dev.host, dev.smtp, timeout=30)
    smtp.ehlo("stays.test")
    os.kill(old, signal.SIGKILL)
    start = time.monotonic()
    wait_for(lambda: role_pid(dev, role) not in (None, old), f"a new process of {role}")
    for worker in workers:
        worker.works(f"{worker.name_} works after the death of {role}")
    diag(f"{role}: every kind of traffic done twice {time.monotonic() - start:.2f} s after its death")
    if role != "mx":
        is_equal(smtp.noop()[0], 250, f"an SMTP session outlives {role}")
        before = idler.seen
        smtp.sendmail("a@sender.test", ["idle@example.test"], mail(f"news-{role}", "idle@example.test"))
        smtp.quit()
        wait_for(lambda: idler.seen > before, f"IDLE after the death of {role}")
    if role != "imap":
        is_equal(imap.select()[0], "OK", f"an IMAP session outlives {role}")
        is_equal(imap.append("INBOX", None, None, mail("x", "y"))[0], "OK", "and writes")
        imap.logout()


def test_kill_each():
    env = {"ASAN_OPTIONS": "detect_leaks=0"}
    with FakeSmtp() as far, Dev("--set", "relay.retry_min=1s", processes=True, domains=["example.test"], users=USERS,
                                route=f"{far.host}:{far.port}", env=env) as dev:
        with imap_login(dev, "flag@example.test") as imap:
            imap.append("INBOX", None, None, mail("flagged", "flag@example.test"))
        workers = [Incoming(dev), Submitting(dev), Appending(dev), Flagging(dev)]
        idler = Idling(dev)
        for worker in workers + [idler]:
            worker.start()
        for worker in workers:
            worker.works(f"{worker.name_} works")
        wait_for(lambda: idler.opened, "IDLE")
        for role in ROLES * 2:
            kill_role(dev, role, workers, idler)
            ok(True, f"{role} is back, the rest has served on")
        for worker in workers + [idler]:
            worker.stopping = True
        for worker in workers + [idler]:
            worker.join(60)
        incoming, submitting, appending, flagging = workers
        check_kept("in", incoming, inbox(dev, "in@example.test"))
        check_kept("submitted", submitting, inbox(dev, "out@example.test"))
        check_kept("appended", appending, inbox(dev, "app@example.test"))
        with imap_login(dev, "flag@example.test") as imap:
            imap.select()
            flags = imap.fetch("1", "(FLAGS)")[1][0].decode()
            ok(all(re.search(rf"\b{k}\b", flags) for k in flagging.acked), "every keyword is there", flags)
        check_relayed(far, submitting)


def inbox(dev, user):
    with imap_login(dev, user) as imap:
        return idents(fetch_messages(imap))


def check_relayed(far, submitting):
    """At least once: a death between the far server's 250 and our commit sends again."""
    def arrived():
        with far.changed:
            return set(idents([m.data for m in far.messages]))
    wait_for(lambda: submitting.acked <= arrived(), "everything submitted to arrive far away", 60)
    ok(arrived() <= submitting.tried, f"relayed: {len(submitting.acked)} acknowledged, all arrived")


test_kill_each()
done()
