#!/usr/bin/env bash
# Unmount what launch-dfuse.sh or start-dfuse.sh mounted: clean-dfuse.sh POOL:CONT [POOL:CONT...]
# Looks at /tmp/POOL/CONT and /tmp/daos/POOL/CONT. Waits until the daemon has ended.
set -uo pipefail
die() { echo "ERROR: clean-dfuse.sh: $1" >&2; exit 1; }
usage() { echo "Usage: clean-dfuse.sh POOL:CONT [POOL:CONT...]"; }
case ${1:-} in -h | --help) usage; exit 0 ;; "") usage >&2; exit 1 ;; esac
is_mounted() { grep -qs " $1 fuse" /proc/mounts; }
rc=0
for pc in "$@"; do
	[[ $pc =~ ^[^:/]+:[^:/]+$ ]] || die "'$pc' is not of the form POOL:CONT"
	pool=${pc%%:*} cont=${pc#*:} found=0
	for dir in "/tmp/$pool/$cont" "/tmp/daos/$pool/$cont"; do
		is_mounted "$dir" || continue
		found=1
		if ! err=$(fusermount3 -u "$dir" 2>&1); then
			echo "ERROR: clean-dfuse.sh: cannot unmount $dir: $err" >&2
			rc=1
			continue
		fi
		for _ in $(seq 50); do is_mounted "$dir" || break; sleep 0.1; done
	done
	if [ $found -eq 0 ]; then
		echo "ERROR: clean-dfuse.sh: $pc is mounted neither at /tmp/$pool/$cont nor at /tmp/daos/$pool/$cont" >&2
		rc=1
	fi
done
exit $rc
