"""Plays the node of pods: the API server finds their logs and their ports as in a cluster.

The pods are those of an applied Deployment; a process of this machine, or only a file, stands for what runs in them.
"""

import http.server
import itertools
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from testbed.bed import Bed
from testbed.http_probe import get
from testbed.part import NotReady

NODE = "played-with-logs"
_POLL_S = 0.05
_POD_WITHIN_S = 30
Json = dict[str, Any]


@dataclass(eq=False)
class PlayedPod:
    """A pod on the node. `log`: None while its container is not created; `port`: where it serves, None for nowhere.

    `previous`: the log of its container before it restarted, None if it did not.
    """

    namespace: str
    name: str
    address: str
    log: Path | None
    port: int | None
    previous: Path | None = None
    ended: threading.Event = field(default_factory=threading.Event)


class PlayedNode:
    """A node with the part of kubelet's API that the API server asks for logs, and with a network for its pods."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._pods: list[PlayedPod] = []
        self._addresses = itertools.count(1)
        self._servers: list[http.server.ThreadingHTTPServer] = []
        self.broken = 0
        """How often all streams were broken."""

    def pod(self, name: str) -> PlayedPod | None:
        """A pod by name."""
        return next((pod for pod in self._pods if pod.name == name), None)

    def start(self) -> None:
        """Serve, and join the cluster."""
        kubelet = _Server(self, _KubeletApi, 0)
        certificate = self._bed.api_server.certificate
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
        kubelet.socket = tls.wrap_socket(kubelet.socket, server_side=True, do_handshake_on_connect=False)
        self._servers = [kubelet, _Server(self, _PodNetwork, self._bed.api_server.pod_network_port)]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        self._bed.kubectl("create", "-f", "-", stdin=json.dumps(node))
        port = kubelet.server_address[1]
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        self._bed.kubectl(
            "patch", "node", NODE, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
        )

    def stop(self) -> None:
        """Take pods and node away."""
        self.clear()
        self._bed.kubectl("delete", "node", NODE, "--ignore-not-found")
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def clear(self) -> None:
        """End all pods."""
        for pod in list(self._pods):
            self.end(pod)

    def break_streams(self) -> None:
        """Lose the connection of every log that is followed, as when a proxy before the API server restarts."""
        self.broken += 1

    def run(self, namespace: str, deployment: str, log: Path | None, port: int | None = None) -> PlayedPod:
        """Take a pod of a Deployment that waits for a node. Raises NotReady if none comes."""
        name = self._waiting_pod(namespace, deployment)
        pod = PlayedPod(namespace, name, f"10.88.0.{next(self._addresses)}", log, port)
        self._pods.append(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"kind": "Node", "name": NODE},
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/binding"
        self._bed.kubectl("create", f"--raw={path}", "-f", "-", stdin=json.dumps(binding))
        self._patch(pod)
        return pod

    def begin(self, pod: PlayedPod, log: Path) -> None:
        """Create the container of a pod that had none."""
        pod.log = log
        self._patch(pod)

    def restart(self, pod: PlayedPod, log: Path) -> None:
        """Kill the container for its memory and create it anew."""
        pod.previous, pod.log = pod.log, log
        self._patch(pod)

    def end(self, pod: PlayedPod) -> None:
        """Delete a pod as kubelet does: it is leaving, its container ends, it is gone."""
        delete = ("-n", pod.namespace, "delete", "pod", pod.name, "--ignore-not-found", "--wait=false")
        self._bed.kubectl(*delete)
        pod.ended.set()
        self._bed.kubectl(*delete, "--force", "--grace-period=0")
        self._pods.remove(pod)

    def _waiting_pod(self, namespace: str, deployment: str) -> str:
        get_json = ("-n", namespace, "get", "-o", "json")
        found = json.loads(self._bed.kubectl(*get_json, "deployment", deployment).stdout)
        labels = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items())
        deadline = time.monotonic() + _POD_WITHIN_S
        while time.monotonic() < deadline:
            pods = json.loads(self._bed.kubectl(*get_json, "pods", "-l", labels).stdout)["items"]
            for each in pods:
                if not each["spec"].get("nodeName") and "deletionTimestamp" not in each["metadata"]:
                    return str(each["metadata"]["name"])
            time.sleep(_POLL_S)
        raise NotReady(f"{namespace}/{deployment} makes no pod that waits for a node")

    def _patch(self, pod: PlayedPod) -> None:
        now, runs = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), pod.log is not None
        container = {
            "name": "operator",
            "image": "byoc-operator",
            "imageID": "",
            "ready": runs,
            "restartCount": 0 if pod.previous is None else 1,
            "lastState": {} if pod.previous is None else {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            "state": {"running": {"startedAt": now}} if runs else {"waiting": {"reason": "ContainerCreating"}},
        }
        status = {
            "phase": "Running" if runs else "Pending",
            "startTime": now,
            "podIP": pod.address,
            "podIPs": [{"ip": pod.address}],
            "conditions": [{"type": "Ready", "status": str(runs), "lastTransitionTime": now}],
            "containerStatuses": [container],
        }
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        self._bed.kubectl("-n", pod.namespace, "patch", "pod", pod.name, *patch)


@contextmanager
def played_node(bed: Bed) -> Iterator[PlayedNode]:
    """A node of the bed, whose pods end with it."""
    node = PlayedNode(bed)
    node.start()
    try:
        yield node
    finally:
        node.stop()


class _Server(http.server.ThreadingHTTPServer):
    block_on_close = False

    def __init__(self, node: PlayedNode, handler: type[http.server.BaseHTTPRequestHandler], port: int) -> None:
        self.node = node
        super().__init__(("127.0.0.1", port), handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def answer(self, status: int, text: str) -> None:
        """A whole answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _PodNetwork(_Handler):
    """The API server's HTTP proxy (`ApiServer.environment`): requests to pods lead to ports of this machine.

    Towards a proxy the API server names itself as the host, so the pod stands only in the path that it was asked for.
    https://github.com/kubernetes/apimachinery/blob/v0.37.0/pkg/util/proxy/transport.go
    """

    def do_GET(self) -> None:
        """One request to a pod."""
        place, _, path = self.headers.get("X-Forwarded-Uri", "").partition("/proxy/")
        pod = self.server.node.pod(place.rpartition("/")[2].partition(":")[0])
        answered = get(pod.port, f"/{path}") if pod is not None and pod.port is not None else None
        if answered is None or not answered.status:
            self.answer(502, "connection refused")
        else:
            self.answer(answered.status, answered.body)


