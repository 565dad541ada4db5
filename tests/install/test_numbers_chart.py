"""The chart of the numbers: it renders what was meant, and refuses what the CRD refuses, in the CRD's words."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from byoc_operator.api import grammar
from byoc_operator.api.openapi import spec_schema
from byoc_operator.api.rule import Rule
from byoc_operator.api.rules import RULES
from byoc_operator.api.structural import violations
from byoc_operator.generate.command import CRD_FILE
from byoc_operator.generate.numbers_chart import FOLDER, WIDE, numbers_chart_files, text_form
from install.cluster import ROOT, Cluster
from install.rendering import RenderRefused, chart, chart_text, notes, run_helm
from manifests import BAD, BASE, GOOD, BadManifest, Spec
from testbed import tools
from testbed.process import clean_environment

pytestmark = pytest.mark.install

NAME = "byoc-phone-numbers"
CHART = ROOT / FOLDER
Values = dict[str, Any]

OWN_NUMBER = {"no number", "number as integer"} | {bad.name for bad in BAD if bad.field == "spec.phoneNumber"}
"""Bad manifests that are about the number itself; the others are given one each, as none may stand twice."""
MISFITS = [bad for bad in BAD if any(violations(spec_schema(), bad.spec, "spec"))]
"""Wrong in type or size: refused by the schema of the values, in its own words."""
OF_THE_TEMPLATE = {"no termination", "secret no name"}
"""Of these, what may stand in the defaults: only the template sees both."""
BY_SCHEMA = [bad for bad in MISFITS if bad.name not in OF_THE_TEMPLATE]
BY_RULE = [bad for bad in BAD if bad not in BY_SCHEMA]


def rendered(values: Mapping[str, Any], **options: Any) -> list[dict[str, Any]]:
    """The objects of the chart."""
    return chart(NAME, values, release="numbers", namespace="voice", **options)


def refusal(values: Mapping[str, Any]) -> str:
    """What helm says of values that it must not render."""
    with pytest.raises(RenderRefused) as refused:
        rendered(values)
    return str(refused.value)


def numbered(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Spec]:
    """The specs with a number of their own each."""
    return {name: {**spec, "phoneNumber": f"+1202555{index:04}"} for index, (name, spec) in enumerate(specs.items())}


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


# --- the forms are those of the operator ------------------------------------------------------------------------------

TEXT_RULES = [
    rule
    for rule in RULES
    if rule.holds is not None
    and rule.cel != "self.size() > 0"
    and rule.node not in ("", "inbound", "outbound.headers", "inbound.headersToAttributes", "inbound.agentMetadata")
]
_GROUPS = st.one_of(st.sampled_from(["0", "0000", "ffff", "FFFF", "1", "db8", "12345", ""]))
_QUADS = st.lists(st.sampled_from(["0", "7", "01", "255", "256", "203"]), min_size=3, max_size=5).map(".".join)
_COLONS = st.lists(_GROUPS, min_size=2, max_size=9).map(":".join)
_MIXED = st.builds("{}:{}".format, _COLONS, _QUADS)
_ADDRESSES = st.one_of(
    _QUADS, _COLONS, _MIXED, st.ip_addresses().map(str), st.ip_addresses(v=6).map(lambda ip: ip.exploded)
)
_CIDRS = st.builds(
    "{}/{}".format, _ADDRESSES, st.sampled_from(["0", "7", "8", "08", "15", "16", "32", "33", "129", ""])
)
_ENDPOINTS = st.builds(
    "{}{}".format,
    st.one_of(_ADDRESSES, _ADDRESSES.map("[{}]".format), st.from_regex(grammar.HOST_NAME, fullmatch=True)),
    st.sampled_from(["", ":", ":0", ":5061", ":65535", ":65536", ":a"]),
)
_TEXTS = st.one_of(st.text(max_size=20), _ADDRESSES, _CIDRS, _ENDPOINTS, st.from_regex(r"[a-zA-Z0-9._ -]{0,6}"))


def fits(form: Mapping[str, Any], text: str) -> bool:
    """As the template judges it."""
    return all(_found(pattern, text) for pattern in form.get("all", ())) and not any(
        _found(pattern, text) for pattern in form.get("none", ())
    )


def _found(pattern: str, text: str) -> bool:
    pattern = re.sub(r"\\x\{([0-9a-f]+)\}", lambda code: f"\\U{int(code[1], 16):08x}", pattern)  # Go's notation
    # In Go `$` is the end of the text; in Python it is also before a line break at the end.
    return (
        re.search(pattern.replace("$)", r"\Z)").removesuffix("$") + (r"\Z" if pattern.endswith("$") else ""), text)
        is not None
    )


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: f"{rule.node}: {rule.message[:24]}")
@settings(max_examples=300, deadline=None)
@given(text=_TEXTS)
@example(text="::ffff:203.0.113.7")
@example(text="0:0:0:0:0:ffff::1")
@example(text="0::ffff:0")
@example(text="0::ffff:0/0")
@example(text="::ffff:0")
@example(text="::FFFF:1.2.3.4")
@example(text="::ffff:1.2.3.4/96")
@example(text="0:0::0:ffff:1:2")
@example(text="0:0:0:0:0:ffff::")
@example(text="0:0:0:0:ffff::1")
@example(text="fe80::1%eth0")
@example(text="fe80::%eth0/10")
@example(text="203.0.113.007")
@example(text="10.0.0.0/08")
@example(text="1:2:3:4:5:6:7::")
@example(text="1:2:3:4:5:6:7:8::")
@example(text="[::ffff:203.0.113.7]")
@example(text="[::ffff:203.0.113.7]:5060")
@example(text="[2001:DB8::1]")
@example(text="user\ufeff")
@example(text="\u3000user")
@example(text="us\u200der")
@example(text="us\ud800er")
@example(text="username")
@example(text="a" * 253 + ".b")
def test_the_chart_and_the_operator_accept_the_same_texts(rule: Rule, text: str) -> None:
    bound = 64 if rule.node.startswith("inbound") else 253 if rule.node == "outbound.fromHost" else 320
    text = text[:bound]  # longer ones do not pass the schema
    assert rule.holds is not None
    assert fits(text_form(rule), text) == rule.holds(text)


@settings(max_examples=1000, deadline=None)
@given(text=_CIDRS)
@example(text="0::ffff:0/0")
@example(text="::ffff:0:0/8")
@example(text="0:0:0:0:0:ffff::/7")
@example(text="2001:DB8::/15")
@example(text="::1.2.3.4/0")
def test_the_chart_and_the_operator_find_the_same_ranges_wide(text: str) -> None:
    mapped = grammar.is_cidr(text) != fits(text_form(_rule("inbound.allowedAddresses[]")), text)
    assert not mapped
    if grammar.is_cidr(text):
        assert _found(WIDE, text) == grammar.is_wide(text)


def _rule(node: str) -> Rule:
    return next(rule for rule in RULES if rule.node == node)


# --- renderings -------------------------------------------------------------------------------------------------------

GOOD_NUMBERS = {f"good-{index:02}": spec for index, spec in enumerate(GOOD.values())}


@pytest.mark.parametrize("helm", [tools.HELM, tools.HELM_3], ids=lambda tool: tool.label)
def test_every_good_spec_is_rendered_as_it_is(helm: tools.Tool) -> None:
    numbers = numbered(GOOD_NUMBERS)
    found = {each["metadata"]["name"]: each["spec"] for each in rendered({"numbers": numbers}, helm=helm)}
    assert found == numbers


@pytest.mark.parametrize("name", ["shortest number", "longest number"])
def test_the_shortest_and_the_longest_number_are_rendered(name: str) -> None:
    assert [each["spec"] for each in rendered({"numbers": {"a": GOOD[name]}})] == [GOOD[name]]


def test_texts_that_yaml_takes_for_something_else_stay_texts() -> None:
    odd = {
        "a": "no",
        "b": "0x10",
        "c": "1e3",
        "d": "~",
        "e": "1:30",
        "f": "2026-01-01",
        "g": "",
        "h": "- x",
        "i": "'\"",
    }
    spec = {
        **BASE,
        "inboundAgentId": "007",
        "inbound": {"agentMetadata": odd},
        "outbound": {"destinationCountry": "no"},
    }
    assert rendered({"numbers": {"1": spec}})[0]["spec"] == spec


def test_null_is_as_good_as_absent() -> None:
    spec = {**BASE, "friendlyName": None, "inbound": None, "carrier": None, "outbound": {"fromHost": None}}
    assert rendered({"numbers": {"a": spec}})[0]["spec"] == {**BASE, "outbound": {}}
    assert rendered({"defaults": None, "numbers": None, "commonLabels": None}) == []


def test_the_object_is_the_same_whatever_the_release_is_called() -> None:
    one, other = (chart(NAME, {"numbers": {"a": BASE}}, release=release, namespace="voice")[0] for release in "xy")
    assert (one["metadata"]["name"], one["metadata"]["namespace"]) == ("a", "voice")
    assert other == {**one, "metadata": {**one["metadata"], "labels": other["metadata"]["labels"]}}


def test_the_notes_say_what_comes_next_and_nothing_of_the_values() -> None:
    values = {"numbers": {"main-support": {**BASE, "sipPasswordSecretRef": {"name": "twilio-sip"}}}}
    said = notes(NAME, values, namespace="voice")
    assert "kubectl get bpn -n voice" in said
    assert ".status.originationUri" in said
    values_said = ("main-support", BASE["phoneNumber"], BASE["terminationUri"], BASE["inboundAgentId"], "twilio-sip")
    assert [value for value in values_said if value in said] == []
    assert "no numbers in the values yet" in notes(NAME, {}, namespace="voice")


# --- the chart itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("helm", [tools.HELM, tools.HELM_3], ids=lambda tool: tool.label)
def test_lint_has_nothing_to_say_of_the_default_values(helm: tools.Tool) -> None:
    assert "0 chart(s) failed" in run_helm(helm, "lint", "--strict", str(CHART), values={})


def test_the_cases_beside_the_chart_pass(tmp_path: Path) -> None:
    command = [str(tools.find(tools.HELM_UNITTEST)), str(CHART)]
    environment = clean_environment() | {"HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Tests: +[1-9][0-9]* passed", done.stdout)


def test_schema_and_rules_are_made_from_the_crd() -> None:
    made = numbers_chart_files()
    assert {path: (ROOT / path).read_text(encoding="utf-8") for path in made} == made


def test_the_chart_has_the_version_of_the_operator() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (version, version)


def test_the_example_in_the_readme_renders() -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", (CHART / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    found = {each["metadata"]["name"]: each["spec"] for each in rendered(yaml.safe_load(shown))}
    assert set(found) == {"main-support", "sales", "only-calling"}
    assert "inboundAgentId" not in found["only-calling"]


def test_the_readme_names_every_value() -> None:
    text = (CHART / "README.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(
        yaml.safe_load((CHART / "values.yaml").read_text())
    )


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


def test_the_api_server_takes_every_good_rendering(cluster: Cluster, voice: str) -> None:
    text = chart_text(NAME, {"numbers": numbered(GOOD_NUMBERS)}, release="numbers", namespace=voice)
    taken = cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=text).splitlines()
    assert len(taken) == len(GOOD)


def test_an_upgrade_deletes_what_was_taken_out_and_leaves_the_rest_alone(
    cluster: Cluster, voice: str, tmp_path: Path
) -> None:
    kept, gone = numbered({"kept": BASE, "gone": BASE}).items()
    _helm(cluster, "install", voice, tmp_path, dict((kept, gone)))
    before = {each["metadata"]["name"]: each["metadata"] for each in cluster.get("bpn", "-n", voice)["items"]}
    assert set(before) == {"kept", "gone"}
    added = ("added", {**BASE, "phoneNumber": "+12025550199"})
    _helm(cluster, "upgrade", voice, tmp_path, dict((kept, added)))
    after = {each["metadata"]["name"]: each["metadata"] for each in cluster.get("bpn", "-n", voice)["items"]}
    assert set(after) == {"kept", "added"}
    same = ("uid", "generation")
    assert [after["kept"][field] for field in same] == [before["kept"][field] for field in same]
    cluster.helm("uninstall", "numbers", "-n", voice)
    assert cluster.get("bpn", "-n", voice).get("items", []) == []


def _helm(cluster: Cluster, command: str, namespace: str, folder: Path, numbers: Mapping[str, Spec]) -> None:
    file = folder / f"{command}.json"
    file.write_text(json.dumps({"numbers": numbers}))
    cluster.helm(command, "numbers", str(CHART), "-n", namespace, "-f", str(file))
