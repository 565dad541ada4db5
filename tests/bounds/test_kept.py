"""The memory that one object takes is bounded, whatever the API server stores."""

import json
import sys
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from byoc_operator.api.conditions import Verdict
from byoc_operator.api.names import ANNOTATIONS, FINALIZER, PLURAL
from byoc_operator.api.resource import PhoneNumber, parse
from byoc_operator.api.status_bound import MAX_STATUS, kept_status
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.cluster.reading import read
from byoc_operator.cluster.secrets import LABEL_SELECTOR, Secrets
from byoc_operator.core.credential_values import Field
from byoc_operator.engine.cache import Cache
from byoc_operator.sealing.store import SealingKeys
from strategies import MASK

MAX_NUMBER = 400 * 1024
"""Bytes: the longest texts that the CRD takes in a spec (of characters with four bytes each), and the status."""

ORDINARY = 12 * 1024

MAX_SECRET = 96 * 1024
"""Bytes: 64 keys with names of 253 characters, each with a reason why it cannot be used."""

SPEC = {"phoneNumber": "+15550100001", "terminationUri": "sip.example.com", "inboundAgentId": "agent"}
DEEP: Any = json.loads('{"a":' * 300 + "1" + "}" * 300)


def size_of(value: object) -> int:
    """Bytes of memory of a value with all that hangs on it, each object once."""
    seen: set[int] = set()
    rest, total = [value], 0
    while rest:
        each = rest.pop()
        if id(each) in seen or isinstance(each, type | Enum):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        match each:
            case Mapping():
                rest += [*each.keys(), *each.values()]
            case list() | tuple() | set() | frozenset():
                rest += each
            case BaseModel():
                rest.append(each.__dict__)
            case _ if is_dataclass(each):
                rest += [getattr(each, one.name) for one in fields(each)]
    return total


def number(**parts: Any) -> dict[str, Any]:
    """A number with more metadata, another spec or status."""
    metadata = {"namespace": "voice", "name": "main", "uid": "u-1", "resourceVersion": "5", "generation": 1}
    whole = {"metadata": metadata | parts.pop("metadata", {}), "spec": SPEC, "status": {"observedGeneration": -1}}
    return whole | parts


LONG = "x" * 1_000_000
WIDEST = "\U0001f4de"
TEXTS = {f"{index:02}{WIDEST * 250}": WIDEST * 1024 for index in range(16)}
LARGEST_SPEC = SPEC | {
    "friendlyName": WIDEST * 128,
    "inbound": {
        "allowedAddresses": ["2001:db8::/32"] * 64,
        "allowedCallers": ["+15550100001"] * 100,
        "headersToAttributes": TEXTS,
        "agentMetadata": TEXTS,
        "room": {"metadata": WIDEST * 1024},
    },
    "outbound": {"headers": TEXTS},
}
CONDITION = {"type": "Ready", "status": "True", "reason": "Synced", "message": WIDEST * 32_768}

NUMBERS = {
    "finalizers": number(metadata={"finalizers": ["ab"] * 220_000 + [FINALIZER]}),
    "odd finalizers": number(metadata={"finalizers": [[], {}, None, 7] * 50_000}),
    "our annotations": number(metadata={"annotations": dict.fromkeys(ANNOTATIONS, "a," * 130_000)}),
    "one word to adopt": number(metadata={"annotations": {ANNOTATIONS[2]: LONG}}),
    "odd annotations": number(metadata={"annotations": dict.fromkeys(ANNOTATIONS, [1] * 100_000)}),
    "foreign annotations": number(metadata={"annotations": {f"a/{index}": "" for index in range(100_000)}}),
    "labels": number(metadata={"labels": {f"a/{index}": "" for index in range(100_000)}}),
    "owners": number(metadata={"ownerReferences": [{"uid": str(index)} for index in range(20_000)]}),
    "odd times": number(metadata={"creationTimestamp": LONG, "deletionTimestamp": LONG}),
    "odd generation": number(metadata={"generation": [1] * 100_000}),
    "large spec": number(spec=LARGEST_SPEC),
    "unknown fields": number(spec=SPEC | {f"a{index}": {"b": []} for index in range(50_000)}),
    "an endless number": number(spec=SPEC | {"phoneNumber": LONG}),
    "a deep number": number(spec=SPEC | {"phoneNumber": DEEP}),
    "wrong texts": number(spec=SPEC | {"terminationUri": "\n" + LONG, "inbound": {"allowedAddresses": [LONG]}}),
    "many conditions": number(status={"conditions": [CONDITION | {"type": f"T{index}"} for index in range(16)]}),
    "findings": number(status={"findings": [{"code": f"F{index}", "message": WIDEST * 4096} for index in range(32)]}),
    "unknown status": number(status={f"a{index}": [[]] for index in range(100_000)}),
    "names in a status": number(status={f"{index}" + "a" * 10_000: 1 for index in range(100)}),
    "long IDs": number(status={"inboundTrunkId": LONG, "outboundTrunkId": LONG}),
    "deep status": number(status=DEEP),
}


