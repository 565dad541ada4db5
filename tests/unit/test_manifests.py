"""Checks of the operator's chart and of the plain manifests without helm and kustomize."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from byoc_operator.generate.chart import chart_files

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "byoc-operator"
TEMPLATES = sorted(path for path in (CHART / "templates").rglob("*") if path.is_file())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())

NOT_REPEATABLE = re.compile(
    r"\b(lookup|rand\w+|gen(CA|SelfSigned|Signed|PrivateKey)\w*|uuidv4|now|htpasswd|bcrypt|getHostByName|env|expandenv)\b"
)
"""Functions of which two renderings differ: Argo CD would see a change at every sync."""


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def test_chart_and_manifests_have_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (_version(), _version())
    (image,) = re.findall(r"image: byoc-operator:(.*)", (ROOT / "deploy/base/deployment.yaml").read_text())
    assert image == _version()


@pytest.mark.parametrize("folder", ["deploy", "deploy/overlays/namespaced"])
def test_the_image_to_be_named_has_that_version_too(folder: str) -> None:
    (image,) = yaml.safe_load((ROOT / folder / "kustomization.yaml").read_text())["images"]
    assert image == {"name": "byoc-operator", "newName": "byoc-operator", "newTag": _version()}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_are_repeatable_and_have_no_hooks_but_that_of_helm_test(template: Path) -> None:
    text = template.read_text()
    actions = " ".join(re.findall(r"\{\{(.*?)\}\}", text, re.DOTALL))
    assert NOT_REPEATABLE.findall(re.sub(r'"[^"]*"|/\*.*?\*/', "", actions)) == []
    hooks = re.findall(r"helm\.sh/hook: (.*)", text)
    assert hooks == (["test"] if template.parent.name == "tests" else [])


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    assert set(_leaves(SCHEMA)) == set(_defaults(VALUES, SCHEMA))


def test_no_object_takes_a_name_that_it_does_not_know() -> None:
    lax = [
        path
        for path, node in _objects(SCHEMA, "")
        if "properties" in node and node.get("additionalProperties") is not False
    ]
    assert lax == ["/properties/global"], "a parent chart has values there that only it knows"


def test_a_value_without_a_comment_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "helm" / "byoc-operator"
    folder.mkdir(parents=True)
    (folder / "README.md.in").write_text("@VALUES@\n")
    (folder / "values.yaml").write_text("a:\n  # What b is.\n  b: 1\n  c: 2\n")
    with pytest.raises(ValueError, match=r"a\.c has no comment"):
        chart_files(tmp_path, "heading\n  name: x\n")


def test_a_crd_that_helm_would_take_for_a_template_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "helm" / "byoc-operator"
    folder.mkdir(parents=True)
    (folder / "README.md.in").write_text("")
    (folder / "values.yaml").write_text("# What a is.\na: 1\n")
    with pytest.raises(ValueError, match="template"):
        chart_files(tmp_path, "heading\n  name: {{x\n")


def _leaves(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the values that the schema knows; what users replace as a whole is one of them."""
    for name, node in schema["properties"].items():
        if "required" in node and "properties" in node:
            yield from _leaves(node, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _defaults(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        node = schema["properties"].get(name, {})
        if isinstance(value, dict) and "required" in node:
            yield from _defaults(value, node, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _objects(node: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, list):
        for each in node:
            yield from _objects(each, path)
    if isinstance(node, dict):
        yield path, node
        for name, below in node.items():
            yield from _objects(below, f"{path}/{name}")
