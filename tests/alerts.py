"""Evaluates the alerts of docs/operations.md on the metrics of replicas, with the part of PromQL that they use."""

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"
COMPARE = {"==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt}
TERM = re.compile(
    r"(?P<time>time\(\) - )?(?:(?P<function>sum|rate|increase)\()?(?P<name>byoc_\w+)"
    r"(?:\{(?P<label>\w+)(?P<match>=|!~)\"(?P<value>[^\"]*)\"\})?(?:\[\w+\])?\)? (?P<sign>==|!=|>|<) (?P<bound>\d+)"
)

Scrape = Mapping[str, float]
"""Samples by name and labels, as `OperatorProcess.metrics` has them."""


def alerts() -> list[str]:
    """The expressions of the table."""
    table = OPERATIONS.read_text().partition("Worth an alert:")[2].partition("\n\nLogs")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    return [row.split("`")[1].replace("\\|", "|") for row in rows]


def firing(scrapes: Sequence[Scrape], now_s: float) -> list[str]:
    """The alerts that these replicas raise if nothing changes. Counters do not grow between two scrapes here."""
    return [each for each in alerts() if any(_all(part, scrapes, now_s) for part in each.split(" or "))]


def _all(expression: str, scrapes: Sequence[Scrape], now_s: float) -> set[int]:
    """The replicas for which all terms hold; -1 stands for a sum over them."""
    return set.intersection(*(set(_where(term, scrapes, now_s)) for term in expression.split(" and ")))


def _where(term: str, scrapes: Sequence[Scrape], now_s: float) -> Iterator[int]:
    parsed = TERM.fullmatch(term)
    assert parsed is not None, f"{term} is not understood here"
    compare, bound = COMPARE[parsed["sign"]], float(parsed["bound"])
    samples = [(index, value) for index, scrape in enumerate(scrapes) for value in _matching(parsed, scrape)]
    if parsed["function"] == "sum":
        samples = [(-1, sum(value for _, value in samples))] if samples else []
    if parsed["function"] in ("rate", "increase"):
        samples = [(index, 0.0) for index, _ in samples]
    for index, value in samples:
        if compare(now_s - value if parsed["time"] else value, bound):
            yield index


def _matching(parsed: re.Match[str], scrape: Scrape) -> Iterator[float]:
    for sample, value in scrape.items():
        name, _, labels = sample.partition("{")
        if name != parsed["name"]:
            continue
        of = dict(re.findall(r'(\w+)="([^"]*)"', labels)).get(parsed["label"] or "", "")
        hit = re.fullmatch(parsed["value"], of) if parsed["label"] else True
        if bool(hit) is (parsed["match"] != "!~"):
            yield value
