#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Names made to drive a terminal or to break the output.
# shellcheck source=/dev/null disable=SC2153,SC2154
. "$(dirname "$0")/harness.sh"

evil=$'a\nb\e[31m\e]0;title\a\tc\x9b\xff\xe2\x80\xae\\n "quoted" caf\xc3\xa9'
mkfifo "$SCRATCH/$evil"
exec 3<>"$SCRATCH/$evil"
# A process with such a name: comm is the first 15 bytes of the file's.
command=$SCRATCH/$'\e[2J\n\xff"x'
cp "$(command -v sleep)" "$command"
"$command" 1000 > >(exec cat >/dev/null) &
process=$!
# As long as a path can be.
part=$(printf 'p%.0s' {1..250})
(
  cd "$SCRATCH" || exit 1
  for _ in {1..15}; do mkdir "$part" && cd "$part" || exit 1; done
  mkfifo "$part"
  exec 4<>"$part"
  exec sleep 1000
) &
deep=$!
sleep 0.5

for source in auto proc; do
  for arguments in ls 'ls --tree' 'ls --raw' 'ls fifo -o +name' "show $$" "show $process"; do
    # shellcheck disable=SC2086
    run $arguments --source=$source
    check "$arguments ($source): status" test "$status" -eq 0
    check "$arguments ($source): no control bytes" test -z "$(LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]' "$SCRATCH/out")"
    check "$arguments ($source): UTF-8" iconv -f UTF-8 -t UTF-8 "$SCRATCH/out" -o /dev/null
    check "$arguments ($source): no override" test -z "$(grep -F $'\u202e' "$SCRATCH/out")"
  done
  run ls --source=$source fifo -n -o id
  check "the name is escaped ($source)" \
    grep -qxF "fifo:$SCRATCH/"'a\nb\x1b[31m\x1b]0;title\x07\tc\x9b\xff\u{202e}\\n "quoted" café' "$SCRATCH/out"
  check "a long path is whole in a pipe ($source)" grep -qE "($part/){15}$part\$" "$SCRATCH/out"
  LC_ALL=C "$IPCSCOPE" ls --source=$source fifo -n -o id 2>/dev/null >"$SCRATCH/out"
  check "ASCII in the C locale ($source)" test -z "$(LC_ALL=C grep -aP '[^\x00-\x7f]' "$SCRATCH/out")"
  run ls --source=$source --json
  check "valid JSON ($source)" jq -e . "$SCRATCH/out" >/dev/null
  check "JSON without control bytes ($source)" test -z "$(LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]' "$SCRATCH/out")"
  hex=$(printf '%s' "$SCRATCH/$evil" | od -An -v -tx1 | tr -d ' \n')
  jq -e --arg hex "$hex" 'any(.channels[]; .name_hex == $hex)' "$SCRATCH/out" >/dev/null ||
    fail "the name's bytes are recoverable ($source)"
  jq -e --argjson pid $process 'any(.channels[].endpoints[]; .pid == $pid and .comm_hex == "1b5b324a0aff2278")' \
    "$SCRATCH/out" >/dev/null || fail "the command's bytes are recoverable ($source)"
  # What a table prints can be given back.
  run ls --source=$source fifo -n -o id --name '*title*'
  id=$(<"$SCRATCH/out")
  run show --source=$source --json "$id"
  jq -e --arg hex "$hex" '.channels | length == 1 and .[0].name_hex == $hex' "$SCRATCH/out" >/dev/null ||
    fail "an escaped id is understood ($source)"
done
kill $process $deep
finish
