#!/usr/bin/env python3
"""What seldom goes wrong goes wrong, at every point that lib/fault.h has and in the middle of work: commits, records,
chunks, links between roles, connections, memory. A run starts a server with a few such faults, in one process or in
roles, and delivers, submits, appends, changes and reads while they strike. Then:

- what was acknowledged is there, once, now and after the next start; what was refused was refused for now (4xx, NO
  with a code that says so, or the end of the connection), never for good;
- nothing ended but what the fault was to end, and a role that did is back;
- the same server serves on, and fsck finds nothing.

POSTHOUSE_SEED chooses other faults, POSTHOUSE_FAULT_RUNS how many runs each mode has (12), POSTHOUSE_FAULT_PLAN one plan
to try ("imap@conn.write:17,store@store.put:9:kill", or without roles for one process)."""
import json
import os
import random
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from crash import REFUSED, Delivering, Lie, Mutator, Submitting, check, imap_open, memory_disk
from posthouse import Dev, FakeDns, FakeSmtp, SANITIZER, binary, diag, done, ok, role_pid, wait_for

SEED = int(os.environ.get("POSTHOUSE_SEED", "20261126"))
RUNS = int(os.environ.get("POSTHOUSE_FAULT_RUNS", "12"))
PLAN = os.environ.get("POSTHOUSE_FAULT_PLAN")
ITEMS = 3           # faults in a run
STEPS = 6           # of each worker in a run, and as many when the faults are over
USERS = {f"{u}@example.test": "secret" for u in ("box1", "in1", "in2", "out")}
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}      # aborted processes have no time to tidy up

READERS, NETWORK = ("auth", "imap", "relay"), ("mx", "submit", "imap", "relay")
EVERYWHERE = ("store", "auth", "mx", "submit", "imap", "relay")
# point: the roles that pass it, how often one does about, in the script
POINTS = {
    "store.begin": (("store",), 60), "store.commit": (("store",), 60), "store.committed": (("store",), 60),
    "store.result": (("store",), 6),
    "store.put": (("store",), 900), "store.del": (("store",), 60), "store.chunk": (("store",), 40),
    "store.read": (("store", *READERS), 400), "store.bytes": (("imap", "relay"), 40), "store.snap": (READERS, 150),
    "link.send": (EVERYWHERE, 60), "conn.read": (NETWORK, 100), "conn.write": (NETWORK, 100),
    "conn.accept": (("mx", "submit", "imap"), 8), "dns.ask": (("mx", "relay"), 8),
    "mem.alloc": (EVERYWHERE, 1500), "mem.random": (EVERYWHERE, 20),
}
FOR_NOW = re.compile(r"\[(UNAVAILABLE|SERVERBUG|CORRUPTION|INUSE)\]")


class House:
    def __init__(self, processes, far):
        self.processes, self.far, self.dns = processes, far, FakeDns()
        self.data = Path(tempfile.mkdtemp(prefix="posthouse-faults-", dir=memory_disk()))
        self.dev = None

    def start(self, faults):
        """False when the faults did not let it."""
        self.dev = Dev("--set", "relay.retry_min=1s", "--set", "relay.retry_max=1s", "--set", "smtp.errors_max=1000",
                       "--set", "policy.sender=note", processes=self.processes, data=self.data,
                       domains=["example.test"], users=USERS, dns=self.dns.address,
                       route=f"{self.far.host}:{self.far.port}",
                       env={**NO_LEAK_CHECK, "POSTHOUSE_FAULTS": faults})
        try:
            self.dev.start()
        except RuntimeError as e:
            check(self.hits() and "has ended" in str(e), f"the server does not start: {e}")
            return False
        return True

    def hits(self):
        return re.findall(r"^# fault (\S+)$", self.dev.stderr, re.M)

    def lives(self):
        return self.dev.process.poll() is None

    def command(self, *words):
        p = subprocess.run([binary(), *words, "--data", str(self.data)], capture_output=True, text=True, timeout=120,
                           env={**os.environ, **NO_LEAK_CHECK})
        check(not SANITIZER.search(p.stderr), f"{words}: {p.stderr}")
        check(p.returncode >= 0, f"{words} ended with signal {-p.returncode}")
        return p.returncode, p.stdout, p.stderr

    def asked(self, *words):
        status, said, why = self.command(*words)
        if status != 0:
            raise OSError(f"{words}: {status} {why}")
        return json.loads(said)

    def queue(self):
        return [r["rcpt"] for item in self.asked("queue", "list", "--json") for r in item["recipients"]]

    def remove(self):
        if self.dev and self.lives():
            self.dev.kill()
        self.dns.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def fsck(self):
        if not (self.data / "data.mdb").exists():   # it died before it had made one
            return
        status, said, why = self.command("fsck")
        check(status == 0 and "sound" in said, f"fsck: {status} {said} {why}")


