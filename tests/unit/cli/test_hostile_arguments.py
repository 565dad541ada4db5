"""Whatever stands in an argument: one line that says what is allowed, no traceback, no control character."""

from pathlib import Path

import pytest

from byoc_operator.cli.exit_codes import ExitCode
from kubectl import Cluster
from operated import NAMESPACE
from standing import KEY, stand

pytestmark = pytest.mark.slow

WORDS = {
    "no text": "\udcff",
    "a number that is no text": "+1\udcff",
    "an escape": "\x1b[2J",
    "nothing": "",
    "a plus": "+",
    "long": "a" * 300,
    "a long number": "+" + "9" * 300,
    "a path": "../x",
    "an encoded path": "..%2fx",
    "a direction mark": "\u202e",
    "two lines": "a\nb",
    "a digit of another script": "+٣٣٣",
}
NAMES = {
    "doctor": ("doctor", "{}", "-n", NAMESPACE),
    "dial": ("dial", "{}", "-n", NAMESPACE, "--to", "+442079460123", "--yes"),
    "dial --to": ("dial", "main", "-n", NAMESPACE, "--yes", "--to", "{}"),
    "status": ("status", "{}", "-n", NAMESPACE),
    "plan": ("plan", "{}", "-n", NAMESPACE),
    "refresh": ("refresh", "{}", "-n", NAMESPACE),
    "logs": ("logs", "{}", "-n", NAMESPACE),
    "release": ("release", "{}"),
    "-n": ("status", "-n", "{}"),
    "--operator-namespace": ("status", "--operator-namespace", "{}"),
    "--request-timeout": ("status", "--request-timeout", "{}"),
    "--source": ("doctor", "main", "-n", NAMESPACE, "--source", "{}"),
    "--livekit-key-file": ("doctor", "main", "-n", NAMESPACE, "--livekit-key-file", "{}"),
    "-l": ("status", "-l", "{}"),
    "support-bundle -o": ("support-bundle", "-n", NAMESPACE, "-o", "{folder}/absent/{}"),
}
TAKEN = {
    ("status", "nothing"),
    ("-n", "nothing"),
    ("--source", "nothing"),
    ("--livekit-key-file", "nothing"),
    ("-l", "nothing"),
}
"""What is empty counts as absent. For -l the API server has the last word on the others, too."""


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("where", NAMES)
def test_an_argument_that_nobody_expects_is_one_line(cluster: Cluster, tmp_path: Path, where: str, word: str) -> None:
    stand(cluster)
    folder = str(tmp_path / "absent")
    cluster.around["environ"] = {**KEY, "LIVEKIT_URL": "wss://livekit.example.com"}
    result = cluster.run(*(each.replace("{folder}", folder).replace("{}", WORDS[word]) for each in NAMES[where]))
    assert list(tmp_path.iterdir()) == []
    assert all(each.isprintable() for each in result.output.splitlines())
    assert "which is a bug" not in result.output
    if (where, word) in TAKEN or (where == "-l" and result.exit_code == ExitCode.OK):
        return
    assert result.exit_code in (ExitCode.USAGE, ExitCode.FAILED), result.output
    assert len(result.stderr) < 2_000
    assert "kubectl byoc" in result.stderr
