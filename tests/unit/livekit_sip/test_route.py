"""The way to LiveKit: authorities and proxies, with a real proxy and a real TLS server on 127.0.0.1."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit.protocol.sip import ListSIPOutboundTrunkResponse

from answering import Server, refusal, reply
from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import OutboundTrunk
from byoc_operator.errors import CannotRun, Failure, Unavailable
from byoc_operator.livekit_sip.route import MAX_CA_BYTES, route_to
from connect_proxy import ConnectProxy
from sip_servers import Authority

LOGIN = "proxy-user:sekrit-word"
URL = "wss://livekit.example.com"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[Server]:
    """A LiveKit behind TLS, with a certificate of the private authority."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return await reply(ListSIPOutboundTrunkResponse())

    state, app = Server(), web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=authority.serving("127.0.0.1"))
    state.url = f"https://127.0.0.1:{server.port}"
    yield state
    for client in state.clients:
        await client.aclose()
    for _ in range(1000):  # TLS takes some turns of the loop to close
        if not server.handler.connections:
            break
        await asyncio.sleep(0.01)
    await server.close()


async def listed(server: Server, ca_file: Path | None, environment: dict[str, str]) -> list[OutboundTrunk]:
    """LiveKit's trunks, read by this way."""
    return await server.client(route=route_to(server.url, ca_file, environment)).list_all(OutboundTrunk)


async def failure(server: Server, ca_file: Path, environment: dict[str, str]) -> Failure:
    return await refusal(server.client(route=route_to(server.url, ca_file, environment)))


# --- authorities ------------------------------------------------------------------------------------------------------


async def test_a_certificate_of_a_private_authority_is_accepted_with_its_file(secure: Server, tmp_path: Path) -> None:
    assert await listed(secure, tmp_path / "root.pem", {}) == []


async def test_a_certificate_of_a_private_authority_is_refused_without_its_file(secure: Server) -> None:
    assert (await refusal(secure.client())).reason is Reason.LIVEKIT_MISCONFIGURED


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read"),
        (b"", "has no certificate in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n", "has no certificate in PEM form"),
        (b"a" * (MAX_CA_BYTES + 1), "must be a file of at most 1 MB"),
    ],
    ids=["missing", "empty", "broken", "too long"],
)
def test_a_wrong_file_of_authorities_stops_with_one_line(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CannotRun, match=words) as wrong:
        route_to(URL, path, {})
    assert wrong.value.message.startswith("BYOC_LIVEKIT_CA_FILE: ")
    assert "\n" not in wrong.value.message


# --- proxies ----------------------------------------------------------------------------------------------------------


