#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What other kernels lack is switched off on this one, each thing alone: the answer comes from
# elsewhere, and says so. And a kernel's types from a file.
# The dollars in quotes are jq's.
# shellcheck disable=SC2016
# shellcheck source=/dev/null disable=SC2153,SC2154
. "$(dirname "$0")/harness.sh"
FIXTURE=$(dirname "$IPCSCOPE")/ipcscope-fixture

# holds DESCRIPTION ARGUMENTS-OF-JQ...: about the output of the last run.
holds() {
  local what=$1
  shift
  jq -e "$@" "$SCRATCH/out" >/dev/null || fail "$what: $(head -c 300 "$SCRATCH/err")"
}

# without NAMES ARGUMENTS...: as run.
without() {
  local names=$1
  shift
  IPCSCOPE_WITHOUT=$names run "$@"
}

# start NAME: a fixture that holds until this test ends; its first channel is then in ids[NAME].
declare -A ids
start() {
  local waited
  mkfifo "$SCRATCH/$1.hold"
  "$FIXTURE" "$1" <"$SCRATCH/$1.hold" >"$SCRATCH/$1.json" &
  # shellcheck disable=SC2034
  exec {held}>"$SCRATCH/$1.hold"
  for ((waited = 0; waited < 100; waited++)); do
    [[ -s $SCRATCH/$1.json ]] && break
    sleep 0.1
  done
  ids[$1]=$(jq -r '.channels[0].id' "$SCRATCH/$1.json")
}
for name in pipe-full unix-stream shm sem-wait mutex; do
  start "$name"
done

# lists NAME...: the last run listed the channels of these fixtures.
lists() {
  local each
  for each in "$@"; do
    holds "lists $each" --arg id "${ids[$each]}" 'any(.channels[]; .id == $id)'
  done
}

# misses CAPABILITY...: the last doctor has these and no others of what it had at first.
run doctor --json
here=$(jq -c '[.capabilities[] | select(.state == "works") | .name]' "$SCRATCH/out")
misses() {
  local wanted
  wanted=$(printf '%s\n' "$@" | jq -R . | jq -cs .)
  holds "doctor misses ${*}" --argjson here "$here" --argjson wanted "$wanted" \
    '[.capabilities[] | select(.state != "works") | .name] as $lost | ($here - ($here - $lost) | sort) == ($wanted - ($wanted - $here) | sort)'
}

IPCSCOPE_WITHOUT=bpff run ls
check "a name that it does not know: status" test "$status" -eq 2
check "a name that it does not know: one line" test "$(wc -l <"$SCRATCH/err")" -eq 1
check "a name that it does not know: names it" grep -q "'bpff' is none of bpf, btf," "$SCRATCH/err"

# --- what the proc source uses ---

# About one's own processes; memory of others may be protected in other ways.
for name in kcmp memory setns sock-diag mqueue scheduler-times system-calls stacks; do
  without "$name" ls --source=proc --json
  check "without $name: ls" test "$status" -eq 0
  lists pipe-full unix-stream shm
  without "$name" why --source=proc --json
  check "without $name: why" test "$status" -le 1
done
without scheduler-times ls --source=proc --json
holds "without scheduler-times: no time, and no wrong one" --arg id "${ids[pipe-full]}" \
  'all(.channels[] | select(.id == $id) | .waits[]; .since_ms == null)'
without system-calls doctor --json
misses "system calls"
without kcmp doctor --json
misses kcmp
without stacks doctor --json
misses "kernel stacks"

# --- BPF ---

if [[ $EUID -ne 0 || $here != *'"BPF iterator over tasks and files"'* ]]; then
  finish
fi
without bpf ls --json
check "without bpf: status" test "$status" -eq 0
holds "without bpf: the coverage says so" 'any(.coverage[]; .source == "bpf" and .state == "unavailable" and .reason != null)'
lists pipe-full unix-stream shm mutex
for command in locks trace; do
  without bpf $command -d 0.1
  check "without bpf: $command: status" test "$status" -eq 3
  check "without bpf: $command: one line" test "$(wc -l <"$SCRATCH/err")" -eq 1
  check "without bpf: $command: says what would help" grep -q "; run as root, or with CAP_BPF" "$SCRATCH/err"
