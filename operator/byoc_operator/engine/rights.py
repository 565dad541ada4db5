"""Reports the loss of the right to remove finalizers, when a namespace with numbers is deleted.

A namespaced install has its rights by a RoleBinding in each namespace. Kubernetes deletes the RoleBinding with its
namespace, perhaps before the operator has removed the finalizers of the numbers; only a ClusterRoleBinding stays. The
operator therefore warns at the start, and reports when it happens.
"""

import logging

from ..cluster.access import may_let_go_everywhere
from ..cluster.events import Announce
from ..cluster.port import JsonApi
from ..errors import OperatorError

log = logging.getLogger(__name__)


class Rights:
    """Reports lost rights by namespace. `namespaces`: the watched ones; if empty, the install is not namespaced."""

    def __init__(
        self, namespaces: tuple[str, ...] = (), api: JsonApi | None = None, announce: Announce | None = None
    ) -> None:
        self._namespaces = namespaces
        self._api = api
        self._announce = announce
        self._missing: set[str] = set()

    async def look(self) -> None:
        """At the start: warn that rights go with their namespace, unless the operator has them in the whole cluster."""
        if not self._namespaces or self._api is None:
            return
        try:
            lasting = await may_let_go_everywhere(self._api)
        except OperatorError as exc:
            log.debug("our own rights cannot be asked for: %s", exc.message)
            lasting = False
        if not lasting:
            log.warning(
                "a namespace that is deleted takes the operator's rights in it along, and may hang: delete its numbers "
                "first (docs/outlives.md)"
            )

    def refused(self, namespace: str, message: str) -> None:
        """Report, once per namespace, that the operator has no right to remove a finalizer."""
        if not self._namespaces or namespace in self._missing:
            return
        self._missing.add(namespace)
        note = (
            f"The operator has no right any more to let numbers of namespace {namespace} go. If the namespace is being "
            "deleted, it took the RoleBinding along, and hangs until an administrator binds the rights for the time "
            f"(docs/outlives.md, When a namespace goes). The API server: {message}"
        )
        log.error(note)
        if self._announce is not None:
            self._announce("RightsGone", note)

    def used(self, namespace: str) -> None:
        """Note that the operator removed a finalizer, so it has the right in this namespace."""
        if namespace in self._missing:
            self._missing.discard(namespace)
            log.info("the operator has the right again to let numbers of namespace %s go", namespace)
