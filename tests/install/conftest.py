"""A cluster of its own for what installs: CRDs, cluster roles and admission policies are there only once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from install.cluster import Cluster
from testbed.bed import Bed
from testbed.kubelet import Kubelet, kubelet
from testbed.program import checkout
from testbed.scheduling_parts import scheduling

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here, so that no test can forget the mark."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.install)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, one for the run."""
    with Bed.start(tmp_path_factory.mktemp("cluster")) as bed, scheduling(bed):
        yield Cluster(bed)


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[str]:
    """A namespace with LiveKit's Secret, to install into; nothing is installed before and after."""
    cluster.remove_everything()
    namespace = cluster.namespace()
    cluster.livekit_secret(namespace)
    yield namespace
    cluster.remove_everything()
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def node(cluster: Cluster) -> Iterator[Kubelet]:
    """A kubelet that runs the operator of this checkout; its pods end with the test."""
    with kubelet(cluster.bed, checkout()) as player:
        yield player


@pytest.fixture
def voice(cluster: Cluster) -> Iterator[str]:
    """A namespace for numbers."""
    name = cluster.namespace("voice")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
