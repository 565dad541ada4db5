"""The process: a watchdog that ends it when it hangs, its vital signs, its TCP ports and their connections.

Use `watchdog`, `vitals` and `connections`.

Imports: nothing.
"""
