"""What the statuses of many numbers say together: the worst first, with what to do about it. Values in, values out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from ..api.conditions import REMEDIES, Reason
from ..api.resource import PhoneNumber
from .cluster import Scope
from .durations import told
from .output import Listing
from .terminal import Cell


class State(IntEnum):
    """How a number is, the worst first."""

    STALLED = 0
    RECONCILING = 1
    UNKNOWN = 2
    READY = 3

    def __str__(self) -> str:
        return self.name.capitalize()


STYLES = {State.STALLED: "red", State.RECONCILING: "yellow", State.UNKNOWN: "magenta", State.READY: "green"}

_NAMESPACE = "NAMESPACE"
_COLUMNS = ("NAME", "NUMBER", "STATE", "REASON", "SINCE", "FINDINGS", "REMEDY")
_WIDE = ("CARRIER", "TERMINATION", "ORIGINATION", "OUTBOUND", "INBOUND", "RULE", "MESSAGE")


@dataclass(frozen=True, slots=True)
class Line:
    """A number in the list. `since`: RFC 3339, empty if not known; `remedy`: empty where there is nothing to do."""

    number: PhoneNumber
    state: State
    reason: str
    since: str
    remedy: str

    @property
    def told(self) -> tuple[str, str]:
        """What makes a change worth a line."""
        return str(self.state), self.reason

    @property
    def findings(self) -> tuple[str, ...]:
        """The codes of the findings."""
        return tuple(finding.code for finding in self.number.status.findings)


def state_of(number: PhoneNumber) -> State:
    """How a number is, as kstatus reads its status: one that does not describe this spec is on its way."""
    status = number.status
    if not status.seen_before or not status.ready.status:
        return State.UNKNOWN
    if not number.is_current:
        return State.RECONCILING
    if any(each.type == "Stalled" and each.status == "True" for each in status.conditions):
        return State.STALLED
    return {"True": State.READY, "False": State.RECONCILING}.get(status.ready.status, State.UNKNOWN)


def line_of(number: PhoneNumber) -> Line:
    """What is to be said of one number."""
    state, ready = state_of(number), number.status.ready
    if not number.status.seen_before:
        remedy = "The operator has not seen it yet: does it run, and does it watch this namespace?"
        return Line(number, state, "", number.created_at, remedy)
    if state is not State.READY and not number.is_current:
        remedy = "The operator has not yet seen the last change."
        return Line(number, state, ready.reason, ready.last_transition_time, remedy)
    known = ready.reason in set(Reason) and state is not State.READY
    remedy = REMEDIES[Reason(ready.reason)][1].replace("`", "") if known else ""
    return Line(number, state, ready.reason, ready.last_transition_time, remedy)


def ordered(numbers: Iterable[PhoneNumber]) -> list[Line]:
    """The worst first; equal ones by reason, namespace and name."""
    lines = map(line_of, numbers)
    return sorted(lines, key=lambda each: (each.state, each.reason, each.number.key.namespace, each.number.key.name))


def summary(lines: Sequence[Line], scope: Scope) -> str:
    """One line for all of them."""
    if not lines:
        return scope.nowhere("ByocPhoneNumber")
    parts = []
    for state in (State.READY, State.STALLED, State.RECONCILING, State.UNKNOWN):
        reasons = Counter(line.reason or "not seen yet" for line in lines if line.state is state)
        if reasons:
            told_reasons = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            parts.append(f"{reasons.total()} {state}" + ("" if state is State.READY else f" ({told_reasons})"))
    return f"{len(lines)} {'number' if len(lines) == 1 else 'numbers'}: {', '.join(parts)}"


def listing(lines: Sequence[Line], now_s: float, scope: Scope) -> Listing:
    """The list as a table and as a list object."""
    place = (_NAMESPACE,) if scope.everywhere else ()
    return Listing(
        kind="StatusList",
        columns=(*place, *_COLUMNS, *_WIDE),
        rows=[(*((line.number.key.namespace,) if scope.everywhere else ()), *_row(line, now_s)) for line in lines],
        items=[_item(line) for line in lines],
        wide=len(_WIDE),
        beside={"summary": {"total": len(lines), **{str(each): _count(lines, each) for each in State}}},
        summary=summary(lines, scope),
    )


def _count(lines: Sequence[Line], state: State) -> int:
    return sum(line.state is state for line in lines)


def _row(line: Line, now_s: float) -> tuple[str | Cell, ...]:
    number, status = line.number, line.number.status
    return (
        number.key.name,
        number.phone_number,
        Cell(str(line.state), STYLES[line.state]),
        line.reason,
        age(line.since, now_s),
        ",".join(line.findings),
        line.remedy,
        status.carrier,
        number.spec.termination_uri if number.spec else "",
        status.origination_uri,
        status.ids.outbound,
        status.ids.inbound,
        status.ids.rule,
        status.ready.message if line.state is not State.READY else "",
    )


def _item(line: Line) -> dict[str, object]:
    number, status = line.number, line.number.status
    return {
        "namespace": number.key.namespace,
        "name": number.key.name,
        "phoneNumber": number.phone_number,
        "state": str(line.state),
        "reason": line.reason,
        "since": line.since,
        "message": status.ready.message,
        "remedy": line.remedy,
        "findings": [{"code": each.code, "message": each.message} for each in status.findings],
        "pendingChanges": list(status.pending_changes),
        "generation": number.generation,
        "observedGeneration": status.observed_generation,
        "carrier": status.carrier,
        "terminationUri": number.spec.termination_uri if number.spec else "",
        "originationUri": status.origination_uri,
        "liveKit": status.live_kit,
        "outboundTrunkId": status.ids.outbound,
        "inboundTrunkId": status.ids.inbound,
        "dispatchRuleId": status.ids.rule,
    }


def age(since: str, now_s: float) -> str:
    """How long ago a time is, empty if it is none."""
    try:
        return told(now_s - datetime.fromisoformat(since).timestamp())
    except (ValueError, OverflowError):
        return ""
