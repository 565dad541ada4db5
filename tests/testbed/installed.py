"""The operator on a bed as `deploy/base` installs it: CRD, namespace, service account, RBAC, and the process."""

from collections.abc import Mapping
from pathlib import Path

from testbed.bed import Bed
from testbed.operator_process import OperatorProcess

_BASE = Path(__file__).parents[2] / "deploy" / "base"
_SYSTEM_NAMESPACE = "byoc-system"
_SERVICE_ACCOUNT = "byoc-operator"


def start_operator(bed: Bed, settings: Mapping[str, str], *more: Path) -> OperatorProcess:
    """Apply `deploy/base`, start the operator as its service account and wait until it is ready. Raises NotReady.

    `more`: manifests that are applied too, with further rights say.
    """
    bed.kubectl("apply", "-k", str(_BASE))
    for each in more:
        bed.kubectl("apply", "-f", str(each))
    bed.wait_for_crd()
    kubeconfig = bed.service_account_kubeconfig(_SYSTEM_NAMESPACE, _SERVICE_ACCOUNT)
    operator = OperatorProcess.on(bed, kubeconfig, settings=settings)
    try:
        operator.wait_ready()
    except BaseException:
        operator.stop()
        raise
    return operator
