#!/usr/bin/env python3
"""The RFC 7208 test suite (openspf.org, release 2014.04) through `posthouse spf`, a zone file for each scenario.

The suite lies outside of the project: $POSTHOUSE_SPF_SUITE, else ../shared/spf/rfc7208-tests.yml next to it."""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import ROOT, binary, done, is_equal, ok, plan

SUITE = Path(os.environ.get("POSTHOUSE_SPF_SUITE", ROOT.parent / "shared" / "spf" / "rfc7208-tests.yml"))
CASES = 203


def quoted(text):
    """A name or character-string of a zone file; the suite writes octets as code points."""
    octets = text.encode("latin-1")
    return '"' + "".join(chr(o) if 32 <= o <= 126 and chr(o) not in '"\\' else f"\\{o:03}" for o in octets) + '"'


def name(text):
    return text.rstrip(".") + "."


def owner(text):
    return f'"{name(text)}"'


def lines_of(records):
    """The suite's records as TYPE RDATA. SPF records are TXT records where there are no others (type 99 is gone);
    what times out is not even found out about a name that has them."""
    records = [r if isinstance(r, dict) else {r: None} for r in records]
    values = [(kind, value) for r in records for kind, value in r.items()]
    has_txt = any(kind == "TXT" for kind, value in values)
    if any(kind == "TIMEOUT" for kind, value in values) and not any(
            kind == "TXT" and value != "NONE" for kind, value in values):
        yield "SERVFAIL"
        return
    for kind, value in values:
        if kind == "SPF" and has_txt or kind == "TIMEOUT" or value == "NONE":
            continue
        if kind in ("SPF", "TXT"):
            strings = value if isinstance(value, list) else [value]
            yield "TXT " + " ".join(quoted(s) for s in strings or [""])
        elif kind == "MX":
            yield f"MX {value[0]} {name(value[1])}"
        elif kind in ("PTR", "CNAME"):
            yield f"{kind} {name(value)}"
        else:
            yield f"{kind} {value}"


def zone_of(scenario):
    return "".join(f"{owner(n)} {line}\n" for n, records in scenario["zonedata"].items() for line in lines_of(records))


def run(zone, case):
    p = subprocess.run([binary(), "spf", "--ip", case["host"], "--helo", case["helo"], "--mail-from", case["mailfrom"],
                        "--dns-zone", zone, "--json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    return p.returncode, p.stdout.decode("utf-8", "replace")


def judge(where, case, status, out):
    if status != 0:
        ok(False, where, f"exit status {status}: {out}")
        return
    got = json.loads(out)[0]
    want = case["result"] if isinstance(case["result"], list) else [case["result"]]
    told = "want %s, got %s: %s" % ("|".join(want), got["result"], got["why"])
    good = got["identity"] == "mailfrom" and got["result"] in want
    if good and "explanation" in case:
        want = "" if case["explanation"] == "DEFAULT" else case["explanation"]
        told = f"explanation: want {want!r}, got {got['explanation']!r}"
        good = got["explanation"] == want
    ok(good, where, told)


if not SUITE.is_file():
    # never a failure: whoever has the sources alone cannot have the file
    plan(1)
    print(f"ok 1 - the RFC 7208 suite # SKIP no {SUITE}: set POSTHOUSE_SPF_SUITE to the path of rfc7208-tests.yml")
    sys.exit(0)

import yaml  # Debian: python3-yaml

ran = 0
with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    started = []
    for i, scenario in enumerate(yaml.safe_load_all(SUITE.read_text())):
        zone = Path(folder) / f"{i}.zone"
        zone.write_text(zone_of(scenario))
        for title, case in scenario["tests"].items():
            where = f"{scenario['description']}: {title}"
            started.append((where, case, pool.submit(run, str(zone), case)))
    for where, case, future in started:
        judge(where, case, *future.result())
        ran += 1
is_equal(ran, CASES, "the suite is complete")
done()
