"""Signs messages (RFC 6376, relaxed/relaxed, rsa-sha256) with the openssl command: enough for tests of the receiver."""
import base64
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path


class Key:
    """An RSA key; `record` is its TXT record."""

    def __init__(self, bits=2048):
        self.folder = tempfile.TemporaryDirectory(prefix="posthouse-key-")
        self.path = Path(self.folder.name) / "key.pem"
        subprocess.run(["openssl", "genrsa", "-out", self.path, str(bits)], check=True, capture_output=True)
        der = subprocess.run(["openssl", "rsa", "-in", self.path, "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.record = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()

    def zone(self, name):
        """The line of a master file, in strings of at most 255 octets."""
        pieces = [self.record[i:i + 200] for i in range(0, len(self.record), 200)]
        return f"{name}. TXT " + " ".join(f'"{piece}"' for piece in pieces) + "\n"

    def sign(self, octets):
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.path], input=octets, check=True,
                              capture_output=True).stdout


def _fields(header):
    return re.findall(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*", header)


def _relaxed_field(field):
    name, value = field.split(b":", 1)
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.strip().lower() + b":" + value


def _relaxed_body(body):
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def sign(message, key, domain, selector, names=("From", "Subject"), extra=""):
    """The message with a DKIM-Signature on top."""
    header, body = message.split(b"\r\n\r\n", 1)
    fields = _fields(header + b"\r\n")
    hashed = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode()
    field = (f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={selector};{extra}\r\n"
             f"\th={':'.join(names)};\r\n\tbh={hashed};\r\n\tb=").encode()
    octets = b""
    for name in names:
        found = [f for f in fields if f.split(b":", 1)[0].strip().lower() == name.lower().encode()]
        if found:
            octets += _relaxed_field(found[-1]) + b"\r\n"
    octets += _relaxed_field(field)
    return field + base64.b64encode(key.sign(octets)) + b"\r\n" + message
