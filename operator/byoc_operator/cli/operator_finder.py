"""Finds the operator of a cluster: its settings, who leads, which pods are ready, which namespaces it watches.

Every part may be out of a user's sight. What cannot be read is None, and `unknown` says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..api.built_in_carriers import BUILT_IN
from ..api.carriers import Catalogue
from ..api.carriers_file import WrongCarriers, extended
from ..cluster.answers import ApiRefused, Forbidden, Unauthorized
from ..core.desired import Installation
from ..diagnosis.facts import told_together
from ..errors import CannotRun, OperatorError
from ..installation_settings import installation_settings
from .cluster import Cluster
from .stored_deployment import (
    DEFAULT_PORT,
    at,
    carriers_place,
    container_of,
    http_port,
    items,
    livekit_secret,
    mapping,
    operators_container,
    text,
)

LABELS = "app.kubernetes.io/name=byoc-operator"
"""What the chart and `deploy/base` put on the Deployment and on its pods."""

CARRIERS_KEY = "carriers.yaml"
"""The key of the file of presets in the ConfigMap for people."""

FORBIDDEN = "you may not read this"
"""What `Operator.unknown` says of a part for which the user lacks a right."""

DEPLOYMENT = ("Deployment",)
SETTINGS = (*DEPLOYMENT, "ConfigMap", "LIVEKIT_URL")
INSTALLATION = (*SETTINGS, "namespace")
"""With which words begin the parts in `Operator.unknown` that its settings, or its installation, depend on."""

MAX_PODS = 50


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the operator. `waiting`: why its container does not run, empty if it does; `restarts`: of all time.

    `container`: the operator's own, among others that a cluster may add; `restarted`: whether that one ran before in
    this pod, so that the log of then is there. `port`: of its metrics and probes.
    """

    name: str
    ready: bool
    waiting: str = ""
    restarts: int = 0
    restarted: bool = False
    started_at: str = ""
    container: str = ""
    port: int = DEFAULT_PORT


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator in a namespace, as far as the user may see it.

    `deployment`: its name, empty if none was found; `deployments`: how many there are, None if they cannot be read.
    `image`: of its container. `replicas`: how many are wanted. `settings`: environment names and texts, nothing secret;
    None if they cannot be read. `livekit_secret`: name of the Secret with LiveKit's key. `pods`: None if they cannot be
    read. `leader`: the pod that holds the Lease, empty if nobody does, None if that cannot be read; `renewed_at`: when
    it last did. `cluster_id`: UID of kube-system. `carriers`: text of the file of presets, empty if there is none, None
    if it cannot be read. `unknown`: what cannot be read, and why.
    """

    namespace: str
    deployment: str = ""
    deployments: int | None = None
    image: str = ""
    replicas: int = 0
    settings: Mapping[str, str] | None = None
    livekit_secret: str = ""
    pods: tuple[Pod, ...] | None = None
    leader: str | None = None
    renewed_at: str = ""
    lease_name: str = "byoc-operator"
    cluster_id: str = ""
    carriers: str | None = ""
    unknown: Mapping[str, str] = field(default_factory=dict)

    def watches(self, namespace: str) -> bool | None:
        """Whether it looks after the numbers of a namespace; None: not known."""
        if self.settings is None:
            return None
        names = [each.strip() for each in self.settings.get("BYOC_NAMESPACES", "").split(",")]
        return namespace in names or not any(names)

    def why_unknown(self, parts: tuple[str, ...]) -> str:
        """Why some parts are not known, in one sentence; empty if they are. `parts`: how they begin in `unknown`."""
        return told_together({what: why for what, why in self.unknown.items() if what.startswith(parts)})

    def lacks_a_right(self, parts: tuple[str, ...]) -> bool:
        """Whether the user may not read one of some parts, which are named as in `why_unknown`."""
        return any(why == FORBIDDEN and what.startswith(parts) for what, why in self.unknown.items())

    @property
    def livekit_url(self) -> str:
        """Where its LiveKit is, empty if that is not known."""
        return (self.settings or {}).get("LIVEKIT_URL", "")

    @property
    def leader_pod(self) -> Pod | None:
        """The leader's pod, None if it is not known. A host name is a pod's name, cut to 63 characters."""
        host = (self.leader or "").partition("_")[0]
        return next((each for each in self.pods or () if host in (each.name, each.name[:63].rstrip("-."))), None)

    def installation(self) -> Installation | None:
        """What it adds to every number; None: `unknown` says why. Raises CannotRun for a wrong setting or preset."""
        if self.settings is None or self.carriers is None or not self.settings.get("LIVEKIT_URL"):
            return None
        settings = installation_settings(self.settings)
        if not (settings.installation_id or self.cluster_id):
            return None
        return settings.installation(self.cluster_id, self._carriers_in_force(self.carriers))

    @staticmethod
    def _carriers_in_force(text: str) -> Catalogue:
        try:
            return extended(BUILT_IN, text) if text else BUILT_IN
        except WrongCarriers as exc:
            raise CannotRun(f"BYOC_CARRIERS_FILE: {exc}") from None

    @property
    def ready_pods(self) -> int | None:
        """How many pods are ready, None if that cannot be read."""
        return None if self.pods is None else sum(pod.ready for pod in self.pods)


class _Found(dict[str, Any]):
    """The parts of an `Operator` as they are found, and why others are not."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown: dict[str, str] = {}

    def missing(self, what: str, exc: OperatorError) -> None:
        """Note that a part cannot be read. Raises `Unauthorized`: without a token nothing can."""
        if isinstance(exc, Unauthorized):
            raise exc
        self.unknown[what] = why_not(exc)


