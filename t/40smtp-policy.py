"""The policy against the binary, in one process and in several: DNS lists and greylisting as a client meets them, what
is recorded, `check --policy`; and a resolver that is slow for many at once."""
import json
import re
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from posthouse import (Dev, FakeDns, binary, check_named, done, fetch_messages, imap_login, is_equal, ok, play, records,
                       role_pid, wait_for)

USER = "one@example.test"
ZONE = r"""
$ORIGIN .
example.org MX 10 mx.example.org
9.2.0.192.bl.example A 127.0.0.4
9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example A 127.0.0.2
bl.example TXT x
9.2.0.192.wl.example A 127.0.5.2
wl.example TXT x
*.broken.example A 127.255.255.254
"""

LISTED = r"""
    @a smtp
    S: 220 .*
    C: EHLO c.example.org
    S* 250 HELP
    # the peer itself is on no list; the client behind it is
    C: XCLIENT ADDR=192.0.2.9
    S: 554 5.7.1 Your address is on a block list: 192.0.2.9 at bl.example
    EOF
    @b smtp
    S: 220 .*
    C: EHLO c.example.org
    S* 250 HELP
    C: XCLIENT ADDR=IPV6:2001:db8::9
    S: 554 5.7.1 Your address is on a block list: 2001:db8::9 at bl.example
    EOF
    @c smtp
    S: 220 .*
    C: EHLO c.example.org
    S* 250 HELP
    C: XCLIENT ADDR=192.0.2.8
    S: 220 .*
    C: EHLO c.example.org
    S* 250 HELP
    C: MAIL FROM:<a@ghost.example>
    S: 550 5.1.8 Sender domain refused: ghost.example does not exist
    C: MAIL FROM:<a@example.org>
    S: 250 .*
    C: RCPT TO:<one@example.test>
    S: 250 .*
    C: DATA
    S: 354 .*
    C: Subject: no author
    C:
    C: .
    S: 550 5.7.1 .*
    C: QUIT
    S: 221 .*
    EOF
"""

GREYLISTED = r"""
    @a smtp
    S: 220 .*
    C: EHLO c.example.org
    S* 250 HELP
    C: XCLIENT ADDR=${client}
    S: 220 .*
    C: EHLO c.example.org
    S* 250 HELP
    C: MAIL FROM:<a@example.org>
    S: 250 .*
    C: RCPT TO:<one@example.test>
    S: 250 .*
    C: DATA
    S: 354 .*
    C: From: <a@example.org>
    C: Subject: ${client}
    C:
    C: x
    C: .
    S: (?P<reply>.*)
    C: QUIT
    S: 221 .*
"""


def zone_file(folder):
    path = Path(folder) / "zone"
    path.write_text(ZONE)
    return path


def options(zone, **settings):
    out = ["--dns-zone", zone]
    for key, value in settings.items():
        out += ["--set", f"policy.{key}={value}"]
    return out


def test_lists(zone, processes, name):
    settings = options(zone, dnsbl="refuse", dnsbl_lists="broken.example, bl.example=127.0.0.2-7", sender="refuse")
    with Dev(*settings, processes=processes) as dev:
        play(dev, LISTED)
        ok(True, f"{name}: listed clients are refused, told where")
        record = wait_for(lambda: records(dev, "192.0.2.9"), "the record of the refusal")[0]
        check = check_named(record, "dnsbl")
        is_equal((check["result"], check["action"], check["detail"]),
                 ("listed", "refuse", "broken.example is left out, it does not serve us: 192.0.2.9 (127.255.255.254); "
                                      "bl.example has 192.0.2.9 (127.0.0.4)"), f"{name}: explain shows what the lists said")
        is_equal(check_named(record, "connections")["result"], "pass", f"{name}: and what passed before")
        more = wait_for(lambda: (r := records(dev, "192.0.2.8")) and len(r) >= 2 and r, "two records more")
        ok(any(check_named(r, "from").get("action") == "refuse" for r in more),
           f"{name}: the message without an author is explained")

    settings = options(zone, dnsbl="refuse", dnsbl_lists="bl.example", dnswl="note", dnswl_lists="wl.example=127.0.*.1-3",
                       **{"except": "dnsbl=2001:db8::/64"})
    with Dev(*settings, processes=processes) as dev:
        kept = play(dev, GREYLISTED, client="192.0.2.9")
        ok(kept["reply"].startswith("250 "), f"{name}: a list of welcome clients goes before", kept["reply"])
        kept = play(dev, GREYLISTED, client="IPV6:2001:db8::9")
        ok(kept["reply"].startswith("250 "), f"{name}: so does an exception", kept["reply"])
        record = wait_for(lambda: records(dev, "2001:db8::9"), "the record")[0]
        is_equal(check_named(record, "dnsbl")["exception"], "dnsbl=2001:db8::/64", f"{name}: which is recorded")


