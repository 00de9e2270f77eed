#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where the output goes: pipes, full disks, terminals.
# shellcheck source=/dev/null disable=SC2153,SC2154
. "$(dirname "$0")/harness.sh"

full="ipcscope: cannot write the output: No space left on device"
for arguments in ls 'ls --json' 'ls --raw' 'ls -H' "show $$" leaks 'leaks --json' limits 'limits --json' 'doctor' \
  'top --batch -d 0.1' 'top --json -d 0.1' --help; do
  # shellcheck disable=SC2086
  "$IPCSCOPE" $arguments >/dev/full 2>"$SCRATCH/err"
  check "$arguments on a full disk: status 3" test $? -eq 3
  check "$arguments on a full disk: says so" grep -qxF "$full" "$SCRATCH/err"
done
"$IPCSCOPE" ls >&- 2>"$SCRATCH/err"
check "closed standard output: status 3" test $? -eq 3
check "closed standard output: says so" grep -q 'cannot write the output: Bad file' "$SCRATCH/err"

# A reader that has seen enough is no error.
"$IPCSCOPE" ls -H 2>"$SCRATCH/err" | true
check "a closed pipe says nothing" test ! -s "$SCRATCH/err"
(
  trap '' PIPE
  "$IPCSCOPE" ls --json 2>"$SCRATCH/err" | true
)
check "a closed pipe without SIGPIPE says nothing" test -z "$(grep -v ': partial\|: unavailable' "$SCRATCH/err")"

# What goes to a pipe has no control codes, and is no wider for COLUMNS.
COLUMNS=20 "$IPCSCOPE" ls 2>/dev/null >"$SCRATCH/out"
check "no escape codes in a pipe" test -z "$(grep -P '[\x00-\x08\x0b-\x1f\x7f]' "$SCRATCH/out")"
check "no summary in a pipe" test -z "$(grep -E '^[0-9]+ channels' "$SCRATCH/out")"
"$IPCSCOPE" ls --color=always 2>/dev/null | grep -c $'\e\\[1mID' >/dev/null || fail "--color=always colours a pipe"
"$IPCSCOPE" ls -n 2>/dev/null | grep -c '^ID' >/dev/null && fail "-n prints headings"
"$IPCSCOPE" ls --raw -n -o id,bytes,pids 2>/dev/null >"$SCRATCH/out"
check "--raw has as many words a line as columns" \
  test -z "$(awk 'NF != 3' "$SCRATCH/out")"

# terminal WIDTH [VARIABLE=VALUE] -- ARGUMENTS: what a terminal of that width is sent.
terminal() {
  local width=$1
  shift
  script -qec "stty cols $width rows 24; env $*" /dev/null </dev/null | tr -d '\r'
}
strip='s/\x1b\[[0-9;]*m//g'
for width in 1 2 7 20 40 80 100 250; do
  # What is below the list is never broken for a column of a few letters.
  list=(ls)
  [[ $width -lt 10 ]] && list=(ls --noheadings '2>/dev/null')
  terminal $width "$IPCSCOPE" "${list[@]}" >"$SCRATCH/out"
  widest=$(sed "$strip" "$SCRATCH/out" | wc -L)
  check "a terminal $width columns wide is not overrun (got $widest)" test "$widest" -le "$width"
  [[ $width -lt 10 ]] && terminal $width "$IPCSCOPE" ls >"$SCRATCH/out"
  check "a terminal $width columns wide gets a summary" grep -qE '[0-9]+ channels?[:;]' <<<"$(paste -sd ' ' "$SCRATCH/out")"
done
# What is below the list is broken between words.
terminal 40 IPCSCOPE_WITHOUT=bpf "$IPCSCOPE" ls | sed "$strip" >"$SCRATCH/out"
below=$(sed -n '/^[0-9]* channels\?[:;]/,$s/^ *//p' "$SCRATCH/out" | paste -sd ' ')
check "the counts are broken between words" grep -qE "^[0-9]+ channels?:( [0-9]+ [a-z0-9_]+[,;])+ [0-9]+ threads? waits? coverage: " <<<"$below"
check "the coverage is broken between words" grep -qF "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE; 'ipcscope doctor' tells more" <<<"$below"
check "and does not overrun it" test "$(wc -L <"$SCRATCH/out")" -le 40
for command in "show $$" doctor 'ls --tree' 'ls -H'; do
  # shellcheck disable=SC2086
  terminal 20 "$IPCSCOPE" $command >"$SCRATCH/out"
  check "$command on 20 columns" test -s "$SCRATCH/out"
done
terminal 80 "$IPCSCOPE" ls | grep -c $'\e\\[1m' >/dev/null || fail "a terminal gets colours"
terminal 80 NO_COLOR=1 "$IPCSCOPE" ls | grep -c $'\e\\[' >/dev/null && fail "NO_COLOR is ignored"
terminal 80 TERM=dumb "$IPCSCOPE" ls | grep -c $'\e\\[' >/dev/null && fail "TERM=dumb is ignored"
terminal 80 COLUMNS=33 "$IPCSCOPE" ls >"$SCRATCH/out"
widest=$(sed "$strip" "$SCRATCH/out" | wc -L)
check "COLUMNS is the width of the terminal" test "$widest" -le 33
terminal 80 LC_ALL=C "$IPCSCOPE" ls --tree | grep -cP '[^\x00-\x7f]' >/dev/null && fail "C locale gets ASCII only"
finish