class _KubeletApi(_Handler):
    """`/containerLogs/NAMESPACE/POD/CONTAINER`, with kubelet's parameters and its words.

    https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/kubelet/server/server.go
    """

    def do_GET(self) -> None:
        """The log of a container."""
        asked = urlsplit(self.path)
        _, _, _, name, container = asked.path.split("/")
        pod = self.server.node.pod(name)
        query = {key: values[0] for key, values in parse_qs(asked.query).items()}
        if pod is None:
            self.answer(404, f'pod "{name}" does not exist')
        elif query.get("previous") == "true":
            if pod.previous is None:
                self.answer(400, f'previous terminated container "{container}" in pod "{name}" not found')
            else:
                self._send(pod, pod.previous, query)
        elif pod.log is None:
            why = "is waiting to start: ContainerCreating"
            self.answer(400, f'container "{container}" in pod "{name}" {why}')
        else:
            self._send(pod, pod.log, query)

    def _send(self, pod: PlayedPod, log: Path, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            broken = self.server.node.broken
            with log.open("rb") as file:
                self._chunk(b"".join(_chosen(file.readlines(), query)))
                while query.get("follow") == "true":
                    ended = pod.ended.is_set()  # before the read: what was written until then is sent
                    if self.server.node.broken != broken:
                        raise ConnectionAbortedError
                    self._chunk(file.read())
                    if ended:
                        break
                    time.sleep(_POLL_S)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True  # nobody listens any more

    def _chunk(self, part: bytes) -> None:
        if part:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.flush()


def _chosen(lines: list[bytes], query: dict[str, str]) -> list[bytes]:
    """The lines that `sinceTime`, `sinceSeconds` and `tailLines` leave."""
    since: datetime | None = None
    if "sinceTime" in query:
        since = datetime.fromisoformat(query["sinceTime"])
    elif "sinceSeconds" in query:
        since = datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))
    if since is not None:
        begin = since
        lines = lines[next((at for at, line in enumerate(lines) if _time_of(line) >= begin), len(lines)) :]
    return lines[-int(query["tailLines"]) :] if int(query.get("tailLines", 0)) else lines


def _time_of(line: bytes) -> datetime:
    """When a line of the operator's log was written: kubelet notes the time of each line that it gets."""
    try:
        text = str(json.loads(line)["timestamp"]) if line.startswith(b"{") else line.decode().partition(" ")[0]
        return datetime.fromisoformat(text)
    except (ValueError, KeyError):
        return datetime.min.replace(tzinfo=UTC)
