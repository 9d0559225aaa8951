"""Makes what the engines of a profile run on this machine's GPU: plans, and what they come from.

    make engines PROFILE=l4

Serving makes them too where they are missing, but then the first start takes that much longer. What
is there already stays; another card, library or precision gets its own.
"""

import argparse
import os
import signal
import sys
import time

from deployments.avatar.engine import BuildsPlans
from deployments.errors import AvatarError
from graph.needs import stage_engines
from graph.preflight import ROOT, LaunchOptions, profile_config


def main() -> int:
    """The command behind ``make engines``."""
    profile = _arguments().profile
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = LaunchOptions(profile, "127.0.0.1", 8000, 8265, ROOT / "var" / "data")
    began = time.monotonic()
    try:
        config = profile_config(options)
        builders = [
            (cls, settings)
            for cls, settings in stage_engines("avatar", config)
            if isinstance(cls, BuildsPlans)
        ]
        for cls, settings in builders:
            cls.build_plans(settings, lambda line: print(line, flush=True))
    except AvatarError as error:
        return _failed(f"error: {error}", 1)
    except KeyboardInterrupt:
        return _failed("Stopped; what was built stays, the same command builds the rest.", 130)
    seconds = time.monotonic() - began
    done = f"has all its engines ({seconds:.0f} s)" if builders else "needs no engines built"
    print(f"The profile {profile} {done}.")
    return 0


def _failed(text: str, code: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make engines",
        description="Build what a profile's engines run on this machine's GPU into ENGINES_DIR "
        "(var/engines). Also environment variables: PROFILE, MODELS_DIR, ENGINES_DIR.",
    )
    parser.add_argument("--profile", default=os.environ.get("PROFILE") or "embedded")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
