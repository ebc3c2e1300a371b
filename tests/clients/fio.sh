#!/usr/bin/env bash
# fio from Debian's own source package, unmodified, with its dfs engine built against our headers and libraries.
#
#   tests/clients/fio.sh --build-only           fetch and build; prints the path of the program
#   tests/clients/fio.sh POOL CONT              and run verified jobs in that POSIX container
#   tests/clients/fio.sh --prefix DIR ...       against this installation (default: out/)
#   tests/clients/fio.sh --cache DIR ...        source and build are kept here (default: build/fio)
#
# The system is the one DAOS_AGENT_DRPC_DIR leads to. Exit status 0 only if every job verified.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

prefix=$PWD/out cache=$PWD/build/fio build_only=0
die() {
	printf 'ERROR: fio.sh: %s\n' "$1" >&2
	if [ $# -ge 2 ] && [ -s "$2" ]; then
		printf 'The log is %s; its end:\n' "$2" >&2
		tail -n 10 "$2" | sed 's/^/  /' >&2
	fi
	exit 1
}
while [ $# -gt 0 ]; do
	case $1 in
	--build-only) build_only=1 ;;
	--prefix) [ $# -ge 2 ] || die "--prefix needs a directory"; prefix=$(realpath -m "$2"); shift ;;
	--cache) [ $# -ge 2 ] || die "--cache needs a directory"; cache=$(realpath -m "$2"); shift ;;
	-h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) die "unknown option '$1' (--help shows them)" ;;
	*) break ;;
	esac
	shift
done
[ $build_only = 1 ] || [ $# -eq 2 ] || die "a pool and a container are needed (--help)"
[ -f "$prefix/include/daos_fs.h" ] || die "nothing is installed in $prefix"

# A source list of our own: the deb lines of this machine's Debian as deb-src, used for these calls only.
fetch() {
	local apt=$cache/apt line
	mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial
	apt-get indextargets --format '$(CREATED_BY) $(SITE) $(RELEASE) $(COMPONENT)' | awk '
		$1 == "Packages" && $2 ~ /debian/ && $4 == "main" && !seen[$2 $3]++ { print "deb-src", $2, $3, $4 }' \
		>"$apt/sources.list"
	[ -s "$apt/sources.list" ] || die "no Debian archive among this machine's package sources"
	local -a opt=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=-"
		-o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root -o "APT::Update::Post-Invoke-Success=")
	(cd "$cache" && apt-get "${opt[@]}" update -q && apt-get "${opt[@]}" source -q fio) >"$cache/fetch.log" 2>&1 ||
		die "cannot fetch fio's source package" "$cache/fetch.log"
}
source_dir() { find "$cache" -maxdepth 1 -type d -name 'fio-*' | sort -V | tail -n 1; }

mkdir -p "$cache" || die "cannot create $cache"
[ -n "$(source_dir)" ] || fetch
src=$(source_dir)
[ -n "$src" ] || die "the source package held no fio-* directory" "$cache/fetch.log"

# Built once for each prefix; the libraries are found at run time, so only a changed interface needs another build.
stamp="$prefix $(cat "$prefix"/include/daos*.h | sha256sum)"
if [ ! -x "$src/fio" ] || [ "$(cat "$cache/stamp" 2>/dev/null)" != "$stamp" ]; then
	[ -f "$src/config-host.mak" ] && make -C "$src" -s clean >/dev/null 2>&1
	(cd "$src" && LDFLAGS="-L$prefix/lib64 -Wl,-rpath,$prefix/lib64" ./configure --extra-cflags="-I$prefix/include" \
		--disable-native) >"$cache/configure.log" 2>&1 || die "fio's configure failed" "$cache/configure.log"
	grep -q '^DAOS File System (dfs) Engine *yes' "$cache/configure.log" || grep -q CONFIG_DFS=y "$src/config-host.mak" ||
		die "fio's configure did not find the dfs engine" "$src/config.log"
	make -C "$src" -j "$(nproc)" fio >"$cache/make.log" 2>&1 || die "fio does not build" "$cache/make.log"
	echo "$stamp" >"$cache/stamp"
fi
"$src/fio" --enghelp | grep -qx '[[:space:]]*dfs' || die "fio was built without the dfs engine"
if [ $build_only = 1 ]; then
	echo "$src/fio"
	exit 0
fi

# Every block is written, read back and compared with its checksum: by the threads that wrote it while they go on
# writing, then once more by a process that has to open everything anew. The files fio.N stay in the container.
size=${FIO_SIZE:-64M}
common=(--ioengine=dfs --pool="$1" --cont="$2" --thread --numjobs=4 --iodepth=16 --size="$size" --verify=crc32c
	--verify_fatal=1 --group_reporting --minimal)
failed=0
run() { # run NAME OPTIONS...
	timeout 300 "$src/fio" --name="$1" "${common[@]}" "${@:2}" >"$cache/$1.log" 2>&1 &&
		! grep -qi 'verify:\|error' "$cache/$1.log"
}
job() { # a job that must succeed
	if run "$@"; then
		echo "ok fio-dfs-$1"
	else
		echo "FAIL fio-dfs-$1: $(grep -aim1 'verify:\|err' "$cache/$1.log" || echo "see $cache/$1.log")"
		failed=1
	fi
}
files=(--filename_format='fio.$jobnum')
job write-4k "${files[@]}" --rw=randwrite --bs=4k --verify_backlog=256 --do_verify=1
job again-4k "${files[@]}" --rw=randwrite --bs=4k --verify_only
job write-1m "${files[@]}" --rw=write --bs=1m --do_verify=1
job write-mixed "${files[@]}" --rw=randwrite --bsrange=512-256k --verify_backlog=64 --do_verify=1
# and the check itself: what was never written must not pass
if run unwritten --filename_format='fio.unwritten.$jobnum' --rw=randwrite --bs=4k --verify_only; then
	echo "FAIL fio-dfs-unwritten: verification passes without data"
	failed=1
else
	echo "ok fio-dfs-unwritten"
fi
exit $failed
