#!/usr/bin/env bash
# Mount containers under /tmp: launch-dfuse.sh POOL:CONT [POOL:CONT...] mounts each at /tmp/POOL/CONT, on every node of
# the job when PBS_NODEFILE or SLURM_JOB_NODELIST names nodes, on this one otherwise.
set -uo pipefail
die() { echo "ERROR: launch-dfuse.sh: $1" >&2; exit 1; }
usage() { echo "Usage: launch-dfuse.sh POOL:CONT [POOL:CONT...]"; }
case ${1:-} in -h | --help) usage; exit 0 ;; "") usage >&2; exit 1 ;; esac
self=$(dirname "$(realpath "$0")")
nodes=()
if [ -n "${PBS_NODEFILE:-}" ] && [ -r "$PBS_NODEFILE" ]; then
	mapfile -t nodes < <(sort -u "$PBS_NODEFILE")
elif [ -n "${SLURM_JOB_NODELIST:-}" ] && command -v scontrol >/dev/null; then
	mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
fi
rc=0
for pc in "$@"; do
	[[ $pc =~ ^[^:/]+:[^:/]+$ ]] || die "'$pc' is not of the form POOL:CONT"
	pool=${pc%%:*} cont=${pc#*:}
	cmd=("$self/start-dfuse.sh" -m "/tmp/$pool/$cont" --pool "$pool" --cont "$cont")
	if [ ${#nodes[@]} -le 1 ]; then
		"${cmd[@]}" || rc=1
		continue
	fi
	for n in "${nodes[@]}"; do
		ssh -o BatchMode=yes "$n" "DAOS_AGENT_DRPC_DIR=${DAOS_AGENT_DRPC_DIR:-} ${cmd[*]}" || { echo "ERROR: launch-dfuse.sh: $n: cannot mount $pc" >&2; rc=1; } &
	done
	wait
done
exit $rc