IN_STATUS = ("many conditions", "findings", "unknown status", "names in a status", "long IDs", "deep status")


@pytest.mark.parametrize("kind", NUMBERS)
async def test_of_a_number_a_bounded_size_stays(kind: str) -> None:
    text = json.dumps(NUMBERS[kind]).encode()
    for raw in (NUMBERS[kind], await read(text, PLURAL)):
        cache = Cache()
        sighting = cache.seen(raw)
        assert sighting is not None
        kept = sighting.number
        cache.expect(kept, kept.status)
        bound = {"large spec": MAX_NUMBER}.get(kind, MAX_STATUS + ORDINARY if kind in IN_STATUS else ORDINARY)
        assert size_of([cache._numbers, cache._by_phone, cache._by_secret, cache._expected._values]) < bound


async def test_reading_a_large_number_takes_little_more_than_its_text() -> None:
    for kind in ("finalizers", "owners", "labels", "foreign annotations"):
        text = json.dumps(NUMBERS[kind], separators=(",", ":")).encode()
        tracemalloc.start()
        try:
            await read(text, PLURAL)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 300_000 + len(text) // 10, kind


def nested(depth: int, opening: str, closing: str) -> Any:
    return json.loads(opening * depth + "1" + closing * depth)


LADDER = [int(1.3**step) for step in range(1, 48)]
DEPTHS = range(10, 900, 10)
SHAPES: dict[str, tuple[Callable[[int], dict[str, Any]], Sequence[int]]] = {
    "objects in objects": (lambda count: {"a": nested(count, '{"a":', "}")}, DEPTHS),
    "lists in lists": (lambda count: {"a": nested(count, "[", "]")}, DEPTHS),
    "small objects": (lambda count: {"a": [{"b": 1} for _ in range(count)]}, LADDER),
    "empty objects": (lambda count: {"a": [{} for _ in range(count)]}, LADDER),
    "fields": (lambda count: {f"a{index}": None for index in range(count)}, LADDER),
    "fields with names of wide characters": (lambda count: {f"{i}{WIDEST * 300}": i for i in range(count)}, LADDER),
    "fractions": (lambda count: {"a": [index / 7 for index in range(count)]}, LADDER),
    "a large number": (lambda count: {"a": 1 << 8 * count}, LADDER),
    "a text of wide characters": (lambda count: {"a": WIDEST * count}, LADDER),
    "a name of wide characters": (lambda count: {WIDEST * count: 1}, LADDER),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_status_of_any_shape_and_size_takes_no_more_than_its_bound(shape: str) -> None:
    of_size, sizes = SHAPES[shape]
    cut = 0
    for size in sizes:
        stored = of_size(size)
        kept = kept_status(stored)
        assert size_of(kept) <= MAX_STATUS, size
        cut += kept is not stored
    assert 0 < cut < len(sizes), "the bound is among the sizes"


def test_a_status_of_our_own_is_kept_as_it_is() -> None:
    conditions = [CONDITION | {"type": kind, "message": "m" * 1024} for kind in ("Ready", "Reconciling", "Stalled")]
    status = {"observedGeneration": 3, "conditions": conditions, "findings": [{"code": "X", "message": "m" * 500}] * 8}
    assert parse(number(status=status)).status.json() == status


def test_of_a_status_that_is_too_large_the_ids_stay_and_the_rest_differs_from_whatever_is_wanted() -> None:
    status = {"conditions": [CONDITION] * 16, "inboundTrunkId": "ST_1", "observedGeneration": 3}
    kept = parse(number(status=status))
    assert kept.status.json() == {"conditions": None, "inboundTrunkId": "ST_1", "observedGeneration": 3}
    assert (kept.status.ids.inbound, kept.status.seen_before, kept.status.ready.reason) == ("ST_1", True, "")


@pytest.mark.parametrize("finalizers", [["a", FINALIZER, "b"], {"count": 3, "at": 1}])
def test_the_place_of_our_finalizer_is_known_however_it_was_read(finalizers: object) -> None:
    kept = parse(number(metadata={"finalizers": finalizers}))
    assert (kept.finalizer_at, kept.finalizers, kept.has_finalizer) == (1, 3, True)


def unreadable(kept: PhoneNumber) -> tuple[str, str, object]:
    assert kept.invalid is not None
    return kept.invalid.message, kept.phone_number, kept.deletion_policy


def test_a_spec_that_could_not_be_read_says_so_and_what_was_known_stays() -> None:
    before = parse(number(spec=SPEC | {"deletionPolicy": "Retain"}))
    raw = number(spec=None, metadata={"resourceVersion": "6"}) | {"byoc.talkifai.dev/unread": "spec is too deep"}
    message = "The object cannot be read: spec is too deep."
    assert unreadable(parse(raw, before)) == (message, "+15550100001", before.deletion_policy)
    assert unreadable(parse(raw))[:2] == (message, "voice/main")
    again = parse(number(metadata={"resourceVersion": "7"}), parse(raw, before))
    assert again.invalid is None


# Secrets


def secret(**parts: Any) -> dict[str, Any]:
    key, _, value = LABEL_SELECTOR.partition("=")
    metadata = {"namespace": "voice", "name": "sip", "uid": "u", "resourceVersion": "5", "labels": {key: value}}
    return {"metadata": metadata | parts.pop("metadata", {}), "data": {}} | parts


VALUE = b64encode(b"x" * 700_000).decode()
SEALED = b64encode(b"fernet:x").decode()
SECRETS = {
    "many keys": secret(data={f"k{index}": "" for index in range(50_000)}),
    "long keys": secret(data={f"{index:03}" + "k" * 250: "eA==" for index in range(64)}),
    "long unusable keys": secret(data={f"{index:03}" + "k" * 250: "Cg==" for index in range(64)}),
    "one long value": secret(data={"password": VALUE}),
    "a long sealed value": secret(data={"password": b64encode(b"fernet:" + b"x" * 700_000).decode()}),
    "many sealed values": secret(
        data={f"{index:03}" + "k" * 250: b64encode(b"fernet:x").decode() for index in range(64)}
    ),
    "an endless type": secret(type="x" * 900_000),
    "writers": secret(metadata={"managedFields": [{"time": "t", "fieldsV1": {"f:data": {}}}] * 20_000}),
    "odd fields": secret(metadata={"managedFields": [[], {"fieldsV1": []}, {"time": 7, "fieldsV1": {"f:data": 1}}]}),
    "odd labels": secret(metadata={"labels": [1] * 100_000}),
    "odd data": secret(data=[1] * 100_000),
    "odd values": secret(data={"a": [1] * 50_000, "b": DEEP, "c": 7, "d": None}),
}


@pytest.mark.parametrize("kind", SECRETS)
async def test_of_a_secret_a_bounded_size_stays(kind: str) -> None:
    text = json.dumps(SECRETS[kind]).encode()
    for raw in (SECRETS[kind], await read(text, "secrets")):
        api = FakeApi()
        secrets = Secrets(api, (), MASK, SealingKeys(api, "byoc-system"))
        assert secrets.seen(raw)
        assert size_of([secrets._facts, secrets._unopened]) < MAX_SECRET


async def test_under_labelled_nothing_of_an_unlabelled_secret_is_opened() -> None:
    opened: list[str] = []

    class Keys(SealingKeys):
        def open(self, text: str, namespace: str, field: Field) -> str | Verdict:
            opened.append(text)
            return super().open(text, namespace, field)

    api = FakeApi()
    for labelled_only in (True, False):
        secrets = Secrets(api, (), MASK, Keys(api, "byoc-system"), labelled_only=labelled_only)
        secrets.seen(secret(data={"password": SEALED}, metadata={"labels": {}}))
        facts = secrets.known("voice", "sip")
        assert facts is not None
        assert (facts.sealed, bool(opened)) == (frozenset({"password"}), not labelled_only)
