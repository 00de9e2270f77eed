#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `locks`: how measuring begins and ends, and where its output goes.
# shellcheck source=/dev/null disable=SC2153,SC2154
. "$(dirname "$0")/harness.sh"

# holds DESCRIPTION ARGUMENTS-OF-JQ...: about the output of the last run.
holds() {
  local what=$1
  shift
  jq -e "$@" "$SCRATCH/out" >/dev/null || fail "$what"
}

run locks -d 0.1
if [[ $status -eq 3 ]]; then
  check "where nothing can be measured: one line" test "$(wc -l <"$SCRATCH/err")" -eq 1
  check "where nothing can be measured: no output" test ! -s "$SCRATCH/out"
  finish
fi
check "locks: status" test "$status" -eq 0
check "locks: says that it measures" grep -qxF "ipcscope: measuring; Ctrl-C ends it" "$SCRATCH/err"
check "locks: says how long it measured" grep -qE '^measured [0-9]+ms: ' "$SCRATCH/out"
check "locks: no escape codes in a pipe" test -z "$(grep -P '[\x00-\x08\x0b-\x1f\x7f]' "$SCRATCH/out")"
run locks -d 0.1 -n
check "-n: no summary" test -z "$(grep -E '^(measured|LOCK|nobody)' "$SCRATCH/out")"

# Two processes that take turns at a file lock, the second for long.
lock=$SCRATCH/lock
touch "$lock"
(while true; do flock "$lock" sleep 0.05; done) &
first=$!
(while true; do flock "$lock" sleep 0.05; done) &
second=$!
run locks -d 2 --kind flock --json
holds "--json is one object" -s 'length == 1 and .[0].schema == "ipcscope/1"'
# shellcheck disable=SC2016  # $id is of jq
holds "a file lock is measured" --arg id "flock:$lock" \
  '.locks[] | select(.id == $id) | .waits > 3 and .wait_ms.total > 300 and .holder_source == "file_lock"'
holds "only the kind that was asked for" '[.locks[].kind] | unique - ["flock"] == []'
run locks -d 1 "flock:$lock"
check "one lock is told with a histogram" grep -qE '^  \[.*\)  +[0-9]+ \|@' "$SCRATCH/out"
for by in thread pair; do
  run locks -d 1 --kind flock --by $by
  check "--by $by has a row" grep -q "flock\[" "$SCRATCH/out"
done
kill $first $second

# --interval prints a line each time, and Ctrl-C ends it with what there is.
timeout -s INT 3 "$IPCSCOPE" locks --interval 0.8 --json >"$SCRATCH/out" 2>"$SCRATCH/err"
lines=$(wc -l <"$SCRATCH/out")
check "--interval prints a line each time (got $lines)" test "$lines" -ge 2 -a "$lines" -le 4
holds "each line is an object" -s 'map(.window_ms > 0) | all'
begin=$SECONDS
rm "$SCRATCH/err"
"$IPCSCOPE" locks -d 30 >"$SCRATCH/out" 2>"$SCRATCH/err" &
measuring=$!
until grep -qs measuring "$SCRATCH/err"; do sleep 0.05; done
kill -TERM $measuring
wait $measuring
check "a signal ends it with an answer: status" test $? -eq 0
check "a signal ends it with an answer" grep -q '^measured ' "$SCRATCH/out"
check "a signal ends it at once" test $((SECONDS - begin)) -lt 10

# A target that ends, and a reader that has seen enough.
sleep 0.5 &
run locks -d 30 -p $!
check "the end of the target ends it" grep -qxF "ipcscope: all that was to be measured has ended" "$SCRATCH/err"
begin=$SECONDS
"$IPCSCOPE" locks --interval 0.2 --json 2>/dev/null | head -n 1 >"$SCRATCH/out"
check "a closed pipe ends it" test $((SECONDS - begin)) -lt 10
"$IPCSCOPE" locks -d 0.1 >/dev/full 2>"$SCRATCH/err"
check "a full disk: status 3" test $? -eq 3

# At a terminal the line that says how far it is goes away, and tables fit.
for width in 40 60 100; do
  script -qec "stty cols $width rows 24; '$IPCSCOPE' locks -d 0.3" /dev/null </dev/null | tr -d '\r' >"$SCRATCH/out"
  check "progress at a terminal" grep -q 'measuring, 0' "$SCRATCH/out"
  widest=$(sed -E $'s/.*\e\\[K//; s/\e\\[[0-9;]*m//g' "$SCRATCH/out" | grep -v '^coverage: ' | wc -L)
  check "a terminal $width columns wide is not overrun (got $widest)" test "$widest" -le "$width"
done
finish
