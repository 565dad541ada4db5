"""What all commands share: whom they act as, how long they wait, how they end, how they are completed."""

import ast
import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from byoc_operator.cli import durations, exit_codes
from byoc_operator.cli.completion import completed
from byoc_operator.cli.kubectl_byoc import COMMANDS, kubectl_byoc
from byoc_operator.cli.outside import Outside
from byoc_operator.cluster.connection import Access, acting_as
from byoc_operator.cluster.fake import FakeApi
from kubectl import Cluster
from operated import NAMESPACE, manifest


def asked(*args: str) -> Access:
    """How a command reaches the cluster."""
    found: list[Access] = []

    async def connect(access: Access) -> tuple[FakeApi, str]:
        found.append(access)
        return FakeApi(), NAMESPACE

    CliRunner().invoke(kubectl_byoc, args, obj=Outside(connect))
    return found[0]


def test_a_command_acts_as_somebody_else() -> None:
    access = asked("status", "--as", "jane", "--as-group", "ops", "--as-group", "sales", "--request-timeout", "1m")
    assert access == Access(user="jane", groups=("ops", "sales"), timeout_s=60.0)
    assert acting_as(access) == [
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Group", "sales"),
    ]
    assert acting_as(asked("status")) == []


@pytest.mark.parametrize(("text", "seconds"), [("0", 300.0), ("5", 5.0), ("2m", 120.0), ("1d", 300.0)])
def test_every_request_ends(text: str, seconds: float) -> None:
    assert asked("status", "--request-timeout", text).timeout_s == seconds


@pytest.mark.parametrize("text", ["", "x", "-1s", "1.5s", "s", "9" * 10, "٣s"])
def test_a_wrong_duration_is_wrong_input(cluster: Cluster, text: str) -> None:
    result = cluster.run("status", "--request-timeout", text)
    assert (result.exit_code, "--request-timeout" in result.stderr) == (2, True)


def test_a_group_needs_a_user(cluster: Cluster) -> None:
    assert cluster.run("status", "--as-group", "ops").exit_code == 2


@pytest.mark.parametrize(("seconds", "told"), [(-3, "0s"), (119, "119s"), (120, "2m"), (10_800, "3h"), (200_000, "2d")])
def test_an_age_is_short(seconds: float, told: str) -> None:
    assert durations.told(seconds) == told


def test_every_exit_code_has_a_meaning_and_help_tells_all() -> None:
    assert set(exit_codes.MEANINGS) == set(exit_codes.ExitCode)
    help_text = " ".join(CliRunner().invoke(kubectl_byoc, ["--help"]).output.split())
    assert exit_codes.told() in help_text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_and_the_same_line_in_the_list(name: str) -> None:
    result = CliRunner().invoke(kubectl_byoc, [name, "--help"])
    assert result.exit_code == 0
    command = kubectl_byoc.get_command(None, name)  # type: ignore[arg-type]  # it needs no context
    assert command is not None
    assert command.get_short_help_str(200) == COMMANDS[name][1]


def test_an_unknown_command_is_wrong_input(cluster: Cluster) -> None:
    assert cluster.run("nonsense").exit_code == 2


HEAVY = ("kubernetes", "aiohttp", "pydantic", "rich", "cryptography", "yaml", "livekit", "google", "dns")


@pytest.mark.parametrize("call", ["kubectl_byoc(['--help'])", "main()"])
def test_help_and_completion_of_commands_load_no_large_library(call: str) -> None:
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print([each for each in {HEAVY} if each in sys.modules]))\n"
        "from byoc_operator.cli.completion import main\n"
        "from byoc_operator.cli.kubectl_byoc import kubectl_byoc\n"
        f"sys.argv = ['x', 'st']\n{call}\n"
    )
    done = subprocess.run([sys.executable, "-Ic", program], capture_output=True, check=True, text=True)
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == []


SEALS = {each: {"cryptography"} for each in ("seal", "keys", "migrate")}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_loads_no_client(name: str) -> None:
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print([each for each in {HEAVY} if each in sys.modules]))\n"
        "from byoc_operator.cli.kubectl_byoc import kubectl_byoc\n"
        f"kubectl_byoc(['{name}', '--help'])\n"
    )
    done = subprocess.run([sys.executable, "-Ic", program], capture_output=True, check=True, text=True)
    # Every command names the values of the API, and the built-in carriers are a YAML file.
    allowed = {"pydantic", "yaml"} | SEALS.get(name, set())
    assert set(ast.literal_eval(done.stdout.splitlines()[-1])) <= allowed


def test_completion_as_kubectl_asks_for_it() -> None:
    assert completed(kubectl_byoc, ["st"]) == [f"status\t{COMMANDS['status'][1]}", ":4"]
    assert [line.partition("\t")[0] for line in completed(kubectl_byoc, ["status", "--ou"])] == ["--output", ":4"]
    assert completed(kubectl_byoc, ["status", "-o", "j"]) == ["json", ":4"]
    assert completed(kubectl_byoc, [])[-1] == ":4"


def test_completion_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()
    api.apply(manifest("main"))
    api.apply(manifest("mobile", phoneNumber="+4915112345678"))

    async def connect(access: Access) -> tuple[FakeApi, str]:
        assert access.context == "there"
        return api, "elsewhere"

    monkeypatch.setattr(kubectl_byoc, "context_settings", {**kubectl_byoc.context_settings, "obj": Outside(connect)})
    words = ["status", "-n", NAMESPACE, "--context", "there"]
    assert completed(kubectl_byoc, [*words, "m"]) == ["main\t+19876543210", "mobile\t+4915112345678", ":4"]
    assert completed(kubectl_byoc, [*words, "+49"]) == ["+4915112345678\tmobile", ":4"]


@pytest.mark.slow
def test_completion_of_names_waits_not_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(access: Access) -> tuple[FakeApi, str]:  # noqa: ARG001 - as it is
        await asyncio.sleep(60)
        raise AssertionError("nobody waits so long")

    monkeypatch.setattr(kubectl_byoc, "context_settings", {**kubectl_byoc.context_settings, "obj": Outside(connect)})
    began = time.monotonic()
    assert completed(kubectl_byoc, ["status", "m"]) == [":4"]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(cluster: Cluster, shell: str) -> None:
    result = cluster.run("completion", shell)
    assert (result.exit_code, "_KUBECTL_BYOC_COMPLETE" in result.stdout) == (0, True)


PAGE = (Path(__file__).parents[3] / "docs" / "kubectl-byoc.md").read_text(encoding="utf-8")


def test_the_page_has_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(str(code.value), meaning) for code, meaning in exit_codes.MEANINGS.items()]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_every_command(name: str) -> None:
    assert re.search(rf"`{name}[ `]", PAGE)
