#!/usr/bin/env bash
# Install what building and running needs: the Debian packages named in tools/packages.txt, with --test also those of
# tools/packages-test.txt. Does nothing, and needs neither root nor a network, when all of them are there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lists=("$here/packages.txt")
[ "${1:-}" = --test ] && lists+=("$here/packages-test.txt")
mapfile -t wanted < <(grep -hv '^#' "${lists[@]}")

missing=()
have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null | awk '$2 == "installed" {print $1}')
for p in "${wanted[@]}"; do
	grep -qxF "$p" <<<"$have" || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "ERROR: these Debian packages are missing; install them as root and try again:" >&2
	echo "  apt-get install -y ${missing[*]}" >&2
	exit 1
fi
echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp /tmp/daos-packages.XXXXXX.log)
export DEBIAN_FRONTEND=noninteractive
for try in 1 2 3; do
	if { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
		rm -f "$log"
		exit 0
	fi
	sleep $((try * 5))
done
echo "ERROR: installing packages failed; the log is $log; its end:" >&2
tail -n 5 "$log" >&2
exit 1
