"""Who may import what, read from the source without running it."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "operator"
PACKAGE = ROOT / "byoc_operator"
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}

ALLOWED_OF_OURS: dict[str, tuple[str, ...]] = {
    "errors": ("api",),
    "api": ("api",),
    "core": ("core", "api", "errors"),
    "process": ("process",),
    "livekit_sip": ("livekit_sip", "core", "api", "errors"),
    "cluster": ("cluster", "core", "api", "errors"),
    "sealing": ("sealing", "cluster", "core", "api", "errors"),
    "admission": ("admission", "process", "cluster", "sealing", "core", "api", "errors"),
    "telemetry": ("telemetry", "process", "api"),
    "engine": ("engine", "cluster", "sealing", "telemetry", "core", "api", "errors"),
    "handlers": ("cluster", "telemetry", "api", "errors"),
    "setting_forms": ("core", "api"),
    "installation_settings": ("setting_forms", "core", "api", "errors"),
    "settings": ("installation_settings", "api", "errors"),
    "mounted_key": ("livekit_sip", "settings", "errors"),
    "mounted_carriers": ("core", "api", "errors"),
    "installation": ("cluster", "installation_settings", "core", "api", "errors"),
    "diagnosis": ("diagnosis", "core", "api"),
    "cli": ("cli", "diagnosis", "livekit_sip", "cluster", "sealing", "installation_settings", "core", "api", "errors"),
    "generate": ("generate", "cluster", "core", "api", "settings", "telemetry"),
}
"""Per part the parts that it may import; `wiring` and `__main__` may import all, and nothing else imports those two."""

LIBRARY_ONLY_IN: dict[str, tuple[str, ...]] = {
    "kopf": ("handlers",),
    "livekit": tuple(
        f"livekit_sip.{each}"
        for each in ("client", "convert", "forms", "kinds", "session", "error_map", "recording", "room_config", "rooms")
    ),
    "google": tuple(
        f"livekit_sip.{each}"
        for each in (
            *("client", "convert", "forms", "kinds", "session", "listing", "list_files", "error_map", "rooms"),
            *("recording", "remainder", "room_config", "wire"),
        )
    ),
    "kubernetes": ("cluster.api",),
    "prometheus_client": ("telemetry.metrics", "telemetry.health"),
    "pydantic_settings": ("settings",),
    "cryptography": ("sealing.sealed", "admission.certificates", "diagnosis.certificate"),
    "dns": ("diagnosis.names",),
    "aiohttp": (
        "handlers",
        "process.connection",
        "process.port",
        "admission.server",
        "telemetry.health",
        "telemetry.watches",
        "cluster.api",
        "cluster.stream",
        "livekit_sip.client",
        "livekit_sip.session",
        "livekit_sip.error_map",
    ),
}

SPEAKS_HTTP = {
    *("cluster.answers", "cluster.api", "cluster.stream", "cluster.fake", "cluster.fake_lists"),
    *("livekit_sip.session", "livekit_sip.error_map"),
    *("admission.server", "admission.review", "telemetry.health"),
    "diagnosis.sip_answers",
}
"""Modules that read HTTP codes of the API server or LiveKit or SIP codes, and those that answer requests themselves."""

REFUSALS = {code.value for code in HTTPStatus if code >= HTTPStatus.BAD_REQUEST}
ROUND = {400, 500}
"""Also ordinary numbers: they count as codes where something is compared with them."""

IMPURE = {
    *("asyncio", "kopf", "kubernetes", "livekit", "google", "aiohttp", "logging", "time", "os", "sys", "random"),
    *("socket", "threading", "subprocess", "pathlib", "secrets", "uuid", "tempfile", "prometheus_client", "structlog"),
}
CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter"}
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "tools"}
MAX_LINES = 350


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


@cache
def imported(name: str) -> tuple[str, ...]:
    return tuple(_imported(name))


def _imported(name: str) -> Iterator[str]:
    """Absolute names of whatever a module imports, also within functions."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    if path.name == "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def _is_ours(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] == "byoc_operator"


def part_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def inner(name: str) -> str:
    return name.removeprefix("byoc_operator.")


def test_the_source_root_is_no_package() -> None:
    assert not (ROOT / "__init__.py").exists(), "it would shadow the standard library's `operator`"
    assert len(MODULES) > 30


@pytest.mark.parametrize("name", [name for name in MODULES if part_of(name) in ALLOWED_OF_OURS])
def test_imports_of_ours_go_one_way(name: str) -> None:
    ours = [found for found in imported(name) if _is_ours(found)]
    assert [found for found in ours if part_of(found) not in ALLOWED_OF_OURS[part_of(name)]] == []


PACKAGES = sorted(part for part in ALLOWED_OF_OURS if (PACKAGE / part / "__init__.py").exists())


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_tells_what_it_imports(package: str) -> None:
    contract = ast.get_docstring(tree_of(f"byoc_operator.{package}.__init__")) or ""
    (told,) = [line for line in contract.splitlines() if line.startswith("Imports: ")]
    parts = told.removeprefix("Imports: ").removesuffix(".").replace("nothing", "").split(", ")
    assert set(filter(None, parts)) == set(ALLOWED_OF_OURS[package]) - {package}


