"""etcd, kube-apiserver and kube-controller-manager: a Kubernetes without nodes.

The controller-manager is there because without it a namespace never finishes deleting and no service account
`default` appears. Nothing schedules or runs pods.
"""

import base64
import secrets
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from testbed import tools
from testbed.http_probe import get
from testbed.part import Part, free_port, write_private

# ResponseStarted would add a line per watch; RequestReceived a second line per request.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}


class Etcd(Part):
    """The API server's storage."""

    name = "etcd"
    stop_within_s = 2  # it waits for the API server's streams, which never end; a kill loses nothing

    def __init__(self, parent: Path) -> None:
        super().__init__(tools.find(tools.ETCD), parent)

    def choose_ports(self) -> None:
        self.port = free_port()
        self._peer_port = free_port()

    @property
    def url(self) -> str:
        """Where the API server finds it."""
        return f"http://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._peer_port}"
        return [
            f"--data-dir={self.directory / 'storage'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # survives a killed process, not a power cut; writes are several times faster
            "--log-level=warn",
        ]

    def is_ready(self) -> bool:
        return get(self.port, "/health").status == 200


class ApiServer(Part):
    """kube-apiserver with RBAC, service accounts and an audit log; admin by token.

    MutatingAdmissionPolicy (admissionregistration.k8s.io/v1) is served without a flag since Kubernetes 1.36.
    """

    name = "kube-apiserver"
    stop_within_s = 3  # it waits up to a minute for its watchers; a kill loses nothing, its state is in etcd

    def __init__(self, parent: Path, etcd: Etcd) -> None:
        super().__init__(tools.find(tools.KUBE_APISERVER), parent)
        self._etcd = etcd
        self.certificate = self.directory / "certs" / "apiserver.crt"
        self.audit_log = self.directory / "audit.log"
        self.signing_key, self._verifying_key = _key_pair(self.directory)
        self._admin_token = secrets.token_hex(32)
        self._tokens = write_private(self.directory / "tokens.csv", f"{self._admin_token},admin,admin,system:masters\n")
        self._policy = self.directory / "audit-policy.yaml"
        self._policy.write_text(yaml.safe_dump(_AUDIT_POLICY))
        # Loopback addresses, so that a Service can be played on this machine; those of two beds differ.
        self._services = f"127.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}.0/24"

    def choose_ports(self) -> None:
        self.port = free_port()
        self.pod_network_port = free_port()

    def environment(self) -> dict[str, str]:
        """With a proxy for plain HTTP: so the API server reaches the ports of pods, which `played_node` plays."""
        return {**super().environment(), "HTTP_PROXY": f"http://127.0.0.1:{self.pod_network_port}"}

    @property
    def url(self) -> str:
        """Base address of the API."""
        return f"https://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        return [
            f"--etcd-servers={self._etcd.url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.certificate.parent}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._verifying_key}",
            f"--service-account-signing-key-file={self.signing_key}",
            f"--token-auth-file={self._tokens}",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={self._services}",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=none",
            f"--audit-policy-file={self._policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=0",  # no rotation: tests count lines of one file
        ]

    def is_ready(self) -> bool:
        return get(self.port, "/readyz", authority=self.certificate, token=self._admin_token).status == 200

    def write_kubeconfig(self, path: Path, user: str, token: str) -> Path:
        """A kubeconfig for `user`, readable by us only; the certificate is inside, so the file works anywhere."""
        cluster = {
            "server": self.url,
            "certificate-authority-data": base64.b64encode(self.certificate.read_bytes()).decode(),
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
            "current-context": "testbed",
        }
        return write_private(path, yaml.safe_dump(content))

    def write_admin_kubeconfig(self, path: Path) -> Path:
        """A kubeconfig that may do everything."""
        return self.write_kubeconfig(path, "admin", self._admin_token)


class ControllerManager(Part):
    """kube-controller-manager: finishes namespaces, makes service accounts, collects garbage."""

    name = "kube-controller-manager"

    def __init__(self, parent: Path, api_server: ApiServer, kubeconfig: Path) -> None:
        super().__init__(tools.find(tools.KUBE_CONTROLLER_MANAGER), parent)
        self._api_server = api_server
        self._kubeconfig = kubeconfig
        self._certificate = self.directory / "certs" / "kube-controller-manager.crt"

    def choose_ports(self) -> None:
        self.port = free_port()

    def arguments(self) -> list[str]:
        return [
            f"--kubeconfig={self._kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self._certificate.parent}",
            "--leader-elect=false",
            f"--service-account-private-key-file={self._api_server.signing_key}",
            f"--root-ca-file={self._api_server.certificate}",
            "--use-service-account-credentials",
            "--controllers=*,-node-ipam-controller",  # that one wants a cloud or an address range
        ]

    def is_ready(self) -> bool:
        return get(self.port, "/healthz", authority=self._certificate).status == 200


def _key_pair(directory: Path) -> tuple[Path, Path]:
    """Key files (private, public) that sign and check service account tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public_file = directory / "service-account.pub"
    public_file.write_bytes(public)
    return write_private(directory / "service-account.key", private.decode()), public_file
