"""The file of carriers: mounted as a ConfigMap is, and changed while the operator runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.deployment import Deployment
from integration.scene import Scene, livekit_writes, recorded

GOOD = "carriers: [{{name: Hausanlage, hosts: [pbx.example.com], signallingRanges: [{}]}}]"


class Mounted:
    """A folder in which a link is exchanged, as the kubelet does it with a changed ConfigMap."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._version = 0
        self.file = folder / "carriers.yaml"
        self.file.symlink_to("..data/carriers.yaml")

    def put(self, content: str) -> None:
        """Another content of the ConfigMap."""
        self._version += 1
        data = self._folder / f"..{self._version}"
        data.mkdir()
        (data / "carriers.yaml").write_text(content)
        link = self._folder / "..new"
        link.symlink_to(data.name)
        link.replace(self._folder / "..data")


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    folder = Mounted(tmp_path)
    folder.put(GOOD.format("203.0.113.0/28"))
    return folder


@pytest.fixture
def scene(stage: Scene, deployment: Deployment, mounted: Mounted) -> Iterator[Scene]:
    """A scene whose operator has the file."""
    deployment.ensure({"BYOC_CARRIERS_FILE": str(mounted.file)})
    yield stage
    deployment.stop()


def test_a_change_of_the_file_reaches_a_number_at_a_sweep_with_one_write(scene: Scene, mounted: Mounted) -> None:
    phone = scene.number(terminationUri="pbx.example.com")
    number = scene.ready()
    assert number["status"]["carrier"] == "Hausanlage"
    assert list(scene.held(phone).inbound[0].allowed_addresses) == ["203.0.113.0/28"]
    with scene.counted() as calls:
        mounted.put(GOOD.format("198.51.100.0/28"))
        scene.until(
            lambda: list(scene.held(phone).inbound[0].allowed_addresses) == ["198.51.100.0/28"], "the trunk is changed"
        )
        scene.after_a_sweep()
    assert livekit_writes(calls) == {"UpdateSIPInboundTrunk": 1}
    assert recorded(scene.ready()) == recorded(number)


def test_a_file_that_becomes_wrong_is_told_and_changes_nothing(
    scene: Scene, mounted: Mounted, deployment: Deployment
) -> None:
    phone = scene.number(terminationUri="pbx.example.com")
    scene.ready()
    with scene.counted() as calls:
        mounted.put("carriers:\n  - name: Hausanlage\n")
        told = scene.until(lambda: deployment.readyz().get("carriers"), "/readyz tells it")
        scene.after_a_sweep()
    assert "line 2: carriers[0]: Hausanlage needs `hosts`" in str(told)
    assert deployment.readyz()["status"] == "ok"
    assert livekit_writes(calls) == {}
    assert list(scene.held(phone).inbound[0].allowed_addresses) == ["203.0.113.0/28"]
    assert deployment.process.metrics()["byoc_carriers_file_wrong"] == 1


def test_a_wrong_file_stops_the_start_with_one_line(stage: Scene, mounted: Mounted, deployment: Deployment) -> None:
    mounted.put("carriers:\n  - name: Hausanlage\n    hosts: [sip:pbx]\n")
    process = deployment.launch({"BYOC_CARRIERS_FILE": str(mounted.file)})
    stage.until(lambda: process.exit_code is not None, "the operator ends", within_s=30)
    last = process.log_text().splitlines()[-1]
    assert f"BYOC_CARRIERS_FILE: {mounted.file}, line 3: carriers[0].hosts[0]: must be a host name" in last
