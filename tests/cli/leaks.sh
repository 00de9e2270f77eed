#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# leaks: its table, its JSON, a removal and the way back, where nothing else lives.
# shellcheck source=/dev/null disable=SC2016,SC2153,SC2154
if [[ $EUID -eq 0 && -z ${IPCSCOPE_TEST_INSIDE:-} ]]; then
  # System V objects, queues and /dev/shm of its own: what a failure leaves goes with them.
  IPCSCOPE_TEST_INSIDE=1 exec unshare --ipc --mount "$0" "$@"
fi
. "$(dirname "$0")/harness.sh"

# holds DESCRIPTION JQ-CONDITION: on $SCRATCH/out
holds() {
  jq -e "$2" "$SCRATCH/out" >/dev/null || fail "$1"
}

if [[ $EUID -ne 0 ]]; then
  run leaks --json
  check "an ordinary user gets an answer" test "$status" -le 1
  holds "an ordinary user's own objects" "all(.leaks[]; .owner == \"$(id -un)\")"
  finish
fi
mount -t tmpfs -o mode=1777 none /dev/shm || exit 1

run leaks shm sem msg posixshm posixsem mq
check "nothing: status" test "$status" -eq 0
check "nothing: said so" grep -qx 'nothing left behind' "$SCRATCH/out"
check "nothing: no table" test "$(grep -cv '^not shown: ' "$SCRATCH/out")" -eq 1

# ipcmk ends, and nobody ever attaches the segment; the set has no witness.
shm=$(ipcmk -M 8192 | grep -oE '[0-9]+$')
sem=$(ipcmk -S 3 | grep -oE '[0-9]+$')
evil=$'/dev/shm/ipcscope-test-\e[31m\n\xff'
head -c 8192 /dev/zero >"$evil"
touch -d '1 hour ago' "$evil"
printf hello >/dev/shm/ipcscope-test-file

run leaks shm
check "a segment: status" test "$status" -eq 1
check "a segment: in the table" grep -qE "^leaked +shm:$shm .* root +creator [0-9]+ ended; never attached\$" "$SCRATCH/out"
check "a segment: in the total" grep -qx 'leaked: 1 of [0-9,]* segments, 8.0 KiB' "$SCRATCH/out"
run leaks sem
check "an unused set: status" test "$status" -eq 0
check "an unused set is suspect" grep -qE "^suspect +sem:$sem .*(perhaps of .*|made or changed only now)\$" "$SCRATCH/out"
run leaks shm --min-age 1h
check "--min-age: status" test "$status" -eq 0
check "--min-age: why" grep -qE '^suspect .* young: ' "$SCRATCH/out"
run leaks shm --user nobody
check "--user: status" test "$status" -eq 0
run leaks shm -v
check "-v: the facts" grep -qE '^ +attached +nobody has it attached$' "$SCRATCH/out"
run leaks shm --raw -n -o id,size,verdict
check "--raw" grep -qx "shm:$shm 8192 leaked" "$SCRATCH/out"
check "--raw -n: nothing else" test "$(wc -l <"$SCRATCH/out")" -eq 1
run leaks posixshm file --min-age 0
check "hostile names: escaped" grep -qF 'posixshm:/ipcscope-test-\x1b[31m\n\xff' "$SCRATCH/out"
check "hostile names: no control bytes" test -z "$(LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]' "$SCRATCH/out")"
check "a file is a file" grep -qE '^suspect +file:/dev/shm/ipcscope-test-file ' "$SCRATCH/out"
ns=$(stat -L -c %i /proc/self/ns/ipc)
run leaks shm --namespace "$ns"
check "--namespace: the own one by number" grep -q "shm:$shm " "$SCRATCH/out"

# What a terminal of 60 columns is sent.
script -qec "stty cols 60 rows 24; $IPCSCOPE leaks" /dev/null </dev/null | tr -d '\r' >"$SCRATCH/out"
widest=$(sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/out" | grep -vE '^(leaked|coverage|not shown): ' | wc -L)
check "a terminal 60 columns wide is not overrun (got $widest)" test "$widest" -le 60

for arguments in 'leaks' 'leaks --all' 'leaks --namespace all' 'leaks --clean --dry-run' 'leaks --source=proc'; do
  # shellcheck disable=SC2086
  run $arguments --json
  check "$arguments: status" test "$status" -le 1
  holds "$arguments: head" '.schema == "ipcscope/1" and .command == "leaks" and (.coverage | type) == "array"'
  holds "$arguments: keys" 'all(.leaks[]; (keys - ["id_hex","lost_hex","outcome"]) ==
    ["age_s","bytes","creator","evidence","id","kind","lost","namespace","owner","removable","rule","severity","verdict"])'
  holds "$arguments: verdicts" 'all(.leaks[]; .verdict | IN("leaked", "suspect", "live"))'
  holds "$arguments: evidence" 'all(.leaks[].evidence; type == "object" and length > 0)'
  holds "$arguments: findings" '([.leaks[] | select(.verdict == "leaked") | .id]) == [.findings[].channels[0]]'
  holds "$arguments: keys of a finding" 'all(.findings[]; keys ==
    ["advice","channels","evidence","pids","rule","severity","summary","tids"])'
  holds "$arguments: the segment" "any(.leaks[]; .id == \"shm:$shm\" and .verdict == \"leaked\" and .bytes == 8192)"
