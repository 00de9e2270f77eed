#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limits: its table, its JSON, its status; in an IPC namespace of its own, where one is made near.
# shellcheck source=/dev/null disable=SC2016,SC2153,SC2154
if [[ $EUID -eq 0 && -z ${IPCSCOPE_TEST_INSIDE:-} ]]; then
  IPCSCOPE_TEST_INSIDE=1 exec unshare --ipc "$0" "$@"
fi
. "$(dirname "$0")/harness.sh"

# holds DESCRIPTION JQ-CONDITION: on $SCRATCH/out
holds() {
  jq -e "$2" "$SCRATCH/out" >/dev/null || fail "$1"
}

# contract DESCRIPTION: what ipcscope-json(5) promises of $SCRATCH/out.
contract() {
  holds "$1: head" '.schema == "ipcscope/1" and .command == "limits" and (.coverage | type) == "array"'
  holds "$1: keys" 'all(.limits[]; (keys - ["scope_hex","remedy_hex","note_hex"]) ==
    ["at_most","ceiling","limit","name","namespace","note","percent","remedy","scope","severity","unit","unlimited","used","users"])'
  holds "$1: severities" 'all(.limits[]; .severity | IN("info", "warning", "critical"))'
  holds "$1: severities follow the share" 'all(.limits[] | select((.used | type) == "number" and (.limit | type) == "number" and .limit > 0
    and (.ceiling or .at_most or .note != null | not)); (.used / .limit * 100) as $p |
    .severity == (if $p >= 95 then "critical" elif $p >= 80 then "warning" else "info" end))'
  holds "$1: shares" 'all(.limits[]; (.percent == null) == (.used == null or .limit == null))'
  holds "$1: users" 'all(.limits[].users[]; (keys - ["comm_hex","user_hex"]) == ["comm","pid","uid","used","user"])'
  holds "$1: findings" '[.limits[] | select(.severity != "info") | .remedy] == [.findings[].advice]'
  holds "$1: keys of a finding" 'all(.findings[]; .rule == "near-limit" and
    keys == ["advice","channels","evidence","pids","rule","severity","summary","tids"])'
  holds "$1: nearest first" '[.limits[] | .severity] as $s | ($s | map({critical: 0, warning: 1, info: 2}[.])) as $n | $n == ($n | sort)'
  holds "$1: the status tells" "(.findings != []) == ($status == 1)"
}
every='["SHMMNI","SHMALL","SHMMAX","SEMMNI","SEMMNS","SEMMSL","SEMOPM","SEMUME","MSGMNI","MSGMNB","MSGMAX",
  "fs.mqueue.queues_max","fs.mqueue.msg_max","fs.mqueue.msgsize_max","RLIMIT_MSGQUEUE","fs.pipe-user-pages-soft",
  "fs.pipe-user-pages-hard","fs.pipe-max-size","net.unix.max_dgram_qlen","net.core.somaxconn","net.core.rmem_max",
  "net.core.wmem_max","net.ipv4.ip_local_port_range","net.ipv4.tcp_max_tw_buckets","RLIMIT_NOFILE","fs.file-max",
  "fs.nr_open","fs.inotify.max_user_instances","fs.inotify.max_user_watches","fs.epoll.max_user_watches",
  "RLIMIT_SIGPENDING","/dev/shm size","/dev/shm nr_inodes","kernel.threads-max","kernel.pid_max"]'

for source in auto proc; do
  run limits --json --source=$source
  contract "limits --source=$source"
  holds "limits --source=$source: every limit is told" "$every - [.limits[].name] == []"
  run limits --json -p $$ --source=$source
  contract "limits -p --source=$source"
  holds "limits -p --source=$source: every limit is told" "$every - [.limits[].name] == []"
  holds "limits -p --source=$source: no other process" "all(.limits[].scope; (startswith(\"process:\") | not) or . == \"process:$$\")"
done

