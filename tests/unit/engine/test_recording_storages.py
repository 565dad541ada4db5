"""Recordings in a storage of the number: its keys are read, watched, told, repaired and cleared like a SIP password."""

import base64
import json
from typing import Any

import pytest

from byoc_operator.core.credential_values import field_of
from byoc_operator.core.credentials import SecretRules
from byoc_operator.core.desired import Installation
from byoc_operator.core.trunk import DispatchRule, Kind
from operated import MASK, NAMESPACE, PASSWORD, USER, World
from storage_keys import SECRETS, TEXTS, recording
from virtual_time import in_virtual_time

REPLACED = [("replace", Kind.DISPATCH_RULE)]
PATHS = {storage: f"inbound.recording.{storage}.credentialsSecretRef" for storage in SECRETS}


async def _in_step(storage: str, **parts: Any) -> World:
    world = World(**parts)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    world.api.put_secret(NAMESPACE, "recordings", SECRETS[storage])
    await world.start()
    await world.apply(terminationUri="sip.example.com", inbound=recording(storage))
    assert world.ready() == ("True", "Synced"), world.message()
    world.forget_counts()
    return world


def _keys(world: World) -> tuple[str | None, str | None]:
    """Access key ID and secret that LiveKit has in the rule."""
    (rule,) = world.rules()
    stored = world.livekit.stored_password
    return stored(rule.id, "recording_access_key"), stored(rule.id, "recording_secret")


def _expected(storage: str) -> tuple[str | None, str | None]:
    *first, last = SECRETS[storage].values()
    return first[0] if first else None, last


@in_virtual_time
@pytest.mark.parametrize("storage", SECRETS)
async def test_the_rule_gets_the_keys_and_the_status_their_secret(storage: str) -> None:
    world = await _in_step(storage)
    assert _keys(world) == _expected(storage)
    others = [(each["reference"], each["secretName"]) for each in world.status()["otherCredentials"]]
    assert others == [(PATHS[storage], "recordings")]
    (told,) = [each["message"] for each in world.status()["findings"] if each["code"] == "RecordingOn"]
    assert "readable to whoever has sip.admin" in told
    assert "would refuse all calls to this number" in told


@in_virtual_time
@pytest.mark.parametrize("storage", SECRETS)
async def test_what_is_in_step_costs_nothing_after_a_restart_and_at_a_sweep(storage: str) -> None:
    world = await _in_step(storage)
    await world.restart()
    await world.sweep()
    assert (world.livekit_writes(), world.api_writes()) == ([], [])


@in_virtual_time
@pytest.mark.parametrize("storage", SECRETS)
async def test_new_keys_in_the_secret_reach_the_rule_at_once(storage: str) -> None:
    world = await _in_step(storage)
    changed = {key: text.replace("A", "B") for key, text in SECRETS[storage].items()}
    world.api.put_secret(NAMESPACE, "recordings", changed)
    await world.settle()
    assert world.livekit_writes() == REPLACED
    assert _keys(world)[1] == list(changed.values())[-1]


@in_virtual_time
@pytest.mark.parametrize("storage", SECRETS)
@pytest.mark.parametrize("attribute", ["recording_secret", "recording_storage"])
async def test_drift_of_keys_and_storage_is_repaired_and_told_without_a_value(storage: str, attribute: str) -> None:
    world = await _in_step(storage)
    (rule,) = world.rules()
    drifted: Any = MASK("somebody-else") if attribute == "recording_secret" else {"type": "gcs", "bucket": "theirs"}
    world.livekit.edit(rule.id, **{attribute: drifted})
    await world.sweep()
    await world.settle()
    assert world.livekit_writes() == REPLACED
    assert _keys(world) == _expected(storage)
    assert "Repaired" in world.event_reasons()
    assert not any(text in world.told() for text in (*TEXTS, "somebody-else"))


@in_virtual_time
@pytest.mark.parametrize("storage", SECRETS)
@pytest.mark.parametrize("inbound", [{"recording": {"path": "calls/"}}, {}])
async def test_a_storage_that_is_taken_out_of_the_spec_is_cleared(storage: str, inbound: dict[str, Any]) -> None:
    world = await _in_step(storage)
    await world.apply(terminationUri="sip.example.com", inbound=inbound)
    assert world.livekit_writes() == REPLACED
    (rule,) = world.rules()
    assert (_keys(world), rule.recording_storage) == ((None, None), {})
    assert "otherCredentials" not in world.status()


@in_virtual_time
async def test_another_storage_takes_the_place_of_the_first() -> None:
    world = await _in_step("s3")
    world.api.put_secret(NAMESPACE, "google", SECRETS["gcs"])
    await world.apply(terminationUri="sip.example.com", inbound=recording("gcs", "google"))
    assert world.livekit_writes() == REPLACED
    assert _keys(world) == _expected("gcs")
    assert [each["reference"] for each in world.status()["otherCredentials"]] == [PATHS["gcs"]]


