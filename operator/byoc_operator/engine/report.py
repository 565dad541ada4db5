"""Writes to the cluster what a run found: the status if it differs, an Event if something turned, the finalizer."""

import logging
from datetime import UTC, datetime
from typing import Literal

from ..api.conditions import LIVEKIT_AS_A_WHOLE, Condition, Reason, Verdict
from ..api.names import GROUP, PLURAL
from ..api.recorded_status import RecordedStatus
from ..api.resource import PhoneNumber, recorded_status_of
from ..cluster.answers import ApiRefused, Asked, Conflict, Forbidden, Invalid, NotFound
from ..core.assessment import Assessment
from ..core.ownership import Owned
from ..core.plan import paths, verbs
from ..core.run_outcome import REFUSED_LONGEST_S
from ..core.status import Outcome, status_of, status_patch
from ..errors import Failure, Parked, Stalled, Unavailable
from .apply import Applied
from .drift import drift_label
from .first_ready import FirstReady
from .gather import ObjectChanged
from .per_object import PerObject
from .ports import Ports

log = logging.getLogger(__name__)

REFUSED_EVENTS = 100
"""How many objects get an Event that their status cannot be written. What hits more is in the log and the metrics."""


class WriteRefused(Unavailable):
    """The API server refuses a write about an object that has not changed. The log tells it."""


