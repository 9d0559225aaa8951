"""Engines that serve for a long time stay as large as they are."""

import json
import subprocess
import sys

from tests.tiny_models.made import ROOT

_MOST_GROWTH = 4_000_000  # bytes: ten stretches that were kept would be more


def test_ten_thousand_stretches_of_two_engines_leave_nothing_behind() -> None:
    command = [sys.executable, "-m", "tests.ditto.long_service"]
    served = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    sizes = json.loads(served.stdout)
    assert len(sizes) == 50
    assert max(sizes[25:]) - max(sizes[5:25]) < _MOST_GROWTH
