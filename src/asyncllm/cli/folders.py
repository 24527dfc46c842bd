"""Where a user's own files lie: the configuration beside the project's, the last conversation, the log."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_config() -> Path:
    """The configuration that is read where the working folder has none: ``~/.config/asyncllm/config.yaml``."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "asyncllm" / "config.yaml"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "asyncllm" / "config.yaml"


def state_file(name: str) -> Path:
    """A file that commands remember something in: ``~/.local/state/asyncllm/<name>``."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "asyncllm" / name
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "asyncllm" / name


def write_private(path: Path, text: str, *, append: bool = False) -> None:
    """Writes a file that only its owner can read; folders are made as needed."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
