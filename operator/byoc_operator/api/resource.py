"""A `ByocPhoneNumber` of the cluster as a value. Only this module reads the raw JSON of an object."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .conditions import Reason, Verdict
from .grammar import alias_number
from .names import ADOPT, ANNOTATIONS, FINALIZER, FORCE_ORPHAN, GROUP, PAUSED, RECREATE, REFRESH
from .recorded_status import RecordedStatus, recorded_status
from .schema import DeletionPolicy, ManagementPolicy, PhoneNumberSpec
from .secret_references import stored_secret_names
from .validation import parse_spec

MAX_ANSWER = 253
"""Characters of the longest annotation value that status and mark repeat; their SHA-256 stands for longer values."""

UNREAD = f"{GROUP}/unread"
"""The key beside spec and status under which `cluster.reading` says what it could not read of an object."""

MAX_TIME = 64
"""Characters that are kept of a timestamp; every RFC 3339 timestamp is shorter."""

FORCE = "force"
MAX_ADOPTED = 16
"""How many LiveKit objects one object may adopt. A number has three; duplicates of a former object may come on top."""

MAX_OVER = 4
"""How many IDs beyond `MAX_ADOPTED` are kept, so that a message can name them."""


@dataclass(frozen=True, slots=True)
class Key:
    """Namespace and name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class AnnotationRequests:
    """What the annotations of an object ask for.

    `refresh` and `recreate`: any value, empty if absent; the SHA-256 stands for a long one. `adopt`: the LiveKit IDs to
    take over, at most `MAX_ADOPTED` and `MAX_OVER`, and perhaps the word `force`. `unclear`: the names of the
    annotations whose value is neither `true` nor `false`, though only these have a meaning.
    """

    refresh: str = ""
    recreate: str = ""
    paused: bool = False
    force_orphan: bool = False
    adopt: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()

    @property
    def adopt_by_force(self) -> bool:
        """Whether to adopt LiveKit objects even if that erases some of their fields."""
        return FORCE in self.adopt

    @property
    def adopt_ids(self) -> tuple[str, ...]:
        """The IDs to adopt, at most `MAX_ADOPTED`."""
        return self._named[:MAX_ADOPTED]

    @property
    def adopt_over(self) -> tuple[str, ...]:
        """Some of the IDs beyond `MAX_ADOPTED`."""
        return self._named[MAX_ADOPTED:]

    @property
    def _named(self) -> tuple[str, ...]:
        return tuple(each for each in self.adopt if each != FORCE)

    @property
    def adopted_as(self) -> str:
        """The value of `lastHandledAdopt` after the adoption: the IDs, or the SHA-256 of a long list; empty if none."""
        return _bounded(",".join(self._named))


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """One `ByocPhoneNumber`, as the operator last saw it.

    `spec` is None when it breaks a rule; `invalid` then says which. The policies are there in any case, because a
    deletion needs them. `phone_number` is the text in the spec, valid or not (`namespace/name` if there is none).
    `status` is used for comparison, for the recorded IDs and for the handled annotations only. `created_at`: RFC 3339.
    `finalizers`: how many there are; `finalizer_at`: the index of the operator's own, None if it is not there.
    `secret_names`: the Secrets in the spec, valid or not. `unread`: why the spec could not be read, empty if it could.
    """

    key: Key
    uid: str
    resource_version: int
    generation: int
    created_at: str
    deleting: bool
    finalizer_at: int | None
    finalizers: int
    requested: AnnotationRequests
    phone_number: str
    secret_names: tuple[str, ...]
    unread: str
    spec: PhoneNumberSpec | None
    invalid: Verdict | None
    management_policy: ManagementPolicy
    deletion_policy: DeletionPolicy
    status: RecordedStatus

    @property
    def has_finalizer(self) -> bool:
        """Whether the object has the operator's finalizer."""
        return self.finalizer_at is not None

    @property
    def others_hold(self) -> bool:
        """Whether the object has finalizers other than the operator's."""
        return self.finalizers > (1 if self.has_finalizer else 0)

    @property
    def observes(self) -> bool:
        """Whether the management policy is Observe: the operator writes nothing to LiveKit."""
        return self.management_policy is ManagementPolicy.OBSERVE

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases in the spec, as LiveKit compares them; none if the object takes no calls or its spec is invalid.

        Source: livekit/protocol `livekit/sip.go`, `NormalizeNumber`.
        """
        if self.spec is None or not self.spec.inbound.aliases or not self.spec.inbound_agent_id:
            return ()
        return tuple(map(alias_number, self.spec.inbound.aliases))

    def names(self, phone: str) -> bool:
        """Whether this is the object's number, an alias in its spec, or an alias that its inbound trunk still has."""
        return phone == self.phone_number or phone in self.aliases or phone in self.status.aliases

    @property
    def is_current(self) -> bool:
        """Whether the status describes the present generation of the spec."""
        return self.status.observed_generation == self.generation

    @property
    def was_in_step(self) -> bool:
        """Whether the status says that LiveKit is in step with the present generation of the spec."""
        return self.is_current and self.status.ready.reason == Reason.SYNCED

    @property
    def refresh_due(self) -> bool:
        """Whether the annotation asks for a refresh that has not been done. A new object needs none."""
        asked = self.requested.refresh
        return bool(asked) and self.status.seen_before and asked != self.status.last_handled_refresh

    @property
    def recreate_due(self) -> bool:
        """Whether the annotation asks for a recreate that the status does not record.

        The recreate may be done all the same: then the marks of the trunks have its value.
        """
        return self.requested.recreate not in ("", self.status.last_handled_recreate)

    @property
    def waking(self) -> tuple[object, ...]:
        """A value that differs when a change of the object needs a run; the status is compared separately."""
        return (self.uid, self.generation, self.requested, self.deleting, self.has_finalizer)


