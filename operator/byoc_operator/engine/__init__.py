"""The engine around the decision: intake, cache, queue, workers, the one reconcile function, the sweep, the leader.

Use `engine.Engine`; the other modules are its parts. The engine knows nothing of kopf.

Imports: cluster, sealing, telemetry, core, api, errors.
"""
