"""The live events: from a change's commit to the frame at the client, memory of a quiet connection, events per second, and
what a listening client adds to an upload. live_report.py has the section of the report."""

import contextlib
import copy
import os
import threading
import time

from . import machine
from .cluster import Cluster
from .listener import Listener
from .live_report import COUNTS, IDLE, LOADED, QUIET, section, verdicts
from .machine import GIB, MIB
from .rows import CHUNK
from .servers import RowFailed
from .tasks import Engines

__all__ = ["GROUPS", "section", "verdicts"]

PER_ACCOUNT = 20  # connections; the server takes 100
ACCOUNTS = COUNTS[-1] // PER_ACCOUNT
RATE, SECONDS = 50, 3  # events per second, over all accounts
UPLOADS, UPLOAD_SIZE = 50, 10 * MIB  # at once, of each of two generators
BATCHES, BATCH = 20, 1000  # tasks


class Site:
    """A server that runs, with the tokens of its accounts. The server's own token is of one that nobody listens to."""

    def __init__(self, bench, server, accounts, additional=None):
        self.bench, self.server = bench, server
        self.tokens = [bench.contenders.token(server.folder, f"live-{number}", additional) for number in range(accounts)]

    def listen(self, connections, accounts):
        return Listener(self.bench.meter.load_path, self.server, self.tokens[:accounts], connections)

    def acting(self, account):
        """The server as the load generator is to see it: with that account's token."""
        server = copy.copy(self.server)
        server.token = self.tokens[account]
        return server

    @contextlib.contextmanager
    def uploads(self):
        """Two generators send files without a break."""
        over, errors = threading.Event(), []

        def upload():
            try:
                while not over.is_set():
                    self.bench.meter.load(self.server, "many", size=UPLOAD_SIZE, chunk=CHUNK, count=UPLOADS)
            except (RowFailed, OSError, ValueError) as error:
                errors.append(str(error))

        threads = [threading.Thread(target=upload) for _ in range(2)]
        started = []
        try:
            for thread in threads:
                thread.start()
                started.append(thread)
                time.sleep(0.4)  # so that one sends while the other completes
            yield
        finally:
            over.set()
            for thread in started:
                thread.join()
        if errors:
            raise RowFailed(f"the uploads beside the events: {errors[0]}")


def latency(bench, engine, site, connections):
    """Idle, then under the load of uploads, on the same connections."""
    with site.listen(connections, -(-connections // PER_ACCOUNT)) as listener:
        for state in (IDLE, LOADED):
            bench.meter.check_time()
            time.sleep(0.5)
            with site.uploads() if state == LOADED else contextlib.nullcontext():
                busy, begin = machine.busy_seconds(), time.monotonic()
                answer = listener.ask(f"pace {RATE} {1 if bench.options.quick else SECONDS}")
                busy = (machine.busy_seconds() - busy) / (time.monotonic() - begin)
            add(bench, (engine, connections, state), answer | {"busy": busy / (os.cpu_count() or 1)})


def memory(bench, site):
    """Quiet, signed-in connections, on a server that has seen few before."""
    few, many = QUIET
    with site.listen(ACCOUNTS, ACCOUNTS):
        pass
    time.sleep(1)
    before = site.server.resident_kib()
    with contextlib.ExitStack() as stack:
        for count, more in ((few, few), (many, many - few)):
            stack.enter_context(site.listen(more, ACCOUNTS))
            time.sleep(1)
            add(bench, ("memory", count), {"kib": (site.server.resident_kib() - before) / count})


def progress(bench, site, first):
    """The CPU of the same upload with a client that listens to its account, and without."""
    size = bench.options.large
    for listens in (first, not first, not first, first):
        with site.listen(1, 1) if listens else contextlib.nullcontext() as listener:
            cpu = bench.meter.timed(site.acting(0), size, "chunks", size=size, chunk=CHUNK)[0]["cpu"]
            add(bench, ("progress", listens), {"cpu": cpu} | (listener.ask("count") if listener else {}))


def rate(bench, site, first):
    """Tasks made in batches: how fast one client gets their events, and what that adds to the server's CPU."""
    batches = BATCHES // 5 if bench.options.quick else BATCHES
    with site.listen(1, 2) as listener:  # nobody listens to the second account
        for listens in (first, not first):
            bench.meter.check_time()
            time.sleep(0.5)
            cpu = sum(site.server.cpu())
            answer = listener.ask(f"batches {batches} {BATCH} {0 if listens else 1}")
            time.sleep(0.1)
            cpu = sum(site.server.cpu()) - cpu
            events = answer["events"]
            add(bench, ("rate", listens), {"perSecond": events / answer["seconds"], "microseconds": cpu / events * 1e6})


def note(bench):
    """The cost of one progress event by itself: the same chunks with an event each, and with those of every five points alone."""
    engines = Engines.built(bench)
    for _ in range(1 if bench.options.quick else 3):
        bench.meter.check_time()
        add(bench, ("note",), engines.run("SQLite", "progress", rounds=2 if bench.options.quick else 4))


def add(bench, row, sample):
    bench.live.setdefault(row, []).append(sample)


def live(bench):
    """Fills `bench.live`, {row: [sample of a round]}."""
    bench.live = {}
    if bench.contenders.pretend:
        bench.notes.append("Live events: left out, as the floor has none.")
        return
    rounds = max(1, min(3, bench.options.repetitions))
    bench.need_disk((6 if bench.options.quick else 20) * GIB)
    for number in range(rounds):
        with bench.contenders.start("drive") as server:
            site = Site(bench, server, ACCOUNTS)
            memory(bench, site)
            for connections in COUNTS:
                latency(bench, "SQLite", site, connections)
            progress(bench, site, number % 2 == 0)
            rate(bench, site, number % 2 == 0)
    note(bench)
    with Cluster(bench.contenders.root) as cluster:
        address = {"DATABASE_URL": cluster.url}
        with bench.contenders.start("drive", address) as server:
            site = Site(bench, server, COUNTS[1] // PER_ACCOUNT, address)
            for _ in range(rounds):
                latency(bench, "PostgreSQL", site, COUNTS[1])


GROUPS = {"live": live}
