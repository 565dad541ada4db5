"""The fake API server and the real one pass the same suite, through the port that the operator uses."""

import base64
from typing import Any

import pytest

from byoc_operator.api.names import FINALIZER, GROUP, KIND, PLURAL, VERSION
from byoc_operator.cluster.answers import AlreadyExists, ApiRefused, Conflict, Expired, Forbidden, Invalid, NotFound
from byoc_operator.cluster.port import JSON_PATCH, MERGE_PATCH
from byoc_operator.cluster.secrets import LABEL_SELECTOR
from contract.clusters import Cluster, with_version

Json = dict[str, Any]
HOLD = "example.com/hold"
LABEL, _, LABELLED = LABEL_SELECTOR.partition("=")


def numbers(cluster: Cluster, name: str = "") -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{cluster.namespace}/{PLURAL}" + (f"/{name}" if name else "")


def secrets(cluster: Cluster, name: str = "") -> str:
    return f"/api/v1/namespaces/{cluster.namespace}/secrets" + (f"/{name}" if name else "")


def leases(cluster: Cluster, name: str = "") -> str:
    base = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.namespace}/leases"
    return base + (f"/{name}" if name else "")


async def create(cluster: Cluster, name: str = "main", *, finalizers: tuple[str, ...] = ()) -> Json:
    spec = {"phoneNumber": "+12025550100", "terminationUri": "sip.example.com", "friendlyName": "Main"}
    metadata: Json = {"name": name, "namespace": cluster.namespace}
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": metadata, "spec": spec}
    return await cluster.api.request("POST", numbers(cluster), resource=PLURAL, body=body)


async def patch(cluster: Cluster, body: object, name: str = "main", subresource: str = "") -> Json:
    kind = JSON_PATCH if isinstance(body, list) else MERGE_PATCH
    path = numbers(cluster, name) + subresource
    return await cluster.api.request("PATCH", path, resource=PLURAL, body=body, content_type=kind)


async def get(cluster: Cluster, name: str = "main") -> Json:
    return await cluster.api.request("GET", numbers(cluster, name), resource=PLURAL)


async def delete(cluster: Cluster, path: str) -> Json:
    return await cluster.api.request("DELETE", path, resource="deletions")


async def create_secret(cluster: Cluster, name: str = "sip", **more: Any) -> Json:
    labels = more.pop("labels", {LABEL: LABELLED})
    metadata = {"name": name, "labels": labels}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": text("a")}, **more}
    return await cluster.api.request("POST", secrets(cluster), resource="secrets", body=body)


async def patch_secret(cluster: Cluster, body: Json, name: str = "sip") -> Json:
    path = secrets(cluster, name)
    return await cluster.api.request("PATCH", path, resource="secrets", body=body, content_type=MERGE_PATCH)


async def listed(cluster: Cluster, path: str, query: str = "") -> Json:
    return await cluster.api.request("GET", f"{path}?{query}", resource="lists")


def lease(name: str = "leader", *, version: str = "", holder: str = "a") -> Json:
    metadata: Json = {"name": name, "annotations": {"example.com/a": "1"}}
    if version:
        metadata["resourceVersion"] = version
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 0}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def version(raw: Json) -> int:
    return int(raw["metadata"]["resourceVersion"])


def names(found: Json) -> list[str]:
    return [each["metadata"]["name"] for each in found["items"]]


# Objects


