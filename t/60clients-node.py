"""nodemailer and imapflow from npm, the versions pinned in t/node, against the binary in both modes (t/node/clients.mjs)."""
import json
import shutil

from clients import OTHER, PASSWORD, USER, House, have, run
from posthouse import BUILD, ROOT, done, odd_messages, ok, random_message, skip

SOURCE, TARGET = ROOT / "t" / "node", BUILD / "node"
MESSAGES = [m for _, m in odd_messages()] + [random_message(i, 20) for i in range(5)]


def install():
    """The packages, into the build folder; those of an earlier run will do."""
    TARGET.mkdir(exist_ok=True)
    shutil.copy(SOURCE / "clients.mjs", TARGET)
    lock = SOURCE / "package-lock.json"
    there = TARGET / "installed"
    if there.exists() and there.read_bytes() == lock.read_bytes():
        return True
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, TARGET)
    npm = run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=TARGET)
    if npm.returncode:
        skip("nodemailer and imapflow", "npm could not install them")
        return False
    shutil.copy(lock, there)
    return True


def play(house):
    files = [str(house.file(f"{i}.eml", m)) for i, m in enumerate(MESSAGES)]
    given = dict(house.ready, user=USER, other=OTHER, password=PASSWORD, messages=files)
    p = run(["node", TARGET / "clients.mjs", house.file("house.json", json.dumps(given))])
    for line in p.stdout.splitlines():
        result = json.loads(line)
        ok(result["ok"], result["name"], result["why"])
    ok(p.returncode == 0, "node: played to the end")


if have("node", "npm") and install():
    for processes in (False, True):
        with House(processes=processes) as server:
            play(server)
done()
