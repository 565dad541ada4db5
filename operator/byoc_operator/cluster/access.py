"""Asks the API server for the operator's own rights."""

from ..api.names import GROUP, PLURAL
from .port import JsonApi

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def may_let_go_everywhere(api: JsonApi) -> bool:
    """Whether the operator may change numbers in all namespaces, so that it keeps the right when a namespace goes.

    Every authenticated user may ask this. Raises `ApiRefused` and `Unavailable`.
    """
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"group": GROUP, "resource": PLURAL, "verb": "patch"}},
    }
    answer = await api.request("POST", _PATH, resource="selfsubjectaccessreviews", body=review)
    return bool((answer.get("status") or {}).get("allowed"))
