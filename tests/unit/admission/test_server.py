"""The server of the webhook: when it is ready, and which certificate it shows."""

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from byoc_operator.admission.certificates import (
    Certificates,
    renewed,
)
from byoc_operator.admission.server import AdmissionServer
from byoc_operator.admission.storage import Serving, SharedCertificates
from byoc_operator.admission.webhook import Webhook
from byoc_operator.admission.webhook_configuration import WebhookConfiguration
from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import WATCH_LABEL
from byoc_operator.cluster.fake import Fail, FakeApi
from byoc_operator.errors import OperatorError, Unavailable
from byoc_operator.sealing.freshness import Keys
from testbed.part import free_port
from webhook_parts import NAMES, NOW, RING, SYSTEM, at, put_configuration

NO_KEYS = Keys(None, "there are none")


async def test_it_is_ready_with_keys_and_a_certificate_and_shows_a_renewed_one_without_restart() -> None:
    keys = [NO_KEYS]
    found = renewed(None, NAMES, datetime.now(UTC))
    port, server = await _server(keys)
    try:
        with pytest.raises(aiohttp.ClientConnectionError):
            await _get(port, found)
        server.use(Serving(found.certificate, found.key))
        assert await _get(port, found) == (503, [f"the sealing keys: {NO_KEYS.problem}"])
        keys[0] = Keys(RING)
        assert await _get(port, found) == (200, [])
        other = renewed(None, NAMES, datetime.now(UTC))
        with pytest.raises(OperatorError):
            server.use(Serving(other.certificate, found.key))
        assert await _get(port, found) == (200, [])
        server.use(Serving(other.certificate, other.key))
        assert await _get(port, other) == (200, [])
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await _get(port, found)
    finally:
        await server.stop()


async def test_an_expired_certificate_is_not_ready() -> None:
    server = AdmissionServer(0, _given([Keys(RING)]), lambda _: None, lambda: at(91))
    found = renewed(None, NAMES, NOW)
    server.use(Serving(found.certificate, found.key))
    assert await server.problems() == ["a valid certificate"]


async def test_a_review_over_https_is_answered() -> None:
    keys = [Keys(RING)]
    found = renewed(None, NAMES, datetime.now(UTC))
    counted: list[str] = []
    port, server = await _server(keys, counted)
    server.use(Serving(found.certificate, found.key))
    secret = {"metadata": {"labels": {WATCH_LABEL: "true"}}, "data": {"password": base64.b64encode(b"plain").decode()}}
    request = {"uid": "u-1", "operation": "CREATE", "namespace": "voice", "object": secret}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    try:
        status, answer = await _post(port, found, body)
        assert status == 200
        told = json.loads(answer)
        assert (told["apiVersion"], told["kind"], told["response"]["uid"]) == (
            "admission.k8s.io/v1",
            "AdmissionReview",
            "u-1",
        )
        assert told["response"]["patchType"] == "JSONPatch"
        keys[0] = NO_KEYS
        assert not json.loads((await _post(port, found, body))[1])["response"]["allowed"]
        assert counted == ["sealed", "refused"]
    finally:
        await server.stop()


async def test_it_keeps_trying_until_the_api_server_can_be_told() -> None:
    api = FakeApi()
    port, server = await _server([Keys(RING)])
    webhook = Webhook(
        server, SharedCertificates(api, SYSTEM, NAMES), WebhookConfiguration(api, "byoc-operator-sealing")
    )
    try:
        assert webhook.ends_at_s is None, "nothing is shown yet"
        assert not await webhook.look(), "there is no such configuration yet"
        assert await server.problems() == [], "which keeps nobody from being served"
        put_configuration(api, [{}])
        assert await webhook.look()
        assert webhook.ends_at_s is not None
        ends_in = datetime.fromtimestamp(webhook.ends_at_s, UTC) - datetime.now(UTC)
        assert timedelta(days=89) < ends_in < timedelta(days=90)
        writes = len(api.writes)
        assert await webhook.look()
        assert len(api.writes) == writes
    finally:
        await server.stop()
    assert port


async def test_a_new_certificate_is_shown_once_the_api_server_trusts_it() -> None:
    api = FakeApi()
    put_configuration(api, [{}])
    source = _Source(renewed(None, NAMES, datetime.now(UTC)))
    port, server = await _server([Keys(RING)])
    webhook = Webhook(server, source, WebhookConfiguration(api, "byoc-operator-sealing"))
    try:
        first = source.found
        assert await webhook.look()
        source.found = renewed(None, NAMES, datetime.now(UTC))
        api.inject(
            Fail(Unavailable(Reason.KUBERNETES_UNAVAILABLE, "not now")), "PATCH", "mutatingwebhookconfigurations"
        )
        assert not await webhook.look()
        assert await _get(port, first) == (200, [])
        assert await webhook.look()
        assert await _get(port, source.found) == (200, [])
    finally:
        await server.stop()


class _Source:
    def __init__(self, found: Certificates) -> None:
        self.found = found

    async def current(self) -> Serving:
        return Serving(self.found.certificate, self.found.key, self.found.authorities)


async def _server(keys: list[Keys], counted: list[str] | None = None) -> tuple[int, AdmissionServer]:
    port = free_port()
    server = AdmissionServer(port, _given(keys), counted.append if counted is not None else lambda _: None)
    await server.start()
    return port, server


def _given(keys: list[Keys]) -> Any:
    async def now() -> Keys:
        return keys[0]

    return now


def _session(found: Certificates) -> aiohttp.ClientSession:
    trust = ssl.create_default_context(cadata=found.authorities.decode())
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))


async def _get(port: int, found: Certificates) -> tuple[int, list[str]]:
    async with _session(found) as session, session.get(f"https://127.0.0.1:{port}/readyz") as answer:
        return answer.status, (await answer.json())["waitingFor"]


def _posted(session: aiohttp.ClientSession, port: int, body: str) -> Any:
    headers = {"Content-Type": "application/json"}
    return session.post(f"https://127.0.0.1:{port}/seal", data=body, headers=headers)


async def _post(port: int, found: Certificates, body: str) -> tuple[int, str]:
    async with _session(found) as session, _posted(session, port, body) as answer:
        return answer.status, await answer.text()
