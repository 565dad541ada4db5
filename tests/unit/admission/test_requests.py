"""What is answered to whoever reaches the webhook's port past the API server, and who is served meanwhile."""

import asyncio
import base64
import gzip
import io
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.admission import server as server_module
from byoc_operator.admission.certificates import Certificates, renewed
from byoc_operator.admission.places import Places
from byoc_operator.admission.request import API_VERSION, BOUNDS, MAX_BODY, NotAReview, request_in
from byoc_operator.admission.server import SMALL, AdmissionServer
from byoc_operator.admission.storage import Serving
from byoc_operator.api.names import WATCH_LABEL
from byoc_operator.cluster.json_bounds import Bounds, check, decoded
from byoc_operator.core.credentials import LAST_APPLIED
from byoc_operator.process import port as port_module
from byoc_operator.sealing.freshness import Keys
from byoc_operator.sealing.sealed import KeyRing
from strategies import QUICK, json_values
from testbed.part import free_port
from virtual_time import in_virtual_time

pytestmark = pytest.mark.slow

KEYS = Keys(KeyRing.generate())
PASSWORD = base64.b64encode(b"plain").decode()

Json = dict[str, Any]


def secret(annotations: Json | None = None, **more: Any) -> Json:
    metadata = {"name": "sip", "labels": {WATCH_LABEL: "true"}, "annotations": annotations or {}}
    return {"metadata": metadata, "type": "Opaque", "data": {"password": PASSWORD}} | more


