"""The rules for the spec of a `ByocPhoneNumber` beyond type and size: one table for the CRD and for the operator.

Each rule has a CEL expression for the API server, a Python predicate for the operator, which also meets objects that
are older than the CRD, and a form for the chart of the numbers. The three share one message, and tests try the same bad
manifests against all three. The CRD has no `pattern`: its refusal quotes a regular expression and hides the messages of
the rules.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from . import grammar
from .alias_rules import ALIAS_RULES
from .built_in_carriers import BUILT_IN
from .carriers import Carrier
from .characters import named, named_cel
from .recording_rules import RECORDING_RULES
from .room_rules import ROOM_RULES
from .rule import (
    Rule,
    TextForm,
    Together,
    Transition,
    cel_text,
    fits_cel,
    naming,
    not_empty_rule,
    offenders,
    offenders_cel,
    pattern_rule,
    whole,
)
from .text_rules import HEADER_RULES, TEXT_RULES

# --- phone numbers -------------------------------------------------------------------------------------------------

_NUMBER_MESSAGE = (
    "must be an E.164 number: a plus sign, the country code and at most 15 digits in all, nothing else, "
    "such as +19876543210"
)
_BARE_NUMBER = "self" + "".join(
    f'.replace("{character.encode("unicode_escape").decode()}", "")' for character in grammar.DECORATION
)
COUNTRY_CODE_HINT: Final = " (a number begins with its country code)"
_NUMBER_HINT_CEL = (
    f'({fits_cel(grammar.E164, _BARE_NUMBER)} ? "; did you mean " + {_BARE_NUMBER} + "?" : '
    f"{fits_cel(grammar.WITHOUT_PLUS, _BARE_NUMBER)} ? "
    f'"; did you mean +" + {_BARE_NUMBER} + "?{COUNTRY_CODE_HINT}" : "")'
    f" + {named_cel()}"
)


def _number_hint(number: str) -> str:
    meant = grammar.number_meant(number)
    told = f"; did you mean {meant}?" if meant else ""
    return told + (COUNTRY_CODE_HINT if meant and "+" not in number else "") + named(number)


def _number_rule(node: str) -> Rule:
    return replace(
        pattern_rule(node, _NUMBER_MESSAGE, grammar.E164),
        message_cel=f"{cel_text(_NUMBER_MESSAGE)} + {_NUMBER_HINT_CEL}",
        hint=_number_hint,
        names_characters=True,
        chart_hint="number",
    )


NUMBER_RULES: Final = (
    _number_rule("phoneNumber"),
    Rule(
        node="phoneNumber",
        message="cannot be changed; create another ByocPhoneNumber for the other number and delete this one",
        cel="self == oldSelf",
        holds=None,
        form=Transition(),
    ),
    _number_rule("inbound.allowedCallers[]"),
    not_empty_rule(
        "inbound.allowedCallers", "must have at least one number; leave allowedCallers out to accept every caller"
    ),
    *ALIAS_RULES,
)

# --- hosts and addresses -------------------------------------------------------------------------------------------

_ENDPOINT_MESSAGE = (
    "must be host, host:port or [IPv6]:port with a port from 1 to 65535, such as your-trunk.pstn.twilio.com, "
    "without sip:, user, blanks, path or parameters"
)


def _endpoint_cel(subject: str) -> str:
    """CEL for `grammar.is_endpoint`."""
    within = f'{subject}.substring(1, {subject}.indexOf("]"))'
    host = f'{subject}.split(":")[0]'
    return (
        f"({fits_cel(grammar.IPV6_AND_PORT, subject)} ? isIP({within}) : "
        f"{host}.size() <= {grammar.MAX_HOST_LENGTH} && "
        f"({fits_cel(grammar.IPV4_AND_PORT, subject)} ? isIP({host}) : {fits_cel(grammar.HOST_AND_PORT, subject)}))"
    )


_TRANSPORT_CEL = (
    'self.lowerAscii().contains("transport=tls") ? " and transport: TLS" : '
    'self.lowerAscii().contains("transport=tcp") ? " and transport: TCP" : '
    'self.lowerAscii().contains("transport=udp") ? " and transport: UDP" : '
    'self.lowerAscii().trim().startsWith("sips:") ? " and transport: TLS" : ""'
)
_ENDPOINT_MEANT = f'self.substring(self.lastIndexOf("@") + 1).find({cel_text(grammar.ENDPOINT_WITHIN)})'
_ENDPOINT_HINT_CEL = (
    '(isIP(self) ? "; write terminationUri: [" + self + "]" : '
    f"[{_ENDPOINT_MEANT}].exists(meant, {_endpoint_cel('meant')}) ? "
    f'"; write terminationUri: " + {_ENDPOINT_MEANT} + ({_TRANSPORT_CEL}) : "") + {named_cel()}'
)


def _endpoint_hint(termination_uri: str) -> str:
    endpoint = grammar.endpoint_meant(termination_uri)
    transport = grammar.transport_meant(termination_uri)
    told = f"; write terminationUri: {endpoint}" if endpoint else ""
    return told + (f" and transport: {transport}" if endpoint and transport else "") + named(termination_uri)


_TOO_WIDE = "must not have ranges wider than /8 (IPv6: /16) unless allowAnyAddress is true"
_WIDE_CEL = "isCIDR(a) && cidr(a).prefixLength() < (cidr(a).ip().family() == 4 ? 8 : 16)"


def _wide(inbound: Mapping[str, Any]) -> list[str]:
    return [address for address in inbound.get("allowedAddresses") or () if grammar.is_wide(address)]


_BRACKETED_CEL = r'self.matches(r"^\[.*:.*\]$") && isIP(self.substring(1, self.size() - 1))'

ENDPOINT: Final = TextForm(
    all=(whole(grammar.ENDPOINT), rf"^(?:\[|[^:]{{0,{grammar.MAX_HOST_LENGTH}}}(?::|$))"),
    none=(rf"^\[(?:{grammar.IPV4_MAPPED})\]",),
)
"""The form of a termination URI. The chart also checks the suggestion of its hint against this form."""

HOST_RULES: Final = (
    Rule(
        node="terminationUri",
        message=_ENDPOINT_MESSAGE,
        cel=_endpoint_cel("self"),
        holds=grammar.is_endpoint,
        form=ENDPOINT,
        message_cel=f"{cel_text(_ENDPOINT_MESSAGE)} + {_ENDPOINT_HINT_CEL}",
        hint=_endpoint_hint,
        names_characters=True,
        chart_hint="endpoint",
    ),
    naming(
        Rule(
            node="outbound.fromHost",
            message="must be a host name or an IP address, such as voice.example.com, without sip:, user, port or "
            "parameters",
            cel=f'self == "" || isIP(self) || ({_BRACKETED_CEL}) || {fits_cel(grammar.HOST_NAME)}',
            holds=lambda host: not host or grammar.is_from_host(host),
            form=TextForm(
                all=(whole(rf"|{grammar.IPV4}|{grammar.IPV6}|\[(?:{grammar.IPV6})\]|{grammar.HOST_NAME}"),),
                none=(whole(rf"\[?(?:{grammar.IPV4_MAPPED})\]?"),),
            ),
        )
    ),
    not_empty_rule(
        "inbound.allowedAddresses",
        "must have at least one entry; leave allowedAddresses out for the ranges of the carrier, or set "
        "allowAnyAddress: true instead to accept calls from everywhere",
    ),
    naming(
        Rule(
            node="inbound.allowedAddresses[]",
            message="must be a CIDR such as 54.172.60.0/30 or an IP address such as 203.0.113.7; host names are not "
            "allowed, because LiveKit compares them with what the caller claims",
            cel="isCIDR(self) || isIP(self)",
            holds=lambda address: grammar.is_cidr(address) or grammar.is_address(address),
            form=TextForm(all=(whole(grammar.CIDR),), none=(whole(rf"(?:{grammar.IPV4_MAPPED})(?:/[0-9]+)?"),)),
        )
    ),
    Rule(
        node="inbound",
        field="allowedAddresses",
        message=_TOO_WIDE,
        cel=f"self.allowAnyAddress || !has(self.allowedAddresses) || !self.allowedAddresses.exists(a, {_WIDE_CEL})",
        holds=lambda inbound: bool(inbound.get("allowAnyAddress")) or not _wide(inbound),
        form=Together("tooWide", patterns={"wide": whole(grammar.WIDE)}),
        message_cel=offenders_cel(_TOO_WIDE, f"self.allowedAddresses.filter(a, {_WIDE_CEL})"),
        hint=lambda inbound: offenders(_wide(inbound)),
    ),
)

# --- fields that depend on each other ------------------------------------------------------------------------------

_UNANSWERING: Final = tuple(preset for preset in BUILT_IN.presets if not preset.answers_challenge)
_UNANSWERING_NAMES: Final = " and ".join(preset.carrier for preset in _UNANSWERING)


def _unanswering_hosts() -> str:
    """A pattern for the termination URIs of carriers that cannot answer a challenge."""
    hosts = "|".join(
        ("" if host.startswith(".") else "^") + host.replace(".", r"\.") for p in _UNANSWERING for host in p.hosts
    )
    return rf"(?i)(?:{hosts})\.?(?::[0-9]+)?$"


def _unanswering_cel() -> str:
    named = " || ".join(f'self.carrier == "{preset.carrier}"' for preset in _UNANSWERING)
    return f"has(self.carrier) ? ({named}) : self.terminationUri.matches({cel_text(_unanswering_hosts())})"


def _answers_challenge(spec: Mapping[str, Any]) -> bool:
    named = spec.get("carrier")
    return BUILT_IN.preset_for(Carrier(named) if named else None, spec["terminationUri"]).answers_challenge


def _wants_digest(spec: Mapping[str, Any]) -> bool:
    return (spec.get("inbound") or {}).get("authentication") == "Digest"


_DIGEST_CEL = 'has(self.inbound) && self.inbound.authentication == "Digest"'


def _digest_only_rule(name: str, is_absent: str, means: str) -> Rule:
    """A rule for a field of `inbound` that has a meaning only with authentication Digest. `is_absent`: CEL."""
    return Rule(
        node="inbound",
        field=name,
        reason="FieldValueForbidden",
        message=f"must be absent unless inbound.authentication is Digest: it is {means}",
        cel=f'{is_absent} || self.authentication == "Digest"',
        holds=lambda inbound: not inbound.get(name) or inbound.get("authentication") == "Digest",
        form=Together(f"{name}WithoutDigest"),
    )


_DIGEST_ONLY_RULES: Final = (
    _digest_only_rule("credentialsSecretRef", "!has(self.credentialsSecretRef)", "what a calling trunk must prove"),
    _digest_only_rule("authRealm", '!has(self.authRealm) || self.authRealm == ""', "the realm of the challenge"),
)

DEPENDENCE_RULES: Final = (
    Rule(
        node="",
        field="sipPasswordSecretRef",
        reason="FieldValueRequired",
        message="must be set when sipUsername is set: name the Secret that holds the password",
        cel='!has(self.sipUsername) || self.sipUsername == "" || has(self.sipPasswordSecretRef)',
        holds=lambda spec: not spec.get("sipUsername") or bool(spec.get("sipPasswordSecretRef")),
        form=Together("userNameWithoutSecret"),
    ),
    Rule(
        node="",
        field="mediaEncryption",
        message="must be Allowed or Disabled unless transport is TLS: the keys of Required media encryption would "
        "travel in clear",
        cel='self.mediaEncryption != "Required" || self.transport == "TLS"',
        holds=lambda spec: (
            spec.get("mediaEncryption", "Required") != "Required" or spec.get("transport", "TLS") == "TLS"
        ),
        form=Together("encryptionInClear"),
    ),
    Rule(
        node="media",
        field="codecs",
        reason="FieldValueRequired",
        message="must be set when media.onlyListedCodecs is true: without a codec every call would fail",
        cel="!self.onlyListedCodecs || has(self.codecs)",
        holds=lambda media: not media.get("onlyListedCodecs") or bool(media.get("codecs")),
        form=Together("onlyListedWithoutCodecs"),
    ),
    Rule(
        node="",
        field="inbound.authentication",
        message=f"must be None with {_UNANSWERING_NAMES}, whose SIP trunks cannot answer a digest challenge; restrict "
        "inbound.allowedAddresses instead. If its Programmable Voice calls with a user name and a password, which "
        "can: set carrier: Generic and list the addresses it calls from",
        cel=f"!({_DIGEST_CEL} && ({_unanswering_cel()}))",
        holds=lambda spec: not _wants_digest(spec) or _answers_challenge(spec),
        form=Together(
            "digestUnanswered",
            names={"carriers": tuple(preset.carrier for preset in _UNANSWERING)},
            patterns={"hosts": _unanswering_hosts()},
        ),
    ),
    Rule(
        node="",
        field="sipPasswordSecretRef",
        reason="FieldValueRequired",
        message="must be set when inbound.authentication is Digest and inbound.credentialsSecretRef is absent: the "
        "caller is asked for those credentials",
        cel=f"!({_DIGEST_CEL}) || has(self.sipPasswordSecretRef) || has(self.inbound.credentialsSecretRef)",
        holds=lambda spec: (
            not _wants_digest(spec)
            or bool(spec.get("sipPasswordSecretRef") or spec["inbound"].get("credentialsSecretRef"))
        ),
        form=Together("digestWithoutSecret"),
    ),
    *_DIGEST_ONLY_RULES,
)

RULES: Final = (
    *NUMBER_RULES,
    *HOST_RULES,
    *DEPENDENCE_RULES,
    *TEXT_RULES,
    *HEADER_RULES,
    *ROOM_RULES,
    *RECORDING_RULES,
)
"""All rules, in the order in which their refusals are shown."""
