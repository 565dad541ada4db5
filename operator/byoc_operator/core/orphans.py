"""Orphans: LiveKit objects with a mark of ours whose object is gone and that nobody retained.

A lost finalizer or the restore of an old backup leaves orphans.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .ownership import Owner, is_retained, owner_of
from .trunk import DELETE_ORDER, Kind, SipObject, normalised

MAX_RELEASED = 256
"""How many LiveKit IDs the annotation on the Lease may ask to release at once."""

MAX_RETAINED_IDS = 4096
"""How many LiveKit IDs are recorded as left on purpose: 64 KiB of the 256 KiB that annotations may take."""

MORE = "more"
"""The entry that says that there were more IDs than `MAX_RETAINED_IDS`."""

_MAX_REMEMBERED = 64 * MAX_RETAINED_IDS
_MAX_ASKED = 64 * MAX_RELEASED
_ID = re.compile(r"(ST|SDR)_[A-Za-z0-9]{1,40}")


@dataclass(frozen=True, slots=True)
class Orphan:
    """One LiveKit object that no `ByocPhoneNumber` manages."""

    kind: Kind
    id: str
    owner: Owner

    @property
    def turn(self) -> tuple[int, str]:
        """The place in the order of deletion: rules, then inbound trunks, then outbound trunks."""
        return (DELETE_ORDER.index(self.kind), self.id)


def orphans(by_id: Mapping[str, SipObject], is_ours: Callable[[Owner], bool]) -> tuple[Orphan, ...]:
    """All orphans, in the order in which they must be deleted. Retained objects do not count as orphans.

    `is_ours`: whether an owner belongs to this installation, is in a watched namespace and has no object.
    """
    found = [
        Orphan(each.kind, each.id, owner)
        for each in by_id.values()
        if (owner := owner_of(each)) is not None and is_ours(owner) and not kept_on_purpose(each, by_id)
    ]
    return tuple(sorted(found, key=lambda orphan: orphan.turn))


def kept_on_purpose(each: SipObject, by_id: Mapping[str, SipObject]) -> bool:
    """Whether `deletionPolicy: Retain` left an object. The mark of a trunk says so; a rule follows its trunks."""
    return is_retained(each) or any(is_retained(by_id[trunk]) for trunk in each.trunk_ids if trunk in by_id)


def numbers_of(each: SipObject) -> tuple[str, ...]:
    """The phone numbers of a trunk, normalised as LiveKit compares them; empty for a rule."""
    return tuple(map(normalised, each.numbers))


def rules_of(orphan: Orphan, marked: Iterable[SipObject]) -> tuple[Orphan, ...]:
    """The rules that name this trunk and therefore go with it. `marked`: all objects with the same mark."""
    return tuple(Orphan(each.kind, each.id, orphan.owner) for each in marked if orphan.id in each.trunk_ids)


def is_livekit_id(text: str) -> bool:
    """Whether a text has the form of the ID of a trunk or a dispatch rule."""
    return _ID.fullmatch(text) is not None


def asked_to_release(text: str) -> tuple[str, ...]:
    """The LiveKit IDs in the annotation on the Lease that asks for a release, each once; other text is ignored."""
    parts = dict.fromkeys(part.strip() for part in text[:_MAX_ASKED].split(","))
    return tuple(part for part in parts if is_livekit_id(part))[:MAX_RELEASED]


def retained_ids(text: str) -> frozenset[str]:
    """The LiveKit IDs in the annotation on the Lease with what was left on purpose, perhaps with `MORE`.

    Other text is ignored.
    """
    parts = (part.strip() for part in text[:_MAX_REMEMBERED].split(","))
    return frozenset(part for part in parts if part == MORE or is_livekit_id(part))


def retained_ids_text(ids: frozenset[str]) -> str:
    """The value of that annotation for these IDs: at most `MAX_RETAINED_IDS`, and `MORE` if there are others."""
    named = sorted(ids - {MORE})
    more = [MORE] if MORE in ids or len(named) > MAX_RETAINED_IDS else []
    return ",".join(named[:MAX_RETAINED_IDS] + more)
