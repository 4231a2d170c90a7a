"""Programs that keep a Maildir and the server alike, both ways, in both modes: mbsync (isync) with 1,000 messages and
runs that are killed in the middle, offlineimap3. Nothing is lost, nothing doubled, every octet is the same."""
import os
import re
import signal
import subprocess

from clients import PASSWORD, RUN_S, USER, House, crlf, have, lf, run, same
from posthouse import diag, done, imap_login, imap_messages, is_equal, odd_messages, ok, random_message, wait_for

N = 1000
MESSAGES = [random_message(i, 2) for i in range(N - 20)] + [random_message(-i, 60) for i in range(1, 11)] + [
    m for _, m in odd_messages()]
MARK = re.compile(rb"^X-TUID: [^\r\n]*\r?\n", re.M)     # how mbsync finds again what it stored
SHORT = [random_message(1000 + i, 3) for i in range(60)] + [m for _, m in odd_messages()]


def maildir_write(folder, messages):
    for sub in ("new", "cur", "tmp"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for i, m in enumerate(messages):
        (folder / "cur" / f"{i:06d}.made.example:2,").write_bytes(lf(m))


def maildir_files(folder):
    return [p for sub in ("new", "cur") for p in sorted((folder / sub).glob("*"))]


def maildir_read(folder):
    return [MARK.sub(b"", crlf(p.read_bytes())) for p in maildir_files(folder)]


def server_read(house, mailbox="INBOX"):
    return [MARK.sub(b"", m) for m in imap_messages(house, USER, PASSWORD, mailbox)]


def count(house, mailbox):
    with imap_login(house, USER, PASSWORD) as imap:
        status, data = imap.status(f'"{mailbox}"', "(MESSAGES)")
        return int(re.search(rb"MESSAGES (\d+)", data[0])[1]) if status == "OK" else 0


# --- mbsync ---

def mbsyncrc(house):
    (house.files / "mail").mkdir()
    return house.file("mbsyncrc", f"""
IMAPAccount house
Host localhost
Port {house.imaps}
User {USER}
Pass {PASSWORD}
SSLType IMAPS
SystemCertificates no
CertificateFile {house.ca}

IMAPStore far
Account house

MaildirStore near
Path {house.files}/mail/
Inbox {house.files}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
""")


def mbsync(house, rc):
    return run(["mbsync", "-c", rc, "-q", "all"], env={"HOME": str(house.files)}).returncode


def mbsync_killed(house, rc, far_enough, name):
    """Start it, and kill it in the middle of its work."""
    p = subprocess.Popen(["mbsync", "-c", str(rc), "-q", "all"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=str(house.files)))
    try:
        wait_for(lambda: far_enough() or p.poll() is not None, name, RUN_S, 0.005)
    finally:
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
    is_equal(p.wait(), -signal.SIGKILL, f"mbsync: killed {name}")


def test_mbsync_down(house, rc):
    """Server to Maildir, killed twice."""
    inbox = house.files / "mail" / "INBOX"
    house.put(USER, MESSAGES)
    for part in (N // 4, N // 2):
        mbsync_killed(house, rc, lambda: len(maildir_files(inbox)) >= part, f"with {part} messages down")
    diag(f"{len(maildir_files(inbox))} messages were there after two kills")
    is_equal(mbsync(house, rc), 0, "mbsync: down to the end")
    same(maildir_read(inbox), MESSAGES, f"mbsync: {N} messages down, octet for octet")
    same(server_read(house), MESSAGES, "mbsync: the server's are untouched")
    is_equal(mbsync(house, rc), 0, "mbsync: once more")
    is_equal((len(maildir_files(inbox)), count(house, "INBOX")), (N, N), "mbsync: there is nothing left to do")


def test_mbsync_changes(house, rc):
    """Flags and deletions of both sides meet."""
    inbox = house.files / "mail" / "INBOX"
    files = maildir_files(inbox)
    for p in files[:10]:
        p.unlink()
    for p in files[10:20]:
        p.rename(p.parent.parent / "cur" / re.sub(r"(:2,.*)?$", ":2,FS", p.name, count=1))
    with imap_login(house, USER, PASSWORD) as imap:
        imap.select()
        imap.store("900:909", "+FLAGS.SILENT", r"(\Deleted)")
        imap.store("910:919", "+FLAGS.SILENT", r"(\Answered)")
        imap.expunge()
    is_equal(mbsync(house, rc), 0, "mbsync: after changes on both sides")
    near, far = maildir_files(inbox), count(house, "INBOX")
    with imap_login(house, USER, PASSWORD) as imap:
        imap.select()
        both = [len(imap.search(None, *words)[1][0].split()) for words in (("FLAGGED", "SEEN"), ("ANSWERED",))]
    answered = [p for p in near if re.search(r":2,.*R", p.name)]
    is_equal((len(near), far, both, len(answered)), (N - 20, N - 20, [10, 10], 10), "mbsync: both sides have both's changes")
    same(server_read(house), maildir_read(inbox), "mbsync: the same messages on both sides")


def test_mbsync_up(house, rc):
    """Maildir to server, killed twice; the folder is made there."""
    folder = house.files / "mail" / "Work"
    maildir_write(folder, MESSAGES)
    for part in (N // 4, N // 2):
        mbsync_killed(house, rc, lambda: count(house, "Work") >= part, f"with {part} messages up")
    diag(f"{count(house, 'Work')} messages were there after two kills")
    is_equal(mbsync(house, rc), 0, "mbsync: up to the end")
    same(server_read(house, "Work"), MESSAGES, f"mbsync: {N} messages up, octet for octet")
    same(maildir_read(folder), MESSAGES, "mbsync: the Maildir's are the same")
    is_equal(mbsync(house, rc), 0, "mbsync: once more")
    is_equal((len(maildir_files(folder)), count(house, "Work")), (N, N), "mbsync: there is nothing left to do")


def test_mbsync(house):
    rc = mbsyncrc(house)
    test_mbsync_down(house, rc)
    test_mbsync_changes(house, rc)
    test_mbsync_up(house, rc)


# --- offlineimap ---

def test_offlineimap(house):
    rc = house.file("offlineimaprc", f"""
[general]
metadata = {house.files}/offline-state
accounts = house
ui = quiet
[Account house]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {house.files}/offline
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {house.imaps}
remoteuser = {USER}
remotepass = {PASSWORD}
ssl = yes
sslcacertfile = {house.ca}
folderfilter = lambda name: name in ('INBOX', 'Archive', 'Mine')
""")

    def sync(name):
        status = run(["offlineimap", "-c", rc, "-o"], env={"HOME": str(house.files)}).returncode
        return is_equal(status, 0, f"offlineimap: {name}")
    house.take(USER, count(house, "INBOX"))
    house.put(USER, SHORT)
    house.put(USER, SHORT[:5], "Archive")
    sync("down")
    near = house.files / "offline"
    # its header of its own is put into what it stores on the server only
    same(maildir_read(near / "INBOX"), SHORT, "offlineimap: down, octet for octet")
    same(maildir_read(near / "Archive"), SHORT[:5], "offlineimap: the other folder")
    maildir_write(near / "Mine", SHORT[:40])
    for p in maildir_files(near / "INBOX")[:7]:
        p.unlink()
    with imap_login(house, USER, PASSWORD) as imap:
        imap.select()
        imap.store("30:32", "+FLAGS.SILENT", r"(\Deleted)")
        imap.store("40:44", "+FLAGS.SILENT", r"(\Flagged)")
        imap.expunge()
    sync("both ways")
    sync("once more")
    got = [re.sub(rb"^X-OfflineIMAP: [^\r\n]*\r\n", b"", m, flags=re.M) for m in server_read(house, "Mine")]
    same(got, SHORT[:40], "offlineimap: up, octet for octet")
    same(server_read(house), maildir_read(near / "INBOX"), "offlineimap: the same messages on both sides")
    is_equal(count(house, "INBOX"), len(SHORT) - 10, "offlineimap: both sides' deletions")
    flagged = [p for p in maildir_files(near / "INBOX") if re.search(r":2,.*F", p.name)]
    is_equal(len(flagged), 5, "offlineimap: flags come down")


for processes in (False, True):
    with House(processes=processes) as server:
        for program, test in (("mbsync", test_mbsync), ("offlineimap", test_offlineimap)):
            if have(program):
                test(server)
done()
