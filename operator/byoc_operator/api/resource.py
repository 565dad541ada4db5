"""A `ByocPhoneNumber` out of the cluster, parsed once. Nothing behind this module reads raw JSON of a number."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .carriers import host_of
from .conditions import Reason, Verdict
from .grammar import canonical_host
from .names import ADOPT, ANNOTATIONS, FINALIZER, FORCE_ORPHAN, GROUP, PAUSED, RECREATE, REFRESH
from .recorded_status import RecordedStatus, recorded_status
from .schema import DeletionPolicy, ManagementPolicy, PhoneNumberSpec
from .validation import parse_spec

MAX_ANSWER = 253
"""Longest annotation value that is repeated in status and mark; longer ones are represented by their SHA-256."""

UNREAD = f"{GROUP}/unread"
"""Where, beside spec and status, whoever read an object says what of it could not be read."""

MAX_TIME = 64
"""Longer than RFC 3339 spells a moment."""

FORCE = "force"
MAX_ADOPTED = 16
"""A number has three LiveKit objects; duplicates that a former object left may be taken over with them, and removed."""

MAX_OVER = 4
"""How many of those beyond are remembered, to be named."""


@dataclass(frozen=True, slots=True)
class Key:
    """Namespace and name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """Our annotations. `refresh` and `recreate`: any value, empty if absent, long ones by their digest.

    `adopt`: LiveKit IDs to take over, with a few of those that are too many, and perhaps the word `force`. `unclear`:
    those that take `true` and say something else.
    """

    refresh: str = ""
    recreate: str = ""
    paused: bool = False
    force_orphan: bool = False
    adopt: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()

    @property
    def adopt_by_force(self) -> bool:
        """Whether to take objects over even if fields of theirs are lost by it."""
        return FORCE in self.adopt

    @property
    def adopt_ids(self) -> tuple[str, ...]:
        """What is asked for, without the word `force`."""
        return self._named[:MAX_ADOPTED]

    @property
    def adopt_over(self) -> tuple[str, ...]:
        """A few of those that are too many."""
        return self._named[MAX_ADOPTED:]

    @property
    def _named(self) -> tuple[str, ...]:
        return tuple(each for each in self.adopt if each != FORCE)

    @property
    def adopted_as(self) -> str:
        """What the status repeats of `adopt` once the wish is fulfilled, long ones by their digest; empty for none."""
        return _bounded(",".join(self._named))


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """One object as we last saw it.

    `spec` is None when it breaks a rule, then `invalid` says which; the policies are known all the same, as deletion
    asks for them. `phone_number` is the text in the spec, valid or not (the object's name if there is none). `status`:
    trusted for nothing but comparison, recorded IDs and answered annotations. `created_at`: RFC 3339.
    `finalizers`: how many there are; `finalizer_at`: which of them is ours, None if none is. `secret_name`: the Secret
    in the spec, valid or not (empty if there is none). `unread`: why the spec could not be read, empty if it could.
    """

    key: Key
    uid: str
    resource_version: int
    generation: int
    created_at: str
    deleting: bool
    finalizer_at: int | None
    finalizers: int
    wishes: Wishes
    phone_number: str
    secret_name: str
    unread: str
    spec: PhoneNumberSpec | None
    invalid: Verdict | None
    management_policy: ManagementPolicy
    deletion_policy: DeletionPolicy
    status: RecordedStatus

    @property
    def has_finalizer(self) -> bool:
        """Whether deletion waits for us."""
        return self.finalizer_at is not None

    @property
    def others_hold(self) -> bool:
        """Whether a deletion waits for somebody else's finalizer too."""
        return self.finalizers > (1 if self.has_finalizer else 0)

    @property
    def observes(self) -> bool:
        """Whether we may only look."""
        return self.management_policy is ManagementPolicy.OBSERVE

    @property
    def is_current(self) -> bool:
        """Whether the status describes this very spec."""
        return self.status.observed_generation == self.generation

    @property
    def was_in_step(self) -> bool:
        """Whether the status says: in step with this very spec."""
        return self.is_current and self.status.ready.reason == Reason.SYNCED

    @property
    def refresh_due(self) -> bool:
        """Whether a refresh is asked for that was not answered; an object never seen before owes none."""
        asked = self.wishes.refresh
        return bool(asked) and self.status.seen_before and asked != self.status.last_handled_refresh

    @property
    def recreate_due(self) -> bool:
        """Whether a recreate is asked for that the status does not answer; trunks that carry its value may do."""
        return self.wishes.recreate not in ("", self.status.last_handled_recreate)

    @property
    def waking(self) -> tuple[object, ...]:
        """What makes a change of the object worth a run; the status is compared apart."""
        return (self.uid, self.generation, self.wishes, self.deleting, self.has_finalizer)


