"""Names of ours in the cluster are spelled once; files that cannot import them say the same."""

import ast
import re
from pathlib import Path

import pytest

from byoc_operator.api import names

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "operator" / "byoc_operator"
SPELLED = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
KNOWN = {each for each in SPELLED if "/" in each} | {f"{names.GROUP}/{each}" for each in (names.VERSION, names.KIND)}
OF_THE_CHART = {f"{names.GROUP}/settings"}
"""On the pods: a changed setting replaces them."""

TEXTS = [
    path
    for folder in ("deploy", "helm", "crds")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".yaml", ".lua", ".tpl", ".json", ".md", ".txt")
]


def _documented(tree: ast.Module) -> set[int]:
    """Where the docstrings of a module are: they say a name to a reader."""
    described = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, described) and node.body]
    return {id(node.value) for node in first if isinstance(node, ast.Expr)}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_our_names_are_spelled_in_one_module(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = _documented(tree)
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documented]
    spelled = [node.value for node in texts if isinstance(node.value, str) and names.GROUP in node.value]
    assert path.name == "names.py" or spelled == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: "-".join(path.relative_to(ROOT).parts))
def test_a_manifest_knows_no_other_name(path: Path) -> None:
    named = re.findall(rf"{re.escape(names.GROUP)}/([a-zA-Z][a-zA-Z0-9-]*)", path.read_text(encoding="utf-8"))
    assert {f"{names.GROUP}/{each}" for each in named} - KNOWN - OF_THE_CHART == set()
