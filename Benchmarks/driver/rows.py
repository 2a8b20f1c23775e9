"""The rows of the table. Within a row every repetition runs all contenders, in rotating order, each freshly started."""

import json
import time

from . import trace
from .machine import GIB, MIB, free_disk, size_text
from .measure import Row
from .servers import RowFailed

CHUNK = 5 * MIB
SMALL = 64 << 10


class Bench:
    """What every group of rows needs."""

    def __init__(self, contenders, meter, options):
        self.contenders, self.meter, self.options = contenders, meter, options
        self.rows, self.facts, self.notes = [], {}, []

    def row(self, name, contender, operation="chunk"):
        row = Row(name, contender, operation)
        self.rows.append(row)
        return row

    def find(self, name, contender):
        return next((row for row in self.rows if (row.name, row.contender) == (name, contender) and not row.error), None)

    def need_disk(self, count):
        free = free_disk(self.contenders.root)
        if free < count * 1.25 + 2 * GIB:
            raise RowFailed(f"dropped: needs {count * 1.25 / GIB + 2:.0f} GiB of free disk, {free / GIB:.0f} are there")

    def interleave(self, entries, measure, repetitions=None):
        """`entries` are (row, kind, options). A contender that fails is out; the others go on."""
        for repetition in range(repetitions or self.options.repetitions):
            turn = repetition % len(entries)
            for row, kind, options in entries[turn:] + entries[:turn]:
                if row.error:
                    continue
                try:
                    with self.contenders.start(kind) as server:
                        measure(row, server, options)
                except (RowFailed, OSError) as error:
                    row.error = str(error)

    def trace(self, row, kind, operations, run, prepare=None):
        """Counts system calls per operation in a run of its own."""
        if row.error or not trace.available():
            return
        try:
            self.meter.check_time()
            with self.contenders.start(kind) as server:
                prepared = prepare(server) if prepare else None
                with trace.tracing(server) as found:
                    run(server, prepared)
                row.calls, row.syncs = found[0].all / operations, found[0].syncs / operations
        except (RowFailed, OSError) as error:
            self.notes.append(f"System calls of “{row.name}”, {row.contender}: {error}")


def put(kind):
    """nginx takes PUTs where the others take chunks."""
    return {"put": "/up"} if kind.startswith("nginx") else {}


def large(bench):
    """One file of 1 GiB, in chunks of 5 MiB."""
    size = bench.options.large
    name = f"{size_text(size)} in 5 MiB chunks"
    entries = [
        (bench.row(f"{name}, raw, 1 connection", "floor"), "floor", {}),
        (bench.row(f"{name}, raw, 1 connection", "floor without SHA-256"), "floor-no-hash", {}),
        (bench.row(f"{name}, raw, 1 connection", "nginx DAV PUT"), "nginx", {}),
        (bench.row(f"{name}, raw, 1 connection", "drive"), "drive", {}),
        (bench.row(f"{name}, multipart, 1 connection", "drive"), "drive", {"multipart": True}),
        (bench.row(f"{name}, raw, 3 connections", "floor"), "floor", {"connections": 3}),
        (bench.row(f"{name}, raw, 3 connections", "drive"), "drive", {"connections": 3}),
    ]

    def measure(row, server, options):
        row.add(bench.meter.timed(server, size, "chunks", size=size, chunk=CHUNK, **options)[0])

    bench.need_disk(size)
    bench.interleave([(row, kind, put(kind) | options) for row, kind, options in entries], measure)
    for row, kind, options in entries:
        options = put(kind) | options
        bench.trace(row, kind, 13, lambda server, _: bench.meter.load(server, "chunks", size=13 * CHUNK, chunk=CHUNK, **options))


def many(bench):
    """100 uploads of 10 MiB at once."""
    size, count = 10 * MIB, 100
    entries = [(bench.row("100 uploads × 10 MiB at once", name, "upload"), name, {}) for name in ("floor", "drive")]

    def measure(row, server, _):
        sample, answer = bench.meter.timed(server, size * count, "many", size=size, chunk=CHUNK, count=count)
        row.add(sample)
        row.remark = f"complete p50 {answer['complete_p50_ms']:.1f}, max {answer['complete_max_ms']:.0f} ms"

    bench.need_disk(size * count)
    bench.interleave(entries, measure)
    for row, kind, _ in entries:
        bench.trace(row, kind, 20, lambda server, _: bench.meter.load(server, "many", size=size, chunk=CHUNK, count=20))


def small(bench):
    """Files of 64 KiB by one request each, 64 at a time."""
    count = bench.options.small
    name = "64 KiB files, one request each, 64 at once"
    entries = [
        (bench.row(name, "drive", "file"), "drive", {}),
        (bench.row(name + ", fsync + 5 ms", "drive", "file"), "drive-5ms", {}),
        (bench.row(name, "nginx DAV PUT (not durable)", "file"), "nginx", put("nginx")),
    ]

    def measure(row, server, options):
        bench.meter.load(server, "small", size=SMALL, connections=64, count=256, **{**options, **({"put": "/warm"} if options else {})})
        row.add(bench.meter.timed(server, SMALL * count, "small", size=SMALL, connections=64, count=count, **options)[0])

    bench.need_disk(SMALL * count * len(entries) * (bench.options.repetitions + 1))
    bench.contenders.keeps_folders = True
    bench.interleave(entries, measure)
    for row, kind, options in entries:
        if row.samples:
            row.remark = ", ".join(f"{q} {row.median(q + '_ms'):.0f}" for q in ("p50", "p95", "p99")) + " ms"
        bench.trace(
            row, kind, 1024, lambda server, _: bench.meter.load(server, "small", size=SMALL, connections=64, count=1024, **options)
        )
    bench.contenders.keeps_folders = False


