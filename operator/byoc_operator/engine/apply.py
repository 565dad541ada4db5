"""Carries out planned changes in LiveKit, one after the other."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from ..core.ownership import Owner
from ..core.plan import Change, Create, Delete, Remark, Replace, kind_of_change, needs_credentials
from ..core.run_outcome import Done, RunOutcome, outcome_of
from ..core.trunk import DEPENDENTS, DispatchRule, Kind, SipObject
from ..errors import Failure, Gone, NotLeading, Occupied, Stalled
from ..telemetry.metrics import Metrics
from .outside import LiveKit


@dataclass(frozen=True, slots=True)
class Applied:
    """`done`: the changes that LiveKit confirmed. `failures`: the errors, in the order in which they happened."""

    done: tuple[Change, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def failure(self) -> Failure | None:
        """The first failure, which is the one that the status shows; None if all changes were applied."""
        return next(iter(self.failures), None)

    @property
    def outcome(self) -> RunOutcome:
        """When the changes that failed are due again: when the first failure says that does not need a person.

        After a contradiction the next run comes soon, even if LiveKit went down after it. That run writes the outage
        into the status; a number that is parked at once would keep a status that says nothing of it.
        """
        outcomes = map(outcome_of, self.failures)
        return next((each for each in outcomes if not isinstance(each, Done)), Done(unsolved=bool(self.failures)))

    @property
    def wrote_credentials(self) -> bool:
        """Whether credentials were written to LiveKit."""
        return needs_credentials(self.done)


class Applier:
    """Applies changes through the inventory. The inventory updates its snapshot with each change."""

    def __init__(self, inventory: LiveKit, metrics: Metrics) -> None:
        self._inventory = inventory
        self._metrics = metrics

    async def apply(self, changes: Iterable[Change], owner: Owner) -> Applied:
        """Apply all changes in order.

        If LiveKit refuses the change of one kind, the changes of that kind and of its dependents are skipped, and the
        other changes go on. Any other failure ends the run of changes. Raises `NotLeading` if this replica has lost the
        Lease.
        """
        done: list[Change] = []
        failures: list[Failure] = []
        skipped: set[Kind] = set()
        trunk_id = ""
        for change in changes:
            kind = kind_of_change(change)
            if kind in skipped:
                continue
            try:
                made = await self._one(change, owner, trunk_id)
            except NotLeading:
                raise
            except Failure as exc:
                failures.append(exc)
                if not _concerns_one_kind(exc):
                    break
                skipped |= {kind} | DEPENDENTS[kind]
                continue
            done.append(change)
            self._metrics.changes.labels(str(kind), type(change).__name__.lower()).inc()
            if made is not None and made.kind is Kind.INBOUND_TRUNK:
                trunk_id = made.id
        return Applied(tuple(done), tuple(failures))

    async def _one(self, change: Change, owner: Owner, trunk_id: str) -> SipObject | None:
        match change:
            case Create(wanted):
                return await self._inventory.create(_with_trunk(wanted, trunk_id), owner)
            case Replace(wanted):
                return await self._inventory.replace(_with_trunk(wanted, trunk_id))
            case Delete(kind, id):
                await self._inventory.delete(kind, id)
            case Remark(kind, id, metadata):
                await self._inventory.remark(kind, id, metadata)
            case _:
                assert_never(change)
        return None


def _concerns_one_kind(exc: Failure) -> bool:
    return isinstance(exc, Occupied | Gone) or (isinstance(exc, Stalled) and not exc.server_wide)


def _with_trunk(wanted: SipObject, trunk_id: str) -> SipObject:
    """Put the ID of the trunk just created into a dispatch rule that was planned before the trunk had an ID."""
    if isinstance(wanted, DispatchRule) and not wanted.trunk_ids:
        return replace(wanted, trunk_ids=(trunk_id,))
    return wanted
