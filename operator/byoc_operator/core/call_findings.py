"""What a spec says of calls and should say otherwise: headers that show too much, codecs, and what a carrier lacks."""

from collections.abc import Iterator
from typing import Final

from ..api.carriers import Preset
from ..api.grammar import CODEC_RATES
from ..api.schema import Authentication, InboundSpec, MediaEncryption, PhoneNumberSpec, Transport
from ..api.schema_media import IncludeHeaders

_NAMES_THE_CALLER: Final = frozenset(
    {"contact", "diversion", "f", "from", "m", "p-asserted-identity", "p-preferred-identity", "remote-party-id"}
)
"""Headers that have the caller's number, in lower case (RFC 3261, RFC 3325, RFC 5806)."""

_ANSWERS_A_CHALLENGE: Final = frozenset({"authorization", "proxy-authorization"})

_ALL_HEADERS: Final = "includeHeaders: All"

_RATES: Final = {name.lower(): str(rate) for name, rate in CODEC_RATES.items()}
"""By the name of a codec in lower case its clock rate, as a spec writes it."""

_TELEPHONE_EVENTS: Final = "telephone-event"
"""Pressed keys. LiveKit offers them with every codec, so the list need not name them."""

PLAIN_INBOUND: Final = InboundSpec()
"""`spec.inbound` without settings."""


def shown_callers(spec: PhoneNumberSpec) -> list[str]:
    """What shows a caller who should be hidden: names of headers, or the setting that takes every header."""
    return _shown(spec.inbound, _NAMES_THE_CALLER) if spec.inbound.hide_caller_number else []


def shown_digests(spec: PhoneNumberSpec) -> list[str]:
    """What shows the answer to a digest challenge, as in `shown_callers`."""
    return _shown(spec.inbound, _ANSWERS_A_CHALLENGE) if spec.inbound.authentication is Authentication.DIGEST else []


def _shown(inbound: InboundSpec, names: frozenset[str]) -> list[str]:
    named = sorted(name for name in inbound.headers_to_attributes if name.lower() in names)
    return [*named, _ALL_HEADERS] if inbound.include_headers is IncludeHeaders.ALL else named


def unknown_codecs(spec: PhoneNumberSpec) -> list[str]:
    """The codecs that LiveKit's SIP service does not have."""
    return [codec for codec in spec.media.codecs or () if not _is_known(codec)]


def _is_known(codec: str) -> bool:
    name, rate = _name(codec), codec.partition("/")[2]
    return name == _TELEPHONE_EVENTS or (name in _RATES and rate in ("", _RATES[name]))


def _name(codec: str) -> str:
    return codec.partition("/")[0].lower()


def codecs_in_vain(spec: PhoneNumberSpec, preset: Preset) -> str | None:
    """What the carrier has, if the spec allows only codecs that it or LiveKit does not have; else None."""
    known = {_name(codec) for codec in spec.media.codecs or () if _is_known(codec)} - {_TELEPHONE_EVENTS}
    theirs = {name.lower() for name in preset.codecs}
    if not spec.media.only_listed_codecs or (known & theirs if theirs else known):
        return None
    return f" ({preset.carrier}: {', '.join(preset.codecs)})" if theirs else ""


def missing_encryption(spec: PhoneNumberSpec, preset: Preset) -> Iterator[str]:
    """What the spec asks of a carrier that cannot do it, as a sentence that says what to set."""
    clear = "spec.mediaEncryption to Disabled"
    if preset.tls is False and spec.transport is Transport.TLS:
        yield f"{preset.carrier} has no TLS: set spec.transport to TCP or UDP, and {clear}."
    elif preset.srtp is False and offers_srtp(spec):
        yield f"{preset.carrier} has no SRTP: set {clear}."


def offers_srtp(spec: PhoneNumberSpec) -> bool:
    """Whether calls out offer SRTP. `Allowed` offers it too, and a carrier without it refuses the calls (488)."""
    return spec.media_encryption is not MediaEncryption.DISABLED


def rings_too_long(spec: PhoneNumberSpec) -> bool:
    """Whether the status for callers whom nobody answers waits for LiveKit's default of 180 seconds."""
    return spec.inbound.ring_status is not None and spec.inbound.ring_timeout_seconds is None
