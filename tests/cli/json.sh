#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --json is valid, and has the members that the design promises.
# The dollars in quotes are jq's.
# shellcheck disable=SC2016
# shellcheck source=/dev/null disable=SC2153,SC2154
. "$(dirname "$0")/harness.sh"

# holds DESCRIPTION JQ-CONDITION: on $SCRATCH/out
holds() {
  jq -e "$2" "$SCRATCH/out" >/dev/null || fail "$1"
}
head='.schema == "ipcscope/1" and (.host | type) == "string" and (.kernel | type) == "string"
  and (.time | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$")) and has("boot_ns")
  and (.coverage | type) == "array"'
coverage='all(.coverage[]; keys_unsorted == ["source","state","checked","unreadable","lost","reason","hint"]
  and (.state | IN("full", "partial", "unavailable")))'

# The reader must end with the writer: it has the output of whoever runs this test open.
sleep 1000 > >(exec cat >/dev/null) &
writer=$!
for source in auto proc; do
  run ls --json --source=$source
  check "ls --json --source=$source: status" test "$status" -eq 0
  check "ls --json says everything in the JSON" test ! -s "$SCRATCH/err"
  holds "ls: head ($source)" "$head and .command == \"ls\""
  holds "ls: coverage ($source)" "$coverage"
  holds "ls: keys of a channel ($source)" 'all(.channels[]; (keys - ["id_hex","name_hex"])
    == ["attributes","capacity","depth","endpoints","id","kind","name","namespace","owner","permissions","waits"])'
  holds "ls: keys of an end ($source)" 'all(.channels[].endpoints[]; [has("pid","tid","comm","role","fd")] | all)'
  holds "ls: keys of a wait ($source)" 'all(.channels[].waits[];
    [has("pid","tid","comm","operation","since_ms","since_bound","timeout_ms")] | all)'
  holds "ls: amounts ($source)" 'all(.channels[]; (.depth | keys) == ["bytes","messages"] and (.capacity | keys) == ["bytes","messages"])'
  holds "ls: the id begins with the kind ($source)" 'all(.channels[]; .kind as $kind | .id | startswith($kind + ":"))'
  holds "ls: this pipe ($source)" "any(.channels[]; .kind == \"pipe\" and any(.endpoints[]; .pid == $writer and .role == \"writer\" and .fd == 1))"
  holds "ls: no id twice ($source)" '([.channels[].id] | length) == ([.channels[].id] | unique | length)'
  holds "ls: kinds are in their order ($source)" '[.channels[].kind] as $k | ([$k[0:-1], $k[1:]] | transpose | map(select(.[0] != .[1])) | length) <= ($k | unique | length)'
  # Every attribute is a column, apart from those with a column of the same meaning.
  mapfile -t keys < <(jq -r '[.channels[].attributes | keys[]] | unique[] | select(test("_hex$") | not)' "$SCRATCH/out")
  for key in "${keys[@]}"; do
    grep -qE "^$key +" "$GOLDEN/columns.txt" || fail "attribute $key is no column of ls -o"
  done
done

run ls --json -p $writer
holds "ls -p: only its channels" "(.channels | length) > 0 and all(.channels[]; any(.endpoints[]; .pid == $writer) or any(.waits[]; .pid == $writer))"
run ls --json --strict
holds "ls --strict: the status tells" "(if all(.coverage[]; .state == \"full\") then 0 else 4 end) == $status"
run ls --json pipe unix
holds "ls KIND: only these" 'all(.channels[]; .kind | IN("pipe", "unix"))'
run ls --json --blocked
holds "ls --blocked" 'all(.channels[]; .waits != [])'
run ls --json --name 'no such name'
holds "ls --name: nothing" '.channels == []'
run ls --json -p $writer pipe
id=$(jq -r '[.channels[] | select(any(.endpoints[]; .pid == '"$writer"' and .fd == 1))][0].id' "$SCRATCH/out")

run show --json "$id"
holds "show ID: head" "$head and .command == \"show\" and (.channels | length) == 1 and .channels[0].id == \"$id\""
holds "show ID: facts of both ends" "(.processes | length) == 2 and any(.processes[]; .pid == $writer and .command_line == [\"sleep\",\"1000\"])"
run show --json "${id#pipe:}" 
holds "show INODE" ".channels[0].id == \"$id\" or .processes != []"
run show --json $writer
holds "show PID" ".processes[0].pid == $writer and .processes[0].parents[0].pid == $$ and any(.processes[0].channels[]; . == \"$id\")"
holds "show PID: threads" '.processes[0].threads | length == 1 and (.[0] | [has("state","syscall","wchan","stack","waits","blocked_ms")] | all)'
holds "show PID: signals" '.processes[0].signals | keys == ["blocked","caught","ignored","pending"]'
run show "$id"
check "show ID in text" grep -qE "^ +writer +sleep\[$writer\]" "$SCRATCH/out"

# top: each frame is a line with everything that is asked for.
run top --json -n 2 -d 0.2
jq -s . "$SCRATCH/out" >"$SCRATCH/frames" && mv "$SCRATCH/frames" "$SCRATCH/out"
holds "top: two frames" 'length == 2'
holds "top: head" "all(.[]; $head and .command == \"top\")"
holds "top: every table" 'all(.[]; [.channels, .locks, .processes, .findings, .limits] | all(type == "array"))'
holds "top: no channel twice" 'all(.[]; ([.channels[].id] | length) == ([.channels[].id] | unique | length))'
holds "top: keys of a channel" 'all(.[].channels[]; [has("state", "rates", "fill_percent", "waiters", "longest_wait_ms", "active_pids", "endpoints", "waits")] | all)'
holds "top: states" 'all(.[].channels[]; .state | IN(null, "busy", "near", "full", "blocked", "jammed"))'
holds "top: rates" 'all(.[].channels[].rates, .[].processes[].rates; . == null or keys == ["read_bytes", "reads", "writes", "written_bytes"])'
holds "top: no rates where nothing was measured" 'all(.[]; .rates_window_ms != null or all(.channels[]; .rates == null))'
holds "top: keys of a process" 'all(.[].processes[]; keys - ["comm_hex", "user_hex"] ==
  ["blocked_percent", "blocked_threads", "comm", "longest_wait_ms", "mostly_on", "pid", "rates", "state", "user", "wait_ms"])'
holds "top: keys of a finding" 'all(.[].findings[]; [has("rule", "severity", "source", "seen_for_ms")] | all)'
holds "top: the host" 'all(.[]; (.blocked | keys == ["in_the_way", "kinds", "threads"]) and .blocked.in_the_way <= .blocked.threads and .self.rss_bytes > 0 and (.lost | type) == "number")'
run top --json -n 1 -d 0.2 --tab limits --top 3
holds "top --tab: the others are not asked for" '[.channels, .locks, .processes, .findings] == [null, null, null, null]'
holds "top --top" '.limits | length <= 3'
run top --json -n 1 -d 0.2 --tab channels -p $writer
holds "top -p: only its channels" "(.channels | length) > 0 and all(.channels[]; any(.endpoints[]; .pid == $writer) or any(.waits[]; .pid == $writer))"
run doctor --json
check "doctor: 0 or 1" test "$status" -le 1
holds "doctor: head" "$head and .command == \"doctor\""
holds "doctor: capabilities" 'all(.capabilities[]; keys_unsorted == ["name","state","reason","lost","remedy"] and (.state | IN("works", "partial", "missing")) and (.lost | type) == "array")'
holds "doctor: the status tells" "(all(.capabilities[]; .state == \"works\")) == ($status == 0)"
kill $writer
finish
