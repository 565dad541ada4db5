"""The BYOC operator: keeps LiveKit's SIP objects in step with `ByocPhoneNumber` objects.

Each package is a room. Its docstring says what the room is, what others use of it, and on the line `Imports:` which
other parts of this package it imports; a test compares that line with the imports. `__main__` wires the rooms.
"""
