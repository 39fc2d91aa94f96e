"""A real PostgreSQL on loopback, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg

# Debian keeps them out of the path
BINARIES = [Path("/usr/lib/postgresql"), Path("/usr/local/bin"), Path("/usr/bin")]
PASSWORD = "pr1vate-w0rd"
# the database for which no password is asked
TRUSTED = "trusted"


def program(name):
    """The newest program of that name; PostgreSQL is a package of the system (`make system`)."""
    if there := shutil.which(name):
        return there
    found = sorted(BINARIES[0].glob(f"*/bin/{name}"), key=lambda file: float(file.parts[-3]))
    if not found:
        raise FileNotFoundError(f"{name}: install PostgreSQL (make system)")
    return str(found[-1])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Postgres:
    """A server with one database for each name that is asked for. It refuses to run as root, so it is another's."""

    def __init__(self, durable=False, connections=100):
        self.folder = Path(tempfile.mkdtemp(prefix="lossreg-postgres-"))
        self.port = free_port()
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(self.folder, "postgres")
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        auth = ("--auth=scram-sha-256", f"--pwfile={secret}", "--username=tester", "--encoding=UTF8", "--no-sync")
        self._run("initdb", "-D", self.data, *auth)
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host {TRUSTED} all 127.0.0.1/32 trust\n{rules.read_text()}")
        quick = [] if durable else ["-c fsync=off", "-c full_page_writes=off"]
        self._options = " ".join([f"-p {self.port} -N {connections}", f"-k {self.folder}", "-h 127.0.0.1", *quick])
        self.start()

    @property
    def data(self):
        return str(self.folder / "data")

    @property
    def pid(self):
        """The number of the process from which all others of the server are forked."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def _run(self, name, *args):
        done = subprocess.run(
            [*self._as, program(name), *args], capture_output=True, text=True, cwd=self.folder, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr or done.stdout}")

    def start(self):
        log = str(self.folder / "log")
        subprocess.run(
            [*self._as, program("pg_ctl"), "-D", self.data, "-l", log, "-o", self._options, "-w", "start"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, check=True,
        )  # fmt: skip

    def stop(self, mode="immediate"):
        """End the server as a crash does, or `fast`, which ends its connections in order."""
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, name):
        """Create a database, and return its address with the password."""
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._address(name).replace("postgresql://", "postgresql+psycopg://")

    def _address(self, name):
        return f"postgresql://tester:{PASSWORD}@127.0.0.1:{self.port}/{name}"
