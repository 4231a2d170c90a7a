"""The commands as an administrator and a CI job use them: every option of `dev` has its effect, the others do their work
while the server runs and while it does not, exit codes are those of sysexits, what is wrong is told with what to do."""
import imaplib
import json
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from posthouse import (Dev, FakeDns, FakeSmtp, binary, done, imap_login, imap_messages, is_equal, ok, role_pid, smtp_send,
                       submit, tls_context, wait_for, wait_messages)

EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOUSER, EX_UNAVAILABLE, EX_CANTCREAT, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 0, 64, 65, 66, 67, 69, 73, 75, 77, 78
USER = "alice@example.test"
KEYS = ["ready", "pid", "host", "smtp", "submission", "submissions", "imap", "imaps", "lmtp", "ca", "data"]
PORTS = KEYS[3:9]
MAIL = (f"From: <{USER}>\r\nTo: <x@far.test>\r\nSubject: hello\r\nDate: Mon, 06 Jul 2026 10:00:00 +0000\r\n"
        "Message-ID: <1@example.test>\r\n\r\ntext\r\n").encode()


class Folder(tempfile.TemporaryDirectory):
    """That the roles may enter, which are not root."""

    def __enter__(self):
        os.chmod(self.name, 0o711)
        return self.name


def posthouse(*args, stdin=""):
    return subprocess.run([binary(), *map(str, args)], input=stdin, capture_output=True, text=True, timeout=120)


def check(name, args, status, out="", err="", stdin=""):
    """Exit status, and regular expressions for what is said on stdout and stderr."""
    p = posthouse(*args, stdin=stdin)
    good = p.returncode == status and re.search(out, p.stdout) and re.search(err, p.stderr) and (
        status == EX_OK or p.stderr.startswith("posthouse"))
    ok(good, name, f"{args} ended with {p.returncode}, wanted {status}\n{p.stdout}\n{p.stderr}")
    return p.stdout


# --- dev ---

