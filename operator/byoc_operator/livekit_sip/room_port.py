"""What commands ask of LiveKit's rooms: to open and close one, who is in it, its agent's jobs, and one call."""

from dataclasses import dataclass
from typing import Protocol

from ..errors import OperatorError


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """An agent that is to join a room: the name under which its worker is registered, and the job's metadata."""

    name: str
    metadata: str


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody who has joined a room."""

    identity: str
    is_agent: bool = False


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job that LiveKit made of a request for an agent.

    `agent`: the name in the request. `identity`: as which participant the worker joins, empty while no worker has taken
    the job. `failure`: why the job does not run, in a few words; empty if it runs, or if LiveKit does not say why.
    """

    agent: str
    identity: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """One call. `ring_s`: seconds until it must be answered; `longest_s`: seconds after which LiveKit ends the call."""

    trunk_id: str
    to: str
    ring_s: int
    longest_s: int


@dataclass(eq=False)
class NotConnected(OperatorError):
    """A call was not answered. `sip_code`: the final SIP answer, None if there was none. `words`: of who refused."""

    sip_code: int | None
    words: str

    def __post_init__(self) -> None:
        self.message = f"the call was not connected: SIP {self.sip_code or 'without an answer'} {self.words}".strip()


class Rooms(Protocol):
    """LiveKit's rooms. Every call ends in bounded time and raises Failure."""

    async def open(self, room: str, agent: AgentRequest | None, empty_s: int) -> None:
        """Create a room and send the agent into it. LiveKit closes the room if it is empty for `empty_s` seconds."""
        ...

    async def dispatch(self, room: str, agent: AgentRequest) -> None:
        """Send one more agent into a room."""
        ...

    async def jobs(self, room: str) -> tuple[JobSeen, ...]:
        """The jobs of all agents that were sent into a room."""
        ...

    async def participants(self, room: str) -> tuple[Participant, ...]:
        """Who has joined a room."""
        ...

    async def dial(self, room: str, call: PhoneCall) -> str:
        """Place a call and wait until it is answered; LiveKit's ID of the call. Raises NotConnected too."""
        ...

    async def close(self, room: str) -> None:
        """Delete a room, which ends its calls and its agents' jobs. A room that is already gone is a success."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
