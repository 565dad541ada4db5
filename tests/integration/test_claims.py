"""Several objects that name the same phone number."""

import json

from integration.scene import BASE, Scene, condition, fresh_number, recorded
from manifests import manifest


def test_the_second_object_of_a_number_is_told_who_holds_it_and_takes_over(scene: Scene) -> None:
    phone = scene.number("first")
    scene.ready("first")
    before = scene.held(phone)
    scene.number("second", phoneNumber=phone)
    number = scene.told("NumberClaimed", "second")
    assert condition(number, "Stalled")["reason"] == "NumberClaimed"
    assert "is held by ByocPhoneNumber first." in condition(number)["message"]
    scene.after_a_sweep()
    assert scene.held(phone).bytes == before.bytes
    assert condition(scene.get("first"))["reason"] == "Synced"
    scene.delete("first")
    number = scene.ready("second", within_s=3)
    held = scene.held(phone)
    assert held.counts == (1, 1, 1)
    assert recorded(number) == held.ids


def test_deleting_the_second_leaves_the_first_alone(scene: Scene) -> None:
    phone = scene.number("first")
    scene.ready("first")
    before = scene.held(phone).bytes
    scene.number("second", phoneNumber=phone)
    scene.told("NumberClaimed", "second")
    scene.delete("second")
    scene.after_a_sweep()
    assert scene.held(phone).bytes == before


def test_a_holder_in_another_namespace_is_not_named(scene: Scene) -> None:
    other = f"{scene.namespace}-other"
    scene.bed.kubectl("create", "namespace", other)
    try:
        phone = scene.number("secret-project")
        scene.ready("secret-project")
        elsewhere = Scene(scene.deployment, other)
        elsewhere.number("mine", phoneNumber=phone)
        number = elsewhere.told("NumberClaimed", "mine")
        assert "is held by an object in another namespace." in condition(number)["message"]
        told = json.dumps(number) + json.dumps(elsewhere.events("mine"))
        assert "secret-project" not in told
        assert scene.namespace not in told.replace(other, "")
        elsewhere.delete("mine")
    finally:
        scene.bed.kubectl("delete", "namespace", other, "--wait=false")


def test_claimants_made_in_the_same_second_do_not_block_each_other(scene: Scene) -> None:
    phones = [fresh_number() for _ in range(5)]
    items = [
        manifest(f"{name}{index}", scene.namespace, {**BASE, "phoneNumber": phone})
        for name in ("claimant", "other")
        for index, phone in enumerate(phones)
    ]
    scene.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def settled() -> bool:
        reasons = {number["metadata"]["name"]: condition(number)["reason"] for number in scene.all()}
        pairs = [{reasons[f"claimant{index}"], reasons[f"other{index}"]} for index in range(5)]
        return pairs == [{"Synced", "NumberClaimed"}] * 5

    scene.until(settled, "of each pair one has the number")
    assert [scene.held(phone).counts for phone in phones] == [(1, 1, 1)] * 5


def test_an_observer_claims_no_number(scene: Scene) -> None:
    phone = scene.number("observer", managementPolicy="Observe")
    scene.told("ChangesPending", "observer")
    scene.number("owner", phoneNumber=phone)
    scene.ready("owner")
    scene.told("NumberClaimed", "observer")


def test_a_claim_stands_over_a_restart(scene: Scene) -> None:
    phone = scene.number("zz-first")
    scene.ready("zz-first")
    before = scene.held(phone).bytes
    scene.number("aa-second", phoneNumber=phone)
    scene.told("NumberClaimed", "aa-second")
    scene.deployment.restart()
    scene.after_a_sweep()
    assert condition(scene.get("zz-first"))["reason"] == "Synced"
    assert condition(scene.get("aa-second"))["reason"] == "NumberClaimed"
    assert scene.held(phone).bytes == before
