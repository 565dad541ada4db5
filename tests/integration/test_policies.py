"""Observe, Retain, pause and force-orphan: what users may choose instead of full management."""

import json

import pytest

from integration.scene import GOOD_SECRET, Scene, condition, livekit_writes, recorded

REF = {"name": "sip"}


def test_an_observed_number_is_only_looked_at(scene: Scene) -> None:
    with scene.counted() as calls:
        phone = scene.number(managementPolicy="Observe")
        number = scene.told("ChangesPending")
        scene.after_a_sweep()
    assert number["status"]["pendingChanges"] == ["outboundTrunk", "inboundTrunk", "dispatchRule"]
    assert condition(number)["status"] == "False"
    assert condition(number, "Stalled")["status"] == condition(number, "Reconciling")["status"] == ""
    assert "with Manage the operator would create the outboundTrunk" in condition(number)["message"]
    assert "finalizers" not in number["metadata"]
    assert livekit_writes(calls) == {}
    assert scene.held(phone).counts == (0, 0, 0)


def test_an_observed_number_lists_the_fields_that_would_change_and_managing_applies_them(scene: Scene) -> None:
    scene.secret(GOOD_SECRET)
    phone = scene.number(sipPasswordSecretRef=REF)
    before = recorded(scene.ready())
    scene.change(managementPolicy="Observe")
    scene.ready()
    with scene.counted() as calls:
        scene.change(terminationUri="sip.example.com", inboundAgentId="agent_new")
        number = scene.told("ChangesPending")
        scene.secret({**GOOD_SECRET, "password": "second-password"})
        scene.until(
            lambda: "outboundTrunk.password" in scene.get()["status"]["pendingChanges"], "the password is pending"
        )
    assert livekit_writes(calls) == {}
    assert set(number["status"]["pendingChanges"]) == {
        "outboundTrunk.address",
        "inboundTrunk.allowedAddresses",
        "dispatchRule.agentName",
        "dispatchRule.agentMetadata",
    }
    assert "second-password" not in json.dumps(scene.get())
    scene.change(managementPolicy="Manage")
    number = scene.ready()
    assert "pendingChanges" not in number["status"]
    assert scene.held(phone).ids == recorded(number) == before
    assert scene.held(phone).outbound[0].auth_password == "second-password"


def test_an_observed_number_lets_go_without_touching_livekit(scene: Scene) -> None:
    phone = scene.number()
    scene.ready()
    scene.change(managementPolicy="Observe")
    scene.ready()
    before = scene.held(phone).bytes
    with scene.counted() as calls:
        scene.delete()
    assert livekit_writes(calls) == {}
    assert scene.held(phone).bytes == before


@pytest.mark.parametrize(("policy", "outbound"), [("Keep", 1), ("Remove", 0)])
def test_a_shorter_list_of_hosts_keeps_or_removes_outbound_trunks(stage: Scene, policy: str, outbound: int) -> None:
    stage.deployment.ensure({"BYOC_TERMINATION_HOSTS": "pstn.twilio.com,example.com"})
    refused = stage.number("refused", terminationUri="sip.example.com")
    allowed = stage.number("allowed")
    stage.all_ready(2)
    stage.deployment.ensure({"BYOC_TERMINATION_HOSTS": "pstn.twilio.com", "BYOC_REFUSED_HOSTS": policy})
    number = stage.told("InvalidSpec", "refused")
    stage.after_a_sweep()
    assert stage.held(refused).counts == (outbound, 1, 1)
    assert ("outboundTrunkId" in number["status"]) == bool(outbound)
    assert "inboundTrunkId" in number["status"]
    assert f"BYOC_REFUSED_HOSTS{'=Remove' if outbound else ' is Remove'}" in condition(number)["message"]
    stage.change("refused", terminationUri="x.pstn.twilio.com")
    stage.all_ready(2)
    stage.one_each([refused, allowed])


def test_retained_objects_stay_and_are_taken_over_again(scene: Scene) -> None:
    phone = scene.number(deletionPolicy="Retain")
    before = recorded(scene.ready())
    scene.delete()
    held = scene.held(phone)
    assert held.ids == before
    assert [mark["deletionPolicy"] for mark in held.marks] == ["Retain"] * 2
    scene.number(phoneNumber=phone)
    assert recorded(scene.ready()) == scene.held(phone).ids == before
    assert [mark["deletionPolicy"] for mark in scene.held(phone).marks] == ["Delete"] * 2


