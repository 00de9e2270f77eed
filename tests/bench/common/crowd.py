# SPDX-License-Identifier: GPL-2.0-or-later
"""A full machine, and what is to be reached on it"""

import json
import subprocess
import sys

BIN = "build/release/bin"


class Crowd:
    """The fixture that fills the machine, as a context."""

    def __init__(self, descriptors, sysv):
        self.descriptors = descriptors
        self.processes = max(2, min(2000, descriptors // 200))
        self.sysv = sysv

    def __enter__(self):
        self.fixture = subprocess.Popen(
            [f"{BIN}/ipcscope-fixture", "crowd", f"descriptors={self.descriptors}",
             f"processes={self.processes}", f"sysv={self.sysv}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.fixture.stdout.readline()
        if not line:
            sys.exit(f"the crowd did not start: exit status {self.fixture.wait()}")
        self.truth = json.loads(line)
        return self

    def member(self):
        """The process id of one member in the middle."""
        pids = self.truth["pids"]
        return pids[len(pids) // 2]

    def __exit__(self, *_):
        self.fixture.stdin.close()
        self.fixture.wait()


class Goals:
    """What was to be reached, what was, and whether that will do."""

    def __init__(self):
        self.rows = []

    def add(self, where, goal, reached, met):
        self.rows.append((where, goal, reached, "yes" if met else "NO"))

    def show(self):
        print("\ngoals")
        for where, goal, reached, met in self.rows:
            print(f"  {where:12}{goal:68}{reached:>10}  {met}")
