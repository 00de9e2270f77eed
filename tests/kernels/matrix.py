"""Boots Debian's kernels with ipcscope inside, and compares what each can do with kernels.json"""
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: ./dev test kernels [NAME...] [--update]      --man: prints man/ipcscope-kernels.7
#                                                     --architectures: of these cases
#
# NAME: of a case in kernels.json; none: all. --update writes what came out into that file, to be
# read before it is committed, and then the manual page. Packages come from the mirrors in this
# machine's sources, through an apt configuration of its own, signed by Debian's archive keyring; they
# are kept in build/kernels, with what each guest said (NAME.out) and its console (NAME.console).
# Exit status: 0 all as expected; 1 not; 77 a kernel cannot be fetched, which is 1 with CI=true.
#
# Cases with "architecture": "arm64" run what the preset arm64 builds, with the libraries that sysroot.py
# fetches; the other ones what release and static do.
#
# "cpu": of qemu, instead of that of its machine. Without cmpxchg16b 7.x cannot allocate for BPF maps where they
# may not sleep (kmalloc_nolock()), and what has no room is lost.
#
# To add a kernel: a pattern for its package below "kernels" (the newest that matches is taken), a line
# in the suites of its machine when none there has it, and a case with its name. To add a variant: a case with
# "variant", and what that word means in init. To add a command: a line in the file commands, behind
# VARIANT: when only one variant runs it (selftest and live run nothing else); what has to be in its
# output is in look() of init. To add a live test: the tag [kernels] at its test case, which runs it on every
# kernel, by itself, in 120 s at most. It is to take a second or two there, with programs that are there
# (LIVE_PROGRAMS, busybox), and to say so where a kernel cannot do it (tell_impossible), which is recorded.
# [newest-kernel] is for what takes longer, and is run on the newest of amd64. Then --update for these cases, and read the difference: a capability that
# is missing there has to be missing in that kernel, and the complaint in build/kernels/NAME.out has to
# say so clearly.

import concurrent.futures
import glob
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import archive  # noqa: E402
import page  # noqa: E402
import sysroot  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = "build/kernels"
EXPECTED = f"{HERE}/kernels.json"
MODULES = ["inet_diag", "tcp_diag", "udp_diag", "raw_diag", "unix_diag", "netlink_diag", "af_packet", "af_packet_diag"]
PARTS = ("capabilities", "commands", "saw", "selftest", "live")  # of what is expected
EXIT_BY_GUEST = 42 * 2 + 1  # what isa-debug-exit makes of the value that the guest writes
# What the live tests look at keeps its names and lines.
LIVE_PROGRAMS = ["ipcscope-live", "ipcscope-deep-target*", "ipcscope-stacks-target*", "ipcscope-leaks-world"]
BOOT_SECONDS = 1500
REPEAT_SECONDS = 600  # what took longer is not booted again
# One thread for all CPUs of a guest: on several, code that another CPU patches (static keys) was run
# half patched now and then, and 6.12 panicked. Two guests at once use two CPUs anyway.
ACCELERATOR = "tcg,thread=single"


def find(tree, pattern):
    found = glob.glob(f"{tree}/**/{pattern}", recursive=True)
    return found[0] if found else None


def libraries_of(path):
    """The files that a program is linked with, and where they have to be."""
    linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    return {library: library for library in re.findall(r"(/\S+) \(0x", linked)}


def foreign_libraries_of(path):
    """The same, of a program for arm64."""
    found, left = {}, [path]
    while left:
        said = subprocess.run(["readelf", "-d", "-l", left.pop()], capture_output=True, text=True, check=True).stdout
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]|program interpreter: /lib/(\S+)\]", said):
            name = "".join(name)
            places = [f"{sysroot.SYSROOT}/{directory}/aarch64-linux-gnu/{name}" for directory in ("lib", "usr/lib")]
            library = next((place for place in places if os.path.exists(place)), None)
            if library and library not in found:
                found[library] = f"/lib/{name}"
                left.append(library)
    return found


def copy_program(path, root, libraries, keeps_names=False):
    """A program under its name, with the libraries that it is linked with."""
    path = shutil.which(path) or path
    os.makedirs(f"{root}/usr/bin", exist_ok=True)
    shutil.copy(path, f"{root}/usr/bin/")
    if not keeps_names:
        copy = f"{root}/usr/bin/{os.path.basename(path)}"
        subprocess.run(["strip", "--strip-debug", copy], check=False, capture_output=True)
    for library, place in libraries(path).items():
        target = f"{root}{place}"
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(library, target)


