"""Settings that are one word of a few."""

from enum import StrEnum


class SecretsPolicy(StrEnum):
    """Which Secrets numbers may use."""

    ANY = "Any"
    LABELLED = "Labelled"


class SealingPolicy(StrEnum):
    """Whether credentials may stand in a Secret in plain text."""

    ACCEPT = "Accept"
    REQUIRE = "Require"


class AdoptionPolicy(StrEnum):
    """Whether objects without our mark may be taken over."""

    DENY = "Deny"
    ALLOW = "Allow"


class OrphanPolicy(StrEnum):
    """What happens with objects of ours that belong to no number."""

    REPORT = "Report"
    DELETE = "Delete"


class RefusedHostPolicy(StrEnum):
    """What happens with the outbound trunk of a number whose termination host is not allowed."""

    KEEP = "Keep"
    REMOVE = "Remove"


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
