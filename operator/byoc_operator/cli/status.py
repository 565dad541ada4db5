"""`kubectl byoc status`: how the numbers are, the worst first; of one number everything."""

from collections.abc import Mapping, Sequence

import click

from ..api.resource import Key, PhoneNumber
from ..errors import OperatorError, Unavailable
from . import fleet
from .cluster import Cluster, Scope
from .completion import names_of_numbers
from .exit_codes import ExitCode, Refused
from .fleet import Line
from .formats import Format
from .operator_finder import why_not
from .options import PROGRAM, Target, over_numbers, targeted, with_output
from .output import show_listing, tell_unread
from .terminal import clear, is_terminal, show, tell, working

WATCH_S = 2.0
"""Between two looks of `--watch`: a LIST of 2,000 numbers takes the API server a tenth of that."""

MAX_EVENTS = 10


@click.command(short_help="Show how the numbers are, the worst first.")
@click.argument("name", required=False, metavar="[NAME|+NUMBER]", shell_complete=names_of_numbers)
@click.option("-w", "--watch", is_flag=True, help="Look again every 2 s; in a pipe: a line for each change.")
@over_numbers
@with_output
@targeted
async def status(target: Target, name: str | None, *, watch: bool) -> int:
    """Show how the numbers are: Stalled first, then Reconciling, Unknown and Ready.

    With the name of an object or a phone number (+…): everything about it.

    \b
    Examples:
      kubectl byoc status -A                    all numbers, the worst first, and a line that sums them up
      kubectl byoc status -n voice -o wide      with IDs, carrier, termination and origination
      kubectl byoc status +19876543210 -A       whoever has this phone number
      kubectl byoc status -A -o json | jq -r '.items[] | select(.state == "Stalled") | .name'
      kubectl byoc status -A --watch            until Ctrl-C
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    if watch and (name or target.output not in (Format.TABLE, Format.WIDE)):
        raise Refused("--watch: takes no name and prints tables only", ExitCode.USAGE)
    async with target.reached() as cluster:
        if watch:
            await _watch(target, cluster)
        elif name and target.output in (Format.TABLE, Format.WIDE):
            for number in await cluster.found(name):
                _describe(fleet.line_of(number), target.outside.clock(), await _events(cluster, number.key))
        else:
            numbers = await cluster.found(name) if name else await _all(cluster)
            _show(target, cluster.scope, fleet.ordered(numbers))
            tell_unread(cluster.unread)
    return ExitCode.OK


async def _all(cluster: Cluster) -> list[PhoneNumber]:
    with working("reading the numbers"):
        return [number async for number in cluster.numbers()]


def _show(target: Target, scope: Scope, lines: Sequence[Line]) -> None:
    show_listing(fleet.listing(lines, target.outside.clock(), scope), target.output)


async def _watch(target: Target, cluster: Cluster) -> None:
    """Look until Ctrl-C. A fault that comes later than the first look may pass: it is told once, and looked again."""
    before: Mapping[Key, tuple[str, str]] | None = None
    fault = ""
    while True:
        try:
            lines = fleet.ordered([number async for number in cluster.numbers()])
        except OperatorError as exc:
            if before is None and not fault and not isinstance(exc, Unavailable):
                raise
            if exc.message != fault:
                tell(f"{why_not(exc)}; looking again every {WATCH_S:.0f} s", head=PROGRAM)
            fault = exc.message
        else:
            if fault:
                tell("the API server answers again")
            before, fault = _changed(target, cluster.scope, lines, before), ""
        await target.outside.sleep(WATCH_S)


def _changed(
    target: Target, scope: Scope, lines: Sequence[Line], before: Mapping[Key, tuple[str, str]] | None
) -> Mapping[Key, tuple[str, str]]:
    """Show all lines anew on a terminal, else what differs from `before`; what they say now."""
    now = {line.number.key: line.told for line in lines}
    if is_terminal():
        clear()
        _show(target, scope, lines)
    elif before is None:
        show(fleet.summary(lines, scope))
    else:
        for change in changes(before, now):
            show(change)
    return now


def changes(before: Mapping[Key, tuple[str, str]], now: Mapping[Key, tuple[str, str]]) -> list[str]:
    """A line for each number that came, went, or is otherwise than before."""
    gone = [f"{key}: gone" for key in before if key not in now]
    changed = [(key, told) for key, told in now.items() if before.get(key) != told]
    return [*gone, *(f"{key}: {' '.join(filter(None, told))}" for key, told in changed)]


async def _events(cluster: Cluster, key: Key) -> list[str]:
    try:
        found = await cluster.events(key.namespace, key.name)
    except OperatorError as exc:
        return [f"not known: {why_not(exc)}"]
    last = found[-MAX_EVENTS:]
    return [f"{e.get('eventTime') or ''} {e.get('type')} {e.get('reason')}: {e.get('note') or ''}" for e in last]


def _describe(line: Line, now_s: float, events: Sequence[str]) -> None:
    """One number, a line for each thing that is known."""
    number, recorded = line.number, line.number.status
    since = fleet.age(line.since, now_s)
    parts: list[tuple[str, str]] = [
        ("Name", str(number.key)),
        ("Phone number", number.phone_number),
        ("State", f"{line.state} {line.reason}".strip() + (f" for {since}" if since else "")),
        ("Message", recorded.ready.message),
        ("Remedy", line.remedy),
        ("Carrier", recorded.carrier),
        ("Termination", number.spec.termination_uri if number.spec else ""),
        ("Origination", recorded.origination_uri),
        ("LiveKit", recorded.live_kit),
        ("Outbound trunk", recorded.ids.outbound),
        ("Inbound trunk", recorded.ids.inbound),
        ("Dispatch rule", recorded.ids.rule),
        ("Generation", f"{number.generation}, seen {recorded.observed_generation}"),
        *(("Finding", f"{each.code}: {each.message}") for each in recorded.findings),
        *(("Pending change", path) for path in recorded.pending_changes),
        *(("Left behind", str(each)) for each in recorded.left_behind),
        *(("Condition", f"{e.type}={e.status} {e.reason} {e.last_transition_time}") for e in recorded.conditions),
        *(("Event", each) for each in events),
    ]
    for label, text in parts:
        if text:
            show(f"{label + ':':<16}{text}")