def test_greylist(zone, processes, name):
    settings = options(zone, greylist="defer", greylist_delay="2s")
    with Dev(*settings, processes=processes) as dev:
        kept = play(dev, GREYLISTED, client="192.0.2.9")
        ok(kept["reply"].startswith("451 4.7.1 "), f"{name}: a new sender comes back later", kept["reply"])
        wait_for(lambda: play(dev, GREYLISTED, client="192.0.2.77")["reply"].startswith("250 "),
                 "the sender to be let in", every_s=0.5)
        kept = play(dev, GREYLISTED, client="192.0.2.9")
        ok(kept["reply"].startswith("250 "), f"{name}: is known then, with its neighbours", kept["reply"])
        kept = play(dev, GREYLISTED, client="192.0.99.9")
        ok(kept["reply"].startswith("451 4.7.1 "), f"{name}: another network is not", kept["reply"])
        with imap_login(dev, USER) as imap:
            is_equal(len(fetch_messages(imap)), 2, f"{name}: what was let in is there, once")


# --- a resolver that holds back -----------------------------------------------------------------------------------

SENDERS = 200
ROOM_KIB = 200    # of memory for each that waits; the sanitizers take most of it


def command(stream, text):
    stream.write(text.encode() + b"\r\n")
    stream.flush()
    line = stream.readline()
    while line[3:4] == b"-":
        line = stream.readline()
    return line.decode().strip()


class Sender:
    """A client, not of loopback, that has said MAIL, and waits."""

    def __init__(self, dev, domain):
        self.sock = socket.create_connection((dev.host, dev.smtp), 120)
        self.stream = self.sock.makefile("rwb")
        self.stream.readline()
        command(self.stream, "EHLO c.example.org")
        command(self.stream, "XCLIENT ADDR=192.0.2.9")
        command(self.stream, "EHLO c.example.org")
        self.stream.write(f"MAIL FROM:<a@{domain}>\r\n".encode())
        self.stream.flush()

    def reply(self):
        return self.stream.readline().decode().strip()

    def close(self):
        self.stream.close()
        self.sock.close()


def connect(dev, domains):
    """All at once: each greeting may take its time."""
    with ThreadPoolExecutor(len(domains)) as pool:
        return list(pool.map(lambda domain: Sender(dev, domain), domains))


def memory_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+)", status, re.M)[1])


def test_slow_resolver(processes, name):
    with FakeDns() as dns:
        for i in range(SENDERS):
            dns.add(f"s{i}.slow.test", "MX", 10, "mx.slow.test")
        dns.add("quick.test", "MX", 10, "mx.quick.test")
        held = [f"s{i}.slow.test" for i in range(SENDERS)]
        dns.hold(*held)
        with Dev("--set", "policy.sender=refuse", "--set", "dns.timeout=60s", processes=processes, dns=dns.address) as dev:
            pid = role_pid(dev, "mx") if processes else dev.pid
            before = memory_kib(pid)
            senders = connect(dev, held)
            wait_for(lambda: len({n for n, _ in dns.queries if n in held}) == SENDERS,
                     "all to be asked about", deadline_s=90)
            ok(True, f"{name}: {SENDERS} senders are asked about while none has an answer")
            more = memory_kib(pid) - before
            ok(more < SENDERS * ROOM_KIB, f"{name}: they take little memory", f"{more} KiB")
            quick = Sender(dev, "quick.test")
            ok(quick.reply().startswith("250 "), f"{name}: who has one meanwhile goes on")
            dns.release()
            replies = [sender.reply() for sender in senders]
            good = sum(reply.startswith("250 ") for reply in replies)
            is_equal(good, SENDERS, f"{name}: all go on once it answers")
            if good != SENDERS:
                print(f"# {sorted(set(replies))[:3]}")
            for sender in [*senders, quick]:
                sender.close()


def send_all(senders, texts):
    """Each says its text when all have been answered before; the replies."""
    for sender, text in zip(senders, texts):
        sender.stream.write(text.encode())
        sender.stream.flush()
    return [sender.reply() for sender in senders]


