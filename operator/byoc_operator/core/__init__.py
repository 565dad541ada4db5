"""The decision: values in, values out. What a number should become, what LiveKit has, what to change.

Whoever wants to know what would happen with a number makes a `Snapshot` of LiveKit's lists, and a `Situation` of the
snapshot and of what the cluster holds (`situation_of`), and lets `assess` judge the situation. The engine does so too.

Every other package but `api` may use all of it. Pure: no I/O, no clock (`now` is an argument), no logging, no kopf,
kubernetes or livekit; a test reads the imports.

Imports: api, errors.
"""
