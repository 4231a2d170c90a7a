"""Real IMAP clients read and store mail octet for octet: curl, Python's imaplib, fetchmail, mutt, in both modes."""
import email
import email.policy
import imaplib
import re
import urllib.parse

from clients import OTHER, PASSWORD, USER, House, crlf, have, lf, run, run_on_terminal, same
from messages import unfinished_message
from posthouse import done, imap_login, imap_messages, is_equal, odd_messages, ok, random_message, tls_context

ODD = [m for _, m in odd_messages()]
MESSAGES = ODD + [random_message(i, 20) for i in range(5)]


def curl(house, url, *options, status=0):
    return run(["curl", "-sS", "--cacert", house.ca, "--user", f"{USER}:{PASSWORD}", *options, url], status=status)


def test_curl(house):
    ways = {"imap": (f"imap://localhost:{house.imap}", []),
            "imap with STARTTLS": (f"imap://localhost:{house.imap}", ["--ssl-reqd"]),
            "imaps, AUTHENTICATE": (f"imaps://localhost:{house.imaps}", ["--login-options", "AUTH=PLAIN", "--sasl-ir"])}
    want = ODD + [unfinished_message()]
    for name, (url, options) in ways.items():
        for message in want:
            path = house.file("curl", message)
            is_stored = curl(house, f"{url}/Drafts", *options, "--upload-file", path).returncode == 0
            if not is_stored:
                ok(False, f"curl, {name}: APPEND")
        got = [curl(house, f"{url}/Drafts;MAILINDEX={n}", *options).stdout for n in range(1, len(want) + 1)]
        is_equal(got, want, f"curl, {name}: stored and read octet for octet")
        part = curl(house, f"{url}/Drafts;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)", *options).stdout
        is_equal(part, b"Subject: one\r\n\r\n", f"curl, {name}: a section")
        found = curl(house, f"{url}/Drafts?SUBJECT%20folded", *options).stdout
        is_equal(found.split(), [b"*", b"SEARCH", b"8"], f"curl, {name}: SEARCH")
        ok(b'"/" Drafts' in curl(house, url, *options).stdout, f"curl, {name}: LIST")
        curl(house, f"{url}/Drafts", *options, "--request", r"STORE 1:* +FLAGS.SILENT (\Deleted)")
        ok(b"EXPUNGE" in curl(house, f"{url}/Drafts", *options, "--request", "EXPUNGE").stdout, f"curl, {name}: EXPUNGE")
        is_equal(len(imap_messages(house, USER, PASSWORD, "Drafts")), 0, f"curl, {name}: it is empty")
    curl(house, f"imaps://localhost:{house.imaps}/Nowhere;UID=1", status=67)
    wrong = run(["curl", "-sS", "--cacert", house.ca, "--user", f"{USER}:wrong", f"imaps://localhost:{house.imaps}"], status=67)
    is_equal(wrong.returncode, 67, "curl: a wrong password is refused")


