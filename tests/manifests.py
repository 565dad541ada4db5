"""Good and bad specs, tried against the Python rules and against the API server: both must say the same.

A bad spec is `BASE` with some fields changed; `words` must all stand in the refusal.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

BASE: Spec = {
    "phoneNumber": "+19876543210",
    "terminationUri": "your-trunk.pstn.twilio.com",
    "inboundAgentId": "agent_support",
}
GENERIC: Spec = {"terminationUri": "sip.example.com"}
SECRET: Spec = {"sipPasswordSecretRef": {"name": "twilio-sip"}}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Spec:
    """A copy of base with the changes; None takes a field away."""
    return {key: value for key, value in {**deepcopy(dict(base)), **changes}.items() if value is not None}


def manifest(name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """An object to send to the API server."""
    return {
        "apiVersion": "byoc.talkifai.dev/v1alpha1",
        "kind": "ByocPhoneNumber",
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


@dataclass(frozen=True, slots=True)
class BadManifest:
    """Changes of `BASE` that make it bad, the field that is blamed and words of the refusal."""

    name: str
    changes: Mapping[str, Any]
    field: str
    words: tuple[str, ...]

    @property
    def spec(self) -> Spec:
        """The whole bad spec."""
        return merged(BASE, self.changes)


KEYS: Spec = {"credentialsSecretRef": {"name": "recordings"}}


def _recorded(recording: Spec) -> Spec:
    return merged(BASE, {"inbound": {"recording": recording}})


GOOD: dict[str, Spec] = {
    "least": {"phoneNumber": "+4930123456", "terminationUri": "sip.example.com"},
    "base": BASE,
    "everything": {
        "phoneNumber": "+19876543210",
        "terminationUri": "your-trunk.pstn.twilio.com:5061",
        "friendlyName": "Zentrale Köln · Müller & Söhne",
        "inboundAgentId": "agent_support",
        "outboundAgentId": "agent_sales",
        "sipUsername": "your_sip_username",
        "sipPasswordSecretRef": {"name": "twilio-sip", "key": "sip.password_1"},
        "carrier": "Generic",
        "transport": "TLS",
        "mediaEncryption": "Required",
        "media": {
            "codecs": ["PCMU", "PCMA/8000", "opus", "AMR/8000"],
            "onlyListedCodecs": True,
            "mediaTimeoutSeconds": 600,
        },
        "inbound": {
            "allowedAddresses": ["54.172.60.0/30", "203.0.113.7", "2001:db8::/32", "2001:db8::1"],
            "allowAnyAddress": False,
            "allowedCallers": ["+15551230000"],
            "aliases": ["9876543210", "100", "+0119876543210"],
            "authentication": "Digest",
            "credentialsSecretRef": {"name": "carrier-calls", "key": "sip.password_2"},
            "authRealm": "sip.example.com",
            "ringTimeoutSeconds": 60,
            "ringStatus": 480,
            "maxCallDurationSeconds": 86400,
            "noiseCancellation": True,
            "headersToAttributes": {"X-Customer-Id": "customerId", "From": "from"},
            "attributesToHeaders": {"outcome": "X-Outcome"},
            "includeHeaders": "XHeaders",
            "responseHeaders": {"X-Answered-By": "agent"},
            "agentMetadata": {"tenant": "acme"},
            "additionalAgentIds": ["transcriber", "Büro 2"],
            "attributes": {"queue": "support", "Größe": "sip.8"},
            "hideCallerNumber": True,
            "room": {
                "prefix": "acme support-",
                "emptyTimeoutSeconds": 30,
                "departureTimeoutSeconds": 86400,
                "maxParticipants": 1000,
                "metadata": '{"tenant": "acme"}',
                "tags": {"team": "support"},
            },
            "recording": {
                "audioOnly": False,
                "path": "acme/{room_name}-{room_id}_{time}.{utc}",
                "s3": {
                    "bucket": "Acme.calls_eu",
                    "region": "eu-central-1",
                    "endpoint": "https://minio.example.com:9000/storage/v1/s3",
                    "forcePathStyle": True,
                    "credentialsSecretRef": {"name": "acme-recordings"},
                },
            },
        },
        "outbound": {
            "headers": {"X-Account": "4711", "P-Asserted-Identity": "<sip:+19876543210@example.com>"},
            "headersToAttributes": {"X-Call-Ref": "carrierCallId"},
            "attributesToHeaders": {"outcome": "X-Outcome"},
            "includeHeaders": "All",
            "fromHost": "voice.example.com",
            "destinationCountry": "us",
        },
        "managementPolicy": "Observe",
        "deletionPolicy": "Retain",
    },
    "empty texts": merged(
        BASE,
        {
            "friendlyName": "",
            "inboundAgentId": "",
            "outboundAgentId": "",
            "sipUsername": "",
            "inbound": {},
            "media": {"onlyListedCodecs": False},
            "outbound": {"headers": {}, "fromHost": "", "destinationCountry": ""},
        },
    ),
    "host of one label": merged(BASE, {"terminationUri": "asterisk"}),
    "host with a final dot": merged(BASE, {"terminationUri": "sip.example.com.:5061"}),
    "upper-case host": merged(BASE, {"terminationUri": "SIP.Example.COM"}),
    "highest port": merged(BASE, {"terminationUri": "sip.example.com:65535"}),
    "IPv4": merged(BASE, {"terminationUri": "203.0.113.7"}),
    "IPv4 and port": merged(BASE, {"terminationUri": "203.0.113.7:5060"}),
    "IPv6": merged(BASE, {"terminationUri": "[2001:db8::1]"}),
    "IPv6 and port": merged(BASE, {"terminationUri": "[2001:db8::1]:5061"}),
    "host of 253 characters": merged(BASE, {"terminationUri": ".".join(["a" * 62] * 4) + ".c:65535"}),
    "shortest number": merged(BASE, {"phoneNumber": "+12"}),
    "longest number": merged(BASE, {"phoneNumber": "+123456789012345"}),
    "UDP with optional encryption": merged(BASE, {"transport": "UDP", "mediaEncryption": "Allowed"}),
    "TCP without encryption": merged(BASE, {"transport": "TCP", "mediaEncryption": "Disabled"}),
    "aliases of every length": merged(BASE, {"inbound": {"aliases": ["1", "+2", "0" * 32, "+" + "9" * 32]}}),
    "no aliases": merged(BASE, {"inbound": {"aliases": []}}),
    "most aliases": merged(BASE, {"inbound": {"aliases": [str(300 + index) for index in range(16)]}}),
    "an alias that is the end of the number": merged(BASE, {"inbound": {"aliases": ["876543210"]}}),
    "everyone may call": merged(
        BASE, {"inbound": {"allowAnyAddress": True, "allowedAddresses": ["0.0.0.0/0", "::/0"]}}
    ),
    "allow any without a list": merged(BASE, {"inbound": {"allowAnyAddress": True}}),
    "widest ranges": merged(BASE, {"inbound": {"allowedAddresses": ["10.0.0.0/8", "2001::/16"]}}),
    "bits behind the prefix": merged(BASE, {"inbound": {"allowedAddresses": ["10.1.2.3/8"]}}),
    "Digest at a generic carrier": merged(BASE, {**GENERIC, **SECRET, "inbound": {"authentication": "Digest"}}),
    "Twilio's host, another carrier": merged(
        BASE, {**SECRET, "carrier": "Generic", "inbound": {"authentication": "Digest"}}
    ),
    "Digest with credentials of its own": merged(
        BASE, {**GENERIC, "inbound": {"authentication": "Digest", "credentialsSecretRef": {"name": "carrier-calls"}}}
    ),
    "host that only sounds like Twilio": merged(
        BASE, {**SECRET, "terminationUri": "x.twilio.com.example.org", "inbound": {"authentication": "Digest"}}
    ),
    "user name with an at sign": merged(BASE, {**SECRET, "sipUsername": "user name@example.com"}),
    "IPv6 as from host": merged(BASE, {"outbound": {"fromHost": "2001:db8::1"}}),
    "metadata that only sounds like the operator's": merged(
        BASE, {"inbound": {"agentMetadata": {"agent_id": "x", "fullname": "y", "agentIds": "z", "größe": "8"}}}
    ),
    "IPv6 in brackets as from host": merged(BASE, {"outbound": {"fromHost": "[2001:db8::1]"}}),
    "spellings of addresses": merged(
        BASE,
        {
            "inbound": {
                "allowAnyAddress": True,
                "allowedAddresses": [
                    "0::ffff:0/0",
                    "0::ffff:0",
                    "::ffff:0/16",
                    "2001:DB8::A",
                    "2001:0db8:0000:0000:0000:0000:0000:0001/128",
                    "1:2:3:4:5:6:7::",
                    "::2:3:4:5:6:7:8",
                    "::203.0.113.7",
                    "64:ff9b::203.0.113.7/96",
                    "0:0:0:0:ffff::1",
                    "::fffe:203.0.113.7",
                    "0.0.0.0/1",
                    "128.0.0.0/1",
                ],
            }
        },
    ),
    "names in many writings": merged(
        BASE,
        {
            "friendlyName": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0915\u094d\u200d\u0937 "
            "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u260e\ufe0f",
            "inboundAgentId": "\u30a8\u30fc\u30b8\u30a7\u30f3\u30c8\u3000\uff11",
            "inbound": {"agentMetadata": {"greeting": "\u260e\ufe0f \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"}},
        },
    ),
    "rooms without a prefix": merged(BASE, {"inbound": {"room": {"prefix": "", "metadata": "", "tags": {}}}}),
    "attributes that only sound like LiveKit's": merged(
        BASE, {"inbound": {"attributes": {"sip": "a", "sipx.a": "b", "SIP.a": "c", "lkx": "d", "a.lk.b": "e"}}}
    ),
    "more agents without a first": merged(BASE, {"inboundAgentId": None, "inbound": {"additionalAgentIds": ["a"]}}),
    "eight more agents": merged(BASE, {"inbound": {"additionalAgentIds": [f"agent_{i}" for i in range(8)]}}),
    "recordings in Google's storage": _recorded({"gcs": {"bucket": "acme.calls_1", **KEYS}}),
    "recordings in Azure's storage": _recorded(
        {"azure": {"accountName": "acmecalls", "containerName": "acme-calls-1", **KEYS}}
    ),
    "recordings in the shortest containers": _recorded(
        {"azure": {"accountName": "abc", "containerName": "a-b", **KEYS}}
    ),
    "recordings in the longest buckets": _recorded({"gcs": {"bucket": "b" * 222, **KEYS}}),
    **{
        f"recordings at {endpoint}": _recorded({"s3": {"bucket": "abc", "endpoint": endpoint, **KEYS}})
        for endpoint in (
            "http://minio",
            "https://[2001:db8::1]:9000/",
            "https://203.0.113.7",
            "https://x.example.com/a/",
            "https://X.Example.COM.:443",
            f"https://{'a' * 61}.{'b' * 63}.{'c' * 63}.{'d' * 63}:9000",
            "http://localhost.example.com",
            "http://minio-localhost:9000",
            "http://127.example.com",
            "http://10.0.0.1/127.0.0.1",
            "http://169.253.0.1",
            "http://[2001:db8::0:1]",
            "http://[FD00::1:0]",
            "http://[1::]",
            "http://[::10]",
        )
    },
    **{
        f"recordings under {path!r} of rooms {prefix!r}": merged(
            BASE, {"inbound": {"recording": {"path": path}, "room": {"prefix": prefix}}}
        )
        for path, prefix in (("a/b/{room_id}", "acme.support 1-"), ("{room_name}", ""), ("", "call"), ("a/", "."))
    },
    "rooms with a prefix like a path": merged(BASE, {"inbound": {"room": {"prefix": "../a/{b}\\"}}}),
    "sixteen headers": merged(BASE, {"outbound": {"headers": {f"X-{i}": "é" * 512 for i in range(16)}}}),
}

NUMBER_WORDS = ("must be an E.164 number", "such as +19876543210")
ENDPOINT_WORDS = ("must be host, host:port or [IPv6]:port", "such as your-trunk.pstn.twilio.com")
TRUNK = "write terminationUri: x.pstn.twilio.com"
ADDRESS_WORDS = ("must be a CIDR such as 54.172.60.0/30 or an IP address",)
NAME_WORDS = ("must have header names of 1 to 255", "such as X-Customer-Id")
UNSEEN = ("must not have characters that cannot be seen, such as a zero width space",)
MAP_UNSEEN = ("with characters that cannot be seen", "U+200B to U+200F")
AGENT_WORDS = ("must be the name of an agent: not empty", "such as transcriber")
FROM_WORDS = ("must be a host name or an IP address, such as voice.example.com",)


def _number(name: str, number: str, *words: str) -> BadManifest:
    return BadManifest(f"number {name}", {"phoneNumber": number}, "spec.phoneNumber", (*NUMBER_WORDS, *words))


def _endpoint(name: str, uri: str, *words: str) -> BadManifest:
    return BadManifest(f"termination {name}", {"terminationUri": uri}, "spec.terminationUri", (*ENDPOINT_WORDS, *words))


def _inbound(name: str, inbound: Spec, field: str, *words: str) -> BadManifest:
    return BadManifest(f"inbound {name}", {**GENERIC, "inbound": inbound}, f"spec.inbound{field}", words)


def _room(name: str, room: Spec, field: str, *words: str) -> BadManifest:
    return _inbound(f"room {name}", {"room": room}, f".room{field}", *words)


def _recording(name: str, path: str, *words: str) -> BadManifest:
    return _inbound(f"recording {name}", {"recording": {"path": path}}, ".recording.path", *words)


def _storage(name: str, recording: Spec, field: str, *words: str) -> BadManifest:
    return _inbound(f"storage {name}", {"recording": recording}, f".recording{field}", *words)


def _s3(name: str, changes: Spec, field: str, *words: str) -> BadManifest:
    return _storage(f"s3 {name}", {"s3": merged({"bucket": "calls", **KEYS}, changes)}, f".s3.{field}", *words)


def _azure(name: str, changes: Spec, field: str, *words: str) -> BadManifest:
    azure = merged({"accountName": "acmecalls", "containerName": "calls", **KEYS}, changes)
    return _storage(f"azure {name}", {"azure": azure}, f".azure.{field}", *words)


def _address(name: str, address: str, *words: str) -> BadManifest:
    inbound = {"allowedAddresses": ["203.0.113.7", address]}
    return _inbound(f"address {name}", inbound, ".allowedAddresses[1]", *(words or ADDRESS_WORDS))


def _outbound(name: str, outbound: Spec, field: str, *words: str) -> BadManifest:
    return BadManifest(f"outbound {name}", {"outbound": outbound}, f"spec.outbound.{field}", words)


def _text(field: str, text: str, *words: str) -> BadManifest:
    return BadManifest(f"{field} {text[:12]!a}", {**SECRET, field: text}, f"spec.{field}", words)


def _secret(name: str, reference: Spec, field: str, *words: str) -> BadManifest:
    return BadManifest(
        f"secret {name}", {"sipPasswordSecretRef": reference}, f"spec.sipPasswordSecretRef{field}", words
    )


def _named(character: str) -> str:
    """How a refusal names a character; CEL names only the range of one above U+FFFF."""
    return f"it contains U+{ord(character):04X}" if character <= "\uffff" else "it contains "


BAD: list[BadManifest] = [
    BadManifest("no number", {"phoneNumber": None}, "spec.phoneNumber", ("Required value",)),
    BadManifest("no termination", {"terminationUri": None}, "spec.terminationUri", ("Required value",)),
    BadManifest("number as integer", {"phoneNumber": 19876543210}, "spec.phoneNumber", ("must be of type string",)),
    _number("without plus", "19876543210", "did you mean +19876543210? (a number begins with its country code)"),
    _number("without plus, with blanks", "49 30 123-456", "did you mean +4930123456?"),
    _number("of a contact list", "\u202a+1\xa0987\xa0654\u20113210\u202c", "did you mean +19876543210?", "U+202A"),
    _number("with a zero width space", "+1987654\u200b3210", "it contains U+200B"),
    _number("with blanks", "+1 987 654 3210", "did you mean +19876543210?"),
    _number("with brackets", "+1 (987) 654-3210", "did you mean +19876543210?"),
    _number("with dots", "+1.987.654.3210", "did you mean +19876543210?"),
    _number("with zero", "+0987654321"),
    _number("with 16 digits", "+1234567890123456"),
    _number("of one digit", "+1"),
    _number("with line break", "+19876543210\n"),
    _number("with foreign digits", "+١٩٨٧٦٥٤٣٢١٠"),
    _number("empty", ""),
    _endpoint("with sip:", "sip:x.pstn.twilio.com", TRUNK),
    _endpoint("with transport", "sip:x.pstn.twilio.com;transport=tls", TRUNK, "and transport: TLS"),
    _endpoint("with UDP", "x.pstn.twilio.com;transport=UDP", TRUNK, "and transport: UDP"),
    _endpoint("with sips:", "sips:x.pstn.twilio.com:5061", f"{TRUNK}:5061 and transport: TLS"),
    _endpoint("with user", "sip:user.name@x.pstn.twilio.com", TRUNK),
    _endpoint("with path", "https://x.pstn.twilio.com/trunk", TRUNK),
    _endpoint("with blanks", " x.pstn.twilio.com ", TRUNK),
    _endpoint("with line break", "x.pstn.twilio.com\n", TRUNK),
    _endpoint("with sip: and IPv4", "sip:203.0.113.7:5060", "write terminationUri: 203.0.113.7:5060"),
    _endpoint("with IPv4 and transport", "203.0.113.7;transport=udp", "203.0.113.7 and transport: UDP"),
    _endpoint("with sip: and IPv6", "sip:[2001:db8::1]:5061", "write terminationUri: [2001:db8::1]:5061"),
    _endpoint("with a byte order mark", "sip.example.com\ufeff", "it contains U+FEFF"),
    _endpoint("with a soft hyphen", "sip.exam\xadple.com", "it contains U+00AD"),
    _endpoint("with a Cyrillic letter", "sip.ex\u0430mple.com"),
    _endpoint("of mapped IPv4", "[::ffff:203.0.113.7]:5060"),
    _endpoint("with port 0", "x.pstn.twilio.com:0"),
    _endpoint("with port 65536", "x.pstn.twilio.com:65536"),
    _endpoint("with a port that is none", "x.pstn.twilio.com:abc"),
    _endpoint("without port behind the colon", "x.pstn.twilio.com:", TRUNK),
    _endpoint("of a mistyped IPv4", "203.0.113.256"),
    _endpoint("of IPv6 without brackets", "2001:db8::1", "write terminationUri: [2001:db8::1]"),
    _endpoint("of bracketed rubbish", "[2001:db8:::1]:5060"),
    _endpoint("with underscore", "my_trunk.example.com"),
    _endpoint("with too long a label", "a" * 64 + ".example.com"),
    _endpoint("with too long a host", ".".join(["a" * 60] * 5)),
    _endpoint("empty", ""),
    BadManifest("endless termination", {"terminationUri": "a" * 321}, "spec.terminationUri", ("Too long", "320")),
    BadManifest("carrier", {"carrier": "Twillio"}, "spec.carrier", ('"Generic", "Twilio", "Telnyx"',)),
    BadManifest("transport", {"transport": "tls"}, "spec.transport", ('"TLS", "TCP", "UDP"',)),
    BadManifest("media", {"mediaEncryption": "SRTP"}, "spec.mediaEncryption", ('"Required", "Allowed", "Disabled"',)),
    BadManifest("management", {"managementPolicy": "Pause"}, "spec.managementPolicy", ('"Manage", "Observe"',)),
    BadManifest("deletion", {"deletionPolicy": "Keep"}, "spec.deletionPolicy", ('"Delete", "Retain"',)),
    BadManifest(
        "SRTP over UDP",
        {"transport": "UDP"},
        "spec.mediaEncryption",
        ("must be Allowed or Disabled unless transport is TLS", "in clear"),
    ),
    BadManifest("SRTP over TCP", {"transport": "TCP", "mediaEncryption": "Required"}, "spec.mediaEncryption", ("TLS",)),
    BadManifest(
        "user name without password",
        {"sipUsername": "user"},
        "spec.sipPasswordSecretRef",
        ("must be set when sipUsername is set", "name the Secret"),
    ),
    BadManifest(
        "Digest without password",
        {**GENERIC, "inbound": {"authentication": "Digest"}},
        "spec.sipPasswordSecretRef",
        ("must be set when inbound.authentication is Digest",),
    ),
    *(
        BadManifest(
            f"Digest at Twilio {name}",
            {**SECRET, **changes, "inbound": {"authentication": "Digest"}},
            "spec.inbound.authentication",
            ("must be None with Twilio", "restrict inbound.allowedAddresses instead", "set carrier: Generic"),
        )
        for name, changes in {
            "by host": {},
            "by port": {"terminationUri": "X.PSTN.Twilio.com:5061"},
            "by name": {"carrier": "Twilio", **GENERIC},
        }.items()
    ),
    _inbound("authentication", {"authentication": "digest"}, ".authentication", '"None", "Digest"'),
    _inbound(
        "credentials without Digest",
        {"credentialsSecretRef": {"name": "calls"}},
        ".credentialsSecretRef",
        "must be absent unless inbound.authentication is Digest",
    ),
    *(
        _inbound(
            f"credentials {name}",
            {"authentication": "Digest", "credentialsSecretRef": reference},
            f".credentialsSecretRef.{field}",
            *words,
        )
        for name, reference, field, words in (
            ("no name", {"key": "password"}, "name", ("Required value",)),
            ("name", {"name": "Calls"}, "name", ("must be the name of a Secret", "such as twilio-sip")),
            ("key", {"name": "calls", "key": "pass word"}, "key", ("must be a key of a Secret",)),
            ("user name", {"name": "calls", "key": "username"}, "key", ("must not be username", "another key")),
            ("of a storage", {"name": "calls", "key": "credentials.json"}, "key", ("keys of a recording's storage",)),
        )
    ),
    _inbound("no addresses", {"allowedAddresses": []}, ".allowedAddresses", "at least one entry", "allowAnyAddress"),
    _inbound("addresses", {"allowedAddresses": ["203.0.113.7"] * 65}, ".allowedAddresses", "Too many", "64"),
    _address("host", "sip.example.com", *ADDRESS_WORDS, "host names are not allowed"),
    _address("star", "*"),
    _address("empty", ""),
    _address("with blanks", " 203.0.113.7"),
    _address("with port", "203.0.113.7:5060"),
    _address("netmask", "203.0.113.0/255.255.255.0"),
    _address("too long prefix", "203.0.113.0/33"),
    _address("leading zeros", "203.0.113.007"),
    _address("zone", "fe80::1%eth0"),
    _address("mapped IPv4", "::ffff:203.0.113.7"),
    _address("mapped IPv4 in hexadecimal", "::FFFF:cb00:7107"),
    _address("mapped IPv4, all zeros written", "0:0:0:0:0:ffff::1"),
    _address("mapped IPv4, some zeros written", "0:0::0:ffff:203.0.113.7"),
    _address("range of mapped IPv4", "::ffff:0:0/96"),
    _address("prefix with a zero", "10.0.0.0/08"),
    _address("prefix without a number", "10.0.0.0/"),
    _address("group too long", "2001:00db8::1"),
    _address("nine groups", "1:2:3:4:5:6:7:8:9"),
    _address("eight groups and more zeros", "1:2:3:4:5:6:7:8::"),
    _address("zone of a range", "fe80::%eth0/10"),
    _address("brackets", "[2001:db8::1]"),
    _address("zero width space", "203.0.113.7\u200b", *ADDRESS_WORDS, "it contains U+200B"),
    _address("list", "203.0.113.7,203.0.113.8"),
    _inbound(
        "wide",
        {"allowedAddresses": ["203.0.113.7", "0.0.0.0/0", "2001::/15"]},
        ".allowedAddresses",
        "wider than /8 (IPv6: /16) unless allowAnyAddress is true",
        'wrong: ["0.0.0.0/0", "2001::/15"]',
    ),
    _inbound("just too wide", {"allowedAddresses": ["10.0.0.0/7"]}, ".allowedAddresses", "wider than /8"),
    _inbound(
        "no callers", {"allowedCallers": []}, ".allowedCallers", "at least one number", "leave allowedCallers out"
    ),
    _inbound("callers", {"allowedCallers": ["+15551230000"] * 101}, ".allowedCallers", "Too many", "100"),
    _inbound(
        "caller",
        {"allowedCallers": ["+1 555 123 0000"]},
        ".allowedCallers[0]",
        *NUMBER_WORDS,
        "did you mean +15551230000?",
    ),
    _inbound("aliases", {"aliases": [str(each) for each in range(17)]}, ".aliases", "Too many", "16"),
    _inbound("alias in words", {"aliases": ["701", "sales"]}, ".aliases[1]", "1 to 32 digits with or without a plus"),
    _inbound("alias with a blank", {"aliases": ["0207 946"]}, ".aliases[0]", "1 to 32 digits", "such as 02079460123"),
    _inbound("alias too long", {"aliases": ["1" * 33]}, ".aliases[0]", "1 to 32 digits"),
    _inbound("alias twice", {"aliases": ["702", "7", "+702"]}, ".aliases", "from each other", '["702", "+702"]'),
    _inbound(
        "alias that is the number",
        {"aliases": ["703", "19876543210"]},
        ".aliases",
        "must differ from phoneNumber",
        'wrong: ["19876543210"]',
    ),
    _inbound("ring 0", {"ringTimeoutSeconds": 0}, ".ringTimeoutSeconds", "greater than or equal to 1"),
    _inbound("ring long", {"ringTimeoutSeconds": 601}, ".ringTimeoutSeconds", "less than or equal to 600"),
    _inbound("ring text", {"ringTimeoutSeconds": "60"}, ".ringTimeoutSeconds", "must be of type integer"),
    _inbound("duration 0", {"maxCallDurationSeconds": 0}, ".maxCallDurationSeconds", "greater than or equal to 1"),
    _inbound("duration", {"maxCallDurationSeconds": 86401}, ".maxCallDurationSeconds", "less than or equal to 86400"),
    _inbound("any address", {"allowAnyAddress": "yes"}, ".allowAnyAddress", "must be of type boolean"),
    _inbound("noise", {"noiseCancellation": "yes"}, ".noiseCancellation", "must be of type boolean"),
    _inbound("header", {"headersToAttributes": {"X Id": "id"}}, ".headersToAttributes", *NAME_WORDS, '["X Id"]'),
    _inbound("no attribute", {"headersToAttributes": {"X-Id": ""}}, ".headersToAttributes", "not empty", '["X-Id"]'),
    _inbound("attribute", {"headersToAttributes": {"X-Id": "a\tb"}}, ".headersToAttributes", "control characters"),
    *(
        make(
            f"LiveKit's {name}", {"headersToAttributes": {"X-Id": name}}, field, "belong to LiveKit", 'wrong: ["X-Id"]'
        )
        for make, field in ((_inbound, ".headersToAttributes"), (_outbound, "headersToAttributes"))
        for name in ("sip.phoneNumber", "lk.agent.state")
    ),
    *(
        _inbound(key, {"agentMetadata": {key: "x"}}, ".agentMetadata", "which the operator sets", f'wrong: ["{key}"]')
        for key in (
            *("agentId", "phoneNumber", "direction", "namespace", "name"),
            *("agentid", "AGENTID", "PhoneNumber", "Direction", "nameSpace", "NAME", "name\u017fpace"),
        )
    ),
    _inbound("metadata key", {"agentMetadata": {"": "x"}}, ".agentMetadata", "keys of 1 to 253 characters"),
    _inbound("metadata long key", {"agentMetadata": {"k" * 254: "x"}}, ".agentMetadata", "keys of 1 to 253"),
    _inbound("metadata value", {"agentMetadata": {"k": "a\nb"}}, ".agentMetadata", "control characters", '["k"]'),
    _inbound("attribute hidden", {"headersToAttributes": {"X-Id": "a\u2060b"}}, ".headersToAttributes", *MAP_UNSEEN),
    _inbound("metadata key hidden", {"agentMetadata": {"k\u200b": "v"}}, ".agentMetadata", *MAP_UNSEEN),
    _inbound("metadata value turned", {"agentMetadata": {"k": "\u202eabc"}}, ".agentMetadata", *MAP_UNSEEN, '["k"]'),
    *(
        _inbound(f"attribute {name}", {"attributes": {name: "x"}}, ".attributes", "belong to LiveKit", f'["{name}"]')
        for name in ("sip.", "sip.phoneNumber", "lk.agent.state")
    ),
    _inbound("no attribute name", {"attributes": {"": "x"}}, ".attributes", "keys of 1 to 253 characters"),
    _inbound("attribute break", {"attributes": {"a": "x\ny"}}, ".attributes", "control characters", '["a"]'),
    _inbound("attribute unseen", {"attributes": {"a\u200b": "x"}}, ".attributes", *MAP_UNSEEN),
    _inbound("attributes", {"attributes": {f"a{i}": "" for i in range(17)}}, ".attributes", "Too many", "16"),
    *(
        _inbound(f"agents {name}", {"additionalAgentIds": agents}, ".additionalAgentIds", "must name each agent once")
        for name, agents in {"twice": ["a", "b", "a"], "first again": ["a", "agent_support"]}.items()
    ),
    *(
        _inbound(f"agent {agent!a}", {"additionalAgentIds": ["a", agent]}, ".additionalAgentIds[1]", *AGENT_WORDS)
        for agent in ("", " b", "b\u3000", "b\tc")
    ),
    _inbound("agent unseen", {"additionalAgentIds": ["a\u200b"]}, ".additionalAgentIds[0]", *UNSEEN, "U+200B"),
    _inbound("agents", {"additionalAgentIds": [f"a{i}" for i in range(9)]}, ".additionalAgentIds", "Too many", "8"),
    _inbound("hidden", {"hideCallerNumber": "yes"}, ".hideCallerNumber", "must be of type boolean"),
    _room("prefix", {"prefix": "call- "}, ".prefix", "must not begin or end with a blank"),
    _room("long prefix", {"prefix": "c" * 65}, ".prefix", "Too long", "64"),
    _room("prefix unseen", {"prefix": "call\u200b-"}, ".prefix", *UNSEEN, "U+200B"),
    _room("empty 0", {"emptyTimeoutSeconds": 0}, ".emptyTimeoutSeconds", "greater than or equal to 1"),
    _room("departure", {"departureTimeoutSeconds": 86401}, ".departureTimeoutSeconds", "less than or equal to 86400"),
    _room("nobody", {"maxParticipants": 0}, ".maxParticipants", "greater than or equal to 1"),
    _room("crowd", {"maxParticipants": 1001}, ".maxParticipants", "less than or equal to 1000"),
    _room("metadata", {"metadata": "{\n}"}, ".metadata", "must not have control characters such as line breaks"),
    _room("metadata unseen", {"metadata": "a\u202eb"}, ".metadata", *UNSEEN, "U+202E"),
    _room("long metadata", {"metadata": "m" * 1025}, ".metadata", "Too long", "1024"),
    _room("tag", {"tags": {"": "x"}}, ".tags", "keys of 1 to 253 characters"),
    _room("tag unseen", {"tags": {"a": "\ufeff"}}, ".tags", *MAP_UNSEEN, '["a"]'),
    _room("tags", {"tags": {f"a{i}": "" for i in range(17)}}, ".tags", "Too many", "16"),
    _inbound("recording flag", {"recording": {"audioOnly": "yes"}}, ".recording.audioOnly", "must be of type boolean"),
    *(
        _recording(f"braces {path}", path, "must have braces only in {room_name}, {room_id}, {time} and {utc}")
        for path in ("{room}/", "{room_name}}", "{}/", "{Room_Name}/", "{room_name/", "a\n/", "{publisher_identity}/")
    ),
    *(
        _recording(f"same {path}", path, "must end with a / or have {room_name} or {room_id}", "support/{room_id}")
        for path in ("call", "calls/call.ogg", "{time}", "calls/{utc}")
    ),
    *(_recording(f"dots {path}", path, "must not have two dots in a row") for path in ("../", "a/../{room_name}")),
    *(
        _recording(f"root {path}", path, "must not begin with a /", "such as support/{room_id}")
        for path in ("/", "/etc/{room_id}", "//a/")
    ),
    *(
        _inbound(
            f"recording {recording} of rooms {prefix}",
            {"recording": recording, "room": {"prefix": prefix}},
            ".room.prefix",
            "must not have /, a backslash, braces or two dots in a row when inbound.recording is set",
        )
        for recording in ({}, {"path": "a/{room_id}"})
        for prefix in ("../../other/x", "/etc/x", "a/", "..", "a..b", "{room_id}", "a{", "}a", "a\\b")
    ),
    _recording("long", f"{'p' * 256}/", "Too long", "256"),
    _recording("unseen", "a\u200b/", *UNSEEN, "U+200B"),
    _storage(
        "several",
        {"s3": {"bucket": "calls", **KEYS}, "gcs": {"bucket": "calls", **KEYS}},
        "",
        "must have at most one of s3, gcs and azure",
    ),
    *(
        _storage(
            f"several with {other}",
            {
                "azure": {"accountName": "acmecalls", "containerName": "calls", **KEYS},
                other: {"bucket": "calls", **KEYS},
            },
            "",
            "must have at most one of s3, gcs and azure",
        )
        for other in ("s3", "gcs")
    ),
    _s3("without bucket", {"bucket": None}, "bucket", "Required value"),
    _s3("without keys", {"credentialsSecretRef": None}, "credentialsSecretRef", "Required value"),
    _s3("keys without name", {"credentialsSecretRef": {}}, "credentialsSecretRef.name", "Required value"),
    _s3(
        "name",
        {"credentialsSecretRef": {"name": "S3_Keys"}},
        "credentialsSecretRef.name",
        "must be the name of a Secret",
    ),
    *(
        _s3(
            f"bucket {bucket[:12]!a}",
            {"bucket": bucket},
            "bucket",
            "must be the name of a bucket",
            "such as acme-calls",
        )
        for bucket in ("", "ab", "-calls", "calls-", "acme calls", "s3://calls", "acme/calls", "käse", "calls\n")
    ),
    _s3("bucket of 64", {"bucket": "b" * 64}, "bucket", "Too long", "63"),
    *(
        _s3(f"region {region!a}", {"region": region}, "region", "must be a region", "such as eu-central-1")
        for region in ("EU", "eu central", "eu-central-1\n")
    ),
    _s3("long region", {"region": "r" * 65}, "region", "Too long", "64"),
    *(
        _s3(f"endpoint {url!a}", {"endpoint": url}, "endpoint", "must be the URL of a storage", "such as https://minio")
        for url in (
            "minio.example.com:9000",
            "s3://minio.example.com",
            "https://",
            "https://user:word@minio.example.com",
            "https://minio.example.com:0",
            "https://minio.example.com:65536",
            "https://minio.example.com/?a=b",
            "https://minio.example.com#a",
            "https://minio.example.com/a b",
            "https://mini\u200bo.example.com",
            "HTTPS://minio.example.com",
            "http://1",
            "http://0x7f.1",
            "http://0x7f000001",
            "http://127.1",
            "http://127.0.0.1.",
            "http://0177.0.0.1",
            "http://256.0.0.1",
            "http://1.2.3.4.5",
            "http://.a",
            "http://-a",
            "https://[:::::]",
            "https://[0::0::1]",
            "https://[1:2]",
            "https://[a]",
            "http://[::127.0.0.1]",
            "http://[::ffff:127.0.0.1]",
            "http://[::ffff:7f00:1]:9000",
            "http://[0:0:0:0:0:FFFF:a9fe:a9fe]",
            "http://[fe80::1%25eth0]",
        )
    ),
    _s3("endpoint host", {"endpoint": f"http://{'a.' * 127}com"}, "endpoint", "must be the URL of a storage"),
    *(
        _s3(f"local {url}", {"endpoint": url}, "endpoint", "must not lead to the machine on which egress runs")
        for url in (
            "http://localhost",
            "https://LocalHost.:9000/a",
            "http://a.b.localhost/",
            "http://127.0.0.1:6379",
            "http://127.255.255.254",
            "http://0.0.0.0",
            "http://0.1.2.3:80",
            "http://169.254.169.254/latest",
            "http://[::1]",
            "http://[::]:6379",
            "http://[0:0:0:0:0:0:0:1]/a",
            "http://[0::0001]",
            "http://[fe80::1]",
            "http://[FEBF:1::]",
        )
    ),
    *(
        _s3(f"dots {url}", {"endpoint": url}, "endpoint", "must not have two dots in a row")
        for url in ("http://a/../b", "https://a/..", "https://a/b..c")
    ),
    _s3("long endpoint", {"endpoint": f"https://x/{'p' * 512}"}, "endpoint", "Too long", "512"),
    _s3("path style", {"forcePathStyle": "true"}, "forcePathStyle", "must be of type boolean"),
    *(
        _storage(
            f"gcs bucket {bucket[:12]!a}",
            {"gcs": {"bucket": bucket, **KEYS}},
            ".gcs.bucket",
            "must be the name of a bucket",
        )
        for bucket in ("", "ab", "Calls", "_calls", "calls.", "gs://calls")
    ),
    _storage("gcs bucket of 223", {"gcs": {"bucket": "b" * 223, **KEYS}}, ".gcs.bucket", "Too long", "222"),
    _storage("gcs without keys", {"gcs": {"bucket": "calls"}}, ".gcs.credentialsSecretRef", "Required value"),
    _storage(
        "gcs name",
        {"gcs": {"bucket": "calls", "credentialsSecretRef": {"name": "a/b"}}},
        ".gcs.credentialsSecretRef.name",
        "must be the name of a Secret",
    ),
    *(
        _azure(f"account {name!a}", {"accountName": name}, "accountName", "must be the name of a storage account")
        for name in ("", "ab", "Acme", "acme-calls", "acme.blob")
    ),
    _azure("account of 25", {"accountName": "a" * 25}, "accountName", "Too long", "24"),
    *(
        _azure(f"container {name!a}", {"containerName": name}, "containerName", "must be the name of a container")
        for name in ("", "ab", "Calls", "-calls", "calls-", "acme--calls", "acme/calls", "$root")
    ),
    _azure("container of 64", {"containerName": "c" * 64}, "containerName", "Too long", "63"),
    _azure("without account", {"accountName": None}, "accountName", "Required value"),
    _azure("without keys", {"credentialsSecretRef": None}, "credentialsSecretRef", "Required value"),
    _azure(
        "name", {"credentialsSecretRef": {"name": "a b"}}, "credentialsSecretRef.name", "must be the name of a Secret"
    ),
    _inbound("metadata entries", {"agentMetadata": {f"k{i}": "" for i in range(17)}}, ".agentMetadata", "Too many"),
    *(
        _outbound(f"header {name}", {"headers": {name: "x"}}, "headers", "must not have From, To", f'wrong: ["{name}"]')
        for name in ("From", "TO", "via", "Contact", "call-id", "CSeq", "f", "t", "V", "m", "i", "Authorization")
    ),
    _outbound("header name", {"headers": {"X:Id": "x"}}, "headers", *NAME_WORDS, 'wrong: ["X:Id"]'),
    _outbound("no header name", {"headers": {"": "x"}}, "headers", *NAME_WORDS),
    _outbound("long header name", {"headers": {"X" * 256: "x"}}, "headers", *NAME_WORDS),
    _outbound("header break", {"headers": {"X-Id": "a\r\nVia: b"}}, "headers", "at most 1024 bytes without control"),
    _outbound("header bytes", {"headers": {"X-Id": "é" * 513}}, "headers", "at most 1024 bytes", 'wrong: ["X-Id"]'),
    _outbound("headers", {"headers": {f"X-{i}": "x" for i in range(17)}}, "headers", "Too many", "16"),
    _outbound("from sip:", {"fromHost": "sip:voice.example.com"}, "fromHost", *FROM_WORDS),
    _outbound("from transport", {"fromHost": "voice.example.com;transport=tls"}, "fromHost", *FROM_WORDS),
    _outbound("from user", {"fromHost": "a@voice.example.com"}, "fromHost", *FROM_WORDS),
    _outbound("from port", {"fromHost": "voice.example.com:5060"}, "fromHost", *FROM_WORDS, "port"),
    _outbound("from mapped", {"fromHost": "::ffff:203.0.113.7"}, "fromHost", *FROM_WORDS),
    _outbound("from mapped in brackets", {"fromHost": "[::ffff:203.0.113.7]"}, "fromHost", *FROM_WORDS),
    _outbound("from IPv4 in brackets", {"fromHost": "[203.0.113.7]"}, "fromHost", *FROM_WORDS),
    _outbound("from IPv6 and port", {"fromHost": "[2001:db8::1]:5060"}, "fromHost", *FROM_WORDS),
    _outbound("from mark", {"fromHost": "\u200evoice.example.com"}, "fromHost", *FROM_WORDS, "it contains U+200E"),
    _outbound("header hidden", {"headers": {"X-Id": "a\u200bb"}}, "headers", *MAP_UNSEEN, 'wrong: ["X-Id"]'),
    _outbound("country name", {"destinationCountry": "USA"}, "destinationCountry", "two letters", "such as US or GB"),
    _outbound("country digit", {"destinationCountry": "1"}, "destinationCountry", "two letters of ISO 3166-1"),
    _outbound("UK", {"destinationCountry": "UK"}, "destinationCountry", "GB (not UK)"),
    _secret("no name", {"key": "password"}, ".name", "Required value"),
    _secret("name", {"name": "Twilio_SIP"}, ".name", "must be the name of a Secret", "such as twilio-sip"),
    _secret("hidden", {"name": "twilio-sip\u200b"}, ".name", "must be the name of a Secret", "it contains U+200B"),
    _secret("path", {"name": "../other/secret"}, ".name", "must be the name of a Secret"),
    _secret("long name", {"name": "a" * 254}, ".name", "Too long", "253"),
    _secret("key", {"name": "s", "key": "pass word"}, ".key", "must be a key of a Secret", "such as password"),
    _secret("user name", {"name": "s", "key": "username"}, ".key", "must not be username", "another key"),
    *(
        _secret(f"key {key}", {"name": "s", "key": key}, ".key", "keys of a recording's storage", "another key")
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_KEY", "credentials.json")
    ),
    *(
        BadManifest(f"media {name}", {"media": media}, f"spec.media{field}", words)
        for name, media, field, words in (
            ("no codecs", {"codecs": []}, ".codecs", ("at least one codec", "leave codecs out")),
            ("codecs", {"codecs": ["PCMU"] * 17}, ".codecs", ("Too many", "16")),
            ("codec with blanks", {"codecs": ["PCMU 8000"]}, ".codecs[0]", ("must be a codec", "such as AMR/8000")),
            ("codec with a rate of nothing", {"codecs": ["opus/"]}, ".codecs[0]", ("its clock rate",)),
            ("codec with channels", {"codecs": ["opus/48000/2"]}, ".codecs[0]", ("its clock rate",)),
            (
                "only listed, none listed",
                {"onlyListedCodecs": True},
                ".codecs",
                ("must be set", "every call would fail"),
            ),
            (
                "codec without a rate",
                {"codecs": ["PCMU", "AMR"]},
                ".codecs[1]",
                ("clock rate, such as AMR/8000", "refuse every call"),
            ),
            (
                "codec in lower case",
                {"codecs": ["g722"]},
                ".codecs[0]",
                ("G722, AMR-WB and opus, in exactly these letters",),
            ),
            ("timeout", {"mediaTimeoutSeconds": 601}, ".mediaTimeoutSeconds", ("less than or equal to 600",)),
            ("timeout of nothing", {"mediaTimeoutSeconds": 0}, ".mediaTimeoutSeconds", ("greater than or equal to 1",)),
            ("only listed in words", {"onlyListedCodecs": "yes"}, ".onlyListedCodecs", ("must be of type boolean",)),
        )
    ),
    *(
        BadManifest(f"{side} {name}", {**GENERIC, side: changes}, f"spec.{side}.{field}", words)
        for side in ("inbound", "outbound")
        for name, changes, field, words in (
            ("included", {"includeHeaders": "X"}, "includeHeaders", ('"None", "XHeaders", "All"',)),
            (
                "header of an attribute",
                {"attributesToHeaders": {"outcome": "X Outcome"}},
                "attributesToHeaders",
                ("must map to header names of 1 to 255", '["outcome"]'),
            ),
            (
                "reserved header of an attribute",
                {"attributesToHeaders": {"outcome": "Via"}},
                "attributesToHeaders",
                ("must not map to From, To", '["outcome"]'),
            ),
            (
                "no attribute to send",
                {"attributesToHeaders": {"": "X-A"}},
                "attributesToHeaders",
                ("keys of 1 to 253",),
            ),
            ("hidden attribute", {"attributesToHeaders": {"a\u200b": "X-A"}}, "attributesToHeaders", MAP_UNSEEN),
        )
    ),
    _outbound("attribute name", {"headersToAttributes": {"X Id": "id"}}, "headersToAttributes", *NAME_WORDS),
    _outbound("no attribute", {"headersToAttributes": {"X-Id": ""}}, "headersToAttributes", "not empty", '["X-Id"]'),
    _outbound("attribute hidden", {"headersToAttributes": {"X-Id": "a\u2060b"}}, "headersToAttributes", *MAP_UNSEEN),
    _inbound("answer header", {"responseHeaders": {"Contact": "x"}}, ".responseHeaders", "must not have From, To"),
    _inbound("answer header name", {"responseHeaders": {"X:Id": "x"}}, ".responseHeaders", *NAME_WORDS),
    _inbound("answer header break", {"responseHeaders": {"X-Id": "a\r\nb"}}, ".responseHeaders", "at most 1024 bytes"),
    _inbound("answer header hidden", {"responseHeaders": {"X-Id": "a\u200bb"}}, ".responseHeaders", *MAP_UNSEEN),
    _inbound("ring status", {"ringStatus": 302}, ".ringStatus", "greater than or equal to 400"),
    _inbound("ring status of nothing", {"ringStatus": 700}, ".ringStatus", "less than or equal to 699"),
    _inbound("realm without Digest", {"authRealm": "a"}, ".authRealm", "must be absent unless", "Digest"),
    BadManifest(
        "realm with a quote",
        {**GENERIC, **SECRET, "inbound": {"authentication": "Digest", "authRealm": 'a"b'}},
        "spec.inbound.authRealm",
        ("must not have control characters, quotes",),
    ),
    BadManifest(
        "realm hidden",
        {**GENERIC, **SECRET, "inbound": {"authentication": "Digest", "authRealm": "a\u200bb"}},
        "spec.inbound.authRealm",
        UNSEEN,
    ),
    _text("sipUsername", "user\n", "must not have control characters"),
    _text("sipUsername", "user ", "must not begin or end with a blank"),
    _text("sipUsername", "\xa0user", "must not begin or end with a blank"),
    _text("sipUsername", "us:er", "colons"),
    _text("sipUsername", 'us"er', "quotes"),
    _text("sipUsername", "us\\er", "backslashes"),
    _text("sipUsername", "u" * 257, "Too long", "256"),
    _text("friendlyName", "Main\nLine", "must not have control characters such as line breaks or tabs"),
    *(
        _text("friendlyName", f"Main {character} Line", *UNSEEN, _named(character))
        for character in "\xad\u061c\u200b\u200e\u200f\u202a\u202e\u2028\u2029\u2060\u2066\u2069\ufeff\ufff9\ufffd"
        "\U000e0041"
    ),
    *(
        _text(field, f"x{character}y", *UNSEEN, _named(character))
        for field in ("sipUsername", "inboundAgentId", "outboundAgentId")
        for character in "\xad\u0600\u200b\u200c\u200d\u200f\u202e\u3164\ufe0f\ufeff\U000e0001\U000e0100"
    ),
    _text("sipUsername", "user\ufeff", *UNSEEN, "it contains U+FEFF"),
    _text("sipUsername", "\u3000user", "must not begin or end with a blank"),
    _text("inboundAgentId", "agent\u2003", "must not begin or end with a blank"),
    _text("friendlyName", "n" * 129, "Too long", "128"),
    _text("inboundAgentId", "agent\x7f", "must not have control characters"),
    _text("inboundAgentId", "agent ", "must not begin or end with a blank"),
    _text("outboundAgentId", " agent", "must not begin or end with a blank"),
    _text("outboundAgentId", "agent\x85x", "must not have control characters"),
]
