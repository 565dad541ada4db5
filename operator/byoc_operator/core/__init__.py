"""The decision: values in, values out. Imports `api` and nothing else of this package.

No I/O, no clock (`now` is an argument), no logging, no kopf, kubernetes or livekit here; a test holds it. Whoever wants
to know what would happen with a number makes a `Snapshot` of LiveKit's lists, a `Situation` of it and of what the
cluster holds (`situation_of`), and lets `assess` judge the situation. The engine does the same.
"""
