#!/bin/sh
# usage: check_exports.sh LIBRARY LIST
# The library exports exactly the functions on the list, one name a line. Names with two underscores
# in front are the sanitizers'.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
nm -D --defined-only "$1" | awk '$2 == "T" || $2 == "W" { if ($3 !~ /^__/) print $3 }' | sort >"$tmp/have"
sort "$2" >"$tmp/want"
comm -13 "$tmp/have" "$tmp/want" | sed 's/^/missing: /' >"$tmp/diff"
comm -23 "$tmp/have" "$tmp/want" | sed 's/^/not on the list: /' >>"$tmp/diff"
cat "$tmp/diff"
test ! -s "$tmp/diff"
