#!/usr/bin/env bash
# The kept samples of every stored format are opened, verified, shown and used.
#
#   check.sh FORMAT_SAMPLE VOS_DUMP     (the two programs)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sample=$1 vos_dump=$2
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/formats.XXXXXX")
trap 'rm -rf "$dir"' EXIT
hint="if that is meant, bump the version in its _format.h; then regenerate with tests/formats/regenerate.sh BUILDDIR"

python3 "$here/headers.py" check
mkdir "$dir/scm"
tar -xJf "$here/sample.tar.xz" -C "$dir/scm"
(cd "$dir/scm" && sha256sum -- *) >"$dir/before"
"$vos_dump" verify "$dir/scm" || { echo "the sample does not verify: $hint" >&2; exit 1; }
"$here/show.sh" "$vos_dump" "$dir/scm" >"$dir/shown"
diff -u "$here/sample.txt" "$dir/shown" || { echo "the sample reads differently: $hint" >&2; exit 1; }
"$sample" check "$dir/scm"
(cd "$dir/scm" && sha256sum --quiet -c "$dir/before") || { echo "looking at the files changed them" >&2; exit 1; }
