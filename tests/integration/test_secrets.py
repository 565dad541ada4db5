"""SIP credentials: from the Secret into LiveKit, and what is said of those that cannot be used."""

import base64
import json
from collections.abc import Mapping

import pytest

from integration.deployment import NEVER, Deployment
from integration.scene import GOOD_SECRET, LABEL, Scene, condition, findings, livekit_writes, recorded
from testbed.audit import AuditEntry

REF = {"name": "sip"}
NEXT_SECRET = {**GOOD_SECRET, "password": "second-password"}
SEALED = "fernet:gAAAAABpIc9UZm9yLXRoZS1sb29rcy1vbmx5"


@pytest.fixture
def watching(deployment: Deployment, stage: Scene) -> Scene:
    """No sweep happens here: the operator learns of changes by watches only."""
    deployment.ensure(NEVER)
    return stage


def _password(scene: Scene, phone: str) -> str:
    return scene.held(phone).outbound[0].auth_password


def test_a_changed_password_reaches_livekit_at_once(watching: Scene) -> None:
    scene = watching
    scene.secret(GOOD_SECRET)
    phone = scene.number(sipPasswordSecretRef=REF)
    before = recorded(scene.ready())
    version = scene.secret(NEXT_SECRET)
    scene.until(lambda: _password(scene, phone) == "second-password", "the new password is in LiveKit", within_s=3)
    scene.until(
        lambda: (
            scene.get()["status"]["credentials"] == {"secretName": "sip", "resourceVersion": version, "sealed": False}
        ),
        "the status names the version that was written",
    )
    assert scene.held(phone).ids == before
    scene.events_are_posted()
    assert [reason for reason, _ in scene.events()] == ["Synced"]


def test_a_touched_but_equal_secret_causes_no_write(watching: Scene) -> None:
    scene = watching
    version = scene.secret(GOOD_SECRET)
    scene.number(sipPasswordSecretRef=REF)
    credentials = scene.ready()["status"]["credentials"]
    before = scene.writes()
    with scene.counted() as calls:
        scene.kubectl("annotate", "secret", "sip", "touched=yes")
        assert scene.secret(GOOD_SECRET) != version
        _barrier(scene)
    assert _about(scene.writes(), "a") == _about(before, "a")
    assert livekit_writes(calls) == {"CreateSIPOutboundTrunk": 1}
    assert scene.get()["status"]["credentials"] == credentials


def _barrier(scene: Scene) -> None:
    """What was told before this is done when this is done: a number with another Secret, changed after the fact."""
    scene.secret(GOOD_SECRET, name="barrier")
    scene.number("barrier", inboundAgentId=None, sipPasswordSecretRef={"name": "barrier"})
    scene.ready("barrier")


def _about(entries: list[AuditEntry], name: str) -> int:
    return len([entry for entry in entries if entry.name == name])


def test_a_secret_that_comes_later_heals_the_number(watching: Scene) -> None:
    scene = watching
    phone = scene.number(sipPasswordSecretRef=REF)
    number = scene.told("SecretNotFound")
    assert condition(number, "Stalled")["reason"] == "SecretNotFound"
    assert condition(number, "CredentialsResolved")["status"] == "False"
    assert f"Secret {scene.namespace}/sip does not exist" in condition(number)["message"]
    assert scene.held(phone).counts == (0, 1, 1)
    scene.secret(GOOD_SECRET)
    scene.ready(within_s=3)
    assert _password(scene, phone) == "first-password"


def test_an_unlabelled_secret_that_comes_later_heals_the_number_too(watching: Scene) -> None:
    scene = watching
    phone = scene.number(sipPasswordSecretRef=REF)
    scene.told("SecretNotFound")
    scene.secret(GOOD_SECRET, labelled=False)
    assert findings(scene.ready(within_s=40)) == ["CredentialsNotWatched", "CredentialsPlainText"]
    assert _password(scene, phone) == "first-password"


def test_a_missing_key_is_named(watching: Scene) -> None:
    scene = watching
    scene.secret({"username": "alice", "pass": "x"})
    scene.number(sipPasswordSecretRef=REF)
    message = condition(scene.told("SecretKeyMissing"))["message"]
    assert "has no key `password`. Add it, or name the right key in sipPasswordSecretRef.key" in message
    scene.change(sipPasswordSecretRef={"name": "sip", "key": "pass"})
    scene.ready()


