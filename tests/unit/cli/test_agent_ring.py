"""`kubectl byoc doctor --ring-agent`: whether an agent answers, and why not."""

import json
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.resource import parse
from byoc_operator.cli.agent_ring import agents_of, ring_agent
from byoc_operator.cli.outside import Outside
from byoc_operator.diagnosis.check import Check, State
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.room_port import AgentRequest, JobSeen
from operated import NAMESPACE, PHONE, manifest
from rooms_played import RoomsPlayed

AGENT = AgentRequest("sales", "{}")


def requests(agent_name: str = "", **spec: Any) -> tuple[AgentRequest, ...]:
    raw = manifest("main", **{"phoneNumber": PHONE, **spec})
    raw["metadata"] |= {
        "uid": "u",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2027-01-15T07:00:00Z",
    }
    return agents_of(parse(raw), agent_name)


def request(agent_name: str = "", **spec: Any) -> AgentRequest | None:
    return next(iter(requests(agent_name, **spec)), None)


async def rung(rooms: RoomsPlayed) -> Check:
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    check = await ring_agent(rooms, AGENT, Outside(clock=lambda: now[0], sleep=sleep))
    assert not rooms.open_rooms
    return check


def test_the_agent_is_told_what_it_is_told_of_a_call_and_that_it_is_a_probe() -> None:
    agent = request(inboundAgentId="agent_in", inbound={"allowAnyAddress": True, "agentMetadata": {"team": "sales"}})
    assert agent is not None
    assert agent.name == "agent_in"
    assert json.loads(agent.metadata) == {
        "agentId": "agent_in",
        "phoneNumber": PHONE,
        "direction": "inbound",
        "namespace": NAMESPACE,
        "name": "main",
        "team": "sales",
        "probe": True,
    }


def test_one_agent_for_all_numbers_is_rung_by_its_name() -> None:
    agent = request("everyone", inboundAgentId="agent_in", inbound={"allowAnyAddress": True})
    assert agent is not None
    assert (agent.name, json.loads(agent.metadata)["agentId"]) == ("everyone", "agent_in")


def test_every_agent_of_a_call_is_rung_and_told_the_same() -> None:
    inbound = {"allowAnyAddress": True, "additionalAgentIds": ["agent_notes", "everyone"]}
    own = requests(inboundAgentId="agent_in", inbound=inbound)
    assert [agent.name for agent in own] == ["agent_in", "agent_notes", "everyone"]
    assert len({agent.metadata for agent in own}) == 1
    one_for_all = requests("everyone", inboundAgentId="agent_in", inbound=inbound)
    assert [agent.name for agent in one_for_all] == ["everyone", "agent_notes"]


def test_a_call_out_has_one_agent() -> None:
    inbound = {"allowAnyAddress": True, "additionalAgentIds": ["agent_notes"]}
    agents = requests(inboundAgentId=None, outboundAgentId="agent_out", inbound=inbound)
    assert [agent.name for agent in agents] == ["agent_out"]


async def test_an_agent_that_joins() -> None:
    rooms = RoomsPlayed(agent_comes_at=5)
    assert await rung(rooms) == Check("Agent answers", State.OK, "The agent sales joined a room after 1.0 s.")
    assert [each.name for each in rooms.agents] == ["sales"]


@pytest.mark.parametrize(
    ("jobs", "said", "asked"),
    [
        ((), "No worker took the job within 10 s", ["sales", ""]),
        ((JobSeen("", "agent-1"),), "but one is registered without a name", ["sales", ""]),
        ((JobSeen("sales", "agent-1"),), "did not join the room within 10 s", ["sales"]),
        ((JobSeen("sales", "", "no worker has capacity"),), "no worker has capacity", ["sales"]),
    ],
)
async def test_an_agent_that_does_not_join(jobs: tuple[JobSeen, ...], said: str, asked: list[str]) -> None:
    rooms = RoomsPlayed(agent_comes_at=0, jobs_seen=jobs)
    check = await rung(rooms)
    assert check.state is State.BAD
    assert said in check.says
    assert check.remedy
    assert [each.name for each in rooms.agents] == asked


async def test_a_livekit_that_is_away_proves_nothing() -> None:
    rooms = RoomsPlayed(
        open_fails=Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit did not answer in time.", outcome_unknown=True)
    )
    check = await rung(rooms)
    assert (check.state, check.says) == (State.UNKNOWN, "The agent was not rung: LiveKit did not answer in time.")
