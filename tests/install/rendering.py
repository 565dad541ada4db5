"""What the charts and the plain manifests become, without a cluster."""

import functools
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from testbed import tools
from testbed.process import clean_environment
from testbed.tool import Tool

ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 60


class RenderRefused(RuntimeError):
    """Helm or kustomize renders nothing; the message is the tool's own."""


class _Loader(yaml.CSafeLoader):
    """Safe YAML at ten times the speed of the loader in Python: the CRD is in every rendering."""


def chart(
    name: str,
    values: Mapping[str, Any],
    *,
    release: str = "byoc-operator",
    namespace: str = "byoc-system",
    helm: Tool = tools.HELM,
    api_versions: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The objects of the chart `helm/<name>` with these values, in helm's order. Raises RenderRefused."""
    return objects(chart_text(name, values, release=release, namespace=namespace, helm=helm, api_versions=api_versions))


def chart_text(
    name: str,
    values: Mapping[str, Any],
    *,
    release: str = "byoc-operator",
    namespace: str = "byoc-system",
    helm: Tool = tools.HELM,
    api_versions: Sequence[str] = (),
) -> str:
    """The same as helm prints it. Raises RenderRefused."""
    folder = str(ROOT / "helm" / name)
    capabilities = [f"--api-versions={version}" for version in api_versions]
    command = ["template", release, folder, "-n", namespace, "--kube-version=1.37.2", *capabilities]
    return run_helm(helm, *command, values=values)


def notes(name: str, values: Mapping[str, Any], *, namespace: str = "byoc-system") -> str:
    """What helm tells after the installation. Raises RenderRefused."""
    command = ("install", "byoc-operator", str(ROOT / "helm" / name), "-n", namespace, "--dry-run=client")
    return run_helm(tools.HELM, *command, values=values).partition("NOTES:\n")[2]


def run_helm(helm: Tool, *args: str, values: Mapping[str, Any]) -> str:
    """One run of helm with these values, far from any cluster; what it prints. Raises RenderRefused."""
    with tempfile.TemporaryDirectory(prefix="byoc-helm-") as home:
        file = Path(home) / "values.json"
        file.write_text(_ascii(values), encoding="utf-8")
        # A kubeconfig of the developer's own must not be reached.
        environment = clean_environment() | {"HOME": home, "KUBECONFIG": f"{home}/none"}
        return _output([str(_found(helm)), *args, "-f", str(file)], environment)


_PAIR = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")


def _ascii(values: Mapping[str, Any]) -> str:
    """Values as YAML in ASCII. Helm's reader of YAML refuses JSON's pairs of surrogates, and controls as they are."""
    return _PAIR.sub(lambda pair: _as_one(pair[0]), json.dumps(values))


def _as_one(pair: str) -> str:
    character = json.loads(f'"{pair}"')
    return f"\\U{ord(character):08x}"


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """The objects of a kustomization. Raises RenderRefused."""
    return objects(_output([str(_found(tools.KUBECTL)), "kustomize", str(folder)], clean_environment()))


def objects(text: str) -> list[dict[str, Any]]:
    """The objects of a YAML text with several documents."""
    return [found for found in yaml.load_all(text, Loader=_Loader) if found]


def _output(command: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise RenderRefused(done.stderr + done.stdout)
    return done.stdout


_found = functools.cache(tools.find)