class Reporter:
    """All writes to the cluster about one number."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._otherwise: PerObject[RecordedStatus] = ports.cache.per_object()
        self._refused: PerObject[bool] = ports.cache.per_object()
        self._said_what_stays: PerObject[bool] = ports.cache.per_object()
        self._first_ready = FirstReady(ports.metrics, ports.cache.per_object())
        ports.cache.forgotten.append(ports.regained.refusals.through)

    def wanted(self, number: PhoneNumber, assessment: Assessment, outcome: Outcome) -> RecordedStatus:
        """What the status should read."""
        now = datetime.fromtimestamp(self._ports.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return status_of(number, assessment, outcome, self._ports.installation, now)

    async def report(self, number: PhoneNumber, assessment: Assessment, applied: Applied, *, seen: bool) -> None:
        """Bring the status in step with one PATCH, or none. `seen`: LiveKit could be asked. Raises `ObjectChanged`."""
        outcome = Outcome(
            owned=self._ports.owned(number) if seen else None,
            failure=_verdict(applied.failure),
            wrote_credentials=applied.wrote_credentials,
        )
        wanted = self.wanted(number, assessment, outcome)
        if self.reads(number, wanted):
            return
        ports = self._ports
        ports.cache.expect(number, wanted)
        self._first_ready.judged(number)
        try:
            raw = await ports.numbers.patch_status(number, status_patch(number.status.json(), wanted.json()))
        except ApiRefused as exc:
            await self._look_again(number, exc, "/status")
            raise ObjectChanged from exc
        if wanted.ready.status == "True":
            self._first_ready.ready(number, ports.wall())
        sighting = ports.cache.seen(raw)
        stored = sighting.number.status if sighting is not None else recorded_status_of(raw)
        if stored != wanted:
            self._stored_otherwise(number, wanted)
        await self._announce(number, wanted.ready, in_log=not isinstance(applied.failure, WriteRefused))
        if sighting is not None and sighting.wakes:
            raise ObjectChanged  # the answer told of an edit before the watch did

    def reads(self, number: PhoneNumber, wanted: RecordedStatus) -> bool:
        """Whether the status reads as wanted, as far as the API server can store it."""
        return number.status == wanted or self._otherwise.get(number) == wanted

    def _stored_otherwise(self, number: PhoneNumber, wanted: RecordedStatus) -> None:
        """A CRD older than we are drops fields it does not know: writing them again and again would change nothing."""
        if not self._otherwise:
            log.warning("the API server does not store all of a status; is the CRD older than the operator?")
        self._otherwise.put(number, wanted)

    async def hold(self, number: PhoneNumber) -> PhoneNumber:
        """Put our finalizer on the object. Raises `ObjectChanged` if it is not the judged one any more."""
        ports = self._ports
        try:
            raw = await ports.numbers.add_finalizer(number)
        except ApiRefused as exc:
            await self._look_again(number, exc)
            raise ObjectChanged from exc
        ports.cache.seen(raw)
        held = ports.cache.get(number.key)
        if held is None or (held.uid, held.generation, held.wishes) != (number.uid, number.generation, number.wishes):
            raise ObjectChanged
        return held

    async def let_go(self, number: PhoneNumber) -> None:
        """Take our finalizer away; the API server then removes the object. Raises `ObjectChanged` if it had changed."""
        if not number.has_finalizer:
            return
        try:
            await self._ports.numbers.remove_finalizer(number)
        except ApiRefused as exc:
            if isinstance(exc, Forbidden) and exc.missing_right:  # neither admission nor an expired token refuses
                await self._ports.rights.refused(number.key.namespace, exc.message)
            await self._look_again(number, exc)
            raise ObjectChanged from exc
        self._ports.rights.used(number.key.namespace)
        log.info("deleted", extra={"number": number.key})

    async def orphan(self, number: PhoneNumber) -> None:
        """Say what stays in LiveKit when the user lets an object go although LiveKit failed; once, not at each try."""
        if number in self._said_what_stays:
            return
        self._said_what_stays.put(number, True)
        ids = self._ports.owned(number).ids or number.status.ids.all
        note = "force-orphan: the object goes; the operator knows of nothing of it that stays in LiveKit"
        if ids:
            note = f"force-orphan: the object goes; these may stay in LiveKit, to be deleted there: {', '.join(ids)}"
        log.warning(note, extra={"number": number.key})
        await self._ports.events.about_number(number, "Warning", "Orphaned", "Delete", note)

    def tell_left(self, number: PhoneNumber, owned: Owned) -> None:
        """Say what stays in LiveKit on purpose, by Retain or Observe; once, not at each try."""
        if number in self._said_what_stays:
            return
        self._said_what_stays.put(number, True)
        log.info("left in LiveKit: %s", ", ".join(owned.ids), extra={"number": number.key})

    async def tell_not_retained(self, number: PhoneNumber) -> None:
        """Say that a deletion took the LiveKit objects along, although deletionPolicy was to leave them."""
        setting = self._ports.installation.retain_setting
        note = f"deletionPolicy Retain was not followed, and LiveKit's objects are deleted: BYOC_RETAIN is {setting}"
        log.warning(note, extra={"number": number.key})
        await self._ports.events.about_number(number, "Warning", "RetainNotAllowed", "Delete", note)

    async def tell_changes(self, number: PhoneNumber, applied: Applied, *, expected: bool) -> None:
        """One line per run that changed LiveKit; what nobody asked for was a repair (not `expected`): an Event too."""
        if not applied.done:
            return
        if expected:
            log.info("applied to LiveKit: %s", "; ".join(verbs(applied.done)), extra={"number": number.key})
            return
        touched = ", ".join(paths(applied.done))
        for path in paths(applied.done):
            self._ports.metrics.drift.labels(drift_label(path)).inc()
        note = f"put right in LiveKit: {touched}"
        log.info(note, extra={"number": number.key})
        await self._ports.events.about_number(number, "Normal", "Repaired", "Repair", note)

    async def _announce(self, number: PhoneNumber, ready: Condition, *, in_log: bool) -> None:
        """An Event when a number falls out of step, for another reason than before, or comes back."""
        before, reason, message = number.status.ready.reason, ready.reason, ready.message
        in_step = reason == Reason.SYNCED
        if before == reason or (before == "" and in_step):
            return
        if in_step:
            message = "LiveKit is in step with this object."
        harmless = in_step or reason in (Reason.PAUSED, Reason.CHANGES_PENDING, Reason.DELETING)
        level = logging.INFO if harmless else logging.WARNING if in_log else logging.DEBUG
        log.log(level, "%s: %s", reason, message, extra={"number": number.key})
        if reason in LIVEKIT_AS_A_WHOLE or (in_step and before in LIVEKIT_AS_A_WHOLE):
            return  # one Event on the Lease tells it for all numbers
        kind: Literal["Normal", "Warning"] = "Normal" if harmless else "Warning"
        await self._ports.events.about_number(number, kind, reason, "Reconcile", message)

    def through(self, number: PhoneNumber) -> None:
        """All that was to be written about an object was written."""
        self._refused.drop(number)
        self._ports.regained.refusals.through(number.uid)

    async def _look_again(self, number: PhoneNumber, refused: ApiRefused, subresource: str = "") -> None:
        """A PATCH was refused: the object is gone, or newer than we knew. Anything else is a fault to back off from.

        Raises `WriteRefused`, `ApiRefused` where it cannot be looked at, and `Unavailable`.
        """
        if not isinstance(refused, NotFound | Conflict | Invalid):
            raise await self._refusal(number, refused, subresource) from refused
        raw = await self._ports.numbers.get(number.key)
        if raw is None:
            self._ports.cache.gone(number.key, number.uid)
            return
        self._ports.cache.seen(raw)
        if int(raw["metadata"]["resourceVersion"]) <= number.resource_version:
            # The object has not changed, so the next try would be refused too: wait rather than go round in circles.
            raise await self._refusal(number, refused, subresource) from refused

    async def _refusal(self, number: PhoneNumber, refused: ApiRefused, subresource: str) -> WriteRefused:
        """Have a refusal told: once per cause in the log, and in an Event where the status cannot tell it."""
        what = Asked("patch", GROUP, f"{PLURAL}{subresource}", number.key.namespace, number.key.name)
        self._ports.regained.refusals.denied(what, number.uid, refused.message)
        if subresource and number not in self._refused and len(self._refused) < REFUSED_EVENTS:
            self._refused.put(number, True)
            note = f"The status of this object cannot be written: {refused.message}"
            reason = Reason.KUBERNETES_REFUSED
            await self._ports.events.about_number(number, "Warning", reason, "Report", note)
        return WriteRefused(Reason.KUBERNETES_REFUSED, refused.message, longest_s=REFUSED_LONGEST_S)


def _verdict(failure: Failure | None) -> Verdict | None:
    if failure is None:
        return None
    stalled = isinstance(failure, Stalled) or (isinstance(failure, Parked) and failure.stalled)
    return Verdict(failure.reason, failure.message, stalled=stalled)
