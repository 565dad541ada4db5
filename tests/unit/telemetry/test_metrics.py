"""What the metrics are named and labelled, and which series are there from the start."""

import re
from pathlib import Path

import pytest

from byoc_operator.core.fields import FIELDS
from byoc_operator.engine.drift import FIELDS_THAT_DRIFT, OTHER, drift_label
from byoc_operator.telemetry.metrics import Metrics
from byoc_operator.telemetry.table import BY_NAME, METRICS, SWEEP_PARTS, Metric, Type

ENGINE = Path(__file__).parents[3] / "operator" / "byoc_operator" / "engine"


def exported(metrics: Metrics) -> dict[str, tuple[str, str]]:
    """Type and meaning by name, as the reference has them."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: (family.type, family.documentation)
        for family in metrics.registry.collect()
    }


def test_what_a_process_exports_by_itself_is_in_the_table_as_it_is() -> None:
    told = {name: (str(metric.type), metric.meaning) for name, metric in BY_NAME.items()}
    found = exported(Metrics())
    assert found.items() <= told.items()
    missing = told.keys() - found.keys()
    assert {BY_NAME[name].type for name in missing} == {Type.GAUGE}, "only gauges are registered by others"


@pytest.mark.parametrize("metric", METRICS, ids=lambda each: each.name)
def test_a_name_follows_the_rules_of_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"(byoc|process)_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") is (metric.type is Type.COUNTER)
    assert bool(metric.buckets) is (metric.type is Type.HISTOGRAM)
    assert metric.meaning.endswith(".")


def test_only_the_series_that_is_opted_in_has_values_of_users() -> None:
    of_users = {"namespace", "name", "phone_number"}
    assert [each.name for each in METRICS if of_users & each.labels.keys()] == ["byoc_number_condition"]
    assert BY_NAME["byoc_number_condition"].opt_in


@pytest.mark.parametrize(
    ("name", "labels"),
    [(metric.name, values) for metric in METRICS for values in metric.combinations() if metric.type is Type.COUNTER],
)
def test_a_counter_is_there_before_the_first_event(name: str, labels: tuple[str, ...]) -> None:
    read = Metrics().registry.get_sample_value
    assert read(name, dict(zip(BY_NAME[name].labels, labels, strict=True))) == 0


def test_a_gauge_has_every_listed_value_or_none_at_all() -> None:
    metrics = Metrics()
    found: dict[tuple[str, ...], float] | None = {("Synced",): 2}
    metrics.gauges("byoc_numbers", lambda: found)
    (family,) = [each for each in metrics.registry.collect() if each.name == "byoc_numbers"]
    assert {sample.labels["reason"] for sample in family.samples} == set(BY_NAME["byoc_numbers"].labels["reason"])
    assert sum(sample.value for sample in family.samples) == 2
    found = None
    (family,) = [each for each in metrics.registry.collect() if each.name == "byoc_numbers"]
    assert family.samples == []


def test_every_part_of_a_sweep_in_which_a_bug_is_counted_is_exported_from_the_start() -> None:
    source = "".join((ENGINE / name).read_text(encoding="utf-8") for name in ("sweep.py", "secret_look.py"))
    parts = set(re.findall(r"\._?(?:met|part)\(\"(\w+)\"", source))
    assert parts | {"keys"} == set(SWEEP_PARTS)


def test_the_version_is_a_label() -> None:
    (family,) = [each for each in Metrics().registry.collect() if each.name == "byoc_build_info"]
    (sample,) = family.samples
    assert (sample.value, re.match(r"\d+\.\d+", sample.labels["version"]) is not None) == (1, True)


def test_no_counter_has_a_second_series_with_the_time_of_its_creation() -> None:
    names = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    assert [name for name in names if name.endswith("_created")] == []


def test_drift_is_counted_by_known_fields_whatever_livekit_has() -> None:
    paths = {each.path for table in FIELDS.values() for each in table}
    assert {drift_label(path) for path in paths} == paths <= set(FIELDS_THAT_DRIFT)
    assert drift_label("outboundTrunk.fieldOfTomorrow") == OTHER