def test_late_resolver(processes, name):
    """Whole messages; every answer takes three seconds: one after the other they would take an hour."""
    with FakeDns() as dns:
        domains = [f"s{i}.late.test" for i in range(SENDERS)]
        for domain in domains:
            dns.add(domain, "MX", 10, "mx.late.test")
            dns.add(domain, "TXT", "v=spf1 ip4:192.0.2.9 -all")
            dns.add(f"_dmarc.{domain}", "TXT", "v=DMARC1; p=reject")
        dns.delay_all = 3
        settings = ["--set", "policy.sender=refuse", "--set", "policy.dnsbl=refuse", "--set", "policy.dnsbl_lists=bl.test"]
        with Dev(*settings, "--user", f"{USER}:secret", processes=processes, dns=dns.address) as dev:
            senders = connect(dev, domains)
            good = {reply[:4] for reply in [s.reply() for s in senders]}
            good |= {r[:4] for r in send_all(senders, [f"RCPT TO:<{USER}>\r\n"] * SENDERS)}
            is_equal(good, {"250 "}, f"{name}: {SENDERS} senders whose answers all come late")
            send_all(senders, ["DATA\r\n"] * SENDERS)
            replies = send_all(senders, [f"From: <a@{d}>\r\nSubject: x\r\n\r\nx\r\n.\r\n" for d in domains])
            is_equal(sorted({r[:9] for r in replies}), ["250 2.0.0"], f"{name}: their messages are judged and taken")
            ok(dns.most_waiting >= SENDERS, f"{name}: none waits for another", f"{dns.most_waiting} at once")
            for sender in senders:
                sender.close()
            with imap_login(dev, USER) as imap:
                got = fetch_messages(imap)
            is_equal(sum(b"dmarc=pass" in m for m in got), SENDERS, f"{name}: all pass DMARC")


def test_dead_resolver(processes, name):
    with FakeDns() as dns:
        dns.drop("dead.test")
        dns.add("quick.test", "MX", 10, "mx.quick.test")
        with Dev("--set", "policy.sender=refuse", "--set", "dns.timeout=3s", processes=processes, dns=dns.address) as dev:
            sender, quick = Sender(dev, "dead.test"), Sender(dev, "quick.test")
            ok(quick.reply().startswith("250 "), f"{name}: a name that is dead delays nobody else")
            reply = sender.reply()
            ok(reply.startswith("451 4.4.3 "), f"{name}: its sender comes back later", reply)
            sender.close()
            quick.close()


# --- posthouse check --policy -------------------------------------------------------------------------------------

CONFIG = """
hostname = mx.example.test
data = %s
policy {
    helo = junk
    dnsbl = refuse
    dnsbl_lists = {"bl.example=127.0.0.2 127.0.0.4-7"}
    connections_max = 7
    except = {"dmarc=<news.example.org>", "*=192.0.2.0/24"}
}
"""


def check_policy(path, *more):
    return subprocess.run([binary(), "check", "--policy", "--config", path, *more], capture_output=True, text=True)


def test_print(folder):
    path = Path(folder) / "posthouse.conf"
    path.write_text(CONFIG % folder)
    run = check_policy(path, "--json")
    is_equal((run.returncode, run.stderr), (0, ""), "check --policy")
    policy = json.loads(run.stdout)
    checks = {c["name"]: c for c in policy["checks"]}
    stages = [c["stage"] for c in policy["checks"]]
    order = ["connect", "HELO", "MAIL", "RCPT", "header", "end of data"]
    is_equal(stages, sorted(stages, key=order.index), "checks stand in the order of their stages")
    is_equal((checks["helo"]["action"], checks["helo"]["set"], checks["helo"]["default"]), ("junk", True, "note"),
             "an action of the configuration")
    is_equal((checks["loop"]["action"], checks["loop"]["set"]), ("refuse", False), "a default")
    is_equal(checks["dmarc"]["may"], ["off", "note", "junk", "defer", "refuse", "policy"], "what a check may do")
    is_equal(checks["connections"]["settings"], [{"key": "policy.connections_max", "value": "7", "set": True}],
             "what a check measures by")
    is_equal(policy["exceptions"], [{"check": "dmarc", "kind": "list-id", "whom": "<news.example.org>"},
                                    {"check": "*", "kind": "network", "whom": "192.0.2.0/24"}], "the exceptions")
    text = check_policy(path).stdout
    ok(all(re.search(rf"^\S.* {name} +{c['action']} ", text, re.M) for name, c in checks.items()),
       "the same as text", text)
    for wrong, why in (("dnsbl=a@b.c", "except a network"), ("spam=192.0.2.1", "no such check"),
                       ("spf=?", "no network, address")):
        path.write_text(CONFIG.replace("*=192.0.2.0/24", wrong) % folder)
        run = check_policy(path)
        ok(run.returncode == 78 and why in run.stderr, f"{wrong} is told to be wrong", run.stderr)


with tempfile.TemporaryDirectory() as folder:
    test_print(folder)
    zone = zone_file(folder)
    for processes in (False, True):
        name = "processes" if processes else "one process"
        test_lists(zone, processes, name)
        test_greylist(zone, processes, name)
        test_slow_resolver(processes, name)
        if processes:
            test_late_resolver(processes, name)
        test_dead_resolver(processes, name)
done()
