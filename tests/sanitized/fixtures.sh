#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: fixtures.sh IPCSCOPE_FIXTURE [NAME...]
# Runs each fixture of a program that was built with sanitizers: until its state stands, through
# its work where it does some, and to its end. Whatever a sanitizer says of any of its processes is
# a failure, and so is another status than 0 and 77 (not possible here).
set -euo pipefail

# NAME="REASON": those that a sanitizer cannot run, or whose fault is what they are there for.
declare -A EXCEPTIONS=(
)
# NAME="SETTINGS": the size of a load, where the usual one takes long.
declare -A SETTINGS=(
  [crowd]="processes=40 descriptors=400 sysv=30"
  [maze]="processes=40"
)

# One fixture, in a process of its own; reports go to files, for many have no standard error.
run_one() {
  local name=$1 settings=$2 report status=0
  local reports=$SCRATCH/$name
  mkdir -m 1777 "$reports"
  export ASAN_OPTIONS=log_path=$reports/asan UBSAN_OPTIONS=log_path=$reports/ubsan:print_stacktrace=1
  # shellcheck disable=SC2086
  timeout -k 5 60 "$FIXTURE" --go "$name" $settings </dev/null >"$reports.out" 2>"$reports.err" || status=$?
  for report in "$reports"/*; do
    [[ -s $report ]] || continue
    printf '%s: %s\n' "$name" "$(head -n 30 "$report")"
    return 1
  done
  if [[ $status -ne 0 && $status -ne 77 ]]; then
    printf '%s: status %d: %s\n' "$name" "$status" "$(head -n 5 "$reports.err")"
    return 1
  fi
}

if [[ $1 == --one ]]; then
  run_one "$2" "$3"
  exit
fi

FIXTURE=$1
shift
export FIXTURE
[[ $EUID -eq 0 ]] || { echo "fixtures need root"; exit 77; }
grep -q __asan_init "$FIXTURE" || { echo "$FIXTURE has no sanitizers"; exit 1; }
SCRATCH=$(mktemp -d /tmp/ipcscope-test-sanitized-XXXXXX)
export SCRATCH
chmod 755 "$SCRATCH"  # some fixtures become other users
trap 'rm -rf "$SCRATCH"' EXIT

"$FIXTURE" --list --json | jq -r '.fixtures[] | .name + "\t" + .settings' >"$SCRATCH/list"
chosen=0
while IFS=$'\t' read -r name settings; do
  [[ $# -eq 0 || " $* " == *" $name "* ]] || continue
  if [[ -n ${EXCEPTIONS[$name]:-} ]]; then
    echo "$name is not run: ${EXCEPTIONS[$name]}" >&2
    continue
  fi
  chosen=$((chosen + 1))
  printf '%s\0%s\0' "$name" "${SETTINGS[$name]:-$settings}"
done <"$SCRATCH/list" >"$SCRATCH/work"
# They mostly wait.
status=0
xargs -0 -n 2 -P $((4 * $(nproc))) "$0" --one <"$SCRATCH/work" || status=1
echo "$chosen fixtures run"
[[ $chosen -gt 0 && $status -eq 0 ]]
