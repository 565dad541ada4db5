"""Waits in a room of LiveKit until an agent has joined it, and closes rooms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..errors import Failure, Unavailable
from ..livekit_sip.room_port import AgentRequest, JobSeen, Rooms
from .outside import Outside
from .terminal import tell

LOOK_S = 0.25

EMPTY_S = 60
"""After this time LiveKit closes an empty room by itself, if the command could not."""


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """How the wait ended. `joined_s`: when the agent joined, None if it did not. `jobs`: what LiveKit says of them."""

    joined_s: float | None
    jobs: tuple[JobSeen, ...] = ()


@asynccontextmanager
async def room_with(rooms: Rooms, room: str, agent: AgentRequest | None) -> AsyncIterator[None]:
    """A room that is closed however the block ends; its agent is on the way."""
    may_be_there = True
    try:
        try:
            await rooms.open(room, agent, EMPTY_S)
        except Failure as exc:
            may_be_there = isinstance(exc, Unavailable) and exc.outcome_unknown  # a lost reply leaves a room
            raise
        yield
    finally:
        if may_be_there:
            await _close(rooms, room)


async def _close(rooms: Rooms, room: str) -> None:
    try:
        await rooms.close(room)
    except Failure as exc:
        tell(exc.message, head=f"the room {room} could not be closed, delete it in LiveKit:")


async def wait_for_agent(rooms: Rooms, room: str, within_s: float, outside: Outside) -> AgentSeen:
    """Wait until an agent has joined the room."""
    began = outside.clock()
    while True:
        if any(each.is_agent for each in await rooms.participants(room)):
            return AgentSeen(outside.clock() - began, await rooms.jobs(room))
        if outside.clock() - began >= within_s:
            return AgentSeen(None, await rooms.jobs(room))
        await outside.sleep(LOOK_S)
