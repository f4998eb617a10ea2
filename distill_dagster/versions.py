"""Which libraries made a result: what stands beside every number and every model.

{"python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.3.0"}
"""

import sys
from importlib.metadata import version


def library_versions() -> dict[str, str]:
    """The versions on which a result depends, without importing what they are of."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in ("torch", "transformers")}}
