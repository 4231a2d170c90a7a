#!/usr/bin/env python3
"""No room: the disk below its floor, a full map, no descriptors left. New mail is refused for now, reading, flags and
deleting go on, nothing acknowledged is lost, and when there is room again the same server takes mail."""
import os
import re
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from crash import content, imap_open
from posthouse import Dev, binary, done, fetch_messages, is_equal, ok, role_pid, wait_for

USER = "u@example.test"
USERS = {USER: "secret"}
FEW_N = 64      # descriptors


def folder():
    path = Path(tempfile.mkdtemp(prefix="posthouse-room-"))
    path.chmod(0o711)       # roles that are not root pass through
    return path


def deliver(dev, ident, big=False):
    """The reply to the final dot, or the refusal before it."""
    with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as smtp:
        try:
            smtp.sendmail("a@sender.test", [USER], content(ident, big=big))
            return 250, b""
        except smtplib.SMTPRecipientsRefused as e:
            return e.recipients[USER]
        except smtplib.SMTPResponseException as e:
            return e.smtp_code, e.smtp_error


def append(imap, ident):
    status, data = imap.append("INBOX", None, None, content(ident))
    return f"{status} {data[0].decode()}"


def submit(dev, ident):
    with smtplib.SMTP(dev.host, dev.submission, timeout=60) as smtp:
        smtp.login(USER, "secret")
        try:
            smtp.sendmail(USER, [USER], content(ident, USER))
            return 250, b""
        except smtplib.SMTPResponseException as e:
            return e.smtp_code, e.smtp_error


def idents(dev):
    with imap_open(dev, USER) as imap:
        got = fetch_messages(imap)
    return sorted(re.search(rb"^Subject: (\S+)", m, re.M)[1].decode() for m in got)


def sound(data, mode):
    p = subprocess.run([binary(), "fsck", "--data", str(data)], capture_output=True, text=True, timeout=120)
    ok(p.returncode == 0, f"{mode}: fsck finds nothing", p.stdout + p.stderr)


def life_goes_on(imap, mode):
    """What needs no room: reading, flags, deleting."""
    imap.select()
    numbers = imap.search(None, "ALL")[1][0].split()
    is_equal(len(fetch_messages(imap)), len(numbers), f"{mode}: all is read")
    imap.select()
    is_equal(imap.store(numbers[0].decode(), "+FLAGS", "(\\Flagged)")[0], "OK", f"{mode}: a flag is set")
    is_equal(imap.store(numbers[-1].decode(), "+FLAGS", "(\\Deleted)")[0], "OK", f"{mode}: one is marked")
    status, gone = imap.expunge()
    is_equal((status, gone), ("OK", [numbers[-1]]), f"{mode}: and expunged")


