"""Mail sent by real SMTP clients comes out of IMAP octet for octet: swaks, curl, msmtp, Python's smtplib, in both
modes, over clear text, STARTTLS, TLS and LMTP, with every way to log in."""
import smtplib

from clients import OTHER, PASSWORD, USER, House, have, lf, run, same
from posthouse import done, is_equal, odd_messages, ok, random_message, tls_context

MESSAGES = [m for _, m in odd_messages()] + [random_message(i, 20) for i in range(3)]
# programs that take a message as text lines
TEXTS = [m for name, m in odd_messages() if name != "8-bit text"]


def swaks(house, port, message, *options, recipients=(OTHER,), status=0):
    """swaks takes lines with LF, dots them itself and ends the text with a line end of its own."""
    text = house.file("swaks", lf(message)[:-1])
    return run(["swaks", "--server", f"{house.host}:{port}", "--from", USER, "--to", ",".join(recipients), "--helo",
                "client.example.test", "--data", f"@{text}", *options], status=status).returncode


def test_swaks(house):
    login = ["--auth-user", USER, "--auth-password", PASSWORD]
    tls = ["--tls-ca-path", house.ca, "--tls-verify"]
    message = random_message("swaks", 40)
    ways = {"clear text": (house.smtp, []),
            "STARTTLS": (house.smtp, ["--tls", *tls]),
            "pipelining": (house.smtp, ["--pipeline"]),
            "submission, AUTH PLAIN": (house.submission, ["--tls", *tls, "--auth", "PLAIN", *login]),
            "submission, AUTH LOGIN": (house.submission, ["--tls", *tls, "--auth", "LOGIN", *login]),
            "submission over TLS": (house.submissions, ["--tls-on-connect", *tls, "--auth", "PLAIN", *login]),
            "LMTP": (house.lmtp, ["--protocol", "LMTP"])}
    for name, (port, options) in ways.items():
        is_equal(swaks(house, port, message, *options), 0, f"swaks, {name}: sent")
        same(house.take(OTHER, 1), [message], f"swaks, {name}: octet for octet")
    wrong = ["--auth", "PLAIN", "--auth-user", USER, "--auth-password", "wrong"]
    is_equal(swaks(house, house.submission, message, "--tls", *tls, *wrong, status=28), 28,
             "swaks: a wrong password is refused")
    is_equal(swaks(house, house.smtp, message, recipients=("far@away.test",), status=24), 24,
             "swaks: no relaying")
    is_equal(swaks(house, house.lmtp, message, "--protocol", "LMTP", recipients=(OTHER, USER)), 0, "swaks, LMTP: two")
    same(house.take(OTHER, 1) + house.take(USER, 1), [message] * 2, "swaks, LMTP: both have it")


def curl(house, url, message, *options, recipients=(OTHER,), status=0):
    path = house.file("curl", message)
    rcpts = [word for r in recipients for word in ("--mail-rcpt", r)]
    return run(["curl", "-sS", "--cacert", house.ca, "--mail-from", USER, *rcpts, "--upload-file", path, *options,
                url], status=status).returncode


def test_curl(house):
    login = ["--user", f"{USER}:{PASSWORD}"]
    ways = {"smtp": (f"smtp://localhost:{house.smtp}", []),
            "smtp with STARTTLS": (f"smtp://localhost:{house.smtp}", ["--ssl-reqd"]),
            "submission": (f"smtp://localhost:{house.submission}", ["--ssl-reqd", *login]),
            "smtps": (f"smtps://localhost:{house.submissions}", [*login, "--login-options", "AUTH=LOGIN"])}
    for name, (url, options) in ways.items():
        codes = [curl(house, url, m, *options) for m in MESSAGES]
        is_equal(codes, [0] * len(MESSAGES), f"curl, {name}: all sent")
        same(house.take(OTHER, len(MESSAGES)), MESSAGES, f"curl, {name}: octet for octet")
    is_equal(curl(house, f"smtp://localhost:{house.smtp}", MESSAGES[0], recipients=(OTHER, USER)), 0, "curl: two recipients")
    same(house.take(OTHER, 1) + house.take(USER, 1), [MESSAGES[0]] * 2, "curl: both have it")
    is_equal(curl(house, f"smtps://localhost:{house.submissions}", MESSAGES[0], "--user", f"{USER}:wrong", status=67), 67,
             "curl: a wrong password is refused")


def test_msmtp(house):
    rc = house.file("msmtprc", f"""
defaults
host localhost
from {USER}
user {USER}
password {PASSWORD}
tls on
tls_trust_file {house.ca}
account starttls
port {house.submission}
auth plain
account tls
port {house.submissions}
tls_starttls off
auth login
account mx
port {house.smtp}
auth off
""")
    for account in ("starttls", "tls", "mx"):
        codes = [run(["msmtp", "-C", rc, "-a", account, OTHER], lf(m)).returncode for m in TEXTS]
        is_equal(codes, [0] * len(TEXTS), f"msmtp, {account}: all sent")
        same(house.take(OTHER, len(TEXTS)), TEXTS, f"msmtp, {account}: octet for octet")
    # recipients from the header, Bcc taken out by msmtp or by us
    text = f"From: {USER}\nTo: {OTHER}\nBcc: {USER}\nSubject: x\nDate: Mon, 06 Jul 2026 10:00:00 +0000\n\nhello\n"
    is_equal(run(["msmtp", "-C", rc, "-a", "tls", "-t", "--undisclosed-recipients=off", "--remove-bcc-headers=off"],
                 text.encode()).returncode, 0, "msmtp -t: sent")
    for user in (USER, OTHER):
        got = house.take(user, 1)[0]
        ok(b"Bcc" not in got and b"Message-ID: <" in got, f"{user}: no Bcc, a Message-ID", got)


def smtplib_send(house, kind, messages):
    tls = tls_context(house)
    if kind == "TLS":
        smtp = smtplib.SMTP_SSL("localhost", house.submissions, context=tls, timeout=60)
    else:
        smtp = smtplib.SMTP("localhost", house.submission, timeout=60)
        smtp.starttls(context=tls)
    with smtp:
        smtp.login(USER, PASSWORD)
        for m in messages:
            smtp.sendmail(USER, [OTHER], m, mail_options=["BODY=8BITMIME"])


def test_smtplib(house):
    for kind in ("STARTTLS", "TLS"):
        smtplib_send(house, kind, MESSAGES)
        same(house.take(OTHER, len(MESSAGES)), MESSAGES, f"smtplib, {kind}: octet for octet")
    with smtplib.LMTP(house.host, house.lmtp) as lmtp:    # it reads one reply to the text, however many recipients
        lmtp.sendmail("x@far.test", [OTHER], MESSAGES[0])
        lmtp.sendmail("x@far.test", [USER], MESSAGES[0])
    same(house.take(OTHER, 1) + house.take(USER, 1), [MESSAGES[0]] * 2, "smtplib, LMTP: octet for octet")


for processes in (False, True):
    with House(processes=processes) as server:
        test_smtplib(server)
        for program, test in (("swaks", test_swaks), ("curl", test_curl), ("msmtp", test_msmtp)):
            if have(program):
                test(server)
done()
