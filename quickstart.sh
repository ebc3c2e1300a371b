#!/usr/bin/env bash
# From a fresh clone to files in a POSIX container, in one command.
#
#   ./quickstart.sh             install, build, start a local system of 4 ranks, mount, do real work
#   ./quickstart.sh --ranks N   with N ranks (1 to 20)
#   ./quickstart.sh --dir DIR   keep the system's files in DIR (default: local/ in this clone)
#   ./quickstart.sh --mount DIR mount there (default: /tmp/daos/tank/home)
#   ./quickstart.sh --port N    management API on port N, engines from N + 21415 on (default: 10001)
#   ./quickstart.sh --no-copy   without the copying and comparing of the first run
#   ./quickstart.sh --stop      unmount and stop; everything stored stays
#   ./quickstart.sh --clean     stop and delete everything stored
#
# A later run finds the system as it was left: same ranks, same files.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"

ranks="" dir=$here/local action=start
pool=tank cont=home mnt=/tmp/daos/$pool/$cont
stride=4 control_port=10001 copy=1

usage() { sed -n '2,13p' "$0" | sed 's/^# \{0,1\}//'; }
die() { # die WHAT [LOG]: one clear line, and where to look
	printf 'ERROR: quickstart: %s\n' "$1" >&2
	if [ $# -ge 2 ] && [ -s "$2" ]; then
		printf 'The log is %s; its end:\n' "$2" >&2
		tail -n 5 "$2" | sed 's/^/  /' >&2
	fi
	exit 1
}
t0=$(date +%s.%N)
since() { awk -v a="$t0" -v b="$(date +%s.%N)" 'BEGIN { printf "%5.1f s", b - a }'; }
say() { printf '[%s] %s\n' "$(since)" "$*"; }

while [ $# -gt 0 ]; do
	case $1 in
	--ranks) [ $# -ge 2 ] || die "--ranks needs a number from 1 to 20"; ranks=$2; shift ;;
	--ranks=*) ranks=${1#*=} ;;
	--dir) [ $# -ge 2 ] || die "--dir needs a directory"; dir=$2; shift ;;
	--dir=*) dir=${1#*=} ;;
	--mount) [ $# -ge 2 ] || die "--mount needs a directory"; mnt=$(realpath -m "$2"); shift ;;
	--mount=*) mnt=$(realpath -m "${1#*=}") ;;
	--port) [ $# -ge 2 ] || die "--port needs a port"; control_port=$2; shift ;;
	--port=*) control_port=${1#*=} ;;
	--no-copy) copy=0 ;;
	--stop) action=stop ;;
	--clean) action=clean ;;
	-h | --help) usage; exit 0 ;;
	*) die "unknown option '$1' (--help shows them)" ;;
	esac
	shift
done
if [ -n "$ranks" ]; then
	[[ $ranks =~ ^[0-9]+$ ]] && [ "$ranks" -ge 1 ] && [ "$ranks" -le 20 ] || die "--ranks takes 1 to 20, not '$ranks'"
fi
[[ $control_port =~ ^[0-9]+$ ]] && [ "$control_port" -ge 1024 ] && [ "$control_port" -le 44000 ] ||
	die "--port takes 1024 to 44000, not '$control_port'"
base_port=$((control_port + 21415))
[ "$(id -u)" -eq 0 ] || die "run it as root: mounting and installing packages need it"
dir=$(realpath -m "$dir")

export PATH=$here/out/bin:$PATH
export DAOS_AGENT_DRPC_DIR=$dir/run/agent
log=$dir/log
server_pid_file=$dir/run/daos_server.pid
agent_pid_file=$dir/run/daos_agent.pid

running() { # running PIDFILE PROGRAM: is the process of the pid file that program?
	local pid
	# one that has ended, but that nobody has asked for its status, still has a comm, but no exe
	pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] &&
		[ -e "/proc/$pid/exe" ]
}
mounted() { grep -qs " $mnt fuse" /proc/mounts; }
stop_pid() { # stop_pid PIDFILE PROGRAM SECONDS: ask, wait, insist
	local pid
	running "$1" "$2" || { rm -f "$1"; return 0; }
	pid=$(cat "$1")
	kill -TERM "$pid" 2>/dev/null
	for _ in $(seq $(($3 * 10))); do
		running "$1" "$2" || { rm -f "$1"; return 0; }
		sleep 0.1
	done
	echo "quickstart: $2 (process $pid) did not end within $3 s; killing it" >&2
	kill -KILL "$pid" 2>/dev/null
	rm -f "$1"
}
stop_all() {
	mnt=$(cat "$dir/run/mountpoint" 2>/dev/null || echo "$mnt")
	if mounted && { running "$server_pid_file" daos_server || [ -s "$dir/run/mountpoint" ]; }; then
		fusermount3 -u "$mnt" || die "cannot unmount $mnt (is a program still using it?)"
	fi
	stop_pid "$agent_pid_file" daos_agent 10
	stop_pid "$server_pid_file" daos_server 60
}

