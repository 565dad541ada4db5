"""The policies for clusters with tenants, on the real API server: what a tenant may store with them, and what not."""

import json
import secrets
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from integration.scene import BASE, Scene, fresh_number
from manifests import manifest
from security.policed import (
    ABSURD,
    CHANGED_BEFORE,
    FREE,
    FROM_BEFORE,
    HUGE,
    MANY_OWNERS,
    MERGE,
    PHONE,
    ROWS,
    TOO_MUCH,
    USUAL,
    Estate,
    Json,
    entry,
    managed,
    namespace_of,
    owners,
    owners_there,
    updated,
    with_owners,
)
from security.tenant import Tenant
from testbed.bed import Bed
from testbed.http_probe import Answer

COMPONENTS = Path(__file__).parents[2] / "deploy" / "components"
POLICIES = [str(COMPONENTS / name / "policy.yaml") for name in ("metadata-policy", "namespace-policy")]
_EFFECT_S = 30
_POLL_S = 0.1


@pytest.fixture(scope="module")
def estate(installed: Bed) -> Iterator[Estate]:
    """Everything from before, then the policies; all is gone in the end."""
    home = Tenant.settled(installed)
    names = {row: f"{home.namespace}-{index}" for index, row in enumerate(ROWS)}
    made = Estate(home, names, owners_there(installed, home))
    everything = [each for row in ROWS for each in namespace_of(made, row)]
    installed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": everything}))
    for name, metadata in FROM_BEFORE.items():
        home.number(name, {**BASE, "phoneNumber": fresh_number()}, **with_owners(made, metadata))
    for name, change in CHANGED_BEFORE.items():
        home.number(name, {**BASE, "phoneNumber": fresh_number()}, finalizers=["example.com/x", "example.com/y"])
        assert made.patch(name, change).status == HTTPStatus.OK
    installed.kubectl("apply", *(f"-f={policy}" for policy in POLICIES))
    _wait_for_effect(made)
    yield made
    installed.kubectl("delete", "--ignore-not-found", *(f"-f={policy}" for policy in POLICIES))
    numbers = installed.kubectl("-n", home.namespace, "get", "bpn", "-o", "name").stdout.split()
    if numbers:
        installed.kubectl("-n", home.namespace, "delete", *numbers, "--wait=false")
        no_finalizers = '{"metadata": {"finalizers": null}}'
        installed.kubectl("-n", home.namespace, "patch", *numbers, "--type=merge", "-p", no_finalizers, check=False)
    installed.kubectl("delete", "namespace", "--wait=false", home.namespace, *made.namespaces.values())


def _wait_for_effect(estate: Estate) -> None:
    """A policy counts a moment after it is stored."""
    deadline = time.monotonic() + _EFFECT_S
    absurd = {"metadata": {"finalizers": ["example.com/x"] * TOO_MUCH}}
    while (
        min(
            estate.create("nothing is said of the namespace").status,
            estate.patch("plain", absurd, dry=True).status,
            updated(estate, "secret", absurd["metadata"]).status,
        )
        < HTTPStatus.BAD_REQUEST
    ):
        assert time.monotonic() < deadline, "the policies have no effect"
        time.sleep(_POLL_S)


def _says(answer: Answer) -> str:
    return str(json.loads(answer.body).get("message", ""))


@pytest.mark.parametrize("row", ROWS)
def test_a_namespace_may_use_what_its_annotations_say(estate: Estate, row: str) -> None:
    answer = estate.create(row)
    assert (answer.status < HTTPStatus.BAD_REQUEST) == (not ROWS[row].refused), answer.body
    assert [words for words in ROWS[row].refused if words not in _says(answer)] == []


def test_nobody_pretends_that_an_object_is_being_deleted(estate: Estate) -> None:
    """The policy lets those pass; the API server sets the time itself."""
    row = "nothing is said of the namespace"
    body = manifest("a", estate.namespaces[row], {**BASE, "phoneNumber": PHONE})
    body["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/x"]}
    path = estate.home.numbers_path.replace(estate.home.namespace, estate.namespaces[row])
    assert "is not allowed in namespace" in _says(estate.home.request("POST", path, body))
    change = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"inboundAgentId": "agent_other"}}
    assert estate.patch("plain", change, dry=True).status >= HTTPStatus.BAD_REQUEST


