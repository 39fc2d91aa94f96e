"""MLflow's own server in a thread, on loopback, which can be made to fail in one way or another, and cured again."""

from __future__ import annotations

import contextlib
import os
import threading

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head><body>Please log in</body></html>"
ARTIFACTS = "/mlflow-artifacts/"


class Quiet(WSGIRequestHandler):
    """Writes no log."""

    def log(self, *args):
        pass


class AilingServer:
    """MLflow's server over one SQLite file; only one in a process, since MLflow keeps its store.

    `ail` has it fail: `401`, `403`, `500`, `html` (200, with a page), `hanging` (takes requests, answers none until it
    is cured), `artifacts` (403 for files only), `down` (nothing listens); `cure` ends that. `asked` counts requests.
    """

    def __init__(self, folder):
        os.environ |= {
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/server.db",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"{folder}/files",
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        }
        from mlflow import MlflowClient
        from mlflow.server import app

        self.store = f"sqlite:///{folder}/server.db"
        self._app, self._ailment, self._cured, self.asked = app, "", threading.Event(), 0
        self._listen(0)
        self.port = self._server.server_port
        self.uri = f"http://127.0.0.1:{self.port}"
        MlflowClient(self.uri).search_experiments()  # makes the tables, which takes seconds

    def _listen(self, port):
        self._server = make_server("127.0.0.1", port, self._answer, threaded=True, request_handler=Quiet)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _answer(self, environ, start_response):
        self.asked += 1
        return self._doctor(environ)(environ, start_response)

    def _doctor(self, environ):
        ailment, path = self._ailment, environ["PATH_INFO"]
        if ailment == "hanging":
            self._cured.wait()
            return Response(b"", 503)
        if ailment == "html":
            return Response(PAGE, 200, content_type="text/html")
        if ailment.isdigit() and path != "/health":
            return Response(b"refused", int(ailment))
        if ailment == "artifacts" and ARTIFACTS in path:
            return Response(b"refused", 403)
        return self._app

    def ail(self, kind):
        """Fail in this way from now on."""
        self._cured.clear()
        self._ailment = kind
        if kind == "down":
            self.close()

    def cure(self):
        """Work again."""
        was, self._ailment = self._ailment, ""
        self._cured.set()
        if was == "down":
            self._listen(self.port)

    def close(self):
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def ailing(folder):
    """Have a server for a while; it tells MLflow and the environment where its store is, which is undone."""
    import mlflow

    environment, server = os.environ.copy(), AilingServer(folder)
    try:
        yield server
    finally:
        server.cure()
        server.close()
        mlflow.set_tracking_uri(None)
        os.environ.clear()
        os.environ |= environment
