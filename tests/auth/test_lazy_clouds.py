"""Who does not use a cloud does not load its library."""

from __future__ import annotations

import subprocess
import sys

import pytest

REPORT = "print([name for name in ('botocore', 'google.auth', 'requests', 'urllib3') if name in sys.modules])"


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry",
    [
        "{}",
        "{'providers': {'openai': {'api_key': 'k'}}, 'active_provider': 'openai', 'active_model': 'm'}",
        "{'providers': {'vertex': {'project_id': 'p'}}, 'active_provider': 'vertex', 'active_model': 'm'}",
        "{'providers': {'bedrock': {'region_name': 'us-east-1'}}, 'active_provider': 'bedrock', 'active_model': 'm'}",
    ],
)
def test_the_libraries_of_clouds_are_loaded_when_they_are_needed(entry: str) -> None:
    """Importing the package, and making a client of any provider, load neither botocore nor google-auth."""
    code = f"import sys, asyncllm\nif {entry}: asyncllm.Client({entry}, environ={{}})\n{REPORT}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ("", "[]\n") == (done.stderr, done.stdout)
