"""The address of LiveKit and the parameters of the calls; loads no client."""

from dataclasses import dataclass

from pydantic import SecretStr

from ..api.livekit_url import livekit_url
from .route import DIRECT, Route

TIMEOUT_S = 10.0
"""Seconds for one call, unless a setting says otherwise."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of LiveKit and the parameters of the calls.

    `url`: http, https, ws or wss; a base path is kept. `timeout_s`: seconds for one call, without the wait for a slot.
    `concurrency`: calls at once. `paged`: whether lists come in pages and may lack passwords (`is_cloud`). `route`: the
    authorities and the proxy; variables of the environment count only where the route was made from them.
    """

    url: str
    key: str
    secret: SecretStr
    timeout_s: float = TIMEOUT_S
    concurrency: int = 8
    paged: bool = False
    route: Route = DIRECT


def same_server(one: str, other: str) -> bool:
    """Whether two URLs name one server: ws and http are the same, and so are a default port and none."""
    parts = livekit_url(one)
    return parts == livekit_url(other) if parts else one == other


def is_cloud(url: str) -> bool:
    """Whether the URL is one of LiveKit Cloud, which pages its lists; livekit-server returns all objects at once."""
    parts = livekit_url(url)
    return parts is not None and parts.host.endswith(".livekit.cloud")
