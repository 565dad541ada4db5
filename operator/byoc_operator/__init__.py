"""The BYOC operator: keeps LiveKit's SIP objects in step with `ByocPhoneNumber` objects.

The docstring of each package in here says what the package is, what others use of it, and on the line `Imports:` which
other parts it imports; a test compares that line with the imports. `wiring` connects the parts.
"""
