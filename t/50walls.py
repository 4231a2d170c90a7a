#!/usr/bin/env python3
"""The walls around each role of a running server, as the kernel tells them: user, capabilities, seccomp, what is mapped
and what is open. t/20cmd-sandbox.c tries what they refuse, t/20cmd-rights.c what roles may ask of each other."""
import os
import pwd
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import Dev, FakeDns, children_of, done, imap_login, is_equal, ok, parent_of, role_pid, skip, smtp_send, submit

ROLES = ("store", "auth", "mx", "submit", "imap", "relay")
WRITABLE = os.O_WRONLY | os.O_RDWR
USER = "u@example.test"
MAIL = b"From: <u@example.test>\r\nTo: <u@example.test>\r\nSubject: x\r\n\r\nx\r\n"


def status(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def filters(pid):
    return int(status(pid)["Seccomp_filters"])


def files(pid):
    """(path, flags) of every descriptor."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        info = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
        yield os.readlink(f"/proc/{pid}/fd/{fd}"), int(re.search(r"flags:\t0(\d+)", info)[1], 8)


def maps(pid, name):
    """The rights with which a file is mapped."""
    return {line.split()[1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.endswith(name)}


def check_closed(name, pid):
    s = status(pid)
    is_equal((s["Seccomp"], s["NoNewPrivs"]), ("2", "1"), f"{name}: seccomp and no_new_privs")
    is_equal({s[c] for c in ("CapInh", "CapPrm", "CapEff", "CapAmb")} - {"0" * 16}, set(), f"{name}: no capabilities")
    limits = Path(f"/proc/{pid}/limits").read_text()
    ok(re.search(r"core file size +0 +0 ", limits), f"{name}: no core files", limits)


def check_supervisor(pid):
    s = status(pid)
    is_equal((s["Seccomp"], s["NoNewPrivs"]), ("2", "1"), "supervisor: seccomp and no_new_privs")
    ok(filters(pid) > filters(os.getpid()), "supervisor: its filter is its own", filters(pid))
    kept = 1 << 1 | 1 << 5 | 1 << 6 | 1 << 7  # dac_override, kill, setgid, setuid
    more = [c for c in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(s[c], 16) & ~(kept if os.geteuid() == 0 else 0)]
    is_equal(more, [], "supervisor: no capability but to start and to end roles")
    limits = Path(f"/proc/{pid}/limits").read_text()
    ok(re.search(r"core file size +0 +0 ", limits), "supervisor: no core files", limits)


def check_store(name, pid):
    """Who has the store, and how: the store writes, those who read cannot, the rest have nothing of it."""
    flags = [f & WRITABLE for path, f in files(pid) if path.endswith("/data.mdb")]
    mapped = maps(pid, "/data.mdb")
    if name == "store":
        ok(any(flags) and mapped == {"r--s"}, "store: writes by descriptor, its map is for reading", f"{flags} {mapped}")
    elif name in ("auth", "imap", "relay"):
        ok(flags and not any(flags) and mapped == {"r--s"}, f"{name}: can only read the store", f"{flags} {mapped}")
    else:
        is_equal((flags, mapped, maps(pid, "/lock.mdb")), ([], set(), set()), f"{name}: nothing of the store")


def check_descriptors(name, pid, data):
    """Nothing but links, listeners and, where it belongs, the store: no directory, no file of anybody."""
    allowed = re.compile(r"socket:|pipe:|anon_inode:|/dev/(null|urandom)$|" + re.escape(data) + r"/(data\.mdb|lock\.mdb|lock)$")
    odd = [path for path, _ in files(pid) if not allowed.match(path)]
    is_equal(odd, [], f"{name}: holds no other files")


def main():
    with FakeDns() as dns, Dev(processes=True, dns=dns.address, users={USER: "secret"}, domains=["example.test"]) as dev:
        smtp_send(dev, "a@sender.test", [USER], MAIL)
        submit(dev, USER, [USER], MAIL)
        imap_login(dev, USER).logout()
        pids = {role: role_pid(dev, role) for role in ROLES}
        for role, pid in pids.items():
            check_closed(role, pid)
            check_store(role, pid)
            check_descriptors(role, pid, dev.data)
            ok(filters(pid) > filters(parent_of(pid)), f"{role}: a filter more than it was born with", filters(pid))
        check_supervisor(parent_of(pids["store"]))
        for role in ("mx", "relay"):
            resolvers = [pid for pid in children_of(pids[role]) if parent_of(pid) == pids[role]]
            ok(resolvers, f"{role} has a resolver")
            for pid in resolvers:
                check_closed(f"{role}'s resolver", pid)
                check_store("resolver", pid)
        uids = {role: status(pid)["Uid"].split() for role, pid in pids.items()}
        if os.geteuid() != 0:
            return skip("users", "not root: everything runs as one user")
        ok(all("0" not in uid for uid in uids.values()), "no role is root", uids)
        try:
            mail = pwd.getpwnam("posthouse").pw_uid     # where it is installed
        except KeyError:
            mail = pwd.getpwnam("nobody").pw_uid
        for role, uid in uids.items():
            want = mail if role in ("store", "auth", "imap", "relay") else pwd.getpwnam("nobody").pw_uid
            is_equal(set(uid), {str(want)}, f"{role} has the account that it should have")
        groups = {role: status(pid)["Groups"].split() for role, pid in pids.items()}
        is_equal({role: g for role, g in groups.items() if g}, {}, "no role has further groups")


main()
done()
