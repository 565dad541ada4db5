"""What the API server says of our own rights."""

from ..api.names import GROUP, PLURAL
from .port import JsonApi

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def may_let_go_everywhere(api: JsonApi) -> bool:
    """Whether we may change numbers in every namespace, by rights that no namespace takes along when it is deleted.

    Everybody who is authenticated may ask. Raises `ApiRefused` and `Unavailable`.
    """
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"group": GROUP, "resource": PLURAL, "verb": "patch"}},
    }
    answer = await api.request("POST", _PATH, resource="selfsubjectaccessreviews", body=review)
    return bool((answer.get("status") or {}).get("allowed"))
