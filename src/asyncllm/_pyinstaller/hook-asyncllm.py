"""PyInstaller runs this file where a program imports asyncllm."""

# ruff: noqa: N999  # the name is PyInstaller's: hook-<package>.py
from PyInstaller.utils.hooks import (  # type: ignore[import-untyped]  # it is installed where programs are packed
    can_import_module,
    collect_data_files,
    collect_submodules,
)


def _is_usable(name: str) -> bool:
    """Whether a module belongs into a program: not the parts whose extra is not installed."""
    return not name.startswith(("asyncllm.contrib", "asyncllm._pyinstaller"))


datas = collect_data_files("asyncllm")
hiddenimports = (
    *collect_submodules("asyncllm", filter=_is_usable),
    *("anyio._backends._asyncio", "certifi", "h11", "httpx", "yaml"),
    *(name for name in ("truststore", "psycopg", "orjson", "httpx2") if can_import_module(name)),
)
