#!/usr/bin/env python3
"""A worker for Custom tasks of a Drive server, in the standard library of Python 3 alone.

    export DRIVE_SERVER=http://127.0.0.1:8080 DRIVE_TOKEN=...
    python3 worker.py word-count

It leases one task at a time of the kinds named on the command line, tells the server that it is alive while the
work goes on, reports progress with a checkpoint, and completes, fails or gives back the task. A server that is
down or restarts is waited for. Ctrl-C or SIGTERM gives the current task back, which costs it no attempt.

To make it yours, write a function like `word_count` and add it to HANDLERS.
"""

import argparse
import http.client
import json
import os
import platform
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

LEASE_LOST = "LEASE_LOST"


class Refused(Exception):
    """The server said no, and asking again changes nothing."""

    def __init__(self, status, code, message):
        super().__init__(f"{code}: {message}")
        self.status, self.code = status, code


class Unreachable(Exception):
    """No answer, or one that asks to come again, for longer than the caller wanted to wait."""


class LeaseLost(Exception):
    """The task is somebody else's, or has ended: stop without a word."""


class Interrupted(Exception):
    """Paused by its owner, or this worker stops: give the task back at this step."""


class JobFailed(Exception):
    """What a handler raises to fail its task."""

    def __init__(self, code, message, retryable=False):
        super().__init__(message)
        self.code, self.retryable = code, retryable


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another address."""

    def redirect_request(self, *_):
        return None


class Server:
    """The lease interface of one Drive server."""

    def __init__(self, address, token):
        self.base = address.rstrip("/") + "/api/tasks/work/"
        self.token = token
        self.opener = urllib.request.build_opener(NoRedirect)

    def call(self, route, body, patience=None, timeout=30, given_up=lambda: False):
        """Sends a request until it is answered: for `patience` seconds, or for ever where that is None.

        Returns the reply, None for 204. Raises Refused, and Unreachable where patience ended or `given_up()`.
        """
        deadline = None if patience is None else time.monotonic() + patience
        failures = 0
        while True:
            try:
                return self.once(route, body, timeout)
            except urllib.error.HTTPError as error:
                reply, wait = read_error(error)
                if error.code not in (408, 425, 429, 500, 502, 503, 504, 507):
                    raise Refused(error.code, reply.get("code", f"HTTP_{error.code}"), reply.get("message", "")) from None
                reason = reply.get("code", f"HTTP {error.code}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason, wait = str(getattr(error, "reason", error)) or type(error).__name__, 0
            # Exponential, with full jitter, so that many workers do not come back at the same moment.
            failures += 1
            wait += random.uniform(0, min(30, 0.5 * 2 ** min(failures, 6)))
            if deadline is not None:
                wait = min(wait, deadline - time.monotonic())
            if given_up() or wait < 0:
                raise Unreachable(reason)
            if failures in (1, 10) or failures % 100 == 0:
                log(f"{route}: {reason}; trying again")
            time.sleep(wait)

    def once(self, route, body, timeout):
        request = urllib.request.Request(
            self.base + route, json.dumps(body).encode(), method="POST",
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        with self.opener.open(request, timeout=timeout) as reply:
            content = reply.read()
            return json.loads(content) if content else None


def read_error(error):
    """The server's error reply, and how many seconds it wishes to be left alone."""
    try:
        reply = json.loads(error.read())
    except (OSError, http.client.HTTPException, ValueError):
        reply = {}
    wait = error.headers.get("Retry-After") or ""
    return reply if isinstance(reply, dict) else {}, int(wait) if wait.isdigit() else 0


class Job:
    """One leased task, as its handler sees it."""

    def __init__(self, server, lease, stopping):
        self.server = server
        self.lease_id = lease["leaseId"]
        self.task_id = lease["task"]["taskId"]
        self.kind = lease["task"].get("kind")
        self.parameters = lease["task"].get("parameters") or {}
        #: What the attempt before this one kept; None at the first.
        self.checkpoint = lease.get("checkpoint")
        self.expires = lease["expiresInSeconds"]
        self.stopping = stopping
        self.paused = threading.Event()
        self.lost = threading.Event()
        self.ended = threading.Event()
        self.latest = None
        self.told_at = 0.0
        self.heart = threading.Thread(target=self.beat, args=(lease["heartbeatSeconds"],), daemon=True)
        self.heart.start()

    def beat(self, every):
        """Keeps the lease, on a thread of its own. Without an answer until it has run out, it counts as lost."""
        while not self.ended.wait(every):
            try:
                reply = self.server.call(
                    "heartbeat", {"leaseId": self.lease_id}, patience=self.expires - every, timeout=every,
                    given_up=self.ended.is_set)
                self.heed(reply)
            except (Refused, Unreachable) as error:
                if not self.ended.is_set():
                    log(f"{self.task_id}: the lease is lost ({error})")
                self.lost.set()
                return

    def heed(self, reply):
        if reply and reply.get("requested") == "pause":
            self.paused.set()

    def check(self):
        """Raises where the work is to stop. Call it before each step that costs or changes something."""
        if self.lost.is_set():
            raise LeaseLost
        if self.paused.is_set() or self.stopping.is_set():
            raise Interrupted

    def report(self, progress, message=None, checkpoint=None):
        """Says how far the work is (0 to 100) and from where the next attempt could go on; then as `check`.

        Call it as often as you like: the server hears of it once a second.
        """
        self.latest = {"progress": progress, "statusMessage": message, "checkpoint": checkpoint}
        if time.monotonic() - self.told_at >= 1:
            self.tell()
        self.check()

    def tell(self):
        """Sends the latest report."""
        if self.latest is None:
            return
        report = {name: value for name, value in self.latest.items() if value is not None}
        self.latest, self.told_at = None, time.monotonic()
        self.heed(self.send("progress", report))

    def send(self, route, body):
        """A request about this lease, for as long as the lease may hold."""
        try:
            return self.server.call(route, {"leaseId": self.lease_id, **body}, patience=self.expires, given_up=self.lost.is_set)
        except Unreachable:
            raise LeaseLost from None
        except Refused as error:
            if error.code == LEASE_LOST:
                raise LeaseLost from None
            raise

    def end(self):
        self.ended.set()