def test_disk_floor(processes):
    mode = f"disk floor, {'roles' if processes else 'one process'}"
    data = folder()
    free = shutil.disk_usage(data).free
    filler, size = data / "filler", min(free // 4, 2 << 30)
    try:
        with Dev("--set", f"store.disk_floor={free - size // 2}", processes=processes, data=data / "store", users=USERS,
                 domains=["example.test"]) as dev:
            is_equal(deliver(dev, "in-1")[0], 250, f"{mode}: there is room")
            with imap_open(dev, USER) as imap:
                ok(append(imap, "app-1").startswith("OK"), f"{mode}: for APPEND, too")
                with open(filler, "wb") as f:
                    os.posix_fallocate(f.fileno(), 0, size)
                refused = wait_for(lambda: (r := deliver(dev, "in-x")) and r[0] != 250 and r, "a refusal", 60, 0.2)
                ok(refused[0] == 452 and refused[1].startswith(b"4.3.1"), f"{mode}: SMTP answers 452 4.3.1", refused)
                before = idents(dev)
                is_equal(submit(dev, "sub-x")[0], 452, f"{mode}: so does submission")
                said = append(imap, "app-x")
                ok(re.match(r"NO \[(UNAVAILABLE|OVERQUOTA)\]", said), f"{mode}: APPEND is refused for now", said)
                big = content("app-x", big=True)
                said = imap.append("INBOX", None, None, big)
                ok(said[0] == "NO" and re.match(rb"\[(UNAVAILABLE|OVERQUOTA)\]", said[1][0]),
                   f"{mode}: a long one, too", said)
                is_equal(idents(dev), before, f"{mode}: nothing of what was refused is there")
                life_goes_on(imap, mode)
                filler.unlink()
                wait_for(lambda: deliver(dev, "in-2")[0] == 250, "room again", 60, 0.2)
                ok(append(imap, "app-2").startswith("OK"), f"{mode}: with room again all is taken")
            got = idents(dev)
            ok({"in-1", "in-2", "app-2"} <= set(got) and "app-x" not in got, f"{mode}: all acknowledged is there", got)
        sound(data / "store", mode)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def test_map_full(processes):
    mode = f"map full, {'roles' if processes else 'one process'}"
    data = folder()
    options = {"processes": processes, "data": data / "store", "users": USERS, "domains": ["example.test"]}
    try:
        with Dev(env={"POSTHOUSE_FAULTS": "store.small_map:1+"}, **options) as dev:
            acked, refused = [], None
            for i in range(400):
                reply = deliver(dev, f"in-big-{i:03d}", big=True)
                if reply[0] != 250:
                    refused = reply
                    break
                acked.append(f"in-big-{i:03d}")
            ok(refused and refused[0] == 452 and refused[1].startswith(b"4.3.1"),
               f"{mode}: SMTP answers 452 4.3.1 after {len(acked)} messages", refused)
            is_equal(idents(dev), sorted(acked), f"{mode}: all acknowledged is read, and nothing else")
            with imap_open(dev, USER) as imap:
                said = imap.append("INBOX", None, None, content("app-x", big=True))
                ok(said[0] == "NO" and re.match(rb"\[(UNAVAILABLE|OVERQUOTA)\]", said[1][0]),
                   f"{mode}: APPEND is refused for now", said)
                life_goes_on(imap, mode)
            ok(deliver(dev, "in-big-x", big=True)[0] in (250, 452), f"{mode}: it serves on")
            before = idents(dev)
        sound(data / "store", mode)
        with Dev(**options) as dev:
            is_equal(idents(dev), before, f"{mode}: all is there after a start with a large map")
            is_equal(deliver(dev, "in-later")[0], 250, f"{mode}: which takes mail again")
    finally:
        shutil.rmtree(data, ignore_errors=True)


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def greeting(sock):
    sock.settimeout(30)
    return sock.recv(200)


def test_descriptors(processes, kind, role):
    """More connections than descriptors: those that wait cost nothing, and are served when others leave."""
    mode = f"descriptors, {kind}, {'roles' if processes else 'one process'}"
    with Dev("--set", "imap.sessions_max=100000", processes=processes, users=USERS, domains=["example.test"],
             program=FEW) as dev:
        pid = role_pid(dev, role) if processes else dev.pid
        first = socket.create_connection((dev.host, getattr(dev, kind)), 30)
        ok(greeting(first), f"{mode}: a session is served")
        socks = [socket.create_connection((dev.host, getattr(dev, kind)), 30) for _ in range(100)]
        ok(all([greeting(sock) for sock in socks[:10]]), f"{mode}: there is room for ten more")
        time.sleep(1)       # accept() has come to its end
        before = cpu_s(pid)
        time.sleep(3)
        used = cpu_s(pid) - before
        is_equal(len(os.listdir(f"/proc/{pid}/fd")), FEW_N, f"{mode}: it has all it may have")
        ok(used < 1.5, f"{mode}: {used:.2f} s CPU in 3 s while connections wait")
        first.sendall(b"NOOP\r\n" if kind == "smtp" else b"a NOOP\r\n")
        ok(greeting(first).startswith((b"250", b"a OK")), f"{mode}: the first session goes on")
        for sock in socks[:70]:
            sock.close()
        got = [greeting(sock) for sock in socks[70:80]]
        ok(all(got), f"{mode}: others are served when some have left", got)
        for sock in socks[70:]:
            sock.close()
        is_equal(deliver(dev, "in-1")[0], 250, f"{mode}: and mail is taken")


tools = folder()
FEW = tools / "few"
FEW.write_text(f'#!/bin/sh\nulimit -n {FEW_N}\nexec {binary()} "$@"\n')
FEW.chmod(0o755)
for processes in (False, True):
    test_disk_floor(processes)
    test_map_full(processes)
    test_descriptors(processes, "smtp", "mx")
    test_descriptors(processes, "imap", "imap")
shutil.rmtree(tools)
done()
