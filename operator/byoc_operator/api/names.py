"""Our names in the cluster: API group and kind, finalizer, label and annotations. Each name is spelled here only."""

from typing import Final

GROUP: Final = "byoc.talkifai.dev"
VERSION: Final = "v1alpha1"
PLURAL: Final = "byocphonenumbers"
KIND: Final = "ByocPhoneNumber"

FINALIZER: Final = f"{GROUP}/finalizer"
"""On a `ByocPhoneNumber`: its deletion waits for the operator."""

WATCH_LABEL: Final = f"{GROUP}/sip-credentials"
"""With the value `true` on a Secret: its changes reach the operator at once."""

REFRESH: Final = f"{GROUP}/refresh"
RECREATE: Final = f"{GROUP}/recreate"
ADOPT: Final = f"{GROUP}/adopt"
PAUSED: Final = f"{GROUP}/paused"
FORCE_ORPHAN: Final = f"{GROUP}/force-orphan"

ANNOTATIONS: Final = (REFRESH, RECREATE, ADOPT, PAUSED, FORCE_ORPHAN)
"""All annotations of a `ByocPhoneNumber` that the operator reads. The operator writes none of them."""

ALLOWED_NUMBERS: Final = f"{GROUP}/allowed-numbers"
ALLOWED_AGENTS: Final = f"{GROUP}/allowed-agents"
ALLOWED_HOSTS: Final = f"{GROUP}/allowed-hosts"
"""Annotations of a Namespace. The policy in deploy/components/namespace-policy reads them, the operator does not."""

RELEASE: Final = f"{GROUP}/release"
"""Annotation on the Lease, written by administrators: comma list of the LiveKit IDs that the leader is to delete."""

RETAINED_IDS: Final = f"{GROUP}/left-alone"
"""Annotation on the Lease, written by the leader: comma list of the LiveKit IDs that stay on purpose."""
