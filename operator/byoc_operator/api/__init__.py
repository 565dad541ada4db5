"""The contract with users: the spec and its rules, the CRD, annotations, conditions and reasons, carriers.

Pure like `core`: no I/O, no clock, no logging. Imports nothing else of this package.
"""
