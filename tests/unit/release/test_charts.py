"""The address of the repository is put into charts when they are packaged."""

from pathlib import Path

import pytest
import yaml

from release.charts import MAINTAINER, released_by

CHARTS = sorted((Path(__file__).parents[3] / "helm").glob("*/Chart.yaml"))
ADDRESS = "https://git.example.com/acme/byoc-operator"


@pytest.mark.parametrize("chart", CHARTS, ids=[chart.parent.name for chart in CHARTS])
def test_home_sources_and_maintainers_are_those_of_the_repository(chart: Path) -> None:
    before = yaml.safe_load(chart.read_text())
    after = yaml.safe_load(released_by(ADDRESS, chart.read_text()))
    assert after["home"] == ADDRESS
    assert after["sources"] == [ADDRESS]
    assert after["maintainers"] == [{"name": "BYOC operator maintainers", "url": ADDRESS}]
    assert after | {"maintainers": before["maintainers"]} == before | {"home": ADDRESS, "sources": [ADDRESS]}


@pytest.mark.parametrize("chart", CHARTS, ids=[chart.parent.name for chart in CHARTS])
def test_the_source_of_a_chart_names_no_address_of_its_own(chart: Path) -> None:
    text = chart.read_text()
    assert MAINTAINER in text
    assert "icon" in yaml.safe_load(text)
    assert not {"home", "sources"} & yaml.safe_load(text).keys()
