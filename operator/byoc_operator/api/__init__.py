"""The contract with users: the spec and its rules, the CRD, annotations, conditions and reasons, carriers.

Every other package may import all of it. Pure: no I/O, no clock, no logging (`test_architecture` checks the imports).

Imports: nothing.
"""
