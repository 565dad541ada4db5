"""Recordings in a storage of the number: from its Secret into LiveKit's rule, and what is said of missing keys."""

import pytest
from livekit.protocol.egress import EncodedFileOutput

from integration.deployment import NEVER, Deployment
from integration.scene import Scene, condition, findings, livekit_writes
from storage_keys import ACCESS_KEY_ID, ACCOUNT_KEY, SECRET_ACCESS_KEY, SECRETS, SERVICE_ACCOUNT, recording

CARRIER = {"terminationUri": "sip.example.com"}


def _file(scene: Scene, phone: str) -> EncodedFileOutput:
    (rule,) = scene.held(phone).rules
    (file,) = rule.room_config.egress.room.file_outputs
    return file


def _keys(scene: Scene, phone: str) -> tuple[str, ...]:
    """The keys in the rule, the access key ID of S3 first."""
    file = _file(scene, phone)
    match file.WhichOneof("output"):
        case "s3":
            return file.s3.access_key, file.s3.secret
        case "gcp":
            return (file.gcp.credentials,)
        case "azure":
            return (file.azure.account_key,)
    return ()


def _put_right(scene: Scene, storage: str) -> str:
    """A number in step with a storage. Its phone number."""
    scene.secret(SECRETS[storage], name="recordings")
    phone = scene.number(inbound=recording(storage), **CARRIER)
    number = scene.ready()
    others = [(each["reference"], each["secretName"]) for each in number["status"]["otherCredentials"]]
    assert others == [(f"inbound.recording.{storage}.credentialsSecretRef", "recordings")]
    assert "RecordingOn" in findings(number)
    return phone


@pytest.mark.parametrize("storage", SECRETS)
def test_keys_reach_the_rule_are_put_right_and_go_with_the_spec(scene: Scene, storage: str) -> None:
    phone = _put_right(scene, storage)
    assert _keys(scene, phone) == tuple(SECRETS[storage].values())
    (rule,) = scene.held(phone).rules
    file = rule.room_config.egress.room.file_outputs[0]
    file.s3.secret, file.s3.access_key, file.s3.bucket = "theirs", "theirs", "theirs"  # another storage, or other keys
    scene.sip.put_rule(rule)
    scene.until(lambda: _keys(scene, phone) == tuple(SECRETS[storage].values()), "it is put right")
    scene.until(lambda: "Repaired" in dict(scene.events()), "an Event tells of it")
    assert "theirs" not in dict(scene.events())["Repaired"]
    scene.change(inbound={"recording": {storage: None}})
    scene.until(lambda: _file(scene, phone).WhichOneof("output") is None, "the keys are gone from LiveKit")
    assert "otherCredentials" not in scene.ready()["status"]
    assert scene.held(phone).rules[0].sip_dispatch_rule_id == rule.sip_dispatch_rule_id


@pytest.mark.parametrize(
    ("storage", "changed"),
    [
        ("s3", {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY.lower()}),
        ("gcs", {"credentials.json": SERVICE_ACCOUNT.replace("acme", "emca")}),
        ("azure", {"AZURE_STORAGE_KEY": ACCOUNT_KEY[4:]}),
    ],
)
def test_new_keys_reach_livekit_at_once_and_equal_ones_cause_no_write(
    deployment: Deployment, stage: Scene, storage: str, changed: dict[str, str]
) -> None:
    deployment.ensure(NEVER)
    phone = _put_right(stage, storage)
    with stage.counted() as calls:
        version = stage.secret(changed, name="recordings")
        stage.until(lambda: _keys(stage, phone) == tuple(changed.values()), "the new keys are in LiveKit", within_s=3)
        stage.until(
            lambda: stage.get()["status"]["otherCredentials"][0]["resourceVersion"] == version,
            "the status names the version that was written",
        )
        stage.kubectl("annotate", "secret", "recordings", "touched=yes")
        stage.secret({"username": "alice", "password": "p"}, name="barrier")
        stage.number("barrier", sipPasswordSecretRef={"name": "barrier"}, inboundAgentId=None)
        stage.ready("barrier")
    assert livekit_writes(calls) == {"UpdateSIPDispatchRule": 1, "CreateSIPOutboundTrunk": 1}


def test_a_secret_that_comes_later_gives_the_number_its_rule(scene: Scene) -> None:
    phone = scene.number(inbound=recording("s3"), **CARRIER)
    number = scene.told("SecretNotFound")
    assert "with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`" in condition(number)["message"]
    assert scene.held(phone).counts == (1, 1, 0)
    scene.secret({"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID}, name="recordings")
    assert "`AWS_SECRET_ACCESS_KEY`" in condition(scene.told("SecretKeyMissing"))["message"]
    scene.secret({**SECRETS["s3"], "AWS_SECRET_ACCESS_KEY": f"{SECRET_ACCESS_KEY}\n"}, name="recordings")
    assert "newline" in condition(scene.told("SecretInvalid"))["message"]
    scene.secret(SECRETS["s3"], name="recordings")
    scene.ready()
    scene.one_each([phone])
    assert _keys(scene, phone) == (ACCESS_KEY_ID, SECRET_ACCESS_KEY)
