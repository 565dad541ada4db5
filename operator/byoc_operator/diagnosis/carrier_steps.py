"""What to enter at the carrier for one number, with the number's own values.

The facts are those of docs/twilio.md, docs/telnyx.md and the presets. No step holds a password: it says where the
password is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..api.built_in_carriers import BUILT_IN
from ..api.carriers import Carrier, Catalogue, Preset, host_of
from ..api.schema import Authentication, MediaEncryption, PhoneNumberSpec
from ..api.schema_types import SecretKeyRef
from ..core.call_findings import missing_encryption, offers_srtp
from ..core.desired import allowed_addresses, preset_of
from ..core.origination import OWN_PORT, origination_uri, parse_endpoint

_NO_URI: Final = "the operator does not know it: its setting BYOC_SIP_URI has no endpoint for transport"
_NO_ADDRESSES: Final = "the operator's setting BYOC_SIP_ADDRESSES does not name them; ask whoever runs livekit-sip"
_NOT_READ: Final = "the operator's settings could not be read; ask whoever runs it"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do at the carrier. `place`: where in its portal; `does`: what to enter there."""

    place: str
    does: str


@dataclass(frozen=True, slots=True)
class Setup:
    """What the steps are made of. `sip_uri`, `sip_addresses`: the settings BYOC_SIP_URI and BYOC_SIP_ADDRESSES.

    `carriers`: the presets of the operator. `settings_read`: whether these three are known.
    `recorded_uri`: the URI in the status of the number, for when they are not.
    """

    spec: PhoneNumberSpec
    sip_uri: str = ""
    sip_addresses: Sequence[str] = ()
    carriers: Catalogue = BUILT_IN
    settings_read: bool = True
    recorded_uri: str = ""

    @property
    def preset(self) -> Preset:
        """The preset in force."""
        return preset_of(self.spec, self.carriers)

    @property
    def takes_calls(self) -> bool:
        """Whether the number takes calls in."""
        return bool(self.spec.inbound_agent_id)

    @property
    def origination(self) -> str:
        """The URI to which the carrier sends calls; empty if nothing tells it."""
        return origination_uri(self.sip_uri, str(self.spec.transport)) if self.settings_read else self.recorded_uri

    @property
    def no_origination(self) -> str:
        """Why the URI is not known."""
        return f"({_NO_URI} {self.spec.transport})" if self.settings_read else f"({_NOT_READ})"

    @property
    def origination_text(self) -> str:
        """The URI, or why it is not known."""
        return self.origination or self.no_origination

    @property
    def addresses_text(self) -> str:
        """The addresses from which our calls come, or why they are not known."""
        return ", ".join(self.sip_addresses) or f"({_NO_ADDRESSES if self.settings_read else _NOT_READ})"

    @property
    def user(self) -> str:
        """Where user name and password are; the user name itself if it stands in the spec. Empty without a Secret."""
        ref = self.spec.sip_password_secret_ref
        return "" if ref is None else _login(ref, self.spec.sip_username)

    @property
    def calling_user(self) -> str:
        """The same for the credentials with which the carrier's calls answer a challenge."""
        ref = self.spec.inbound.credentials_secret_ref
        return self.user if ref is None else _login(ref, "")


def _login(ref: SecretKeyRef, username: str) -> str:
    name = username or f"(key username of Secret {ref.name})"
    return f"user {name}, and the password in key {ref.key} of Secret {ref.name}"


def carrier_steps(setup: Setup) -> tuple[Step, ...]:
    """The steps at the carrier of a number, in order."""
    by_carrier: dict[str, Callable[[Setup], Iterator[Step]]] = {Carrier.TWILIO: _twilio, Carrier.TELNYX: _telnyx}
    return tuple(by_carrier.get(setup.preset.carrier, _any_carrier)(setup))


