"""ipcscope leaks beside ipcs and lsipc: time and memory, with 10,000 System V objects"""
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: ./dev bench leaks [PROCESSES]
#
# Makes 4,000 segments, 4,000 semaphore sets and 2,000 queues in an IPC namespace of its own, in
# which PROCESSES (500) processes live that have a segment attached each; the rest was left behind
# by a process that ended. The namespace and all in it end with this program. It measures; it does
# not judge: the exit status is 0 whatever comes out.

import ctypes
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys

BIN = "build/release/bin"
IPCSCOPE = f"{BIN}/ipcscope"
SEGMENTS, SETS, QUEUES = 4000, 4000, 2000
ROUNDS = 15
LIMIT_MS = 150
CLONE_NEWIPC = 0x08000000
IPC_PRIVATE, MODE, PR_SET_PDEATHSIG, SETVAL = 0, 0o600, 1, 16

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p


class Message(ctypes.Structure):
    _fields_ = [("type", ctypes.c_long), ("text", ctypes.c_char * 64)]


def checked(result, what):
    if result == -1:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def make_objects(attached):
    """In the process that is to end. Returns the segments for those that live."""
    segments = [checked(libc.shmget(IPC_PRIVATE, 4096, MODE), "shmget") for _ in range(SEGMENTS)]
    for _ in range(SETS):
        one = checked(libc.semget(IPC_PRIVATE, 2, MODE), "semget")
        checked(libc.semctl(one, 0, SETVAL, 1), "semctl")
    message = Message(1, b"left behind")
    for _ in range(QUEUES):
        queue = checked(libc.msgget(IPC_PRIVATE, MODE), "msgget")
        checked(libc.msgsnd(queue, ctypes.byref(message), 64, 0), "msgsnd")
    return segments[:attached]


def leave_objects(attached):
    ends = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ends[1], json.dumps(make_objects(attached)).encode())
        os._exit(0)
    os.close(ends[1])
    with os.fdopen(ends[0]) as answer:
        segments = json.loads(answer.read() or "[]")
    os.waitpid(child, 0)
    if len(segments) != attached:
        sys.exit("the objects could not be made")
    return segments


def start_users(segments):
    """A process for each segment, that has it attached until this one ends."""
    parent, users = os.getpid(), []
    ready = os.pipe()
    for segment in segments:
        pid = os.fork()
        if pid == 0:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent or libc.shmat(segment, None, 0) == ctypes.c_void_p(-1).value:
                os._exit(1)
            os.write(ready[1], b".")
            signal.pause()
            os._exit(0)
        users.append(pid)
    for _ in users:
        os.read(ready[0], 1)
    return users


def measure(command):
    """(milliseconds, MiB, exit status) of one run"""
    out = subprocess.run([f"{BIN}/ipcscope-measure", *command], check=True, capture_output=True, text=True).stdout
    ns, kib, status = out.split()
    return int(ns) / 1e6, int(kib) / 1024, int(status)


def compare():
    """name -> median milliseconds, in turns"""
    subjects = {
        "ipcscope leaks": [IPCSCOPE, "leaks"],
        "ipcscope leaks --json": [IPCSCOPE, "leaks", "--json"],
        "ipcscope leaks shm sem msg": [IPCSCOPE, "leaks", "shm", "sem", "msg"],
        "ipcscope leaks --source=proc": [IPCSCOPE, "leaks", "--source=proc"],
        "ipcs -a": ["ipcs", "-a"],
        "lsipc -m": ["lsipc", "-m"],
        "lsipc -s": ["lsipc", "-s"],
        "lsipc -q": ["lsipc", "-q"],
    }
    subjects = {name: command for name, command in subjects.items() if shutil.which(command[0])}
    samples = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, command in subjects.items():
            samples[name].append(measure(command))
    print(f"  {'':30}{'median':>11}{'fastest':>11}{'slowest':>11}{'memory':>11}")
    for name, runs in samples.items():
        times = [run[0] for run in runs]
        # leaks says with 1 that it has found something.
        failed = any(run[2] not in ((1,) if name.startswith("ipcscope") else (0,)) for run in runs)
        print(f"  {name:30}{statistics.median(times):>8.1f} ms{min(times):>8.1f} ms{max(times):>8.1f} ms"
              f"{max(run[1] for run in runs):>7.1f} MiB{'  FAILED' if failed else ''}")
    return {name: statistics.median(run[0] for run in runs) for name, runs in samples.items()}


def main():
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    checked(libc.unshare(CLONE_NEWIPC), "an IPC namespace of its own (run as root)")
    users = start_users(leave_objects(processes))
    try:
        print(f"\n{SEGMENTS:,} segments, {SETS:,} semaphore sets, {QUEUES:,} queues, {processes:,} processes")
        medians = compare()
        report = json.loads(subprocess.run([IPCSCOPE, "leaks", "--json"], capture_output=True, text=True).stdout)
        leaked = {total["kind"]: total["leaked"] for total in report["totals"]}
        expected = {"shm": SEGMENTS - processes, "sem": SETS, "msg": QUEUES}
        for kind, count in expected.items():
            print(f"  {kind}: {leaked[kind]:,} of {count:,} leaked objects named")
        complete = all(leaked[kind] == count for kind, count in expected.items())
        reached = medians["ipcscope leaks"]
        print(f"\ngoals\n  leaks under {LIMIT_MS} ms: {reached:.1f} ms  {'yes' if reached < LIMIT_MS else 'NO'}"
              f"\n  every object named, and no other: {'yes' if complete else 'NO'}")
    finally:
        for pid in users:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


main()
