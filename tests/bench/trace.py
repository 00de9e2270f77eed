"""ipcscope trace and locks: what they cost the traced and the others, and how much trace carries; beside bpftrace, perf and strace"""
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: ./dev bench trace [LOAD... [TRACER...]]
#
# With loads (pipe, unix, ...), only those are measured, under these tracers (summary, locks, ...) or
# all of them, and nothing else is.
#
# Each loop runs alone, under a tracer, and alone again: a turn's ratio is to the mean of the two.
# The median of several turns counts. A ratio of 1.00 is no cost. Two of the loops (getppid, zero)
# have nothing to do with IPC. The other tracers count the same calls. What is not installed is named
# and left out.
# It prints what was reached of each goal; the exit status is 0 whatever comes out.

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

BIN = "build/release/bin"
IPCSCOPE = f"{BIN}/ipcscope"
LOAD = f"{BIN}/ipcscope-load"

# load: rounds, mechanism of ipcscope, calls for the other tracers
LOADS = {
    "getppid": (500_000, "pipe", "read,write"),
    "zero": (500_000, "pipe", "read,write"),
    "own-pipe": (200_000, "pipe", "read,write"),
    "pipe": (30_000, "pipe", "read,write"),
    "unix": (30_000, "unix", "read,write"),
    "msg": (30_000, "msg", "msgsnd,msgrcv"),
    "mq": (30_000, "mq", "mq_timedsend,mq_timedreceive"),
    "futex": (30_000, "futex", "futex"),
    "mutex": (3_000_000, "futex", "futex"),
}


def load(name, rounds, repeats=3):
    out = subprocess.run([LOAD, name, str(rounds), str(repeats)], check=True, capture_output=True, text=True)
    return float(out.stdout)


class Tracer:
    """A tracer of the whole host that is live; wait_for is what it says then, on either output."""

    def __init__(self, command, wait_for, delay=0.0):
        self.command, self.wait_for, self.delay = command, wait_for, delay

    def __enter__(self):
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if self.wait_for:
            while True:
                line = self.process.stderr.readline().decode(errors="replace")
                if not line or self.wait_for in line:
                    break
        self.live = time.monotonic() - begin
        time.sleep(self.delay)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


def bpftrace_command(calls):
    program = "".join(f"tracepoint:syscalls:sys_enter_{c} {{ @b[tid] = nsecs; }} "
                      f"tracepoint:syscalls:sys_exit_{c} /@b[tid]/ "
                      f"{{ @n[probe] = count(); @t[probe] = hist(nsecs - @b[tid]); delete(@b[tid]); }} "
                      for c in calls.split(","))
    return ["bpftrace", "-e", program]


def tracers(name):
    """(label, how it is started, how much fewer rounds, turns)"""
    _, mechanism, calls = LOADS[name]
    yield "locks", lambda: Tracer([IPCSCOPE, "locks", "-d", "600"], "measuring"), 1, 7
    yield "summary", lambda: Tracer([IPCSCOPE, "trace", mechanism, "--summary"], "tracing"), 1, 7
    yield "json", lambda: Tracer([IPCSCOPE, "trace", mechanism, "--json"], "tracing"), 1, 3
    if shutil.which("bpftrace"):
        yield "bpftrace", lambda: Tracer(bpftrace_command(calls), None, delay=2.5), 4, 3
    if shutil.which("perf"):
        yield "perf trace -s", lambda: Tracer(["perf", "trace", "-s", "-a", "-e", calls, "-o", "/dev/null"], None,
                                              delay=2), 20, 1


