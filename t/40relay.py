"""Mail on its way out, against the binary: the ways there (route, MX, addresses), STARTTLS and AUTH, what is tried
again and when, what the sender is told (RFC 3464), and that a killed relay loses nothing."""
import email
import email.policy
import json
import os
import re
import signal
import smtplib
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from posthouse import (Dev, FakeDns, FakeSmtp, command, diag, done, imap_login, is_equal,
                       odd_messages, ok, random_message, role_pid, submit, tls_context, wait_for,
                       wait_messages, without_trace)

USER = "alice@example.test"
USERS = {USER: "secret", "bob@example.test": "secret"}
SOON = ("--set", "relay.retry_min=1s", "--set", "relay.retry_max=1s")
NEVER = ("--set", "relay.retry_min=1h")


def house(*options, **more):
    return Dev(*options, users=USERS, **more)


def mail(subject, to="x@far.test"):
    return (f"From: <{USER}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '.')}@example.test>"
            f"\r\nDate: Mon, 06 Jul 2026 10:00:00 +0000\r\n\r\ntext of {subject}\r\n").encode()


def queue(dev):
    return json.loads(command(dev, "queue", "list", "--json"))


def wait_queue(dev, count=0):
    return wait_for(lambda: len(queue(dev)) == count or None, f"{count} messages in the queue", 60, 0.1)


def wait_reply(dev, pattern):
    """Until the one message's last reply matches."""
    def there():
        rcpts = [r for item in queue(dev) for r in item["recipients"]]
        return next((r for r in rcpts if re.search(pattern, r["reply"])), None)
    try:
        return wait_for(there, pattern, 60, 0.1)
    except TimeoutError:
        diag(queue(dev))
        raise


def bounces(dev, count=1, user=USER):
    """The DSNs in the sender's INBOX, parsed, and taken away."""
    got = wait_messages(dev, user, count)
    with imap_login(dev, user) as imap:
        imap.select()
        imap.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
        imap.expunge()
    return [email.message_from_bytes(m, policy=email.policy.default) for m in got]


def parts(dsn):
    """(text, [per-message fields, per-recipient fields...], returned part)."""
    text, status, returned = dsn.iter_parts()
    return text.get_content(), status.get_payload(), returned


def send(dev, to, message, mail_options=(), rcpt_options=()):
    with smtplib.SMTP_SSL(dev.host, dev.submissions, context=tls_context(dev), timeout=60) as session:
        session.login(USER, "secret")
        session.sendmail(USER, to, message, mail_options=list(mail_options), rcpt_options=list(rcpt_options))


def certificate(folder):
    """A self-signed certificate for localhost: (certificate, key)."""
    cert, key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    key, "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return str(cert), str(key)


# --- the way there ---

def test_route(processes, cert, key):
    """Everything to one host, over TLS, with a login; octets, envelope and parameters."""
    with FakeSmtp(cert=cert, key=key, login=("me", "pass word")) as smtp, house(
            "--set", "relay.user=me", "--set", "relay.password=pass word", "--set", "relay.helo=out.example.test",
            route=f"localhost:{smtp.port}", processes=processes) as dev:
        messages = [m for _, m in odd_messages()] + [random_message(i, 60) for i in range(3)]
        for m in messages:
            submit(dev, USER, ["x@far.test", "bob@example.test"], m)
        got = smtp.wait(len(messages))
        is_equal(sorted(without_trace(r.data) for r in got), sorted(messages), "route: octet for octet")
        is_equal(sorted(without_trace(m) for m in wait_messages(dev, "bob@example.test", len(messages))), sorted(messages),
                 "route: the local recipient has them too")
        is_equal({(r.tls, r.login, r.helo, r.sender, tuple(r.recipients)) for r in got},
                 {(True, ("me", "pass word"), "out.example.test", USER, ("x@far.test",))}, "route: TLS, AUTH, envelope")
        ok(all(f"SIZE={len(r.data)}" in r.mail_options and "BODY=8BITMIME" in r.mail_options for r in got),
           "route: SIZE is right, BODY=8BITMIME", got[0].mail_options)
        submit(dev, USER, [f"r{i}@d{i % 3}.test" for i in range(30)], mail("many"))
        got = smtp.wait(len(messages) + 1)
        is_equal(len(got[-1].recipients), 30, "route: one transaction for all domains")
        send(dev, ["ü@far.test"], mail("utf8"), ["SMTPUTF8"])
        got = smtp.wait(len(messages) + 2)[-1]
        is_equal((got.recipients, "SMTPUTF8" in got.mail_options), (["ü@far.test"], True), "route: SMTPUTF8")
        wait_queue(dev)


