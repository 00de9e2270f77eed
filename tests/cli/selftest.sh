#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fixture and selftest: what they refuse, and that selftest finds what is not as it should be. For
# that, an ipcscope beside a catalogue that claims what is wrong.
# The dollars in quotes are jq's.
# shellcheck disable=SC2016
# shellcheck source=/dev/null disable=SC2153,SC2154
. "$(dirname "$0")/harness.sh"
FIXTURE=$(dirname "$IPCSCOPE")/ipcscope-fixture
holds() { check "$1" jq -e "$2" "$SCRATCH/out" >"$SCRATCH/jq"; }

try="; try 'ipcscope fixture --help'"
expect 2 "ipcscope: list, show, run or bench?$try" fixture
expect 2 "ipcscope: 'lst' is not list, show, run or bench; did you mean 'list'?$try" fixture lst
expect 2 "ipcscope: show needs the name of one fixture$try" fixture show
expect 2 "ipcscope: run needs the name of one fixture$try" fixture run pipe fifo
expect 2 "ipcscope: 'pipe' is too much$try" fixture list pipe
expect 2 "ipcscope: '--param', '--for' and '--seed' belong to run$try" fixture show pipe --for 1
expect 2 "ipcscope: '--mechanism' and '--problem' belong to list$try" fixture run pipe --problem x
expect 2 "ipcscope: run prints JSON anyway$try" fixture run pipe --json
expect 2 "ipcscope: no fixture 'why-mutx'; did you mean 'why-mutex'?" fixture show why-mutx
expect 2 "ipcscope: no fixture 'why-mutx'; did you mean 'why-mutex'?" selftest why-mutx
expect 2 "ipcscope: no fixture 'nosuch'; 'ipcscope fixture list' lists them" selftest nosuch
expect 2 "ipcscope: no problem 'missed-eol' in the catalogue; did you mean 'missed-eof'?" fixture list --problem missed-eol
expect 2 "ipcscope: no mechanism 'pip' in the catalogue; did you mean 'pipe'?" fixture list --mechanism pip
expect 2 "ipcscope: '--jobs' is a number from 1 to 64; try 'ipcscope selftest --help'" selftest --jobs 0
expect 2 "ipcscope: cannot write /nowhere/x: No such file or directory" selftest pipe --junit /nowhere/x
expect 2 "ipcscope-fixture: pipe: write bytes=N with N from 0 to 65536" fixture run pipe --param bytes=x

run fixture list --json --problem missed-eof
holds "list: the problem and its look-alikes" '.command == "fixture" and ([.fixtures[].name] | contains(["why-missed-eof", "why-missed-eof-writer"])) and all(.fixtures[]; .problem == "missed-eof" or .lookalike_of != [])'
run fixture show --json why-missed-eof
holds "show: the runbook" '.fixtures | length == 1 and (.[0] | .sights == [{"command":"why","shows":"missed-eof"}] and (.how | length) > 0)'
run fixture show why-missed-eof
check "show: in words" grep -q '^look for    `missed-eof`' "$SCRATCH/out"

# run holds although its input is empty, and prints the truth.
begin=$SECONDS
run fixture run pipe --param bytes=9 --for 2 </dev/null
check "run: status" test "$status" -eq 0
check "run: holds" test $((SECONDS - begin)) -ge 1
holds "run: the truth" '.fixture == "pipe" and .channels[0].depth.bytes == 9'
run fixture run locks-primitives --for 1 </dev/null
check "run: one that works does so at once" grep -q '^{"did":"locks-primitives"' "$SCRATCH/out"

# Two programs of this test's own, which live beside each other.
mkdir "$SCRATCH/bin"
cp "$IPCSCOPE" "$SCRATCH/bin/ipcscope"
own=$SCRATCH/bin/ipcscope

# catalogue FILTER: the list of the fixture program that is beside the copy, changed by jq.
catalogue() {
  "$FIXTURE" --list --json | jq -c "$1" >"$SCRATCH/catalogue"
  cat >"$SCRATCH/bin/ipcscope-fixture" <<END
#!/bin/bash
[[ \$1 == --list ]] && exec cat "$SCRATCH/catalogue"
[[ \$1 == refused ]] && { echo "ipcscope-fixture: the kernel lacks it" >&2; exit 77; }
[[ \$1 == broken ]] && { echo "ipcscope-fixture: waited in vain" >&2; exit 1; }
exec "$FIXTURE" "\$@"
END
  chmod +x "$SCRATCH/bin/ipcscope-fixture"
}
run_own() {
  "$own" "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
  status=$?
}
only='.fixtures |= map(select(.name == "why-mutex-self" or .name == "why-mutex-self-timed"))'