def test_every_part_has_a_rule() -> None:
    parts = {part_of(name) for name in MODULES} - {"", "__init__", "__main__", "wiring"}
    assert parts == set(ALLOWED_OF_OURS)


def rows(page: str, heading: str) -> dict[str, str]:
    """The table below a heading of a page: the second cell by the first one."""
    section = (ROOT.parent / "docs" / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    cells = [row.split("|")[1:3] for row in section.partition("\n## ")[0].splitlines() if row.startswith("| `")]
    return {first.strip(): second.strip() for first, second in cells}


def test_the_page_of_the_architecture_says_who_may_import_what() -> None:
    expected = {
        f"`{part}`": ", ".join(f"`{each}`" for each in allowed if each != part) or "nothing of ours"
        for part, allowed in ALLOWED_OF_OURS.items()
    }
    table = "\n".join(f"| {part} | {parts} |" for part, parts in expected.items())
    told = rows("architecture.md", "What may import what")
    assert told == expected, f"the table in docs/architecture.md must be:\n{table}"


def test_the_page_of_the_architecture_says_what_each_part_does() -> None:
    told = {part for parts in rows("architecture.md", "What each part does") for part in re.findall(r"`(\w+)`", parts)}
    assert told == {*ALLOWED_OF_OURS, "__main__", "wiring"}


def test_the_page_for_developers_has_every_package() -> None:
    told = set(re.findall(r"`operator/byoc_operator/(\w+)/`", " ".join(rows("development.md", "Layout"))))
    assert told == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


@pytest.mark.parametrize("library", LIBRARY_ONLY_IN)
def test_a_library_is_imported_at_its_edge_only(library: str) -> None:
    users = {inner(name) for name in MODULES for found in imported(name) if found.split(".")[0] == library}
    assert users - set(LIBRARY_ONLY_IN[library]) == set()
    assert users, "a rule for a library that nobody uses"


@pytest.mark.parametrize("name", [name for name in MODULES if part_of(name) in ("api", "core")])
def test_core_is_pure(name: str) -> None:
    assert [found for found in imported(name) if found.split(".")[0] in IMPURE] == []
    tree = tree_of(name)
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    clocks = [func.attr for func in called if isinstance(func, ast.Attribute) and func.attr in CLOCKS]
    doors = [func.id for func in called if isinstance(func, ast.Name) and func.id in {"open", "print", "input"}]
    assert (clocks, doors) == ([], [])


def _codes(tree: ast.AST, *, compared: bool = False) -> Iterator[str]:
    """HTTP codes of refusals that a module spells, and comparisons with the code of an exception it has caught."""
    for node in ast.iter_child_nodes(tree):
        codes = REFUSALS if compared else REFUSALS - ROUND
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in codes:
            yield f"line {node.lineno}: {node.value}"
        if isinstance(node, ast.Name) and node.id == "HTTPStatus":
            yield f"line {node.lineno}: HTTPStatus"
        yield from _codes(node, compared=compared or isinstance(node, ast.Compare | ast.Match))
        if isinstance(node, ast.ExceptHandler):
            yield from (f"line {each.lineno}: {ast.unparse(each)}" for each in _statuses_compared(node))


def _statuses_compared(handler: ast.ExceptHandler) -> Iterator[ast.Compare | ast.Match]:
    for node in ast.walk(handler):
        if isinstance(node, ast.Compare | ast.Match):
            parts = (ast.unparse(part) for part in ast.walk(node) if isinstance(part, ast.Attribute))
            if f"{handler.name}.status" in parts:
                yield node


@pytest.mark.parametrize("name", MODULES)
def test_http_codes_are_known_at_the_edge_only(name: str) -> None:
    found = list(_codes(tree_of(name)))
    if inner(name) in SPEAKS_HTTP:
        assert found, "a rule for a module that knows no codes"
    else:
        assert found == []


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_small_and_no_drawers(name: str) -> None:
    lines = MODULES[name].read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES
    assert DRAWERS.isdisjoint(inner(name).split("."))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(tree_of(name))


def test_fakes_are_not_wired_into_the_product() -> None:
    fakes = ("fake", "fake_checks", "fake_lists", "fake_patch", "fake_store", "faults")
    users = {
        inner(name)
        for name in MODULES
        for found in imported(name)
        if part_of(found) and set(found.split(".")) & set(fakes) and name.rpartition(".")[2] not in fakes
    }
    assert users == set()


PORTS_SPEAK_OF = {"answers", "keeper", "metrics"}
"""Modules of other parts that the engine's ports may name: values, `SealedValues`, and the metrics of the process."""


@pytest.mark.parametrize("module", ["ports", "outside", "belongings"])
def test_the_ports_of_the_engine_name_no_real_parts(module: str) -> None:
    found = [name.split(".") for name in imported(f"byoc_operator.engine.{module}") if _is_ours(name)]
    others = {path[2] for path in found if path[1] in ("cluster", "livekit_sip", "sealing", "telemetry")}
    assert others - PORTS_SPEAK_OF == set()
