"""helm and kubectl take what we ship, and the API server takes what they make of it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from install.cluster import CHART, CRD, NAME, ROOT, Cluster, Json
from install.strict_schemas import write_strict_schemas
from testbed import tools
from testbed.tool import Tool

NAMESPACE = "byoc-system"
ALL_NAMESPACES = ("--set", "livekit.url=wss://livekit.example.com")
NAMESPACED = (*ALL_NAMESPACES, "--set", "namespaces={byoc-one,byoc-two}", "--set", "installationId=one")
RENDERED = {
    "least": ALL_NAMESPACES,
    "namespaced": NAMESPACED,
    "everything": (
        *ALL_NAMESPACES,
        *("--set", "sip.uri=sip.voice.example:5061", "--set", "sip.addresses={203.0.113.10,198.51.100.0/28}"),
        *("--set", "finalizerPolicy=On", "--set", "terminationHosts={.twilio.com}"),
        *("--set", "podAnnotations.a=b", "--set", "podLabels.c=d", "--set", "commonLabels.e=f"),
        *("--set", "serviceAccount.annotations.g=h", "--set", "priorityClassName=system-cluster-critical"),
        *("--set", "sealing.admission.enabled=true", "--set", "sealing.requireAtAdmission=true"),
        *("--set", "policies.metadata=true", "--set", "policies.namespaces.enabled=true"),
        *("--set", "log.level=DEBUG", "--set", "log.format=text", "--set", "networkPolicy.enabled=true"),
    ),
}
_NAMED = ("byoc-one", "byoc-two", "voice")
"""Namespaces that what we render speaks of; a dry run wants them to be there."""
_COMPONENTS = ("finalizer-policy", "metadata-policy", "namespace-policy", "network-policy", "numbers-everywhere")
KUSTOMIZED = ("deploy", "deploy/overlays/namespaced", *(f"deploy/components/{name}" for name in _COMPONENTS))


@pytest.fixture(scope="module")
def schemas(cluster: Cluster, place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Schemas of what the API server knows, our CRD included; unknown fields are refused."""
    del place  # nothing else is installed
    cluster.kubectl("apply", "-f", str(ROOT / "deploy/base/crd.yaml"))
    cluster.bed.wait_for_crd()
    cluster.until(lambda: "ByocPhoneNumber" in cluster.kubectl("get", "--raw", "/openapi/v2"), "the CRD is published")
    folder = tmp_path_factory.mktemp("schemas")
    write_strict_schemas(json.loads(cluster.kubectl("get", "--raw", "/openapi/v2")), folder)
    for name in (NAMESPACE, *_NAMED):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield folder
    cluster.kubectl("delete", "namespace", NAMESPACE, *_NAMED)  # waits: others need these names


def conforms(manifests: str, schemas: Path) -> None:
    command = [
        str(tools.find(tools.KUBECONFORM)),
        "-strict",
        "-summary",
        f"-schema-location={schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        "-",
    ]
    done = subprocess.run(command, input=manifests, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tool", [tools.HELM, tools.HELM_3], ids=["helm-4", "helm-3"])
@pytest.mark.parametrize("name", RENDERED)
def test_the_api_server_takes_what_the_chart_renders(cluster: Cluster, schemas: Path, name: str, tool: Tool) -> None:
    command = ("template", NAME, str(CHART), "-n", NAMESPACE, "--include-crds", *RENDERED[name])
    rendered = cluster.helm(*command, "--kube-version=1.37.2", tool=tool)
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=rendered)
    conforms(rendered, schemas)


@pytest.mark.parametrize("folder", KUSTOMIZED)
def test_the_api_server_takes_the_plain_manifests(cluster: Cluster, schemas: Path, folder: str) -> None:
    if "components" in folder:
        (file,) = (each for each in (ROOT / folder).glob("*.yaml") if each.name != "kustomization.yaml")
        rendered = file.read_text()
    else:
        rendered = cluster.kubectl("kustomize", str(ROOT / folder))
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=rendered)
    conforms(rendered, schemas)


def test_the_samples_conform_and_a_misspelt_field_does_not(schemas: Path) -> None:
    samples = "\n---\n".join(path.read_text() for path in sorted((ROOT / "deploy/samples").glob("*.yaml")))
    conforms(samples, schemas)
    with pytest.raises(AssertionError, match="terminationURI"):
        conforms(samples.replace("terminationUri:", "terminationURI:"), schemas)


@pytest.mark.parametrize("tool", [tools.HELM, tools.HELM_3], ids=["helm-4", "helm-3"])
def test_helm_installs_and_upgrades_and_a_changed_setting_rolls_the_pods(cluster: Cluster, tool: Tool) -> None:
    cluster.remove_everything(crd=True)
    place = cluster.namespace()
    cluster.livekit_secret(place)
    cluster.install(place, tool=tool)
    before = _template(cluster, place)
    assert _available(cluster, place) == 2

    # Two pods, each with its grace period.
    changed = ("upgrade", NAME, str(CHART), "-n", place, "--reuse-values", "--wait", "--timeout=180s")
    cluster.helm(*changed, tool=tool)
    assert _template(cluster, place) == before, "an upgrade without a change restarts nothing"
    cluster.helm(*changed, "--set", "log.level=DEBUG", tool=tool)
    assert _template(cluster, place) != before
    assert _available(cluster, place) == 2

    cluster.helm("uninstall", NAME, "-n", place, "--wait", tool=tool)
    assert cluster.get("crd", CRD), "deleting the CRD would delete every number"
    assert not cluster.get("deployment", "-n", place).get("items")
    cluster.remove_everything()
    cluster.kubectl("delete", "namespace", place, "--wait=false")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("livkit.url=wss://x", "livkit"),
        ("finalizerPolicy=Maybe", "finalizerPolicy"),
        ("replicaCount=two", "replicaCount"),
    ],
)
def test_a_misspelt_value_stops_helm(cluster: Cluster, setting: str, words: str) -> None:
    command = ("template", NAME, str(CHART), "-n", NAMESPACE, *ALL_NAMESPACES, "--set", setting)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        cluster.helm(*command)
    assert words in refused.value.stderr


def test_chart_and_plain_manifests_hold_the_same_crd(cluster: Cluster) -> None:
    command = ("template", NAME, str(CHART), "-n", NAMESPACE, "--include-crds", *ALL_NAMESPACES)
    held = {
        name: _crd(text)
        for name, text in {
            "chart": cluster.helm(*command),
            "manifests": cluster.kubectl("kustomize", str(ROOT / "deploy")),
            "crds": next((ROOT / "crds").glob("*.yaml")).read_text(),
        }.items()
    }
    assert held["chart"] == held["crds"] == held["manifests"]


def _crd(text: str) -> Json:
    (found,) = (each for each in yaml.safe_load_all(text) if each and each["kind"] == "CustomResourceDefinition")
    spec: Json = found["spec"]
    return spec


def _template(cluster: Cluster, place: str) -> Json:
    template: Json = cluster.get("deployment", NAME, "-n", place)["spec"]["template"]
    return template


def _available(cluster: Cluster, place: str) -> int:
    return int(cluster.get("deployment", NAME, "-n", place)["status"].get("availableReplicas", 0))
