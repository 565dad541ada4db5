"""Samples of what stands around the operator: the API server takes them with the CRDs of their owners, strictly."""

from collections.abc import Iterator

import pytest

from install.cluster import ROOT, Cluster
from testbed.module_files import CERT_MANAGER_CRDS, EXTERNAL_SECRETS_CRDS

SAMPLES = ROOT / "deploy" / "samples"
STRICT = ("apply", "--dry-run=server", "--validate=strict", "-f", "-")


@pytest.fixture(scope="module")
def around(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with the CRDs of cert-manager and External Secrets, and the namespaces of the samples."""
    files = [f"-f={path}" for path in (*CERT_MANAGER_CRDS.find(), *EXTERNAL_SECRETS_CRDS.find())]
    cluster.kubectl("create", *files)
    cluster.kubectl("wait", *files, "--for=condition=Established", "--timeout=20s")
    for name in ("livekit", "voice"):
        cluster.kubectl("create", "namespace", name)
    yield cluster
    cluster.kubectl("delete", "namespace", "livekit", "voice")
    cluster.kubectl("delete", *files)


@pytest.fixture(scope="module")
def samples(around: Cluster) -> dict[str, str]:
    """The manifests by what they show."""
    return {
        "livekit-sip": around.kubectl("kustomize", str(SAMPLES / "livekit-sip")),
        "load balancer": (SAMPLES / "livekit-sip" / "load-balancer.yaml").read_text(),
        "external secret": (SAMPLES / "external-secrets" / "external-secret.yaml").read_text(),
    }


@pytest.mark.parametrize("name", ["livekit-sip", "load balancer", "external secret"])
def test_the_api_server_takes_the_sample(around: Cluster, samples: dict[str, str], name: str) -> None:
    assert "created (server dry run)" in around.kubectl(*STRICT, stdin=samples[name])


@pytest.mark.parametrize(
    ("name", "field"),
    [("livekit-sip", "issuerRef"), ("load balancer", "externalTrafficPolicy"), ("external secret", "remoteRef")],
)
def test_a_misspelt_field_of_a_sample_is_refused(
    around: Cluster, samples: dict[str, str], name: str, field: str
) -> None:
    misspelt = samples[name].replace(f"{field}:", f"{field}s:")
    assert misspelt != samples[name]
    assert f"{field}s" in around.kubectl(*STRICT, stdin=misspelt, check=False)
