"""Writes the result of a run to the cluster: the status, Events and the finalizer, each only if it has to change."""

import logging
from datetime import UTC, datetime
from typing import Literal

from ..api.conditions import LIVEKIT_AS_A_WHOLE, REMEDIES, Reason, Verdict
from ..api.names import GROUP, PLURAL
from ..api.recorded_status import RecordedStatus
from ..api.resource import PhoneNumber, recorded_status_of
from ..cluster.answers import ApiRefused, Asked, Conflict, Forbidden, Invalid, NotFound
from ..core.announcement import announcement
from ..core.assessment import Assessment
from ..core.ownership import Owned
from ..core.plan import paths, verbs
from ..core.run_outcome import REFUSED_LONGEST_S
from ..core.status import Outcome, status_of, status_patch
from ..errors import Failure, Parked, Stalled, Unavailable
from ..telemetry.logs import about
from .apply import Applied
from .drift import drift_label
from .first_ready import FirstReady
from .gather import ObjectChanged
from .per_object import PerObject
from .ports import ReportPorts

log = logging.getLogger(__name__)

REFUSED_EVENTS = 100
"""How many objects get an Event that their status cannot be written. Beyond that, the log and the metrics tell."""


class WriteRefused(Unavailable):
    """The API server refused a write although the object has not changed. `Refusals` logs the cause."""


