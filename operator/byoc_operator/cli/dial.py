"""`kubectl byoc dial`: places one call through the outbound trunk of a number, and says what the answer means."""

import asyncio
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from ..api.printable import printable
from ..api.resource import PhoneNumber
from ..core.agent_job import as_metadata, outbound_job
from ..diagnosis.agent_answers import why_absent
from ..diagnosis.sip_answers import meaning_of
from ..livekit_sip.room_port import AgentRequest, NotConnected, PhoneCall, Rooms
from .agent_in_room import room_with, wait_for_agent
from .cluster import Cluster
from .completion import names_of_numbers
from .durations import seconds_in
from .exit_codes import ExitCode, Refused
from .livekit_access import NoLiveKit, livekit_access
from .naming import PHONE, named
from .operator_finder import Operator
from .options import PROGRAM, Target, over_numbers, targeted, with_livekit
from .outside import Outside
from .surroundings import operator_around
from .terminal import show, tell, working

AGENT_S = 15.0
"""How long an agent may take to join the room. An agent that runs needs a second or two."""

MAX_RING_S = 70
"""livekit-server 1.13 itself waits 80 s for the answer."""

LONGEST_S = 600
"""After this time LiveKit ends the call, whatever became of the command."""

LATE_S = 30
"""How much later than that the command ends the call itself."""

MAX_ID = 80
"""Characters of LiveKit's ID of a call that are shown; its own have 16."""

LOOK_S = 1.0
"""Between two looks whether the other side is still there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One call. `agent`: who talks, None for nobody. `where`: namespace and name of the number."""

    where: str
    sender: str
    call: PhoneCall
    agent: AgentRequest | None


@click.command(short_help="Place one call from a number, and say what the carrier answers.")
@click.argument("name", metavar="NAME|+NUMBER", shell_complete=names_of_numbers)
@click.option("--to", required=True, help="Whom to call, such as +442079460123.")
@click.option("--agent/--no-agent", default=True, show_default=True, help="Whether the number's agent talks.")
@click.option("--timeout", default="30s", show_default=True, help=f"How long the phone may ring: 5s to {MAX_RING_S}s.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask. Needed where nobody can be asked.")
@over_numbers
@with_livekit
@targeted
async def dial(target: Target, name: str, to: str, *, agent: bool, timeout: str, yes: bool) -> int:  # noqa: ASYNC109 - the phone's
    """Place one real call from a number to --to, and say what the carrier answers and what that means.

    The phone rings once the agent is there. The call lasts until the other side hangs up, Ctrl-C, or 10 minutes. The
    room is closed whatever ends the call. With --no-agent, who picks up hears silence.

    \b
    Examples:
      kubectl byoc dial main-support -n voice --to +442079460123
      kubectl byoc dial +19876543210 -A --to +442079460123 --no-agent --timeout 20s
      kubectl byoc dial main-support -n voice --to +442079460123 --yes | tee call.log

    Ends with 7 if the call was not answered.
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    named("--to", to, PHONE)
    ring_s = _ring_time(timeout)
    if not (yes or _can_ask()):
        raise Refused("a call costs money and rings somebody: give --yes where nobody can be asked", ExitCode.USAGE)
    with working("looking for the number, its trunk and LiveKit"):
        async with target.reached() as cluster:
            number = await _number(cluster, name)
            operator = await operator_around(target, cluster)
            access = await livekit_access(cluster, operator, target.livekit_key_file, target.outside.environ)
    if isinstance(access, NoLiveKit):
        raise access.refused()
    plan = _plan(number, operator, PhoneCall(number.status.ids.outbound, to, ring_s, LONGEST_S), talks=agent)
    if not (yes or click.confirm(_question(plan), err=True)):
        raise Refused("nothing was dialled")
    rooms = target.outside.rooms(access)
    try:
        with _signals_cancel():
            return await _placed(rooms, plan, target.outside)
    finally:
        await rooms.aclose()


def _can_ask() -> bool:
    """Whether somebody at a terminal can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ring_time(timeout: str) -> int:
    ring_s = seconds_in("--timeout", timeout)
    least_s = 5
    if not least_s <= ring_s <= MAX_RING_S:
        raise Refused(f"--timeout: from {least_s}s to {MAX_RING_S}s", ExitCode.USAGE)
    return ring_s


async def _number(cluster: Cluster, name: str) -> PhoneNumber:
    """The one number that is Ready: of several objects with one phone number, only its holder is."""
    found = await cluster.found(name)
    ready = [each for each in found if each.status.ready.status == "True"]
    if not ready:
        why = "; ".join(f"{each.key}: {_why_not_ready(each)}" for each in found[:3])
        raise Refused(f"the number is not Ready ({why}); `kubectl byoc doctor` finds out why")
    if len(ready) > 1:
        raise Refused(f"several objects are Ready: {', '.join(str(each.key) for each in ready[:3])}; name one of them")
    return ready[0]


