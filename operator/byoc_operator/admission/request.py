"""Parses the AdmissionReview in a request body. Anybody who reaches the webhook's port can send any body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..api.grammar import is_namespace, is_object_name
from ..cluster.json_bounds import Bounds, decoded

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"

MAX_BODY: Final = 6 * 2**20
"""Bytes of a review.

A review has the Secret before and after the change. The API server stores at most 1 MiB of values (1.34 MiB in base64)
and 256 KiB of annotations for each, and escapes a character of these with at most six (`\\u003c`): 5.7 MiB together.
The API server refuses a longer Secret too, or the Secret has content that no Secret with SIP credentials has.
"""

BOUNDS: Final = Bounds(size=MAX_BODY, depth=64, containers=20_000, strings=50_000, bare=512 * 1024)
"""Bounds of the JSON. A normal review has ten levels and some hundreds of lists, objects and strings.

Each of them takes more memory than it has bytes. Within these bounds a review takes at most 50 ms and 80 MB, and one of
64 KiB at most a millisecond and 4 MB.
"""

_MAX_UID: Final = 128


class NotAReview(Exception):
    """A body is not an AdmissionReview of a namespaced object. The message says why and quotes nothing of the body."""


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """An AdmissionRequest. `json`: the request. `name`: the object's name for the log, `(new)` if it has none yet."""

    json: Mapping[str, Any]
    namespace: str
    name: str
    dry_run: bool


def request_in(body: bytes) -> AdmissionRequest:
    """The request in the body of a POST. Raises `NotAReview`."""
    try:
        found = decoded(body, BOUNDS)
    except ValueError:
        raise NotAReview("no JSON, or with too many parts") from None
    if not isinstance(found, dict) or (found.get("apiVersion"), found.get("kind")) != (API_VERSION, KIND):
        raise NotAReview(f"no {KIND} of {API_VERSION}")
    request = found.get("request")
    if not isinstance(request, dict) or not _is_uid(request.get("uid")):
        raise NotAReview(f"an {KIND} without a request that has a uid")
    namespace, name = request.get("namespace"), request.get("name")
    if not isinstance(namespace, str) or not is_namespace(namespace):
        raise NotAReview("a request that names no namespace")
    shown = name if isinstance(name, str) and is_object_name(name) else "(new)"
    return AdmissionRequest(request, namespace, shown, request.get("dryRun") is True)


def _is_uid(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_UID and value.isascii() and value.isprintable()
