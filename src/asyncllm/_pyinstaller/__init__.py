"""Tells PyInstaller what asyncllm needs: its data files, and the modules that are imported by name when first used."""

from __future__ import annotations

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """The folder with the hooks; PyInstaller finds this function by an entry point of the distribution."""
    return [str(Path(__file__).parent)]
