"""LISTs of the fake API server: order, label selector, pages, and continue tokens that are too old."""

import base64
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

Json = dict[str, Any]


class Refuse(Exception):
    """The fake refuses a request with an HTTP code, a message and a reason.

    `resume`: the continue token that comes with a refusal because a token is too old.
    """

    def __init__(self, status: int, words: str = "", reason: str = "", *, resume: str = "") -> None:
        super().__init__(status, words)
        self.status = status
        self.said: Json = {"message": words, "reason": reason, "metadata": {"continue": resume}}


def page(stored: Sequence[Json], query: Mapping[str, str], version: int, oldest: int) -> Json:
    """The objects of a LIST. `version`: the newest resourceVersion; `oldest`: the oldest that can still be read.

    A page holds what is stored now; the real API server's pages are all of one version. Raises `Refuse`.
    """
    limit, after = int(query.get("limit") or 0), ""
    if token := query.get("continue", ""):
        place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        after = place["start"]
        if place["rv"] < oldest:
            told = "The provided continue parameter is too old to display a consistent list result."
            raise Refuse(HTTPStatus.GONE, told, "Expired", resume=_token(after, version))
        version = place["rv"]
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    found = sorted((each for each in stored if selected(each, labels) and _has_fields(each, fields)), key=_place)
    rest = [each for each in found if _place(each) >= after]
    shown = rest[:limit] if limit else rest
    metadata: Json = {"resourceVersion": str(version)}
    if len(shown) < len(rest):
        metadata["continue"] = _token(_place(shown[-1]) + "\0", version)
    return {"items": shown, "metadata": metadata}


def selected(stored: Json, selector: str) -> bool:
    """Whether an object has each label `key=value` of a comma list; an empty selector is met by all."""
    labels = stored["metadata"].get("labels") or {}
    wanted = [each.partition("=") for each in selector.split(",") if each]
    return all(labels.get(key) == value for key, _, value in wanted)


def _has_fields(stored: Json, selector: str) -> bool:
    """Whether an object has each field `path=value` of a comma list."""
    return all(
        _at(stored, path.split(".")) == value for path, _, value in (e.partition("=") for e in selector.split(",") if e)
    )


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _place(stored: Json) -> str:
    """Where an object stands in a list; a token names the first place that is not yet shown."""
    return f"{stored['metadata']['namespace']}/{stored['metadata']['name']}"


def _token(start: str, version: int) -> str:
    place = {"v": "meta.k8s.io/v1", "rv": version, "start": start}
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
