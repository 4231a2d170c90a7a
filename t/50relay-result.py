"""What became of a message is written down once: one report, one audit record, one more try, though the reply to the
commit of it never reaches relay, which can only ask for it again. And a full mailbox of the one who is owed a report
keeps no outcome from being written down."""
import email
import email.policy
import json
import re

from posthouse import Dev, FakeSmtp, command, done, is_equal, ok, records, submit, wait_for, wait_messages

USER = "alice@example.test"
SMALL, LARGE = b"123456789\r\n", b"123456789 123456789 123456789 123456789\r\n" * 4000   # a report inline, and uploaded
OPTIONS = ("--set", "relay.retry_max=1h", "--set", "relay.lifetime=1h")
LOST = "outcome not stored"


def house(smtp, retry, **more):
    return Dev(*OPTIONS, "--set", f"relay.retry_min={retry}", users={USER: "secret"}, route=f"127.0.0.1:{smtp.port}", **more)


def mail(subject, body=SMALL):
    return f"From: <{USER}>\r\nSubject: {subject}\r\n\r\n".encode() + body


def queue(dev):
    return json.loads(command(dev, "queue", "list", "--json"))


def reports(dev):
    """The actions of all reports in the sender's INBOX."""
    got = [email.message_from_bytes(m, policy=email.policy.default) for m in wait_messages(dev, USER, 1)]
    return sorted(f["Action"] for m in got for part in m.walk() if part.get_content_type() == "message/delivery-status"
                  for f in part.get_payload() if f["Action"])


def lost(fault, processes, smtp, retry):
    plan = f"store@store.result:{fault}" if processes else f"store.result:{fault}"
    return house(smtp, retry, processes=processes, env={"POSTHOUSE_FAULTS": plan, "ASAN_OPTIONS": "detect_leaks=0"})


def test_partly_done(name, fault, processes, body):
    """One recipient is refused, the other has to wait: a row is left that the second commit could change again."""
    def rcpt(address):
        return "550 5.1.1 nobody" if address.startswith("never") else "450 4.2.0 later"
    with FakeSmtp(replies={"RCPT": rcpt}) as smtp, lost(fault, processes, smtp, "1s") as dev:
        submit(dev, USER, ["never@far.test", "later@far.test"], mail("partly", body))
        wait_for(lambda: LOST in dev.stderr, "relay to miss the reply", 60)
        wait_for(lambda: smtp.connections > 1, "the next try, so the second commit is over", 120, 0.1)
        smtp.replies.pop("RCPT")
        smtp.wait(1)
        wait_for(lambda: not queue(dev), "the queue to empty", 60, 0.1)
        is_equal(reports(dev).count("failed"), 1, f"{name}: one report")
        is_equal(len(re.findall("relay s=\\d+ failed ", dev.stderr)), 1, f"{name}: and one line about it")
        is_equal([m.recipients for m in smtp.messages], [["later@far.test"]], f"{name}: it goes on")
        kinds = [r["kind"] for r in records(dev, "later@far.test")]
        is_equal((kinds.count("bounced"), kinds.count("sent")), (1, 1), f"{name}: one record of each outcome")


def test_all_done(name, fault, processes):
    """Nothing is left of it when the commit is asked for again."""
    with FakeSmtp(replies={"RCPT": ["550 5.1.1 nobody"]}) as smtp, lost(fault, processes, smtp, "1s") as dev:
        submit(dev, USER, ["never@far.test"], mail("all", LARGE))
        wait_for(lambda: LOST in dev.stderr, "relay to miss the reply", 60)
        submit(dev, USER, ["next@far.test"], mail("next"))
        smtp.wait(1)
        wait_for(lambda: not queue(dev), "the queue to empty", 60, 0.1)
        is_equal(reports(dev), ["failed"], f"{name}: one report")
        is_equal(len(dev.stderr.split(LOST)), 2, f"{name}: the second commit is believed")


def test_full_mailbox(name, processes):
    """The report finds no room; what it would have told is stored all the same, and nothing is sent again."""
    def rcpt(address):
        return "550 5.1.1 nobody" if address.startswith("never") else None
    with FakeSmtp(replies={"RCPT": rcpt}) as smtp, house(smtp, "1s", processes=processes) as dev:
        command(dev, "user", "quota", USER, "--quota", "1K")
        submit(dev, USER, ["never@far.test", "x@far.test"], mail("full"))
        smtp.wait(1)
        wait_for(lambda: not queue(dev), "the queue to empty", 60, 0.1)
        is_equal((LOST in dev.stderr, len(smtp.messages)), (False, 1), f"{name}: the outcome is stored, once")
        refused = [c["outcome"] for r in records(dev, USER) for c in r["recipients"] if r["sender"] == ""]
        is_equal(refused, ["refused"], f"{name}: the report's record tells it")
        lost = [line for line in dev.stderr.splitlines() if "report lost" in line]
        ok(len(lost) == 1 and f" to={USER} reason=limit" in lost[0], f"{name}: and the log", dev.stderr)


for roles in (False, True):
    mode = "roles" if roles else "one process"
    for how, plan in (("no reply", "1"), ("the store dies", "1:kill")):
        if plan == "1" or roles:
            test_partly_done(f"{mode}, {how}, small", plan, roles, SMALL)
            test_partly_done(f"{mode}, {how}, large", plan, roles, LARGE)
            test_all_done(f"{mode}, {how}, all", plan, roles)
    test_full_mailbox(f"{mode}, a full mailbox", roles)
done()
