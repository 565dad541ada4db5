"""Every pattern and parser over text from outside takes time that grows with the text and no faster.

A pattern is found by itself, wherever in the package it is compiled; one without a worst text fails here. Measured is
processor time, the least of several runs, of a text and of one four times as long: linear is 4, quadratic is 16.
"""

import ast
import base64
import contextlib
import gc
import importlib
import json
import logging
import pkgutil
import re
import time
from collections.abc import Callable
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]  # what a pattern is made of
from typing import Any

import pytest

import byoc_operator
from byoc_operator.admission.request import BOUNDS, NotAReview, request_in
from byoc_operator.admission.review import review
from byoc_operator.api import grammar
from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.api.encoding import from_base64
from byoc_operator.api.names import WATCH_LABEL
from byoc_operator.api.resource import parse
from byoc_operator.api.rule import Entries, Together
from byoc_operator.api.rules import RULES
from byoc_operator.api.validation import problems
from byoc_operator.cluster.json_bounds import Bounds, decoded
from byoc_operator.core.credential_values import Field, problem_of
from byoc_operator.core.credentials import LAST_APPLIED, SEALED_PREFIX, sealed_keys
from byoc_operator.core.ownership import parse_mark
from byoc_operator.errors import Stalled
from byoc_operator.sealing.freshness import Keys
from byoc_operator.sealing.sealed import KeyRing, is_token
from byoc_operator.telemetry import logs

Text = Callable[[int], str]

MOST = 8
"""Between linear and quadratic, with room for a busy machine."""

MEASURABLE_S = 0.0003
LONGEST = 2**16
TRIES = 4

OURS = {"generate.chart", "generate.numbers_chart"}
"""Modules whose patterns read files of this repository alone, when files are generated."""