class Reporter:
    """Makes all writes to the cluster about an object."""

    def __init__(self, ports: ReportPorts) -> None:
        self._ports = ports
        self._otherwise: PerObject[RecordedStatus] = ports.cache.per_object()
        self._refused: PerObject[bool] = ports.cache.per_object()
        self._said_what_stays: PerObject[bool] = ports.cache.per_object()
        self._first_ready = FirstReady(ports.metrics, ports.cache.per_object())
        ports.cache.forgotten.append(ports.regained.refusals.through)

    def wanted(self, number: PhoneNumber, assessment: Assessment, outcome: Outcome) -> RecordedStatus:
        """The status that the object should have."""
        now = datetime.fromtimestamp(self._ports.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return status_of(number, assessment, outcome, self._ports.installation, now)

    async def report(self, number: PhoneNumber, assessment: Assessment, applied: Applied, *, seen: bool) -> None:
        """Write the status with one PATCH, or none if it is right. `seen`: LiveKit answers. Raises `ObjectChanged`."""
        outcome = Outcome(
            owned=self._ports.belongings.owned(number) if seen else None,
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
            await self._read_after_refusal(number, exc, "/status")
            raise ObjectChanged from exc
        if wanted.ready.status == "True":
            self._first_ready.ready(number, ports.wall())
        sighting = ports.cache.seen(raw)
        stored = sighting.number.status if sighting is not None else recorded_status_of(raw)
        if stored != wanted:
            self._note_dropped_fields(number, wanted)
        self._announce(number, wanted, applied)
        if sighting is not None and sighting.wakes:
            raise ObjectChanged  # the answer contains an edit that the watch has not reported yet

    def reads(self, number: PhoneNumber, wanted: RecordedStatus) -> bool:
        """Whether the status reads as wanted, as far as the API server can store it."""
        return number.status == wanted or self._otherwise.get(number) == wanted

    def _note_dropped_fields(self, number: PhoneNumber, wanted: RecordedStatus) -> None:
        """Note that the API server dropped fields of the status (the CRD is too old): the PATCH is not repeated."""
        if not self._otherwise:
            log.warning("the API server does not store all of a status; is the CRD older than the operator?")
        self._otherwise.put(number, wanted)

    async def hold(self, number: PhoneNumber) -> PhoneNumber:
        """Put our finalizer on the object. Raises `ObjectChanged` if the object changed since it was assessed."""
        ports = self._ports
        try:
            raw = await ports.numbers.add_finalizer(number)
        except ApiRefused as exc:
            await self._read_after_refusal(number, exc)
            raise ObjectChanged from exc
        ports.cache.seen(raw)
        held = ports.cache.get(number.key)
        if held is None or _judged(held) != _judged(number):
            raise ObjectChanged
        return held

    async def let_go(self, number: PhoneNumber) -> None:
        """Remove our finalizer, so that the API server deletes the object. Raises `ObjectChanged` if it has changed."""
        if not number.has_finalizer:
            return
        try:
            await self._ports.numbers.remove_finalizer(number)
        except ApiRefused as exc:
            if isinstance(exc, Forbidden) and exc.missing_right:  # not admission, nor an expired token
                self._ports.rights.refused(number.key.namespace, exc.message)
            await self._read_after_refusal(number, exc)
            raise ObjectChanged from exc
        self._ports.rights.used(number.key.namespace)
        log.info("deleted", extra=about(number))

    def orphan(self, number: PhoneNumber) -> None:
        """Report once what stays in LiveKit when `force-orphan` ends a deletion although LiveKit failed."""
        if number in self._said_what_stays:
            return
        self._said_what_stays.put(number, True)
        ids = self._ports.belongings.owned(number).ids or number.status.ids.all
        note = "force-orphan: the object goes; the operator knows of nothing of it that stays in LiveKit"
        if ids:
            note = f"force-orphan: the object goes; these may stay in LiveKit, to be deleted there: {', '.join(ids)}"
        log.warning(note, extra=about(number))
        self._ports.events.about_number(number, "Warning", "Orphaned", "Delete", note)

    def tell_left(self, number: PhoneNumber, owned: Owned) -> None:
        """Log once what stays in LiveKit on purpose, by Retain or Observe."""
        if number in self._said_what_stays:
            return
        self._said_what_stays.put(number, True)
        log.info("left in LiveKit: %s", ", ".join(owned.ids), extra=about(number))

    def tell_not_retained(self, number: PhoneNumber) -> None:
        """Report that a deletion removed the LiveKit objects although `deletionPolicy` is Retain."""
        setting = self._ports.installation.retain_setting
        note = f"deletionPolicy Retain was not followed, and LiveKit's objects are deleted: BYOC_RETAIN is {setting}"
        log.warning(note, extra=about(number))
        self._ports.events.about_number(number, "Warning", "RetainNotAllowed", "Delete", note)

    def tell_changes(self, number: PhoneNumber, applied: Applied, *, expected: bool) -> None:
        """Log the changes of a run in LiveKit in one line. A repair (not `expected`) is an Event, too."""
        if not applied.done:
            return
        if expected:
            log.info("applied to LiveKit: %s", "; ".join(verbs(applied.done)), extra=about(number))
            return
        touched = ", ".join(paths(applied.done))
        for path in paths(applied.done):
            self._ports.metrics.drift.labels(drift_label(path)).inc()
        note = f"put right in LiveKit: {touched}"
        log.info(note, extra=about(number))
        self._ports.events.about_number(number, "Normal", "Repaired", "Repair", note)

    def _announce(self, number: PhoneNumber, wanted: RecordedStatus, applied: Applied) -> None:
        """Log a change of the Ready reason, and post an Event about it."""
        said = announcement(number.status, wanted, observes=number.observes)
        if said is None:
            return
        in_log = not isinstance(applied.failure, WriteRefused)
        level = logging.INFO if said.harmless else logging.WARNING if in_log else logging.DEBUG
        log.log(level, "%s: %s", said.reason, said.note, extra=about(number, wanted))
        if said.is_event:
            kind: Literal["Normal", "Warning"] = "Normal" if said.harmless else "Warning"
            self._ports.events.about_number(number, kind, said.reason, "Reconcile", said.note)

    def written(self, number: PhoneNumber) -> None:
        """Note that all writes about an object succeeded."""
        self._refused.drop(number)
        self._ports.regained.refusals.through(number.uid)

    async def _read_after_refusal(self, number: PhoneNumber, refused: ApiRefused, subresource: str = "") -> None:
        """After a refused PATCH: update the cache if the object is gone or newer, else raise.

        Raises `WriteRefused` if the object has not changed, `ApiRefused` if it cannot be read, and `Unavailable`.
        """
        if not isinstance(refused, NotFound | Conflict | Invalid):
            raise self._refusal(number, refused, subresource) from refused
        raw = await self._ports.numbers.get(number.key)
        if raw is None:
            self._ports.cache.gone(number.key, number.uid)
            return
        self._ports.cache.seen(raw)
        if int(raw["metadata"]["resourceVersion"]) <= number.resource_version:
            # The object has not changed, so the API server would refuse the next try, too: back off.
            raise self._refusal(number, refused, subresource) from refused

    def _refusal(self, number: PhoneNumber, refused: ApiRefused, subresource: str) -> WriteRefused:
        """Record a refused write: once per cause in the log, and in an Event if the status cannot be written."""
        what = Asked("patch", GROUP, f"{PLURAL}{subresource}", number.key.namespace, number.key.name)
        self._ports.regained.refusals.denied(what, number.uid, refused.message)
        if subresource and number not in self._refused and len(self._refused) < REFUSED_EVENTS:
            self._refused.put(number, True)
            note = f"The status of this object cannot be written: {refused.message}"
            reason = Reason.KUBERNETES_REFUSED
            self._ports.events.about_number(number, "Warning", reason, "Report", note)
        return WriteRefused(Reason.KUBERNETES_REFUSED, refused.message, longest_s=REFUSED_LONGEST_S)


def _judged(number: PhoneNumber) -> tuple[object, ...]:
    """What a run judges of an object."""
    return (number.uid, number.generation, number.requested)


def _verdict(failure: Failure | None) -> Verdict | None:
    if failure is None:
        return None
    stalled = isinstance(failure, Stalled) or (isinstance(failure, Parked) and failure.stalled)
    message = failure.message
    if not stalled and failure.reason in LIVEKIT_AS_A_WHOLE:  # the edge to LiveKit does not know who tries again
        message = f"{message} {REMEDIES[failure.reason][1]}"
    return Verdict(failure.reason, message, stalled=stalled)
