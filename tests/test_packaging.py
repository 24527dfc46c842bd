"""What is built and installed: sdist and wheel with the right files, and a package that works without any extra.

`nox -s package` does the same with a package index and with each extra.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from asyncllm import __version__

pytest.importorskip("hatchling", reason="builds the distributions; in the extra `test`")
ROOT = Path(__file__).resolve().parent.parent
NAME = f"asyncllm_client-{__version__}"
LEFTOVERS = re.compile(r"(^|/)(__pycache__|\.\w+_cache|site|dist)/|\.(pyc|db|log|pem|key)$|(^|/)\.env")
DATA = (".json", ".lua", ".md", ".typed", ".html", ".css", ".js", ".LICENSE")


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs a program without this source tree on its path, and demands that it succeeds."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.endswith("_KEY")}
    environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist and the wheel of this source tree."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder)
    return folder


def of_wheel(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, bytes]:
    """The files of the wheel."""
    return of_wheel(built / f"{NAME}-py3-none-any.whl")


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the sdist unpacks to."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        if sys.version_info >= (3, 12):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    return folder / NAME


def test_the_wheel_has_every_file_of_the_package(wheel: dict[str, bytes]) -> None:
    """Code, ``py.typed``, tables, scripts, the dashboard's page and the skills are in it, and nothing is left out."""
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and (path.suffix in (".py", *DATA) or path.name == "py.typed")
    }
    assert expected == {name for name in wheel if not name.startswith(f"{NAME}.dist-info/")}
    assert {"asyncllm/py.typed", "asyncllm/.agents/skills/using-asyncllm/SKILL.md"} <= expected


def test_the_wheel_has_nothing_else(wheel: dict[str, bytes]) -> None:
    """No tests, caches, databases or keys are in it; beside the package there are its licence and its commands."""
    assert [] == [name for name in wheel if LEFTOVERS.search(name) or "/test_" in name]
    assert {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"} == {
        name.partition(".dist-info/")[2] for name in wheel if ".dist-info/" in name
    }


def test_the_sdist_has_what_a_packager_needs(unpacked: Path) -> None:
    """Source, tests, docs, examples and tools are in it, and no caches."""
    names = [path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()]
    assert [] == [name for name in names if LEFTOVERS.search(name)]
    wanted = {"PKG-INFO", "LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "hatch_build.py", "noxfile.py"}
    wanted |= {"tests/test_packaging.py", "docs/index.md", "docs/llms.txt", "examples/send.py", ".ci/run"}
    assert set() == wanted - set(names)


def test_the_wheel_of_the_sdist_is_the_wheel(wheel: dict[str, bytes], unpacked: Path, tmp_path: Path) -> None:
    """What is built from the sdist is byte for byte what is built from the repository."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=unpacked)
    assert wheel == of_wheel(tmp_path / f"{NAME}-py3-none-any.whl")


def test_an_index_accepts_both(built: Path) -> None:
    """``twine check --strict`` has nothing to say of the metadata and the long description."""
    pytest.importorskip("twine", reason="checks the distributions; in the extra `test`")
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(built.iterdir()))


def test_the_metadata_is_complete(wheel: dict[str, bytes]) -> None:
    """Name, version, licence, Pythons, addresses and every extra are told to the index."""
    metadata = wheel[f"{NAME}.dist-info/METADATA"].decode()
    for line in (
        "Name: asyncllm-client",
        f"Version: {__version__}",
        "License-Expression: Apache-2.0",
        "Requires-Python: >=3.10",
        "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown",
        "Project-URL: Homepage, https://",
        "Project-URL: Changelog, https://",
    ):
        assert f"\n{line}" in metadata
    extras = set(re.findall(r"^Provides-Extra: (\S+)$", metadata, re.MULTILINE))
    assert {"aiohttp", "asgi", "cli", "httpx2", "mcp", "otel", "parquet", "postgres", "ray", "redis"} <= extras


def required(name: str, seen: set[str]) -> Iterator[str]:
    """The distributions that one requires without extras, itself included, as they are installed here."""
    packaging = pytest.importorskip("packaging.requirements")
    if name in seen:
        return
    seen.add(name)
    yield name
    for text in distribution(name).requires or ():
        wanted = packaging.Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield from required(wanted.name.lower(), seen)


@pytest.fixture(scope="module")
def alone(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and what it requires, linked from here: no index is needed."""
    if os.name != "posix":
        pytest.skip("links files")
    metadata = of_wheel(built / f"{NAME}-py3-none-any.whl")[f"{NAME}.dist-info/METADATA"].decode()
    folder = tmp_path_factory.mktemp("alone")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    names: set[str] = set()
    for text in re.findall(r"^Requires-Dist: ([\w-]+)(?![^\n]*extra ==)", metadata, re.MULTILINE):
        try:
            list(required(text.lower(), names))
        except PackageNotFoundError as error:
            pytest.skip(f"a dependency is not installed as a distribution here: {error}")
    for name in names:
        for file in distribution(name).files or ():
            target = packages / file
            if ".." not in file.parts and file.suffix != ".pyc" and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(Path(str(file.locate())))
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index",
        built / f"{NAME}-py3-none-any.whl",
    )  # fmt: skip
    return python


def test_what_it_requires_is_enough(alone: Path) -> None:
    """An environment with the wheel and its dependencies alone lacks nothing."""
    assert "No broken requirements found." in run(sys.executable, "-m", "pip", "--python", alone, "check").stdout


@pytest.mark.slow
def test_the_first_programs_run_on_the_wheel_alone(alone: Path) -> None:
    """The README's and the tutorial's first programs run as they stand, without extras and without a key."""
    done = run(alone, ROOT / "tools" / "try_installation.py", "--quick")
    assert f"asyncllm-client {__version__}" in done.stdout
    assert 2 == done.stdout.count("\nran ")


CONTRIB = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(f"asyncllm.contrib.{name}")
    except ImportError as error:
        print(error)
"""


def test_a_module_whose_extra_is_not_installed_names_it(alone: Path) -> None:
    """Importing what needs an extra says which command installs it."""
    told = run(alone, "-c", CONTRIB, "asgi", "mcp", "opentelemetry").stdout.splitlines()
    installs = [f"python -m pip install 'asyncllm-client[{extra}]'" for extra in ("asgi", "mcp", "otel")]
    assert installs == [line.partition(": ")[2] for line in told]