def again(unit: str, end: str = "", begin: str = "") -> Text:
    """So many characters of a unit, between these."""
    return lambda size: begin + unit * (size // len(unit)) + end


LABELS = [again("a", "!"), again("a.", "!"), again("a-", "!"), again("a" * 63 + ".", "!"), again("a-a.a", "-")]
EDGES = [again("a", "\0"), again(" ", "", "a"), again("a ", ""), again(" a", " "), again("\U0001f600", "\0")]
PORTS = [again("1", ":65536"), again("1.", ":"), again("1:", ""), again(":1", "")]
ADDRESSES = [again("1."), again("1"), again("a:"), again(":"), again("::"), again("0:", "g"), again("1.", "/8")]
STORAGE_HOSTS = [
    again("a", "!", "https://"),
    again("a.", "localhos", "http://"),
    again("localhost.", "!", "http://"),
    again("1", "!", "https://127."),
    again("0:", "!", "https://["),
    again(":", "!", "https://[fe80:"),
]

WORST: dict[str, list[Text]] = {
    "api.characters:_ESCAPED": [again("\\u"), again("\\u200"), again("\\")],
    "api.characters:_ANY_HIDDEN": [again("a")],
    "api.characters:_ANY_STRANGE": [again("a")],
    "cli.bundle_mask:_SEALED_WITHIN": [
        again("fernet:"),
        again("gAAAA"),
        again("fernet%3a", "!"),
        again("ZmVybmV0O", "!"),
    ],
    "api.authorization:_TOKEN_WITHIN": [again("eyJ"), again("eyJaaaaaaaa."), again("eyJ ", "!")],
    "api.authorization:_HEADER_WITHIN": [
        *(again("Basic "), again("Bearer a"), again(" ", "!", "Basic"), again("Digest username=", "\n")),
        *(again("Digest "), again("authorization: "), again("authorization"), again(" ", "", "authorization")),
        *(again("Basic a="), again("a", "", "Basic a"), again("Bearer a_", '"')),
    ],
    "api.authorization:_USER_WITHIN": [again("://"), again(":"), again("a", "!", "://")],
    "cli.bundle_mask:_LABELLED_WITHIN": [
        *(again("password"), again("password="), again("password ", "!"), again("pass= "), again("=", "", "pwd")),
        again("a", "", "api_secret: "),
    ],
    "cli.bundle_texts:_USER_OF_URL": [again("://"), again(":"), again("a", "!", "://"), again("://a")],
    "cli.bundle_texts:_TELLING_NAME": [again("pas"), again("pin"), again("si")],
    "cli.bundle_texts:_ASSIGNED": [
        again("a"),
        again(" ", "", "export"),
        again("- "),
        again('"', "", '"a'),
        again("a", ":"),
        again(" ", "\n", "a:"),
        again("a:"),
        again("-", "=", "a"),
    ],
    "cli.bundle_mask:_NUMBER_WITHIN": [again("+1"), again("+1   "), again("+1(("), again("1", "!", "+")],
    "cli.bundle_mask:_WORD_WITHIN": [again("a"), again("_"), again("a_")],
    "api.livekit_url:_BLANK_WITHIN": [again("a")],
    "livekit_sip.error_map:_SIP_STATUS": [again("1"), again("4", "\0")],
    "diagnosis.sip_message:_STATUS_LINE": [again("a", "\r", "SIP/2.0 200 "), again("SIP/2.0 200 "), again(" ")],
    "diagnosis.sip_message:_REQUEST_LINE": [again("A"), again("a", "", "OPTIONS "), again("A ", " SIP/2.0")],
    "api.grammar:ALIAS": [again("1", "!"), again("1", "", "+"), again("+1")],
    "api.grammar:DIGITS": [again("1", "!")],
    "api.grammar:_OCTET": ADDRESSES,
    "api.grammar:IPV4": ADDRESSES,
    "api.grammar:_GROUP": ADDRESSES,
    "api.grammar:_LAST": ADDRESSES,
    "api.grammar:IPV6": ADDRESSES,
    "api.grammar:IPV4_MAPPED": [*ADDRESSES, again("0"), again("0:", "ffff"), again("0", ":ffff:1:1")],
    "api.grammar:CIDR": ADDRESSES,
    "api.grammar:WIDE": ADDRESSES,
    "api.grammar:ENDPOINT": [*ADDRESSES, *LABELS, *PORTS, again(":", "]", "[")],
    "api.grammar:WITHOUT_PLUS": [again("1")],
    "api.grammar:_EDGE": EDGES,
    "api.grammar:_USER_EDGE": EDGES,
    "api.grammar:COUNTRY": [again("A")],
    "api.grammar:CODEC_NAME": [again("a", "!")],
    "api.grammar:CODEC": [again("a", "!"), again("1", "!", "a/")],
    "api.grammar:DATA_KEY": [again("a.", "!"), again("a", "!")],
    "api.grammar:DNS_LABEL": LABELS,
    "api.grammar:DNS_SUBDOMAIN": LABELS,
    "api.grammar:E164": [again("1", "!", "+"), again("+1")],
    "api.grammar:ENDPOINT_WITHIN": [],  # Go's alone (RE2, linear); Python has the next one
    "api.grammar:_ENDPOINT_WITHIN": [*LABELS, *PORTS, again("a"), again("a", "", "."), again("a:"), again("a@a")],
    "api.grammar:HEADER_NAME": [again("a", ":"), again("-a", "\0")],
    "api.grammar:HOST_AND_PORT": [*LABELS, *PORTS, again("a.", ":65536")],
    "api.grammar:HOST_NAME": LABELS,
    "api.grammar:IPV4_AND_PORT": PORTS,
    "api.grammar:IPV6_AND_PORT": [again(":", "!", "["), again("a", "]", "["), again("a:", ":", "["), again("[:]:1")],
    "api.grammar:NAME": EDGES,
    "api.grammar:PORT": PORTS,
    "api.grammar:USER_NAME": [*EDGES, again("a", ":")],
    "api.grammar:RECORDING_PATH": [*EDGES, again("{time}", "{"), again("{room_"), again("a", "}")],
    "api.grammar:S3_BUCKET": [again("a"), again("a."), again("a", "-")],
    "api.grammar:GCS_BUCKET": [again("a"), again("a."), again("a", "-")],
    "api.grammar:AZURE_ACCOUNT": [again("a"), again("a", "-")],
    "api.grammar:AZURE_CONTAINER": [again("a"), again("a-"), again("a", "-"), again("-a", "--", "a")],
    "api.grammar:REGION": [again("a", "A"), again("-", " ")],
    "api.grammar:STORAGE_URL": [
        again("a", "!", "https://"),
        again("a.", "!", "https://"),
        again("a-", ":1", "https://"),
        again(":", "!", "https://["),
        again("/", "?", "https://a"),
        again("1", "!", "https://a:"),
    ],
    "api.grammar:LONG_STORAGE_HOST": STORAGE_HOSTS,
    "api.grammar:LOCAL_STORAGE": STORAGE_HOSTS,
    "api.recording_rules:_LOCAL": STORAGE_HOSTS,
    "api.recording_rules:_IN_PATH": [again("a"), again("a.")],
    "api.grammar:WITHOUT_CONTROLS": EDGES,
    "api.grammar:WITHOUT_CONTROLS_AND_EDGE_BLANKS": EDGES,
    "api.grammar:_LABEL": LABELS,
    "api.grammar:_PASTED": [again("a")],
    "api.grammar:_PREFIX_LENGTH": [again("1")],
    "core.credential_values:_CONTROL": EDGES,
    "core.credential_values:_FOREIGN_TOKEN": [
        again("A", "!", "gAAAA"),
        again("gAAAA"),
        again("=", "", "gAAAA" + "A" * 95),
    ],
    "core.credential_values:_SURROGATES": [again("a"), again("\ufffd")],
    "core.credential_values:_NOT_IN_USERNAME": [again("a"), again("'")],
    "core.credential_values:_CONTROL_OF_DOCUMENTS": EDGES,
    "core.credential_values:_ACCESS_KEY_ID": [again("a"), again("a", " ")],
    "core.credential_values:_NOT_IN_ACCESS_KEY_ID": [again("a"), again("'")],
    "api.text_rules:RESERVED_METADATA_KEY": [again("name"), again("agentId", "\n"), again("\u017f")],
    "api.room_rules:_LIVEKITS_ATTRIBUTE": [again("sip"), again("sip.")],
    "core.matching:_IGNORED_IN_ADDRESSES": [again("a"), again(":"), again(":/")],
    "core.matching:_LENGTH": [again("1")],
    "core.orphans:_ID": [again("A", "", "ST_"), again("ST_"), again("SDR_")],
    "cluster.answers:_BY_AUTHORIZER": [
        again("a"),
        again('a "'),
        again("a", "", 'a "'),
        again("a", "", 'forbidden: User "'),
        again('" cannot', "", 'forbidden: User "'),
    ],
    "cluster.refusals:_NAMES": [again('"'), again("a"), again("1"), again("a", "", '"'), again('a"')],
    "livekit_sip.convert:_ID": [again("A"), again("A", "!"), again("ST_")],
    # of bytes, as the API server sends them
    "cluster.answers:_ROOT": [again("/"), again("/a"), again("/api/v1"), again("a/")],
    "cluster.cutting:_FLAT": [
        again('\\"', "", '"'),
        again("[]"),
        again('"a",'),
        again('"\\"'),
        again('"'),
        again("\\"),
    ],
    "cluster.cutting:_IN_STRING": [again('\\"'), again("\\"), again("a")],
    "cluster.cutting:_SCALAR": [again("1"), again("1,")],
    "cluster.cutting:_BLANK": [again(" "), again(" a")],
    "sealing.sealed:_KEY": [again("A"), again("A" * 43 + "-")],
}
"""Per pattern the texts that it takes longest for. `grammar` holds its patterns as texts, which Go reads too."""

INSIDES = {"BLANKS", "CONTROLS", "DECORATION", "_NOT_QUOTED"}
"""Texts of `grammar` that are the inside of a character class, no patterns."""

AS_TEXTS = {"api.text_rules:RESERVED_METADATA_KEY"}
"""Others that do so."""

AnyPattern = re.Pattern[str] | re.Pattern[bytes]


def patterns() -> dict[str, AnyPattern]:
    """All of the package, by module and name."""
    found: dict[str, AnyPattern] = {}
    for info in pkgutil.walk_packages(byoc_operator.__path__, "byoc_operator."):
        short = info.name.removeprefix("byoc_operator.")
        if short in OURS or short == "__main__":
            continue
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, re.Pattern):
                found[f"{short}:{name}"] = value
            elif f"{short}:{name}" in AS_TEXTS:
                found[f"{short}:{name}"] = re.compile(value)
    texts = {name: value for name, value in vars(grammar).items() if name.isupper() and isinstance(value, str)}
    return found | {f"api.grammar:{name}": re.compile(text) for name, text in texts.items() if name not in INSIDES}


