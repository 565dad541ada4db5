"""Prints the figures of a run, one line each, in aligned columns."""

from collections.abc import Iterable
from dataclasses import dataclass

_HEAD = ("", "operator", "bare", "ratio", "bar", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `bar`: what it should reach; `good`: whether it does, None where there is no bar."""

    what: str
    operator: str
    bare: str = ""
    ratio: str = ""
    bar: str = ""
    good: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """As text, one per column."""
        verdict = {None: "", True: "ok", False: "over"}[self.good]
        return (self.what, self.operator, self.bare, self.ratio, self.bar, verdict)


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one phase. `speed`: how fast the machine was before and after it, 1.00 as at the start."""

    title: str
    speed: tuple[float, float]
    rows: tuple[Row, ...]


def rendered(sections: Iterable[Section]) -> str:
    """All sections as one table."""
    listed = list(sections)
    cells = [_HEAD, *(row.cells for section in listed for row in section.rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    lines = [_line(_HEAD, widths)]
    for section in listed:
        before, after = section.speed
        lines += ["", f"{section.title}  [machine speed {before:.2f} before, {after:.2f} after]"]
        lines += [_line(row.cells, widths) for row in section.rows]
    return "\n".join(lines)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(["  " + first, *others]).rstrip()
