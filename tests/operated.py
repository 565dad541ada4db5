"""`World`: the whole engine with a LiveKit and an API server in memory, in virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import GROUP
from byoc_operator.cluster.events import Events
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.cluster.lease import LeaseApi
from byoc_operator.cluster.numbers import NumberApi
from byoc_operator.cluster.reading import Told
from byoc_operator.cluster.refusals import Refusals
from byoc_operator.cluster.regained import Regained
from byoc_operator.cluster.secrets import Secrets
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import KEYS_SECRET
from byoc_operator.core.desired import Installation
from byoc_operator.core.masking import make_mask
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject
from byoc_operator.engine.belongings import Belongings
from byoc_operator.engine.cache import Cache
from byoc_operator.engine.engine import Engine, Pace
from byoc_operator.engine.leader import Alone, Leader, Leadership
from byoc_operator.engine.orphan_search import OrphanRules
from byoc_operator.engine.retained_ids import RetainedIds
from byoc_operator.engine.rights import Rights
from byoc_operator.engine.unreadable_objects import UnreadableObjects
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.guard import Bucket, Guard
from byoc_operator.livekit_sip.inventory import Inventory
from byoc_operator.livekit_sip.pacing import AdaptiveLimit
from byoc_operator.mounted_carriers import MountedCarriers, carriers_in
from byoc_operator.sealing.keeper import Keeper
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import DATA_KEY, SealingKeys
from byoc_operator.telemetry.metrics import Metrics
from byoc_operator.wiring import Ports

EPOCH_S = 1_800_000_000.0
SWEEP_S = 300.0
NAMESPACE = "voice"
SYSTEM, LEASE = "byoc-system", "byoc-operator"
NAME = "main"
PHONE = "+19876543210"
PASSWORD = "correct-horse-battery"
USER = "trunk-user"
SPEC: Mapping[str, Any] = {
    "phoneNumber": PHONE,
    "terminationUri": "sip.example.com",
    "inboundAgentId": "agent_support",
    "sipPasswordSecretRef": {"name": "sip", "key": "password"},
}

FINALIZER_PATCH, STATUS_PATCH = "PATCH byocphonenumbers", "PATCH byocphonenumbers/status"
CREATES = [("create", kind) for kind in (Kind.OUTBOUND_TRUNK, Kind.INBOUND_TRUNK, Kind.DISPATCH_RULE)]
DELETES = [("delete", kind) for kind in (Kind.DISPATCH_RULE, Kind.INBOUND_TRUNK, Kind.OUTBOUND_TRUNK)]

MASK = make_mask(b"one key for all processes, as the fake keeps our digests")

RING = KeyRing.generate()
"""The sealing keys of a cluster unless a test says otherwise."""


def now_s() -> float:
    """Virtual epoch seconds."""
    return EPOCH_S + asyncio.get_running_loop().time()


def manifest(name: str = NAME, *, annotations: Mapping[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """A number with `SPEC` and changes (None takes a field away); annotations without our prefix."""
    spec = {key: value for key, value in {**SPEC, **changes}.items() if value is not None}
    ours = {f"{GROUP}/{key}": value for key, value in (annotations or {}).items()}
    return {"metadata": {"namespace": NAMESPACE, "name": name, "annotations": ours}, "spec": spec}


@dataclass
class World:
    """A cluster, a LiveKit and at most one operator, which can crash and restart. To be created in a running loop."""

    livekit: FakeLiveKit = field(default_factory=lambda: FakeLiveKit(seed=1))
    api: FakeApi = field(default_factory=lambda: FakeApi(now_s))
    installation: Installation = field(
        default_factory=lambda: Installation(("cluster-a",), "livekit.example.com", sip_uri="sip.example.org")
    )
    carriers_file: Path | None = None
    troubles: list[str] = field(default_factory=list)
    leader: Leadership | None = None
    reload_key: Callable[[], bool] = lambda: False
    per_minute: int = 0
    workers: int = 4
    most_at_once: int = 4
    deletes_orphans: bool = False
    namespaces: tuple[str, ...] = ()
    ring: KeyRing | None = RING
    makes_keys: bool = True
    _engine: Engine | None = None
    _ports: Ports | None = None

    def __post_init__(self) -> None:
        """An installation that has its sealing keys, unless `ring` is None."""
        if self.ring is not None:
            self.put_keys(self.ring)

    def put_keys(self, ring: KeyRing) -> None:
        """Have these sealing keys in the cluster."""
        self.ring = ring
        self.api.put_secret(SYSTEM, KEYS_SECRET, {DATA_KEY: ring.text()}, watched=False)

    def seal(self, value: str, field: Field = Field.PASSWORD, namespace: str = NAMESPACE) -> str:
        """A value sealed with the first of the cluster's keys."""
        assert self.ring is not None
        return self.ring.seal(value, namespace, field)

    @classmethod
    async def running(cls, **parts: Any) -> "World":
        """With a usable Secret and an operator that has done its first sweep."""
        world = cls(**parts)
        world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
        await world.start()
        return world

    @classmethod
    async def in_step(cls, **changes: Any) -> "World":
        """Running, with one number in step; counts begin here."""
        world = await cls.running()
        await world.apply(**changes)
        assert world.ready() == ("True", "Synced")
        await world.elapse(2)  # longer than one GET of a Secret is shared
        world.forget_counts()
        return world

    @property
    def engine(self) -> Engine:
        """The operator that runs."""
        assert self._engine is not None
        return self._engine

    @property
    def ports(self) -> Ports:
        """Its parts."""
        assert self._ports is not None
        return self._ports

    async def start(self, *, settle: bool = True) -> None:
        """Start a new operator, which knows only what LiveKit and the cluster have."""
        api = self.api
        clock = asyncio.get_running_loop().time
        leader = self.leader or Alone()
        guard = Guard(
            self.livekit,
            Bucket(self.per_minute, clock),
            self.reload_key,
            leader.must_hold,
            AdaptiveLimit(2, self.most_at_once, clock),
        )
        keys = SealingKeys(api, SYSTEM, clock)
        metrics = Metrics()
        events = Events(api, "operator-1", metrics.event_dropped, clock)
        refusals = Refusals(clock)
        api.answered = refusals.answered
        cache, inventory = Cache(now_s), Inventory(guard, clock, keeps=self.installation.keeps_unknown_fields)
        unreadable = UnreadableObjects(events, metrics.count_unreadable)
        self._ports = Ports(
            cache=cache,
            inventory=inventory,
            guard=guard,
            secrets=Secrets(api, (), MASK, keys, clock, labelled_only=self.installation.secret_rules.labelled_only),
            keeper=Keeper(
                keys,
                self._hear,
                SWEEP_S,
                may_create=self.makes_keys,
                count_bug=metrics.sweep_bugs.labels("keys").inc,
            ),
            numbers=NumberApi(api, self.namespaces),
            events=events,
            carriers=MountedCarriers(
                self.carriers_file, replace(self.installation, carriers=carriers_in(self.carriers_file))
            ),
            mask=MASK,
            metrics=metrics,
            unreadable=unreadable,
            belongings=Belongings(cache, inventory, unreadable, self.installation),
            retained=RetainedIds(LeaseApi(api, SYSTEM, LEASE)),
            rights=Rights(self.namespaces, None, self._hear),
            regained=Regained(api, refusals),
            clock=clock,
            wall=now_s,
        )
        api.listen(unreadable.told)
        orphans = OrphanRules(self.namespaces, deletes=self.deletes_orphans)
        self._engine = engine = Engine(self._ports, Pace(self.workers, 2, SWEEP_S), leader, orphans, self._hear)
        self.api.watch_numbers.append(engine.intake.number_event)
        self.api.watch_secrets.append(engine.intake.secret_event)
        await engine.start()
        if settle:
            await self.settle()

    async def crash(self) -> None:
        """Kill the operator: all its tasks end, and its watches get no more events."""
        self.api.watch_numbers.clear()
        self.api.watch_secrets.clear()
        self.engine.queue.stop()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def deafen(self) -> None:
        """Break the operator's watches: it gets no more events."""
        self.api.watch_numbers.remove(self.engine.intake.number_event)
        self.api.watch_secrets.remove(self.engine.intake.secret_event)

    async def kill(self) -> None:
        """As `crash`, where other replicas on the same cluster live on; the watches must not be broken."""
        self.deafen()
        self.engine.queue.stop()
        await self.engine.tasks.cancel()
        await self.ports.inventory.aclose()
        await self.ports.secrets.aclose()

    async def restart(self) -> None:
        """Killed and started again."""
        await self.crash()
        await self.start()

    async def settle(self, within_s: float = 20.0) -> None:
        """Wait until nothing runs, nothing could run and no Event waits; numbers in back-off stay there."""
        queue, events = self.engine.queue, self.ports.events
        deadline_s = asyncio.get_running_loop().time() + within_s
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0.01)
            quiet = 0 if queue.depth or queue.active or events.waiting else quiet + 1
            assert asyncio.get_running_loop().time() < deadline_s, "the operator does not come to rest"

    async def elapse(self, seconds: float) -> None:
        """Let time pass, then settle."""
        await asyncio.sleep(seconds)
        await self.settle()

    async def sweep(self) -> None:
        """Let more than a sweep's interval pass."""
        await self.elapse(SWEEP_S * 1.2)

    async def apply(self, name: str = NAME, **changes: Any) -> None:
        """As `kubectl apply` of `manifest`, then settle."""
        self.api.apply(manifest(name, **changes))
        await self.settle()

    def raw(self, name: str = NAME) -> dict[str, Any]:
        """A number as stored."""
        raw = self.api.number(NAMESPACE, name)
        assert raw is not None, f"there is no number {name}"
        return raw

    def exists(self, name: str = NAME) -> bool:
        """Whether the number is there."""
        return self.api.number(NAMESPACE, name) is not None

    def status(self, name: str = NAME) -> dict[str, Any]:
        """Its status."""
        status: dict[str, Any] = self.raw(name)["status"]
        return status

    def conditions(self, name: str = NAME) -> dict[str, tuple[str, str]]:
        """Type to status and reason."""
        return {each["type"]: (each["status"], each["reason"]) for each in self.status(name).get("conditions", ())}

    def ready(self, name: str = NAME) -> tuple[str, str]:
        """Status and reason of Ready."""
        return self.conditions(name).get("Ready", ("", ""))

    def message(self, name: str = NAME) -> str:
        """Message of Ready."""
        return next(str(each["message"]) for each in self.status(name)["conditions"] if each["type"] == "Ready")

    def ids(self, name: str = NAME) -> tuple[str, ...]:
        """The IDs in the status: outbound, inbound, rule; empty where there is none."""
        status = self.status(name)
        return tuple(status.get(field, "") for field in ("outboundTrunkId", "inboundTrunkId", "dispatchRuleId"))

    def outbound(self) -> list[OutboundTrunk]:
        """All outbound trunks in LiveKit."""
        return [each for each in self.livekit.objects() if isinstance(each, OutboundTrunk)]

    def inbound(self) -> list[InboundTrunk]:
        """All inbound trunks in LiveKit."""
        return [each for each in self.livekit.objects() if isinstance(each, InboundTrunk)]

    def rules(self) -> list[DispatchRule]:
        """All dispatch rules in LiveKit."""
        return [each for each in self.livekit.objects() if isinstance(each, DispatchRule)]

    def api_writes(self) -> list[str]:
        """Writes so far, as `PATCH byocphonenumbers/status`; Events apart."""
        return [f"{each.method} {each.resource}" for each in self.api.writes if each.resource != "events"]

    def livekit_writes(self) -> list[tuple[str, Kind]]:
        """Calls that change LiveKit, so far."""
        return [(method, kind) for method, kind, _ in self.livekit.calls if method not in ("list", "remainder")]

    def event_reasons(self) -> list[str]:
        """Reasons of the Events, in order."""
        return [event["reason"] for event in self.api.events]

    def forget_counts(self) -> None:
        """Count requests, Events and calls from here on."""
        self.api.requests.clear()
        self.api.writes.clear()
        self.api.events.clear()
        self.livekit.calls.clear()

    def told(self) -> str:
        """Everything that users can read: objects with their statuses and Events. Tests search it for credentials."""
        return json.dumps([self.api.numbers(), self.api.events, self.troubles])

    def _hear(self, reason: str, note: str) -> None:
        self.troubles.append(f"{reason}: {note}")


