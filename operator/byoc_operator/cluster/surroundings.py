"""What is kept of a large object that stands around the numbers: the operator's Deployment, its pods, settings, Events.

Only a command line reads them, and one of ordinary size is read as it is.
"""

from collections.abc import Mapping

from .shapes import Fields, Leaf, Shape

_METADATA = Fields(
    {
        **{name: Leaf() for name in ("namespace", "name", "uid", "resourceVersion")},
        **{name: Leaf() for name in ("generation", "creationTimestamp", "deletionTimestamp")},
        "labels": Leaf(64 * 1024, max_depth=1),
    }
)

_PART = Leaf(256 * 1024, max_depth=16)

_WORKLOAD = Fields({"metadata": _METADATA, "spec": _PART, "status": _PART})

_EVENT = Fields(
    {
        "metadata": _METADATA,
        **{name: Leaf(4096) for name in ("eventTime", "type", "reason", "action", "note", "reportingController")},
        **{name: Leaf(4096, max_depth=2) for name in ("regarding", "series")},
        **{name: Leaf(64) for name in ("deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount")},
    }
)

AROUND: Mapping[str, Shape] = {
    "deployments": _WORKLOAD,
    "pods": _WORKLOAD,
    "configmaps": Fields({"metadata": _METADATA, "data": Leaf(256 * 1024, max_depth=1)}),
    "events": _EVENT,
}
"""By resource. `managedFields` and annotations are left out."""