def test_ready(processes):
    """The line and the file, exactly; by then everything accepts; both files go away at the end."""
    with tempfile.TemporaryDirectory() as folder:
        ready, pid = Path(folder, "ready"), Path(folder, "pid")
        p = subprocess.Popen([binary(), "dev", "--ready", ready, "--pid-file", pid, *(["--processes"] if processes else [])],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = p.stdout.readline()
        greetings = []
        said = json.loads(line)
        for port in PORTS:
            with socket.create_connection((said["host"], said[port]), 60) as sock:
                if port in ("submissions", "imaps"):
                    context = ssl.create_default_context(cafile=said["ca"])
                    sock = context.wrap_socket(sock, server_hostname="localhost")
                greetings.append(sock.recv(4))
        is_equal(greetings, [b"220 ", b"220 ", b"220 ", b"* OK", b"* OK", b"220 "], "ready: everything greets")
        is_equal((list(said), said["ready"], said["pid"], said["host"]), (KEYS, True, p.pid, "127.0.0.1"), "ready: the keys")
        is_equal(ready.read_bytes(), line, "ready: the file is the line")
        is_equal(pid.read_text(), f"{p.pid}\n", "pid file")
        ok(Path(said["data"]).is_dir(), "ready: data is there")
        p.send_signal(signal.SIGTERM)
        is_equal((p.stdout.read(), p.wait(60)), (b"", 0), "one line, and exit status 0 at SIGTERM")
        ok(not Path(said["data"]).exists() and not ready.exists() and not pid.exists(), "nothing is left behind")


def test_open_house(processes):
    """No options: every address is an account, any password is right."""
    with Dev(processes=processes) as dev:
        smtp_send(dev, "a@far.test", ["who.ever@some.where.test"], MAIL)
        got = imap_messages(dev, "who.ever@some.where.test", "any password")
        ok(len(got) == 1 and got[0].endswith(MAIL), "open house: an account at first use")
        with smtplib.SMTP(dev.host, dev.submission) as session:
            session.starttls(context=tls_context(dev))
            session.login("new@other.test", "x")
            session.sendmail("new@other.test", ["third@other.test"], MAIL.replace(USER.encode(), b"new@other.test"))
        is_equal(len(imap_messages(dev, "third@other.test", "y")), 1, "open house: submission likewise")
        smtp_send(dev, "a@far.test", ["user+123@tests.test", "who.ever+9@some.where.test"], MAIL)
        for login in ("user+123@tests.test", "user+4@tests.test", "user@tests.test", "first+1@tests.test"):
            got = len(imap_messages(dev, login, "x"))
            is_equal(got, 0 if login.startswith("first") else 1, f"open house: a login as {login} is that of the account")
        is_equal(len(imap_messages(dev, "first@tests.test", "x")), 0, "open house: also where the login came first")
        users = {u["address"] for u in json.loads(posthouse("user", "list", "--json", "--data", dev.data).stdout)}
        ok({"user@tests.test", "first@tests.test"} <= users and not any("+" in u for u in users),
           "open house: no account has a detail", users)


def test_options(processes):
    """One option after the other."""
    with Folder() as folder:
        dev = Dev("--hostname", "mail.example.test", "--domain", "Example.Test", "--domain", "other.test", "--user",
                  f"{USER}:a:b c", "--set", "smtp.message_max=64K", data=f"{folder}/data", processes=processes).start()
        with smtplib.SMTP(dev.host, dev.smtp) as session:
            is_equal(session.ehlo()[1].splitlines()[0], b"mail.example.test", "--hostname: EHLO")
            is_equal(session.esmtp_features["size"], "65536", "--set: a row of the configuration")
            session.mail("a@far.test")
            codes = [session.rcpt(a)[0] for a in (USER, "nobody@example.test", "postmaster@other.test", "x@third.test")]
            is_equal(codes, [250, 550, 250, 550], "--domain, --user: who is local, who is there")
        cert = ssl.create_default_context(cafile=dev.ca)
        with socket.create_connection((dev.host, dev.imaps)) as sock, cert.wrap_socket(
                sock, server_hostname="mail.example.test") as tls:
            names = {name for _, name in tls.getpeercert()["subjectAltName"]}
            ok({"mail.example.test", "localhost", "127.0.0.1"} <= names, "--hostname: in the certificate", names)
        smtp_send(dev, "a@far.test", [USER], MAIL)
        is_equal(len(imap_messages(dev, USER, "a:b c")), 1, "--user: a password with a colon and a blank")
        try:
            imap_login(dev, USER, "a")
            ok(False, "--user: another password")
        except Exception as e:
            ok("AUTHENTICATIONFAILED" in str(e), "--user: another password is wrong", e)
        try:
            imap_login(dev, USER.replace("@", "+1@"), "a:b c")
            ok(False, "--user: with a detail")
        except Exception as e:
            ok("AUTHENTICATIONFAILED" in str(e), "--user: where passwords count, a detail is no login", e)
        is_equal(dev.data, f"{folder}/data", "--data")
        dev.kill()    # SIGKILL
        with Dev(processes=processes, data=f"{folder}/data", users={USER: "ignored"}) as again:
            is_equal(len(imap_messages(again, USER, "a:b c")), 1, "--data: kept over kill -9, with its accounts")
            is_equal(again.data, dev.data, "--data: the same folder")
            busy = posthouse("dev", "--data", f"{folder}/data")
            ok(busy.returncode == EX_TEMPFAIL and f"{folder}/data" in busy.stderr, "--data: not twice at a time", busy.stderr)


def free_ports(n):
    """The first of n ports in a row that are free now."""
    for base in range(20000, 60000, 50):
        try:
            for s in [socket.create_server(("127.0.0.1", base + i)) for i in range(n)]:
                s.close()
            return base
        except OSError:
            continue
    raise OSError("no ports")


def test_closed_folder():
    """The roles of a server that root starts cannot get to data below a folder of mode 0700."""
    with tempfile.TemporaryDirectory() as folder:
        p = posthouse("dev", "--processes", "--data", f"{folder}/data")
        ok(p.returncode == 77 and f"chmod o+x {folder}" in p.stderr, "data that the roles cannot reach: told", p.stderr)


def test_ports():
    base = free_ports(7)
    with Dev("--imap", base + 6, port_base=base) as dev:
        is_equal([dev.ready[p] - base for p in PORTS], [0, 1, 2, 6, 4, 5], "--port-base, and one port by itself")
        p = posthouse("dev", "--smtp", base)
        ok(p.returncode == EX_TEMPFAIL and f"port {base}: another program" in p.stderr,
           "a port that is taken is named", (p.returncode, p.stderr))
    is_equal(posthouse("dev", "--port-base", "65533").returncode, EX_USAGE, "--port-base beyond the last port")


def test_certificate():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = f"{folder}/c.pem", f"{folder}/k.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        with Dev("--cert", cert, "--key", key) as dev:
            context = ssl.create_default_context(cafile=cert)
            with socket.create_connection((dev.host, dev.submissions)) as sock, context.wrap_socket(
                    sock, server_hostname="localhost") as tls:
                is_equal(tls.recv(4), b"220 ", "--cert, --key: ours is shown")
            is_equal(dev.ca, "", "--cert: no CA of its own")
        check("--cert without --key", ["dev", "--cert", cert], EX_USAGE, err="--key belong together")
        with tempfile.NamedTemporaryFile() as other:
            subprocess.run(["openssl", "genrsa", "-out", other.name, "2048"], check=True, capture_output=True)
            p = posthouse("dev", "--cert", cert, "--key", other.name)
            ok(p.stderr.endswith("the private key does not belong to the certificate\n"), "the key of another certificate",
               (p.returncode, p.stderr))
        Path(key).write_text("nonsense")
        p = posthouse("dev", "--cert", cert, "--key", key)
        ok(p.returncode not in (EX_OK, 1) and "key" in p.stderr, "a key that is none", (p.returncode, p.stderr))


def test_dns():
    with FakeDns() as dns, FakeSmtp(host="127.0.0.7") as far:
        dns.add("far.test", "MX", 1, "mx.far.test")
        dns.add("mx.far.test", "A", "127.0.0.7")
        with Dev("--set", f"relay.port={far.port}", dns=dns.address, users={USER: "secret"}) as dev:
            submit(dev, USER, ["x@far.test"], MAIL)
            far.wait(1)
            asked = len([q for q in dns.queries if q == ("far.test", "MX")])
            submit(dev, USER, ["x@far.test"], MAIL)
            far.wait(2)
            ok(len([q for q in dns.queries if q == ("far.test", "MX")]) > asked > 0, "--dns: asked, and TTL 0 honoured")
        with tempfile.NamedTemporaryFile("w", suffix=".zone") as zone:
            zone.write("$ORIGIN zone.test.\n@ 0 IN MX 1 mx\nmx 0 IN A 127.0.0.7\n")
            zone.flush()
            with Dev("--dns-zone", zone.name, "--set", f"relay.port={far.port}", users={USER: "secret"}) as dev:
                submit(dev, USER, ["x@zone.test"], MAIL)
                is_equal(far.wait(3)[2].recipients, ["x@zone.test"], "--dns-zone: answers")
    with FakeSmtp() as far, Dev(route=f"{far.host}:{far.port}", users={USER: "secret"}) as dev:
        submit(dev, USER, ["John.Doe@Far.Test"], MAIL)
        is_equal(far.wait(1)[0].recipients, ["John.Doe@far.test"], "--route: goes there, the local part as it was written")


def test_nothing_leaves():
    with Dev(users={USER: "secret"}) as dev:
        submit(dev, USER, ["x@far.test"], MAIL)
        said = wait_for(lambda: re.findall(r'"reply":"([^"]+)"', posthouse("queue", "list", "--json", "--data", dev.data).stdout),
                        "a try")
        is_equal(said, ["4.4.1 nothing leaves this machine: no route is set"], "without --route the queue says so")


def test_dev_refuses():
    for args, why in ((["--nope"], "no option --nope"), (["extra"], "takes no arguments"), (["--data"], "needs a value"),
                      (["--smtp", "0"], "not a port"), (["--user", "x"], "ADDRESS:PASSWORD"), (["--set", "x"], "SECTION.KEY=VALUE"),
                      (["--user", "a b@c.test:x"], "ADDRESS:PASSWORD"), (["--domain", "a..b"], "not a domain"),
                      (["--user", "a@b.c:"], "--user a@b.c: a password has 1 to "), (["--set", "smtp.errors_max=0"], "smtp.errors_max: "),
                      (["--set", "smtp.foo=1"], r"smtp.foo: unknown; known here: [a-z_, ]*, \.\.\.; posthouse help smtp$")):
        check(f"dev {' '.join(args)}", ["dev", *args], EX_USAGE, err=why)
    for args, why in ((["--dns", "x"], "dns.forward"), (["--route", "h:x"], "HOST:PORT"), (["--dns-zone", "/nowhere"], "/nowhere")):
        p = posthouse("dev", *args)
        ok(p.returncode in (EX_USAGE, EX_CONFIG, 74) and why in p.stderr, f"dev {' '.join(args)}: told", (p.returncode, p.stderr))
    for option in ("--ready", "--pid-file"):
        check(f"dev {option} where nothing can be", ["dev", option, "/nowhere/x"], EX_CANTCREAT, err="/nowhere/x: cannot be written")


# --- the administrator's commands, without a server ---

def test_accounts(data, running):
    where = ["--data", data]
    state = "running" if running else "not running"

    def c(name, words, *rest, **more):
        return check(f"{state}: {name}", [*words.split(), *where], *rest, **more)
    c("domain add", "domain add Bücher.Test", EX_OK)
    c("domain list", "domain list", EX_OK, out=r"(?m)^xn--bcher-kva\.test$")
    c("user add makes the domain local", "user add Carol@New.Test --password pw", EX_OK, out="new.test is a local domain now")
    c("user add, from stdin", "user add dave@new.test --quota 2M", EX_OK, stdin="pw\n")
    c("user add twice", "user add carol@new.test --password pw", EX_DATAERR, err="carol@new.test is there already")
    c("user add without a password", "user add x@new.test", EX_USAGE, err="no password")
    for bad in ("x", "@new.test", "x@", "a@b@new.test", "x@new..test", ".x@new.test"):
        c(f"user add {bad}", f"user add {bad} --password pw", EX_USAGE, err="not an address")
    c("a size that is none", "user add x@new.test --password pw --quota 3Q", EX_USAGE, err="a size, as 500M")
    c("user passwd", "user passwd carol@new.test --password other", EX_OK)
    c("user passwd of nobody", "user passwd nobody@new.test --password x", EX_DATAERR, err="no account nobody@new.test")
    c("user quota", "user quota carol@new.test --quota 1G", EX_OK)
    c("user quota without one", "user quota carol@new.test", EX_USAGE, err="--quota SIZE")
    c("user quota, written otherwise", "user quota carol@new.test 1G", EX_USAGE, err="--quota 1G")
    c("user disable", "user disable dave@new.test", EX_OK)
    users = {u["address"]: (u["quota"], u["disabled"]) for u in json.loads(c("user list", "user list --json", EX_OK))}
    is_equal({a: users[a] for a in ("carol@new.test", "dave@new.test")},
             {"carol@new.test": (1 << 30, False), "dave@new.test": (2 << 20, True)}, f"{state}: user list --json")
    c("user list", "user list", EX_OK, out=r"(?m)^dave@new\.test .* of 2097152  disabled$")
    c("alias add", "alias add team@new.test carol@new.test Far.Away@Elsewhere.Test", EX_OK)
    c("alias add of a catch-all", "alias add @new.test carol@new.test", EX_OK)
    c("alias add elsewhere", "alias add x@foreign.test carol@new.test", EX_DATAERR, err="posthouse domain add foreign.test")
    c("alias add without a target", "alias add x@new.test", EX_USAGE, err="TARGET")
    c("alias add over an account", "alias add carol@new.test dave@new.test", EX_DATAERR, err="is an account")
    aliases = {a["address"]: a["targets"] for a in json.loads(c("alias list", "alias list --json", EX_OK))}
    is_equal(aliases, {"@new.test": ["carol@new.test"], "team@new.test": ["carol@new.test", "Far.Away@elsewhere.test"]},
             f"{state}: alias list --json")
    c("alias list", "alias list", EX_OK, out=r"(?m)^team@new\.test +carol@new\.test,Far\.Away@elsewhere\.test$")
    c("alias add again tells what it replaces", "alias add team@new.test dave@new.test", EX_OK,
      out=r"^team@new\.test led to carol@new\.test, Far\.Away@elsewhere\.test before\n$")
    c("alias add again", "alias add team@new.test carol@new.test Far.Away@Elsewhere.Test", EX_OK, out="led to dave@new.test before")
    c("alias add, the same again", "alias add team@new.test carol@new.test Far.Away@Elsewhere.Test", EX_OK, out="^$")
    c("alias add of one target twice", "alias add twice@new.test carol@new.test Carol@New.Test", EX_OK, out="^$")
    c("alias list", "alias list", EX_OK, out=r"(?m)^twice@new\.test +carol@new\.test$")
    c("alias remove", "alias remove twice@new.test", EX_OK)
    c("alias add, behind another", "alias add all@new.test team@new.test", EX_OK, out="^$")
    for address, target in (("self", "Self"), ("self", "self+x"), ("team", "all"), ("team", "team@new.test ALL+y"), ("@", "nobody")):
        full = address + ("new.test" if address == "@" else "@new.test")
        c(f"alias add {full} {target}: a loop", f"alias add {full} {target}@new.test", EX_DATAERR,
          err=f"mail for {full} would lead back to it and to nobody else")
    for target in ("postmaster", "Postmaster+x"):
        c("alias add of a catch-all to the postmaster, who has no row", f"alias add @new.test {target}@new.test", EX_OK)
    c("alias add of a loop that has a way out", "alias add team@new.test carol@new.test all@new.test", EX_OK, out="led to carol")
    c("alias add without the loop", "alias add team@new.test carol@new.test Far.Away@Elsewhere.Test", EX_OK)
    c("alias add of a catch-all", "alias add @new.test all@new.test", EX_OK, out="@new.test led to Postmaster.x@new.test before")
    c("alias add of a catch-all", "alias add @new.test carol@new.test", EX_OK, out="@new.test led to all@new.test before")
    c("alias remove", "alias remove all@new.test", EX_OK)
    c("domain remove while in use", "domain remove new.test", EX_DATAERR, err="has accounts or aliases")
    c("--force elsewhere", "user disable carol@new.test --force", EX_USAGE, err="--force: goes with remove")
    c("user remove, a target of aliases", "user remove carol@new.test", EX_DATAERR,
      err="carol@new.test is a target of the aliases @new.test, team@new.test; .* --force")
    check_removal_by_force(c, state)
    c("alias remove", "alias remove team@new.test", EX_OK)
    c("alias remove of a catch-all", "alias remove @new.test", EX_OK)
    c("alias remove again", "alias remove team@new.test", EX_DATAERR, err="no such alias")
    c("alias remove of an account", "alias remove carol@new.test", EX_DATAERR, err="posthouse user remove")
    for who in ("carol", "dave"):
        c("user remove", f"user remove {who}@new.test", EX_OK)
    c("user remove again", "user remove carol@new.test", EX_DATAERR, err="no account")
    c("domain remove", "domain remove new.test", EX_OK)
    c("domain remove again", "domain remove new.test", EX_DATAERR, err="no such domain")
    c("domain remove, with other letters", "domain remove BÜCHER.test", EX_OK)
    for words in ("user", "user list x", "alias", "domain frob", "queue", "queue frob all", "queue show"):
        c(words, words, EX_USAGE, err="written: posthouse")
    c("fsck", "fsck", EX_OK, out="sound")
    is_equal(json.loads(c("fsck --json", "fsck --json", EX_OK)), [], f"{state}: fsck --json: nothing is wrong")


def check_removal_by_force(c, state):
    """Who goes is taken out of the aliases, also where it stands with a detail; nobody else is."""
    def aliases():
        return {a["address"]: a["targets"] for a in json.loads(c("alias list", "alias list --json", EX_OK))}
    before = aliases()
    c("user add", "user add eve@new.test --password pw", EX_OK)
    for address, targets in (("one", "eve@new.test"), ("two", "dave@new.test Eve+lists@new.test"),
                             ("none", "eveline@new.test eve@elsewhere.test eve-x@new.test")):
        c("alias add", f"alias add {address}@new.test {targets}", EX_OK)
    c("user remove names the aliases", "user remove eve@new.test", EX_DATAERR, err="the aliases one@new.test, two@new.test; ")
    ok(len(aliases()) == len(before) + 3, f"{state}: the refusal changed no alias", aliases())
    c("user passwd: the account is still there", "user passwd eve@new.test --password x", EX_OK)
    c("user remove --force", "user remove eve@new.test --force", EX_OK,
      out="alias one@new.test, which led nowhere else, is removed\nthe alias two@new.test no longer leads to eve@new.test\n")
    is_equal(aliases(), {**before, "two@new.test": ["dave@new.test"],
                         "none@new.test": ["eveline@new.test", "eve@elsewhere.test", "eve-x@new.test"]},
             f"{state}: what user remove --force leaves")
    c("user remove --force again", "user remove eve@new.test --force", EX_DATAERR, err="no account")
    c("user remove, one alias", "user remove dave@new.test", EX_DATAERR, err="the alias two@new.test; change or remove it first")
    for address in ("two", "none"):
        c("alias remove", f"alias remove {address}@new.test", EX_OK)


def test_no_store(folder):
    nowhere = f"{folder}/nowhere"
    for words in ("user list", "alias list", "domain list", "queue list", "fsck", "explain x", "user remove x@y.test"):
        check(f"{words} without a store", [*words.split(), "--data", nowhere], EX_NOINPUT, err="no store.*\n.*posthouse init")
    ok(not Path(nowhere).exists(), "looking makes nothing")
    for words in ("queue", "queue frob", "queue show", "queue show all x"):
        check(f"{words}: usage comes first", [*words.split(), "--config", f"{folder}/none.conf"], EX_USAGE, err="written: posthouse queue")
    check("no configuration", ["user", "list", "--config", f"{folder}/none.conf"], EX_CONFIG, err="none.conf.*posthouse init DOMAIN.*\n.*--data DIR")
    bad = Path(folder, "bad.conf")
    bad.write_text("hostname = x.example.test\nsmtp {\n  nonsense = 1\n}\n")
    check("a wrong configuration", ["check", "--config", bad], EX_CONFIG, out="^$", err=r"bad.conf:3:.*nonsense[^\n]*\n$")
    told = json.loads(check("check --json, a wrong configuration", ["check", "--json", "--config", bad], EX_CONFIG, err="bad.conf:3:"))
    ok(len(told) == 1 and told[0]["ok"] is False and re.search("bad.conf:3:.*nonsense", told[0]["text"]),
       "check --json, a wrong configuration: one finding", told)
    check("fsck --repair without a store", ["fsck", "--repair", "--data", nowhere], EX_NOINPUT, err="no store.*\n.*posthouse init")


def test_changes_are_seen(processes):
    """What the commands change holds at once for the server that runs."""
    with Folder() as folder, Dev(data=f"{folder}/data", processes=processes, users={USER: "secret"}) as dev:
        test_accounts(dev.data, True)
        where = ("--data", dev.data)
        posthouse("user", "add", "new@example.test", "--password", "one", *where)
        imap_login(dev, "new@example.test", "one").logout()
        posthouse("user", "passwd", "new@example.test", "--password", "two", *where)
        imap_login(dev, "new@example.test", "two").logout()
        idle = imap_login(dev, "new@example.test", "two")
        idle.select()
        idle.send(b"x IDLE\r\n")
        idle.readline()
        for password, disabled in (("one", False), ("two", True)):
            if disabled:
                posthouse("user", "disable", "new@example.test", *where)
            try:
                imap_login(dev, "new@example.test", password)
                ok(False, f"logging in with {password}, disabled: {disabled}")
            except Exception as e:
                ok("AUTHENTICATIONFAILED" in str(e), f"the password {password} is refused, disabled: {disabled}", e)
        ok(re.search(rb"\* BYE .*closed", idle.file.read()), "the session of an account that is disabled ends")
        posthouse("alias", "add", "all@example.test", USER, "new@example.test", *where)
        smtp_send(dev, "a@far.test", ["all@example.test"], MAIL)
        is_equal(len(wait_messages(dev, USER, 1)), 1, "an alias added while the server runs")
        posthouse("user", "quota", USER, "--quota", "100", *where)
        try:
            smtp_send(dev, "a@far.test", [USER], MAIL)
            ok(False, "quota")
        except smtplib.SMTPRecipientsRefused as e:
            is_equal(e.recipients[USER][0], 552, "a quota set while the server runs")
        check("fsck --repair while it runs", ["fsck", "--repair", *where], EX_TEMPFAIL, err="stop it")
        check("fsck while it runs", ["fsck", *where], EX_OK, out="sound")
        ok("ok    the server runs" in posthouse("check", *where).stdout, "check while it runs")


# --- status ---

def counted(where):
    """{role: {name: value}} of a running server."""
    said = json.loads(check("status --json", ["status", "--json", *where], EX_OK))
    ok(said["running"] and all(r["pid"] for r in said["roles"]), "status: it runs", said)
    return {r["name"]: r["metrics"] for r in said["roles"]}


def check_exposition(where, roles):
    """The text format of Prometheus, by its grammar: HELP, TYPE and samples of a name stand together."""
    text = check("status --metrics", ["status", "--metrics", *where], EX_OK)
    family = re.compile(r"# HELP (posthouse_[a-z_]+) \S.*\n# TYPE \1 (counter|gauge)\n"
                        r'(?:\1\{role="[a-z]+"\} [0-9]+\n)+')
    ok(not family.sub("", text), "status --metrics: nothing but families of samples", family.sub("", text))
    names = [m[1] for m in family.finditer(text)]
    ok(len(names) == len(set(names)), "status --metrics: each name once", names)
    ok(all((m[2] == "counter") == m[1].endswith("_total") for m in family.finditer(text)), "counters end in _total", text)
    is_equal(set(re.findall(r'role="(\w+)"', text)), roles, "status --metrics: every role")


def test_status(processes):
    with Folder() as folder, Dev(data=f"{folder}/data", processes=processes, users={USER: "secret"}) as dev:
        where = ("--data", dev.data)
        mx, submission, imap, store = ("mx", "submit", "imap", "store") if processes else ("all",) * 4
        smtp_send(dev, "a@far.test", [USER], MAIL)
        submit(dev, USER, [USER], MAIL)
        session = imap_login(dev, USER)
        now = counted(where)
        is_equal((now[mx]["smtp_accepted_total"], now[submission]["smtp_accepted_total"]), (1, 1) if processes else (2, 2),
                 "status: messages that came")
        is_equal((now[imap]["imap_sessions"], now[imap]["imap_logins_total"]), (1, 1), "status: a session")
        ok(now[store]["store_operations_total"] >= 2 and now[store]["store_commits_total"] >= 2, "status: operations", now[store])
        session.logout()
        wait_for(lambda: counted(where)[imap]["imap_sessions"] == 0, "the end of the session")
        check("status", ["status", *where], EX_OK, out=r"(?m)^    imap_logins_total +1  IMAP logins\.$")
        check_exposition(where, {"store", "auth", "relay", "submit", "mx", "imap"} if processes else {"all"})
        if processes:
            os.kill(role_pid(dev, "imap"), signal.SIGKILL)
            wait_for(lambda: (now := counted(where))["imap"]["role_up"] and now["imap"]["role_deaths_total"] == 1, "imap again")
            os.kill(role_pid(dev, "mx"), signal.SIGSTOP)
            now = counted(where)
            is_equal((now["mx"]["role_up"], now["store"]["role_up"]), (0, 1), "status: a role that hangs holds up nobody")
            os.kill(role_pid(dev, "mx"), signal.SIGCONT)
    where = ("--data", dev.data)
    is_equal(json.loads(posthouse("status", "--json", *where).stdout or "{}"), {"running": False, "roles": []},
             "status --json: it does not run")
    check("status: it does not run", ["status", *where], EX_UNAVAILABLE, err="does not run")


def test_closed_while_it_waits():
    """A login with the right password that has to wait, and whose account is disabled meanwhile."""
    with Folder() as folder, Dev("--set", "auth.failure_delay=10s", data=f"{folder}/data", users={USER: "secret"}) as dev:
        where = ("--data", dev.data)

        def attempt(password):
            s = tls_context(dev).wrap_socket(socket.create_connection((dev.host, dev.imaps), 60), server_hostname=dev.host)
            s.recv(1000)
            s.sendall(f"a LOGIN {USER} {password}\r\n".encode())
            return s

        def throttled():
            return counted(where)["all"]["auth_throttled_total"]
        waiting = []
        wait_for(lambda: throttled() or waiting.append(attempt("wrong")), "a login that has to wait", 60, 0.5)
        before = throttled()
        last = attempt("secret")
        wait_for(lambda: throttled() > before, "the right one to wait, too", 60)
        check("user disable", ["user", "disable", USER, *where], EX_OK)
        said = last.recv(1000)
        ok(said.startswith(b"a NO "), "an account that is disabled while its login waits stays closed", said)
        for s in [*waiting, last]:
            s.close()


def test_status_relay(processes):
    """What relay and auth count: each outcome once, the queue as it is."""
    def rcpt(address):
        return {"no": "550 5.1.1 nobody", "later": "450 4.2.0 later"}.get(address.split("@")[0])
    with Folder() as folder, FakeSmtp(replies={"RCPT": rcpt}) as far, Dev(
            "--set", "relay.retry_min=1h", "--set", "relay.retry_max=1h", "--set", "auth.failure_delay=1s",
            data=f"{folder}/data", processes=processes, users={USER: "secret"}, route=f"127.0.0.1:{far.port}") as dev:
        where = ("--data", dev.data)
        relay, auth = ("relay", "auth") if processes else ("all", "all")
        began = int(time.time())
        submit(dev, USER, ["yes@far.test", "no@far.test", "later@far.test"], MAIL)
        wait_messages(dev, USER, 1)     # the bounce
        wrong = 0

        def throttled():
            """After one more failure, if need be: each has the next one wait twice as long."""
            nonlocal wrong
            if counted(where)[auth]["auth_throttled_total"]:
                return True
            wrong += 1
            try:
                imap_login(dev, USER, "wrong")
            except imaplib.IMAP4.error:
                pass
            return False
        wait_for(throttled, "a login that has to wait", 120)

        def relayed():
            now = counted(where)[relay]
            return now if now["relay_shipments"] == 0 else None
        now = wait_for(relayed, "relay to come to rest", 60, 0.1)
        got = {k[6:]: v for k, v in now.items() if k.startswith("relay_") and not k.endswith("timestamp_seconds")}
        is_equal(got, {"sent_total": 1, "deferred_total": 1, "bounced_total": 1, "expired_total": 0, "reports_total": 1,
                       "connections_total": 1, "connect_failures_total": 0, "tls_sessions_total": 0, "shipments": 0,
                       "queue_recipients": 1}, "status: what relay has done")
        ok(began <= now["relay_queue_oldest_timestamp_seconds"] <= time.time(), "status: the oldest in the queue", now)
        now = counted(where)[auth]
        is_equal({k: now[f"auth_{k}_total"] for k in ("logins", "login_failures", "login_errors", "password_checks")},
                 {"logins": 2, "login_failures": wrong, "login_errors": 0, "password_checks": 1 + wrong}, "status: logins")
        ok(wrong > 1 and now["auth_throttled_total"] == 1 and now["auth_lookups_total"] >= 4, "status: what auth was asked", now)
        far.close()
        check("queue retry", ["queue", "retry", "all", *where], EX_OK)
        wait_for(lambda: counted(where)[relay]["relay_connect_failures_total"] == 1, "a host that is away to be counted", 60, 0.1)
        check("queue drop", ["queue", "drop", "all", *where], EX_OK)
        wait_for(lambda: counted(where)[relay]["relay_queue_recipients"] == 0, "the empty queue to be counted", 60, 0.1)
        is_equal(counted(where)[relay]["relay_queue_oldest_timestamp_seconds"], 0, "status: nothing is old")


# --- queue and explain ---

def test_queue(processes):
    with Folder() as folder, FakeSmtp(replies={"RCPT": ["451 4.2.1 later"] * 3}) as far:
        options = dict(data=f"{folder}/data", users={USER: "secret"}, route=f"{far.host}:{far.port}", processes=processes)
        where = ["--data", f"{folder}/data"]

        def listed():
            return json.loads(posthouse("queue", "list", "--json", *where).stdout)

        def tried():
            return wait_for(lambda: (now := listed()) and all(r["tries"] for i in now for r in i["recipients"]) and now, "tries")
        with Dev("--set", "relay.retry_min=1h", **options) as dev:
            for _ in range(3):
                submit(dev, USER, ["x@far.test"], MAIL)
                wait_for(lambda: all(r["tries"] for i in listed() for r in i["recipients"]), "a try")
            ids = [i["id"] for i in tried()]
            check_queue_words(where, ids, far, listed, "running")
        check_queue_stopped(where, listed)
        with Dev("--set", "relay.retry_min=1h", **options):
            far.wait(2)
            wait_for(lambda: not listed(), "an empty queue")
            ok(True, "what was released while nobody ran goes out at the next start")
            check("queue list: nothing", ["queue", "list", *where], EX_OK, out="The queue is empty")
            check("queue retry all: nothing", ["queue", "retry", "all", *where], EX_OK, out="The queue is empty")


def check_queue_words(where, ids, far, listed, state):
    item = listed()[0]
    is_equal((item["from"], item["size"] > 0, item["recipients"][0]["rcpt"], item["recipients"][0]["reply"]),
             (USER, True, "x@far.test", "451 4.2.1 later"), f"{state}: queue list --json")
    check(f"{state}: queue list", ["queue", "list", *where], EX_OK, out=f"{ids[0]} .*<{USER}>\n    to x@far.test  1 try, next ")
    shown = check(f"{state}: queue show", ["queue", "show", ids[0], *where], EX_OK, out="Subject: hello")
    shown_json = posthouse("queue", "show", ids[0], "--json", *where).stdout
    ok(shown_json.startswith('{"id"') and json.loads(shown_json)["id"] == ids[0], f"{state}: queue show --json", shown_json)
    ok(shown.endswith("\ntext\n"), f"{state}: queue show has the message to its end", shown[-80:])
    check(f"{state}: queue hold", ["queue", "hold", ids[0], *where], EX_OK, out=f"{ids[0]}  1 recipient held")
    check(f"{state}: queue retry", ["queue", "retry", ids[1], *where], EX_OK, out="1 recipient tried again now")
    is_equal(len(far.wait(1)), 1, f"{state}: queue retry: it goes out")
    wait_for(lambda: len(listed()) == 2, "two left")
    ok(listed()[0]["recipients"][0]["held"], f"{state}: queue hold: it is held")
    check(f"{state}: queue show of one that is gone", ["queue", "show", ids[1], *where], EX_DATAERR, err="no such message")
    check(f"{state}: queue drop", ["queue", "drop", ids[2], *where], EX_OK)
    is_equal([i["id"] for i in listed()], [ids[0]], f"{state}: queue drop: it is gone")
    check(f"{state}: an id that is none", ["queue", "drop", "nonsense!", *where], EX_USAGE, err="posthouse queue list")


def check_queue_stopped(where, listed):
    """While no server runs."""
    (item,) = listed()
    check("not running: queue show", ["queue", "show", item["id"], *where], EX_OK, out="Subject: hello")
    check("not running: queue release", ["queue", "release", "all", *where], EX_OK, out="1 recipient released")
    ok(not listed()[0]["recipients"][0]["held"], "not running: it is released")
    check("not running: queue retry", ["queue", "retry", "all", *where], EX_OK)


def test_explain():
    with tempfile.TemporaryDirectory() as folder:
        where = ["--data", f"{folder}/data"]
        with Dev(data=f"{folder}/data", users={USER: "secret"}) as dev, smtplib.SMTP(dev.host, dev.smtp) as session:
            session.ehlo("client.example.org")
            session.mail("s@far.test")
            session.rcpt(USER)
            session.rcpt("nobody@example.test")
            code, text = session.data(MAIL)
            ident = text.decode().rsplit(" ", 1)[1]
            for what in (ident, "<1@example.test>", "s@far.test", USER, "nobody@example.test", "127.0.0.1"):
                out = check(f"explain {what}", ["explain", what, *where], EX_OK)
                ok(ident in out and "s@far.test" in out and "550 5.1.1" in out, f"explain {what}: tells all", out)
            told = json.loads(posthouse("explain", ident, "--json", *where).stdout)
            ok(len(told) == 1 and told[0]["id"] == ident, "explain --json", told)
            check("a second user", ["user", "add", "bob@example.test", "--password", "pw", *where], EX_OK)
            check("an alias of both", ["alias", "add", "two@example.test", USER, "bob@example.test", *where], EX_OK)
            session.sendmail("s@far.test", ["two@example.test"], MAIL)
            for what in ("two@example.test", "bob@example.test"):
                out = check(f"explain {what}: every place an alias leads to", ["explain", what, *where], EX_OK)
                ok(f": {USER} INBOX, UID" in out and ": bob@example.test INBOX, UID" in out, f"explain {what}: both mailboxes", out)
        check("explain, not running", ["explain", ident, *where], EX_OK, out="s@far.test")
        check("explain of nothing", ["explain", "what@ever.test", *where], EX_DATAERR, err="nothing is recorded about 'what@ever.test'")


# --- init, check, serve ---

def test_init():
    with Folder() as folder:
        config, data = f"{folder}/posthouse.conf", f"{folder}/data"
        init = ["init", "Example.Test", "--config", config, "--data", data]
        if os.getuid() == 0:
            check("init says which account is missing", [*init, "--user", "no-such-account"], EX_NOUSER,
                  err="useradd --system .* no-such-account")
            is_equal(os.listdir(folder), [], "and has made neither configuration nor data directory")
            os.chmod(folder, 0o700)
            check("init says where its account may not enter", [*init, "--user", "daemon"], EX_NOPERM, err=f"chmod o.x {folder}")
            is_equal(os.listdir(folder), [], "and has made nothing either")
            os.chmod(folder, 0o711)
            os.mkdir(data)
            check("init without an account, beside a data directory", [*init, "--user", "no-such-account"], EX_NOUSER)
            is_equal(os.listdir(folder), ["data"], "which stays")
        init += ["--user", "daemon"]  # of every Debian
        out = check("init", init, EX_OK, out="First account   postmaster@example.test, password ")
        for record in (r"example\.test\. +MX +10 mail\.example\.test\.", r'"v=spf1 mx -all"', r"_dmarc\.example\.test\."):
            ok(re.search(record, out), f"init prints {record}", out)
        check("init twice", init, EX_DATAERR, err="is there already; nothing was touched")
        ok('run {\n    user = "daemon"\n}\n' in Path(config).read_text(), "init writes down the account")
        check("init of nonsense", ["init", "not a domain", "--config", f"{folder}/x"], EX_USAGE, err="not a domain")
        is_equal(oct(os.stat(f"{data}/tls.key").st_mode & 0o777), "0o600", "init: the key is for nobody else")
        base = free_ports(6)
        with open(config, "a") as f:
            f.write("listen {\n" + "".join(f"    {p} = {{127.0.0.1:{base + i}}}\n" for i, p in enumerate(PORTS)) + "}\n")
        check("check of what init made", ["check", "--config", config], EX_OK, out="nobody else trusts its CA(.|\n)*ok    all ports can be bound")
        check("user list by configuration", ["user", "list", "--config", config], EX_OK, out="postmaster@example.test")
        password = re.search(r"password (\S+)", out)[1]
        kept = [Path(data, name).read_bytes() for name in ("tls.key", "tls.pem", "ca.pem")]
        check("init beside what is there", [*init[:3], f"{folder}/again.conf", *init[4:]], EX_OK,
              out="tls.pem, as it was\n.*postmaster@example.test, with the password it has already")
        is_equal([Path(data, name).read_bytes() for name in ("tls.key", "tls.pem", "ca.pem")], kept, "init keeps the keys")
        serve(config, data, base, password)


def test_check(folder):
    """What is wrong with the store is one line among the others, in words and as JSON; looking makes nothing."""
    config, data, port = Path(folder, "c.conf"), Path(folder, "data"), free_ports(6)
    config.write_text(f"hostname = x.test\ndata = data\nrun {{ user = daemon }}\nlisten {{\n" + "".join(
        f"    {p} = {{127.0.0.1:{port + i}}}\n" for i, p in enumerate(PORTS)) + "}\n")

    def try_it(name, about_store):
        p = posthouse("check", "--config", config)
        out = p.stdout
        is_equal((p.returncode, p.stderr), (EX_CONFIG, ""), f"check, {name}: the status")
        for line in ("ok    the configuration can be read", "WRONG tls.certificate and tls.key are not set",
                     "ok    all ports can be bound", f"WRONG {data}: {about_store}"):
            ok(f"\n{line}" in f"\n{out}", f"check, {name}: {line}", out)
        told = json.loads(posthouse("check", "--config", config, "--json").stdout)
        is_equal([("ok    " if t["ok"] else "WRONG ") + t["text"] for t in told], out.splitlines(), f"check --json, {name}: the same")
    try_it("no store", "there is no store here yet: posthouse serve makes it, posthouse user add")
    ok(not data.exists(), "check makes nothing")
    data.mkdir()
    (data / "data.mdb").write_bytes(b"garbage" * 5000)
    try_it("a store that is none", "")


def test_relative(folder):
    """Made in one folder, used from another: what init writes down is found from everywhere, and what a file names
    relatively is meant from where the file is."""
    def at(where, *args):
        p = subprocess.run([binary(), *args], cwd=where, capture_output=True, text=True, timeout=120)
        return p.returncode, p.stdout + p.stderr
    os.mkdir(f"{folder}/s")
    is_equal(at(folder, "init", "rel.test", "--config", "rel.conf", "--data", "s/d8", "--user", "daemon")[0], 0, "init --data s/d8")
    text = Path(folder, "rel.conf").read_text()
    ok(f"data = {folder}/s/d8\n" in text and f"key = {folder}/s/d8/tls.key\n" in text, "init writes whole paths", text)
    Path(folder, "rel.conf").write_text(text.replace(f"{folder}/s/d8", "s/d8"))
    ok(f"{folder}/" not in Path(folder, "rel.conf").read_text(), "by hand: relative paths")
    for where, config in ((folder, "rel.conf"), (f"{folder}/s", "../rel.conf"), ("/", f"{folder}/rel.conf")):
        code, said = at(where, "user", "list", "--config", config)
        ok(code == 0 and "postmaster@rel.test" in said, f"user list from {where}", said)
        ok("ok    certificate for mail.rel.test" in at(where, "check", "--config", config)[1], f"check from {where}")
    odd = ["init", "rel.test", "--config", "odd.conf", "--data", 's/a b#"\\${HOME}', "--user", "daemon"]
    is_equal(at(folder, *odd)[0], 0, "init in a folder with odd letters")
    ok("postmaster@rel.test" in at("/", "user", "list", "--config", f"{folder}/odd.conf")[1], "the file can be read",
       Path(folder, "odd.conf").read_text())
    code, said = at(folder, "init", "rel.test", "--config", "no.conf", "--data", "no/d8")
    ok(code == 74 and "no/d8: No such file" in said and not Path(folder, "no.conf").exists(), "init --data without the folder", said)


def serve(config, data, base, password):
    p = subprocess.Popen([binary(), "serve", "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = []
    threading.Thread(target=lambda: said.extend(p.stderr), daemon=True).start()

    def serves():
        """On every port: the roles open theirs one after the other."""
        assert p.poll() is None, b"".join(said).decode()
        try:
            for i, _ in enumerate(PORTS):
                socket.create_connection(("127.0.0.1", base + i), 5).close()
            return True
        except OSError:
            return False
    wait_for(serves, "serve", 60)

    class Server:
        host, imaps, ca = "127.0.0.1", base + 4, f"{data}/ca.pem"
    context = ssl.create_default_context(cafile=Server.ca)
    context.check_hostname = False     # it names mail.example.test
    with imaplib.IMAP4_SSL("127.0.0.1", base + 4, ssl_context=context, timeout=60) as imap:
        is_equal(imap.login("postmaster@example.test", password)[0], "OK", "serve: the account that init made logs in")
    check("check while serve runs", ["check", "--config", config], EX_OK, out="the server runs")
    check("user add while serve runs", ["user", "add", "x@example.test", "--password", "y", "--config", config], EX_OK)
    p.send_signal(signal.SIGTERM)
    is_equal(p.wait(60), 0, "serve: ends with 0 at SIGTERM")


def test_help():
    names = re.findall(r"(?m)^  posthouse (\S+)", check("help", ["help"], EX_OK))
    ok({"dev", "serve", "init", "check", "user", "alias", "domain", "queue", "fsck", "explain", "help"} <= set(names),
       "help lists the commands", names)
    for name in names:
        out = check(f"help {name}", ["help", name], EX_OK, out=f"^posthouse {name}")
        is_equal(posthouse(name, "--help").stdout, out, f"{name} --help is the same")
    check("help for an unknown key", ["help", "smtp.errors_maxx"], EX_USAGE, err=r"smtp.errors_maxx: unknown; did you mean errors_max\?$")
    check("help for a key of an unknown section", ["help", "smpt.errors_max"], EX_USAGE, err=r"did you mean smtp\?$")
    check("an unknown command", ["usr"], EX_USAGE, err="did you mean 'user'")
    check("help for an unknown command", ["help", "frob"], EX_USAGE, err="no command 'frob'")
    is_equal(posthouse().returncode, EX_USAGE, "no command at all")
    check("--version", ["--version"], EX_OK, out=r"^posthouse \d+\.\d+\.\d+$")


for mode in (False, True):
    test_ready(mode)
    test_open_house(mode)
    test_options(mode)
    test_changes_are_seen(mode)
    test_status(mode)
    test_status_relay(mode)
    test_queue(mode)
if os.getuid() == 0:
    test_closed_folder()
test_closed_while_it_waits()
test_ports()
test_certificate()
test_dns()
test_nothing_leaves()
test_dev_refuses()
with tempfile.TemporaryDirectory() as empty:
    test_no_store(empty)
    posthouse("domain", "add", "first.test", "--data", f"{empty}/store")
    test_accounts(f"{empty}/store", False)
test_explain()
test_init()
for test in (test_relative, test_check):
    with Folder() as home:
        test(home)
test_help()
done()
