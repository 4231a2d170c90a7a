#!/usr/bin/env python3
"""The other builds: release with gcc, whose binary must be hardened, and everything with clang, fuzz targets included."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from posthouse import BUILD, ROOT, Dev, done, is_equal, ok, skip

CACHE = "ccache " if "ccache" in os.environ.get("CC", "") else ""
GCC, CLANG = CACHE + "gcc", CACHE + "clang"


def build(name, compiler, *options):
    """The folder, or None when it does not build without a warning. Kept, so that the next run is quick."""
    folder = BUILD / name
    env = dict(os.environ, CC=compiler)
    if not (folder / "build.ninja").exists():
        setup = subprocess.run(["meson", "setup", str(folder), str(ROOT), "--werror", *options], env=env,
                               capture_output=True, text=True)
        if not ok(setup.returncode == 0, f"{name} can be set up", setup.stdout[-2000:] + setup.stderr):
            return None
    made = subprocess.run(["nice", "ninja", "-C", str(folder)], env=env, capture_output=True, text=True)
    bad = [line for line in made.stdout.splitlines() if re.search(r"(error|warning):|ld:", line)]
    ok(made.returncode == 0, f"{name} builds without a warning", "\n".join(bad[:20] + [made.stdout[-500:]]))
    return folder if made.returncode == 0 else None


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def hardened(program):
    """SECURITY of the binary: position independent, bound and read-only before main, no stack that can be run."""
    segments, dynamic, symbols = readelf("-l", program), readelf("-d", program), readelf("--dyn-syms", program)
    ok("Elf file type is DYN" in segments and "INTERP" in segments, "position independent (PIE)")
    ok("GNU_RELRO" in segments, "relocations become read-only (RELRO)")
    ok(re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*NOW", dynamic), "all symbols are bound at the start (NOW)")
    stack = re.search(r"GNU_STACK.*", segments)
    ok(stack and "RWE" not in stack.group(), "the stack cannot be run")
    ok(not re.search(r"LOAD.* RWE", segments), "nothing is writable and can be run")
    ok("TEXTREL" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic, "no TEXTREL, no run path")
    ok("__stack_chk_fail" in symbols, "stack protector")
    ok(re.search(r"__(memcpy|snprintf|vsnprintf|fprintf)_chk", symbols), "fortified")
    ok("event_" not in "".join(line for line in symbols.splitlines() if "UND" not in line), "no event_ symbol")


if "CI" not in os.environ and "POSTHOUSE_BUILDS" not in os.environ:
    skip("the other builds", "they take minutes: set CI=1 or POSTHOUSE_BUILDS=1")
    done()

def pss_kib(pid):
    """Of a process and its children: what they have of the memory, shared pages by parts."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    return int(re.search(r"^Pss: +(\d+)", rollup, re.M).group(1)) + sum(map(pss_kib, children))


def small(program):
    """An idle server; sharing with others only makes it smaller."""
    try:
        huge = "[always]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        huge = False
    for processes, most, name in ((False, 8, "one process"), (True, 23, "roles")):
        name = f"an idle server in {name} has at most {most} MiB (PSS)"
        if huge:
            skip(name, "the kernel hands out huge pages unasked")
            continue
        with Dev(program=str(program), processes=processes, users={"a@example.test": "secret"}) as dev:
            kib = pss_kib(dev.pid)
        ok(kib <= most * 1024, name, f"{kib} KiB")


release = build("release", GCC, "--buildtype=release")
if release:
    hardened(release / "cmd/posthouse")
    said = subprocess.run([release / "cmd/posthouse", "--version"], capture_output=True, text=True).stdout
    ok(re.fullmatch(r"posthouse \d+\.\d+\.\d+\n", said), "it runs", said)
    small(release / "cmd/posthouse")
    to = BUILD / "installed"
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["meson", "install", "-C", str(release), "--no-rebuild", "--destdir", str(to)], check=True,
                   capture_output=True)
    is_equal(sorted(str(p.relative_to(to)) for p in to.rglob("*") if p.is_file()), sorted([
        "usr/local/bin/posthouse",
        "usr/local/lib/systemd/system/posthouse.service",
        "usr/local/share/doc/posthouse/LICENSE",
        "usr/local/share/doc/posthouse/README",
        "usr/local/share/doc/posthouse/posthouse.conf",
        "usr/local/share/man/man5/posthouse.conf.5",
        "usr/local/share/man/man8/posthouse.8",
    ]), "what meson install puts where")
    unit = (to / "usr/local/lib/systemd/system/posthouse.service").read_text()
    ok("\nExecStart=/usr/local/bin/posthouse serve\n" in unit, "the unit starts what was installed", unit)
    ok(not re.search("^(State|Runtime|Cache)Directory", unit, re.M), "systemd gives no file to another user", unit)
if shutil.which("clang"):
    build("clang", CLANG, "-Dbuildtype=debug", "-Doptimization=0", "-Dfuzz=true")
else:
    skip("clang builds", "clang is not installed")
done()