def _twilio(setup: Setup) -> Iterator[Step]:
    spec = setup.spec
    yield Step("Elastic SIP Trunking → Trunks", "Create a trunk, or take one that you have: it can serve many numbers.")
    if offers_srtp(setup.spec):
        yield Step("General → Secure Trunking", "On: the number uses TLS and SRTP.")
    else:
        yield Step("General → Secure Trunking", "Off: the number has mediaEncryption: Disabled.")
    yield Step("Termination → Termination SIP URI", f"{host_of(spec.termination_uri)}, as in spec.terminationUri.")
    if setup.user:
        yield Step("Termination → Authentication → Credential Lists", f"An entry with {setup.user}.")
    yield _our_addresses("Termination → Authentication → IP Access Control Lists", setup)
    yield Step("Numbers", f"Assign {spec.phone_number} to the trunk.")
    if setup.takes_calls:
        yield Step("Origination", f"Add the URI {setup.origination_text}; keep sip: in front and ;transport= behind.")
        yield _last(setup)


def _telnyx(setup: Setup) -> Iterator[Step]:
    spec = setup.spec
    if setup.takes_calls:
        endpoint = parse_endpoint(setup.origination)
        where = setup.no_origination
        if endpoint is not None:
            where = f"host {endpoint.host}, port {endpoint.port or OWN_PORT[endpoint.transport]}"
        yield Step("SIP connection", f"Create one of type FQDN, and add {where}.")
        transport = endpoint.transport if endpoint else spec.transport
        yield Step("SIP connection → Transport", f"{transport}. A changed port alone does not change the transport.")
    else:
        yield Step("SIP connection", "Create one of type FQDN.")
    yield Step(
        "SIP connection → Encrypted media", "SRTP." if offers_srtp(setup.spec) else "None: mediaEncryption is Disabled."
    )
    if setup.takes_calls:
        number_format = f"+E.164 for the called number and for the caller, such as {spec.phone_number}."
        yield Step("SIP connection → Inbound → number format", number_format)
        if spec.inbound.authentication is Authentication.DIGEST:
            yield _digest("SIP connection → Inbound", setup)
    if setup.user:
        yield Step("SIP connection → Outbound → credentials", f"The {setup.user}.")
    yield Step("SIP connection → Outbound voice profile", "Assign one: without it Telnyx lets no call out.")
    yield Step("Numbers", f"Assign {spec.phone_number} to the connection.")
    if setup.takes_calls:
        yield _last(setup)


def _any_carrier(setup: Setup) -> Iterator[Step]:
    spec = setup.spec
    yield from _particulars(setup)
    media = "with SRTP" if offers_srtp(setup.spec) else "without SRTP"
    if spec.media_encryption is MediaEncryption.ALLOWED:
        media = "with SRTP (calls in may also come without)"
    out = f"Let the carrier take our calls at {spec.termination_uri} over {spec.transport}, {media}."
    yield Step("Calls out", out)
    if setup.user:
        yield Step("Calls out → credentials", f"The {setup.user}.")
    yield _our_addresses("Calls out → allowed addresses", setup)
    yield Step("Numbers", f"Assign {spec.phone_number} to the trunk, and allow it as the caller of calls out.")
    if not setup.takes_calls:
        return
    yield Step("Calls in", f"Send them to {setup.origination_text}.")
    yield Step("Calls in → number format", f"E.164 with the plus and the country code: {spec.phone_number}.")
    if spec.inbound.authentication is Authentication.DIGEST:
        yield _digest("Calls in → credentials", setup)
    if not allowed_addresses(spec, setup.preset):
        anybody = "LiveKit accepts calls to the number from every address. Put those from which the carrier calls into "
        yield Step("Calls in → the carrier's addresses", f"{anybody}spec.inbound.allowedAddresses.")
    yield _last(setup)


def _particulars(setup: Setup) -> Iterator[Step]:
    """What the preset says for people, and what the spec asks of a carrier that cannot do it."""
    preset = setup.preset
    for missing in missing_encryption(setup.spec, preset):
        yield Step("Encryption", missing)
    if preset.notes:
        yield Step(preset.carrier, preset.notes)


def _our_addresses(place: str, setup: Setup) -> Step:
    """Our addresses: a must without credentials, else for carriers that want both."""
    needed = "Allow" if not setup.user else "If the carrier wants both credentials and known addresses, allow"
    return Step(place, f"{needed} the addresses of our calls: {setup.addresses_text}.")


def _digest(place: str, setup: Setup) -> Step:
    return Step(place, f"LiveKit challenges the carrier's calls: let it answer with {setup.calling_user}.")


def _last(setup: Setup) -> Step:
    return Step("Test", f"Call {setup.spec.phone_number} once status says Ready.")
