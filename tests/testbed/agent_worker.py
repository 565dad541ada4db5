"""A worker of LiveKit agents, reduced to its protocol: it registers, takes jobs, and joins their rooms.

The package livekit-agents has 35 dependencies (audio, video, a machine-learning runtime), which no test here needs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from livekit.api import AccessToken, VideoGrants
from livekit.protocol.agent import (
    AvailabilityResponse,
    Job,
    JobAssignment,
    JobType,
    RegisterWorkerRequest,
    ServerMessage,
    UpdateWorkerStatus,
    WorkerMessage,
    WorkerStatus,
)

from testbed.livekit_parts import LiveKit

_SIGNAL_PROTOCOL = 9
"""The version of LiveKit's signalling that the worker speaks, for joining a room."""


@dataclass
class Worker:
    """A registered worker. `takes_jobs`: whether it accepts them; `joins`: whether it joins their rooms."""

    name: str
    takes_jobs: bool = True
    joins: bool = True
    jobs: list[Job] = field(default_factory=list)
    _sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    async def work(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, url: str) -> None:
        """Answer LiveKit until the connection ends."""
        async for received in socket:
            if received.type is not aiohttp.WSMsgType.BINARY:
                continue
            message = ServerMessage.FromString(received.data)
            match message.WhichOneof("message"):
                case "availability":
                    self.jobs.append(message.availability.job)
                    answer = AvailabilityResponse(
                        job_id=message.availability.job.id,
                        available=self.takes_jobs,
                        participant_identity=f"agent-{message.availability.job.id}",
                    )
                    await socket.send_bytes(WorkerMessage(availability=answer).SerializeToString())
                case "assignment" if self.joins:
                    await self._join(session, url, message.assignment)

    async def _join(self, session: aiohttp.ClientSession, url: str, assignment: JobAssignment) -> None:
        """Join the room: LiveKit counts who opens the signalling connection with the job's token."""
        query = {"access_token": assignment.token, "protocol": str(_SIGNAL_PROTOCOL), "auto_subscribe": "0"}
        self._sockets.append(await session.ws_connect(f"{url}/rtc", params=query))


@asynccontextmanager
async def working(livekit: LiveKit, worker: Worker, load: float = 0.0) -> AsyncIterator[Worker]:
    """A worker that is registered while the block runs. `load`: what it reports, 1 is the most."""
    token = AccessToken(livekit.key, livekit.secret).with_grants(VideoGrants(agent=True)).to_jwt()
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{livekit.url}/agent", headers=headers) as socket,
    ):
        register = RegisterWorkerRequest(type=JobType.JT_ROOM, agent_name=worker.name, version="0")
        await socket.send_bytes(WorkerMessage(register=register).SerializeToString())
        answer = ServerMessage.FromString(await socket.receive_bytes(timeout=5))
        assert answer.WhichOneof("message") == "register"
        status = WorkerStatus.WS_FULL if load >= 1 else WorkerStatus.WS_AVAILABLE
        update = UpdateWorkerStatus(status=status, load=load)
        await socket.send_bytes(WorkerMessage(update_worker=update).SerializeToString())
        task = asyncio.create_task(worker.work(session, socket, livekit.url))
        try:
            yield worker
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
