"""The machine around the pure core: cache, queue, the one reconcile function, the sweep.

May import livekit_sip, cluster, telemetry, core and errors. Knows nothing of kopf.
"""