def parse(raw: Mapping[str, Any], before: PhoneNumber | None = None) -> PhoneNumber:
    """The object in the JSON of the API server.

    Raises only if namespace, name, UID or resourceVersion is missing; any other content is accepted. The size of the
    value is bounded, however large the object is. `before`: the same object as last seen; a valid spec is not validated
    again while the generation is the same.
    """
    metadata = raw["metadata"]
    key, uid = Key(metadata["namespace"], metadata["name"]), metadata["uid"]
    generation = metadata.get("generation")
    generation = generation if isinstance(generation, int) else 0
    known = before if before is not None and before.uid == uid else None
    finalizer_at, finalizers = _finalizers(metadata.get("finalizers"))
    return PhoneNumber(
        key=key,
        uid=uid,
        resource_version=int(metadata["resourceVersion"]),
        generation=generation,
        created_at=_text(metadata.get("creationTimestamp"))[:MAX_TIME],
        deleting=metadata.get("deletionTimestamp") is not None,
        finalizer_at=finalizer_at,
        finalizers=finalizers,
        requested=_requested(_mapping(metadata.get("annotations"))),
        **_of_spec(raw, known if known and known.spec and known.generation == generation else None, known, key),
        status=recorded_status_of(raw),
    )


def recorded_status_of(raw: Mapping[str, Any]) -> RecordedStatus:
    """The status in the JSON of an object."""
    return recorded_status(raw.get("status"))


def _of_spec(raw: Mapping[str, Any], judged: PhoneNumber | None, known: PhoneNumber | None, key: Key) -> dict[str, Any]:
    """The fields of a `PhoneNumber` that come from the spec.

    `judged`: the object as last seen, if its spec was valid and has the same generation. `known`: the object as last
    seen, with any spec.
    """
    spec, unread = raw.get("spec"), _text(raw.get(UNREAD))
    if unread and not isinstance(spec, Mapping):
        # The phone number and the policies stay as they were last seen, because the new ones are unknown.
        return {
            "spec": None,
            "invalid": Verdict(Reason.INVALID_SPEC, f"The object cannot be read: {unread}."),
            "phone_number": known.phone_number if known else str(key),
            "secret_names": known.secret_names if known else (),
            "unread": unread,
            "management_policy": known.management_policy if known else ManagementPolicy.MANAGE,
            "deletion_policy": known.deletion_policy if known else DeletionPolicy.DELETE,
        }
    spec = _mapping(spec)
    parsed, invalid = (judged.spec, None) if judged else _judged(spec)
    observes = spec.get("managementPolicy") == "Observe"
    retains = spec.get("deletionPolicy") == "Retain"
    return {
        "spec": parsed,
        "invalid": invalid,
        "phone_number": _bounded(_text(spec.get("phoneNumber"))) or str(key),
        "secret_names": tuple(map(_bounded, stored_secret_names(spec))),
        "unread": "",
        "management_policy": ManagementPolicy.OBSERVE if observes else ManagementPolicy.MANAGE,
        "deletion_policy": DeletionPolicy.RETAIN if retains else DeletionPolicy.DELETE,
    }


def _finalizers(stored: object) -> tuple[int | None, int]:
    """The index of the operator's finalizer, and how many finalizers there are.

    `stored`: the list, or the mapping with `at` and `count` that `cluster.reading` puts in place of a long list.
    """
    if isinstance(stored, list):
        return (stored.index(FINALIZER) if FINALIZER in stored else None), len(stored)
    place = _mapping(stored)
    at, count = place.get("at"), place.get("count")
    return (at if isinstance(at, int) else None), (count if isinstance(count, int) else 0)


def _judged(spec: Mapping[str, Any]) -> tuple[PhoneNumberSpec | None, Verdict | None]:
    parsed = parse_spec(spec)
    if isinstance(parsed, PhoneNumberSpec):
        return parsed, None
    told = "; ".join(f"{problem.field}: {problem.message}" for problem in parsed)
    return None, Verdict(Reason.INVALID_SPEC, told[:1024])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _requested(annotations: Mapping[str, Any]) -> AnnotationRequests:
    said = {name: _text(annotations.get(name)) for name in ANNOTATIONS}
    adopt = [part for part in dict.fromkeys(part.strip() for part in said[ADOPT].split(",")) if part]
    asked = [_bounded(part) for part in adopt if part != FORCE][: MAX_ADOPTED + MAX_OVER]
    switches = {name: said[name] for name in (PAUSED, FORCE_ORPHAN)}
    paused, force_orphan = (_true(value) for value in switches.values())
    return AnnotationRequests(
        adopt=(*asked, *((FORCE,) if FORCE in adopt else ())),
        refresh=_bounded(said[REFRESH]),
        recreate=_bounded(said[RECREATE]),
        paused=paused,
        force_orphan=force_orphan,
        unclear=tuple(name for name, value in switches.items() if value.strip().lower() not in ("", "true", "false")),
    )


def _true(value: str) -> bool:
    return value.strip().lower() == "true"


def _bounded(value: str) -> str:
    if len(value) <= MAX_ANSWER:
        return value
    return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
