#!/usr/bin/env bash
# Make the samples anew, after a format was changed and its version bumped.
#
#   tests/formats/regenerate.sh BUILDDIR [--same-bytes]
#
# --same-bytes: a format header changed, but not what is stored.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
build=$1
ninja -C "$build" tests/formats/format_sample src/server/vos_dump/vos_dump >/dev/null
python3 "$here/headers.py" update "${@:2}"
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/formats.XXXXXX")
trap 'rm -rf "$dir"' EXIT
"$build/tests/formats/format_sample" make "$dir"
"$build/src/server/vos_dump/vos_dump" verify "$dir"
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$dir" -cf - . | xz -9e >"$here/sample.tar.xz"
"$here/show.sh" "$build/src/server/vos_dump/vos_dump" "$dir" >"$here/sample.txt"
echo "made: $(stat -c %s "$here/sample.tar.xz") bytes; look at the difference of sample.txt before you commit"
