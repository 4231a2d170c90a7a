#!/usr/bin/env python3
"""`posthouse dmarc`: the walk, what it says about tags, exit codes, against a zone and a name server."""
import json
import subprocess
import tempfile
from pathlib import Path

from fakedns import NXDOMAIN, SERVFAIL
from posthouse import FakeDns, binary, done, is_equal, ok

ZONE = r"""
_dmarc.example.com. TXT "v=DMARC1; p=reject; sp=quarantine; np=reject; pct=20; x=y; t=y"
a.example.com. A 192.0.2.1
_dmarc.a.example.com. TXT "v=spf1 -all"
_dmarc.twice.example. TXT "v=DMARC1; p=none"
_dmarc.twice.example. TXT "v=DMARC1; p=reject"
_dmarc.bad.example. TXT "v=DMARC1; p=rejct"
_dmarc.fail.example. SERVFAIL
_dmarc.odd.example. TXT "v=DMARC1; p=none; \010\027[31mx=y"
"""


def run(*arguments):
    return subprocess.run([binary(), "dmarc", *arguments], capture_output=True, text=True, timeout=120)


with tempfile.TemporaryDirectory() as folder:
    zone = Path(folder) / "zone"
    zone.write_text(ZONE)

    def dmarc(domain):
        p = run(domain, "--dns-zone", str(zone), "--json")
        return p.returncode, json.loads(p.stdout)

    status, got = dmarc("A.Example.com.")
    is_equal(status, 0, "a policy governs")
    is_equal([(s["name"], s["status"], s["found"]) for s in got["asked"]],
             [("_dmarc.a.example.com", "ok", False), ("_dmarc.example.com", "ok", True),
              ("_dmarc.com", "nxdomain", False)], "the names asked, and what came of them")
    is_equal([got[k] for k in ("domain", "organisation", "governing", "tag", "published", "policy", "adkim", "testing")],
             ["a.example.com", "example.com", "example.com", "sp", "quarantine", "none", "r", True], "the policy")
    is_equal([w.split()[0] for w in got["asked"][1]["warnings"]], ["pct=20", "x=y", "rua"], "tags to mind")
    is_equal(len(got["asked"][0]["warnings"]), 1, "a text that is no record is told")
    status, got = dmarc("b.example.com")
    is_equal((got["tag"], got["published"], got["policy"]), ("np", "reject", "quarantine"), "np of a name that is not")
    status, got = dmarc("twice.example")
    is_equal((status, got["governing"], got["asked"][0]["records"], got["policy"]), (1, "", 2, ""), "two records")
    status, got = dmarc("bad.example")
    is_equal((status, got["governing"], got["policy"]), (1, "bad.example", ""), "a record of no use")
    is_equal(dmarc("fail.example")[0], 75, "a failing name server: try again")
    is_equal(dmarc("nothing.example")[0], 1, "no record")
    is_equal(dmarc("b\u00fccher.example")[1]["domain"], "xn--bcher-kva.example", "a U-label")
    is_equal(len(dmarc("a.b.c.d.e.f.g.h.i.j.mail.example.com")[1]["asked"]), 8, "never more than eight questions")

    p = run("b.example.com", "--dns-zone", str(zone))
    is_equal(p.stdout.splitlines()[0], "asked        _dmarc.b.example.com: no such name", "text: the walk")
    is_equal([li for li in p.stdout.splitlines() if li.startswith(("organisation", "policy", "alignment"))],
             ["organisation example.com",
              "policy       quarantine (np=reject at example.com, t=y takes one step off)",
              "alignment    DKIM relaxed, SPF relaxed"], "text: the outcome")
    p = run("odd.example", "--dns-zone", str(zone))
    ok("\x1b" not in p.stdout and "?[31mx=y is no tag" in p.stdout, "no control characters reach the terminal")
    p = run("[192.0.2.1]", "--dns-zone", str(zone))
    is_equal((p.returncode, p.stderr), (64, "posthouse dmarc: '[192.0.2.1]' is no domain name\n"), "not a domain")
    is_equal(run().returncode, 64, "no argument")
    is_equal(run("a.example", "--dns-zone", str(zone / "none")).returncode, 78, "no such zone")

with FakeDns() as dns:
    dns.add("_dmarc.example.test", "TXT", "v=DMARC1; p=quarantine; rua=mailto:a@b.test")
    dns.fail("_dmarc.broken.test", SERVFAIL)
    dns.fail("_dmarc.test", NXDOMAIN)
    p = run("x.example.test", "--dns", dns.address, "--json")
    got = json.loads(p.stdout)
    is_equal((p.returncode, got["tag"], got["policy"]), (0, "sp", "quarantine"), "through a name server")
    is_equal(run("broken.test", "--dns", dns.address).returncode, 75, "one that fails")
done()
