"""LiveKit's rooms over HTTP, through livekit-api: what `kubectl byoc` needs to ring an agent and to place a call."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from livekit.api import LiveKitAPI
from livekit.protocol.agent import Job, JobStateReason, JobStatus
from livekit.protocol.agent_dispatch import CreateAgentDispatchRequest, RoomAgentDispatch
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import CreateRoomRequest, DeleteRoomRequest, ListParticipantsRequest
from livekit.protocol.sip import CreateSIPParticipantRequest

from ..errors import Gone
from .endpoint import Endpoint
from .error_map import LIBRARY_ERRORS, from_call, from_library, quote
from .room_port import AgentRequest, JobSeen, Participant, PhoneCall
from .session import SignedSession

_Result = TypeVar("_Result")

_AFTER_RINGING_S = 15.0
"""How much longer than the phone may ring a call waits for LiveKit's reply."""

_JOINED = (ParticipantInfo.State.JOINED, ParticipantInfo.State.ACTIVE)

_FAILURES = {
    JobStateReason.JSR_NO_CAPACITY: "no worker has capacity",
    JobStateReason.JSR_RETRYING: "LiveKit looks for another worker",
    JobStateReason.JSR_ROOM_CLOSED: "the room was closed",
    JobStateReason.JSR_DISPATCH_DELETED: "the request for the agent was deleted",
}


class RoomClient:
    """`room_port.Rooms` over the network. To be created inside a running event loop and closed with `aclose`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._timeout_s = endpoint.timeout_s
        self._session = SignedSession(endpoint, time.monotonic)

    async def open(self, room: str, agent: AgentRequest | None, empty_s: int) -> None:
        """Create the room with its agent in one call, as LiveKit does for a call that comes in.

        A room without a request for an agent would also start the workers that are registered without a name.
        """
        agents = [RoomAgentDispatch(agent_name=agent.name, metadata=agent.metadata)] if agent else []
        request = CreateRoomRequest(name=room, empty_timeout=empty_s, departure_timeout=empty_s, agents=agents)
        await self._call(lambda livekit: livekit.room.create_room(request))

    async def dispatch(self, room: str, agent: AgentRequest) -> None:
        """Send one more agent into a room."""
        request = CreateAgentDispatchRequest(room=room, agent_name=agent.name, metadata=agent.metadata)
        await self._call(lambda livekit: livekit.agent_dispatch.create_dispatch(request))

    async def jobs(self, room: str) -> tuple[JobSeen, ...]:
        """The jobs of all agents that were sent into the room."""
        found = await self._call(lambda livekit: livekit.agent_dispatch.list_dispatch(room))
        return tuple(_job(dispatch.agent_name, job) for dispatch in found for job in dispatch.state.jobs)

    async def participants(self, room: str) -> tuple[Participant, ...]:
        """Who has joined the room."""
        request = ListParticipantsRequest(room=room)
        found = (await self._call(lambda livekit: livekit.room.list_participants(request))).participants
        agent = ParticipantInfo.Kind.AGENT
        return tuple(Participant(each.identity, each.kind == agent) for each in found if each.state in _JOINED)

    async def dial(self, room: str, call: PhoneCall) -> str:
        """Place a call and wait until it is answered; LiveKit's ID of the call. Raises NotConnected too."""
        request = CreateSIPParticipantRequest(
            sip_trunk_id=call.trunk_id,
            sip_call_to=call.to,
            room_name=room,
            participant_identity=f"sip_{call.to}",
            wait_until_answered=True,
            ringing_timeout=Duration(seconds=call.ring_s),
            max_call_duration=Duration(seconds=call.longest_s),
        )
        try:
            async with asyncio.timeout(call.ring_s + _AFTER_RINGING_S):
                return (await self._session.library().sip.create_sip_participant(request)).sip_call_id
        except LIBRARY_ERRORS as exc:
            raise from_call(exc) from exc

    async def close(self, room: str) -> None:
        """Delete the room. A room that is already gone is a success."""
        with suppress(Gone):
            await self._call(lambda livekit: livekit.room.delete_room(DeleteRoomRequest(room=room)))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.aclose()

    async def _call(self, call: Callable[[LiveKitAPI], Awaitable[_Result]]) -> _Result:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call(self._session.library())
        except LIBRARY_ERRORS as exc:
            raise from_library(exc) from exc


def _job(agent: str, job: Job) -> JobSeen:
    state = job.state
    failed = JobStatus.Name(JobStatus.JS_FAILED) if state.status == JobStatus.JS_FAILED else ""
    failure = quote(state.error) or _FAILURES.get(state.reason, "") or failed
    return JobSeen(agent, state.participant_identity, failure)