def run(job):
    """Runs the handler and tells the server how it ended."""
    try:
        try:
            results = HANDLERS[job.kind](job)
            job.send("complete", {"results": results})
            log(f"{job.task_id}: completed")
        except Interrupted:
            job.tell()
            job.send("release", {})
            log(f"{job.task_id}: given back")
        except JobFailed as error:
            fail(job, error.code, str(error), error.retryable)
        except (LeaseLost, Refused):
            raise
        except Exception as error:  # Whatever it is, the task's owner shall read it.
            fail(job, "WORKER_ERROR", f"{type(error).__name__}: {error}", True)
    except LeaseLost:
        log(f"{job.task_id}: the lease is lost; the work stops here")
    except Refused as error:
        log(f"{job.task_id}: {error}")
    finally:
        job.end()


def fail(job, code, message, retryable):
    log(f"{job.task_id}: failed: {message}")
    job.send("fail", {"errorCode": code, "errorMessage": message[:1000], "retryable": retryable})


class Worker:
    def __init__(self, server, kinds, name, wait):
        self.server, self.kinds, self.name, self.wait = server, kinds, name, wait
        self.stopping = threading.Event()
        self.is_idle = True

    def stop(self, *_):
        self.stopping.set()
        if self.is_idle:
            raise SystemExit(0)

    def work(self):
        request = {"kinds": self.kinds, "worker": self.name, "waitSeconds": self.wait}
        while not self.stopping.is_set():
            # The server holds the request until there is a task, so nothing is asked in vain.
            self.is_idle = True
            lease = self.server.call("lease", request, timeout=self.wait + 15)
            self.is_idle = False
            if lease:
                job = Job(self.server, lease, self.stopping)
                log(f"{job.task_id}: {job.kind}, attempt {lease['task'].get('attempt', 1)}")
                run(job)


def word_count(job):
    """Counts the words of the parameter `text`, line by line, and returns the `top` most frequent ones.

    `delay` seconds per line make it slow enough to watch, to pause and to kill.
    """
    text, top, delay = job.parameters.get("text"), job.parameters.get("top", 10), job.parameters.get("delay", 0)
    if not isinstance(text, str) or not isinstance(top, int) or not isinstance(delay, (int, float)) or delay < 0:
        raise JobFailed("INVALID_PARAMETERS", "word-count takes text (a string), top (a whole number), delay (seconds)")
    lines = text.splitlines()
    kept = job.checkpoint or {"line": 0, "counts": {}}
    counts = dict(kept["counts"])
    for index in range(kept["line"], len(lines)):
        for word in lines[index].lower().split():
            counts[word] = counts.get(word, 0) + 1
        time.sleep(delay)
        job.report(
            100 * (index + 1) / len(lines), f"line {index + 1} of {len(lines)}", {"line": index + 1, "counts": dict(counts)})
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "words": sum(counts.values()), "different": len(counts), "top": [{"word": word, "count": n} for word, n in ranked[:top]],
    }


#: A function for each kind. It gets the Job and returns the results, a dictionary that JSON can hold.
HANDLERS = {"word-count": word_count}


def log(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description="Works on Custom tasks of a Drive server (DRIVE_SERVER, DRIVE_TOKEN).")
    parser.add_argument("kinds", nargs="+", choices=sorted(HANDLERS), metavar="KIND", help=", ".join(sorted(HANDLERS)))
    parser.add_argument("--name", default=f"{platform.node()}:{os.getpid()}", help="this worker's name, for people")
    parser.add_argument("--wait", type=int, default=20, choices=range(31), metavar="SECONDS",
                        help="how long the server may hold a request without a task (0 to 30; 20)")
    arguments = parser.parse_args()
    token = os.environ.get("DRIVE_TOKEN")
    if not token:
        parser.error("set DRIVE_TOKEN; drive token create --account NAME --worker-kind KIND makes a token for workers")
    address = os.environ.get("DRIVE_SERVER") or "http://127.0.0.1:8080"
    if not address.startswith(("http://", "https://")):
        parser.error(f"DRIVE_SERVER is {address}; it should be like https://drive.example")
    server = Server(address, token)
    worker = Worker(server, arguments.kinds, arguments.name, arguments.wait)
    signal.signal(signal.SIGINT, worker.stop)
    signal.signal(signal.SIGTERM, worker.stop)
    log(f"waiting for {', '.join(arguments.kinds)}")
    try:
        worker.work()
    except Refused as error:
        sys.exit(f"The server refused: {error}")


if __name__ == "__main__":
    main()
