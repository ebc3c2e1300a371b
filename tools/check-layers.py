#!/usr/bin/env python3
"""Check that includes point strictly down the layers (docs/architecture.md).

A file in src/<layer>/ may include its own folder's headers and those of lower layers; never upward, never sideways between
store and net. `client` sees of `cluster` only map and ec. Public headers (include/) include nothing of src/.
Prints one line per violation; exit status 1 if there is any. `--self-test` proves that it can fail.
"""
import os
import re
import sys

RANK = {"base": 0, "runtime": 1, "store": 2, "net": 2, "proto": 3, "cluster": 4, "client": 5, "server": 6, "cli": 6,
        "posix": 6}
# (user, used): allowed although not covered by the ranks
FORBIDDEN = [
    (r"^store/", r"^net/"), (r"^net/", r"^store/"),
    (r"^client/", r"^store/"), (r"^client/", r"^cluster/(raft|rdb)/"),
    (r"^posix/", r"^(server|store|cluster|net)/"), (r"^cli/", r"^(server|store|cluster|posix)/"),
]
# posix and cli live on the public API; what they may take besides
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def check_line(user, used):
    """user, used: paths relative to src/. Returns a complaint or None."""
    u, v = user.split("/")[0], used.split("/")[0]
    if v not in RANK or u not in RANK:
        return None
    for a, b in FORBIDDEN:
        if re.search(a, user) and re.search(b, used):
            return f"{user}: includes {used}, which its layer must not see"
    if u != v and RANK[v] >= RANK[u]:
        return f"{user}: includes {used}, which is not below {u}"
    return None


def complaints(root):
    for top in ("src", "include"):
        for d, _, files in os.walk(os.path.join(root, top)):
            for f in files:
                if not f.endswith((".c", ".h", ".S")):
                    continue
                path = os.path.join(d, f)
                rel = os.path.relpath(path, os.path.join(root, "src"))
                with open(path, errors="replace") as fh:
                    for line in fh:
                        m = INCLUDE.match(line)
                        if not m:
                            continue
                        used = m.group(1)
                        if top == "include":
                            if os.path.exists(os.path.join(root, "src", used)):
                                yield f"{os.path.relpath(path, root)}: a public header includes src/{used}"
                            continue
                        c = check_line(rel, used)
                        if c:
                            yield c


def self_test():
    bad = [("base/a.c", "runtime/co.h"), ("store/x.c", "net/rpc/rpc.h"), ("client/a.c", "store/vos/vos.h"),
           ("client/a.c", "server/mgmt/mgmt.h"), ("client/a.c", "cluster/raft/r.h"), ("cli/a.c", "server/e.h"),
           ("net/a.c", "proto/o.h")]
    good = [("server/a.c", "client/core/ms.h"), ("client/a.c", "cluster/map/map.h"), ("proto/a.c", "net/rpc/rpc.h"),
            ("store/a.c", "runtime/co.h"), ("base/a.c", "base/list.h")]
    return all(check_line(*b) for b in bad) and not any(check_line(*g) for g in good)


if __name__ == "__main__":
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not self_test():
        sys.exit("check-layers: self-test failed")
    found = list(complaints(root))
    for c in found:
        print(c)
    sys.exit(1 if found else 0)
