"""A healthy number in memory, its operator and LiveKit, as `kubectl byoc` finds them."""

from collections.abc import Callable
from dataclasses import replace

from byoc_operator.api.resource import parse
from byoc_operator.core.assessment import assess
from byoc_operator.core.credentials import Reading
from byoc_operator.core.desired import Installation
from byoc_operator.core.plan import Create
from byoc_operator.core.secret_facts import secret_facts
from byoc_operator.core.situation import ClusterFacts, situation_of
from byoc_operator.core.snapshot import Snapshot
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Mask, OutboundTrunk
from byoc_operator.diagnosis.network import Network
from byoc_operator.livekit_sip.endpoint import Endpoint
from byoc_operator.livekit_sip.fake import FakeLiveKit
from kubectl import Cluster
from operated import NAMESPACE, SYSTEM, manifest

PHONE = "+14155552671"
LABELS = {"app.kubernetes.io/name": "byoc-operator"}
SETTINGS = {
    "LIVEKIT_URL": "wss://livekit.example.com",
    "BYOC_INSTALLATION_ID": "cluster-a",
    "BYOC_SIP_URI": "sip.example.org",
    "BYOC_SIP_ADDRESSES": "203.0.113.0/28",
}
KEY = {"LIVEKIT_API_KEY": "key-of-livekit", "LIVEKIT_API_SECRET": "secret-of-livekit"}


class Here(FakeLiveKit):
    """LiveKit as commands open it: its objects are made with the mask of the command."""

    unreadable = 0

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self.cluster = cluster
        self.endpoint: Endpoint | None = None
        self.opened = 0
        self.spoil: Callable[[], None] = lambda: None

    def open(self, endpoint: Endpoint, mask: Mask) -> "Here":
        self.endpoint = endpoint
        self.opened += 1
        self._objects.clear()  # each command has a mask of its own
        self.fill(mask)
        self.spoil()
        return self

    def fill(self, mask: Mask) -> None:
        """What the operator makes of the number `main`."""
        raw = self.cluster.api._objects["secrets", NAMESPACE, "sip"]
        number = parse(self.cluster.api._objects["byocphonenumbers", NAMESPACE, "main"])
        ring = self.cluster.ring
        facts = secret_facts(raw, Reading(mask, ring.open))
        installation = Installation(("cluster-a",), "livekit.example.com", sip_uri="sip.example.org")
        situation = situation_of(number, Snapshot(), ClusterFacts({"sip": facts}), installation, mask)
        for each in assess(situation, installation, mask, 0.0).changes:
            assert isinstance(each, Create)
            match each.wanted:
                case OutboundTrunk():
                    self.put(replace(each.wanted, id="ST_out"))
                case InboundTrunk():
                    self.put(replace(each.wanted, id="ST_in"))
                case DispatchRule():
                    self.put(replace(each.wanted, id="SDR_rule", trunk_ids=("ST_in",)))

    async def aclose(self) -> None:
        self.opened -= 1


class Nowhere:
    """DNS that knows no name."""

    async def addresses(self, host: str) -> tuple[str, ...]:
        raise TimeoutError(host)

    async def services(self, host: str, transport: str) -> tuple[str, ...]:
        raise TimeoutError(host, transport)


def stand(cluster: Cluster) -> Here:
    """A healthy number, its operator and LiveKit."""
    api = cluster.api
    cluster.sealed_secret("sip")
    api.apply(manifest("main", phoneNumber=PHONE, inbound={"allowedAddresses": ["192.0.2.0/24"]}))
    ready = {"type": "Ready", "status": "True", "reason": "Synced", "message": ""}
    ids = {"outboundTrunkId": "ST_out", "inboundTrunkId": "ST_in", "dispatchRuleId": "SDR_rule"}
    api._objects["byocphonenumbers", NAMESPACE, "main"]["status"] = {
        "observedGeneration": 1,
        "conditions": [ready],
        **ids,
    }
    container = {
        "name": "operator",
        "image": "byoc-operator:0.1.0",
        "envFrom": [{"configMapRef": {"name": "byoc-operator-installation"}}],
    }
    template = {"spec": {"containers": [container]}}
    named = {"namespace": SYSTEM, "labels": LABELS}
    api._create(
        "deployments", {"metadata": {**named, "name": "byoc-operator"}, "spec": {"replicas": 1, "template": template}}
    )
    api._create("configmaps", {"metadata": {**named, "name": "byoc-operator-installation"}, "data": dict(SETTINGS)})
    pod = {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": []}
    api._create("pods", {"metadata": {**named, "name": "byoc-operator-1"}, "status": pod})
    lease = {"holderIdentity": "byoc-operator-1_uuid", "renewTime": "2027-01-15T07:59:57.000000Z"}
    api._create("leases", {"metadata": {"namespace": SYSTEM, "name": "byoc-operator"}, "spec": lease})
    livekit = Here(cluster)
    cluster.around |= {"environ": dict(KEY), "livekit": livekit.open, "network": lambda: Network(resolver=Nowhere())}
    return livekit
