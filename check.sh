#!/usr/bin/env bash
# Install, build and run every test. The last line printed is "N passed, N failed, N skipped"; exit status 1 if any failed.
#
#   ./check.sh              everything, in under 40 minutes on two cores
#   ./check.sh --quick      one build (gcc), its tests and the style checks
#   ./check.sh --long       everything with long soaks (hours)
#   ./check.sh --only NAME  one part: style, gcc, clang, asan, tsan, mutants, system
set -uo pipefail
cd "$(dirname "$0")"

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }
parts=(style gcc asan tsan clang mutants system)
long=0
while [ $# -gt 0 ]; do
	case $1 in
	--quick) parts=(style gcc) ;;
	--long) long=1 ;;
	--only) [ $# -ge 2 ] || { echo "check.sh: --only needs a name" >&2; exit 2; }; parts=("$2"); shift ;;
	-h | --help) usage; exit 0 ;;
	*) echo "check.sh: unknown option '$1' (--help shows them)" >&2; exit 2 ;;
	esac
	shift
done
export DAOS_TEST_LONG=$long
passed=0 failed=0 skipped=0
jobs=$(nproc)
start=$SECONDS

say() { printf '[%4ds] %s\n' $((SECONDS - start)) "$*"; }
count() { # count STATUS NAME
	case $1 in
	ok) passed=$((passed + 1)) ;;
	skip) skipped=$((skipped + 1)); say "SKIPPED $2" ;;
	*) failed=$((failed + 1)); say "FAILED  $2" ;;
	esac
}
step() { # step NAME COMMAND...: one check that passes or fails as a whole
	local name=$1 log; shift
	log=$(mktemp)
	if "$@" >"$log" 2>&1; then count ok "$name"; else tail -n 40 "$log"; count fail "$name"; fi
	rm -f "$log"
}

# build_and_test NAME BUILDDIR COMPILER SUITE-ARGS -- MESON-OPTIONS
build_and_test() {
	local name=$1 dir=$2 compiler=$3 log; shift 3
	local -a select=()
	while [ "$1" != -- ]; do select+=("$1"); shift; done
	shift
	mkdir -p build
	log=build/$name.log
	say "$name: building"
	if ! { { [ -f "$dir/build.ninja" ] || CC=$compiler meson setup "$dir" "$@"; } && ninja -C "$dir" -j "$jobs"; } \
		>"$log" 2>&1; then
		grep -E 'error|FAILED|ERROR' "$log" | head -n 20
		say "the whole log: $log"
		count fail "$name: build"
		return
	fi
	count ok "$name: build"
	say "$name: testing"
	meson test -C "$dir" --no-rebuild --num-processes "$jobs" --timeout-multiplier 10 --print-errorlogs "${select[@]}" >"$log.tests" 2>&1
	local json=$dir/meson-logs/testlog.json
	[ -s "$json" ] || { tail -n 20 "$log.tests"; count fail "$name: no tests ran"; return; }
	while read -r result test; do
		case $result in
		OK | EXPECTEDFAIL) count ok "$name: $test" ;;
		SKIP) count skip "$name: $test" ;;
		*) count fail "$name: $test ($result)" ;;
		esac
	done < <(python3 -c '
import json, sys
for line in open(sys.argv[1]):
    r = json.loads(line)
    print(r["result"], r["name"].replace(" ", ""))
' "$json")
	grep -hE '^(crash states|model steps|sim seed|sim:|planted)' "$dir/meson-logs/testlog.txt" 2>/dev/null | sort -u | head -n 60
	# the same counted together
	awk '/^(crash states|model steps): [0-9]/ { n[$1 " " $2] += $3 } END { for (k in n) print k, n[k], "in all" }' \
		"$dir/meson-logs/testlog.txt" 2>/dev/null
}

run_part() {
	case $1 in
	style)
		say "style: layers, format"
		step "style: layers" python3 tools/check-layers.py
		step "style: format" tools/check-format.sh
		;;
	gcc) build_and_test gcc build/gcc gcc -- ;;
	clang)
		# the long searches of gcc's build need no repetition
		DAOS_TEST_BRIEF=1 build_and_test clang build/clang clang -- -Dbuildtype=debugoptimized
		;;
	asan)
		export ASAN_OPTIONS=detect_stack_use_after_return=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
		build_and_test asan build/asan gcc -- -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
		;;
	tsan)
		export TSAN_OPTIONS=halt_on_error=1:suppressions=$PWD/tools/tsan.supp
		# what has threads: the rest is one thread by construction, and takes minutes under this one
		local suite threads=()
		for suite in base runtime net client gurt common dfs api; do threads+=(--suite "$suite"); done
		build_and_test tsan build/tsan clang "${threads[@]}" -- -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
		;;
	mutants)
		say "mutants: planted bugs"
		mkdir -p build
		if tests/mutants/run.py --jobs "$jobs" | tee build/mutants.log; then count ok mutants; else count fail mutants; fi
		;;
	system)
		if [ -x tests/cluster/run.sh ]; then
			say "system: a real local cluster"
			while read -r result test; do count "$result" "system: $test"; done < <(tests/cluster/run.sh)
		fi
		;;
	*) echo "check.sh: no part is called '$1'" >&2; exit 2 ;;
	esac
}

say "installing"
tools/install-packages.sh --test || exit 1
for p in "${parts[@]}"; do run_part "$p"; done
say "done"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
