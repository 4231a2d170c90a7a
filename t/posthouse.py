"""What tests against the real binary share (Python 3.11, standard library only): TAP output, a running
`posthouse dev`, reading mail back over IMAP. Messages, transcripts and fake servers have files of their own and are
offered here too.

    from posthouse import Dev, done, ok

    for processes in (False, True):
        with Dev(processes=processes) as dev:
            ok(dev.pid > 0, "it runs")
    done()
"""
import imaplib
import json
import os
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from fakedns import FakeDns          # noqa: F401 (offered to tests)
from fakesmtp import FakeSmtp        # noqa: F401
from messages import odd_messages, random_message  # noqa: F401
from transcript import TranscriptError, play       # noqa: F401

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("POSTHOUSE_BUILD", ROOT / "build-test"))
START_S = 60      # generous: sanitizers on a busy machine
STOP_S = 60
SANITIZER = re.compile(r"(Address|Leak|Undefined\w*|Thread|Memory)Sanitizer|runtime error:")

# --- TAP ------------------------------------------------------------------------------------------------------

_tests = {"run": 0, "failed": 0, "planned": None}


def plan(n):
    """Announce the number of tests; without it `done` prints the plan at the end."""
    _tests["planned"] = n
    print(f"1..{n}", flush=True)


def diag(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def ok(condition, name, why=""):
    _tests["run"] += 1
    if condition:
        print(f"ok {_tests['run']} - {name}", flush=True)
    else:
        _tests["failed"] += 1
        print(f"not ok {_tests['run']} - {name}", flush=True)
        diag(why)
    return bool(condition)


def _shown(value):
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:400]} ... {text[-160:]}"


def is_equal(got, want, name):
    """Octets that differ are shown from shortly before the first difference."""
    if got == want:
        return ok(True, name)
    at = 0
    if isinstance(got, bytes) and isinstance(want, bytes):
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        start = max(0, at - 40)
        return ok(False, name, f"differ at octet {at} ({len(got)} and {len(want)} octets)\n"
                               f"got  {_shown(got[start:at + 80])}\nwant {_shown(want[start:at + 80])}")
    return ok(False, name, f"got  {_shown(got)}\nwant {_shown(want)}")


def skip(name, reason):
    """A skipped test is a failure where POSTHOUSE_NO_SKIP=1 (CI)."""
    if os.environ.get("POSTHOUSE_NO_SKIP"):
        return ok(False, name, f"skipped: {reason}")
    _tests["run"] += 1
    print(f"ok {_tests['run']} - {name} # SKIP {reason}", flush=True)
    return True


def done():
    """Print the plan if there was none, and leave with the exit status of the script."""
    if _tests["planned"] is None:
        print(f"1..{_tests['run']}", flush=True)
    kept = _tests["planned"] in (None, _tests["run"])
    sys.exit(1 if _tests["failed"] or not kept or _tests["run"] == 0 else 0)


# --- waiting --------------------------------------------------------------------------------------------------

def wait_for(condition, what, deadline_s=30, every_s=0.02):
    """The first true answer of condition(); TimeoutError after deadline_s."""
    end = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline_s} s for {what}")
        time.sleep(every_s)


# --- the server -----------------------------------------------------------------------------------------------

def binary():
    path = BUILD / "cmd" / "posthouse"
    if not path.exists():
        raise FileNotFoundError(f"{path}: build first, or set POSTHOUSE_BUILD")
    return str(path)


