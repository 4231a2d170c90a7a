"""Incoming mail is judged while it arrives: SPF, DKIM and DMARC against a zone, in one process and in several. What is
said of a message stands on top of it and in its audit record, and the rest of it comes through octet for octet."""
import hashlib
import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import dkimsign
from fakedns import FakeDns
from posthouse import (Dev, binary, check_named, done, fetch_messages, imap_login, is_equal, ok, records, role_pid,
                       smtp_send, submit, wait_for, wait_messages)
from transcript import Connection, play

USER = "u@example.test"
GOOD, BAD = "192.0.2.1", "192.0.2.66"

KEY = dkimsign.Key()
ZONE = """$TTL 60
pass.test. MX 10 mail.pass.test.
pass.test. TXT "v=spf1 ip4:192.0.2.1 -all exp=why.pass.test"
why.pass.test. TXT "%{i} may not write for %{d}"
mail.pass.test. A 192.0.2.1
_dmarc.pass.test. TXT "v=DMARC1; p=reject"
quar.test. MX 10 mail.pass.test.
quar.test. TXT "v=spf1 -all"
_dmarc.quar.test. TXT "v=DMARC1; p=quarantine"
none.test. MX 10 mail.pass.test.
temp.test. SERVFAIL
_dmarc.unknown.test. SERVFAIL
unknown.test. MX 10 mail.pass.test.
1.2.0.192.in-addr.arpa. PTR mail.pass.test.
""" + KEY.zone("sel._domainkey.pass.test")


def message(author, subject="hello", body=b"hello\r\n", more=b""):
    return more + f"From: {author}\r\nTo: {USER}\r\nSubject: {subject}\r\n\r\n".encode() + body


class Client:
    """Talks to the mx port as somebody at another address."""

    def __init__(self, dev, ip, helo="mail.pass.test"):
        self.smtp = smtplib.SMTP(dev.host, dev.smtp, timeout=120)
        self.smtp.docmd("XCLIENT", f"ADDR={ip}")
        self.smtp.ehlo(helo)

    def send(self, sender, octets, to=USER):
        """Code and text of the reply to the first refusal, or to the message."""
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"):
            code, text = self.smtp.docmd(command)
            if code >= 400:
                self.smtp.docmd("RSET")
                return code, text.decode()
        self.smtp.send(re.sub(rb"(?m)^\.", b"..", octets) + b".\r\n")
        code, text = self.smtp.getreply()
        return code, text.decode()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.smtp.close()


class Mailbox:
    """What came in since the last look, oldest first."""

    def __init__(self, dev, name="INBOX", user=USER):
        self.imap, self.name, self.seen = imap_login(dev, user), name, 0

    def fresh(self):
        got = fetch_messages(self.imap, self.name)
        self.imap.unselect()
        fresh, self.seen = got[self.seen:], len(got)
        return fresh

    def close(self):
        self.imap.logout()


def fields(octets, name):
    """Values of the fields of that name, unfolded."""
    header = octets.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    found = re.findall(rb"(?im)^" + name.encode() + rb":((?:[^\r\n]*\r\n[ \t])*[^\r\n]*)\r\n", header)
    return [re.sub(r"\r\n\s+", " ", f.decode("utf-8", "replace")).strip() for f in found]


def below_top(octets):
    """A delivered message without what we put on it: prefix, results and one Received field."""
    end = 0
    for field in re.finditer(rb"(?:[^\r\n]+\r\n)(?:[ \t][^\r\n]*\r\n)*", octets):
        end = field.end()
        if field.group().startswith(b"Received: "):
            break
    return octets[end:]


