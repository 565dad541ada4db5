"""Secrets: callers share one GET, the newest version wins, and values do not stay in memory."""

import asyncio
import gc
from typing import Any

import pytest
from pydantic import SecretStr

from byoc_operator.api.conditions import Reason, Verdict
from byoc_operator.cluster.fake import Fail, FakeApi, Hold
from byoc_operator.cluster.secrets import GETS_FOR_NEWEST, SHARED_FOR_S, Secrets
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import SecretRules, SecretUse, UsedKey, resolve
from byoc_operator.core.trunk import Kind, Masked
from byoc_operator.errors import Unavailable
from byoc_operator.sealing.store import SealingKeys
from strategies import MASK
from virtual_time import in_virtual_time

pytestmark = pytest.mark.slow

DOWN = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")


def make(api: FakeApi) -> Secrets:
    clock = asyncio.get_running_loop().time
    return Secrets(api, (), MASK, SealingKeys(api, "byoc-system", clock), clock)


def password(secrets: Secrets) -> Masked:
    facts = secrets.known("voice", "sip")
    assert facts is not None
    value = facts.values["password"]
    assert isinstance(value, Masked)
    return value


@in_virtual_time
async def test_all_who_ask_share_one_get_for_a_second() -> None:
    api = FakeApi()
    api.put_secret("voice", "sip", {"password": "one"})
    secrets = make(api)
    found = await asyncio.gather(*(secrets.fetch("voice", "sip") for _ in range(50)))
    assert len({id(each) for each in found}) == 1
    await asyncio.sleep(SHARED_FOR_S / 2)
    await secrets.fetch("voice", "sip")
    assert api.requests["GET", "secrets"] == 1
    await asyncio.sleep(SHARED_FOR_S)
    await secrets.fetch("voice", "sip")
    assert api.requests["GET", "secrets"] == 2


@in_virtual_time
async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    api, released = FakeApi(), asyncio.Event()
    api.put_secret("voice", "sip", {"password": "one"})
    api.inject(Hold(released))
    secrets = make(api)
    impatient, patient = (asyncio.create_task(secrets.fetch("voice", "sip")) for _ in range(2))
    await asyncio.sleep(5)
    impatient.cancel()
    released.set()
    facts = await patient
    assert facts is not None
    assert api.requests["GET", "secrets"] == 1


@in_virtual_time
async def test_a_failure_is_not_shared_for_longer_than_an_answer() -> None:
    api = FakeApi()
    api.put_secret("voice", "sip", {"password": "one"})
    api.inject(Fail(DOWN))
    secrets = make(api)
    with pytest.raises(Unavailable):
        await secrets.fetch("voice", "sip")
    await asyncio.sleep(SHARED_FOR_S * 2)
    assert await secrets.fetch("voice", "sip") is not None


@in_virtual_time
async def test_an_older_version_is_no_news() -> None:
    api = FakeApi()
    old = api.put_secret("voice", "sip", {"password": "old"})
    new = api.put_secret("voice", "sip", {"password": "new"})
    secrets = make(api)
    assert secrets.seen(new)
    assert not secrets.seen(old)
    assert password(secrets) == MASK("new")


@in_virtual_time
async def test_a_slow_get_does_not_undo_an_event() -> None:
    api, released = FakeApi(), asyncio.Event()
    old = api.put_secret("voice", "sip", {"password": "old"})
    secrets = make(api)
    api.inject(Hold(released))
    slow = asyncio.create_task(secrets.fetch("voice", "sip"))
    await asyncio.sleep(0)
    secrets.seen(api.put_secret("voice", "sip", {"password": "new"}))
    released.set()
    await slow
    secrets.seen(old)
    assert password(secrets) == MASK("new")


@in_virtual_time
async def test_versions_that_went_back_with_a_restored_cluster_are_believed_after_a_few_looks() -> None:
    api = FakeApi()
    restored = api.put_secret("voice", "sip", {"password": "restored"})
    newer = dict(restored, metadata={**restored["metadata"], "resourceVersion": "999999"})
    secrets = make(api)
    secrets.seen(newer)
    facts = await secrets.fetch("voice", "sip")
    assert facts is not None
    assert facts.resource_version == restored["metadata"]["resourceVersion"]
    assert api.requests["GET", "secrets"] <= GETS_FOR_NEWEST + 1
    assert password(secrets) == MASK("restored")


