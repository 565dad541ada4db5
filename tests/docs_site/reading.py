"""What a built page has: its anchors, its links, what it loads, and its text block by block."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLOCKS = frozenset({*_HEADINGS, "li", "td", "th", "pre", "p", "blockquote"})
_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
_EMPTY = frozenset({"br", "hr", "img", "input", "link", "meta", "source", "path", "circle", "rect", "line", "wbr"})


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list item, cell or code block. White space is one blank, except in code."""

    kind: str
    text: str


@dataclass(slots=True)
class Page:
    """One page of the site."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)


def read_page(path: Path) -> Page:
    """The page in a file of HTML, with the blocks of its article."""
    return read_html(path.read_text("utf-8"), article_only=True)


def read_html(html: str, *, article_only: bool = False) -> Page:
    """The page that a text of HTML is; with the blocks of its article, or of all of it."""
    reader = _Reader(article_only=article_only)
    reader.feed(html)
    reader.close()
    return reader.page


class _Reader(HTMLParser):
    def __init__(self, *, article_only: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._article_only = article_only
        self._open: list[tuple[str, bool]] = []
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.page.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        if _LOADED.get(tag) in given and given.get("rel") not in {"canonical", "next", "prev"}:
            self.page.loaded.append(given[_LOADED[tag]])
        if tag in _BLOCKS or tag in {"ul", "ol", "table"}:
            self._end_block()
        if tag not in _EMPTY:
            hidden = given.get("class") in {"headerlink", "md-source-file"} or tag in {"nav", "button", "script"}
            self._open.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        if tag in _EMPTY:
            return
        if tag in _BLOCKS:
            self._end_block()
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        names = [tag for tag, _ in self._open]
        if any(hidden for _, hidden in self._open) or (self._article_only and "article" not in names):
            return
        self._text += data

    def _end_block(self) -> None:
        text, self._text = self._text, ""
        kind = next(self._kinds(), "")
        text = text.strip("\n") if kind == "pre" else " ".join(text.split())
        if text:
            self.page.blocks.append(Block(kind, text))

    def _kinds(self) -> Iterator[str]:
        """The block in which the text stands. A paragraph of a list item is a part of the item."""
        within = [tag for tag, _ in reversed(self._open) if tag in _BLOCKS]
        yield from (tag for tag in within if tag != "p")
        yield from within
