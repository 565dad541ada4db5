"""Settings out of the environment."""

from pathlib import Path

import pytest

from byoc_operator.api.retain import at_most
from byoc_operator.errors import CannotRun
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
    assert settings.carriers_file is None
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
        ("BYOC_LIVEKIT_PROXY", "environment"),
        ("BYOC_LIVEKIT_PROXY", "http://user:sekrit-value@proxy:3128"),
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
        ("BYOC_SIP_URI", "sip.example.com;transport=TLS"),
        ("BYOC_SIP_URI", "sip.example.com:70000"),
        ("BYOC_SIP_URI", "sip.example.com,"),
        ("BYOC_SIP_URI", "sip.example.com,https://sip.example.com"),
        ("BYOC_SIP_ADDRESSES", "::ffff:203.0.113.10"),
        ("BYOC_SIP_ADDRESSES", "fe80::1%eth0"),
        ("BYOC_SIP_ADDRESSES", "203.0.113.010"),
        ("BYOC_TERMINATION_HOSTS", "*"),
        ("BYOC_TERMINATION_HOSTS", "*twilio.com"),
        ("BYOC_TERMINATION_HOSTS", "*.*.twilio.com"),
        ("BYOC_TERMINATION_HOSTS", "*.203.0.113.7"),
        ("BYOC_TERMINATION_HOSTS", "..twilio.com"),
        ("BYOC_TERMINATION_HOSTS", "twilio..com"),
        ("BYOC_TERMINATION_HOSTS", "sip.telnyx.eu:5061"),
        ("BYOC_TERMINATION_HOSTS", "sip:sip.telnyx.eu"),
        ("BYOC_TERMINATION_HOSTS", "https://sip.telnyx.eu/"),
        ("BYOC_TERMINATION_HOSTS", "203.0.113.0/24"),
        ("BYOC_TERMINATION_HOSTS", "203.0.113.256"),
        ("BYOC_TERMINATION_HOSTS", "my_trunk.example.com"),
        ("BYOC_TERMINATION_HOSTS", "a" * 64 + ".example.com"),
        ("BYOC_TERMINATION_HOSTS", ".".join(["a" * 60] * 5)),
        ("BYOC_TERMINATION_HOSTS", "twilio.com, pstn twilio.com"),
        ("BYOC_TERMINATION_HOSTS", ","),
        ("BYOC_NAMESPACES", "Voice"),
        ("BYOC_NAMESPACES", "voice*"),
        ("BYOC_NAMESPACES", "voice,-sales"),
        ("BYOC_NAMESPACES", "voice.sales"),
        ("BYOC_NAMESPACES", "a" * 64),
        ("BYOC_NAMESPACES", " , "),
        ("BYOC_OPERATOR_NAMESPACE", "byoc_system"),
        ("BYOC_LEASE_NAME", "Operator"),
        ("BYOC_ADMISSION_WEBHOOK", "byoc operator"),
        ("BYOC_ADMISSION_SERVICE", "https://byoc-operator-admission.byoc-system.svc"),
        ("BYOC_ADMISSION_SERVICE", "byoc-operator-admission.byoc-system.svc:443"),
        ("BYOC_ADMISSION_SERVICE", "*.byoc-system.svc"),
        ("BYOC_INSTALLATION_ID", ","),
        ("BYOC_INSTALLATION_ID", "one\ttwo"),
        ("BYOC_SWEEP_INTERVAL_SECONDS", "inf"),
        ("BYOC_SWEEP_INTERVAL_SECONDS", "nan"),
        ("BYOC_LIVEKIT_TIMEOUT_SECONDS", "inf"),
        ("LIVEKIT_URL", "wss://live_kit.example.com"),
        ("LIVEKIT_URL", "wss://livekit.example.com:port"),
        ("LIVEKIT_URL", "wss://livekit.example.com/a b"),
        ("LIVEKIT_URL", "wss://livekit.example.com:"),
        ("LIVEKIT_API_KEY", "key\n"),
        ("LIVEKIT_API_SECRET", " sekrit-value"),
        ("BYOC_SIP_ADDRESSES", "203.0.113.10,sip.example.com"),
        ("BYOC_SIP_ADDRESSES", "203.0.113.0/33"),
        ("BYOC_UNKNOWN_FIELDS", "keep"),
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
    with pytest.raises(CannotRun) as wrong:
        load()
    assert wrong.value.message.startswith(f"{variable}: ")
    assert "\n" not in wrong.value.message
    assert "sekrit-value" not in wrong.value.message