class Commanding:
    """The administrator adds aliases while the server runs."""
    name = "command"

    def __init__(self, house):
        self.house, self.acked, self.tried, self.number, self.session = house, set(), set(), 0, None

    def connect(self, _server):
        return self

    def step(self):
        self.number += 1
        alias = f"alias{self.number}@example.test"
        self.tried.add(alias)
        status, _, why = self.house.command("alias", "add", alias, "box1@example.test")
        if status:
            check(why, f"alias add ended with {status} and no word")
            raise OSError(f"alias add: {why}")
        self.acked.add(alias)

    def verify(self, _server):
        there = [row["address"] for row in self.house.asked("alias", "list", "--json")]
        check(self.acked <= set(there) <= self.tried and len(there) == len(set(there)),
              f"aliases: {there}, acknowledged {self.acked}")


def for_now(error):
    """A refusal that does not say never."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(400 <= code < 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    text = " ".join(str(a) for a in error.args)
    if isinstance(error, (OSError, EOFError, smtplib.SMTPServerDisconnected)) or re.search(r"EOF|BYE|socket error", text):
        return True
    return bool(FOR_NOW.search(text))


class Sweep:
    """One store, one mode, a chain of runs: each begins with what the last one left."""

    def __init__(self, processes, far):
        self.rng = random.Random(f"{SEED} {processes}")
        self.house, self.far = House(processes, far), far
        self.mode = "roles" if processes else "one process"
        self.reach = {(role, point): passes for point, (roles, passes) in POINTS.items()
                      for role in (roles if processes else ("",))}
        self.hit = set()
        self.workers = [Mutator(SEED, "box1"), Delivering(SEED, "in"), Submitting(SEED, "out", far, self.house.queue),
                        Commanding(self.house)]

    def plan(self):
        if PLAN:
            return PLAN.split(",")
        items = {}
        for role, point in self.rng.sample(sorted(self.reach), ITEMS):
            nth = round(self.reach[role, point] ** self.rng.random())
            dies = ":kill" if self.rng.random() < 0.2 else ""
            items[role, point] = f"{role}{'@' if role else ''}{point}:{nth}{dies}"
        return sorted(items.values())

    def tolerant(self, what):
        """Do it; when a fault strikes in it, it may be refused, for now. True when it was done."""
        try:
            what()
            return True
        except REFUSED as e:
            try:    # its word may come later than what it did
                wait_for(self.house.hits, "a fault", 10)
            except TimeoutError:
                check(False, f"refused without a fault: {e!r}")
            check(for_now(e), f"refused for good: {e!r} after {self.house.hits()}")
            return False

    def step(self, worker):
        if worker.session is None:
            worker.session = worker.connect(self.house.dev)
        try:
            worker.step()
        except REFUSED:
            worker.session = None
            raise

    def work(self):
        for _ in range(STEPS):
            for worker in self.workers:
                if not self.house.lives():
                    return
                if not self.tolerant(lambda w=worker: self.step(w)):
                    if not self.house.lives():
                        return
                    self.settle(worker)

    def settle(self, worker):
        """What had no answer is looked up; each fault that is still to come may refuse that, too."""
        wait_for(lambda: not self.house.lives() or self.tolerant(lambda: worker.verify(self.house.dev)),
                 f"{worker.name} to be read again, after {self.house.hits()}", 60, 0.1)

    def fatal(self):
        """The faults that struck and end a process."""
        hits = self.house.hits()
        return [i for i in self.items if ("kill" in i or "mem.alloc" in i or "store.committed" in i) and
                any(i.startswith(h) for h in hits)]

    def run(self):
        self.items = self.plan()
        started = self.house.start(",".join(self.items))
        if started:
            for worker in self.workers:
                worker.session = None
                self.settle(worker)
            self.work()
        if started and self.house.lives():
            self.roles_are_back()
            for worker in self.workers:
                self.settle(worker)
        self.ended()
        self.learn()
        self.house.fsck()

    def roles_are_back(self):
        if self.house.processes:
            for role in EVERYWHERE:
                wait_for(lambda: role_pid(self.house.dev, role), f"{role} to be back")

    def ended(self):
        dev = self.house.dev
        died = dev.process.poll() is not None
        status = dev.stop() if not died else dev._reap() if dev.ready else dev.process.returncode
        check(not SANITIZER.search(dev.stderr), "a sanitizer spoke")
        signals = set(map(int, re.findall(r"a role died .*signal=(\d+)", dev.stderr)))
        check(signals <= {signal.SIGKILL, signal.SIGABRT, signal.SIGTERM}, f"roles died by {signals}")
        if signals & {signal.SIGKILL, signal.SIGABRT} or status != 0:
            check(self.fatal() or not dev.ready, f"ended with {status}, role signals {signals}")
        check(status is not None and (status >= 0 or -status in (signal.SIGKILL, signal.SIGABRT)),
              f"the server ended with {status}")

    def learn(self):
        hits = self.house.hits()
        for item in self.items:
            role, _, rest = item.rpartition("@")
            point, nth = rest.split(":")[:2]
            if any(item.startswith(h) for h in hits):
                self.hit.add((role, point))
            elif self.house.dev.ready and not self.fatal() and not PLAN:
                self.reach[role, point] = max(1, int(nth) // 2)

    def go(self):
        for number in range(1 if PLAN else RUNS):
            try:
                self.run()
            except (Lie, TimeoutError, AssertionError, *REFUSED) as e:
                ok(False, f"{self.mode}: {','.join(self.items)}", f"run {number}, seed {SEED}, struck: {self.house.hits()}\n"
                   f"{type(e).__name__}: {e}\n{self.house.dev.stderr[-8000:]}")
                return
            ok(True, f"{self.mode}: {','.join(self.items)} ({len(self.house.hits())} struck)")
        self.finish()

    def finish(self):
        self.items = []
        try:
            check(self.house.start(""), "it does not start any more")
            for worker in self.workers:
                worker.session = None
                worker.verify(self.house.dev)
            self.work()
            submitting = self.workers[2]
            wait_for(lambda: submitting.sent <= set(submitting.arrived()), "everything submitted to arrive", 120, 0.1)
            wait_for(lambda: not self.house.queue(), "the queue to be empty", 60, 0.1)
            for worker in self.workers:
                worker.verify(self.house.dev)
            self.ended()
            self.house.fsck()
            ok(True, f"{self.mode}: without faults everything is there and all goes on")
        except (Lie, TimeoutError, AssertionError, *REFUSED) as e:
            ok(False, f"{self.mode}: the last start", f"{type(e).__name__}: {e}\n{self.house.dev.stderr[-50000:]}")
        diag(f"{self.mode}: struck {len(self.hit)} of {len(self.reach)}: "
             f"{' '.join(sorted(f'{r}@{p}' if r else p for r, p in self.hit))}")


def main():
    diag(f"seed {SEED}")
    modes = (False, True) if not PLAN else ("@" in PLAN,)
    for processes in modes:
        with FakeSmtp() as far:
            sweep = Sweep(processes, far)
            try:
                sweep.go()
            finally:
                sweep.house.remove()
    done()


main()