run limits -H
check "-H" diff "$GOLDEN/limits-columns.txt" "$SCRATCH/out"
[[ -n ${UPDATE:-} ]] && cp "$SCRATCH/out" "$GOLDEN/limits-columns.txt"
run limits
check "without a terminal: no summary" test -z "$(grep 'limits shown' "$SCRATCH/out")"
check "without a terminal: no control bytes" test -z "$(LC_ALL=C grep -aP '[\x00-\x09\x0b-\x1f\x7f]' "$SCRATCH/out")"
check "a heading" grep -qE '^LIMIT +SCOPE +USED +CAP +% +BY$' "$SCRATCH/out"
run limits --all
check "--all: what nothing keeps is -" grep -qE '^SEMOPM +ipc +- +[0-9]+ +-' "$SCRATCH/out"
run limits --raw -n --all -o limit,scope,used,cap,percent,severity,remedy,note,by
check "--raw: as many words a line as columns" test -z "$(awk 'NF != 9' "$SCRATCH/out")"

expect 2 "ipcscope: unknown column 'percnt'; did you mean 'percent'?; try 'ipcscope limits --help'" limits -o percnt
expect 2 "ipcscope: 'x' is not a process number; try 'ipcscope limits --help'" limits -p x
expect 2 "ipcscope: '-p' takes one process; try 'ipcscope limits --help'" limits -p 1,2
expect 2 "ipcscope: no process 4194305" limits -p 4194305
expect 2 "ipcscope: '--json' and '--raw' cannot be used together; try 'ipcscope limits --help'" limits --json --raw
expect 2 "ipcscope: unknown option '--al'; did you mean '--all'?; try 'ipcscope limits --help'" limits --al

# What a terminal is sent.
for width in 20 40 60 80 120; do
  script -qec "stty cols $width rows 24; $IPCSCOPE limits --all" /dev/null </dev/null | tr -d '\r' >"$SCRATCH/out"
  widest=$(sed 's/\x1b\[[0-9;]*m//g' "$SCRATCH/out" | sed '/^$/q' | grep -vE '^(coverage|nothing|[0-9]+ near)' | wc -L)
  [[ $width -lt 40 ]] || check "a terminal $width columns wide is not overrun (got $widest)" test "$widest" -le "$width"
  check "a terminal $width columns wide gets an answer" test -s "$SCRATCH/out"
done

if [[ $EUID -ne 0 ]] || ! echo 4 2>/dev/null >/proc/sys/kernel/msgmni; then
  echo "settings of an IPC namespace cannot be changed here: not tried near"
  finish
fi
for _ in 1 2 3; do ipcmk -Q >/dev/null; done
run limits
check "75 % is not near" test -z "$(grep '^near-limit: MSGMNI' "$SCRATCH/out")"
ipcmk -Q >/dev/null
run limits
check "full: status" test "$status" -eq 1
check "full: the first line" test -n "$(sed -n 2p "$SCRATCH/out" | grep -E '^[A-Za-z].* (100|9[0-9])% ')"
check "full: in the table" grep -qE '^MSGMNI +ipc +4 +4 +100% +root 4$' "$SCRATCH/out"
check "full: the finding" grep -qxF 'near-limit: MSGMNI of this IPC namespace: 4 of 4 (100 %)' "$SCRATCH/out"
check "full: the command" grep -qxF '  do         sysctl -w kernel.msgmni=8' "$SCRATCH/out"
run limits -n
check "-n: no findings" test -z "$(grep '^near-limit' "$SCRATCH/out")"
run limits --json
contract "full"
holds "full: the limit" 'any(.limits[]; .name == "MSGMNI" and .scope == "ipc" and .used == 4 and .limit == 4 and .percent == 100
  and .severity == "critical" and .users[0].user == "root" and .users[0].used == 4)'
run limits --strict
check "--strict: what is near comes first" test "$status" -eq 1
sysctl -qw kernel.msgmni=8
run limits --json
holds "raised: no finding" 'all(.findings[]; .summary | startswith("MSGMNI of this") | not)'
finish