def why_not(exc: OperatorError) -> str:
    """Why something cannot be read, in a few words."""
    if isinstance(exc, Forbidden):
        return FORBIDDEN
    return exc.words if isinstance(exc, ApiRefused) and exc.words else exc.message


async def operator_of(cluster: Cluster, namespace: str) -> Operator:
    """The operator in a namespace. What cannot be read does not fail. Raises `Unauthorized`."""
    found = _Found()
    deployment = await _deployment(cluster, namespace, found)
    if deployment is not None:
        found |= _of_deployment(deployment)
        await _read_settings(cluster, namespace, deployment, found)
    if "settings" not in found:
        await _read_copy(cluster, namespace, found)
    await _read_carriers(cluster, namespace, deployment, found)
    await _read_pods(cluster, namespace, found)
    await _read_lease(cluster, namespace, found)
    await _read_cluster_id(cluster, found)
    if "settings" in found and not found["settings"].get("LIVEKIT_URL"):
        found.unknown["LIVEKIT_URL"] = "the settings that you may read do not have it; set it in your environment"
    return Operator(namespace=namespace, unknown=found.unknown, **found)


async def _deployment(cluster: Cluster, namespace: str, found: _Found) -> Mapping[str, Any] | None:
    try:
        several = await cluster.deployments(namespace, LABELS)
    except OperatorError as exc:
        found.missing("Deployment", exc)
        return None
    found["deployments"] = len(several)
    if not several:
        found.unknown["Deployment"] = f"the namespace {namespace} has none with the label {LABELS}"
    return several[0] if several else None


def _of_deployment(raw: Mapping[str, Any]) -> dict[str, Any]:
    container = operators_container(raw)
    replicas = at(raw, "spec", "replicas")
    return {
        "deployment": str(raw["metadata"]["name"]),
        "image": text(container.get("image")),
        "replicas": replicas if isinstance(replicas, int) else 1,
        "livekit_secret": livekit_secret(raw),
    }


async def _read_settings(cluster: Cluster, namespace: str, raw: Mapping[str, Any], found: _Found) -> None:
    """Settings of ConfigMaps, then those that stand in the Deployment itself, which win. Values of Secrets stay out."""
    settings: dict[str, str] = {}
    for source in items(operators_container(raw).get("envFrom")):
        name = text(at(source, "configMapRef", "name"))
        if not name:
            continue
        try:
            stored = await cluster.config_map(namespace, name)
        except OperatorError as exc:
            found.missing(f"ConfigMap {namespace}/{name}", exc)
            return
        if stored is None:
            found.unknown[f"ConfigMap {namespace}/{name}"] = "there is none"
            return
        settings |= {key: text(value) for key, value in mapping(stored.get("data")).items()}
    for variable in items(operators_container(raw).get("env")):
        if isinstance(variable.get("value"), str):
            settings[text(variable.get("name"))] = variable["value"]
    found["settings"] = settings
    found["lease_name"] = settings.get("BYOC_LEASE_NAME") or Operator.__dataclass_fields__["lease_name"].default