done
without bpf ls --source=bpf
check "without bpf, and asked for it: status" test "$status" -eq 3

for names in direct-reads loops direct-reads,loops; do
  without $names ls --source=bpf --json
  check "without $names: status" test "$status" -eq 0
  lists pipe-full unix-stream shm sem-wait mutex
  holds "without $names: how full a pipe is" --arg id "${ids[pipe-full]}" \
    '.channels[] | select(.id == $id) | .depth.bytes == .capacity.bytes'
  without $names leaks --json
  check "without $names: leaks" test "$status" -le 1
done
without direct-reads locks -d 0.1 --json
check "without direct-reads: locks" test "$status" -eq 0
without direct-reads trace -d 0.1 --json
check "without direct-reads: trace" test "$status" -eq 0
for names in uprobe-multi direct-reads,uprobe-multi; do
  without $names locks -d 0.1 --deep -p $$ --json
  check "without $names: locks --deep" test "$status" -eq 0
  holds "without $names: its probes are there" '.deep.probes > 0 and .deep.call_ns > 0'
done
without direct-reads doctor --json
misses "BPF direct reads"
without uprobe-multi doctor --json
misses "BPF at many functions"
without loops doctor --json
misses "BPF loops"

without task-vma ls --json
holds "without task-vma: the coverage says so" \
  'any(.coverage[]; .source == "bpf-iter-vma" and .state == "unavailable" and .hint != null)'
lists pipe-full shm
holds "without task-vma: who has mapped what" --arg id "${ids[shm]}" \
  '.channels[] | select(.id == $id) | .endpoints | length > 0'
without task-vma doctor --json
misses "BPF iterator over mappings"

# --- the kernel's types ---

types=/sys/kernel/btf/vmlinux
without btf ls --json
holds "without btf: the coverage says what to do" 'any(.coverage[]; .source == "bpf" and (.hint | contains("--btf")))'
lists pipe-full
for command in locks trace; do
  without btf $command -d 0.1
  check "without btf: $command: status" test "$status" -eq 3
  check "without btf: $command: says what would help" grep -q -- "; needs a kernel with .* --btf; " "$SCRATCH/err"
done
without btf doctor --json
misses BTF "BPF iterator over tasks and files" "BPF loops" "BPF direct reads" \
  "BPF iterator over mappings" "BPF at context switches" "BPF at system calls"
cp "$types" "$SCRATCH/types"
for names in btf btf,direct-reads; do
  without $names ls --source=bpf --json --btf="$SCRATCH/types"
  check "without $names, with --btf: status" test "$status" -eq 0
  lists pipe-full unix-stream shm
  for command in locks trace; do
    without $names $command -d 0.1 --btf="$SCRATCH/types"
    check "without $names, with --btf: $command" test "$status" -eq 0
  done
done
IPCSCOPE_BTF=$SCRATCH/types without btf doctor --json
holds "with IPCSCOPE_BTF: all that there was before" --argjson here "$here" \
  '($here - [.capabilities[] | select(.state == "works") | .name]) == []'

expect 2 "ipcscope: $SCRATCH/none: No such file or directory" ls --btf="$SCRATCH/none"
echo "no types" >"$SCRATCH/bad"
expect 2 "ipcscope: $SCRATCH/bad: has no BTF that can be read" ls --btf="$SCRATCH/bad"
expect 2 "ipcscope: $IPCSCOPE: has no BTF that can be read" ls --btf="$IPCSCOPE"
head -c 100000 "$types" >"$SCRATCH/cut"
expect 2 "ipcscope: $SCRATCH/cut: has no BTF that can be read" ls --btf="$SCRATCH/cut"
finish
