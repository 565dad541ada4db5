"""`kubectl byoc doctor`: walks the chain of a call, and names the first break and what to change."""

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..core.desired import Installation
from ..core.masking import make_mask
from ..core.matching import Call
from ..diagnosis.carrier_steps import Setup, Step, carrier_steps
from ..diagnosis.chain import chain, first_break
from ..diagnosis.check import Check, State
from .agent_ring import ring
from .exit_codes import ExitCode, Refused
from .formats import Format
from .options import Target, over_numbers, targeted, with_livekit, with_output
from .output import Listing, show_listing
from .terminal import Cell, show, tell, working

if TYPE_CHECKING:
    from .doctor_facts import Looked

MAX_ADDRESS, MAX_USER = 64, 256
"""Characters of an address, and of the user part of a SIP address, that are taken."""

_STYLES = {State.OK: "green", State.BAD: "bold red", State.UNKNOWN: "yellow"}


@dataclass(frozen=True, slots=True)
class Report:
    """What is printed. `steps`: what to enter at the carrier, empty if the spec is not known."""

    where: str
    checks: tuple[Check, ...]
    carrier: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def broken(self) -> Check | None:
        """The first break."""
        return first_break(self.checks)


@click.command(short_help="Walk the chain of a call, and name the first break.")
@click.argument("name", metavar="NAME|+NUMBER")
@click.option("--from", "caller", default="", help="Caller of the call that is asked about, as the carrier sends it.")
@click.option("--source", default="", help="Address from which the carrier sends that call.")
@click.option("--called", default="", help="Called number of that call, as the carrier sends it. [default: the number]")
@click.option("--ring-agent", is_flag=True, help="Also send the number's agent into a room of its own: does it come?")
@with_livekit
@over_numbers
@with_output
@targeted
async def doctor(target: Target, name: str, caller: str, source: str, called: str, *, ring_agent: bool) -> int:
    """Walk the chain of a call, in and out, and name the first break and what to change.

    Looks at the object, its Secret, the operator, LiveKit, trunks and rule, encryption, and from this machine at DNS,
    TLS and SIP of the carrier's host and of our own SIP endpoint. Says whether LiveKit would accept a call, and ends
    with what to enter at the carrier. Nothing is changed anywhere. With --ring-agent a worker gets a job, whose
    metadata is that of a call and `"probe": true`; the room is deleted at once.

    \b
    Examples:
      kubectl byoc doctor main-support -n voice
      kubectl byoc doctor +19876543210 -A
      kubectl byoc doctor main-support -n voice --from +15551230000 --source 54.172.60.1
      kubectl byoc doctor main-support -n voice --called 9876543210
      kubectl byoc doctor main-support -n voice --ring-agent
      kubectl byoc doctor main-support -n voice -o json | jq -r '.items[] | select(.state == "bad") | .remedy'

    Ends with 5 if something is bad.
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    from .doctor_facts import look  # noqa: PLC0415 - its libraries take longer to load than a help text

    call = _call(caller, source, called)
    mask = make_mask(secrets.token_bytes(32))
    with working("looking at the cluster, LiveKit and the network"):
        async with target.reached() as cluster:
            looked = await look(target, cluster, name, call, mask)
            rung = await ring(target, cluster, looked.facts.number, looked.operator) if ring_agent else ()
    report = _report(looked, (*chain(looked.facts, mask), *rung))
    _show(report, target.output)
    return ExitCode.SOMETHING_BAD if report.broken else ExitCode.OK


def _call(caller: str, source: str, called: str) -> Call:
    """The call that is asked about. Raises `Refused`."""
    if source:
        try:
            source = str(ipaddress.ip_address(source[:MAX_ADDRESS]))
        except ValueError:
            raise Refused("--source: must be an IP address, such as 192.0.2.7", ExitCode.USAGE) from None
    if max(len(caller), len(called)) > MAX_USER:
        raise Refused(f"--from, --called: {MAX_USER} characters at most", ExitCode.USAGE)
    return Call(called, caller, source)


def _report(looked: "Looked", checks: tuple[Check, ...]) -> Report:
    facts = looked.facts
    if facts.number is None or facts.number.spec is None:
        return Report(facts.where, checks)
    spec, installation = facts.number.spec, facts.installation
    recorded = facts.number.status.origination_uri
    setup = Setup(spec, "", looked.sip_addresses, settings_read=False, recorded_uri=recorded)
    if isinstance(installation, Installation):
        setup = Setup(spec, installation.sip_uri, looked.sip_addresses, installation.carriers)
    return Report(facts.where, checks, setup.preset.carrier, carrier_steps(setup))


def _show(report: Report, output: Format) -> None:
    show_listing(_listing(report, wide=output is Format.WIDE), output)
    if output in (Format.JSON, Format.YAML):
        return
    if report.steps:
        show("")
        show(f"At the carrier ({report.carrier}):")
        for count, step in enumerate(report.steps, 1):
            show(f"{count:>3}. {step.place}: {step.does}")
    if report.broken:
        tell(f"{report.broken.says} {report.broken.remedy}", head=f"first break: {report.broken.name}:")


def _listing(report: Report, *, wide: bool) -> Listing:
    """The result. `wide`: a terminal shows the advice of unknown rows, too."""
    broken = report.broken
    return Listing(
        kind="DoctorReport",
        columns=("STATE", "WHAT", "SAYS", "REMEDY"),
        rows=[_row(check) for check in report.checks],
        items=[_item(check) for check in report.checks],
        beside={
            "object": report.where,
            "firstBreak": broken.name if broken else "",
            "remedy": broken.remedy if broken else "",
            "carrier": report.carrier,
            "carrierSteps": [{"place": step.place, "does": step.does} for step in report.steps],
        },
        summary=_summary(report.checks),
        beneath=[check.remedy if wide or check.state is not State.UNKNOWN else "" for check in report.checks],
    )


def _row(check: Check) -> Sequence[str | Cell]:
    return (Cell(check.state, _STYLES[check.state]), check.name, check.says, check.remedy)


def _item(check: Check) -> dict[str, object]:
    return {"state": str(check.state), "what": check.name, "says": check.says, "remedy": check.remedy}


def _summary(checks: Sequence[Check]) -> str:
    counts = {state: sum(check.state is state for check in checks) for state in State}
    todo = sum(check.warns for check in checks)
    advice = f", {todo} of them with advice" if todo else ""
    return f"{counts[State.BAD]} bad, {counts[State.UNKNOWN]} unknown, {counts[State.OK]} ok{advice}"
