"""Settings in LiveKit that a `ByocPhoneNumber` has no field for, with both values of BYOC_UNKNOWN_FIELDS."""

import json

from google.protobuf.unknown_fields import UnknownFieldSet
from livekit.protocol.sip import SIPDispatchRuleInfo

from integration.deployment import Deployment
from integration.scene import Scene, findings
from integration.sip import Held, plain

KEEPING = {"BYOC_UNKNOWN_FIELDS": "Keep"}
NEWER = b"\xfa\x3f\x0bnewer-value"
"""Field 1023 with a text, which no version of the protocol has."""


def _with_settings(scene: Scene) -> tuple[str, SIPDispatchRuleInfo]:
    """A number in step, and its rule with settings that somebody added in LiveKit."""
    phone = scene.number()
    scene.ready()
    rule = SIPDispatchRuleInfo()
    rule.CopyFrom(scene.held(phone).rules[0])
    rule.room_preset = "preset-of-somebody"
    rule.room_config.max_playout_delay = 250
    rule.room_config.agents[0].deployment = "blue"
    rule.MergeFromString(NEWER)
    scene.sip.put_rule(rule)
    return phone, rule


def _settings(held: Held) -> tuple[str, int, str, bool]:
    rule = held.rules[0]
    room = rule.room_config
    return rule.room_preset, room.max_playout_delay, room.agents[0].deployment, len(UnknownFieldSet(rule)) > 0


def _repairs(scene: Scene) -> list[str]:
    return [note for reason, note in scene.events() if reason == "Repaired"]


def test_settings_are_kept_named_and_carried_over(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(KEEPING)
    phone, rule = _with_settings(scene)
    scene.until(lambda: "UnknownFieldsKept" in findings(scene.get()), "the finding names them")
    status = json.dumps(scene.get()["status"])
    for path in ("room_preset", "room_config.max_playout_delay", "room_config.agents.deployment", "unknown"):
        assert f"dispatchRule.{path}" in status
    assert not [value for value in ("preset-of-somebody", "blue", "newer-value") if value in status]
    scene.change(inbound={"agentMetadata": {"team": "voice"}})
    scene.until(lambda: "voice" in scene.held(phone).rules[0].room_config.agents[0].metadata, "the rule is replaced")
    assert _settings(scene.held(phone)) == ("preset-of-somebody", 250, "blue", True)
    assert _repairs(scene) == []

    rule.rule.dispatch_rule_individual.pin = "1234"
    scene.sip.put_rule(rule)
    scene.until(lambda: _repairs(scene), "a PIN is no setting that stays")
    assert "dispatchRule.rule" in _repairs(scene)[0]
    after = scene.held(phone)
    assert after.rules[0].rule.dispatch_rule_individual.pin == ""
    assert _settings(after) == ("preset-of-somebody", 250, "blue", True)
    scene.one_each([phone])


def test_settings_are_erased_by_default(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure()
    phone, _ = _with_settings(scene)
    scene.until(lambda: _settings(scene.held(phone)) == ("", 0, "", False), "they are erased")
    scene.until(lambda: _repairs(scene), "an Event says so")
    assert "UnknownFieldsKept" not in findings(scene.get())
    assert "preset-of-somebody" not in plain(scene.held(phone).rules[0])
