"""Puts the version of `pyproject.toml` into every other file that names it. No other place is changed by hand."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

PLACES: Mapping[str, tuple[str, ...]] = {
    "helm/byoc-operator/Chart.yaml": ("\nversion: ", "\nappVersion: "),
    "helm/byoc-phone-numbers/Chart.yaml": ("\nversion: ", "\nappVersion: "),
    "helm/byoc-operator/tests/pod_test.yaml": ("byoc-operator:",),
    "deploy/base/deployment.yaml": ("image: byoc-operator:",),
    "deploy/kustomization.yaml": ("newTag: ",),
    "deploy/overlays/namespaced/kustomization.yaml": ("newTag: ",),
    "deploy/Dockerfile": ("byoc-operator:",),
    "README.md": ("byoc-operator:",),
}
"""Per file the texts that stand before a version."""

_OF_A_VERSION = frozenset("0123456789abcdefghijklmnopqrstuvwxyz.-")


def project_version(root: Path) -> str:
    """The version of the project: the one place where it is set."""
    project: Mapping[str, str] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["version"]


def version_files(root: Path) -> Mapping[str, str]:
    """Text by path of the files that name the version."""
    version = project_version(root)
    return {path: _with(version, (root / path).read_text(encoding="utf-8"), PLACES[path]) for path in PLACES}


def _with(version: str, text: str, markers: tuple[str, ...]) -> str:
    """The text with this version behind each marker that has a version behind it."""
    for marker in markers:
        head, *rest = text.split(marker)
        text = marker.join([head, *(_begins_with(version, each) for each in rest)])
    return text


def _begins_with(version: str, text: str) -> str:
    if not text[:1].isdigit():
        return text
    return version + text[next((at for at, one in enumerate(text) if one not in _OF_A_VERSION), len(text)) :]
