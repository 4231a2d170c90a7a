#!/usr/bin/env python3
"""fsck on a store whose meta records are damaged: no command works on it, each says what to run, and --repair makes the
records again. Where nothing in the store tells its schema, only who runs it can."""
import smtplib
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import Dev, binary, done, is_equal, ok

EX_USAGE, EX_NOINPUT, EX_SOFTWARE = 64, 66, 70
USERS = {"u@example.test": "secret"}
PAGE = 4096


def run(data, *words):
    p = subprocess.run([binary(), *words, "--data", str(data)], capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout + p.stderr


def flip(data, *names):
    """A bit of what each record holds, in all versions of the page that they stand on."""
    file = data / "data.mdb"
    octets = bytearray(file.read_bytes())
    flips = 0
    for at in range(0, len(octets), PAGE):
        page = octets[at:at + PAGE]
        if b"schema" in page and b"ids" in page:
            for name in names:
                octets[at + page.index(name) + len(name)] ^= 1
                flips += 1
    file.write_bytes(octets)
    return flips


def send(dev):
    with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as smtp:
        smtp.sendmail("a@sender.test", list(USERS), "From: a@sender.test\r\nSubject: one\r\n\r\ntext\r\n")


def mend(folder, names, schema):
    what = " and ".join(n.decode() for n in names)
    data = folder / what.replace(" ", "-")
    with Dev(data=data, users=USERS, domains=["example.test"]) as dev:
        send(dev)
    ok(flip(data, *names), f"{what}: damaged")
    for command in (["user", "list"], ["fsck"], ["user", "add", "x@example.test"]):
        if command != ["user", "list"] or b"schema" in names:
            status, said = run(data, *command)
            ok(status == EX_SOFTWARE and "posthouse fsck --repair" in said, f"{what}: {command} says what to run", said)
    status, said = run(data, "fsck", "--repair")
    if schema:
        ok(status == EX_SOFTWARE and f"--schema {schema}" in said, f"{what}: nothing tells the schema", said)
        status, said = run(data, "fsck", "--repair", "--schema", "1")
        ok(status == EX_SOFTWARE and "use the version that wrote it" in said, f"{what}: another one is refused", said)
        status, said = run(data, "fsck", "--repair", "--schema", schema)
    ok(status == 0 and "meta:" in said, f"{what}: mended", said)
    n = len(said.splitlines()) - 1
    is_equal(said.splitlines()[-1], f"{n} finding{'s' if n > 1 else ''}, mended", f"{what}: how many")
    status, said = run(data, "fsck")
    ok(status == 0 and "sound" in said, f"{what}: and sound", said)
    with Dev(data=data, users=USERS, domains=["example.test"]) as dev:
        send(dev)
    status, said = run(data, "fsck")
    ok(status == 0 and "sound" in said, f"{what}: and stays so", said)


def damaged_alias(folder):
    """An alias that cannot be read is not taken for one that is not there."""
    data = folder / "alias"
    for words in (["domain", "add", "example.test"], ["alias", "add", "team@example.test", "far.away@far.test"]):
        is_equal(run(data, *words)[0], 0, f"damaged alias: {' '.join(words)}")
    file = data / "data.mdb"
    octets = file.read_bytes()
    ok(b"far.away@far.test" in octets, "damaged alias: the record")
    file.write_bytes(octets.replace(b"far.away@far.test", b"far.away@faq.test"))
    for target in ("x@far.test", "team@example.test"):
        status, said = run(data, "alias", "add", "team@example.test", target)
        ok(status == EX_SOFTWARE and "team@example.test cannot be read: " in said, f"damaged alias: alias add to {target}", said)


def main():
    with tempfile.TemporaryDirectory(prefix="posthouse-fsck-") as folder:
        folder = Path(folder)
        mend(folder, [b"schema"], None)
        mend(folder, [b"ids"], None)
        mend(folder, [b"schema", b"ids"], "2")
        damaged_alias(folder)
        for words in (["--schema", "2"], ["--repair", "--schema", "two"]):
            is_equal(run(folder, "fsck", *words)[0], EX_USAGE, f"fsck {' '.join(words)} is wrong usage")
        status, said = run(folder / "none", "fsck", "--repair")
        ok(status == EX_NOINPUT and "no store here" in said, "--repair makes no store", said)
        ok(not (folder / "none").exists(), "nor a directory")
    done()


main()