PATTERNS = patterns()


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_time_that_grows_with_the_text(name: str) -> None:
    assert name in WORST, f"add to WORST the texts that {name} takes longest for"
    pattern = PATTERNS[name]
    searched = name.startswith(("core.credential_values", "api.characters", "core.matching:_I")) or name.endswith(
        "_WITHIN"
    )
    for text in [*WORST[name], *([worst_by_its_parts(pattern)] if WORST[name] else [])]:
        assert_linear(tried(pattern, "search" if searched else "fullmatch"), text, name)
        assert_linear(tried(pattern, "search" if searched else "match"), text, name)


def tried(pattern: AnyPattern, how: str = "fullmatch") -> Callable[[str], object]:
    """How a pattern is matched with a text, as bytes where it is of bytes."""
    act: Callable[[Any], object] = getattr(pattern, how)
    if isinstance(pattern.pattern, str):
        return act
    return lambda text: act(text.encode())


def worst_by_its_parts(pattern: AnyPattern) -> Text:
    """Of texts that repeat one or two characters which the pattern names, the one that takes longest to be refused."""
    named = [*sorted(set(_characters(_parser.parse(pattern.pattern))))[:10], "~"]
    units = [*named, *(first + second for first in named for second in named if first != second)]
    texts = [again(unit, end) for unit in units for end in ("", "\0")]
    return max(texts, key=lambda text: seconds(tried(pattern), text(600), runs=1))


