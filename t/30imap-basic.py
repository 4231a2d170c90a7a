"""IMAP against the binary, with Python's own client: what is appended comes back octet for octet, in one process and
in several."""
import imaplib
import random
import socket

from posthouse import Dev, done, fetch_messages, imap_login, is_equal, odd_messages, ok, tls_context, wait_for

USER = "a@example.test"


def appended(imap, message):
    status, data = imap.append("INBOX", r"(\Seen keyword)", '"17-Jul-1996 02:44:25 -0700"', message)
    return status == "OK" and b"APPENDUID" in data[0]


def test_round_trip(dev):
    big = b"Subject: big\r\n\r\n" + random.Random(1).randbytes(4_000_000).hex().encode() + b"\r\n"
    messages = [b"Subject: x\r\n\r\nbody\r\n", big]
    messages += [message for name, message in odd_messages()]
    with imap_login(dev, USER) as imap:
        imap.select()
        ok(all(appended(imap, m) for m in messages), f"{len(messages)} messages are appended")
        got = fetch_messages(imap)
        is_equal(len(got), len(messages), "all are there")
        # imaplib repairs line ends before it sends
        ok(all(g == imaplib.MapCRLF.sub(imaplib.CRLF, m) for g, m in zip(got, messages)), "octet for octet")
        is_equal(imap.fetch("1", "(FLAGS INTERNALDATE)")[1][0],
                 b'1 (FLAGS (\\Seen keyword) INTERNALDATE "17-Jul-1996 09:44:25 +0000")', "with flags and date")
        imap.select()
        is_equal(imap.copy("1", "Archive2")[0], "NO", "COPY to no mailbox is refused")
        imap.create("Archive2")
        is_equal(imap.copy("1:2", "Archive2")[0], "OK", "COPY")
        is_equal(imap.store("2:*", "+FLAGS", r"(\Deleted)")[0], "OK", "STORE")
        imap.expunge()
        is_equal(imap.search(None, "ALL")[1], [b"1"], "one is left after EXPUNGE")
        is_equal(len(fetch_messages(imap, "Archive2")), 2, "two in the other mailbox")


def test_starttls(dev):
    imap = imaplib.IMAP4(dev.host, dev.imap, timeout=60)
    ok("STARTTLS" in imap.capabilities, "STARTTLS is offered")
    imap.starttls(tls_context(dev))
    ok("STARTTLS" not in imap.capabilities, "and not within TLS")
    is_equal(imap.login(USER, "secret")[0], "OK", "login behind it")
    ok("IDLE" in dict.fromkeys(imap.capability()[1][0].decode().split()), "IDLE is offered to users")
    imap.logout()


def test_idle(dev):
    with imap_login(dev, USER) as watcher, imap_login(dev, USER) as other:
        before = int(watcher.select()[1][0])
        watcher.send(b"I1 IDLE\r\n")
        is_equal(watcher.readline(), b"+ idling\r\n", "IDLE")
        appended(other, b"Subject: news\r\n\r\n")
        is_equal(watcher.readline(), b"* %d EXISTS\r\n" % (before + 1), "news while idling")
        watcher.send(b"DONE\r\n")
        line = wait_for(lambda: next((li for li in iter(watcher.readline, b"") if li.startswith(b"I1 ")), None), "I1")
        is_equal(line, b"I1 OK IDLE completed\r\n", "DONE")


def test_pipeline(dev):
    """Everything at once: answers come in order."""
    octets = b"".join(b"%d NOOP\r\n" % i for i in range(2000)) + b"L LOGOUT\r\n"
    with socket.create_connection((dev.host, dev.imap), timeout=60) as peer:
        peer.sendall(octets)
        said = b"".join(iter(lambda: peer.recv(65536), b"")).split(b"\r\n")
    is_equal(said[1:2001], [b"%d OK Completed" % i for i in range(2000)], "2000 commands in one go")
    is_equal(said[2002:], [b"L OK LOGOUT completed", b""], "and LOGOUT")


for processes in (False, True):
    # the leak checker cannot look into a sandboxed process; the same code is checked in one process
    env = {"ASAN_OPTIONS": "detect_leaks=0"} if processes else None
    with Dev(processes=processes, domains=["example.test"], users={USER: "secret"}, env=env) as running:
        test_round_trip(running)
        test_starttls(running)
        test_idle(running)
        test_pipeline(running)
done()
