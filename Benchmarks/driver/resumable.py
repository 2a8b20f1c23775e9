"""The rows of the resumable protocols, tus and the IETF's: the same bytes as the rows of the chunks, and the takeover."""

from .machine import MIB, size_text
from .rows import CHUNK, SMALL
from .servers import RowFailed

CROWD, CROWD_TUS = "100 uploads × 10 MiB at once", "drive, tus"  # the row of `many`, with another contender
FEW = "500 files of 64 KiB, one request each, 64 at once"
STALLED = "takeover of 64 MiB over tus, stalled half-way"
RAW, ONE, MANY, IETF = "drive, raw chunks", "drive, tus, one PATCH", "drive, tus, PATCHes of 5 MiB", "drive, IETF, one POST"
ASKING, BEHIND, DIRECT = "drive, HEAD", "drive, PATCH of 64 KiB after that HEAD", "drive, PATCH of 64 KiB without HEAD"
DIRECT_SMALL, TUS_SMALL = "drive, direct", "drive, tus, creation-with-upload"


def stream_name(size):
    return f"{size_text(size)} as one stream, 1 connection"


def stream(bench):
    """1 GiB over tus, in one PATCH and in many, and by one POST of the IETF's, beside the raw chunks."""
    size = bench.options.large
    name = stream_name(size)
    entries = [
        (bench.row(name, RAW), "chunks", {"chunk": CHUNK}),
        (bench.row(name, ONE, "5 MiB"), "stream", {}),
        (bench.row(name, MANY, "PATCH"), "stream", {"body": CHUNK}),
        (bench.row(name, IETF, "5 MiB"), "stream", {"ietf": True}),
    ]

    def measure(row, server, how):
        mode, options = how
        row.add(bench.meter.timed(server, size, mode, size=size, **options)[0])
        row.remark = f"{size / MIB / (row.median('wall_ms') / 1e3):,.0f} MiB/s"

    bench.need_disk(size)
    bench.interleave([(row, "drive", (mode, options)) for row, mode, options in entries], measure)
    for row, mode, options in entries:
        bench.trace(row, "drive", 13, lambda server, _: bench.meter.load(server, mode, size=13 * CHUNK, **options))


def streams(bench):
    """100 uploads of 10 MiB at once over tus, one PATCH each."""
    size, count = 10 * MIB, 100
    row = bench.row(CROWD, CROWD_TUS, "upload")

    def measure(row, server, _):
        sample, answer = bench.meter.timed(server, size * count, "streams", size=size, count=count)
        row.add(sample)
        row.remark = f"upload p50 {answer['upload_p50_ms']:.0f}, max {answer['upload_max_ms']:.0f} ms"

    bench.need_disk(size * count)
    bench.interleave([(row, "drive", {})], measure)
    bench.trace(row, "drive", 20, lambda server, _: bench.meter.load(server, "streams", size=size, count=20))


def small_streams(bench):
    """500 files of 64 KiB by creation-with-upload, beside Drive's own one request."""
    count = 500
    entries = [
        (bench.row(FEW, DIRECT_SMALL, "file"), "drive", {"tus": False}),
        (bench.row(FEW, TUS_SMALL, "file"), "drive", {"tus": True}),
    ]

    def measure(row, server, options):
        bench.meter.load(server, "small", size=SMALL, connections=64, count=256, **options)
        row.add(bench.meter.timed(server, SMALL * count, "small", size=SMALL, connections=64, count=count, **options)[0])

    bench.need_disk(SMALL * (count + 256) * len(entries) * (bench.options.repetitions + 1))
    bench.contenders.keeps_folders = True
    bench.interleave(entries, measure)
    for row, kind, options in entries:
        if row.samples:
            row.remark = ", ".join(f"{q} {row.median(q + '_ms'):.0f}" for q in ("p50", "p95", "p99")) + " ms"
        bench.trace(
            row, kind, count, lambda server, _: bench.meter.load(server, "small", size=SMALL, connections=64, count=count, **options)
        )
    bench.contenders.keeps_folders = False


def takeover(bench):
    """A PATCH sends half of its body and stalls with the connection open; another connection goes on with the upload."""
    size, rounds = 64 * MIB, 20
    asking, behind, direct = (bench.row(STALLED, contender, "takeover") for contender in (ASKING, BEHIND, DIRECT))

    def measure(row, server, options):
        bench.meter.check_time()
        answer = bench.meter.load(server, "takeover", size=size, count=rounds, **options)
        row.samples["wall_ms"] = answer["accepted_ms" if row is direct else "head_ms"]
        if row is asking:
            behind.samples["wall_ms"] = answer["accepted_ms"]

    bench.need_disk(size * rounds)
    bench.interleave([(asking, "drive", {}), (direct, "drive", {"direct": True})], measure, 1)
    behind.error = asking.error
    for row in (asking, behind, direct):
        if row.samples:
            row.remark = f"{len(row.samples['wall_ms'])} rounds, median (best–worst)"


def resumable(bench):
    """Every row of the two protocols."""
    for group in (stream, streams, small_streams, takeover):
        try:
            group(bench)
        except RowFailed as error:
            bench.row(group.__name__, "all").error = str(error)


GROUPS = {"resumable": resumable}
