"""`kubectl byoc doctor` on a cluster and a LiveKit in memory: what it reads, prints and ends with."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from byoc_operator.api.conditions import Reason
from byoc_operator.cli import cluster as cli_cluster
from byoc_operator.cli.doctor_operator import sweep_age
from byoc_operator.cli.exit_codes import ExitCode
from byoc_operator.cli.operator_finder import Operator, Pod
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import InboundTrunk
from byoc_operator.diagnosis.network import Network
from byoc_operator.errors import Stalled, Unavailable
from golden import check
from kubectl import FORBIDDEN, Cluster
from operated import NAMESPACE, PASSWORD, SYSTEM, USER, manifest
from standing import KEY, PHONE, SETTINGS, Here, Nowhere, stand
from storage_keys import recording
from virtual_time import in_virtual_time

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def livekit(cluster: Cluster) -> Here:
    return stand(cluster)


def doctor(cluster: Cluster, *args: str, code: int = 0) -> str:
    result = cluster.run("doctor", *args)
    assert result.exit_code == code, result.output
    assert not any(secret in result.output for secret in (PASSWORD, USER, *KEY.values()))
    return result.output


def items(cluster: Cluster, *args: str, code: int = 0) -> dict[str, dict[str, Any]]:
    document = json.loads(doctor(cluster, "main", "-n", NAMESPACE, "-o", "json", *args, code=code))
    return {each["what"]: each for each in document["items"]}


def test_a_healthy_number(cluster: Cluster, livekit: Here) -> None:
    found = items(cluster, "--source", "192.0.2.7", "--from", "+15551230000")
    network = {"DNS of the termination host", "DNS of our SIP endpoint", "Last sweep"}
    assert {what for what, each in found.items() if each["state"] != "ok"} == network
    assert livekit.opened == 0
    assert cluster.api.writes == []


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("doctor.txt", ()),
        ("doctor.json", ("-o", "json")),
        ("doctor.yaml", ("-o", "yaml")),
        ("doctor-call.txt", ("--source", "198.51.100.9")),
    ],
)
@pytest.mark.usefixtures("livekit")
def test_what_is_printed(cluster: Cluster, name: str, args: tuple[str, ...]) -> None:
    code = ExitCode.SOMETHING_BAD if "--source" in args else ExitCode.OK
    check(GOLDEN / name, doctor(cluster, "main", "-n", NAMESPACE, *args, code=code))


def test_a_broken_number_is_printed_with_its_first_break(cluster: Cluster, livekit: Here) -> None:
    livekit.spoil = lambda: livekit.edit("SDR_rule", agent_name="")
    check(GOLDEN / "doctor-broken.txt", doctor(cluster, "main", "-n", NAMESPACE, code=5))


@pytest.mark.usefixtures("livekit")
@pytest.mark.parametrize(
    ("values", "says", "remedy"),
    [
        (None, "recordings does not exist. Create it with the key `credentials.json`", "`kubectl byoc seal --for gcs`"),
        ({"other": "x"}, "has no key `credentials.json`", "Add the key to the Secret."),
        ({"credentials.json": "{}"}, "no key of a service account", "`kubectl byoc seal --for gcs` makes one"),
    ],
)
def test_keys_of_a_storage_that_cannot_be_used_are_told_with_what_helps(
    cluster: Cluster, values: dict[str, str] | None, says: str, remedy: str
) -> None:
    inbound = {"allowedAddresses": ["192.0.2.0/24"], **recording("gcs")}
    cluster.api.apply(manifest("main", phoneNumber=PHONE, inbound=inbound))
    if values is not None:
        cluster.api.put_secret(NAMESPACE, "recordings", values)
    secret = items(cluster, code=5)["Secret"]
    assert secret["state"] == "bad"
    assert says in secret["says"]
    assert remedy in secret["remedy"]


@pytest.mark.usefixtures("livekit")
def test_yaml_says_what_json_says(cluster: Cluster) -> None:
    one, other = (doctor(cluster, "main", "-n", NAMESPACE, "-o", each) for each in ("json", "yaml"))
    assert json.loads(one) == yaml.safe_load(other)
    assert json.loads(one)["kind"] == "DoctorReport"


@pytest.mark.parametrize("name", [("missing", "-n", NAMESPACE), ("+14155550000", "-A")])
@pytest.mark.usefixtures("livekit")
def test_an_object_that_is_not_there_is_the_first_break(cluster: Cluster, name: tuple[str, ...]) -> None:
    output = doctor(cluster, *name, code=5)
    assert "first break: Object: There is no ByocPhoneNumber" in output


@pytest.mark.usefixtures("livekit")
def test_a_phone_number_names_its_object(cluster: Cluster) -> None:
    assert f"{NAMESPACE}/main" in doctor(cluster, PHONE, "-A")


def aliased(cluster: Cluster, *aliases: str) -> None:
    cluster.api.edit(NAMESPACE, "main", inbound={"allowedAddresses": ["192.0.2.0/24"], "aliases": list(aliases)})


@pytest.mark.usefixtures("livekit")
def test_an_alias_names_its_object(cluster: Cluster) -> None:
    aliased(cluster, "100")
    assert f"{NAMESPACE}/main" in doctor(cluster, "+100", "-A")


@pytest.mark.usefixtures("livekit")
def test_a_call_to_an_alias_is_accepted(cluster: Cluster) -> None:
    aliased(cluster, "100")
    call = ("--source", "192.0.2.7", "--from", "+15551230000", "--called")
    assert "first break" not in doctor(cluster, "main", "-n", NAMESPACE, *call, "100")
    refused = doctor(cluster, "main", "-n", NAMESPACE, *call, "200", code=5)
    assert "Or add '200' to spec.inbound.aliases." in refused


def test_an_alias_that_another_object_has_is_the_first_break(cluster: Cluster, livekit: Here) -> None:
    livekit.spoil = lambda: livekit.edit("ST_in", numbers=(PHONE,))
    cluster.api.apply(manifest("other", phoneNumber="+14155550000"))
    aliased(cluster, "14155550000")
    output = doctor(cluster, "main", "-n", NAMESPACE, code=5)
    assert "14155550000 is held by ByocPhoneNumber other as its number" in output


@pytest.mark.parametrize(
    ("error", "link"),
    [
        (Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached."), "LiveKit"),
        (Stalled(Reason.LIVEKIT_UNAUTHORIZED, "The key is refused.", server_wide=True), "LiveKit's key"),
        (Stalled(Reason.LIVEKIT_MISCONFIGURED, "Without Redis.", server_wide=True), "LiveKit's SIP service"),
        (Stalled(Reason.LIVEKIT_TOO_OLD, "Unknown method.", server_wide=True), "LiveKit's version"),
    ],
)
def test_what_livekit_answers(cluster: Cluster, livekit: Here, error: Any, link: str) -> None:
    livekit.always = error
    found = items(cluster, code=5)
    assert next(each["what"] for each in found.values() if each["state"] == "bad") == link
    assert livekit.opened == 0


@pytest.mark.usefixtures("livekit")
def test_without_a_key_the_rest_is_looked_at(cluster: Cluster) -> None:
    cluster.around["environ"] = {}
    found = items(cluster)
    assert "LIVEKIT_API_KEY" in found["LiveKit"]["says"]
    assert found["Secret"]["state"] == "ok"
    assert {found[each]["state"] for each in ("LiveKit", "Inbound trunk", "Outbound trunk")} == {"unknown"}


@pytest.mark.usefixtures("livekit")
def test_the_secret_that_one_may_not_read_is_unknown(cluster: Cluster) -> None:
    cluster.api.without = {("get", "secrets")}
    found = items(cluster)
    assert {found[each]["state"] for each in ("Secret", "Sealing")} == {"unknown"}
    assert found["Outbound trunk"]["state"] == "ok"


@pytest.mark.usefixtures("livekit")
def test_the_operator_that_one_may_not_read_is_unknown(cluster: Cluster) -> None:
    cluster.api.without = {(verb, plural) for verb in ("get", "list") for plural in ("deployments", "pods", "leases")}
    found = items(cluster)
    assert found["Operator"]["state"] == "unknown"
    assert {found[each]["state"] for each in ("Namespace", "Inbound trunk")} == {"ok"}, "by the ConfigMap for people"
    cluster.api.without |= {("get", "configmaps")}
    found = items(cluster)
    assert {found[each]["state"] for each in ("Operator", "Namespace", "Inbound trunk")} == {"unknown"}


@pytest.mark.usefixtures("livekit")
def test_who_may_read_no_number_is_told_so(cluster: Cluster) -> None:
    cluster.api.inject(FORBIDDEN, "GET", "byocphonenumbers")
    assert "you may not" in doctor(cluster, "main", "-n", NAMESPACE, code=ExitCode.NO_RIGHTS)


@pytest.mark.parametrize(
    "args", [("--source", "carrier.example"), ("--from", "1" * 300), ("--called", "2" * 300), ("-n", "UPPER")]
)
@pytest.mark.usefixtures("livekit")
def test_wrong_input(cluster: Cluster, args: tuple[str, ...]) -> None:
    output = doctor(cluster, "main", *args, code=ExitCode.USAGE)
    assert args[0] in output


@pytest.mark.usefixtures("livekit")
def test_when_the_last_sweep_ended_comes_from_the_leader(cluster: Cluster) -> None:
    cluster.api.logs[SYSTEM, "byoc-operator-1:8080"] = [
        "# HELP x",
        f"byoc_last_sweep_timestamp_seconds {cluster.now - 30}",
    ]
    found = items(cluster)
    assert found["Last sweep"]["state"] == "ok"
    assert "30 s ago" in found["Last sweep"]["says"]


class Endless:
    """The API server with a pod whose metrics never end."""

    async def lines(self, path: str, *, resource: str, silent_s: float | None) -> AsyncIterator[str]:
        del path, resource, silent_s
        while True:
            await asyncio.sleep(0.5)
            yield "another_metric 1"


@in_virtual_time
async def test_metrics_without_end_are_left_in_time() -> None:
    api = Endless()
    leader = Operator(SYSTEM, pods=(Pod("byoc-operator-1", ready=True),), leader="byoc-operator-1_uuid")
    began = asyncio.get_running_loop().time()
    assert await sweep_age(cast("cli_cluster.Cluster", SimpleNamespace(api=api)), leader, 0.0) is None
    assert asyncio.get_running_loop().time() - began < 20


def test_marks_of_many_objects_cost_no_request_each(cluster: Cluster, livekit: Here) -> None:
    def forged() -> None:
        for index in range(1_000):
            mark = Mark(Owner("cluster-a", NAMESPACE, f"other-{index}")).dump()
            livekit.put(InboundTrunk("theirs", mark, (PHONE,), id=f"ST_forged{index}"))

    livekit.spoil = forged
    items(cluster, code=5)
    assert cluster.api.requests["GET", "byocphonenumbers"] < 10


class Noting(Nowhere):
    """DNS that keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def addresses(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        return await super().addresses(host)


def test_a_host_that_the_settings_refuse_is_not_looked_at(cluster: Cluster, livekit: Here) -> None:
    del livekit
    resolver = Noting()
    cluster.around["network"] = lambda: Network(resolver=resolver)
    doctor(cluster, "main", "-n", NAMESPACE)
    termination = cluster.api._objects["byocphonenumbers", NAMESPACE, "main"]["spec"]["terminationUri"]
    assert resolver.asked == [termination, "sip.example.org"]
    resolver.asked.clear()
    stored = cluster.api._objects["configmaps", SYSTEM, "byoc-operator-installation"]
    stored["data"] = {**SETTINGS, "BYOC_TERMINATION_HOSTS": "carrier.example"}
    found = items(cluster, code=5)
    assert resolver.asked == ["sip.example.org"]
    assert "DNS of the termination host" not in found


def test_the_agent_is_rung_when_that_is_asked_for(cluster: Cluster, livekit: Here) -> None:
    assert livekit.opened == 0
    assert "Agent answers" not in items(cluster)
    told = items(cluster, "--ring-agent")["Agent answers"]
    assert (told["state"], told["says"]) == ("ok", "The agent agent_support joined a room after 0.0 s.")
    cluster.rooms.agent_comes_at = 0
    told = items(cluster, "--ring-agent", code=5)["Agent answers"]
    assert told["state"] == "bad"
    assert not cluster.rooms.open_rooms


@pytest.mark.usefixtures("livekit")
@pytest.mark.parametrize(
    ("url", "state", "words"),
    [
        ("https://LiveKit.example.com:443/", "ok", "the same"),
        ("ws://127.0.0.1:7880", "unknown", "127.0.0.1 was asked"),
        ("ws://livekit.example.com", "unknown", "the operator uses livekit.example.com"),
    ],
)
def test_another_livekit_than_the_operators_is_told(cluster: Cluster, url: str, state: str, words: str) -> None:
    cluster.around["environ"] = {**KEY, "LIVEKIT_URL": url}
    found = items(cluster)["Operator's LiveKit"]
    assert (found["state"], words in found["says"]) == (state, True)


@pytest.mark.usefixtures("livekit")
def test_the_users_own_url_stands_in_for_a_setting_that_is_missing(cluster: Cluster) -> None:
    settings = cluster.api._objects["configmaps", SYSTEM, "byoc-operator-installation"]["data"]
    del settings["LIVEKIT_URL"]
    assert "LIVEKIT_URL" in items(cluster)["LiveKit"]["says"]
    cluster.around["environ"] = {**KEY, "LIVEKIT_URL": "wss://livekit.example.com"}
    found = items(cluster)
    assert {found[each]["state"] for each in ("Inbound trunk", "Dispatch rule", "Outbound trunk")} == {"ok"}
    assert "which one the operator uses is not known" in found["Operator's LiveKit"]["says"]
