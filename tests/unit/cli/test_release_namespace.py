"""`kubectl byoc release -n`: objects of a namespace that no operator watches any more can be deleted again."""

from typing import Any

import pytest
from click.testing import Result

from byoc_operator.api.names import FINALIZER, PLURAL
from byoc_operator.cli.operator_finder import LABELS
from byoc_operator.cluster.fake import Refuse
from kubectl import Cluster
from operated import NAMESPACE, SYSTEM, manifest


def deployment(namespaces: str) -> dict[str, Any]:
    """An operator that watches some namespaces."""
    name, value = LABELS.split("=")
    container = {"name": "operator", "env": [{"name": "BYOC_NAMESPACES", "value": namespaces}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": SYSTEM, "name": "byoc-operator", "labels": {name: value}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}},
    }


@pytest.fixture
def abandoned(cluster: Cluster) -> Cluster:
    """Two objects that wait for the operator, which watches another namespace."""
    cluster.api._create("deployments", deployment("other-team"))
    for index in range(2):
        made = manifest(f"n-{index}", phoneNumber=f"+1987654000{index}")
        made["metadata"]["finalizers"] = [FINALIZER, "example.com/theirs"]
        cluster.api.apply(made)
    cluster.api._objects[PLURAL, NAMESPACE, "n-0"]["status"] |= {"inboundTrunkId": "ST_in", "outboundTrunkId": "ST_out"}
    return cluster


def release(cluster: Cluster, *args: str) -> Result:
    return cluster.run("release", "-n", NAMESPACE, *args)


def finalizers(cluster: Cluster) -> list[list[str]]:
    return [
        raw["metadata"].get("finalizers", []) for (plural, *_), raw in cluster.api._objects.items() if plural == PLURAL
    ]


def test_an_unwatched_namespace_is_freed_and_what_stays_is_named(abandoned: Cluster) -> None:
    result = release(abandoned, "--yes")
    assert result.exit_code == 0, result.output
    assert finalizers(abandoned) == [["example.com/theirs"]] * 2, "other finalizers stay"
    assert "ST_in, ST_out" in result.stdout
    assert "freed 2 objects" in result.stderr
    again = release(abandoned, "--yes")
    assert (again.exit_code, "nothing to free" in again.stderr) == (0, True)


def test_nothing_is_freed_unless_somebody_agrees(abandoned: Cluster) -> None:
    result = release(abandoned)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert all(FINALIZER in each for each in finalizers(abandoned))


def test_a_watched_namespace_is_refused(abandoned: Cluster) -> None:
    abandoned.api._update(("deployments", SYSTEM, "byoc-operator"), deployment(f"other-team,{NAMESPACE}"))
    result = release(abandoned, "--yes")
    assert result.exit_code == 1
    assert f"watches {NAMESPACE}" in result.stderr
    assert all(FINALIZER in each for each in finalizers(abandoned))


@pytest.mark.parametrize(
    ("without", "code"),
    [
        ({("list", "deployments"), ("get", "configmaps")}, 3),
        ({("list", "deployments")}, 3),
        (set(), 1),
    ],
    ids=["no rights", "no right on Deployments", "a ConfigMap that is missing"],
)
def test_where_it_cannot_be_known_who_watches_nothing_is_freed(
    abandoned: Cluster, without: set[tuple[str, str]], code: int
) -> None:
    unreadable = deployment("other-team")
    unreadable["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "missing"}}]
    abandoned.api._update(("deployments", SYSTEM, "byoc-operator"), unreadable)
    abandoned.api.without = without
    result = release(abandoned, "--yes")
    assert result.exit_code == code
    assert f"whether the operator in {SYSTEM} watches {NAMESPACE} cannot be read" in result.stderr
    assert all(FINALIZER in each for each in finalizers(abandoned))


def test_where_no_operator_is_the_namespace_is_freed(abandoned: Cluster) -> None:
    abandoned.api._remove(("deployments", SYSTEM, "byoc-operator"))
    result = release(abandoned, "--yes")
    assert (result.exit_code, f"there is no operator in the namespace {SYSTEM}; if" in result.stderr) == (0, True)
    assert not any(FINALIZER in each for each in finalizers(abandoned))


def test_a_finalizer_that_moves_meanwhile_is_found(abandoned: Cluster) -> None:
    abandoned.api.inject(Refuse(422, "the test of the patch failed"), "PATCH", PLURAL)
    assert release(abandoned, "--yes").exit_code == 0
    assert not any(FINALIZER in each for each in finalizers(abandoned))


def test_ids_and_a_namespace_do_not_go_together(abandoned: Cluster) -> None:
    result = release(abandoned, "ST_in")
    assert result.exit_code == 2
    assert "not both" in result.stderr
