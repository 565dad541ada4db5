"""Decides which change of a status is announced: by a line in the log, and by an Event."""

from dataclasses import dataclass

from ..api.conditions import LIVEKIT_AS_A_WHOLE, Reason
from ..api.recorded_status import RecordedIds, RecordedStatus

_HARMLESS = (Reason.SYNCED, Reason.PAUSED, Reason.CHANGES_PENDING, Reason.DELETING)
"""Reasons that follow from what a user asked for. All others are warnings."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is said about an object. `note`: for users; `harmless`: whether nobody has to act.

    `is_event`: whether an Event says it, too. If not, one Event on the Lease says it for all objects.
    """

    reason: str
    note: str
    harmless: bool
    is_event: bool


def announcement(before: RecordedStatus, wanted: RecordedStatus, *, observes: bool) -> Announcement | None:
    """What a new status changes in the Ready reason; None: nothing that is announced.

    `before`: the recorded status; `observes`: whether the object is under Observe. An object under Observe that is in
    step from the start is not announced, because nothing was done for it.
    """
    was, ready = before.ready.reason, wanted.ready
    in_step = ready.reason == Reason.SYNCED
    first = in_step and not observes and is_first(before, wanted)
    if was == ready.reason or (was == "" and in_step and not first):
        return None
    note = _first_note(wanted.origination_uri) if first else ready.message
    of_all = ready.reason in LIVEKIT_AS_A_WHOLE or (in_step and was in LIVEKIT_AS_A_WHOLE and not first)
    return Announcement(ready.reason, note, harmless=ready.reason in _HARMLESS, is_event=not of_all)


def is_first(before: RecordedStatus, wanted: RecordedStatus) -> bool:
    """Whether a number gets something in LiveKit that its status has never named, so it was not Ready before.

    The status alone decides, so a restart or another leader changes nothing. It cannot tell everything: a number
    without credentials that lost an object again, for example to another claimant, counts as new when it is back.
    """
    if before.written:
        return False  # they are recorded at the first Ready
    return any(now and not was for was, now in zip(_each(before.ids), _each(wanted.ids), strict=True))


def _each(ids: RecordedIds) -> tuple[str, str, str]:
    return ids.outbound, ids.inbound, ids.rule


def _first_note(origination_uri: str) -> str:
    if not origination_uri:
        return "The number is ready."
    return f"The number is ready. Enter this origination URI at the carrier: {origination_uri}"
