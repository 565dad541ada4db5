"""The plain manifests are the chart with its defaults."""

import json
import re
import shutil
from pathlib import Path

import pytest

from install.rendered import (
    DEFAULTS,
    NAME,
    NAMESPACED,
    NETWORK_POLICY,
    POLICIES,
    SEALING,
    URL,
    Json,
    identity,
    one,
)
from install.rendering import ROOT, chart, kustomized

# --- the plain manifests are the chart --------------------------------------------------------------------------------


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A copy of `deploy/` whose settings may be changed."""
    return shutil.copytree(ROOT / "deploy", tmp_path / "deploy")


def test_the_plain_manifests_are_the_chart_with_its_defaults() -> None:
    assert _comparable(kustomized(ROOT / "deploy")) == _comparable(chart(NAME, DEFAULTS))


def test_with_the_policies_too(deploy: Path) -> None:
    _with_policies(deploy / "kustomization.yaml")
    expected = chart(NAME, {**DEFAULTS, **POLICIES, "finalizerPolicy": "On"})
    assert _comparable(kustomized(deploy)) == _comparable(expected)


@pytest.mark.parametrize("policy", [False, True], ids=["alone", "with the network policy"])
def test_with_sealing_at_admission_too(deploy: Path, policy: bool) -> None:  # noqa: FBT001 (a parameter of pytest)
    kustomization = deploy / "kustomization.yaml"
    names = [*(["network-policy"] if policy else []), "sealing-admission", "require-sealed"]
    components = "components:\n" + "".join(f"  - components/{name}\n" for name in names)
    kustomization.write_text(kustomization.read_text() + components)
    values = {**SEALING, **NETWORK_POLICY} if policy else SEALING
    plain, rendered = _comparable(kustomized(deploy)), _comparable(chart(NAME, values))
    for found in (plain, rendered):
        _sorted_environment(one(list(found.values()), "Deployment"))
    assert plain == rendered


def test_with_the_network_policy_too(deploy: Path) -> None:
    kustomization = deploy / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text() + "components:\n  - components/network-policy\n")
    assert _comparable(kustomized(deploy)) == _comparable(chart(NAME, {**DEFAULTS, **NETWORK_POLICY}))


def test_with_monitoring_too(deploy: Path) -> None:
    kustomization = deploy / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text() + "components:\n  - components/monitoring\n")
    parts = ("serviceMonitor", "prometheusRule", "dashboard")
    values = {**DEFAULTS, "metrics": {part: {"enabled": True} for part in parts}}
    assert _comparable(kustomized(deploy)) == _comparable(chart(NAME, values))


def _sorted_environment(deployment: Json) -> None:
    """Lists in which the order means nothing, as a patch puts its own first."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for name in ("env", "ports"):
        container[name].sort(key=lambda each: each["name"])


@pytest.mark.parametrize(
    ("values", "policies"),
    [
        ({"finalizerPolicy": "Off"}, False),
        ({"finalizerPolicy": "On", **POLICIES, "namespacedNumbersEverywhere": True}, True),
    ],
    ids=["bare", "policies"],
)
def test_in_one_namespace_too(deploy: Path, values: Json, policies: bool) -> None:  # noqa: FBT001 (as above)
    overlay = deploy / "overlays" / "namespaced"
    settings = {"LIVEKIT_URL": URL, "BYOC_NAMESPACES": "phones", "BYOC_INSTALLATION_ID": "one"}
    (overlay / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    if policies:
        _with_policies(overlay / "kustomization.yaml")
    expected = chart(NAME, {**NAMESPACED, "namespaces": ["phones"], **values})
    assert _comparable(kustomized(overlay)) == _comparable(expected)


def test_a_changed_setting_of_the_plain_manifests_replaces_the_pods(deploy: Path) -> None:
    before = one(kustomized(deploy), "Deployment")
    with (deploy / "settings.env").open("a") as settings:
        settings.write("BYOC_LOG_LEVEL=DEBUG\n")
    after = kustomized(deploy)
    read = [found["data"] for found in after if found["kind"] == "ConfigMap"]
    assert [each["BYOC_LOG_LEVEL"] for each in read] == ["DEBUG"] * 2, "the pods' and the people's"
    assert one(after, "Deployment") != before


def _with_policies(kustomization: Path) -> None:
    """Take the components in by their own commented lines."""
    text = kustomization.read_text()
    assert "# components:\n#   - " in text
    kustomization.write_text(text.replace("# components:\n", "components:\n").replace("\n#   - ", "\n  - "))


# --- helpers ----------------------------------------------------------------------------------------------------------

_OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
_HASH = re.compile(r"(byoc-operator-settings)-[a-z0-9]{10}\b")


def _comparable(rendered: list[Json]) -> dict[tuple[str, str, str, str], Json]:
    """By identity, without the namespace and without what only helm or only kustomize adds."""
    plain: list[Json] = json.loads(_HASH.sub(r"\1", json.dumps(rendered)))
    shared = (each for each in plain if each["kind"] not in ("Namespace", "Pod"))  # the pod is that of `helm test`
    return {identity(each): _without_marks(each) for each in shared}


def _without_marks(found: Json) -> Json:
    for metadata in (found["metadata"], found.get("spec", {}).get("template", {}).get("metadata", {})):
        for name in _OF_HELM:
            metadata.get("labels", {}).pop(name, None)
        annotations = metadata.pop("annotations", {})
        kept = {
            name: value
            for name, value in annotations.items()
            if name not in ("helm.sh/resource-policy", "byoc.talkifai.dev/settings")
        }
        if kept:
            metadata["annotations"] = kept
    return found