def _why_not_ready(number: PhoneNumber) -> str:
    ready = number.status.ready
    return f"{ready.reason}: {ready.message}" if ready.reason else "the operator has not seen it yet"


def _plan(number: PhoneNumber, operator: Operator, call: PhoneCall, *, talks: bool) -> Plan:
    """What is to be sent. Raises Refused if the number cannot call."""
    spec = number.spec
    if spec is None or not call.trunk_id:
        raise Refused(f"{number.key} has no outbound trunk; `kubectl byoc status {number.key.name}` says why")
    if not talks:
        return Plan(str(number.key), spec.phone_number, call, None)
    if not spec.outbound_agent_id:
        raise Refused(f"{number.key} has no agent for calls out: set spec.outboundAgentId, or give --no-agent")
    name = (operator.settings or {}).get("BYOC_AGENT_NAME") or spec.outbound_agent_id
    agent = AgentRequest(name, as_metadata(outbound_job(spec, number.key, call.to)))
    return Plan(str(number.key), spec.phone_number, call, agent)


def _question(plan: Plan) -> str:
    talks = f"the agent {plan.agent.name} talks" if plan.agent else "nobody talks"
    return (
        f"Call {plan.call.to} from {plan.sender} ({plan.where}) through the trunk {plan.call.trunk_id}? "
        f"The phone rings for real, the carrier charges for the call, and {talks}."
    )


async def _placed(rooms: Rooms, plan: Plan, outside: Outside) -> int:
    """Place the call and stay until it ends; the exit code."""
    room = f"dial-{uuid.uuid4().hex[:12]}"
    async with room_with(rooms, room, plan.agent):
        if plan.agent:
            with working(f"waiting for the agent {plan.agent.name}"):
                seen = await wait_for_agent(rooms, room, AGENT_S, outside)
            if seen.joined_s is None:
                failures = [each.failure for each in seen.jobs if each.failure]
                taken = any(each.identity for each in seen.jobs)
                absent = why_absent(plan.agent.name, AGENT_S, failures, taken=taken)
                raise Refused(f"nobody was called. {absent.says} {absent.remedy}")
            show(f"agent: {plan.agent.name} joined after {seen.joined_s:.1f} s")
        began = outside.clock()
        try:
            with working(f"calling {plan.call.to}, up to {plan.call.ring_s} s"):
                call_id = await rooms.dial(room, plan.call)
        except NotConnected as exc:
            return _not_connected(exc, outside.clock() - began)
        show(f"answered: after {outside.clock() - began:.1f} s, call {printable(call_id, MAX_ID)}; Ctrl-C ends it")
        ended = await _until_it_ends(rooms, room, outside)
        show(f"ended: {outside.clock() - began:.0f} s after dialling")
    if not ended:
        tell(f"LiveKit should have ended the call after {LONGEST_S} s, and has not; the room was closed", head=PROGRAM)
    return ExitCode.OK if ended else ExitCode.FAILED


def _not_connected(error: NotConnected, after_s: float) -> int:
    """Say what the answer means."""
    meaning = meaning_of(error.sip_code, error.words)
    code = "no SIP answer" if error.sip_code is None else f"SIP {error.sip_code}"
    show(f"answer: {code} {error.words}".rstrip() + f", after {after_s:.1f} s")
    tell(f"{meaning.says} {meaning.remedy}", head=PROGRAM)
    return ExitCode.NOT_CONNECTED


async def _until_it_ends(rooms: Rooms, room: str, outside: Outside) -> bool:
    """Until the other side has left the room. False if it is there for longer than a call lasts."""
    until_s = outside.clock() + LONGEST_S + LATE_S
    while any(not each.is_agent for each in await rooms.participants(room)):
        if outside.clock() > until_s:
            return False
        await outside.sleep(LOOK_S)
    return True


@contextmanager
def _signals_cancel() -> Iterator[None]:
    """A closed terminal and a SIGTERM end the block as Ctrl-C does, so that the room is closed.

    On Windows only Ctrl-C does so: asyncio handles no other signal there.
    """
    if sys.platform == "win32":
        yield
        return
    loop, task, seen = asyncio.get_running_loop(), asyncio.current_task(), list[signal.Signals]()

    def cancel(number: signal.Signals) -> None:
        seen.append(number)
        if task:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, cancel, number)
    try:
        yield
    except asyncio.CancelledError:
        if not seen:
            raise  # Ctrl-C: asyncio.run tells it
        raise Refused(f"ended by {seen[0].name}; the room is closed", ExitCode.INTERRUPTED) from None
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)
