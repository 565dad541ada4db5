"""The cache: the newest resourceVersion wins, whether from a watch, a LIST or an answer."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.names import FINALIZER, GROUP
from byoc_operator.api.recorded_status import recorded_status
from byoc_operator.api.resource import Key
from byoc_operator.engine import cache as cache_module
from byoc_operator.engine.cache import Cache
from byoc_operator.engine.per_object import PerObject
from strategies import PHONE, QUICK

KEY = Key("voice", "main")


def raw(version: int, *, uid: str = "u1", generation: int = 1, **changes: Any) -> dict[str, Any]:
    metadata = {"namespace": "voice", "name": "main", "uid": uid, "resourceVersion": str(version)}
    spec = {"phoneNumber": PHONE, "terminationUri": "sip.example.com", "sipPasswordSecretRef": {"name": "sip"}}
    return {
        "metadata": metadata | {"generation": generation} | changes.get("metadata", {}),
        "spec": spec | changes.get("spec", {}),
        "status": changes.get("status", {}),
    }


@QUICK
@given(st.permutations(range(1, 8)))
def test_the_newest_version_wins_in_any_order(order: list[int]) -> None:
    cache = Cache()
    for version in order:
        cache.seen(raw(version, generation=version))
    known = cache.get(KEY)
    assert known is not None
    assert (known.resource_version, known.generation) == (7, 7)


def test_versions_are_numbers_and_not_texts() -> None:
    cache = Cache()
    cache.seen(raw(9))
    assert cache.seen(raw(10)) is not None
    assert cache.seen(raw(9)) is None


@pytest.mark.parametrize(
    ("changes", "wakes"),
    [
        ({}, False),
        ({"generation": 2}, True),
        ({"metadata": {"annotations": {f"{GROUP}/refresh": "1"}}}, True),
        ({"metadata": {"annotations": {"somebody/else": "1"}}}, False),
        ({"metadata": {"labels": {"a": "b"}}}, False),
        ({"metadata": {"finalizers": [FINALIZER]}}, True),
        ({"metadata": {"finalizers": ["somebody/else"]}}, False),
        ({"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}}, True),
        ({"status": {"inboundTrunkId": "ST_not_ours"}}, True),
    ],
)
def test_what_wakes_a_number(changes: dict[str, Any], *, wakes: bool) -> None:
    cache = Cache()
    first = cache.seen(raw(1))
    assert first is not None
    assert first.wakes
    second = cache.seen(raw(2, **changes))
    assert second is not None
    assert second.wakes is wakes


@pytest.mark.parametrize("answer_first", [True, False])
def test_our_own_status_write_wakes_nobody(*, answer_first: bool) -> None:
    cache, status = Cache(), {"observedGeneration": 1}
    first = cache.seen(raw(1))
    assert first is not None
    cache.expect(first.number, recorded_status(status))
    seen = [cache.seen(raw(2, status=status)), cache.seen(raw(2, status=status))]
    assert [each and each.wakes for each in seen] == [False, None]
    if answer_first:
        later = cache.seen(raw(3, status={}))
        assert later is not None
        assert later.wakes, "the expectation is good for one sighting"


def test_an_edit_that_comes_with_our_status_wakes() -> None:
    cache, status = Cache(), {"observedGeneration": 1}
    first = cache.seen(raw(1))
    assert first is not None
    cache.expect(first.number, recorded_status(status))
    second = cache.seen(raw(3, generation=2, status=status))
    assert second is not None
    assert second.wakes


def test_a_deleted_object_is_not_brought_back_by_a_late_answer() -> None:
    cache = Cache()
    cache.seen(raw(1))
    assert cache.gone(KEY, "u1") is not None
    assert cache.seen(raw(5)) is None
    assert cache.get(KEY) is None
    assert cache.gone(KEY, "u1") is None


def test_a_deletion_that_comes_before_the_object_is_remembered() -> None:
    cache = Cache()
    assert cache.gone(KEY, "u1") is None
    assert cache.seen(raw(1)) is None


def test_the_deletion_of_a_predecessor_leaves_the_successor() -> None:
    cache = Cache()
    cache.seen(raw(1))
    second = cache.seen(raw(5, uid="u2"))
    assert second is not None
    assert second.wakes
    assert cache.gone(KEY, "u1") is None
    assert cache.get(KEY) is second.number


def test_only_so_many_dead_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "REMEMBERED_DEAD", 2)
    cache = Cache()
    for uid in ("u1", "u2", "u3"):
        cache.gone(KEY, uid)
    assert cache.seen(raw(1, uid="u2")) is None
    assert cache.seen(raw(1, uid="u1")) is not None


def test_numbers_are_found_by_phone_number_and_by_secret() -> None:
    cache = Cache()
    cache.seen(raw(1))
    cache.seen(raw(2, uid="u2", metadata={"name": "claimant"}))
    assert sorted(str(each.key) for each in cache.naming(PHONE)) == ["voice/claimant", "voice/main"]
    assert {str(each.key) for each in cache.users_of("voice", "sip")} == {"voice/main", "voice/claimant"}
    assert cache.users_of("elsewhere", "sip") == []
    cache.seen(raw(3, spec={"sipPasswordSecretRef": {"name": "other"}}, generation=2))
    assert cache.secrets() == [("voice", "sip"), ("voice", "other")]
    cache.gone(KEY, "u1")
    assert (cache.secrets(), len(cache)) == ([("voice", "sip")], 1)
    cache.gone(Key("voice", "claimant"), "u2")
    assert (cache.secrets(), cache.phones(), list(cache.all())) == ([], [], [])


@QUICK
@given(st.lists(st.tuples(st.sampled_from(["u1", "u2"]), st.integers(1, 9), st.booleans()), max_size=12))
def test_indexes_never_hold_what_the_cache_does_not(history: list[tuple[str, int, bool]]) -> None:
    cache = Cache()
    for uid, version, dies in history:
        if dies:
            cache.gone(KEY, uid)
        else:
            cache.seen(raw(version, uid=uid, spec={"phoneNumber": f"+1555010000{version}"}))
        known = list(cache.all())
        assert list(itertools.chain(*(cache.naming(phone) for phone in cache.phones()))) == known
        assert list(itertools.chain(*(cache.users_of(*secret) for secret in cache.secrets()))) == known


def test_what_is_remembered_of_an_object_dies_with_it() -> None:
    cache = Cache()
    memory: PerObject[str] = cache.per_object()
    first = cache.seen(raw(1))
    assert first is not None
    memory.put(first.number, "one")
    assert (memory.get(first.number), len(memory), first.number in memory) == ("one", 1, True)
    cache.gone(KEY, "u1")
    assert (memory.get(first.number), len(memory)) == (None, 0)


def test_a_run_that_outlives_its_object_leaves_nothing_behind() -> None:
    cache = Cache()
    memory: PerObject[str] = cache.per_object()
    first = cache.seen(raw(1))
    assert first is not None
    cache.seen(raw(2, uid="u2"))
    memory.put(first.number, "late")
    cache.expect(first.number, recorded_status({"observedGeneration": 1}))
    assert [len(each) for each in cache.memories] == [0] * len(cache.memories)
