"""Missing rights and orphans are reported, never silent; and adoption."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.message import Message
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
    SIPTransport,
)

from integration.deployment import NEVER, Deployment
from integration.scene import BASE, GOOD_SECRET, Scene, condition, findings, fresh_number, livekit_writes, recorded
from integration.sip import plain
from manifests import manifest
from testbed.bed import Bed

ALONE = {"BYOC_LEADER_ELECTION": "false"}
"""No Lease to lose while the API server restarts: it is the watches that these tests are about."""
NUMBERS, SECRETS = "byocphonenumbers", "secrets"


# Rights taken away


def _without(role: dict[str, Any], taken: tuple[str, ...]) -> dict[str, Any]:
    """The ClusterRole without LIST and WATCH of these resources."""
    rules = [
        {**rule, "verbs": [verb for verb in rule["verbs"] if verb not in ("list", "watch")]}
        if set(rule["resources"]) & set(taken)
        else rule
        for rule in role["rules"]
    ]
    return {**role, "rules": rules}


class Rights:
    """The operator's ClusterRole."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        found: dict[str, Any] = json.loads(bed.kubectl("get", "clusterrole", "byoc-operator", "-o", "json").stdout)
        self._role = {**found, "metadata": {"name": found["metadata"]["name"]}}

    def all_but(self, *taken: str) -> None:
        """Give everything, but for LIST and WATCH of these resources."""
        self._bed.kubectl("replace", "-f", "-", stdin=json.dumps(_without(self._role, taken)))


@pytest.fixture
def rights(installed: Bed) -> Iterator[Rights]:
    """The ClusterRole; it is restored in the end."""
    made = Rights(installed)
    yield made
    made.all_but()


def _waiting_for(deployment: Deployment) -> str:
    return " | ".join(deployment.readyz().get("waitingFor", ()))


def test_rights_missing_at_the_start_are_told_and_the_start_goes_on_once_they_are_given(
    stage: Scene, deployment: Deployment, rights: Rights
) -> None:
    rights.all_but(NUMBERS)
    process = deployment.launch(ALONE)
    stage.until(lambda: "403" in _waiting_for(deployment), "readyz says what is missing")
    assert "byocphonenumbers" in _waiting_for(deployment)
    assert not process.is_ready()
    stage.until(lambda: "cannot list yet: GET byocphonenumbers: 403" in process.log_text(), "the log says so")
    stage.number()
    rights.all_but()
    process.wait_ready()
    stage.ready()


def test_watches_that_are_forbidden_are_told_and_heal_by_themselves(
    stage: Scene, deployment: Deployment, rights: Rights
) -> None:
    scene = stage
    deployment.ensure(ALONE)
    process = deployment.process
    start = len(process.log_text())
    phone = scene.number()
    scene.ready()
    rights.all_but(NUMBERS, SECRETS)
    scene.bed.api_server.stop()
    scene.bed.api_server.start()
    scene.until(lambda: process.metrics()["byoc_watches_broken"] == 2, "both watches are broken", within_s=60)
    assert not process.is_ready()
    assert "/byocphonenumbers cannot be opened: HTTP 403" in _waiting_for(deployment)
    assert "/secrets cannot be opened: HTTP 403" in _waiting_for(deployment)
    scene.number("unseen")

    rights.all_but(SECRETS)
    scene.ready("unseen", within_s=60)
    scene.until(lambda: process.metrics()["byoc_watches_broken"] == 1, "one watch is broken")
    assert "/byocphonenumbers" not in _waiting_for(deployment)
    assert not process.is_ready()

    rights.all_but()
    scene.until(process.is_ready, "all is well", within_s=60)
    assert process.metrics()["byoc_watches_broken"] == 0
    assert process.exit_code is None
    told = process.log_text()[start:]
    for resource in (NUMBERS, SECRETS):
        assert f"/{resource} cannot be opened: HTTP 403" in told
        assert f"/{resource} is open again" in told
    scene.secret({"username": "alice", "password": "seen-at-once"})
    scene.change("unseen", sipPasswordSecretRef={"name": "sip"})
    scene.ready("unseen")
    scene.one_each([phone])


