"""LiveKit's rooms in memory: who joins, and what becomes of a call, is decided by the test."""

import asyncio
from dataclasses import dataclass, field

from byoc_operator.errors import OperatorError
from byoc_operator.livekit_sip.room_port import AgentRequest, JobSeen, NotConnected, Participant, PhoneCall


@dataclass
class RoomsPlayed:
    """`agent_comes_at`: the look at the participants that first sees the agent, 0: never.

    `failure`: how the call ends if it is not answered. `interrupts`: whether Ctrl-C comes while the phone rings.
    `talks`: how many looks see the other side after the answer. `jobs_seen`: jobs by the name of their agent.
    """

    agent_comes_at: int = 1
    failure: OperatorError | None = None
    interrupts: bool = False
    talks: int = 2
    jobs_seen: tuple[JobSeen, ...] = ()
    call_id: str = "SCL_1"
    close_fails: OperatorError | None = None
    open_fails: OperatorError | None = None
    asked: list[str] = field(default_factory=list)
    agents: list[AgentRequest] = field(default_factory=list)
    calls: list[PhoneCall] = field(default_factory=list)
    open_rooms: set[str] = field(default_factory=set)

    async def open(self, room: str, agent: AgentRequest | None, empty_s: int) -> None:
        self.asked.append("open")
        assert empty_s > 0
        self.open_rooms.add(room)
        self.agents += [agent] if agent else []
        if self.open_fails:
            raise self.open_fails

    async def dispatch(self, room: str, agent: AgentRequest) -> None:
        assert room in self.open_rooms
        self.asked.append("dispatch")
        self.agents.append(agent)

    async def jobs(self, room: str) -> tuple[JobSeen, ...]:
        assert room in self.open_rooms
        sent = {each.name for each in self.agents}
        return tuple(each for each in self.jobs_seen if each.agent in sent)

    async def participants(self, room: str) -> tuple[Participant, ...]:
        assert room in self.open_rooms
        self.asked.append("participants")
        looks = self.asked.count("participants")
        agent = [Participant("agent-1", is_agent=True)] if self.agents and 0 < self.agent_comes_at <= looks else []
        self.talks -= bool(self.calls)
        return (*agent, *([Participant("sip_1")] if self.calls and self.talks >= 0 else []))

    async def dial(self, room: str, call: PhoneCall) -> str:
        assert room in self.open_rooms
        self.asked.append("dial")
        if self.interrupts:
            raise asyncio.CancelledError
        if self.failure:
            raise self.failure
        self.calls.append(call)
        return self.call_id

    async def close(self, room: str) -> None:
        self.asked.append("close")
        if self.close_fails:
            raise self.close_fails
        self.open_rooms.discard(room)

    async def aclose(self) -> None:
        self.asked.append("aclose")


def refused(sip_code: int | None, words: str = "") -> NotConnected:
    return NotConnected(sip_code, words)
