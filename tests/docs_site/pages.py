"""The pages of the site, made of the files of the repository. These stay as they are, because GitHub shows them too.

A page links to files outside `docs/`, such as a sample. The site does not have them, so each such file becomes a page.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from docs_site.lists import indented_for_the_site

CONFIG = "zensical.toml"
DECISIONS = PurePosixPath("docs/decisions")
DECISIONS_INDEX = DECISIONS / "index.md"
_DOCS = PurePosixPath("docs")
_RENAMED = {"README.md": "overview.md"}
"""`README.md` would be the home page of the site, which `docs/index.md` is."""
_COPIED = frozenset({".png", ".svg", ".css"})
_LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".py": "python", ".env": "ini", ".toml": "toml", ".sh": "sh"}

_CODE = r"^ *(?P<fence>`{3,})[^\n]*\n.*?^ *(?P=fence)[^\n]*$|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)"
_LINK_OR_CODE = re.compile(_CODE + r"|(?P<before>\]\()(?P<link>[^)\s]+)(?=\))", re.MULTILINE | re.DOTALL)
_FILE_IN_CONFIG = re.compile(r'"([^"]+\.(?:md|css))"')
_PLACE_FOR_MORE = re.compile(r'^ *# Here the build adds a part "More" .*$', re.MULTILINE)
_HEADING = re.compile(r"^# (?P<title>.+)$", re.MULTILINE)
_NUMBER = re.compile(r"^(?P<number>\d+)(?:\.| ·) (?P<text>.+)$")


class WrongPageError(Exception):
    """A page that the site cannot have as it is; the text says which page and why."""


def write_pages(root: Path, folder: Path) -> None:
    """Write all pages of the repository at `root`, pictures and the style into an empty folder."""
    for path, content in pages(root).items():
        target = folder / site_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def pages(root: Path) -> Mapping[PurePosixPath, bytes]:
    """What the site consists of: content by the path in the repository."""
    made = {DECISIONS_INDEX: _list_of_decisions(root).encode()}
    waiting = [*in_config(root), *_markdown_below_docs(root)]
    while waiting:
        path = waiting.pop()
        if path in made:
            continue
        linked: set[PurePosixPath] = set()
        made[path] = _content(root, path, linked)
        waiting += linked
    return made


def in_config(root: Path) -> tuple[PurePosixPath, ...]:
    """The pages of the navigation and the styles, by their paths in the repository."""
    return tuple(PurePosixPath(path) for path in _FILE_IN_CONFIG.findall((root / CONFIG).read_text("utf-8")))


def site_config(root: Path, version: str, url: str) -> str:
    """The configuration of the site, with the pages where the site has them. `url` may be empty."""
    text = (root / CONFIG).read_text("utf-8")
    shown = {*in_config(root)}
    more = [page for page in _markdown_below_docs(root) if page not in shown and page.parent != DECISIONS]
    if more:
        text, found = _PLACE_FOR_MORE.subn(f'  {{ "More" = {json.dumps([str(page) for page in more])} }},', text)
        if not found:
            raise WrongPageError(f"{CONFIG} shows these pages nowhere: {', '.join(map(str, more))}")
    text = _FILE_IN_CONFIG.sub(lambda found: f'"{site_path(PurePosixPath(found[1]))}"', text)
    added = f'copyright = "Version {version}"\n' + (f'site_url = "{url}"\n' if url else "")
    return text.replace("[project]\n", f"[project]\n{added}", 1)


def site_path(path: PurePosixPath) -> PurePosixPath:
    """Where the site has a file of the repository."""
    if path.suffix != ".md" and path.suffix not in _COPIED:
        return PurePosixPath(f"{path}.md")
    return path.relative_to(_DOCS) if path.is_relative_to(_DOCS) else PurePosixPath(_RENAMED.get(str(path), path))


def _markdown_below_docs(root: Path) -> tuple[PurePosixPath, ...]:
    return tuple(PurePosixPath(path.relative_to(root).as_posix()) for path in sorted((root / _DOCS).rglob("*.md")))


def _content(root: Path, path: PurePosixPath, linked: set[PurePosixPath]) -> bytes:
    """One page, picture or style; adds what it links to."""
    file = root / path
    if not file.is_file():
        raise WrongPageError(f"{path} is no file, and a page or the navigation names it")
    if path.suffix in _COPIED:
        return file.read_bytes()
    text = file.read_text("utf-8")
    if path.suffix == ".md":
        return _LINK_OR_CODE.sub(partial(_for_the_site, root, path, linked), indented_for_the_site(text)).encode()
    fence = "`" * 4
    return f"# {path.name}\n\n`{path}`\n\n{fence}{_LANGUAGES.get(path.suffix, 'text')}\n{text}\n{fence}\n".encode()


def _for_the_site(root: Path, page: PurePosixPath, linked: set[PurePosixPath], found: re.Match[str]) -> str:
    """A link as the site has it; code as the site reads it."""
    link = found["link"]
    if link is None:
        # In code of a table GitHub takes the backslash of `a\|b` away, the site does not.
        begin = found.string.rfind("\n", 0, found.start()) + 1
        return found[0].replace("\\|", "|") if found.string.startswith("|", begin) else found[0]
    name, anchor, heading = link.partition("#")
    if not name or "://" in link or link.startswith("mailto:"):
        return found[0]
    target = PurePosixPath(os.path.normpath(page.parent / name))
    if target.parts[0] == ".." or not (root / target).is_file():
        raise WrongPageError(f"{page} links to {name}, which is no file of the repository")
    linked.add(target)
    return f"]({os.path.relpath(site_path(target), site_path(page).parent)}{anchor}{heading}"


def _list_of_decisions(root: Path) -> str:
    """The page that lists all decisions."""
    rows = "\n".join(_decisions(root))
    return (
        f"# Decisions\n\nWhere reality differed from the design, and why.\n\n| number | decision |\n|---|---|\n{rows}\n"
    )


def _decisions(root: Path) -> Iterator[str]:
    for path in sorted((root / DECISIONS).glob("*.md")):
        title = _HEADING.search(path.read_text("utf-8"))
        numbered = _NUMBER.match(title["title"]) if title else None
        if numbered is None:
            raise WrongPageError(f"{DECISIONS / path.name} does not begin with a heading such as `# 12. In a pod`")
        yield f"| {int(numbered['number'])} | [{numbered['text']}]({path.name}) |"