@in_virtual_time
@pytest.mark.parametrize(
    ("storage", "values", "reason", "words"),
    [
        ("s3", None, "SecretNotFound", "with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`"),
        ("gcs", None, "SecretNotFound", "Create it with the key `credentials.json`, or correct inbound.recording.gcs."),
        ("s3", {"AWS_ACCESS_KEY_ID": "AKIA"}, "SecretKeyMissing", "has no key `AWS_SECRET_ACCESS_KEY`. Add it."),
        ("s3", {"password": "x"}, "SecretKeyMissing", "has no key `AWS_ACCESS_KEY_ID`. Add it."),
        ("gcs", {"credentials.json": "{}"}, "SecretInvalid", "no key of a service account"),
        ("azure", {"AZURE_STORAGE_KEY": "no base64!"}, "SecretInvalid", "is base64"),
    ],
)
async def test_unusable_keys_hold_back_the_rule_alone(
    storage: str, values: dict[str, str] | None, reason: str, words: str
) -> None:
    world = await _in_step(storage)
    if values is None:
        world.api.delete_secret(NAMESPACE, "recordings")
    else:
        world.api.put_secret(NAMESPACE, "recordings", values)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "rotated"})
    await world.settle()
    assert world.livekit_writes() == [("replace", Kind.OUTBOUND_TRUNK)]
    assert world.ready() == ("False", reason)
    assert f"{NAMESPACE}/recordings" in world.message()
    assert words in world.message()
    assert _keys(world) == _expected(storage)


@in_virtual_time
async def test_a_number_whose_keys_come_later_gets_its_rule_then() -> None:
    world = World()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.start()
    await world.apply(terminationUri="sip.example.com", inbound=recording("s3"))
    assert (world.ready(), world.rules()) == (("False", "SecretNotFound"), [])
    assert len(world.inbound()) == 1
    world.api.put_secret(NAMESPACE, "recordings", SECRETS["s3"])
    await world.settle()
    assert world.ready() == ("True", "Synced")
    assert _keys(world) == _expected("s3")


@in_virtual_time
@pytest.mark.parametrize("storage", SECRETS)
async def test_sealed_keys_are_opened_and_plain_ones_refused_where_sealing_is_required(storage: str) -> None:
    rules = SecretRules(sealed_only=True)
    world = World(installation=Installation(("cluster-a",), "livekit.example.com", secret_rules=rules))
    sip = {"username": USER, "password": PASSWORD}
    for name, values in (("sip", sip), ("recordings", SECRETS[storage])):
        sealed = {key: world.seal(text, field_of(key)) for key, text in values.items()}
        world.api.put_secret(NAMESPACE, name, sealed)
    await world.start()
    await world.apply(terminationUri="sip.example.com", inbound=recording(storage))
    assert world.ready() == ("True", "Synced"), world.message()
    assert _keys(world) == _expected(storage)
    assert [each["sealed"] for each in world.status()["otherCredentials"]] == [True]
    world.api.put_secret(NAMESPACE, "recordings", SECRETS[storage])
    await world.settle()
    assert world.ready() == ("False", "PlainTextRefused")


@in_virtual_time
async def test_a_sealed_password_is_no_access_key_and_the_reverse() -> None:
    world = await _in_step("s3")
    stolen = {
        "AWS_ACCESS_KEY_ID": world.seal(PASSWORD),
        "AWS_SECRET_ACCESS_KEY": SECRETS["s3"]["AWS_SECRET_ACCESS_KEY"],
    }
    world.api.put_secret(NAMESPACE, "recordings", stolen)
    await world.settle()
    assert world.ready() == ("False", "SealedForAnotherUse")
    assert "was sealed as password and is used as access key ID of S3" in world.message()
    assert "The key `AWS_ACCESS_KEY_ID` holds the access key ID of S3" in world.message()


@in_virtual_time
async def test_a_server_that_lists_no_keys_is_written_to_when_the_secret_changes_only() -> None:
    world = World()
    world.livekit = type(world.livekit)(lists_passwords=False)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    world.api.put_secret(NAMESPACE, "recordings", SECRETS["gcs"])
    await world.start()
    await world.apply(terminationUri="sip.example.com", inbound=recording("gcs"))
    assert world.ready() == ("True", "Synced"), world.message()
    world.forget_counts()
    await world.restart()
    await world.sweep()
    assert world.livekit_writes() == []
    world.api.put_secret(NAMESPACE, "recordings", {"credentials.json": SECRETS["gcs"]["credentials.json"] + "\n"})
    await world.settle()
    assert ("replace", Kind.DISPATCH_RULE) in world.livekit_writes()


@in_virtual_time
@pytest.mark.parametrize("storage", SECRETS)
async def test_nothing_that_is_read_has_a_key(storage: str) -> None:
    world = await _in_step(storage)
    told = world.told() + json.dumps(world.raw()) + repr(world.rules())
    found = [text for text in TEXTS if text in told or base64.b64encode(text.encode()).decode() in told]
    assert found == []
    assert all(isinstance(each, DispatchRule) for each in world.rules())
