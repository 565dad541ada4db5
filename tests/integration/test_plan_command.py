"""`kubectl byoc plan` on the real API server and the real LiveKit: what it says comes true, and nothing is written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from integration.commands import livekit_secret, run, told_deployment
from integration.scene import BASE, LABEL, Scene, fresh_number, livekit_writes
from manifests import manifest, merged

UNCHANGED, FAILED, NO_RIGHTS, CHANGES = 0, 1, 3, 6
USER, PASSWORD, OTHER_PASSWORD = "maria-of-the-plan", "Pl4n-first-password", "Pl4n-second-password"
SIGNED = {"sipPasswordSecretRef": {"name": "sip"}}


@pytest.fixture
def planned(stage: Scene) -> Iterator[Scene]:
    """The number `a` with credentials, in step, and LiveKit's key where the operator has it."""
    with told_deployment(stage.bed), livekit_secret(stage.bed):
        stage.deployment.ensure()
        stage.secret({"username": USER, "password": PASSWORD})
        stage.number("a", **SIGNED)
        stage.ready()
        yield stage


def in_livekit(scene: Scene) -> list[bytes]:
    """All objects of LiveKit, as it sends them."""
    found: list[Message] = [*scene.sip.inbound(), *scene.sip.outbound(), *scene.sip.rules()]
    return sorted(each.SerializeToString(deterministic=True) for each in found)


def plan(scene: Scene, *args: str, stdin: str = "", ends_with: int) -> str:
    """What the command prints on both outputs; no credential is among it, and nobody's objects were written."""
    held = in_livekit(scene)
    stored = [(each["metadata"]["name"], each["metadata"]["resourceVersion"]) for each in scene.all()]
    done = run(scene, "plan", "-n", scene.namespace, *args, stdin=stdin)
    told = done.stdout + done.stderr
    assert done.returncode == ends_with, told
    for secret in (USER, PASSWORD, OTHER_PASSWORD, scene.bed.livekit.key, scene.bed.livekit.secret):
        assert secret not in told
    assert stored == [(each["metadata"]["name"], each["metadata"]["resourceVersion"]) for each in scene.all()]
    assert in_livekit(scene) == held, "the plan changed LiveKit"
    return told


def items(scene: Scene, *args: str, stdin: str = "", ends_with: int) -> list[dict[str, Any]]:
    """The items of the list object."""
    told = plan(scene, *args, "-o", "json", stdin=stdin, ends_with=ends_with)
    found: list[dict[str, Any]] = json.loads(told[: told.rindex("}") + 1])["items"]
    return found


def written(scene: Scene, name: str, **changes: Any) -> str:
    """A manifest of a number."""
    return json.dumps(manifest(name, scene.namespace, merged({"phoneNumber": fresh_number(), **BASE}, changes)))


def stated(scene: Scene, **changes: Any) -> str:
    """The manifest of the number `a`, with changes."""
    return json.dumps(manifest("a", scene.namespace, merged(scene.get()["spec"], changes)))


def secret_with(scene: Scene, password: str) -> str:
    """A manifest of the Secret `sip` with another password."""
    metadata = {"name": "sip", "namespace": scene.namespace, "labels": LABEL}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "stringData": {"username": USER, "password": password},
        }
    )


def of_kinds(item: dict[str, Any]) -> list[tuple[str, str]]:
    """What is done to what, in order."""
    return [(change["action"], change["kind"]) for change in item["changes"]]


def test_a_number_in_step_changes_nothing(planned: Scene) -> None:
    phone = planned.get()["spec"]["phoneNumber"]
    for args in (("a",), (phone,), ("-f", "-")):
        told = plan(planned, *args, stdin=stated(planned), ends_with=UNCHANGED)
        assert "1 number: 1 unchanged" in told


