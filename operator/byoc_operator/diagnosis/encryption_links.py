"""Links of the chain: encryption and transport against each other, and the URI to which the carrier sends calls."""

from ..api.schema import MediaEncryption, Transport
from ..core.desired import Installation
from ..core.origination import origination_uri, others_port
from .found import Found, View, bad, ok, unknown


def encryption(view: View) -> Found:
    """Whether SRTP and the transport fit, out and in."""
    number, installation = view.facts.number, view.facts.installation
    if number is None or number.spec is None:
        return unknown("")
    spec, media = number.spec, number.spec.media_encryption
    uri = origination_uri(installation.sip_uri, str(spec.transport)) if isinstance(installation, Installation) else ""
    if media is MediaEncryption.REQUIRED and uri and not uri.endswith(";transport=tls"):
        says = f"mediaEncryption is Required, and calls in come over {uri.rpartition('=')[2].upper()} ({uri})."
        return bad(says, "Give the operator's setting BYOC_SIP_URI an endpoint for TLS.")
    if media is MediaEncryption.ALLOWED and spec.transport is Transport.UDP:
        says = "SRTP is offered over UDP: with it the INVITE is larger than a packet may be, and calls out fail."
        return bad(says, "Set spec.transport to TLS or TCP, or spec.mediaEncryption to Disabled.")
    if others_port(spec.termination_uri, str(spec.transport)):
        says = f"The port of {spec.termination_uri} is usually that of another transport than {spec.transport}."
        return ok(says, "Leave the port out of spec.terminationUri, or change spec.transport.")
    if media is not MediaEncryption.REQUIRED or spec.transport is not Transport.TLS:
        says = f"Transport {spec.transport}, media encryption {media}: others may listen."
        return ok(says, "Set spec.transport to TLS and spec.mediaEncryption to Required if the carrier can do both.")
    return ok("TLS and SRTP, out and in.")


def origination(view: View) -> Found:
    """Whether the carrier can be told where to send calls."""
    number, installation = view.facts.number, view.facts.installation
    if number is None or number.spec is None:
        return unknown("")
    if not isinstance(installation, Installation):
        return unknown(f"The operator's settings are not known: {installation.why}.")
    if not number.spec.inbound_agent_id:
        return ok("The number takes no calls, so the carrier needs no address of ours.")
    uri = origination_uri(installation.sip_uri, str(number.spec.transport))
    if not uri:
        says = f"BYOC_SIP_URI has no endpoint for {number.spec.transport}, so nobody knows where to send calls."
        return bad(
            says, "Set the operator's setting BYOC_SIP_URI (Helm: sip.uri) to the public endpoint of livekit-sip."
        )
    return ok(f"The carrier must send calls to {uri}.")