async def test_a_new_object_has_an_identity_a_generation_and_the_status_of_an_unseen_one(cluster: Cluster) -> None:
    made = await create(cluster)
    metadata = made["metadata"]
    assert made["status"] == {"observedGeneration": -1}
    assert (made["apiVersion"], made["kind"], metadata["generation"]) == (f"{GROUP}/{VERSION}", KIND, 1)
    assert metadata["uid"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert await get(cluster) == made


async def test_what_is_not_there_is_not_found(cluster: Cluster) -> None:
    for path in (numbers(cluster, "gone"), secrets(cluster, "gone"), leases(cluster, "gone")):
        with pytest.raises(NotFound):
            await cluster.api.request("GET", path, resource="anything")
        with pytest.raises(NotFound):
            await delete(cluster, path)
    with pytest.raises(NotFound):
        await patch(cluster, {"status": {"liveKit": "x"}}, "gone", "/status")
    with pytest.raises(NotFound):
        await patch(cluster, [{"op": "test", "path": "/metadata/uid", "value": "x"}], "gone")
    with pytest.raises(NotFound):
        await patch_secret(cluster, {"data": {}}, "gone")


async def test_a_resource_that_is_not_served_is_not_found(cluster: Cluster) -> None:
    with pytest.raises(NotFound):
        await cluster.api.request("GET", "/apis/example.com/v1/things", resource="things")


async def test_a_name_is_taken_once(cluster: Cluster) -> None:
    await create(cluster)
    with pytest.raises(AlreadyExists):
        await create(cluster)
    await create_secret(cluster)
    with pytest.raises(AlreadyExists):
        await create_secret(cluster)


async def test_the_cluster_has_an_id(cluster: Cluster) -> None:
    found = await cluster.api.request("GET", "/api/v1/namespaces/kube-system", resource="namespaces")
    assert found["metadata"]["uid"]


# Status and spec


async def test_a_status_patch_touches_nothing_but_the_status(cluster: Cluster) -> None:
    made = await create(cluster)
    change = {"metadata": {"labels": {"a": "b"}}, "spec": {"friendlyName": "no"}, "status": {"liveKit": "x"}}
    stated = await patch(cluster, change, subresource="/status")
    assert stated["status"] == {"observedGeneration": -1, "liveKit": "x"}
    assert stated["spec"] == made["spec"]
    assert "labels" not in stated["metadata"]
    assert stated["metadata"]["generation"] == 1
    assert version(stated) > version(made)


async def test_a_patch_of_the_object_does_not_touch_the_status(cluster: Cluster) -> None:
    made = await create(cluster)
    changed = await patch(cluster, {"spec": {"friendlyName": "New"}, "status": {"liveKit": "x"}})
    assert changed["status"] == made["status"]
    assert (changed["spec"]["friendlyName"], changed["metadata"]["generation"]) == ("New", 2)


async def test_null_takes_a_field_away_and_lists_are_replaced(cluster: Cluster) -> None:
    await create(cluster)
    finding = {"code": "NoInboundAgent", "message": "none"}
    findings = [finding, {"code": "InboundOpen", "message": "open"}]
    await patch(cluster, {"status": {"liveKit": "x", "findings": findings}}, subresource="/status")
    stated = await patch(cluster, {"status": {"liveKit": None, "findings": [finding]}}, subresource="/status")
    assert stated["status"] == {"observedGeneration": -1, "findings": [finding]}
    changed = await patch(cluster, {"spec": {"friendlyName": None}})
    assert "friendlyName" not in changed["spec"]


async def test_a_change_of_nothing_is_no_new_version(cluster: Cluster) -> None:
    await create(cluster)
    stated = await patch(cluster, {"status": {"liveKit": "x"}}, subresource="/status")
    for subresource in ("/status", ""):
        same = await patch(cluster, {"status": {"liveKit": "x"}}, subresource=subresource)
        assert same == stated
    secret = await create_secret(cluster)
    assert version(await patch_secret(cluster, {"data": secret["data"]})) == version(secret)


async def test_annotations_and_finalizers_count_no_generation(cluster: Cluster) -> None:
    made = await create(cluster)
    noted = await patch(cluster, {"metadata": {"annotations": {f"{GROUP}/refresh": "1"}}})
    held = await patch(cluster, [{"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}])
    assert [each["metadata"]["generation"] for each in (made, noted, held)] == [1, 1, 1]
    assert version(made) < version(noted) < version(held)


async def test_a_patch_of_another_version_is_a_conflict(cluster: Cluster) -> None:
    made = await create(cluster)
    await patch(cluster, {"spec": {"friendlyName": "New"}})
    old = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    with pytest.raises(Conflict):
        await patch(cluster, {**old, "status": {"liveKit": "x"}}, subresource="/status")
    with pytest.raises(Conflict):
        await patch(cluster, {**old, "spec": {"friendlyName": "Other"}})
    assert (await get(cluster))["spec"]["friendlyName"] == "New"


async def test_a_patch_for_another_object_of_the_name_is_invalid(cluster: Cluster) -> None:
    made = await create(cluster)
    with pytest.raises(Invalid):
        await patch(cluster, {"metadata": {"uid": "another"}, "spec": {"friendlyName": "New"}})
    assert await get(cluster) == made


async def test_a_merge_patch_of_the_status_does_not_look_at_the_uid(cluster: Cluster) -> None:
    """The API server sets the metadata back first: only a `test` of a JSON patch tells two objects of a name apart."""
    made = await create(cluster)
    stated = await patch(cluster, {"metadata": {"uid": "another"}, "status": {"liveKit": "x"}}, subresource="/status")
    assert (stated["metadata"]["uid"], stated["status"]["liveKit"]) == (made["metadata"]["uid"], "x")
    operations = [
        {"op": "test", "path": "/metadata/uid", "value": "another"},
        {"op": "add", "path": "/status/liveKit", "value": "y"},
    ]
    with pytest.raises(Invalid):
        await patch(cluster, operations, subresource="/status")


@pytest.mark.parametrize("cluster", ["real"], indirect=True)
async def test_unknown_fields_are_dropped_and_bad_ones_refused(cluster: Cluster) -> None:
    """The fake stores whatever it is given: an object may be older than the CRD."""
    made = await create(cluster)
    stated = await patch(cluster, {"status": {"unknown": 1, "findings": []}}, subresource="/status")
    assert stated["status"] == {"observedGeneration": -1, "findings": []}
    with pytest.raises(Invalid):
        await patch(cluster, {"spec": {"phoneNumber": "+12025550199"}})
    with pytest.raises(Invalid):
        await patch(cluster, {"spec": {"terminationUri": "sip:sip.example.com"}})
    assert (await get(cluster))["spec"] == made["spec"]


# JSON patch


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "test", "path": "/metadata/uid", "value": "another"},
        {"op": "test", "path": "/metadata/finalizers/0", "value": FINALIZER},
        {"op": "remove", "path": "/metadata/finalizers/0"},
        {"op": "replace", "path": "/metadata/finalizers/0", "value": FINALIZER},
        {"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER},
    ],
    ids=lambda each: f"{each['op']} {each['path']}",
)
async def test_a_patch_that_does_not_fit_is_invalid_and_changes_nothing(cluster: Cluster, operation: Json) -> None:
    made = await create(cluster)
    with pytest.raises(Invalid):
        await patch(cluster, [{"op": "add", "path": "/spec/friendlyName", "value": "New"}, operation])
    assert await get(cluster) == made


async def test_tests_that_hold_let_a_patch_through(cluster: Cluster) -> None:
    made = await create(cluster)
    metadata = made["metadata"]
    changed = await patch(
        cluster,
        [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "add", "path": "/metadata/finalizers", "value": [HOLD]},
            {"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER},
            {"op": "replace", "path": "/spec/friendlyName", "value": "New"},
            {"op": "replace", "path": "/spec/carrier", "value": "Twilio"},
        ],
    )
    assert changed["metadata"]["finalizers"] == [HOLD, FINALIZER]
    assert changed["spec"]["carrier"] == "Twilio"
    changed = await patch(cluster, [{"op": "remove", "path": "/metadata/finalizers/0"}])
    assert changed["metadata"]["finalizers"] == [FINALIZER]


# Deletion


async def test_an_object_without_finalizers_goes_at_once(cluster: Cluster) -> None:
    await create(cluster)
    await delete(cluster, numbers(cluster, "main"))
    with pytest.raises(NotFound):
        await get(cluster)


async def test_a_deleted_object_stays_until_its_last_finalizer_goes(cluster: Cluster) -> None:
    made = await create(cluster, finalizers=(HOLD, FINALIZER))
    await delete(cluster, numbers(cluster, "main"))
    deleting = await get(cluster)
    assert deleting["metadata"]["deletionTimestamp"]
    assert deleting["metadata"]["generation"] == made["metadata"]["generation"] + 1
    await delete(cluster, numbers(cluster, "main"))
    assert await get(cluster) == deleting
    stated = await patch(cluster, {"status": {"liveKit": "x"}}, subresource="/status")
    assert stated["status"]["liveKit"] == "x"
    await patch(cluster, [{"op": "remove", "path": "/metadata/finalizers/1"}])
    assert (await get(cluster))["metadata"]["finalizers"] == [HOLD]
    await patch(cluster, [{"op": "remove", "path": "/metadata/finalizers/0"}])
    with pytest.raises(NotFound):
        await get(cluster)


async def test_a_terminating_object_takes_no_new_finalizer(cluster: Cluster) -> None:
    await create(cluster, finalizers=(HOLD,))
    await delete(cluster, numbers(cluster, "main"))
    deleting = await get(cluster)
    with pytest.raises(Invalid):
        await patch(cluster, [{"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}])
    with pytest.raises(Invalid):
        await patch(cluster, {"metadata": {"finalizers": [HOLD, FINALIZER]}})
    assert await get(cluster) == deleting
    await patch(cluster, {"metadata": {"finalizers": None}})


# Lists


async def test_a_list_is_ordered_and_has_a_version(cluster: Cluster) -> None:
    for name in ("b", "c", "a"):
        made = await create(cluster, name)
    found = await listed(cluster, numbers(cluster))
    assert names(found) == ["a", "b", "c"]
    assert version(found) >= version(made)
    assert not found["metadata"].get("continue")


async def test_a_list_comes_in_pages(cluster: Cluster) -> None:
    for name in "abcde":
        await create(cluster, name)
    first = await listed(cluster, numbers(cluster), "limit=2")
    second = await listed(cluster, numbers(cluster), f"limit=2&continue={first['metadata']['continue']}")
    third = await listed(cluster, numbers(cluster), f"limit=2&continue={second['metadata']['continue']}")
    assert [names(page) for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert not third["metadata"].get("continue")
    assert version(first) == version(second) == version(third)
    pages = cluster.api.pages(numbers(cluster), PLURAL, {"limit": "2"})
    assert [each["metadata"]["name"] async for each in pages] == list("abcde")


async def test_a_place_in_a_list_that_is_too_old_comes_with_a_new_one(cluster: Cluster) -> None:
    for name in "abc":
        await create(cluster, name)
    first = await listed(cluster, numbers(cluster), "limit=1")
    await cluster.forget_versions()
    old = with_version(first["metadata"]["continue"], 1)
    with pytest.raises(Expired) as expired:
        await listed(cluster, numbers(cluster), f"limit=1&continue={old}")
    rest = await listed(cluster, numbers(cluster), f"limit=9&continue={expired.value.token}")
    assert names(rest) == ["b", "c"]


async def test_a_list_is_of_what_the_selector_names(cluster: Cluster) -> None:
    await create_secret(cluster, "labelled")
    await create_secret(cluster, "other", labels={LABEL: "no"})
    await create_secret(cluster, "bare", labels={})
    assert names(await listed(cluster, secrets(cluster), f"labelSelector={LABEL_SELECTOR}")) == ["labelled"]
    assert set(names(await listed(cluster, secrets(cluster)))) >= {"bare", "labelled", "other"}


async def test_a_list_of_all_namespaces_has_ours(cluster: Cluster) -> None:
    await create(cluster)
    found = await listed(cluster, f"/apis/{GROUP}/{VERSION}/{PLURAL}")
    metadata = [each["metadata"] for each in found["items"]]
    assert (cluster.namespace, "main") in {(each["namespace"], each["name"]) for each in metadata}


# Secrets


async def test_a_secret_is_stored_with_its_type_and_counts_no_generation(cluster: Cluster) -> None:
    made = await create_secret(cluster, stringData={"username": "user"})
    assert made["data"] == {"password": text("a"), "username": text("user")}
    assert "stringData" not in made
    assert made["type"] == "Opaque"
    assert "generation" not in made["metadata"]
    assert await cluster.api.request("GET", secrets(cluster, "sip"), resource="secrets") == made


async def test_a_secret_is_patched_at_the_version_that_was_read(cluster: Cluster) -> None:
    made = await create_secret(cluster)
    identity = {key: made["metadata"][key] for key in ("uid", "resourceVersion")}
    changed = await patch_secret(cluster, {"metadata": identity, "data": {"password": text("b"), "other": text("c")}})
    assert changed["data"] == {"password": text("b"), "other": text("c")}
    with pytest.raises(Conflict) as refused:
        await patch_secret(cluster, {"metadata": identity, "data": {"password": text("d")}})
    assert not isinstance(refused.value, AlreadyExists)
    with pytest.raises(Invalid):
        await patch_secret(cluster, {"metadata": {"uid": "another"}, "data": {"password": text("d")}})
    again = await patch_secret(cluster, {"data": {"other": None}})
    assert again["data"] == {"password": text("b")}


async def test_a_dry_run_stores_nothing_and_makes_a_name(cluster: Cluster) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "sip-"}, "data": {"a": text("b")}}
    path = f"{secrets(cluster)}?dryRun=All"
    answer = await cluster.api.request("POST", path, resource="secrets", body=body)
    name = answer["metadata"]["name"]
    assert name.startswith("sip-")
    assert len(name) == len("sip-") + 5
    assert answer["data"] == {"a": text("b")}
    assert "resourceVersion" not in answer["metadata"]
    with pytest.raises(NotFound):
        await cluster.api.request("GET", secrets(cluster, name), resource="secrets")


# Leases


async def test_a_lease_is_made_once_and_written_at_the_version_that_was_read(cluster: Cluster) -> None:
    made = await cluster.api.request("POST", leases(cluster), resource="leases", body=lease())
    with pytest.raises(AlreadyExists):
        await cluster.api.request("POST", leases(cluster), resource="leases", body=lease())
    read = made["metadata"]["resourceVersion"]
    body = lease(version=read, holder="b")
    held = await cluster.api.request("PUT", leases(cluster, "leader"), resource="leases", body=body)
    assert held["spec"]["holderIdentity"] == "b"
    assert held["metadata"]["uid"] == made["metadata"]["uid"]
    assert held["metadata"]["annotations"] == {"example.com/a": "1"}
    with pytest.raises(Conflict) as refused:
        await cluster.api.request("PUT", leases(cluster, "leader"), resource="leases", body=body)
    assert not isinstance(refused.value, AlreadyExists)


async def test_a_lease_is_not_written_without_a_version(cluster: Cluster) -> None:
    await cluster.api.request("POST", leases(cluster), resource="leases", body=lease())
    with pytest.raises(Invalid):
        await cluster.api.request("PUT", leases(cluster, "leader"), resource="leases", body=lease(holder="b"))


async def test_a_write_to_a_lease_that_is_gone_makes_it_anew(cluster: Cluster) -> None:
    made = await cluster.api.request("POST", leases(cluster), resource="leases", body=lease())
    await delete(cluster, leases(cluster, "leader"))
    body = lease(version=made["metadata"]["resourceVersion"], holder="b")
    held = await cluster.api.request("PUT", leases(cluster, "leader"), resource="leases", body=body)
    assert held["spec"]["holderIdentity"] == "b"
    assert held["metadata"]["uid"] != made["metadata"]["uid"]


# Events


async def test_an_event_has_its_name_once(cluster: Cluster) -> None:
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": cluster.namespace, "name": "main.1"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/test",
        "reportingInstance": "test",
        "type": "Normal",
        "reason": "Synced",
        "action": "Reconcile",
        "note": "all is well",
        "regarding": {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "namespace": cluster.namespace, "name": "main"},
    }
    path = f"/apis/events.k8s.io/v1/namespaces/{cluster.namespace}/events"
    made = await cluster.api.request("POST", path, resource="events", body=event)
    assert (made["reason"], made["note"]) == ("Synced", "all is well")
    with pytest.raises(AlreadyExists):
        await cluster.api.request("POST", path, resource="events", body=event)


# Watches


async def test_a_watch_tells_of_every_version_in_order(cluster: Cluster) -> None:
    await create(cluster, "before")
    since = (await listed(cluster, numbers(cluster)))["metadata"]["resourceVersion"]
    made = await create(cluster, finalizers=(FINALIZER,))
    edited = await patch(cluster, {"spec": {"friendlyName": "New"}})
    await patch(cluster, {"spec": {"friendlyName": "New"}})
    stated = await patch(cluster, {"status": {"liveKit": "x"}}, subresource="/status")
    await delete(cluster, numbers(cluster, "main"))
    deleting = await get(cluster)
    await patch(cluster, {"metadata": {"finalizers": None}})
    told = await cluster.watched(PLURAL, since)
    assert [type_ for type_, _ in told] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
    assert [raw for _, raw in told[:4]] == [made, edited, stated, deleting]
    assert [version(raw) for _, raw in told] == sorted({version(raw) for _, raw in told})


async def test_a_watch_with_a_selector_tells_of_what_enters_and_leaves(cluster: Cluster) -> None:
    since = (await create_secret(cluster, "first"))["metadata"]["resourceVersion"]
    await create_secret(cluster, labels={})
    await patch_secret(cluster, {"metadata": {"labels": {LABEL: LABELLED}}})
    await patch_secret(cluster, {"data": {"password": text("b")}})
    await patch_secret(cluster, {"metadata": {"labels": {LABEL: None}}})
    await delete(cluster, secrets(cluster, "sip"))
    await delete(cluster, secrets(cluster, "first"))
    told = [(type_, raw["metadata"]["name"]) for type_, raw in await cluster.watched("secrets", since)]
    assert told == [("ADDED", "sip"), ("MODIFIED", "sip"), ("DELETED", "sip"), ("DELETED", "first")]


# Rights


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", numbers, None),
        ("GET", secrets, None),
        ("PATCH", lambda cluster: numbers(cluster, "main") + "/status", {"status": {}}),
        ("PATCH", lambda cluster: numbers(cluster, "main"), {"metadata": {}}),
        ("POST", leases, lease()),
        ("PUT", lambda cluster: leases(cluster, "leader"), lease(version="1")),
    ],
)
async def test_who_has_no_right_is_told_so(cluster: Cluster, method: str, path: Any, body: Any) -> None:
    kind = MERGE_PATCH if method == "PATCH" else "application/json"
    with pytest.raises(Forbidden, match=r"is forbidden: User .* cannot ") as refused:
        await cluster.lacking.request(method, path(cluster), resource="x", body=body, content_type=kind)
    assert refused.value.missing_right


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"verb": "get", "resource": "namespaces"}, True),
        ({"verb": "patch", "group": GROUP, "resource": PLURAL}, False),
        ({"verb": "patch", "group": GROUP, "resource": PLURAL, "subresource": "status"}, False),
        ({"verb": "create", "group": "coordination.k8s.io", "resource": "leases"}, False),
    ],
)
async def test_everybody_may_ask_what_they_may(cluster: Cluster, attributes: Json, *, expected: bool) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for api, allowed in ((cluster.lacking, expected), (cluster.api, True)):
        answer = await api.request("POST", path, resource="selfsubjectaccessreviews", body=review)
        assert answer["status"]["allowed"] is allowed


async def test_every_refusal_names_the_api_servers_words(cluster: Cluster) -> None:
    with pytest.raises(ApiRefused, match=r"KubernetesRefused: GET byocphonenumbers: 404: .*not found"):
        await get(cluster)
