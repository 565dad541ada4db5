"""Asks the API server whether a missing right is back, so that no number has to wait for its back-off.

Every authenticated user may ask this (`system:basic-user`); the operator needs no right for it.
"""

import logging
from typing import Any

from ..errors import OperatorError
from .answers import Asked
from .port import JsonApi
from .refusals import Refusals

log = logging.getLogger(__name__)

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RESOURCE = "selfsubjectaccessreviews"


class Regained:
    """Checks the rights that `refusals` has recorded as missing."""

    def __init__(self, api: JsonApi, refusals: Refusals) -> None:
        self._api = api
        self.refusals = refusals

    async def look(self) -> None:
        """Ask for each missing right. If the API server cannot be asked, the right stays recorded as missing."""
        for what in self.refusals.missing():
            try:
                if await self._has(what):
                    self.refusals.allowed(what)
            except OperatorError as exc:
                log.debug("it cannot be asked whether a right is back: %s", exc.message)

    async def _has(self, what: Asked) -> bool:
        resource, _, subresource = what.resource.partition("/")
        wanted = {**what._asdict(), "resource": resource, "subresource": subresource}
        attributes = {name: value for name, value in wanted.items() if value}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer: dict[str, Any] = await self._api.request("POST", _PATH, resource=_RESOURCE, body=review)
        status = answer.get("status")
        return isinstance(status, dict) and status.get("allowed") is True
