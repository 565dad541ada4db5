"""Two namespaces that name the same phone number, and a record of which one has trunks with it. For tests of claims."""

from dataclasses import dataclass, field
from typing import Any

from byoc_operator.api.names import GROUP, PLURAL
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import DispatchRule, SipObject
from byoc_operator.livekit_sip.fake import FakeLiveKit
from operated import NAME, NAMESPACE, PASSWORD, PHONE, USER, World, manifest, now_s

RESERVED_S = 300.0
ELSEWHERE = "elsewhere"
CLAIMANT = "claimant"
"""The object of the other namespace, which wants the number too, with a carrier and an agent of its own."""

CLAIMANT_SPEC = {
    "terminationUri": "sip.claimant.example",
    "inboundAgentId": "agent_claimant",
    "outboundAgentId": "agent_claimant",
}


@dataclass
class Ledger:
    """The namespace that had trunks with the number last, since when it has none, and since when it has no object.

    `broken`: what must never have happened.
    """

    last: str = ""
    empty_since_s: float = float("-inf")
    gone_since_s: float = float("inf")
    broken: list[str] = field(default_factory=list)


class WatchedLiveKit(FakeLiveKit):
    """A LiveKit that records at every write of the operator which namespaces have trunks."""

    def __init__(self, api: Any = None, **options: Any) -> None:
        super().__init__(seed=1, **options)
        self.api = api
        self.ledger = Ledger()

    def _store(self, wanted: Any) -> Any:
        stored = super()._store(wanted)
        self._look(stored)
        return stored

    def _delete(self, kind: Any, id: str) -> None:
        super()._delete(kind, id)
        self._look(None)

    def drop(self, id: str) -> None:
        """Delete an object as another program would."""
        super().drop(id)
        self._look(None)

    def _look(self, written: SipObject | None) -> None:
        ledger, there = self.ledger, namespaces_with(self.objects())
        if written is not None and PHONE in getattr(written, "numbers", ()):
            (writer,) = namespaces_with([written])
            if ledger.last not in ("", writer) and self._is_too_soon(ledger):
                ledger.broken.append(f"{writer} got a trunk while the number was {ledger.last}'s")
            ledger.last, ledger.gone_since_s = writer, float("inf")
        if len(there) > 1:
            ledger.broken.append(f"trunks of {sorted(there)} at once")
        ledger.empty_since_s = float("inf") if there else min(ledger.empty_since_s, now_s())

    def _is_too_soon(self, ledger: Ledger) -> bool:
        let_go_s = min(ledger.empty_since_s, ledger.gone_since_s)
        theirs = [raw for raw in self.api.numbers() if raw["metadata"]["namespace"] == ledger.last]
        return now_s() < let_go_s + RESERVED_S or any(map(asks, theirs))


class WatchedApi(FakeApi):
    """An API server that notes when the last object of the namespace that had the number goes."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        super().__init__(now_s)

    def _remove(self, at: tuple[str, str, str]) -> None:
        super()._remove(at)
        left = any(raw["metadata"]["namespace"] == self.ledger.last for raw in self.numbers())
        if at[1] == self.ledger.last and not left:
            self.ledger.gone_since_s = now_s()

    def _create(self, plural: str, wanted: dict[str, Any]) -> dict[str, Any]:
        if plural == PLURAL and wanted["metadata"]["namespace"] == self.ledger.last:
            self.ledger.gone_since_s = float("inf")
        return super()._create(plural, wanted)


def asks(raw: dict[str, Any]) -> bool:
    """Whether an object asks for the number."""
    spec, metadata = raw["spec"], raw["metadata"]
    paused = (metadata.get("annotations") or {}).get(f"{GROUP}/paused") == "true"
    valid = not spec["terminationUri"].startswith("sip:")
    observes = spec.get("managementPolicy") == "Observe"
    return not (paused or observes or "deletionTimestamp" in metadata) and valid and spec["phoneNumber"] == PHONE


def namespaces_with(objects: Any, phone: str = PHONE) -> set[str]:
    """The namespaces whose marks trunks with the number carry."""
    trunks = [each for each in objects if not isinstance(each, DispatchRule) and phone in each.numbers]
    return {owner.namespace for each in trunks if (owner := owner_of(each)) is not None}


def of(namespace: str, number: dict[str, Any]) -> dict[str, Any]:
    """A manifest in another namespace."""
    number["metadata"]["namespace"] = namespace
    return number


def claimant(**changes: Any) -> dict[str, Any]:
    """The claimant's manifest."""
    return of(ELSEWHERE, manifest(CLAIMANT, **{**CLAIMANT_SPEC, **changes}))


class TwoClaims(World):
    """A world in which both namespaces have a usable Secret."""

    @classmethod
    async def begun(cls, **parts: Any) -> "TwoClaims":
        """With an operator that has done its first sweep."""
        livekit = WatchedLiveKit()
        world = cls(livekit=livekit, api=WatchedApi(livekit.ledger), **parts)
        livekit.api = world.api
        for namespace in (NAMESPACE, ELSEWHERE):
            world.api.put_secret(namespace, "sip", {"username": USER, "password": PASSWORD})
        await world.start()
        return world

    @property
    def ledger(self) -> Ledger:
        """What LiveKit saw."""
        assert isinstance(self.livekit, WatchedLiveKit)
        return self.livekit.ledger

    def claimant(self) -> dict[str, Any]:
        """The claimant as stored."""
        raw = self.api.number(ELSEWHERE, CLAIMANT)
        assert raw is not None
        return raw

    def told_claimant(self) -> tuple[str, str]:
        """Reason and message of the claimant's Ready."""
        conditions = self.claimant()["status"].get("conditions", ())
        return next(((each["reason"], each["message"]) for each in conditions if each["type"] == "Ready"), ("", ""))

    def claimant_has_nothing(self) -> None:
        """Neither an ID in its status nor a trunk with its mark."""
        status = self.claimant()["status"]
        assert not {"outboundTrunkId", "inboundTrunkId", "dispatchRuleId", "liveKit"} & set(status), status
        assert ELSEWHERE not in namespaces_with(self.livekit.objects())
        assert self.ledger.broken == []

    def there(self, name: str = NAME) -> bool:
        """Whether the owner's object is there."""
        return self.api.number(NAMESPACE, name) is not None
