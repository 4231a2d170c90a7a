#!/usr/bin/env python3
"""`posthouse dkim verify`: what it prints and how it ends, from files, from its input, and by a name server."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import FakeDns, binary, done, is_equal, ok

# RFC 8463 A.3
RSA = ("v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/"
       "J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryO"
       "TIKT+l/K4w3QIDAQAB")
ED25519 = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
RECORDS = {"brisbane._domainkey.football.example.com": ED25519, "test._domainkey.football.example.com": RSA}
MESSAGE = """DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
"""
OK, FAILED, USAGE, DATA, NO_INPUT, CONFIG = 0, 1, 64, 65, 66, 78


def run(*args, data=b""):
    p = subprocess.run([binary(), "dkim", *map(str, args)], input=data, capture_output=True, timeout=120)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def verdicts(text):
    return [s["result"] for s in json.loads(text)]


with tempfile.TemporaryDirectory() as folder:
    zone, file, empty = Path(folder, "zone"), Path(folder, "message"), Path(folder, "empty")
    zone.write_text("".join(f"{name} TXT (" + " ".join(f'"{text[i:i + 200]}"' for i in range(0, len(text), 200)) + ")\n"
                            for name, text in RECORDS.items()))
    file.write_text(MESSAGE)
    empty.write_text("")

    status, out, err = run("verify", file, "--dns-zone", zone)
    is_equal((status, err), (OK, ""), "a good message in a file with bare LF")
    ok(out.count("pass: good signature") == 2 and "1024 bits, weak" in out and
       "asked     test._domainkey.football.example.com" in out, "the text says what was found", out)

    status, out, err = run("verify", "-", "--dns-zone", zone, "--json", data=MESSAGE.replace("\n", "\r\n").encode())
    is_equal(status, OK, "the same from the input with CRLF")
    is_equal([{k: s[k] for k in ("result", "domain", "selector", "identity", "algorithm", "b", "asked", "key_bits", "weak",
                                 "testing")} for s in json.loads(out)],
             [{"result": "pass", "domain": "football.example.com", "selector": selector, "identity": "@football.example.com",
               "algorithm": algorithm, "b": b, "asked": f"{selector}._domainkey.football.example.com", "key_bits": bits,
               "weak": weak, "testing": False}
              for selector, algorithm, b, bits, weak in (("brisbane", "ed25519-sha256", "/gCrinpc", 256, False),
                                                         ("test", "rsa-sha256", "F45dVWDf", 1024, True))], "as JSON")

    file.write_text(MESSAGE.replace("dinner", "lunch"))
    status, out, err = run("verify", file, "--dns-zone", zone)
    is_equal((status, out.count("fail: the signature does not match")), (FAILED, 2), "a changed message ends in failure")

    file.write_text(MESSAGE.replace("football.example.com;", "football.example.com\x1b[2J;"))
    status, out, err = run("verify", file, "--dns-zone", zone)
    ok("\x1b" not in out, "no control characters reach the terminal", repr(out))

    file.write_text("Subject: x\n\nbody\n")
    is_equal(run("verify", file, "--dns-zone", zone)[:2], (FAILED, "none: the message has no DKIM-Signature field\n"),
             "no signature")
    is_equal(run("verify", file, "--dns-zone", zone, "--json")[:2], (FAILED, "[\n]\n"), "no signature, as JSON")
    is_equal(run("verify", empty, "--dns-zone", zone)[0], FAILED, "an empty file")
    is_equal(run("verify", "-", "--dns-zone", zone, data=b"X: y\n" * 300000)[0], DATA, "a header without end")

    status, out, err = run("verify", Path(folder, "nowhere"), "--dns-zone", zone)
    ok(status == NO_INPUT and "nowhere: No such file" in err, "a file that is not there", err)
    is_equal(run("verify", file, "--dns-zone", Path(folder, "nowhere"))[0], CONFIG, "a zone that is not there")
    is_equal(run()[0], USAGE, "no verb")
    is_equal(run("sign", file)[0], USAGE, "a verb that is not there")
    is_equal(run("verify")[0], USAGE, "no file")

    file.write_text(MESSAGE)
    with FakeDns() as dns:
        for name, text in RECORDS.items():
            dns.add(name, "TXT", text)
        is_equal(verdicts(run("verify", file, "--dns", f"127.0.0.1:{dns.port}", "--json")[1]), ["pass", "pass"],
                 "keys from a name server")
done()