def explain(dev, *args):
    run = subprocess.run([binary(), "explain", "--data", dev.data, *args], capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout.decode()


def steps(record, *path):
    found = record["checks"]
    for name in path:
        found = next((c["steps"] for c in found if c["name"] == name), [])
    return found


# --- what comes of it -------------------------------------------------------------------------------------------

def test_pass(dev, mode, inbox):
    octets = dkimsign.sign(message("A <a@pass.test>"), KEY, "pass.test", "sel")
    with Client(dev, GOOD) as client:
        code, text = client.send("a@pass.test", octets)
    ok(code == 250, f"{mode}: accepted", text)
    got = inbox.fresh()[0]
    results = fields(got, "Authentication-Results")
    is_equal(len(results), 1, f"{mode}: one Authentication-Results field")
    for part in ("mx.example.test;", "spf=pass", "smtp.mailfrom=a@pass.test", "dkim=pass", "header.d=pass.test",
                 "header.s=sel", "dmarc=pass", "header.from=pass.test",
                 "iprev=pass (mail.pass.test) policy.iprev=192.0.2.1"):
        ok(part in results[0], f"{mode}: it says {part}", results[0])
    ok("from mail.pass.test (mail.pass.test [192.0.2.1])" in fields(got, "Received")[0],
       f"{mode}: Received names the client", fields(got, "Received")[0])
    spf = fields(got, "Received-SPF")
    ok(len(spf) == 1 and spf[0].startswith("pass"), f"{mode}: Received-SPF", str(spf))
    ok(below_top(got) == octets, f"{mode}: below it the message as it came")
    status, data = inbox.imap.select("INBOX")
    status, data = inbox.imap.fetch(data[0].decode(), "(BODY.PEEK[HEADER.FIELDS (AUTHENTICATION-RESULTS RECEIVED)])")
    ok(data[0][1].startswith(b"Authentication-Results: mx.example.test;") and b"\r\nReceived: from" in data[0][1],
       f"{mode}: IMAP finds it by name")
    status, data = inbox.imap.search(None, "HEADER", "Authentication-Results", '"dmarc=pass"')
    ok(data[0] != b"", f"{mode}: and SEARCH by what it says")
    inbox.imap.unselect()
    record = records(dev, "a@pass.test")[0]
    is_equal([check_named(record, n).get("result") for n in ("spf", "dkim", "dmarc")], ["pass"] * 3,
             f"{mode}: the record holds the same")
    ok(any("TXT pass.test" in s.get("detail", "") for s in steps(record, "spf", "mail-from")),
       f"{mode}: with the answers of the DNS")
    is_equal([record["recipients"][0].get(k) for k in ("address", "mailbox", "outcome")],
             [USER, "INBOX", "delivered"], f"{mode}: and where it went")


def test_reject(dev, mode, inbox):
    with Client(dev, BAD) as client:
        code, text = client.send("a@pass.test", message("a@pass.test"))
        ok((code, text[:7]) == (550, "5.7.26 "), f"{mode}: DMARC's reject is one", text)
        code, text = client.send("", message("a@pass.test", "null sender"))
        ok((code, text[:7]) == (550, "5.7.26 "), f"{mode}: with a null sender, too", text)
        code, text = client.send("a@none.test", dkimsign.sign(message("a@pass.test"), KEY, "pass.test", "sel"))
        ok(code == 250, f"{mode}: an aligned signature lets it pass", text)
        broken = dkimsign.sign(message("a@pass.test"), KEY, "pass.test", "sel").replace(b"hello\r\n", b"hullo\r\n")
        code, text = client.send("a@none.test", broken)
        ok((code, text[:7]) == (550, "5.7.26 "), f"{mode}: a broken one does not", text)
    is_equal(len(inbox.fresh()), 1, f"{mode}: one of them is there")
    record = wait_for(lambda: [r for r in records(dev, "a@pass.test") if r["kind"] == "refused"], "records")[-1]
    is_equal(check_named(record, "dmarc").get("action"), "refuse", f"{mode}: the record says what followed")
    ok(record["reply"].startswith("550 5.7.26 "), f"{mode}: and what was answered", record["reply"])


def test_quarantine(dev, mode, inbox, junk):
    with Client(dev, BAD) as client:
        code, text = client.send("a@quar.test", message("a@quar.test"))
    ok(code == 250, f"{mode}: quarantine is accepted", text)
    got = junk.fresh()
    ok(len(got) == 1 and "dmarc=fail" in fields(got[0], "Authentication-Results")[0], f"{mode}: into Junk")
    is_equal(inbox.fresh(), [], f"{mode}: not into INBOX")
    is_equal(records(dev, "a@quar.test")[0]["recipients"][0]["mailbox"], "Junk", f"{mode}: explain knows")


def test_none_and_temperror(dev, mode, inbox):
    with Client(dev, BAD, "elsewhere.test") as client:
        is_equal(client.send("a@none.test", message("a@none.test"))[0], 250, f"{mode}: nothing published")
        is_equal(client.send("a@temp.test", message("a@temp.test"))[0], 250, f"{mode}: a failing name server")
        code, text = client.send("a@none.test", message("a@unknown.test"))
        ok(code == 451, f"{mode}: what may be reject is not accepted before that is known", text)
    none, temp = (fields(m, "Authentication-Results")[0] for m in inbox.fresh())
    ok("spf=none" in none and "dkim=none" in none and "dmarc=none" in none, f"{mode}: none is none", none)
    ok("spf=temperror" in temp, f"{mode}: temperror is neither pass nor fail", temp)


def test_forged(dev, mode, inbox):
    forged = (b"Authentication-Results: mx.example.test; dmarc=pass\r\n"
              b"aUTHENTICATION-rESULTS :\r\n\tMX.Example.Test 1;\r\n spf=pass\r\n")
    foreign = (b"Authentication-Results: other.test; dmarc=pass\r\n"
               b"Received-SPF: pass (other.test)\r\nX: y\r\n")
    octets = message("a@none.test", more=foreign)
    with Client(dev, BAD) as client:
        is_equal(client.send("a@none.test", forged + octets)[0], 250, f"{mode}: results in our name")
    got = inbox.fresh()[0]
    ok(below_top(got) == octets, f"{mode}: are gone, others stay", repr(got[:900]))
    is_equal(check_named(records(dev, "a@none.test")[0], "forged").get("result"), "removed", f"{mode}: which is told")


def test_authors(dev, mode, inbox):
    with Client(dev, GOOD) as client:
        for name, octets in (("two From fields", message("a@pass.test", more=b"From: b@none.test\r\n")),
                             ("no From field", b"Subject: x\r\n\r\nx\r\n"),
                             ("nobody in it", message("undisclosed:;"))):
            code, text = client.send("a@pass.test", octets)
            ok((code, text[:6]) == (550, "5.7.1 "), f"{mode}: {name} is refused", text)
    is_equal(inbox.fresh(), [], f"{mode}: nothing came of them")


def test_floods(dev, mode, inbox):
    one = dkimsign.sign(message("a@pass.test"), KEY, "pass.test", "sel")
    signature = one[:one.index(b"\r\nFrom:") + 2]
    many = signature * 1000 + message("a@pass.test")
    wide = message("a@pass.test", more=b"X-Long: " + b"x" * 64000 + b"\r\n")
    hops = message("a@pass.test", more=b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n" * 10000)
    with Client(dev, GOOD) as client:
        is_equal(client.send("a@pass.test", many)[0], 250, f"{mode}: 1,000 signatures")
        is_equal(client.send("a@pass.test", wide)[0], 250, f"{mode}: a field of 64 KB")
        code, text = client.send("a@pass.test", hops)
        ok((code, text[:6]) == (554, "5.4.6 "), f"{mode}: 10,000 Received fields", text)
    first, second = inbox.fresh()
    results = fields(first, "Authentication-Results")[0]
    ok(results.count("dkim=") == 11 and "990 more" in results, f"{mode}: ten are told, the others counted", results)
    ok(below_top(first) == many and below_top(second) == wide, f"{mode}: octet for octet")


def test_long(dev, mode, inbox):
    body = b"".join(b"line %d of a long text\r\n" % i for i in range(200000))
    octets = dkimsign.sign(message("a@pass.test", body=body), KEY, "pass.test", "sel")
    with Client(dev, GOOD) as client:
        is_equal(client.send("a@none.test", octets)[0], 250, f"{mode}: {len(octets)} octets, signed")
    got = inbox.fresh()[0]
    ok("dkim=pass" in fields(got, "Authentication-Results")[0] and below_top(got) == octets,
       f"{mode}: verified while they streamed by, octet for octet")


def test_other_ways_in(dev, mode, inbox):
    """What another server hands over and what users submit is not judged here."""
    octets = message("a@pass.test", more=b"Authentication-Results: mx.example.test; dmarc=pass\r\n")
    with smtplib.LMTP(dev.host, dev.lmtp, timeout=60) as lmtp:
        lmtp.ehlo("mail.pass.test")
        lmtp.sendmail("a@pass.test", [USER], octets)
    submit(dev, USER, [USER], message(USER))
    handed, submitted = inbox.fresh()
    is_equal(fields(handed, "Authentication-Results"), ["mx.example.test; dmarc=pass"], f"{mode}: LMTP keeps results")
    is_equal(fields(submitted, "Authentication-Results"), [], f"{mode}: submission has none")


def test_explain(dev, mode):
    record = records(dev, "a@quar.test")[0]
    text = explain(dev, record["id"])
    for line in (r"  client +192\.0\.2\.66", r"  sender +<a@quar\.test>", r"    dmarc +fail -> junk: .*p=quarantine",
                 r"        term +decided: -all", r"  to +<u@example\.test> delivered: u@example\.test Junk, UID 1"):
        ok(re.search("(?m)^" + line, text), f"{mode}: the text says {line}", text)
    is_equal(len(records(dev, "192.0.2.66", "--since", "1h")) > 3, True, f"{mode}: found by address of the client")
    is_equal(records(dev, "192.0.2.66", "--since", "2090-01-01"), [], f"{mode}: --since bounds it")
    with Client(dev, "192.0.2.77") as client:
        code, text = client.smtp.docmd("MAIL", "FROM:<a@pass.test> SIZE=99000000")
    is_equal(code, 552, f"{mode}: a MAIL that is refused")
    record = wait_for(lambda: records(dev, "192.0.2.77"), "its record")[0]
    ok(record["kind"] == "refused" and record["reply"].startswith("552 "), f"{mode}: is explained, too")


def test_both():
    for processes in (False, True):
        mode = "roles" if processes else "one process"
        with tempfile.TemporaryDirectory() as folder:
            zone = Path(folder) / "zone"
            zone.write_text(ZONE)
            with Dev("--dns-zone", zone, "--hostname", "mx.example.test", processes=processes,
                     users={USER: "secret"}, domains=["example.test"]) as dev:
                inbox, junk = Mailbox(dev), Mailbox(dev, "Junk")
                test_pass(dev, mode, inbox)
                test_reject(dev, mode, inbox)
                test_quarantine(dev, mode, inbox, junk)
                test_none_and_temperror(dev, mode, inbox)
                test_forged(dev, mode, inbox)
                test_authors(dev, mode, inbox)
                test_floods(dev, mode, inbox)
                test_long(dev, mode, inbox)
                test_other_ways_in(dev, mode, inbox)
                test_explain(dev, mode)
                inbox.close()
                junk.close()
                fsck = subprocess.run([binary(), "fsck", "--data", dev.data], capture_output=True, timeout=120)
                is_equal(fsck.returncode, 0, f"{mode}: fsck finds nothing")


# --- the true client, the explanation ---------------------------------------------------------------------------

JUDGED = r"""
    @a smtp
    C: PROXY TCP4 ${client} 192.0.2.99 4000 25
    S: 220 .*
    C: HELO mail.pass.test
    S: 250 .*
    C: MAIL FROM:<a@pass.test>
    S: 250 .*
    C: RCPT TO:<${user}>
    S: 250 .*
    C: DATA
    S: 354 .*
    C: From: a@pass.test
    C:
    C: x
    C: .
    S: (?P<reply>.*)
"""


def test_proxy(folder):
    zone = Path(folder) / "zone"
    zone.write_text(ZONE)
    with Dev("--dns-zone", zone, "--set", "smtp.proxy_from=127.0.0.1", "--set", "policy.spf=refuse",
             users={USER: "secret"}, domains=["example.test"]) as dev:
        for client, want in ((BAD, r"550 5\.7\.23 .*192\.0\.2\.66 may not write for pass\.test"), (GOOD, "250 ")):
            reply = play(dev, JUDGED, client=client, user=USER)["reply"]
            ok(re.match(want, reply), f"PROXY: the true client {client} is judged; a refusal carries the domain's explanation",
               reply)


# --- trying ------------------------------------------------------------------------------------------------------

def test_what_if(folder):
    folder = Path(folder)
    data, zone, file = folder / "data", folder / "zone", folder / "message"
    zone.write_text(ZONE)
    with Dev("--dns-zone", zone, data=data, users={USER: "secret"}, domains=["example.test"]) as dev:
        smtp_send(dev, "a@none.test", [USER], message("a@none.test"))
    before = hashlib.sha256((data / "data.mdb").read_bytes()).hexdigest()

    def try_it(*args, to=USER):
        run = subprocess.run([binary(), "explain", "--what-if", "--data", data, "--dns-zone", zone, "--to", to, *args],
                             capture_output=True, timeout=120)
        ok(run.returncode == 0, f"what if {' '.join(map(str, args))}", run.stderr.decode())
        return run.stdout.decode()

    text = try_it("--ip", BAD, "--from", "a@pass.test", "--helo", "mail.pass.test")
    ok("reply          550 5.7.26 " in text and "S: 550 5.7.26 " in text, "it would be refused", text)
    text = try_it("--ip", BAD, "--from", "a@quar.test", "--json")
    record = json.loads(text)[0]
    is_equal((record["recipients"][0]["mailbox"], check_named(record, "dmarc")["action"]), ("Junk", "junk"),
             "it would go to Junk")
    file.write_bytes(dkimsign.sign(message("a@pass.test", body=b".dot\r\n" * 50000), KEY, "pass.test", "sel"))
    record = json.loads(try_it("--ip", BAD, "--from", "a@none.test", "--json", file))[0]
    is_equal((check_named(record, "dkim").get("result"), record["recipients"][0]["mailbox"]), ("pass", "INBOX"),
             "a message from a file would be accepted")
    text = try_it("--ip", GOOD, "--from", "a@pass.test", to="nobody@example.test")
    ok("550 5.1.1 " in text, "an unknown recipient", text)
    text = try_it("--ip", GOOD, "--from", "a@pass.test", "--set", "policy.from=off", "--set", "policy.dmarc=off")
    ok(re.search(r"(?m)^    dmarc +pass", text), "what is off is still told", text)
    to = ["--to", USER]
    for args, status, why in (
            (to, 64, "needs --ip ADDRESS and --to"), (["--ip", BAD], 64, "needs --ip ADDRESS and --to"),
            ([*to, "--ip", "x"], 64, "--ip x: not valid"), ([*to, "--ip", BAD, "--helo", "a\nb"], 64, "--helo a\nb: not valid"),
            ([*to, "--ip", BAD, folder / "no"], 66, "/no: No such file"), ([*to, "--ip", BAD, "--set", "foo"], 64, "SECTION.KEY=VALUE"),
            ([*to, "--ip", BAD, "--set", "smtp.errors_max=0"], 64, "smtp.errors_max: "),
            ([*to, "--ip", BAD, "--dns-zone", folder / "no"], 78, "/no: No such file")):
        run = subprocess.run([binary(), "explain", "--what-if", "--data", data, *args], capture_output=True, timeout=120)
        is_equal((run.returncode, run.stderr.decode()[:19], why in run.stderr.decode()), (status, "posthouse explain: ", True),
                 f"what if {' '.join(map(str, args))}: told")
    is_equal(hashlib.sha256((data / "data.mdb").read_bytes()).hexdigest(), before, "the store is as it was")


# --- what others suffer -------------------------------------------------------------------------------------------

def test_slow_names():
    """A name server that keeps one sender waiting keeps nobody else."""
    with FakeDns() as dns:
        dns.add("fast.test", "TXT", "v=spf1 +all")
        dns.delay("slow.test", 8)
        with Dev("--set", "policy.sender=off", dns=dns.address, users={USER: "secret"}, domains=["example.test"]) as dev:
            answers = []

            def slow():
                with Client(dev, GOOD) as client:
                    answers.append(client.send("a@slow.test", message("a@slow.test")))

            threads = [threading.Thread(target=slow) for _ in range(20)]
            for thread in threads:
                thread.start()
            wait_for(lambda: ("slow.test", "TXT") in dns.queries, "the slow question")
            with Client(dev, GOOD) as client:
                is_equal(client.send("a@fast.test", message("a@fast.test"))[0], 250, "a sender with a fast name server")
            is_equal(answers, [], "is answered while twenty others wait for theirs")
            for thread in threads:
                thread.join(120)
            is_equal([a[0] for a in answers], [250] * 20, "who are answered in the end")
            dns.delay("gone.test", 8)
            with Client(dev, GOOD) as client:
                is_equal(client.smtp.docmd("MAIL", "FROM:<a@gone.test>")[0], 250, "one who leaves while a name is asked")
                wait_for(lambda: ("gone.test", "TXT") in dns.queries, "the question")
                client.smtp.docmd("RSET")
                is_equal(client.send("a@fast.test", message("a@fast.test"))[0], 250, "or begins anew")
                client.smtp.docmd("MAIL", "FROM:<b@gone.test>")
            ok(dev.stop() == 0, "the server ends while an answer is out")


def test_stopped():
    """A role that stops ends what it has begun, whoever knocks meanwhile. Its listening sockets stay open elsewhere: what
    they report then must not end it."""
    with FakeDns() as dns:
        dns.add("later.test", "TXT", "v=spf1 +all")
        dns.hold("later.test")
        with Dev("--set", "policy.sender=off", dns=dns.address, processes=True, users={USER: "secret"},
                 domains=["example.test"]) as dev:
            answers = []

            def wait():
                with Client(dev, GOOD) as client:
                    answers.append(client.send("a@later.test", message("a@later.test"))[0])

            thread = threading.Thread(target=wait)
            thread.start()
            wait_for(lambda: ("later.test", "TXT") in dns.queries, "the question")
            with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as idle:
                dev.signal(signal.SIGTERM)
                is_equal(idle.getreply()[0], 421, "an idle session is told that the server stops")
            late = [socket.create_connection((dev.host, dev.smtp), timeout=60) for _ in range(3)]
            dns.release()
            thread.join(60)
            is_equal(answers, [250], "one whose message waits for a name gets its answer, though others knock")
            for sock in late:
                sock.close()
            ok("sandbox" not in dev.stderr, "nobody broke the sandbox", dev.stderr[-2000:])


def test_killed():
    """mx dies in the middle of messages: their senders try again, others notice nothing."""
    with tempfile.TemporaryDirectory() as folder:
        zone = Path(folder) / "zone"
        zone.write_text(ZONE)
        with Dev("--dns-zone", zone, processes=True, users={USER: "secret"}, domains=["example.test"]) as dev:
            with imap_login(dev, USER) as imap:
                for number in (signal.SIGABRT, signal.SIGKILL):
                    open_ones = []
                    for _ in range(5):
                        a = Connection(dev, "smtp")
                        a.line()
                        for line in (f"HELO mail.pass.test", "MAIL FROM:<a@none.test>", f"RCPT TO:<{USER}>", "DATA"):
                            a.sock.sendall(line.encode() + b"\r\n")
                            a.line()
                        a.sock.sendall(b"From: a@none.test\r\n\r\n" + b"x" * 70 + b"\r\n")
                        open_ones.append(a)
                    pid = role_pid(dev, "mx")
                    os.kill(pid, number)
                    replies = []
                    for a in open_ones:
                        try:
                            a.sock.sendall(b"x\r\n" * 30000 + b".\r\n")
                            replies.append(a.line())
                        except OSError:
                            replies.append(None)
                        a.close()
                    ok(all(r is None or r.startswith("4") for r in replies), f"signal {number}: no sender has a 250",
                       str(replies))
                    is_equal(imap.noop()[0], "OK", "an IMAP session goes on")
                    submit(dev, USER, [USER], message(USER, f"submitted {number}"))
                    wait_for(lambda: role_pid(dev, "mx") not in (None, pid), "mx anew")

                    def again():
                        try:
                            smtp_send(dev, "a@none.test", [USER], message("a@none.test", f"again {number}"))
                            return True
                        except (OSError, smtplib.SMTPException):
                            return False
                    wait_for(again, "the message once more")
            got = wait_messages(dev, USER, 4)
            is_equal(sorted(fields(m, "Subject")[0] for m in got),
                     sorted(f"{what} {int(n)}" for what in ("submitted", "again")
                            for n in (signal.SIGABRT, signal.SIGKILL)),
                     "what was acknowledged is there once, what was not is not")


test_both()
with tempfile.TemporaryDirectory() as tmp:
    test_proxy(tmp)
with tempfile.TemporaryDirectory() as tmp:
    test_what_if(tmp)
test_slow_names()
test_stopped()
test_killed()
done()
