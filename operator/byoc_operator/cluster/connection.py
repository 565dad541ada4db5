"""Which cluster a request goes to, as whom, and how long it may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached. None, "" and 0: what kubectl would take.

    `user`, `groups`: whom to act as (impersonation); `timeout_s`: the longest that a request may take.
    """

    kubeconfig: str | None = None
    context: str | None = None
    user: str = ""
    groups: tuple[str, ...] = ()
    timeout_s: float = 0.0


OURSELVES = Access()
"""As the process itself, with the usual timeouts."""


def acting_as(access: Access) -> list[tuple[str, str]]:
    """The headers of an impersonation; none if there is no user to act as.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
    """
    user = [("Impersonate-User", access.user)] if access.user else []
    return [*user, *(("Impersonate-Group", group) for group in access.groups)]
