"""What the outside sees of the process: metrics, health, logs. May import connections, core and errors."""
