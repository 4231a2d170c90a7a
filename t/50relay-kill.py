"""A message is lost never, and sent twice only when its final dot was out and the reply to it not yet in the store: the
relay's process, or all of them, are killed with SIGKILL at each moment of a session, one after the other."""
import json
import os
import signal
import smtplib
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from posthouse import Dev, FakeSmtp, binary, children_of, diag, done, is_equal, ok, role_pid, tls_context, wait_for

USER = "alice@example.test"
EXTENSIONS = ["8BITMIME", "ENHANCEDSTATUSCODES", "SIZE", "DSN"]    # no PIPELINING: each command is a moment of its own
OPTIONS = ("--set", "relay.retry_min=1s", "--set", "relay.retry_max=1s")
LINE = "123456789 " * 7 + "\r\n"
MORE_THAN_BUFFERS = 280_000    # lines that no socket takes before somebody reads them
BEFORE_DOT = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "TEXT")


def gone(pid):
    """Dead, though perhaps not yet waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(gone(p) for p in pids), "the killed to be gone", 60, 0.001)


class Far(FakeSmtp):
    """Kills, once, when its session has come to a moment: a verb before it is answered, or ANSWERED."""

    def __init__(self, **more):
        super().__init__(extensions=EXTENSIONS, **more)
        self.moment, self.skip, self.kill, self.killed = None, 0, None, threading.Event()

    def arm(self, moment, how, skip=0):
        self.moment, self.skip, self.kill = moment, skip, how
        self.killed.clear()

    def reached(self, moment):
        if moment != self.moment:
            return
        if self.skip:
            self.skip -= 1
            return
        self.moment = None
        self.kill()
        self.killed.set()

    def scripted(self, verb, address=None):
        self.reached(verb)
        return super().scripted(verb, address)

    def answered(self):
        self.reached("ANSWERED")

    def count(self, subject, rcpt=None):
        line = f"Subject: {subject}\r\n".encode()
        with self.changed:
            return sum(line in m.data and (rcpt is None or rcpt in m.recipients) for m in self.messages)


class House:
    """A posthouse that can be killed whole and started again on the same data."""

    def __init__(self, data, far):
        self.options = dict(users={USER: "secret"}, data=data, route=f"127.0.0.1:{far.port}", processes=True,
                            env={"ASAN_OPTIONS": "detect_leaks=0"})
        self.dev = Dev(*OPTIONS, **self.options).start()

    def role(self, name):
        return wait_for(lambda: role_pid(self.dev, name), f"the role {name}", 60)

    def killer(self, what):
        """What kills: a role, or everything."""
        if what == "all":
            return lambda: kill(self.dev.pid, *children_of(self.dev.pid))
        return lambda: kill(self.role(what))

    def again(self):
        """After everything was killed."""
        if self.dev.process.poll() is not None or gone(self.dev.pid):
            self.dev.kill()
            self.dev = Dev(*OPTIONS, **self.options).start()

    def send(self, subject, *to, lines=10, victim="relay"):
        """Submitted and accepted. When more than the relay dies, the 250 may die with it: the relay can have the message,
        and its host ask for the kill, before it is written."""
        try:
            self.submit(subject, *to, lines=lines)
        except (smtplib.SMTPException, OSError):
            if victim == "relay":
                raise

    def submit(self, subject, *to, lines):
        text = f"From: <{USER}>\r\nSubject: {subject}\r\n\r\n" + LINE * lines
        with smtplib.SMTP_SSL(self.dev.host, self.dev.submissions, context=tls_context(self.dev), timeout=60) as session:
            session.login(USER, "secret")
            session.sendmail(USER, to, text)

    def empty(self):
        def none():
            p = subprocess.run([binary(), "queue", "list", "--json", "--data", self.dev.data], capture_output=True, text=True,
                               timeout=120)
            return p.returncode == 0 and not json.loads(p.stdout)
        wait_for(none, "the queue to empty", 120, 0.1)


def test_moment(house, far, moment, what, most=1):
    subject = f"{what}-{moment}-{time.monotonic_ns()}"
    far.arm(moment, house.killer(what))
    house.send(subject, "x@far.test", lines=MORE_THAN_BUFFERS if moment == "TEXT" else 10, victim=what)
    ok(far.killed.wait(60), f"{what} killed at {moment}")
    house.again()
    house.empty()
    n = far.count(subject)
    ok(1 <= n <= most, f"{what} killed at {moment}: came {'once' if most == 1 else 'once or twice'}", n)
    return n


def test_before_connect(house, far, what):
    """The message is in the queue and nothing else has happened."""
    relay = house.role("relay")
    os.kill(relay, signal.SIGSTOP)
    house.send(f"{what}-before", "x@far.test")
    is_equal(far.count(f"{what}-before"), 0, "nothing has gone out")
    house.killer(what)()
    house.again()
    house.empty()
    is_equal(far.count(f"{what}-before"), 1, f"{what} killed before it connects: came once")


def test_second_transaction(house, far, what):
    """Whoever was served by the first transaction is not sent it again for the others."""
    subject, to = f"{what}-second", [f"{c}@far.test" for c in "abc"]
    far.extensions = [*EXTENSIONS, "LIMITS RCPTMAX=1"]
    far.arm("MAIL", house.killer(what), skip=1)
    house.send(subject, *to, victim=what)
    ok(far.killed.wait(60), f"{what} killed at the second MAIL")
    house.again()
    house.empty()
    far.extensions = EXTENSIONS
    is_equal([far.count(subject, rcpt) for rcpt in to], [1, 1, 1], f"{what} killed at the second MAIL: to each once")


with tempfile.TemporaryDirectory() as folder, Far() as server:
    run = House(folder, server)
    try:
        for victim in ("relay", "all"):
            test_before_connect(run, server, victim)
            for at in BEFORE_DOT:
                test_moment(run, server, at, victim)
            is_equal(test_moment(run, server, ".", victim, 2), 2,
                     f"{victim} killed between the dot and the reply: nobody can know, so it is sent again")
            # the reply may have been read, and stored, or not: this stays open whoever does it
            diag([test_moment(run, server, "ANSWERED", victim, 2) for _ in range(3)])
            test_second_transaction(run, server, victim)
        # the relay keeps what it was told until a new store takes it
        for at in ("DATA", "TEXT", ".", "ANSWERED"):
            test_moment(run, server, at, "store")
    finally:
        status = run.dev.stop()
    run.dev.check(status)
done()