def test_a_label_taken_off_a_secret_while_its_watch_was_away_is_noticed(
    stage: Scene, deployment: Deployment, rights: Rights
) -> None:
    """The watch begins anew with a LIST, in which the Secret is missing: of that alone no event comes."""
    scene = stage
    deployment.ensure(ALONE)
    scene.secret(GOOD_SECRET)
    scene.number(sipPasswordSecretRef={"name": "sip"})
    assert "CredentialsNotWatched" not in findings(scene.ready())
    rights.all_but(SECRETS)
    scene.bed.api_server.stop()
    scene.bed.api_server.start()
    broken = "/secrets cannot be opened: HTTP 403"
    scene.until(lambda: broken in _waiting_for(deployment), "the watch is broken", within_s=60)
    scene.secret(GOOD_SECRET, labelled=False)
    scene.after_a_sweep()
    assert "CredentialsNotWatched" not in findings(scene.get())

    rights.all_but()
    scene.until(deployment.process.is_ready, "all is well", within_s=60)
    scene.until(lambda: "CredentialsNotWatched" in findings(scene.get()), "a sweep has noticed")
    version = scene.secret({**GOOD_SECRET, "password": "second-password"}, labelled=False)
    scene.until(lambda: scene.get()["status"]["credentials"]["resourceVersion"] == version, "it has the new password")


# Orphans