def _characters(parsed: Any) -> list[str]:
    """One of each literal and range that stands in a pattern."""
    found: list[str] = []
    for part in parsed:
        if isinstance(part, tuple | list | _parser.SubPattern):
            found += _characters(part)
            if len(part) == 2 and str(part[0]) in ("LITERAL", "RANGE"):
                found.append(chr(part[1] if isinstance(part[1], int) else part[1][0]))
    return found


def test_a_slow_pattern_would_be_noticed() -> None:
    """Cubic at least: of a quadratic one a busy machine may hide half."""
    for slow in (r"(?:a|a)*b", r"a*a*a*b", r"(?:a+)+b"):
        with pytest.raises(AssertionError, match="times as long"):
            assert_linear(re.compile(slow).fullmatch, again("a"), slow)


def test_a_worst_text_is_found_in_what_a_pattern_names() -> None:
    slow = re.compile(r"[x-z]*[x-z]*[x-z]*!")
    with pytest.raises(AssertionError, match="times as long"):
        assert_linear(slow.fullmatch, worst_by_its_parts(slow), slow.pattern)


def test_patterns_stand_where_they_are_found() -> None:
    """Compiled at the top of a module, or in `grammar`; a pattern within a call would be tried with no worst text."""
    package = Path(byoc_operator.__file__).parent
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        if module in OURS or module == "api.grammar":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=used), args=[ast.Name(id=given), *_]):
                    known = used == "compile" or f"{module}:{given}" in AS_TEXTS
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=used)):
                    known = used in ("compile", "escape")
                case _:
                    continue
            assert known, f"compile the pattern of {module}, line {node.lineno}, or name it in AS_TEXTS"


# Parsers

