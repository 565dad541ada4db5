"""`kubectl byoc` on a cluster in memory with an operator, and on a LiveKit whose lists a test gives."""

import copy
from dataclasses import replace
from typing import Any, TypeVar

from click.testing import CliRunner, Result
from pydantic import SecretStr

from byoc_operator.cli.kubectl_byoc import kubectl_byoc
from byoc_operator.cli.outside import Outside
from byoc_operator.cluster.connection import Access
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.core.fields import without_withheld
from byoc_operator.core.trunk import DispatchRule, Mask, Masked, SipObject
from byoc_operator.errors import Failure
from byoc_operator.livekit_sip.fake import FakeLiveKit
from kubectl import Cluster
from operated import NAMESPACE, PASSWORD, SYSTEM

SETTINGS = {"LIVEKIT_URL": "wss://livekit.example.com", "BYOC_INSTALLATION_ID": "cluster-a", "BYOC_ADOPTION": "Allow"}
_Object = TypeVar("_Object", bound=SipObject)
LABELS = {"app.kubernetes.io/name": "byoc-operator"}


def known(text: str) -> Masked:
    """A credential of LiveKit, by its text."""
    return Masked("", SecretStr(text))


class Site(Cluster):
    """`objects`: what LiveKit lists; credentials are made with `known`. `fault`: what LiveKit answers instead."""

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self.objects: list[SipObject] = []
        self.fault: Failure | None = None
        self.lists_passwords = True
        self.environ = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret-of-livekit"}
        container = {"name": "operator", "image": "byoc", "envFrom": [{"configMapRef": {"name": "settings"}}]}
        self.stored("deployments", "operator", {"spec": {"template": {"spec": {"containers": [container]}}}})
        self.stored("configmaps", "settings", {"data": {**SETTINGS, **settings}})

    def stored(self, plural: str = "", name: str = "", raw: dict[str, Any] | None = None) -> Any:
        """Without arguments the sealing keys, as in every cluster; else store an object of the operator's namespace."""
        if not plural:
            return super().stored()
        metadata = {"namespace": SYSTEM, "name": name, "labels": LABELS}
        return self.api._create(plural, {"metadata": metadata, **(raw or {})})

    def ask(self, *args: str, stdin: str = "") -> Result:
        """Run a command that may read LiveKit."""

        async def connect(access: Access) -> tuple[FakeApi, str]:  # noqa: ARG001 - as it is
            return self.api, NAMESPACE

        outside = Outside(connect, lambda: self.now, environ=self.environ, livekit=lambda _, mask: Lists(self, mask))
        before = copy.deepcopy(self.api._objects)
        result = CliRunner().invoke(kubectl_byoc, args, input=stdin, obj=outside)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert not any(text in result.output for text in (PASSWORD, "secret-of-livekit"))
        assert self.api._objects == before, "nothing is written to the cluster"
        return result

    def listed(self, each: SipObject, mask: Mask) -> SipObject:
        of_rules = ("recording_access_key", "recording_secret")
        changes: dict[str, Any] = {
            name: mask.bare(value.text.get_secret_value())
            for name in (of_rules if isinstance(each, DispatchRule) else ("username", "password"))
            if isinstance(value := getattr(each, name), Masked) and value.text is not None
        }
        found = replace(each, **changes)
        return found if self.lists_passwords else without_withheld(found)


class Lists(FakeLiveKit):
    """What a `Site` lists."""

    def __init__(self, site: Site, mask: Mask) -> None:
        super().__init__(site.fault)
        self._site = site
        self._mask = mask
        self.unreadable = 0

    async def list_all(self, of: type[_Object]) -> list[_Object]:
        """The objects of one kind."""
        if self._site.fault is not None:
            raise self._site.fault
        found = (self._site.listed(each, self._mask) for each in self._site.objects)
        return [each for each in found if isinstance(each, of)]

    async def aclose(self) -> None:
        """Nothing is open."""
