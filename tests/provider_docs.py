"""What the docs lack of the declared hosts."""

from __future__ import annotations

from pathlib import Path

from asyncllm._config.kinds import COMMON_KEYS
from asyncllm._providers.spec import every_host

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"


def missing_from_docs() -> list[str]:
    """A sentence for each host, key and variable that docs/configuration.md does not have."""
    lines = PAGE.read_text(encoding="utf8").splitlines()
    missing = []
    for kind, spec in every_host().items():
        rows = " ".join(line for line in lines if line.startswith(f"| `{kind}` |"))
        if not rows:
            missing.append(f"docs/configuration.md has no row for `{kind}`")
            continue
        names = {name for name in spec.keys if name not in COMMON_KEYS or name == "base_url"}
        names |= {variable for key in spec.keys.values() for variable in key.variables}
        missing += [f"the row of `{kind}` lacks `{name}`" for name in sorted(names) if f"`{name}`" not in rows]
    return missing
