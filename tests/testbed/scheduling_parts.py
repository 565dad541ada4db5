"""kube-scheduler and kwok: pods get a node and become ready, so that `helm install --wait` and rollouts end.

Nothing runs in these pods; `kubelet.py` runs what a Deployment says.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from testbed import tools
from testbed.bed import Bed
from testbed.http_probe import get
from testbed.part import Part, free_port

NODE = "played"
_PLAYED = Path(__file__).parent / "played_node.yaml"


class Scheduler(Part):
    """kube-scheduler: gives each pod its node."""

    name = "kube-scheduler"

    def __init__(self, parent: Path, kubeconfig: Path) -> None:
        super().__init__(tools.find(tools.KUBE_SCHEDULER), parent)
        self._kubeconfig = kubeconfig
        self._certificate = self.directory / "certs" / "kube-scheduler.crt"

    def choose_ports(self) -> None:
        self.port = free_port()

    def arguments(self) -> list[str]:
        return [
            f"--kubeconfig={self._kubeconfig}",
            # Else it asks the API server about who may read its own health endpoint.
            f"--authentication-kubeconfig={self._kubeconfig}",
            f"--authorization-kubeconfig={self._kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self._certificate.parent}",
            "--leader-elect=false",
        ]

    def is_ready(self) -> bool:
        return get(self.port, "/healthz", authority=self._certificate).status == 200


class Kwok(Part):
    """kwok: plays the node and the life of the pods on it, as the stages of `played_node.yaml` say."""

    name = "kwok"

    def __init__(self, parent: Path, kubeconfig: Path) -> None:
        super().__init__(tools.find(tools.KWOK), parent)
        self._kubeconfig = kubeconfig
        self._stages = self.directory / "stages.yaml"
        self._stages.write_text(yaml.safe_dump_all(part for part in _played() if part["kind"] == "Stage"))

    def choose_ports(self) -> None:
        self.port = free_port()

    def arguments(self) -> list[str]:
        return [
            f"--kubeconfig={self._kubeconfig}",
            f"--config={self._stages}",
            "--manage-all-nodes=true",
            f"--server-address=127.0.0.1:{self.port}",
            "--node-lease-duration-seconds=40",
        ]

    def is_ready(self) -> bool:
        return get(self.port, "/healthz").status == 200


@contextmanager
def scheduling(bed: Bed) -> Iterator[None]:
    """Pods of the bed become ready within a second or two, as long as this is open. Raises NotReady."""
    parts = (Scheduler(bed.directory, bed.kubeconfig), Kwok(bed.directory, bed.kubeconfig))
    started = []
    try:
        for part in parts:
            part.start()
            started.append(part)
        (node,) = (part for part in _played() if part["kind"] == "Node")
        bed.kubectl("create", "-f", "-", stdin=yaml.safe_dump(node))
        bed.kubectl("wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=30s")
        yield
    finally:
        for part in reversed(started):
            part.stop()


def _played() -> list[dict[str, object]]:
    return list(yaml.safe_load_all(_PLAYED.read_text()))
