"""setup-envtest downloads Kubernetes' programs from an index of our own, and takes what has the right hash only."""

import hashlib
import io
import platform
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
import yaml

from testbed import envtest, tools
from testbed.finding import look

pytestmark = pytest.mark.install

MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
VERSIONS = ("1.36.9", "1.37.0", "1.37.3", "1.38.0")
PROGRAMS = (tools.ETCD, tools.KUBE_APISERVER, tools.KUBECTL)


class Index(ThreadingHTTPServer):
    """An index and its archives. `answers` is what each path gives: a length, which may lie, and the bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.endless: set[str] = set()
        self.over = Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def offer(self, archives: dict[str, bytes]) -> None:
        """Offer an archive for each version, with its hash."""
        releases = {}
        for version, archive in archives.items():
            name = f"envtest-v{version}-linux-{MACHINE}.tar.gz"
            entry = {"hash": hashlib.sha512(archive).hexdigest(), "selfLink": f"{self.url}/{name}"}
            releases[f"v{version}"] = {name: entry}
            self.answers[f"/{name}"] = (len(archive), archive)
        index = yaml.safe_dump({"releases": releases}).encode()
        self.answers["/index.yaml"] = (len(index), index)

    def change(self, version: str, archive: bytes, length: int | None = None) -> None:
        """Give other bytes for a version than those whose hash the index has."""
        self.answers[f"/envtest-v{version}-linux-{MACHINE}.tar.gz"] = (length or len(archive), archive)


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        length, body = self.server.answers.get(self.path, (0, b""))
        self.send_response(200 if self.path in self.server.answers else 404)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        if self.path in self.server.endless:
            self.server.over.wait()

    def log_message(self, format: str, *args: object) -> None:
        pass


def archived(version: str, *names: str) -> bytes:
    """An archive as Kubernetes publishes it, with programs that tell their version."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names or [tool.name for tool in PROGRAMS]:
            script = f"#!/bin/sh\necho Kubernetes v{version}\n".encode()
            entry = tarfile.TarInfo(f"controller-tools/envtest/{name}")
            entry.size, entry.mode = len(script), 0o755
            archive.addfile(entry, io.BytesIO(script))
    return packed.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that this process asks, whose cache has nothing but setup-envtest, and whose PATH has nothing."""
    setup_envtest = tools.find(envtest.SETUP_ENVTEST)
    envtest._folder.cache_clear()
    for name in ("KUBEBUILDER_ASSETS", envtest.ALLOWED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = tmp_path / "cache" / "byoc-operator" / "tools"
    cache.mkdir(parents=True)
    (cache / setup_envtest.name).symlink_to(setup_envtest)
    with Index() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(envtest.INDEX, f"{server.url}/index.yaml")
        server.offer({version: archived(version) for version in VERSIONS})
        yield server
        server.over.set()
        server.shutdown()


def kept(tmp_path: Path) -> list[str]:
    """What is in the cache besides setup-envtest."""
    names = (path.name for path in (tmp_path / "cache" / "byoc-operator" / "tools").iterdir())
    return sorted(name for name in names if not name.startswith(("setup-envtest", ".lock")))


def test_the_newest_programs_of_our_minor_version_are_downloaded_once(index: Index, tmp_path: Path) -> None:
    assert [look(tool) for tool in PROGRAMS] == [None, None, None]
    paths = [tools.find(tool) for tool in PROGRAMS]
    assert [path.name for path in paths] == ["etcd", "kube-apiserver", "kubectl"]
    assert kept(tmp_path) == ["envtest-1.37.3"]
    assert [path for path in index.asked if path != "/index.yaml"] == [f"/envtest-v1.37.3-linux-{MACHINE}.tar.gz"]

    index.asked.clear()
    found = [look(tool) for tool in PROGRAMS]
    assert [(each.path, each.version, each.origin) for each in found if each] == [
        (path, (1, 37, 3), "downloaded earlier") for path in paths
    ]
    assert index.asked == []


@pytest.mark.parametrize(
    ("archive", "told"),
    [
        (archived("1.37.3", "etcd", "kube-apiserver"), "checksum mismatch"),
        (b"", "checksum mismatch"),
    ],
    ids=["another archive", "nothing"],
)
def test_an_archive_with_another_hash_is_refused(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str], archive: bytes, told: str
) -> None:
    index.change("1.37.3", archive)
    assert [envtest.download(tool) for tool in PROGRAMS] == [None, None, None]
    assert told in capsys.readouterr().err
    assert kept(tmp_path) == []
    assert index.asked.count(f"/envtest-v1.37.3-linux-{MACHINE}.tar.gz") == 1


def test_an_archive_that_breaks_off_is_refused(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = archived("1.37.3")
    index.change("1.37.3", whole[: len(whole) // 2], length=len(whole))
    assert envtest.download(tools.KUBE_APISERVER) is None
    assert "unexpected EOF" in capsys.readouterr().err
    assert kept(tmp_path) == []


def test_an_archive_without_all_programs_is_refused(
    index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.offer({"1.37.3": archived("1.37.3", "etcd", "kube-apiserver")})
    assert envtest.download(tools.KUBECTL) is None
    assert "the archive lacks some" in capsys.readouterr().err
    assert kept(tmp_path) == []


def test_an_archive_that_never_ends_is_given_up(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(envtest, "_DOWNLOAD_WITHIN_S", 0.5)
    index.change("1.37.3", b"", length=10**9)
    index.endless.add(f"/envtest-v1.37.3-linux-{MACHINE}.tar.gz")
    assert envtest.download(tools.ETCD) is None
    assert "given up" in capsys.readouterr().err
    assert kept(tmp_path) == []
