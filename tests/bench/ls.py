"""ipcscope ls beside lsof, lsfd, ss and a bare walk of /proc: time and memory"""
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: ./dev bench ls [DESCRIPTORS...]
#
# Measures whole processes, in turns, on the machine as it is and on crowds of 100,000 and 500,000
# descriptors (or of the sizes given), and prints what was reached of each goal. It measures; it
# does not judge: the exit status is 0 whatever comes out.

import os
import re
import shutil
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
from common.crowd import BIN, Crowd, Goals  # noqa: E402

IPCSCOPE = f"{BIN}/ipcscope"
SYSV_OBJECTS = 2000
ROUNDS = 7
# The peers take up to a minute on a large crowd, so they run less often there.
PEER_ROUNDS = {"small": 7, "medium": 3, "large": 1}
ORDINARY_LIMIT = 2000


def subjects(pid):
    """(ours, the peers that are installed), each as name -> command"""
    ours = {
        "ipcscope ls --json": [IPCSCOPE, "ls", "--json"],
        "ipcscope ls": [IPCSCOPE, "ls"],
        "ipcscope ls -p PID": [IPCSCOPE, "ls", "-p", str(pid)],
        "ipcscope ls --source=proc --json": [IPCSCOPE, "ls", "--source=proc", "--json"],
        "walk of /proc/*/fd": [f"{BIN}/ipcscope-proc-walk"],
    }
    peers = {"lsof -nPw": ["lsof", "-nPw"], "lsfd": ["lsfd"], "ss -xap": ["ss", "-xap"]}
    return ours, {name: command for name, command in peers.items() if shutil.which(command[0])}


def measure(command):
    """(seconds, MiB, exit status) of one run"""
    out = subprocess.run([f"{BIN}/ipcscope-measure", *command], check=True, capture_output=True, text=True).stdout
    ns, kib, status = out.split()
    return int(ns) / 1e9, int(kib) / 1024, int(status)


def count_descriptors():
    out = subprocess.run([f"{BIN}/ipcscope-proc-walk"], check=True, capture_output=True, text=True).stdout
    return int(re.search(r"(\d+) descriptors", out).group(1))


def count_reported():
    """Descriptors that ls --json names, counted in the stream: the parsed object would be large."""
    process = subprocess.Popen([IPCSCOPE, "ls", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    count, rest = 0, b""
    for chunk in iter(lambda: process.stdout.read(1 << 20), b""):
        chunk = rest + chunk
        cut = len(chunk) - 16
        for match in re.finditer(rb'"fd": ?\d', chunk):
            count += match.start() < cut
        rest = chunk[max(cut, 0):]
    count += len(re.findall(rb'"fd": ?\d', rest))
    process.wait()
    return count


def seconds(value):
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"


def run(pid, scale):
    """name -> (median seconds, highest MiB, failed) of every subject, in turns"""
    ours, peers = subjects(pid)
    samples = {name: [] for name in {**ours, **peers}}
    statuses = {}
    for turn in range(ROUNDS):
        for name, command in ours.items():
            *sample, statuses[name] = measure(command)
            samples[name].append(sample)
        if turn < PEER_ROUNDS[scale]:
            for name, command in peers.items():
                *sample, statuses[name] = measure(command)
                samples[name].append(sample)
    result = {}
    walk = statistics.median(s[0] for s in samples["walk of /proc/*/fd"])
    print(f"  {'':34}{'median':>10}{'fastest':>10}{'memory':>11}{'runs':>6}{'against walk':>14}")
    for name, runs in samples.items():
        times, memory = [r[0] for r in runs], max(r[1] for r in runs)
        median = statistics.median(times)
        # lsof exits with 1 for every process that vanished; of ipcscope that would be a failure.
        failed = statuses[name] not in ((0,) if name in ours else (0, 1))
        result[name] = (median, memory, failed)
        note = f"  FAILED, exit status {statuses[name]}" if failed else ""
        print(
            f"  {name:34}{seconds(median):>10}{seconds(min(times)):>10}{memory:>7.1f} MiB"
            f"{len(runs):>6}{median / walk:>13.2f}x{note}"
        )
    return result


def crowd_goals(goals, where, result):
    def time(name):
        return result[name][0]

    def ratio(goal, slow, fast, least):
        if slow in result:
            reached = time(slow) / time(fast)
            goals.add(where, goal, f"{reached:.1f}x", reached >= least and not result[fast][2])

    full = "ipcscope ls --json"
    ratio("ls --json at least 20 times faster than lsfd", "lsfd", full, 20)
    ratio("ls --json at least 2 times faster than the walk", "walk of /proc/*/fd", full, 2)
    memory = result[full][1]
    goals.add(where, "ls --json under 200 MB", f"{memory * 1.048576:.0f} MB",
              memory * 1.048576 < 200 and not result[full][2])
    # 5 percent is what two runs of the same program differ by.
    ratio("the table no slower than --json (within 5 percent)", full, "ipcscope ls", 0.95)
    one, _, failed = result["ipcscope ls -p PID"]
    goals.add(where, "ls -p PID under 25 ms", seconds(one), one < 0.025 and not failed)
    ratio("ls --source=proc --json at least 2 times faster than lsfd", "lsfd", "ipcscope ls --source=proc --json", 2)


def main():
    sizes = [int(argument.replace(",", "")) for argument in sys.argv[1:]] or [100_000, 500_000]
    if os.geteuid() != 0:
        print("not root: other users' processes are left out, and the BPF source is not used")
    goals, results = Goals(), {}

    descriptors = count_descriptors()
    print(f"\nthe machine as it is: {descriptors:,} descriptors")
    result = run(os.getpid(), "small")
    ordinary, _, failed = result["ipcscope ls"]
    if descriptors < ORDINARY_LIMIT:
        goals.add("as it is", "ls under 30 ms below 2,000 descriptors", seconds(ordinary),
                  ordinary < 0.030 and not failed)

    for size in sizes:
        with Crowd(size, SYSV_OBJECTS) as crowd:
            descriptors = count_descriptors()
            print(f"\na crowd of {size:,}: {descriptors:,} descriptors, {crowd.processes:,} processes, "
                  f"{SYSV_OBJECTS:,} System V objects")
            results[size] = run(crowd.member(), "large" if size >= 300_000 else "medium")
            named = count_reported()
            print(f"  descriptors named by ls --json: {named:,}")
        crowd_goals(goals, f"{size:,}", results[size])
        # Speed is worth nothing if something was left out.
        goals.add(f"{size:,}", "ls --json names every descriptor of the crowd",
                  f"{100 * named / crowd.truth['descriptors']:.1f}%", named >= crowd.truth["descriptors"])

    if len(sizes) >= 2:
        small, large = min(sizes), max(sizes)
        growth = large / small
        for name in ("ipcscope ls --json", "ipcscope ls", "ipcscope ls --source=proc --json"):
            reached = results[large][name][0] / results[small][name][0]
            goals.add("growth", f"{name.removeprefix('ipcscope ')}: {growth:g} times the descriptors, "
                      f"at most {growth * 1.2:g} times the time", f"{reached:.1f}x", reached <= growth * 1.2)
    goals.show()


main()