async def _read_copy(cluster: Cluster, namespace: str, found: _Found) -> None:
    """The settings as the ConfigMap for people has them, which the role byoc-view may read. It may lack some."""
    name = f"{found.get('deployment', 'byoc-operator')}-installation"
    try:
        stored = await cluster.config_map(namespace, name)
    except OperatorError as exc:
        found.missing(f"ConfigMap {namespace}/{name}", exc)
        return
    if stored is not None:
        found["settings"] = {key: text(value) for key, value in mapping(stored.get("data")).items()}


async def _read_carriers(cluster: Cluster, namespace: str, raw: Mapping[str, Any] | None, found: _Found) -> None:
    """The file of presets: out of the ConfigMap that is mounted, else out of the one for people."""
    file = (found.get("settings") or {}).get("BYOC_CARRIERS_FILE", "")
    if not file:
        return
    found["carriers"] = None
    name, key = carriers_place(raw or {}, file)
    name = name or f"{found.get('deployment', 'byoc-operator')}-installation"
    key = key or CARRIERS_KEY
    try:
        stored = await cluster.config_map(namespace, name)
    except OperatorError as exc:
        found.missing(f"ConfigMap {namespace}/{name}", exc)
        return
    content = mapping((stored or {}).get("data")).get(key)
    if not isinstance(content, str):
        found.unknown[f"ConfigMap {namespace}/{name}"] = f"it has no key {key}, which BYOC_CARRIERS_FILE needs"
        return
    found["carriers"] = content


async def _read_pods(cluster: Cluster, namespace: str, found: _Found) -> None:
    try:
        found["pods"] = tuple(await pods_of(cluster, namespace))
    except OperatorError as exc:
        found.missing("pods", exc)


async def pods_of(cluster: Cluster, namespace: str) -> list[Pod]:
    """The operator's pods. Raises OperatorError."""
    return [_pod(raw) for raw in (await cluster.pods(namespace, LABELS))[:MAX_PODS]]


async def _read_lease(cluster: Cluster, namespace: str, found: _Found) -> None:
    """The Lease's holder calls itself after its host, which is the pod's name, and a UUID."""
    name = found.get("lease_name", "byoc-operator")
    try:
        lease = await cluster.lease(namespace, name)
    except OperatorError as exc:
        found.missing(f"Lease {namespace}/{name}", exc)
        return
    if lease is None:
        found.unknown[f"Lease {namespace}/{name}"] = "there is none"
        return
    found["leader"] = text(at(lease, "spec", "holderIdentity"))
    found["renewed_at"] = text(at(lease, "spec", "renewTime"))


async def _read_cluster_id(cluster: Cluster, found: _Found) -> None:
    """The installation's ID, where the settings name none."""
    if (found.get("settings") or {}).get("BYOC_INSTALLATION_ID"):
        return
    try:
        raw = await cluster.get("/api/v1/namespaces/kube-system", "namespaces")
        found["cluster_id"] = text(raw["metadata"].get("uid"))
    except OperatorError as exc:
        found.missing("namespace kube-system", exc)


def _pod(raw: Mapping[str, Any]) -> Pod:
    conditions = {text(each.get("type")): at(each, "status") for each in items(at(raw, "status", "conditions"))}
    containers = items(at(raw, "status", "containerStatuses"))
    waiting = [text(at(each, "state", "waiting", "reason")) for each in containers]
    restarts = [each["restartCount"] for each in containers if isinstance(each.get("restartCount"), int)]
    container = container_of(at(raw, "spec", "containers"))
    own = next((each for each in containers if each.get("name") == container.get("name")), {})
    return Pod(
        name=str(raw["metadata"]["name"]),
        ready=conditions.get("Ready") == "True",
        waiting=next(filter(None, waiting), ""),
        restarts=sum(restarts),
        restarted=bool(at(own, "lastState", "terminated")),
        started_at=text(at(raw, "status", "startTime")),
        container=text(container.get("name")),
        port=http_port(container),
    )
