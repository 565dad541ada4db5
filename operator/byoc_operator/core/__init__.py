"""The decision: values in, values out. Imports `api` and nothing else of this package.

No I/O, no clock (`now` is an argument), no logging, no kopf, kubernetes or livekit here; a test holds it.
"""