def reviewed(wanted: Any = None, **request: Any) -> bytes:
    """The body of a review; None takes a field of the request away."""
    asked = {"uid": "u-1", "operation": "CREATE", "namespace": "voice", "name": "sip", "object": wanted or secret()}
    kept = {key: value for key, value in (asked | request).items() if value is not None}
    return json.dumps({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": kept}).encode()


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "a list": b"[]",
    "an object": b"{}",
    "a text": b'"review"',
    "no UTF-8": b'{"request": "\xff"}',
    "UTF-16": reviewed().decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + reviewed(),
    "no number": reviewed().replace(b'"u-1"', b"NaN"),
    "something behind": reviewed() + b"{}",
    "of another version": reviewed().replace(b"io/v1", b"io/v1beta1"),
    "of another kind": reviewed().replace(b"AdmissionReview", b"TokenReview"),
    "without a request": json.dumps({"apiVersion": API_VERSION, "kind": "AdmissionReview"}).encode(),
    "a number as request": json.dumps({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": 7}).encode(),
    "without uid": reviewed(uid=None),
    "a number as uid": reviewed(uid=7),
    "an endless uid": reviewed(uid="u" * 10_000),
    "half a character as uid": reviewed(uid="\ud800"),
    "a line as uid": reviewed(uid="u\n"),
    "without namespace": reviewed(namespace=None),
    "half a character as namespace": reviewed(namespace="\ud800"),
    "a path as namespace": reviewed(namespace="../kube-system"),
    "an endless namespace": reviewed(namespace="n" * 10_000),
    "a list as namespace": reviewed(namespace=["voice"]),
    "many levels": b"[" * 60_000,
    "many levels within a review": reviewed().replace(b'"Opaque"', b"[" * 1000 + b"]" * 1000),
    "many lists": b"[" + b"[]," * BOUNDS.containers + b"[]]",
    "many texts": b"[" + b'"a",' * BOUNDS.strings + b'"a"]',
    "many numbers": b"[" + b"1," * BOUNDS.bare + b"1]",
    "a text without end": b'"' + b'\\"' * 30_000,
    "levels behind escapes": b"[" * 20_001 + b'"' + b'\\"' * 20_000,
}
SEEN: dict[str, tuple[bytes, bool]] = {
    "half a character as name": (reviewed(name="\ud800"), True),
    "a million characters as name": (reviewed(name="n" * 1_000_000), True),
    "an unknown operation": (reviewed(operation="SEAL"), True),
    "another kind": (reviewed(kind={"group": "", "version": "v1", "kind": "ConfigMap"}), True),
    "a list as object": (reviewed([1]), True),
    "a list as labels": (reviewed(secret(metadata={"labels": [WATCH_LABEL]})), True),
    "a list as data": (reviewed(secret(data=[PASSWORD])), False),
    "thousands of keys": (reviewed(secret(data={f"k{index}": PASSWORD for index in range(9_000)})), False),
    "half a character as key": (reviewed(secret(data={"\ud800": "?"})), False),
    "a megabyte as value": (reviewed(secret(data={"password": "QUJD" * 350_000})), False),
    "a megabyte of line ends": (reviewed(secret(data={"password": "\n" * 1_000_000})), False),
    "a deep annotation": (reviewed(secret({LAST_APPLIED: '{"a":' * 900 + "1" + "}" * 900})), False),
    "a long annotation": (reviewed(secret({LAST_APPLIED: "{" + " " * 300_000 + "}"})), False),
    "an annotation of brackets": (reviewed(secret({LAST_APPLIED: '{"a":[' + "[]," * 60_000 + "[]]}"})), False),
    "half a character in an annotation": (reviewed(secret({LAST_APPLIED: '{"a":"\ud800"}'})), False),
    "brackets in other annotations": (reviewed(secret({"team": '["{' * 300_000})), True),
}
"""What is a review, and whether it is allowed."""


@asynccontextmanager
async def serving(counted: list[str] | None = None) -> AsyncIterator[tuple[int, Certificates]]:
    async def keys() -> Keys:
        return KEYS

    port = free_port()
    server = AdmissionServer(port, keys, (counted if counted is not None else []).append)
    found = renewed(None, ("127.0.0.1",), datetime.now(UTC))
    await server.start()
    server.use(Serving(found.certificate, found.key))
    try:
        yield port, found
    finally:
        await server.stop()


@asynccontextmanager
async def client(found: Certificates, address: str = "127.0.0.1") -> AsyncIterator[aiohttp.ClientSession]:
    trust = ssl.create_default_context(cadata=found.authorities.decode())
    connector = aiohttp.TCPConnector(ssl=trust, local_addr=(address, 0), limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def post(session: aiohttp.ClientSession, port: int, body: Any, **headers: str) -> tuple[int, Json]:
    told = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    sent = io.BytesIO(body) if isinstance(body, bytes) else body
    async with session.post(f"https://127.0.0.1:{port}/seal", data=sent, headers=told) as answer:
        return answer.status, await answer.json()


async def test_whatever_is_no_review_is_refused_as_such_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[str] = []
    with caplog.at_level(logging.INFO):
        async with serving(counted) as (port, found), client(found) as session:
            answers = {what: await post(session, port, body) for what, body in MALFORMED.items()}
            assert {what: status for what, (status, _) in answers.items() if status != 400} == {}
            assert all(set(told) == {"message"} and len(told["message"]) < 200 for _, told in answers.values())
            assert counted == ["malformed"] * len(MALFORMED)
            assert (await post(session, port, reviewed()))[1]["response"]["patchType"] == "JSONPatch"
    assert len({record.msg for record in caplog.records}) < 10, "causes are few, so that their lines can be counted"
    assert [record for record in caplog.records if record.exc_info] == []


async def test_a_review_of_whatever_is_allowed_or_denied(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[str] = []
    with caplog.at_level(logging.INFO):
        async with serving(counted) as (port, found), client(found) as session:
            for what, (body, allowed) in SEEN.items():
                status, told = await post(session, port, body)
                assert (status, told["response"]["allowed"]) == (200, allowed), what
                assert len(json.dumps(told)) < len(body) + 10_000
    assert "malformed" not in counted
    assert all(len(record.getMessage()) < 1000 for record in caplog.records)
    "".join(record.getMessage() for record in caplog.records).encode()


async def test_what_is_no_plain_json_is_not_read() -> None:
    async with serving() as (port, found), client(found) as session:
        bomb = gzip.compress(b" " * 50_000_000)
        for headers in ({"Content_Type": "text/plain"}, {"Content_Encoding": "gzip"}, {"Content_Type": ""}):
            assert (await post(session, port, bomb, **headers))[0] == 415, headers
        for path, method, status in (("/", "POST", 404), ("/seal", "GET", 405), ("/readyz", "POST", 405)):
            async with session.request(method, f"https://127.0.0.1:{port}{path}") as answer:
                assert answer.status == status


async def test_what_is_too_long_is_refused_before_it_is_read() -> None:
    async with serving() as (port, found), client(found) as session:
        sent = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(MAX_BODY // 2**16 + 2):
                yield b" " * 2**16
            sent.set()

        assert (await post(session, port, endless()))[0] == 413, "without a length it is counted"
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=ssl.create_default_context(cadata=found.authorities.decode())
        )
        head = f"POST /seal HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {MAX_BODY + 1}"
        writer.write(f"{head}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413"), "with one it is not waited for"
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /seal HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /seal HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /seal HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n",
        b"POST /seal HTTP/1.1\r\nHost: a\r\nContent-Type: a\r\nContent-Type: application/json\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_fails_nothing(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (port, found):
        trust = ssl.create_default_context(cadata=found.authorities.decode())
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.write(sent)
        assert b"HTTP/1.1 5" not in await asyncio.wait_for(reader.read(), 5)
        writer.close()
        async with client(found) as session:
            assert (await post(session, port, reviewed()))[0] == 200
    assert [record.name for record in caplog.records if record.name.startswith("byoc_operator")] in ([], [LOGGER])


@pytest.mark.parametrize("then", [b"no\r\n", b"5\r\n[1,2]\r\nno\r\n", b"-1\r\n", b"f" * 100_000])
async def test_a_body_that_ends_in_nonsense_is_refused(
    then: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "READ_WITHIN_S", 0.3)
    monkeypatch.setattr(port_module, "LINGER_S", 0.1)
    async with serving() as (port, found):
        trust = ssl.create_default_context(cadata=found.authorities.decode())
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        head = b"POST /seal HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"1\r\n[\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)  # until the handler waits for the rest
        writer.write(then)
        assert (await asyncio.wait_for(reader.read(), 5))[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 408")
        writer.close()
    assert [record for record in caplog.records if record.exc_info] == []


async def test_who_goes_away_amid_a_body_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (port, found):
        trust = ssl.create_default_context(cadata=found.authorities.decode())
        for body in (b"", b"[", b"[" * 70_000):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            head = "POST /seal HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
        async with client(found) as session:
            assert (await post(session, port, reviewed()))[0] == 200
    assert {record.name for record in caplog.records if record.levelno > logging.INFO} <= {LOGGER}


LOGGER = "byoc_operator.admission.server"


async def test_who_sends_slowly_is_sent_away_and_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "READ_WITHIN_S", 1.0)
    monkeypatch.setattr(server_module, "PLACE_WITHIN_S", 0.5)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    async def sent_away(session: aiohttp.ClientSession, port: int) -> int:
        try:
            return (await post(session, port, slowly()))[0]
        except aiohttp.ServerDisconnectedError:
            return 408  # it was told so while it was still sending

    large = reviewed(secret({"team": "a" * SMALL}))
    async with serving() as (port, found), client(found, "127.0.0.2") as hostile, client(found) as session:
        slow = [asyncio.create_task(sent_away(hostile, port)) for _ in range(30)]
        await asyncio.sleep(0.05)
        assert (await post(session, port, reviewed()))[0] == 200
        assert (await post(session, port, large))[0] == 200, "another address has a place of its own"
        assert {await each for each in slow} <= {408, 503}


async def test_a_flood_from_one_address_leaves_room_for_the_next() -> None:
    answered: list[str] = []
    release = asyncio.Event()

    async def keys() -> Keys:
        await release.wait()
        return KEYS

    port = free_port()
    server = AdmissionServer(port, keys, answered.append)
    found = renewed(None, ("127.0.0.1",), datetime.now(UTC))
    await server.start()
    server.use(Serving(found.certificate, found.key))
    refused = reviewed(secret(data={"password": "?"}))
    try:
        async with client(found, "127.0.0.2") as hostile, client(found) as session:
            flood = [asyncio.create_task(post(hostile, port, refused)) for _ in range(60)]
            honest = asyncio.create_task(post(session, port, reviewed()))
            await asyncio.sleep(0.5)
            release.set()
            assert (await honest)[1]["response"]["allowed"]
            await asyncio.gather(*flood)
    finally:
        await server.stop()
    assert answered.index("sealed") < 10, "it waited for a few of the flood, not for all"
    assert len(answered) == 61


@in_virtual_time
async def test_a_place_is_given_to_one_of_an_address_at_a_time_and_nobody_waits_longer_than_told() -> None:
    places, order = Places(2), list[str]()

    async def hold(address: str, name: str, for_s: float) -> None:
        try:
            async with places.taken(address, within_s=1.5):
                order.append(name)
                await asyncio.sleep(for_s)
        except TimeoutError:
            order.append(f"{name} given up")

    wanted = [("a", "a1", 1.0), ("a", "a2", 1.0), ("a", "a3", 1.0), ("b", "b1", 1.0), ("c", "c1", 0.2)]
    await asyncio.gather(*(hold(*each) for each in wanted))
    assert order[:2] == ["a1", "b1"]
    assert set(order) == {"a1", "a2", "b1", "c1", "a3 given up"}
    async with places.taken("a", 1.0), places.taken("b", 1.0):
        pass


# Bounds on JSON


def _as_json(value: Any) -> bytes | None:
    """None for infinity and what is no number, which JSON cannot spell."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return None


@QUICK
@given(json_values.filter(lambda value: _as_json(value) is not None))
def test_json_within_bounds_is_decoded_as_it_is(value: Any) -> None:
    assert decoded(_as_json(value) or b"", BOUNDS) == value
    assert decoded(json.dumps([value], indent=1).encode(), BOUNDS) == [value]


@QUICK
@given(json_values)
def test_what_a_text_holds_is_counted_as_the_decoder_makes_it(value: Any) -> None:
    body = json.dumps(value).encode()
    depth, containers, strings = measured(value)
    bounds = Bounds(len(body), depth, containers, strings, len(body))
    check(body, bounds)
    for name, count in (("depth", depth), ("containers", containers), ("strings", strings), ("size", len(body))):
        if count:
            with pytest.raises(ValueError, match="too"):
                check(body, Bounds(**{field: getattr(bounds, field) for field in BOUNDS.__slots__} | {name: count - 1}))


def measured(value: Any) -> tuple[int, int, int]:
    """Depth, lists and objects, strings."""
    if isinstance(value, str):
        return 0, 0, 1
    if not isinstance(value, dict | list):
        return 0, 0, 0
    within = [measured(each) for each in (value.values() if isinstance(value, dict) else value)]
    depth = 1 + max((each[0] for each in within), default=0)
    keys = len(value) if isinstance(value, dict) else 0
    return depth, 1 + sum(each[1] for each in within), keys + sum(each[2] for each in within)


@QUICK
@given(st.binary(max_size=200) | st.text('[]{}",:\\u0 1a', max_size=200).map(str.encode))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    for parse in (lambda: decoded(body, BOUNDS), lambda: request_in(body)):
        assert_no_other_than((ValueError, NotAReview), parse)


def assert_no_other_than(expected: tuple[type[Exception], ...], act: Callable[[], object]) -> None:
    try:
        act()
    except expected:
        return


def test_the_largest_review_that_the_api_server_sends_fits() -> None:
    text = json.dumps({"team": "<" * (256 * 1024 - 100)}).replace("<", "\\u003c")
    data = json.dumps({f"k{index}": base64.b64encode(b"a" * 2**14).decode() for index in range(64)})
    labels = json.dumps({WATCH_LABEL: "true"})
    metadata = f'{{"labels":{labels},"annotations":{text}}}'
    whole = f'{{"metadata":{metadata},"data":{data},"type":"Opaque"}}'
    request = f'{{"uid":"u","operation":"UPDATE","namespace":"voice","object":{whole},"oldObject":{whole}}}'
    body = f'{{"apiVersion":"{API_VERSION}","kind":"AdmissionReview","request":{request}}}'.encode()
    assert MAX_BODY * 0.9 < len(body) <= MAX_BODY
    assert request_in(body).namespace == "voice"
