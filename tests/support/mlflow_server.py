"""A real MLflow server on loopback, and waiting for one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.request

from postgres import free_port

from lossreg.tracking import ui


def wait_for(address, process, seconds=90):
    """Until the server answers; it needs about 20 s."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        else:
            return
    raise TimeoutError(address)


class MLflow:
    """MLflow's server over a SQLite file in a folder, in processes of its own, which are killed and started again."""

    def __init__(self, folder):
        self._folder, self._port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self):
        """Start it; it answers some seconds later."""
        settings = ui.environment(f"sqlite:///{self._folder}/mlflow.db")
        with (self._folder / "mlflow.log").open("ab") as log:
            self._process = subprocess.Popen(
                ui.command(self._port), cwd=self._folder, env=settings, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self):
        """Kill all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self):
        """Until it answers."""
        wait_for(self.uri, self._process)
