#!/usr/bin/env python3
"""Whether the format headers are those that the kept samples were made with.

    headers.py check           one line for each *_format.h that changed since; exit status 1 if there is any
    headers.py update [--same-bytes]
                               remember them as they are; refuses one that changed without a new version, unless told
                               that the stored bytes are the same

A header counts without its comments and white space. Its version is the largest number given to a name that ends in
VERSION; headers.txt has a line for each: path, version, hash.
"""
import hashlib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIST = os.path.join(HERE, "headers.txt")


def read(path):
    with open(path) as f:
        text = f.read()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    versions = re.findall(r"\b\w*VERSION\s*=?\s*(\d+)", text)
    code = " ".join(re.findall(r"\w+|[^\w\s]", text))
    return max(map(int, versions), default=0), hashlib.sha256(code.encode()).hexdigest()[:16]


def now():
    found = {}
    for d, _, files in os.walk(os.path.join(ROOT, "src")):
        for f in files:
            if f.endswith("_format.h"):
                path = os.path.join(d, f)
                found[os.path.relpath(path, ROOT)] = read(path)
    return found


def kept():
    lines = {}
    if os.path.exists(LIST):
        with open(LIST) as f:
            for line in f:
                path, version, digest = line.split()
                lines[path] = (int(version), digest)
    return lines


def main():
    old, new = kept(), now()
    changed = sorted(p for p in old.keys() | new.keys() if old.get(p) != new.get(p))
    if sys.argv[1:] == ["check"]:
        for p in changed:
            print(f"{p}: {'changed' if p in old and p in new else 'new or gone'} since the samples were made. If stored "
                  "bytes changed, bump the version in it; then regenerate the samples with "
                  "tests/formats/regenerate.sh BUILDDIR")
        return 1 if changed else 0
    if sys.argv[1:2] == ["update"]:
        if "--same-bytes" not in sys.argv:
            silent = [p for p in changed if p in old and p in new and old[p][0] == new[p][0]]
            for p in silent:
                print(f"{p}: changed, but its version is still {new[p][0]}. Bump it, or say --same-bytes if what is "
                      "stored did not change.")
            if silent:
                return 1
        with open(LIST, "w") as f:
            for p in sorted(new):
                f.write(f"{p} {new[p][0]} {new[p][1]}\n")
        return 0
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