def test_imaplib(house):
    def starttls():
        imap = imaplib.IMAP4("localhost", house.imap, timeout=60)
        imap.starttls(tls_context(house))
        return imap
    ways = {"clear text": lambda: imaplib.IMAP4("localhost", house.imap, timeout=60), "STARTTLS": starttls,
            "TLS": lambda: imaplib.IMAP4_SSL("localhost", house.imaps, ssl_context=tls_context(house), timeout=60)}
    want = MESSAGES + [unfinished_message()]
    for name, connect in ways.items():
        with connect() as imap:
            imap.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
            imap.create('"Round trip"')
            for m in want:
                imap.append('"Round trip"', r"(\Seen $Label)", '"06-Jul-2026 10:00:00 +0200"', m)
            imap.select('"Round trip"')
            got = [part for part in imap.fetch("1:*", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")[1]
                   if isinstance(part, tuple)]
            is_equal([octets for _, octets in got], want, f"imaplib, {name}: octet for octet")
            sizes = [int(re.search(rb"RFC822.SIZE (\d+)", head)[1]) for head, _ in got]
            is_equal(sizes, [len(m) for m in want], f"imaplib, {name}: sizes")
            ok(all(rb'FLAGS (\Seen $Label) INTERNALDATE " 6-Jul-2026 08:00:00 +0000"' in head for head, _ in got),
               f"imaplib, {name}: flags and dates", got[0][0])
            parts = imap.fetch("1:*", "(BODY.PEEK[HEADER] BODY.PEEK[TEXT])")[1]
            octets = [part[1] for part in parts if isinstance(part, tuple)]
            is_equal([a + b for a, b in zip(octets[::2], octets[1::2])], want, f"imaplib, {name}: header and text")
            imap.close()
            is_equal(imap.delete('"Round trip"')[0], "OK", f"imaplib, {name}: DELETE")


def fetchmail(house, name, service, options):
    """All mail of USER to OTHER, through fetchmail."""
    house.put(USER, MESSAGES)
    rc = house.file("fetchmailrc", f"""
set no bouncemail
poll localhost protocol IMAP service {service}
  user "{USER}" password "{PASSWORD}" {options} sslcertck sslcertfile "{house.ca}"
  smtpname "{OTHER}" fetchall no rewrite no keep expunge 5 batchlimit 4
""")
    status = run(["fetchmail", "-f", rc, "--nodetach", "--nosyslog"], env={"FETCHMAILHOME": str(house.files)}).returncode
    is_equal(status, 0, f"fetchmail, {name}: done")
    # it tells where it has been in a Received field of its own
    same(house.take(OTHER, len(MESSAGES)), MESSAGES, f"fetchmail, {name}: octet for octet")
    is_equal(len(imap_messages(house, USER)), 0, f"fetchmail, {name}: taken away here")


def test_fetchmail(house):
    fetchmail(house, "TLS, to SMTP", house.imaps, f"ssl smtphost localhost/{house.smtp}")
    fetchmail(house, "STARTTLS, to LMTP", house.imap, f"sslproto TLS1.2+ smtphost localhost/{house.lmtp} lmtp")


def muttrc(house):
    login = urllib.parse.quote(USER, safe="")
    return house.file("muttrc", f"""
set certificate_file={house.ca} ssl_ca_certificates_file={house.ca} ssl_force_tls=yes
set imap_user={USER} imap_pass={PASSWORD} smtp_pass={PASSWORD}
set smtp_url=smtps://{login}@localhost:{house.submissions}/
set folder=imaps://localhost:{house.imaps}/ spoolfile=+INBOX record=+Sent copy=yes
set from={USER} realname=Alice use_envelope_from=yes envelope_from_address={USER} hostname=example.test
set header_cache={house.files}/cache message_cachedir={house.files}/cache
set mbox_type=Maildir confirmcreate=no confirmappend=no quit=yes delete=yes mark_old=no
set wait_key=no pager_stop=yes mail_check=0 sleep_time=0 auto_tag=no
""")


def test_mutt_sends(house):
    """A text and a file, in batch: they come out, and the copy in Sent is the same message."""
    octets = bytes(range(256)) * 40
    path = house.file("octets.bin", octets)
    text = "Grüße aus 東京\n.\n..\nFrom here\n"
    status = run(["mutt", "-F", muttrc(house), "-s", "mutt: Grüße", "-a", path, "--", OTHER], text.encode(),
                 env={"HOME": str(house.files), "EMAIL": USER}).returncode
    is_equal(status, 0, "mutt: sent")
    got, sent = house.take(OTHER, 1), house.take(USER, 1, "Sent")
    message = email.message_from_bytes(got[0], policy=email.policy.default)
    is_equal(message["subject"], "mutt: Grüße", "mutt: the subject")
    parts = list(message.iter_parts())
    is_equal(lf(parts[0].get_content().encode()), text.encode(), "mutt: the text")
    is_equal(parts[1].get_content(), octets, "mutt: the attached octets")
    undated = [re.sub(rb"\ADate: [^\r]*\r\n", b"", one) for one in (*sent, *got)]    # mutt writes the time twice
    is_equal(undated[0], undated[1], "mutt: the copy in Sent, octet for octet")


def test_mutt_reads(house):
    """Copies all it finds to a Maildir, marks and deletes one."""
    house.put(USER, MESSAGES)
    keys = ("<tag-pattern>~A<enter><tag-prefix><copy-message>{0}/copies<enter>"
            "<tag-prefix><clear-flag>N<untag-pattern>~A<enter><first-entry><delete-message><sync-mailbox>"
            "<first-entry><flag-message><quit>").format(house.files)
    status = run_on_terminal(["mutt", "-F", muttrc(house), "-e", f'push "{keys}"'], env={"HOME": str(house.files)})
    is_equal(status, 0, "mutt: read, copied, quit")
    got = [crlf(p.read_bytes()) for p in sorted(house.files.glob("copies/*/*"))]
    # the fields with which it keeps flags in files are not the message's
    got = [re.sub(rb"(?m)^(Status|X-Status|Content-Length|Lines): .*\r\n", b"", m) for m in got]
    same(got, MESSAGES, "mutt: copies, octet for octet")
    with imap_login(house, USER, PASSWORD) as imap:
        imap.select()
        flags = imap.fetch("1:*", "(FLAGS)")[1]
        is_equal(len(flags), len(MESSAGES) - 1, "mutt: one deleted")
        ok(rb"\Flagged" in flags[0] and not any(rb"\Flagged" in f for f in flags[1:]), "mutt: one flagged", flags)
    house.take(USER, len(MESSAGES) - 1)


def test_mutt(house):
    test_mutt_sends(house)
    test_mutt_reads(house)


for processes in (False, True):
    with House(processes=processes) as server:
        test_imaplib(server)
        for program, test in (("curl", test_curl), ("fetchmail", test_fetchmail), ("mutt", test_mutt)):
            if have(program):
                test(server)
done()
