"""What the commands print as a user runs them: in a pipe, on a terminal, and where something is in the way.

`test_status_of_many` has the outputs of `status`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from livekit.protocol.sip import SIPOutboundTrunkInfo

from golden import check
from integration.commands import livekit_secret, on_terminal, run, told_deployment, user_environment
from integration.scene import Scene
from integration.sealed import EXECUTABLE, has_keys
from integration.volatile import masked
from manifests import manifest

GOLDEN = Path(__file__).parent / "golden"
PHONE, THEIRS, NEW, LONG_PHONE = "+13035558000", "+13035558001", "+13035558002", "+13035558003"
NOBODY_LISTENS = "127.0.0.1:9"
LONG = ".".join(["n" * 62] * 4) + "-o"
PASSWORD = "Outputs-first-password"
COLUMNS = 110
INPUT = {"seal": f"maria\n{PASSWORD}\n"}
COMMANDS: Sequence[tuple[str, ...]] = (
    ("doctor", "main"),
    ("doctor", PHONE, "--source", "198.51.100.9", "--from", "+15551230000"),
    ("doctor", "main", "--ring-agent", "-o", "yaml"),
    ("doctor", LONG),
    ("plan", "main"),
    ("plan", "-f", "new.yaml"),
    ("plan", "-f", "new.yaml", "-o", "json"),
    ("refresh", "--all", "--dry-run"),
    ("refresh", "main"),
    ("dial", "main", "--to", "+442079460123", "--no-agent", "--yes"),
    ("logs", "main"),
    ("import", "--all"),
    ("keys", "list"),
    ("keys", "list", "-o", "json"),
    ("support-bundle", "-o", "bundle.tar.gz", "--force"),
)
IN_THE_WAY: Mapping[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "no rights": (("--as", "nobody"), {}),
    "wrong context": (("--context", "nowhere"), {}),
    "no API server": (("--request-timeout", "5s"), {"KUBECONFIG": "/nowhere/config"}),
    "LiveKit down": ((), {"LIVEKIT_URL": "http://127.0.0.1:9"}),
    "a wrong key": ((), {"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "wrong-and-long-enough-for-livekit"}),
    "a wrong URL": ((), {"LIVEKIT_URL": "https://[::1"}),
    "no operator": (("--operator-namespace", "default"), {}),
}
SHORT: Sequence[tuple[str, ...]] = (
    ("status",),
    ("doctor", "main", "-o", "json"),
    ("plan", "main"),
    ("refresh", "main"),
    ("dial", "main", "--to", "+442079460123", "--no-agent", "--yes"),
    ("logs", "main"),
    ("import", "--all"),
    ("keys", "list"),
    ("support-bundle", "-o", "bundle.tar.gz", "--force"),
)


@pytest.fixture
def world(stage: Scene, tmp_path: Path) -> Iterator[Scene]:
    """A number in step, one with the longest name whose Secret is missing, a trunk of somebody else."""
    with told_deployment(stage.bed, BYOC_SIP_URI=f"{NOBODY_LISTENS};transport=tcp"), livekit_secret(stage.bed):
        stage.deployment.ensure()
        stage.until(lambda: has_keys(stage), "the keys are made")
        stage.secret({"username": "maria", "password": PASSWORD})
        plain = {"terminationUri": NOBODY_LISTENS, "transport": "TCP", "mediaEncryption": "Disabled"}
        inbound = {"allowedAddresses": ["192.0.2.0/24"]}
        stage.number(
            "main",
            phoneNumber=PHONE,
            sipPasswordSecretRef={"name": "sip"},
            inbound=inbound,
            **plain,
            outboundAgentId="out",
        )
        stage.number(LONG, phoneNumber=LONG_PHONE, sipPasswordSecretRef={"name": "missing"}, inbound=inbound, **plain)
        stage.ready("main")
        stage.told("SecretNotFound", LONG)
        trunk = SIPOutboundTrunkInfo(name="theirs", address="sip.example.com", numbers=[THEIRS], auth_username="otto")
        trunk.auth_password = f"{PASSWORD}-of-others"
        stage.sip.create_outbound(trunk)
        spec = {"phoneNumber": NEW, "terminationUri": "sip.carrier.example", "friendlyName": "New line"}
        (tmp_path / "new.yaml").write_text(json.dumps(manifest("new", stage.namespace, spec)))
        yield stage


def told(command: Sequence[str], code: int, *outputs: str) -> str:
    """One command with its output, as it stands in the file."""
    shown = [masked(each.replace(LONG, "LONGEST-NAME")) for each in outputs if each]
    line = " ".join(command).replace(LONG, "LONGEST-NAME")
    return "".join([f"$ kubectl byoc {line}\n", *shown, f"[exit {code}]\n\n"])


def clean(text: str) -> None:
    """No credential, no traceback."""
    assert PASSWORD not in text
    assert "Traceback" not in text
    assert "which is a bug" not in text


def test_in_a_pipe(world: Scene, tmp_path: Path) -> None:
    found: list[str] = []
    for command in COMMANDS:
        done = run(world, *command, "-n", world.namespace, folder=tmp_path)
        clean(done.stdout + done.stderr)
        assert "\x1b" not in done.stdout + done.stderr, "colours are for terminals"
        found.append(told(command, done.returncode, done.stdout, done.stderr))
    check(GOLDEN / "outputs-in-a-pipe.txt", "".join(found))


def test_on_a_terminal(world: Scene, tmp_path: Path) -> None:
    found: list[str] = []
    for command in COMMANDS:
        line = [str(EXECUTABLE), *command, "-n", world.namespace]
        code, shown = on_terminal(line, user_environment(world.bed), COLUMNS, tmp_path)
        clean(shown)
        found.append(told(command, code, shown))
    check(GOLDEN / "outputs-on-a-terminal.txt", "".join(found))


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_where_something_is_in_the_way(world: Scene, tmp_path: Path, what: str) -> None:
    args, changes = IN_THE_WAY[what]
    found: list[str] = []
    for command in SHORT:
        done = run(world, *command, "-n", world.namespace, *args, changes=changes, folder=tmp_path)
        clean(done.stdout + done.stderr)
        broken = "" if command[0] != "doctor" or not done.stdout else json.loads(done.stdout)["firstBreak"]
        shown = f"first break: {broken}\n" if command[0] == "doctor" else done.stdout
        found.append(told(command, done.returncode, shown, done.stderr))
    check(GOLDEN / f"outputs-{what.replace(' ', '-')}.txt", "".join(found))
