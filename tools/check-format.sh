#!/usr/bin/env bash
# Every C file is formatted as .clang-format says. Prints the files that are not; `--fix` rewrites them.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git ls-files '*.c' '*.h')
[ ${#files[@]} -eq 0 ] && exit 0
if [ "${1:-}" = --fix ]; then
	exec clang-format -i "${files[@]}"
fi
bad=0
for f in "${files[@]}"; do
	clang-format --dry-run -Werror "$f" >/dev/null 2>&1 || { echo "not formatted: $f"; bad=1; }
done
[ $bad -eq 0 ] || echo "tools/check-format.sh --fix rewrites them"
exit $bad
