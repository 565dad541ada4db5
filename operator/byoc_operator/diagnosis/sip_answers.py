"""What it means that a call was not connected, and what to change where. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """`says`: what happened, one sentence. `remedy`: what to change, and where; what to try next."""

    says: str
    remedy: str


_CREDENTIALS = Meaning(
    "The carrier refuses the credentials.",
    "Compare user name and password in the Secret of spec.sipPasswordSecretRef with the carrier's; after a change the "
    "operator updates the trunk by itself.",
)
_UNAVAILABLE = Meaning(
    "The carrier cannot take calls now.",
    "Try again in a minute; look at the carrier's status page, and at the limit of calls per second of the trunk.",
)
_DECLINED = Meaning("The other side declined the call.", "Trunk and carrier work. Call another number.")
_MEDIA = Meaning(
    "The carrier does not take the media that was offered.",
    "Compare spec.mediaEncryption with the carrier's SRTP setting: both must encrypt, or neither.",
)
_NOBODY_THERE = Meaning(
    "The carrier does not know the number that was called.",
    "Check --to; compare the form of numbers that the carrier wants (with +, without, national).",
)
_LOOP = Meaning("The call goes round in circles.", "Check the routing of the trunk at the carrier.")

SIP_ANSWERS: Mapping[int, Meaning] = {
    400: Meaning(
        "The carrier does not understand the request.",
        "Compare spec.outbound.fromHost and spec.outbound.headers with what the carrier wants.",
    ),
    401: _CREDENTIALS,
    402: Meaning("The carrier wants to be paid.", "Look at the balance of the account at the carrier."),
    403: Meaning(
        "The carrier forbids the call.",
        "At the carrier: is spec.phoneNumber assigned to this trunk, may it call that country, and is LiveKit's "
        "address on the trunk's list of allowed addresses?",
    ),
    404: _NOBODY_THERE,
    407: _CREDENTIALS,
    408: Meaning(
        "The other side did not answer in time.",
        "Check spec.terminationUri and spec.transport; `kubectl byoc doctor` looks at the host from here.",
    ),
    410: Meaning("The number that was called is no longer in use.", "Check --to."),
    415: _MEDIA,
    480: Meaning("Nobody can be reached at the number now.", "Trunk and carrier work. Call another number."),
    482: _LOOP,
    483: _LOOP,
    484: Meaning("The number that was called is incomplete.", "Check --to: + and the country code come first."),
    486: Meaning("The other side is busy.", "Trunk and carrier work. Call again later."),
    487: Meaning("The call was ended before it was answered.", "Trunk and carrier work. Allow more with --timeout."),
    488: _MEDIA,
    500: _UNAVAILABLE,
    502: _UNAVAILABLE,
    503: _UNAVAILABLE,
    504: _UNAVAILABLE,
    600: Meaning("The other side is busy.", "Trunk and carrier work. Call again later."),
    603: _DECLINED,
    604: _NOBODY_THERE,
    606: _MEDIA,
    607: _DECLINED,
    608: Meaning(
        "A filter between the carriers rejects the call.",
        "Ask the carrier how calls of spec.phoneNumber are signed (STIR/SHAKEN) and rated.",
    ),
}
"""By the code of the final SIP answer."""

_FAMILIES: Mapping[int, Meaning] = {
    3: Meaning(
        "The carrier sends the call elsewhere, which LiveKit does not follow.",
        "Set spec.terminationUri to the host that the carrier names.",
    ),
    4: Meaning("The carrier refuses the call.", "Look the call up in the carrier's log."),
    5: _UNAVAILABLE,
    6: _DECLINED,
}

NO_ANSWER = Meaning(
    "Nobody answered in time.",
    "If the phone rang: allow more with --timeout. If it did not: does the carrier listen at spec.terminationUri with "
    "spec.transport? TLS to a port without TLS ends like this, and a firewall that drops packets.",
)
NO_TRUNK = Meaning(
    "LiveKit does not know the outbound trunk.",
    "The operator makes a new one within its next sweep: look at `kubectl byoc status`, then dial again.",
)
NO_TLS = Meaning(
    "The TLS connection to the carrier failed.",
    "Compare spec.transport with the port of spec.terminationUri (5061 is TLS), and look at the host's certificate: "
    "`kubectl byoc doctor` shows it.",
)
NOBODY_LISTENS = Meaning(
    "Nobody listens at the carrier's host and port.",
    "Check host and port of spec.terminationUri, and spec.transport.",
)
NO_HOST = Meaning("The carrier's host has no address in DNS.", "Check spec.terminationUri.")
NO_SIP_SERVICE = Meaning(
    "No SIP service of LiveKit took the call.",
    "Check that livekit-sip runs, uses the same Redis as livekit-server, and has capacity.",
)

_BY_WORDS: Sequence[tuple[tuple[str, ...], Meaning]] = (
    (("max auth retry",), _CREDENTIALS),  # the carrier asked again after LiveKit had sent the password
    (("sip trunk does not exist", "trunk not found"), NO_TRUNK),
    (("no response from servers", "no servers available"), NO_SIP_SERVICE),
    (("tls:", "x509", "certificate"), NO_TLS),
    (("connection refused",), NOBODY_LISTENS),
    (("no such host",), NO_HOST),
    (("deadline", "timeout", "timed out"), NO_ANSWER),
)
"""Parts of LiveKit's words, in lower case, where there was no SIP answer. The first row that fits decides."""


def meaning_of(sip_code: int | None, words: str) -> Meaning:
    """What a final SIP answer means, or what LiveKit's words mean where there was none."""
    if sip_code is not None:
        unknown = Meaning("The call failed.", "Look the call up in the carrier's log.")
        return SIP_ANSWERS.get(sip_code) or _FAMILIES.get(sip_code // 100, unknown)
    said = words.lower()
    if not said:
        return NO_ANSWER
    for parts, meaning in _BY_WORDS:
        if any(part in said for part in parts):
            return meaning
    return Meaning("LiveKit does not make the call.", "Look at the log of livekit-sip.")
