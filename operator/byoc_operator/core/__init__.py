"""Everything that decides: values in, values out.

No I/O, no clock (`now` is an argument), no logging, no kopf, kubernetes or livekit here; a test holds it.
"""
