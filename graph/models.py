"""Fetches the weights that a profile needs, and checks that they are whole.

    make models PROFILE=cpu
    make models PROFILE=cpu VERIFY=1                        # reads every byte again
    make models PROFILE=cpu MODELS_FROM=s3://bucket/models  # from a copy of MODELS_DIR

What was begun and interrupted is gone on with by the same command. Nothing is fetched before it is
known that all of it fits on the disk.
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from deployments.errors import ConfigError
from deployments.fetch.model import Plan, fetch, planned, remove_damaged
from deployments.fetch.progress import Progress, amount
from deployments.fetch.source import FetchError
from deployments.weights import ModelNeed, models_dir
from graph.needs import profile_needs
from graph.preflight import ROOT, LaunchOptions, profile_config

KEPT_FREE_BYTES = 1_000_000_000
"""What a disk must still have when all is fetched: a full one stops everything else on it, as it
did the first published system (Source: issue 5)."""


def main() -> int:
    """The command behind ``make models``."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        needs = profile_needs(profile_config(_launch_options(arguments.profile)))
        if not needs:
            print(f"The profile {arguments.profile} needs no models.")
            return 0
        with _alone():
            bring(needs, mirror=arguments.source, is_verified=arguments.verify)
    except ConfigError as error:
        return _failed(f"error: {error}", 2)
    except FetchError as error:
        return _failed(f"error: {error}", 1)
    except KeyboardInterrupt:
        return _failed("Stopped; the same command goes on from here.", 130)
    print(f"The models of the profile {arguments.profile} are in {models_dir()}.")
    return 0


def bring(needs: Sequence[ModelNeed], *, mirror: str = "", is_verified: bool = False) -> None:
    """All files of all ``needs`` are in ``models_dir()`` afterwards.

    Args:
        needs: of a profile.
        mirror: see ``deployments.fetch.model.planned``.
        is_verified: what is there already is read again and compared with its checksums.

    Raises:
        FetchError: the first thing that cannot be done.
    """
    for need in needs if is_verified else ():
        print(f"Reading {need.name} ...", flush=True)
        for path in remove_damaged(need):
            print(f"{path} is damaged: removed, it is fetched again", flush=True)
    plans = [plan for need in needs if (plan := planned(need, mirror)) is not None]
    check_room(plans)
    n_bytes = sum(plan.n_bytes for plan in plans)
    progress = Progress(n_bytes)
    for plan in plans:
        _say(plan, mirror)
        try:
            fetch(plan, progress)
        finally:
            progress.end_line()
    if n_bytes:
        progress.finish()


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def check_room(plans: Sequence[Plan], free: Callable[[Path], int] = _free_bytes) -> None:
    """One line: what is needed, what is free, and where.

    Args:
        plans: of all models.
        free: bytes on the disk of a folder.

    Raises:
        FetchError: too little is free.
    """
    if not (n_needed := sum(plan.n_bytes for plan in plans)):
        return
    folder = models_dir()
    n_free = free(folder)
    text = f"{amount(n_needed)} to fetch, {amount(n_free)} free in {folder}"
    if n_free < n_needed + KEPT_FREE_BYTES:
        kept = amount(KEPT_FREE_BYTES)
        raise FetchError(
            f"{text}, of which {kept} must stay free: free some, or name another MODELS_DIR"
        )
    print(text, flush=True)


def _say(plan: Plan, mirror: str) -> None:
    """What comes, from where, and on whose terms."""
    licence = f" (licence: {plan.need.licence})" if plan.need.licence else ""
    origin = f"{mirror.rstrip('/')}/{plan.need.name}" if mirror else plan.need.source
    print(f"{plan.need.name} from {origin}{licence}", flush=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two that write the same half file would spoil it.

    Raises:
        FetchError: another process is at it, or the folder cannot be written.
    """
    folder = models_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise FetchError(f"MODELS_DIR={folder}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchError(f"another `make models` is at work in {folder}") from None
        yield


def _failed(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return code


def _launch_options(profile: str) -> LaunchOptions:
    """Only the profile matters here; the rest is as the launcher's defaults."""
    return LaunchOptions(profile, "127.0.0.1", 8000, 8265, ROOT / "var" / "data")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make models",
        description="Fetch the weights that a profile needs into MODELS_DIR. Also environment "
        "variables: PROFILE, MODELS_DIR, MODELS_FROM, VERIFY, and the hub's HF_ENDPOINT, HF_TOKEN.",
    )
    parser.add_argument("--profile", default=os.environ.get("PROFILE") or "embedded")
    parser.add_argument(
        "--source",
        default=os.environ.get("MODELS_FROM") or "",
        help="URL of a copy of MODELS_DIR, of any kind that fsspec opens",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        default=bool(os.environ.get("VERIFY")),
        help="read every byte of what is there, and fetch anew what is damaged",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
