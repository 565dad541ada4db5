"""The two LiveKits and the two API servers that have to behave alike: the fake and the real one."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from byoc_operator.api.conditions import Reason
from byoc_operator.core.masking import make_mask
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, Mask, OutboundTrunk
from byoc_operator.errors import Stalled
from byoc_operator.livekit_sip.client import LiveKitClient
from byoc_operator.livekit_sip.endpoint import Endpoint
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.gateway import SipGateway
from contract.clusters import Cluster, FakeSide, real_side
from testbed.bed import Bed

CRD = Path(__file__).parents[2] / "crds" / "byoc.talkifai.dev_byocphonenumbers.yaml"


@dataclass(frozen=True)
class Misled:
    """Gateways to the same server that cannot work."""

    wrong_key: SipGateway
    wrong_secret: SipGateway
    wrong_path: SipGateway


@pytest.fixture(scope="session")
def mask() -> Mask:
    return make_mask(secrets.token_bytes(32))


@pytest.fixture
def number() -> str:
    return f"+1555{secrets.randbelow(10**7):07}"


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.bed)])
def server(request: pytest.FixtureRequest) -> Any:
    """None for the fake, else the test bed's server."""
    return None if request.param == "fake" else request.getfixturevalue("livekit_server")


@pytest.fixture
async def gateway(server: Any, mask: Mask) -> AsyncIterator[SipGateway]:
    """A gateway whose server is left as it was found."""
    async with opened(server, mask) as opened_gateway:
        before = await _ids(opened_gateway)
        yield opened_gateway
        for kind, made in await _ids(opened_gateway) - before:
            await opened_gateway.delete(kind, made)


@pytest.fixture
async def misled(server: Any, mask: Mask) -> AsyncIterator[Misled]:
    if server is None:
        unauthorized = Stalled(Reason.LIVEKIT_UNAUTHORIZED, "wrong key", server_wide=True)
        misconfigured = Stalled(Reason.LIVEKIT_MISCONFIGURED, "wrong path", server_wide=True)
        yield Misled(FakeLiveKit(unauthorized), FakeLiveKit(unauthorized), FakeLiveKit(misconfigured))
        return
    async with AsyncExitStack() as stack:
        yield Misled(
            wrong_key=await stack.enter_async_context(opened(server, mask, key="nobody")),
            wrong_secret=await stack.enter_async_context(opened(server, mask, secret="x" * 40)),
            wrong_path=await stack.enter_async_context(opened(server, mask, path="/elsewhere")),
        )


@asynccontextmanager
async def opened(
    server: Any, mask: Mask, *, key: str = "", secret: str = "", path: str = ""
) -> AsyncIterator[SipGateway]:
    if server is None:
        yield FakeLiveKit()
        return
    endpoint = Endpoint(server.url + path, key or server.key, SecretStr(secret or server.secret))
    client = LiveKitClient(endpoint, mask, lambda *_: None)
    try:
        yield client
    finally:
        await client.aclose()


async def _ids(gateway: SipGateway) -> set[tuple[Kind, str]]:
    return (
        {(Kind.DISPATCH_RULE, rule.id) for rule in await gateway.list_all(DispatchRule)}
        | {(Kind.INBOUND_TRUNK, trunk.id) for trunk in await gateway.list_all(InboundTrunk)}
        | {(Kind.OUTBOUND_TRUNK, trunk.id) for trunk in await gateway.list_all(OutboundTrunk)}
    )


@pytest.fixture(scope="session")
def bed_with_crd(bed: Bed) -> Bed:
    """The test bed with our CRD."""
    bed.kubectl("apply", "--server-side", "-f", str(CRD))
    bed.wait_for_crd()
    return bed


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.bed)])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """An API server with the CRD and a namespace of its own."""
    if request.param == "fake":
        yield FakeSide()
        return
    bed, namespace = request.getfixturevalue("bed_with_crd"), request.getfixturevalue("namespace")
    async with real_side(bed, namespace) as real:
        yield real
