"""The chart and the component have the same admission policies."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNSET = "    - name: unset\n"
"""The variable whose expression a value of the chart decides."""


def rules(path: str) -> list[str]:
    """The lines from the variables of the policy up to its binding, without the expression of `unset`."""
    text = (ROOT / path).read_text()
    text = text[text.index("  variables:") : text.index("---\n", text.index("  variables:"))]
    before, _, after = text.partition(UNSET)
    return before.splitlines() + after.splitlines()[1:]


@pytest.mark.parametrize("name", ["namespace-policy"])
def test_the_chart_judges_as_the_component_does(name: str) -> None:
    assert rules(f"helm/byoc-operator/templates/{name}.yaml") == rules(f"deploy/components/{name}/policy.yaml")


def test_every_variable_of_the_namespace_policy_that_is_used_is_defined() -> None:
    text = "\n".join(rules("helm/byoc-operator/templates/namespace-policy.yaml"))
    used = set(re.findall(r"variables\.(\w+)", text))
    defined = {line.split("name: ")[1] for line in text.splitlines() if line.startswith("    - name: ")} | {"unset"}
    assert used <= defined