def download(bench):
    """1 GiB down, out of the page cache."""
    size = bench.options.large
    name = f"download of {size_text(size)}"
    entries = [
        (bench.row(name, "nginx, sendfile off", "download"), "nginx", {}),
        (bench.row(name, "nginx, sendfile on", "download"), "nginx-sendfile", {}),
        (bench.row(name, "drive", "download"), "drive", {}),
    ]

    def prepare(server):
        if (server.folder.rsplit("/", 1)[-1]).startswith("nginx"):
            with open(server.folder + "/www/file", "wb") as file:
                for _ in range(size // MIB):
                    file.write(bytes(MIB))
            return "/file"
        return "/api/files/" + bench.meter.load(server, "chunks", size=size, chunk=CHUNK)["id"]

    def measure(row, server, _):
        path = prepare(server)
        bench.meter.load(server, "download", path=path, size=size)
        times = 3  # so that the clock's ticks of 10 ms do not show
        sample, _ = bench.meter.timed(server, size * times, "download", warm=False, path=path, size=size, count=times)
        row.add(sample | {"wall_ms": sample["wall_ms"] / times})

    bench.need_disk(size)
    bench.interleave(entries, measure)
    for row, kind, _ in entries:
        bench.trace(row, kind, 1, lambda server, path: bench.meter.load(server, "download", path=path, size=size), prepare)


def memory(bench):
    """8 GiB in one upload: its peak memory is compared with that of 1 GiB."""
    size = 8 * GIB
    row = bench.row("8 GiB in 5 MiB chunks, raw, 1 connection", "drive")
    try:
        if bench.options.quick:
            raise RowFailed("dropped: a quick run leaves the large rows out")
        bench.need_disk(size)
    except RowFailed as error:
        row.remark = str(error)
        return

    def measure(row, server, _):
        row.add(bench.meter.timed(server, size, "chunks", warm=False, size=size, chunk=CHUNK)[0])
        row.remark = "for the peak; its CPU includes the first touch of cold memory"

    bench.interleave([(row, "drive", {})], measure)


def complete(bench):
    """`complete` alone, after chunks in order: 16 MiB against 4 GiB."""
    entries = []
    for size, label in ((16 * MIB, "16 MiB"), (4 * GIB, "4 GiB")):
        row = bench.row(f"complete of {label}", "drive", "complete")
        try:
            if size > GIB and bench.options.quick:
                raise RowFailed("dropped: a quick run leaves the large rows out")
            bench.need_disk(size)
            entries.append((row, "drive", {"size": size}))
        except RowFailed as error:
            row.remark = str(error)

    def measure(row, server, options):
        bench.meter.check_time()
        answer = bench.meter.load(server, "chunks", chunk=CHUNK, **options)
        row.add({"complete_ms": answer["complete_ms"], "wall_ms": answer["complete_ms"], "retries_202": answer["retries_202"]})

    def measure_calls(row, server, options):
        bench.meter.check_time()
        task = bench.meter.load(server, "chunks", chunk=CHUNK, no_complete=True, **options)["task"]
        time.sleep(0.5)
        before = server.io()
        try:
            with trace.tracing(server) as found:
                finish(server, task)
        except trace.TraceFailed as error:
            bench.notes.append(f"System calls of “{row.name}”: {error}")
            return
        after = server.io()
        calls = found[0]
        row.add({"work": calls.work, "all": calls.all, "syncs": calls.syncs, "data": calls.data})
        row.add({"rchar": after[0] - before[0], "read_bytes": after[1] - before[1]})

    bench.interleave(entries, measure, bench.options.completes)
    if trace.available():
        bench.interleave(entries, measure_calls, 1 if bench.options.quick else 3)
    for row, _, _ in entries:
        if row.samples.get("work") and not row.error:
            row.calls, row.syncs = row.median("all"), row.median("syncs")
            row.remark = (
                f"{row.median('work'):.0f} calls without waiting, {max(row.samples['data'])} bytes of contents read "
                f"(rchar {row.median('rchar'):.0f}, read_bytes {row.median('read_bytes'):.0f}), {sum(row.samples['retries_202'])} × 202"
            )


def finish(server, task):
    """Calls complete until it is through."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        status, body = server.post(f"/api/files/upload/complete/{task}")
        if status == 200 and "id" in json.loads(body):
            return
        if status != 202:
            raise RowFailed(f"complete: status {status}: {body[:300].decode(errors='replace')}")
        time.sleep(0.1)
    raise RowFailed("complete: still verifying after 300 s")


GROUPS = {"large": large, "many": many, "small": small, "download": download, "memory": memory, "complete": complete}
