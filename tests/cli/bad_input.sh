#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong usage: one clear line, and status 2.
# shellcheck source=/dev/null disable=SC2153,SC2154
. "$(dirname "$0")/harness.sh"

top="; try 'ipcscope --help'"
ls="; try 'ipcscope ls --help'"

expect 2 "ipcscope: which command?$top"
expect 2 "ipcscope: unknown command 'sl'; did you mean 'ls'?$top" sl
expect 2 "ipcscope: unknown command 'frobnicate'$top" frobnicate --json
expect 2 "ipcscope: unknown option '--jsn'$top" --jsn
expect 2 "ipcscope: unknown option '--blokced'; did you mean '--blocked'?$ls" ls --blokced
expect 2 "ipcscope: unknown option '-x'$ls" ls -x
expect 2 "ipcscope: unknown kind 'pipes'; did you mean 'pipe'?$ls" ls pipes
expect 2 "ipcscope: unknown kind 'eventfs'; did you mean 'eventfd'?$ls" ls pipe eventfs
expect 2 "ipcscope: unknown kind 'zebra'$ls" ls zebra
expect 2 "ipcscope: unknown kind '\\x1b[31m\\n'$ls" ls $'\e[31m\n'
expect 2 "ipcscope: unknown column 'knid'; did you mean 'kind'?$ls" ls -o id,knid
expect 2 "ipcscope: a column name is missing after -o$ls" ls -o id,
expect 2 "ipcscope: option '--output' needs one value$ls" ls -o
expect 2 "ipcscope: '--output' needs a value that is not empty$ls" ls -o ''
expect 2 "ipcscope: '--name' needs a value that is not empty$ls" ls --name ''
expect 2 "ipcscope: option '--pid' needs one value$ls" ls -p
expect 2 "ipcscope: 'abc' is not a process number$ls" ls -p abc
expect 2 "ipcscope: '0' is not a process number$ls" ls -p 0
expect 2 "ipcscope: '-1' is not a process number$ls" ls -p -1
expect 2 "ipcscope: '99999999999' is not a process number$ls" ls -p 99999999999
expect 2 "ipcscope: no user 'nobody-at-all'$ls" ls --user nobody-at-all
expect 2 "ipcscope: '--color' is auto, always or never$ls" ls --color=blue
expect 2 "ipcscope: '--source' is auto, bpf or proc$ls" ls --source=magic
expect 2 "ipcscope: option '--blocked' takes no value$ls" ls --blocked=maybe
expect 2 "ipcscope: '--json' and '--raw' cannot be used together$ls" ls --json --raw
expect 2 "ipcscope: '--json' and '--tree' cannot be used together$ls" ls --tree --json
expect 2 "ipcscope: '--json' and '--output' cannot be used together$ls" ls --json -o id
leaks="; try 'ipcscope leaks --help'"
expect 2 "ipcscope: unknown kind 'seg'; did you mean 'sem'?$leaks" leaks seg
expect 2 "ipcscope: a pipe cannot be left behind$leaks" leaks shm pipe
expect 2 "ipcscope: '10x' is not a time, such as 90, 500ms, 10m, 2h or 1d$leaks" leaks --min-age 10x
expect 2 "ipcscope: '-3' is not a time, such as 90, 500ms, 10m, 2h or 1d$leaks" leaks --min-age=-3
expect 2 "ipcscope: no user 'nobody-at-all'$leaks" leaks --user nobody-at-all
expect 2 "ipcscope: 'own' is neither the inode number of a namespace nor all$leaks" leaks --namespace own
expect 2 "ipcscope: no process was seen in namespace 7" leaks --namespace 7
expect 2 "ipcscope: unknown column 'hwy'; did you mean 'why'?$leaks" leaks -o id,hwy
for option in --yes --force --dry-run --no-backup '--backup /tmp'; do
  # shellcheck disable=SC2086
  expect 2 "ipcscope: '${option% *}' needs --clean$leaks" leaks $option
