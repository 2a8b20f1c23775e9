"""A PostgreSQL server that a measurement may crash: a cluster of its own in a temporary folder, over loopback alone."""

import glob
import os
import pwd
import random
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from .servers import RowFailed

ROLE = "drive"
CONTROL = "control"  # the application_name of our own sessions


class Refused(Exception):
    """The server refused or broke a session; the text is its message."""


class Session:
    """A connection over the Unix socket, where nobody is asked for a password, with the protocol's simple queries alone."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        try:
            self.socket.connect(path)
            self.buffer = self.socket.makefile("rb")
            fields = ("user", ROLE, "database", "postgres", "application_name", CONTROL)
            body = struct.pack("!I", 3 << 16) + b"".join(field.encode() + b"\0" for field in fields) + b"\0"
            self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
            self._answer()
        except OSError as error:
            self.socket.close()
            raise Refused(str(error)) from error
        except Refused:
            self.close()
            raise

    def query(self, statement):
        """The rows, as texts."""
        body = statement.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self._answer()

    def number(self, statement):
        """The only value, as a number; None where it is null."""
        value = self.query(statement)[0][0]
        return None if value is None else float(value)

    def close(self):
        self.buffer.close()
        self.socket.close()

    def _answer(self):
        rows = []
        while True:
            head = self.buffer.read(5)
            if len(head) < 5:
                raise Refused("the connection ended")
            kind, body = head[:1], self.buffer.read(struct.unpack("!I", head[1:])[0] - 4)
            if kind == b"E":
                raise Refused(body.replace(b"\0", b" ").decode(errors="replace").strip())
            if kind == b"D":
                rows.append(self._row(body))
            if kind == b"Z":
                return rows

    @staticmethod
    def _row(body):
        values, position = [], 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            (length,) = struct.unpack("!i", body[position:position + 4])
            position += 4
            values.append(None if length < 0 else body[position:position + length].decode())
            position += max(0, length)
        return values


class Cluster:
    """Runs while the `with` block does. PostgreSQL refuses to run as root: then the system's user `postgres` owns it."""

    def __init__(self, root, connections=60):
        self.connections = connections
        self.programs = self._programs()
        # A socket's path is limited to 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="drive-pg-", dir=root if len(root) <= 60 else None)
        self.owner = ["setpriv", "--pdeathsig", "INT"]
        self.process, self.port, self.password = None, None, secrets.token_hex(24)

    @property
    def url(self):
        return f"postgresql://{ROLE}:{self.password}@127.0.0.1:{self.port}/postgres"

    def session(self):
        return Session(os.path.join(self.folder, f".s.PGSQL.{self.port}"))

    def __enter__(self):
        try:
            self._make()
            for _ in range(5):
                # Below the kernel's range for outgoing connections.
                self.port = random.randrange(20000, 32000)
                if self._start():
                    return self
            raise RowFailed(f"PostgreSQL did not start: {self._log()}")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self._end((signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, 5))
        shutil.rmtree(self.folder, ignore_errors=True)

    def crash_and_start(self):
        """What `pg_ctl restart -m immediate` does, but that the server stays a child of ours."""
        self._end((signal.SIGQUIT, 20), (signal.SIGKILL, 5))
        if not self._start():
            raise RowFailed(f"PostgreSQL did not start again: {self._log()}")

    @staticmethod
    def _programs():
        def version(path):
            return [int(number) for number in re.findall(r"\d+", path)]

        found = shutil.which("postgres")
        folders = [os.path.dirname(os.path.realpath(found))] if found else []
        for folder in folders + sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version, reverse=True):
            if all(os.access(os.path.join(folder, name), os.X_OK) for name in ("initdb", "postgres")):
                return folder
        raise RowFailed("initdb and postgres were found neither in PATH nor in /usr/lib/postgresql/*/bin")

    def _make(self):
        secret = os.path.join(self.folder, "pw")
        with open(secret, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(self.password + "\n")
        if os.getuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError as error:
                raise RowFailed("called as root, but there is no system user 'postgres' to run the server as") from error
            for path in (self.folder, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
            self.owner += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
        made = subprocess.run(
            [*self.owner, os.path.join(self.programs, "initdb"), "-D", os.path.join(self.folder, "data"), "-U", ROLE, "--pwfile", secret,
             "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"],
            cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)
        os.unlink(secret)
        if made.returncode != 0:
            raise RowFailed(f"initdb: {made.stderr[-500:].strip()}")

    def _start(self):
        """False where it ended at once, as where the port is taken."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [*self.owner, os.path.join(self.programs, "postgres"), "-D", os.path.join(self.folder, "data"), "-k", self.folder,
                 "-h", "127.0.0.1", "-p", str(self.port), "-c", "fsync=on", "-c", f"max_connections={self.connections}",
                 "-c", "shared_buffers=32MB"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if self._is_ready():
                return True
            time.sleep(0.01)
        self._end((signal.SIGINT, 5), (signal.SIGKILL, 5))
        return False

    def _is_ready(self):
        """The server writes its state into the eighth line of its pid file."""
        try:
            with open(os.path.join(self.folder, "data", "postmaster.pid")) as file:
                lines = file.read().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def _end(self, *signals):
        for number, seconds in signals:
            if self.process is None or self.process.poll() is not None:
                break
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue

    def _log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as file:
            return file.read()[-500:].strip()
