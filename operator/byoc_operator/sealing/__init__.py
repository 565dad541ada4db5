"""Sealed values, the Fernet keys that seal and open them, and the Secret that keeps the keys.

Imports: cluster, core, api, errors.
"""
