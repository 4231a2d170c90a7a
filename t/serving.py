"""A running `posthouse serve` with a configuration of its own in a temporary directory on high ports of loopback, set
up by `posthouse init`. As root its roles become two other accounts; `user` runs all of it as that account instead."""
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from posthouse import Dev, binary, wait_for

KINDS = ("smtp", "submission", "submissions", "imap", "imaps", "lmtp")
EXTRA = """
listen {{ {listen} }}
smtp {{ auth_without_tls = loopback }}
imap {{ login_without_tls = loopback }}
run {{ net_user = nobody }}
dns {{ forward = none }}
relay {{ {relay} }}
"""


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Notified:
    """What systemd would hear."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o777)
        self.said = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            self.said += self.socket.recv(4096).decode().splitlines()

    def heard(self, text):
        return text in self.said


class Serve(Dev):
    def __init__(self, user=None, relay="loopback_only = yes", env=None):
        super().__init__(env=env)
        self.user = user
        self.home = Path(tempfile.mkdtemp(prefix="posthouse-serve-"))
        self.home.chmod(0o755)
        if user:
            os.chown(self.home, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        self.config, self.data_dir = self.home / "posthouse.conf", self.home / "data"
        self.ports = free_ports(len(KINDS))
        self.run("init", "example.test", "--config", self.config, "--data", self.data_dir, "--hostname", "localhost",
                 "--password", "secret", "--user", "daemon")
        listen = " ".join(f'{kind} = "127.0.0.1:{port}"' for kind, port in zip(KINDS, self.ports))
        self.base = self.config.read_text() + EXTRA.format(listen=listen, relay=relay)
        self.config.write_text(self.base)
        self.notified = Notified(self.home / "notify")
        self.env["NOTIFY_SOCKET"] = str(self.home / "notify")

    def as_user(self, *command):
        command = [str(word) for word in command]
        return command if not self.user else ["setpriv", f"--reuid={self.user}", f"--regid={pwd.getpwnam(self.user).pw_gid}",
                                              "--clear-groups", *command]

    def run(self, *words):
        """A command of the administrator; its output."""
        p = subprocess.run(self.as_user(binary(), *words), capture_output=True, text=True, timeout=120, env=self.env)
        assert p.returncode == 0, f"posthouse {' '.join(map(str, words))}: {p.returncode}\n{p.stdout}{p.stderr}"
        return p.stdout

    def add_users(self, *users):
        for user in users:
            self.run("user", "add", user, "--password", "secret", "--data", self.data_dir)

    def start(self):
        ready_file, self.pid_file = self.home / "ready.json", self.home / "pid"
        self.folder = self.home / "nothing"     # Dev removes it at the end
        self.stderr = ""
        self.notified.said.clear()
        old = self.ready.get("pid")
        self.process = subprocess.Popen(self.as_user(binary(), "serve", "--config", self.config, "--ready", ready_file,
                                                     "--pid-file", self.pid_file),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=self.env)
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()
        try:
            wait_for(lambda: self.serves(ready_file, old) or self.process.poll() is not None, "serve", 60)
            assert self.process.poll() is None, f"serve has ended: {self.process.returncode}\n{self.stderr}"
            self.ready = json.loads(ready_file.read_text())
            self.ready.update(ca=str(self.data_dir / "ca.pem"), host="localhost")   # the name in the certificate
        except BaseException:
            self.kill()
            raise
        return self

    def serves(self, ready_file, old):
        """The file of one that was killed stands until the new one has begun."""
        try:
            return json.loads(ready_file.read_text())["pid"] != old
        except FileNotFoundError:
            return False

    def remove(self):
        shutil.rmtree(self.home, ignore_errors=True)
