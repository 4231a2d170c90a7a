#!/usr/bin/env python3
"""The manual says what posthouse does: every command, option and key, and nothing that does not exist."""
import importlib.machinery
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import ROOT, binary, done, is_equal, ok, skip

sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("manual", str(ROOT / "etc/manual"))
manual = importlib.util.module_from_spec(importlib.util.spec_from_loader("manual", loader))
loader.exec_module(manual)

known = json.loads(subprocess.run([binary(), "help", "--json"], check=True, capture_output=True).stdout)
keys = {f"{k['section']}.{k['name']}".lstrip("."): k for k in known["keys"]}
sections = {k["section"] for k in known["keys"]} - {""}
pages = {path.name: path.read_text() for path in manual.PAGES}


def help_of(*words):
    return subprocess.run([binary(), "help", *words], capture_output=True, text=True)


wrong = manual.differences(binary(), False)
ok(not wrong, "the pages hold what posthouse says (else run etc/manual)", "\n".join(wrong))

# etc/manual could be wrong about both: look for each thing in its own way
lines = pages["posthouse.conf.5"].splitlines()
is_equal([name for name, k in keys.items() if not any(
    re.fullmatch(rf"\.It Cm {k['name']} No = .*", line) and (k["default"] or "") in line for line in lines)], [],
    "every key has an item with its default")
lines = pages["posthouse.8"].splitlines()
is_equal([f"{c['name']} --{o['name']}" for c in known["commands"] for o in c["options"]
          if not any(re.fullmatch(rf"\.It Fl -{o['name']}( Ar .*)?", line) for line in lines)], [],
         "every option has an item")
is_equal([c["name"] for c in known["commands"]
          if not any(re.fullmatch(rf"\.It Cm {c['name']}( .*)?", line) for line in lines)], [],
         "every command has an item")

# a row that the page does not have, another default, a key that does not exist
changed = json.loads(json.dumps(known))
changed["keys"].append(dict(changed["keys"][0], section="smtp", name="no_such_row"))
page = pages["posthouse.conf.5"]
ok("no_such_row" in manual.renewed(page, changed) and manual.renewed(page, known) == page, "a new row would be noticed")
changed["keys"][-1]["section"] = "nowhere"
is_equal(manual.missing(list(pages.values()), changed), ["no block for nowhere"], "a new section would be noticed")
ok("no_such_row" not in manual.renewed(page.replace('.\\" made: smtp\n', '.\\" made: smtp\n.It Cm no_such_row\n'), known),
   "a key that is gone would be noticed")

texts = {**pages, **{name: (ROOT / name).read_text() for name in ("README", "etc/HACKING", "etc/posthouse.conf")}}
dotted = re.compile(rf"(?<![\w./-])({'|'.join(sorted(sections))})\.([a-z_]+)\b(?![/(.])")
is_equal(sorted({f"{name}: {m.group()}" for name, text in texts.items() for m in dotted.finditer(text)
                 if m.group() not in keys and m.group(2) not in ("c", "h", "pem")}), [],
         "no text speaks of a key that does not exist")
commands = {c["name"]: {o["name"] for o in c["options"]} | {"help"} for c in known["commands"]}
said = re.compile(r"^(?:\s+(?:build/cmd/)?|\.Ic )posthouse ([a-z]+)((?: +(?!posthouse)[^\s]+)*)", re.M)
is_equal(sorted({f"{name}: posthouse {m.group(1)} {option}" for name, text in texts.items() for m in said.finditer(text)
                 for option in ["", *re.findall(r"--[a-z-]+", m.group(2))]
                 if m.group(1) not in commands or option[2:] not in {"", *commands[m.group(1)]}}), [],
         "no text speaks of a command or an option that does not exist")

# help itself
is_equal(help_of("smtp.message_max").stdout.splitlines()[0], "smtp.message_max = 50M", "help of a key")
ok(len(help_of("dns").stdout.splitlines()) == 3 * sum(k["section"] == "dns" for k in known["keys"]), "help of a section")
is_equal(len(re.findall(r"^\S+ = ", help_of("--keys").stdout, re.M)), len(keys), "help of all keys")
is_equal((help_of("serv").returncode, help_of("serv").stderr.count("did you mean 'serve'")), (64, 1), "help of nothing")

# the sample: as it is, and with everything in it that is commented out
sample = texts["etc/posthouse.conf"]
with tempfile.TemporaryDirectory() as folder:
    for name, text in (("as it is", sample), ("without its comments", re.sub(r"^(\s*)#(?! )", r"\1", sample, flags=re.M))):
        path = Path(folder) / "posthouse.conf"
        path.write_text(text)
        run = subprocess.run([binary(), "check", "--config", path, "--data", folder], capture_output=True, text=True)
        is_equal(run.stdout.splitlines()[0], "ok    the configuration can be read", f"the sample can be read {name}")
named = {m.group(1) for m in re.finditer(r"^\s*#?([a-z_]+)\s+=", sample, re.M)}
is_equal(named - {k["name"] for k in known["keys"]}, set(), "the sample names keys that exist")

if shutil.which("mandoc"):
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *map(str, manual.PAGES)], capture_output=True, text=True)
    is_equal((lint.stdout, lint.returncode), ("", 0), "mandoc finds nothing to say")
else:
    skip("mandoc finds nothing to say", "mandoc is not installed")
done()