def foreign(sip_object: SipObject, **changes: Any) -> Any:
    """A copy of a LiveKit object with another ID, as another program would create it."""
    return replace(sip_object, id="", **changes)


def candidate(api: FakeApi, name: str, ahead_s: float = 0.0) -> Leader:
    """One for the Lease, whose monotonic clock began at another time than the others'."""
    clock = asyncio.get_running_loop().time
    return Leader(LeaseApi(api, SYSTEM, LEASE), name, lambda: clock() + ahead_s)


def held_by(api: FakeApi) -> str:
    """The holder of the Lease, empty if there is none."""
    lease = api.lease(SYSTEM, LEASE)
    return "" if lease is None else str(lease["spec"]["holderIdentity"])


class CutOff:
    """A connection to the API server that can be `cut`: requests then fail or hang."""

    def __init__(self, api: FakeApi, *, hangs: bool) -> None:
        self._api = api
        self._hangs = hangs
        self.cut = False

    def listen(self, told: Told) -> None:
        """As the API server."""
        self._api.listen(told)

    async def request(
        self, method: str, path: str, *, resource: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """As the API server, unless cut."""
        if self.cut and self._hangs:
            await asyncio.sleep(1e6)
        if self.cut:
            raise Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")
        return await self._api.request(method, path, resource=resource, body=body, content_type=content_type)

    def pages(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Every object of a LIST, never cut."""
        return self._api.pages(path, resource, query)

    async def close(self) -> None:
        """Nothing to close."""
