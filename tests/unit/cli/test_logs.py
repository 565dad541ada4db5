"""`kubectl byoc logs`: the lines of all replicas about one number, in the order of time."""

import json

import pytest

from byoc_operator.cli.log_lines import line_of
from kubectl import Cluster
from operated import NAMESPACE, PHONE, SYSTEM, manifest


def entry(second: int, message: str, name: str = "main", **fields: str) -> str:
    stamp = f"2027-01-15T08:00:{second:02}.000Z"
    about = {"namespace": NAMESPACE, "name": name} if name else {}
    return json.dumps({"timestamp": stamp, "severity": "INFO", "logger": "x", "message": message, **about, **fields})


@pytest.fixture
def logged(cluster: Cluster) -> Cluster:
    for pod in ("byoc-operator-1", "byoc-operator-2"):
        labels = {"app.kubernetes.io/name": "byoc-operator"}
        cluster.api._create("pods", {"metadata": {"namespace": SYSTEM, "name": pod, "labels": labels}})
    cluster.api.logs = {
        (SYSTEM, "byoc-operator-1"): [entry(1, "first", run="a-1"), entry(3, "third"), entry(4, "other", "main-2")],
        (SYSTEM, "byoc-operator-2"): [
            "2027-01-15T08:00:02.000Z INFO    [voice/main reason=Synced run=b-2] second",
            "    and more of it",
            "2027-01-15T08:00:03.500Z INFO    about nobody",
            "2027-01-15T08:00:03.600Z INFO    [voice/main-2] another",
            "{no json",
        ],
    }
    return cluster


def test_the_lines_of_all_replicas_in_the_order_of_time(logged: Cluster) -> None:
    result = logged.run("logs", "main", "-n", NAMESPACE)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "2027-01-15T08:00:01.000Z INFO    first (run=a-1)",
        "2027-01-15T08:00:02.000Z INFO    [voice/main reason=Synced run=b-2] second",
        "    and more of it",
        "2027-01-15T08:00:03.000Z INFO    third",
    ]


def test_the_last_lines_as_they_were_written(logged: Cluster) -> None:
    result = logged.run("logs", "main", "-n", NAMESPACE, "--tail", "1", "--raw")
    assert result.stdout == logged.api.logs[SYSTEM, "byoc-operator-1"][1] + "\n"


def test_a_phone_number_finds_its_object(logged: Cluster) -> None:
    logged.api.apply(manifest("main-2"))
    result = logged.run("logs", PHONE, "-A")
    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["another", "other"]


def test_without_rights_and_without_pods(logged: Cluster) -> None:
    logged.api.without = {("get", "pods/log")}
    assert logged.run("logs", "main", "-n", NAMESPACE).exit_code == 3
    logged.api.without = {("list", "pods")}
    assert logged.run("logs", "main", "-n", NAMESPACE).exit_code == 3
    elsewhere = logged.run("logs", "main", "--operator-namespace", "elsewhere")
    assert elsewhere.exit_code == 3
    logged.api.without = set()
    nobody = logged.run("logs", "main", "--operator-namespace", "elsewhere")
    assert (nobody.exit_code, "has no pods" in nobody.stderr) == (1, True)


@pytest.mark.parametrize("args", [("--since", "x"), ("--tail", "-1"), ("--tail", "10001")])
def test_wrong_input(cluster: Cluster, args: tuple[str, ...]) -> None:
    assert cluster.run("logs", "main", *args).exit_code == 2


@pytest.mark.parametrize("raw", ["", "{", "[]", "[" * 100_000, '{"a":' * 50_000, "x [y", "[voice/main", '{"name": 1}'])
def test_any_line_can_be_read(raw: str) -> None:
    line = line_of(raw)
    assert line is None or line.about in ("", "/1")
