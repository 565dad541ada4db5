"""The image is built by `make image` and run as the chart runs it."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from byoc_operator.generate.version import project_version
from install.cluster import CHART, NAME, ROOT, Cluster
from testbed.image import Image, built
from testbed.kubelet import kubelet

MOST_BYTES = 120_000_000
"""Above its size, 105 MB, by what libraries grow in some releases. A folder that is copied by mistake is more."""
PROGRAMS = {"byoc-operator", "kubectl-byoc", "kubectl_complete-byoc"}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image of this checkout."""
    with built() as made:
        yield made


@pytest.fixture(scope="module")
def packages(image: Image) -> Path:
    """Where the image has its Python packages."""
    return next((image.root / "opt/byoc-operator/lib").glob("python3*")) / "site-packages"


def files(image: Image) -> Iterator[Path]:
    """All files of the image that are no links, without what the tests mount."""
    mounted = {image.root / name for name in ("etc/byoc", "var/run", ".runtime")}
    for path in image.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and mounted.isdisjoint(path.parents):
            yield path


def test_the_image_names_its_user_by_number_and_its_entry_point_without_a_shell(image: Image) -> None:
    assert image.settings["User"] == "65532:65532"
    assert image.settings["Entrypoint"] == ["byoc-operator"]
    assert image.settings["Cmd"] == ["run"]


def test_its_labels_say_what_it_is(image: Image) -> None:
    told = {name.removeprefix("org.opencontainers.image."): value for name, value in image.settings["Labels"].items()}
    assert told["version"] == project_version(ROOT)
    assert re.fullmatch("[0-9a-f]{40}", told["revision"])
    assert {"title", "description", "licenses", "authors"} <= told.keys()


def test_the_only_programs_are_python_and_ours(image: Image) -> None:
    started = {
        path.name
        for path in files(image)
        if path.stat().st_mode & stat.S_IXUSR and ".so" not in path.suffixes and path.parent.name == "bin"
    }
    assert started >= PROGRAMS
    assert {name for name in started - PROGRAMS if not re.fullmatch(r"python3[.0-9]*", name)} == set()
    assert not [
        path for path in files(image) if path.name in {"sh", "bash", "dash", "busybox", "dpkg", "apt-get", "pip"}
    ]


def test_every_user_may_read_everything_and_nobody_gets_rights_of_a_file(image: Image) -> None:
    modes = {path: path.stat().st_mode for path in files(image)}
    assert not [path for path, mode in modes.items() if not mode & stat.S_IROTH]
    assert not [
        path for path, mode in modes.items() if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH | stat.S_IWGRP)
    ]


def test_it_is_small(image: Image) -> None:
    assert sum(path.stat().st_size for path in files(image)) < MOST_BYTES


def test_a_second_build_gives_the_same_layers(image: Image) -> None:
    assert image.built_again() == image.layers
    assert len(image.layers) == 3


def test_scanners_find_which_packages_of_debian_are_in_it(image: Image) -> None:
    records = {path.name: path.read_text() for path in (image.root / "var/lib/dpkg/status.d").iterdir()}
    assert "libc6" in records
    assert any(name.startswith("libssl3") for name in records)
    assert all(re.search(r"^Version: \S+$", record, re.MULTILINE) for record in records.values())
    assert (image.root / "etc/os-release").exists()


def test_it_has_the_public_authorities_and_none_of_this_machine(image: Image) -> None:
    bundle = (image.root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.count("BEGIN CERTIFICATE") > 100
    assert sorted(path.name for path in (image.root / "etc/ssl/certs").iterdir()) == ["ca-certificates.crt"]


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


def test_it_runs_as_the_chart_says_and_as_the_user_that_openshift_chooses(
    cluster: Cluster, place: str, voice: str, image: Image
) -> None:
    cluster.install(place)
    template = cluster.get("deployment", NAME, "-n", place)["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["securityContext"]["runAsUser"] == 65532
    phone = cluster.number(voice)
    for user, group in ((65532, 65532), (1_000_680_000, 0)):
        template["spec"]["securityContext"] |= {"runAsUser": user, "runAsGroup": group, "fsGroup": user}
        with kubelet(cluster.bed, image.program) as node:
            pod = node.start(place, NAME, template=template)
            pod.wait_ready()
            status = Path(f"/proc/{pod.pid}/status").read_text().split("\n")
            assert "NoNewPrivs:\t1" in status
            assert f"CapEff:\t{0:016x}" in status
            assert f"Uid:\t{user}\t{user}\t{user}\t{user}" in status
            assert f"Gid:\t{group}\t{group}\t{group}\t{group}" in status
            cluster.until(lambda: cluster.reason(voice) == "Synced", "the number is in step")
            assert cluster.sip.of(phone).counts == (1, 1, 1)
            ending = pod.stop()
            assert ending is not None
            assert ending.exit_code == 0


def chart_version() -> str:
    """The version of the operator that the chart installs unless told otherwise."""
    return str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])
