#!/usr/bin/env bash
# Tests on a real local system: processes, ports, a mount. Run by check.sh; prints one line per test: "ok NAME", "fail NAME",
# "skip NAME"; what a failing test said is in the log named on stderr.
#
#   tests/cluster/run.sh            all of them (--long in DAOS_TEST_LONG=1: also building the project inside the mount)
#   tests/cluster/run.sh NAME...    some of them
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d /tmp/daos-cluster.XXXXXX)
port=12001
mnt=$work/mnt
qs() { "$root/quickstart.sh" --dir "$work/sys" --mount "$mnt" --port "$port" "$@"; }
export PATH=$root/out/bin:$PATH DAOS_AGENT_DRPC_DIR=$work/sys/run/agent
dmg() { command dmg -o "$work/sys/etc/daos_control.yml" "$@"; }
engines() { ps -o pid= --ppid "$(cat "$work/sys/run/daos_server.pid")"; }
cleanup() {
	qs --clean >/dev/null 2>&1
	[ -n "${keep:-}" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# --- the tests: a function each; any failing command fails it ---------------------------------------------------------------

first_run() { # a system from nothing, with several thousand files copied and compared
	qs --ranks 4
	[ "$(dmg -j system query | grep -c '"state": "joined"')" -eq 4 ]
	daos pool query tank | grep -q 'ntarget=4, disabled=0'
}
copy_compare() {
	cp -a /usr/include/linux "$mnt/linux"
	diff -r --no-dereference /usr/include/linux "$mnt/linux"
}
two_mounts() { # the same container mounted twice without caching: coherent
	mkdir -p "$work/m1" "$work/m2"
	dfuse -m "$work/m1" --pool tank --cont home --disable-caching
	dfuse -m "$work/m2" --pool tank --cont home --disable-caching
	mkdir "$work/m1/shared"
	python3 "$root/tests/cluster/mounts.py" "$work/m1/shared" "$work/m2/shared"
	fusermount3 -u "$work/m1"
	fusermount3 -u "$work/m2"
}
posix_calls() { python3 "$root/tests/cluster/posix.py" "$mnt/posix"; }
git_clone() {
	git clone -q "$root" "$mnt/clone"
	git -C "$mnt/clone" fsck
	git -C "$mnt/clone" status --porcelain | wc -l | grep -qx 0
}
sqlite() {
	local mode
	for mode in delete wal; do
		sqlite3 "$mnt/$mode.db" "pragma journal_mode=$mode; create table t(a integer primary key, b);
			with recursive c(i) as (select 1 union all select i + 1 from c where i < 5000)
			insert into t select i, hex(randomblob(40)) from c;
			create index tb on t(b); update t set b = a where a % 3 = 0; delete from t where a % 7 = 0;
			pragma integrity_check;" | grep -qx ok
	done
}
tar_both_ways() {
	tar cf "$mnt/linux.tar" -C /usr/include linux
	mkdir "$mnt/untar"
	tar xf "$mnt/linux.tar" -C "$mnt/untar"
	tar df "$mnt/linux.tar" -C "$mnt/untar"
	tar df "$mnt/linux.tar" -C /usr/include
}
fio_verify() {
	fio --name=v --directory="$mnt" --rw=randrw --bs=4k-64k --bsrange=4k-64k --size=16m --numjobs=2 --verify=crc32c \
		--do_verify=1 --verify_fatal=1 --group_reporting
}
verify_targets() { # every target's files, with the system stopped or dead, before anything recovers them
	local s
	for s in "$work"/sys/storage/engine*/scm; do vos_dump verify "$s"; done
}
kill_all_engines() { # kill -9 of every engine during a copy: it finishes, and nothing differs
	local pid i
	cp -a /usr/include/x86_64-linux-gnu "$mnt/killed" &
	pid=$!
	for i in 1 2; do
		sleep 0.7
		# shellcheck disable=SC2046
		kill -9 $(engines)
	done
	wait $pid
	diff -r --no-dereference /usr/include/x86_64-linux-gnu "$mnt/killed"
}
kill_system() { # kill -9 of server and engines during a copy: the files are sound before and after recovery
	local server pids p copy
	cp -a /usr/include/asm-generic "$mnt/kept"
	cp -a /usr/include/x86_64-linux-gnu "$mnt/cut" 2>/dev/null &
	copy=$!
	sleep 0.5
	server=$(cat "$work/sys/run/daos_server.pid")
	pids=$(engines)
	# shellcheck disable=SC2086
	kill -9 "$server" $pids
	for p in $server $pids; do while [ -e "/proc/$p/exe" ]; do sleep 0.05; done; done
	verify_targets
	md5sum "$work"/sys/storage/engine*/scm/*.wal >"$work/wal.md5"
	verify_targets
	md5sum --quiet -c "$work/wal.md5"
	qs --no-copy
	wait $copy || true
	diff -r --no-dereference /usr/include/asm-generic "$mnt/kept"
	diff -r --no-dereference /usr/include/linux "$mnt/linux"
	err=$(vos_dump list "$work/sys/storage/engine0/scm" 2>&1 >/dev/null) && return 1
	grep -q 'an engine has these files open' <<<"$err"
}
stop_start() { # everything is still there, and soon
	local before after begin
	before=$(cd "$mnt" && find . | sort | md5sum)
	qs --stop
	verify_targets
	begin=$(date +%s%N)
	qs --no-copy
	[ $((($(date +%s%N) - begin) / 1000000)) -lt 10000 ]
	after=$(cd "$mnt" && find . | sort | md5sum)
	[ "$before" = "$after" ]
	diff -r --no-dereference /usr/include/linux "$mnt/linux"
}
bad_input() { # each fails with status 1 and one clear line on stderr
	local line err
	while read -r line; do
		err=$($line 2>&1 >/dev/null) && { echo "no failure: $line"; return 1; }
		[ "$(grep -c . <<<"$err")" -eq 1 ] || { echo "not one line: $line: $err"; return 1; }
		grep -q '^ERROR: ' <<<"$err" || { echo "no ERROR: $line: $err"; return 1; }
	done <<TXT
daos pool query nosuch
daos pool query
daos pool frobnicate
daos pool query --frobnicate tank
daos container create --type=POSIX tank home
daos container create --type=NOSUCH tank x
daos container create --type=POSIX --oclass=NOSUCH tank x
daos container create --properties=nosuch:1 tank x
daos container create tank bad/label
daos container query tank nosuch
daos container destroy tank nosuch
daos container destroy tank home
daos container set-prop tank home cksum:crc32
daos fs set-attr tank home --dfs-path /nosuch/x --oclass S1
dmg pool create tank --size=1G
dmg pool create huge --size=1000TB
dmg pool create small --size=1M
dmg pool create bad/label --size=1G
dmg pool create x
dmg pool destroy nosuch
dmg pool query nosuch
dmg storage query list-devices --health
dmg storage query list-pools --rank x
dmg system query --ranks=x
dmg -l localhost:1 system query
command dmg -o /nonexistent.yml system query
dfuse -m /nonexistent --pool tank --cont home
dfuse -m $mnt --pool tank --cont home
dfuse -m $work --pool nosuch --cont home
dfuse -m $work --pool tank --cont nosuch
daos_server start -o $work/bad.yml
daos_agent -o $work/bad.yml
TXT
	[ "$(DAOS_AGENT_DRPC_DIR=/nonexistent daos pool query tank 2>&1 >/dev/null | grep -c 'DER_AGENT_COMM')" -ge 1 ]
	daos_server start -o "$work/bad.yml" 2>"$work/bad.err" || true
	grep -q 'line 2.*prot' "$work/bad.err"
}
full_pool() { # a full pool tells the writer, and keeps what it has
	dmg pool create --scm-size=64MiB --nvme-size=256MiB full
	daos container create --type=POSIX full c
	mkdir -p "$work/full"
	dfuse -m "$work/full" --pool full --cont c
	cp -a /usr/include/linux "$work/full/before"
	! dd if=/dev/zero of="$work/full/fill" bs=1M count=4096 2>"$work/dd.err"
	grep -q 'No space left on device' "$work/dd.err"
	diff -r --no-dereference /usr/include/linux "$work/full/before"
	rm "$work/full/fill"
	cp -a /usr/include/linux "$work/full/after"
	diff -r --no-dereference /usr/include/linux "$work/full/after"
	fusermount3 -u "$work/full"
	dmg pool destroy --recursive full
}
autotest() { daos pool autotest --skip-big tank; }
dfs_sample() {
	gcc -o "$work/sample" "$root/tests/api/dfs_sample.c" -I"$root/out/include" -L"$root/out/lib64" \
		-Wl,-rpath,"$root/out/lib64" -ldaos -ldfs
	"$work/sample" tank home
}
fio_dfs_engine() { "$root/tests/clients/fio.sh" tank home; }
system_stop() { # orderly stop by dmg: no restarts; start again
	dmg system stop
	dmg -j system query | grep -q '"state": "stopped"'
	dmg system start
	[ "$(dmg -j system query | grep -c '"state": "joined"')" -eq 4 ]
	diff -r --no-dereference /usr/include/linux "$mnt/linux"
}
storage_query() { # what dmg says of the NVMe tier is what lies in it
	local uuid
	uuid=$(dmg -j pool list | grep -m 1 -o '"uuid": "[^"]*"' | cut -d '"' -f 4)
	dmg storage query list-pools | grep -q "^    UUID:$uuid\$"
	[ "$(dmg storage query list-pools -u "$uuid" | grep -c '^      Rank:[0-3] Targets:\[0\]$')" -eq 4 ]
	[ "$(dmg storage query list-pools -v -r 2 | grep -c 'Rank:2 Targets:\[0\] Blobs:\[[0-9]*\]')" -eq 1 ]
	dmg storage query list-pools -u 00000000-0000-0000-0000-000000000001 | grep -q 'No pools with NVMe found'
	[ "$(dmg storage query list-devices | grep -c 'Roles:data Targets:\[0\] Rank:[0-3] State:NORMAL')" -eq 4 ]
	dmg -j storage query list-devices -r 1 | grep -q '"rank": 1'
	dmg storage query list-devices -e | grep -q 'No devices found'
}
idle() { # under 1 % of one core in total, under 64 MiB per engine
	local pids p before after rss
	sleep 45 # aggregation looks once more at what was written, caches are given back
	pids="$(engines) $(cat "$work/sys/run/daos_server.pid") $(cat "$work/sys/run/daos_agent.pid") $(pgrep -f -- "-m $mnt ")"
	ticks() { local t=0 u; for p in $pids; do u=$(awk '{print $14 + $15}' "/proc/$p/stat"); t=$((t + u)); done; echo $t; }
	before=$(ticks)
	sleep 10
	after=$(ticks)
	echo "idle: $((after - before)) of 1000 ticks"
	[ $((after - before)) -lt 10 ]
	for p in $(engines); do
		rss=$(awk '/VmRSS/ {print $2}' "/proc/$p/status")
		echo "engine $p: $rss kB"
		[ "$rss" -lt 65536 ]
	done
}
build_in_mount() {
	[ -d "$mnt/clone" ] || git clone -q "$root" "$mnt/clone"
	(cd "$mnt/clone" && CC=gcc meson setup build/x && ninja -C build/x)
	"$mnt/clone/build/x/src/client/cmdline/test_cli"
}
twenty_ranks() {
	qs --clean
	qs --ranks 20
	[ "$(dmg -j system query | grep -c '"state": "joined"')" -eq 20 ]
}

all=(first_run copy_compare posix_calls two_mounts git_clone sqlite tar_both_ways fio_verify kill_all_engines kill_system
	stop_start bad_input full_pool autotest dfs_sample fio_dfs_engine system_stop storage_query idle)
[ "${DAOS_TEST_LONG:-0}" = 1 ] && all+=(build_in_mount)
all+=(twenty_ranks)
[ $# -gt 0 ] && all=("$@")
printf 'name: x\nprot: 1\n' >"$work/bad.yml"
[ -e /dev/fuse ] || { for t in "${all[@]}"; do echo "skip $t (no /dev/fuse)"; done; exit 0; }
if [ "${all[0]}" != first_run ]; then
	qs --ranks 4 --no-copy >"$work/start.log" 2>&1 || { cat "$work/start.log" >&2; echo "fail start"; exit 1; }
	cp -a /usr/include/linux "$mnt/linux"
fi
mkdir -p "$root/build"
for t in "${all[@]}"; do
	log=$root/build/system-$t.log
	# a subshell of its own, so that set -e works inside
	if timeout 600 bash -c "$(declare -f qs dmg engines verify_targets "$t"); $(declare -p root work mnt port); set -euo pipefail; $t" \
		>"$log" 2>&1; then
		echo "ok $t"
	else
		echo "fail $t"
		keep=1
		{ echo "--- $t failed; its log is $log; the system's files are in $work; the end:"; tail -n 15 "$log"; } >&2
	fi
done