async def test_calls_go_through_the_proxy_with_its_credentials(
    secure: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ConnectProxy(LOGIN) as proxy:
        environment = {"HTTPS_PROXY": f"http://{LOGIN}@127.0.0.1:{proxy.port}"}
        assert await listed(secure, tmp_path / "root.pem", environment) == []
        assert proxy.tunnels == [urlsplit(secure.url).netloc]
    assert f"through the proxy 127.0.0.1:{proxy.port}" in caplog.text
    assert "sekrit-word" not in caplog.text


@pytest.mark.parametrize("environment", [{}, {"HTTP_PROXY": "{}"}, {"HTTPS_PROXY": "{}", "NO_PROXY": "127.0.0.0/8"}])
async def test_no_call_goes_through_a_proxy_that_is_not_for_it(
    secure: Server, tmp_path: Path, environment: dict[str, str]
) -> None:
    with ConnectProxy() as proxy:
        told = {name: text.format(f"http://127.0.0.1:{proxy.port}") for name, text in environment.items()}
        assert await listed(secure, tmp_path / "root.pem", told) == []
        assert proxy.tunnels == []


@pytest.mark.parametrize(
    ("login", "status", "reason", "words"),
    [
        ("user:wrong", 200, Reason.LIVEKIT_MISCONFIGURED, "HTTP 407"),
        (LOGIN, 403, Reason.LIVEKIT_MISCONFIGURED, "HTTP 403"),
        (LOGIN, 502, Reason.LIVEKIT_UNAVAILABLE, "HTTP 502"),
    ],
)
async def test_what_a_proxy_refuses_is_told_as_the_proxys(
    secure: Server, tmp_path: Path, login: str, status: int, reason: Reason, words: str
) -> None:
    with ConnectProxy(LOGIN, status) as proxy:
        environment = {"HTTPS_PROXY": f"http://{login}@127.0.0.1:{proxy.port}"}
        refused = await failure(secure, tmp_path / "root.pem", environment)
    assert (refused.reason, proxy.tunnels) == (reason, [])
    assert "proxy" in refused.message
    assert words in refused.message
    assert "sekrit-word" not in f"{refused!r}"


async def test_a_proxy_that_is_down_is_told_and_nothing_was_sent(secure: Server, tmp_path: Path) -> None:
    with ConnectProxy() as proxy:
        port = proxy.port
    refused = await failure(secure, tmp_path / "root.pem", {"HTTPS_PROXY": f"127.0.0.1:{port}"})
    assert isinstance(refused, Unavailable)
    assert (refused.message, refused.outcome_unknown) == (
        "The proxy before LiveKit cannot be reached.",
        False,
    )


@pytest.mark.parametrize(
    ("text", "place", "user", "password"),
    [
        ("http://proxy.example.com:3128", "proxy.example.com:3128", "", ""),
        ("proxy.example.com:3128", "proxy.example.com:3128", "", ""),
        ("http://us%40er:p%3Aw@[2001:db8::1]:3128/", "[2001:db8::1]:3128", "us@er", "p:w"),
    ],
)
def test_the_proxy_is_read_as_curl_reads_it(text: str, place: str, user: str, password: str) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        proxy = route_to(URL, None, {name: text}).proxy
        assert proxy is not None
        assert (proxy.place, proxy.user, proxy.password.get_secret_value()) == (place, user, password)


@pytest.mark.parametrize(
    "text",
    [
        "socks5://u:sekrit-word@proxy:1080",
        "https://u:sekrit-word@proxy",
        "http://u:sekrit-word@",
        "http://u:sekrit-word@[proxy",
        "http://u:sekrit-word@proxy/path",
        "http://u%3A:sekrit-word@proxy",
        "http://\u00fc:sekrit-word@proxy",
    ],
)
def test_a_wrong_proxy_stops_with_one_line_without_its_credentials(text: str) -> None:
    with pytest.raises(CannotRun) as wrong:
        route_to(URL, None, {"HTTPS_PROXY": text})
    assert wrong.value.message.startswith("HTTPS_PROXY: ")
    assert " must be " in wrong.value.message
    assert "sekrit-word" not in f"{wrong.value!r}{wrong.value.__context__!r}{wrong.value.__cause__!r}"


@pytest.mark.parametrize(
    ("url", "exceptions", "direct"),
    [
        (URL, "", False),
        (URL, "example.com", True),
        (URL, ".example.com", True),
        (URL, "*.EXAMPLE.com", True),
        (URL, "ample.com", False),
        (URL, "10.0.0.0/8, livekit.example.com:443", True),
        (URL, "livekit.example.com:7880", False),
        (URL, "*", True),
        (URL, " , .", False),
        ("wss://10.1.2.3:7443", "10.0.0.0/8", True),
        ("wss://10.1.2.3:7443", "10.1.2.3", True),
        ("wss://11.1.2.3:7443", "10.0.0.0/8", False),
        ("wss://[2001:db8::1]:7443", "2001:db8::/32", True),
        ("wss://livekit.voice.svc:7443", "svc", True),
    ],
)
def test_no_proxy_is_used_for_a_host_that_no_proxy_names(url: str, exceptions: str, *, direct: bool) -> None:
    environment = {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": exceptions}
    assert (route_to(url, None, environment).proxy is None) is direct


@pytest.mark.parametrize("url", ["livekit.example.com", "wss://[livekit", "wss://livekit:port", "ftp://livekit"])
def test_the_way_to_no_url_stops_with_one_line(url: str) -> None:
    with pytest.raises(CannotRun, match=r"^LIVEKIT_URL: must be a ws, wss, http or https URL"):
        route_to(url, None, {"HTTPS_PROXY": "proxy:3128"})


def test_http_and_ws_have_a_proxy_of_their_own() -> None:
    environment = {"HTTPS_PROXY": "secure:3128", "HTTP_PROXY": "plain:3128"}
    places = {url: route_to(url, None, environment).proxy for url in (URL, "ws://livekit", "http://livekit")}
    assert [proxy.place for proxy in places.values() if proxy] == ["secure:3128", "plain:3128", "plain:3128"]
