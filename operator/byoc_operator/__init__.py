"""The BYOC operator: keeps LiveKit's SIP objects in step with `ByocPhoneNumber` objects.

The docstring of each package says what the package is and what others use of it. Its line `Imports:` names the other
parts that it imports; a test compares that line with the imports. `wiring` connects the parts.
"""
