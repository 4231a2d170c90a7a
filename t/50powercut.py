#!/usr/bin/env python3
"""A power cut keeps only what was synced. What a store does to its file is recorded with its syncs
(t/powercut_record.c), and files as the disk may hold them after a cut at any moment are made from that and looked at
(t/powercut.c): they open, fsck finds nothing, and everything acknowledged before the cut is there.

POSTHOUSE_SEED chooses other work and other cuts."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from crash import content, imap_open, memory_disk
from posthouse import BUILD, Dev, diag, done, is_equal, ok
import smtplib

SEED = os.environ.get("POSTHOUSE_SEED", "20260721")
TOOL = BUILD / "t" / "powercut"
# the recorder comes before the sanitizer's runtime on purpose
RECORDED = {"LD_PRELOAD": str(BUILD / "t" / "powercut-record.so"), "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
USERS = {"u@example.test": "secret", "v@example.test": "secret"}


class Recording:
    def __init__(self, folder):
        self.path = folder / "recording"
        self.path.touch()
        self.env = {**RECORDED, "POSTHOUSE_RECORD": str(self.path)}

    def mark(self, ident):
        data = ident.encode()
        with open(self.path, "ab", buffering=0) as out:
            out.write(struct.pack("<cxxxIQ", b"I", len(data), 0) + data)

    def types(self):
        return bytes(kind for kind, _ in self.records())

    def records(self):
        octets, at = self.path.read_bytes(), 0
        while at < len(octets):
            kind, length, _ = struct.unpack_from("<cxxxIQ", octets, at)
            end = at + 16 + (0 if kind in b"TF" else length)
            yield kind[0], octets[at:end]
            at = end

    def replay(self, folder, cuts):
        folder.mkdir(exist_ok=True)
        p = subprocess.run([TOOL, "replay", self.path, folder, SEED, str(cuts)], capture_output=True, text=True)
        return p.returncode, (p.stdout + p.stderr)[-3000:]


def test_operations(folder):
    """Every kind of operation, one after the other: the state after each is known exactly."""
    recording = Recording(folder)
    p = subprocess.run([TOOL, "load", folder / "store", recording.path, SEED], env={**os.environ, **recording.env},
                       capture_output=True, text=True)
    is_equal((p.returncode, p.stdout + p.stderr), (0, ""), "operations under the recorder")
    kinds = recording.types()
    ok(all(kinds.count(kind) > 100 for kind in b"WFSA"), "writes, syncs, synced writes and marks were recorded",
       {chr(kind): kinds.count(kind) for kind in set(kinds)})
    status, said = recording.replay(folder / "image", 300)
    ok(status == 0, f"operations: {said.strip().splitlines()[-1]}", said)
    # a store that does not sync would be found out
    recording.path.write_bytes(b"".join(octets for kind, octets in list(recording.records()) if kind != ord("F")))
    status, said = recording.replay(folder / "image", 300)
    ok(status != 0 and not said.endswith(" 0 bad\n"), f"without its syncs: {said.strip().splitlines()[-1]}", said)


def deliver(dev, recording, name, count):
    with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as smtp:
        for i in range(count):
            ident = f"{name}-{i}"
            smtp.sendmail("a@sender.test", list(USERS)[:1 + i % 2], content(ident, big=i % 5 == 4))
            recording.mark(ident)


def append(dev, recording, name, count):
    with imap_open(dev, "u@example.test") as imap:
        for i in range(count):
            ident = f"{name}-{i}"
            if imap.append("Archive", None, None, content(ident, big=i % 7 == 6))[0] == "OK":
                recording.mark(ident)
        imap.select("Archive")
        imap.store("1:*", "+FLAGS", "(\\Seen)")


def test_server(folder):
    """The server with its roles: 250 and OK are the marks; alone, then several at once."""
    recording = Recording(folder)
    data = folder / "store"
    # roles may write beside the process id, too: the recording is there
    with Dev("--pid-file", str(folder / "pid"), processes=True, data=data, users=USERS, domains=["example.test"],
             env=recording.env) as dev:
        deliver(dev, recording, "smtp", 15)
        append(dev, recording, "imap", 15)
        workers = [threading.Thread(target=deliver, args=(dev, recording, f"smtp{n}", 10)) for n in range(2)]
        workers.append(threading.Thread(target=append, args=(dev, recording, "imaps", 10)))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    is_equal(recording.types().count(b"I"), 60, "all of it was acknowledged")
    status, said = recording.replay(folder / "image", 150)
    ok(status == 0, f"server: {said.strip().splitlines()[-1]}", said)


diag(f"seed {SEED}")
for test in (test_operations, test_server):
    folder = Path(tempfile.mkdtemp(prefix="posthouse-powercut-", dir=memory_disk()))
    folder.chmod(0o711)     # roles that are not root pass through
    try:
        test(folder)
    finally:
        shutil.rmtree(folder)
done()