case $action in
stop)
	stop_all
	say "stopped; everything stored is kept in $dir"
	exit 0
	;;
clean)
	stop_all
	if [ -e "$dir/etc/daos_server.yml" ]; then
		rm -rf -- "$dir/etc" "$dir/log" "$dir/run" "$dir/storage"
		rmdir -- "$dir" 2>/dev/null
	fi
	say "stopped, and everything in $dir deleted"
	exit 0
	;;
esac

# --- build ---------------------------------------------------------------------------------------------------------
tools/install-packages.sh || exit 1
mkdir -p build "$dir"/{etc,log,run,storage,run/agent} || die "cannot create $dir"
built_state() { { git rev-parse HEAD; git status --porcelain -uno; git diff HEAD; } 2>/dev/null | sha256sum; }
if [ ! -x out/bin/daos_server ] || [ "$(cat build/quick.stamp 2>/dev/null)" != "$(built_state)" ]; then
	say "building (log: build/quick.log)"
	{
		{ [ -f build/quick/build.ninja ] || CC=gcc meson setup build/quick --prefix="$here/out" --buildtype=release; } &&
			ninja -C build/quick &&
			meson install -C build/quick --no-rebuild --quiet
	} >build/quick.log 2>&1 || die "the build failed" "$here/build/quick.log"
	ln -sfn lib64 out/lib
	built_state >build/quick.stamp
	say "built into out/"
fi

# --- configuration: written once, then the user's to edit --------------------------------------------------------------
write_config() {
	local n=${ranks:-4} i
	{
		cat <<YAML
name: daos_server
mgmt_svc_replicas: [localhost]
port: $control_port
provider: ofi+tcp
socket_dir: $dir/run
control_log_file: $log/daos_server.log
transport_config:
  allow_insecure: true
engines:
YAML
		for ((i = 0; i < n; i++)); do
			cat <<YAML
- targets: 1
  fault_path: /local/rank$i
  fabric_iface: lo
  fabric_iface_port: $((base_port + i * stride))
  log_file: $log/engine$i.log
  storage:
  - class: file
    scm_mount: $dir/storage/engine$i/scm
  - class: file
    bdev_list: [$dir/storage/engine$i/nvme]
YAML
		done
	} >"$dir/etc/daos_server.yml"
	cat >"$dir/etc/daos_agent.yml" <<YAML
name: daos_server
access_points: [localhost]
port: $control_port
runtime_dir: $dir/run/agent
log_file: $log/daos_agent.log
transport_config:
  allow_insecure: true
YAML
	cat >"$dir/etc/daos_control.yml" <<YAML
name: daos_server
port: $control_port
hostlist: [localhost]
transport_config:
  allow_insecure: true
YAML
}
if [ ! -s "$dir/etc/daos_server.yml" ]; then
	write_config
elif [ -n "$ranks" ] && [ "$(grep -c '^- targets' "$dir/etc/daos_server.yml")" != "$ranks" ]; then
	die "$dir holds a system of $(grep -c '^- targets' "$dir/etc/daos_server.yml") ranks; use --dir for another one, or --clean first"
fi
n=$(grep -c '^- targets' "$dir/etc/daos_server.yml")
dmg() { command dmg -o "$dir/etc/daos_control.yml" "$@"; }

# --- start -------------------------------------------------------------------------------------------------------------
if mounted && ! running "$server_pid_file" daos_server; then
	[ "$(cat "$dir/run/mountpoint" 2>/dev/null)" = "$mnt" ] ||
		die "$mnt is mounted by another system; stop that one first (its own ./quickstart.sh --stop)"
	fusermount3 -uz "$mnt" # left behind by a system that died
fi
echo "$mnt" >"$dir/run/mountpoint"
if ! running "$server_pid_file" daos_server; then
	say "starting $n ranks"
	setsid daos_server start -o "$dir/etc/daos_server.yml" --auto-format >"$log/daos_server.out" 2>&1 </dev/null &
	echo $! >"$server_pid_file"
fi
if ! running "$agent_pid_file" daos_agent; then
	setsid daos_agent -o "$dir/etc/daos_agent.yml" >"$log/daos_agent.out" 2>&1 </dev/null &
	echo $! >"$agent_pid_file"
