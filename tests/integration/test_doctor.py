"""`kubectl byoc doctor` on the real API server and the real LiveKit: a healthy number, and faults that are seeded."""

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from byoc_operator.core.credential_values import Field
from byoc_operator.sealing.sealed import KeyRing
from integration.commands import user_environment
from integration.deployment import INSTALLATION
from integration.scene import GOOD_SECRET, Scene
from integration.sealed import EXECUTABLE, SYSTEM, sealed, with_keys
from terminals import on_terminal

PODS = "app.kubernetes.io/name=byoc-operator"
SOMETHING_BAD = 5
HEALTHY = ("--from", "+15551230000", "--source", "192.0.2.7")
RUNNING = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


@contextmanager
def sip_server() -> Iterator[int]:
    """A SIP server without TLS that answers everything with 200; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        if connection.recv(4096):
                            connection.sendall(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n")
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def port() -> Iterator[int]:
    with sip_server() as found:
        yield found


@pytest.fixture
def healthy(stage: Scene, port: int) -> Iterator[Scene]:
    """The number `a`, in step, and an operator whose Deployment says what its process was told; no sweep happens."""
    scene = with_keys(stage)
    told = {
        "LIVEKIT_URL": scene.bed.livekit.url,
        "BYOC_INSTALLATION_ID": INSTALLATION,
        "BYOC_SIP_URI": f"127.0.0.1:{port};transport=tcp",
    }
    scene.bed.kubectl("-n", SYSTEM, "set", "env", "deployment/byoc-operator", *(f"{k}={v}" for k, v in told.items()))
    sealed(scene)
    label = ("label", "secret", "sip", "byoc.talkifai.dev/sip-credentials=true", "--overwrite")
    scene.kubectl(*label)
    scene.number(
        "a",
        terminationUri=f"127.0.0.1:{port}",
        transport="TCP",
        mediaEncryption="Disabled",
        sipPasswordSecretRef={"name": "sip"},
        inbound={"allowedAddresses": ["192.0.2.0/24"]},
    )
    scene.ready()
    scene.until(lambda: _pods_run(scene), "the pods that no node runs read Ready", within_s=30)
    yield scene
    scene.bed.kubectl("-n", SYSTEM, "set", "env", "deployment/byoc-operator", *(f"{name}-" for name in told))


def _pods_run(scene: Scene) -> bool:
    """Say of each pod that it is Ready, as no kubelet does it here; whether there are as many as wanted."""
    found = scene.bed.kubectl("-n", SYSTEM, "get", "pods", "-l", PODS, "-o", "name").stdout.split()
    for pod in found:
        scene.bed.kubectl(
            "-n", SYSTEM, "patch", pod, "--subresource=status", "--type=merge", "-p", json.dumps(RUNNING), check=False
        )
    return len(found) >= 2


def environment(scene: Scene, **changes: str) -> dict[str, str]:
    livekit = scene.bed.livekit
    keys = {"LIVEKIT_URL": livekit.url, "LIVEKIT_API_KEY": livekit.key, "LIVEKIT_API_SECRET": livekit.secret}
    return user_environment(scene.bed, **(keys | changes))


def doctor(scene: Scene, *args: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run it in a pipe. No credential is printed, whatever happens."""
    command = [str(EXECUTABLE), "doctor", "a", "-n", scene.namespace, *args]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(scene, **changes), timeout=120, check=False
    )
    for secret in (*GOOD_SECRET.values(), scene.bed.livekit.secret):
        assert secret not in done.stdout + done.stderr
    return done


def bad(scene: Scene, *args: str, **changes: str) -> list[str]:
    """What is bad, in order."""
    done = doctor(scene, "-o", "json", *args, **changes)
    found = [each["what"] for each in json.loads(done.stdout)["items"] if each["state"] == "bad"]
    assert done.returncode == (SOMETHING_BAD if found else 0), done.stderr
    return found


def test_a_healthy_number_finds_nothing(healthy: Scene) -> None:
    before = healthy.sip.of(healthy.get()["spec"]["phoneNumber"]).bytes
    done = doctor(healthy, *HEALTHY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    unknown = [line for line in done.stdout.splitlines() if line.startswith("unknown")]
    assert [line.split("   ")[1].strip() for line in unknown] == ["Last sweep"], done.stdout
    assert "At the carrier (Generic):" in done.stdout
    assert healthy.sip.of(healthy.get()["spec"]["phoneNumber"]).bytes == before, "the doctor changed LiveKit"


def no_agent(scene: Scene) -> None:
    (rule,) = scene.sip.of(scene.get()["spec"]["phoneNumber"]).rules
    rule.room_config.agents[0].agent_name = ""
    scene.sip.put_rule(rule)


def no_inbound_trunk(scene: Scene) -> None:
    scene.sip.delete(scene.get()["status"]["inboundTrunkId"])


def no_secret(scene: Scene) -> None:
    scene.kubectl("delete", "secret", "sip")
    scene.told("SecretNotFound")


def not_listening(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
    scene.change(terminationUri=f"127.0.0.1:{free}")
    scene.ready()


def lost_keys(scene: Scene) -> None:
    """The Secret was sealed in another cluster."""
    scene.kubectl("patch", "secret", "sip", "--type=merge", "-p", json.dumps({"stringData": {"password": _foreign()}}))
    scene.told("SealingKeyUnknown")


def _foreign() -> str:

    return KeyRing.generate().seal("first-password", "elsewhere", Field.PASSWORD)


FAULTS: Mapping[str, tuple[Callable[[Scene], None], list[str]]] = {
    "agent name empty": (no_agent, ["Agent"]),
    "inbound trunk missing": (no_inbound_trunk, ["Inbound trunk"]),
    "Secret missing": (no_secret, ["Ready", "Secret"]),
    "sealed with a lost key": (lost_keys, ["Ready", "Sealing"]),
    "nothing listens at the carrier": (not_listening, ["TCP to the termination host"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_named(healthy: Scene, name: str) -> None:
    seed, expected = FAULTS[name]
    seed(healthy)
    assert bad(healthy, *HEALTHY) == expected


def test_what_is_wrong_with_livekit_is_named(healthy: Scene) -> None:
    assert bad(healthy, LIVEKIT_URL="http://127.0.0.1:9") == ["LiveKit"]
    assert bad(healthy, LIVEKIT_API_SECRET="a-secret-that-is-wrong-and-long-enough") == ["LiveKit's key"]


def test_a_call_from_elsewhere_is_not_accepted(healthy: Scene) -> None:
    assert bad(healthy, "--source", "198.51.100.9") == ["Inbound trunk of the call"]
    assert bad(healthy, "--called", "2025550000") == ["Inbound trunk of the call"]


def test_on_a_terminal_the_table_fits_and_the_first_break_comes_last(healthy: Scene) -> None:
    no_agent(healthy)
    command = [str(EXECUTABLE), "doctor", "a", "-n", healthy.namespace]
    code, text = on_terminal(command, environment(healthy), 100)
    assert code == SOMETHING_BAD
    assert GOOD_SECRET["password"] not in text
    table, _, after = text.partition("At the carrier")
    assert max(len(line) for line in table.splitlines() if "\x1b" not in line) <= 100
    assert "first break: Agent:" in after
