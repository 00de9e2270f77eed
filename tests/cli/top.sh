#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# top on a terminal. tmux is the terminal, and the person in front of it. Whatever is expected is
# waited for until it is there.
# shellcheck source=/dev/null disable=SC2016,SC2153,SC2154
if [[ $EUID -eq 0 && -z ${IPCSCOPE_TEST_INSIDE:-} ]]; then
  # What is left behind here is seen by nobody else, and goes with the test.
  IPCSCOPE_TEST_INSIDE=1 exec unshare --ipc "$0" "$@"
fi
. "$(dirname "$0")/harness.sh"
FIXTURE=$(dirname "$IPCSCOPE")/ipcscope-fixture
SOCKET=ipcscope-test-$$
export TMUX_TMPDIR=$SCRATCH
unset TMUX
trap 'tmux -L "$SOCKET" kill-server 2>/dev/null; kill $(jobs -p) 2>/dev/null; rm -rf "$SCRATCH"' EXIT

keys() { tmux -L "$SOCKET" send-keys -t "$PANE" "$@"; }
screen() { tmux -L "$SOCKET" capture-pane -t "$PANE" -p; }
# mode NAME: of the terminal, such as alternate_on
mode() { tmux -L "$SOCKET" display-message -t "$PANE" -p "#{$1}"; }
resize() { tmux -L "$SOCKET" resize-window -t "$PANE" -x "$1" -y "$2"; }

# until_true DESCRIPTION COMMAND...: a minute is more than anything here takes on a busy host.
until_true() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    if ((SECONDS > end)); then
      fail "$what"
      screen | sed 's/^/  | /'
      finish  # what comes next would wait as long
    fi
    sleep 0.1
  done
}
shows() { screen | grep -qE -e "$1"; }
lacks() { ! shows "$1"; }
# await DESCRIPTION REGEX: until the screen shows it
await() { until_true "$1: no '$2' on the screen" shows "$2"; }
await_gone() { until_true "$1: '$2' stays on the screen" lacks "$2"; }
is_mode() { [[ $(mode "$1") == "$2" ]]; }

