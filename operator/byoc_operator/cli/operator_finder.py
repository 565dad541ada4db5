"""Finds the operator of a cluster: its settings, who leads, which pods are ready, which namespaces it watches.

Every part may be out of a user's sight. What cannot be read is None, and `unknown` says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cluster.answers import ApiRefused, Forbidden
from ..core.desired import Installation
from ..errors import OperatorError
from ..installation_settings import installation_settings
from .cluster import Cluster

LABELS = "app.kubernetes.io/name=byoc-operator"
"""What the chart and `deploy/base` put on the Deployment and on its pods."""

MAX_PODS = 50

DEFAULT_PORT = 8080
"""Of metrics and probes, where a pod does not name its port `http`."""


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

    `deployment`: its name, empty if none was found; `deployments`: how many there are. `image`: of its container.
    `replicas`: how many are wanted. `settings`: environment names and texts, nothing secret; None if they cannot be
    read. `livekit_secret`: name of the Secret with LiveKit's key. `pods`: None if they cannot be read. `leader`: the
    pod that holds the Lease, empty if nobody does, None if that cannot be read; `renewed_at`: when it last did.
    `cluster_id`: UID of kube-system. `unknown`: what cannot be read, and why.
    """

    namespace: str
    deployment: str = ""
    deployments: int = 0
    image: str = ""
    replicas: int = 0
    settings: Mapping[str, str] | None = None
    livekit_secret: str = ""
    pods: tuple[Pod, ...] | None = None
    leader: str | None = None
    renewed_at: str = ""
    lease_name: str = "byoc-operator"
    cluster_id: str = ""
    unknown: Mapping[str, str] = field(default_factory=dict)

    def watches(self, namespace: str) -> bool | None:
        """Whether it looks after the numbers of a namespace; None: not known."""
        if self.settings is None:
            return None
        names = [each.strip() for each in self.settings.get("BYOC_NAMESPACES", "").split(",")]
        return namespace in names or not any(names)

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
        """What it adds to every number; None: `unknown` says why. Raises CannotRun for a wrong setting."""
        if self.settings is None or not self.settings.get("LIVEKIT_URL"):
            return None
        settings = installation_settings(self.settings)
        if not (settings.installation_id or self.cluster_id):
            return None
        return settings.installation(self.cluster_id)

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
        """Note that a part cannot be read."""
        self.unknown[what] = why_not(exc)


def why_not(exc: OperatorError) -> str:
    """Why something cannot be read, in a few words."""
    if isinstance(exc, Forbidden):
        return "you may not read it"
    return exc.words if isinstance(exc, ApiRefused) and exc.words else exc.message


async def operator_of(cluster: Cluster, namespace: str) -> Operator:
    """The operator in a namespace. What cannot be read does not fail."""
    found = _Found()
    deployment = await _deployment(cluster, namespace, found)
    if deployment is not None:
        found |= _of_deployment(deployment)
        await _read_settings(cluster, namespace, deployment, found)
    if "settings" not in found:
        await _read_copy(cluster, namespace, found)
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
    container = _container(raw)
    replicas = _at(raw, "spec", "replicas")
    return {
        "deployment": str(raw["metadata"]["name"]),
        "image": _text(container.get("image")),
        "replicas": replicas if isinstance(replicas, int) else 1,
        "livekit_secret": _livekit_secret(raw),
    }


async def _read_settings(cluster: Cluster, namespace: str, raw: Mapping[str, Any], found: _Found) -> None:
    """Settings of ConfigMaps, then those that stand in the Deployment itself, which win. Values of Secrets stay out."""
    settings: dict[str, str] = {}
    for source in _items(_container(raw).get("envFrom")):
        name = _text(_at(source, "configMapRef", "name"))
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
        settings |= {key: _text(value) for key, value in _mapping(stored.get("data")).items()}
    for variable in _items(_container(raw).get("env")):
        if isinstance(variable.get("value"), str):
            settings[_text(variable.get("name"))] = variable["value"]
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
        found["settings"] = {key: _text(value) for key, value in _mapping(stored.get("data")).items()}


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
    found["leader"] = _text(_at(lease, "spec", "holderIdentity"))
    found["renewed_at"] = _text(_at(lease, "spec", "renewTime"))


async def _read_cluster_id(cluster: Cluster, found: _Found) -> None:
    """The installation's ID, where the settings name none."""
    if (found.get("settings") or {}).get("BYOC_INSTALLATION_ID"):
        return
    try:
        raw = await cluster.get("/api/v1/namespaces/kube-system", "namespaces")
        found["cluster_id"] = _text(raw["metadata"].get("uid"))
    except OperatorError as exc:
        found.missing("namespace kube-system", exc)


def _pod(raw: Mapping[str, Any]) -> Pod:
    conditions = {_text(each.get("type")): _at(each, "status") for each in _items(_at(raw, "status", "conditions"))}
    containers = _items(_at(raw, "status", "containerStatuses"))
    waiting = [_text(_at(each, "state", "waiting", "reason")) for each in containers]
    restarts = [each["restartCount"] for each in containers if isinstance(each.get("restartCount"), int)]
    container = _container_of(_at(raw, "spec", "containers"))
    own = next((each for each in containers if each.get("name") == container.get("name")), {})
    return Pod(
        name=str(raw["metadata"]["name"]),
        ready=conditions.get("Ready") == "True",
        waiting=next(filter(None, waiting), ""),
        restarts=sum(restarts),
        restarted=bool(_at(own, "lastState", "terminated")),
        started_at=_text(_at(raw, "status", "startTime")),
        container=_text(container.get("name")),
        port=_port(container),
    )


def _port(container: Mapping[str, Any]) -> int:
    named = [each.get("containerPort") for each in _items(container.get("ports")) if each.get("name") == "http"]
    return next((each for each in named if isinstance(each, int)), DEFAULT_PORT)


def _container(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The operator's own container: the one called so, else the first."""
    return _container_of(_at(raw, "spec", "template", "spec", "containers"))


def _container_of(stored: object) -> Mapping[str, Any]:
    containers = _items(stored)
    named = [each for each in containers if each.get("name") == "operator"]
    return next(iter([*named, *containers]), {})


def _livekit_secret(raw: Mapping[str, Any]) -> str:
    """The Secret that is mounted where LIVEKIT_API_SECRET_FILE is, or that a variable is made of."""
    container = _container(raw)
    variables = {_text(each.get("name")): each for each in _items(container.get("env"))}
    direct = _text(_at(variables.get("LIVEKIT_API_SECRET"), "valueFrom", "secretKeyRef", "name"))
    if direct:
        return direct
    file = _text(_mapping(variables.get("LIVEKIT_API_SECRET_FILE")).get("value"))
    volumes = {
        _text(each.get("name")): _text(_at(each, "secret", "secretName"))
        for each in _items(_at(raw, "spec", "template", "spec", "volumes"))
    }
    mounts = [each for each in _items(container.get("volumeMounts")) if _is_under(file, _text(each.get("mountPath")))]
    return next(filter(None, (volumes.get(_text(each.get("name")), "") for each in mounts)), "")


def _is_under(file: str, folder: str) -> bool:
    return bool(folder) and file.startswith(folder.rstrip("/") + "/")


def _at(value: object, *path: str) -> object:
    for name in path:
        value = _mapping(value).get(name)
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
