"""The API server in memory, where the engine relies on it."""

import asyncio
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import FINALIZER
from byoc_operator.cluster.answers import Conflict, Invalid, NotFound
from byoc_operator.cluster.fake import Fail, FakeApi
from byoc_operator.cluster.port import JSON_PATCH, MERGE_PATCH
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, manifest

PATH = f"/apis/byoc.talkifai.dev/v1alpha1/namespaces/{NAMESPACE}/byocphonenumbers/{NAME}"
ADD = {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}


async def patch(api: FakeApi, body: object, suffix: str = "") -> dict[str, Any]:
    kind = MERGE_PATCH if isinstance(body, dict) else JSON_PATCH
    return await api.request("PATCH", PATH + suffix, resource="x", body=body, content_type=kind)


async def test_generations_count_specs_and_versions_count_everything() -> None:
    api = FakeApi()
    first = api.apply(manifest())
    assert first["status"] == {"observedGeneration": -1}
    stated = await patch(api, {"status": {"a": {"b": 1}, "observedGeneration": 1}}, "/status")
    same = await patch(api, {"status": {"a": {"b": 1}}, "spec": {"ignored": 1}}, "/status")
    edited = api.edit(NAMESPACE, NAME, friendlyName="x")
    noted = api.annotate(NAMESPACE, NAME, refresh="1")
    numbers = [int(each["metadata"]["resourceVersion"]) for each in (first, stated, same, edited, noted)]
    assert numbers == sorted(numbers)
    assert numbers[1] == numbers[2]
    assert [each["metadata"]["generation"] for each in (first, stated, same, edited, noted)] == [1, 1, 1, 2, 2]
    assert "ignored" not in noted["spec"]


async def test_a_test_that_fails_is_422_and_changes_nothing() -> None:
    api = FakeApi()
    before = api.apply(manifest())
    with pytest.raises(Invalid):
        await patch(api, [{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}, ADD])
    assert api.number(NAMESPACE, NAME) == before


async def test_the_last_finalizer_removes_a_deleted_object() -> None:
    api = FakeApi()
    api.apply(manifest())
    await patch(api, [ADD])
    told: list[str] = []
    api.watch_numbers.append(lambda type_, _: told.append(type_))
    api.delete(NAMESPACE, NAME)
    api.delete(NAMESPACE, NAME)
    with pytest.raises(Invalid):
        await patch(api, [{"op": "add", "path": "/metadata/finalizers/-", "value": "another"}])
    await patch(api, [{"op": "remove", "path": "/metadata/finalizers/0"}])
    with pytest.raises(NotFound):
        await api.request("GET", PATH, resource="x")
    await asyncio.sleep(0)
    assert told == ["MODIFIED", "DELETED"]


async def test_a_patch_of_another_version_is_409() -> None:
    api = FakeApi()
    api.apply(manifest())
    with pytest.raises(Conflict):
        await patch(api, {"metadata": {"resourceVersion": "1"}, "status": {"a": 1}}, "/status")


async def test_a_label_taken_away_arrives_as_deleted() -> None:
    api, told = FakeApi(), list[str]()
    api.watch_secrets.append(lambda type_, _: told.append(type_))
    api.put_secret(NAMESPACE, "sip", {}, watched=False)
    api.put_secret(NAMESPACE, "sip", {})
    api.put_secret(NAMESPACE, "sip", {"a": "b"})
    api.put_secret(NAMESPACE, "sip", {}, watched=False)
    api.delete_secret(NAMESPACE, "sip")
    assert told == [], "a watch is told later, as by a network"
    await asyncio.sleep(0)
    assert told == ["ADDED", "MODIFIED", "DELETED"]


@pytest.mark.parametrize("applied", [True, False])
async def test_a_fault_is_good_for_one_request(*, applied: bool) -> None:
    api = FakeApi()
    api.apply(manifest())
    api.inject(Fail(Unavailable(Reason.KUBERNETES_UNAVAILABLE, "down"), applied=applied), "PATCH")
    with pytest.raises(Unavailable):
        await patch(api, {"status": {"a": 1}}, "/status")
    assert ((api.number(NAMESPACE, NAME) or {})["status"].get("a") == 1) is applied
    await patch(api, {"status": {"a": 1}}, "/status")
    assert (len(api.writes), api.requests["PATCH", "x"]) == (2, 2)


async def test_a_patch_of_nothing_known_is_404() -> None:
    with pytest.raises(NotFound, match="404"):
        await patch(FakeApi(), [ADD])


async def test_the_cluster_has_an_id() -> None:
    answer = await FakeApi().request("GET", "/api/v1/namespaces/kube-system", resource="namespaces")
    assert answer["metadata"]["uid"]