done
expect 2 "ipcscope: '--clean' has nobody to ask; give --yes, or --dry-run to see what it would do$leaks" leaks --clean
expect 2 "ipcscope: '--clean' has nobody to ask; give --yes, or --dry-run to see what it would do$leaks" leaks --clean --json
expect 2 "ipcscope: '--restore' and '--clean' cannot be used together$leaks" leaks --clean --restore /tmp
expect 2 "ipcscope: '--backup' and '--no-backup' cannot be used together$leaks" leaks --clean --no-backup --backup /tmp
expect 2 "ipcscope: '--restore' takes no kinds$leaks" leaks shm --restore /tmp
expect 2 "ipcscope: '--evidence' and '--raw' cannot be used together$leaks" leaks -v --raw
expect 2 "ipcscope: which channel or process?; try 'ipcscope show --help'" show
expect 2 "ipcscope: unknown option '--tree'; try 'ipcscope doctor --help'" doctor --tree
expect 2 "ipcscope: 'x' is too much; try 'ipcscope doctor --help'" doctor x
expect 2 "ipcscope: no channel 'pip:3': unknown kind 'pip'; did you mean 'pipe'?" show pip:3
expect 2 "ipcscope: no channel 'fifo:/nowhere'" show fifo:/nowhere
why="; try 'ipcscope why --help'"
expect 2 "ipcscope: 'abc' is not a process number$why" why abc
expect 2 "ipcscope: '0' is not a process number$why" why 1 0
expect 2 "ipcscope: 'soon' is not a time, such as 90, 500ms, 10m, 2h or 1d$why" why --longer-than soon
expect 2 "ipcscope: '-1' is not a time, such as 90, 500ms, 10m, 2h or 1d$why" why --longer-than -1
expect 2 "ipcscope: 'x' is not a time, such as 90, 500ms, 10m, 2h or 1d$why" why --watch x
expect 2 "ipcscope: '--watch' needs at least 0.1 seconds$why" why --watch 0
expect 2 "ipcscope: '--json' and '--dot' cannot be used together$why" why --json --dot
expect 2 "ipcscope: '--watch' and '--dot' cannot be used together$why" why --watch 1 --dot
expect 2 "ipcscope: unknown option '--twise'; did you mean '--twice'?$why" why --twise

locks="; try 'ipcscope locks --help'"
time="is not a time, such as 90, 500ms, 10m, 2h or 1d"
expect 2 "ipcscope: '--duration' needs at least 0.1 seconds$locks" locks -d 0
expect 2 "ipcscope: 'nonsense' $time$locks" locks -d nonsense
expect 2 "ipcscope: '-1' $time$locks" locks -d -1
expect 2 "ipcscope: '--interval' needs at least 0.1 seconds$locks" locks --interval 10us
expect 2 "ipcscope: 'x' $time$locks" locks --min-wait x
expect 2 "ipcscope: unknown kind 'futx'; did you mean 'futex'?$locks" locks --kind futx
expect 2 "ipcscope: unknown kind 'zebra'$locks" locks --kind pipe,zebra
expect 2 "ipcscope: a kind is missing after --kind$locks" locks --kind pipe,
expect 2 "ipcscope: nobody waits at a shm itself, but at a futex in it$locks" locks --kind shm
expect 2 "ipcscope: '--by' is lock, thread or pair, not 'nonsense'$locks" locks --by nonsense
expect 2 "ipcscope: '--sort' is total, max, waits or p99, not 'p50'$locks" locks --sort p50
expect 2 "ipcscope: '--top' is a number from 1 on, not '0'$locks" locks --top 0
expect 2 "ipcscope: '--contention' is a number from 0 on, not '-1'$locks" locks --contention -1
expect 2 "ipcscope: '--overtakes' is a number from 1 on, not 'x'$locks" locks --overtakes x
expect 2 "ipcscope: '--times-median' is a number from 1 on, not '0.5'$locks" locks --times-median 0.5
expect 2 "ipcscope: '--comm' is at most 15 bytes long, as the kernel keeps it$locks" locks --comm 1234567890123456
expect 2 "ipcscope: no control group '/nowhere' below /sys/fs/cgroup$locks" locks --cgroup /nowhere
expect 2 "ipcscope: no user 'nobody-at-all'$locks" locks --user nobody-at-all
expect 2 "ipcscope: 'abc' is not a process number$locks" locks -p abc
expect 2 "ipcscope: at most 16 processes and threads can be chosen$locks" locks -p "$(seq -s , 2 18)"
expect 2 "ipcscope: '--json' and '--by' cannot be used together$locks" locks --json --by pair
expect 2 "ipcscope: unknown option '--source'$locks" locks --source=bpf
expect 2 "ipcscope: unknown option '--durtion'; did you mean '--duration'?$locks" locks --durtion 3
trace="; try 'ipcscope trace --help'"
expect 2 "ipcscope: unknown mechanism 'pip'; did you mean 'pipe'?$trace" trace pip
expect 2 "ipcscope: '--summary' and '--perfetto' cannot be used together$trace" trace --summary --perfetto x
expect 2 "ipcscope: '--count' needs a number from 1 to 18446744073709551614$trace" trace -n 0
expect 2 "ipcscope: '--payload' needs a number from 1 to 1024$trace" trace --payload=4096
expect 2 "ipcscope: names of threads have at most 15 bytes$trace" trace --comm sixteen-letters-
expect 2 "ipcscope: 'fast' is not a time, such as 90, 500ms, 10m, 2h or 1d$trace" trace --slower-than fast
expect 2 "ipcscope: 'pipe' is no channel's id, see 'ipcscope ls'$trace" trace --channel pipe
expect 2 "ipcscope: '/dev/null' is no file of ipcscope trace --write" trace --from /dev/null
expect 2 "ipcscope: '/' is no file of ipcscope trace --write" trace --from /
expect 2 "ipcscope: cannot open '/nowhere': No such file or directory" trace --from /nowhere
for option in --write --perfetto; do
  expect 2 "ipcscope: cannot write '/nowhere/x': No such file or directory" trace $option /nowhere/x
  expect 2 "ipcscope: cannot write '/': Is a directory" trace $option /
