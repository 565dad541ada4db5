"""Rights that live in what is being deleted: a namespaced install has them in the very namespaces of its numbers.

Kubernetes deletes a RoleBinding along with its namespace, perhaps before the numbers are let go. No right outlives the
namespace but one that holds everywhere: so it is told before, and when it happens.
"""

import logging
from collections.abc import Awaitable, Callable

from ..cluster.access import may_let_go_everywhere
from ..cluster.port import JsonApi
from ..errors import OperatorError

log = logging.getLogger(__name__)

Say = Callable[[str, str], Awaitable[None]]
"""Posts an Event on the installation: reason, note."""


class Rights:
    """Tells of rights in single namespaces. `namespaces`: the watched ones; without any there is nothing to tell."""

    def __init__(self, namespaces: tuple[str, ...] = (), api: JsonApi | None = None, say: Say | None = None) -> None:
        self._namespaces = namespaces
        self._api = api
        self._say = say
        self._missing: set[str] = set()

    async def look(self) -> None:
        """Once at the start: say that a namespace may take our rights along, unless we have them everywhere."""
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

    async def refused(self, namespace: str, message: str) -> None:
        """A finalizer could not be taken off a deleted number, as we have no right to; told once a namespace."""
        if not self._namespaces or namespace in self._missing:
            return
        self._missing.add(namespace)
        note = (
            f"The operator has no right any more to let numbers of namespace {namespace} go. If the namespace is being "
            "deleted, it took the RoleBinding along, and hangs until an administrator binds the rights for the time "
            f"(docs/outlives.md, When a namespace goes). The API server: {message}"
        )
        log.error(note)
        if self._say is not None:
            await self._say("RightsGone", note)

    def used(self, namespace: str) -> None:
        """We have the right, again or still."""
        if namespace in self._missing:
            self._missing.discard(namespace)
            log.info("the operator has the right again to let numbers of namespace %s go", namespace)
