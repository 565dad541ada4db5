"""Settings out of the environment."""

from pathlib import Path

import pytest

from byoc_operator.core.retain import at_most
from byoc_operator.errors import OperatorError
from byoc_operator.settings import load, unknown

GOOD = {"LIVEKIT_URL": "wss://livekit.example.com", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "sekrit-value"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIVEKIT_API_KEY_FILE", "LIVEKIT_API_SECRET_FILE", *unknown()):
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_defaults() -> None:
    settings = load()
    assert settings.livekit_host == "livekit.example.com"
    assert (settings.sweep_interval_s, settings.livekit_timeout_s, settings.livekit_concurrency) == (300, 10, 8)
    assert (settings.namespaces, settings.installation_id, settings.termination_hosts) == ((), (), ())
    assert (settings.http_port, settings.room_prefix, settings.log_format) == (8080, "call-", "json")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIVEKIT_URL", "livekit.example.com"),
        ("LIVEKIT_URL", "ftp://livekit.example.com"),
        ("LIVEKIT_URL", "https://"),
        ("LIVEKIT_URL", "https://user:sekrit-value@livekit.example.com"),
        ("BYOC_SWEEP_INTERVAL_SECONDS", "0.5"),
        ("BYOC_SWEEP_INTERVAL_SECONDS", "five minutes"),
        ("BYOC_LIVEKIT_TIMEOUT_SECONDS", "0"),
        ("BYOC_LIVEKIT_CONCURRENCY", "0"),
        ("BYOC_LIVEKIT_CONCURRENCY", "1000"),
        ("BYOC_HTTP_PORT", "0"),
        ("BYOC_HTTP_PORT", "70000"),
        ("BYOC_LOG_FORMAT", "xml"),
        ("BYOC_LOG_LEVEL", "LOUD"),
        ("BYOC_SECRETS", "Some"),
        ("BYOC_LEADER_ELECTION", "perhaps"),
        ("BYOC_CREDENTIALS_MAX_AGE_DAYS", "-1"),
        ("BYOC_INSTALLATION_ID", "a/b"),
        ("BYOC_SIP_URI", "https://sip.example.com"),
        ("BYOC_SIP_URI", "sip:user@sip.example.com"),
        ("BYOC_SIP_URI", "sips:sip.example.com"),
        ("BYOC_SIP_ADDRESSES", "203.0.113.10,sip.example.com"),
        ("BYOC_SIP_ADDRESSES", "203.0.113.0/33"),
        ("BYOC_RETAIN", "allow"),
        ("BYOC_RETAIN", "0"),
        ("BYOC_RETAIN", "-1"),
        ("BYOC_RETAIN", "1e9"),
        ("BYOC_RETAIN", "9" * 5000),
        ("BYOC_NUMBER_RESERVATION_SECONDS", "-1"),
        ("BYOC_NUMBER_RESERVATION_SECONDS", "nan"),
    ],
)
def test_a_wrong_value_stops_with_one_line_that_names_the_setting(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(OperatorError) as wrong:
        load()
    assert wrong.value.message.startswith(f"{variable}: ")
    assert "\n" not in wrong.value.message
    assert "sekrit-value" not in wrong.value.message


@pytest.mark.parametrize("variable", GOOD)
def test_a_missing_value_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(OperatorError, match=f"^Settings: {variable}: is required"):
        load()


def test_files_are_read_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    monkeypatch.setenv("LIVEKIT_API_SECRET_FILE", str(path))
    settings = load()
    with pytest.raises(OperatorError, match=r"^Settings: LIVEKIT_API_SECRET_FILE: cannot read"):
        settings.livekit_credentials()
    path.write_text(" \n", encoding="utf-8")
    with pytest.raises(OperatorError, match=r"^Settings: LIVEKIT_API_SECRET_FILE: .* is empty"):
        settings.livekit_credentials()
    path.write_bytes(b"\xff")
    with pytest.raises(OperatorError, match=r"^Settings: LIVEKIT_API_SECRET_FILE: cannot read"):
        settings.livekit_credentials()
    path.write_text("rotated\n", encoding="utf-8")
    key, secret = settings.livekit_credentials()
    assert (key, secret.get_secret_value()) == ("key", "rotated")


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOC_NAMESPACES", " voice, ,sales,voice")
    assert load().namespaces == ("voice", "sales")


def test_an_empty_value_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOC_SWEEP_INTERVAL_SECONDS", "")
    assert load().sweep_interval_s == 300


def test_the_secret_is_in_no_repr() -> None:
    assert "sekrit-value" not in repr(load())


def test_typing_errors_are_found_and_service_variables_are_not() -> None:
    environment = {
        "BYOC_SWEEP_INTERVALL_SECONDS": "1",
        "BYOC_SWEEP_INTERVAL_SECONDS": "1",
        "BYOC_OPERATOR_SERVICE_HOST": "10.0.0.1",
        "BYOC_OPERATOR_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "PATH": "",
    }
    assert unknown(environment) == ["BYOC_SWEEP_INTERVALL_SECONDS"]


@pytest.mark.parametrize(("value", "limit"), [("Allow", None), ("Deny", 0), ("1", 1), ("250", 250), ("", None)])
def test_retain_is_allowed_denied_or_limited(value: str, limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOC_RETAIN", value)
    assert at_most(load().retain) == limit
