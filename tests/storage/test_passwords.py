"""A server that a study file names gets no password that it should not see; what it refuses is said with what works."""

import socket
import struct
import threading
from contextlib import contextmanager

import pytest
from postgres import PASSWORD, TRUSTED

from lossreg.errors import InputError, LossregError
from lossreg.storage import server

SECRET = "m1ne-al0ne"


@contextmanager
def asking_for_the_password():
    """A PostgreSQL that asks for the password in clear text, and hangs up; the address, and what it was sent."""
    sent = bytearray()

    def serve(listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                while (length := len(request := client.recv(1000))) == 8:
                    # whether to encrypt
                    client.sendall(b"N")
                if length:
                    client.sendall(b"R" + struct.pack("!ii", 8, 3))
                    sent.extend(request + client.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"postgresql+psycopg://me@127.0.0.1:{listener.getsockname()[1]}/db", sent
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_server_that_asks_for_the_password_itself_does_not_get_it(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.delenv("PGREQUIREAUTH", raising=False)
    refused = r"storage\.url: .*cleartext.*\?require_auth=md5; .*PGREQUIREAUTH=password"
    with asking_for_the_password() as (url, sent), pytest.raises(InputError, match=refused):
        server.connect(url)
    assert sent
    assert SECRET.encode() not in sent
    # somebody whose server works like this
    monkeypatch.setenv("PGREQUIREAUTH", "password")
    with asking_for_the_password() as (url, sent), pytest.raises(LossregError, match="does not answer"):
        server.connect(url)
    assert SECRET.encode() in sent


def test_a_server_that_asks_for_no_password_is_used(postgres):
    url = postgres.database(TRUSTED).replace(f":{PASSWORD}", "")
    assert server.connect(url).get_all_studies() == []
