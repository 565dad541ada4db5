"""What the outside sees of the process: metrics, health, logs. Imports nothing of ours but core and errors."""
