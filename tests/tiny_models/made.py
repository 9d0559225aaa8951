"""Makes tiny models in processes of their own: torch's memory and warnings stay there."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = {"make_tiny_ditto": ("torch", "onnx", "onnxruntime")}  # to make it and to run it


def made(module: str, out: Path, *arguments: str) -> Path:
    """What ``python -m tests.tiny_models.<module> OUT ...`` wrote; skips without its packages."""
    for package in _PACKAGES.get(module, ("torch", "transformers")):
        if not find_spec(package):
            pytest.skip(f"{package} is not installed; `make test` installs it")
    child = subprocess.run(
        [sys.executable, "-m", f"tests.tiny_models.{module}", str(out), *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    return out
