"""Every alert fires when it should, and not in what healthy installations go through; asked of promtool."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from byoc_operator.generate.alerts import ALERTS, RULES_FILE, RUNBOOKS, Alert
from byoc_operator.telemetry.table import BY_NAME
from install.rendering import ROOT
from testbed import tools

RULES = ROOT / RULES_FILE
LEADER, STANDBY = (
    'namespace="byoc-system",job="byoc-operator",pod="a",instance="a"',
    ('namespace="byoc-system",job="byoc-operator",pod="b",instance="b"'),
)

Series = Mapping[str, str]
"""Values a minute, in promtool's notation, by name and own labels; `@b` at the end: of the second replica."""


@dataclass(frozen=True, slots=True)
class Case:
    """What two replicas export, and how many instances of the alert fire at a minute."""

    alert: str
    story: str
    series: Series
    minute: int
    firing: int


HOUR = "x60"
HEALTHY: Series = {
    "byoc_leading": f"1{HOUR}",
    "byoc_leading@b": f"0{HOUR}",
    "byoc_livekit_up": f"1{HOUR}",
    'byoc_livekit_trouble{reason="LiveKitUnavailable"}': f"0{HOUR}",
    'byoc_livekit_trouble{reason="LiveKitUnauthorized"}': f"0{HOUR}",
    'byoc_numbers{reason="Synced"}': f"100{HOUR}",
    'byoc_numbers{reason="Paused"}': f"2{HOUR}",
    'byoc_numbers{reason="ChangesPending"}': f"3{HOUR}",
    'byoc_numbers{reason="NumberClaimed"}': f"0{HOUR}",
    'byoc_findings{code="CredentialsOld"}': f"0{HOUR}",
    'byoc_findings{code="NoInboundAgent"}': f"7{HOUR}",
    "byoc_queue_oldest_seconds": f"1{HOUR}",
    "byoc_last_sweep_timestamp_seconds": "0+60x60",
    "byoc_sweep_interval_seconds": f"300{HOUR}",
    'byoc_drift_repaired_total{field="outboundTrunk.address"}': f"0{HOUR}",
    "byoc_watches_broken": f"0{HOUR}",
    "byoc_watches_broken@b": f"0{HOUR}",
    "byoc_sealing_keys_lost": f"0{HOUR}",
    "byoc_unhandled_errors": f"0{HOUR}",
    "byoc_unhandled_errors@b": f"0{HOUR}",
    'byoc_admission_reviews_total{outcome="refused"}': f"0{HOUR}",
    'byoc_admission_reviews_total{outcome="malformed"}': "0+1x60",
    "byoc_admission_certificate_expiry_timestamp_seconds": f"2600000{HOUR}",
    "byoc_admission_certificate_expiry_timestamp_seconds@b": f"2600000{HOUR}",
    'byoc_throttled_seconds_total{server="livekit"}': "0+5x60",
    'byoc_throttled_seconds_total{server="kubernetes"}': f"0{HOUR}",
    'byoc_unreadable_objects{resource="secrets"}': f"0{HOUR}",
    "byoc_livekit_unreadable": f"0{HOUR}",
    "byoc_orphans": f"0{HOUR}",
    "byoc_retained_numbers": f"0{HOUR}",
    'byoc_sweep_bugs_total{part="claims"}': f"0{HOUR}",
    'byoc_reconciles_total{result="bug"}': f"0{HOUR}",
}
"""Two replicas in good health. Strangers send the webhook what is no review; LiveKit asks to wait now and then."""

RESTART: Series = {
    **HEALTHY,
    "byoc_leading": "1x10 _x2 0x47",
    "byoc_leading@b": "0x11 1x48",
    "byoc_livekit_up": "1x10 _x49",
    "byoc_livekit_up@b": "_x13 1x46",
    'byoc_livekit_trouble{reason="LiveKitUnavailable"}': "0x10 _x49",
    "byoc_last_sweep_timestamp_seconds": "0+60x10 _x49",
    "byoc_last_sweep_timestamp_seconds@b": "_x12 720+60x47",
    "byoc_watches_broken": "0x10 _x2 2x2 0x44",
    "byoc_unhandled_errors": "0x10 _x2 0x47",
}
"""The leader is replaced: the other takes over, and the new pod needs minutes until its watches are open."""

