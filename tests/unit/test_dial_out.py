"""The example that dials out, against a LiveKit that answers as the test says: no caller stays in a room alone."""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import web
from google.protobuf.message import Message
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.models import Room as RoomInfo
from livekit.protocol.room import CreateRoomRequest, DeleteRoomResponse, ListParticipantsResponse
from livekit.protocol.sip import CreateSIPParticipantRequest, SIPParticipantInfo

_DIAL_OUT = Path(__file__).parents[2] / "docs" / "dial_out.py"


@pytest.fixture(scope="module")
def dial_out() -> Iterator[ModuleType]:
    """docs/dial_out.py."""
    spec = importlib.util.spec_from_file_location("dial_out_under_test", _DIAL_OUT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@dataclass
class Room:
    """A LiveKit with one room. `agent_comes_at`: the look at the participants that first sees the agent, 0: never.

    `refusal`: how the call is refused: Twirp code, message, metadata. `rings`: the call is never answered.
    """

    agent_comes_at: int = 1
    refusal: tuple[str, str, dict[str, str]] | None = None
    rings: bool = False
    asked: list[str] = field(default_factory=list)
    created: CreateRoomRequest | None = None
    ringing: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        method = request.path.rpartition("/")[2]
        self.asked.append(method)
        match method:
            case "CreateRoom":
                self.created = CreateRoomRequest.FromString(await request.read())
                return _protobuf(RoomInfo(name=self.created.name))
            case "ListParticipants":
                there = self.agent_comes_at and self.asked.count(method) >= self.agent_comes_at
                found = [ParticipantInfo(identity="agent", kind=ParticipantInfo.Kind.AGENT)] if there else []
                return _protobuf(ListParticipantsResponse(participants=found))
            case "CreateSIPParticipant":
                return await self._call()
            case _:
                assert method == "DeleteRoom"
                return _protobuf(DeleteRoomResponse())

    async def _call(self) -> web.Response:
        self.ringing.set()
        if self.rings:
            await asyncio.Event().wait()
        if self.refusal is None:
            return _protobuf(SIPParticipantInfo(sip_call_id="SCL_1"))
        code, message, metadata = self.refusal
        return web.json_response({"code": code, "msg": message, "meta": metadata}, status=412)


def _protobuf(message: Message) -> web.Response:
    return web.Response(body=message.SerializeToString(), content_type="application/protobuf")


@asynccontextmanager
async def _served(room: Room, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_post("/{path:.*}", room.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    monkeypatch.setenv("LIVEKIT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("LIVEKIT_API_KEY", "key")
    monkeypatch.setenv("LIVEKIT_API_SECRET", "a-secret-that-is-long-enough-for-hs256")
    try:
        yield
    finally:
        await runner.cleanup()


def _call(dial_out: ModuleType) -> object:
    return dial_out.Call(
        room=CreateRoomRequest(name="outbound-1", agents=[RoomAgentDispatch(agent_name="agent_sales", metadata="{}")]),
        phone=CreateSIPParticipantRequest(
            sip_trunk_id="ST_1", sip_call_to="+442079460123", room_name="outbound-1", wait_until_answered=True
        ),
    )


async def test_the_phone_rings_only_once_the_agent_is_there(
    dial_out: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(agent_comes_at=3)
    async with _served(room, monkeypatch):
        assert await dial_out.dial(_call(dial_out)) == "SCL_1"
    assert room.asked == ["CreateRoom", *["ListParticipants"] * 3, "CreateSIPParticipant"]
    assert room.created is not None
    assert [each.agent_name for each in room.created.agents] == ["agent_sales"]


async def test_without_an_agent_nobody_is_called(dial_out: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(agent_comes_at=0)
    async with _served(room, monkeypatch):
        with pytest.raises(dial_out.CannotDial, match=r"no agent came within 0\.3 s.* registered as agent_sales"):
            await dial_out.dial(_call(dial_out), 0.3)
    assert "CreateSIPParticipant" not in room.asked
    assert room.asked[-1] == "DeleteRoom"


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (("internal", "max auth retry attempts reached", {}), "refuses the credentials"),
        (("failed_precondition", "twirp", {"sip_status_code": "407", "sip_status": "x"}), "refuses the credentials"),
        (("failed_precondition", "twirp", {"sip_status_code": "486", "sip_status": "Busy Here"}), "is busy"),
        (("failed_precondition", "twirp", {"sip_status_code": "488", "sip_status": "x"}), "spec.mediaEncryption"),
        (("failed_precondition", "twirp", {"sip_status_code": "599", "sip_status": "Odd"}), "SIP 599: Odd"),
        (("unavailable", "no response from servers", {}), "no response from servers"),
    ],
)
async def test_a_refused_call_is_explained_and_leaves_nobody_in_the_room(
    dial_out: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    refusal: tuple[str, str, dict[str, str]],
    told: str,
) -> None:
    room = Room(refusal=refusal)
    async with _served(room, monkeypatch):
        with pytest.raises(dial_out.CannotDial, match=told):
            await dial_out.dial(_call(dial_out))
    assert room.asked[-1] == "DeleteRoom"


async def test_an_interrupted_call_stops_ringing(dial_out: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(rings=True)
    async with _served(room, monkeypatch):
        dialling = asyncio.create_task(dial_out.dial(_call(dial_out)))
        async with asyncio.timeout(10):
            await room.ringing.wait()
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
    assert room.asked[-1] == "DeleteRoom"


async def test_a_livekit_that_is_not_there_is_told(dial_out: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _served(Room(), monkeypatch):
        pass
    with pytest.raises(dial_out.CannotDial, match="LiveKit cannot be reached"):
        await dial_out.dial(_call(dial_out))
