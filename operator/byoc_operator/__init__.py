"""The BYOC operator: keeps LiveKit's SIP objects in step with `ByocPhoneNumber` objects.

Import direction, held by a test: `handlers → engine → livekit_sip, cluster → core → errors`.
"""
