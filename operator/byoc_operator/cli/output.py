"""Results in the form that `-o` asks for: a table, a wider one, or a list object as JSON or YAML."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..api.names import GROUP
from .formats import Format
from .terminal import Cell, show, show_document, show_table, tell

API_VERSION = f"cli.{GROUP}/v1"
"""Of the list objects: fields are added, and never renamed or taken away."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A result. `kind`: of the list object, such as `StatusList`.

    `columns` and `rows`: of the table; `wide`: how many of the columns, at the end, only `-o wide` shows. `items`: the
    entries of the list object, of JSON types. `beside`: its other fields. `summary`: the last line under a table.
    `beneath`: see `show_table`.
    """

    kind: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    items: Sequence[Mapping[str, object]]
    wide: int = 0
    beside: Mapping[str, object] = field(default_factory=dict)
    summary: str = ""
    beneath: Sequence[str] = ()

    def document(self) -> dict[str, object]:
        """The list object."""
        return {"apiVersion": API_VERSION, "kind": self.kind, **self.beside, "items": list(self.items)}


def show_listing(listing: Listing, output: Format) -> None:
    """Print a result on standard output."""
    match output:
        case Format.JSON:
            show_document(as_json(listing.document()))
        case Format.YAML:
            show_document(as_yaml(listing.document()))
        case Format.TABLE | Format.WIDE:
            shown = len(listing.columns) - (0 if output is Format.WIDE else listing.wide)
            if listing.rows:
                show_table(listing.columns[:shown], [row[:shown] for row in listing.rows], listing.beneath)
            if listing.summary:
                show(listing.summary)


def tell_unread(unread: Mapping[str, str]) -> None:
    """Say which objects a list passed over, and why. `unread`: see `Cluster`."""
    for where, why in unread.items():
        tell(f"{where}: {why}", head="not looked at:")


def as_json(value: object) -> str:
    """JSON with what is not ASCII escaped."""
    return json.dumps(value, indent=2) + "\n"


def as_yaml(*documents: object) -> str:
    """YAML documents with what is not ASCII escaped."""
    import yaml  # noqa: PLC0415 - only who asks for YAML waits for it

    return str(yaml.safe_dump_all(documents, sort_keys=False, width=10_000, explicit_start=len(documents) > 1))
