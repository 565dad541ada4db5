"""Sealed values and the Fernet keys that seal and open them."""
