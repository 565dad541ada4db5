"""What `kubectl byoc plan` says of each number, and how it is shown."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..api.resource import Key
from ..api.structural import Problem
from ..core.field_changes import Action, FieldChange, ObjectChange, Value
from .exit_codes import ExitCode
from .judging import Plan
from .output import Listing
from .terminal import Cell

_STYLES: Mapping[Action, str] = {
    Action.CREATE: "green",
    Action.REPLACE: "yellow",
    Action.DELETE: "red",
    Action.MARK: "yellow",
}
_COLUMNS = ("OBJECT", "ACTION", "IN LIVEKIT", "FIELD", "OLD", "NEW")


class Result(StrEnum):
    """What a plan comes to.

    Invalid: the spec breaks a rule of the CRD. Blocked: something keeps the number from being in step, such as a trunk
    of others; what changes all the same is listed.
    """

    UNCHANGED = "Unchanged"
    CHANGES = "Changes"
    BLOCKED = "Blocked"
    INVALID = "Invalid"


@dataclass(frozen=True, slots=True)
class Planned:
    """One number. `problems`: broken rules of the CRD; `plan`: None if there are any. `notes`: what else is said."""

    key: Key
    phone_number: str
    plan: Plan | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def result(self) -> Result:
        """What the plan comes to."""
        if self.plan is None:
            return Result.INVALID
        if self.plan.verdict is not None:
            return Result.BLOCKED
        return Result.CHANGES if self.plan.changes else Result.UNCHANGED

    def told(self) -> Iterator[str]:
        """The sentences beside the table."""
        yield from (f"{problem.field}: {problem.message}" for problem in self.problems)
        if self.plan is not None:
            if self.plan.verdict is not None:
                yield f"{self.plan.verdict.reason}: {self.plan.verdict.message}"
            if self.plan.pending:
                yield f"an adoption would erase {', '.join(self.plan.pending)}"
            if self.plan.held:
                yield self.plan.held
            if self.plan.assumed:
                yield f"user name and password are not compared ({self.plan.assumed})"
        yield from self.notes


def exit_code(planned: Iterable[Planned]) -> ExitCode:
    """FAILED if a number is invalid or blocked, else CHANGES if anything changes, else OK."""
    results = {each.result for each in planned}
    if results & {Result.INVALID, Result.BLOCKED}:
        return ExitCode.FAILED
    return ExitCode.CHANGES if Result.CHANGES in results else ExitCode.OK


def listing(planned: Sequence[Planned]) -> Listing:
    """The plan as a table with a row per field, or as a list object."""
    counts = {result: sum(each.result is result for each in planned) for result in Result}
    told = ", ".join(f"{count} {result.value.lower()}" for result, count in counts.items() if count)
    return Listing(
        kind="PlanList",
        columns=_COLUMNS,
        rows=[row for each in planned for row in _rows(each)],
        items=[_item(each) for each in planned],
        beside={"summary": {"total": len(planned), **{str(result): count for result, count in counts.items()}}},
        summary=f"{len(planned)} number{'' if len(planned) == 1 else 's'}: {told}" if planned else "no numbers",
    )


def _rows(planned: Planned) -> Iterator[Sequence[str | Cell]]:
    for change in planned.plan.changes if planned.plan else ():
        action = Cell(change.action, _STYLES[change.action])
        where = f"{change.kind.label} {change.id}".rstrip()
        head = (str(planned.key), action, where)
        if not change.fields:
            yield (*head, "", "", "")
        for field in change.fields:
            yield (*head, field.path, _cell(field.old), _cell(field.new))


def _cell(value: Value) -> str:
    match value:
        case None:
            return "-"
        case str():
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


def _item(planned: Planned) -> Mapping[str, object]:
    plan = planned.plan
    verdict = plan.verdict if plan else None
    return {
        "namespace": planned.key.namespace,
        "name": planned.key.name,
        "phoneNumber": planned.phone_number,
        "result": str(planned.result),
        "reason": str(verdict.reason) if verdict else "",
        "message": verdict.message if verdict else "",
        "held": plan.held if plan else "",
        "credentialsUnknown": plan.assumed if plan else "",
        "pendingErasures": list(plan.pending) if plan else [],
        "problems": [{"field": each.field, "message": each.message} for each in planned.problems],
        "notes": list(planned.notes),
        "changes": [_change(each) for each in plan.changes] if plan else [],
    }


def _change(change: ObjectChange) -> Mapping[str, object]:
    fields = [_field(each) for each in change.fields]
    return {"action": str(change.action), "kind": str(change.kind), "id": change.id, "fields": fields}


def _field(field: FieldChange) -> Mapping[str, object]:
    return {"path": field.path, "old": field.old, "new": field.new}