# Of each architecture: where its packages are kept and come from, what is put into the guest, how qemu is
# told what machine it is, and what init gets for its console and for the line where it speaks.
MACHINES = {
    "amd64": {
        "cache": CACHE,
        "libraries": libraries_of,
        "suites": [("debian-security", "bullseye-security"), ("debian", "bookworm"), ("debian", "trixie"),
                   ("debian", "trixie-backports")],
        "programs": ["build/release/bin/ipcscope", "build/release/bin/ipcscope-fixture", "setpriv", "unshare", "busybox"],
        "live": "build/release/bin",
        "static": "build/static/bin/ipcscope",
        # Without cmpxchg16b: emulated on several threads, it made 6.12 panic in its allocator now and then.
        "qemu": ["qemu-system-x86_64", "-M", "pc", "-cpu", "max,-cx16"],
        "devices": ["-serial", "chardev:said", "-device", "isa-debug-exit,iobase=0x501,iosize=2"],
        "exits": True,
        "lines": "console=ttyS0 ipcscope.line=ttyS1",
    },
    "arm64": {
        "cache": sysroot.CACHE,
        "libraries": foreign_libraries_of,
        "suites": sysroot.SUITES,
        "programs": ["build/arm64/bin/ipcscope", "build/arm64/bin/ipcscope-fixture", f"{sysroot.SYSROOT}/bin/busybox"],
        "live": "build/arm64/bin",
        "static": None,
        "qemu": ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72"],
        # This machine has one serial port, and nothing to exit by.
        "devices": ["-device", "pci-serial,chardev=said"],
        "exits": False,
        "lines": "console=ttyAMA0 ipcscope.line=ttyS0",
    },
}


def machine_of(case):
    return MACHINES[case.get("architecture", "amd64")]


def pack(tree, machine):
    """The initramfs for a kernel: ipcscope, its fixtures, busybox and this folder's init."""
    root = f"{tree}/root"
    shutil.rmtree(root, ignore_errors=True)
    for directory in ("proc", "sys", "dev", "tmp", "run", "etc", "modules", "usr/bin"):
        os.makedirs(f"{root}/{directory}")
    os.symlink("usr/bin", f"{root}/bin")
    for program in machine["programs"]:
        copy_program(program, root, machine["libraries"])
    if machine["live"]:
        for name in LIVE_PROGRAMS:
            for program in glob.glob(f"{machine['live']}/{name}"):
                copy_program(program, root, machine["libraries"], name != "ipcscope-live")
        # The live tests know where the programs and the page of the JSON are that they were built with.
        there = os.path.abspath(machine["live"])
        os.makedirs(os.path.dirname(f"{root}{there}"))
        os.symlink("/usr/bin", f"{root}{there}")
        os.makedirs(f"{root}{os.path.abspath('man')}")
        shutil.copy("man/ipcscope-json.5", f"{root}{os.path.abspath('man')}/")
    if machine["static"]:
        shutil.copy(machine["static"], f"{root}/usr/bin/ipcscope-static")
        subprocess.run(["gcc", "-O2", "-static", "-o", f"{root}/usr/bin/leave", f"{HERE}/leave.c"], check=True)
    applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if not os.path.lexists(f"{root}/usr/bin/{applet}"):
            os.symlink("busybox", f"{root}/usr/bin/{applet}")
    with open(f"{root}/etc/passwd", "w", encoding="utf-8") as file:
        file.write("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    for module in MODULES:
        if path := find(tree, f"{module}.ko.xz"):
            with lzma.open(path) as packed, open(f"{root}/modules/{module}.ko", "wb") as plain:
                shutil.copyfileobj(packed, plain)
        elif path := find(tree, f"{module}.ko"):
            shutil.copy(path, f"{root}/modules/")
    shutil.copy(f"{HERE}/init", f"{root}/init")
    shutil.copy(f"{HERE}/commands", f"{root}/commands")
    os.chmod(f"{root}/init", 0o755)
    image = f"{tree}/initramfs"
    with open(image, "wb") as file:
        names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names, stdout=file, check=True)
    return image


