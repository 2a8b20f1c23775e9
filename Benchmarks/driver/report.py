"""The table and the verdicts, as Markdown."""

import datetime
import os
import statistics

from . import live, resumable, tasks, trace
from .machine import size_text
from .measure import paired_ratio

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
HEAD = """# Benchmarks

`make bench` measures and replaces the part between the two markers; what stands around it is kept.

"""


def spread(row, name, scale=1.0, digits=2):
    values = row.samples.get(name)
    if not values:
        return "–"
    low, middle, high = (value * scale for value in (min(values), statistics.median(values), max(values)))
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def plain(value, digits=1):
    return "–" if value is None else f"{value:,.{digits}f}"


def bases(bench):
    """For every row that has one: the row it is compared with, and the metric."""
    size = size_text(bench.options.large)
    chunks = f"{size} in 5 MiB chunks"
    one, three, multi = (f"{chunks}, {kind}" for kind in ("raw, 1 connection", "raw, 3 connections", "multipart, 1 connection"))
    floor, drive = bench.find(one, "floor"), bench.find(one, "drive")
    down = f"download of {size}"
    stream = resumable.stream_name(bench.options.large)
    raw = bench.find(stream, resumable.RAW)
    return {
        (one, "floor without SHA-256"): (floor, "floor"),
        (one, "nginx DAV PUT"): (floor, "floor"),
        (one, "drive"): (floor, "floor"),
        (multi, "drive"): (drive, "raw"),
        (three, "floor"): (floor, "1 connection"),
        (three, "drive"): (drive, "1 connection"),
        (down, "nginx, sendfile on"): (bench.find(down, "nginx, sendfile off"), "sendfile off"),
        (down, "drive"): (bench.find(down, "nginx, sendfile off"), "sendfile off"),
        (stream, resumable.ONE): (raw, "raw"),
        (stream, resumable.MANY): (raw, "raw"),
        (stream, resumable.IETF): (raw, "raw"),
        (resumable.FEW, resumable.TUS_SMALL): (bench.find(resumable.FEW, resumable.DIRECT_SMALL), "direct"),
    }


