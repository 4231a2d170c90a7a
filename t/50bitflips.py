#!/usr/bin/env python3
"""Bits of the store's file turn over where records and octets of messages stand. The server starts, reads, and says
what it cannot read; no octet is wrong and told as right; fsck finds it, and what --repair leaves serves.

LMDB trusts its own meta, branch and free pages and the headers of the others: what a damaged one of those does is
LMDB's to say (etc/HACKING), so only what lies between is turned over here: the octets of leaves' values and of overflow
pages. POSTHOUSE_SEED chooses other bits, POSTHOUSE_FLIPS how many stores are damaged (12)."""
import imaplib
import os
import random
import re
import shutil
import smtplib
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from crash import REFUSED, content, imap_open
from posthouse import Dev, SANITIZER, binary, diag, done, is_equal, ok, without_trace

SEED = os.environ.get("POSTHOUSE_SEED", "20261126")
STORES = int(os.environ.get("POSTHOUSE_FLIPS", "12"))
USER = "u@example.test"
USERS = {USER: "secret"}
PAGE = 4096
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8


def values(image):
    """(offset, length) of every value in leaves and of every run of overflow pages that some leaf refers to: the pages of
    the file as it stands, old ones that are free included."""
    page = 2
    while page * PAGE < len(image):
        at = page * PAGE
        number, _, flags, lower, upper = struct.unpack_from("<QHHHH", image, at)
        if flags & OVERFLOW and number == page:
            count = struct.unpack_from("<I", image, at + 12)[0]
            yield at + 16, count * PAGE - 16
            page += count
            continue
        if flags & LEAF and number == page and 16 <= lower <= upper <= PAGE:
            yield from leaf_values(image, at, lower)
        page += 1


def leaf_values(image, at, lower):
    for slot in range(16, lower, 2):
        node = at + struct.unpack_from("<H", image, at + slot)[0]
        low, high, flags, key = struct.unpack_from("<HHHH", image, node)
        if flags == 0 and (low | high << 16):       # no sub-database, no overflow page
            yield node + 8 + key, low | high << 16


def flip(image, rng, count):
    """Bits in values; longer values get more of them, as on a disk."""
    places = list(values(image))
    for at, length in rng.choices(places, weights=[length for _, length in places], k=count):
        image[at + rng.randrange(length)] ^= 1 << rng.randrange(8)


def fill(data):
    with Dev("--hostname", "localhost", data=data, users=USERS, domains=["example.test"]) as dev:
        with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as smtp:
            for i in range(24):
                smtp.sendmail("a@sender.test", [USER], content(f"m-{i}", big=i % 6 == 5))
        with imap_open(dev, USER) as imap:
            imap.select()
            imap.store("1:8", "+FLAGS", "(\\Seen kept)")
            imap.copy("1:4", "Archive")


def whole(octets):
    """Is it, but for the trace fields, a message that was sent?"""
    found = re.search(rb"^Subject: m-(\d+)\r$", octets, re.M)
    return found and without_trace(octets) == content(f"m-{int(found[1])}", big=int(found[1]) % 6 == 5)


def read_all(dev):
    """(messages read, wrong ones, refusals)"""
    read, wrong, refused = 0, [], []
    for box in ("INBOX", "Archive"):
        n = 1
        while n:        # a session that finds damage within a literal can only end: the next goes on
            try:
                with imap_open(dev, USER) as imap:
                    status, data = imap.select(box)
                    if status != "OK":
                        raise imaplib.IMAP4.error(data)
                    while n <= int(data[0]):
                        n += 1
                        got = read_one(imap, n - 1, refused)
                        read += len(got)
                        wrong += [octets for octets in got if not whole(octets)]
                    n = 0
                    imap.search(None, "TEXT", "nowhere")
            except REFUSED as e:
                refused.append(e)
                n = n if n > 1 and len(refused) < 200 else 0
    return read, wrong, refused


