"""The owner of a LiveKit object, which a mark on the object names.

The mark of a trunk is its `metadata`. The mark of a dispatch rule is its `name`, because everybody in the room can see
the metadata of a rule. A mark has no secrets: LiveKit Cloud shows the metadata of trunks to participants.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from ..api import grammar
from ..api.recorded_status import RecordedIds
from .trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject, normalised

MANAGED_BY = "byoc-operator"
RULE_PREFIX = "byoc:"
MAX_TEXT = 512
"""Characters of a text in a mark that is read; the operator writes shorter ones."""

MAX_INSTALLATION = 253
MAX_NAMESPACE = 63
MAX_NAME = 253
"""Characters of an installation ID, as the setting allows it, and of names, as Kubernetes allows them."""

_MAX_OWNER = MAX_INSTALLATION + MAX_NAMESPACE + MAX_NAME + 2


@dataclass(frozen=True, slots=True)
class Owner:
    """The `ByocPhoneNumber` to which a LiveKit object belongs, by installation, namespace and name."""

    installation: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.installation}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark in a trunk's metadata.

    `recreate`: the value of the annotation `recreate` for which this trunk was last created anew.
    """

    owner: Owner
    outbound_agent_id: str = ""
    recreate: str = ""
    deletion_policy: str = "Delete"

    def dump(self) -> str:
        """The metadata of the trunk: compact JSON with a fixed order of keys, so that equal marks are equal texts."""
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
"""How many parsed marks a cache holds: one assessment of a number parses each of its marks several times."""

_MAX_REMEMBERED = 2048
"""Characters of metadata that may stand in that cache; ours have a few hundred."""


def parse_mark(metadata: str) -> Mark | None:
    """The mark in a trunk's metadata, None for any other text."""
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
    """A text of at most `MAX_TEXT` characters that can be encoded; empty for any other value."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can contain and UTF-8 cannot
        return ""
    return value


def rule_name(owner: Owner) -> str:
    """The name of a dispatch rule, which is its mark."""
    return f"{RULE_PREFIX}{owner}"


def owner_of(sip_object: SipObject) -> Owner | None:
    """The owner that the mark of an object names, None if the object has no mark."""
    match sip_object:
        case DispatchRule(name=name):
            return _parse_owner(name.removeprefix(RULE_PREFIX)) if name.startswith(RULE_PREFIX) else None
        case OutboundTrunk(metadata=metadata) | InboundTrunk(metadata=metadata):
            mark = parse_mark(metadata)
            return mark.owner if mark else None


def _parse_owner(text: object) -> Owner | None:
    """The owner in the text of a mark; None if the text does not name one."""
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
    """Whether a text can be an installation ID: 1 to 253 visible characters without slash and comma."""
    return 0 < len(text) <= MAX_INSTALLATION and text.isprintable() and not {"/", ","} & set(text)


def _is_name(text: str, most: int, pattern: str) -> bool:
    return len(text) <= most and grammar.matches(pattern, text)


@dataclass(frozen=True, slots=True)
class Owned:
    """Our LiveKit objects for one number. The first of each kind is kept; the others are duplicates."""

    outbound: tuple[OutboundTrunk, ...] = ()
    inbound: tuple[InboundTrunk, ...] = ()
    rules: tuple[DispatchRule, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.outbound or self.inbound or self.rules)

    def __add__(self, more: "Owned") -> "Owned":
        """The objects of both, without repetition; those of the left side come first."""
        return Owned(
            _joined(self.outbound, more.outbound),
            _joined(self.inbound, more.inbound),
            _joined(self.rules, more.rules),
        )

    def of(self, kind: Kind) -> tuple[SipObject, ...]:
        """The objects of one kind."""
        by_kind: dict[Kind, tuple[SipObject, ...]] = {
            Kind.OUTBOUND_TRUNK: self.outbound,
            Kind.INBOUND_TRUNK: self.inbound,
            Kind.DISPATCH_RULE: self.rules,
        }
        return by_kind[kind]

    @property
    def marked(self) -> "Owned":
        """The objects that have a mark, without those that are ours only because the status names their ID."""
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
        """Every LiveKit ID, in the order of deletion."""
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
    aliases: Collection[str] = (),
) -> Owned:
    """The LiveKit objects that belong to one `ByocPhoneNumber`.

    An object with our mark belongs to it if our number is its first or if the status names its ID; its number may have
    been changed in LiveKit. An object without a mark belongs to it if the status names its ID and the object has
    exactly our number; an inbound trunk may have some of the aliases too. `marked`: all objects with a mark of this
    owner. `by_id`: all objects of the server. `aliases`: the number's aliases, normalised.
    """
    kept = (recorded.outbound, recorded.inbound, recorded.rule)
    found = [each for each in marked if each.id in kept or not _for_another(each, phone_number, by_id)]
    outbound = [trunk for trunk in found if isinstance(trunk, OutboundTrunk)]
    inbound = [trunk for trunk in found if isinstance(trunk, InboundTrunk)]
    rules = [rule for rule in found if isinstance(rule, DispatchRule)]
    trunk = by_id.get(recorded.outbound)
    if isinstance(trunk, OutboundTrunk) and _is_unmarked(trunk, phone_number):
        outbound.append(trunk)
    trunk = by_id.get(recorded.inbound)
    if isinstance(trunk, InboundTrunk) and _is_unmarked(trunk, phone_number, aliases):
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
    """Whether the mark of a trunk says Retain. False for a rule, which follows its trunk."""
    if isinstance(sip_object, DispatchRule):
        return False
    mark = parse_mark(sip_object.metadata)
    return mark is not None and mark.deletion_policy == "Retain"


def _for_another(sip_object: SipObject, phone_number: str, by_id: Mapping[str, SipObject]) -> bool:
    """Whether a LiveKit object belongs to a former object of this name with another number; a rule follows its trunk.

    The present object must not take such a trunk from its number, or such a rule from its trunk. The present number may
    be an alias of the former object.
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
    """Whether a trunk of ours is for this number: the operator writes the number first, and aliases behind it."""
    return phone_number in map(normalised, trunk.numbers[:1])


def _only(trunk: OutboundTrunk | InboundTrunk, phone_number: str, aliases: Collection[str]) -> bool:
    """Whether a trunk has this number, perhaps some of the aliases, and no other number, each once."""
    numbers = [normalised(number) for number in trunk.numbers]
    return sorted(numbers) == sorted({phone_number, *(each for each in numbers if each in aliases)})


def _is_unmarked(trunk: OutboundTrunk | InboundTrunk, phone_number: str, aliases: Collection[str] = ()) -> bool:
    return owner_of(trunk) is None and _only(trunk, phone_number, aliases)
