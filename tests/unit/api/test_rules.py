"""The Python rules against the shared table of good and bad specs, and the generated files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api import grammar
from byoc_operator.api.crd import build_crd
from byoc_operator.api.rules import RULES
from byoc_operator.api.schema import Authentication, PhoneNumberSpec, Transport
from byoc_operator.api.structural import Problem
from byoc_operator.api.validation import parse_spec, problems
from byoc_operator.generate.command import outdated
from manifests import BAD, BASE, GOOD, BadManifest, merged

ROOT = Path(__file__).parents[3]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
spec_fields = st.sampled_from(sorted({field for spec in GOOD.values() for field in spec}))
inbound_fields = st.sampled_from(sorted(GOOD["everything"]["inbound"]))
outbound_fields = st.sampled_from(sorted(GOOD["everything"]["outbound"]))
nested_values = st.dictionaries(inbound_fields | outbound_fields, json_values, max_size=4)


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_a_stored_object_keeps_a_header_that_sets_an_attribute_of_livekits(direction: str) -> None:
    names = {"X-Id": "sip.phoneNumber", "X-State": "lk.agent.state"}
    spec = {**BASE, direction: {"headersToAttributes": names}}
    assert [each.field for each in problems(spec)] == [f"spec.{direction}.headersToAttributes"]
    stored = parse_spec(spec)
    assert isinstance(stored, PhoneNumberSpec)
    assert getattr(stored, direction).headers_to_attributes == names


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_spec_is_refused_with_words_that_help(bad: BadManifest) -> None:
    found = problems(bad.spec)
    refusal = "; ".join(str(problem) for problem in found)
    assert [problem.field for problem in found] == [bad.field]
    assert [word for word in bad.words if word not in refusal] == []


@pytest.mark.parametrize("spec", GOOD.values(), ids=GOOD)
def test_a_good_spec_is_parsed(spec: Mapping[str, Any]) -> None:
    assert isinstance(parse_spec(spec), PhoneNumberSpec)


def test_names_of_bad_manifests_are_unique() -> None:
    assert len({bad.name for bad in BAD}) == len(BAD)


def _leaves(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """The paths of the fields below a schema that have no fields of their own."""
    for name, below in schema["properties"].items():
        if "properties" in below:
            yield from _leaves(below, f"{path}.{name}")
        else:
            yield f"{path}.{name}"


def test_every_field_has_a_bad_manifest() -> None:
    spec = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    blamed = {bad.field.partition("[")[0] for bad in BAD}
    assert [field for field in _leaves(spec, "spec") if field not in blamed] == []


def test_every_rule_has_a_bad_manifest() -> None:
    refusals = [problem.message for bad in BAD for problem in problems(bad.spec)]
    untried = [
        rule.message
        for rule in RULES
        if rule.holds is not None and not any(refusal.startswith(rule.message) for refusal in refusals)
    ]
    assert untried == []


def test_defaults_are_those_of_the_crd() -> None:
    spec = parse_spec({"phoneNumber": "+4930123456", "terminationUri": "sip.example.com"})
    assert isinstance(spec, PhoneNumberSpec)
    assert (spec.transport, spec.inbound.authentication) == (Transport.TLS, Authentication.NONE)
    assert spec.inbound.allowed_addresses is None


def test_null_is_as_good_as_absent() -> None:
    nulls = {"friendlyName": None, "inbound": None, "sipPasswordSecretRef": None, "carrier": None}
    assert parse_spec({**BASE, **nulls}) == parse_spec(BASE)


def test_an_unknown_field_is_passed_over() -> None:
    assert parse_spec({**BASE, "colour": "blue"}) == parse_spec(BASE)


def test_all_problems_are_told_at_once() -> None:
    found = problems(merged(BASE, {"phoneNumber": "1", "terminationUri": "sip:a.b", "sipUsername": "u"}))
    assert [problem.field for problem in found] == [
        "spec.phoneNumber",
        "spec.terminationUri",
        "spec.sipPasswordSecretRef",
    ]


@given(json_values)
def test_no_json_value_makes_the_parser_crash(value: object) -> None:
    assert isinstance(parse_spec(value), PhoneNumberSpec | tuple)


@given(st.dictionaries(spec_fields, json_values | nested_values))
def test_no_spec_with_our_field_names_makes_the_parser_crash(changes: dict[str, Any]) -> None:
    parsed = parse_spec({**BASE, **changes})
    assert isinstance(parsed, PhoneNumberSpec) or all(isinstance(problem, Problem) for problem in parsed)


@given(st.text() | st.from_regex(r"\s*(sips?:)?[a-z@.:\[\]0-9]{0,30}(;transport=[a-z]+)?"))
def test_a_suggested_termination_uri_is_a_valid_one(pasted: str) -> None:
    meant = grammar.endpoint_meant(pasted)
    assert not meant or grammar.is_endpoint(meant)


def test_part_of_a_mistyped_host_is_not_suggested() -> None:
    """Credentials would go to somebody else's host."""
    assert grammar.endpoint_meant("sip:my_trunk.example.com") == ""


@given(st.ip_addresses().map(str) | st.text(alphabet="0123456789abcdef.:/%", max_size=20))
def test_an_address_is_also_a_cidr_with_its_full_prefix(text: str) -> None:
    full = 128 if ":" in text else 32
    assert grammar.is_address(text) == grammar.is_cidr(f"{text}/{full}")


def test_the_crd_has_no_pattern_and_no_default_inside_a_list() -> None:
    def walk(node: object, *, in_list: bool) -> list[str]:
        if not isinstance(node, Mapping):
            return []
        own = [key for key in ("pattern", "$ref", "title", "anyOf") if isinstance(node.get(key), str | list)]
        own += ["default in a list"] if in_list and "default" in node else []
        below = [walk(child, in_list=in_list or key == "items") for key, child in node.items()]
        return own + [found for part in below for found in part]

    assert walk(build_crd()["spec"]["versions"][0]["schema"], in_list=False) == []


def test_generated_files_are_current() -> None:
    assert outdated(ROOT) == []
