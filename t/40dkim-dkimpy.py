#!/usr/bin/env python3
"""DKIM against another implementation, dkimpy: what it signs we verify, in every canonicalisation and with odd
headers and bodies; of messages that were changed we think the same."""
import base64
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
DEBIAN = "/usr/bin/python3"     # where Debian's modules are, should another Python come first
if importlib.util.find_spec("dkim") is None and Path(DEBIAN).resolve() != Path(sys.executable).resolve():
    os.execv(DEBIAN, [DEBIAN, *sys.argv])

from posthouse import BUILD, diag, done, ok, skip  # noqa: E402

SEED = int(os.environ.get("SEED", "6376"))
MUTATIONS = 600


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout


class Keys:
    def __init__(self, folder):
        self.rsa = openssl("genrsa", "2048")
        rsa_public = base64.b64encode(openssl("rsa", "-pubout", "-outform", "DER", data=self.rsa)).decode()
        pem = openssl("genpkey", "-algorithm", "ed25519")
        seed = openssl("pkey", "-outform", "DER", data=pem)[-32:]
        public = openssl("pkey", "-pubout", "-outform", "DER", data=pem)[-32:]
        self.ed25519 = base64.b64encode(seed)
        self.records = {b"rsa._domainkey.example.org": "v=DKIM1; k=rsa; p=" + rsa_public,
                        b"ed._domainkey.example.org": "v=DKIM1; k=ed25519; p=" + base64.b64encode(public).decode()}
        self.zone = folder / "zone"
        self.zone.write_text("".join(
            f"{name.decode()} TXT (" + " ".join(f'"{text[i:i + 200]}"' for i in range(0, len(text), 200)) + ")\n"
            for name, text in self.records.items()))

    def answer(self, name, timeout=5):
        return self.records.get(name.rstrip(b"."), "").encode()


