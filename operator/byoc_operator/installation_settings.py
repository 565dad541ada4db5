"""The settings that apply to every number of this installation. The operator and `kubectl byoc` read them.

They are in the operator's environment; all but the secret ones are also in a ConfigMap, so that a command outside the
pod assesses a number as the operator does.
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from .api.built_in_carriers import BUILT_IN
from .api.carriers import Catalogue
from .api.livekit_url import FORM, livekit_url
from .api.retain import RetainPolicy, at_most, parse_retain
from .core.credentials import SecretRules
from .core.desired import Installation
from .errors import CannotRun
from .setting_forms import FORMS, LISTS, cannot_be_seen, texts


class SecretsPolicy(StrEnum):
    """Which Secrets numbers may use."""

    ANY = "Any"
    LABELLED = "Labelled"


class SealingPolicy(StrEnum):
    """Whether a Secret may contain credentials in plain text."""

    ACCEPT = "Accept"
    REQUIRE = "Require"


class AdoptionPolicy(StrEnum):
    """Whether LiveKit objects without our mark may be adopted."""

    DENY = "Deny"
    ALLOW = "Allow"


class RefusedHostPolicy(StrEnum):
    """What happens with the outbound trunk of a number whose termination host is not allowed."""

    KEEP = "Keep"
    REMOVE = "Remove"


Names = tuple[str, ...]
"""A comma-separated list in the environment."""


class UnknownFieldsPolicy(StrEnum):
    """What a replace does with the settings in LiveKit that the API has no word for."""

    ERASE = "Erase"
    KEEP = "Keep"


class InstallationSettings(BaseModel):
    """What every number depends on or its users must know, by environment name. None of it is secret."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    livekit_url: str = Field(alias="LIVEKIT_URL", description="LiveKit server: ws, wss, http or https.")
    sip_uri: str = Field(
        "",
        alias="BYOC_SIP_URI",
        description="Our public SIP endpoint: `[sip:]host[:port][;transport=tls|tcp|udp]`. Without transport it is for "
        "all: 5061 is told to TLS only, 5060 to TCP and UDP only, any other port to TLS only. Comma list: the others' "
        "own endpoints, such as `sip.example.com:6061,sip.example.com:6060;transport=tcp`.",
    )
    sip_addresses: Names = Field(
        (),
        alias="BYOC_SIP_ADDRESSES",
        description="Addresses or CIDR ranges, comma list, from which our SIP traffic comes: what users allow at their "
        "carrier. Told in the log at the start.",
    )
    installation_id: Names = Field(
        (),
        alias="BYOC_INSTALLATION_ID",
        description="Marks our LiveKit objects. Comma list: the first marks, all are recognised. "
        "Absent: the UID of the namespace kube-system.",
    )
    agent_name: str = Field(
        "",
        alias="BYOC_AGENT_NAME",
        description="LiveKit agent name for every number. Absent: the agent id is the name.",
    )
    adoption: AdoptionPolicy = Field(
        AdoptionPolicy.DENY, alias="BYOC_ADOPTION", description="`Allow` lets the annotation `adopt` take objects over."
    )
    retain: RetainPolicy | int = Field(
        RetainPolicy.ALLOW,
        alias="BYOC_RETAIN",
        description="Whether `deletionPolicy: Retain` is followed: `Allow`, `Deny`, or a number: at most so many "
        "retained phone numbers in a namespace. Where it is not, a deletion deletes.",
    )
    reservation_s: float = Field(
        300.0,
        ge=0.0,
        le=86_400.0,
        alias="BYOC_NUMBER_RESERVATION_SECONDS",
        description="How long a phone number that was let go stays reserved for the namespace that had it last. 0: not "
        "at all.",
    )
    room_prefix: str = Field("call-", alias="BYOC_ROOM_PREFIX", description="Start of the name of a call's room.")
    secrets: SecretsPolicy = Field(
        SecretsPolicy.ANY, alias="BYOC_SECRETS", description="`Labelled` refuses Secrets without our label."
    )
    sealing: SealingPolicy = Field(
        SealingPolicy.ACCEPT,
        alias="BYOC_SEALING",
        description="`Accept` takes plain-text credentials, with a finding; `Require` refuses them.",
    )
    termination_hosts: Names = Field(
        (),
        alias="BYOC_TERMINATION_HOSTS",
        description="Domains and addresses that numbers may name as termination host, comma list: `twilio.com`, "
        "`.twilio.com` and `*.twilio.com` are the same, itself and all below it. Absent: any.",
    )
    refused_hosts: RefusedHostPolicy = Field(
        RefusedHostPolicy.KEEP,
        alias="BYOC_REFUSED_HOSTS",
        description="What happens with the outbound trunk of a number whose host is not among them (any more): `Keep` "
        "leaves it as it is, `Remove` deletes it; the inbound side stays.",
    )
    credentials_max_age_days: int = Field(
        0, ge=0, alias="BYOC_CREDENTIALS_MAX_AGE_DAYS", description="Older SIP passwords give a finding. 0: never."
    )

    unknown_fields: UnknownFieldsPolicy = Field(
        UnknownFieldsPolicy.ERASE,
        alias="BYOC_UNKNOWN_FIELDS",
        description="What happens with settings of our LiveKit objects that a `ByocPhoneNumber` has no field for: "
        "`Erase` takes them away, `Keep` carries them over, with a finding.",
    )

    @field_validator(*LISTS, mode="before", check_fields=False)
    @classmethod
    def _listed(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
        if not parts:
            message = "has nothing but commas and blanks; leave it out, or name something"
            raise ValueError(message)
        return parts

    @field_validator("*")
    @classmethod
    def _is_visible(cls, value: object) -> object:
        for text in texts(value):
            if message := cannot_be_seen(text):
                raise ValueError(message)
        return value

    @field_validator("retain", mode="before")
    @classmethod
    def _is_retain(cls, value: object) -> object:
        return parse_retain(str(value))

    @field_validator("livekit_url")
    @classmethod
    def _is_livekit(cls, value: str) -> str:
        if livekit_url(value) is None:
            raise ValueError(FORM)
        return value

    @field_validator(*FORMS, check_fields=False)
    @classmethod
    def _has_form(cls, value: str | tuple[str, ...], about: ValidationInfo) -> str | tuple[str, ...]:
        holds, message = FORMS[str(about.field_name)]
        if not all(holds(text) for text in texts(value) if text):
            raise ValueError(message)
        return value

    @property
    def livekit_host(self) -> str:
        """The host of the LiveKit server, as it is shown in a status."""
        parts = livekit_url(self.livekit_url)
        return parts.host if parts else ""

    def installation(self, cluster_id: str = "", carriers: Catalogue = BUILT_IN) -> Installation:
        """The installation of these settings. `cluster_id`: the UID of kube-system, used without an installation ID.

        Raises CannotRun if neither is given.
        """
        ids = self.installation_id or ((cluster_id,) if cluster_id else ())
        if not ids:
            raise CannotRun("BYOC_INSTALLATION_ID: is required where the cluster's own ID is not known")
        return Installation(
            ids=ids,
            live_kit=self.livekit_host,
            agent_name=self.agent_name,
            room_prefix=self.room_prefix,
            sip_uri=self.sip_uri,
            termination_hosts=self.termination_hosts,
            removes_refused=self.refused_hosts is RefusedHostPolicy.REMOVE,
            secret_rules=SecretRules(
                labelled_only=self.secrets is SecretsPolicy.LABELLED,
                sealed_only=self.sealing is SealingPolicy.REQUIRE,
            ),
            credentials_max_age_days=self.credentials_max_age_days,
            adoption_allowed=self.adoption is AdoptionPolicy.ALLOW,
            reservation_s=self.reservation_s,
            retained_at_most=at_most(self.retain),
            keeps_unknown_fields=self.unknown_fields is UnknownFieldsPolicy.KEEP,
            carriers=carriers,
        )


def installation_settings(values: Mapping[str, str]) -> InstallationSettings:
    """The settings among `values`: environment names and their texts, as the ConfigMap of the operator has them.

    What is empty counts as absent, and other names are ignored, as in the environment. Raises CannotRun with one
    line that names the wrong one.
    """
    try:
        return InstallationSettings.model_validate({name: value for name, value in values.items() if value})
    except ValidationError as exc:
        raise CannotRun(line_of(exc)) from None


def line_of(exc: ValidationError) -> str:
    """The first error as one line. Never the value: it may be a secret in the wrong place."""
    error = exc.errors(include_input=False, include_url=False)[0]
    name = str(error["loc"][0]) if error["loc"] else ""
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if error["type"] == "missing":
        message = "is required"
    return f"{name}: {message}" if name else message
