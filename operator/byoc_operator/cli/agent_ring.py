"""`kubectl byoc doctor --ring-agent`: proves that an agent answers, by sending it into a room of its own."""

import asyncio
import uuid

from ..api.resource import PhoneNumber
from ..core.agent_job import as_metadata, inbound_job, outbound_job
from ..core.desired import agent_names
from ..diagnosis.agent_answers import absent, joined, not_rung, why_absent
from ..diagnosis.check import Check
from ..errors import Failure
from ..livekit_sip.room_port import AgentRequest, Rooms
from .agent_in_room import LOOK_S, room_with, wait_for_agent
from .cluster import Cluster
from .livekit_access import NoLiveKit, livekit_access
from .operator_finder import Operator
from .options import Target
from .outside import Outside

RING_S = 10.0
"""How long the agent may take to join. One that runs needs a second or two."""

UNNAMED_S = 6.0
"""livekit-server 1.13 lists a job that a worker has taken only after it has asked all nodes for workers, up to 5 s."""


def agents_of(number: PhoneNumber, agent_name: str) -> tuple[AgentRequest, ...]:
    """The agents of a number's calls with the metadata of a call and `probe`, none if the number has none.

    `agent_name`: BYOC_AGENT_NAME of the operator, empty if it is not set.
    """
    spec = number.spec
    if spec is None or not (spec.inbound_agent_id or spec.outbound_agent_id):
        return ()
    if spec.inbound_agent_id:
        job, names = inbound_job(spec, number.key), agent_names(spec, agent_name)
    else:
        job, names = outbound_job(spec, number.key, spec.phone_number), (agent_name or spec.outbound_agent_id,)
    return tuple(AgentRequest(name, as_metadata({**job, "probe": True})) for name in names)


async def ring(target: Target, cluster: Cluster, number: PhoneNumber | None, operator: Operator) -> tuple[Check, ...]:
    """What became of each agent of a number, whatever stood in the way of ringing it."""
    agents = agents_of(number, (operator.settings or {}).get("BYOC_AGENT_NAME", "")) if number else ()
    if not agents:
        return (not_rung("The number has no agent that could be rung."),)
    access = await livekit_access(cluster, operator, target.livekit_key_file, target.outside.environ)
    if isinstance(access, NoLiveKit):
        return (not_rung(f"The agent was not rung: {access.why}."),)
    rooms = target.outside.rooms(access)
    try:
        return tuple(await asyncio.gather(*(ring_agent(rooms, agent, target.outside) for agent in agents)))
    finally:
        await rooms.aclose()


async def ring_agent(rooms: Rooms, agent: AgentRequest, outside: Outside, within_s: float = RING_S) -> Check:
    """Send the agent into a room and wait until it has joined. The room is deleted whatever happens."""
    room = f"probe-{uuid.uuid4().hex[:12]}"
    try:
        async with room_with(rooms, room, agent):
            seen = await wait_for_agent(rooms, room, within_s, outside)
            if seen.joined_s is not None:
                return joined(agent.name, seen.joined_s)
            failures = [job.failure for job in seen.jobs if job.failure]
            taken = any(job.identity for job in seen.jobs)
            unnamed = not (failures or taken) and await _unnamed_takes_it(rooms, room, agent, outside)
    except Failure as exc:
        return not_rung(f"The agent was not rung: {exc.message}")
    return absent(why_absent(agent.name, within_s, failures, taken=taken, unnamed=unnamed))


async def _unnamed_takes_it(rooms: Rooms, room: str, agent: AgentRequest, outside: Outside) -> bool:
    """Whether a worker that is registered without a name takes the same job."""
    await rooms.dispatch(room, AgentRequest("", agent.metadata))
    until = outside.clock() + UNNAMED_S
    while outside.clock() < until:
        if any(not job.agent and job.identity for job in await rooms.jobs(room)):
            return True
        await outside.sleep(LOOK_S)
    return False
