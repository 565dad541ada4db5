"""A cluster of its own for what installs: CRDs, cluster roles and admission policies are there only once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from install.argocd import SERVICE_NAME, Platform, merge_customizations
from install.cluster import Cluster
from testbed.argocd_parts import ArgoCd
from testbed.bed import Bed
from testbed.installed import start_operator
from testbed.kubelet import Kubelet, kubelet
from testbed.livekit_proxy import LiveKitProxy
from testbed.part import free_port
from testbed.program import checkout
from testbed.scheduling_parts import scheduling

_HERE = Path(__file__).parent
_WITH_ARGOCD = {
    "BYOC_INSTALLATION_ID": "with-argocd",
    "BYOC_SWEEP_INTERVAL_SECONDS": "5",
    "BYOC_NUMBER_RESERVATION_SECONDS": "0",  # the samples' numbers come back in another namespace
}


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


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Everything running, with deploy/argocd/argocd-cm.yaml merged into Argo CD's settings as docs/argocd.md says.

    The operator is ready to seal at admission; nobody asks it to unless a test installs the webhook.
    """
    folder = tmp_path_factory.mktemp("argocd")
    with Bed.start(folder / "bed") as bed, LiveKitProxy(bed.livekit.url) as proxy, ArgoCd.start(bed) as argocd:
        merge_customizations(bed)
        port = free_port()
        sealing = {"BYOC_ADMISSION": "true", "BYOC_ADMISSION_PORT": str(port), "BYOC_ADMISSION_SERVICE": SERVICE_NAME}
        webhook = {"BYOC_ADMISSION_WEBHOOK": "byoc-operator-sealing"}
        rights = _HERE.parents[1] / "deploy/components/sealing-admission/rbac.yaml"
        operator = start_operator(bed, {**_WITH_ARGOCD, **sealing, **webhook, "LIVEKIT_URL": proxy.url}, rights)
        try:
            yield Platform(argocd, proxy, folder / "git", port)
        finally:
            operator.stop()


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