class Dev:
    """A running `posthouse dev`. What its ready line says becomes attributes: pid, host, smtp, submission,
    submissions, imap, imaps, lmtp, ca, data. Leaving the `with` block stops it and raises AssertionError when it did
    not end cleanly or a sanitizer spoke."""

    def __init__(self, *options, processes=False, data=None, domains=(), users=(), dns=None, route=None, port_base=None,
                 env=None, program=None):
        self.options = [str(o) for o in options]
        if processes:
            self.options.append("--processes")
        for name, value in (("--data", data), ("--dns", dns), ("--route", route), ("--port-base", port_base)):
            if value is not None:
                self.options += [name, str(value)]
        for domain in domains:
            self.options += ["--domain", domain]
        for address, password in dict(users).items():
            self.options += ["--user", f"{address}:{password}"]
        self.env = dict(os.environ, **(env or {}))
        self.program = program
        self.process = None
        self.ready = {}
        self.stderr = ""

    def __getattr__(self, name):
        try:
            return self.__dict__["ready"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def pids(self):
        return str(self.process.pid)

    def start(self):
        self.folder = Path(tempfile.mkdtemp(prefix="posthouse-test-"))
        ready_file = self.folder / "ready.json"
        command = [self.program or binary(), "dev", "--ready", str(ready_file), *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=self.env)
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()
        try:
            self.ready = self._wait_ready()
            said = json.loads(ready_file.read_text())
            assert said == self.ready, f"ready file {said} is not the ready line {self.ready}"
        except BaseException:
            self.kill()
            raise
        return self

    def _collect(self):
        for line in self.process.stderr:
            self.stderr += line.decode("utf-8", "replace")

    def _wait_ready(self):
        line = []
        reader = threading.Thread(target=lambda: line.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(START_S)
        if line == [b""]:   # its end shows here first
            status = self.process.wait(STOP_S)
            raise RuntimeError(f"posthouse dev has ended with {status} before it was ready:\n{self.stderr[-4000:]}")
        if not line:
            raise RuntimeError(f"posthouse dev is not ready after {START_S} s:\n{self.stderr[-4000:]}")
        ready = json.loads(line[0])
        if ready.get("ready") is not True:
            raise RuntimeError(f"not a ready line: {line[0]!r}")
        return ready

    def signal(self, number):
        os.kill(self.process.pid, number)

    def stop(self):
        """SIGTERM; the exit status. What it still held is finished first."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self._reap()

    def kill(self):
        """SIGKILL to the process that was started, and its children with it if it has any."""
        if self.process.poll() is None:
            family = children_of(self.process.pid)
            self.signal(signal.SIGKILL)
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        return self._reap()

    def _reap(self):
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        self._collector.join(10)
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return status

    def check(self, status):
        """Raise unless the server ended cleanly and no sanitizer spoke."""
        assert not SANITIZER.search(self.stderr), f"sanitizer report:\n{self.stderr[-8000:]}"
        assert status == 0, f"posthouse dev ended with {status}:\n{self.stderr[-4000:]}"

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *rest):
        status = self.stop()
        if kind is None:
            self.check(status)
        elif self.stderr:
            diag(self.stderr[-4000:])


def children_of(pid):
    """All descendants that live now."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        more = parents.get(todo.pop(), [])
        found += more
        todo += more
    return found


def role_pid(server, role):
    """The process of a role that lives now, None while there is none (`--processes`)."""
    for pid in children_of(server.pid):
        try:
            if Path(f"/proc/{pid}/comm").read_text().strip() == role and parent_of(pid) == server.pid:
                return pid
        except OSError:
            continue
    return None


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


# --- clients --------------------------------------------------------------------------------------------------

def tls_context(server):
    """Verifies against the server's CA."""
    return ssl.create_default_context(cafile=server.ca)


def imap_login(server, user, password="secret"):
    imap = imaplib.IMAP4_SSL(server.host, server.imaps, ssl_context=tls_context(server), timeout=60)
    imap.login(user, password)
    return imap


def imap_messages(server, user, password="secret", mailbox="INBOX"):
    """All messages of a mailbox, octet for octet, in the order of their numbers."""
    with imap_login(server, user, password) as imap:
        return fetch_messages(imap, mailbox)


def fetch_messages(imap, mailbox="INBOX"):
    status, data = imap.select(f'"{mailbox}"', readonly=True)
    assert status == "OK", data
    if int(data[0]) == 0:
        return []
    status, parts = imap.fetch("1:*", "(BODY.PEEK[])")
    assert status == "OK", parts
    return [part[1] for part in parts if isinstance(part, tuple)]


def wait_messages(server, user, count, password="secret", mailbox="INBOX", deadline_s=60):
    """imap_messages as soon as there are `count` of them."""
    with imap_login(server, user, password) as imap:
        def enough():
            imap.noop()
            got = fetch_messages(imap, mailbox)
            return got if len(got) >= count else None
        return wait_for(enough, f"{count} messages of {user} in {mailbox}", deadline_s, 0.1)


def check_transcript(server, text, name, **given):
    """A test: the transcript is played without a deviation."""
    try:
        play(server, text, **given)
        ok(True, name)
    except TranscriptError as e:
        diag(e)
        ok(False, name)


def smtp_send(server, sender, recipients, message):
    """By SMTP on the mx port, octets as they are (smtplib's own line ending repair finds nothing to do)."""
    with smtplib.SMTP(server.host, server.smtp, timeout=60) as smtp:
        smtp.sendmail(sender, recipients, message, mail_options=["BODY=8BITMIME"])


def submit(server, user, recipients, message, password="secret"):
    """By submission over TLS (port 465's kind), logged in as `user`, who is also the sender."""
    with smtplib.SMTP_SSL(server.host, server.submissions, context=tls_context(server), timeout=60) as smtp:
        smtp.login(user, password)
        smtp.sendmail(user, recipients, message, mail_options=["BODY=8BITMIME"])


def command(server, *args):
    """What `posthouse ARGS` says about the server's data; when it fails, why is told."""
    run = subprocess.run([binary(), *args, "--data", server.data], capture_output=True, text=True, timeout=120)
    if run.returncode:
        diag(run.stderr)
    return run.stdout


def records(server, *args):
    """The audit records that `posthouse explain ARGS` finds, none when there are none."""
    run = subprocess.run([binary(), "explain", "--data", server.data, "--json", *args], capture_output=True, timeout=120)
    return json.loads(run.stdout) if run.returncode == 0 else []


def check_named(record, name):
    """What a check found, by a record; empty when it was not looked at."""
    return next((c for c in record["checks"] if c["name"] == name), {})


TRACE = (b"return-path:", b"received:", b"delivered-to:", b"authentication-results:", b"received-spf:",
         b"x-original-to:")


def without_trace(got):
    """A delivered message without the trace fields that servers put on top (RFC 5321 4.4), folded lines included."""
    while got.lower().startswith(TRACE):
        end = got.index(b"\r\n") + 2
        while got[end:end + 1] in (b" ", b"\t"):
            end = got.index(b"\r\n", end) + 2
        got = got[end:]
    return got
