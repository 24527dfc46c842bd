"""Reads the shared config file of AWS: the region and the endpoints, which are needed before a host is made.

botocore reads it as well, but is imported only to fetch credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from pathlib import Path
from typing import Any


def setting_of(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """Returns what the shared config file says under an entry's profile, such as its ``region``; None for nothing."""
    named = options.get("profile_name")
    profile = named or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    home = environ.get("HOME") or environ.get("USERPROFILE")
    told = environ.get("AWS_CONFIG_FILE") or (str(Path(home) / ".aws" / "config") if home else "")
    if not told:
        return None
    settings = ConfigParser(interpolation=None, strict=False, default_section="")
    try:
        settings.read(Path(told).expanduser(), "utf8")
    except (OSError, ValueError, RuntimeError, ConfigParserError):
        return None  # what is wrong with the file is told by the chain, if it needs it
    section = "default" if profile in (None, "default") else f"profile {profile}"
    return settings.get(section, name, fallback=None) or None
