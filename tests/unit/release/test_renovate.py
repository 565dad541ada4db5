"""Renovate knows every file that pins something.

Its manager for locks reads the command in the head of a lock, and passes over a lock with an option that it does not
know: https://docs.renovatebot.com/modules/manager/pip-compile
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SETTINGS: Mapping[str, Any] = json.loads((ROOT / "renovate.json").read_text())
LOCKS = sorted(ROOT.glob("*.lock"))
HEAD = re.compile(r"(#.*\n)+# {4}uv pip compile (?P<options>.*)\n")
KNOWN_TO_RENOVATE = re.compile(r"--universal|--generate-hashes|--(python-version|extra|group|output-file)=[a-z0-9.-]+")


def matched(patterns: list[str], path: str) -> bool:
    """Whether one of Renovate's patterns, written as `/…/`, is that of a file."""
    return any(re.search(pattern.removeprefix("/").removesuffix("/"), path) for pattern in patterns)


@pytest.mark.parametrize("lock", LOCKS, ids=[lock.name for lock in LOCKS])
def test_each_lock_is_known_and_says_how_it_was_made(lock: Path) -> None:
    assert matched(SETTINGS["pip-compile"]["managerFilePatterns"], lock.name)
    head = HEAD.match(lock.read_text())
    assert head is not None
    *options, source = head["options"].split()
    assert source == "pyproject.toml"
    assert [option for option in options if not KNOWN_TO_RENOVATE.fullmatch(option)] == []
    assert f"--output-file={lock.name}" in options


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/testbed/tools.py", {"helm.sh/helm/v4", "sigs.k8s.io/krew", "github.com/rhysd/actionlint"}),
        (".github/workflows/release.yml", {"github.com/sigstore/cosign/v2", "tonistiigi/binfmt", "moby/buildkit"}),
    ],
)
def test_programs_and_images_outside_of_locks_are_found(path: str, expected: set[str]) -> None:
    found = set()
    for manager in SETTINGS["customManagers"]:
        if matched(manager["managerFilePatterns"], path):
            for text in manager["matchStrings"]:
                pattern = re.sub(r"\(\?<(\w+)>", r"(?P<\1>", text)
                found |= {each["depName"] for each in re.finditer(pattern, (ROOT / path).read_text())}
    assert found >= expected


def test_the_modules_of_the_test_bed_are_not_passed_over_with_the_tests() -> None:
    assert "config:recommended" in SETTINGS["extends"]  # has a preset that passes over folders named `tests`
    assert SETTINGS["ignorePresets"] == [":ignoreModulesAndTests"]
    assert not any("testbed" in path for path in SETTINGS["ignorePaths"])


def test_the_base_image_is_pinned_by_its_digest() -> None:
    base = re.search(r"^ARG BASE=(.*)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    assert re.fullmatch(r"python:3\.\d+[a-z0-9.-]*@sha256:[0-9a-f]{64}", base[1])
    assert "docker:pinDigests" in SETTINGS["extends"]


def test_every_image_that_a_workflow_names_is_pinned_by_its_digest() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for named in re.findall(r"^\s+[A-Z]+: ([a-z]+/[a-z]+:\S+)$", workflow.read_text(), re.MULTILINE):
            assert re.search(r"@sha256:[0-9a-f]{64}$", named), named
