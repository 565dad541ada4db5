"""`kubectl byoc status` on the real API server: in a pipe, on a terminal, with few rights, completed by kubectl."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from integration.commands import user_environment
from terminals import on_terminal
from testbed.bed import Bed

BIN = Path(sys.executable).parent
LONG = "n" * 253
COMPLETES = f"""#!/bin/sh
exec "{sys.executable}" -Ic 'from byoc_operator.cli.completion import main; main()' "$@"
"""


def number(name: str, phone: str) -> str:
    head = {"apiVersion": "byoc.talkifai.dev/v1alpha1", "kind": "ByocPhoneNumber", "metadata": {"name": name}}
    return json.dumps({**head, "spec": {"phoneNumber": phone, "terminationUri": "sip.carrier.example"}})


@pytest.fixture
def numbers(installed: Bed, namespace: str) -> tuple[Bed, str]:
    """Two numbers that no operator has seen, one of them with the longest name, and a user who may only look."""
    installed.wait_for_crd()
    for name, phone in (("main", "+12025550111"), (LONG, "+12025550112")):
        installed.kubectl("-n", namespace, "apply", "-f", "-", stdin=number(name, phone))
    installed.kubectl("-n", namespace, "create", "rolebinding", "viewer", "--clusterrole=byoc-view", "--user=viewer")
    return installed, namespace


def byoc(bed: Bed, *args: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "kubectl-byoc"), *args]
    return subprocess.run(command, capture_output=True, text=True, env=user_environment(bed), timeout=60, check=False)


def test_in_a_pipe(numbers: tuple[Bed, str]) -> None:
    bed, namespace = numbers
    shown = byoc(bed, "status", "-n", namespace)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[-1] == "2 numbers: 2 Unknown (2 not seen yet)"
    assert LONG in shown.stdout
    by_number = json.loads(byoc(bed, "status", "+12025550111", "-A", "-o", "json").stdout)
    assert [(item["namespace"], item["name"]) for item in by_number["items"]] == [(namespace, "main")]


def test_on_a_terminal_the_table_fits(numbers: tuple[Bed, str]) -> None:
    bed, namespace = numbers
    command = [str(BIN / "kubectl-byoc"), "status", "-n", namespace, "-o", "wide"]
    code, shown = on_terminal(command, user_environment(bed), 100)
    assert code == 0
    lines = shown.splitlines()
    assert any("Unknown" in line for line in lines)
    assert "\x1b[3" not in shown
    assert max(len(line) for line in lines if "\x1b" not in line) <= 100


def test_who_may_only_look(numbers: tuple[Bed, str]) -> None:
    bed, namespace = numbers
    own = byoc(bed, "status", "-n", namespace, "--as", "viewer")
    assert (own.returncode, "2 numbers" in own.stdout) == (0, True)
    one = byoc(bed, "status", "main", "-n", namespace, "--as", "viewer")
    assert (one.returncode, "Event:          not known: you may not read this" in one.stdout) == (0, True)
    everywhere = byoc(bed, "status", "-A", "--as", "viewer")
    assert (everywhere.returncode, everywhere.stdout) == (3, "")
    assert "viewer" in everywhere.stderr
    group = byoc(bed, "status", "-A", "--as", "viewer", "--as-group", "system:masters")
    assert group.returncode == 0


def test_a_wrong_context_and_an_api_server_that_is_not_there(numbers: tuple[Bed, str], tmp_path: Path) -> None:
    bed, _ = numbers
    wrong = byoc(bed, "status", "--context", "nowhere")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    config = tmp_path / "config"
    config.write_text(bed.kubeconfig.read_text().replace(bed.api_url, "https://127.0.0.1:9"))
    nobody = byoc(bed, "status", "--kubeconfig", str(config), "--request-timeout", "2s")
    assert (nobody.returncode, "does not answer" in nobody.stderr) == (1, True)


def test_kubectl_completes_commands_and_names(numbers: tuple[Bed, str], tmp_path: Path) -> None:
    bed, namespace = numbers
    script = tmp_path / "kubectl_complete-byoc"
    script.write_text(COMPLETES)
    script.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"

    def completed(*words: str) -> list[str]:
        command = [str(bed._kubectl), "__complete", "byoc", *words]
        asked = user_environment(bed, PATH=path)
        done = subprocess.run(command, capture_output=True, text=True, env=asked, timeout=60, check=True)
        return [line.partition("\t")[0] for line in done.stdout.splitlines()]

    assert completed("st") == ["status", ":4"]
    assert completed("status", "-n", namespace, "ma") == ["main", ":4"]
    assert completed("status", "-n", namespace, "+1202555011") == ["+12025550111", "+12025550112", ":4"]