def slowdowns(loads, wanted):
    """For each load the ratio under each tracer, and what a round takes alone, in ns"""
    rows = {}
    for name in loads:
        rounds, _, calls = LOADS[name]
        alone, ratios = [load(name, rounds)], {}
        for label, make, slower, turns in tracers(name):
            if wanted and label not in wanted:
                continue
            ratios[label] = []
            for _ in range(turns):
                with make():
                    traced = load(name, rounds // slower)
                alone.append(load(name, rounds))
                ratios[label].append(2 * traced / (alone[-2] + alone[-1]))
        if shutil.which("strace") and (not wanted or "strace" in wanted):
            out = subprocess.run(["strace", "-f", "-qq", "-c", "-e", f"trace={calls}", "-o", "/dev/null",
                                  LOAD, name, str(rounds // 30), "1"], capture_output=True, text=True)
            if out.returncode == 0:
                ratios["strace -c"] = [float(out.stdout) / alone[-1]]
        rows[name] = {"alone": statistics.median(alone)}
        rows[name].update((label, statistics.median(each)) for label, each in ratios.items())
    return rows


def print_slowdowns(rows):
    labels = list(dict.fromkeys(label for row in rows.values() for label in row if label != "alone"))
    print(f"{'round of':<10}{'alone':>10}  " + "".join(f"{label:>15}" for label in labels))
    for name, row in rows.items():
        cells = "".join(f"{row[label]:>14.2f}x" if label in row else f"{'-':>15}" for label in labels)
        print(f"{name:<10}{row['alone']:>7.0f} ns  {cells}")
    for tool in ("bpftrace", "perf", "strace"):
        if not shutil.which(tool):
            print(f"{tool} is not installed: left out")


def carried(arguments, read_total, loops, rate):
    """(operations, lost, seconds) from some loops that do two operations a round; rate: rounds a second of each"""
    rounds = 1_500_000
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as out:
        process = subprocess.Popen([IPCSCOPE, "trace", "pipe", *[a.replace("OUT", out.name) for a in arguments]],
                                   stdout=open(out.name + ".out", "wb"), stderr=subprocess.PIPE)
        process.stderr.readline()
        begin = time.monotonic()
        running = [subprocess.Popen([LOAD, "own-pipe", str(rounds), "1", str(rate)], stdout=subprocess.DEVNULL)
                   for _ in range(loops)]
        for loop in running:
            loop.wait()
        took = time.monotonic() - begin
        process.send_signal(signal.SIGINT)
        process.communicate()
        with open(out.name + ".out", "rb") as text:
            text.seek(max(0, os.path.getsize(out.name + ".out") - 4096))
            total = text.read().decode(errors="replace")
        os.unlink(out.name + ".out")
    events, lost = read_total(total)
    return events, lost, took


def json_total(text):
    found = re.search(r'"events":(\d+),"lost":(\d+)', text)
    return int(found[1]), int(found[2])


def file_total(text):
    found = re.search(r"(\d+) operations written to .*, (\d+) lost", text)
    return int(found[1]), int(found[2])


def starts():
    times = {}
    for label, command, wait_for in (("locks", [IPCSCOPE, "locks", "-d", "60"], "measuring"),
                                     ("trace pipe", [IPCSCOPE, "trace", "pipe", "--json"], "tracing"),
                                     ("trace (all)", [IPCSCOPE, "trace", "--json"], "tracing"),
                                     ("trace --summary", [IPCSCOPE, "trace", "--summary"], "tracing")):
        took = []
        for _ in range(11):
            with Tracer(command, wait_for) as tracer:
                took.append(tracer.live)
        times[label] = statistics.median(took)
    return times


def main():
    if os.geteuid() != 0:
        sys.exit("needs root")
    loads = [word for word in sys.argv[1:] if word in LOADS]
    wanted = [word for word in sys.argv[1:] if word not in LOADS]
    known = {label for label, *_ in tracers("pipe")} | {"strace"}
    if not set(wanted) <= known or (wanted and not loads):
        sys.exit(f"loads: {', '.join(LOADS)}; tracers: {', '.join(sorted(known))}")
    rows = slowdowns(loads or list(LOADS), wanted)
    print_slowdowns(rows)
    if loads:
        return
    waiting = ("pipe", "unix", "msg", "mq", "futex", "mutex")
    worst = max(rows[name]["locks"] for name in waiting)
    others = max(rows[name]["locks"] for name in ("getppid", "zero", "own-pipe"))
    print(f"what waits under locks: at most {worst:.2f}x (goal 1.10); what does not: {others:.2f}x (goal 1.02)")
    worst = max(rows[name]["summary"] for name in ("pipe", "unix", "msg", "mq"))
    print(f"ping-pongs under --summary: at most {worst:.2f}x (goal 1.30)")
    print(f"not IPC under --summary: getppid {rows['getppid']['summary']:.2f}x "
          f"(floor of two programs before all calls), zero {rows['zero']['summary']:.2f}x")
    if "bpftrace" in rows["pipe"]:
        for name in ("pipe", "unix", "msg", "mq"):
            row = rows[name]
            added, theirs = [(row[label] - 1) * row["alone"] for label in ("summary", "bpftrace")]
            print(f"{name}: adds {added:.0f} ns a round, bpftrace {theirs:.0f} ns ({added / theirs:.2f}, goal 0.50)")
    for label, arguments, read_total, goal in (("JSON lines", ["--json"], json_total, 1_000_000),
                                               ("file", ["--write", "OUT"], file_total, 2_000_000)):
        for loops in (1, 2):
            for rate, pace in ((1.05 * goal / 2 / loops, "a little faster than the goal"),
                               (0, "as fast as it can")):
                events, lost, took = carried(arguments, read_total, loops, rate)
                print(f"{label}, {loops} loop{'s' if loops > 1 else ''} {pace}: {events:,} operations in "
                      f"{took:.2f} s, {events / took:,.0f} a second, {lost:,} lost (goal {goal:,} without loss)")
    for label, took in starts().items():
        print(f"{label}: live after {took * 1000:.0f} ms (goal 60)")


main()
