"""What the chart of the numbers renders and refuses."""

from collections.abc import Mapping
from typing import Any

from install.rendering import chart
from manifests import Spec

NAME = "byoc-phone-numbers"


def rendered(values: Mapping[str, Any], **options: Any) -> list[dict[str, Any]]:
    """The objects of the chart."""
    return chart(NAME, values, release="numbers", namespace="voice", **options)


def numbered(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Spec]:
    """The specs with a number of their own each."""
    return {name: {**spec, "phoneNumber": f"+1202555{index:04}"} for index, (name, spec) in enumerate(specs.items())}
