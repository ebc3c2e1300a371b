#!/usr/bin/env bash
# Mount a POSIX container: start-dfuse.sh -m DIR --pool POOL --cont CONT [dfuse options]
# Creates DIR if missing. Exit 0 once the mount works.
set -uo pipefail
die() { echo "ERROR: start-dfuse.sh: $1" >&2; exit 1; }
usage() { echo "Usage: start-dfuse.sh -m DIR --pool POOL --cont CONT [further dfuse options]"; }
dir="" pool="" cont=""
rest=()
while [ $# -gt 0 ]; do
	case $1 in
	-m | --mountpoint | --pool | --cont | --container)
		[ $# -ge 2 ] || die "$1 needs a value"
		case $1 in -m | --mountpoint) dir=$2 ;; --pool) pool=$2 ;; *) cont=$2 ;; esac
		shift
		;;
	--mountpoint=*) dir=${1#*=} ;;
	--pool=*) pool=${1#*=} ;;
	--cont=* | --container=*) cont=${1#*=} ;;
	-h | --help) usage; exit 0 ;;
	*) rest+=("$1") ;;
	esac
	shift
done
[ -n "$dir" ] && [ -n "$pool" ] && [ -n "$cont" ] || { usage >&2; exit 1; }
grep -qs " $(realpath -m "$dir") fuse" /proc/mounts && die "$dir is mounted already"
mkdir -p "$dir" || die "cannot create $dir"
self=$(dirname "$(realpath "$0")")
exec "$self/dfuse" -m "$dir" --pool "$pool" --cont "$cont" ${rest[@]+"${rest[@]}"}
