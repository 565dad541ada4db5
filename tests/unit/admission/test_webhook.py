"""The webhook's certificates, where they are kept, and the server that shows them."""

import asyncio
import base64
import json
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from byoc_operator.admission.certificates import (
    AUTHORITY_LIFE,
    CERTIFICATE_LIFE,
    RENEWED_AT,
    Certificates,
    renewed,
)
from byoc_operator.admission.server import AdmissionServer
from byoc_operator.admission.storage import CERTIFICATE_SECRET, MountedCertificates, Serving, SharedCertificates
from byoc_operator.admission.webhook import Webhook
from byoc_operator.admission.webhook_configuration import WebhookConfiguration
from byoc_operator.api.names import WATCH_LABEL
from byoc_operator.cluster.fake import Fail, FakeApi, Hold
from byoc_operator.core.credentials import KEYS_SECRET
from byoc_operator.errors import OperatorError, Unavailable
from byoc_operator.sealing.freshness import FRESH_S, MISSED_S, PATIENCE_S, STALE_S, FreshKeys, Keys
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import DATA_KEY, SealingKeys
from testbed.part import free_port
from virtual_time import in_virtual_time

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("byoc-operator-admission.byoc-system.svc", "127.0.0.1")
SYSTEM = "byoc-system"
RING = KeyRing.generate()
NO_KEYS = Keys(None, "there are none")


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def authorities(found: Certificates) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(found.authorities)


def trusted(found: Certificates, by: Certificates) -> bool:
    """Whether who trusts the authorities of `by` takes the certificate of `found`."""
    certificate = x509.load_pem_x509_certificate(found.certificate)
    return any(_issued(certificate, each) for each in authorities(by))


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    if certificate.issuer != authority.subject:
        return False
    certificate.verify_directly_issued_by(authority)
    return True


# Certificates


def test_nothing_is_renewed_before_two_thirds_of_its_life() -> None:
    first = renewed(None, NAMES, NOW)
    assert renewed(first, NAMES, at(59)) is first
    second = renewed(first, NAMES, at(61))
    assert second.certificate != first.certificate
    assert second.authorities == first.authorities
    assert trusted(second, by=first)


def test_for_a_whole_decade_and_more_each_certificate_is_trusted_before_it_is_served() -> None:
    known = renewed(None, NAMES, NOW)
    for day in range(0, 2 * AUTHORITY_LIFE.days, 10):
        now = at(day)
        found = renewed(known, NAMES, now)
        assert trusted(found, by=known), "the API server hears of an authority only after it is stored"
        ends = x509.load_pem_x509_certificate(found.certificate).not_valid_after_utc
        assert now + CERTIFICATE_LIFE / 4 < ends
        assert all(now < each.not_valid_after_utc for each in authorities(found))
        assert len(authorities(found)) <= 2
        known = found
    assert known.authorities != renewed(None, NAMES, NOW).authorities


def test_when_both_are_due_the_certificate_is_by_the_authority_that_is_trusted_already() -> None:
    known = renewed(None, NAMES, NOW)
    found = renewed(known, NAMES, at(AUTHORITY_LIFE.days * RENEWED_AT + 1))
    assert len(authorities(found)) == 2
    assert found.certificate != known.certificate
    assert trusted(found, by=known)


@pytest.mark.parametrize("names", [("other.svc",), (*NAMES, "::1")])
def test_other_names_make_another_certificate_by_the_same_authority(names: tuple[str, ...]) -> None:
    first = renewed(None, NAMES, NOW)
    second = renewed(first, names, NOW)
    assert second.authorities == first.authorities
    assert second.certificate != first.certificate


@pytest.mark.parametrize("spoiled", ["authorities", "authority_key", "certificate", "key"])
@pytest.mark.parametrize("content", [b"", b"no PEM", "other"])
def test_what_is_spoiled_is_made_anew(spoiled: str, content: bytes | str) -> None:
    first, other = renewed(None, NAMES, NOW), renewed(None, NAMES, NOW)
    parts = {name: getattr(first, name) for name in ("authorities", "authority_key", "certificate", "key")}
    parts[spoiled] = getattr(other, spoiled) if content == "other" else content
    found = renewed(Certificates(**parts), NAMES, NOW)
    assert trusted(found, by=found)
    assert renewed(found, NAMES, NOW) is found