def read_one(imap, n, refused):
    """The octets of a message, if it has them."""
    for items in ("(FLAGS ENVELOPE BODYSTRUCTURE)", "(BODY.PEEK[HEADER])", "(BODY.PEEK[])"):
        status, parts = imap.fetch(str(n), items)
        if status != "OK":
            refused.append(parts)
            parts = []
    return [part[1] for part in parts if isinstance(part, tuple)]


def fsck(data, *options):
    p = subprocess.run([binary(), "fsck", *options, "--data", str(data)], capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout + p.stderr


def look(data, number, processes):
    """One damaged store."""
    name = f"store {number}"
    dev = Dev(processes=processes, data=data, env={"ASAN_OPTIONS": "detect_leaks=1"})
    refused = []
    try:
        dev.start()
    except RuntimeError as e:       # it says why and ends
        ok("has ended with 7" in str(e) and "damaged" in str(e), f"{name}: it does not start, and says why", e)
        refused.append(e)
    else:
        read, wrong, refused = read_all(dev)
        is_equal(wrong, [], f"{name}: {read} messages read, {len(refused)} refusals: no octet is wrong")
        try:
            with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as smtp:
                smtp.sendmail("a@sender.test", [USER], content("m-98"))
        except REFUSED as e:
            refused.append(e)
        status = dev.stop()
        is_equal(status, 0, f"{name}: the server stops in order")
        ok("a role died" not in dev.stderr, f"{name}: nothing dies of it", dev.stderr[-3000:])
    ok(not SANITIZER.search(dev.stderr), f"{name}: no sanitizer speaks", dev.stderr[-6000:])
    status, said = fsck(data)
    ok(status == 0 if "sound" in said else status > 0 and said, f"{name}: fsck ends in order", f"{status} {said}")
    if refused:
        ok("sound" not in said, f"{name}: fsck finds what could not be read", f"{said}\n{refused}")
    return bool(refused), said


def mend(data, number):
    name = f"store {number}"
    status, said = fsck(data, "--repair")
    ok(not SANITIZER.search(said) and status >= 0, f"{name}: --repair ends in order", said)
    if "--schema" in said:      # both meta records: nothing in the store tells it
        status, said = fsck(data, "--repair", "--schema", "2")
    ok(status == 0, f"{name}: it is mended", said)
    with Dev(data=data, users=USERS, domains=["example.test"]) as dev:
        read, wrong, refused = read_all(dev)
        is_equal(wrong, [], f"{name}: mended, {read} messages read: no octet is wrong")
        with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as smtp:
            smtp.sendmail("a@sender.test", [USER], content("m-99"))
        with imap_open(dev, USER) as imap:
            count = int(imap.select()[1][0])
            status, parts = imap.fetch(str(count), "(BODY.PEEK[])")
            ok(status == "OK" and b"m-99" in parts[0][1], f"{name}: and takes mail again")


def main():
    diag(f"seed {SEED}")
    folder = Path(tempfile.mkdtemp(prefix="posthouse-flips-"))
    folder.chmod(0o711)
    try:
        fill(folder / "sound")
        seen = 0
        for number in range(STORES):
            rng = random.Random(f"{SEED} {number}")
            data = folder / f"store{number}"
            shutil.copytree(folder / "sound", data)
            if os.geteuid() == 0:       # as it was
                for path in (data, *data.iterdir()):
                    at = folder / "sound" / path.relative_to(data)
                    os.chown(path, at.stat().st_uid, at.stat().st_gid)
            image = bytearray((data / "data.mdb").read_bytes())
            flip(image, rng, 2 ** rng.randrange(1, 8))
            (data / "data.mdb").write_bytes(image)
            noticed, said = look(data, number, number % 2 == 1)
            seen += noticed or "sound" not in said
            mend(data, number)
            shutil.rmtree(data)
        ok(seen > STORES / 3, f"the damage of {seen} stores was noticed")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    done()


main()