def parse(raw: Mapping[str, Any], before: PhoneNumber | None = None) -> PhoneNumber:
    """A number from the JSON of the API server; whatever it holds beside its identity, this does not fail.

    Identity: namespace, name, UID, resourceVersion. What is kept has a bound, however large the object is. `before`:
    the same object as last seen; its spec is not validated again while the generation is the same.
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
        wishes=_wishes(_mapping(metadata.get("annotations"))),
        **_of_spec(raw, known if known and known.spec and known.generation == generation else None, known, key),
        status=recorded_status_of(raw),
    )


def recorded_status_of(raw: Mapping[str, Any]) -> RecordedStatus:
    """The status in the JSON of a number."""
    return recorded_status(raw.get("status"))


def _of_spec(raw: Mapping[str, Any], judged: PhoneNumber | None, known: PhoneNumber | None, key: Key) -> dict[str, Any]:
    """The fields that the spec says. `judged`: the object with this very spec; `known`: with another one."""
    spec, unread = raw.get("spec"), _text(raw.get(UNREAD))
    if unread and not isinstance(spec, Mapping):
        # Which number it is and what becomes of it cannot change unseen: what was known of it stays.
        return {
            "spec": None,
            "invalid": Verdict(Reason.INVALID_SPEC, f"The object cannot be read: {unread}."),
            "phone_number": known.phone_number if known else str(key),
            "secret_name": known.secret_name if known else "",
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
        "secret_name": _bounded(_text(_mapping(spec.get("sipPasswordSecretRef")).get("name"))),
        "unread": "",
        "management_policy": ManagementPolicy.OBSERVE if observes else ManagementPolicy.MANAGE,
        "deletion_policy": DeletionPolicy.RETAIN if retains else DeletionPolicy.DELETE,
    }


def _finalizers(stored: object) -> tuple[int | None, int]:
    """Where ours stands, and how many there are. Of a long list whoever read it says just that (`cluster.reading`)."""
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


def _wishes(annotations: Mapping[str, Any]) -> Wishes:
    said = {name: _text(annotations.get(name)) for name in ANNOTATIONS}
    adopt = [part for part in dict.fromkeys(part.strip() for part in said[ADOPT].split(",")) if part]
    asked = [_bounded(part) for part in adopt if part != FORCE][: MAX_ADOPTED + MAX_OVER]
    switches = {name: said[name] for name in (PAUSED, FORCE_ORPHAN)}
    paused, force_orphan = (_true(value) for value in switches.values())
    return Wishes(
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


def refused_host(spec: PhoneNumberSpec, allowed: tuple[str, ...]) -> Verdict | None:
    """Whether the operator's settings forbid sending credentials and calls to the termination host."""
    host = canonical_host(host_of(spec.termination_uri))
    suffixes = tuple(canonical_host(suffix.removeprefix("*.").removeprefix(".")) for suffix in allowed)
    if not suffixes or any(host == suffix or host.endswith(f".{suffix}") for suffix in suffixes):
        return None
    message = f"spec.terminationUri: host {host} is not allowed by this operator; allowed: {', '.join(suffixes)}"
    return Verdict(Reason.INVALID_SPEC, message)


def trunk_of_refused_host(number: PhoneNumber, *, removes: bool) -> str:
    """What to say of the outbound trunk of a number whose host is refused. `removes`: whether it is taken out."""
    if removes and not number.observes:
        return "; BYOC_REFUSED_HOSTS is Remove, so the number has no outbound trunk"
    trunk = number.status.ids.outbound
    if not trunk:
        return ""
    return (
        f"; the outbound trunk {trunk} from before stays in LiveKit as it is, until spec.terminationUri names an "
        "allowed host, the object is deleted, or the operator runs with BYOC_REFUSED_HOSTS=Remove"
    )