@pytest.mark.parametrize(("policy", "seen"), [("", False), ("None", False), ("Environment", True)])
def test_the_environment_names_a_proxy_only_where_it_is_asked(
    policy: str, monkeypatch: pytest.MonkeyPatch, *, seen: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("BYOC_LIVEKIT_PROXY", policy)
    assert ("HTTPS_PROXY" in load().proxy_variables) is seen


@pytest.mark.parametrize("point", [0xAD, 0x200B, 0x200E, 0x202E, 0x2060, 0xFEFF, 0xFFFD, 0xE0041])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIVEKIT_URL", "wss://livekit.example.com/{}"),
        ("LIVEKIT_API_KEY", "k{}ey"),
        ("LIVEKIT_API_SECRET", "sekrit-value{}"),
        ("LIVEKIT_API_SECRET_FILE", "/etc/livekit{}"),
        ("BYOC_SIP_URI", "{}sip.example.com"),
        ("BYOC_SIP_ADDRESSES", "203.0.113.7{}"),
        ("BYOC_TERMINATION_HOSTS", "pstn.twilio.com,sip.{}telnyx.eu"),
        ("BYOC_NAMESPACES", "voice{}"),
        ("BYOC_INSTALLATION_ID", "new,old{}"),
        ("BYOC_AGENT_NAME", "agent{}"),
        ("BYOC_ROOM_PREFIX", "call{}-"),
        ("BYOC_LEASE_NAME", "byoc{}"),
    ],
)
def test_a_character_that_nobody_sees_is_named(
    variable: str, value: str, point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value.format(chr(point)))
    with pytest.raises(CannotRun) as wrong:
        load()
    assert wrong.value.message == f"{variable}: contains U+{point:04X}, a character that cannot be seen"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BYOC_TERMINATION_HOSTS", "*.pstn.twilio.com,.telnyx.eu,Example.COM.,203.0.113.7,2001:db8::1"),
        ("BYOC_SIP_URI", "sip:sip.example.com:26899,[2001:db8::1]:5060;transport=tcp"),
        ("BYOC_SIP_ADDRESSES", "::/0,0::ffff:0/0,203.0.113.10"),
        ("BYOC_INSTALLATION_ID", "Köln 1,old"),
        ("BYOC_ADMISSION_SERVICE", "127.0.0.1,byoc-operator-admission.byoc-system.svc"),
        ("LIVEKIT_URL", "http://[::1]:7880"),
        ("LIVEKIT_URL", "ws://localhost:7880/path"),
    ],
)
def test_unusual_but_right_values_start(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    load()


@pytest.mark.parametrize("variable", GOOD)
def test_a_missing_value_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(CannotRun, match=f"^{variable}: is required"):
        load()


def test_files_are_read_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    monkeypatch.setenv("LIVEKIT_API_SECRET_FILE", str(path))
    settings = load()
    with pytest.raises(CannotRun, match=r"^LIVEKIT_API_SECRET_FILE: cannot read"):
        settings.livekit_credentials()
    path.write_text(" \n", encoding="utf-8")
    with pytest.raises(CannotRun, match=r"^LIVEKIT_API_SECRET_FILE: .* is empty"):
        settings.livekit_credentials()
    path.write_bytes(b"\xff")
    with pytest.raises(CannotRun, match=r"^LIVEKIT_API_SECRET_FILE: cannot read"):
        settings.livekit_credentials()
    path.write_text("rotated\u200b\n", encoding="utf-8")
    with pytest.raises(CannotRun, match=r"^LIVEKIT_API_SECRET_FILE: .* contains U\+200B"):
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


@pytest.mark.parametrize("url", ["wss://user:hunter2@host", "wss://user:hunter2\u2100@host", "wss://user:hunter2@[::1"])
def test_credentials_in_the_url_are_refused_and_not_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_URL", url)
    with pytest.raises(CannotRun) as refused:
        load()
    assert "LIVEKIT_URL: must be a ws, wss, http or https URL without credentials" in refused.value.message
    assert "hunter2" not in str(refused.value)
