"""README's ways of installing work as they are written: its own lines are run, line by line.

Only what a reader has to fill in is filled in: LiveKit's URL and key, and a kubelet that runs the pods.
"""

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from install.cluster import NAME, ROOT, Cluster
from testbed import tools
from testbed.kubelet import Kubelet

README = ROOT / "README.md"
NAMESPACE = "byoc-system"
_BUILDS_THE_IMAGE = "docker build "
"""`test_image` does that, with buildah."""


def blocks(text: str, heading: str) -> list[str]:
    """The `sh` blocks below a heading, up to the next heading, with continued lines joined."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE)
    found = re.findall(r"^```sh\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE) if section else []
    if not found:
        raise LookupError(f"README has no commands below {heading!r}")
    return [re.sub(r"\\\n\s*", "", block) for block in found]


def commands(text: str, heading: str) -> list[str]:
    """The commands of those blocks, without the one that builds the image."""
    lines = (line for block in blocks(text, heading) for line in block.splitlines())
    return [line for line in lines if line.strip() and not line.startswith((_BUILDS_THE_IMAGE, "#"))]


class Reader:
    """A copy of the repository's files in which somebody follows README."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.folder = folder
        self._url = cluster.bed.livekit.url
        for name in ("helm", "deploy"):
            shutil.copytree(ROOT / name, folder / name)
        (folder / "bin").mkdir()
        for name, tool in (("helm", tools.HELM), ("kubectl", tools.KUBECTL)):
            (folder / "bin" / name).symlink_to(tools.find(tool))
        self._environment = cluster.environment()
        self._environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{self._environment['PATH']}"
        key = f"LIVEKIT_API_KEY={cluster.bed.livekit.key}\nLIVEKIT_API_SECRET={cluster.bed.livekit.secret}\n"
        (folder / "livekit.env").write_text(key)
        self.fill_in(folder / "deploy" / "settings.env")

    def fill_in(self, path: Path) -> None:
        """Put the bed's LiveKit where the example stands."""
        text = path.read_text()
        assert "wss://livekit.example.com" in text
        path.write_text(text.replace("wss://livekit.example.com", self._url))

    def types(self, line: str) -> str:
        """Run one line in bash; its output. Fails with what it said."""
        line = line.replace("wss://livekit.example.com", shlex.quote(self._url))
        shell = ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(
            shell, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=150, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def reader(cluster: Cluster, tmp_path: Path) -> Iterator[Reader]:
    """Somebody with an empty cluster."""
    cluster.remove_everything(crd=True)
    made = Reader(cluster, tmp_path)
    yield made
    cluster.remove_everything(crd=True)
    # Waits: the next reader begins with the same names.
    cluster.kubectl("delete", "namespace", NAMESPACE, "voice", "--ignore-not-found", "--timeout=60s")


def test_install_with_helm(cluster: Cluster, reader: Reader, node: Kubelet, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    for line in commands(README.read_text(), "Install with Helm"):
        installs = line.startswith("helm install")
        started = time.monotonic() if installs else started
        reader.types(line)
        if installs:
            node.start(NAMESPACE, NAME)
            cluster.bed.wait_for_crd()
    number = cluster.ready("voice", "main-support")
    with capsys.disabled():
        print(f"\nfrom `helm install` to the first Ready number: {time.monotonic() - started:.1f} s")
    assert cluster.sip.of(number["spec"]["phoneNumber"]).counts == (1, 1, 1)


def test_install_with_plain_manifests(cluster: Cluster, reader: Reader, node: Kubelet) -> None:
    for line in commands(README.read_text(), "Install with plain manifests"):
        reader.types(line)
    node.start(NAMESPACE, NAME)
    cluster.bed.wait_for_crd()
    reader.types("kubectl create namespace voice")
    reader.types("kubectl apply -f deploy/samples/twilio.yaml")
    number = cluster.ready("voice", "main-support")
    assert cluster.sip.of(number["spec"]["phoneNumber"]).counts == (1, 1, 1)


def test_the_image_is_built_as_readme_says() -> None:
    (block,) = blocks(README.read_text(), "Install")
    words = shlex.split(block)
    assert words[:2] == ["docker", "build"]
    assert words[words.index("-f") + 1] == "deploy/Dockerfile"
    assert words[-1] == "."


def test_a_section_without_commands_would_be_noticed() -> None:
    text = "# A\n\n```sh\na \\\n  b\n```\n\n## B\n\nnothing\n"
    assert commands(text, "A") == ["a b"]
    for heading in ("B", "C"):
        with pytest.raises(LookupError):
            blocks(text, heading)
