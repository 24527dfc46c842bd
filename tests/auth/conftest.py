"""No test of credentials sees the credentials, the proxies or the home of whoever runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOREIGN = ("AWS_", "GOOGLE_", "GCE_", "GCLOUD_", "CLOUDSDK_", "SSL_CERT_")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home in an environment without credentials, clouds and proxies; the folder of the shared AWS files."""
    for name in tuple(os.environ):
        if name.startswith(_FOREIGN) or name.lower().endswith("_proxy") or name in ("APPDATA", "NO_GCE_CHECK"):
            monkeypatch.delenv(name)
    folder = tmp_path / ".aws"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return tmp_path
