"""The image is built from its Dockerfile and run as the chart runs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from install.cluster import CHART, NAME, Cluster
from testbed.image import Image, built
from testbed.kubelet import kubelet

_SHELLS = ("sh", "bash", "dash")


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image of this checkout."""
    with built() as made:
        yield made


@pytest.fixture(scope="module")
def packages(image: Image) -> Path:
    """Where the image has its Python packages."""
    return next((image.root / "opt/byoc-operator/lib").glob("python3*")) / "site-packages"


def test_the_image_names_its_user_by_number_and_its_entry_point_without_a_shell(image: Image) -> None:
    assert image.settings["User"] == "65532:65532"
    assert image.settings["Entrypoint"] == ["byoc-operator"]
    assert image.settings["Cmd"] == ["run"]


def test_everything_is_compiled_and_nothing_can_install(packages: Path) -> None:
    modules = sorted(packages.joinpath("byoc_operator").rglob("*.py"))
    assert modules
    uncompiled = [path for path in modules if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))]
    assert uncompiled == []
    assert not list(packages.glob("pip*"))


def test_what_is_installed_is_what_the_lock_says(packages: Path) -> None:
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text()
    pinned = {line.split(";")[0].split("\\")[0].strip() for line in lock.splitlines() if line[:1].isalnum()}
    names = (path.name.removesuffix(".dist-info") for path in packages.glob("*.dist-info"))
    found = {"==".join(name.replace("_", "-").lower().rsplit("-", 1)) for name in names}
    extra = found - {pin.replace("_", "-").replace(".", "-", 0).lower() for pin in pinned}
    assert extra == {f"{NAME}=={chart_version()}"}


def test_no_file_of_the_repository_but_the_package_is_in_it(image: Image) -> None:
    assert not (image.root / "src").exists()
    for name in ("tests", "requirements.lock", ".git"):
        assert not (image.root / name).exists()


def test_it_runs_as_the_chart_says_and_needs_no_shell(cluster: Cluster, place: str, voice: str, image: Image) -> None:
    for folder in ("bin", "usr/bin"):
        for shell in _SHELLS:
            (image.root / folder / shell).unlink(missing_ok=True)
    cluster.install(place)
    with kubelet(cluster.bed, image.program) as node:
        pod = node.start(place, NAME)
        pod.wait_ready()
        status = Path(f"/proc/{pod.pid}/status").read_text().split("\n")
        assert "NoNewPrivs:\t1" in status
        assert f"CapEff:\t{0:016x}" in status
        phone = cluster.number(voice)
        cluster.ready(voice)
        assert cluster.sip.of(phone).counts == (1, 1, 1)
        ending = pod.stop()
        assert ending is not None
        assert ending.exit_code == 0


def chart_version() -> str:
    """The version of the operator that the chart installs unless told otherwise."""
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])
