"""Changes in LiveKit and in the cluster that the operator did not make."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPMediaEncryption,
    SIPOutboundTrunkInfo,
    SIPTransport,
)

from integration.scene import GOOD_SECRET, Scene, condition, findings, livekit_writes, recorded
from integration.sip import Held, plain

REF = {"name": "sip"}
_Trunk = TypeVar("_Trunk", SIPOutboundTrunkInfo, SIPInboundTrunkInfo)


def _in_step(scene: Scene, **spec: Any) -> tuple[str, Held]:
    phone = scene.number(**spec)
    scene.ready()
    return phone, scene.held(phone)


def _repairs(scene: Scene) -> list[str]:
    return [note for reason, note in scene.events() if reason == "Repaired"]


def _settings(held: Held) -> dict[str, Any]:
    """The rule without the empty `media` that LiveKit adds to some and not to others."""
    return {name: value for name, value in plain(held.rules[0]).items() if value != {}}


def _repaired(scene: Scene, words: str) -> str:
    """The one Event about a repair."""
    scene.until(lambda: _repairs(scene), "an Event says what was put right")
    (note,) = _repairs(scene)
    assert note == f"put right in LiveKit: {words}"
    return note


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (lambda held: held.ids[0], "outboundTrunk"),
        (lambda held: held.ids[1], "inboundTrunk, dispatchRule.trunkIds"),
        (lambda held: held.ids[2], "dispatchRule"),
    ],
    ids=["outbound trunk", "inbound trunk", "rule"],
)
def test_what_was_deleted_comes_back(scene: Scene, lost: Callable[[Held], str], words: str) -> None:
    phone, held = _in_step(scene)
    scene.sip.delete(lost(held))
    scene.until(lambda: scene.held(phone).counts == (1, 1, 1) and scene.held(phone).ids != held.ids, "it is back")
    scene.until(lambda: recorded(scene.get()) == scene.held(phone).ids, "the status names the new ID")
    _repaired(scene, words)
    after = scene.held(phone)
    assert len(set(after.ids) & set(held.ids)) == 2
    assert list(after.rules[0].trunk_ids) == [after.inbound[0].sip_trunk_id]


def test_edited_fields_are_put_right_in_place_and_named_without_values(scene: Scene) -> None:
    scene.secret(GOOD_SECRET)
    phone, held = _in_step(scene, sipPasswordSecretRef=REF)
    edited = SIPOutboundTrunkInfo()
    edited.CopyFrom(held.outbound[0])
    edited.address, edited.auth_password, edited.transport = (
        "evil.example.com",
        "stolen-word",
        SIPTransport.SIP_TRANSPORT_UDP,
    )
    edited.headers["X-Spy"] = "spying-word"
    scene.sip.put_outbound(edited)
    scene.until(lambda: plain(scene.held(phone).outbound[0]) == plain(held.outbound[0]), "it is as it was")
    note = _repaired(
        scene, "outboundTrunk.address, outboundTrunk.transport, outboundTrunk.password, outboundTrunk.headers"
    )
    scene.after_a_sweep()
    assert _repairs(scene) == [note], "it is repaired once"
    assert not [word for word in ("evil", "stolen", "spy", "first-password") if word in note]
    assert scene.held(phone).ids == held.ids


def test_an_edited_inbound_trunk_is_put_right(scene: Scene) -> None:
    phone, held = _in_step(scene)
    edited = SIPInboundTrunkInfo()
    edited.CopyFrom(held.inbound[0])
    del edited.allowed_addresses[:]
    edited.media_encryption = SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE
    edited.media.encryption = SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE
    edited.headers["X-Foreign"] = "1"
    scene.sip.put_inbound(edited)
    scene.until(lambda: plain(scene.held(phone).inbound[0]) == plain(held.inbound[0]), "it is as it was")
    _repaired(scene, "inboundTrunk.allowedAddresses, inboundTrunk.responseHeaders, inboundTrunk.mediaEncryption")


OPTIONAL: dict[str, Any] = {
    "media": {"codecs": ["PCMU", "opus/48000"], "onlyListedCodecs": True, "mediaTimeoutSeconds": 30},
    "inbound": {
        "attributesToHeaders": {"outcome": "X-Outcome"},
        "includeHeaders": "XHeaders",
        "responseHeaders": {"X-Answered-By": "agent"},
        "ringStatus": 480,
    },
    "outbound": {
        "attributesToHeaders": {"outcome": "X-Outcome"},
        "headersToAttributes": {"X-Call-Ref": "carrierCallId"},
        "includeHeaders": "All",
    },
}
ERASED = (
    "attributes_to_headers",
    "include_headers",
    "headers_to_attributes",
    "headers",
    "ringing_timeout_status",
)


def _without_optional(trunk: _Trunk) -> _Trunk:
    """A trunk as the operator writes it for a spec without the fields of `OPTIONAL`."""
    edited = type(trunk).FromString(trunk.SerializeToString())
    for field in ERASED:
        if field in edited.DESCRIPTOR.fields_by_name:
            edited.ClearField(field)
    del edited.media.codecs[:]
    edited.media.only_listed_codecs = False
    edited.media.ClearField("media_timeout")
    return edited


def test_optional_fields_are_put_right_and_go_with_the_spec(scene: Scene) -> None:
    phone, held = _in_step(scene, **OPTIONAL)
    outbound, inbound = _without_optional(held.outbound[0]), _without_optional(held.inbound[0])
    scene.sip.put_outbound(outbound)
    scene.sip.put_inbound(inbound)
    scene.until(
        lambda: plain(scene.held(phone).outbound[0]) == plain(held.outbound[0]), "the outbound trunk is as it was"
    )
    scene.until(lambda: plain(scene.held(phone).inbound[0]) == plain(held.inbound[0]), "the inbound trunk is as it was")
    scene.change(media=None, inbound=None, outbound=None)
    scene.until(lambda: plain(scene.held(phone).outbound[0]) == plain(outbound), "the outbound trunk has none of them")
    scene.until(lambda: plain(scene.held(phone).inbound[0]) == plain(inbound), "the inbound trunk has none of them")


def test_an_edited_rule_is_put_right(scene: Scene) -> None:
    phone, held = _in_step(scene)
    edited = SIPDispatchRuleInfo()
    edited.CopyFrom(held.rules[0])
    edited.rule.dispatch_rule_individual.room_prefix = "elsewhere-"
    edited.room_config.agents[0].agent_name = "agent_evil"
    scene.sip.put_rule(edited)
    scene.until(lambda: _settings(scene.held(phone)) == _settings(held), "it is as it was")
    _repaired(scene, "dispatchRule.roomPrefix, dispatchRule.agentName")


@pytest.mark.parametrize("metadata", ["", "somebody wrote here", '{"managedBy":"byoc-operator"}'])
def test_a_lost_mark_is_put_back(scene: Scene, metadata: str) -> None:
    phone, held = _in_step(scene)
    edited = SIPInboundTrunkInfo()
    edited.CopyFrom(held.inbound[0])
    edited.metadata = metadata
    scene.sip.put_inbound(edited)
    scene.until(lambda: scene.held(phone).inbound[0].metadata == held.inbound[0].metadata, "the mark is back")
    _repaired(scene, "inboundTrunk.metadata")
    assert scene.held(phone).ids == held.ids


def test_a_renamed_rule_gets_its_name_back(scene: Scene) -> None:
    phone, held = _in_step(scene)
    edited = SIPDispatchRuleInfo()
    edited.CopyFrom(held.rules[0])
    edited.name = "my rule"
    scene.sip.put_rule(edited)
    scene.until(lambda: scene.held(phone).rules[0].name == held.rules[0].name, "the name is back")
    assert scene.held(phone).ids == held.ids


def test_a_duplicate_with_our_mark_is_removed_and_ours_is_kept(scene: Scene) -> None:
    phone, held = _in_step(scene)
    copy = SIPOutboundTrunkInfo()
    copy.CopyFrom(held.outbound[0])
    copy.sip_trunk_id = ""
    double = scene.sip.create_outbound(copy)
    scene.until(lambda: double not in scene.held(phone).ids, "the duplicate is gone")
    assert scene.held(phone).bytes == held.bytes
    assert recorded(scene.get()) == held.ids


def test_a_foreign_inbound_trunk_with_the_number_is_told_and_never_touched(scene: Scene) -> None:
    phone = "+12025550199"
    spaced = "+1 (202) 555-0199"
    foreign = scene.sip.create_inbound(SIPInboundTrunkInfo(name="theirs", numbers=[spaced]))
    untouched = scene.held(spaced).bytes
    scene.number(phoneNumber=phone)
    number = scene.told("NumberConflict")
    assert foreign in condition(number)["message"]
    assert condition(number, "Stalled")["reason"] == "NumberConflict"
    scene.after_a_sweep()
    assert scene.held(phone).counts == (0, 0, 0)
    assert recorded(number) == ()
    assert scene.held(spaced).bytes == untouched
    scene.sip.delete(foreign)
    scene.ready()
    assert scene.held(phone).counts == (1, 1, 1)


def test_a_foreign_inbound_trunk_survives_the_deletion_of_the_number_it_blocks(scene: Scene) -> None:
    phone = "+12025550198"
    foreign = scene.sip.create_inbound(SIPInboundTrunkInfo(name="theirs", numbers=[phone]))
    untouched = scene.held(phone).bytes
    scene.number(phoneNumber=phone)
    scene.told("NumberConflict")
    scene.delete()
    assert scene.held(phone).ids == (foreign,)
    assert scene.held(phone).bytes == untouched


def test_a_foreign_outbound_trunk_with_the_number_harms_nobody(scene: Scene) -> None:
    phone = "+12025550197"
    theirs = SIPOutboundTrunkInfo(name="theirs", address="sip.example.net", numbers=[phone])
    foreign = scene.sip.create_outbound(theirs)
    before = [trunk for trunk in scene.sip.outbound() if trunk.sip_trunk_id == foreign]
    scene.number(phoneNumber=phone)
    assert foreign not in recorded(scene.ready())
    scene.delete()
    assert [trunk for trunk in scene.sip.outbound() if trunk.sip_trunk_id == foreign] == before


def test_a_foreign_rule_without_a_trunk_is_a_finding(scene: Scene) -> None:
    individual = SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="any-"))
    wildcard = scene.sip.create_rule(SIPDispatchRuleInfo(name="theirs", rule=individual))
    scene.number()
    scene.until(lambda: findings(scene.get()) == ["ForeignWildcardRule"], "a sweep has found it")
    number = scene.get()
    assert condition(number)["reason"] == "Synced"
    assert "names no trunk" in number["status"]["findings"][0]["message"]
    scene.sip.delete(wildcard)
    scene.until(lambda: findings(scene.get()) == [], "the finding is gone")


def test_a_rule_with_a_pin_on_our_trunk_is_told_until_it_goes(scene: Scene) -> None:
    _, held = _in_step(scene)
    trunk, pin = held.ids[1], "48151623"
    asks = SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="theirs-", pin=pin))
    foreign = scene.sip.create_rule(SIPDispatchRuleInfo(name="theirs", rule=asks, trunk_ids=[trunk]))
    scene.until(lambda: findings(scene.get()) == ["ForeignRuleOnTrunk"], "a sweep has found it")
    number = scene.get()
    assert condition(number)["reason"] == "Synced"
    assert number["status"]["findings"][0]["message"].endswith(f"({foreign} asks every caller for a PIN)")
    assert pin not in json.dumps(number)
    scene.sip.delete(foreign)
    scene.until(lambda: findings(scene.get()) == [], "the finding is gone")


def test_rules_for_another_called_number_are_no_finding(scene: Scene) -> None:
    _, held = _in_step(scene)
    elsewhere = SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="theirs-"))
    for trunk_ids in ([], [held.ids[1]]):
        limited = SIPDispatchRuleInfo(name="theirs", rule=elsewhere, trunk_ids=trunk_ids, numbers=["+12025550198"])
        scene.sip.create_rule(limited)
    scene.after_a_sweep()
    assert findings(scene.get()) == []


def test_a_wiped_status_heals_without_a_write_to_livekit(scene: Scene) -> None:
    scene.secret(GOOD_SECRET)
    phone, held = _in_step(scene, sipPasswordSecretRef=REF)
    status = scene.get()["status"]
    with scene.counted() as calls:
        scene.wipe_status()
        scene.ready()
        scene.after_a_sweep()
    assert livekit_writes(calls) == {}
    assert recorded(scene.get()) == held.ids == scene.held(phone).ids
    assert scene.get()["status"].keys() == status.keys()


def test_wrong_ids_in_the_status_are_corrected(scene: Scene) -> None:
    phone, held = _in_step(scene)
    wrong = json.dumps({"status": {"outboundTrunkId": "ST_nobody", "inboundTrunkId": "ST_nobody"}})
    scene.kubectl("patch", "bpn", "a", "--subresource=status", "--type=merge", "-p", wrong)
    scene.until(lambda: recorded(scene.get()) == held.ids, "the status is right again")
    assert scene.held(phone).bytes == held.bytes


def test_a_stripped_finalizer_comes_back(scene: Scene) -> None:
    _in_step(scene)
    scene.kubectl("patch", "bpn", "a", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    scene.until(lambda: scene.get()["metadata"].get("finalizers") == ["byoc.talkifai.dev/finalizer"], "it is back")


def test_what_the_cluster_was_robbed_of_is_taken_over_when_the_object_comes_back(scene: Scene) -> None:
    phone, held = _in_step(scene)
    scene.deployment.stop()
    scene.kubectl("patch", "bpn", "a", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    scene.kubectl("delete", "bpn", "a")
    scene.deployment.start()
    scene.number(phoneNumber=phone)
    assert recorded(scene.ready()) == held.ids
    assert scene.held(phone).bytes == held.bytes
