"""A file of presets: the operator's own, or that of an installation, which adds carriers and overrides presets."""

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from .carriers import GENERIC, CallOutProof, Catalogue
from .characters import unseen
from .grammar import (
    CODEC_NAME,
    WITHOUT_CONTROLS_AND_EDGE_BLANKS,
    canonical_host,
    is_address,
    is_cidr,
    is_header_name,
    is_termination_host,
    is_wide,
    matches,
)
from .printable import printable
from .text_rules import RESERVED_HEADERS
from .yaml_lines import Path, WrongYaml, read

MAX_FILE_BYTES: Final = 65_536
MAX_CARRIERS: Final = 100
MAX_HOSTS: Final = 64
MAX_RANGES: Final = 256
MAX_CODECS: Final = 32
_MAX_SHOWN: Final = 300

_MONTH: Final = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"

_IN_WORDS: Final = {
    "missing": "is required",
    "string_pattern_mismatch": "must be a month, like 2026-09",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be a map, like `name: …`",
}
"""Errors of pydantic whose own words name a type of Python."""


class WrongCarriers(ValueError):
    """A file of presets that cannot be used. `line`: counted from 1. The message says what is wrong or allowed."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


def _visible(text: str) -> str:
    if unseen(text) or not matches(WITHOUT_CONTROLS_AND_EDGE_BLANKS, text):
        message = "must have visible characters only, and must not begin or end with a blank"
        raise ValueError(message)
    return text


def _host(text: str) -> str:
    if text.startswith("*") or not is_termination_host(text):
        message = "must be a host name or an address, like sip.example.com, or .example.com for all hosts below it"
        raise ValueError(message)
    return canonical_host(text)


def _range(text: str) -> str:
    if not (is_cidr(text) or is_address(text)):
        message = "must be a CIDR or an address, like 203.0.113.0/28 or 203.0.113.7"
        raise ValueError(message)
    if is_wide(text):
        message = "must not be wider than /8 (IPv6: /16)"
        raise ValueError(message)
    return str(ipaddress.ip_network(text, strict=False))


def _header(text: str) -> str:
    if text and not is_header_name(text):
        message = "must be the name of a SIP header, like X-Account"
        raise ValueError(message)
    if text.lower() in RESERVED_HEADERS:
        message = "must not be a header that LiveKit writes itself; names such as X-Account are allowed"
        raise ValueError(message)
    return text


def _codec(text: str) -> str:
    if not matches(CODEC_NAME, text):
        message = "must be the name of a codec in SDP without a clock rate, like PCMU"
        raise ValueError(message)
    return text


_Text = Annotated[str, Field(max_length=1000), AfterValidator(_visible)]
_Codec = Annotated[str, AfterValidator(_codec)]
_Host = Annotated[str, AfterValidator(_host)]
_Range = Annotated[str, Field(max_length=64), AfterValidator(_range)]


class _Entry(BaseModel):
    """One carrier of a file. What is absent stays as the built-in preset of that name has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    name: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_visible)]
    hosts: Annotated[tuple[_Host, ...], Field(max_length=MAX_HOSTS)] = ()
    signalling_ranges: Annotated[tuple[_Range, ...], Field(max_length=MAX_RANGES)] = ()
    username_header: Annotated[str, AfterValidator(_header)] = ""
    answers_challenge: bool = True
    authentication: Annotated[tuple[CallOutProof, ...], Field(max_length=2)] = ()
    number_format: _Text = ""
    tls: bool = False
    srtp: bool = False
    codecs: Annotated[tuple[_Codec, ...], Field(max_length=MAX_CODECS)] = ()
    notes: _Text = ""
    sources: Annotated[tuple[_Text, ...], Field(max_length=8)] = ()
    read: Annotated[str, Field(pattern=_MONTH)] = ""

    @property
    def given(self) -> dict[str, Any]:
        """The fields of a preset that this entry says something about."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "name"}


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    carriers: Annotated[tuple[_Entry, ...], Field(max_length=MAX_CARRIERS)]


def extended(base: Catalogue, text: str) -> Catalogue:
    """The presets of `base` with those of a file's text: overridden by name, or added. Raises WrongCarriers.

    A carrier with a name of `base` keeps what the file does not mention; a list replaces the whole list.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_FILE_BYTES:
        raise WrongCarriers(1, f"must not be larger than {MAX_FILE_BYTES} bytes")
    try:
        document = read(text)
    except WrongYaml as exc:
        raise WrongCarriers(exc.line, exc.message) from None
    if not isinstance(document.value, dict):
        raise WrongCarriers(1, "must have the list `carriers`; write `carriers: []` for none")
    try:
        entries = _File.model_validate(document.value).carriers
    except ValidationError as exc:
        place, message = _first(exc)
        raise WrongCarriers(document.line_of(place), message) from None
    presets = {preset.carrier: preset for preset in base.presets}
    for place, message in _contradictions(base, entries):
        raise WrongCarriers(document.line_of(place), _shown(place, message))
    for entry in entries:
        known = presets.get(entry.name, replace(GENERIC, carrier=entry.name))
        presets[entry.name] = replace(known, **entry.given)
    return Catalogue(tuple(presets.values()))


def _contradictions(base: Catalogue, entries: tuple[_Entry, ...]) -> Iterator[tuple[Path, str]]:
    """What is wrong between the entries, and between them and the built-in presets."""
    built_in = {preset.carrier: preset for preset in base.presets}
    spelled = {name.lower(): name for name in (*built_in, GENERIC.carrier)}
    names: set[str] = set()
    replaced = {entry.name for entry in entries if "hosts" in entry.given}
    hosts = {host: preset.carrier for preset in base.presets if preset.carrier not in replaced for host in preset.hosts}
    for index, entry in enumerate(entries):
        place: Path = ("carriers", index)
        known = built_in.get(entry.name)
        if entry.name == GENERIC.carrier:
            yield (*place, "name"), "must not be Generic, which stands for carriers without a preset"
        elif known is None and entry.name.lower() in spelled:
            yield (*place, "name"), f"must be written {spelled[entry.name.lower()]}, as the built-in preset is"
        if entry.name.lower() in names:
            yield (*place, "name"), f"{entry.name} stands in the file twice"
        names.add(entry.name.lower())
        if known is None and not entry.hosts:
            yield place, f"{entry.name} needs `hosts`: an added carrier is recognised by its termination hosts"
        if known is not None and not known.answers_challenge and entry.given.get("answers_challenge"):
            message = f"must not be true: the CRD refuses inbound.authentication Digest with {entry.name}"
            yield (*place, "answersChallenge"), message
        for number, host in enumerate(entry.hosts):
            if host in hosts:
                yield (*place, "hosts", number), f"{host} is a host of {hosts[host]} already"
            hosts[host] = entry.name


def _first(exc: ValidationError) -> tuple[Path, str]:
    """The place of the first error, and the error in words."""
    error = exc.errors(include_input=False, include_url=False)[0]
    place = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        fields = _Entry.model_fields if len(place) > 1 else _File.model_fields
        allowed = ", ".join(to_camel(name) for name in fields)
        return place, _shown(place, f"is not known; allowed: {allowed}")
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be", 1)
    return place, _shown(place, _IN_WORDS.get(error["type"], message))


def _shown(place: Path, message: str) -> str:
    """A message with its place in front, like `carriers[0].hosts[1]: must …`."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return printable(f"{where}: {message}" if where else message, _MAX_SHOWN)