def test_a_missing_user_name_is_named(watching: Scene) -> None:
    scene = watching
    scene.secret({"password": "x"})
    phone = scene.number(sipPasswordSecretRef=REF)
    message = condition(scene.told("SecretKeyMissing"))["message"]
    assert "has no key `username`. Add it, or set spec.sipUsername" in message
    scene.change(sipUsername="carol")
    scene.ready()
    assert scene.held(phone).outbound[0].auth_username == "carol"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"username": "alice", "password": "hidden\n"}, "key `password`: the value ends with a newline; `echo -n`"),
        ({"username": "alice", "password": ""}, "key `password`: the value is empty; 1 to 256 bytes are allowed"),
        ({"username": "alice", "password": b"\xff\xfe"}, "key `password`: the value is not UTF-8 text"),
        ({"username": "alice", "password": "hid\tden"}, "key `password`: the value contains control characters"),
        ({"username": "alice", "password": " hidden"}, "key `password`: the value starts or ends with a blank"),
        ({"username": "alice", "password": "p" * 257}, "key `password`: the value is longer than 256 bytes"),
        ({"username": "al:ice", "password": "hidden"}, 'key `username`: a user name must not contain `"`, `\\` or `:`'),
        ({"username": "alice\n", "password": "hidden"}, "key `username`: the value ends with a newline"),
    ],
    ids=["newline", "empty", "binary", "control", "blank", "long", "colon", "user-newline"],
)
def test_an_unusable_credential_is_refused_in_words_that_help(
    watching: Scene, data: Mapping[str, str | bytes], words: str
) -> None:
    scene = watching
    scene.secret(data)
    phone = scene.number(sipPasswordSecretRef=REF)
    number = scene.told("SecretInvalid")
    message = condition(number)["message"]
    assert message.startswith(f"Secret {scene.namespace}/sip, {words}")
    assert "hid" not in json.dumps(number)
    assert scene.held(phone).counts == (0, 1, 1)
    scene.secret(GOOD_SECRET)
    scene.ready(within_s=3)


def test_a_tls_secret_is_refused(watching: Scene) -> None:
    scene = watching
    key = {"tls.crt": "-----BEGIN CERTIFICATE-----", "tls.key": "-----BEGIN PRIVATE KEY-----"}
    scene.secret(key, type_="kubernetes.io/tls")
    scene.number(sipUsername="alice", sipPasswordSecretRef={"name": "sip", "key": "tls.key"})
    message = condition(scene.told("SecretInvalid"))["message"]
    assert "is of type kubernetes.io/tls, which is never sent to a carrier" in message


def test_a_sealed_password_that_does_not_open_is_never_sent(watching: Scene) -> None:
    scene = watching
    scene.secret({"username": "alice", "password": SEALED})
    phone = scene.number(sipPasswordSecretRef=REF)
    assert "the sealed value is cut" in condition(scene.told("SecretInvalid"))["message"]
    assert scene.held(phone).counts == (0, 1, 1)


def test_without_usable_credentials_inbound_follows_and_outbound_stays(watching: Scene) -> None:
    scene = watching
    scene.secret(GOOD_SECRET)
    phone = scene.number(sipPasswordSecretRef=REF)
    scene.ready()
    before = scene.held(phone)
    scene.secret({**GOOD_SECRET, "password": ""})
    scene.told("SecretInvalid")
    scene.change(inboundAgentId="agent_new", friendlyName="New", inbound={"allowedAddresses": ["203.0.113.1"]})
    scene.told("SecretInvalid")
    held = scene.held(phone)
    assert held.ids == before.ids
    assert held.outbound == before.outbound
    assert held.rules[0].room_config.agents[0].agent_name == "agent_new"
    assert (held.inbound[0].name, list(held.inbound[0].allowed_addresses)) == ("New", ["203.0.113.1/32"])
    scene.secret(NEXT_SECRET)
    scene.ready()
    outbound = scene.held(phone).outbound[0]
    assert (outbound.name, outbound.auth_password) == ("New", "second-password")


