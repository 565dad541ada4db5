"""Lists as the site reads them.

On GitHub a line belongs to a list item if it is indented as far as the item's text: by two or three columns. The site
(Python-Markdown) wants four columns for each level.
"""

import re

from markdown_it import MarkdownIt

_COLUMNS = 4
_MARKER = re.compile(r"^ *(?:[-*+]|\d+[.)]) +")
_PARSER = MarkdownIt("commonmark")


def indented_for_the_site(text: str) -> str:
    """The same page with four columns for each level of its lists."""
    lines = text.split("\n")
    made = list(lines)
    depth = 0
    before: dict[int, int] = {}  # by the line after an item, the first line of that item
    for token in _PARSER.parse(text):
        if token.type == "list_item_close":
            depth -= 1
        if token.type != "list_item_open" or token.map is None:
            continue
        first, end = token.map
        depth += 1
        marker = _MARKER.match(lines[first])
        if marker is None:
            raise ValueError(f"line {first + 1}: a list item that begins in the line of another one")
        made[first] = " " * _COLUMNS * (depth - 1) + lines[first].lstrip()
        if "" in lines[before.get(first, first) : first] and lines[first - 1]:
            made[first] = "\n" + made[first]  # the site needs a blank line after an item of several paragraphs
        before[end] = first
        for index in range(first + 1, end):
            # An inner item writes its lines again. A line that is indented less goes on with the paragraph.
            line = lines[index]
            rest = line[len(marker[0]) :] if line.startswith(" " * len(marker[0])) else line.lstrip()
            made[index] = " " * _COLUMNS * depth + rest if line.strip() else line
    return "\n".join(made)