ROLLOUT: Series = {
    **RESTART,
    'byoc_numbers{reason="Unseen"}': "0x10 _x49",
    'byoc_numbers{reason="Unseen"}@b': "_x12 100x5 0x42",
    "byoc_queue_oldest_seconds": "1x10 _x49",
    "byoc_queue_oldest_seconds@b": "_x12 30+30x8 1x38",
    'byoc_reconciles_total{result="bug"}': "0x10 _x2 0x47",
}
"""As before; the new version judges all numbers anew, which takes minutes."""


def _fires(alert: str, minute: int, count: int = 1, **changed: str) -> Case:
    return Case(alert, "fires", {**HEALTHY, **_named(changed)}, minute, count)


def _quiet(alert: str, story: str, minute: int, **changed: str) -> Case:
    return Case(alert, story, {**HEALTHY, **_named(changed)}, minute, 0)


_SERIES = {
    "trouble": 'byoc_livekit_trouble{reason="LiveKitUnavailable"}',
    "refused_key": 'byoc_livekit_trouble{reason="LiveKitUnauthorized"}',
    "up": "byoc_livekit_up",
    "claimed": 'byoc_numbers{reason="NumberClaimed"}',
    "down_numbers": 'byoc_numbers{reason="LiveKitUnavailable"}',
    "oldest": "byoc_queue_oldest_seconds",
    "swept": "byoc_last_sweep_timestamp_seconds",
    "interval": "byoc_sweep_interval_seconds",
    "drift": 'byoc_drift_repaired_total{field="outboundTrunk.address"}',
    "leading": "byoc_leading",
    "leading_b": "byoc_leading@b",
    "watches_b": "byoc_watches_broken@b",
    "keys_lost": "byoc_sealing_keys_lost",
    "old": 'byoc_findings{code="CredentialsOld"}',
    "refused": 'byoc_admission_reviews_total{outcome="refused"}',
    "ends_b": "byoc_admission_certificate_expiry_timestamp_seconds@b",
    "requests": 'byoc_refused_requests{verb="patch",resource="byocphonenumbers/status"}',
    "throttled": 'byoc_throttled_seconds_total{server="livekit"}',
    "unreadable": 'byoc_unreadable_objects{resource="secrets"}',
    "unreadable_b": 'byoc_unreadable_objects{resource="secrets"}@b',
    "livekit_unreadable": "byoc_livekit_unreadable",
    "orphans": "byoc_orphans",
    "retained": "byoc_retained_numbers",
    "sweep_bugs": 'byoc_sweep_bugs_total{part="claims"}',
    "run_bugs": 'byoc_reconciles_total{result="bug"}',
    "unhandled_b": "byoc_unhandled_errors@b",
}


def _named(changed: Mapping[str, str]) -> Series:
    return {_SERIES[name]: values for name, values in changed.items()}