fi
for ((i = 0; ; i++)); do
	joined=$(dmg -j system query 2>/dev/null | grep -c '"state": "joined"')
	[ "${joined:-0}" -ge "$n" ] && break
	running "$server_pid_file" daos_server || die "daos_server ended" "$log/daos_server.out"
	[ $i -lt 1200 ] || die "only ${joined:-0} of $n ranks joined within 60 s" "$log/daos_server.log"
	sleep 0.05
done
[ -S "$DAOS_AGENT_DRPC_DIR/daos_agent.sock" ] || running "$agent_pid_file" daos_agent ||
	die "daos_agent ended" "$log/daos_agent.out"
say "$n ranks have joined"

step_log=$log/quickstart.log
fresh=0
if ! daos pool query "$pool" >"$step_log" 2>&1; then
	# per rank, in MiB: at most half of what is free now, and no more than a trial needs
	free_mib=$(($(df -B1 --output=avail "$dir" | tail -n 1) / 1048576))
	nvme=$((free_mib / 2 / n))
	[ $nvme -ge 192 ] || die "$dir has only $free_mib MiB free; $n ranks need $((n * 400))"
	scm=$((nvme / 8)) nvme=$((nvme - nvme / 8))
	[ $scm -ge 64 ] || scm=64
	[ $scm -le 512 ] || scm=512
	[ $nvme -le 8192 ] || nvme=8192
	dmg pool create --scm-size="${scm}MiB" --nvme-size="${nvme}MiB" "$pool" >"$step_log" 2>&1 ||
		die "cannot create pool $pool" "$step_log"
	say "created pool $pool ($(((scm + nvme) * n / 1024)) GiB on $n ranks)"
fi
if ! daos container query "$pool" "$cont" >"$step_log" 2>&1; then
	daos container create --type=POSIX "$pool" "$cont" >"$step_log" 2>&1 ||
		die "cannot create container $cont" "$step_log"
	say "created container $cont"
	fresh=1
fi
if ! mounted; then
	start-dfuse.sh -m "$mnt" --pool "$pool" --cont "$cont" >"$step_log" 2>&1 || die "cannot mount $mnt" "$step_log"
fi
say "mounted at $mnt"

# --- real work: once ------------------------------------------------------------------------------------------------------
src=/usr/include
copy_with_progress() {
	local total done_nr=0 begin now
	total=$(find "$src" | wc -l)
	begin=$(date +%s%N)
	# cp names each file as it is done; count the names
	cp -av "$src" "$mnt/" 2>"$step_log" | while read -r _; do
		done_nr=$((done_nr + 1))
		if [ $((done_nr % 200)) -eq 0 ] || [ $done_nr -eq "$total" ]; then
			now=$(date +%s%N)
			rate=$((done_nr * 1000000000 / (now - begin + 1)))
			if [ -t 1 ]; then
				printf '\r  copied %d of %d files, %d per second, %d s left   ' "$done_nr" "$total" "$rate" \
					$(((total - done_nr) / (rate + 1)))
			elif [ $((done_nr % 2000)) -eq 0 ]; then
				echo "  copied $done_nr of $total files, $rate per second"
			fi
		fi
	done
	local rc=${PIPESTATUS[0]}
	[ -t 1 ] && echo
	return "$rc"
}
if [ $copy -eq 0 ]; then
	say "ready"
elif [ $fresh -eq 1 ] || [ ! -e "$mnt/.quickstart-done" ]; then
	files=$(find "$src" -type f | wc -l)
	say "copying $src ($files files)"
	copy_with_progress || die "the copy failed" "$step_log"
	say "comparing every byte"
	# links as links: some point out of the tree
	diff -r --no-dereference "$src" "$mnt/$(basename "$src")" >"$step_log" 2>&1 || die "the copy differs from $src" "$step_log"
	date >"$mnt/.quickstart-done"
	say "all $files files are equal"
else
	say "found the files of $(cat "$mnt/.quickstart-done"): $(find "$mnt" -type f | wc -l) files"
fi
echo
daos pool query "$pool" || die "cannot query pool $pool"
cat <<TXT

The system is up. What you can do next:
  cp -r SOMETHING $mnt/                          use it as any file system
  export PATH=$here/out/bin:\$PATH
  export DAOS_AGENT_DRPC_DIR=$DAOS_AGENT_DRPC_DIR
  daos container create --type=POSIX $pool mine   another container
  daos container list $pool
  dmg -o $dir/etc/daos_control.yml system query   state of the ranks
  ./quickstart.sh --stop                          stop it (files are kept);  --clean deletes everything
Logs: $log
TXT
