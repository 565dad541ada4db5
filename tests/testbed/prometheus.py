"""A Prometheus server that scrapes operators on this machine each second, with rules if a test gives some."""

import json
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from testbed.http_probe import get
from testbed.part import Part, free_port
from testbed.tools import PROMETHEUS, find

Sample = tuple[Mapping[str, str], float]


class Prometheus(Part):
    """`targets`: the ports of /metrics by the name of the pod. `rules`: a file of rules, evaluated each second."""

    name = "prometheus"

    def __init__(self, parent: Path, targets: Mapping[str, int], rules: Path | None = None) -> None:
        super().__init__(find(PROMETHEUS), parent)
        self._targets = dict(targets)
        self._rules = rules

    def choose_ports(self) -> None:
        """One for its API."""
        self.port = free_port()

    def arguments(self) -> list[str]:
        """Writes its configuration."""
        scraped = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "byoc-system", "pod": pod, "instance": pod}}
            for pod, port in self._targets.items()
        ]
        told = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self._rules)] if self._rules else [],
            "scrape_configs": [{"job_name": "byoc-operator", "static_configs": scraped}],
        }
        file = self.directory / "prometheus.yaml"
        file.write_text(yaml.safe_dump(told), encoding="utf-8")
        return [
            f"--config.file={file}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        return get(self.port, "/-/ready").status == 200

    def query(self, expression: str) -> list[Sample]:
        """The samples of an expression now: labels and value. Raises AssertionError if it is no PromQL."""
        found = self._asked("/api/v1/query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def ranges(
        self, expression: str, since_s: float, until_s: float
    ) -> list[tuple[Mapping[str, str], list[list[Any]]]]:
        """The values of an expression each second between two times: labels, then pairs of time and text."""
        found = self._asked("/api/v1/query_range", query=expression, start=since_s, end=until_s, step=1)["result"]
        return [(each["metric"], each["values"]) for each in found]

    def _asked(self, path: str, **query: Any) -> dict[str, Any]:
        answer = get(self.port, f"{path}?{urllib.parse.urlencode(query)}", timeout_s=30)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = json.loads(answer.body)["data"]
        return found
