"""ipcscope top beside htop, ss in a loop and lsof -r: CPU and memory of a refresh each second; what top costs the others"""
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: ./dev bench top [slowdown | DESCRIPTORS]...
#
# slowdown: a pipe ping-pong and other loops are timed alone and while top is open on each of its
# tabs, in turns; the least of several turns counts. DESCRIPTORS: on an idle crowd of so many, the
# share of one CPU that each program takes while it looks once a second, and its memory; what is not
# installed is named and left out. Without arguments: slowdown 1,000 100,000 500,000.
# With --soak [MINUTES], top runs that long beside processes that come and go (ten minutes).
# It prints what was reached of each goal; the exit status is 0 whatever comes out, but for the soak.

import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from common.crowd import BIN, Crowd, Goals  # noqa: E402

IPCSCOPE = os.environ.get("IPCSCOPE", f"{BIN}/ipcscope")
LOAD = f"{BIN}/ipcscope-load"
TABS = ("channels", "locks", "processes", "findings", "limits")
LOADS = {"getppid": 500_000, "pipe": 30_000, "unix": 30_000, "mutex": 3_000_000}
TURNS = 3
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class OnTerminal:
    """A program on a terminal of 100 columns and 30 rows that nobody looks at."""

    def __init__(self, command):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.environ["LINES"], os.environ["COLUMNS"] = "30", "100"
            os.execvp(command[0], command)
        self.drainer = threading.Thread(target=self.drain)
        self.drainer.start()

    def drain(self):
        try:
            while os.read(self.master, 65536):
                pass
        except OSError:
            pass

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        self.drainer.join()  # it must not read what gets the number of this descriptor next
        os.close(self.master)


class InBackground:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid

    def end(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cpu_seconds(pid):
    """of the process and of its children that have ended"""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICKS


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * PAGE / 1e6


def watch(start, settle, duration):
    """(share of one CPU, largest MB) once it has settled"""
    program = start()
    try:
        time.sleep(settle)
        cpu, begin, memory = cpu_seconds(program.pid), time.monotonic(), 0
        while time.monotonic() - begin < duration:
            memory = max(memory, resident(program.pid))
            time.sleep(0.2)
        return (cpu_seconds(program.pid) - cpu) / (time.monotonic() - begin), memory
    finally:
        program.end()


def loop(command, duration):
    """(share of one CPU, largest MB, seconds of one run) of a command that is run again each second"""
    before, begin, runs = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), []
    memory = 0
    while time.monotonic() - begin < duration:
        out = subprocess.run([f"{BIN}/ipcscope-measure", *command], check=True, capture_output=True, text=True).stdout
        took, kib, _ = out.split()
        runs.append(int(took) / 1e9)
        memory = max(memory, int(kib) * 1024 / 1e6)
        time.sleep(max(0.0, 1 - runs[-1]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu / (time.monotonic() - begin), memory, max(runs)


def print_row(name, share, memory, note=""):
    print(f"  {name:40}{100 * share:>8.2f} %{memory:>9.1f} MB  {note}")


def on_crowd(size, goals):
    # The whole of a large host is looked at now and then only: the time has to cover that.
    duration = 15 if size < 50_000 else 60
    print(f"\na crowd of {size:,}, idle: share of one CPU, memory")
    share, memory = watch(lambda: InBackground([IPCSCOPE, "top", "--batch", "-d", "1"]), 5, duration)
    print_row("ipcscope top --batch -d 1", share, memory, "every row of each frame is written")
    screen, memory = watch(lambda: OnTerminal([IPCSCOPE, "top", "-d", "1"]), 5, duration)
    print_row("ipcscope top, on a terminal", screen, memory)
    if size <= 100_000:
        goals.add(f"{size:,}", "the screen takes under 1 % of one CPU", f"{100 * screen:.2f} %", screen < 0.01)
    if shutil.which("htop"):
        theirs, memory = watch(lambda: OnTerminal(["htop", "-d", "10"]), 3, 15)
        print_row("htop -d 10, on a terminal", theirs, memory)
    else:
        print("  htop is not installed: left out")
    if shutil.which("ss"):
        theirs, memory, one = loop(["ss", "-xap"], 10)
        print_row("ss -xap each second", theirs, memory, f"one takes {one:.2f} s")
    if shutil.which("lsof"):
        theirs, memory = watch(lambda: InBackground(["lsof", "-nPw", "-r", "1"]), 1, 15)
        print_row("lsof -nPw -r 1", theirs, memory)


def load(name, rounds):
    out = subprocess.run([LOAD, name, str(rounds), "3"], check=True, capture_output=True, text=True)
    return float(out.stdout)


def slowdowns(goals):
    least = {}

    def note(name, label):
        least[name, label] = min(least.get((name, label), 1e12), load(name, LOADS[name]))

    for _ in range(TURNS):
        for name in LOADS:
            note(name, "alone")
        for tab in TABS:
            top = InBackground([IPCSCOPE, "top", "--batch", "-d", "1", "--tab", tab])
            time.sleep(1)  # until it has attached what it needs
            for name in LOADS:
                note(name, tab)
            top.end()
    print(f"\na round while top is open on a tab\n{'':12}{'alone':>10}  " + "".join(f"{tab:>12}" for tab in TABS))
    for name in LOADS:
        alone = least[name, "alone"]
        print(f"{name:<12}{alone:>7.0f} ns  " + "".join(f"{least[name, tab] / alone:>11.2f}x" for tab in TABS))
    for name in ("pipe", "mutex"):
        worst = max(TABS, key=lambda tab: least[name, tab])
        ratio = least[name, worst] / least[name, "alone"]
        goals.add("slowdown", f"{name} at most 1.30 times slower on any tab (worst: {worst})", f"{ratio:.2f}x", ratio <= 1.3)


def soak(minutes):
    environment = dict(os.environ, IPCSCOPE_SOAK_SECONDS=str(round(minutes * 60)))
    sys.exit(subprocess.run([f"{BIN}/ipcscope-soak"], env=environment).returncode)


def main():
    if os.geteuid() != 0:
        sys.exit("needs root")
    arguments = sys.argv[1:]
    if arguments and arguments[0] == "--soak":
        soak(float(arguments[1]) if len(arguments) > 1 else 10)
    goals = Goals()
    for argument in arguments or ["slowdown", "1,000", "100,000", "500,000"]:
        if argument == "slowdown":
            slowdowns(goals)
            continue
        size = int(argument.replace(",", ""))
        with Crowd(size, sysv=100):
            on_crowd(size, goals)
    goals.show()


main()
