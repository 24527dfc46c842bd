"""PyInstaller runs this file where a program imports asyncllm."""

# ruff: noqa: N999  # the name is PyInstaller's: hook-<package>.py
from PyInstaller.utils.hooks import (  # type: ignore[import-untyped]  # it is installed where programs are packed
    can_import_module,
    collect_data_files,
    collect_submodules,
)

_NOT_TAKEN = ("asyncllm.contrib", "asyncllm.testing", "asyncllm._testing", "asyncllm.cli", "asyncllm._pyinstaller")


def _is_usable(name: str) -> bool:
    """Whether a module belongs into every program. PyInstaller finds the others where a program imports them."""
    return not name.startswith(_NOT_TAKEN)


datas = collect_data_files("asyncllm")
hiddenimports = (
    *collect_submodules("asyncllm", filter=_is_usable),
    *("anyio._backends._asyncio", "certifi", "h11", "httpx", "yaml"),
    *(name for name in ("truststore", "psycopg", "orjson", "httpx2") if can_import_module(name)),
)
