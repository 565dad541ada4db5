"""No credential in anything that people or machines read: log, Events, statuses, metrics, probes, arguments."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import pytest

from byoc_operator.core.credential_values import Field
from byoc_operator.sealing.sealed import KeyRing
from integration.deployment import Deployment
from integration.scene import Scene, condition
from storage_keys import ACCESS_KEY_ID, SECRET_ACCESS_KEY, SECRETS, recording
from storage_keys import TEXTS as STORAGE_TEXTS
from testbed.http_probe import get

USER = "zuriel-the-sip-user"
GOOD = "Gx7-first-good-password"
CHANGED = "Gx7-changed-good-password"
NEWLINE = "Nw9-password-with-newline\n"
CONTROL = "Ct3-password\x07with-bell"
OPENED = "Op6-password-out-of-a-sealed-value"
LOST_RING = KeyRing.generate()
REFUSED = 'Rf5-password-"that\\LiveKit-quotes'
DIGEST = "Dg2-password-of-both-trunks"
BROKEN_KEY = "Bk9-private-key-without-an-account"
CALLING_USER, CALLING, CALLING_BAD = "ottilie-the-caller", "Cl8-password-that-callers-prove", "Cb5-password-\x07calls"
TEXTS = (
    USER,
    GOOD,
    CHANGED,
    NEWLINE.strip(),
    "Ct3-password",
    OPENED,
    REFUSED,
    DIGEST,
    CALLING_USER,
    CALLING,
    "Cb5-password",
    *STORAGE_TEXTS,
    BROKEN_KEY,
)


def _forms(text: str) -> set[str]:
    """How a text may show up: as it is, in base64 as in a Secret, escaped in JSON or in a URL."""
    return {text, base64.b64encode(text.encode()).decode(), json.dumps(text)[1:-1], quote(text, safe="")}


def _play(scene: Scene) -> None:
    """Everything that can be right or wrong with credentials, LiveKit's own words included."""
    ref = {"sipPasswordSecretRef": {"name": "good"}}
    scene.secret({"username": USER, "password": GOOD}, name="good")
    scene.number("good", terminationUri="sip.telnyx.com", **ref)
    scene.secret({"username": USER, "password": DIGEST}, name="digest", labelled=False)
    both = {"terminationUri": "sip.example.com", "inbound": {"authentication": "Digest"}}
    scene.number("digest", **both, sipPasswordSecretRef={"name": "digest"})
    scene.secret({"username": CALLING_USER, "password": CALLING}, name="calls")
    scene.secret({"username": CALLING_USER, "password": CALLING_BAD}, name="bad-calls")
    for name, calls in (("calls", "calls"), ("bad-calls", "bad-calls")):
        own = {"authentication": "Digest", "credentialsSecretRef": {"name": calls}}
        scene.number(name, terminationUri="sip.example.com", inbound=own, sipPasswordSecretRef={"name": "digest"})
    _play_recordings(scene)
    lost = LOST_RING.seal(GOOD, scene.namespace, Field.PASSWORD)
    for name, password in (("newline", NEWLINE), ("control", CONTROL), ("sealed", lost)):
        scene.secret({"username": USER, "password": password}, name=name)
        scene.number(name, sipPasswordSecretRef={"name": name})
    scene.secret({"username": f"{USER}:", "password": GOOD}, name="user")
    scene.number("user", sipPasswordSecretRef={"name": "user"})
    for name, reason in (("newline", "SecretInvalid"), ("sealed", "SealingKeyUnknown"), ("user", "SecretInvalid")):
        scene.told(reason, name)
    ring = _ring(scene)
    sealed = {Field.USERNAME: USER, Field.PASSWORD: OPENED}
    scene.secret({str(field): ring.seal(text, scene.namespace, field) for field, text in sealed.items()}, name="opened")
    scene.number("opened", sipPasswordSecretRef={"name": "opened"})
    scene.ready("good")
    scene.ready("digest")
    scene.ready("calls")
    scene.told("SecretInvalid", "bad-calls")
    scene.until(lambda: _password(scene, "opened") == OPENED, "the sealed value is opened")
    _refuse(scene)
    version = scene.secret({"username": USER, "password": CHANGED}, name="good")
    scene.until(
        lambda: scene.get("good")["status"]["credentials"]["resourceVersion"] == version, "the new password is written"
    )
    _meddle(scene)


