"""LiveKit's rooms as a real livekit-server has them: agents of real workers, and a call without a SIP service."""

import time
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from byoc_operator.cli.agent_ring import ring_agent
from byoc_operator.cli.outside import Outside
from byoc_operator.diagnosis.check import State
from byoc_operator.errors import Stalled
from byoc_operator.livekit_sip.endpoint import Endpoint
from byoc_operator.livekit_sip.room_port import AgentRequest, NotConnected, PhoneCall
from byoc_operator.livekit_sip.rooms import RoomClient
from testbed.agent_worker import Worker, working
from testbed.livekit_parts import LiveKit

pytestmark = pytest.mark.bed
AGENT = AgentRequest("sales", '{"probe":true}')
WITHIN_S = 7.0
"""Longer than livekit-server waits for all nodes before it lists a job."""


@pytest.fixture
async def rooms(livekit_server: LiveKit) -> AsyncIterator[RoomClient]:
    client = RoomClient(Endpoint(livekit_server.url, livekit_server.key, SecretStr(livekit_server.secret)))
    yield client
    await client.aclose()


async def ring(rooms: RoomClient) -> tuple[State, str]:
    check = await ring_agent(rooms, AGENT, Outside(clock=time.monotonic), WITHIN_S)
    return check.state, check.says


async def test_an_agent_answers(rooms: RoomClient, livekit_server: LiveKit) -> None:
    async with working(livekit_server, Worker("sales")) as worker:
        state, says = await ring(rooms)
    assert (state, says.partition(" after ")[0]) == (State.OK, "The agent sales joined a room")
    (job,) = worker.jobs
    assert (job.agent_name, job.metadata) == ("sales", AGENT.metadata)


async def test_no_worker(rooms: RoomClient) -> None:
    state, says = await ring(rooms)
    assert state is State.BAD
    assert says.startswith("No worker took the job within 7 s")


async def test_a_worker_under_another_name(rooms: RoomClient, livekit_server: LiveKit) -> None:
    async with working(livekit_server, Worker("support")) as worker:
        state, says = await ring(rooms)
    assert (state, worker.jobs) == (State.BAD, [])
    assert says.startswith("No worker took the job within 7 s")


async def test_a_worker_without_a_name(rooms: RoomClient, livekit_server: LiveKit) -> None:
    async with working(livekit_server, Worker("")) as worker:
        state, says = await ring(rooms)
    assert state is State.BAD
    assert says.endswith("but one is registered without a name.")
    assert [job.metadata for job in worker.jobs] == [AGENT.metadata]


async def test_a_worker_at_its_load_limit(rooms: RoomClient, livekit_server: LiveKit) -> None:
    async with working(livekit_server, Worker("sales"), load=1.0) as worker:
        state, says = await ring(rooms)
    assert (state, worker.jobs) == (State.BAD, [])
    assert "load limit" in says


async def test_a_worker_that_takes_the_job_and_stays_away(rooms: RoomClient, livekit_server: LiveKit) -> None:
    async with working(livekit_server, Worker("sales", joins=False)):
        state, says = await ring(rooms)
    assert state is State.BAD
    assert says.startswith("A worker took the job of the agent sales")


async def test_a_call_through_a_trunk_that_is_not_there(rooms: RoomClient) -> None:
    await rooms.open("dial-1", None, 60)
    with pytest.raises(NotConnected) as refused:
        await rooms.dial("dial-1", PhoneCall("ST_nobody", "+442079460123", 5, 60))
    await rooms.close("dial-1")
    await rooms.close("dial-1")
    assert refused.value.words == "requested sip trunk does not exist"


async def test_a_wrong_key(livekit_server: LiveKit) -> None:
    client = RoomClient(Endpoint(livekit_server.url, livekit_server.key, SecretStr("x" * 40)))
    with pytest.raises(Stalled, match="API key"):
        await client.open("dial-2", AGENT, 60)
    await client.aclose()
