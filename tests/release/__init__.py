"""What a release is made of, step by step: `python -m release STEP`. The Makefile has a target for each step."""
