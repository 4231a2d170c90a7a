#!/usr/bin/env python3
"""`posthouse serve` and `dev`: readiness, systemd's words, reloading, stopping while there is work, dying, restarting. As
root (roles become other accounts) and as nobody."""
import contextlib
import hashlib
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from crash import Delivering, Mutator, Submitting, content, imap_open
from posthouse import (Dev, FakeSmtp, binary, children_of, diag, done, fetch_messages, imap_login, is_equal, ok,
                       role_pid, skip, smtp_send, submit, tls_context, wait_for)
from serving import Serve

USER = "u@example.test"


def inbox(server, user=USER):
    with imap_login(server, user) as imap:
        return fetch_messages(imap)


def subjects(messages):
    return [re.search(rb"^Subject: (\S+)", m, re.M)[1].decode() for m in messages]


def certificate(server):
    """Fingerprint of what a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((server.host, server.imaps), timeout=60) as raw:
        with context.wrap_socket(raw) as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()


def other_certificate(folder):
    """(certificate, key, CA) by another CA."""
    made = Path(tempfile.mkdtemp(prefix="posthouse-made-", dir=folder))
    made.chmod(0o755)
    subprocess.run([binary(), "init", "other.test", "--config", made / "c", "--data", made / "d", "--hostname", "localhost",
                    "--user", "daemon"], check=True, stdout=subprocess.DEVNULL, timeout=120)
    files = tuple((made / "d" / name).read_text() for name in ("tls.pem", "tls.key", "ca.pem"))
    shutil.rmtree(made)
    return files


class Slow:
    """A client in the middle of its message, and one that watches its INBOX."""

    def __init__(self, server, ident):
        self.ident = ident = ident.replace(" ", "-")
        self.smtp = smtplib.SMTP(server.host, server.smtp, timeout=60)
        self.smtp.ehlo("slow.test")
        self.smtp.mail("a@sender.test")
        self.smtp.rcpt(USER)
        code, _ = self.smtp.docmd("DATA")
        assert code == 354, code
        text = content(ident, big=True)
        self.smtp.sock.sendall(text[:70000])
        self.rest = text[70000:] + b".\r\n"
        self.imap = imap_login(server, USER)
        self.imap.select()
        self.imap.send(b"I1 IDLE\r\n")
        assert self.imap.readline().startswith(b"+")

    def finish(self):
        self.smtp.sock.sendall(self.rest)
        return self.smtp.getreply()[0]

    def idle_line(self, wanted):
        line = b"x"
        while line and not re.match(wanted, line):
            line = self.imap.readline()
        return line


# --- what both `serve` and `dev` do -----------------------------------------------------------------------------

def trust(server, cas):
    """Clients of this test know both CAs."""
    (server.data_dir / "ca.pem").write_text(cas)


def check_mail(server, name):
    ident = name.replace(" ", "-")
    smtp_send(server, "a@sender.test", [USER], content(f"{ident}-in"))
    submit(server, USER, [USER], content(f"{ident}-out", sender=USER))
    got = subjects(inbox(server))
    ok({f"{ident}-in", f"{ident}-out"} <= set(got), f"{name}: mail comes in, is submitted and read", got)


def check_stop(server, name):
    """SIGTERM in the middle of a message, to all processes as systemd does it: it gets its answer, who watches gets a
    BYE, and then it is over."""
    slow = Slow(server, f"{name}-slow")
    idle = smtplib.SMTP(server.host, server.smtp, timeout=60)
    idle.ehlo("idle.test")
    for pid in children_of(server.process.pid):
        os.kill(pid, signal.SIGTERM)
    server.signal(signal.SIGTERM)
    time.sleep(0.05)
    server.signal(signal.SIGTERM)   # timeout(1) signals its child and then the group
    ok(slow.idle_line(rb"\* BYE "), f"{name}: BYE to IDLE")
    is_equal(idle.getreply()[0], 421, f"{name}: 421 to a session that waits")
    ok(server.process.poll() is None, f"{name}: the message that has begun is waited for")
    is_equal(slow.finish(), 250, f"{name}: and answered")
    status = server.stop()
    server.check(status)
    ok(True, f"{name}: then it ends, with 0")
    return slow.ident


def check_end(server, name, again):
    """Stopped, started by `again`, and stopped at once."""
    ident = check_stop(server, name)
    again()
    ok(ident in subjects(inbox(server)), f"{name}: what was answered while it stopped is there")
    check_second_signal(server, name)


@contextlib.contextmanager
def scene(server, *others):
    """Whatever happens, nothing is left of it; the log of one that failed is shown."""
    with contextlib.ExitStack() as stack:
        for end in (*others, server.kill):
            stack.callback(end)
        try:
            yield
        except BaseException:
            diag(server.stderr[-4000:])
            raise


def check_second_signal(server, name):
    Slow(server, "never")
    server.signal(signal.SIGTERM)
    wait_for(lambda: "stopping signal=15" in server.stderr, "the first signal")
    time.sleep(1.1)
    server.signal(signal.SIGTERM)
    ok(server._reap() is not None, f"{name}: a second SIGTERM ends it though a message has begun")


def check_reload(server, name, change, refused):
    """`change` installs another certificate, `refused` is a list of (what, function) that spoil the files."""
    slow, before = Slow(server, f"{name}-over-reload"), certificate(server)
    change()
    server.signal(signal.SIGHUP)
    wait_for(lambda: certificate(server) != before, "the new certificate")
    after = certificate(server)
    is_equal(slow.finish(), 250, f"{name}: a half-sent message goes on over a reload")
    ok(slow.idle_line(rb"\* \d+ EXISTS"), f"{name}: so does IDLE, over TLS of the old certificate")
    ok(slow.ident in subjects(inbox_plain(server)), f"{name}: and is there")
    for what, spoil in refused:
        count = server.stderr.count("not reloaded")
        restore = spoil()
        server.signal(signal.SIGHUP)
        wait_for(lambda: server.stderr.count("not reloaded") > count, f"the refusal of {what}")
        is_equal(certificate(server), after, f"{name}: {what} is refused, all stays as it was")
        restore()


def inbox_plain(server):
    with imap_open(server, USER) as imap:
        return fetch_messages(imap)


# --- serve ------------------------------------------------------------------------------------------------------

def check_users(server, name):
    uids = {role: os.stat(f"/proc/{role_pid(server, role)}").st_uid for role in ("store", "imap", "mx", "submit")}
    ok(len({uids["store"], uids["imap"]}) == 1 and len({uids["mx"], uids["submit"]}) == 1
       and uids["store"] != uids["mx"] and 0 not in uids.values(), f"{name}: one account has the mail, another the net", uids)


def check_serve_reload(server, name):
    cert, key, ca = other_certificate(None)
    data = server.data_dir
    trust(server, (data / "ca.pem").read_text() + ca)

    def change():
        (data / "tls.pem").write_text(cert)
        (data / "tls.key").write_text(key)
        server.config.write_text(server.base + "smtp { message_max = 1M }\n")

    def spoil_config():
        text = server.config.read_text()
        server.config.write_text(text + "nonsense = 1\n")
        return lambda: server.config.write_text(text)

    def spoil_key():
        (data / "tls.key").write_text(key.replace("A", "B", 3))
        return lambda: (data / "tls.key").write_text(key)

    def other_key():
        (data / "tls.key").write_text(other_certificate(None)[1])
        return lambda: (data / "tls.key").write_text(key)

    def no_config():
        server.config.rename(server.home / "away")
        return lambda: (server.home / "away").rename(server.config)

    refused = [("an unknown row", spoil_config), ("a broken key", spoil_key), ("the key of another certificate", other_key),
               ("a missing configuration", no_config)]
    check_reload(server, name, change, refused)
    wait_for(lambda: server.notified.heard("RELOADING=1"), "RELOADING=1")
    ok(any(w.startswith("MONOTONIC_USEC=") for w in server.notified.said), f"{name}: systemd hears of the reload and its end")
    with smtplib.SMTP(server.host, server.smtp, timeout=60) as smtp:
        smtp.ehlo("x.test")
        is_equal(smtp.esmtp_features["size"], str(1 << 20), f"{name}: a new row counts for new sessions")
    # what the roles would refuse is refused before any of them hears of it
    text = server.config.read_text()
    for row in ('relay { route = "nowhere" }', 'policy { except = {"nonsense"} }', 'smtp { proxy_from = {"x"} message_max = 1M }'):
        refused = server.stderr.count("not reloaded")
        server.config.write_text(server.base + row + "\n")
        server.signal(signal.SIGHUP)
        wait_for(lambda: server.stderr.count("not reloaded") > refused, f"{row} to be refused")
    # what only a restart can change is told by name, each time
    moved = re.sub(r'(lmtp = "127.0.0.1:)\d+', r"\g<1>1", text).replace("net_user = nobody", "net_user = daemon")
    server.config.write_text(moved + "dns { timeout = 9s }\nauth { workers = 1 }\n")
    told = 'warn supervisor a change needs a restart keys="listen.lmtp run.net_user auth.workers dns.timeout"\n'
    for n in (1, 2):
        server.signal(signal.SIGHUP)
        wait_for(lambda: server.stderr.count(told) == n, f"{told} for the {n}. time")
    reloads = server.stderr.count("reloaded pid")
    server.config.write_text(text)
    server.signal(signal.SIGHUP)
    wait_for(lambda: server.stderr.count("reloaded pid") > reloads, "the reload")
    ok(server.stderr.count("needs a restart") == 2, f"{name}: rows that need a restart are named, and only then")
    check_mail(server, f"{name}-after-rows")
    # a role born after the refused reloads starts with what counts
    after, old = certificate(server), role_pid(server, "imap")
    other_key()
    server.signal(signal.SIGHUP)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: role_pid(server, "imap") not in (None, old), "a new imap role")
    is_equal(certificate(server), after, f"{name}: a role born anew has what was last good")
    (data / "tls.key").write_text(key)


def check_back_off(server, name):
    """A role that keeps dying is started less and less often; the others do not care."""
    killed = []
    while len(killed) < 6:
        pid = wait_for(lambda: role_pid(server, "mx") if role_pid(server, "mx") not in killed else None, "mx", 60, 0.005)
        wait_for(lambda: f"role=mx pid={pid}\n" in server.stderr or not killed, "mx to serve", 60, 0.005)
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
    wait_for(lambda: server.stderr.count("a role is back role=mx") >= 6, "mx for the last time", 60)
    log = re.findall(r"^\S+T(\d+):(\d+):([\d.]+)Z \w+ supervisor a role (died|is back) role=mx", server.stderr, re.M)
    at = [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s, _ in log[-12:]]
    pauses = [(back - died) % 86400 for died, back in zip(at[::2], at[1::2])]
    ok([what for _, _, _, what in log[-12:]] == ["died", "is back"] * 6, f"{name}: six deaths, six births", log)
    wanted = [0, 0.1, 0.2, 0.4, 0.8, 1.6]
    ok(all(pause >= want for pause, want in zip(pauses, wanted)), f"{name}: each time it is waited longer", pauses)
    check_mail(server, f"{name}-after-deaths")


def check_killed_supervisor(server, name):
    """kill -9 of the supervisor alone: the roles do not outlive it, and it starts again at once on the same ports."""
    smtp_send(server, "a@sender.test", [USER], content("before-the-kill"))
    roles = [role_pid(server, role) for role in ("store", "auth", "mx", "submit", "imap", "relay")]
    server.process.kill()
    server.process.wait()
    server.start()
    ok(True, f"{name}: starts again at once after kill -9 of the supervisor")
    ok(not any(os.path.exists(f"/proc/{pid}") and f"posthouse" in Path(f"/proc/{pid}/cmdline").read_text() for pid in roles),
       f"{name}: no role has outlived it")
    ok("before-the-kill" in subjects(inbox(server)), f"{name}: with what it had")


def check_load(server, name, far):
    """SIGTERM under load: whoever was answered finds it again after the start."""
    workers = [Mutator(1, "box1"), Mutator(2, "box2"), Delivering(3, "in"), Submitting(4, "out", far, server.queue)]
    for _ in range(4):
        halt = threading.Event()
        for worker in workers:
            worker.start(server, halt)
        time.sleep(0.3)
        status = server.stop()
        halt.set()
        for worker in workers:
            worker.join()
            worker.session = None
        server.check(status)
        server.start()
        for worker in workers:
            worker.verify(server)
    ok(all(worker.steps > 8 for worker in workers), f"{name}: SIGTERM under load, four times, loses and doubles nothing",
       [worker.steps for worker in workers])


def try_serve(user, name):
    far = FakeSmtp(replies={"RCPT": lambda to: "451 4.7.1 not now"})
    server = Serve(user, relay=f'route = "{far.host}:{far.port}"')
    server.queue = lambda: re.findall(r'"rcpt":"([^"]+)"', server.run("queue", "list", "--json", "--data", server.data_dir))

    def again():
        ok(server.notified.heard("STOPPING=1"), f"{name}: systemd hears that it stops")
        ok(not server.pid_file.exists() and not (server.home / "ready.json").exists(), f"{name}: pid and ready file are gone")
        server.start()
    with scene(server, server.remove, far.close):
        server.add_users(USER, *(f"{u}@example.test" for u in ("box1", "box2", "in1", "in2", "out")))
        server.start()
        wait_for(lambda: server.notified.heard("READY=1"), "READY=1")
        is_equal(server.pid_file.read_text(), f"{server.pid}\n", f"{name}: the pid file")
        is_equal([server.ready[kind] for kind in ("smtp", "imaps", "lmtp")], [server.ports[0], server.ports[4], server.ports[5]],
                 f"{name}: the ready file tells the ports")
        check_mail(server, name)
        if os.geteuid() == 0 and not user:
            check_users(server, name)
        check_serve_reload(server, name)
        check_back_off(server, name)
        check_killed_supervisor(server, name)
        check_load(server, name, far)
        check_end(server, name, again)


# --- dev --------------------------------------------------------------------------------------------------------

def try_dev(processes):
    name = "dev --processes" if processes else "dev"
    folder = Path(tempfile.mkdtemp(prefix="posthouse-dev-"))
    folder.chmod(0o755)
    cert, key, ca = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
    ca.touch()

    def install(made):
        cert.write_text(made[0])
        key.write_text(made[1])
        ca.write_text(ca.read_text() + made[2])     # clients of this test know all of them

    def half():
        good = key.read_text()
        key.write_text(other_certificate(folder)[1])
        return lambda: key.write_text(good)

    server = Dev("--cert", cert, "--key", key, processes=processes, data=folder / "data", users={USER: "secret"},
                 domains=["example.test"])

    def start():
        server.stderr = ""
        server.start()
        server.ready.update(ca=str(ca), host="localhost")
    install(other_certificate(folder))
    with scene(server, lambda: shutil.rmtree(folder)):
        start()
        check_reload(server, name, lambda: install(other_certificate(folder)), [("another key", half)])
        check_end(server, name, start)


for processes in (False, True):
    try_dev(processes)
if os.geteuid() == 0:
    try_serve(None, "serve as root")
    try_serve("nobody", "serve as nobody")
else:
    skip("serve as root", "not root")
    try_serve(None, "serve as it is")
done()
