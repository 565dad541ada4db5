"""The settings of an installation out of a mapping, as the ConfigMap of the operator is one."""

import pytest

from byoc_operator.api.retain import RetainPolicy
from byoc_operator.core.credentials import SecretRules
from byoc_operator.core.desired import Installation
from byoc_operator.errors import CannotRun
from byoc_operator.installation_settings import InstallationSettings, installation_settings
from byoc_operator.settings import Settings

LEAST = {"LIVEKIT_URL": "wss://livekit.example.com"}
ALL = {
    **LEAST,
    "BYOC_INSTALLATION_ID": "new, old",
    "BYOC_AGENT_NAME": "agent",
    "BYOC_ROOM_PREFIX": "room-",
    "BYOC_SIP_URI": "sip.example.com",
    "BYOC_TERMINATION_HOSTS": "twilio.com,sip.telnyx.com",
    "BYOC_REFUSED_HOSTS": "Remove",
    "BYOC_SECRETS": "Labelled",
    "BYOC_SEALING": "Require",
    "BYOC_CREDENTIALS_MAX_AGE_DAYS": "90",
    "BYOC_ADOPTION": "Allow",
    "BYOC_UNKNOWN_FIELDS": "Keep",
    "BYOC_NUMBER_RESERVATION_SECONDS": "60",
    "BYOC_RETAIN": "20",
}
KEY = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}


def test_a_mapping_says_all_that_an_installation_adds() -> None:
    assert installation_settings(ALL).installation() == Installation(
        ids=("new", "old"),
        live_kit="livekit.example.com",
        agent_name="agent",
        room_prefix="room-",
        sip_uri="sip.example.com",
        termination_hosts=("twilio.com", "sip.telnyx.com"),
        removes_refused=True,
        secret_rules=SecretRules(labelled_only=True, sealed_only=True),
        credentials_max_age_days=90,
        adoption_allowed=True,
        reservation_s=60.0,
        retained_at_most=20,
        keeps_unknown_fields=True,
    )


@pytest.mark.parametrize("values", [LEAST, ALL])
def test_the_operator_makes_the_same_of_its_environment(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**values, **KEY}.items():
        monkeypatch.setenv(name, value)
    assert Settings().installation("uid") == installation_settings(values).installation("uid")


def test_what_is_empty_or_of_others_is_ignored() -> None:
    values = {**LEAST, **KEY, "BYOC_RETAIN": "", "BYOC_LOG_LEVEL": "DEBUG"}
    assert installation_settings(values).retain is RetainPolicy.ALLOW
    assert not hasattr(installation_settings(values), "livekit_api_secret")


def test_the_environment_of_whoever_calls_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOC_AGENT_NAME", "mine")
    assert installation_settings(LEAST).agent_name == ""


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "LIVEKIT_URL: is required"),
        ({"LIVEKIT_URL": "livekit"}, "LIVEKIT_URL: must be a ws"),
        ({**LEAST, "BYOC_RETAIN": "0"}, "BYOC_RETAIN: must be Allow, Deny or a number"),
        ({**LEAST, "BYOC_INSTALLATION_ID": "a/b"}, "BYOC_INSTALLATION_ID: must have visible characters"),
        ({**LEAST, "BYOC_TERMINATION_HOSTS": " , "}, "BYOC_TERMINATION_HOSTS: has nothing but commas"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, str], told: str) -> None:
    with pytest.raises(CannotRun, match=told):
        installation_settings(values)


def test_without_an_id_the_clusters_own_is_needed() -> None:
    assert installation_settings(LEAST).installation("uid").ids == ("uid",)
    assert installation_settings(ALL).installation("uid").ids == ("new", "old")
    with pytest.raises(CannotRun, match="BYOC_INSTALLATION_ID"):
        installation_settings(LEAST).installation()


def test_every_setting_of_an_installation_is_one_of_the_operator() -> None:
    ours = {field.alias for field in InstallationSettings.model_fields.values()}
    assert ours <= {field.alias for field in Settings.model_fields.values()}
