#!/usr/bin/env python3
"""Runs every test of a build: the C programs that meson knows and the t/NN*.py scripts, all speaking TAP.

Prints one line per program (all of its output when it fails) and closes with "N passed, N failed", counting
single test cases. Exit status 1 when a case failed, a program died or a plan was not kept.
"""
import argparse, concurrent.futures, fnmatch, json, os, re, subprocess, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 1800


def programs(build):
    tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", str(build)]))
    for t in tests:
        yield t["name"], t["cmd"], t.get("is_parallel", True)
    for script in sorted((ROOT / "t").glob("[0-9][0-9]*.py")):
        text = script.read_text()
        yield script.stem, [sys.executable, str(script)], "runner: serial" not in text


def run(name, cmd, build):
    env = dict(os.environ, POSTHOUSE_BUILD=str(build), PYTHONPATH=str(ROOT / "t"),
               ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1",
               UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    if os.environ.get("CI"):
        env["POSTHOUSE_NO_SKIP"] = "1"
    start = time.monotonic()
    try:
        p = subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           env=env, timeout=TIMEOUT_S, cwd=ROOT)
        out, status = p.stdout.decode("utf-8", "replace"), p.returncode
    except subprocess.TimeoutExpired as e:
        out, status = (e.stdout or b"").decode("utf-8", "replace") + "\n# timed out\n", -1
    return name, out, status, time.monotonic() - start


def count(out, status):
    """(passed, failed, skipped) of one program's TAP."""
    results = re.findall(r"^(ok|not ok)\b(.*)$", out, re.M)
    failed = sum(1 for r, _ in results if r == "not ok")
    skipped = sum(1 for r, rest in results if r == "ok" and re.search(r"# *skip", rest, re.I))
    plan = re.search(r"^1\.\.(\d+)", out, re.M)
    if not plan or int(plan.group(1)) != len(results) or (status != 0 and failed == 0):
        failed += 1
    return len(results) - sum(1 for r, _ in results if r == "not ok") - skipped, failed, skipped


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("build")
    ap.add_argument("--only")
    args = ap.parse_args()
    build = Path(args.build).resolve()
    todo = [p for p in programs(build) if not args.only or fnmatch.fnmatch(p[0], f"*{args.only}*")]
    passed = failed = skipped = 0

    def report(result):
        nonlocal passed, failed, skipped
        name, out, status, took = result
        p, f, s = count(out, status)
        passed, failed, skipped = passed + p, failed + f, skipped + s
        print(f"{'FAIL' if f else 'ok  '} {name}: {p} passed, {f} failed, {s} skipped ({took:.1f} s)", flush=True)
        if f or s:
            print("\n".join("    " + line for line in out.splitlines() if f or "SKIP" in line), flush=True)

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for done in concurrent.futures.as_completed(
                pool.submit(run, n, c, build) for n, c, parallel in todo if parallel):
            report(done.result())
    for n, c, parallel in todo:
        if not parallel:
            report(run(n, c, build))
    if skipped:
        print(f"# {skipped} skipped: see the lines marked SKIP")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
