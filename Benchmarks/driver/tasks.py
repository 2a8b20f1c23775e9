"""The task engine by itself: no-op tasks per second, pick-up, recovery, over both engines. A section of its own in the report."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

if __package__:
    from . import trace, troubles
    from .servers import RowFailed

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SLOW = "database.commit.before:delay=5ms"  # every commit is one flush of the write-ahead log
HELD = 50

RATE, RATE_SLOW, RATE_OLD = "rate", "rate, fsync + 5 ms", "rate, 10⁶ finished tasks"


class Engines:
    """Runs the benchmark's program over an SQLite folder or a throw-away PostgreSQL."""

    def __init__(self, program, root):
        self.program, self.root = program, root

    @classmethod
    def built(cls, bench):
        """With the program that stands beside the server's."""
        program = os.path.join(os.path.dirname(bench.contenders.drive), "task-benchmark")
        if not os.access(program, os.X_OK):
            raise RowFailed(f"no {program}; build it with `swift build -c release --product task-benchmark`")
        return cls(program, bench.contenders.root)

    def command(self, engine, folder, mode, **options):
        arguments = [mode]
        for name, value in options.items():
            arguments += [f"--{name}", str(value)]
        if engine == "SQLite":
            return [self.program, *arguments, "--folder", folder]
        # The address stands in the environment that with-postgres makes.
        return ["sh", "-c", 'exec "$0" "$@" --url "$DRIVE_TEST_POSTGRES_URL"', self.program, *arguments]

    def run(self, engine, mode, prefix=(), limit=300, **options):
        folder = tempfile.mkdtemp(prefix="tasks-", dir=self.root)
        try:
            command = [*prefix, *self.command(engine, folder, mode, **options)]
            if engine != "SQLite":
                command = [os.path.join(REPOSITORY, "scripts", "with-postgres"), *command]
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
            if done.returncode != 0:
                raise RowFailed(f"tasks, {engine}, {mode}: {done.stderr[-500:].strip()}")
            return json.loads(done.stdout.strip().splitlines()[-1])
        except subprocess.TimeoutExpired as error:
            raise RowFailed(f"tasks, {engine}, {mode}: not through within {limit} s") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def syncs(self, tasks):
        """Flushes per task over SQLite, counted by strace in a run that is not timed; nil without strace."""
        if not trace.available():
            return None
        with tempfile.NamedTemporaryFile("r", dir=self.root, suffix=".strace") as output:
            self.run("SQLite", "rate", ("strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", output.name), tasks=tasks)
            text = output.read()
        calls = sum(int(line.split()[3]) for line in text.splitlines() if re.search(r"\bf(data)?sync$", line))
        return calls / tasks

    def recovery(self, engine):
        """Seconds from `kill -9` of a worker until all it held has run again."""
        folder = tempfile.mkdtemp(prefix="tasks-", dir=self.root)
        script = " ".join(["exec", *(self.quoted(part) for part in [sys.executable, os.path.realpath(__file__), self.program, engine, folder])])
        command = ["sh", "-c", script]
        if engine != "SQLite":
            command = [os.path.join(REPOSITORY, "scripts", "with-postgres"), *command]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
            if done.returncode != 0:
                raise RowFailed(f"tasks, {engine}, recovery: {done.stderr[-500:].strip()}")
            return float(done.stdout.strip().splitlines()[-1])
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def quoted(text):
        return "'" + text.replace("'", "'\\''") + "'"


def recover(program, engine, folder):
    """The part of `recovery` that runs beside the database."""
    engines = Engines(program, folder)
    holder = subprocess.Popen(engines.command(engine, folder, "hold", tasks=HELD), stdout=subprocess.PIPE, text=True)
    # A second worker is there already over PostgreSQL; SQLite's one process is started anew.
    watcher = None
    if holder.stdout.readline().strip() != "held":
        raise SystemExit("the worker did not take its tasks")
    if engine != "SQLite":
        watcher = subprocess.Popen(engines.command(engine, folder, "recover", tasks=HELD), stdout=subprocess.PIPE)
        time.sleep(3)
    holder.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    holder.wait()
    if watcher is None:
        watcher = subprocess.Popen(engines.command(engine, folder, "recover", tasks=HELD), stdout=subprocess.PIPE)
    watcher.communicate(timeout=120)
    if watcher.returncode != 0:
        raise SystemExit("the tasks did not run again")
    print(time.monotonic() - killed)


