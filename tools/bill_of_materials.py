"""Prints a bill of materials (CycloneDX 1.6, JSON) of the distributions that asyncllm-client needs in this environment.

Run it where the package is installed: ``python tools/bill_of_materials.py > sbom.json``. Nothing is fetched.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from datetime import datetime, timezone
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

ROOT = "asyncllm-client"


def needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """The distribution and all that it requires, without extras, by normalised name."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return found
    try:
        found[key] = one = distribution(name)
    except PackageNotFoundError:
        return found
    for line in one.requires or ():
        requirement, _, marker = line.partition(";")
        if "extra" not in marker:
            needed(re.split(r"[ <>=!~\[(]", requirement.strip())[0], found)
    return found


def component(name: str, one: Distribution) -> dict[str, Any]:
    """One entry of the bill."""
    license_name = one.metadata.get("License-Expression") or one.metadata.get("License") or ""
    entry: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{one.version}",
        "name": name,
        "version": one.version,
        "purl": f"pkg:pypi/{name}@{one.version}",
    }
    if license_name and len(license_name) < 60:
        entry["licenses"] = [{"license": {"name": license_name}}]
    return entry


def bill() -> dict[str, Any]:
    """The whole bill."""
    found = needed(ROOT, {})
    if ROOT not in found:
        raise SystemExit(f"{ROOT} is not installed here; run: python -m pip install .")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "component": component(ROOT, found[ROOT]),
        },
        "components": [component(name, one) for name, one in sorted(found.items()) if name != ROOT],
    }


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, indent=1)
    print()