class Peer:
    """Our verifier."""

    def __init__(self, zone):
        self.process = subprocess.Popen([BUILD / "t" / "dkim-peer", zone], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def __call__(self, message, piece=0):
        self.process.stdin.write(b"%d %d\n" % (len(message), piece) + message)
        self.process.stdin.flush()
        return self.process.stdout.readline().decode(errors="replace").strip()

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


ODD_BODIES = [
    b"", b"\r\n", b"\r\n\r\n\r\n", b" \r\n", b"\t \r\n \r\n", b"a", b"a\r\n", b"a \r\n", b"a\t", b" a", b"\r\na\r\n",
    b" \r\na", b"a\r\n\r\n\r\nb\r\n\r\n\r\n", b"a  b\t\tc \t d\r\n", b"x" * 5000 + b"\r\n", b"x y " * 3000,
    b"\r\n" * 3000 + b"end", b"line \r\n" * 500 + b"\r\n" * 500, b".\r\n..\r\n", "Grüße\r\n".encode(), b"\xff\xfe\x80\r\n",
    b"nul\0nul\r\n", b"\0", b"\f\v \f\r\n", b"a\r\n \r\n", b"a\r\n \r\n\r\n \t", b"--=_x\r\n\r\n--=_x--",
]
ODD_FIELDS = [
    b"Subject: plain\r\n", b"Subject:no blank\r\n", b"Subject:\r\n", b"Subject: \t\r\n", b"SUBJECT: Case\r\n",
    b"Subject: folded\r\n here\r\n\tand there\r\n", b"Subject:\r\n only folded\r\n", b"Subject: blanks   inside \t \r\n",
    b"Subject: x\r\n  \r\n y\r\n", "Subject: Grüße\r\n".encode(), b"Subject: a\r\nSubject: b\r\n",
    b"Subject: a; b=c; bh=d\r\n", b"Subject: " + b"long " * 2000 + b"\r\n", b"Subject: =?utf-8?q?x?=\r\n",
]
FROM = b"From: Alice <alice@example.org>\r\nTo: bob@example.net\r\n"
CANONS = [(h, b) for h in (b"simple", b"relaxed") for b in (b"simple", b"relaxed")]


def read_alike(message):
    """dkimpy keeps blanks at the end of a body that no line end ends, where RFC 6376 3.4.4 takes them off."""
    return not message.endswith((b" ", b"\t"))


def random_blanks(rng):
    return bytes(rng.choice(b" \t") for _ in range(rng.choice([0, 0, 1, 1, 2, 5])))


def random_body(rng):
    lines = []
    for _ in range(rng.randrange(0, 12)):
        words = [bytes(rng.choice(b"ab.=-\xc3") for _ in range(rng.randrange(0, 9))) for _ in range(rng.randrange(0, 6))]
        lines.append(random_blanks(rng).join(words) + random_blanks(rng))
    return b"\r\n".join(lines) + rng.choice([b"", b"\r\n", b"\r\n\r\n", b" ", b"\r\n \r\n"])


def random_field(rng):
    words = [bytes(rng.choice(b"abXY:;=") for _ in range(rng.randrange(1, 8))) for _ in range(rng.randrange(0, 8))]
    value = b"".join(w + rng.choice([b" ", b"\t", b"  ", b"\r\n ", b"\r\n\t\t"]) for w in words)
    return rng.choice([b"Subject", b"subject", b"SubJect"]) + b":" + random_blanks(rng) + value + b"x\r\n"


def messages(rng):
    for body in ODD_BODIES:
        yield FROM + ODD_FIELDS[0] + b"\r\n" + body
    for field in ODD_FIELDS:
        yield field + FROM + b"\r\nbody\r\n"
    for _ in range(60):
        yield random_field(rng) + FROM + random_field(rng) + b"\r\n" + random_body(rng)


def sign(dkim, keys, message, canon, algorithm, signs_signature):
    """The second way makes us verify without libopendkim."""
    include = [b"from", b"to", b"subject"]
    if signs_signature:
        message = b"DKIM-Signature: v=1; of somebody else\r\n" + message
        include.append(b"dkim-signature")
    selector, key = (b"ed", keys.ed25519) if algorithm == b"ed25519-sha256" else (b"rsa", keys.rsa)
    signer = dkim.DKIM(message, signature_algorithm=algorithm)
    signer.should_not_sign = set()
    return signer.sign(selector, b"example.org", key, canonicalize=canon, include_headers=include) + message


def signed_messages(dkim, keys, rng):
    for i, message in enumerate(filter(read_alike, messages(rng))):
        for k, canon in enumerate(CANONS):
            algorithm = b"ed25519-sha256" if (i + k) % 3 == 0 else b"rsa-sha256"
            yield sign(dkim, keys, message, canon, algorithm, i % 2 == 1)
            if i < len(ODD_BODIES) + len(ODD_FIELDS):
                yield sign(dkim, keys, message, canon, algorithm, i % 2 == 0)


def mutate(rng, message):
    """One small change, none that makes a bare CR or LF."""
    at = rng.randrange(len(message))
    kind = rng.randrange(5)
    if kind == 0:
        message = message[:at] + bytes([rng.choice(b" \tax;=:")]) + message[at:]
    elif kind == 1:
        message = message[:at] + message[at + 1:]
    elif kind == 2:
        message = message[:at] + bytes([rng.choice(b" \tAx0")]) + message[at + 1:]
    elif kind == 3:
        message = message + rng.choice([b"\r\n", b" ", b"x", b" \r\n"])
    else:
        message = message.replace(*rng.choice([(b" ", b"  "), (b"  ", b" "), (b"\r\n ", b" "), (b"alice", b"Alice"),
                                               (b"Subject", b"subject"), (b"s=rsa", b"s=ed"), (b"\t", b" ")]), 1)
    rest = message.replace(b"\r\n", b"")
    return None if b"\r" in rest or b"\n" in rest or not read_alike(message) else message


def their_verdict(dkim, keys, message):
    """None when it does not look at the message: any line of the header that is no field is enough."""
    try:
        return dkim.DKIM(message, minkey=1024).verify(idx=0, dnsfunc=keys.answer)
    except dkim.MessageFormatError:
        return None
    except (dkim.DKIMException, ValueError, KeyError, TypeError, IndexError):  # it trips over what cannot be read
        return False


def compare(dkim, keys, peer, rng, signed):
    wrong, same, stricter = [], 0, 0
    for _ in range(MUTATIONS):
        message = mutate(rng, rng.choice(signed))
        if message is None:
            continue
        ours, theirs = peer(message, rng.choice([0, 1, 7])), their_verdict(dkim, keys, message)
        if theirs is None:
            continue
        if ours.startswith("pass") == theirs:
            same += 1
        elif theirs and ours.split()[0] in ("neutral", "policy", "permerror"):
            stricter += 1
            diag(f"stricter: {ours}")
        else:
            wrong.append((ours, theirs, message[:1500]))
    return wrong, same, stricter


def main():
    try:
        import dkim
        import nacl  # noqa: F401 (Ed25519)
    except ImportError as e:
        skip("DKIM against dkimpy", f"python3-dkim is not installed ({e})")
        return
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        keys = Keys(Path(folder))
        peer = Peer(keys.zone)
        signed = list(signed_messages(dkim, keys, rng))
        refused = [(verdict, m[:1500]) for m in signed if not (verdict := peer(m)).startswith("pass")]
        ok(not refused, f"{len(signed)} messages signed by dkimpy pass", refused[:3])
        split = [(verdict, m[:1500]) for m in signed if not (verdict := peer(m, rng.choice([1, 2, 5]))).startswith("pass")]
        ok(not split, "the same in pieces", split[:3])
        wrong, same, stricter = compare(dkim, keys, peer, rng, signed)
        ok(not wrong, f"changed messages: {same} verdicts alike, {stricter} stricter (SEED={SEED})", wrong[:3])
        ok(same > MUTATIONS / 2, "most changes could be compared")
        ok(peer.close() == 0, "the peer ends well")


main()
done()