def test_retain_chosen_at_the_last_moment_is_in_the_marks(scene: Scene) -> None:
    scene.secret(GOOD_SECRET)
    phone = scene.number(sipPasswordSecretRef=REF)
    scene.ready()
    scene.kubectl("delete", "secret", "sip")
    scene.told("SecretNotFound")
    scene.change(deletionPolicy="Retain")
    scene.delete()
    held = scene.held(phone)
    assert held.counts == (1, 1, 1)
    assert [mark["deletionPolicy"] for mark in held.marks] == ["Retain"] * 2
    assert held.outbound[0].auth_password == "first-password"


def test_a_paused_number_waits_with_its_edits_until_it_may_go_on(scene: Scene) -> None:
    phone = scene.number()
    scene.ready()
    before = scene.held(phone).bytes
    scene.annotate("paused=true")
    number = scene.told("Paused")
    assert condition(number)["status"] == "Unknown"
    assert condition(number, "Reconciling")["status"] == condition(number, "Stalled")["status"] == ""
    scene.change(inboundAgentId="agent_new")
    scene.told("Paused")
    scene.after_a_sweep()
    assert scene.held(phone).bytes == before
    scene.annotate("paused-")
    scene.ready()
    assert scene.held(phone).rules[0].room_config.agents[0].agent_name == "agent_new"


def test_a_number_born_paused_gets_nothing_in_livekit(scene: Scene) -> None:
    phone = scene.number(managementPolicy="Observe")
    scene.told("ChangesPending")
    scene.annotate("paused=true")
    scene.change(managementPolicy="Manage")
    scene.told("Paused")
    scene.after_a_sweep()
    assert scene.held(phone).counts == (0, 0, 0)


def test_a_paused_number_can_be_deleted(scene: Scene) -> None:
    phone = scene.number()
    scene.ready()
    scene.annotate("paused=true")
    scene.told("Paused")
    scene.delete()
    assert scene.held(phone).counts == (0, 0, 0)


def test_refresh_and_recreate_wait_for_a_paused_number(scene: Scene) -> None:
    phone = scene.number()
    before = recorded(scene.ready())
    scene.annotate("paused=true")
    scene.told("Paused")
    scene.annotate("refresh=1", "recreate=1")
    scene.after_a_sweep()
    assert scene.held(phone).ids == before
    assert "lastHandledRefresh" not in scene.get()["status"]
    scene.annotate("paused-")
    scene.until(lambda: scene.get()["status"].get("lastHandledRecreate") == "1", "it was made anew")
    assert scene.get()["status"]["lastHandledRefresh"] == "1"
    assert set(scene.held(phone).ids).isdisjoint(before)


@pytest.fixture
def without_livekit(scene: Scene) -> Scene:
    """A number in step, and then no LiveKit any more; it comes back in the end."""
    scene.number(phoneNumber="+12025559999")
    scene.ready()
    return scene


def test_force_orphan_lets_a_number_go_while_livekit_is_away_and_names_what_stays(without_livekit: Scene) -> None:
    scene = without_livekit
    ids = recorded(scene.get())
    scene.bed.redis.save()
    scene.bed.livekit.stop()
    try:
        scene.kubectl("delete", "bpn", "a", "--wait=false")
        scene.told("LiveKitUnavailable")
        assert "finalizers" in scene.get()["metadata"]
        scene.annotate("force-orphan=true")
        scene.until(lambda: scene.find() is None, "it was let go")
    finally:
        scene.bed.livekit.start()
    notes = scene.until(lambda: [note for reason, note in scene.events() if reason == "Orphaned"], "an Event says so")
    assert len(notes) == 1
    assert [id_ for id_ in ids if id_ not in notes[0]] == []
    assert set(scene.held("+12025559999").ids) == set(ids)


def test_force_orphan_changes_nothing_where_livekit_answers(scene: Scene) -> None:
    phone = scene.number()
    scene.ready()
    scene.annotate("force-orphan=true")
    scene.delete()
    assert scene.held(phone).counts == (0, 0, 0)
    scene.events_are_posted()
    assert [reason for reason, _ in scene.events()] == ["Synced"]


def test_a_deleted_number_that_another_finalizer_keeps_hands_out_no_dead_id(scene: Scene) -> None:
    phone = scene.number()
    scene.ready()
    add = {"metadata": {"finalizers": ["byoc.talkifai.dev/finalizer", "example.com/audit"]}}
    scene.kubectl("patch", "bpn", "a", "--type=merge", "-p", json.dumps(add))
    scene.kubectl("delete", "bpn", "a", "--wait=false")
    number = scene.told("Deleting")
    scene.until(lambda: scene.get()["metadata"]["finalizers"] == ["example.com/audit"], "ours is gone")
    assert condition(number)["status"] == "False"
    assert recorded(number) == ()
    assert scene.held(phone).counts == (0, 0, 0)
    scene.kubectl("patch", "bpn", "a", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    scene.until(lambda: scene.find() is None, "it is gone")
