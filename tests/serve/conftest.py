"""Serve's own deprecations are not ours to fix: it is imported before they count as errors."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ray.serve  # noqa: F401
