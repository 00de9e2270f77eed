# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by each test here: sets IPCSCOPE, SCRATCH and the functions below.
set -uo pipefail
export LC_ALL=C.UTF-8
unset NO_COLOR COLUMNS
IPCSCOPE=$(realpath "${1:?usage: $0 PATH-OF-IPCSCOPE}")
# shellcheck disable=SC2034  # for the tests
GOLDEN=$(realpath "$(dirname "$0")")/golden
SCRATCH=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$SCRATCH"' EXIT
failures=0

fail() {
  printf 'FAILED %s\n' "$*"
  failures=$((failures + 1))
}

# run ARGUMENTS...: sets status; standard output and error are in $SCRATCH/out and $SCRATCH/err.
run() {
  "$IPCSCOPE" "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
  status=$?
}

# expect STATUS ERROR ARGUMENTS...: the exit status and the whole standard error.
expect() {
  local wanted=$1 error=$2
  shift 2
  run "$@"
  if [[ $status -ne $wanted || $(<"$SCRATCH/err") != "$error" ]]; then
    fail "ipcscope $*"
    printf '  expected %s: %s\n  got      %s: %s\n' "$wanted" "$error" "$status" "$(<"$SCRATCH/err")"
  fi
}

# check DESCRIPTION COMMAND...
check() {
  local what=$1
  shift
  "$@" || fail "$what"
}

finish() {
  [[ $failures -eq 0 ]] && exit 0
  echo "$failures failed"
  exit 1
}
