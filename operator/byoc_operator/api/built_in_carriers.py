"""The presets that the operator brings along: `carriers.yaml` of this package.

They are read when this module is imported, against the rule for import time: the rules of the CRD are made of them, and
those are constants too.
"""

from importlib.resources import files
from typing import Final

from .carriers import Catalogue
from .carriers_file import extended

BUILT_IN: Final = extended(Catalogue(()), files(__package__).joinpath("carriers.yaml").read_text("utf-8"))
"""The built-in presets, in the order in which people see them."""

CREDENTIAL_HEADERS: Final = frozenset(
    preset.username_header.lower() for preset in BUILT_IN.presets if preset.username_header
)
"""Lower-case names of the headers whose value is a credential whatever it is.

In any other header, a value is a credential if it is the user name of the trunk.
"""
