"""Commands: what people and `make` run. May import everything; nothing imports it."""
