"""`kubectl byoc` needs none of the libraries that only the operator has, and no module that only Unix has."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OF_THE_OPERATOR = {"kopf", "pydantic_settings", "prometheus_client", "uvloop"}
OF_UNIX = {"fcntl", "grp", "posix", "pwd", "resource", "syslog", "termios", "tty"}

LOAD_ALL = """
import builtins, importlib, pkgutil, sys

OF_THE_OPERATOR, OF_UNIX = (set(each.split()) for each in sys.argv[1:])
real = builtins.__import__


def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    first, ours = name.split(".")[0], (globals or {}).get("__name__", "").startswith("byoc_operator")
    if level == 0 and (first in OF_THE_OPERATOR or (ours and first in OF_UNIX)):
        raise SystemExit(f"{globals['__name__']} imports {name}")
    return real(name, globals, locals, fromlist, level)


builtins.__import__ = guarded
import byoc_operator.cli

for module in pkgutil.iter_modules(byoc_operator.cli.__path__):
    importlib.import_module(f"byoc_operator.cli.{module.name}")
for part in ("cluster", "livekit_sip", "sealing", "diagnosis"):
    package = importlib.import_module(f"byoc_operator.{part}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
print(len([name for name in sys.modules if name.startswith("byoc_operator.cli.")]))
"""


def loaded(of_the_operator: set[str], of_unix: set[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", LOAD_ALL, " ".join(of_the_operator), " ".join(of_unix)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def names(requirements: list[str]) -> set[str]:
    return {each.split(">")[0].replace("-", "_") for each in requirements}


def locked(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {line.split("=")[0].replace("-", "_") for line in lines if line[:1].isalnum()}


def test_every_command_loads_without_the_libraries_of_the_operator_and_of_unix() -> None:
    found = loaded(OF_THE_OPERATOR, OF_UNIX)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 40


def test_a_library_that_a_command_needs_is_found_out() -> None:
    assert "imports click" in loaded({"click"}, set()).stderr


def test_the_extra_has_exactly_the_libraries_that_the_commands_do_without() -> None:
    assert names(PROJECT["optional-dependencies"]["operator"]) == OF_THE_OPERATOR
    assert OF_THE_OPERATOR.isdisjoint(names(PROJECT["dependencies"]))


def test_the_lock_of_the_plugin_has_none_of_them_and_pins_as_the_image_does() -> None:
    plugin, image = locked("requirements-plugin.lock"), locked("requirements.lock")
    assert plugin < image
    assert OF_THE_OPERATOR.isdisjoint(plugin)
    assert image > OF_THE_OPERATOR