# A window with a shell that has job control, and in it what the arguments say.
open_window() {
  PANE=$(tmux -L "$SOCKET" new-window -P -F '#{pane_id}' \
    "exec env PS1='ready> ' bash --noprofile --norc -i")
  tmux -L "$SOCKET" set-option -t "$PANE" remain-on-exit on
  await "a shell" '^ready>'
  if [[ $# -gt 0 ]]; then
    keys -l "$*"
    keys Enter
  fi
}
close_window() { tmux -L "$SOCKET" kill-pane -t "$PANE"; }
# top_pid: the number of the top in the window
top_pid() {
  local shell
  shell=$(mode pane_pid)
  pgrep -P "$shell" -x ipcscope
}
runs_top() { [[ -n $(top_pid) ]]; }
state_of() { sed -E 's/.*\) (.).*/\1/' "/proc/$1/stat" 2>/dev/null; }
is_stopped() { [[ $(state_of "$1") == T ]]; }
is_gone() { [[ ! -d /proc/$1 ]]; }

# restored DESCRIPTION: the terminal is as it was before top: its screen, its modes, its settings.
restored() {
  await "$1: the shell" '^ready> *$'
  until_true "$1: the first screen" is_mode alternate_on 0
  check "$1: the cursor" is_mode cursor_flag 1
  check "$1: the mouse" is_mode mouse_any_flag 0
  check "$1: keys" is_mode keypad_cursor_flag 0
  keys -l 'clear; echo set $(stty -g | cksum)'
  keys Enter
  await "$1: settings" '^set '
  check "$1: settings" test "$(screen | grep '^set ')" = "$settings"
  keys -l clear
  keys Enter
}

# hold NAME ARGUMENTS...: a fixture until this script ends; sets truth to what it says of itself.
hold() {
  : >"$SCRATCH/$1.truth"
  sleep 1000 | "$FIXTURE" "$@" >"$SCRATCH/$1.truth" &
  local end=$((SECONDS + 60))
  until [[ $(wc -l <"$SCRATCH/$1.truth") -gt 0 ]]; do
    ((SECONDS > end)) && fail "fixture $1 did not start" && finish
    sleep 0.1
  done
  truth=$(<"$SCRATCH/$1.truth")
}
# repeat NAME ARGUMENTS...: a fixture that works for seconds, again and again; until `kill $repeated`
repeat() {
  while :; do
    "$FIXTURE" "$@" --go
  done </dev/null >/dev/null 2>&1 &
  repeated=$!
}
fact() { jq -r "$1" <<<"$truth"; }

tmux -L "$SOCKET" -f /dev/null new-session -d -x 100 -y 30 'sleep 1000' || fail "tmux"
open_window 'clear; echo set $(stty -g | cksum)'
await "settings" '^set '
settings=$(screen | grep '^set ')
close_window

hold pipe-full
pipe=$(fact '.channels[0].id')
writer=$(fact '.waits // .channels[0].waits | .[0].pid')
hold pipe
quiet=$(fact '.channels[0].id')
pids=$writer,$(fact '.channels[0].endpoints | map(.pid | tostring) | join(",")')

# --- a full pipe, and the keys ----------------------------------------------------------------
open_window "$IPCSCOPE top -d 0.5"
await "the screen" '^ 1 Channels  2 Locks  3 Processes  4 Findings  5 Limits '
await "a full pipe" "^jammed +$pipe .*100% +1 +[0-9a-z]+ .*pipe-writer"
check "the other screen" is_mode alternate_on 1
keys "\\" ; keys -l "$writer"; keys Enter
await "a filter" "filter: $writer "
await_gone "a filter" "$quiet"
await "a filter leaves what passes" "^jammed +$pipe "
keys Enter
await "a row in full" "^$pipe"
await "a row in full: who waits" 'pipe-writer.* write'
keys Escape
await "back" '^STATE '
keys Escape
await_gone "no filter" 'filter:'
keys / ; keys -l "$quiet"; keys Enter
await "a search" "$quiet"
keys Enter
await "a search selects" "^$quiet"
keys q
await "back with q" '^STATE '
keys s
await "the menu of columns" '^Sort channels by'
keys Down Enter
await "sorted by the menu" 'by ID, '
keys r
await "the other way round" 'by ID reversed'
keys '>'
await "sorted by the next column" 'by RD/S, '
keys '<' '<'
await "sorted by the one before" 'by STATE, '
keys '?'
await "help" '^ipcscope top: help'
keys Escape Space
await "paused" ' PAUSED '
keys Space
await_gone "goes on" ' PAUSED '
keys c
await "coverage" '^Coverage: what could not be seen'
keys Escape d C-u ; keys -l 700ms ; keys Enter w C-u
await "where to write to" '^write to: *$'
keys -l "$SCRATCH/view" ; keys Enter
await "written" "written to $SCRATCH/view"
check "the view in a file" grep -qE "^jammed +$pipe " "$SCRATCH/view"
keys w C-u ; keys -l "$SCRATCH/view" ; keys Enter
await "no file is overwritten" "cannot write $SCRATCH/view: File exists"

# --- sizes ------------------------------------------------------------------------------------
keys f ; keys -l "$writer" ; keys Enter
await "before the change of size" "^jammed +$pipe "
resize 40 10
await "40 columns" '^1 Chan 2 Lock 3 Proc 4 Find 5 Lim'
await "40 columns: the row" "^jammed +pipe"
check "40 columns: ten lines" test "$(screen | wc -l)" -le 10
for tab in 2 3 4 5; do keys $tab; done
await "40 columns: limits" '^SEVERITY LIMIT'
keys 1
resize 20 3
await "20 columns" '^1 Chan'
resize 4 2
resize 200 50
await "200 columns" "^jammed +$pipe .*pipe-writer\[$writer\]"
resize 100 30
await "back to 100 columns" '  2 Locks  3 Processes '

# --- suspended and resumed --------------------------------------------------------------------
process=$(top_pid)
keys C-z
await "suspended" '\[1\]\+ +Stopped'
check "suspended: it is stopped" is_stopped "$process"
check "suspended: the first screen" is_mode alternate_on 0
keys -l 'echo set $(stty -g | cksum)' ; keys Enter
await "suspended: settings" '^set '
check "suspended: settings" test "$(screen | grep '^set ')" = "$settings"
resize 90 24
keys -l fg ; keys Enter
await "resumed" "^jammed +$pipe "
check "resumed: the other screen" is_mode alternate_on 1
await "resumed: keys and the new size" '^q quit .* d interval'
keys 5
await "resumed: keys" '^SEVERITY LIMIT'
keys q
await "quit" '^ready> *$'
keys -l clear ; keys Enter
restored "quit"

# --- ended by others --------------------------------------------------------------------------
for signal in TERM INT QUIT SEGV ABRT; do
  keys -l "ulimit -c 0; $IPCSCOPE top" ; keys Enter
  await "before SIG$signal" '^STATE '
  kill -s $signal "$(top_pid)"
  restored "after SIG$signal"
done
# Stopped by somebody else, who leaves the terminal as it is.
keys -l "$IPCSCOPE top" ; keys Enter
await "before SIGSTOP" '^STATE '
process=$(top_pid)
kill -s STOP "$process"
await "after SIGSTOP" 'Stopped'
keys -l fg ; keys Enter
await "after SIGCONT" '^STATE '
keys q
restored "after SIGSTOP"
close_window
# A terminal that goes away.
open_window "$IPCSCOPE top"
await "before the terminal goes" '^STATE '
process=$(top_pid)
close_window
until_true "without a terminal it ends" is_gone "$process"
open_window "trap '' HUP; $IPCSCOPE top"
await "before the terminal goes, SIGHUP ignored" '^STATE '
process=$(top_pid)
close_window
until_true "without a terminal it ends, SIGHUP ignored" is_gone "$process"

# --- hostile names ----------------------------------------------------------------------------
hold comm-hostile
hold fifo-hostile
for locale in C.UTF-8 C; do
  open_window "LC_ALL=$locale $IPCSCOPE top --filter evil"
  resize 200 30
  await "a hostile name ($locale)" 'evil\\n\\x1b\[2J'
  keys f C-u ; keys -l owned ; keys Enter
  await "a hostile path ($locale)" 'fifo:/tmp/ipcscope-.*x1b\[31m'
  keys Enter
  await "a hostile path in full ($locale)" 'fifo\\n\\x1b\]0;owned\\x07\\x1b\[31m'
  check "a hostile path drives no terminal ($locale)" test "$(mode pane_title)" != owned
  close_window
done
open_window "$IPCSCOPE top --filter \$'\\e[31m\\xff\\u202e'"
await "a hostile filter" 'filter: \\x1b\[31m\\xff\\u\{202e\}'
close_window

# --- terminals --------------------------------------------------------------------------------
for terminal in 'TERM=xterm-256color' 'TERM=vt100' 'TERM=linux' 'NO_COLOR=1' 'LC_ALL=C'; do
  open_window "env $terminal $IPCSCOPE top -p $pids"
  await "$terminal" "^jammed +$pipe .*\|\|*100%"
  keys q
  restored "$terminal"
  close_window
done
open_window "$IPCSCOPE top --source=proc -p $pids"
await "--source=proc" "^jammed +$pipe +- +- "
await "--source=proc: what is moved is not known" 'moved -'
close_window
open_window 'TERM=nonsense '"$IPCSCOPE top; TERM=dumb $IPCSCOPE top; echo done"
await "an unknown terminal" "terminals of type 'nonsense' are not known here"
await "a terminal without a cursor" 'this terminal cannot move its cursor'
await "terminals that cannot be used" '^done'
close_window

# --- what needs the kernel's help -------------------------------------------------------------
if [[ $EUID -eq 0 ]]; then
  repeat locks-mutex-unfair rounds=5000
  shm=shm:$(ipcmk -M 8192 | grep -oE '[0-9]+$')
  # By its threads: the name of a lock may not be known before its process is gone.
  open_window "$IPCSCOPE top -d 1 --tab locks --filter hog"
  await "a starving thread" '^starvation .* mutex +lock +[0-9.K]+ +[0-9]+% .* hog'
  keys Enter
  await "a starving thread in full" 'starved\['
  close_window
  open_window "$IPCSCOPE top -d 1 --tab findings"
  await "findings: a leak" "leaked-shm .*$shm "
  await "findings: the pipe" "full-channel .*$pipe"
  await "findings: the starving thread" "starvation .*starved\["
  keys / ; keys -l "$shm" ; keys Enter Enter
  await "a finding in full" "$shm"
  close_window
  kill $repeated
  ipcrm -m "${shm#shm:}"
  repeat locks-mutex rounds=2000
  open_window "$IPCSCOPE top -d 1 --tab locks --filter fair-"
  await "a contended mutex" ' mutex +lock +[1-9][0-9.K]* +[1-9][0-9]*% .* fair-'
  resize 200 30
  keys 3
  await "the process at it" '^[a-z]+ +[0-9]+ .* [1-9][0-9]*% .* fair-'
  close_window
  kill $repeated
  repeat busy-pipe
  open_window "$IPCSCOPE top -d 1 --filter busy"
  await "a pipe that moves" "^busy +pipe:[0-9]+ +[1-9][0-9.KM]* +[1-9][0-9.KM]* +[1-9].*pipe-w"
  close_window
  kill $repeated
  # The batch frames and the screen show the same.
  run top --batch -n 2 -d 0.5 -p "$pids"
  check "plain frames" test "$(grep -cE "^jammed +$pipe .*100%" "$SCRATCH/out")" -eq 2
  # Without any privilege.
  if setpriv --reuid 65534 --clear-groups test -x "$IPCSCOPE"; then
    open_window "setpriv --reuid 65534 --clear-groups $IPCSCOPE top"
    await "an ordinary user" '^STATE '
    await "an ordinary user: what could not be seen" 'coverage [0-9]+ of [0-9]+ partial'
    keys 2
    await "an ordinary user: locks" '^STATE +LOCK'
    keys 4
    await "an ordinary user: findings" '^SEVERITY RULE'
    keys q
    restored "an ordinary user"
    close_window
  fi
fi

expect 2 "ipcscope: the screen needs a terminal; '--batch' prints plain frames; try 'ipcscope top --help'" top
finish
