"""A tiny authoritative DNS server for `--dns HOST:PORT`: UDP and TCP, A AAAA CNAME MX NS PTR SOA TXT TLSA, and
the ways in which name servers fail. TTL 0 unless given."""
import ipaddress
import socket
import struct
import threading
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52}
NAMES = {number: name for name, number in TYPES.items()}
OPT = 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5


def encode_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        raw = label.encode()
        if raw:
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def decode_name(packet, at):
    """(name in lower case, offset behind it). Names in questions are never compressed."""
    labels = []
    while (n := packet[at]):
        if n > 63:
            raise ValueError("compressed name in a question")
        labels.append(packet[at + 1:at + 1 + n].decode("latin-1"))
        at += 1 + n
    return ".".join(labels).lower(), at + 1


def _txt(*strings):
    out = b""
    for s in strings:
        raw = s.encode() if isinstance(s, str) else s
        for i in range(0, max(len(raw), 1), 255):
            piece = raw[i:i + 255]
            out += bytes([len(piece)]) + piece
    return out


RDATA = {
    "A": lambda address: ipaddress.IPv4Address(address).packed,
    "AAAA": lambda address: ipaddress.IPv6Address(address).packed,
    "CNAME": encode_name,
    "NS": encode_name,
    "PTR": encode_name,
    "MX": lambda preference, host: struct.pack("!H", preference) + encode_name(host),
    "TXT": _txt,
    "SOA": lambda primary, contact, serial=1, refresh=1, retry=1, expire=1, minimum=0:
        encode_name(primary) + encode_name(contact) + struct.pack("!5I", serial, refresh, retry, expire, minimum),
    "TLSA": lambda usage, selector, matching, data: bytes([usage, selector, matching]) + bytes.fromhex(data),
}


class FakeDns:
    """    with FakeDns() as dns:
            dns.add("example.test", "MX", 10, "mx.example.test")
            dns.add("mx.example.test", "A", "127.0.0.1")
            dns.fail("broken.test", SERVFAIL); dns.drop("silent.test"); dns.delay("slow.test", 2)
            dns.hold("later.test"); dns.release()
            ... f"--dns {dns.host}:{dns.port}"
    A name that is unknown, and has no names below it, is NXDOMAIN. dns.queries lists (name, type) as they came."""

    def __init__(self, host="127.0.0.1"):
        self.host = host
        self.records, self.faults, self.delays = {}, {}, {}
        self.held, self.gate = set(), threading.Event()
        self.delay_all = 0     # seconds, of every answer
        self.waiting = self.most_waiting = 0    # questions without an answer yet, copies by resolvers included
        self.queries = []
        self.lock = threading.Lock()
        self.udp, self.tcp = self._bind(host)
        self.port = self.udp.getsockname()[1]
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._serve_udp, self._serve_tcp)]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _bind(host):
        """The same port for both."""
        for _ in range(50):
            tcp = socket.create_server((host, 0))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind((host, tcp.getsockname()[1]))
                return udp, tcp
            except OSError:
                tcp.close()
                udp.close()
        raise OSError("no port is free for both UDP and TCP")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.release()
        for sock in (self.udp, self.tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self.threads:
            thread.join(10)

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def add(self, name, kind, *data, ttl=0):
        with self.lock:
            self.records.setdefault((name.lower().rstrip("."), kind), []).append((ttl, RDATA[kind](*data)))
            if kind == "CNAME":
                self.records[(name.lower().rstrip("."), "->")] = data[0].lower().rstrip(".")

    def remove(self, name, kind):
        with self.lock:
            self.records.pop((name.lower().rstrip("."), kind), None)
            if kind == "CNAME":
                self.records.pop((name.lower().rstrip("."), "->"), None)

    def fail(self, name, code):
        """Answer with this RCODE; None ends it."""
        self.faults[name.lower()] = code

    def drop(self, name):
        """Never answer."""
        self.faults[name.lower()] = "drop"

    def delay(self, name, seconds):
        self.delays[name.lower()] = seconds

    def hold(self, *names):
        """Answer these only after release()."""
        self.held.update(name.lower() for name in names)

    def release(self):
        self.gate.set()

    def _exists(self, name):
        return any(n == name or n.endswith("." + name) for n, _ in self.records)

    def _look_up(self, name, kind):
        """(RCODE, [(name, type, ttl, rdata)]), CNAMEs followed inside the zone."""
        found = []
        for _ in range(16):
            here = self.records.get((name, kind), [])
            if here or (name, "->") not in self.records:
                found += [(name, kind, ttl, data) for ttl, data in here]
                return (NOERROR if found or self._exists(name) else NXDOMAIN), found
            found += [(name, "CNAME", ttl, data) for ttl, data in self.records[(name, "CNAME")]]
            name = self.records[(name, "->")]
        return SERVFAIL, []

    def answer(self, packet, limit=65535):
        """The reply to one query packet, None for silence. Truncated (TC) above the limit of UDP."""
        if len(packet) < 12:
            return None
        ident, flags, questions, _, _, additional = struct.unpack("!6H", packet[:12])
        name, at = decode_name(packet, 12)
        number, _ = struct.unpack("!HH", packet[at:at + 4])
        question, edns = packet[12:at + 4], packet[at + 4:]
        kind = NAMES.get(number, str(number))
        if limit == 512 and additional and len(edns) >= 11 and struct.unpack("!H", edns[1:3])[0] == OPT:
            limit = max(512, struct.unpack("!H", edns[3:5])[0])
        with self.lock:
            self.queries.append((name, kind))
            code, found = self._look_up(name, kind)
        self._wait(name)
        fault = self.faults.get(name)
        if fault == "drop":
            return None
        if fault is not None:
            code, found = fault, []
        body = b"".join(encode_name(n) + struct.pack("!HHIH", TYPES[k], 1, ttl, len(data)) + data
                        for n, k, ttl, data in found)
        opt = b"\0" + struct.pack("!HHIH", OPT, 1232, 0, 0) if additional else b""
        head = 0x8400 | (flags & 0x0110) | code
        if 12 + len(question) + len(body) + len(opt) > limit:
            head, found, body = head | 0x0200, [], b""
        return struct.pack("!6H", ident, head, questions, len(found), 0, 1 if opt else 0) + question + body + opt

    def _wait(self, name):
        with self.lock:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
        time.sleep(self.delays.get(name, self.delay_all))
        if name in self.held:
            self.gate.wait()
        with self.lock:
            self.waiting -= 1

    def _serve_udp(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not packet:
                return
            threading.Thread(target=self._reply_udp, args=(packet, peer), daemon=True).start()

    def _reply_udp(self, packet, peer):
        reply = self.answer(packet, 512)
        if reply:
            try:
                self.udp.sendto(reply, peer)
            except OSError:
                pass

    def _serve_tcp(self):
        while True:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._talk_tcp, args=(sock,), daemon=True).start()

    def _talk_tcp(self, sock):
        sock.settimeout(30)
        with sock, sock.makefile("rb") as stream:
            try:
                while len(size := stream.read(2)) == 2:
                    reply = self.answer(stream.read(struct.unpack("!H", size)[0]))
                    if reply:
                        sock.sendall(struct.pack("!H", len(reply)) + reply)
            except OSError:
                pass
