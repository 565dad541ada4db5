"""The status of an object as a value: the status that the cluster has recorded, or the one that the operator wants.

Only this module reads the JSON of a status. A value of the wrong type counts as absent. `status_bound` bounds the size,
because other programs can write into the status too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .conditions import Condition
from .schema import MAX_ALIASES
from .secret_references import SIP_PASSWORD
from .status_bound import kept_status

UNSEEN = -1
"""The API server sets this `observedGeneration` when it creates an object."""

MAX_CONDITIONS, MAX_FINDINGS, MAX_PATHS = 16, 32, 128
"""Entries of `conditions`, `findings` and `pendingChanges`, as the CRD bounds them."""

MAX_ALIAS = 64
"""Characters of an entry of `aliases`; the operator writes at most 33."""
MAX_OTHER_CREDENTIALS = 16
"""Entries of `otherCredentials`, as the CRD bounds them."""

MAX_HOST, MAX_ID = 512, 256
"""Characters of the host of a LiveKit server, and of a LiveKit ID."""

MAX_LEFT_HOSTS, MAX_LEFT_IDS = 16, 16
"""Entries of `leftBehind`, and IDs of each, as the CRD bounds them."""


@dataclass(frozen=True, slots=True)
class RecordedIds:
    """The LiveKit IDs that a status names, empty where it names none."""

    outbound: str = ""
    inbound: str = ""
    rule: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """The IDs that are there, in the order in which the objects are deleted."""
        return tuple(filter(None, (self.rule, self.inbound, self.outbound)))


@dataclass(frozen=True, slots=True)
class Finding:
    """One entry of `findings`: something that works and should be better."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Objects of a number that may still be on a LiveKit server that the operator no longer talks to."""

    live_kit: str
    ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.live_kit}: {', '.join(self.ids)}"


@dataclass(frozen=True, slots=True)
class RecordedCredentials:
    """The Secret whose credentials were last written to LiveKit. `sealed`: None where the status does not say."""

    secret_name: str = ""
    resource_version: str = ""
    sealed: bool | None = None


@dataclass(frozen=True, slots=True)
class RecordedStatus:
    """A status. Texts are empty where there are none.

    `aliases`: the aliases that the inbound trunk had after the last run, as `grammar.alias_number` writes them.
    `credentials`: those of `spec.sipPasswordSecretRef`; `other_credentials`: by the paths of the other references.

    `raw`: the JSON as stored, if it differs from what these fields say; else None. It differs if it has a field of
    another version of the operator or a value of the wrong type, or if it is empty. Such a status never equals a wanted
    one, so the operator writes the status anew.
    """

    observed_generation: int = UNSEEN
    conditions: tuple[Condition, ...] = ()
    ids: RecordedIds = field(default_factory=RecordedIds)
    live_kit: str = ""
    aliases: tuple[str, ...] = ()
    carrier: str = ""
    origination_uri: str = ""
    last_handled_refresh: str = ""
    last_handled_recreate: str = ""
    last_handled_adopt: str = ""
    credentials: RecordedCredentials | None = None
    other_credentials: Mapping[str, RecordedCredentials] = field(default_factory=dict)
    pending_changes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()
    raw: Mapping[str, Any] | None = None

    @property
    def seen_before(self) -> bool:
        """Whether the operator ever wrote this status."""
        return self.observed_generation >= 0

    @property
    def ready(self) -> Condition:
        """The Ready condition; its texts are empty if there is none."""
        return next((condition for condition in self.conditions if condition.type == "Ready"), _NOT_SAID)

    @property
    def written(self) -> Mapping[str, RecordedCredentials]:
        """For each path of a reference to a Secret, the Secret whose credentials were last written to LiveKit."""
        own = {} if self.credentials is None else {SIP_PASSWORD: self.credentials}
        return {**own, **self.other_credentials}

    def finding(self, code: str) -> str:
        """The message of the finding with this code, empty if there is none."""
        return next((each.message for each in self.findings if each.code == code), "")

    def json(self) -> Mapping[str, Any]:
        """The status as the API server stores it; absent and empty fields are left out."""
        return _json(self) if self.raw is None else self.raw


_NOT_SAID = Condition("Ready", "", "", "")


