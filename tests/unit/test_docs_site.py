"""The documentation site says what GitHub shows, each link leads somewhere, and nothing comes from other hosts."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from docs_site.build import build
from docs_site.pages import DECISIONS_INDEX, WrongPageError, pages, site_path
from docs_site.reading import Page, read_html, read_page

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
_GITHUB = MarkdownIt("commonmark").enable("table")
_SITE_PATH = "/operator/"
_SITE_URL = f"https://docs.example.com{_SITE_PATH}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    return build(ROOT, tmp_path_factory.mktemp("site") / "made", _SITE_URL)


@pytest.fixture(scope="module")
def read(site: Path) -> Mapping[Path, Page]:
    """All pages of the site."""
    return {path: read_page(path) for path in sorted(site.rglob("*.html"))}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with two pages and a sample."""
    root = tmp_path / "small"
    (root / "docs" / "decisions").mkdir(parents=True)
    (root / "zensical.toml").write_text(
        '[project]\nsite_name = "small"\ndocs_dir = "pages"\nsite_dir = "html"\nuse_directory_urls = false\n'
        'nav = ["docs/index.md", "docs/other.md", "docs/decisions/index.md"]\n[project.markdown_extensions]\ntoc = {}\n'
    )
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (root / "sample.yaml").write_text("a: 1\n")
    (root / "docs" / "index.md").write_text("# Home\n\n[other](other.md#a-part), [sample](../sample.yaml)\n")
    (root / "docs" / "other.md").write_text("# Other\n\n## A part\n\ntext\n")
    (root / "docs" / "decisions" / "0007-why.md").write_text("# 7. Why\n\ntext\n")
    return root


def test_every_page_says_the_same_on_the_site_and_on_github(read: Mapping[Path, Page], site: Path) -> None:
    different = {}
    for path in pages(ROOT):
        if path.suffix != ".md" or path == DECISIONS_INDEX:
            continue
        on_github = read_html(_GITHUB.render((ROOT / path).read_text("utf-8"))).blocks
        on_the_site = read[site / _built(path)].blocks
        if on_the_site != on_github:
            different[str(path)] = [block for block in on_github if block not in on_the_site]
    assert different == {}


def test_every_internal_link_of_the_site_leads_somewhere(read: Mapping[Path, Page], site: Path) -> None:
    assert len(read) > 50
    assert list(_broken(read, site)) == []


def test_nothing_is_loaded_from_another_host(read: Mapping[Path, Page], site: Path) -> None:
    loaded = {source for page in read.values() for source in page.loaded}
    assert [source for source in loaded if urlsplit(source).netloc and not source.startswith(_SITE_URL)] == []
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]*", styles) == []
    # The theme's script loads a library from another host where a page has a diagram as text: the pages have pictures.
    assert [str(path) for path in read if 'class="mermaid"' in path.read_text("utf-8")] == []
    assert [str(path) for path in pages(ROOT) if path.suffix == ".md" and "```mermaid" in _text(path)] == []


def test_links_to_other_hosts_are_whole(read: Mapping[Path, Page]) -> None:
    external = {link for page in read.values() for link in page.links if urlsplit(link).scheme in {"http", "https"}}
    assert len(external) > 20
    assert [
        link for link in external if "." not in (urlsplit(link).hostname or "") or re.search(r"[\s<>{}]", link)
    ] == []
    schemes = {urlsplit(link).scheme for page in read.values() for link in page.links}
    assert schemes <= {"", "https", "mailto"}


def test_every_file_that_a_page_links_to_is_a_page(read: Mapping[Path, Page], site: Path) -> None:
    sample = read[site / "deploy/samples/twilio.yaml.html"]
    assert [block.text for block in sample.blocks if block.kind == "pre"] == [
        (ROOT / "deploy/samples/twilio.yaml").read_text("utf-8").strip("\n")
    ]


def test_the_list_of_decisions_has_all_of_them(read: Mapping[Path, Page], site: Path) -> None:
    listed = read[site / "decisions/index.html"].links
    assert {f"{path.stem}.html" for path in (ROOT / "docs/decisions").glob("*.md")} <= set(listed)


def test_a_page_that_the_navigation_does_not_name_is_shown_all_the_same(small: Path, tmp_path: Path) -> None:
    (small / "docs" / "new.md").write_text("# New page\n")
    with pytest.raises(WrongPageError, match=re.escape("shows these pages nowhere: docs/new.md")):
        build(small, tmp_path / "made")
    config = small / "zensical.toml"
    place = '# Here the build adds a part "More" with the rest.\n]'
    config.write_text(config.read_text().replace('index.md"]', f'index.md",\n  {place}'))
    site = build(small, tmp_path / "made")
    assert "./new.html" in read_page(site / "index.html").links


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("other.md#no-part", "anchor does not exist"),
        ("nowhere.md", "docs/index.md links to nowhere.md, which is no file of the repository"),
        ("../../outside.md", "docs/index.md links to ../../outside.md, which is no file of the repository"),
    ],
)
def test_a_broken_link_ends_the_build(small: Path, tmp_path: Path, link: str, told: str) -> None:
    (small / "docs" / "index.md").write_text(f"# Home\n\n[link]({link})\n")
    with pytest.raises(WrongPageError, match=re.escape(told)):
        build(small, tmp_path / "made")


def test_a_small_site_is_built_as_the_large_one(small: Path, tmp_path: Path) -> None:
    site = build(small, tmp_path / "made")
    home = read_page(site / "index.html")
    assert {"other.html#a-part", "sample.yaml.html"} <= set(home.links)
    assert "Version 1.2.3" in (site / "index.html").read_text("utf-8")
    shutil.move(site / "other.html", site / "elsewhere.html")
    read = {path: read_page(path) for path in sorted(site.rglob("*.html"))}
    assert {broken.split(": ")[1] for broken in _broken(read, site)} >= {"other.html#a-part"}


def _text(path: PurePosixPath) -> str:
    return (ROOT / path).read_text("utf-8") if path != DECISIONS_INDEX else ""


def _built(path: PurePosixPath) -> PurePosixPath:
    """Where the HTML of a page is."""
    placed = site_path(path)
    return placed.with_name("index.html") if placed.name == "README.md" else placed.with_suffix(".html")


def _broken(read: Mapping[Path, Page], site: Path) -> Iterator[str]:
    for path, page in read.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            # Only the page for what is not found has such links, as nobody knows from which folder it is shown.
            start = site if parts.path.startswith(_SITE_PATH) else path.parent
            target = (start / unquote(parts.path.removeprefix(_SITE_PATH))).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchors = read[target].anchors if target in read else set()
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in anchors):
                yield f"{path.relative_to(site)}: {link}"
