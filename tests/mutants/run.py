#!/usr/bin/env python3
"""Plant bugs in the store, one at a time, and see whether its tests notice.

usage: run.py [--list] [--check] [--jobs N] [--work DIR] [--limit SECONDS] [NAME-PART...]

A copy of the tree is built with little optimisation; for each row of mutants.py the change is made there, what it affects is
built, and the tests are run, those that find it soonest first, until one fails. Prints a line for each planted bug that no
test noticed, and at the end "planted: CAUGHT/TOTAL". Exit status 1 if one was not caught or a row does not fit the source.
--check: only whether all rows fit.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
top = os.path.dirname(os.path.dirname(here))
sys.path.insert(0, here)
from mutants import MUTANTS  # noqa: E402

# name: (target, arguments); in the order in which they are tried after those a row names
TESTS = {
    "wal": ("src/store/test_wal", []),
    "wal_edge": ("src/store/test_wal_edge", []),
    "heap": ("src/store/test_heap", []),
    "btree": ("src/store/test_btree", []),
    "space": ("src/store/test_space", []),
    "data": ("src/store/test_data", []),
    "vos": ("src/store/vos/test_vos", []),
    "vos_csum": ("src/store/vos/test_vos_csum", []),
    "vos_dtx": ("src/store/vos/test_vos_dtx", []),
    "vos_dtx_model": ("src/store/vos/test_vos_dtx_model", []),
    "vos_model": ("src/store/vos/test_vos_model", []),
    "vos_conc": ("src/store/vos/test_vos_conc", []),
    "faults": ("tests/crash/test_crash_points", ["--faults", "brief"]),
    "flips": ("tests/crash/test_flips", []),
    "fuzz": ("tests/fuzz/fuzz_store_runs", []),
    "heap_crash": ("src/store/test_heap_crash", []),
    "points mixed": ("tests/crash/test_crash_points", ["mixed", "--states", "1500"]),
    "points scm": ("tests/crash/test_crash_points", ["scm", "--states", "1500"]),
    "points checkpoint": ("tests/crash/test_crash_points", ["checkpoint", "--states", "3000"]),
    "points history": ("tests/crash/test_crash_points", ["history", "--states", "1500"]),
    "points aggregate": ("tests/crash/test_crash_points", ["aggregate", "--states", "1500"]),
    "points wrap": ("tests/crash/test_crash_points", ["wrap", "--states", "3000"]),
    "points burst": ("tests/crash/test_crash_points", ["burst", "--states", "1500"]),
    "points destroy": ("tests/crash/test_crash_points", ["destroy", "--states", "1500"]),
    "points full": ("tests/crash/test_crash_points", ["full", "--states", "1500"]),
    "vos_crash": ("tests/crash/test_vos_crash", []),
}
COPIED = ["src", "include", "tests", "docs/man", "meson.build", "meson_options.txt"]


def pattern(text):
    return re.compile(r"\s+".join(re.escape(word) for word in text.split()))


def apply_row(row, root):
    """The file's path, old and new content; an error text if the row does not fit. Code moves between the files of a folder:
    what the named file does not have is looked for in the others."""
    _, rel, old, new, _ = row
    named = os.path.join(root, "src/store", rel)
    folder = os.path.dirname(named)
    others = sorted(os.path.join(folder, f) for f in os.listdir(folder)
                    if f.endswith(".c") and not f.startswith(("test_", "fuzz_")) and "bench" not in f and "model" not in f)
    found = []
    for paths in [named], [p for p in others if p != named]:
        for path in paths:
            if not os.path.exists(path):
                continue
            with open(path) as f:
                text = f.read()
            found += [(path, text, m) for m in pattern(old).finditer(text)]
        if found:
            break
    if len(found) != 1:
        return named, None, None, f"found {len(found)} times: {old}"
    path, text, m = found[0]
    return path, text, text[:m.start()] + new + text[m.end():], None


def run(cmd, cwd, limit, env=None):
    """Exit status, or None when it took too long."""
    with tempfile.TemporaryFile() as out:
        p = subprocess.Popen(cmd, cwd=cwd, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True)
        try:
            rc = p.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, 9)
            p.wait()
            rc = None
        out.seek(0)
        return rc, out.read()[-3000:].decode(errors="replace")


class Tree:
    """A copy of the sources with a build beside it."""

    def __init__(self, work):
        self.root = work
        self.build = os.path.join(work, "build")

    def make(self):
        for rel in COPIED:
            src, dst = os.path.join(top, rel), os.path.join(self.root, rel)
            if not os.path.exists(src):
                continue
            os.makedirs(os.path.dirname(dst), exist_ok=True)
            if os.path.isdir(src):
                shutil.copytree(src, dst, symlinks=True)
            else:
                shutil.copy2(src, dst)
        rc, out = run(["meson", "setup", self.build, "-Dbuildtype=plain", "-Doptimization=1", "-Ddebug=false",
                       "-Dwerror=false"], self.root, 300)
        if rc != 0:
            sys.exit(f"mutants: the copy cannot be configured:\n{out}")

    def compile(self, targets, jobs):
        return run(["ninja", "-C", self.build, "-j", str(jobs)] + targets, self.root, 900)

    def exists(self, target):
        return target in self.known

    def find_targets(self):
        rc, out = run(["ninja", "-C", self.build, "-t", "targets", "all"], self.root, 60)
        full = subprocess.run(["ninja", "-C", self.build, "-t", "targets", "all"], capture_output=True, text=True).stdout
        self.known = {line.split(":")[0] for line in full.splitlines()}


def try_row(tree, row, limit):
    """How it was caught, or None."""
    first = row[4]
    path, old, new, _ = apply_row(row, tree.root)
    order = [t for t in first.split(";") if t in TESTS]
    order += [t for t in TESTS if t not in order]
    # a failure ends the program at once, instead of leaving it with half a fixture
    env = dict(os.environ, CMOCKA_TEST_ABORT="1", VOS_CRASH_STATES="400")
    env.pop("DAOS_TEST_LONG", None)
    try:
        with open(path, "w") as f:
            f.write(new)
        for test in order:
            target, args = TESTS[test]
            if not tree.exists(target):
                continue
            rc, out = tree.compile([target], 1)
            if rc != 0:
                return ("does not compile", out)
            rc, out = run([os.path.join(tree.build, target)] + args, tree.root, limit if args else limit / 3, env)
            if rc is None:
                return (f"{test}: too slow", out)
            if rc != 0:
                return (test, out)
        return None
    finally:
        with open(path, "w") as f:
            f.write(old)


def main():
    ap = argparse.ArgumentParser(description="Plant bugs in the store and see whether its tests notice.")
    ap.add_argument("--list", action="store_true", help="print the rows")
    ap.add_argument("--check", action="store_true", help="only see whether all rows fit the source")
    ap.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    ap.add_argument("--work", help="where to build (default: a temporary folder)")
    ap.add_argument("--limit", type=float, default=60, help="seconds for each test")
    ap.add_argument("-v", "--verbose", action="store_true", help="also say what caught each")
    ap.add_argument("names", nargs="*", help="only rows whose name contains one of these")
    a = ap.parse_args()

    rows = [r for r in MUTANTS if not a.names or any(n in r[0] for n in a.names)]
    if a.list:
        for r in rows:
            print(f"{r[1]:22} {r[0]}")
        return 0
    bad = 0
    for r in rows:
        error = apply_row(r, top)[3]
        if error:
            bad += 1
            print(f"planted: src/store/{r[1]}: \"{r[0]}\" no longer fits: {error}")
    if bad or a.check:
        print(f"planted: {len(rows) - bad} of {len(rows)} rows fit")
        return 1 if bad else 0

    start = time.monotonic()
    work = a.work or tempfile.mkdtemp(prefix="mutants-")
    trees = [Tree(os.path.join(work, f"tree{i}")) for i in range(max(1, a.jobs))]
    try:
        todo, lock, result = list(rows), threading.Lock(), {}
        targets = sorted({t for t, _ in TESTS.values()})

        def prepare(tree):
            shutil.rmtree(tree.root, ignore_errors=True)
            tree.make()
            tree.find_targets()
            rc, out = tree.compile([t for t in targets if tree.exists(t)], 1)
            if rc != 0:
                result["build"] = out

        def worker(tree):
            prepare(tree)
            while "build" not in result:
                with lock:
                    if not todo:
                        return
                    row = todo.pop(0)
                how = try_row(tree, row, a.limit)
                with lock:
                    result[row[0]] = how
                    if how is None:
                        print(f"planted: NOT CAUGHT: {row[0]} (src/store/{row[1]})", flush=True)
                    elif how[0] == "does not compile":
                        print(f"planted: DOES NOT COMPILE: {row[0]} (src/store/{row[1]})\n{how[1]}", flush=True)
                    elif a.verbose:
                        print(f"  {time.monotonic() - start:5.0f} s  {how[0]:20} {row[0]}", flush=True)

        threads = [threading.Thread(target=worker, args=(t,)) for t in trees]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if "build" in result:
            print(result["build"])
            print("planted: the copy does not build")
            return 1
        caught = sum(1 for r in rows if result[r[0]] is not None and result[r[0]][0] != "does not compile")
        print(f"planted: {caught}/{len(rows)} caught in {time.monotonic() - start:.0f} s")
        return 0 if caught == len(rows) else 1
    finally:
        if not a.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
