"""Servers on loopback that fail in one way each, and tell in their answers whatever they were told."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def answering(talk):
    """A port whose connections are handed to `talk` one by one, and closed after it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(5)
                        talk(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def closes_at_once(connection):
    connection.recv(1)


def closes_half_way(connection):
    asked = connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + asked)


def talks_of_something_else(connection):
    connection.sendall(b"SSH-2.0-not a web server " + connection.recv(65536) + b"\r\n")


def refuses_the_password(connection):
    """PostgreSQL: no encryption, a password in clear, which is told back and refused."""
    if connection.recv(8).endswith(b"\x04\xd2\x16\x2f"):
        connection.sendall(b"N")
    connection.recv(65536)
    connection.sendall(b"R\x00\x00\x00\x08\x00\x00\x00\x03")
    password = connection.recv(65536)[5:].rstrip(b"\0")
    fields = b"SFATAL\0C28P01\0Mpassword authentication failed, it was " + password + b"\0\0"
    connection.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)


@contextlib.contextmanager
def web(status, location="", body=None):
    """A web server that is alive, and answers everything else with `status`, and `body` or all that it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            if self.path.endswith("/health"):
                self.send_response(200)
                self.end_headers()
                return
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sent = self.headers.get("Authorization", "").partition(" ")[2]
            told = f"{self.requestline} {self.headers} {base64.b64decode(sent + '==', validate=False)!r}".encode()
            answer = told if body is None else body
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
