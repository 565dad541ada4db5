"""Downloads etcd, kube-apiserver and kubectl as Kubernetes publishes them for tests, by its own setup-envtest.

setup-envtest compares each archive with the SHA-512 of the published index. Where nothing may be downloaded, this is
known within seconds: the index is asked for before setup-envtest is built.
"""

import functools
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from testbed.building import built, locked
from testbed.finding import downloaded_folder, folder_for_downloads, look, reported_version
from testbed.go import INSTALL
from testbed.process import Process
from testbed.progress import tell, wait
from testbed.tool import NO, GoSource, Tool, ToolMissing, Version, dotted, executable

SETUP_ENVTEST = Tool(
    name="setup-envtest",
    version=(0, 25, 1),
    fits=lambda _: False,
    install=INSTALL,
    source=GoSource(
        "sigs.k8s.io/controller-runtime/tools/setup-envtest",
        "-s -w",
        15,
        Path(__file__).parent / "gomod" / "setup-envtest",
    ),
)
ALLOWED = "BYOC_TESTBED_DOWNLOAD"
"""Variable: `no` forbids downloads of programs; modules of the Go registry are not meant."""
INDEX = "BYOC_TESTBED_INDEX"
"""Variable: address of an index in place of the published one, such as a mirror's."""

_INDEX = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"
_PROGRAMS = ("etcd", "kube-apiserver", "kubectl")
_ANSWER_WITHIN_S = 5.0
_READ_WITHIN_S = 20.0
_LARGEST_INDEX = 8 << 20
"""Bytes; the published one has some 100 kB."""
_DOWNLOAD_WITHIN_S = 300.0
_EXPECTED_S = 30


def download(tool: Tool) -> Path | None:
    """The program out of a downloaded archive, which is then in the cache; None if it is not to be had that way."""
    folder = _folder(tool.prebuilt, os.environ.get(INDEX) or _INDEX) if tool.prebuilt else None
    return folder / tool.name if folder else None


def index_refusal(minor: Version, index: str) -> str | None:
    """Why the programs of this minor version cannot be downloaded; None if they can, as far as the index says."""
    if os.environ.get(ALLOWED, "").lower() in NO:
        return f"{ALLOWED} forbids it"
    try:
        with urllib.request.urlopen(index, timeout=_ANSWER_WITHIN_S) as answer:  # noqa: S310 - a developer names it
            listed = _read(answer, time.monotonic() + _READ_WITHIN_S)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return f"{index}: {reason}"
    if f"envtest-v{dotted(minor)}.".encode() not in listed:
        return f"{index} lists no version {dotted(minor)}"
    return None


def _read(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body, as far as it is neither too long nor too slow."""
    body = b""
    while len(body) < _LARGEST_INDEX and time.monotonic() < deadline and (part := answer.read1(1 << 16)):
        body += part
    return body


@functools.cache
def _folder(minor: Version, index: str) -> Path | None:
    """Folder of the programs. Each process tries once: etcd and kubectl come with kube-apiserver, or not either."""
    if refusal := index_refusal(minor, index):
        tell(f"Kubernetes' programs are not downloaded ({refusal}).")
        return None
    try:
        setup_envtest = look(SETUP_ENVTEST)
        program = setup_envtest.path if setup_envtest else built(SETUP_ENVTEST)
    except ToolMissing as error:
        tell(f"Kubernetes' programs are not downloaded: {error}")
        return None
    with locked(waiting_for="the download of Kubernetes' programs"):
        return downloaded_folder(minor) or _fetch(program, minor, index)


def _fetch(setup_envtest: Path, minor: Version, index: str) -> Path | None:
    target = folder_for_downloads(minor)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".downloading-") as scratch:
        log = Path(scratch) / "log"
        options = ["--index", index, "--bin-dir", scratch, "--print", "path"]
        command = [str(setup_envtest), "use", f"{dotted(minor)}.x", *options]
        what = f"downloading etcd, kube-apiserver and kubectl {dotted(minor)}"
        process = Process(command, environment=os.environ, log=log, directory=Path(scratch))
        try:
            exit_code = wait(process, what, _EXPECTED_S, _DOWNLOAD_WITHIN_S)
        finally:
            process.kill()
        folders = list(Path(scratch).glob("k8s/*"))
        for folder in folders:
            folder.chmod(0o755)  # else it can be neither renamed nor removed
        if exit_code != 0 or len(folders) != 1:
            tell(f"Kubernetes' programs are not downloaded: {log.read_text(errors='replace').strip()}")
            return None
        version = reported_version(folders[0] / "kube-apiserver", ("--version",))
        if version is None or not all(executable(folders[0] / name) for name in _PROGRAMS):
            tell(f"Kubernetes' programs are not downloaded: the archive lacks some, or they do not run here ({index})")
            return None
        return folders[0].rename(folder_for_downloads(version))
