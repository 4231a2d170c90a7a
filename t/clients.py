"""What the tests with real clients (t/60clients-*.py) share: running a program, mail as files with LF, both modes."""
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from posthouse import Dev, diag, fetch_messages, imap_login, ok, skip, wait_for, without_trace

USER, OTHER, PASSWORD = "alice@example.test", "bob@example.test", "secret"
RUN_S = 120     # generous: sanitizers on a busy machine


def have(*programs):
    """False, after a loud skip, when one is not installed (etc/packages test)."""
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        skip(" and ".join(missing), "not installed; etc/packages test does it")
    return not missing


def run(argv, stdin=b"", env=None, cwd=None, status=0):
    """The finished process of a client, its two outputs as bytes. What it said is shown when its exit status is not
    the one expected."""
    p = subprocess.run([str(a) for a in argv], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd,
                       env=dict(os.environ, LC_ALL="C.UTF-8", **(env or {})), timeout=RUN_S)
    if p.returncode != status:
        diag(f"{argv[0]} ended with {p.returncode}:\n" + (p.stdout + p.stderr).decode("utf-8", "replace")[-3000:])
    return p


def crlf(octets):
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def lf(octets):
    return octets.replace(b"\r\n", b"\n")


class House(Dev):
    """A server with two accounts and a folder for files that is thrown away."""

    def __init__(self, *options, **more):
        super().__init__(*options, users={USER: PASSWORD, OTHER: PASSWORD}, **more)

    def __enter__(self):
        super().__enter__()
        self.files = Path(tempfile.mkdtemp(prefix="posthouse-clients-"))
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.files, ignore_errors=True)
        super().__exit__(*exc)

    def file(self, name, octets, mode=0o600):
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets if isinstance(octets, bytes) else octets.encode())
        path.chmod(mode)
        return path

    def take(self, user, count, mailbox="INBOX"):
        """`count` messages of a mailbox without their trace fields; the mailbox is empty afterwards."""
        with imap_login(self, user, PASSWORD) as imap:
            def enough():
                imap.noop()
                got = fetch_messages(imap, mailbox)
                return got if len(got) >= count else None
            try:
                got = wait_for(enough, f"{count} messages of {user}", 60, 0.05)
            except TimeoutError as e:
                diag(str(e))
                got = fetch_messages(imap, mailbox)
            imap.select(f'"{mailbox}"')
            if got:
                imap.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
                imap.expunge()
        return [without_trace(m) for m in got]

    def put(self, user, messages, mailbox="INBOX"):
        with imap_login(self, user, PASSWORD) as imap:
            for m in messages:
                status, data = imap.append(f'"{mailbox}"', None, None, m)
                assert status == "OK", data


def same(got, want, name):
    """Messages as a multiset, octet for octet."""
    if sorted(got) == sorted(want):
        return ok(True, name)
    strange = [m for m in got if m not in want][:2]
    missing = [m for m in want if m not in got][:2]
    return ok(False, name, f"{len(got)} messages, wanted {len(want)}\n"
                           + "\n".join(f"not expected: {m[:200]!r}...{m[-100:]!r}" for m in strange)
                           + "\n".join(f"missing:      {m[:200]!r}...{m[-100:]!r}" for m in missing))


def run_on_terminal(argv, env=None):
    """Exit status of a program that wants a terminal. What it wrote there is shown when that is not 0."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(LC_ALL="C.UTF-8", TERM="xterm", LINES="40", COLUMNS="100", **(env or {}))
        os.execvp(str(argv[0]), [str(a) for a in argv])
    screen, end = b"", time.monotonic() + RUN_S
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            octets = os.read(terminal, 65536)
        except OSError:     # how a pty says that the other side is gone
            break
        if not octets:
            break
        screen += octets
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        diag(f"{argv[0]} ended with {status}:\n{screen[-3000:].decode('utf-8', 'replace')!r}")
    return status
