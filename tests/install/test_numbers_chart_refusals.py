"""The chart of the numbers refuses what the CRD refuses, in the words of the CRD."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from byoc_operator.api.openapi import spec_schema
from byoc_operator.api.structural import violations
from byoc_operator.generate.command import CRD_FILE
from install.cluster import ROOT, Cluster
from install.numbered import numbered, rendered
from install.rendering import RenderRefused
from manifests import BAD, BASE, BadManifest

pytestmark = pytest.mark.install
Values = dict[str, Any]
OWN_NUMBER = {"no number", "number as integer", "inbound alias that is the number"} | {
    bad.name for bad in BAD if bad.field == "spec.phoneNumber"
}
"""Bad manifests that are about the number itself; the others are given one each, as none may stand twice."""
MISFITS = [bad for bad in BAD if any(violations(spec_schema(), bad.spec, "spec"))]
"""Wrong in type or size: refused by the schema of the values, in its own words."""
OF_THE_TEMPLATE = {bad.name for bad in MISFITS if "Required value" in bad.words} - {"no number"}
"""Of these, what may stand in the defaults: only the template sees both."""
BY_SCHEMA = [bad for bad in MISFITS if bad.name not in OF_THE_TEMPLATE]
BY_RULE = [bad for bad in BAD if bad not in BY_SCHEMA]


def refusal(values: Mapping[str, Any]) -> str:
    """What helm says of values that it must not render."""
    with pytest.raises(RenderRefused) as refused:
        rendered(values)
    return str(refused.value)


def values_of(bads: list[BadManifest]) -> Values:
    """All in one rendering: helm tells everything that is wrong at once."""
    own = {key(bad): bad.spec for bad in bads if bad.name in OWN_NUMBER}
    others = {key(bad): bad.spec for bad in bads if bad.name not in OWN_NUMBER}
    return {"numbers": {**own, **numbered(others)}}


def key(bad: BadManifest) -> str:
    return f"bad-{BAD.index(bad):03}"


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told_by_rules() -> list[str]:
    return refusal(values_of(BY_RULE)).splitlines()


@pytest.fixture(scope="module")
def told_by_schema() -> list[str]:
    return refusal(values_of(BY_SCHEMA)).splitlines()


@pytest.mark.parametrize("bad", BY_RULE, ids=lambda bad: bad.name)
def test_what_a_rule_of_the_crd_refuses_is_refused_in_its_words(told_by_rules: list[str], bad: BadManifest) -> None:
    path = f"numbers.{key(bad)}"
    told = [line for line in told_by_rules if line.startswith((f"{path}.", f"{path}:"))]
    assert [line.partition(": ")[0] for line in told] == [bad.field.replace("spec", path, 1)]
    words = ("must be set, here or in defaults",) if bad.name in OF_THE_TEMPLATE else bad.words
    assert [word for word in words if word not in told[0]] == []


@pytest.mark.parametrize("bad", BY_SCHEMA, ids=lambda bad: bad.name)
def test_what_does_not_fit_in_type_or_size_is_refused_by_the_schema(
    told_by_schema: list[str], bad: BadManifest
) -> None:
    number, _, field = f"/numbers/{key(bad)}{bad.field.removeprefix('spec').replace('.', '/')}".rpartition("/")
    told = [line for line in told_by_schema if f"'{number}/{field}'" in line or f"'{number}': missing" in line]
    assert len(told) == 1
    assert field in told[0]
    assert re.search("got .*, want|must be one of '|missing property|must be >=|minimum|maximum", told[0])


def test_one_bad_number_is_enough_to_refuse_all() -> None:
    good = {"phoneNumber": "+12025550100", "terminationUri": "sip.example.com"}
    bad = {"phoneNumber": "+12025550101", "terminationUri": "sip:sip.example.com"}
    assert "numbers.b.terminationUri: must be host" in refusal({"numbers": {"a": good, "b": bad}})


def test_a_bad_default_is_refused_where_it_stands_even_without_numbers() -> None:
    said = refusal({"defaults": {"terminationUri": "sip:u:hunter2@x.pstn.twilio.com;transport=tls"}})
    assert "defaults.terminationUri: must be host" in said
    assert "write terminationUri: x.pstn.twilio.com and transport: TLS" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("defaults", "number", "words"),
    [
        ({"transport": "UDP"}, {}, "numbers.a.mediaEncryption: must be Allowed or Disabled unless transport is TLS"),
        ({"sipUsername": "u"}, {}, "numbers.a.sipPasswordSecretRef: must be set when sipUsername is set"),
        (
            {"sipUsername": "u", "sipPasswordSecretRef": {"name": "s"}},
            {"sipPasswordSecretRef": None},
            "numbers.a.sipPasswordSecretRef: must be set when sipUsername is set",
        ),
        (
            {"inbound": {"allowAnyAddress": True, "allowedAddresses": ["0.0.0.0/0"]}},
            {"inbound": {"allowAnyAddress": False}},
            "numbers.a.inbound.allowedAddresses: must not have ranges wider than /8",
        ),
        (
            {"inbound": {"authentication": "Digest"}, "sipPasswordSecretRef": {"name": "s"}},
            {"terminationUri": "x.pstn.twilio.com"},
            "numbers.a.inbound.authentication: must be None with Twilio",
        ),
        (
            {"outbound": {"headers": {f"X-{i}": "x" for i in range(16)}}},
            {"outbound": {"headers": {"X-16": "x"}}},
            "numbers.a.outbound.headers: must have at most 16 entries, those of defaults included",
        ),
        ({"terminationUri": "sip.example.com"}, {"terminationUri": None}, "numbers.a.terminationUri: must be set"),
        ({}, {"sipPasswordSecretRef": {"key": "k"}}, "numbers.a.sipPasswordSecretRef.name: must be set"),
    ],
)
def test_a_number_and_the_defaults_must_fit_together(defaults: Values, number: Values, words: str) -> None:
    values = {
        "defaults": {"terminationUri": "sip.example.com", **defaults},
        "numbers": {"a": {"phoneNumber": "+12025550100", **number}},
    }
    assert words in refusal(values)


def test_a_name_that_no_object_can_have_is_refused() -> None:
    values = {"numbers": {"Main_Support": {**BASE}}}
    assert "numbers.Main_Support: must be a name for the object: lower-case letters" in refusal(values)


@pytest.mark.parametrize(
    "path",
    [
        "password",
        "defaults.password",
        "defaults.sipPassword",
        "numbers.a.password",
        "numbers.a.sipPassword",
        "numbers.a.sipPasswordSecretRef.password",
        "numbers.a.inbound.password",
        "numbers.a.inbound.agentMetadata.password",
        "numbers.a.inbound.headersToAttributes.password",
        "numbers.a.outbound.password",
        "numbers.a.outbound.headers.Password",
        "numbers.a.annotations.password",
        "numbers.a.labels.password",
        "commonLabels.password",
    ],
)
def test_a_password_is_refused_by_name_and_not_repeated(path: str) -> None:
    *above, name = path.split(".")
    values: Values = {"numbers": {"a": {**BASE, "sipPasswordSecretRef": {"name": "s"}}}}
    within = values
    for step in above:
        within = within.setdefault(step, {})
    within[name] = "hunter2"
    said = refusal(values)
    assert f"additional properties '{name}' not allowed" in said or f"/{name}': false schema" in said
    assert "hunter2" not in said


def test_a_misspelt_value_is_refused_wherever_it_stands() -> None:
    values = {"nubmers": {}, "defaults": {"terminationURI": "x"}, "numbers": {"a": {**BASE, "inbound": {"ring": 1}}}}
    said = refusal(values)
    assert [name for name in ("nubmers", "terminationURI", "ring") if f"'{name}' not allowed" not in said] == []


# --- on a cluster -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def voice(cluster: Cluster) -> Iterator[str]:
    """A namespace in a cluster that has our CRD and no operator, so that nothing holds a deletion up."""
    cluster.remove_everything()
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / CRD_FILE))
    cluster.bed.wait_for_crd()
    namespace = cluster.namespace("voice")
    yield namespace
    cluster.remove_everything()
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
