"""Kubeconfigs that cannot be used: each gives one line, which quotes nothing of the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from byoc_operator.cli.kubectl_byoc import kubectl_byoc

CREDENTIAL = "NOBODY-MAY-READ-THIS"


def stated(**changes: Any) -> bytes:
    """A configuration that can be used, but for the changes."""
    context = {"name": "c", "context": {"cluster": "k", "user": "u"}}
    good = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [context],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": CREDENTIAL}}],
    }
    return json.dumps(good | changes).encode()


def cluster(**stated_: Any) -> list[Any]:
    return [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"} | stated_}]


UNUSABLE = {
    "broken": b"users:\n - token: NOBODY-MAY-READ-THIS: {{\n",
    "empty": b"",
    "text": CREDENTIAL.encode(),
    "list": f"[{CREDENTIAL}]".encode(),
    "binary": b"\xff\xfe\x00" + CREDENTIAL.encode(),
    "no context": stated(**{"current-context": ""}),
    "no contexts": stated(contexts=None),
    "a context that is a text": stated(contexts=[{"name": "c", "context": CREDENTIAL}]),
    "a user without its part": stated(users=[{"name": "u", "token": CREDENTIAL}]),
    "a user that is a text": stated(users=[CREDENTIAL]),
    "a server that is a number": stated(clusters=cluster(server=5)),
    "an authority that is no base64": stated(clusters=cluster(**{"certificate-authority-data": f"%{CREDENTIAL}"})),
    "a certificate that is none": stated(users=[{"name": "u", "user": {"client-certificate-data": "VE9Q"}}]),
    "an authority that is none": stated(clusters=cluster(**{"certificate-authority-data": "VE9Q"})),
}


@pytest.mark.parametrize("what", ["no file", *UNUSABLE])
def test_a_configuration_that_cannot_be_used_is_one_line(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config"
    if what in UNUSABLE:
        path.write_bytes(UNUSABLE[what])
    result = CliRunner().invoke(kubectl_byoc, ["seal", "sip", "--kubeconfig", str(path)], input="user\npassword\n")
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, result.stdout) == (1, "")
    told = (result.stderr + capfd.readouterr().err).splitlines()
    assert len(told) == 1, told
    assert told[0].startswith(f"kubectl byoc: there is no cluster to talk to ({path}): ")
    assert CREDENTIAL not in told[0]


def test_the_line_of_a_fault_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(UNUSABLE["broken"])
    result = CliRunner().invoke(kubectl_byoc, ["keys", "list", "--kubeconfig", str(path)])
    assert "(line 2)" in result.stderr
