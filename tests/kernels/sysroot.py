"""Unpacks what ipcscope for arm64 is built with into build/kernels/arm64/sysroot"""
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Of the same release of Debian as this machine, whose cross compiler uses it. Exit status: 0 it is
# there; 77 it cannot be had, which is 1 with CI=true.

import os
import shutil
import sys

sys.dont_write_bytecode = True
import archive  # noqa: E402

CACHE = "build/kernels/arm64"
SYSROOT = f"{CACHE}/sysroot"
SUITES = [("debian", "bookworm"), ("debian", "trixie"), ("debian", "trixie-backports")]
# As BUILD_PACKAGES and STATIC_PACKAGES in ./dev; the last is for the guest.
PACKAGES = ["libc6-dev", "libbpf-dev", "libelf-dev", "libdw-dev", "zlib1g-dev", "liblzma-dev", "libbz2-dev",
            "libncurses-dev", "libfmt-dev", "libcli11-dev", "rapidjson-dev", "libexpected-dev", "catch2", "busybox-static"]


def release():
    """The code name of this machine's Debian."""
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VERSION_CODENAME="):
                return line.split("=", 1)[1].strip().strip('"')
    raise OSError("no VERSION_CODENAME in /etc/os-release")


def fill():
    wanted, note = " ".join([release(), *PACKAGES]), f"{SYSROOT}/complete"
    if os.path.exists(note):
        with open(note, encoding="utf-8") as file:
            if file.read() == wanted:
                return
    shutil.rmtree(SYSROOT, ignore_errors=True)
    archive.Archive(CACHE, "arm64", SUITES).programs(release(), PACKAGES, SYSROOT)
    with open(note, "w", encoding="utf-8") as file:
        file.write(wanted)


def main():
    try:
        fill()
    except OSError as error:
        in_ci = os.environ.get("CI") == "true"
        print(f"arm64: {'FAILED' if in_ci else 'skipped'}: cannot be fetched: {error}", file=sys.stderr)
        sys.exit(1 if in_ci else 77)


if __name__ == "__main__":
    main()
