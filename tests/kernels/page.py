# SPDX-License-Identifier: GPL-2.0-or-later
"""man/ipcscope-kernels.7 from kernels.json"""

# What a person calls the cases, and what they say about them.
VERSIONS = ["5.10", "6.1", "6.12", "6.18", "newest"]
ARM64 = ["arm64-6.1", "arm64-newest"]
VARIANTS = {
    "lockdown": "booted with lockdown=confidentiality",
    "no-btf": "/sys/kernel/btf is hidden",
    "user": "an ordinary user",
    "bpf-user": "a user with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE",
    "container": "in PID, mount, IPC, network, UTS and cgroup namespaces of its own",
    "hidepid": "an ordinary user, /proc mounted with hidepid=2",
    "no-diag": "without the modules of sock_diag",
    "static": "the file that ./dev static builds",
    "four-cpus": "the newest kernel, with four CPUs",
}
# Of each capability of doctor: what is lost without. The same words would be too long for a table.
LOSSES = {
    "processes of other users": "descriptors and waits of others' processes, with the proc source",
    "system calls": "what a thread is blocked in, with the proc source",
    "scheduler times": "since when a thread is blocked, with the proc source",
    "kernel stacks": "kernel stacks in show",
    "file locks": "file locks, with the proc source",
    "System V objects": "shm, sem and msg, with the proc source",
    "mqueue": "message queues that no process has open",
    "sock_diag": "peers and queues of sockets of these families, with the proc source",
    "process_vm_readv": "owners of locks, values of semaphores, with the proc source",
    "kcmp": "who shares an eventfd, epoll or timerfd, with the proc source",
    "setns": "System V objects and queues of other namespaces, with the proc source",
    "BTF": "the bpf source, locks and trace; --btf gives a file instead",
    "BPF privilege": "the bpf source, locks and trace",
    "perf events": "locks --deep",
    "lockdown": "the bpf source, locks and trace",
    "BPF iterator over tasks and files": "the bpf source: all is read from /proc",
    "BPF loops": "with the bpf source: what is behind the 32nd entry of a list in one channel",
    "BPF direct reads": "speed: reading takes twice as long",
    "BPF iterator over mappings": "the bpf source for mappings: they are read from /proc",
    "BPF at context switches": "locks",
    "BPF at system calls": "trace",
    "BPF at many functions": "speed: locks --deep ends a tenth of a second later for each of its probes",
}
SIGNS = {"works": "yes", "partial": "part", "missing": "-"}
RUN = {0: "yes", 1: "yes", 2: "-", 3: "-"}


def table(heading, rows):
    """Lines of tbl(1): the first column to the left, the others in the middle."""
    lines = [".TS", "l" + " c" * (len(heading) - 1) + ".", "\t".join(heading)]
    lines += ["\t".join(each) for each in rows]
    return lines + [".TE"]


def capability_names(cases):
    names = []
    for case in cases.values():
        names += [name for name in case.get("expected", {}).get("capabilities", {}) if name not in names]
    order = list(LOSSES)
    missing = [name for name in names if name not in order]
    if missing:
        raise SystemExit(f"tests/kernels/page.py does not say what is lost without: {', '.join(missing)}")
    return [name for name in order if name in names]


def capability_table(cases, columns):
    present = [name for name in columns if name in cases]
    rows = []
    for capability in capability_names(cases):
        states = [cases[name].get("expected", {}).get("capabilities", {}).get(capability) for name in present]
        rows.append([capability] + [SIGNS.get(state, "?") for state in states])
    return table(["doctor says", *present], rows)


def command_table(cases, columns):
    present = [name for name in columns if name in cases]
    rows = []
    for command in ("ls", "show", "why", "leaks", "limits", "locks", "trace", "top", "selftest"):
        states = [cases[name].get("expected", {}).get("commands", {}).get(command) for name in present]
        rows.append([command] + [RUN.get(state, "?") for state in states])
    return table(["command", *present], rows)


