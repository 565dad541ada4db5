"""`python -m byoc_operator.generate`: see `command`."""

from .command import main

if __name__ == "__main__":
    main(prog_name="python -m byoc_operator.generate")