# Where they are kept


async def test_all_replicas_serve_the_certificate_that_one_of_them_made() -> None:
    api = FakeApi()
    replicas = [SharedCertificates(api, SYSTEM, NAMES, lambda: NOW) for _ in range(3)]
    first = [await _or_none(each) for each in replicas]
    found = {each.certificate for each in first if each} | {(await each.current()).certificate for each in replicas}
    assert len(found) == 1
    assert api.requests["POST", "secrets"] == 1
    stored = api._objects["secrets", SYSTEM, CERTIFICATE_SECRET]
    assert stored["type"] == "kubernetes.io/tls", "numbers never use a Secret of this type"


async def test_of_replicas_that_make_one_at_the_same_time_the_slower_takes_that_of_the_faster() -> None:
    api = FakeApi()
    replicas = [SharedCertificates(api, SYSTEM, NAMES, lambda: NOW) for _ in range(2)]
    first = await asyncio.gather(*(_or_none(each) for each in replicas))
    assert first.count(None) == 1
    again = [await each.current() for each in replicas]
    assert again[0] == again[1] == next(each for each in first if each)


async def test_a_certificate_that_is_due_is_replaced_once() -> None:
    api, now = FakeApi(), [NOW]
    replicas = [SharedCertificates(api, SYSTEM, NAMES, lambda: now[0]) for _ in range(2)]
    first = await replicas[0].current()
    now[0] = at(70)
    await asyncio.gather(*(_or_none(each) for each in replicas))
    again = [await each.current() for each in replicas]
    assert again[0] == again[1]
    assert again[0].certificate != first.certificate
    assert again[0].authorities == first.authorities


async def _or_none(source: SharedCertificates) -> Serving | None:
    try:
        return await source.current()
    except Unavailable:
        return None


async def test_the_configuration_is_written_only_where_it_differs() -> None:
    api = FakeApi()
    _put_configuration(api, [{}, {"caBundle": "b2xk"}])
    installation = WebhookConfiguration(api, "byoc-operator-sealing")
    await installation.trust(b"PEM")
    await installation.trust(b"PEM")
    webhooks = api._objects["mutatingwebhookconfigurations", "", "byoc-operator-sealing"]["webhooks"]
    assert [each["clientConfig"]["caBundle"] for each in webhooks] == [base64.b64encode(b"PEM").decode()] * 2
    assert len(api.writes) == 1


def _put_configuration(api: FakeApi, client_configs: Iterable[dict[str, Any]]) -> None:
    webhooks = [{"name": f"w{index}", "clientConfig": each} for index, each in enumerate(client_configs)]
    metadata = {"namespace": "", "name": "byoc-operator-sealing"}
    api._create("mutatingwebhookconfigurations", {"metadata": metadata, "webhooks": webhooks})


async def test_a_missing_file_of_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"BYOC_ADMISSION_CERTIFICATE_FOLDER: .*tls\.crt"):
        await MountedCertificates(tmp_path).current()


# The keys


def _api_with_keys(ring: KeyRing = RING) -> FakeApi:
    api = FakeApi()
    _put_keys(api, ring)
    return api


def _put_keys(api: FakeApi, ring: KeyRing) -> None:
    api.put_secret(SYSTEM, KEYS_SECRET, {DATA_KEY: ring.text()}, watched=False)


def _fresh(api: FakeApi) -> FreshKeys:
    clock = asyncio.get_running_loop().time
    return FreshKeys(SealingKeys(api, SYSTEM, may_create=False, clock=clock), clock)


@in_virtual_time
async def test_the_keys_are_read_again_after_some_seconds_and_not_for_each_review() -> None:
    api = _api_with_keys()
    fresh = _fresh(api)
    assert [await fresh() for _ in range(5)] == [Keys(RING)] * 5
    assert api.requests["GET", "secrets"] == 1
    rotated = RING.rotated()
    _put_keys(api, rotated)
    await asyncio.sleep(FRESH_S + 1)
    assert await fresh() == Keys(rotated)


