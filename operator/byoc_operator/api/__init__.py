"""The contract with users: the spec and its rules, the CRD, annotations, conditions and reasons, carriers.

Every other package may use all of it. Pure: no I/O, no clock, no logging; a test reads the imports.

Imports: nothing.
"""
