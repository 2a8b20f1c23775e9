"""The contenders: the server itself, the floor program and nginx, each in a temporary folder of its own."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class RowFailed(Exception):
    """A row could not be measured; the text says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A contender that runs. `folder` is removed with it, unless the contenders keep theirs."""

    def __init__(self, process, port, folder, token="none"):
        self.process, self.port, self.folder, self.token = process, port, folder, token
        self.pid = process.pid

    def cpu(self):
        """User and system CPU seconds of all its threads, those that ended included."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        tick = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / tick, int(fields[12]) / tick

    def reset_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")

    def peak_mib(self):
        with open(f"/proc/{self.pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        raise RowFailed("no VmHWM in /proc")

    def resident_kib(self):
        with open(f"/proc/{self.pid}/status") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise RowFailed("no VmRSS in /proc")

    def io(self):
        """Bytes this process asked to read, and those fetched from the disk for it."""
        with open(f"/proc/{self.pid}/io") as file:
            values = dict(line.strip().split(": ") for line in file)
        return int(values["rchar"]), int(values["read_bytes"])

    def post(self, target, timeout=60):
        """A POST without a body: its status and its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("POST", target, headers={"Authorization": f"Bearer {self.token}", "Content-Length": "0"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def clean_environment(extra):
    """The environment without anything that configures a server."""
    ours = ("DRIVE_", "UPLOAD_", "DATABASE_URL", "REDIS_URL", "RING_URL", "LOG_LEVEL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | extra


def wait_until_ready(process, port, target, log, seconds=30):
    """Waits for `target` to answer 200, or for a connection where there is no target."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            if target is None:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            try:
                connection.request("GET", target)
                if connection.getresponse().status == 200:
                    return
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    with open(log, errors="replace") as file:
        raise RowFailed(f"did not start: {file.read()[-600:].strip() or 'no output'}")


NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off; client_max_body_size 0; client_body_buffer_size 256k; keepalive_requests 10000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
  uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  server {{
    listen 127.0.0.1:{port}; root {folder}/www; sendfile {sendfile};
    location / {{ dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""


class Contenders:
    """Starts contenders below one temporary folder."""

    def __init__(self, drive, tools, root, pretend=False):
        self.drive, self.tools, self.root, self.pretend = drive, tools, root, pretend
        # Folders of many small files stay until the end: ext4 without a journal does not use the inode of a deleted file
        # again for a minute, and looks for another one by one, which took a third of the next row's CPU.
        self.keeps_folders = False

    @contextlib.contextmanager
    def start(self, kind, additional=None):
        """One of: drive, drive-5ms, floor, floor-no-hash, nginx, nginx-sendfile; with additional environment."""
        folder = tempfile.mkdtemp(prefix=kind + "-", dir=self.root)
        process = None
        try:
            port, log = free_port(), os.path.join(folder, "log")
            command, environment, ready = self.command(kind, folder, port)
            environment = environment | (additional or {})
            with open(log, "wb") as output:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment(environment), cwd=folder
                )
            wait_until_ready(process, port, ready, log)
            running = Running(process, port, folder)
            if ready is not None:
                running.token = self.token(folder, additional=additional)
            yield running
            if process.poll() is not None:
                with open(log, errors="replace") as file:
                    raise RowFailed(f"ended by itself with {process.returncode}: {file.read()[-600:].strip()}")
        finally:
            if process is not None:
                stop(process)
            if not self.keeps_folders:
                shutil.rmtree(folder, ignore_errors=True)

    def command(self, kind, folder, port):
        """Arguments, additional environment, and the path that tells readiness."""
        if kind.startswith("nginx"):
            if shutil.which("nginx") is None:
                raise RowFailed("nginx is not installed")
            os.mkdir(os.path.join(folder, "www"))
            os.chmod(folder, 0o755)
            path = os.path.join(folder, "nginx.conf")
            with open(path, "w") as file:
                file.write(NGINX.format(folder=folder, port=port, sendfile="on" if kind == "nginx-sendfile" else "off"))
            return [shutil.which("nginx"), "-e", "stderr", "-p", folder, "-c", path], {}, None
        if kind.startswith("floor") or self.pretend:
            command = [os.path.join(self.tools, "floor"), "--port", str(port), "--folder", folder]
            return command + (["--no-hash"] if kind == "floor-no-hash" else []), {}, None
        faults = {"DRIVE_FAULTS": "fsync:delay=5ms"} if kind == "drive-5ms" else {}
        data = os.path.join(folder, "data")
        return [self.drive, "serve", "--data", data, "--host", "127.0.0.1", "--port", str(port)], faults, "/health/ready"

    def token(self, folder, account="bench", additional=None):
        made = subprocess.run(
            [self.drive, "token", "create", "--data", os.path.join(folder, "data"), "--account", account, "--create"],
            capture_output=True, text=True, timeout=60, env=clean_environment(additional or {}), check=False,
        )
        if made.returncode != 0 or not made.stdout.strip():
            raise RowFailed(f"token create: {made.stderr[-400:].strip()}")
        return made.stdout.strip()


def stop(process):
    """Ends a process we started: asked to, then made to."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
