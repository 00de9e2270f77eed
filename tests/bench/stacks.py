"""user stacks of a hung process beside eu-stack and gdb: time, and what the target feels of it"""
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: ./dev bench stacks [THREADS...]
#
# First whole processes that print the stacks of a process with 100 and 1,000 blocked threads (or as
# many as are given), in turns. Then the pauses of a thread that spins in such a process, alone and
# while it is looked at without end, in turns. It measures; it does not judge.

import shutil
import statistics
import subprocess
import sys
import time

BIN = "build/release/bin"
ROUNDS = 7
SPIN_SECONDS = 0.3
SPIN_REST = 0.7
SPIN_BURSTS = 5
SPIN_ROUNDS = 3
SPIN_THREADS = 100


def readers(pid):
    """The commands that print all stacks of a process, by name."""
    peers = {
        "eu-stack": ["eu-stack", "-p", str(pid)],
        "gdb": ["gdb", "-q", "-batch", "-nx", "-p", str(pid), "-ex", "thread apply all bt"],
    }
    return {
        "ipcscope, BPF": [f"{BIN}/ipcscope-stacks", str(pid), "bpf"],
        "ipcscope, /proc": [f"{BIN}/ipcscope-stacks", str(pid), "proc"],
        **{name: command for name, command in peers.items() if shutil.which(command[0])},
    }


class Target:
    """A process of this build that ends with its input, as a context."""

    def __init__(self, *command):
        self.command = command

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = int(self.line().split()[0])
        return self

    def line(self):
        return self.process.stdout.readline()

    def say(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def measure(command):
    """(milliseconds, MiB) of one run"""
    out = subprocess.run([f"{BIN}/ipcscope-measure", *command], check=True, capture_output=True, text=True).stdout
    ns, kib, status = out.split()
    if status != "0":
        sys.exit(f"{command[0]}: exit status {status}")
    return int(ns) / 1e6, int(kib) / 1024


def count_functions(command):
    """How many lines look like a function of a stack."""
    out = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return sum(line.lstrip().startswith(("0x", "#")) for line in out.splitlines())


def compare_times(threads):
    print(f"\n{threads} blocked threads")
    print(f"  {'':20}{'median':>10}{'fastest':>10}{'memory':>11}{'functions':>11}")
    with Target(f"{BIN}/ipcscope-stacks-target", str(threads)) as target:
        commands = readers(target.pid)
        samples = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                samples[name].append(measure(command))
        for name, runs in samples.items():
            times = [run[0] for run in runs]
            print(
                f"  {name:20}{statistics.median(times):>7.1f} ms{min(times):>7.1f} ms"
                f"{max(run[1] for run in runs):>7.1f} MiB{count_functions(commands[name]):>11}"
            )


def spin(target, command):
    """[(largest pause, sum of those over 5 us, in us)] of each burst, and the looks of command beside them"""
    looker = None
    if command:
        looker = subprocess.Popen(
            ["sh", "-c", 'while "$@" >/dev/null 2>&1; do echo; done', "sh", *command],
            stdout=subprocess.PIPE, text=True)
    bursts = []
    for _ in range(SPIN_BURSTS):
        # The kernel keeps a part of each second for programs without a real-time priority.
        time.sleep(SPIN_REST)
        target.say()
        bursts.append([float(word) for word in target.line().split()[:2]])
    looks = 0
    if looker:
        looker.terminate()
        looks = len(looker.communicate()[0].splitlines())
    return bursts, looks


def compare_pauses():
    print(f"\npauses over 5 us of a thread that spins for {SPIN_SECONDS} s beside {SPIN_THREADS} blocked ones,"
          f" {SPIN_ROUNDS * SPIN_BURSTS} times")
    print(f"  {'looked at by':20}{'largest, median':>17}{'highest':>13}{'sum, median':>14}{'looks':>7}")
    with Target(f"{BIN}/ipcscope-spin", str(SPIN_SECONDS), str(SPIN_THREADS)) as target:
        with Target(f"{BIN}/ipcscope-stacks-target", str(SPIN_THREADS)) as other:
            # The second one does the same work, but looks at another process.
            commands = {"nobody": None, "ipcscope, elsewhere": readers(other.pid)["ipcscope, BPF"],
                        **readers(target.pid)}
            samples = {name: [] for name in commands}
            looks = dict.fromkeys(commands, 0)
            for _ in range(SPIN_ROUNDS):
                for name, command in commands.items():
                    bursts, count = spin(target, command)
                    samples[name] += bursts
                    looks[name] += count
        for name, bursts in samples.items():
            largest, total = zip(*bursts)
            print(f"  {name:20}{statistics.median(largest):>14.0f} us{max(largest):>10.0f} us"
                  f"{statistics.median(total):>11.0f} us{looks[name]:>7}")


for count in [int(word) for word in sys.argv[1:]] or [100, 1000]:
    compare_times(count)
compare_pauses()
