"""The documentation names everything there is, and nothing that is not."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from byoc_operator.api.conditions import REMEDIES, Reason
from byoc_operator.api.names import GROUP
from byoc_operator.api.resource import AnnotationRequests
from byoc_operator.cli.output import API_VERSION
from byoc_operator.core.findings import MESSAGES, Code
from byoc_operator.generate.reference import ANNOTATIONS, LEASE_ANNOTATIONS, NAMESPACE_ANNOTATIONS, reference
from byoc_operator.settings import Settings
from testbed import envtest, machine

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
SAMPLES = sorted((ROOT / "deploy" / "samples").glob("*.yaml"))
GLOSSARY = ROOT / "docs" / "glossary.md"
NOTHING_ELSE = {"IP list", "key store", "left alone", "leftover", "resync", "rival", "twin", "waiting one", "whitelist"}
"""Words that mean nothing else in these pages. Other words of the glossary's last column do, such as "key"."""

OF_THE_TEST_BED = {envtest.ALLOWED, envtest.INDEX, machine.INSTALL}

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def _rows(section: str) -> list[str]:
    """The first cells of the table in one section of the reference."""
    _, _, rest = reference().partition(f"\n## {section}\n")
    table = rest.partition("\n## ")[0]
    return [row.split("|")[1].strip(" `") for row in table.splitlines() if row.startswith("| `")]


def test_every_reason_is_in_the_reference() -> None:
    assert _rows("Reasons") == [str(reason) for reason in REMEDIES]
    assert set(REMEDIES) == set(Reason)


def test_every_finding_is_in_the_reference() -> None:
    assert _rows("Findings") == [str(code) for code in MESSAGES]
    assert set(MESSAGES) == set(Code)


def test_every_setting_is_in_the_reference() -> None:
    assert _rows("Settings of the operator") == [field.alias for field in Settings.model_fields.values()]


def test_every_annotation_that_is_read_is_in_the_reference() -> None:
    assert _rows("Annotations") == [name for name, _, _ in ANNOTATIONS]
    requests = {field.name for field in fields(AnnotationRequests)} - {"unclear"}
    read = {f"{GROUP}/{name.replace('_', '-')}" for name in requests}
    assert {name for name, _, _ in ANNOTATIONS} == read


def test_every_annotation_that_a_policy_reads_is_in_the_reference() -> None:
    documented = [name for name, _, _ in NAMESPACE_ANNOTATIONS]
    assert _rows("Annotations of a namespace") == documented
    policy = yaml.safe_load_all((ROOT / "deploy/components/namespace-policy/policy.yaml").read_text())
    read = re.findall(rf"'({re.escape(GROUP)}/[a-z-]+)' in ", str([*policy]))
    assert read == documented


def test_no_row_of_the_reference_is_without_a_meaning() -> None:
    rows = [row for row in reference().splitlines() if row.startswith("| `")]
    assert [row for row in rows if not row.replace("\\|", "").split("|")[-2].strip()] == []


def test_no_secret_setting_shows_a_default() -> None:
    assert "| `LIVEKIT_API_SECRET` | none |" in reference()
    assert "*****" not in reference()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [link for link in _relative_links(page) if not _resolves(page, link)] == []


def test_a_dangling_link_would_be_found() -> None:
    page = ROOT / "README.md"
    assert not _resolves(page, "docs/nowhere.md")
    assert not _resolves(page, "docs/reference.md#no-such-heading")
    assert _resolves(page, "docs/reference.md#settings-of-the-operator")


def test_every_page_and_sample_can_be_reached_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        linked = {(page.parent / link.partition("#")[0]).resolve() for link in _relative_links(page)}
        waiting += [found for found in linked - reached if found.suffix == ".md"]
        reached |= linked
    assert [str(path.relative_to(ROOT)) for path in (*PAGES, *SAMPLES) if path not in reached] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert [target for target in named if target not in targets] == []


def test_the_readme_names_the_two_commands() -> None:
    shown = "".join(text for language, text in _FENCE.findall((ROOT / "README.md").read_text()) if language == "sh")
    assert "make demo" in shown
    assert "make test" in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_and_names_of_ours_that_are_named_exist(page: Path) -> None:
    known = {field.alias for field in Settings.model_fields.values()} | OF_THE_TEST_BED
    read = (*ANNOTATIONS, *NAMESPACE_ANNOTATIONS, *LEASE_ANNOTATIONS)
    annotations = {name for name, _, _ in read} | {f"{GROUP}/sip-credentials", f"{GROUP}/finalizer"}
    versions = {f"{GROUP}/v1alpha1", API_VERSION.removeprefix("cli.")}
    text = page.read_text()
    assert [name for name in re.findall(r"\bBYOC_[A-Z_]+\b", text) if name not in known] == []
    named = re.findall(rf"{re.escape(GROUP)}/[a-z0-9-]*[a-z0-9]", text)
    assert [name for name in named if name not in annotations | versions] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != GLOSSARY], ids=lambda page: page.name)
def test_pages_use_the_terms_of_the_glossary(page: Path) -> None:
    text = page.read_text()
    refused = _refused_words() & NOTHING_ELSE
    assert refused
    assert [word for word in sorted(refused) if re.search(rf"\b{word}s?\b", text, re.IGNORECASE)] == []


def _refused_words() -> set[str]:
    """The words in the column "not" of the glossary."""
    rows = [row.strip("|").split("|") for row in GLOSSARY.read_text().splitlines() if row.startswith("| ")]
    return {word.strip() for row in rows if len(row) == 3 for word in row[2].split(",")}


def _relative_links(page: Path) -> list[str]:
    text = _FENCE.sub("", page.read_text())
    return [link for link in _LINK.findall(text) if "://" not in link]


def _resolves(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> Iterator[str]:
    """Anchors as GitHub makes them of headings."""
    for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
