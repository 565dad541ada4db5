"""A wrong LIVEKIT_URL is one line in every command that asks LiveKit, whoever has set it."""

import json
from pathlib import Path

import pytest

from bundles import unpacked
from byoc_operator.cli.exit_codes import ExitCode
from kubectl import Cluster
from operated import NAMESPACE, SYSTEM
from standing import KEY, stand

pytestmark = pytest.mark.slow

SECRET = "hunter2"
WRONG = ("https://[::1", f"ws://u:{SECRET}@livekit.example.com", f"ws://{SECRET}@[::1", "wss://livekit:port", "\x1b[2J")
FORM = "must be a ws, wss, http or https URL without credentials, query and fragment, like wss://livekit.example.com"
COMMANDS = (
    ("doctor", "main"),
    ("doctor", "main", "--ring-agent"),
    ("dial", "main", "--to", "+442079460123", "--yes"),
    ("plan", "main"),
    ("import", "--all"),
)


def told_by_operator(cluster: Cluster, url: str) -> None:
    stand(cluster)
    cluster.api._objects["configmaps", SYSTEM, "byoc-operator-installation"]["data"]["LIVEKIT_URL"] = url


@pytest.mark.parametrize("url", WRONG)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_in_the_users_environment_it_ends_the_command(cluster: Cluster, command: tuple[str, ...], url: str) -> None:
    stand(cluster)
    cluster.around["environ"] = {**KEY, "LIVEKIT_URL": url}
    result = cluster.run(*command, "-n", NAMESPACE)
    assert result.exit_code == ExitCode.USAGE, result.output
    assert result.stderr == f"kubectl byoc: LIVEKIT_URL: {FORM}\n"
    assert result.stdout == ""


@pytest.mark.parametrize("url", WRONG)
@pytest.mark.parametrize("command", COMMANDS[2:], ids=" ".join)
def test_in_the_operators_settings_it_ends_the_command(cluster: Cluster, command: tuple[str, ...], url: str) -> None:
    told_by_operator(cluster, url)
    result = cluster.run(*command, "-n", NAMESPACE)
    assert result.exit_code == ExitCode.FAILED, result.output
    assert "LIVEKIT_URL" in result.stderr
    assert SECRET not in result.output
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", WRONG)
def test_in_the_operators_settings_it_is_a_row_of_the_doctor(cluster: Cluster, url: str) -> None:
    told_by_operator(cluster, url)
    result = cluster.run("doctor", "main", "-n", NAMESPACE, "-o", "json")
    rows = {each["what"]: each for each in json.loads(result.stdout)["items"]}
    assert rows["LiveKit"]["state"] == "unknown"
    assert f"the operator's setting LIVEKIT_URL {FORM}" in rows["LiveKit"]["says"]
    assert rows["Secret"]["state"] == "ok", "the rest still runs"
    assert SECRET not in result.output


def test_an_operators_url_that_is_wrong_is_not_quoted_beside_the_users(cluster: Cluster) -> None:
    told_by_operator(cluster, f"ws://{SECRET}@[::1")
    cluster.around["environ"] = {**KEY, "LIVEKIT_URL": "ws://127.0.0.1:7880"}
    result = cluster.run("doctor", "main", "-n", NAMESPACE)
    assert "which one the operator uses is not known" in result.stdout
    assert SECRET not in result.output


def test_a_support_bundle_lacks_only_livekit(cluster: Cluster, tmp_path: Path) -> None:
    stand(cluster)
    cluster.around["environ"] = {**KEY, "LIVEKIT_URL": f"ws://{SECRET}@[::1"}
    file = tmp_path / "bundle.tar.gz"
    assert cluster.run("support-bundle", "-n", NAMESPACE, "-o", str(file)).exit_code == ExitCode.OK
    texts = unpacked(file)
    assert f"livekit.yaml: LIVEKIT_URL: {FORM}" in texts["errors.txt"]
    assert not any(SECRET in text for text in texts.values())
