"""The carrier presets: what the operator knows of each carrier, with the source and the month of the check.

To add a carrier, add a preset. The addresses are those of SIP signalling only, because LiveKit does not check media
against the allow-list. An allow-list is hygiene, not authentication: SIP source addresses can be forged over UDP.
"""

from dataclasses import dataclass
from enum import StrEnum


class Carrier(StrEnum):
    """The carriers with a preset; `Generic` stands for every other carrier."""

    GENERIC = "Generic"
    TWILIO = "Twilio"
    TELNYX = "Telnyx"


@dataclass(frozen=True, slots=True)
class Preset:
    """What the operator knows of one carrier.

    `hosts`: the termination hosts of the carrier; an entry that begins with a dot is a suffix. `signalling_ranges`: the
    CIDRs from which the carrier sends INVITEs (empty: not published). `username_header`: the header in which the
    carrier wants the SIP user name on the first INVITE (empty: none). `answers_challenge`: whether the carrier can
    answer a digest challenge on inbound calls.
    """

    carrier: Carrier
    hosts: tuple[str, ...]
    signalling_ranges: tuple[str, ...]
    username_header: str
    answers_challenge: bool
    source: str
    verified_on: str


PRESETS = (
    Preset(
        carrier=Carrier.TWILIO,
        hosts=(".twilio.com",),
        signalling_ranges=(
            "54.172.60.0/30",  # North America, Virginia
            "54.244.51.0/30",  # North America, Oregon
            "54.171.127.192/30",  # Europe, Ireland
            "35.156.191.128/30",  # Europe, Frankfurt
            "54.65.63.192/30",  # Asia, Tokyo
            "54.169.127.128/30",  # Asia, Singapore
            "54.252.254.64/30",  # Asia, Sydney
            "177.71.206.192/30",  # South America, São Paulo
        ),
        username_header="",
        # Elastic SIP trunks send INVITEs without credentials and give up on a 407.
        answers_challenge=False,
        source="https://www.twilio.com/docs/sip-trunking/ip-addresses",
        verified_on="2026-09",
    ),
    Preset(
        carrier=Carrier.TELNYX,
        hosts=(
            "sip.telnyx.com",
            "sip.telnyx.eu",
            "sip.telnyx.com.au",
            "sip.telnyx.ca",
            "sip.telnyx.asia",
            "sip.telnyx.me",
        ),
        signalling_ranges=(
            "192.76.120.10/32",  # sip.telnyx.com
            "64.16.250.10/32",
            "185.246.41.140/32",  # sip.telnyx.eu
            "185.246.41.141/32",
            "103.115.244.145/32",  # sip.telnyx.com.au
            "103.115.244.146/32",
            "192.76.120.31/32",  # sip.telnyx.ca
            "64.16.250.13/32",
            "103.115.244.158/32",  # sip.telnyx.asia
            "103.115.244.159/32",
            # Telnyx' own page does not list these; firewall scripts of users do (livekit/sip#825, 2026-08).
            "185.246.42.128/32",  # sip.telnyx.me
            "185.246.42.129/32",
            # The page on failover of developers.telnyx.com lists these too, for the same regions.
            "5.172.39.10/32",  # Europe
            "5.172.39.25/32",
            "193.108.220.10/32",  # Canada
            "193.108.220.25/32",
            "103.135.104.10/32",  # Australia
            "103.135.104.25/32",
        ),
        # Without this header Telnyx refuses the INVITE as if the credentials were wrong.
        username_header="X-Telnyx-Username",
        answers_challenge=True,
        source="https://sip.telnyx.com and "
        "https://developers.telnyx.com/docs/voice/sip-trunking/livekit-configuration-guide; "
        "sip.telnyx.me: livekit/sip#825",
        verified_on="2026-09",
    ),
)

GENERIC = Preset(
    carrier=Carrier.GENERIC,
    hosts=(),
    signalling_ranges=(),
    username_header="",
    answers_challenge=True,
    source="",
    verified_on="",
)

CREDENTIAL_HEADERS = frozenset(preset.username_header.lower() for preset in PRESETS if preset.username_header)
"""Lower-case names of the headers whose value is a credential and is therefore masked."""


def host_of(termination_uri: str) -> str:
    """The host of `host`, `host:port` or `[IPv6]:port`, lower-case, without a final dot or brackets."""
    if termination_uri.startswith("["):
        return termination_uri[1:].partition("]")[0].lower()
    return termination_uri.partition(":")[0].rstrip(".").lower()


def preset_for(carrier: Carrier | None, termination_uri: str) -> Preset:
    """The preset of the named carrier; without a name, the preset that has the termination host; else `GENERIC`."""
    host = host_of(termination_uri)
    for preset in PRESETS:
        if preset.carrier == carrier or (carrier is None and _is_host_of(preset, host)):
            return preset
    return GENERIC


def _is_host_of(preset: Preset, host: str) -> bool:
    return any(host.endswith(known) if known.startswith(".") else host == known for known in preset.hosts)
