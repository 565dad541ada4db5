"""`kubectl byoc logs`: the lines of all replicas about one number, in the order of time."""

import asyncio
import json
from collections.abc import Callable

import pytest
from click.testing import Result

from byoc_operator.api.resource import Key
from byoc_operator.cli import cluster as byoc_cluster
from byoc_operator.cli.log_lines import LONGEST_ENTRY, LogLine, line_of
from byoc_operator.cli.logs import Follower, Reader
from byoc_operator.cluster.fake import Refuse
from kubectl import Cluster
from operated import NAMESPACE, PHONE, SYSTEM, manifest

TURNS = 10
"""Looks for new pods after which a stream of the fake has surely been read."""


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


def test_an_object_about_which_nothing_was_logged_is_told(logged: Cluster) -> None:
    result = logged.run("logs", "mian", "-n", NAMESPACE, "--since", "1h")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"2 pods of the operator have no line about {NAMESPACE}/mian of that age\n"


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


def after(cluster: Cluster, looks: int, act: Callable[[], object] = lambda: None) -> None:
    """Do something at the first look for new pods, and press Ctrl-C after some more looks."""

    def meanwhile() -> None:
        if len(cluster.waited) == 1:
            act()
        if len(cluster.waited) > looks * TURNS:
            raise KeyboardInterrupt

    cluster.meanwhile = meanwhile


def followed(cluster: Cluster, *args: str) -> Result:
    """What is shown until Ctrl-C, without the lines that were there before."""
    result = cluster.run("logs", "main", "-n", NAMESPACE, "--follow", *args)
    assert result.exit_code == 130, result.output
    return result


def test_what_comes_is_shown_once_however_often_a_stream_begins_again(logged: Cluster) -> None:
    log = logged.api.logs[SYSTEM, "byoc-operator-1"]
    after(logged, 3, lambda: log.extend([entry(4, "same time"), entry(5, "new"), entry(5, "not ours", "main-2")]))
    lines = followed(logged).stdout.splitlines()
    assert [line.rpartition("INFO")[2].strip() for line in lines[4:]] == ["same time", "new"]


def test_a_busy_log_does_not_keep_a_new_replica_out(logged: Cluster) -> None:
    """The pod that was there logs about the number at every look."""
    busy = logged.api.logs[SYSTEM, "byoc-operator-1"]

    def act() -> None:
        busy.append(entry(10 + len(logged.waited), "busy"))
        if len(logged.waited) == 1:
            labels = {"app.kubernetes.io/name": "byoc-operator"}
            logged.api._create("pods", {"metadata": {"namespace": SYSTEM, "name": "byoc-operator-3", "labels": labels}})
            logged.api.logs[SYSTEM, "byoc-operator-3"] = [entry(9, "of the new one")]
        if len(logged.waited) > 3 * TURNS:
            raise KeyboardInterrupt

    logged.meanwhile = act
    assert "of the new one" in followed(logged).stdout


def test_what_continues_a_line_is_followed_too(logged: Cluster) -> None:
    log = logged.api.logs[SYSTEM, "byoc-operator-2"]
    broken = ["2027-01-15T08:00:09.000Z ERROR   [voice/main] it broke", "Traceback:", "  of it"]
    others = ["2027-01-15T08:00:10.000Z ERROR   [voice/main-2] it broke", "  of another"]
    after(logged, 2, lambda: log.extend([*broken, *others]))
    assert followed(logged).stdout.splitlines()[4:] == broken


def test_a_pod_that_has_not_begun_hides_no_other(logged: Cluster) -> None:
    logged.api.log_faults = {(SYSTEM, "byoc-operator-2"): Refuse(400, "container is waiting to start")}
    result = logged.run("logs", "main", "-n", NAMESPACE)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)
    assert result.stderr == "kubectl byoc: pod byoc-operator-2: container is waiting to start\n"


def test_a_fault_is_told_once_while_it_lasts(logged: Cluster) -> None:
    after(logged, 3, lambda: logged.api.log_faults.update({(SYSTEM, "byoc-operator-2"): Refuse(503, "no node")}))
    assert followed(logged).stderr.count("no node") == 1


def test_the_list_of_pods_may_fail_for_a_while(logged: Cluster) -> None:
    log = logged.api.logs[SYSTEM, "byoc-operator-1"]

    def act() -> None:
        logged.api.inject(Refuse(403, "not yet"), "GET", "pods")
        log.append(entry(7, "later"))

    after(logged, 3, act)
    result = followed(logged)
    assert ("the operator's pods" in result.stderr, "later" in result.stdout) == (True, True)


def test_whoever_reads_the_output_may_stop(logged: Cluster) -> None:
    """A reader that ends, such as `head`, is no bug."""

    def gone(_line: LogLine) -> None:
        raise BrokenPipeError

    async def follow() -> None:
        reading = byoc_cluster.Cluster(logged.api, byoc_cluster.Scope(NAMESPACE), 5)
        reader = Reader(reading, SYSTEM, [Key(NAMESPACE, "main")])
        await Follower(reader, gone, {}).follow(await reader.pods(), asyncio.sleep)

    with pytest.raises(BrokenPipeError):
        asyncio.run(follow())


def test_no_line_is_longer_than_a_long_traceback() -> None:
    line = line_of(entry(1, "first"))
    assert line is not None
    for _ in range(100):
        line = line.with_more("x" * 10_000)
    assert len(line.raw) <= LONGEST_ENTRY


@pytest.mark.parametrize("args", [("--since", "x"), ("--tail", "-1"), ("--tail", "10001")])
def test_wrong_input(cluster: Cluster, args: tuple[str, ...]) -> None:
    assert cluster.run("logs", "main", *args).exit_code == 2


@pytest.mark.parametrize("raw", ["", "{", "[]", "[" * 100_000, '{"a":' * 50_000, "x [y", "[voice/main", '{"name": 1}'])
def test_any_line_can_be_read(raw: str) -> None:
    line = line_of(raw)
    assert line is None or line.about in ("", "/1")
