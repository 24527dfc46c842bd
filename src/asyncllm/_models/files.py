"""The data files of the catalog: JSON inside the package, dated, with their sources; read when somebody first asks.

All but ``families.json`` are compiled by ``nox -s prices`` (``tools/``) and never edited by hand. Reading one is
blocking and takes a few milliseconds: whoever minds does it in a thread.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def read_data(name: str) -> dict[str, Any]:
    """Returns the parsed content of a file in ``_models/data``. Numbers of money and of tokens are texts and integers
    there.

    Raises:
        FileNotFoundError: the package was installed without its data.
    """
    data: dict[str, Any] = json.loads((files(__package__) / "data" / name).read_bytes())
    return data