def test_a_tenant_cannot_change_what_its_namespace_may_use(estate: Estate) -> None:
    change = {"metadata": {"annotations": {"byoc.talkifai.dev/allowed-numbers": "*"}}}
    answer = estate.home.request("PATCH", f"/api/v1/namespaces/{estate.home.namespace}", change, MERGE)
    assert answer.status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({"friendlyName": "New"}, ""),
        ({"outboundAgentId": None, "deletionPolicy": "Retain"}, ""),
        ({"inboundAgentId": "agent_other"}, "spec.inboundAgentId: agent_other is not allowed"),
        ({"outboundAgentId": "agent_support"}, "spec.outboundAgentId: agent_support is not allowed"),
        ({"terminationUri": "other.example.com"}, "spec.terminationUri: host other.example.com is not allowed"),
    ],
)
def test_a_number_from_before_may_keep_what_it_has_and_no_more(estate: Estate, spec: Json, refused: str) -> None:
    answer = estate.patch("plain", {"spec": spec}, dry=True)
    assert (answer.status == HTTPStatus.OK) == (not refused), answer.body
    assert refused in _says(answer)


# --- metadata ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ABSURD)
@pytest.mark.parametrize("kind", ["number", "secret"])
def test_absurd_metadata_is_refused_with_what_is_allowed(estate: Estate, kind: str, case: str) -> None:
    metadata, words = ABSURD[case]
    answer = updated(estate, kind, metadata)
    assert answer.status >= HTTPStatus.BAD_REQUEST
    assert words in _says(answer)


@pytest.mark.parametrize("case", HUGE)
def test_huge_metadata_is_refused_too(estate: Estate, case: str) -> None:
    metadata, words = HUGE[case]
    answer = updated(estate, "number", metadata)
    assert answer.status >= HTTPStatus.BAD_REQUEST
    assert words in _says(answer)


@pytest.mark.parametrize("case", USUAL)
@pytest.mark.parametrize("kind", ["number", "secret"])
def test_metadata_far_beyond_the_usual_is_taken(estate: Estate, kind: str, case: str) -> None:
    answer = updated(estate, kind, USUAL[case])
    assert answer.status == HTTPStatus.OK, answer.body


def test_it_is_refused_at_creation_too(estate: Estate) -> None:
    body = manifest("new", estate.namespaces["anything"], {**BASE, "phoneNumber": fresh_number()})
    body["metadata"]["finalizers"] = ["example.com/x"] * 17
    path = estate.home.numbers_path.replace(estate.home.namespace, estate.namespaces["anything"])
    assert "at most 16 entries, and would have 17" in _says(estate.home.request("POST", path, body))


def test_secrets_without_our_label_are_none_of_its_business(estate: Estate) -> None:
    metadata = {"name": f"s-{secrets.token_hex(4)}", "finalizers": ["example.com/x"] * 17}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    answer = estate.home.request("POST", f"{estate.home.secrets_path}?dryRun=All", body)
    assert answer.status == HTTPStatus.CREATED, answer.body


@pytest.mark.parametrize("name", FROM_BEFORE)
def test_an_object_from_before_can_be_changed(estate: Estate, name: str) -> None:
    answer = estate.patch(name, {"spec": {"friendlyName": "New"}}, dry=True)
    assert answer.status == HTTPStatus.OK, answer.body


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("finalizers", {"finalizers": ["example.com/x"] * (TOO_MUCH + 1)}, {"finalizers": ["example.com/x"] * 99}),
        ("owners", owners(MANY_OWNERS + 1), owners(MANY_OWNERS - 1)),
        ("labels", {"labels": {"more": ""}}, {"labels": {"l0": None}}),
        ("annotations", {"annotations": {"more": ""}}, {"annotations": {"l0": None}}),
        ("long", {"annotations": {"a": "x" * 150_001}}, {"annotations": {"a": "x" * 149_999}}),
        ("managers", managed(*(entry({"f:spec": {}}, f"n{index}") for index in range(101))), {"managedFields": [{}]}),
    ],
)
def test_what_is_too_much_from_before_may_become_less_and_not_more(
    estate: Estate, name: str, more: Json, less: Json
) -> None:
    refused = estate.patch(name, {"metadata": with_owners(estate, more)}, dry=True)
    assert refused.status >= HTTPStatus.BAD_REQUEST
    assert "ValidatingAdmissionPolicy 'byoc-operator-metadata'" in _says(refused)
    taken = estate.patch(name, {"metadata": with_owners(estate, less)}, dry=True)
    assert taken.status == HTTPStatus.OK, taken.body


