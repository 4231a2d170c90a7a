r"""Plays scripted sessions against a server. One line each:

    @a smtp          open connection `a` to that port of the server, or go on with it (name, then port name)
    @a               go on with connection `a`
    C: text          send text and CRLF
    C! text          send text as a Python string body: \r \n \x00 escapes, no CRLF added
    S: regex         the next line (without CRLF) must match the whole regex; (?P<name>...) keeps what it matched
    S* regex         skip lines until one matches
    TLS              start TLS on the connection (after the 220 or OK); `@a imaps` and submissions begin with TLS
    EOF              the server closes
    # text           comment

${name} is replaced by what was kept or given, in C lines as it is and in S lines quoted. A deviation raises
TranscriptError with the line number and what came instead.
"""
import re
import socket
import ssl

TIMEOUT_S = 60
TLS_PORTS = ("imaps", "submissions")


class TranscriptError(AssertionError):
    pass


class Connection:
    def __init__(self, server, port):
        self.server = server
        self.sock = socket.create_connection((server.host, getattr(server, port)), TIMEOUT_S)
        if port in TLS_PORTS:
            self.start_tls()
        self.file = self.sock.makefile("rb")

    def start_tls(self):
        context = ssl.create_default_context(cafile=self.server.ca)
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def line(self):
        """The next line without CRLF, None at the end."""
        line = self.file.readline()
        if not line:
            return None
        if not line.endswith(b"\r\n"):
            raise TranscriptError(f"line without CRLF: {line!r}")
        return line[:-2].decode("utf-8", "surrogateescape")

    def close(self):
        self.file.close()
        self.sock.close()


def _fill(text, kept, quote):
    return re.sub(r"\$\{(\w+)\}", lambda m: quote(str(kept[m.group(1)])), text)


def _raw(text):
    return text.encode("utf-8").decode("unicode_escape").encode("latin-1")


class Player:
    def __init__(self, server, given):
        self.server, self.kept = server, dict(given)
        self.connections, self.now = {}, None

    def use(self, words):
        name = words[0]
        if len(words) > 1:
            self.connections[name] = Connection(self.server, words[1])
        self.now = self.connections[name]

    def expect(self, pattern, skip):
        pattern = re.compile(_fill(pattern, self.kept, re.escape))
        while True:
            line = self.now.line()
            match = pattern.fullmatch(line) if line is not None else None
            if match:
                self.kept.update((k, v) for k, v in match.groupdict().items() if v is not None)
                return
            if line is None or not skip:
                raise TranscriptError(f"wanted {pattern.pattern!r}, got {line!r}")

    def step(self, line):
        if line.startswith("@"):
            self.use(line[1:].split())
        elif line == "TLS":
            self.now.start_tls()
        elif line == "EOF":
            if (more := self.now.line()) is not None:
                raise TranscriptError(f"wanted the end, got {more!r}")
        elif line[:2] == "C:":
            self.now.sock.sendall(_fill(line[3:], self.kept, str).encode("utf-8", "surrogateescape") + b"\r\n")
        elif line[:2] == "C!":
            self.now.sock.sendall(_raw(_fill(line[3:], self.kept, str)))
        elif line[:2] in ("S:", "S*"):
            self.expect(line[3:], line[1] == "*")
        else:
            raise TranscriptError("not a transcript line")


def play(server, text, **given):
    """Run the transcript; the kept and given values as a dict."""
    player = Player(server, given)
    try:
        for number, line in enumerate(text.splitlines(), 1):
            line = line.lstrip()
            if not line or line.startswith("#"):
                continue
            try:
                player.step(line)
            except (TranscriptError, OSError, KeyError, TypeError) as e:
                raise TranscriptError(f"line {number}: {line}\n  {type(e).__name__}: {e}") from None
    finally:
        for connection in player.connections.values():
            connection.close()
    return player.kept
