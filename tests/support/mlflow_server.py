"""Waiting for a real MLflow server."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.request


def wait_for(address, process):
    """Until the server answers; it needs about 20 s."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        else:
            return
    raise TimeoutError(address)
