"""The narrated tour: `python -m demo` on a test bed of its own.

`tour` holds the steps in their order, `stage` shows what they run and checks what they claim, `livekit_view` reads
LiveKit itself. Like the test bed, the tour knows the operator only as a process and a cluster.
"""