catalogue "$only"
run_own selftest --json --junit "$SCRATCH/junit.xml"
check "selftest: status" test "$status" -eq 0
holds "selftest: a result" '.command == "selftest" and (.results | length) == 1 and (.results[0] | .fixture == "why-mutex-self" and .mechanism == "futex" and .problem == "self-deadlock" and .reproduced and .detected_by == ["why"] and .detect_ms > 0 and .lookalike_quiet and .skipped == null and .passed and .missed == [] and .failure == null)'
holds "selftest: totals" '.totals | .problems == 1 and .detected == 1 and .lookalikes == 1 and .quiet == 1 and .failed == 0'
check "selftest: junit" grep -q 'tests="1" failures="0"' "$SCRATCH/junit.xml"

catalogue "$only | .fixtures[0].sights[0].shows = \"owner-died\""
run_own selftest --json --junit "$SCRATCH/junit.xml"
check "not detected: status" test "$status" -eq 1
holds "not detected" '.results[0] | .reproduced and .detected_by == [] and .detect_ms == null and (.passed | not) and .missed == [{"command":"why","shows":"owner-died"}]'
check "not detected: junit" grep -q '<failure message="not seen by why (owner-died)"/>' "$SCRATCH/junit.xml"
run_own selftest
check "not detected: said" grep -q '^FAILED: why-mutex-self: not seen by why (owner-died)$' "$SCRATCH/out"

# A look-alike that is none.
catalogue '.fixtures |= map(select(.name == "why-mutex-self" or .name == "why-once")) | .fixtures |= map(.lookalikes = if .name == "why-mutex-self" then ["why-once"] else [] end)'
run_own selftest --json
check "loud look-alike: status" test "$status" -eq 1
holds "loud look-alike" '.results[] | select(.fixture == "why-mutex-self") | .lookalike_quiet == false and (.passed | not) and .lookalikes[0].loud == [{"command":"why","shows":"deadlock"}]'

catalogue "$only | .fixtures[0].name = \"refused\""
run_own selftest --json
check "refused: status" test "$status" -eq 77
holds "refused" '.results[0] | (.reproduced | not) and .skipped == "the kernel lacks it" and .passed'

catalogue "$only | .fixtures[0].name = \"broken\""
run_own selftest --json
check "broken: status" test "$status" -eq 1
holds "broken" '.results[0] | (.reproduced | not) and .skipped == null and .failure == "waited in vain"'

catalogue "$only | .fixtures[0].sights = [{\"command\":\"lims\",\"shows\":\"near-limit\"}]"
run_own selftest --json
holds "no such command" '.results[0] | .skipped == "lims: there is no command lims"'

# Ctrl-C in the middle leaves no process. What it starts inherits its environment.
marked() { grep -lsz "^IPCSCOPE_TEST_MARK=$$\$" /proc/[0-9]*/environ; }
catalogue "$only | .fixtures |= (.[0] as \$one | [range(12)] | map(\$one | .lookalikes = []))"
IPCSCOPE_TEST_MARK=$$ "$own" selftest >"$SCRATCH/out" 2>"$SCRATCH/err" &
asked=$!
for _ in {1..100}; do
  [[ $(marked | wc -l) -gt 6 ]] && break
  sleep 0.02
done
check "interrupted: it was at work" test "$(marked | wc -l)" -gt 6
kill -INT $asked
wait $asked
check "interrupted: status" test $? -eq 130
check "interrupted: said" test "$(<"$SCRATCH/err")" = "ipcscope: interrupted; what it had started is ended"
check "interrupted: nothing is left" test -z "$(marked)"

rm "$SCRATCH/bin/ipcscope-fixture"
PATH=/nowhere run_own selftest pipe
if [[ $status -eq 77 ]]; then
  check "no fixtures: said" grep -q '^ipcscope: ipcscope-fixture is neither beside ' "$SCRATCH/err"
else
  # One that is installed on this machine was found.
  check "no fixtures: another was found" test "$status" -le 1
fi
finish