@pytest.mark.parametrize("name", CHANGED_BEFORE)
def test_absurd_managed_fields_from_before_can_be_mended_as_the_message_says(estate: Estate, name: str) -> None:
    refused = estate.patch(name, {"spec": {"friendlyName": "New"}}, dry=True)
    assert 'the merge patch {"metadata":{"managedFields":[{}]}}' in _says(refused)
    mended = estate.patch(name, {"metadata": {"managedFields": [{}]}, "spec": {"friendlyName": "New"}}, dry=True)
    assert mended.status == HTTPStatus.OK, mended.body


def test_none_of_them_is_locked_out_of_deletion(estate: Estate) -> None:
    """Their finalizers go one after the other, as the controllers take them that put them there."""
    for name in ("finalizers", *CHANGED_BEFORE):
        path = f"{estate.home.numbers_path}/{name}"
        assert estate.home.request("DELETE", path).status == HTTPStatus.OK
        while (found := estate.home.find(name)) is not None:
            kept = found["metadata"]["finalizers"]
            fewer = kept[: len(kept) // 2]
            answer = estate.patch(name, {"metadata": {"finalizers": fewer}})
            assert answer.status == HTTPStatus.OK, answer.body


def test_a_number_that_is_being_deleted_cannot_grow(estate: Estate) -> None:
    estate.home.request("DELETE", f"{estate.home.numbers_path}/annotations")
    name = "leaving"
    path = estate.home.numbers_path.replace(estate.home.namespace, estate.namespaces["anything"])
    body = manifest(name, estate.namespaces["anything"], {**BASE, "phoneNumber": fresh_number()})
    body["metadata"]["finalizers"] = ["example.com/x"]
    assert estate.home.request("POST", path, body).status == HTTPStatus.CREATED
    estate.home.request("DELETE", f"{path}/{name}")
    for case in ("500 levels", "33 managers", "long annotations"):
        answer = estate.home.request("PATCH", f"{path}/{name}", {"metadata": ABSURD[case][0]}, MERGE)
        assert ABSURD[case][1] in _says(answer)
    gone = estate.home.request("PATCH", f"{path}/{name}", {"metadata": {"finalizers": None}}, MERGE)
    assert gone.status == HTTPStatus.OK, gone.body


# --- the operator -----------------------------------------------------------------------------------------------------


def test_the_operator_puts_its_finalizer_beside_as_many_as_are_allowed(estate: Estate, scene: Scene) -> None:
    """And takes it away; statuses are none of the policies' business."""
    free = [f"byoc.talkifai.dev/allowed-{what}=*" for what in FREE]
    scene.bed.kubectl("annotate", "namespace", scene.namespace, *free)
    scene.until(lambda: _creatable(scene), f"{scene.namespace} may use anything")
    body = manifest("full", scene.namespace, {**BASE, "phoneNumber": fresh_number()})
    body["metadata"]["finalizers"] = [f"example.com/x{index}" for index in range(16)]
    scene.kubectl("create", "-f", "-", stdin=json.dumps(body))
    number = scene.ready("full")
    assert len(number["metadata"]["finalizers"]) == 17
    scene.kubectl("delete", "bpn", "full", "--wait=false")
    scene.until(lambda: len(scene.get("full")["metadata"]["finalizers"]) == 16, "ours is gone")
    scene.kubectl("patch", "bpn", "full", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    scene.until(lambda: scene.find("full") is None, "the number is gone")
    assert estate.home.find("plain") is not None


def _creatable(scene: Scene) -> bool:
    body = json.dumps(manifest("probe", scene.namespace, {**BASE, "phoneNumber": fresh_number()}))
    said = scene.kubectl("create", "--dry-run=server", "-f", "-", stdin=body, check=False)
    return "created" in said
