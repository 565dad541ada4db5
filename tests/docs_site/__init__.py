"""The documentation site: `make docs`. `pages` arranges what is in the repository, Zensical makes the site of it."""
