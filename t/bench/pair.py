"""Debian's Postfix and Dovecot as one server under test: own configuration, data, certificates and high
loopback ports under one folder; nothing in /etc or of the system's services is touched. Needs root, because
both insist on it. LMTP hand-over, durable defaults, the process limits and login settings that their
documentation gives for busy servers.

    with Pair("mdbox", users={"user0@bench.test": "secret"}) as pair:
        pair.imap, pair.pids, ...

The attributes are those of the ready line of `posthouse dev`: host, smtp, submission, submissions, imap, imaps,
lmtp, ca.
"""
import crypt
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_S = 30

DOVECOT_CONF = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
mail_location = {format}:~/mail
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 10M
auth_cache_ttl = 1 hour
mail_max_userip_connections = 100000
default_process_limit = 1000
default_client_limit = 20000
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/mail/%u allow_all_users=no
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 10000
  process_min_avail = 2
  service_count = 200
}}
service lmtp {{
  process_min_avail = 4
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener auth-postfix {{
    mode = 0666
  }}
}}
"""

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/postfix-data
maillog_file = {dir}/postfix.log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.{domain}
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{dir}/recipients
virtual_transport = lmtp:unix:{dir}/run/lmtp
default_transport = error:nothing leaves this machine
default_process_limit = 200
message_size_limit = 52428800
smtpd_client_connection_count_limit = 0
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dir}/run/auth-postfix
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
"""

MASTER_CF = """
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
127.0.0.1:{submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def free_ports(n):
    """n loopback ports that nobody listens on now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def make_certificate(folder):
    """ca.pem, and cert.pem with key.pem for localhost and 127.0.0.1 (EC P-256), in `folder`."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=bench CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", *new_key, "-keyout", "key.pem", "-out", "cert.csr", "-subj", "/CN=localhost")
    (folder / "cert.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "cert.pem", "-days", "30", "-extfile", "cert.ext")


class Pair:
    host = "127.0.0.1"
    ROLES = ("smtp", "submission", "submissions", "imap", "imaps", "lmtp")

    def __init__(self, format, users, domain="bench.test"):
        self.dir = Path(tempfile.mkdtemp(prefix="pair-"))
        self.dir.chmod(0o755)
        for role, port in zip(self.ROLES, free_ports(len(self.ROLES))):
            setattr(self, role, port)
        self.ca = str(self.dir / "ca.pem")
        self.dovecot = None
        self.postfix_pid = None
        make_certificate(self.dir)
        facts = dict(dir=self.dir, format=format, domain=domain, uid="nobody", gid="nogroup",
                     **{role: getattr(self, role) for role in self.ROLES})
        (self.dir / "dovecot.conf").write_text(DOVECOT_CONF.format(**facts))
        (self.dir / "users").write_text("".join(
            f"{user}:{{SHA512-CRYPT}}{crypt.crypt(password, crypt.mksalt(crypt.METHOD_SHA512))}\n"
            for user, password in users.items()))
        (self.dir / "recipients").write_text("".join(f"{user} ok\n" for user in users))
        for name in ("etc", "spool", "postfix-data", "mail", "state"):
            (self.dir / name).mkdir()
        shutil.chown(self.dir / "postfix-data", "postfix")
        shutil.chown(self.dir / "mail", "nobody", "nogroup")
        (self.dir / "etc/main.cf").write_text(MAIN_CF.format(**facts))
        (self.dir / "etc/master.cf").write_text(MASTER_CF.format(**facts))

    def start(self):
        self.dovecot = subprocess.Popen(["dovecot", "-F", "-c", str(self.dir / "dovecot.conf")],
                                        stdin=subprocess.DEVNULL)
        subprocess.run(["postfix", "-c", str(self.dir / "etc"), "start"], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.postfix_pid = int((self.dir / "spool/pid/master.pid").read_text())
        for role in self.ROLES:
            self.wait_port(getattr(self, role))

    def wait_port(self, port):
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection((self.host, port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"port {port} does not answer; see {self.dir}") from None
                time.sleep(0.05)

    @property
    def pids(self):
        """The root processes, for `load --pids`."""
        return f"{self.dovecot.pid},{self.postfix_pid}"

    def stop(self):
        if self.postfix_pid:
            os.kill(self.postfix_pid, signal.SIGTERM)
            deadline = time.monotonic() + START_S
            while Path(f"/proc/{self.postfix_pid}").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            self.postfix_pid = None
        if self.dovecot:
            self.dovecot.terminate()
            try:
                self.dovecot.wait(START_S)
            except subprocess.TimeoutExpired:
                self.dovecot.kill()
                self.dovecot.wait()
            self.dovecot = None

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()