CASES: Sequence[Case] = (
    _fires("ByocLiveKitDown", 10, up="1x2 0x58", trouble="0x2 1x58"),
    _quiet("ByocLiveKitDown", "a restart of LiveKit", 10, up="1x4 0x3 1x52", trouble="0x4 1x3 0x52"),
    _quiet("ByocLiveKitDown", "the key is refused", 20, up=f"0{HOUR}", refused_key=f"1{HOUR}"),
    _fires("ByocLiveKitKeyRefused", 10, up=f"0{HOUR}", refused_key="0x2 1x58"),
    _quiet("ByocLiveKitKeyRefused", "a key is rotated", 10, refused_key="0x8 1x1 0x50"),
    _quiet("ByocLiveKitKeyRefused", "LiveKit is down", 20, up=f"0{HOUR}", trouble=f"1{HOUR}"),
    _fires("ByocNumbersStalled", 30, claimed="0x2 3x58"),
    _quiet("ByocNumbersStalled", "an edit that is corrected", 30, claimed="0x10 3x10 0x40"),
    _quiet("ByocNumbersStalled", "LiveKit is down, which has its own alert", 30, down_numbers=f"9{HOUR}"),
    _fires("ByocQueueAgeing", 30, oldest="1x5 61+60x55"),
    _quiet("ByocQueueAgeing", "a thousand numbers at once", 30, oldest="1x5 20+20x10 1x45"),
    _fires("ByocSweepLate", 40, swept="0x60"),
    _quiet("ByocSweepLate", "LiveKit is down", 40, swept="0x60", up=f"0{HOUR}"),
    _quiet("ByocSweepLate", "a long interval", 40, swept="0x60", interval=f"3600{HOUR}"),
    _fires("ByocDriftComesBack", 50, drift="0+1x60"),
    _quiet("ByocDriftComesBack", "one edit by hand", 50, drift="0x20 1x40"),
    _fires("ByocNoLeader", 10, leading="1x2 0x58"),
    _fires("ByocNoLeader", 10, leading="1x2 _x58", leading_b="0x2 _x58"),
    _quiet("ByocNoLeader", "a take-over", 12, leading="1x9 0x1 1x50"),
    _fires("ByocSeveralLeaders", 10, leading_b="0x2 1x58"),
    _quiet("ByocSeveralLeaders", "two scrapes around a take-over", 11, leading="1x10 0x50", leading_b="0x9 1x50"),
    _fires("ByocWatchesBroken", 20, watches_b="0x2 2x58"),
    _quiet("ByocWatchesBroken", "a restart of the API server", 20, watches_b="0x15 2x3 0x42"),
    _fires("ByocSealingKeysLost", 10, keys_lost="0x2 1x58"),
    _quiet("ByocSealingKeysLost", "keys that are replaced", 10, keys_lost="0x8 1x1 0x50"),
    _fires("ByocCredentialsOld", 61, old="4x61"),
    _quiet("ByocCredentialsOld", "changed within an hour", 59, old="4x30 0x30"),
    _fires("ByocAdmissionRefusals", 20, refused="0x10 1x50"),
    _quiet("ByocAdmissionRefusals", "long ago", 50, refused="0x10 1x50"),
    _fires("ByocWebhookCertificateEnding", 20, ends_b=f"600000{HOUR}"),
    _quiet("ByocWebhookCertificateEnding", "a certificate that is due to be renewed", 20, ends_b=f"1300000{HOUR}"),
    _fires("ByocRequestsRefused", 10, requests="_x2 1x58"),
    _quiet("ByocRequestsRefused", "a right that came late", 10, requests="1x3 _x57"),
    _fires("ByocThrottled", 50, throttled="0+60x60"),
    _quiet("ByocThrottled", "one long wait", 50, throttled="0x30 120x30"),
    _fires("ByocObjectsUnreadable", 30, unreadable="0x2 1x58"),
    _quiet("ByocObjectsUnreadable", "gone soon", 30, unreadable="0x10 1x10 0x40"),
    _fires("ByocLiveKitUnreadable", 30, livekit_unreadable="0x2 1x58"),
    _quiet("ByocLiveKitUnreadable", "gone soon", 30, livekit_unreadable="0x10 1x10 0x40"),
    _fires("ByocLeftInLiveKit", 61, orphans="3x61"),
    _fires("ByocLeftInLiveKit", 61, retained="1x61"),
    _quiet("ByocLeftInLiveKit", "found and deleted", 61, orphans="3x30 0x31"),
    _fires("ByocBug", 20, sweep_bugs="0x10 1x50"),
    _fires("ByocBug", 20, run_bugs="0x10 1x50"),
    _fires("ByocBug", 20, unhandled_b="0x10 1x50"),
    *(Case(alert.name, "good health", HEALTHY, minute, 0) for alert in ALERTS for minute in (30, 60)),
    *(Case(alert.name, "a restart", RESTART, minute, 0) for alert in ALERTS for minute in (12, 15, 20)),
    *(Case(alert.name, "a rollout", ROLLOUT, minute, 0) for alert in ALERTS for minute in (12, 15, 20, 35)),
)


