"""The chart of the numbers renders what was meant, and installs it."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from byoc_operator.generate.command import CRD_FILE
from byoc_operator.generate.numbers_chart import FOLDER, numbers_chart_files
from install.cluster import ROOT, Cluster
from install.numbered import NAME, numbered, rendered
from install.rendering import chart, chart_text, notes, run_helm
from manifests import BASE, GOOD, Spec
from testbed import tools
from testbed.process import clean_environment
from testbed.tool import Tool

pytestmark = pytest.mark.install
CHART = ROOT / FOLDER
# --- renderings -------------------------------------------------------------------------------------------------------

GOOD_NUMBERS = {f"good-{index:02}": spec for index, spec in enumerate(GOOD.values())}


@pytest.mark.parametrize("helm", [tools.HELM, tools.HELM_3], ids=lambda tool: tool.label)
def test_every_good_spec_is_rendered_as_it_is(helm: Tool) -> None:
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
    assert "The values have no numbers yet" in notes(NAME, {}, namespace="voice")


# --- the chart itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("helm", [tools.HELM, tools.HELM_3], ids=lambda tool: tool.label)
def test_lint_has_nothing_to_say_of_the_default_values(helm: Tool) -> None:
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