done
expect 2 "ipcscope: no control group '/nowhere' below /sys/fs/cgroup$trace" trace --cgroup /nowhere
many="ipcscope: at most 4096 processes can be chosen; '--comm', '--user' or '--cgroup' may name them"
expect 2 "$many$trace" trace -p "$(seq -s , 2 4098)"
# What cannot be traced empties no file.
if [[ $EUID -eq 0 ]] && setpriv --reuid 65534 --clear-groups test -x "$IPCSCOPE"; then
  echo kept >"$SCRATCH/kept"
  chmod 666 "$SCRATCH/kept"
  chmod 711 "$SCRATCH"
  setpriv --reuid 65534 --clear-groups "$IPCSCOPE" trace --write "$SCRATCH/kept" 2>"$SCRATCH/err"
  check "trace --write without the privilege: status 3" test $? -eq 3
  check "trace --write without the privilege: one line" test "$(wc -l <"$SCRATCH/err")" -eq 1
  check "trace --write without the privilege: the file stays" grep -qx kept "$SCRATCH/kept"
fi

# A process that is gone.
sleep 0 &
gone=$!
wait $gone
expect 2 "ipcscope: no process $gone" ls -p $gone
expect 2 "ipcscope: no channel $gone, and no process $gone" show $gone
expect 2 "ipcscope: no process or thread $gone" why $gone
expect 2 "ipcscope: no process or thread $gone" locks -p $gone
expect 2 "ipcscope: no process $gone" trace -p $gone

# Without the privilege, BPF is refused and not replaced.
if [[ $EUID -eq 0 ]] && setpriv --reuid 65534 --clear-groups test -x "$IPCSCOPE"; then
  setpriv --reuid 65534 --clear-groups "$IPCSCOPE" ls --source=bpf >"$SCRATCH/out" 2>"$SCRATCH/err"
  check "--source=bpf without the privilege: status 3" test $? -eq 3
  check "--source=bpf without the privilege: one line" test "$(wc -l <"$SCRATCH/err")" -eq 1
  check "--source=bpf without the privilege: no output" test ! -s "$SCRATCH/out"
fi

# Helps are golden: UPDATE=1 writes them anew.
for command in '' ls show why locks leaks limits trace doctor top fixture selftest; do
  # shellcheck disable=SC2086
  run $command --help
  golden=$GOLDEN/help${command:+-$command}.txt
  [[ -n ${UPDATE:-} ]] && cp "$SCRATCH/out" "$golden"
  check "ipcscope $command --help" diff "$golden" "$SCRATCH/out"
  check "ipcscope $command --help: status" test "$status" -eq 0
  check "ipcscope $command --help fits 100 columns" test -z "$(grep -E '.{101}' "$SCRATCH/out")"
done
run ls -H
[[ -n ${UPDATE:-} ]] && cp "$SCRATCH/out" "$GOLDEN/columns.txt"
check "ipcscope ls -H" diff "$GOLDEN/columns.txt" "$SCRATCH/out"
run --version
check "--version" grep -q -E '^libbpf [0-9.]+ \((static|shared)\)$' "$SCRATCH/out"
finish