def boot(tree, initramfs, case):
    """What the guest said on its second line, and the exit status of qemu."""
    name, machine = case["name"], machine_of(case)
    said, console = f"{CACHE}/{name}.out", f"{CACHE}/{name}.console"
    command = [
        *machine["qemu"], "-accel", ACCELERATOR, "-m", "1024", "-smp", str(case.get("cpus", 2)),
        "-kernel", find(tree, "vmlinuz*"), "-initrd", initramfs, "-nographic", "-no-reboot", "-nic", "none",
        *(["-cpu", case["cpu"]] if "cpu" in case else []),
        "-append", f"{machine['lines']} quiet panic=-1 ipcscope.variant={case.get('variant', 'plain')} {case.get('cmdline', '')}",
        "-monitor", "none", "-serial", f"file:{console}", "-chardev", f"file,id=said,path={said}", *machine["devices"]]
    try:
        status = subprocess.run(command, timeout=BOOT_SECONDS, stdin=subprocess.DEVNULL, capture_output=True,
                                check=False).returncode
    except subprocess.TimeoutExpired:
        status = -1
    with open(said, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines(), status


def understand(lines):
    """What a guest's lines say."""
    outcome = {"kernel": None, "commands": {}, "complaints": {}, "capabilities": {}, "saw": [], "selftest": {},
               "live": {}, "said": {}, "trouble": [], "ended": False}
    text = {"doctor": [], "selftest": []}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "kernel":
            outcome["kernel"] = rest
        elif word == "command":
            name, status, begin, end, size, *complaint = rest.split(" ", 5)
            outcome["commands"][name] = int(status)
            outcome["complaints"][name] = (float(end) - float(begin), int(size), " ".join(complaint))
        elif word == "saw":
            outcome["saw"].append(rest)
        elif word == "live":
            status, begin, end, test = rest.split(" ", 3)
            outcome["live"][test] = {0: "passed", 77: "skipped"}.get(int(status), "failed")
            outcome["said"][test] = []
        elif word == "said" and not re.fullmatch(r"[-~=.]*", rest):
            outcome["said"][test].append(rest)
        elif word in text:
            text[word].append(rest)
        elif word == "trouble":
            outcome["trouble"].append(rest)
        elif line == "end":
            outcome["ended"] = True
    try:
        for capability in json.loads("\n".join(text["doctor"]))["capabilities"]:
            outcome["capabilities"][capability["name"]] = capability["state"]
    except (ValueError, KeyError):
        outcome["trouble"].append("doctor --json cannot be read")
    try:
        answer = json.loads("\n".join(text["selftest"])) if "selftest" in outcome["commands"] else {"results": []}
        for result in answer["results"]:
            state = "skipped" if result["skipped"] else "passed" if result["passed"] else "failed"
            outcome["selftest"][result["fixture"]] = state
            outcome.setdefault("results", []).append(result)
    except (ValueError, KeyError):
        outcome["trouble"].append("selftest --json cannot be read")
    outcome["saw"].sort()
    return outcome


def compare(case, outcome, status):
    """Lines about what is not as expected; none: the case passes."""
    expected = case.get("expected", {})
    wrong = [f"kernel log: {line}" for line in outcome["trouble"]]
    # Where lockdown refuses ports, or there are none, the guest can only say that it has come to its end.
    exits = machine_of(case)["exits"] and "lockdown" not in case.get("cmdline", "")
    if not outcome["ended"] or status != (EXIT_BY_GUEST if exits else 0):
        wrong.append(f"the guest did not come to its end: qemu exited with {status}")
    for name, state in outcome["commands"].items():
        if state >= 124:
            wrong.append(f"{name} ended with {state}: {outcome['complaints'][name][2]}")
    if not expected:
        return [*wrong, "nothing is recorded: --update does"]
    for part in ("commands", "capabilities", "selftest", "live"):
        for name in sorted({*expected.get(part, {}), *outcome[part]}):
            should, does = expected.get(part, {}).get(name), outcome[part].get(name)
            if should != does:
                why = outcome["complaints"].get(name, ("", "", ""))[2] if part == "commands" else ""
                wrong.append(f"{part}: {name} is {does}, expected {should} {why}".rstrip())
                if part == "live" and does == "failed":
                    wrong.extend(f"    {line}" for line in outcome["said"][name])
    wrong.extend(f"not seen: {what}" for what in expected.get("saw", []) if what not in outcome["saw"])
    wrong.extend(f"seen, and not expected: {what}" for what in outcome["saw"] if what not in expected.get("saw", []))
    return wrong


def run_case(case, tree, initramfs, may_repeat):
    """The outcome of a case, what is not as expected in it, its time and how often it was booted.

    A guest whose emulated CPUs got too little of the real ones misses what it was to see within a
    second: what differs has to differ twice. Crashes and complaints of the kernel are not forgiven.
    """
    begin, boots = time.monotonic(), 0
    while True:
        boots += 1
        lines, status = boot(tree, initramfs, case)
        outcome = understand(lines)
        wrong = compare(case, outcome, status)
        seconds = time.monotonic() - begin
        if not wrong or boots == 2 or not may_repeat or crashes(outcome) or seconds > REPEAT_SECONDS:
            return case, outcome, wrong, seconds, boots


def crashes(outcome):
    return sum(state >= 124 for state in outcome["commands"].values()) + len(outcome["trouble"])


HEADING = (f"{'case':13}{'kernel':29}{'time':>5}  {'capabilities':>12} {'commands':>9} {'selftest':>9} "
           f"{'look-alikes':>12} {'live tests':>11} {'crashes':>8}")


def row(case, outcome, seconds):
    """A line of the table: what works, was answered, was detected and stayed quiet, each of how many."""
    results = [result for result in outcome.get("results", []) if not result["skipped"]]
    healthy = [result for result in results if result["lookalike_quiet"] is not None]
    # 0 and 1 are answers; 2 and 3 say in one line why there is none.
    answered = sum(state in (0, 1) for state in outcome["commands"].values())
    live = [state for state in outcome["live"].values() if state != "skipped"]
    works = sum(state == "works" for state in outcome["capabilities"].values())
    return (f"{case['name']:13}{outcome['kernel'] or '-':29}{seconds:>4.0f}s  "
            f"{works:>9}/{len(outcome['capabilities'])} {answered:>6}/{len(outcome['commands'])} "
            f"{sum(result['passed'] for result in results):>6}/{len(results)} "
            f"{sum(result['lookalike_quiet'] for result in healthy):>9}/{len(healthy)} "
            f"{live.count('passed'):>8}/{len(live)} {crashes(outcome):>8}")


def write_expected(data):
    """Every map on a line of its own, so that a difference can be read."""
    def one_line(value):
        return json.dumps(value, sort_keys=isinstance(value, dict) and "name" not in value)
    lines = ["{", ' "kernels": {']
    lines.append(",\n".join(f"  {json.dumps(name)}: {json.dumps(pattern)}" for name, pattern in data["kernels"].items()))
    lines += [" },", ' "cases": [']
    cases = []
    for case in data["cases"]:
        head = {key: value for key, value in case.items() if key != "expected"}
        parts = ",\n".join(f"    {json.dumps(part)}: {one_line(value)}" for part, value in case.get("expected", {}).items())
        cases.append(f"  {one_line(head)[:-1]}, \"expected\": {{\n{parts}\n  }}}}")
    lines += [",\n".join(cases), " ]", "}"]
    with open(EXPECTED, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def fetch_all(data, cases):
    """For each kernel that a case wants: its directory and its initramfs."""
    packages, trees = {}, {}
    for case in cases:
        machine, kernel = machine_of(case), case["kernel"]
        where = machine["cache"]
        if where not in packages:
            packages[where] = archive.Archive(where, case.get("architecture", "amd64"), machine["suites"])
        if kernel not in trees:
            tree = packages[where].kernel(data["kernels"][kernel])
            trees[kernel] = tree, pack(tree, machine)
    return trees


def main():
    with open(EXPECTED, encoding="utf-8") as file:
        data = json.load(file)
    if sys.argv[1:] == ["--man"]:
        page.write(data, sys.stdout)
        return
    options = {argument for argument in sys.argv[1:] if argument.startswith("--")}
    wanted = [argument for argument in sys.argv[1:] if argument not in options]
    cases = [case for case in data["cases"] if not wanted or case["name"] in wanted]
    unknown = set(wanted) - {case["name"] for case in data["cases"]} | options - {"--architectures", "--update"}
    if unknown:
        print(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(c['name'] for c in data['cases'])}",
              file=sys.stderr)
        sys.exit(2)
    if "--architectures" in options:
        print(*sorted({case.get("architecture", "amd64") for case in cases}))
        return
    begin = time.monotonic()
    try:
        trees = fetch_all(data, cases)
    except OSError as error:
        # Where nothing decides, a kernel that cannot be had is no failure, but never a pass.
        in_ci = os.environ.get("CI") == "true"
        print(f"kernels: {'FAILED' if in_ci else 'skipped'}: cannot be fetched: {error}", file=sys.stderr)
        sys.exit(1 if in_ci else 77)

    failed = 0
    print(HEADING)
    # Two CPUs each, but most of the time one of them is idle.
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
        may_repeat = "--update" not in options
        jobs = [pool.submit(run_case, case, *trees[case["kernel"]], may_repeat) for case in cases]
        for job in jobs:
            case, outcome, wrong, seconds, boots = job.result()
            note = "  NOT AS EXPECTED" if wrong else ""
            print(row(case, outcome, seconds) + note + ("  at the second boot" if boots > 1 else ""), flush=True)
            for line in wrong:
                print(f"    {line}")
            for test in [test for test, state in outcome["live"].items() if state == "skipped"]:
                print(*(f"    live: {test}: {line}" for line in outcome["said"][test] if line.startswith("NOT POSSIBLE")),
                      sep="\n")
            failed += bool(wrong)
            case["expected"] = {part: outcome[part] for part in PARTS}
    print(f"kernels: {len(cases) - failed} passed, {failed} failed, {time.monotonic() - begin:.0f} s")
    if "--update" in options:
        write_expected(data)
        with open("man/ipcscope-kernels.7", "w", encoding="utf-8") as file:
            page.write(data, file)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
