"""The keys with which the webhook seals: read again, and not used once they may be retired."""

import asyncio

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import Fail, FakeApi, Hold
from byoc_operator.core.credentials import KEYS_SECRET
from byoc_operator.errors import Unavailable
from byoc_operator.sealing.freshness import FRESH_S, MISSED_S, STALE_S, WAIT_FOR_READ_S, FreshKeys, Keys
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import DATA_KEY, SealingKeys
from virtual_time import in_virtual_time
from webhook_parts import RING, SYSTEM


def _api_with_keys(ring: KeyRing = RING) -> FakeApi:
    api = FakeApi()
    _put_keys(api, ring)
    return api


def _put_keys(api: FakeApi, ring: KeyRing) -> None:
    api.put_secret(SYSTEM, KEYS_SECRET, {DATA_KEY: ring.text()}, watched=False)


def _fresh(api: FakeApi) -> FreshKeys:
    clock = asyncio.get_running_loop().time
    return FreshKeys(SealingKeys(api, SYSTEM, clock), clock)


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
    assert time() - began == pytest.approx(WAIT_FOR_READ_S)


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
        api.inject(Fail(Unavailable(Reason.KUBERNETES_UNAVAILABLE, "down")), "GET", "secrets")
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
