"""What the commands print as a user runs them: in a pipe, on a terminal, and where something is in the way.

`test_status_of_many` has the outputs of `status`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from livekit.protocol.sip import SIPMediaEncryption, SIPOutboundTrunkInfo, SIPTransport

from golden import check
from integration.commands import livekit_secret, run, told_deployment, user_environment
from integration.deployment import Deployment
from integration.scene import Scene
from integration.sealed import EXECUTABLE, has_keys
from integration.volatile import masked
from manifests import manifest
from terminals import on_terminal

GOLDEN = Path(__file__).parent / "golden"
PHONE, THEIRS, NEW, LONG_PHONE = "+13035558000", "+13035558001", "+13035558002", "+13035558003"
NOBODY_LISTENS = "127.0.0.1:9"
LONG = ".".join(["n" * 62] * 4) + "-o"
PASSWORD = "Outputs-first-password"
COLUMNS = 110
COMMANDS: Sequence[tuple[str, ...]] = (
    ("doctor", "main"),
    ("doctor", PHONE, "--source", "198.51.100.9", "--from", "+15551230000"),
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
ON_A_TERMINAL = [command for command in COMMANDS if command[0] != "doctor"]
"""How the table of `doctor` is wrapped depends on names of the machine: `test_doctor` has it on a terminal."""

DIAL = ("dial", "main", "--to", "+442079460123", "--no-agent", "--yes")
BUNDLE = ("support-bundle", "-o", "bundle.tar.gz", "--force")
DOCTOR = ("doctor", "main", "-o", "json")
ALL = (("status",), DOCTOR, ("plan", "main"), ("refresh", "main"), DIAL, ("logs", "main"), ("import", "--all"))
IN_THE_WAY: Mapping[str, tuple[tuple[str, ...], dict[str, str], Sequence[tuple[str, ...]]]] = {
    "no rights": (("--as", "nobody"), {}, (*ALL, ("keys", "list"), BUNDLE)),
    "wrong context": (("--context", "nowhere"), {}, (("status",), DOCTOR, ("keys", "list"))),
    "no configuration": ((), {"KUBECONFIG": "/nowhere/config"}, (("status",), DIAL)),
    "LiveKit down": ((), {"LIVEKIT_URL": "http://127.0.0.1:9"}, (DOCTOR, ("plan", "main"), DIAL, ("import", "--all"))),
    "a wrong key": (
        (),
        {"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "wrong-and-long-enough-for-livekit"},
        (DOCTOR, ("plan", "main"), DIAL, ("import", "--all")),
    ),
    "a wrong URL": ((), {"LIVEKIT_URL": "https://[::1"}, (DOCTOR, DIAL)),
    "no operator": (("--operator-namespace", "default"), {}, (DOCTOR, ("plan", "main"), DIAL, ("keys", "list"))),
}


@dataclass(frozen=True)
class World:
    """What the commands find. `folder`: where they run."""

    scene: Scene
    folder: Path

    def line(self, command: Sequence[str]) -> list[str]:
        """The command with its namespace, where it has one."""
        return [*command, *(() if command[0] == "keys" else ("-n", self.scene.namespace))]


@pytest.fixture(scope="module")
def world(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A number in step, one with the longest name whose Secret is missing, a trunk of somebody else."""
    scene = Scene(deployment, "outputs")  # a name of its own length would be wrapped otherwise in each run
    scene.bed.kubectl("create", "namespace", scene.namespace)
    with told_deployment(scene.bed, BYOC_SIP_URI=f"{NOBODY_LISTENS};transport=tcp"), livekit_secret(scene.bed):
        scene.deployment.ensure()
        scene.until(lambda: has_keys(scene), "the keys are made")
        scene.secret({"username": "maria", "password": PASSWORD})
        plain = {"terminationUri": NOBODY_LISTENS, "transport": "TCP", "mediaEncryption": "Disabled"}
        agents = {"inbound": {"allowedAddresses": ["192.0.2.0/24"]}, "outboundAgentId": "agent_sales"}
        scene.number("main", phoneNumber=PHONE, sipPasswordSecretRef={"name": "sip"}, **agents, **plain)
        scene.number(LONG, phoneNumber=LONG_PHONE, sipPasswordSecretRef={"name": "missing"}, **agents, **plain)
        scene.ready("main")
        scene.told("SecretNotFound", LONG)
        theirs = SIPOutboundTrunkInfo(name="theirs", address="sip.example.com", numbers=[THEIRS], auth_username="otto")
        theirs.auth_password = f"{PASSWORD}-of-others"
        theirs.transport = SIPTransport.SIP_TRANSPORT_TLS
        theirs.media_encryption = SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
        scene.sip.create_outbound(theirs)
        folder = tmp_path_factory.mktemp("user")
        spec = {"phoneNumber": NEW, "terminationUri": "sip.carrier.example", "friendlyName": "New line"}
        (folder / "new.yaml").write_text(json.dumps(manifest("new", scene.namespace, spec)))
        yield World(scene, folder)
        scene.kubectl("delete", "bpn", "--all", "--wait=false")
        scene.until(lambda: not scene.all(), "all numbers are gone", within_s=60)
        scene.sip.clear()
    scene.bed.kubectl("delete", "namespace", scene.namespace, "--wait=false")


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


def test_in_a_pipe(world: World) -> None:
    found: list[str] = []
    for command in COMMANDS:
        done = run(world.scene, *world.line(command), folder=world.folder)
        clean(done.stdout + done.stderr)
        assert "\x1b" not in done.stdout + done.stderr, "colours are for terminals"
        found.append(told(command, done.returncode, done.stdout, done.stderr))
    check(GOLDEN / "outputs-in-a-pipe.txt", "".join(found))


def test_on_a_terminal(world: World) -> None:
    found: list[str] = []
    for command in ON_A_TERMINAL:
        line = [str(EXECUTABLE), *world.line(command)]
        code, shown = on_terminal(line, user_environment(world.scene.bed), COLUMNS, world.folder)
        clean(shown)
        found.append(told(command, code, shown))
    check(GOLDEN / "outputs-on-a-terminal.txt", "".join(found))


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_where_something_is_in_the_way(world: World, what: str) -> None:
    args, changes, commands = IN_THE_WAY[what]
    found: list[str] = []
    for command in commands:
        done = run(world.scene, *world.line(command), *args, changes=changes, folder=world.folder)
        clean(done.stdout + done.stderr)
        shown = done.stdout
        if command == DOCTOR and shown:
            shown = f"first break: {json.loads(shown)['firstBreak']}\n"
        found.append(told(command, done.returncode, shown, done.stderr))
    check(GOLDEN / f"outputs-{what.replace(' ', '-')}.txt", "".join(found))
