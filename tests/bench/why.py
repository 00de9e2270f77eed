"""ipcscope why beside gdb, eu-stack and a walk of /proc; --quiet: no findings on healthy software"""
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: ./dev bench why [--quiet [MINUTES]]
#
# Measures whole processes, in turns: `why` alone on a maze of 10,000 blocked threads in 500 processes
# that hides one ring of five, and `why PID` on one process with 100 and with 5,000 threads. It
# prints what was reached of each goal; the exit status is 0 whatever comes out.
#
# With --quiet, real software is started, left idle and put under load for some minutes while `why`
# looks at the host again and again. Every finding is printed, and the exit status is 1 if there was
# a deadlock or something stuck.
# Debian's packages: postgresql nginx-light redis-server dbus tmux stress-ng; what
# is not installed is named and left out.

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

BIN = "build/release/bin"
IPCSCOPE = f"{BIN}/ipcscope"
ROUNDS = 7


def measure(command):
    """(seconds, MiB, exit status) of one run"""
    out = subprocess.run([f"{BIN}/ipcscope-measure", *command], check=True, capture_output=True, text=True).stdout
    ns, kib, status = out.split()
    return int(ns) / 1e9, int(kib) / 1024, int(status)


def seconds(value):
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"


class Fixture:
    """A fixture as a context; its truth is what it yields."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __enter__(self):
        self.process = subprocess.Popen([f"{BIN}/ipcscope-fixture", *self.arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.arguments[0]} did not start: exit status {self.process.wait()}")
        return json.loads(line)

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def run(title, commands, rounds):
    """name -> (median seconds, highest MiB) of every command, in turns"""
    print(f"\n{title}\n  {'':44}{'median':>10}{'fastest':>10}{'memory':>11}{'runs':>6}")
    samples = {name: [] for name in commands}
    for turn in range(ROUNDS):
        for name, command in commands.items():
            if turn < rounds.get(name, ROUNDS):
                samples[name].append(measure(command))
    result = {}
    for name, runs in samples.items():
        times, memory = [r[0] for r in runs], max(r[1] for r in runs)
        result[name] = (statistics.median(times), memory)
        print(f"  {name:44}{seconds(result[name][0]):>10}{seconds(min(times)):>10}{memory:>7.1f} MiB{len(runs):>6}")
    return result


def one_process(threads, limit, goals):
    with Fixture("crowd", "processes=1", f"threads={threads}", "descriptors=0") as truth:
        pid = max(truth["pids"], key=lambda each: len(os.listdir(f"/proc/{each}/task")))
        count = len(os.listdir(f"/proc/{pid}/task"))
        commands = {
            "ipcscope why PID": [IPCSCOPE, "why", str(pid)],
            "ipcscope why PID --source=proc": [IPCSCOPE, "why", str(pid), "--source=proc"],
            "syscall, wchan and stack of PID from C": [f"{BIN}/ipcscope-proc-walk", "--threads", str(pid)],
            "eu-stack -p PID": ["eu-stack", "-p", str(pid)],
            "gdb -p PID, all back-traces": ["gdb", "-p", str(pid), "-batch", "-nx", "-ex", "thread apply all bt"],
        }
        commands = {name: command for name, command in commands.items() if shutil.which(command[0])}
        slow = {"eu-stack -p PID": 2, "gdb -p PID, all back-traces": 1} if count > 1000 else {}
        result = run(f"one process with {count:,} threads", commands, slow)
        reached = result["ipcscope why PID"][0]
        goals.append((f"why PID, {count:,} threads, under {limit} ms", seconds(reached), reached * 1000 < limit))


def measure_all():
    goals = []
    if os.geteuid() != 0:
        print("not root: other users' processes are left out, and the BPF source is not used")
    with Fixture("maze", "threads=10000", "processes=495") as truth:
        commands = {
            "ipcscope why": [IPCSCOPE, "why"],
            "ipcscope why --once": [IPCSCOPE, "why", "--once"],
            "ipcscope why --source=proc": [IPCSCOPE, "why", "--source=proc"],
            "syscall, wchan and stack of all from C": [f"{BIN}/ipcscope-proc-walk", "--threads"],
        }
        result = run("10,000 blocked threads in 500 processes", commands, {})
        time_, memory = result["ipcscope why"]
        goals.append(("why under 150 ms, both looks", seconds(time_), time_ < 0.150))
        goals.append(("why under 100 MB", f"{memory * 1.048576:.0f} MB", memory * 1.048576 < 100))
        out = subprocess.run([IPCSCOPE, "why", "--json"], capture_output=True, text=True).stdout
        found = [f for f in json.loads(out)["findings"] if f["rule"] == "deadlock"]
        expected = {entry["tid"] for entry in truth["why"] if entry.get("finding") == "deadlock"}
        hit = any(expected and expected <= set(f["tids"]) for f in found)
        goals.append(("the ring of five is found", f"{len(expected)} threads", hit))
    one_process(100, 20, goals)
    one_process(5000, 60, goals)
    print("\ngoals")
    for goal, reached, met in goals:
        print(f"  {goal:56}{reached:>12}  {'yes' if met else 'NO'}")


# --- quiet hosts --------------------------------------------------------------------------------

POOL = """
import multiprocessing, sys, time
def work(n):
    time.sleep(n % 7 / 100)
    return n
