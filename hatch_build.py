"""The README as a package index shows it: no link in it leads nowhere.

In the repository the README links to files beside it. A package index shows it without these files, so at build time
such a link becomes an absolute one, under `Source` of `[project.urls]`. Without a `Source` only the name of the file is
left; the source distribution has the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

try:
    from hatchling.metadata.plugin.interface import MetadataHookInterface
except ImportError:  # the tests use the function below without hatchling
    MetadataHookInterface = object

_LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def for_package_index(readme: str, source: str, version: str) -> str:
    """The README with links that work anywhere.

    Args:
        readme: the text in the repository.
        source: the address of the repository, ``""`` if there is none.
        version: whose tag the links name.
    """
    target = f"[\\1]({source.rstrip('/')}/blob/v{version}/\\2)" if source else "`\\1`"
    return _LINK.sub(target, readme)


class CustomMetadataHook(MetadataHookInterface):  # type: ignore[misc]
    """Called by hatchling for each distribution that it builds."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets the long description."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf8")
        source = metadata.get("urls", {}).get("Source", "")
        version = (Path(self.root) / "src/asyncllm/_version.py").read_text(encoding="utf8").split('"')[-2]
        metadata["readme"] = {"content-type": "text/markdown", "text": for_package_index(text, source, version)}