@pytest.mark.parametrize(
    ("values", "watched", "news"),
    [
        ({"password": "one"}, True, False),
        ({"password": "two"}, True, True),
        ({"password": "one", "note": "x"}, True, True),
        ({"password": "one"}, False, True),
        ({}, True, True),
    ],
)
@in_virtual_time
async def test_what_is_news(values: dict[str, str], *, watched: bool, news: bool) -> None:
    api = FakeApi()
    secrets = make(api)
    assert secrets.seen(api.put_secret("voice", "sip", {"password": "one"}))
    assert secrets.seen(api.put_secret("voice", "sip", values, watched=watched)) is news


@in_virtual_time
async def test_a_secret_that_is_gone_is_forgotten() -> None:
    api = FakeApi()
    api.put_secret("voice", "sip", {"password": "one"})
    secrets = make(api)
    await secrets.fetch("voice", "sip")
    api.delete_secret("voice", "sip")
    await asyncio.sleep(2)
    assert await secrets.fetch("voice", "sip") is None
    assert secrets.known("voice", "sip") is None


@in_virtual_time
async def test_only_labelled_secrets_are_listed() -> None:
    api = FakeApi()
    api.put_secret("voice", "sip", {"password": "one"})
    api.put_secret("voice", "other", {"password": "two"}, watched=False)
    assert [each["metadata"]["name"] async for each in make(api).labelled()] == ["sip"]


@in_virtual_time
async def test_what_a_list_of_labelled_secrets_lacks_has_vanished() -> None:
    api = FakeApi()
    secrets = make(api)
    for name in ("stays", "deleted", "unlabelled"):
        secrets.seen(api.put_secret("voice", name, {"password": "one"}))
    secrets.seen(api.put_secret("voice", "quiet", {"password": "one"}, watched=False))
    assert secrets.labelled_but({("voice", "stays")}) == [("voice", "deleted"), ("voice", "unlabelled")]


@in_virtual_time
async def test_values_are_there_for_a_run_and_then_nowhere() -> None:
    api = FakeApi()
    api.put_secret("voice", "sip", {"password": "one"})
    secrets = make(api)
    facts = await secrets.fetch("voice", "sip")
    assert facts is not None
    value = facts.values["password"]
    assert isinstance(value, Masked)
    assert value.text is not None
    assert value.text.get_secret_value() == "one"
    assert any(each is value.text for each in texts_reachable_from(secrets))
    del facts, value
    await asyncio.sleep(SHARED_FOR_S * 1.5)
    assert password(secrets) == MASK("one")
    assert texts_reachable_from(secrets) == []


def texts_reachable_from(root: object) -> list[SecretStr]:
    """Whatever a memory dump would show: every SecretStr that can be reached, modules and classes apart."""
    seen: set[int] = set()
    found: list[SecretStr] = []
    waiting: list[Any] = [vars(root)["_facts"], vars(root)["_flights"]]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type):
            continue
        seen.add(id(each))
        if isinstance(each, SecretStr):
            found.append(each)
        waiting += gc.get_referents(each)
    return found


@in_virtual_time
async def test_odd_data_is_a_verdict_and_no_crash() -> None:
    api = FakeApi()
    raw = api.put_secret("voice", "sip", {"password": "one"})
    raw["data"] = {"password": "not base64!", "username": None}
    raw["metadata"]["managedFields"] = [{"time": "nonsense", "fieldsV1": {"f:data": {}}}]
    secrets = make(api)
    assert secrets.seen(raw)
    facts = secrets.known("voice", "sip")
    assert facts is not None
    assert facts.changed_at == 0.0
    assert not isinstance(facts.values["password"], Masked)


def test_a_secret_with_very_many_keys_is_not_read() -> None:
    secrets = Secrets(api := FakeApi(lambda: 0.0), (), MASK, SealingKeys(api, "byoc-system"))
    data = {f"key-{count}": "" for count in range(65)} | {"password": "cA=="}
    metadata = {"namespace": "n", "name": "large", "resourceVersion": "1", "labels": {}}
    assert secrets.seen({"metadata": metadata, "type": "Opaque", "data": data})
    facts = secrets.known("n", "large")
    keys = (UsedKey(Field.PASSWORD, "password"),)
    use = SecretUse("sipPasswordSecretRef", "n", "large", keys, {}, frozenset({Kind.OUTBOUND_TRUNK}))
    verdict = resolve(use, facts, SecretRules())
    assert isinstance(verdict, Verdict)
    assert (verdict.reason, "more than 64 keys" in verdict.message) == ("SecretInvalid", True)
    assert facts is not None
    assert facts.values == {}
