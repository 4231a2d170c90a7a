#!/usr/bin/env python3
"""The resolver's process: it asks by UDP and TCP from within its sandbox, and its death costs nobody anything."""
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import Dev, FakeDns, FakeSmtp, children_of, done, ok, parent_of, role_pid, submit, wait_for

USER = "u@example.test"
MESSAGE = b"From: u@example.test\r\nTo: r@%s\r\nSubject: x\r\n\r\nhello\r\n"


def resolvers(dev, processes):
    """Processes that resolve: children of the relay and mx, or of the only process."""
    owners = {role_pid(dev, "relay"), role_pid(dev, "mx")} if processes else {dev.pid}
    return [pid for owner in owners if owner for pid in children_of(owner)]


def descriptors(pid):
    """Sockets and files of the store; stdin, stdout and stderr are everybody's."""
    kinds = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2]
    return {kind for kind in kinds if kind.startswith("socket:") or "data.mdb" in kind or "lock.mdb" in kind}


def go(processes):
    mode = "roles" if processes else "one process"
    with FakeDns() as dns, FakeSmtp() as smtp:
        for domain in ("first.test", "second.test", "third.test"):
            dns.add(domain, "MX", 1, "mx.there.test")
        for i in range(90):
            dns.add("third.test", "MX", 100 + i, f"a-rather-long-name-of-a-host-{i}.third.test")
        dns.add("mx.there.test", "A", "127.0.0.1")
        with Dev("--set", f"relay.port={smtp.port}", processes=processes, dns=dns.address,
                 users={USER: "secret"}, domains=["example.test"]) as dev:
            submit(dev, USER, ["r@first.test"], MESSAGE % b"first.test")
            ok(smtp.wait(1)[0].recipients == ["r@first.test"], f"{mode}: delivered by MX")
            before = resolvers(dev, processes)
            ok(len(before) == (2 if processes else 1), f"{mode}: a process resolves for each role that asks",
               str(before))
            shared = [descriptors(pid) & descriptors(parent_of(pid)) for pid in before]
            ok(not any(shared), f"{mode}: it holds no socket and no file of its role", str(shared))
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: len(set(resolvers(dev, processes)) - set(before)) == len(before),
                     "resolvers born anew")
            submit(dev, USER, ["r@second.test"], MESSAGE % b"second.test")
            ok(smtp.wait(2)[1].recipients == ["r@second.test"], f"{mode}: and again after its death")
            submit(dev, USER, ["r@third.test"], MESSAGE % b"third.test")
            ok(smtp.wait(3)[2].recipients == ["r@third.test"], f"{mode}: an answer that needs TCP")


for processes in (False, True):
    go(processes)
done()
