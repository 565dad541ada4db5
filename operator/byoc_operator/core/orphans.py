"""LiveKit objects with our mark that belong to no number: what a lost finalizer, an old backup or Retain leaves."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .ownership import Owner, is_retained, owner_of
from .trunk import DELETE_ORDER, Kind, SipObject, normalised

MAX_RELEASED = 256
"""LiveKit IDs that the operator is asked to release at once."""

MAX_LEFT_ALONE = 4096
"""LiveKit IDs that are remembered as left on purpose: 64 KiB of the 256 that an object's annotations may take."""

MORE = "more"
"""Beside the IDs: there were others, for which there was no room."""

_MAX_REMEMBERED = 64 * MAX_LEFT_ALONE
_MAX_ASKED = 64 * MAX_RELEASED
_ID = re.compile(r"(ST|SDR)_[A-Za-z0-9]{1,40}")


@dataclass(frozen=True, slots=True)
class Orphan:
    """One object that nobody looks after."""

    kind: Kind
    id: str
    owner: Owner

    @property
    def turn(self) -> tuple[int, str]:
        """Rules before inbound trunks before outbound trunks, as they have to be deleted."""
        return (DELETE_ORDER.index(self.kind), self.id)


def orphans(by_id: Mapping[str, SipObject], is_ours: Callable[[Owner], bool]) -> tuple[Orphan, ...]:
    """All orphans in the order in which they would have to be deleted.

    `is_ours`: whether an owner is of this installation, in a namespace that is watched, and without an object. What was
    retained on purpose is none.
    """
    found = [
        Orphan(each.kind, each.id, owner)
        for each in by_id.values()
        if (owner := owner_of(each)) is not None and is_ours(owner) and not kept_on_purpose(each, by_id)
    ]
    return tuple(sorted(found, key=lambda orphan: orphan.turn))


def kept_on_purpose(each: SipObject, by_id: Mapping[str, SipObject]) -> bool:
    """Whether deletionPolicy Retain left it: trunks say so in their mark, a rule is judged by the trunk it names."""
    return is_retained(each) or any(is_retained(by_id[trunk]) for trunk in each.trunk_ids if trunk in by_id)


def numbers_of(each: SipObject) -> tuple[str, ...]:
    """The phone numbers of a trunk, as LiveKit compares them; a rule has none."""
    return tuple(map(normalised, each.numbers))


def rules_of(orphan: Orphan, marked: Iterable[SipObject]) -> tuple[Orphan, ...]:
    """The rules that name this trunk, of the objects with the same mark: without it they would lead nowhere."""
    return tuple(Orphan(each.kind, each.id, orphan.owner) for each in marked if orphan.id in each.trunk_ids)


def is_livekit_id(text: str) -> bool:
    """Whether it looks like the ID of a trunk or a dispatch rule."""
    return _ID.fullmatch(text) is not None


def asked_to_release(text: str) -> tuple[str, ...]:
    """The LiveKit IDs in the annotation on the Lease, each once; noise is ignored."""
    parts = dict.fromkeys(part.strip() for part in text[:_MAX_ASKED].split(","))
    return tuple(part for part in parts if is_livekit_id(part))[:MAX_RELEASED]


def left_alone(text: str) -> frozenset[str]:
    """The LiveKit IDs in an annotation that says what was left on purpose, perhaps with `MORE`; noise is ignored."""
    parts = (part.strip() for part in text[:_MAX_REMEMBERED].split(","))
    return frozenset(part for part in parts if part == MORE or is_livekit_id(part))


def as_left_alone(ids: frozenset[str]) -> str:
    """The same as text: what has no room is replaced by `MORE`."""
    named = sorted(ids - {MORE})
    more = [MORE] if MORE in ids or len(named) > MAX_LEFT_ALONE else []
    return ",".join(named[:MAX_LEFT_ALONE] + more)