def tasks(bench):
    """Fills `bench.tasks`, {(row, engine): [answers]}, and `bench.troubles`."""
    engines = Engines.built(bench)
    repetitions = max(1, min(3, bench.options.repetitions))
    few = bench.options.quick
    found = bench.tasks = {}
    for _ in range(repetitions):
        for engine, count in (("SQLite", 30_000), ("PostgreSQL", 10_000)):
            count = count // 5 if few else count
            bench.meter.check_time()
            found.setdefault((RATE, engine), []).append(engines.run(engine, "rate", tasks=count))
            found.setdefault((RATE_SLOW, engine), []).append(engines.run(engine, "rate", tasks=count // 2, faults=SLOW))
            found.setdefault((RATE_OLD, engine), []).append(
                engines.run(engine, "rate", tasks=count, old=100_000 if few else 1_000_000, limit=600))
    for engine in ("SQLite", "PostgreSQL"):
        bench.meter.check_time()
        found[("pickup", engine)] = [engines.run(engine, "pickup")]
        found[("recovery", engine)] = [{"seconds": engines.recovery(engine)}]
    found[("syncs", "SQLite")] = [{"fsyncsPerTask": engines.syncs(2000)}]
    bench.meter.check_time()
    bench.troubles = troubles.measure(engines.program, bench.contenders.root, few)


GROUPS = {"tasks": tasks}


def verdicts(bench, say):
    found = getattr(bench, "tasks", {})
    for engine, least in (("SQLite", 5000), ("PostgreSQL", 1500)):
        rates = [sample["perSecond"] for sample in found.get((RATE, engine), [])]
        old = [sample["perSecond"] for sample in found.get((RATE_OLD, engine), [])]
        middle = statistics.median(rates) if rates else None
        say(
            f"no-op tasks per second, {engine}", f"≥ {least:,}", f"{middle:,.0f} ({min(rates):,.0f}–{max(rates):,.0f})" if rates else "",
            middle >= least if rates else None)
        share = statistics.median(mine / base for mine, base in zip(old, rates)) if old and rates else None
        say(f"the same with 10⁶ finished tasks in the table, {engine}", "≥ 90 %", f"{share:.0%}" if share else "", share >= 0.9 if share else None)
        pickup = found.get(("pickup", engine), [{}])[0].get("p95Milliseconds")
        say(f"pick-up of a task by an idle worker, p95, {engine}", "< 50 ms", f"{pickup:.1f} ms" if pickup else "", pickup < 50 if pickup else None)
        seconds = found.get(("recovery", engine), [{}])[0].get("seconds")
        say(
            f"tasks of a killed worker run again, {engine}", "< 35 s", f"{seconds:.1f} s" if seconds else "",
            seconds < 35 if seconds else None)
    troubles.verdicts(getattr(bench, "troubles", {}), say)


def section(bench):
    """The rows in full, as Markdown lines."""
    found = getattr(bench, "tasks", {})
    if not found:
        return []

    def spread(row, engine, name, digits=0):
        values = [sample[name] for sample in found.get((row, engine), []) if sample.get(name) is not None]
        if not values:
            return "–"
        return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"

    lines = [
        "", "### The task engine", "",
        "No-op tasks, each enqueued in a transaction of its own by 16 producers of 16 accounts, taken, run and ended by one worker of 128 slots in "
        "the same process, with all events, full durability. Over PostgreSQL the server runs on the same two cores. `fsync + 5 ms` delays each commit.",
        "", "| Row | Engine | Tasks/s | Enqueued/s | CPU of our process, µs/task | fsyncs/task |", "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in (RATE, RATE_SLOW, RATE_OLD):
        for engine in ("SQLite", "PostgreSQL"):
            syncs = spread(row, engine, "fsyncsPerTask", 2)
            if row == RATE and engine == "SQLite":
                syncs = spread("syncs", engine, "fsyncsPerTask", 2)
            lines.append(
                f"| {row} | {engine} | {spread(row, engine, 'perSecond')} | {spread(row, engine, 'enqueuedPerSecond')} "
                f"| {spread(row, engine, 'cpuMicrosecondsPerTask')} | {syncs} |")
    for engine in ("SQLite", "PostgreSQL"):
        pickup = found.get(("pickup", engine), [{}])[0]
        if pickup:
            lines += [
                f"- Pick-up when idle, {engine}: median {pickup['p50Milliseconds']:.2f}, p95 {pickup['p95Milliseconds']:.2f}, "
                f"p99 {pickup['p99Milliseconds']:.2f} ms (largest {pickup['maxMilliseconds']:.1f})."]
    for engine in ("SQLite", "PostgreSQL"):
        seconds = found.get(("recovery", engine), [{}])[0].get("seconds")
        if seconds:
            how = "with the start of the new process" if engine == "SQLite" else "by another worker, which must wait for the lease"
            lines.append(f"- {HELD} tasks of a worker killed by `kill -9` had run again after {seconds:.1f} s over {engine} ({how}).")
    lines.insert(lines.index(next(line for line in lines if line.startswith("- Pick-up"))), "")
    return lines + troubles.section(getattr(bench, "troubles", {}))


if __name__ == "__main__":
    recover(*sys.argv[1:])