def table(bench):
    lines = [
        "| Row | Contender | Wall, s | Server CPU, s/GiB | of it user + system | Peak, MiB | Files/s "
        "| Calls | fsyncs | per | CPU ratio | Remarks |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    compared = bases(bench)
    for row in bench.rows:
        base, word = compared.get((row.name, row.contender), (None, ""))
        ratio = paired_ratio(row, base, "cpu") if base else None
        if row.error:
            lines.append(f"| {row.name} | {row.contender} |" + " – |" * 9 + f" failed: {one_line(row.error)} |")
            continue
        split = f"{row.median('user'):.2f} + {row.median('system'):.2f}" if "user" in row.samples else "–"
        wall = spread(row, "wall_ms", 1e-3, 4 if row.operation in ("complete", "takeover") else 2)
        lines.append(
            f"| {row.name} | {row.contender} | {wall} | {spread(row, 'cpu')} "
            f"| {split} | {spread(row, 'peak', digits=0)} | {spread(row, 'files_per_s', digits=0)} | {plain(row.calls)} "
            f"| {plain(row.syncs, 2)} | {row.operation} | {f'{ratio[0]:.2f} × {word}' if ratio else '–'} | {row.remark or '–'} |"
        )
    return lines


def one_line(text):
    return " ".join(text.split()).replace("|", "/")[:300]


def verdicts(bench):
    """(target, limit, measured, met) with met None where it was not measured."""
    found = []

    def say(target, limit, measured, met):
        found.append((target, limit, measured, met))

    size = size_text(bench.options.large)
    compared = bases(bench)
    for name, contender, target, most in (
        (f"{size} in 5 MiB chunks, raw, 1 connection", "drive", "raw chunks, CPU per GiB against the floor", 1.15),
        (f"{size} in 5 MiB chunks, multipart, 1 connection", "drive", "multipart, CPU per GiB against raw", 1.15),
        (f"{size} in 5 MiB chunks, raw, 3 connections", "drive", "three connections, CPU per GiB against one", 1.15),
        (f"download of {size}", "drive", "download, CPU per GiB against nginx with sendfile off", 1.5),
        (resumable.stream_name(bench.options.large), resumable.ONE, "one PATCH over tus, CPU per GiB against raw chunks", 1.1),
    ):
        row, base = bench.find(name, contender), compared[(name, contender)][0]
        ratio = paired_ratio(row, base, "cpu") if row and base else None
        measured = f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})" if ratio else ""
        say(target, f"≤ {most} ×", measured, ratio[0] <= most if ratio else None)

    little, much = bench.find("complete of 16 MiB", "drive"), bench.find("complete of 4 GiB", "drive")
    both = [row for row in (little, much) if row and row.samples]
    read = [max(row.samples["data"]) for row in both if row.samples.get("data")]
    say(
        "complete after in-order chunks: contents read", "0 bytes", f"{max(read)} bytes" if read else "",
        max(read) == 0 if len(read) == 2 else None,
    )
    work = [row.median("work") for row in both if row.samples.get("work")]
    say(
        "complete, system calls of 16 MiB and of 4 GiB (waiting left out)", "equal (within 5 %)",
        " and ".join(f"{value:.0f}" for value in work),
        abs(work[0] - work[1]) <= max(1, 0.05 * work[0]) if len(work) == 2 else None,
    )
    slow = [row.median("complete_ms") for row in both]
    say("complete, median", "≤ 50 ms", " and ".join(f"{value:.1f} ms" for value in slow), max(slow) <= 50 if len(slow) == 2 else None)

    for contender, way in (("drive", ""), (resumable.CROWD_TUS, " over tus")):
        row = bench.find(resumable.CROWD, contender)
        peak = max(row.samples["peak"]) if row and row.samples else None
        say(
            f"peak memory at 100 × 10 MiB{way} (largest seen)", "≤ 96 MiB", f"{peak:.0f} MiB" if peak else "",
            peak <= 96 if peak else None,
        )
    one = bench.find("1 GiB in 5 MiB chunks, raw, 1 connection", "drive")
    eight = bench.find("8 GiB in 5 MiB chunks, raw, 1 connection", "drive")
    peaks = [row.median("peak") for row in (one, eight) if row and row.samples]
    say(
        "peak memory, 1 GiB and 8 GiB", "within 20 %", " and ".join(f"{value:.0f} MiB" for value in peaks),
        max(peaks) <= 1.2 * min(peaks) if len(peaks) == 2 else None,
    )
    for suffix, least in (("", 1500), (", fsync + 5 ms", 1000)):
        row = bench.find("64 KiB files, one request each, 64 at once" + suffix, "drive")
        rate = row.median("files_per_s") if row and row.samples else None
        say(
            f"small files per second, each durable when answered{suffix}", f"≥ {least:,}", plain(rate, 0) if rate else "",
            rate >= least if rate else None,
        )
    for contender, what in ((resumable.ASKING, "HEAD with the right offset"), (resumable.DIRECT, "PATCH taken")):
        row = bench.find(resumable.STALLED, contender)
        middle = row.median("wall_ms") if row and row.samples else None
        measured = f"{middle:.1f} ms (worst {max(row.samples['wall_ms']):.1f})" if middle else ""
        say(f"takeover of a stalled upload, {what}, median of 20", "< 100 ms", measured, middle < 100 if middle else None)
    tasks.verdicts(bench, say)
    live.verdicts(bench, say)
    return found


def render(bench, machine, settings):
    words = {True: "met", False: "**short**", None: "not measured"}
    disturbance = bench.meter.disturbance
    lines = [
        f"Measured on {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d} (UTC). {machine}. {settings}",
        "Medians, in brackets the smallest and the largest. Ratios are medians of the ratios within each repetition.",
    ]
    if disturbance:
        lines.append(
            f"Other processes and the kernel's own threads (write-back) took "
            f"{statistics.median(disturbance):.0%} of the machine during timed runs "
            f"(at most {max(disturbance):.0%})."
        )
    if not trace.available():
        lines.append("System calls were not counted: strace is not installed.")
    lines += ["", "| Target | Limit | Measured | Verdict |", "| --- | --- | --- | --- |"]
    lines += [f"| {target} | {limit} | {measured or '–'} | {words[met]} |" for target, limit, measured, met in verdicts(bench)]
    lines += [""] + table(bench) + tasks.section(bench) + live.section(bench)
    if bench.notes:
        lines += [""] + [f"- {one_line(note)}" for note in bench.notes]
    return "\n".join(lines)


def write(path, text):
    """Replaces the part between the markers; adds them to a file that has none."""
    before, after = HEAD, "\n"
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            old = file.read()
        if BEGIN in old and END in old:
            before, after = old.split(BEGIN, 1)[0], old.split(END, 1)[1]
        else:
            before = old.rstrip("\n") + "\n\n"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{text}\n{END}{after}")
    os.replace(path + ".new", path)