RING = KeyRing.generate()
ESCAPES = again('\\"', "", '"')
JSONS = [
    ESCAPES,
    again("\\", "", '"'),
    again("["),
    again("[],", "", "["),
    again('"a",', "", "["),
    again("1"),
    again(" "),
]
JSONS += [again("1,", "", "["), again('{"a":'), again('"'), again("\\u003c", '"', '"'), again('"a":1,', "", "{")]
BASE64 = [again("A"), again("\n"), again("A\r\n"), again("="), again("é"), again("A", "!")]
HOSTS = [
    *LABELS,
    *PORTS,
    again(":"),
    again("."),
    again("["),
    again("/"),
    again("@"),
    again("transport=tls;"),
    again("0"),
]
VALUES = [*EDGES, *WORST["core.credential_values:_FOREIGN_TOKEN"], again("\n"), again("\ud800"), again("\\")]
NO_BOUNDS = Bounds(*[2**30] * 5)
CONTROLS = [again("\n"), again("\0"), again("\u2028"), again("\U0001f600"), again('\\"')]
LISTS = [again(","), again("a,"), again(" ,"), again("a"), again(" ")]


def secret(**metadata: Any) -> dict[str, Any]:
    labelled = {"labels": {WATCH_LABEL: "true"}} | metadata
    return {"operation": "UPDATE", "namespace": "voice", "uid": "u", "object": {"metadata": labelled}}


def sealed(text: str, part: str = "data") -> object:
    request = secret()
    request["oldObject"] = request["object"] = request["object"] | {part: {"password": text}}
    return review(request, Keys(RING))


def with_annotation(text: str) -> object:
    return review(secret(annotations={LAST_APPLIED: text}), Keys(RING))


def with_many_keys(text: str) -> object:
    return review(
        secret() | {"object": secret()["object"] | {"data": dict.fromkeys(map(str, range(len(text))), "")}}, Keys(RING)
    )


def number(annotation: str = "", status: str = "", **spec: Any) -> object:
    wishes = {f"byoc.talkifai.dev/{name}": annotation for name in ("adopt", "refresh", "recreate", "paused")}
    metadata = {"namespace": "voice", "name": "a", "uid": "u", "resourceVersion": "1", "annotations": wishes}
    told = {"liveKit": status, "findings": [{"code": "LeftBehind", "message": status}]}
    return parse({"metadata": metadata, "spec": spec, "status": told})


def spec_of(text: str) -> object:
    return problems({"phoneNumber": text, "terminationUri": text, "outbound": {"headers": {text: text}}})


def rules_of(text: str) -> object:
    """Each rule on its own: in the reconcile a size that is wrong hides them."""
    for rule in RULES:
        if rule.holds is not None and not isinstance(rule.form, Together):
            value: Any = {text: text} if isinstance(rule.form, Entries) else text
            if not rule.holds(value):
                rule.hint(value)
    return None


def logged(text: str, formatter: type[logging.Formatter] = logs._Json) -> object:
    return formatter().format(logging.LogRecord("byoc_operator", logging.INFO, __file__, 1, "%s", (text,), None))


