#!/usr/bin/env python3
"""kill -9 of the store and of everything, over and over, under deliveries, submissions, appends, flag changes, copies,
moves, expunges and gc of what was expunged. After each death everything that was acknowledged is there, once; what had no answer is there wholly
or not at all; fsck finds nothing; UIDs and mod-sequences only grow (t/crash.py).

A store that has lived through LIFE rounds is drained, looked at for the last time and followed by a new one: what is
checked after each death grows with what was ever stored.

POSTHOUSE_SEED chooses another run, POSTHOUSE_ROUNDS its length: 210 in CI, 40 elsewhere."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from crash import REFUSED, Delivering, Lie, Mutator, Submitting, check, memory_disk
from posthouse import Dev, FakeSmtp, SANITIZER, binary, diag, done, is_equal, ok, role_pid, wait_for

SEED = int(os.environ.get("POSTHOUSE_SEED", "20260721"))
ROUNDS = int(os.environ.get("POSTHOUSE_ROUNDS", "210" if "CI" in os.environ else "40"))
LIFE = 35
USERS = {f"{u}@example.test": "secret" for u in ("box1", "box2", "in1", "in2", "out")}
# Where a store dies exactly: before a commit, after it but before anyone is told, and while it deletes rows.
POINTS = ("store.commit", "store.committed")
DELETING = "store.del"  # in gc at its start as well: a new one would die there again and again
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}


class House:
    """A server on one data directory, killed and started again."""

    def __init__(self, far):
        self.data = Path(tempfile.mkdtemp(prefix="posthouse-crash-", dir=memory_disk()))
        self.far, self.dev, self.rounds, self.deleted = far, None, {"store": 0, "everything": 0}, 0

    def start(self, processes, faults=""):
        self.processes = processes
        dev = Dev("--set", "relay.retry_min=1s", "--set", "relay.retry_max=1s", "--set",
                  "smtp.errors_max=1000", "--set", "store.gc_wait=1s", "--set", "log_level=debug", processes=processes, data=self.data,
                  domains=["example.test"], users=USERS, route=f"{self.far.host}:{self.far.port}",
                  env={**NO_LEAK_CHECK, "POSTHOUSE_FAULTS": faults})
        self.dev = dev.start()

    def kill_store(self):
        self.killed = role_pid(self.dev, "store")
        if self.killed:
            os.kill(self.killed, signal.SIGKILL)
        self.rounds["store"] += 1

    def wait_for_store(self):
        """Until the new one has begun, readers may not see a commit that the old one ended its life with."""
        wait_for(self.store_is_back, "a new store", 60, 0.01)

    def store_is_back(self):
        back = re.findall(r"a role is back role=store pid=(\d+)\n", self.dev.stderr)
        return back and int(back[-1]) != self.killed and role_pid(self.dev, "store") == int(back[-1])

    def count_deleted(self):
        """Objects that gc has deleted for good while this server lived, however it ended."""
        self.deleted += sum(map(int, re.findall(r" store housekeeping deleted=(\d+)\n", self.dev.stderr)))

    def kill_everything(self):
        self.dev.kill()
        self.count_deleted()
        check(not SANITIZER.search(self.dev.stderr), f"sanitizer report:\n{self.dev.stderr[-8000:]}")
        self.rounds["everything"] += 1

    def command(self, *words):
        p = subprocess.run([binary(), *words, "--data", str(self.data)], capture_output=True, text=True, timeout=120,
                           env={**os.environ, **NO_LEAK_CHECK})
        return p.returncode, p.stdout + p.stderr

    def fsck(self):
        status, said = self.command("fsck")
        check(status == 0 and "sound" in said, f"fsck: {status} {said}")

    def queue(self):
        if not (self.data / "data.mdb").exists():
            return []
        status, said = self.command("queue", "list", "--json")
        check(status == 0, f"queue list: {said}")
        return [r["rcpt"] for item in json.loads(said) for r in item["recipients"]]

    def remove(self):
        if self.dev:
            self.dev.kill()
        shutil.rmtree(self.data, ignore_errors=True)


class Run:
    """The life of one store."""

    def __init__(self, seed, far):
        self.rng = random.Random(seed)
        self.far, self.house = far, House(far)
        self.workers = [Mutator(seed, "box1"), Mutator(seed, "box2"), Delivering(seed, "in"),
                        Submitting(seed, "out", far, self.house.queue)]
        with far.changed:
            far.messages.clear()

    def rounds(self):
        return sum(self.house.rounds.values())

    def waiting(self):
        submitting = self.workers[-1]
        return len(submitting.sent - set(submitting.arrived()))

    def traffic(self, kill):
        """Work for a moment, then the death in the middle of it."""
        halt = threading.Event()
        for worker in self.workers:
            worker.start(self.house.dev, halt)
        time.sleep(self.rng.uniform(0.02, 0.15))
        kill()
        halt.set()
        for worker in self.workers:
            worker.join()

    def verify(self, empty=True):
        for worker in self.workers:
            worker.verify(self.house.dev, empty)

    def begin(self, processes, point):
        """A server that will die at `point`, if any. Housekeeping begins with it, so that may be before it is ready."""
        try:
            self.house.start(processes, point)
        except RuntimeError:    # as good a moment as any
            check(point, "the server does not start")
            self.house.rounds["everything"] += 1
            self.house.fsck()
            self.house.start(processes)

    def life_in_processes(self):
        """Some deaths of the store alone (more would have to wait long: back-off), then of everything."""
        point = f"store@{self.rng.choice(POINTS)}:{self.rng.randrange(1, 40)}:kill" if self.rng.random() < 0.4 else ""
        self.begin(True, point)
        self.verify()
        for _ in range(self.rng.randrange(2, 5)):
            self.traffic(self.house.kill_store)
            self.house.wait_for_store()
            self.verify()
            if self.rng.random() < 0.15:
                self.house.fsck()
        self.traffic(self.house.kill_everything)
        self.house.fsck()

    def life_in_one_process(self):
        point = f"{self.rng.choice((*POINTS, DELETING))}:{self.rng.randrange(1, 60)}:kill" if self.rng.random() < 0.5 else ""
        self.begin(False, point)
        try:
            self.verify(empty=not point)    # a death between two mailboxes would leave one emptied
        except REFUSED as e:    # or now
            check(point, f"the server does not serve: {e!r}")
        self.traffic(self.house.kill_everything)
        self.house.fsck()

    def go(self, rounds):
        while self.rounds() < rounds:
            self.far.refusing = self.rng.random() < 0.6 and self.waiting() < 40
            self.rng.choice((self.life_in_processes, self.life_in_one_process))()

    def finish(self):
        """The last start: everything is there, what waited goes out, and nothing is wrong."""
        self.far.refusing = False
        self.house.start(True)
        self.verify()
        submitting = self.workers[-1]
        wait_for(lambda: submitting.sent <= set(submitting.arrived()), "everything submitted to arrive", 120, 0.1)
        wait_for(lambda: not self.house.queue(), "the queue to be empty", 60, 0.1)
        self.verify()
        status = self.house.dev.stop()
        self.house.count_deleted()
        self.house.dev.check(status)
        self.house.fsck()


def live(number, rounds, far):
    """One store from its first start to its last stop; the run, and what was wrong with it."""
    run, why = Run(SEED + number, far), None
    try:
        run.go(rounds)
        run.finish()
    except (Lie, TimeoutError, RuntimeError, *REFUSED) as e:
        why = f"store {number}, round {run.rounds()} {run.house.rounds}, seed {SEED}: {type(e).__name__}: {e}"
        diag(run.house.dev.stderr[-6000:] if run.house.dev else "")
    finally:
        run.house.remove()
    return run, why


def main():
    diag(f"seed {SEED}")
    far = FakeSmtp(replies={"RCPT": lambda to: "451 4.7.1 not now" if far.refusing else None})
    runs, why, arrived = [], None, []
    start = time.monotonic()
    while not why and sum(run.rounds() for run in runs) < ROUNDS:
        left = ROUNDS - sum(run.rounds() for run in runs)
        run, why = live(len(runs), min(LIFE, left), far)
        runs.append(run)
        arrived += [(len(runs), ident) for ident in run.workers[-1].arrived()]
    far.close()
    deaths = {who: sum(run.house.rounds[who] for run in runs) for who in ("store", "everything")}
    ok(not why, f"{deaths['store']} deaths of the store, {deaths['everything']} of everything: all acknowledged is there "
       "once, nothing half done, fsck finds nothing, in the end everything submitted arrives", why)
    ok(why or sum(deaths.values()) >= ROUNDS, "enough of them")
    deleted = sum(run.house.deleted for run in runs)
    ok(why or deleted > ROUNDS, f"gc deleted {deleted} objects between the deaths")
    twice = len(arrived) - len(set(arrived))
    ok(twice <= sum(deaths.values()), f"{twice} of {len(arrived)} relayed twice: their results died with the store")
    for same in zip(*(run.workers for run in runs)):
        steps, name = sum(worker.steps for worker in same), same[0].name
        diag(f"{name}: {steps} acknowledged, {sum(worker.refusals for worker in same)} refused, last: {same[-1].why}")
        ok(steps > ROUNDS / 2, f"{name} did enough")
    diag(f"{time.monotonic() - start:.0f} s")
    done()


main()