@in_virtual_time
async def test_keys_that_are_gone_open_and_seal_nothing_until_they_are_back() -> None:
    api = _api_with_keys()
    fresh = _fresh(api)
    await fresh()
    api.delete_secret(SYSTEM, KEYS_SECRET)
    await asyncio.sleep(FRESH_S + 1)
    assert await fresh() == Keys(RING, "there is no Secret byoc-system/byoc-sealing-keys with the keys")
    _put_keys(api, RING)
    await asyncio.sleep(FRESH_S + 1)
    assert await fresh() == Keys(RING)


@in_virtual_time
async def test_an_api_server_that_hangs_holds_up_one_review_for_a_second() -> None:
    api, time = _api_with_keys(), asyncio.get_running_loop().time
    fresh = _fresh(api)
    await fresh()
    await asyncio.sleep(FRESH_S + 1)
    api.inject(Hold(asyncio.Event()), "GET", "secrets")
    began = time()
    assert await asyncio.gather(*(fresh() for _ in range(20))) == [Keys(RING)] * 20
    assert time() - began == pytest.approx(PATIENCE_S)


@in_virtual_time
async def test_where_every_other_look_hangs_sealing_goes_on() -> None:
    api = _api_with_keys()
    fresh = _fresh(api)
    await fresh()
    problems = []
    for turn in range(200):
        if turn % 10 == 0:
            api.inject(Hold(asyncio.Event()), "GET", "secrets")
        await asyncio.sleep(1)
        problems.append((await fresh()).problem)
    assert problems == [""] * 200


@in_virtual_time
async def test_keys_that_nobody_could_read_for_a_while_seal_nothing_as_they_may_be_retired() -> None:
    api = _api_with_keys()
    fresh = _fresh(api)
    await fresh()
    for _ in range(100):
        api.inject(Fail(Unavailable("KubernetesUnavailable", "down")), "GET", "secrets")
    await asyncio.sleep(FRESH_S + 1)
    assert (await fresh()).problem == ""
    await asyncio.sleep(STALE_S)
    assert await fresh() == Keys(RING, "the API server does not let them be read just now")
    api._faults.clear()
    await asyncio.sleep(MISSED_S * 2)
    assert await fresh() == Keys(RING)


@in_virtual_time
async def test_a_slow_look_is_waited_for_by_later_reviews_not_by_one_for_long() -> None:
    api, released = _api_with_keys(), asyncio.Event()
    fresh = _fresh(api)
    await fresh()
    _put_keys(api, RING.rotated())
    await asyncio.sleep(FRESH_S + 1)
    api.inject(Hold(released), "GET", "secrets")
    assert await fresh() == Keys(RING)
    released.set()
    await asyncio.sleep(0.1)
    assert (await fresh()).ring != RING


@in_virtual_time
async def test_without_keys_a_flood_of_questions_is_a_few_looks() -> None:
    api = FakeApi()
    fresh = _fresh(api)
    for _ in range(10):
        await asyncio.gather(*(fresh() for _ in range(100)))
    assert api.requests["GET", "secrets"] == 1
    await asyncio.sleep(MISSED_S * 2)
    await fresh()
    assert api.requests["GET", "secrets"] == 2


# The server


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
        assert not await webhook.look(), "there is no such configuration yet"
        assert await server.problems() == [], "which keeps nobody from being served"
        _put_configuration(api, [{}])
        assert await webhook.look()
        writes = len(api.writes)
        assert await webhook.look()
        assert len(api.writes) == writes
    finally:
        await server.stop()
    assert port


async def test_a_new_certificate_is_shown_once_the_api_server_trusts_it() -> None:
    api = FakeApi()
    _put_configuration(api, [{}])
    source = _Source(renewed(None, NAMES, datetime.now(UTC)))
    port, server = await _server([Keys(RING)])
    webhook = Webhook(server, source, WebhookConfiguration(api, "byoc-operator-sealing"))
    try:
        first = source.found
        assert await webhook.look()
        source.found = renewed(None, NAMES, datetime.now(UTC))
        api.inject(Fail(Unavailable("KubernetesUnavailable", "not now")), "PATCH", "mutatingwebhookconfigurations")
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