def test_route_refused(cert, key):
    with FakeSmtp(cert=cert, key=key, login=("me", "right")) as smtp, house(
            "--set", "relay.user=me", "--set", "relay.password=wrong", *NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
        submit(dev, USER, ["x@far.test"], mail("wrong password"))
        wait_reply(dev, "535 5.7.8")
        is_equal(smtp.messages, [], "AUTH refused: kept, not sent without")
    with FakeSmtp(cert=cert, key=key) as smtp, house(
            "--set", "relay.route_tls=verify", *NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
        submit(dev, USER, ["x@far.test"], mail("no trust"))
        wait_reply(dev, "TLS handshake failed")
        is_equal(smtp.messages, [], "route_tls=verify: a certificate that nobody knows is not enough")
    with FakeSmtp() as smtp, house("--set", "relay.route_tls=must", *NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
        submit(dev, USER, ["x@far.test"], mail("no TLS"))
        wait_reply(dev, "does not offer STARTTLS")
        is_equal(smtp.messages, [], "route_tls=must: nothing in the clear")
    with house(*NEVER) as dev:
        submit(dev, USER, ["x@[192.0.2.1]"], mail("nowhere"))
        wait_reply(dev, "nothing leaves this machine")
        ok(True, "without a route nothing leaves the machine")


def test_mx(processes):
    """Which host is asked, in which order."""
    with FakeDns() as dns, FakeSmtp(host="127.0.0.2") as two:
        with FakeSmtp(host="127.0.0.3", port=two.port) as three, FakeSmtp(host="127.0.0.4", port=two.port) as four, house(
                "--set", f"relay.port={two.port}", *NEVER, dns=dns.address, processes=processes) as dev:
            for n in (2, 3, 4, 9):    # nobody listens on 127.0.0.9
                dns.add(f"mx{n}.far.test", "A", f"127.0.0.{n}")
            check_mx(dev, dns, two, three, four)


def check_mx(dev, dns, two, three, four):
    def send(domain, *wants, name):
        """Where it arrives."""
        before = [len(s.messages) for s in (two, three, four)]
        submit(dev, USER, [f"x@{domain}"], mail(name.replace(",", ""), f"x@{domain}"))
        wait_for(lambda: sum(len(s.messages) for s in (two, three, four)) > sum(before), name, 60)
        wait_queue(dev)
        arrived = [i for i, s in zip((2, 3, 4), (two, three, four)) if len(s.messages) > before[i - 2]]
        is_equal(arrived, list(wants), f"MX: {name}")

    dns.add("order.test", "MX", 30, "mx3.far.test")
    dns.add("order.test", "MX", 10, "mx2.far.test")
    dns.add("order.test", "MX", 20, "mx4.far.test")
    send("order.test", 2, name="the lowest preference first")
    dns.add("dead.test", "MX", 1, "mx9.far.test")
    dns.add("dead.test", "MX", 5, "gone.far.test")
    dns.add("dead.test", "MX", 9, "mx3.far.test")
    send("dead.test", 3, name="behind one that is down and one without address")
    two.replies["CONNECT"] = ["421 4.3.2 busy"]
    three.replies["CONNECT"] = ["554 5.3.2 go away"]
    dns.add("busy.test", "MX", 1, "mx2.far.test")
    dns.add("busy.test", "MX", 2, "mx3.far.test")
    dns.add("busy.test", "MX", 3, "mx4.far.test")
    send("busy.test", 4, name="behind greetings of 421 and 554")
    two.replies["RCPT"] = [FakeSmtp.CLOSE]
    three.replies["DATA"] = ["250 2.0.0 what a fine message"]    # which was never sent
    send("busy.test", 4, name="behind one that hangs up and one that says 250 to DATA")
    two.replies["MAIL"] = ["451 4.3.0 not me"]
    send("busy.test", 3, name="behind a 451 to MAIL")
    dns.add("plain.test", "A", "127.0.0.4")
    send("plain.test", 4, name="no MX, the address of the domain")
    dns.add("alias.test", "CNAME", "order.test")
    send("alias.test", 2, name="a CNAME")
    send("[127.0.0.3]", 3, name="an address literal")
    names = [q for q in dns.queries if q[0] == "plain.test"]
    is_equal([kind for _, kind in names], ["MX", "A", "AAAA"], "MX: asked before addresses")
    check_mx_failures(dev, dns)


def check_mx_failures(dev, dns):
    dns.add("null.test", "MX", 0, ".")
    dns.add("loop.test", "MX", 1, "localhost")
    dns.add("noaddress.test", "MX", 1, "nothing.far.test")
    for domain, status in (("null.test", "5.1.10"), ("nxdomain.test", "5.1.2"), ("loop.test", "5.4.6"),
                           ("noaddress.test", "5.1.2")):
        submit(dev, USER, [f"x@{domain}"], mail(domain, f"x@{domain}"))
        fields = parts(bounces(dev)[0])[1][1]
        is_equal((fields["Action"], fields["Status"]), ("failed", status), f"MX: {domain} bounces at once, {status}")
        ok(fields["Diagnostic-Code"].startswith("x-posthouse; ") and not fields["Remote-MTA"],
           f"MX: {domain}: the reason is our own", fields)
    dns.fail("servfail.test", 2)
    submit(dev, USER, ["x@servfail.test"], mail("servfail", "x@servfail.test"))
    wait_reply(dev, "4.4.3 the name server failed")
    dns.fail("servfail.test", None)
    dns.add("servfail.test", "MX", 1, "mx2.far.test")
    # that it failed is remembered for a few seconds (RFC 9520)
    wait_for(lambda: [command(dev, "queue", "retry", "all"), time.sleep(0.5)] and not queue(dev), "the queue to empty", 60)
    ok(True, "MX: a failing name server is asked again")


def test_starttls(cert, key):
    """Used when offered; a handshake that fails is no reason to keep the mail."""
    with FakeSmtp(cert=cert, key=key) as smtp, house(route=f"127.0.0.1:{smtp.port}") as dev:
        submit(dev, USER, ["x@far.test"], mail("tls"))
        ok(smtp.wait(1)[0].tls, "STARTTLS: used when offered, without a certificate to trust")
        smtp.replies["STARTTLS"] = ["454 4.7.0 not now", "220 go\r\n250 injected"]
        submit(dev, USER, ["x@far.test"], mail("refused"))
        ok(not smtp.wait(2)[1].tls, "STARTTLS: 454 means in the clear")
    with FakeSmtp(extensions=[*FakeSmtp.EXTENSIONS, "STARTTLS"], replies={"STARTTLS": ["220 go"] * 9}) as smtp, house(
            route=f"127.0.0.1:{smtp.port}") as dev:
        submit(dev, USER, ["x@far.test"], mail("handshake"))
        ok(not smtp.wait(1)[0].tls and smtp.connections == 2, "STARTTLS: a failed handshake, then in the clear",
           smtp.commands)


def test_old_servers():
    """What a server does not offer is not used; what it would need, bounces."""
    with FakeSmtp(extensions=[], replies={"EHLO": ["502 5.5.1 what?"] * 9}) as smtp, house(route=f"127.0.0.1:{smtp.port}") as dev:
        submit(dev, USER, ["x@far.test", "y@far.test"], mail("old"))
        got = smtp.wait(1)[0]
        is_equal((got.mail_options, got.rcpt_options, got.recipients, without_trace(got.data)),
                 ([], [[], []], ["x@far.test", "y@far.test"], mail("old")), "HELO: no parameters, no pipelining")

# --- what a host does not take ---

PLAIN = tuple(w for w in FakeSmtp.EXTENSIONS if w not in ("8BITMIME", "SMTPUTF8"))
MIME = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.gr\xc3\xbc\xc3\x9fe = \r\n.\r\n"
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xff\xfe\r\n"
        b"--b\r\n\r\nplain = text \r\n--b--\r\n")


def head(subject):
    return mail(subject).split(b"\r\n\r\n")[0] + b"\r\n"


def contents(message):
    """What each leaf of a message says, decoded."""
    parsed = email.message_from_bytes(message)
    return [(p.get_content_type(), p.get_payload(decode=True)) for p in parsed.walk() if not p.is_multipart()]


def bdat(session, message, *options):
    """Submit by BDAT."""
    session.ehlo()
    for line in (f"MAIL FROM:<{USER}> " + " ".join(options), "RCPT TO:<x@far.test>"):
        session.docmd(line)
    session.send(b"BDAT %d LAST\r\n" % len(message) + message)
    is_equal(session.getreply()[0], 250, "BDAT")


def logged_in(dev):
    session = smtplib.SMTP_SSL(dev.host, dev.submissions, context=tls_context(dev), timeout=60)
    session.login(USER, "secret")
    return session


def fits(got):
    """RFC 5321 4.5.3.1.6, 4.1.1.4: what every host takes."""
    return all(len(line) <= 998 for line in got.split(b"\r\n")) and not re.search(rb"\0|\r(?!\n)|(?<!\r)\n", got)


def test_eight_bits(processes):
    """RFC 6152 3: to a host without 8BITMIME in 7 bits, and not otherwise changed."""
    undeclared = head("undeclared") + b"\r\n\xff text = x \r\n"
    with FakeSmtp(extensions=PLAIN) as smtp, house(route=f"127.0.0.1:{smtp.port}", processes=processes) as dev:
        for n, message in enumerate((head("declared") + MIME, undeclared), 1):
            send(dev, ["x@far.test"], message, ["BODY=8BITMIME"] if n == 1 else [])
            got = smtp.wait(n)[-1]
            ok(got.data.isascii() and fits(got.data), "8 bit: in 7 bits", got.data)
            is_equal(contents(got.data), contents(message), "8 bit: it says what it said")
            is_equal([o for o in got.mail_options if o.startswith(("BODY", "SIZE"))], [f"SIZE={len(got.data)}"],
                     "8 bit: what is declared is so")
        ok(b"\r\nContent-Transfer-Encoding: 7bit\r\n" in smtp.messages[0].data, "8 bit: the multipart is of 7 bits now",
           smtp.messages[0].data)
        plain = head("plain") + MIME.replace(b"8bit", b"7bit").decode("ascii", "replace").replace("\ufffd", "?").encode()
        submit(dev, USER, ["x@far.test"], plain)
        is_equal(without_trace(smtp.wait(3)[-1].data), plain, "8 bit: a message without stays octet for octet")
        wait_queue(dev)
        is_equal(re.findall(r" sent .* converted=(\d)", dev.stderr), ["1", "1", "0"], "8 bit: the log tells which were converted")
        for message, status in ((b"Subject: \xc3\xa4\r\n" + head("header") + b"\r\n", "5.6.9"),
                                (head("part") + b"Content-Type: message/partial\r\n\r\n\xff\r\n", "5.6.3")):
            submit(dev, USER, ["x@far.test"], message)
            is_equal(parts(bounces(dev)[0])[1][1]["Status"], status, f"8 bit: what cannot be converted bounces, {status}")
    with FakeSmtp() as smtp, house(route=f"127.0.0.1:{smtp.port}") as dev:
        send(dev, ["x@far.test"], undeclared)
        got = smtp.wait(1)[0]
        ok("BODY=8BITMIME" in got.mail_options, "8 bit: declared where it is offered, though it was not when it came", got.mail_options)
        is_equal(without_trace(got.data), undeclared, "8 bit: and sent as it is")


def offering(size):
    return [f"SIZE {size}" if w == "SIZE" else w for w in PLAIN]


def test_size(processes):
    """RFC 1870 7: what is larger than a host takes is not offered to it, as it is and as it is converted."""
    eight = head("eight") + MIME + b"\xff" * 500 + b"\r\n"
    with FakeSmtp(extensions=offering(0)) as smtp, house(route=f"127.0.0.1:{smtp.port}", processes=processes) as dev:
        submit(dev, USER, ["x@far.test"], eight)
        size = len(smtp.wait(1)[0].data)
        for limit, fits_in in ((size - 1, False), (size, True)):
            smtp.extensions = offering(limit)
            submit(dev, USER, ["x@far.test"], eight)
            if fits_in:
                got = smtp.wait(2)[-1]
                is_equal((len(got.data), f"SIZE={size}" in got.mail_options), (size, True), "size: the largest that is taken")
                continue
            _, status, _ = parts(bounces(dev)[0])
            is_equal((status[1]["Status"], status[1]["Diagnostic-Code"]),
                     ("5.3.4", f"x-posthouse; 5.3.4 the message has {size} octets, 127.0.0.1 takes {limit}"),
                     "size: an octet more bounces")
            is_equal([v[0] for v in smtp.commands[-3:]], ["CONNECT", "EHLO", "QUIT"], "size: and was not offered")
        smtp.extensions = offering(2000)
        submit(dev, USER, ["x@far.test"], mail("large") + b"x\r\n" * 700)
        is_equal(parts(bounces(dev)[0])[1][1]["Status"], "5.3.4", "size: of what need not be converted, too")
        smtp.extensions = offering("18446744073709551616")
        submit(dev, USER, ["x@far.test"], eight)
        smtp.wait(3)
        wait_queue(dev)
        is_equal(len(smtp.messages), 3, "size: a number beyond all bounds, as 0, is no limit")
    with FakeSmtp() as smtp, house(route=f"127.0.0.1:{smtp.port}") as dev:
        with logged_in(dev) as session:
            bdat(session, head("open") + b"\r\nno end")
        got = smtp.wait(1)[0]
        is_equal([o for o in got.mail_options if o.startswith("SIZE")], [f"SIZE={len(got.data)}"], "size: of an open last line")


def test_long_lines():
    """RFC 5321 4.5.3.1.6: no line over 998 octets is sent; what is in it arrives."""
    message = head("long") + b"X-Long: " + b"word " * 300 + b"\r\n\r\n" + b"<html>" * 1000 + b"\r\n\r\nshort \r\n"
    with FakeSmtp() as smtp, house(route=f"127.0.0.1:{smtp.port}") as dev:
        submit(dev, USER, ["x@far.test"], message)
        got = smtp.wait(1)[0].data
        ok(fits(got), "long lines: no line over 998 octets", max(map(len, got.split(b"\r\n"))))
        is_equal(contents(got), contents(message), "long lines: the text is the same")
        unfolded = [email.message_from_bytes(m)["X-Long"].replace("\r\n", "").strip() for m in (got, message)]
        is_equal(*unfolded, "long lines: a field is folded")


def test_binary():
    """RFC 3030 3: as it is where BINARYMIME is offered, else converted."""
    message = (head("binary") + b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n"
               b"\0unix\nlines\rx\r\n")
    for more, name in (((), "converted"), (("CHUNKING", "BINARYMIME"), "as it is")):
        with FakeSmtp(extensions=[*FakeSmtp.EXTENSIONS, *more]) as smtp, house(route=f"127.0.0.1:{smtp.port}") as dev:
            with logged_in(dev) as session:
                bdat(session, message, "BODY=BINARYMIME")
                got = smtp.wait(1)[0]
                is_equal("BODY=BINARYMIME" in got.mail_options, bool(more), f"binary: {name}")
                is_equal(contents(got.data), contents(message), f"binary, {name}: octets arrive")
                ok(bool(more) or fits(got.data), f"binary, {name}: nothing that the host cannot take", got.data)
                bdat(session, head("text") + b"\r\ntext\r\n", "BODY=BINARYMIME")
                ok("BODY=BINARYMIME" not in smtp.wait(2)[1].mail_options, "binary: text is text, however declared")


def test_smtputf8(processes):
    """RFC 6531 3.4-3.6: only what needs SMTPUTF8 is refused by a host that does not offer it."""
    words = [w for w in FakeSmtp.EXTENSIONS if w != "SMTPUTF8"]
    with FakeSmtp(extensions=words) as smtp, house(route=f"127.0.0.1:{smtp.port}", processes=processes) as dev:
        send(dev, ["x@far.test"], mail("declared for nothing"), ["SMTPUTF8"])
        got = smtp.wait(1)[0]
        is_equal((without_trace(got.data), got.recipients), (mail("declared for nothing"), ["x@far.test"]),
                 "SMTPUTF8 that is not needed: relayed as it is")
        send(dev, ["x@far.test"], b"Subject: \xc3\xa4\r\n" + mail("header"), ["SMTPUTF8", "BODY=8BITMIME"])
        dsn = bounces(dev)[0].as_string()
        ok("\nContent-Type: message/global-delivery-status" in dsn and "\nStatus: 5.6.9" in dsn,
           "a header beyond ASCII bounces", dsn)
        send(dev, ["x@far.test", "ü@far.test", "y@b\u00fccher.test"], mail("some"), ["SMTPUTF8"])
        is_equal(sorted(smtp.wait(2)[1].recipients), ["x@far.test", "y@xn--bcher-kva.test"],
                 "of several recipients those go that the host can read, a domain in A-labels")
        dsn = bounces(dev)[0].as_bytes().decode()
        ok("\nFinal-Recipient: utf-8;ü@far.test" in dsn and "\nStatus: 5.6.7" in dsn and
           " does not offer it (127.0.0.1)" in dsn, "the other bounces, and the host is named", dsn)
        command(dev, "alias", "add", "list@example.test", "ü@far.test", "z@far.test")
        send(dev, ["list@example.test"], mail("alias"))
        is_equal(smtp.wait(3)[2].recipients, ["z@far.test"], "an alias that leads beyond ASCII: nobody is sent raw UTF-8")
        dsn = bounces(dev)[0].as_string()
        ok("\nContent-Type: message/delivery-status" in dsn and
           r"Final-Recipient: utf-8;\x{FC}@far.test" in dsn, "and its sender, who speaks ASCII, is told in ASCII", dsn)
    with FakeSmtp() as smtp, house(route=f"127.0.0.1:{smtp.port}") as dev:
        command(dev, "alias", "add", "list@example.test", "ü@far.test")
        send(dev, ["list@example.test"], mail("alias"))
        got = smtp.wait(1)[0]
        ok("SMTPUTF8" in got.mail_options and got.recipients == ["ü@far.test"], "where it is offered it is asked for", got)
        send(dev, ["x@far.test"], mail("for nothing"), ["SMTPUTF8"])
        ok("SMTPUTF8" not in smtp.wait(2)[1].mail_options, "and not for a message that does not need it", smtp.messages[1])


def test_return_path():
    """RFC 5321 4.4: made once, at final delivery; what comes with one is delivered and sent on without."""
    message = mail("path")
    foreign = b"Return-Path: <other@far.test>\r\n" + message.replace(b"Subject:", b"Return-Path:\r\n <more@far.test>\r\nSubject:")
    with FakeSmtp() as smtp, house(route=f"127.0.0.1:{smtp.port}") as dev:
        submit(dev, USER, ["x@far.test", "bob@example.test"], foreign)
        command(dev, "alias", "add", "away@example.test", "y@far.test", "bob@example.test")
        with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as session:
            session.sendmail("s@else.test", ["away@example.test"], foreign)
        with smtplib.LMTP(dev.host, dev.lmtp, timeout=60) as session:
            session.sendmail("s@else.test", ["bob@example.test"], foreign)
        sent = smtp.wait(2)
        ok(not [m for m in sent if b"return-path" in m.data.lower()], "Return-Path: not sent on", sent)
        got = wait_messages(dev, "bob@example.test", 3)
        is_equal([m.lower().count(b"return-path:") for m in got], [1] * 3, "Return-Path: one at final delivery")
        is_equal([m.split(b"\r\n")[0] for m in got], [b"Return-Path: <" + s + b">" for s in (
            USER.encode(), b"s@else.test", b"s@else.test")], "Return-Path: from the envelope")
        is_equal({without_trace(m) for m in got + [m.data for m in sent]}, {message}, "Return-Path: all else is as it came")


# --- again ---

def test_retry(processes):
    later = ["451 4.2.1 later"] * 2
    with FakeSmtp(replies={"RCPT": list(later)}) as smtp, house("--set", "relay.retry_min=1s", route=f"127.0.0.1:{smtp.port}",
                                                            processes=processes) as dev:
        times = []
        smtp.replies["MAIL"] = lambda address: times.append(time.monotonic())
        submit(dev, USER, ["x@far.test"], mail("later"))
        smtp.wait(1)
        ok(times[1] - times[0] > 0.85 and times[2] - times[1] > 1.7, "retry: a second, then two, then it is taken", times)
        wait_queue(dev)
    with FakeSmtp(replies={"RCPT": ["451 4.2.1 later", None, "550 5.1.1 no"], ".": ["452 4.3.1 full"]}) as smtp, house(
            *NEVER, route=f"127.0.0.1:{smtp.port}", processes=processes) as dev:
        submit(dev, USER, ["a@far.test", "b@far.test", "c@far.test"], mail("each its own"))
        item = wait_for(lambda: next((i for i in queue(dev) if all(r["tries"] for r in i["recipients"])), None), "a try", 60)
        is_equal({r["rcpt"]: (r["tries"], r["reply"][:9]) for r in item["recipients"]},
                 {"a@far.test": (1, "451 4.2.1"), "b@far.test": (1, "452 4.3.1")}, "retry: each recipient its own reply")
        is_equal(parts(bounces(dev)[0])[1][1]["Final-Recipient"], "rfc822;c@far.test", "and the third has bounced")
        smtp.replies["RCPT"] = ["550 5.2.1 gone"]
        command(dev, "queue", "retry", item["id"])
        is_equal(smtp.wait(1)[0].recipients, ["b@far.test"], "queue retry: now")
        is_equal(parts(bounces(dev)[0])[1][1]["Final-Recipient"], "rfc822;a@far.test", "the last one has bounced")
        wait_queue(dev)


def test_interrupted(cert, key):
    """A host that answers in the midst of the text and closes is believed; nothing is tried again for five days."""
    for tls in (False, True):
        with FakeSmtp(replies={"TEXT": ["552 5.3.4 too big for me", "451 4.3.1 no room"]}, cert=tls and cert, key=tls and key) as smtp, \
                house(*NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
            large = mail("large") + b"0123456789 123456789 123456789 123456789 123456789 123456789\r\n" * 300000
            name = "TLS" if tls else "in the clear"
            submit(dev, USER, ["x@far.test"], large)
            fields = parts(bounces(dev)[0])[1][1]
            is_equal((fields["Status"], fields["Diagnostic-Code"]), ("5.3.4", "smtp; 552 5.3.4 too big for me"),
                     f"a 552 in the midst of the text, {name}: bounces")
            submit(dev, USER, ["x@far.test"], large)
            wait_reply(dev, "^451 4.3.1 no room")
            is_equal(smtp.messages, [], f"a 451 in the midst of the text, {name}: told as it was said")


def test_other_hosts():
    """RFC 5321 5.1, RFC 7504: who is asked next, and when there is no next."""
    with FakeDns() as dns, FakeSmtp(host="127.0.0.2") as two, FakeSmtp(host="127.0.0.3", port=two.port) as three, \
            FakeSmtp(host="127.0.0.4", port=two.port) as four, house("--set", f"relay.port={two.port}", *NEVER, dns=dns.address) as dev:
        for n in (2, 3, 4):
            dns.add(f"mx{n}.far.test", "A", f"127.0.0.{n}")
            dns.add("far.test", "MX", n, f"mx{n}.far.test")

        def send(*to, name):
            submit(dev, USER, list(to), mail(name))
        two.replies["RCPT"] = ["451 4.7.1 greylisted"]
        send("x@far.test", name="rcpt")
        is_equal(three.wait(1)[0].recipients, ["x@far.test"], "451 to RCPT: another host takes it")
        two.replies["."] = ["451 4.3.0 later"]
        send("x@far.test", name="dot")
        is_equal(three.wait(2)[1].recipients, ["x@far.test"], "451 to the text: another host takes it")
        wait_queue(dev)
        two.replies["RCPT"] = lambda a: "451 4.2.1 later" if a.startswith("y") else None
        send("x@far.test", "y@far.test", name="some")
        wait_reply(dev, "^451 4.2.1")
        is_equal((two.wait(1)[0].recipients, len(three.messages)), (["x@far.test"], 2),
                 "451 to one of two: what was answered is kept, the other waits")
        command(dev, "queue", "drop", "all")
        two.replies["RCPT"] = three.replies["RCPT"] = four.replies["RCPT"] = ["451 4.2.1 later"] * 9
        send("z@far.test", name="two")
        wait_reply(dev, "^451 4.2.1")
        is_equal([("RCPT", "z@far.test") in s.commands for s in (two, three, four)], [True, True, False],
                 "451 from two hosts: then it waits")
        command(dev, "queue", "drop", "all")
        for s in (two, three, four):
            s.replies = {"CONNECT": ["521 5.3.2 no mail here"]}
        send("x@far.test", name="none")
        fields = parts(bounces(dev)[0])[1][1]
        is_equal((fields["Action"], fields["Status"]), ("failed", "5.3.2"), "521 from all hosts: bounces at once")
        two.replies, three.replies = {"CONNECT": ["521 5.3.2 no mail here"]}, {"EHLO": ["521 5.3.2 nor here"]}
        four.replies = {"CONNECT": ["554 5.7.1 not you"]}
        send("x@far.test", name="may")
        wait_reply(dev, "^554 5.7.1 not you")
        ok(True, "521 from two, 554 from the third: tried again")


def test_limits():
    """RFC 9422: what a host says of its limits is kept."""
    for limits, want in (("LIMITS RCPTMAX=2", [2, 2, 1]), ("LIMITS RCPTDOMAINMAX=1", [2, 3])):
        with FakeSmtp(extensions=[*FakeSmtp.EXTENSIONS, limits]) as smtp, house(*NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
            to = ["a@one.test", "b@two.test", "c@one.test", "d@two.test", "e@two.test"]
            submit(dev, USER, to, mail("limits"))
            got = smtp.wait(len(want))
            is_equal([len(m.recipients) for m in got], want, f"{limits}: as many transactions as it takes, at once")
            is_equal(sorted(r for m in got for r in m.recipients), to, f"{limits}: each recipient once")
            wait_queue(dev)


def test_expiry():
    with FakeSmtp(replies={"RCPT": ["451 4.2.1 later"] * 99}) as smtp, house(
            *SOON, "--set", "relay.lifetime=3s", "--set", "relay.delay_warning=1s", route=f"127.0.0.1:{smtp.port}") as dev:
        send(dev, ["x@far.test"], mail("late"), ["ENVID=late+2B1"], ["NOTIFY=DELAY,FAILURE", "ORCPT=rfc822;old@far.test"])
        delayed, failed = bounces(dev, 2)
        fields = parts(delayed)[1]
        is_equal((fields[1]["Action"], fields[1]["Status"]), ("delayed", "4.2.1"), "delay: told once")
        ok(fields[1]["Will-Retry-Until"], "delay: until when", fields[1])
        fields = parts(failed)[1]
        is_equal((fields[0]["Original-Envelope-Id"], fields[1]["Action"], fields[1]["Original-Recipient"]),
                 ("late+1", "failed", "rfc822;old@far.test"), "expiry: bounces")
        is_equal(fields[1]["Status"], "4.2.1", "expiry: the status of the last answer (RFC 3463 3.5)")
        ok("451 4.2.1 later" in fields[1]["Diagnostic-Code"], "expiry: the last answer is told", fields[1])
        wait_queue(dev)


# --- what the sender is told ---

def test_bounce(processes):
    with FakeSmtp(replies={"RCPT": lambda a: "550-5.1.1 nobody here\r\n550 5.1.1 by that name" if a.startswith("no") else None}) as smtp, \
            house(*NEVER, route=f"127.0.0.1:{smtp.port}", processes=processes) as dev:
        send(dev, ["yes@far.test", "no1@far.test", "no2@other.test"], mail("partly"), ["RET=FULL"])
        dsn = bounces(dev)[0]
        is_equal(smtp.wait(1)[0].recipients, ["yes@far.test"], "bounce: the others have it")
        ok(dsn["From"].startswith("Mail Delivery System <MAILER-DAEMON@") and dsn["To"] == USER and dsn["Date"]
           and dsn["Message-ID"] and dsn["Auto-Submitted"] == "auto-replied" and dsn["Return-Path"] == "<>",
           "bounce: header", dsn.items())
        is_equal((dsn.get_content_type(), dsn.get_param("report-type"), [p.get_content_type() for p in dsn.iter_parts()]),
                 ("multipart/report", "delivery-status", ["text/plain", "message/delivery-status", "message/rfc822"]),
                 "bounce: its parts")
        text, status, returned = parts(dsn)
        ok("<no1@far.test>" in text and "<no2@other.test>" in text and "by that name" in text, "bounce: for people", text)
        ok(status[0]["Reporting-MTA"] == "dns; localhost" and status[0]["Arrival-Date"], "bounce: about the message",
           status[0].items())
        is_equal([(f["Final-Recipient"], f["Action"], f["Status"], f["Remote-MTA"]) for f in status[1:]],
                 [("rfc822;no1@far.test", "failed", "5.1.1", "dns; [127.0.0.1]"),
                  ("rfc822;no2@other.test", "failed", "5.1.1", "dns; [127.0.0.1]")], "bounce: about each recipient")
        ok(status[1]["Diagnostic-Code"].startswith("smtp; 550 5.1.1 nobody here"), "bounce: what was said", status[1].items())
        ok(returned.get_content()["Subject"] == "partly" and "\ntext of partly" in returned.as_string(),
           "bounce: the message comes back", returned.as_string())
        wait_queue(dev)


def test_dsn():
    no = {"RCPT": lambda a: "550 5.1.1 nobody" if a.startswith("no") else None}
    with FakeSmtp(replies=no) as smtp, house(*NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
        send(dev, ["x@far.test"], mail("dsn"), ["RET=HDRS", "ENVID=id+2B7"], ["NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;o+2Bx@far.test"])
        got = smtp.wait(1)[0]
        ok({"RET=HDRS", "ENVID=id+2B7"} <= set(got.mail_options), "DSN: passed on at MAIL", got.mail_options)
        is_equal(sorted(got.rcpt_options[0]), ["NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;o+2Bx@far.test"],
                 "DSN: passed on at RCPT")
        send(dev, ["no@far.test"], mail("dsn"), ["RET=HDRS", "ENVID=id+2B7"], ["NOTIFY=FAILURE", "ORCPT=rfc822;o+2Bx@far.test"])
        _, status, returned = parts(bounces(dev)[0])
        is_equal((status[0]["Original-Envelope-Id"], status[1]["Original-Recipient"], returned.get_content_type()),
                 ("id+7", "rfc822;o+x@far.test", "text/rfc822-headers"), "DSN: ENVID, ORCPT and RET=HDRS in the bounce")
        ok("text of" not in returned.as_string(), "DSN: headers alone")
        send(dev, ["no@far.test"], mail("dsn"), [], ["NOTIFY=NEVER"])
        send(dev, ["no@far.test"], mail("dsn"), [], ["NOTIFY=SUCCESS"])
        wait_queue(dev)
        send(dev, ["no@far.test"], mail("dsn"), ["ENVID=last"], [])
        is_equal([parts(d)[1][0]["Original-Envelope-Id"] for d in bounces(dev)], ["last"], "DSN: NEVER and SUCCESS keep quiet")
    with FakeSmtp(extensions=["PIPELINING", "SIZE"]) as smtp, house(*NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
        send(dev, ["x@far.test", "bob@example.test"], mail("dsn"), ["RET=FULL"], ["NOTIFY=SUCCESS"])
        told = {}
        for dsn in bounces(dev, 2):
            _, status, returned = parts(dsn)
            told.update({f["Final-Recipient"]: (f["Action"], f["Status"][:2], returned.get_content_type()) for f in status[1:]})
        is_equal(told, {"rfc822;x@far.test": ("relayed", "2.", "text/rfc822-headers"),
                        "rfc822;bob@example.test": ("delivered", "2.", "text/rfc822-headers")},
                 "DSN: SUCCESS is told, of what was handed on without DSN and of what was delivered here")
        is_equal(smtp.messages[0].rcpt_options, [[]], "DSN: no parameters where it is not offered")
        wait_queue(dev)


def test_dsn_utf8():
    """RFC 6533 3: an original recipient beyond ASCII, in the form that a host or the sender can read."""
    words = [w for w in FakeSmtp.EXTENSIONS if w != "SMTPUTF8"]
    for given in ("utf-8;\xfc@far.test", r"utf-8;\x{FC}@far.test"):
        for extensions, want in ((words, r"ORCPT=utf-8;\x{FC}@far.test"), (FakeSmtp.EXTENSIONS, "ORCPT=utf-8;\xfc@far.test")):
            with FakeSmtp(extensions=extensions) as smtp, house(*NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
                options = [] if given.isascii() else ["SMTPUTF8"]
                send(dev, ["x@far.test"], mail("utf8"), options, [f"ORCPT={given}"])
                is_equal(smtp.wait(1)[0].rcpt_options, [[want]], f"DSN: {given.encode()} to a host")
                smtp.replies["RCPT"] = ["550 5.1.1 nobody"]
                send(dev, ["x@far.test"], mail("utf8"), options, [f"ORCPT={given}"])
                fields = wait_messages(dev, USER, 1)[0]
                told = rb"utf-8;\x{FC}@far.test" if given.isascii() else "utf-8;\xfc@far.test".encode()
                ok(b"\r\nOriginal-Recipient: " + told + b"\r\n" in fields, "DSN: and in the report", fields)


def test_dsn_outside():
    """NOTIFY=SUCCESS of a sender who is not a user: told if SPF vouches for it, so that nobody forges a request."""
    def send_from(dev, sender, subject):
        with smtplib.SMTP(dev.host, dev.smtp, timeout=60) as session:
            session.ehlo("c.example.org")
            session.docmd("XCLIENT", "ADDR=192.0.2.7 NAME=[UNAVAILABLE]")
            session.ehlo("c.example.org")
            session.sendmail(sender, USER, mail(subject, USER), rcpt_options=["NOTIFY=SUCCESS"])

    expected = {"always": ["a@good.test", "b@soft.test", "c@none.test"], "spf": ["a@good.test"], "never": []}
    for how, told in expected.items():
        with FakeDns() as dns, FakeSmtp() as far, house(
                "--set", f"smtp.success_reports={how}", dns=dns.address, route=f"127.0.0.1:{far.port}") as dev:
            dns.add("good.test", "TXT", "v=spf1 ip4:192.0.2.7 -all")
            dns.add("soft.test", "TXT", "v=spf1 ~all")
            for sender in ("a@good.test", "b@soft.test", "c@none.test"):
                send_from(dev, sender, "from outside")
            wait_messages(dev, USER, 3)
            submit(dev, USER, ["last@far.test"], mail("last"))
            far.wait(len(told) + 1)
            wait_queue(dev)
            reports = {m.recipients[0]: m for m in far.messages if m.sender == ""}
            is_equal(sorted(reports), told, f"DSN: success is told to those outside, {how}")
            ok(all(b"Action: delivered" in m.data for m in reports.values()), f"DSN: as delivered, {how}")


def test_null_sender():
    """Mail from <> that an alias sends on, and mail from outside: who hears of its failure."""
    with FakeSmtp(replies={"RCPT": lambda a: "550 5.1.1 nobody" if a.startswith("no") else None}) as smtp, house(
            *NEVER, route=f"127.0.0.1:{smtp.port}") as dev:
        command(dev, "alias", "add", "list@example.test", "no@far.test", "bob@example.test")
        with smtplib.SMTP(dev.host, dev.smtp) as session:
            session.sendmail("", ["list@example.test"], mail("from nobody"))
        wait_messages(dev, "bob@example.test", 1)
        wait_queue(dev)
        is_equal(smtp.messages, [], "null sender: no bounce")
        with smtplib.SMTP(dev.host, dev.smtp) as session:
            session.sendmail("s@origin.test", ["list@example.test"], mail("from outside"))
        got = smtp.wait(1)[0]
        is_equal((got.sender, got.recipients), ("", ["s@origin.test"]), "a sender elsewhere gets its bounce, from <>")
        dsn = email.message_from_bytes(got.data, policy=email.policy.default)
        is_equal(parts(dsn)[1][1]["Final-Recipient"], "rfc822;no@far.test", "about the address the alias leads to")
        # the bounce bounces: nobody is told
        smtp.replies["RCPT"] = lambda a: "550 5.1.1 nobody"
        with smtplib.SMTP(dev.host, dev.smtp) as session:
            session.sendmail("s@origin.test", ["list@example.test"], mail("lost"))
        wait_messages(dev, "bob@example.test", 3)
        wait_queue(dev)
        is_equal(len(smtp.messages), 1, "a bounce that bounces ends there")


# --- kill -9 ---

class Slow(FakeSmtp):
    """Takes a moment before each message's reply, for a kill to fall into."""

    def scripted(self, verb, address=None):
        if verb == ".":
            time.sleep(0.002)
        return super().scripted(verb, address)


def test_kill(processes):
    """The relay (its process, or all) is killed while mail goes out: nothing is lost, and a message comes twice only
    when a kill fell between its first copy and the next."""
    n = 120
    with tempfile.TemporaryDirectory() as data, Slow() as smtp:
        arrived = {}
        options = dict(data=data, route=f"127.0.0.1:{smtp.port}", processes=processes,
                       env={"ASAN_OPTIONS": "detect_leaks=0"})
        kills = []

        def watch():
            while len(arrived) < n:
                with smtp.changed:
                    smtp.changed.wait(0.2)
                    now = time.monotonic()
                    for i, m in enumerate(smtp.messages):
                        ident = re.search(rb"^Subject: (\S+)", m.data, re.M)[1].decode()
                        arrived.setdefault(ident, {}).setdefault(i, now)
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        dev = house(*SOON, "--set", "relay.concurrency=3", **options).start()
        with smtplib.SMTP_SSL(dev.host, dev.submissions, context=tls_context(dev), timeout=60) as session:
            session.login(USER, "secret")
            for i in range(n):
                session.sendmail(USER, ["x@far.test"], mail(f"k{i:03d}"))
                if processes and i % 15 == 7:
                    pid = role_pid(dev, "relay")
                    if pid:
                        os.kill(pid, signal.SIGKILL)
                        kills.append(time.monotonic())
        if not processes:
            for _ in range(4):
                wait_for(lambda: len(smtp.messages) > len(kills) * 20, "mail on its way", 60, 0.001)
                dev.kill()
                kills.append(time.monotonic())
                dev = house(*SOON, "--set", "relay.concurrency=3", **options).start()
        wait_for(lambda: len(arrived) == n, "all to arrive", 120)
        wait_queue(dev)
        watcher.join(10)
        dev.check(dev.stop())
        ok(len(arrived) == n and kills, f"{n} messages arrived over {len(kills)} kills")
        twice = {k: sorted(v.values()) for k, v in arrived.items() if len(v) > 1}
        diag(f"{len(twice)} came twice")
        ok(all(any(a - 1 <= k <= b for k in kills) for times in twice.values() for a, b in zip(times, times[1:])),
           "twice only over a kill", twice)


with tempfile.TemporaryDirectory() as folder:
    pair = certificate(folder)
    for mode in (False, True):
        test_route(mode, *pair)
        test_mx(mode)
        test_retry(mode)
        test_bounce(mode)
        test_kill(mode)
    test_route_refused(*pair)
    test_starttls(*pair)
    test_interrupted(*pair)
test_other_hosts()
test_limits()
test_old_servers()
for mode in (False, True):
    test_eight_bits(mode)
    test_size(mode)
    test_smtputf8(mode)
test_long_lines()
test_binary()
test_return_path()
test_expiry()
test_dsn()
test_dsn_utf8()
test_dsn_outside()
test_null_sender()
done()
