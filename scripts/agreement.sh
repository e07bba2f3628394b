#!/usr/bin/env bash
# Records runs with whole phases under results/agreement, as many as are missing (SUITES and
# CATALOGUES of them), and replays the looks on all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=results/agreement
suites=${SUITES:-30} catalogues=${CATALOGUES:-3}

# record KIND COUNT ARGUMENT... makes runs until there are COUNT. One that was interrupted is
# not counted.
record() {
	local kind=$1 count=$2 have
	shift 2
	mkdir -p "$folder/$kind"
	while have=$(grep -ls '"status": "completed"' "$folder/$kind"/2*/run.json | wc -l); [ "$have" -lt "$count" ]; do
		echo "agreement: $kind $((have + 1)) of $count"
		# What the run came to is not what is asked here.
		./bin/lockjam run --server process --thorough --quiet --out "$folder/$kind" "$@" >/dev/null || [ $? -le 2 ]
	done
}

record suites "$suites"
record catalogues "$catalogues" --all

for run in "$folder"/suites/2* "$folder"/catalogues/2*; do
	./bin/lockjam judge "$run" --looks | sed -n '/^ARM .*AT THE LOOK/,$p; /^looks:/p' | sed '/^report:/d' | sed "s#^looks:#$run:#" || [ $? -le 2 ]
done | awk '!seen[$0]++' | tee "$folder/report.txt"
awk '/decided before the end/ {
	for (i = 1; i <= NF; i++) { if ($i == "of") { early += $(i-1); all += $(i+1) } if ($i ~ /^saved/) saved += $(i-2); if ($i == "would") differ += $(i-2) }
} END { printf "agreement: %d of %d verdicts decided before the end, %.0f s saved, %d would differ\n", early, all, saved, differ }' "$folder/report.txt"