def _play_recordings(scene: Scene) -> None:
    """Keys of every storage: stored, refused by LiveKit in its own words, meddled with, malformed."""
    for storage, values in SECRETS.items():
        scene.secret(values, name=f"keys-{storage}")
        scene.number(storage, terminationUri="sip.example.com", inbound=recording(storage, f"keys-{storage}"))
        scene.ready(storage)
    broken = {"type": "service_account", "private_key": BROKEN_KEY}
    scene.secret({"credentials.json": json.dumps(broken)}, name="broken")
    scene.number("broken", terminationUri="sip.example.com", inbound=recording("gcs", "broken"))
    assert "client_email" in condition(scene.told("SecretInvalid", "broken"))["message"]
    phone = scene.get("s3")["spec"]["phoneNumber"]
    (rule,) = scene.held(phone).rules
    rule.room_config.egress.room.file_outputs[0].s3.secret = "somebody-else"
    words = json.dumps({"code": "invalid_argument", "msg": f"bad keys {SECRET_ACCESS_KEY} of {ACCESS_KEY_ID}"})
    scene.proxy.status("UpdateSIPDispatchRule", 400, words, times=1)
    scene.sip.put_rule(rule)

    def put_right() -> bool:
        return scene.held(phone).rules[0].room_config.egress.room.file_outputs[0].s3.secret == SECRET_ACCESS_KEY

    scene.until(put_right, "the keys are put right", within_s=90)
    scene.proxy.clear()


def _ring(scene: Scene) -> KeyRing:
    stored = scene.bed.kubectl("-n", "byoc-system", "get", "secret", "byoc-sealing-keys", "-o", "json").stdout
    return KeyRing.parse(base64.b64decode(json.loads(stored)["data"]["keys"]).decode())


def _refuse(scene: Scene) -> None:
    words = json.dumps({"code": "invalid_argument", "msg": f"bad password {REFUSED} of user {USER}"})
    scene.proxy.status("CreateSIPOutboundTrunk", 400, words, times=100)  # until it was looked at
    scene.secret({"username": USER, "password": REFUSED}, name="refused")
    scene.number("refused", sipPasswordSecretRef={"name": "refused"})
    number = scene.told("RejectedByLiveKit", "refused")
    assert "bad password *** of user ***" in condition(number)["message"]
    scene.proxy.clear()
    broken = f"panic: {REFUSED} {USER}"
    scene.proxy.status("CreateSIPOutboundTrunk", 500, broken)
    scene.change("refused", friendlyName="again")
    scene.until(lambda: _password(scene, "refused") == REFUSED, "LiveKit takes it at last", within_s=20)


def _meddle(scene: Scene) -> None:
    """Somebody writes another password into LiveKit: the repair tells of it."""
    trunk = scene.held(scene.get("good")["spec"]["phoneNumber"]).outbound[0]
    trunk.auth_password, trunk.headers["X-Telnyx-Username"] = GOOD, f"{USER}2"
    scene.sip.put_outbound(trunk)
    scene.until(lambda: _password(scene, "good") == CHANGED, "it is put right")
    scene.until(lambda: "Repaired" in dict(scene.events("good")), "an Event tells of it")


def _password(scene: Scene, name: str) -> str:
    trunks = scene.held(scene.get(name)["spec"]["phoneNumber"]).outbound
    return trunks[0].auth_password if trunks else ""


def _readable(scene: Scene, deployment: Deployment) -> Iterable[tuple[str, str]]:
    process = deployment.process
    yield "log", process.log_text()
    yield "events", scene.kubectl("get", "events.events.k8s.io", "-A", "-o", "json")
    yield "numbers", scene.kubectl("get", "bpn", "-o", "json", "--show-managed-fields")
    yield "metrics", get(process.port, "/metrics").body
    yield "readyz", get(process.port, "/readyz").body
    yield "arguments", Path(f"/proc/{process.pid}/cmdline").read_text()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_credential_shows_up_anywhere(stage: Scene, deployment: Deployment, log_format: str) -> None:
    deployment.ensure({"BYOC_LOG_LEVEL": "DEBUG", "BYOC_LOG_FORMAT": log_format})
    _play(stage)
    places = dict(_readable(stage, deployment))
    assert all(places.values())
    assert "swept" in places["log"], "the log is at DEBUG"
    keys = (*_ring(stage).text().split(), *LOST_RING.text().split())
    found = [
        (place, text[:4])
        for place, content in places.items()
        for text in (*TEXTS, *keys)
        for form in _forms(text)
        if form in content
    ]
    assert found == []
    assert "fernet:" not in "".join(places.values()).replace("(`fernet:`)", "")