if __name__ == "__main__":
    with multiprocessing.Pool(8) as pool:
        while True:
            pool.map(work, range(200))
            time.sleep(20)
"""


def find(*names):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    return None


class Software:
    """Programs as they come, in a directory of their own, under the user nobody where they insist."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []
        self.missing = []

    def start(self, name, program, *arguments, user=None, **more):
        if program is None:
            self.missing.append(name)
            return False
        if user and os.geteuid() == 0:
            arguments = ("--reuid", user, "--regid", user, "--clear-groups", program, *arguments)
            program = "setpriv"
        log = open(f"{self.directory}/{name}.log", "w")
        self.running.append((name, subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=log,
                                                    stderr=log, start_new_session=True, **more)))
        return True

    def start_all(self):
        d = self.directory
        initdb = find("/usr/lib/postgresql/17/bin/initdb", "/usr/lib/postgresql/15/bin/initdb", "initdb")
        if initdb:
            data, binaries = f"{d}/pg", os.path.dirname(os.path.realpath(initdb))
            os.makedirs(data)
            shutil.chown(data, "nobody", "nogroup")
            as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
            subprocess.run([*as_nobody, initdb, "-D", f"{data}/db", "-U", "bench"], check=True, stdout=subprocess.DEVNULL)
            self.start("postgres", f"{binaries}/postgres", "-D", f"{data}/db", "-k", data, "-h", "", user="65534")
            time.sleep(3)
            if find(f"{binaries}/pgbench"):
                subprocess.run([f"{binaries}/pgbench", "-q", "-i", "-h", data, "-U", "bench", "postgres"],
                               check=True, capture_output=True)
                self.start("pgbench", f"{binaries}/pgbench", "-h", data, "-U", "bench", "-c", "8", "-j", "2",
                           "-R", "200", "-T", "100000", "postgres")
        else:
            self.missing.append("postgresql")
        with open(f"{d}/nginx.conf", "w") as conf:
            conf.write(f"daemon off; pid {d}/nginx.pid; error_log {d}/nginx.err; worker_processes 4;\n"
                       "events {}\n"
                       f"http {{ access_log off; server {{ listen unix:{d}/nginx.sock; return 204; }} }}\n")
        self.start("nginx", find("nginx"), "-c", f"{d}/nginx.conf")
        self.start("redis", find("redis-server"), "--port", "0", "--unixsocket", f"{d}/redis.sock", "--save", "")
        self.start("dbus", find("dbus-daemon"), "--session", "--nofork", f"--address=unix:path={d}/bus")
        self.start("tmux", find("tmux"), "-D", "-L", os.path.basename(d), "-f", "/dev/null")
        with open(f"{d}/pool.py", "w") as script:
            script.write(POOL)
        self.start("python", sys.executable, f"{d}/pool.py")
        self.start("stress-ng", find("stress-ng"), "--pipe", "1", "--sem", "1", "--sem-sysv", "1", "--msg", "1", "--mq",
                   "1", "--futex", "1", "--sock", "1", "--sockpair", "1", "--fifo", "1", "--eventfd", "1", "--poll", "1",
                   "--epoll", "1", "--lockf", "1", "--flock", "1", "--shm", "1", "--timeout", "100000", cwd=d)

    def stop_all(self):
        for name, process in reversed(self.running):
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        for name, process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def quiet(minutes):
    looks, bad, seen = 0, 0, set()
    with tempfile.TemporaryDirectory(prefix="ipcscope-test-") as directory:
        os.chmod(directory, 0o755)
        software = Software(directory)
        try:
            software.start_all()
            time.sleep(5)
            ended = [name for name, process in software.running if process.poll() is not None]
            print("running:", ", ".join(name for name, process in software.running if name not in ended))
            for what, names in (("not installed", software.missing), ("ended at once", ended)):
                if names:
                    print(f"{what}: {', '.join(names)}")
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end:
                for source in ("auto", "proc"):
                    out = subprocess.run([IPCSCOPE, "why", "--json", "--longer-than", "3", f"--source={source}"],
                                         capture_output=True, text=True)
                    looks += 1
                    for finding in json.loads(out.stdout)["findings"]:
                        key = (finding["rule"], tuple(finding["tids"]))
                        if key in seen:
                            continue
                        seen.add(key)
                        print(f"{source}: {finding['severity']} {finding['rule']}: {finding['summary']}")
                        bad += finding["rule"] in ("deadlock", "stuck")
                time.sleep(1)
        finally:
            software.stop_all()
    print(f"{looks} looks in {minutes:g} minutes: {bad} times deadlock or stuck, {len(seen) - bad} other findings")
    return 1 if bad else 0


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--quiet"]:
        sys.exit(quiet(float(arguments[1]) if len(arguments) > 1 else 2))
    if arguments:
        sys.exit(__doc__)
    measure_all()


main()
