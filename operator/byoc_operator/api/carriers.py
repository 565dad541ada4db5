"""Carriers: what differs between them, and which one a termination host belongs to.

The presets are data. Those that the operator brings along are in `carriers.yaml` (`built_in_carriers`); an
installation adds and overrides some with a file of its own (`carriers_file`). The addresses are those of SIP signalling
only, because LiveKit does not check media against the allow-list. An allow-list is hygiene, not authentication: SIP
source addresses can be forged over UDP.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .grammar import MAX_HOST_LENGTH, canonical_host


class Carrier(StrEnum):
    """What `spec.carrier` can name: the built-in presets, and `Generic` for every other carrier."""

    GENERIC = "Generic"
    TWILIO = "Twilio"
    TELNYX = "Telnyx"
    PLIVO = "Plivo"
    VONAGE = "Vonage"
    BANDWIDTH = "Bandwidth"
    SIGNALWIRE = "SignalWire"
    DIDWW = "DIDWW"
    WAVIX = "Wavix"
    EXOTEL = "Exotel"
    SINCH = "Sinch"
    ZADARMA = "Zadarma"
    SIPGATE = "sipgate"


class CallOutProof(StrEnum):
    """How a carrier recognises the calls that we send to it."""

    DIGEST = "Digest"
    ADDRESSES = "Addresses"


@dataclass(frozen=True, slots=True)
class Preset:
    """What the operator knows of one carrier.

    `carrier`: its name. `hosts`: the termination hosts of the carrier, lower-case; one that begins with a dot stands
    for all hosts below it. `signalling_ranges`: the CIDRs from which the carrier sends INVITEs (empty: not published).
    `username_header`: the header in which the carrier wants the SIP user name on the first INVITE (empty: none).
    `answers_challenge`: whether the carrier can answer a digest challenge on inbound calls.

    The others are told to people and change nothing. `authentication`: how the carrier recognises our calls.
    `number_format`: of the numbers in its calls. `tls`, `srtp`: whether the carrier can do it; None: not known.
    `codecs`: their names in SDP, without rates; empty: not known.
    `sources`, `read`: where the facts are from, and the month in which they were read, like `2026-09`.
    """

    carrier: str
    hosts: tuple[str, ...] = ()
    signalling_ranges: tuple[str, ...] = ()
    username_header: str = ""
    answers_challenge: bool = True
    authentication: tuple[CallOutProof, ...] = ()
    number_format: str = ""
    tls: bool | None = None
    srtp: bool | None = None
    codecs: tuple[str, ...] = ()
    notes: str = ""
    sources: tuple[str, ...] = ()
    read: str = ""


GENERIC = Preset(carrier=Carrier.GENERIC.value)
"""Stands for every carrier without a preset."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The presets that are in force. No two of them have the same name or the same host."""

    presets: tuple[Preset, ...]
    _by_name: Mapping[str, Preset] = field(init=False, repr=False, compare=False)
    _by_host: Mapping[str, Preset] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {preset.carrier: preset for preset in self.presets})
        object.__setattr__(self, "_by_host", {host: preset for preset in self.presets for host in preset.hosts})

    def preset_for(self, carrier: Carrier | None, termination_uri: str) -> Preset:
        """The preset of the named carrier; without a name, the one that has the termination host; else `GENERIC`.

        The most specific host counts: `a.example.com` before `.example.com`.
        """
        if carrier is not None:
            return self._by_name.get(carrier, GENERIC)
        host = host_of(termination_uri)
        if len(host) > MAX_HOST_LENGTH:  # no host is; the places of a long text are many
            return GENERIC
        for place in _places(canonical_host(host)):
            if place in self._by_host:
                return self._by_host[place]
        return GENERIC


def _places(host: str) -> Iterator[str]:
    """The host, then the domains that it is below, the nearest first: `a.b.c`, `.b.c`, `.c`."""
    yield host
    at = host.find(".")
    while at >= 0:
        yield host[at:]
        at = host.find(".", at + 1)


def host_of(termination_uri: str) -> str:
    """The host of `host`, `host:port` or `[IPv6]:port`, lower-case, without a final dot or brackets."""
    if termination_uri.startswith("["):
        return termination_uri[1:].partition("]")[0].lower()
    return termination_uri.partition(":")[0].rstrip(".").lower()