@contextmanager
def _left_behind(scene: Scene, deployment: Deployment, settings: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """IDs of what a number leaves in LiveKit when its finalizer is stripped while nobody looks."""
    deployment.ensure(ALONE)
    phone = scene.number("lost")
    scene.number("kept")
    scene.ready("lost")
    scene.ready("kept")
    retained = scene.number("retained", deletionPolicy="Retain")
    scene.ready("retained")
    scene.delete("retained")
    assert scene.held(retained).counts == (1, 1, 1)
    observed = scene.number("observed")
    scene.ready("observed")
    scene.change("observed", managementPolicy="Observe")
    scene.delete("observed")
    assert scene.held(observed).counts == (1, 1, 1)
    deployment.stop()
    ids = scene.held(phone).ids
    scene.kubectl("patch", "bpn", "lost", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    scene.kubectl("delete", "bpn", "lost")
    deployment.start(ALONE | settings)
    yield ids


def _lease_notes(bed: Bed, reason: str) -> list[str]:
    """The Events about the installation as a whole."""
    told = bed.kubectl("get", "events.events.k8s.io", "-n", "byoc-system", "-o", "json").stdout
    events = [event for event in json.loads(told)["items"] if event["regarding"]["kind"] == "Lease"]
    return [event["note"] for event in events if event["reason"] == reason]


def _all_ids(scene: Scene) -> set[str]:
    outbound = {trunk.sip_trunk_id for trunk in scene.sip.outbound()}
    inbound = {trunk.sip_trunk_id for trunk in scene.sip.inbound()}
    return outbound | inbound | {rule.sip_dispatch_rule_id for rule in scene.sip.rules()}


def test_orphans_are_told_and_stay(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    with _left_behind(scene, deployment, {}) as ids:
        before = _all_ids(scene)
        scene.until(lambda: deployment.process.metrics()["byoc_orphans"] == 3, "the metric counts them")
        scene.until(lambda: _lease_notes(scene.bed, "OrphansFound"), "an Event on the Lease tells of them")
        scene.after_a_sweep()
        (note,) = [note for note in _lease_notes(scene.bed, "OrphansFound") if ids[0] in note]
        assert all(id_ in note for id_ in ids)
        assert f"{scene.namespace}/lost" in note
        assert "retained" not in note
        assert "observed" not in note
        assert note in deployment.process.log_text()
        assert _all_ids(scene) == before
    (phone,) = [trunk.numbers[0] for trunk in scene.sip.outbound() if trunk.sip_trunk_id == ids[0]]
    scene.number("lost", phoneNumber=phone)
    assert recorded(scene.ready("lost")) == ids
    scene.until(lambda: deployment.process.metrics()["byoc_orphans"] == 0, "whose object is back is no orphan")


def test_orphans_are_deleted_where_the_setting_says_so_and_nothing_else_is(
    stage: Scene, deployment: Deployment
) -> None:
    scene = stage
    mark = {"managedBy": "byoc-operator", "owner": f"other-installation/{scene.namespace}/lost"}
    others = scene.sip.create_outbound(
        SIPOutboundTrunkInfo(name="o", address="sip.example.net", numbers=["+12025550188"], metadata=json.dumps(mark))
    )
    foreign = scene.sip.create_inbound(SIPInboundTrunkInfo(name="theirs", numbers=["+12025550189"]))
    with _left_behind(scene, deployment, {"BYOC_ORPHANS": "Delete"}) as ids:
        before = _all_ids(scene)
        assert {others, foreign} < before
        scene.until(lambda: not _all_ids(scene) & set(ids), "they are gone", within_s=20)
        scene.after_a_sweep()
        assert _all_ids(scene) == before - set(ids)
        assert deployment.process.metrics()["byoc_orphans"] == 0
        assert deployment.process.metrics()["byoc_retained_numbers"] == 2
        assert condition(scene.get("kept"))["reason"] == "Synced"


# Adoption

ADOPTING = ALONE | {"BYOC_ADOPTION": "Allow"}


def _made_by_hand(scene: Scene, phone: str, **inbound: Any) -> tuple[str, str, str]:
    """LiveKit objects that a user created with `lk sip` before the operator was installed."""
    outbound = scene.sip.create_outbound(
        SIPOutboundTrunkInfo(name="by hand", address="old.example.com", numbers=[phone])
    )
    trunk = scene.sip.create_inbound(SIPInboundTrunkInfo(name="by hand", numbers=[phone], **inbound))
    rule = scene.sip.create_rule(
        SIPDispatchRuleInfo(
            name="by hand",
            trunk_ids=[trunk],
            rule=SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="old-")),
            room_config=RoomConfiguration(agents=[RoomAgentDispatch(agent_name="old-agent")]),
        )
    )
    return outbound, trunk, rule


def _adopting(scene: Scene, phone: str, wish: str) -> None:
    """Create a number that asks to take these over."""
    wanted = manifest("a", scene.namespace, {**BASE, "phoneNumber": phone})
    wanted["metadata"]["annotations"] = {"byoc.talkifai.dev/adopt": wish}
    scene.kubectl("create", "-f", "-", stdin=json.dumps(wanted))


def _as_made_anew(scene: Scene) -> list[dict[str, Any]]:
    """What a number gets that adopts nothing, to compare with."""
    phone = scene.number("model")
    scene.ready("model")
    held = scene.held(phone)
    found = [plain(message) for message in _messages(held)]
    return [_without_names(each, phone, "model") for each in found]


def _messages(held: Any) -> tuple[Message, ...]:
    return (*held.outbound, *held.inbound, *held.rules)


def _without_names(found: dict[str, Any], phone: str, name: str) -> dict[str, Any]:
    text = json.dumps({key: value for key, value in found.items() if key != "trunk_ids" and value != {}})
    in_metadata = r"\"name\":\"{}\"".format  # JSON in a string of JSON
    text = text.replace(in_metadata(name), in_metadata("NAME"))
    cleaned: dict[str, Any] = json.loads(text.replace(phone, "PHONE").replace(f"/{name}", "/NAME"))
    return cleaned


def test_objects_made_by_hand_are_taken_over_in_place(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(ADOPTING)
    phone = fresh_number()
    ids = _made_by_hand(scene, phone)
    scene.after_a_sweep()
    with scene.counted() as calls:
        _adopting(scene, phone, ",".join(ids))
        assert recorded(scene.ready()) == ids
        scene.after_a_sweep()
    assert livekit_writes(calls) == dict.fromkeys(
        ("UpdateSIPOutboundTrunk", "UpdateSIPInboundTrunk", "UpdateSIPDispatchRule"), 1
    )
    adopted = [_without_names(plain(message), phone, "a") for message in _messages(scene.held(phone))]
    assert adopted == _as_made_anew(scene)
    scene.one_each([phone])
    scene.delete()
    assert scene.held(phone).counts == (0, 0, 0)


def test_what_was_made_since_the_last_sweep_can_be_adopted_too(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(ADOPTING | NEVER)
    scene.number("other")
    scene.ready("other")
    phone = fresh_number()
    ids = _made_by_hand(scene, phone)
    _adopting(scene, phone, f"{','.join(ids)},force")
    assert recorded(scene.ready()) == ids
    scene.one_each([phone])


def test_what_an_adoption_would_erase_is_listed_and_waits_for_force(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(ADOPTING)
    phone = fresh_number()
    ids = _made_by_hand(scene, phone, headers={"X-Theirs": "secret-header"}, krisp_enabled=True)
    scene.after_a_sweep()
    untouched = scene.held(phone).bytes
    _adopting(scene, phone, ",".join(ids))
    number = scene.told("ChangesPending")
    assert sorted(number["status"]["pendingChanges"]) == [
        "inboundTrunk.noiseCancellation",
        "inboundTrunk.responseHeaders",
    ]
    assert "secret-header" not in json.dumps(number)
    assert ",force" in condition(number)["message"]
    scene.after_a_sweep()
    assert scene.held(phone).bytes == untouched
    scene.annotate(f"adopt={','.join(ids)},force")
    assert recorded(scene.ready()) == ids
    assert not scene.held(phone).inbound[0].headers
    assert "pendingChanges" not in scene.get()["status"]
    scene.one_each([phone])


def test_nothing_is_adopted_where_the_setting_does_not_allow_it(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(ALONE)
    phone = fresh_number()
    ids = _made_by_hand(scene, phone)
    untouched = {each.SerializeToString(deterministic=True) for each in _messages(scene.held(phone))}
    _adopting(scene, phone, f"{','.join(ids)},force")
    number = scene.told("NumberConflict")
    assert "BYOC_ADOPTION" in condition(number)["message"]
    scene.after_a_sweep()
    held = {each.SerializeToString(deterministic=True) for each in _messages(scene.held(phone))}
    assert untouched == held, "nothing of theirs was touched, and nothing is made beside it"


def test_what_belongs_to_another_number_or_to_somebody_is_never_adopted(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(ADOPTING)
    other = fresh_number()
    owned = scene.number("owner", phoneNumber=other)
    scene.ready("owner")
    shared = scene.sip.create_outbound(
        SIPOutboundTrunkInfo(
            name="shared",
            address="sip.example.net",
            transport=SIPTransport.SIP_TRANSPORT_TCP,
            numbers=["+12025550177", "+12025550178"],
        )
    )
    before = (scene.held(owned).bytes, scene.held("+12025550178").bytes)
    _adopting(scene, "+12025550177", ",".join((shared, *scene.held(owned).ids, "ST_nobody", "force")))
    number = scene.told("AdoptionRefused")
    for told in (f"{shared} carries other numbers too (+12025550178)", "belongs to ByocPhoneNumber owner", "ST_nobody"):
        assert told in condition(number)["message"]
    assert recorded(number) == ()
    scene.after_a_sweep()
    assert scene.held("+12025550177").bytes == scene.held("+12025550178").bytes, "nothing is made beside it"
    assert (scene.held(owned).bytes, scene.held("+12025550178").bytes) == before


def _of_cluster(ids: str) -> dict[str, str]:
    return ALONE | {"BYOC_INSTALLATION_ID": ids}


def test_the_same_object_of_another_installation_is_told_the_way_over_and_nothing_is_doubled(
    stage: Scene, deployment: Deployment
) -> None:
    scene = stage
    deployment.ensure(_of_cluster("cluster-old"))
    phone = scene.number(inboundAgentId=None)
    ids, untouched = recorded(scene.ready()), scene.held(phone).bytes
    deployment.ensure(_of_cluster("cluster-new"))
    number = scene.told("NumberConflict")
    assert "BYOC_INSTALLATION_ID=cluster-new,cluster-old" in condition(number)["message"]
    scene.after_a_sweep()
    assert (scene.held(phone).bytes, recorded(scene.get())) == (untouched, ())
    deployment.ensure(_of_cluster("cluster-new,cluster-old"))
    assert recorded(scene.ready()) == ids
    deployment.ensure(_of_cluster("cluster-old"))
    scene.told("NumberConflict")
    scene.delete()
    assert scene.held(phone).ids == ids, "what the new one took over outlives the old one's object"
    scene.sip.delete(*ids)