def recorded_status(stored: object) -> RecordedStatus:
    """The status in the JSON of the API server. Never raises, whatever the JSON contains."""
    raw = kept_status(_mapping(stored))
    observed = raw.get("observedGeneration")
    status = RecordedStatus(
        observed_generation=observed if isinstance(observed, int) else UNSEEN,
        conditions=_conditions(raw.get("conditions")),
        ids=RecordedIds(
            outbound=_text(raw.get("outboundTrunkId")),
            inbound=_text(raw.get("inboundTrunkId")),
            rule=_text(raw.get("dispatchRuleId")),
        ),
        live_kit=_text(raw.get("liveKit")),
        aliases=tuple(each[:MAX_ALIAS] for each in _texts(raw.get("aliases"), MAX_ALIASES)),
        carrier=_text(raw.get("carrier")),
        origination_uri=_text(raw.get("originationUri")),
        last_handled_refresh=_text(raw.get("lastHandledRefresh")),
        last_handled_recreate=_text(raw.get("lastHandledRecreate")),
        last_handled_adopt=_text(raw.get("lastHandledAdopt")),
        credentials=_credentials(raw.get("credentials")),
        other_credentials=_other_credentials(raw.get("otherCredentials")),
        pending_changes=_texts(raw.get("pendingChanges"), MAX_PATHS),
        findings=_findings(raw.get("findings")),
        left_behind=_left_behind(raw.get("leftBehind")),
    )
    return status if _json(status) == raw else replace(status, raw=raw)


def _conditions(stored: object) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=_text(each.get("type")),
            status=_text(each.get("status")),
            reason=_text(each.get("reason")),
            message=_text(each.get("message")),
            observed_generation=_whole(each.get("observedGeneration")),
            last_transition_time=_text(each.get("lastTransitionTime")),
        )
        for each in _objects(stored, MAX_CONDITIONS)
    )


def _credentials(stored: object) -> RecordedCredentials | None:
    if not isinstance(stored, Mapping):
        return None
    sealed = stored.get("sealed")
    return RecordedCredentials(
        secret_name=_text(stored.get("secretName")),
        resource_version=_text(stored.get("resourceVersion")),
        sealed=sealed if isinstance(sealed, bool) else None,
    )


def _other_credentials(stored: object) -> dict[str, RecordedCredentials]:
    found = {_text(each.get("reference")): _credentials(each) for each in _objects(stored, MAX_OTHER_CREDENTIALS)}
    return {path: each for path, each in found.items() if path and each is not None}


def _findings(stored: object) -> tuple[Finding, ...]:
    return tuple(
        Finding(_text(each.get("code")), _text(each.get("message"))) for each in _objects(stored, MAX_FINDINGS)
    )


def _left_behind(stored: object) -> tuple[LeftBehind, ...]:
    return tuple(
        LeftBehind(_text(each.get("liveKit")), _texts(each.get("ids"), MAX_LEFT_IDS))
        for each in _objects(stored, MAX_LEFT_HOSTS)
    )


def _json(status: RecordedStatus) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "observedGeneration": status.observed_generation,
        "conditions": [_json_of_condition(each) for each in status.conditions],
        "carrier": status.carrier,
        "inboundTrunkId": status.ids.inbound,
        "outboundTrunkId": status.ids.outbound,
        "dispatchRuleId": status.ids.rule,
        "aliases": list(status.aliases),
        "liveKit": status.live_kit,
        "originationUri": status.origination_uri,
        "lastHandledRefresh": status.last_handled_refresh,
        "lastHandledRecreate": status.last_handled_recreate,
        "lastHandledAdopt": status.last_handled_adopt,
        "credentials": _json_of_credentials(status.credentials),
        "otherCredentials": [
            {"reference": path, **(_json_of_credentials(each) or {})} for path, each in status.other_credentials.items()
        ],
        "pendingChanges": list(status.pending_changes),
        "findings": [{"code": str(each.code), "message": each.message} for each in status.findings],
        "leftBehind": [{"liveKit": each.live_kit, "ids": list(each.ids)} for each in status.left_behind],
    }
    return _filled(fields)


def _json_of_condition(condition: Condition) -> dict[str, Any]:
    fields = {
        "type": str(condition.type),
        "status": str(condition.status),
        "reason": str(condition.reason),
        "message": condition.message,
        "observedGeneration": condition.observed_generation,
        "lastTransitionTime": condition.last_transition_time,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _json_of_credentials(credentials: RecordedCredentials | None) -> dict[str, Any] | None:
    if credentials is None:
        return None
    return _filled(
        {
            "secretName": credentials.secret_name,
            "resourceVersion": credentials.resource_version,
            "sealed": credentials.sealed,
        }
    )


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None, [])}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _texts(stored: object, most: int) -> tuple[str, ...]:
    return tuple(each for each in stored[:most] if isinstance(each, str)) if isinstance(stored, list) else ()


def _objects(stored: object, most: int) -> list[Mapping[str, Any]]:
    return [each for each in stored[:most] if isinstance(each, Mapping)] if isinstance(stored, list) else []
