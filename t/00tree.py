#!/usr/bin/env python3
"""Rules that the compiler does not enforce: direction of includes, banned functions, exported symbols."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import BUILD, ROOT, binary, done, is_equal, skip

LOWER = {"lib": [], "store": ["lib"], "auth": ["lib", "store"], "smtp": ["lib", "store", "auth"],
         "imap": ["lib", "store", "auth"], "cmd": ["lib", "store", "auth", "smtp", "imap"]}
BANNED = re.compile(r"(?<![\w>.])(strcpy|strcat|sprintf|vsprintf|strtok|gets|scanf|sscanf|fscanf|atoi|atol|alloca)\s*\(")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.S)


def sources():
    for folder in LOWER:
        for path in sorted((ROOT / folder).glob("*.[ch]")):
            yield folder, path, path.read_text()


upward = [f"{path.relative_to(ROOT)} includes {name}"
          for folder, path, text in sources()
          for name in re.findall(r'^#include "(\w+)/', text, re.M) if name not in [folder, *LOWER[folder]]]
is_equal(upward, [], "no include goes upward")

banned = [f"{path.relative_to(ROOT)}: {name}"
          for folder, path, text in sources() for name in BANNED.findall(COMMENT.sub('""', text))]
is_equal(banned, [], "no banned function is called")

marks = [f"{path.relative_to(ROOT)}: {mark}"
         for folder, path, text in sources() for mark in re.findall(r"TODO|FIXME|\bXXX\b", text)]
is_equal(marks, [], "nothing is left to do in a comment")

# the weakest code we use is spoken to in one place
strangers = [str(path.relative_to(ROOT)) for folder, path, text in sources() if re.search(r"#include <opendkim/", text)]
is_equal(strangers, ["auth/dkim_lib.c"], "libopendkim is spoken to in one file")

listed = sorted(p for folder in [*LOWER, "t"] for p in (ROOT / folder).rglob("*.[ch]"))
if shutil.which("clang-format"):
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *listed], cwd=ROOT, capture_output=True, text=True)
    is_equal(re.findall(r"^(\S+?:\d+):.*-Wclang-format-violations", run.stderr, re.M)[:20] or run.returncode, 0,
             "clang-format would change nothing")
else:
    skip("clang-format would change nothing", "clang-format is not installed")

# libunbound would bind to libev's emulation of libevent, and corrupt the heap
programs = [binary(), *sorted(p for p in (BUILD / "t").glob("00lib-*") if p.is_file())]
exported = [f"{Path(p).name}: {line.split()[-1]}" for p in programs
            for line in subprocess.run(["nm", "-D", "--defined-only", p], capture_output=True, text=True,
                                       check=True).stdout.splitlines() if " event_" in line]
is_equal(exported, [], "no program exports libev's event_ symbols")
linked = [str(p) for p in programs
          if "libev" in subprocess.run(["readelf", "-d", p], capture_output=True, text=True, check=True).stdout]
is_equal(linked, [], "no program links libev dynamically")


def defined(path, *options):
    lines = subprocess.run(["nm", "--defined-only", "--extern-only", *options, path], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


# a library would call our function instead of its own of that name
ours = defined(binary())
libraries = re.findall(r"=> (\S*/lib(?:opendkim|spf2)\.so\S*)", subprocess.run(["ldd", binary()], capture_output=True,
                                                                              text=True, check=True).stdout)
clashes = [f"{Path(library).name}: {name}" for library in libraries for name in sorted(ours & defined(library, "-D"))
           if not name.startswith("_")]
is_equal((clashes, any("opendkim" in library for library in libraries)), ([], True),
         "no function is named as one of the libraries for mail authentication")
done()