def _input(name: str, values: str) -> Mapping[str, str]:
    bare, _, replica = name.partition("@")
    metric, _, labels = bare.partition("{")
    own = labels.removesuffix("}")
    return {
        "series": f"{metric}{{{','.join(filter(None, (own, STANDBY if replica else LEADER)))}}}",
        "values": values,
    }


def _inputs(series: Series) -> list[Mapping[str, str]]:
    return [_input(name, values) for name, values in series.items()]


def _tests() -> Iterator[Mapping[str, Any]]:
    """One test for all cases with the same series: promtool takes time for each."""
    for _, cases in groupby(sorted(CASES, key=lambda each: id(each.series)), key=lambda each: id(each.series)):
        alike = list(cases)
        yield {
            "name": "; ".join(dict.fromkeys(f"{each.alert}: {each.story}" for each in alike))[:200],
            "interval": "1m",
            "input_series": _inputs(alike[0].series),
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{each.alert}",alertstate="firing"}}) or vector(0)',
                    "eval_time": f"{each.minute}m",
                    "exp_samples": [{"labels": "{}", "value": each.firing}],
                }
                for each in alike
            ],
        }


def _promtool(*args: str) -> str:
    done = subprocess.run(
        [str(tools.find(tools.PROMTOOL)), *args], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_pass_the_strict_check_of_promtool() -> None:
    told = _promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert f"SUCCESS: {len(ALERTS)} rules found" in told


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    told = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": list(_tests())}
    file = tmp_path / "alerts_test.yaml"
    file.write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
    assert "SUCCESS" in _promtool("test", "rules", str(file))


def test_what_an_alert_says_holds_its_values(tmp_path: Path) -> None:
    case = _fires("ByocNumbersStalled", 30, claimed="0x2 3x58")
    expected = {
        "exp_labels": {
            "severity": "warning",
            "namespace": "byoc-system",
            "job": "byoc-operator",
            "reason": "NumberClaimed",
        },
        "exp_annotations": {
            "summary": "3 numbers are not Ready (NumberClaimed).",
            "description": "3 numbers have had the reason NumberClaimed for 15 minutes. `kubectl get bpn -A` "
            "shows which, "
            "and their Ready condition what to do.",
            "runbook": f"{RUNBOOKS}#byocnumbersstalled",
        },
    }
    test = {"interval": "1m", "input_series": _inputs(case.series)}
    asked = [{"eval_time": "30m", "alertname": case.alert, "exp_alerts": [expected]}]
    file = tmp_path / "alerts_test.yaml"
    rules = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [{**test, "alert_rule_test": asked}]}
    file.write_text(yaml.safe_dump(rules), encoding="utf-8")
    assert "SUCCESS" in _promtool("test", "rules", str(file))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each.name)
def test_an_alert_has_cases_and_asks_for_metrics_that_there_are(alert: Alert) -> None:
    fires = [case for case in CASES if case.alert == alert.name and case.firing]
    quiet = [case for case in CASES if case.alert == alert.name and not case.firing]
    assert fires
    assert quiet
    names = set(re.findall(r"\b(?:byoc|process)_\w+", alert.expression))
    assert names <= BY_NAME.keys()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each.name)
def test_the_labels_of_an_expression_have_values_that_there_are(alert: Alert) -> None:
    for name, matchers in re.findall(r"(byoc_\w+)\{([^}]*)\}", alert.expression):
        for label, sign, value in re.findall(r"(\w+)(=~|!~|!=|=)\"([^\"]*)\"", matchers):
            told = BY_NAME[name].labels[label]
            parts = value.split("|") if "~" in sign else [value]
            assert not told or set(parts) <= set(told), f"{name}: {label}"
