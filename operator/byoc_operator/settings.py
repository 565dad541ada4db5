"""Every setting: environment variable, unit, default. A wrong value ends the start with one line that names it."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .api.characters import unseen
from .errors import CannotRun
from .installation_settings import InstallationSettings, Names, line_of


class OrphanPolicy(StrEnum):
    """What happens with orphans: LiveKit objects with our mark whose Kubernetes object is gone."""

    REPORT = "Report"
    DELETE = "Delete"


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """The least severe line that is written."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class ProxyPolicy(StrEnum):
    """Whether LiveKit is reached through the proxy that the environment names."""

    NONE = "None"
    ENVIRONMENT = "Environment"


class Settings(InstallationSettings, BaseSettings):
    """The settings of `byoc-operator run`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=True, env_ignore_empty=True, enable_decoding=False
    )

    livekit_api_key: str = Field("", alias="LIVEKIT_API_KEY", description="Its API key.")
    livekit_api_secret: SecretStr = Field(
        SecretStr(""), alias="LIVEKIT_API_SECRET", description="The secret of the API key."
    )
    livekit_api_key_file: Path | None = Field(
        None, alias="LIVEKIT_API_KEY_FILE", description="File that holds the key, instead of `LIVEKIT_API_KEY`."
    )
    livekit_api_secret_file: Path | None = Field(
        None,
        alias="LIVEKIT_API_SECRET_FILE",
        description="File that holds the secret, instead of `LIVEKIT_API_SECRET`.",
    )
    livekit_ca_file: Path | None = Field(
        None,
        alias="BYOC_LIVEKIT_CA_FILE",
        description="PEM file with the authorities that may sign LiveKit's certificate. Absent: public authorities. "
        "Read at the start.",
    )
    livekit_proxy: ProxyPolicy = Field(
        ProxyPolicy.NONE,
        alias="BYOC_LIVEKIT_PROXY",
        description="`Environment`: LiveKit is reached through the proxy that `HTTPS_PROXY` names (`HTTP_PROXY` for ws "
        "and http), unless `NO_PROXY` names LiveKit's host. `None`: these variables are ignored. The API server is "
        "never reached through a proxy.",
    )
    livekit_timeout_s: float = Field(
        10.0,
        ge=1.0,
        allow_inf_nan=False,
        alias="BYOC_LIVEKIT_TIMEOUT_SECONDS",
        description="After how long a call to LiveKit is given up.",
    )
    livekit_concurrency: int = Field(
        8,
        ge=1,
        le=64,
        alias="BYOC_LIVEKIT_CONCURRENCY",
        description="Calls to LiveKit at once; more only lengthens them.",
    )
    livekit_requests_per_minute: int | None = Field(
        None,
        ge=0,
        alias="BYOC_LIVEKIT_REQUESTS_PER_MINUTE",
        description="Most calls to LiveKit in a minute, 0: no limit. Absent: 900 for `*.livekit.cloud` (its own limit "
        "is 1,000), else no limit.",
    )
    carriers_file: Path | None = Field(
        None,
        alias="BYOC_CARRIERS_FILE",
        description="File of presets that adds carriers and overrides built-in ones: see [carriers](carriers.md). Read "
        "again at each sweep.",
    )
    namespaces: Names = Field((), alias="BYOC_NAMESPACES", description="Namespaces to watch, comma list. Absent: all.")
    operator_namespace: str = Field(
        "byoc-system", alias="BYOC_OPERATOR_NAMESPACE", description="The operator's own namespace."
    )
    sweep_interval_s: float = Field(
        300.0,
        ge=1.0,
        allow_inf_nan=False,
        alias="BYOC_SWEEP_INTERVAL_SECONDS",
        description="Seconds between comparisons with LiveKit.",
    )
    orphans: OrphanPolicy = Field(
        OrphanPolicy.REPORT,
        alias="BYOC_ORPHANS",
        description="What happens with LiveKit objects with our mark that belong to no number: `Report`, `Delete`.",
    )
    sealing_create_keys: bool = Field(
        True,
        alias="BYOC_SEALING_CREATE_KEYS",
        description="Whether the operator makes the Secret `byoc-sealing-keys` in its namespace where there is none "
        "and nothing is sealed yet.",
    )
    admission: bool = Field(
        False,
        alias="BYOC_ADMISSION",
        description="Whether the webhook runs that seals labelled Secrets as they are stored.",
    )
    admission_port: int = Field(9443, ge=1, le=65535, alias="BYOC_ADMISSION_PORT", description="Its HTTPS port.")
    admission_service: Names = Field(
        (),
        alias="BYOC_ADMISSION_SERVICE",
        description="DNS names or addresses, comma list, at which the API server finds the webhook: they are put into "
        "its certificate. Absent: `byoc-operator-admission.<namespace>.svc`.",
    )
    admission_webhook: str = Field(
        "",
        alias="BYOC_ADMISSION_WEBHOOK",
        description="Name of the MutatingWebhookConfiguration whose `caBundle` the operator keeps right. "
        "Absent: you see to that.",
    )
    admission_certificate_folder: Path | None = Field(
        None,
        alias="BYOC_ADMISSION_CERTIFICATE_FOLDER",
        description="Folder with `tls.crt` and `tls.key`, such as cert-manager's Secret mounted. Absent: the operator "
        "makes and renews its own certificate.",
    )
    http_port: int = Field(
        8080, ge=1, le=65535, alias="BYOC_HTTP_PORT", description="Port of `/healthz`, `/readyz` and `/metrics`."
    )
    metrics_per_number: bool = Field(
        False,
        alias="BYOC_METRICS_PER_NUMBER",
        description="Whether `/metrics` has a series for each number, `byoc_number_condition`, with its namespace, "
        "name and phone number. Whoever can read the metrics then reads them too.",
    )
    leader_election: bool = Field(
        True, alias="BYOC_LEADER_ELECTION", description="Of several replicas one works, told by a Lease."
    )
    lease_name: str = Field(
        "byoc-operator",
        alias="BYOC_LEASE_NAME",
        description="Name of that Lease, in the operator's namespace; Events about the installation refer to it.",
    )
    log_format: LogFormat = Field(LogFormat.JSON, alias="BYOC_LOG_FORMAT", description="`json` or `text`.")
    log_level: LogLevel = Field(LogLevel.INFO, alias="BYOC_LOG_LEVEL", description="Least severe line that is written.")

    @model_validator(mode="after")
    def _has_key(self) -> "Settings":
        if not (self.livekit_api_key or self.livekit_api_key_file):
            message = "LIVEKIT_API_KEY: is required (or LIVEKIT_API_KEY_FILE)"
            raise ValueError(message)
        if not (self.livekit_api_secret.get_secret_value() or self.livekit_api_secret_file):
            message = "LIVEKIT_API_SECRET: is required (or LIVEKIT_API_SECRET_FILE)"
            raise ValueError(message)
        return self

    @property
    def admission_names(self) -> tuple[str, ...]:
        """The DNS names and addresses in the webhook's own certificate."""
        return self.admission_service or (f"byoc-operator-admission.{self.operator_namespace}.svc",)

    @property
    def proxy_variables(self) -> Mapping[str, str]:
        """The environment, if it may name a proxy before LiveKit; otherwise nothing."""
        return os.environ if self.livekit_proxy is ProxyPolicy.ENVIRONMENT else {}

    def livekit_credentials(self) -> tuple[str, SecretStr]:
        """API key and secret; files are read at each call. Raises CannotRun with a message that names the setting."""
        key = _file("LIVEKIT_API_KEY_FILE", self.livekit_api_key_file) or self.livekit_api_key
        secret = _file("LIVEKIT_API_SECRET_FILE", self.livekit_api_secret_file)
        return key, SecretStr(secret) if secret else self.livekit_api_secret


def _file(name: str, path: Path | None) -> str:
    if path is None:
        return ""
    try:
        content = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise CannotRun(f"{name}: cannot read {path} ({type(exc).__name__})") from exc
    if not content:
        raise CannotRun(f"{name}: {path} is empty")
    if unseen(content):
        raise CannotRun(f"{name}: {path} contains {unseen(content)}, a character that cannot be seen")
    return content


def load() -> Settings:
    """The settings from the environment. Raises CannotRun with one line that names the wrong setting."""
    try:
        return Settings()
    except ValidationError as exc:
        raise CannotRun(line_of(exc)) from None


def unknown(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that begin with `BYOC_` and are no settings, so that a typing error gets noticed.

    Left out are the variables that Kubernetes adds for every Service of the namespace: `<SERVICE>_SERVICE_HOST`,
    `<SERVICE>_PORT…`.
    """
    known = {field.alias for field in Settings.model_fields.values()}
    return sorted(
        name
        for name in environment
        if name.startswith("BYOC_") and name not in known and "_SERVICE_" not in name and "_PORT" not in name
    )
