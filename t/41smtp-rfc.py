"""What RFC 3461, 3464 and 5321 ask of the mail that posthouse sends out, seen from the server it is sent to and from
the sender who is told what became of it: odd replies are never taken for success, every session ends with QUIT, a
report says whose words it repeats."""
import re
import smtplib
import tempfile

from fakesmtp import FakeSmtp
from posthouse import Dev, done, is_equal, ok, tls_context, wait_messages

USER = "u@example.test"
MESSAGE = b"From: u@example.test\r\nTo: x@far.test\r\nSubject: hello\r\n\r\nbody of it\r\n"


class Run:
    """A server whose way out is `far`; `send` submits, `report` waits for the next DSN."""

    def __init__(self, far, *options, **given):
        self.far = far
        given = given or {"route": f"{far.host}:{far.port}"}
        self.dev = Dev(*options, domains=["example.test"], users={USER: "secret"}, **given)
        self.seen = 0

    def __enter__(self):
        self.dev.__enter__()
        return self

    def __exit__(self, *exc):
        return self.dev.__exit__(*exc)

    def send(self, recipients, mail=(), rcpt=(), message=MESSAGE):
        dev = self.dev
        with smtplib.SMTP_SSL(dev.host, dev.submissions, context=tls_context(dev), timeout=60) as smtp:
            smtp.login(USER, "secret")
            smtp.sendmail(USER, recipients, message, mail_options=list(mail), rcpt_options=list(rcpt))

    def report(self):
        self.seen += 1
        return wait_messages(self.dev, USER, self.seen)[-1].decode("utf-8", "replace")


def field(report, name):
    """All values of a field of the machine-readable part."""
    part = report.split("delivery-status\r\n", 1)[1].split("\r\n--", 1)[0]
    return re.findall(rf"(?m)^{name}: (.*)\r$", part)


def set_(**rows):
    return [word for key, value in rows.items() for word in ("--set", f"relay.{key}={value}")]


def test_data_without_354():
    """A server that says 250 where 354 belongs has not got the message."""
    with FakeSmtp(replies={"DATA": ["250 2.0.0 ok"]}) as far, Run(far, *set_(retry_min="1s")) as run:
        run.send(["x@far.test"])
        is_equal(far.wait(1)[0].recipients, ["x@far.test"], "a message is sent again when DATA was answered 250")


def test_quit():
    """RFC 5321 4.1.1.10: no session ends without QUIT, whatever ended it."""
    replies = {"CONNECT": ["554 5.7.1 go away"], "EHLO": [None, "421 4.3.2 not now"], "MAIL": ["451 4.3.0 later"]}
    for verb, script in replies.items():
        with FakeSmtp(replies={verb: script[-1:]}) as far, Run(far, *set_(retry_min="1s")) as run:
            run.send(["x@far.test"])
            far.wait(1)
            first = [c[0] for c in far.commands]
            is_equal(first[first.index(verb) + 1], "QUIT", f"QUIT follows when {verb} is refused")


def test_expired():
    """What never got an answer: nobody's words are made up, and the status says so."""
    with FakeSmtp() as gone:
        pass
    with Run(gone, *set_(retry_min="1s", lifetime="1s")) as run:
        run.send(["x@far.test"], mail=["ENVID=a+2Bb+20c"], rcpt=["ORCPT=rfc822;x+2By@far.test"])
        report = run.report()
        is_equal(field(report, "Status"), ["4.4.1"], "no answer is status 4.4.1")
        is_equal(field(report, "Remote-MTA"), [], "nor named as who issued the diagnostic (RFC 3464 2.3.6)")
        is_equal(field(report, "Diagnostic-Code"), ["x-posthouse; 4.4.1 127.0.0.1: connection refused"],
                 "nobody is quoted who said nothing")
        ok("time for delivery is over" in report, "the reader is told that the time is over", report)
        is_equal(field(report, "Original-Envelope-Id"), ["a+b c"], "ENVID is decoded")
        is_equal(field(report, "Original-Recipient"), ["rfc822;x+y@far.test"], "ORCPT is decoded")


def test_expired_by_reply():
    with FakeSmtp(replies={"RCPT": lambda _: "450 4.2.0 gr\xfcylisted"}) as far, \
            Run(far, *set_(retry_min="1s", lifetime="1s")) as run:
        run.send(["x@far.test"])
        report = run.report()
        is_equal(field(report, "Status"), ["4.2.0"], "the last status of the host is repeated")
        is_equal(field(report, "Diagnostic-Code"), ["smtp; 450 4.2.0 gr??ylisted"], "its words, as 7 bit")
        is_equal(field(report, "Remote-MTA"), ["dns; [127.0.0.1]"], "who said it")


def test_relayed():
    """RET=FULL asks for the message in reports of failure only (RFC 3461 4.3)."""
    words = [w for w in FakeSmtp.EXTENSIONS if w != "DSN"]
    script = {"RCPT": lambda to: "550 5.1.1 no" if to.startswith("no") else None}
    with FakeSmtp(replies=script, extensions=words) as far, Run(far) as run:
        run.send(["x@far.test"], mail=["RET=FULL"], rcpt=["NOTIFY=SUCCESS,FAILURE"])
        report = run.report()
        is_equal(field(report, "Action"), ["relayed"], "what a host without DSN took is relayed")
        ok("body of it" not in report and "Subject: hello" in report, "only the header comes back", report)
        run.send(["x@far.test", "no@far.test"], mail=["RET=FULL"], rcpt=["NOTIFY=SUCCESS,FAILURE"])
        report = run.report()
        is_equal(sorted(field(report, "Action")), ["failed", "relayed"], "two fates in one report")
        ok("body of it" in report, "the whole message comes back with a failure", report)
        human = report.split("delivery-status\r\n", 1)[0]
        ok(human.index("could not be delivered") < human.index("<no@far.test>") < human.index("was handed on")
           < human.index("<x@far.test>"), "each recipient stands under its own fate", human)


def test_too_many():
    """RFC 5321 4.5.3.1.10: 552 on RCPT after others were taken means another transaction."""
    seen = []

    def rcpt(to):
        seen.append(to)
        return "552 too many recipients" if len(seen) == 2 else None
    with FakeSmtp(replies={"RCPT": rcpt}) as far, Run(far, *set_(retry_min="1s")) as run:
        run.send(["a@far.test", "b@far.test"])
        is_equal(sorted(r for m in far.wait(2) for r in m.recipients), ["a@far.test", "b@far.test"],
                 "a recipient too many is sent later")


def test_many_exchanges():
    """RFC 5321 5.1: the best of many exchanges is tried, wherever it stands; DNS is asked for A-labels."""
    worse = "".join(f"xn--bcher-kva.test. MX {n} off{n}.test.\noff{n}.test. A 127.0.0.9\n" for n in range(20, 40))
    zone = f"$TTL 60\n{worse}xn--bcher-kva.test. MX 5 on.test.\non.test. A 127.0.0.1\n"
    with tempfile.NamedTemporaryFile("w", suffix=".zone") as file, FakeSmtp() as far:
        file.write(zone)
        file.flush()
        options = ["--dns-zone", file.name, *set_(port=far.port)]
        with Run(far, *options, route=None) as run:
            run.send(["x@b\u00fccher.test"], mail=["SMTPUTF8"])
            is_equal(far.wait(1)[0].recipients, ["x@xn--bcher-kva.test"], "the best exchange, asked for as A-label")


test_data_without_354()
test_quit()
test_expired()
test_expired_by_reply()
test_relayed()
test_too_many()
test_many_exchanges()
done()
