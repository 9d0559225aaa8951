"""Whether there is room for what a profile writes while it runs."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from pydantic import Field

from deployments.config import Settings
from deployments.errors import ConfigError

_SIZES = Path(__file__).resolve().parent.parent / "cluster" / "docker" / "sizes.yaml"
_MB = 1_000_000


class DiskSizes(Settings):
    """What one profile takes, in MB of 1,000,000 bytes; ``cluster/docker/sizes.yaml`` explains."""

    base: int = Field(ge=0)
    packages: int = Field(ge=0)
    models: int = Field(ge=0)
    logs: int = Field(gt=0)
    video: int = Field(ge=0)


def disk_sizes(profile: str) -> DiskSizes:
    """The profile's row of the table, or the one for all others."""
    table = yaml.safe_load(_SIZES.read_text())
    return DiskSizes.model_validate(table.get(profile, table["other"]))


def _free_mb(folder: Path) -> int:
    return shutil.disk_usage(folder).free // _MB


def check_disk(profile: str, data_dir: Path, free_mb: Callable[[Path], int] = _free_mb) -> None:
    """Room for an hour's videos in ``data_dir`` and for Ray's files in the temporary folder.

    Raises:
        ConfigError: one of the two folders, which both exist, lies on a disk with too little.
    """
    sizes = disk_sizes(profile)
    needs = {data_dir: sizes.video, Path(tempfile.gettempdir()): sizes.logs}
    for folder, needed in _by_disk(needs).items():
        if (free := free_mb(folder)) < needed:
            raise ConfigError(
                f"only {free} MB are free where {folder} is; profile {profile} needs {needed} "
                "for its logs and an hour of videos: free some, or name another DATA_DIR or TMPDIR"
            )


def _by_disk(needs: Mapping[Path, int]) -> dict[Path, int]:
    """The needs of folders on one disk added up, under the first of them."""
    firsts: dict[int, Path] = {}
    sums: dict[Path, int] = {}
    for folder, needed in needs.items():
        first = firsts.setdefault(folder.stat().st_dev, folder)
        sums[first] = sums.get(first, 0) + needed
    return sums
