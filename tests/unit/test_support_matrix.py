"""The versions that the documentation calls tested are those of the test bed."""

from pathlib import Path

import pytest

from testbed import tools
from testbed.tool import Tool

ROOT = Path(__file__).parents[2]
TESTED = {
    row.split("|")[1].strip(): row.split("|")[2]
    for row in (ROOT / "docs" / "upgrading.md").read_text().splitlines()
    if row.startswith("| ")
}
"""The cell of each row of the matrix that says what is tested, by what it is about."""


@pytest.mark.parametrize(
    ("row", "tool"),
    [
        ("Kubernetes API server", tools.KUBE_APISERVER),
        ("LiveKit server", tools.LIVEKIT_SERVER),
        ("Helm", tools.HELM),
        ("Helm", tools.HELM_3),
        ("kubectl, kustomize", tools.KUBECTL),
        ("Argo CD", tools.ARGOCD),
        ("Prometheus", tools.PROMETHEUS),
    ],
)
def test_the_matrix_names_the_version_of_the_test_bed(row: str, tool: Tool) -> None:
    assert ".".join(map(str, tool.version)) in TESTED[row].split()
