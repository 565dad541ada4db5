"""Whose a LiveKit object is: told by a mark on the object, never by memory alone.

A trunk is marked in its `metadata`, a dispatch rule by its `name`, because a rule's metadata is visible to
everybody in the callers' rooms. A mark holds nothing secret: LiveKit Cloud shows trunk metadata to participants.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from ..api import grammar
from ..api.recorded_status import RecordedIds
from .trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject, normalised

MANAGED_BY = "byoc-operator"
RULE_PREFIX = "byoc:"
MAX_TEXT = 512
"""Longer than anything that we write into a mark."""

MAX_INSTALLATION = 253
MAX_NAMESPACE = 63
MAX_NAME = 253
"""Characters of an owner's parts: of an installation ID as the setting allows it, of names as Kubernetes does."""

_MAX_OWNER = MAX_INSTALLATION + MAX_NAMESPACE + MAX_NAME + 2


@dataclass(frozen=True, slots=True)
class Owner:
    """The `ByocPhoneNumber` an object belongs to: names of two clusters or namespaces never meet."""

    installation: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.installation}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a trunk's metadata says. `recreate`: the value of the annotation that this trunk answers."""

    owner: Owner
    outbound_agent_id: str = ""
    recreate: str = ""
    deletion_policy: str = "Delete"

    def dump(self) -> str:
        """As stored in the trunk: compact JSON with a fixed order of keys, so that equal marks are equal text."""
        return json.dumps(
            {
                "managedBy": MANAGED_BY,
                "owner": str(self.owner),
                "outboundAgentId": self.outbound_agent_id,
                "recreate": self.recreate,
                "deletionPolicy": self.deletion_policy,
            },
            separators=(",", ":"),
            ensure_ascii=False,
        )


_REMEMBERED = 1024
"""Marks that are not parsed again: one judgement of a number asks six times whose its two trunks and its rule are."""

_MAX_REMEMBERED = 2048
"""Characters of a metadata that is remembered with its mark; ours have a few hundred."""


def parse_mark(metadata: str) -> Mark | None:
    """The mark in a trunk's metadata, or None for anything else that may stand there."""
    if MANAGED_BY not in metadata:
        return None
    return _known_mark(metadata) if len(metadata) <= _MAX_REMEMBERED else _mark_in(metadata)


def _mark_in(metadata: str) -> Mark | None:
    try:
        raw = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, Mapping) or raw.get("managedBy") != MANAGED_BY:
        return None
    owner = _parse_owner(raw.get("owner"))
    if owner is None:
        return None
    return Mark(
        owner=owner,
        outbound_agent_id=_text(raw.get("outboundAgentId")),
        recreate=_text(raw.get("recreate")),
        deletion_policy="Retain" if raw.get("deletionPolicy") == "Retain" else "Delete",
    )


_known_mark = lru_cache(_REMEMBERED)(_mark_in)


def _text(value: object) -> str:
    """A text that can be written back; anything else somebody put there counts as empty."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can hold it, nothing else can
        return ""
    return value


def rule_name(owner: Owner) -> str:
    """The name that marks a dispatch rule."""
    return f"{RULE_PREFIX}{owner}"


def owner_of(sip_object: SipObject) -> Owner | None:
    """Whose mark an object carries, None if it carries none."""
    match sip_object:
        case DispatchRule(name=name):
            return _parse_owner(name.removeprefix(RULE_PREFIX)) if name.startswith(RULE_PREFIX) else None
        case OutboundTrunk(metadata=metadata) | InboundTrunk(metadata=metadata):
            mark = parse_mark(metadata)
            return mark.owner if mark else None


def _parse_owner(text: object) -> Owner | None:
    """The owner that a mark names; None where a part is no name that we could have written."""
    return _owner_in(text) if isinstance(text, str) and len(text) <= _MAX_OWNER else None


@lru_cache(_REMEMBERED)
def _owner_in(text: str) -> Owner | None:
    parts = text.split("/", 3)
    if len(parts) != 3:  # noqa: PLR2004 - installation, namespace, name
        return None
    installation, namespace, name = parts
    if not is_installation(installation) or not _is_name(namespace, MAX_NAMESPACE, grammar.DNS_LABEL):
        return None
    return Owner(installation, namespace, name) if _is_name(name, MAX_NAME, grammar.DNS_SUBDOMAIN) else None


def is_installation(text: str) -> bool:
    """Whether an installation may be called so: visible characters without slash and comma, 253 at most."""
    return 0 < len(text) <= MAX_INSTALLATION and text.isprintable() and not {"/", ","} & set(text)


def _is_name(text: str, most: int, pattern: str) -> bool:
    return len(text) <= most and grammar.matches(pattern, text)


@dataclass(frozen=True, slots=True)
class Owned:
    """What is ours in LiveKit for one number; of each kind the one to keep comes first, the rest are duplicates."""

    outbound: tuple[OutboundTrunk, ...] = ()
    inbound: tuple[InboundTrunk, ...] = ()
    rules: tuple[DispatchRule, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.outbound or self.inbound or self.rules)

    def __add__(self, more: "Owned") -> "Owned":
        """Both; of each kind what was there before is kept first."""
        return Owned(
            _joined(self.outbound, more.outbound),
            _joined(self.inbound, more.inbound),
            _joined(self.rules, more.rules),
        )

    def of(self, kind: Kind) -> tuple[SipObject, ...]:
        """What there is of one kind."""
        by_kind: dict[Kind, tuple[SipObject, ...]] = {
            Kind.OUTBOUND_TRUNK: self.outbound,
            Kind.INBOUND_TRUNK: self.inbound,
            Kind.DISPATCH_RULE: self.rules,
        }
        return by_kind[kind]

    @property
    def marked(self) -> "Owned":
        """What carries a mark, and is not ours by its ID alone."""
        return Owned(_marked(self.outbound), _marked(self.inbound), _marked(self.rules))

    @property
    def trunks(self) -> tuple[InboundTrunk | OutboundTrunk, ...]:
        """Every trunk, inbound first."""
        return (*self.inbound, *self.outbound)

    @property
    def all(self) -> tuple[SipObject, ...]:
        """Everything in the order of deletion: rules, inbound trunks, outbound trunks."""
        return (*self.rules, *self.trunks)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every LiveKit ID, for messages."""
        return tuple(sip_object.id for sip_object in self.all)


