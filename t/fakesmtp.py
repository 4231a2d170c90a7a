"""A tiny SMTP server with programmable replies, for what posthouse sends out."""
import base64
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

TIMEOUT_S = 60


@dataclass
class Received:
    sender: str
    recipients: list
    data: bytes            # dots unstuffed, without the final dot
    helo: str
    mail_options: list
    tls: bool
    login: tuple = None    # (user, password)
    rcpt_options: list = field(default_factory=list)


class FakeSmtp:
    """Listens on a loopback port of its own. `replies` maps a verb ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "." for
    the end of data, ...) to a list consumed one entry per use; an entry is a reply, None for the normal reply, CLOSE
    to drop the connection without a word, ("delay", seconds) to wait and then reply normally. "TEXT" is a reply in the
    midst of a message, after which the connection closes. For "MAIL" and "RCPT" a callable that takes the address and
    returns one of these will do instead of the list.

        with FakeSmtp(replies={"RCPT": ["451 4.2.1 later"]}) as smtp: ... smtp.wait(1)[0].data
    """
    CLOSE = object()

    EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE", "DSN")

    def __init__(self, replies=None, extensions=EXTENSIONS, cert=None, key=None, login=None, host="127.0.0.1", port=0):
        self.replies = {verb: list(r) if isinstance(r, (list, tuple)) else r for verb, r in (replies or {}).items()}
        self.extensions = list(extensions)
        self.tls = None
        if cert:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(cert, key)
        self.login = login
        self.messages, self.commands = [], []
        self.connections = 0
        self.changed = threading.Condition()
        self.listener = socket.create_server((host, port))
        self.host, self.port = self.listener.getsockname()[:2]
        self.stopping = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(10)

    def wait(self, count, deadline_s=60):
        """The messages received, as soon as there are `count`."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.messages) >= count, deadline_s):
                raise TimeoutError(f"{len(self.messages)} of {count} messages after {deadline_s} s")
            return list(self.messages)

    def answered(self):
        """The reply to a message has been sent; for tests that look at this moment."""

    def _accept(self):
        while not self.stopping:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(TIMEOUT_S)
        try:
            Session(self, sock).run()
        except (OSError, EOFError):
            pass
        finally:
            sock.close()

    def scripted(self, verb, address=None):
        """What the test wants as the reply to this use of the verb, None for the normal one."""
        with self.changed:
            self.commands.append((verb, address) if address is not None else (verb,))
            script = self.replies.get(verb)
            if callable(script):
                return script(address)
            return script.pop(0) if script else None


def _path_and_options(rest):
    """`FROM:<a@b> SIZE=3` -> ("a@b", ["SIZE=3"])."""
    path = rest.split(":", 1)[1].strip()
    address, _, options = path[1:].partition(">")
    return address, options.split()


class Session:
    def __init__(self, server, sock):
        self.server, self.sock, self.file = server, sock, sock.makefile("rb")
        self.secure, self.user, self.helo = False, None, None
        self.reset()

    def reset(self):
        self.sender, self.mail_options, self.recipients, self.rcpt_options = None, [], [], []

    def say(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        return line[:-2]

    def answer(self, verb, normal, address=None):
        """Reply; true when the reply was positive."""
        want = self.server.scripted(verb, address)
        if want is self.server.CLOSE:
            raise EOFError
        if isinstance(want, tuple):
            time.sleep(want[1])
            want = None
        reply = normal if want is None else want
        self.say(reply)
        return reply[0] in "23"

    def run(self):
        self.answer("CONNECT", "220 fake.test ESMTP")  # a refused client is waited for, too (RFC 5321 3.1)
        while True:
            line = self.line().decode("utf-8", "surrogateescape")
            verb, _, rest = line.partition(" ")
            handler = getattr(self, "do_" + verb.lower(), None)
            if handler is None:
                self.answer(verb.upper(), "500 5.5.1 what?")
            elif handler(rest) == "quit":
                return

    def do_ehlo(self, rest):
        self.helo = rest
        self.reset()
        words = ["fake.test", *self.server.extensions]
        if self.server.tls and not self.secure:
            words.append("STARTTLS")
        if self.server.login:
            words.append("AUTH PLAIN")
        lines = [f"250-{w}" for w in words[:-1]] + [f"250 {words[-1]}"]
        self.answer("EHLO", "\r\n".join(lines))

    def do_helo(self, rest):
        self.helo = rest
        self.reset()
        self.answer("HELO", "250 fake.test")

    def do_starttls(self, rest):
        if not self.answer("STARTTLS", "220 2.0.0 go" if self.server.tls else "502 5.5.1 no"):
            return
        if not self.server.tls:     # scripted to say yes: a handshake that fails
            raise EOFError
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")
        self.secure = True
        self.reset()

    def do_auth(self, rest):
        mechanism, _, initial = rest.partition(" ")
        if not initial:
            self.say("334 ")
            initial = self.line().decode()
        _, user, password = base64.b64decode(initial).decode().split("\0")
        right = mechanism.upper() == "PLAIN" and (user, password) == self.server.login
        if self.answer("AUTH", "235 2.7.0 yes" if right else "535 5.7.8 no"):
            self.user = (user, password)

    def do_mail(self, rest):
        address, options = _path_and_options(rest)
        if self.answer("MAIL", "250 2.1.0 ok", address):
            self.reset()
            self.sender, self.mail_options = address, options

    def do_rcpt(self, rest):
        address, options = _path_and_options(rest)
        if self.answer("RCPT", "250 2.1.5 ok", address):
            self.recipients.append(address)
            self.rcpt_options.append(options)

    def do_data(self, rest):
        if not self.answer("DATA", "354 go" if self.recipients else "503 5.5.1 no recipients"):
            return
        early = self.server.scripted("TEXT")
        if early:
            self.line()
            self.say(early)
            raise EOFError
        lines = []
        while (line := self.line()) != b".":
            lines.append((line[1:] if line.startswith(b".") else line) + b"\r\n")
        data = b"".join(lines)
        self.take(data)

    def do_bdat(self, rest):
        """One chunk that is the whole message (RFC 3030)."""
        size, _, last = rest.partition(" ")
        data = self.file.read(int(size))
        if len(data) != int(size) or last.upper() != "LAST":
            raise EOFError
        self.server.scripted("BDAT")
        self.take(data)

    def take(self, data):
        received = Received(self.sender, self.recipients, data, self.helo, self.mail_options, self.secure, self.user,
                            self.rcpt_options)
        self.reset()
        # the message counts as received before the reply is seen, as it does for any server
        want = self.server.scripted(".")
        taken = want is None or isinstance(want, tuple) or want is self.server.CLOSE or want.startswith("2")
        if taken:
            with self.server.changed:
                self.server.messages.append(received)
                self.server.changed.notify_all()
        if want is self.server.CLOSE:
            raise EOFError
        if isinstance(want, tuple):
            time.sleep(want[1])
            want = None
        self.say(want or "250 2.0.0 taken")
        self.server.answered()

    def do_rset(self, rest):
        self.reset()
        self.answer("RSET", "250 2.0.0 ok")

    def do_noop(self, rest):
        self.answer("NOOP", "250 2.0.0 ok")

    def do_quit(self, rest):
        self.answer("QUIT", "221 2.0.0 bye")
        return "quit"
