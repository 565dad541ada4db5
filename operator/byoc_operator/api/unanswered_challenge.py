"""The rule that depends on the installation's presets: no digest challenge for a carrier that cannot answer it.

The CRD has the same rule for the built-in presets.
"""

from .carriers import Catalogue
from .conditions import Reason, Verdict
from .schema import Authentication, PhoneNumberSpec


def unanswered_challenge(spec: PhoneNumberSpec, carriers: Catalogue) -> Verdict | None:
    """The verdict if calls in would be challenged and the carrier cannot answer, else None."""
    preset = carriers.preset_for(spec.carrier, spec.termination_uri)
    if spec.inbound.authentication is not Authentication.DIGEST or preset.answers_challenge:
        return None
    message = (
        f"spec.inbound.authentication: must be None with {preset.carrier}, which cannot answer a digest challenge "
        "(the operator's file of carriers says so); restrict inbound.allowedAddresses instead, or set carrier: Generic"
    )
    return Verdict(Reason.INVALID_SPEC, message)