PARSERS: dict[str, tuple[Callable[[str], object], list[Text]]] = {
    "JSON within bounds": (lambda text: decoded(text.encode(), BOUNDS), JSONS),
    "JSON without bounds": (lambda text: decoded(text.encode(), NO_BOUNDS), [ESCAPES, *JSONS[3:8]]),
    "a review": (lambda text: request_in(text.encode()), JSONS),
    "a value in a review": (sealed, [*BASE64, *VALUES]),
    "an annotation in a review": (with_annotation, JSONS),
    "keys in a review": (with_many_keys, [again("a")]),
    "base64": (from_base64, BASE64),
    "a password": (lambda text: problem_of(text, Field.PASSWORD), VALUES),
    "a user name": (lambda text: problem_of(text, Field.USERNAME), VALUES),
    "a key of a service account": (lambda text: problem_of(text, Field.SERVICE_ACCOUNT_KEY), VALUES),
    "values of a Secret": (lambda text: sealed_keys({"password": text}), VALUES),
    "the shape of a token": (lambda text: is_token(SEALED_PREFIX + text), BASE64),
    "a token": (lambda text: RING.open(SEALED_PREFIX + text, "voice", Field.PASSWORD), BASE64),
    "a key ring": (KeyRing.parse, [again("\n"), again("A"), again("\r\n \n")]),
    "an endpoint": (grammar.is_endpoint, HOSTS),
    "a host": (grammar.is_host, HOSTS),
    "what a URI means": (grammar.endpoint_meant, HOSTS),
    "the transport of a URI": (grammar.transport_meant, HOSTS),
    "what a number means": (grammar.number_meant, [again("1"), again("-"), again("+1 ")]),
    "an address": (grammar.is_address.__wrapped__, HOSTS),
    "a range": (grammar.is_cidr.__wrapped__, HOSTS),
    "a wide range": (grammar.is_wide.__wrapped__, HOSTS),
    "a carrier": (lambda text: BUILT_IN.preset_for(None, text), HOSTS),
    "a mark": (lambda text: parse_mark('{"managedBy":"byoc-operator","owner":"' + text), [*JSONS, again("/")]),
    "annotations": (number, LISTS),
    "a status": (lambda text: number(status=text), [again("; "), again(" ("), again(": ")]),
    "a spec": (spec_of, HOSTS),
    "every rule": (rules_of, [*HOSTS, *EDGES]),
    "a log line": (logged, CONTROLS),
    "a log line of text": (lambda text: logged(text, logs._Text), CONTROLS),
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_time_that_grows_with_the_text(name: str) -> None:
    parser, texts = PARSERS[name]
    for text in texts:
        assert_linear(parser, text, name)


def test_what_is_long_is_told_at_once() -> None:
    """A Secret of a megabyte takes the loop for as long as its base64 takes, and no longer."""
    text = base64.b64encode(b"a" * 2**20).decode()
    decoding = seconds(base64.b64decode, text, runs=5)
    assert seconds(from_base64, text, runs=5) < 12 * decoding
    assert seconds(lambda each: problem_of(each, Field.USERNAME), "a" * 2**20, runs=5) < decoding
    assert seconds(sealed, text, runs=5) < decoding


def test_deep_contents_are_refused_not_followed() -> None:
    deep = "[" * 100_000
    with pytest.raises(ValueError, match="deep"):
        decoded(deep.encode(), Bounds(10**6, 100, 10**6, 10**6, 10**6))
    content = RING._all.encrypt(("[" * 5500).encode()).decode()
    with pytest.raises(Stalled, match="bound to no namespace"):
        RING.open(SEALED_PREFIX + content, "voice", Field.PASSWORD)
    assert json.loads(json.dumps(with_annotation(deep)))["allowed"] is False


# Measuring


def assert_linear(act: Callable[[str], object], text: Text, name: str) -> None:
    """Fail if a text that is four times as long takes more than `MOST` times as long."""
    for few in (12, 16, 20, 24):
        # A time that doubles with each character would never end at the sizes below.
        took = seconds(act, text(few), runs=1)
        assert took < 0.02, f"{name}: {few} characters take {took:.3f} s, exponentially many times as long"
    size = 64
    while size < LONGEST and seconds(act, text(size), runs=2) < MEASURABLE_S:
        size *= 2
    for left in reversed(range(TRIES)):
        one, four = seconds(act, text(size), runs=5), seconds(act, text(4 * size), runs=5)
        if four < max(MOST * one, MEASURABLE_S):
            return
        assert left, f"{name}: {4 * size} characters take {four / one:.0f} times as long as {size}"


def seconds(act: Callable[[str], object], text: str, runs: int) -> float:
    """The least processor time of several runs."""
    took = []
    gc.disable()
    try:
        for _ in range(runs):
            began = time.process_time()
            with contextlib.suppress(ValueError, NotAReview, Stalled):
                act(text)
            took.append(time.process_time() - began)
    finally:
        gc.enable()
    return min(took)