_Object = TypeVar("_Object", bound=SipObject)


def _joined(first: tuple[_Object, ...], more: tuple[_Object, ...]) -> tuple[_Object, ...]:
    known = {each.id for each in first}
    return (*first, *(each for each in more if each.id not in known))


def _marked(found: tuple[_Object, ...]) -> tuple[_Object, ...]:
    return tuple(each for each in found if owner_of(each) is not None)


def claim(
    phone_number: str,
    recorded: RecordedIds,
    marked: Iterable[SipObject],
    by_id: Mapping[str, SipObject],
) -> Owned:
    """Which objects are ours: our mark and our number; or the ID stands in our status, and our mark or nobody's.

    Somebody may have changed the number of a trunk that the status names; without any mark it must be exactly ours.
    `marked`: all objects with a mark of this owner; `by_id`: all objects of the server.
    """
    kept = (recorded.outbound, recorded.inbound, recorded.rule)
    found = [each for each in marked if each.id in kept or not _for_another(each, phone_number, by_id)]
    outbound = [trunk for trunk in found if isinstance(trunk, OutboundTrunk)]
    inbound = [trunk for trunk in found if isinstance(trunk, InboundTrunk)]
    rules = [rule for rule in found if isinstance(rule, DispatchRule)]
    trunk = by_id.get(recorded.outbound)
    if isinstance(trunk, OutboundTrunk) and _unmarked_twin(trunk, phone_number):
        outbound.append(trunk)
    trunk = by_id.get(recorded.inbound)
    if isinstance(trunk, InboundTrunk) and _unmarked_twin(trunk, phone_number):
        inbound.append(trunk)
    rule = by_id.get(recorded.rule)
    ours = {trunk.id for trunk in inbound}
    if isinstance(rule, DispatchRule) and owner_of(rule) is None and rule.trunk_ids and ours.issuperset(rule.trunk_ids):
        rules.append(rule)
    rules.sort(key=lambda rule: (rule.id != recorded.rule, rule.id))
    named = rules[0].trunk_ids if rules else ()
    return Owned(
        outbound=tuple(sorted(outbound, key=lambda trunk: (trunk.id != recorded.outbound, trunk.id))),
        inbound=tuple(
            sorted(inbound, key=lambda trunk: (trunk.id != recorded.inbound, trunk.id not in named, trunk.id))
        ),
        rules=tuple(rules),
    )


def is_retained(sip_object: SipObject) -> bool:
    """Whether a trunk was left, or is to be left, in LiveKit on purpose; a rule follows its trunk."""
    if isinstance(sip_object, DispatchRule):
        return False
    mark = parse_mark(sip_object.metadata)
    return mark is not None and mark.deletion_policy == "Retain"


def _for_another(sip_object: SipObject, phone_number: str, by_id: Mapping[str, SipObject]) -> bool:
    """Whether a former object of this name, with another number, left it; a rule goes with its trunk.

    Else whoever comes later under that name would take the trunk from its number, or the rule from the trunk.
    """
    if isinstance(sip_object, DispatchRule):
        owner = owner_of(sip_object)
        trunks = [by_id[trunk] for trunk in sip_object.trunk_ids if trunk in by_id]
        return any(
            not isinstance(trunk, DispatchRule) and owner_of(trunk) == owner and not _has(trunk, phone_number)
            for trunk in trunks
        )
    return not _has(sip_object, phone_number)


def _has(trunk: OutboundTrunk | InboundTrunk, phone_number: str) -> bool:
    return phone_number in map(normalised, trunk.numbers)


def _only(trunk: OutboundTrunk | InboundTrunk, phone_number: str) -> bool:
    return tuple(normalised(number) for number in trunk.numbers) == (phone_number,)


def _unmarked_twin(trunk: OutboundTrunk | InboundTrunk, phone_number: str) -> bool:
    return owner_of(trunk) is None and _only(trunk, phone_number)
