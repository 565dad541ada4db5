"""`kubectl byoc refresh` on a cluster in memory: waves, failures, and a start that goes on with what was left."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import Result

from byoc_operator.api.names import PLURAL, RECREATE, REFRESH
from kubectl import FORBIDDEN, Cluster
from operated import NAMESPACE, manifest

READY = {"type": "Ready", "status": "True", "reason": "Synced", "message": "", "lastTransitionTime": ""}
FAULT = {
    "type": "Ready",
    "status": "False",
    "reason": "SecretNotFound",
    "message": "no Secret",
    "lastTransitionTime": "",
}
STALLED = {"type": "Stalled", "status": "True", "reason": "SecretNotFound", "message": "", "lastTransitionTime": ""}


@dataclass
class Operator:
    """Answers annotations while the command sleeps. `most`: numbers that were asked and unanswered at one time."""

    cluster: Cluster
    broken: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    stops_after: int | None = None
    most: int = 0
    answered: list[str] = field(default_factory=list)

    def __call__(self) -> None:
        open_ = [each for each in self._numbers() if self._asked(each) not in ("", self._handled(each))]
        self.most = max(self.most, len(open_))
        for raw in open_:
            name = raw["metadata"]["name"]
            if self.stops_after is not None and len(self.answered) >= self.stops_after:
                raise KeyboardInterrupt
            if name in self.silent:
                continue
            raw["status"]["observedGeneration"] = raw["metadata"]["generation"]
            if name in self.broken:
                raw["status"]["conditions"] = [FAULT, STALLED]
                continue
            raw["status"] |= {"conditions": [READY], "lastHandledRefresh": self._asked(raw)}
            self.answered.append(name)

    def _numbers(self) -> list[dict[str, Any]]:
        return [raw for (plural, *_), raw in self.cluster.api._objects.items() if plural == PLURAL]

    def _asked(self, raw: dict[str, Any]) -> str:
        return str(raw["metadata"].get("annotations", {}).get(REFRESH, ""))

    def _handled(self, raw: dict[str, Any]) -> str:
        return str(raw["status"].get("lastHandledRefresh", ""))


def with_numbers(cluster: Cluster, count: int, **faults: Any) -> Operator:
    """So many objects, and an operator that answers."""
    for index in range(count):
        cluster.api.apply(manifest(f"n-{index:03}", phoneNumber=f"+1987654{index:04}"))
    cluster.meanwhile = operator = Operator(cluster, **faults)
    return operator


def refresh(cluster: Cluster, *args: str) -> Result:
    return cluster.run("refresh", "-n", NAMESPACE, *args)


def results(result: Result) -> dict[str, str]:
    """Per object its result, out of the JSON."""
    return {each["name"]: each["result"] for each in json.loads(result.stdout)["items"]}


def test_all_numbers_are_refreshed_a_wave_at_a_time(cluster: Cluster) -> None:
    operator = with_numbers(cluster, 25)
    result = refresh(cluster, "--all", "--wave", "10", "--pause", "7s")
    assert result.exit_code == 0, result.output
    assert len(operator.answered) == 25
    assert operator.most == 10
    assert cluster.waited.count(7) == 2, "a pause between waves, none after the last"
    assert "25 done, 0 failed" in result.stdout
    assert len([each for each in cluster.api.writes if each.method == "PATCH"]) == 25


def test_named_numbers_and_phone_numbers_are_refreshed_alone(cluster: Cluster) -> None:
    operator = with_numbers(cluster, 3)
    assert refresh(cluster, "n-000", "+19876540002").exit_code == 0
    assert operator.answered == ["n-000", "n-002"]


def test_too_many_failures_stop_the_waves(cluster: Cluster) -> None:
    operator = with_numbers(cluster, 30, broken=frozenset(f"n-{index:03}" for index in range(10)))
    result = refresh(cluster, "--all", "--wave", "10", "--max-failures", "2", "-o", "json")
    assert result.exit_code == 1
    found = results(result)
    assert operator.answered == []
    assert set(found.values()) == {"Failed", "Left"}
    assert sum(each == "Left" for each in found.values()) == 20
    why = json.loads(result.stdout)["items"][0]["why"]
    assert why == "SecretNotFound: no Secret"


def test_a_few_failures_do_not_stop_the_others(cluster: Cluster) -> None:
    operator = with_numbers(cluster, 12, broken=frozenset({"n-001"}), silent=frozenset({"n-002"}))
    result = refresh(cluster, "--all", "--wave", "4", "--answer-timeout", "30s")
    assert result.exit_code == 1
    assert len(operator.answered) == 10
    assert "10 done, 2 failed" in result.stdout
    assert "no answer in 30 s" in result.stdout


def test_an_interrupted_refresh_goes_on_where_it_was(cluster: Cluster) -> None:
    operator = with_numbers(cluster, 20, stops_after=7)
    first = refresh(cluster, "--all", "--wave", "5")
    assert first.exit_code != 0
    before = list(operator.answered)
    operator.stops_after = None
    cluster.now += 600
    second = refresh(cluster, "--all", "--wave", "5")
    assert second.exit_code == 0
    assert "going on with a refresh that was interrupted" in second.stderr
    assert sorted(operator.answered) == [f"n-{index:03}" for index in range(20)], "none twice"
    assert operator.answered[: len(before)] == before


def test_a_finished_refresh_begins_anew_also_if_objects_came_later(cluster: Cluster) -> None:
    operator = with_numbers(cluster, 3)
    assert refresh(cluster, "--all").exit_code == 0
    cluster.now += 60
    cluster.api.apply(manifest("later", phoneNumber="+19876549999"))
    cluster.now += 60
    result = refresh(cluster, "--all")
    assert (result.exit_code, len(operator.answered)) == (0, 7)
    assert "interrupted" not in result.stderr


def unfinished(cluster: Cluster, name: str, token: str) -> None:
    """What a tenant can do: ask with a value of their choice, and see to it that the operator never handles it."""
    cluster.api._objects[PLURAL, NAMESPACE, name]["metadata"]["annotations"] = {REFRESH: token}


def digest_of(cluster: Cluster, name: str) -> str:
    """The digest of the selection of the refresh that went before."""
    return str(cluster.api._objects[PLURAL, NAMESPACE, name]["metadata"]["annotations"][REFRESH]).rpartition("-")[2]


@pytest.mark.parametrize("time", ["99999999999", "9" * 20, "9" * 200, "9" * 5000])
def test_a_job_from_the_future_is_not_continued(cluster: Cluster, time: str) -> None:
    operator = with_numbers(cluster, 3, silent=frozenset({"n-002"}))
    refresh(cluster, "--all", "--answer-timeout", "5s")
    forged = f"kubectl-byoc-{time}-{digest_of(cluster, 'n-000')}"
    for _ in range(2):
        operator.answered.clear()
        cluster.now += 48 * 3600
        unfinished(cluster, "n-002", forged)
        result = refresh(cluster, "--all", "--answer-timeout", "5s")
        assert result.exit_code == 1
        assert "interrupted" not in result.stderr
        assert operator.answered == ["n-000", "n-001"]


def test_a_number_that_stays_unfinished_does_not_keep_the_others_from_a_new_refresh(cluster: Cluster) -> None:
    operator = with_numbers(cluster, 3, silent=frozenset({"n-002"}))
    refresh(cluster, "--all", "--answer-timeout", "5s")
    operator.answered.clear()
    cluster.now += 60
    assert "--anew refreshes all" in refresh(cluster, "--all", "--answer-timeout", "5s").stderr
    assert operator.answered == []
    result = refresh(cluster, "--all", "--anew", "--answer-timeout", "5s")
    assert "interrupted" not in result.stderr
    assert operator.answered == ["n-000", "n-001"]


def test_another_selection_is_another_job(cluster: Cluster) -> None:
    operator = with_numbers(cluster, 6, stops_after=2)
    refresh(cluster, "--all", "--wave", "2")
    operator.stops_after = None
    operator.answered.clear()
    assert refresh(cluster, "n-000").exit_code == 0
    assert operator.answered.count("n-000") == 1


def test_what_cannot_be_refreshed_is_skipped_and_said(cluster: Cluster) -> None:
    with_numbers(cluster, 1)
    cluster.api.apply(manifest("watched", phoneNumber="+19876540101", managementPolicy="Observe"))
    cluster.api.apply(manifest("paused", phoneNumber="+19876540102", annotations={"paused": "true"}))
    result = refresh(cluster, "--all")
    assert result.exit_code == 0
    assert "1 done, 0 failed, 2 skipped" in result.stdout
    assert "Observe" in result.stdout
    assert "Paused" in result.stdout


def test_a_dry_run_writes_nothing(cluster: Cluster) -> None:
    with_numbers(cluster, 4)
    result = refresh(cluster, "--all", "--dry-run", "-o", "json")
    assert "would be refreshed; nothing was changed" in result.stderr
    assert (result.exit_code, set(results(result).values())) == (0, {"Left"})
    assert cluster.api.writes == []


def test_a_namespace_without_numbers_is_named(cluster: Cluster) -> None:
    result = refresh(cluster, "--all", "-n", "sales", "-o", "json")
    assert (result.exit_code, results(result)) == (0, {})
    assert "there is no ByocPhoneNumber in the namespace sales; -A looks in all namespaces\n" in result.stderr


def test_an_object_that_cannot_be_read_is_named(cluster: Cluster) -> None:
    with_numbers(cluster, 2)
    cluster.api.garbled.add((PLURAL, NAMESPACE, "n-001"))
    result = refresh(cluster, "--all", "-o", "json")
    assert (result.exit_code, results(result)) == (0, {"n-000": "Done"})
    assert f"not looked at: an object of {PLURAL} {NAMESPACE}/n-001: " in result.stderr


def test_recreate_asks_with_its_own_annotation(cluster: Cluster) -> None:
    with_numbers(cluster, 1)
    result = refresh(cluster, "n-000", "--recreate", "--answer-timeout", "5s")
    annotations = cluster.api._objects[PLURAL, NAMESPACE, "n-000"]["metadata"]["annotations"]
    assert RECREATE in annotations
    assert REFRESH not in annotations
    assert result.exit_code == 1, "this operator answers refreshes only"


def test_without_the_right_to_annotate_nothing_is_waited_for(cluster: Cluster) -> None:
    with_numbers(cluster, 3)
    cluster.api.inject(FORBIDDEN, "PATCH", PLURAL)
    result = refresh(cluster, "n-000")
    assert result.exit_code == 3
    assert "you may not" in result.stderr
    assert cluster.waited == []


def test_an_object_that_goes_meanwhile_is_skipped(cluster: Cluster) -> None:
    with_numbers(cluster, 2, silent=frozenset({"n-001"}))
    before = cluster.meanwhile

    def meanwhile() -> None:
        before()
        cluster.api._objects.pop((PLURAL, NAMESPACE, "n-001"), None)

    cluster.meanwhile = meanwhile
    result = refresh(cluster, "--all", "-o", "json")
    assert (result.exit_code, results(result)) == (0, {"n-000": "Done", "n-001": "Skipped"})


@pytest.mark.parametrize("args", [[], ["n-000", "--all"], ["n-000", "-l", "a=b"]])
def test_names_or_a_selection_are_needed_and_not_both(cluster: Cluster, args: list[str]) -> None:
    with_numbers(cluster, 1)
    result = refresh(cluster, *args)
    assert result.exit_code == 2
    assert "name the numbers" in result.stderr
