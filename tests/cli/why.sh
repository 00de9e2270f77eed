#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who waits for whom, on two processes of our own that wait for each other's file lock.
# The dollars in quotes are jq's.
# shellcheck disable=SC2016
# shellcheck source=/dev/null disable=SC2153,SC2154
. "$(dirname "$0")/harness.sh"

# hold NAME OWN OTHER: takes the lock on OWN, and when the other has its own, waits for OTHER.
hold() {
  exec 8>"$SCRATCH/$2" 9>"$SCRATCH/$3"
  flock 8
  : >"$SCRATCH/$1.holds"
  while [[ ! -e $SCRATCH/left.holds || ! -e $SCRATCH/right.holds ]]; do sleep 0.05; done
  exec flock 9
}

# The flock program holds the first lock too: it has inherited the descriptor.
hold left a b &
left=$!
hold right b a &
right=$!
for _ in {1..100}; do
  [[ $(tr '\0' ' ' <"/proc/$left/cmdline" 2>/dev/null) == "flock 9 " &&
    $(tr '\0' ' ' <"/proc/$right/cmdline" 2>/dev/null) == "flock 9 " ]] && break
  sleep 0.1
done
sleep 0.3

for source in auto proc; do
  run why "$left" --source=$source
  check "why PID, $source: status" test "$status" -eq 0
  check "why PID, $source: verdict" grep -q '^verdict: deadlock: flock' "$SCRATCH/out"
  check "why PID, $source: finding" grep -q '^deadlock: 2 threads of 2 processes' "$SCRATCH/out"
  check "why PID, $source: no cursor codes" test -z "$(grep $'\e' "$SCRATCH/out")"

  run why --source=$source
  check "why, $source: status" test "$status" -eq 1
  check "why, $source: finding" grep -q "flock\\[$left\\], flock\\[$right\\]" "$SCRATCH/out"
  check "why, $source: what was checked" grep -qE '^checked [0-9,]+ threads, ' "$SCRATCH/out"

  run why "$left" --json --source=$source
  check "why --json, $source" jq -e --argjson left "$left" --argjson right "$right" '
    .schema == "ipcscope/1" and .command == "why" and (.coverage | length) > 0
    and (.chains | length) == 1 and .chains[0].pid == $left
    and [.chains[0].steps[].pid] == [$left, $right]
    and .chains[0].root.verdict == "deadlock"
    and ([.findings[] | select(.rule == "deadlock") | .tids | sort] | index([[$left, $right] | sort]))
    and (.graph.edges | length) == 2 and .graph.truncated == false
    and .looks.apart_ms >= 40' "$SCRATCH/out" >/dev/null
done

run why --json
check "why --json: status" test "$status" -eq 1
check "why --json: finding" jq -e --argjson left "$left" \
  '[.findings[] | select(.rule == "deadlock" and (.tids | index($left)))] | length == 1' \
  "$SCRATCH/out" >/dev/null
run why --once --json
check "why --once: one look" jq -e '.looks.apart_ms == null' "$SCRATCH/out" >/dev/null
check "why --once: finding" jq -e '.findings | length > 0' "$SCRATCH/out" >/dev/null

run why "$left" --dot
check "why --dot: begin" test "$(head -n 1 "$SCRATCH/out")" = 'digraph why {'
check "why --dot: a box each" test "$(grep -c 'shape=box' "$SCRATCH/out")" -eq 2
if command -v dot >/dev/null; then
  check "why --dot: graphviz takes it" dot -Tsvg -o /dev/null "$SCRATCH/out"
fi

# A thread that is idle is told all the same when it is asked for.
sleep 1000 &
idle=$!
sleep 0.2
run why $idle
check "why of a sleeper" grep -q '^verdict: sleeping on a timer, ' "$SCRATCH/out"

# --watch tells what is new, once, and ends with its reader or an interrupt.
timeout 20 "$IPCSCOPE" why --watch 0.2 --json >"$SCRATCH/out" 2>/dev/null &
watch=$!
sleep 2
check "why --watch goes on" kill -0 $watch
kill -INT "$(pgrep -P $watch)"
wait $watch
check "why --watch: status" test $? -eq 1
check "why --watch: objects" jq -e -s --argjson left "$left" \
  '[.[].findings[] | select(.tids | index($left))] | length == 1' "$SCRATCH/out" >/dev/null
start=$SECONDS
timeout 20 "$IPCSCOPE" why --watch 0.2 2>/dev/null | head -n 1 >/dev/null
check "why --watch ends with its reader" test $((SECONDS - start)) -lt 15

kill "$left" "$right" "$idle"
finish
