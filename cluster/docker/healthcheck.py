"""Ends with status 0 when this container's server can answer a turn: what Docker asks."""

import os
import ssl
import sys
from collections.abc import Mapping
from urllib.request import urlopen

_TIMEOUT_S = 4.0  # below the image's HEALTHCHECK --timeout


def is_healthy(environment: Mapping[str, str]) -> bool:
    """Whether ``/health`` says so; ``environment`` holds the launcher's settings."""
    scheme = "https" if environment.get("TLS_CERT") else "http"
    url = f"{scheme}://127.0.0.1:{environment.get('PORT') or 8000}/health"
    context = ssl.create_default_context()
    context.check_hostname = False  # it asks itself, under another name than the certificate's
    context.verify_mode = ssl.CERT_NONE
    try:
        with urlopen(url, timeout=_TIMEOUT_S, context=context):
            return True
    except OSError as error:  # refused, timed out, or a status of 400 and above
        print(f"{url}: {error}", file=sys.stderr)
        return False


if __name__ == "__main__":
    sys.exit(0 if is_healthy(os.environ) else 1)
