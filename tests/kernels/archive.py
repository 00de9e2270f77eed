# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Debian, of any architecture and suite, that the machine's own apt never hears of"""

import glob
import os
import re
import subprocess


def mirror():
    """The root of the mirror that this machine has its own packages from."""
    found = set()
    for path in glob.glob("/etc/apt/sources.list") + glob.glob("/etc/apt/sources.list.d/*"):
        with open(path, encoding="utf-8", errors="replace") as file:
            found.update(re.findall(r"^(?:URIs:|deb(?: \[.*\])?)\s*(\S+)/debian/?(?:\s|$)", file.read(), re.M))
    return sorted(found)[0] if found else "http://deb.debian.org"


def version_key(name):
    return [int(number) for number in re.findall(r"\d+", name)]


def unpack(archives, tree):
    for archive in archives:
        subprocess.run(["dpkg-deb", "-x", archive, tree], check=True)
        os.remove(archive)


class Archive:
    """An apt configuration of its own, signed by Debian's archive keyring. All below one directory.

    Whatever cannot be had is an OSError."""

    def __init__(self, root, architecture, suites):
        self.root = os.path.abspath(root)
        for directory in ("packages", "state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
            os.makedirs(f"{self.root}/{directory}", exist_ok=True)
        open(f"{self.root}/status", "a", encoding="utf-8").close()
        with open(f"{self.root}/apt.conf", "w", encoding="utf-8") as file:
            file.write(f'Dir::State "{self.root}/state"; Dir::State::status "{self.root}/status";\n'
                       f'Dir::Cache "{self.root}/cache"; Dir::Etc "{self.root}/etc";\n'
                       f'Dir::Etc::sourcelist "{self.root}/sources.list"; Dir::Etc::sourceparts "-";\n'
                       f'APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};\n'
                       'APT::Sandbox::User "root"; Acquire::Languages "none";\n')
        with open(f"{self.root}/sources.list", "w", encoding="utf-8") as file:
            for archive, suite in suites:
                file.write("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                           f"{mirror()}/{archive} {suite} main\n")
        self.apt("apt-get", "update", "-q")
        self.kernels = self.apt("apt-cache", "pkgnames", "linux-").split()

    def apt(self, *command):
        """The output of an apt command."""
        environment = {**os.environ, "APT_CONFIG": f"{self.root}/apt.conf", "LC_ALL": "C"}
        result = subprocess.run(command, env=environment, cwd=f"{self.root}/packages", capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            raise OSError(f"{' '.join(command)}: {result.stderr.strip() or result.stdout.strip()}")
        return result.stdout

    def kernel(self, pattern):
        """The directory with image and modules of the newest kernel whose package name matches."""
        images = sorted((name for name in self.kernels if re.fullmatch(pattern, name)), key=version_key)
        if not images:
            raise OSError(f"no package matches {pattern}")
        release = images[-1].removeprefix("linux-image-")
        tree = f"{self.root}/{release}"
        if not os.path.exists(f"{tree}/complete"):
            parts = [part for part in (f"linux-binary-{release}", f"linux-modules-{release}") if part in self.kernels]
            for package in parts or [images[-1]]:
                self.apt("apt-get", "download", "-q", package)
                unpack(glob.glob(f"{self.root}/packages/{package}_*.deb"), tree)
            open(f"{tree}/complete", "w", encoding="utf-8").close()
        return tree

    def programs(self, suite, packages, tree):
        """Unpacks packages of a suite into a tree, with all that they depend on."""
        # As far as this apt knows, nothing is installed: so it fetches whatever they need.
        self.apt("apt-get", "install", "-q", "-y", "--no-install-recommends", "--download-only", "-t", suite, *packages)
        unpack(glob.glob(f"{self.root}/cache/archives/*.deb"), tree)
