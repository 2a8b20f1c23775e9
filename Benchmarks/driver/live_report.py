"""What became of the live events' rows, as verdicts and as a section in Markdown."""

import statistics

COUNTS = (1, 100, 1000)  # connections
QUIET = (1000, 4000)
IDLE, LOADED = "idle", "full upload load"


def values(bench, row, name):
    return [sample[name] for sample in getattr(bench, "live", {}).get(row, []) if name in sample]


def text(numbers, digits=1, unit=""):
    """The median, with the smallest and the largest; "" where there is nothing."""
    if not numbers:
        return ""
    return f"{statistics.median(numbers):,.{digits}f}{unit} ({min(numbers):,.{digits}f}–{max(numbers):,.{digits}f})"


def ratios(bench):
    """CPU of an upload with a listening client against without, in the order in which they ran."""
    mine, theirs = (values(bench, ("progress", listens), "cpu") for listens in (True, False))
    return [a / b for a, b in zip(mine, theirs) if b > 0]


def added(bench):
    """What one event adds to the server's CPU, in µs, per round."""
    mine, theirs = (values(bench, ("rate", listens), "microseconds") for listens in (True, False))
    return [a - b for a, b in zip(mine, theirs)]


def share(bench):
    """What the event is of the CPU that the server spends on a chunk of 5 MiB."""
    chunk = statistics.median(values(bench, ("progress", False), "cpu") or [1]) * 5 / 1024 * 1e6
    return statistics.median(values(bench, ("note",), "microsecondsPerEvent")) / chunk


def verdicts(bench, say):
    for state, most in ((IDLE, 10), (LOADED, 50)):
        numbers = values(bench, ("SQLite", COUNTS[-1], state), "event_p99_ms")
        say(
            f"event to frame, p99, {COUNTS[-1]:,} connections, {state}", f"< {most} ms", text(numbers, 1, " ms"),
            statistics.median(numbers) < most if numbers else None)
    numbers = values(bench, ("memory", QUIET[0]), "kib")
    say(
        f"memory per quiet connection, {QUIET[0]:,} of them", "≤ 20 KiB", text(numbers, 1, " KiB"),
        statistics.median(numbers) <= 20 if numbers else None)
    found = ratios(bench)
    say(
        "CPU of an upload with a client that sees its progress, against without", "≤ 1.05 ×", text(found, 2),
        statistics.median(found) <= 1.05 if found else None)
    found = values(bench, ("note",), "microsecondsPerEvent")
    say(
        "CPU of one progress event, of that of a chunk of 5 MiB", "≤ 2 %", f"{share(bench):.1%} ({text(found, 0, ' µs')})" if found else "",
        share(bench) <= 0.02 if found else None)


def section(bench):
    if not getattr(bench, "live", {}):
        return []

    def spread(row, name, digits=1):
        return text(values(bench, row, name), digits) or "–"

    lines = [
        "", "### Live events", "",
        "Custom tasks made one by one over all accounts, 50 a second, for 3 s a round; each commit gives one event, which goes to all "
        "clients of its account (20 at 100 and at 1,000 connections). **Event to frame** runs from the event's `createdAt`, taken before "
        "the commit, until the one thread that reads all sockets has the frame: the commit and that thread's waiting for a core are in it. "
        "**At the socket**: until the kernel had the frame for that thread. **After the reply**: from the answer to the request that made "
        "the task, at its maker; negative where the frame was earlier. The load: two generators with 50 uploads of 10 MiB at once each, "
        "without a break.",
        "", "| Engine | Connections | State | Event to frame, ms: p50 | p99 | largest | At the socket, p99 | After the reply, p50 | p99 "
        "| `createdAt` to reply, p50 | Machine busy |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for engine in ("SQLite", "PostgreSQL"):
        for count in COUNTS:
            for state in (IDLE, LOADED):
                row = (engine, count, state)
                busy = values(bench, row, "busy")
                if not busy:
                    continue
                worst = max(values(bench, row, "event_max_ms"))
                lines.append(
                    f"| {engine} | {count:,} | {state} | {spread(row, 'event_p50_ms')} | {spread(row, 'event_p99_ms')} | {worst:,.1f} "
                    f"| {spread(row, 'arrival_p99_ms')} | {spread(row, 'reply_p50_ms')} | {spread(row, 'reply_p99_ms')} "
                    f"| {spread(row, 'commit_p50_ms')} | {statistics.median(busy):.0%} |")
    late = [number for row in getattr(bench, "live", {}) for number in values(bench, row, "late_ms")]
    heard, unheard = ("rate", True), ("rate", False)
    frames, ends = (statistics.median(values(bench, ("progress", True), name) or [0]) for name in ("progress", "completed"))
    lines += [
        "",
        f"- A task was asked for at most {max(late, default=0):.0f} ms behind the pace.",
        *(
            f"- Memory per quiet, signed-in connection (growth of `VmRSS`, {count:,} connections): {spread(('memory', count), 'kib')} KiB. "
            "The kernel's buffers are not in it." for count in QUIET),
        f"- Tasks of one account, made by 4 makers in batches of 1,000: one client gets {spread(heard, 'perSecond', 0)} events a second; "
        f"without a client {spread(unheard, 'perSecond', 0)} tasks a second are made. The server's CPU per task and event: "
        f"{spread(heard, 'microseconds', 0)} µs, without a client {spread(unheard, 'microseconds', 0)}, so "
        f"{text(added(bench), 0) or '–'} µs for finding, coding and sending the event.",
        f"- An upload of 5 MiB chunks, one connection, CPU s/GiB: {spread(('progress', True), 'cpu', 2)} with a client that got "
        f"{frames:.0f} `task.progress` and {ends:.0f} `task.completed`; {spread(('progress', False), 'cpu', 2)} without. The events are "
        "written in either case.",
    ]
    events = values(bench, ("note",), "microsecondsPerEvent")
    if events:
        each, few = (values(bench, ("note",), name)[0] for name in ("eventsEach", "eventsAtFivePoints"))
        lines.append(
            f"- One `task.progress` of a chunk, written with the chunk's own transaction: {text(events, 0)} µs of the process's CPU (the same "
            f"{values(bench, ('note',), 'chunks')[0]:,} chunks of {values(bench, ('note',), 'bytes')[0] // 1024} KiB, in process over SQLite, with {each:,} events and with {few}: "
            f"{text(values(bench, ('note',), 'microsecondsPerChunkWithEvent'), 0)} and {text(values(bench, ('note',), 'microsecondsPerChunk'), 0)} µs a chunk). "
            f"Of a chunk of 5 MiB that is {share(bench):.1%} at this run's {statistics.median(values(bench, ('progress', False), 'cpu')):.2f} CPU s/GiB.")
    return lines