def test_the_user_name_of_the_spec_goes_before_that_of_the_secret(watching: Scene) -> None:
    scene = watching
    scene.secret(GOOD_SECRET)
    phone = scene.number(sipUsername="carol", sipPasswordSecretRef=REF)
    scene.ready()
    assert scene.held(phone).outbound[0].auth_username == "carol"


def test_digest_puts_the_credentials_on_the_inbound_trunk_too(watching: Scene) -> None:
    scene = watching
    scene.secret(GOOD_SECRET)
    phone = scene.number(
        terminationUri="sip.example.com", sipPasswordSecretRef=REF, inbound={"authentication": "Digest"}
    )
    scene.ready()
    inbound = scene.held(phone).inbound[0]
    assert (inbound.auth_username, inbound.auth_password) == ("alice", "first-password")
    scene.change(inbound={"authentication": "None"})
    scene.ready()
    inbound = scene.held(phone).inbound[0]
    assert (inbound.auth_username, inbound.auth_password) == ("", "")


def test_one_secret_serves_many_numbers(watching: Scene) -> None:
    scene = watching
    scene.secret(GOOD_SECRET)
    made = scene.numbers(20, sipPasswordSecretRef=REF)
    scene.all_ready(20)
    scene.secret(NEXT_SECRET)

    def all_changed() -> bool:
        trunks = [trunk for trunk in scene.sip.outbound() if set(trunk.numbers) & set(made.values())]
        return [trunk.auth_password for trunk in trunks] == ["second-password"] * 20

    scene.until(all_changed, "all trunks have the new password", within_s=3)


def test_a_secret_without_the_label_any_more_still_works(watching: Scene) -> None:
    scene = watching
    scene.secret(GOOD_SECRET)
    phone = scene.number(sipPasswordSecretRef=REF)
    scene.ready()
    scene.kubectl("label", "secret", "sip", "byoc.talkifai.dev/sip-credentials-")
    scene.until(
        lambda: findings(scene.get()) == ["CredentialsNotWatched", "CredentialsPlainText"], "the finding is there"
    )
    assert condition(scene.get())["reason"] == "Synced"
    scene.change(friendlyName="Changed")
    scene.ready()
    outbound = scene.held(phone).outbound[0]
    assert (outbound.name, outbound.auth_password) == ("Changed", "first-password")


def test_a_change_of_an_unlabelled_secret_comes_with_a_sweep(scene: Scene) -> None:
    scene.secret(GOOD_SECRET, labelled=False)
    phone = scene.number(sipPasswordSecretRef=REF)
    assert findings(scene.ready()) == ["CredentialsNotWatched", "CredentialsPlainText"]
    version = scene.secret(NEXT_SECRET, labelled=False)
    scene.until(lambda: _password(scene, phone) == "second-password", "a sweep has brought the new password")
    scene.until(lambda: scene.get()["status"]["credentials"]["resourceVersion"] == version, "the status follows")


def test_a_deleted_secret_leaves_the_trunk_as_it_is(scene: Scene) -> None:
    scene.secret(GOOD_SECRET)
    phone = scene.number(sipPasswordSecretRef=REF)
    scene.ready()
    before = scene.held(phone)
    scene.kubectl("delete", "secret", "sip")
    scene.told("SecretNotFound")
    scene.after_a_sweep()
    assert scene.held(phone) == before


def test_a_large_secret_that_is_written_again_and_again_does_not_fill_the_memory(watching: Scene) -> None:
    """A pod has 512 MiB, and whoever may write Secrets anywhere could end it."""
    scene = watching
    content = {"data": {"release": base64.b64encode(b"x" * 1_000_000).decode()}, "type": "helm.sh/release.v1"}
    metadata = {"name": "large", "labels": LABEL}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata} | content
    scene.kubectl("create", "-f", "-", stdin=json.dumps(body))
    before = scene.deployment.process.rss_mb()
    for count in range(100):
        scene.kubectl("annotate", "secret", "large", "--overwrite", f"count={count}")
    assert scene.deployment.process.rss_mb() < before + 60
