#!/usr/bin/env bash
# All that vos_dump says about the sample.   show.sh VOS_DUMP DIR
set -euo pipefail
vos_dump=$1 dir=$2
"$vos_dump" list "$dir"
"$vos_dump" list "$dir" 5a
for cont in $("$vos_dump" -j list "$dir" 5a | python3 -c '
import json, sys
for c in json.load(sys.stdin)["response"]["containers"]:
    print(c["container"])'); do
	echo "--- $cont"
	"$vos_dump" show -b 32 "$dir" 5a "$cont"
done
"$vos_dump" space "$dir"
"$vos_dump" wal -r "$dir"