done
run leaks --json --strict
check "--strict: what is leaked comes first" test "$status" -eq 1

run leaks shm --clean --dry-run --backup "$SCRATCH/backup"
check "--dry-run: status" test "$status" -eq 1
check "--dry-run: what" grep -qE "^would remove shm:$shm \(8.0 KiB, key 0x[0-9a-f]+\)\$" "$SCRATCH/out"
check "--dry-run: where" grep -qF "$SCRATCH/backup" "$SCRATCH/out"
check "--dry-run does nothing" test ! -e "$SCRATCH/backup"
check "--dry-run leaves the segment" test -n "$(ipcs -m -i "$shm" 2>/dev/null)"

# answer WORDS...: what --clean says to these answers on a terminal.
answer() {
  printf '%s\n' "$@" | script -qec "stty cols 200; $IPCSCOPE leaks shm --clean --backup $SCRATCH/backup; echo status \$?" /dev/null | tr -d '\r' >"$SCRATCH/out"
}
answer ''
check "an empty answer is no" grep -qx 'status 1' "$SCRATCH/out"
answer each n
check "each, and no" grep -qx 'status 1' "$SCRATCH/out"
check "no removes nothing" test -n "$(ipcs -m -i "$shm" 2>/dev/null)"
answer each y
check "each, and yes" grep -qE "^(remove .*)?removed shm:$shm " "$SCRATCH/out"
check "each, and yes: status" grep -qx 'status 0' "$SCRATCH/out"
undo=$(sed -n 's/^undo: ipcscope //p' "$SCRATCH/out")

# shellcheck disable=SC2086
run $undo
check "--restore: status" test "$status" -eq 0
check "--restore: told" grep -qE "^restored shm:$shm" "$SCRATCH/out"
# shellcheck disable=SC2086
run $undo --json
holds "--restore again: present" '.restored | length == 1 and .[0].state == "present"'

run leaks shm --clean --yes --json --no-backup
check "--clean --yes: status" test "$status" -eq 0
holds "--clean --yes: outcome" 'any(.leaks[]; .outcome == {"state":"removed","reason":null,"backup":null})'
run leaks shm --clean --yes --backup "$SCRATCH/backup"
check "--clean without work: status" test "$status" -eq 0
check "--clean without work: said so" grep -qx 'nothing to remove' "$SCRATCH/out"

ipcmk -M 4096 >/dev/null
: >"$SCRATCH/occupied"
run leaks shm --clean --yes --backup "$SCRATCH/occupied"
check "no room for a backup: status" test "$status" -eq 2
check "no room for a backup: one line" grep -qE '^ipcscope: .*nothing was removed' "$SCRATCH/err"
check "no room for a backup: nothing removed" test "$(ipcs -m | grep -c 0x)" -eq 1
run leaks --restore "$SCRATCH/occupied"
check "no backup: status" test "$status" -eq 2

# A path of ours can be the identifier of one in another mount namespace. The PID namespace hides
# everybody else's from --source=proc, and where leaks looks for paths there is nothing else.
export bind='use IO::Socket::UNIX; IO::Socket::UNIX->new(Local => $ARGV[0]) or die'
unshare --mount --pid --fork --mount-proc bash -c '
  for directory in /run /tmp /var; do mount -t tmpfs none "$directory" || exit 1; done
  unshare --mount bash -c "mount -t tmpfs none /run && perl -e \"\$bind\" /run/twin
    stat -L -c %i /proc/self/ns/mnt >/tmp/namespace; exec sleep 60" &
  for ((i = 0; i < 100; i++)); do [[ -s /tmp/namespace ]] && break; sleep 0.1; done
  perl -e "$bind" "/run/twin@$(</tmp/namespace)"
  /proc/self/fd/9 leaks unix --source=proc --namespace all --clean --yes --force --no-backup --json
  kill $!' 9<"$IPCSCOPE" >"$SCRATCH/out" 2>"$SCRATCH/err"
holds "two objects with one identifier" '(.leaks | map(.id) | length == 2 and (unique | length) == 1)'
holds "each is told its own outcome" 'all(.leaks[]; .outcome.state == "removed")'

# sem_open() that is killed leaves two names of one file.
unshare --mount bash -c '
  mount -t tmpfs none /dev/shm && head -c 32 /dev/zero >/dev/shm/sem.one && sleep 1.2
  ln /dev/shm/sem.one /dev/shm/sem.two && sleep 1.2
  /proc/self/fd/9 leaks posixsem --clean --yes --no-backup --min-age 0 --json
  ls /dev/shm >&2' 9<"$IPCSCOPE" >"$SCRATCH/out" 2>"$SCRATCH/err"
holds "two names of one semaphore" '[.leaks[].outcome.state] == ["removed", "removed"]'

# An ordinary user gets the own objects, and is told of the others.
if setpriv --reuid 65534 --clear-groups test -x "$IPCSCOPE"; then
  setpriv --reuid 65534 --clear-groups ipcmk -M 4096 >/dev/null
  setpriv --reuid 65534 --clear-groups "$IPCSCOPE" leaks shm --json >"$SCRATCH/out" 2>"$SCRATCH/err"
  holds "an ordinary user's own objects" '(.leaks | length) == 1 and .leaks[0].owner == "nobody"'
  holds "... and those of others, counted" '.other_users == {"leaked":1,"suspect":0}'
fi
finish
