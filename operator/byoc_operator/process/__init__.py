"""What keeps the process alive, or ends it: watchdog, vital signs, the connections of its ports."""
