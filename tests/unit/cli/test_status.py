"""`kubectl byoc status`: the worst first, in every form, of none, one and 2,000 numbers."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from byoc_operator.cluster.fake import Refuse
from golden import check
from kubectl import Cluster
from operated import NAMESPACE, PHONE, manifest

GOLDEN = Path(__file__).parent / "golden"
SINCE = "2027-01-15T07:00:00Z"


def condition(type_: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": SINCE}


def put(cluster: Cluster, name: str, phone: str, reason: str = "Synced", *, namespace: str = NAMESPACE) -> None:
    """A number whose status says so; with a reason for which the condition Stalled is set unless it is passing."""
    wanted = manifest(name, phoneNumber=phone)
    wanted["metadata"]["namespace"] = namespace
    cluster.api.apply(wanted)
    ready = {"Synced": "True", "Paused": "Unknown"}.get(reason, "False")
    conditions = [condition("Ready", ready, reason, f"message of {reason}")]
    if reason == "SecretNotFound":
        conditions.append(condition("Stalled", "True", reason, f"message of {reason}"))
    status = {
        "observedGeneration": 1,
        "conditions": conditions,
        "carrier": "Generic",
        "outboundTrunkId": "ST_out",
        "findings": [{"code": "NoInboundAgent", "message": "nobody answers"}] if reason == "Synced" else [],
    }
    cluster.api._objects["byocphonenumbers", namespace, name]["status"] = status


@pytest.fixture
def fleet(cluster: Cluster) -> Cluster:
    put(cluster, "ready", PHONE)
    put(cluster, "broken", "+19876543211", "SecretNotFound")
    put(cluster, "paused", "+19876543212", "Paused")
    put(cluster, "waiting", "+19876543213", "LiveKitUnavailable", namespace="sales")
    cluster.api.apply(manifest("new", phoneNumber="+19876543214"))
    return cluster


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("status.txt", ("-A",)),
        ("status-wide.txt", ("-A", "-o", "wide")),
        ("status.json", ("-A", "-o", "json")),
        ("status.yaml", ("-A", "-o", "yaml")),
        ("status-one.txt", ("broken", "-n", NAMESPACE)),
    ],
)
def test_the_output_is_the_golden_one(fleet: Cluster, name: str, args: tuple[str, ...]) -> None:
    result = fleet.run("status", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    check(GOLDEN / name, result.stdout)


def test_the_worst_comes_first(fleet: Cluster) -> None:
    items = json.loads(fleet.run("status", "-A", "-o", "json").stdout)["items"]
    assert [item["name"] for item in items] == ["broken", "waiting", "new", "paused", "ready"]
    assert items == yaml.safe_load(fleet.run("status", "-A", "-o", "yaml").stdout)["items"]


def test_one_namespace_and_a_selector(fleet: Cluster) -> None:
    fleet.api._objects["byocphonenumbers", NAMESPACE, "ready"]["metadata"]["labels"] = {"team": "sales"}
    names = {
        args: fleet.run("status", *args, "-o", "json").stdout for args in [("-n", "sales"), ("-A", "-l", "team=sales")]
    }
    found = [[item["name"] for item in json.loads(text)["items"]] for text in names.values()]
    assert found == [["waiting"], ["ready"]]


def test_a_phone_number_finds_whoever_has_it(fleet: Cluster) -> None:
    shown = fleet.run("status", "+19876543213", "-A")
    assert (shown.exit_code, "sales/waiting" in shown.stdout) == (0, True)
    nobody = fleet.run("status", "+19876543213", "-n", NAMESPACE)
    assert (nobody.exit_code, "-A looks in all namespaces" in nobody.stderr) == (1, True)


def test_an_alias_finds_its_object_unless_it_is_a_number_of_another(fleet: Cluster) -> None:
    fleet.api.edit(NAMESPACE, "ready", inbound={"aliases": ["100", "19876543211"]})
    shown = fleet.run("status", "+100", "-A")
    assert (shown.exit_code, f"{NAMESPACE}/ready" in shown.stdout) == (0, True)
    assert f"{NAMESPACE}/broken" in fleet.run("status", "+19876543211", "-A").stdout


@pytest.mark.parametrize("name", ["../x", "a/b", "x" * 254, "+12", "+1x", "A"])
def test_what_is_no_name_is_wrong_input(cluster: Cluster, name: str) -> None:
    result = cluster.run("status", name, "-n", NAMESPACE)
    assert result.exit_code == (1 if name == "+12" else 2)
    assert result.stderr.count("\n") == 1


def test_an_object_that_is_not_there(cluster: Cluster) -> None:
    result = cluster.run("status", "nobody", "-n", NAMESPACE)
    assert (result.exit_code, "there is no ByocPhoneNumber voice/nobody" in result.stderr) == (1, True)


@pytest.mark.parametrize("code", [401, 403])
def test_without_rights(cluster: Cluster, code: int) -> None:
    cluster.api.inject(Refuse(code, "byocphonenumbers is forbidden"), "GET", "byocphonenumbers")
    result = cluster.run("status", "-A")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "kubectl byoc: you may not: byocphonenumbers is forbidden\n"


def test_without_the_crd(cluster: Cluster) -> None:
    cluster.api.inject(Refuse(404, "the server could not find the requested resource"), "GET", "byocphonenumbers")
    result = cluster.run("status", "-A")
    assert (result.exit_code, "CRD is not installed" in result.stderr) == (1, True)


def test_no_numbers_at_all(cluster: Cluster) -> None:
    here = "there is no ByocPhoneNumber in the namespace voice; -A looks in all namespaces\n"
    assert cluster.run("status", "-n", NAMESPACE).stdout == here
    assert cluster.run("status", "-A").stdout == "there is no ByocPhoneNumber in any namespace\n"
    labelled = cluster.run("status", "-A", "-l", "team=sales").stdout
    assert labelled == "there is no ByocPhoneNumber with the labels team=sales in any namespace\n"
    assert json.loads(cluster.run("status", "-o", "json").stdout)["items"] == []


def test_without_rights_for_events_one_number_is_shown(fleet: Cluster) -> None:
    fleet.api.without = {("list", "events")}
    result = fleet.run("status", "ready", "-n", NAMESPACE)
    assert (result.exit_code, "Event:          not known: you may not read this" in result.stdout) == (0, True)


def test_two_thousand_numbers_with_long_names(cluster: Cluster) -> None:
    for each in range(2000):
        put(cluster, f"{each:04}{'n' * 249}", f"+1987654{each:04}", "SecretNotFound" if each % 2 else "Synced")
    began = time.monotonic()
    result = cluster.run("status", "-A")
    assert time.monotonic() - began < 20
    lines = result.stdout.splitlines()
    assert len(lines) == 2002
    assert lines[-1] == "2000 numbers: 1000 Ready, 1000 Stalled (1000 SecretNotFound)"
    assert "0001nnn" in lines[1]


def test_watch_in_a_pipe_tells_changes_only(fleet: Cluster) -> None:
    def meanwhile() -> None:
        if len(fleet.waited) == 1:
            put(fleet, "ready", PHONE, "SecretNotFound")
            fleet.api.delete(NAMESPACE, "new")
        if len(fleet.waited) == 3:
            raise KeyboardInterrupt

    fleet.meanwhile = meanwhile
    result = fleet.run("status", "-A", "--watch")
    assert result.exit_code == 130
    assert result.stdout.splitlines()[1:] == ["voice/new: gone", "voice/ready: Stalled SecretNotFound"]


def test_watch_goes_on_when_the_api_server_does_not_answer(fleet: Cluster) -> None:
    def meanwhile() -> None:
        fleet.api.inject(Refuse(503, "busy"), "GET", "byocphonenumbers")
        if len(fleet.waited) == 2:
            raise KeyboardInterrupt

    fleet.meanwhile = meanwhile
    result = fleet.run("status", "-A", "--watch")
    assert (result.exit_code, "503" in result.stderr) == (130, True)


@pytest.mark.parametrize("code", [401, 403, 404, 410, 500])
def test_watch_survives_every_fault_after_its_first_look_and_tells_it_once(fleet: Cluster, code: int) -> None:
    def meanwhile() -> None:
        if len(fleet.waited) in (1, 2, 3):
            fleet.api.inject(Refuse(code, "not now"), "GET", "byocphonenumbers")
        if len(fleet.waited) == 4:
            put(fleet, "ready", PHONE, "SecretNotFound")
        if len(fleet.waited) == 6:
            raise KeyboardInterrupt

    fleet.meanwhile = meanwhile
    result = fleet.run("status", "-A", "--watch")
    told = result.stderr.splitlines()
    assert (result.exit_code, len(told)) == (130, 2), told
    assert "looking again every 2 s" in told[0]
    assert told[1] == "the API server answers again"
    assert "voice/ready: Stalled SecretNotFound" in result.stdout


@pytest.mark.parametrize(("code", "ends_with"), [(403, 3), (404, 1)])
def test_watch_ends_where_the_first_look_is_refused(fleet: Cluster, code: int, ends_with: int) -> None:
    fleet.api.inject(Refuse(code, "no"), "GET", "byocphonenumbers")
    assert fleet.run("status", "-A", "--watch").exit_code == ends_with


@pytest.mark.parametrize("args", [("--watch", "main"), ("--watch", "-o", "json")])
def test_watch_is_for_tables_of_all(cluster: Cluster, args: tuple[str, ...]) -> None:
    assert cluster.run("status", *args).exit_code == 2


def test_a_name_is_looked_for_in_one_namespace(fleet: Cluster) -> None:
    result = fleet.run("status", "broken", "-A")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the name broken needs -n NAMESPACE" in result.stderr
