"""Asks the API server whether a right that was missing is back, so that nobody has to run into it once more.

Everybody who is logged in may ask that (`system:basic-user`): it takes no right of our own.
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
    """What `refusals` knows to be missing, looked at again."""

    def __init__(self, api: JsonApi, refusals: Refusals) -> None:
        self._api = api
        self.refusals = refusals

    async def look(self) -> None:
        """Ask for each right that is missing; where that cannot be asked, only the next try will tell."""
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
