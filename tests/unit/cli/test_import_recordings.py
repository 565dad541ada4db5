"""`kubectl byoc import` of numbers whose recordings go into a storage of their own."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from byoc_operator.core.credential_values import field_of
from byoc_operator.core.trunk import SOUND, DispatchRule, InboundTrunk, OutboundTrunk
from judged_site import Site, known
from operated import NAMESPACE, PASSWORD, PHONE, USER
from storage_keys import SECRETS, SERVICE_ACCOUNT, TEXTS, recording

OUT = OutboundTrunk("Main", "", "sip.example.com", "TCP", (PHONE,), known(USER), known(PASSWORD), id="ST_out")
IN = InboundTrunk("Main", "", (PHONE,), id="ST_in")
RULE = DispatchRule("main", ("ST_in",), "call-", "agent", "", recording=SOUND, recording_path="calls/", id="SDR_1")
PLACES: Mapping[str, Mapping[str, str]] = {
    "s3": {"bucket": "acme-calls", "region": "eu-central-1", "endpoint": "https://minio.example.com"},
    "gcs": {"bucket": "acme-calls"},
    "azure": {"accountName": "acmecalls", "containerName": "calls"},
}


def stored(storage: str, **changes: Any) -> DispatchRule:
    *first, last = SECRETS[storage].values()
    return replace(
        RULE,
        recording_storage={"type": storage, **PLACES[storage]},
        recording_access_key=known(first[0]) if first else None,
        recording_secret=known(last),
        **changes,
    )


def site(rule: DispatchRule, **settings: str) -> Site:
    found = Site(**settings)
    found.objects = [OUT, IN, rule]
    return found


@pytest.mark.parametrize("storage", SECRETS)
def test_a_storage_becomes_a_reference_and_a_sealed_secret(storage: str) -> None:
    lived = site(stored(storage))
    result = lived.ask("import", "--all")
    assert result.stderr == "imported 1, left 0 objects; 0 have an owner\n"
    number, sip, keys = yaml.safe_load_all(result.stdout)
    wanted = recording(storage, "main-recordings")["recording"]
    assert number["spec"]["inbound"]["recording"] == {"audioOnly": True, **wanted}
    assert (sip["metadata"]["name"], keys["metadata"]["name"]) == ("main-sip", "main-recordings")
    opened = {key: lived.ring.open(text, NAMESPACE, field_of(key)) for key, text in keys["stringData"].items()}
    assert opened == SECRETS[storage]
    assert not any(text in result.output for text in TEXTS)
    plan = json.loads(lived.ask("plan", "-o", "json", "-f", "-", stdin=result.stdout).stdout)
    paths = {field["path"] for change in plan["items"][0]["changes"] for field in change["fields"]}
    assert not any("recording" in path for path in paths)


def test_a_path_style_is_a_flag() -> None:
    rule = stored("s3")
    rule = replace(rule, recording_storage={**rule.recording_storage, "forcePathStyle": "true"})
    number, *_ = yaml.safe_load_all(site(rule).ask("import", "--all").stdout)
    assert number["spec"]["inbound"]["recording"]["s3"]["forcePathStyle"] is True


@pytest.mark.parametrize("storage", SECRETS)
def test_without_sealing_keys_the_secret_is_a_stub_that_says_how_to_fill_it(storage: str) -> None:
    lived = site(stored(storage))
    lived.api.without = {("get", "secrets")}
    result = lived.ask("import", "--all")
    *_, keys = yaml.safe_load_all(result.stdout)
    assert keys["stringData"] == dict.fromkeys(SECRETS[storage], "")
    assert f"`kubectl byoc seal main-recordings -n {NAMESPACE} --for {storage}`" in result.stdout
    assert "leaves the dispatch rule as it is" in result.stdout
    assert not any(text in result.output for text in TEXTS)


def test_plain_text_is_written_where_it_is_asked_for() -> None:
    lived = site(stored("gcs"))
    lived.objects[0] = replace(OUT, username=None, password=None)
    lived.api.without = {("get", "secrets")}
    *_, keys = yaml.safe_load_all(lived.ask("import", "--all", "--plain-secrets").stdout)
    assert keys["stringData"] == SECRETS["gcs"]


def test_a_server_that_lists_no_keys_gives_a_stub() -> None:
    lived = site(stored("azure"))
    lived.lists_passwords = False
    result = lived.ask("import", "--all")
    assert "imported 1, left 0" in result.stderr
    assert (
        "keys of the recordings' storage are not in this manifest, because LiveKit does not list them." in result.stdout
    )


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (stored("s3", id="SDR_2"), ""),
        (replace(stored("s3"), recording_access_key=None), "records into s3 without keys"),
        (replace(stored("gcs"), recording_secret=None), "records into gcs without keys"),
        (replace(stored("azure"), recording_secret=known("no base64!")), "cannot stand in a Secret"),
        (
            replace(stored("gcs"), recording_secret=known(SERVICE_ACCOUNT.replace("https://oauth2", "http://oauth2"))),
            "cannot stand in a Secret",
        ),
        (replace(stored("s3"), recording_storage={"type": "s3", "bucket": "a/b"}), "must be the name of a bucket"),
        (replace(stored("s3"), recording_path="/etc/{room_id}"), "must not begin with a /"),
        (replace(stored("s3"), room_prefix="../x"), "must not have /, a backslash, braces or two dots in a row"),
        (
            replace(stored("s3"), recording_storage={"type": "s3", "bucket": "abc", "endpoint": "http://127.0.0.1"}),
            "must not lead to the machine",
        ),
        (replace(stored("s3"), recording_storage={"type": "s3"}), "bucket"),
    ],
)
def test_what_no_spec_can_say_is_listed_with_the_reason(rule: DispatchRule, why: str) -> None:
    result = site(rule).ask("import", "--all")
    assert ("not imported:" in result.stderr, why in result.stderr) == (bool(why), True), result.stderr
    assert not any(text in result.output for text in TEXTS)
