"""Deterministic test messages: bytes with CRLF line ends, the same for the same seed."""
import base64
import random

WORDS = ("horse inn letter road rider seal courier stage post mail bag rain night gate toll bridge village "
         "lamp wheel map Zürich café naïve 東京 почта").split()


def _text(rng, lines):
    out = []
    for _ in range(lines):
        out.append(" ".join(rng.choice(WORDS) for _ in range(rng.randint(0, 9))))
    return "\r\n".join(out).encode() + b"\r\n"


def _header(subject, seed, *more):
    lines = [f"From: Alice <alice@example.test>", "To: Bob <bob@example.test>", f"Subject: {subject}",
             "Date: Mon, 06 Jul 2026 10:00:00 +0000", f"Message-ID: <{seed}.test@example.test>", *more]
    return "\r\n".join(lines).encode() + b"\r\n"


def random_message(seed, size_kib=4):
    """A multipart message of about size_kib KiB: 8-bit text, base64 attachment, sometimes a nested message."""
    rng = random.Random(seed)
    boundary = f"=_{rng.getrandbits(64):016x}"
    parts = [b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
             _text(rng, rng.randint(1, 20))]
    if rng.random() < 0.3:
        parts.append(b"Content-Type: message/rfc822\r\n\r\n" + _header("inner", f"{seed}.inner") + b"\r\n" +
                     rng.choice(WORDS[:10]).encode() + b"\r\n")
    attachment = base64.encodebytes(rng.randbytes(rng.randint(0, size_kib * 1024))).replace(b"\n", b"\r\n")
    parts.append(b"Content-Type: application/octet-stream; name=\"a.bin\"\r\nContent-Transfer-Encoding: base64\r\n"
                 b"Content-Disposition: attachment; filename=\"a.bin\"\r\n\r\n" + attachment)
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    head = _header(f"number {seed} {rng.choice(WORDS[:20])}", seed, "MIME-Version: 1.0",
                   f'Content-Type: multipart/mixed; boundary="{boundary}"')
    return head + b"\r\n" + body + b"--" + boundary.encode() + b"--\r\n"


def odd_messages():
    """(name, message) of the shapes that get mangled by careless programs. All are legal for SMTP with 8BITMIME."""
    return [
        ("one line", _header("one", "odd1") + b"\r\nHello.\r\n"),
        ("empty body", _header("empty", "odd2") + b"\r\n"),
        ("dots at line start", _header("dots", "odd3") + b"\r\n.\r\n..\r\n...\r\n.x\r\n. \r\n.\r\n"),
        ("8-bit text", _header("octets", "odd4", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
                               "Content-Transfer-Encoding: 8bit") + b"\r\n" + "Grüße 東京\r\n".encode() +
         bytes(range(0x80, 0x100)) + b"\r\n"),
        ("lines of 998 octets", _header("long", "odd5") + b"\r\n" + (b"x" * 998 + b"\r\n") * 20),
        ("blanks at line end", _header("blanks", "odd6") + b"\r\nleft  \r\n\t\r\n   \r\nFrom the start\r\n"),
        ("many empty lines", _header("void", "odd7") + b"\r\n" * 50),
        ("folded header", _header("folded", "odd8", "X-Folded: one", " two", "\tthree") + b"\r\nbody\r\n"),
        ("128 KiB", _header("large", "odd9") + b"\r\n" + (b"0123456789" * 7 + b"\r\n") * 1820),
        ("nested parts", random_message("odd10", 16)),
    ]


def unfinished_message():
    """No line end at its end: possible in IMAP APPEND only."""
    return _header("unfinished", "odd11") + b"\r\nno line end"
