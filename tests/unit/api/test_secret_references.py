"""The references of a spec to Secrets are found by their type, so that none is forgotten anywhere."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from byoc_operator.api.schema import PhoneNumberSpec
from byoc_operator.api.secret_references import (
    PATHS,
    RECORDING_STORAGES,
    references,
    secret_names,
    stored_secret_keys,
    stored_secret_names,
)
from byoc_operator.api.validation import parse_spec
from manifests import BASE, GENERIC, GOOD, merged
from storage_keys import SECRETS, recording

ROOT = Path(__file__).parents[3]

CALLS = {"authentication": "Digest", "credentialsSecretRef": {"name": "calls"}}


def spec(**changes: Any) -> PhoneNumberSpec:
    parsed = parse_spec(merged(BASE, {**GENERIC, **changes}))
    assert isinstance(parsed, PhoneNumberSpec)
    return parsed


def test_every_reference_of_the_schema_is_found() -> None:
    assert PATHS[:2] == ("sipPasswordSecretRef", "inbound.credentialsSecretRef")


def test_the_references_of_a_spec_have_their_paths_and_names() -> None:
    found = references(spec(sipPasswordSecretRef={"name": "sip"}, inbound=CALLS))
    assert [(each.path, each.to.name) for each in found] == [
        ("sipPasswordSecretRef", "sip"),
        ("inbound.credentialsSecretRef", "calls"),
    ]


def test_a_secret_that_two_references_name_is_named_once() -> None:
    assert secret_names(spec(sipPasswordSecretRef={"name": "calls"}, inbound=CALLS)) == ("calls",)


def test_without_an_agent_nothing_of_inbound_is_in_use() -> None:
    assert secret_names(spec(inbound=CALLS, inboundAgentId="")) == ()


@pytest.mark.parametrize("wrong", [None, "", 1, [], {"inbound": 1}, {"inbound": {"credentialsSecretRef": []}}])
def test_a_spec_that_is_none_names_no_secret(wrong: object) -> None:
    assert stored_secret_names(wrong) == ()


def test_an_invalid_spec_names_its_secrets_all_the_same() -> None:
    stored = {"phoneNumber": 1, "sipPasswordSecretRef": {"name": "sip"}, "inbound": CALLS}
    assert stored_secret_names(stored) == ("sip", "calls")


def test_the_good_manifests_use_every_reference() -> None:
    parsed = [parse_spec(each) for each in GOOD.values()]
    used = {found.path for each in parsed if isinstance(each, PhoneNumberSpec) for found in references(each)}
    assert used == set(PATHS)


def test_each_storage_of_recordings_has_its_reference() -> None:
    assert set(RECORDING_STORAGES.values()) == {path for path in PATHS if path.startswith("inbound.recording.")}
    found = references(
        spec(inbound={"recording": {"gcs": {"bucket": "calls", "credentialsSecretRef": {"name": "keys"}}}})
    )
    assert [(each.path, each.to.name, each.to.keys) for each in found] == [
        (RECORDING_STORAGES["gcs"], "keys", ("credentials.json",))
    ]


def test_kustomize_is_told_of_every_reference() -> None:
    told = yaml.safe_load((ROOT / "deploy/kustomize/name-reference/name-reference.yaml").read_text())
    paths = [each["path"] for each in told["nameReference"][0]["fieldSpecs"]]
    assert paths == [f"spec/{path.replace('.', '/')}/name" for path in PATHS]


@pytest.mark.parametrize("storage", RECORDING_STORAGES)
def test_the_keys_of_a_storage_are_in_use(storage: str) -> None:
    stored = {"inbound": recording(storage), "sipPasswordSecretRef": {"name": "sip", "key": "pw"}}
    assert set(stored_secret_keys(stored, "recordings")) == SECRETS[storage].keys()
    assert stored_secret_keys(stored, "sip") == ("username", "pw")
    assert stored_secret_keys({"sipPasswordSecretRef": {"name": "sip"}}, "sip") == ("username", "password")
    assert stored_secret_keys(stored, "other") == stored_secret_keys(None, "sip") == ()
