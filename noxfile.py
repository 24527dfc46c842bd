"""What a maintainer runs: `nox` for the quick set, `nox -l` for the list."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
MIGRATIONS = runpy.run_path("tools/run_migration.py")["PEERS"]
PYTHONS = nox.project.python_versions(PYPROJECT)  # from the classifiers, so that both lists are one

nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests, on every Python that is installed."""
    session.install(".[cli,test]")
    session.run("pytest", *session.posargs)


@nox.session
def tests_httpx2(session: nox.Session) -> None:
    """The same tests on the maintained continuation of httpx."""
    session.install(".[cli,httpx2,test]")
    session.run("pytest", *session.posargs, env={"ASYNCLLM_TEST_LIBRARY": "httpx2"})


OLDEST_TESTS = (
    "tests/transport",
    "tests/config",
    "tests/test_wire_json.py",
    "tests/test_start.py",
    "tests/auth/test_botocore_internals.py",
    "tests/client/test_send.py",
    "tests/client/test_stream.py",
)


@nox.session
def oldest(session: nox.Session) -> None:
    """What depends on libraries, on the oldest versions of them that pyproject.toml allows."""
    # Not the whole extra `test`: mcp, whose servers it brings, needs newer versions.
    tools = ("pytest", "pytest-asyncio", "pytest-rerunfailures", "trio", "hypothesis", "trustme", "respx", "tzdata")
    session.install(".[cli,httpx2]", *tools, "-c", "tests/oldest.txt")
    session.run("pytest", *(session.posargs or OLDEST_TESTS))


@nox.session
def types(session: nox.Session) -> None:
    """Types, in strict mode."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def lint(session: nox.Session) -> None:
    """Rules and format."""
    session.install(".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """The site of the documentation, in site/; every link in it; every code block and example, run as a test."""
    session.install(".[cli,docs,test]")
    session.run("python", "tools/build_site.py")
    session.run("pytest", "tests/test_site.py", "tests/test_docs.py", "tests/test_examples.py", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Lines and branches, on both HTTP libraries; fails below the bound in pyproject.toml."""
    session.install("-e", ".[dev]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-p", "-m", "pytest", *session.posargs)
    session.run("coverage", "run", "-p", "-m", "pytest", *session.posargs, env={"ASYNCLLM_TEST_LIBRARY": "httpx2"})
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def scoreboard(session: nox.Session) -> None:
    """The figures of reliability at their full size: failures, outages, cancels, timeouts; some minutes."""
    session.install(".[cli,httpx2,test]")
    session.run("pytest", "tests/scoreboard", *session.posargs, env={"ASYNCLLM_FULL": "1"})


EXTRAS = sorted(set(PYPROJECT["project"]["optional-dependencies"]) - {"dev", "docs", "lint", "test"})


@nox.session
def package(session: nox.Session) -> None:
    """Sdist and wheel: checked, then installed from an index without extras and with each, and tried."""
    session.install("build", "twine", "uv")
    built = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", built, "--installer", "uv")
    files = [str(path) for path in sorted(Path(built).glob("asyncllm_client-*"))]
    session.run("twine", "check", "--strict", *files)
    wheel = next(name for name in files if name.endswith(".whl"))
    folder = str(Path(built) / "fresh")
    python = str(Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    for extra in session.posargs or ("", *EXTRAS):
        session.run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, folder)
        session.run("uv", "pip", "install", "--quiet", "--python", python, f"{wheel}[{extra}]" if extra else wheel)
        session.run("uv", "pip", "check", "--python", python)
        session.run(python, "tools/try_installation.py", *([extra] if extra else []), external=True)


@nox.session
def field(session: nox.Session) -> None:
    """Engines and servers of others: DBOS, Ray, Daft, Dask, llama.cpp with a real model, aimock (Node.js), llmock."""
    session.install(".[cli,dbos,parquet,postgres,ray,redis,test]", "daft", "dask[distributed]", "xllamacpp", "llmock")
    session.run("pytest", "tests/field", "-m", "field", "-p", "no:llmock", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """CPU time of calls and chunks beside raw httpx, the vendors' SDKs, LiteLLM and pydantic-ai."""
    environments = str(session.cache_dir / "peers")
    session.run("python", "benchmarks/peers.py", "--environments", environments, *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """200,000 calls and streams with 5% faults: memory and descriptors flat, the ledger equal to the server's count."""
    session.install(".")
    session.run("python", "benchmarks/soak.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """A million mutated inputs to every parser and decoder: documented errors only, none slow, memory flat."""
    session.install(".")
    session.run("python", "benchmarks/fuzz.py", *session.posargs)


@nox.session
def ai_sdk(session: nox.Session) -> None:
    """What `ui_messages` writes is read by the AI SDK itself, the npm package `ai`; needs Node and npm."""
    session.install("-e", ".[dev]")
    session.run("npm", "install", "--no-audit", "--no-fund", "--prefix", "tests/contrib/ai_sdk", external=True)
    session.run("python", "-m", "pytest", "tests/contrib/test_streaming.py", "-k", "ai_sdk")


@nox.session
def oracle(session: nox.Session) -> None:
    """The vendors' own SDKs as oracles: 200 generated requests a host, theirs and ours, compared as received."""
    session.install(".[test]", "openai", "anthropic", "google-genai", "boto3")
    session.run("pytest", "tests/oracle", *session.posargs, env={"ASYNCLLM_ORACLE_REQUESTS": "200"})
    session.run("pytest", "tests/testing/test_simulator_sdks.py")


@nox.session
@nox.parametrize("peer", list(MIGRATIONS))
def migration(session: nox.Session, peer: str) -> None:
    """Both programs of a page in docs/migration, with the library that it comes from."""
    session.install(".", *MIGRATIONS[peer])
    session.run("python", "tools/run_migration.py", peer)


@nox.session
def prices(session: nox.Session) -> None:
    """Compiles the prices and capabilities in _models/data anew, from the newest public data."""
    session.install("-e", ".", "genai-prices")
    session.run("python", "tools/compile_prices.py")
    wheels = session.create_tmp()
    session.run("python", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, "litellm")
    session.run("python", "tools/compile_facts.py", wheels)


@nox.session
def lock(session: nox.Session) -> None:
    """Pins what CI installs, with hashes, for every Python: pip install --require-hashes -r .ci/locked.txt."""
    session.install("uv")
    options = ("--universal", "--python-version", "3.10", "--generate-hashes", "--no-emit-index-url", "--no-annotate")
    session.run(
        "uv", "pip", "compile", "pyproject.toml", "--extra", "dev", "--no-header", *options, "-o", ".ci/locked.txt"
    )


@nox.session
def locked(session: nox.Session) -> None:
    """The tests on exactly the versions of .ci/locked.txt; a file that is another one than was pinned is refused."""
    session.install("--require-hashes", "-r", ".ci/locked.txt")
    session.install("--no-deps", ".")
    session.run("pytest", *session.posargs)
