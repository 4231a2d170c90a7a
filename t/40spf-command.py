#!/usr/bin/env python3
"""posthouse spf: through a name server that is slow or fails, what it prints, what it says about wrong use."""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fakedns import SERVFAIL
from posthouse import FakeDns, binary, done, is_equal, ok


def spf(*options):
    p = subprocess.run([binary(), "spf", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def try_both(dns, ip, sender, helo="mail.example.test"):
    status, out, errors = spf("--ip", ip, "--helo", helo, "--mail-from", sender, "--receiver", "mx.example.net",
                              "--dns", f"{dns.host}:{dns.port}", "--json")
    ok(status == 0 and errors == "", f"{sender} from {ip}: runs", f"{status} {errors}")
    return {check["identity"]: check for check in json.loads(out)}


with FakeDns() as dns:
    dns.add("example.test", "TXT", "unrelated")
    dns.add("example.test", "TXT", "v=spf1 a mx include:_spf.example.test exists:%{l}.%{ir}.x.example.test -all "
                                   "exp=why.example.test")
    dns.add("example.test", "A", "192.0.2.1")
    for i in range(4):
        dns.add("example.test", "MX", 10 + i, f"mx{i}.example.test")
        dns.add(f"mx{i}.example.test", "A", f"192.0.2.{10 + i}")
        dns.add(f"mx{i}.example.test", "AAAA", f"2001:db8::{10 + i}")
    dns.add("_spf.example.test", "TXT", "v=spf1 redirect=_spf2.example.test")
    dns.add("_spf2.example.test", "TXT", "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8:1::/48 ~all")
    dns.add("ann.9.113.0.203.x.example.test", "A", "127.0.0.2")
    dns.add("why.example.test", "TXT", "%{i} is not ours, ", "see http://example.test/?s=%{S}")
    dns.add("mail.example.test", "TXT", "v=spf1 ip4:203.0.113.0/24 -all")
    dns.delay("_spf2.example.test", 0.3)
    dns.delay("example.test", 0.1)

    for ip, sender, result, term in (
            ("192.0.2.1", "joe@example.test", "pass", "a"),
            ("192.0.2.13", "joe@example.test", "pass", "mx"),
            ("2001:db8::13", "joe@example.test", "pass", "mx"),
            ("198.51.100.77", "joe@example.test", "pass", "include:_spf.example.test"),
            ("2001:db8:1::5", "joe@EXAMPLE.test", "pass", "include:_spf.example.test"),
            ("203.0.113.9", "ann@example.test", "pass", "exists:%{l}.%{ir}.x.example.test"),
            ("203.0.113.9", "joe@example.test", "fail", "-all")):
        got = try_both(dns, ip, sender)["mailfrom"]
        is_equal((got["result"], got["term"], got["record"]), (result, term, "example.test"), f"{sender} from {ip}")

    got = try_both(dns, "203.0.113.9", "joe@example.test")
    is_equal(got["mailfrom"]["explanation"], "203.0.113.9 is not ours, see http://example.test/?s=joe%40example.test",
             "the explanation of the domain's owner")
    is_equal([(look["type"], look["name"], look["status"], look["term"]) for look in got["mailfrom"]["lookups"]], [
        ("TXT", "example.test", "ok", "record"),
        ("A", "example.test", "ok", "a"),
        ("MX", "example.test", "ok", "mx"),
        *(("A", f"mx{i}.example.test", "ok", "mx") for i in range(4)),
        ("TXT", "_spf.example.test", "ok", "include:_spf.example.test"),
        ("TXT", "_spf2.example.test", "ok", "redirect=_spf2.example.test"),
        ("A", "joe.9.113.0.203.x.example.test", "no such name", "exists:%{l}.%{ir}.x.example.test"),
        ("TXT", "why.example.test", "ok", "exp=why.example.test")], "every question, in order, with its term")
    is_equal((got["mailfrom"]["terms"], got["mailfrom"]["voids"]), (5, 1), "terms and voids are counted over all records")
    is_equal((got["helo"]["result"], got["helo"]["sender"]), ("pass", "postmaster@mail.example.test"), "HELO as well")
    ok(re.fullmatch(r"Received-SPF: fail \(mx\.example\.net: [^()]*\)[^()]*\r\n", got["mailfrom"]["received"]),
       "the field", got["mailfrom"]["received"])

    got = try_both(dns, "203.0.113.9", "")
    is_equal((got["mailfrom"]["result"], got["mailfrom"]["sender"]), ("pass", "postmaster@mail.example.test"),
             "the null sender is postmaster of HELO")
    ok('envelope-from="";' in got["mailfrom"]["received"], "whose envelope is told as it was")

    dns.fail("_spf.example.test", SERVFAIL)
    got = try_both(dns, "203.0.113.9", "joe@example.test")["mailfrom"]
    is_equal((got["result"], got["why"]), ("temperror", "looking up the SPF record of _spf.example.test failed"),
             "a name server that fails is nobody's guilt")

    status, out, errors = spf("--ip", "::ffff:203.0.113.9", "--helo", "x\n\x1b[2Jy.example.test", "--dns",
                              f"{dns.host}:{dns.port}")
    ok(status == 0 and "helo: none" in out and "\x1b" not in out, "no control character reaches the terminal", out)

with tempfile.TemporaryDirectory() as folder:
    zone = Path(folder) / "zone"
    zone.write_text("a.test TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n")
    status, out, errors = spf("--ip", "192.0.2.7", "--helo", "h.test", "--mail-from", "joe@a.test", "--dns-zone", str(zone))
    ok(status == 0 and "mailfrom: pass\n" in out and "ip4:192.0.2.0/24 in the record of a.test\n" in out
       and "lookup      TXT  a.test: ok, 1 record (record)\n" in out and "helo: none\n" in out, "text", out + errors)
    zone.write_text("a.test TXT\n")
    wrong = (
        (("--helo", "h"), 64, "--ip and --helo are needed"),
        (("--ip", "192.0.2.1"), 64, "--ip and --helo are needed"),
        (("--ip", "192.0.2.256", "--helo", "h"), 64, "--ip '192.0.2.256': not an IPv4 or IPv6 address"),
        (("--ip", "192.0.2.1:25", "--helo", "h"), 64, "not an IPv4 or IPv6 address"),
        (("--ip", "192.0.2.1", "--helo", "h", "example.org"), 64, "'example.org': everything is said by options"),
        (("--ip", "192.0.2.1", "--helo", "h", "--dns", "nowhere"), 78, "nowhere"),
        (("--ip", "192.0.2.1", "--helo", "h", "--dns-zone", str(zone)), 78, "zone:1: a field is missing"),
        (("--ip", "192.0.2.1", "--helo", "h", "--dns-zone", folder + "/none"), 78, folder + "/none"))
    for options, want, says in wrong:
        status, out, errors = spf(*options)
        ok(status == want and says in errors and out == "", f"wrong use: {says.replace(folder, '')}",
           f"{status} {out} {errors}")
for kind, loop in (("itself", {"loop.test": "loop.test"}), ("a ring", {"loop.test": "b.test", "b.test": "loop.test"})):
    with tempfile.NamedTemporaryFile("w", suffix=".zone") as zone:
        zone.write("".join(f"{name}. CNAME {target}.\n" for name, target in loop.items()))
        zone.flush()
        status, out, errors = spf("--ip", "192.0.2.1", "--helo", "h.test", "--mail-from", "joe@loop.test", "--dns-zone",
                                  zone.name, "--json")
        results = {check["identity"]: check["result"] for check in json.loads(out)}
        is_equal(results["mailfrom"], "temperror", f"an alias of {kind} has no answer, and an end")
done()
