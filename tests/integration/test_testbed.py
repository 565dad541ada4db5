"""The test bed itself: if these fail, no other integration test means anything."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from livekit.api import LiveKitAPI, ServerError
from livekit.protocol.sip import CreateSIPInboundTrunkRequest, ListSIPInboundTrunkRequest, SIPInboundTrunkInfo

from testbed.bed import Bed
from testbed.livekit_parts import LiveKit, Redis
from testbed.livekit_proxy import LiveKitProxy
from testbed.operator_process import OperatorProcess
from testbed.part import NotReady, free_port

_STAND_IN = """
import http.server, os
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path == "/metrics":
            variables = ",".join(f'{name}="1"' for name in ("b", "a"))
            self.wfile.write(b"byoc_variables{" + variables.encode() + b"} " + str(len(os.environ)).encode() + b"\\n")
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["BYOC_HTTP_PORT"])), Answers).serve_forever()
"""


@pytest.fixture
def proxy(livekit_server: LiveKit) -> Iterator[LiveKitProxy]:
    with LiveKitProxy(livekit_server.url) as running:
        yield running


@pytest.fixture
async def through_proxy(livekit_server: LiveKit, proxy: LiveKitProxy) -> AsyncIterator[LiveKitAPI]:
    async with LiveKitAPI(proxy.url, livekit_server.key, livekit_server.secret) as client:
        yield client


async def _names(client: LiveKitAPI) -> list[str]:
    return [trunk.name for trunk in (await client.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())).items]


async def _create(client: LiveKitAPI, name: str) -> None:
    # Each with its own number: LiveKit refuses two trunks for the same one.
    number = f"+1555{free_port():07}"
    await client.sip.create_inbound_trunk(
        CreateSIPInboundTrunkRequest(trunk=SIPInboundTrunkInfo(name=name, numbers=[number]))
    )


def _stand_in(directory: Path, main: str) -> None:
    """A package that `python -m` in this directory finds before the real operator."""
    package = directory / "byoc_operator"
    package.mkdir()
    (package / "__init__.py").touch()  # without it, the installed package would win
    (package / "__main__.py").write_text(main)


def test_the_admin_sees_the_namespaces(bed: Bed) -> None:
    assert "kube-system" in bed.kubectl("get", "namespaces", "--output=name").stdout


def test_a_deleted_namespace_goes_away(bed: Bed, namespace: str) -> None:
    name = f"{namespace}-gone"
    bed.kubectl("create", "namespace", name)
    bed.kubectl("delete", "namespace", name, timeout_s=60)
    assert bed.kubectl("get", "namespace", name, check=False).returncode == 1


def test_admission_policies_that_change_objects_are_served(bed: Bed) -> None:
    kinds = bed.kubectl("api-resources", "--api-group=admissionregistration.k8s.io", "--output=name").stdout
    assert "mutatingadmissionpolicies.admissionregistration.k8s.io" in kinds


def test_a_service_account_is_bound_by_its_role_and_its_writes_are_counted(bed: Bed, namespace: str) -> None:
    bed.kubectl("create", "serviceaccount", "writer", f"--namespace={namespace}")
    bed.kubectl("create", "role", "writer", "--verb=create", "--resource=configmaps", f"--namespace={namespace}")
    account = f"--serviceaccount={namespace}:writer"
    bed.kubectl("create", "rolebinding", "writer", "--role=writer", account, f"--namespace={namespace}")
    kubeconfig = f"--kubeconfig={bed.service_account_kubeconfig(namespace, 'writer')}"

    bed.kubectl(kubeconfig, "create", "configmap", "first", f"--namespace={namespace}")
    refused = bed.kubectl(kubeconfig, "delete", "configmap", "first", f"--namespace={namespace}", check=False)

    assert "forbidden" in refused.stderr
    user = f"system:serviceaccount:{namespace}:writer"
    writes = [(entry.verb, entry.resource, entry.namespace, entry.name, entry.code) for entry in bed.writes_by(user)]
    assert writes == [
        ("create", "configmaps", namespace, "first", 201),
        ("delete", "configmaps", namespace, "first", 403),
    ]


def test_the_cluster_survives_a_crash_of_its_storage_and_its_server(bed: Bed, namespace: str) -> None:
    bed.kubectl("create", "configmap", "kept", f"--namespace={namespace}")
    for part in (bed.etcd, bed.api_server):
        part.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bed.api_server.port), 1)
    for part in (bed.etcd, bed.api_server):
        part.start()
    assert bed.kubectl("get", "configmap", "kept", f"--namespace={namespace}").returncode == 0


def test_private_files_are_private(bed: Bed) -> None:
    assert bed.kubeconfig.stat().st_mode & 0o777 == 0o600


async def test_the_proxy_forwards_and_counts(through_proxy: LiveKitAPI, proxy: LiveKitProxy) -> None:
    await _names(through_proxy)
    assert proxy.calls == {"ListSIPInboundTrunk": 1}
    assert proxy.forwarded == {"ListSIPInboundTrunk": 1}


async def test_a_call_can_fail_before_livekit_sees_it(through_proxy: LiveKitAPI, proxy: LiveKitProxy) -> None:
    proxy.error_before("CreateSIPInboundTrunk", times=5)
    with pytest.raises(ServerError):
        await _create(through_proxy, "never")
    proxy.clear()
    assert "never" not in await _names(through_proxy)


async def test_a_reply_can_be_lost(through_proxy: LiveKitAPI, proxy: LiveKitProxy) -> None:
    proxy.error_after("CreateSIPInboundTrunk")
    with pytest.raises(aiohttp.ClientConnectionError):
        await _create(through_proxy, "lost-reply")
    assert "lost-reply" in await _names(through_proxy)


async def test_a_call_can_be_applied_late(through_proxy: LiveKitAPI, proxy: LiveKitProxy) -> None:
    proxy.applied_later("CreateSIPInboundTrunk", delay_s=0.3)
    with pytest.raises(aiohttp.ClientConnectionError):
        await _create(through_proxy, "late")
    assert "late" not in await _names(through_proxy)
    proxy.settle()
    assert "late" in await _names(through_proxy)


async def test_a_call_can_hang_until_released(through_proxy: LiveKitAPI, proxy: LiveKitProxy) -> None:
    proxy.hang("CreateSIPInboundTrunk")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):  # the client's own timeout has no effect
            await _create(through_proxy, "hung")
    assert proxy.forwarded["CreateSIPInboundTrunk"] == 0
    proxy.release()
    proxy.settle()
    assert "hung" in await _names(through_proxy)


async def test_a_chosen_answer_is_given(through_proxy: LiveKitAPI, proxy: LiveKitProxy) -> None:
    proxy.status("ListSIPInboundTrunk", 429, '{"code": "resource_exhausted", "msg": "slow down"}')
    with pytest.raises(ServerError) as refused:
        await _names(through_proxy)
    assert (refused.value.status, refused.value.code) == (429, "resource_exhausted")


async def test_livekit_keeps_its_trunks_over_a_crash(bed: Bed) -> None:
    livekit = bed.livekit
    async with LiveKitAPI(livekit.url, livekit.key, livekit.secret) as before:
        await _create(before, "kept")
    bed.redis.save()
    for part in (livekit, bed.redis):
        part.kill()
    for part in (bed.redis, livekit):
        part.start()
    async with LiveKitAPI(livekit.url, livekit.key, livekit.secret) as after:
        assert "kept" in await _names(after)


def test_a_part_whose_port_was_taken_meanwhile_takes_another(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    lost = redis.port
    with socket.create_server(("127.0.0.1", lost)):
        redis.start()
    assert redis.port != lost
    assert redis.stop() is not None


def test_an_operator_process_is_watched_measured_and_stopped(tmp_path: Path) -> None:
    _stand_in(tmp_path, _STAND_IN)
    operator = OperatorProcess({"BYOC_LOG_FORMAT": "json"}, tmp_path / "operator.log")
    try:
        operator.wait_ready()
        assert operator.log_text().startswith("listening")
        variables = operator.metrics()['byoc_variables{a="1",b="1"}']
        assert variables <= 6, "PATH, HOME, LANG, the two given, and LC_CTYPE which Python sets itself"
        assert operator.cpu_s() > 0
        assert operator.rss_mb() > 1
    finally:
        ending = operator.stop()
    assert ending.exit_code == -signal.SIGTERM
    assert ending.seconds < 5


def test_an_operator_that_ends_at_once_is_noticed_at_once(tmp_path: Path) -> None:
    _stand_in(tmp_path, "raise SystemExit('no trunk today')")
    operator = OperatorProcess({}, tmp_path / "operator.log")
    with pytest.raises(NotReady, match="no trunk today"):
        operator.wait_ready(timeout_s=10)