def test_a_new_number_is_created_as_the_plan_says(planned: Scene, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(written(planned, "b", **SIGNED))
    (item,) = items(planned, "-f", str(file), ends_with=CHANGES)
    assert item["result"] == "Changes"
    assert {action for action, _ in of_kinds(item)} == {"Create"}
    told = plan(planned, "-f", str(file), ends_with=CHANGES)
    assert "(set)" in told
    with planned.counted() as counts:
        planned.kubectl("apply", "-f", str(file))
        planned.ready("b")
    assert sum(livekit_writes(counts).values()) == len(item["changes"]), counts


def test_a_changed_number_names_each_field_with_old_and_new(planned: Scene) -> None:
    changed = stated(planned, terminationUri="sip.other-carrier.example", friendlyName="The new name")
    (item,) = items(planned, "-f", "-", stdin=changed, ends_with=CHANGES)
    fields = {field["path"]: (field["old"], field["new"]) for each in item["changes"] for field in each["fields"]}
    assert fields["outboundTrunk.address"] == (BASE["terminationUri"], "sip.other-carrier.example")
    planned.kubectl("apply", "-f", "-", stdin=changed)
    planned.ready()
    assert "1 unchanged" in plan(planned, "a", ends_with=UNCHANGED)


def test_a_changed_password_is_told_and_not_shown(planned: Scene) -> None:
    together = f"{stated(planned)}\n---\n{secret_with(planned, OTHER_PASSWORD)}"
    told = plan(planned, "-f", "-", stdin=together, ends_with=CHANGES)
    assert "(changed)" in told
    assert "outboundTrunk.password" in told


def test_a_number_of_another_object_and_an_invalid_one_are_in_the_way(planned: Scene) -> None:
    phone = planned.get()["spec"]["phoneNumber"]
    (claimed,) = items(planned, "-f", "-", stdin=written(planned, "b", phoneNumber=phone), ends_with=FAILED)
    assert (claimed["result"], claimed["reason"]) == ("Blocked", "NumberClaimed")
    (invalid,) = items(planned, "-f", "-", stdin=written(planned, "b", phoneNumber="0900"), ends_with=FAILED)
    assert (invalid["result"], [each["field"] for each in invalid["problems"]]) == ("Invalid", ["spec.phoneNumber"])
    refused = planned.bed.kubectl(
        "-n", planned.namespace, "create", "-f", "-", stdin=written(planned, "b", phoneNumber="0900"), check=False
    )
    assert invalid["problems"][0]["message"] in refused.stderr, "in the words of the API server"


def test_drift_in_livekit_is_planned_as_it_will_be_repaired(planned: Scene) -> None:
    """The operator stands still meanwhile."""
    planned.deployment.stop()
    trunk = planned.held(planned.get()["spec"]["phoneNumber"]).outbound[0]
    trunk.auth_password, trunk.address = OTHER_PASSWORD, "sip.elsewhere.example"
    planned.sip.put_outbound(trunk)
    told = plan(planned, "a", ends_with=CHANGES)
    assert "(changed)" in told
    assert "sip.elsewhere.example" in told
    planned.deployment.ensure()
    planned.until(
        lambda: planned.held(planned.get()["spec"]["phoneNumber"]).outbound[0].auth_password == PASSWORD, "repaired"
    )
    assert "1 unchanged" in plan(planned, "a", ends_with=UNCHANGED)


def test_who_may_not_read_secrets_is_told_that_credentials_are_not_compared(planned: Scene) -> None:
    rules = ("create", "clusterrole", "byoc-plan-no-secrets", "--verb=get,list")
    planned.bed.kubectl(
        *rules, "--resource=byocphonenumbers,deployments.apps,configmaps,pods,leases.coordination.k8s.io"
    )
    planned.bed.kubectl(
        "create", "clusterrolebinding", "byoc-plan-no-secrets", "--clusterrole=byoc-plan-no-secrets", "--user=planner"
    )
    livekit = planned.bed.livekit
    keys = {"LIVEKIT_API_KEY": livekit.key, "LIVEKIT_API_SECRET": livekit.secret}
    try:
        args = ("plan", "-n", planned.namespace, "a", "--as", "planner")
        without_key = run(planned, *args)
        assert without_key.returncode == NO_RIGHTS
        assert "LiveKit cannot be read" in without_key.stderr
        with_key = run(planned, *args, changes=keys)
        assert with_key.returncode == UNCHANGED, with_key.stderr
        assert "user name and password are not compared" in with_key.stderr
    finally:
        planned.bed.kubectl("delete", "clusterrole,clusterrolebinding", "byoc-plan-no-secrets", "--ignore-not-found")