def impossible_tests(cases):
    """Which of the live tests each kernel cannot do, as a list."""
    lines = []
    for name, case in cases.items():
        live = case.get("expected", {}).get("live", {})
        tests = sorted(test for test, state in live.items() if state == "skipped")
        if tests and name in VERSIONS + ARM64:
            lines += [f".It {name}", "; ".join(tests)]
    return [".Pp", "Live tests that a kernel cannot do:", ".Bl -tag -width Ds", *lines, ".El"] if lines else []


def write(data, out):
    cases = {case["name"]: case for case in data["cases"]}
    lines = [
        '.\\" SPDX-License-Identifier: GPL-2.0-or-later',
        '.\\" Made by tests/kernels/matrix.py --man; ./dev lint compares.',
        ".Dd November 21, 2026", ".Dt IPCSCOPE-KERNELS 7", ".Os", ".Sh NAME", ".Nm ipcscope-kernels",
        ".Nd what ipcscope can do on which kernel", ".Sh DESCRIPTION",
        "Every line of these tables is tested:",
        ".Ql ./dev test kernels",
        "boots Debian's kernels for x86-64 and arm64 with",
        ".Xr ipcscope 1",
        "inside, compares what",
        ".Ql ipcscope doctor",
        "says with what is written here, and fails when anything appears or disappears.",
        "BPF programs only count as working when they have seen something happen.",
        "The whole of",
        ".Ql ipcscope selftest",
        "is run on 6.12, a choice of its fixtures everywhere; on the newest, the bpf source has to say the same",
        "as the proc source of every fixture.",
        "A choice of the live tests, of every command and both ways of probing, is run on each kernel.",
        ".Pp",
        "No command crashes on any of them.",
        "What a kernel does not have is stated in the coverage of each answer.",
        ".Sh KERNELS",
        "As root.",
        ".Ql part",
        "is: not for all, and",
        ".Ql ipcscope doctor",
        "says for which.",
        "A question mark stands where nothing is recorded; the newest is 7.x.",
        ".Pp",
        *capability_table(cases, VERSIONS),
        ".Pp",
        "Which command gives an answer:",
        ".Pp",
        *command_table(cases, VERSIONS),
        *impossible_tests(cases),
        ".Sh KERNELS FOR ARM64",
        "As root, with the file that",
        ".Ql ./dev static arm64",
        "builds.",
        "The probes of",
        ".Ql locks --deep",
        "are at the first instruction of each function there, which costs more than the places that are",
        "found on x86-64.",
        ".Pp",
        *capability_table(cases, ARM64),
        ".Pp",
        "Which command gives an answer:",
        ".Pp",
        *command_table(cases, ARM64),
        ".Sh VARIANTS",
        "On 6.12 for x86-64 where nothing else is said:",
        ".Bl -tag -width four-cpus",
    ]
    for name, meaning in VARIANTS.items():
        if name in cases:
            lines += [f".It {name}", meaning]
    lines += [".El", ".Pp", *capability_table(cases, VARIANTS), ".Pp", "Which command gives an answer:", ".Pp",
              *command_table(cases, VARIANTS), ".Sh WHAT IS LOST WITHOUT", ".Bl -tag -width Ds"]
    for name in capability_names(cases):
        lines += [f".It {name}", LOSSES[name]]
    lines += [
        ".El",
        ".Sh A KERNEL THAT HIDES ITS TYPES",
        "The bpf source has to know where the kernel keeps what it reads, and takes that from",
        ".Pa /sys/kernel/btf/vmlinux .",
        "Where that cannot be seen, as in some containers,",
        ".Fl Fl btf Ar FILE",
        "gives a copy, or what",
        ".Ql pahole --btf_encode_detached",
        "makes of the kernel's debug information.",
        "It has to be that of the running kernel: this cannot be checked.",
        "It needs Linux 6.2, and a kernel that was built with",
        ".Dv CONFIG_DEBUG_INFO_BTF :",
        "without, there are no BPF iterators either, and only",
        ".Pa /proc",
        "is left.",
        ".Sh SEE ALSO",
        ".Xr ipcscope 1 ,",
        ".Xr ipcscope-doctor 1",
    ]
    out.write("\n".join(lines) + "\n")
