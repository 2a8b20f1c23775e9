"""The task engine while PostgreSQL is in trouble: the rate before and after, and what became of every task.

Alone, with a benchmark program that was built: python3 -m driver.troubles PROGRAM (in Benchmarks)
"""

import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time

from .cluster import CONTROL, Cluster, Refused
from .servers import RowFailed, stop

ROUNDS = int(os.environ.get("TROUBLE_ROUNDS", "3"))
WARM_UP, WINDOW, SETTLE = 8.0, 6.0, 5.0  # seconds
KILLS, HELD = 5, 3.0  # times within a second; seconds
OTHERS = f"FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> '{CONTROL}'"
END_OTHERS = f"SELECT pg_terminate_backend(pid) {OTHERS}"

NONE, RESTART, KILL, EXHAUST = "no trouble", "PostgreSQL crashed and restarted", "its backends ended", "its connections exhausted"


def nothing(cluster):
    """For comparison: what two windows in a row differ by anyway."""


def restart(cluster):
    cluster.crash_and_start()


def kill_backends(cluster):
    control = cluster.session()
    for number in range(KILLS):
        control.query(END_OTHERS)
        if number + 1 < KILLS:
            time.sleep(1 / KILLS)
    control.close()


def exhaust(cluster):
    """Takes every connection there is, those that are kept for superusers too, and ends the engine's until it has none."""
    control = cluster.session()
    held = []
    try:
        end = time.monotonic() + HELD
        while time.monotonic() < end:
            control.query(END_OTHERS)
            try:
                while True:
                    held.append(cluster.session())
            except Refused:
                time.sleep(0.02)
        left = control.number(f"SELECT COUNT(*) {OTHERS}")
        if left or len(held) + 1 < cluster.connections:
            raise RowFailed(f"the connections were not exhausted: {left:.0f} were others', {len(held)} of {cluster.connections} ours")
    finally:
        for session in [*held, control]:
            session.close()


TROUBLES = ((NONE, nothing), (RESTART, restart), (KILL, kill_backends), (EXHAUST, exhaust))


class Window:
    def __init__(self, seconds):
        self.begin = time.time()
        time.sleep(seconds)
        self.end = time.time()

    def rate(self, control):
        return control.number(f"SELECT COUNT(*) FROM tasks WHERE {ended(self.begin, self.end)}") / (self.end - self.begin)


def ended(begin, end):
    """A task's end is the time of the transaction that completed it, by the clock of this machine."""
    return f"kind = 'bench' AND status = 'Completed' AND completed_at >= to_timestamp({begin!r}) AND completed_at < to_timestamp({end!r})"


class Load:
    """The engine's process under load."""

    def __init__(self, program, url, folder):
        self.errors = tempfile.TemporaryFile("w+", dir=folder)
        self.process = subprocess.Popen(
            [program, "load", "--url", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def expect(self, word):
        there, _, _ = select.select([self.process.stdout], [], [], 60)
        if not there or self.process.stdout.readline().strip() != word:
            raise self.failure(f"it did not say '{word}'")

    def check(self):
        if self.process.poll() is not None:
            raise self.failure("it ended")

    def finish(self):
        """No more tasks; what became of all."""
        try:
            answer, _ = self.process.communicate(timeout=120)
        except subprocess.TimeoutExpired as error:
            raise self.failure("its tasks did not end") from error
        if self.process.returncode != 0:
            raise self.failure(f"code {self.process.returncode}")
        return json.loads(answer.strip().splitlines()[-1])

    def failure(self, what):
        self.errors.seek(0)
        return RowFailed(f"tasks under trouble: {what}: {self.errors.read()[-500:].strip()}")

    def close(self):
        stop(self.process)
        self.errors.close()


def one_round(program, root, troubles, window):
    """All troubles under one load; the window after one is the window before the next."""
    samples = {}
    with Cluster(root) as cluster:
        load = Load(program, cluster.url, root)
        try:
            load.expect("running")
            time.sleep(WARM_UP)
            windows = [Window(window)]
            spans = []
            for _, trouble in troubles:
                begin = time.time()
                trouble(cluster)
                spans.append((begin, time.time()))
                time.sleep(SETTLE)
                load.check()
                windows.append(Window(window))
            books = load.finish()
        finally:
            load.close()
        control = cluster.session()
        rates = [window.rate(control) for window in windows]
        for index, (name, _) in enumerate(troubles):
            (begin, end), until = spans[index], windows[index + 1].end
            first = control.number(f"SELECT EXTRACT(EPOCH FROM MIN(completed_at)) FROM tasks WHERE {ended(end, until)}")
            gap = control.number(
                "SELECT EXTRACT(EPOCH FROM MAX(gap)) FROM (SELECT completed_at - LAG(completed_at) OVER (ORDER BY completed_at) AS gap "
                f"FROM tasks WHERE {ended(begin - 1, until)}) AS gaps")
            samples[name] = {
                "before": rates[index], "after": rates[index + 1], "ratio": rates[index + 1] / rates[index] if rates[index] else 0,
                "trouble": end - begin, "first": None if first is None else first - end, "standstill": gap,
            }
        control.close()
    return samples, books


def measure(program, root, quick=False):
    """{trouble: [samples]} and what became of the tasks in each round."""
    found, books = {}, []
    for number in range(1 if quick else ROUNDS):
        # Each comes after another one in each round.
        turned = TROUBLES[number % len(TROUBLES):] + TROUBLES[:number % len(TROUBLES)]
        try:
            samples, account = one_round(program, root, turned, WINDOW / 2 if quick else WINDOW)
        except (OSError, Refused, subprocess.TimeoutExpired) as error:
            raise RowFailed(f"tasks under trouble: {error}") from error
        for name, sample in samples.items():
            found.setdefault(name, []).append(sample)
        books.append(account)
    return {"samples": found, "books": books}


WRONG = ("lost", "unended", "effectsTwice", "effectsMissing", "toldTwice", "untold")


def of_medians(samples):
    """The median rate after, against the median rate before: single windows of a shared machine differ by a fifth."""
    if not samples:
        return None
    return statistics.median(sample["after"] for sample in samples) / statistics.median(sample["before"] for sample in samples)


def verdicts(found, say):
    samples, books = found.get("samples", {}), found.get("books", [])
    for name, _ in TROUBLES[1:]:
        ratio = of_medians(samples.get(name, []))
        # Two windows without any trouble between them differ by as much as the first line says.
        calm = of_medians(samples.get(NONE, []))
        measured = f"{ratio:.0%}, without trouble {calm:.0%}" if ratio is not None else ""
        say(f"tasks per second after {name}, against before", "≥ 95 %", measured, ratio >= 0.95 if ratio is not None else None)
    wrong = {name: sum(book[name] for book in books) for name in WRONG}
    tasks = sum(book["completed"] for book in books)
    measured = f"{', '.join(f'{count} {name}' for name, count in wrong.items() if count) or 'none'} of {tasks:,}" if books else ""
    say("tasks lost, side effects and events missing or twice under these troubles", "none", measured,
        not any(wrong.values()) if books else None)


def section(found):
    """The rows in full, as Markdown lines."""
    samples, books = found.get("samples", {}), found.get("books", [])
    if not samples:
        return []

    def spread(name, value, digits=0, scale=1):
        values = [sample[value] * scale for sample in samples.get(name, []) if sample[value] is not None]
        if not values:
            return "never"
        return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"

    lines = [
        "", f"Under trouble: a PostgreSQL server of its own, 16 producers of 16 accounts and one worker in one process all the time. Each task's handler "
        f"inserts a row into a table without keys, in a fenced transaction of its own with its checkpoint. Windows of {WINDOW:.0f} s; the one after "
        f"begins {SETTLE:.0f} s after the end of the trouble. Restarted: as by `pg_ctl restart -m immediate`. Ended: all backends, {KILLS} times "
        f"within a second. Exhausted: every connection taken by others and the engine's ended, for {HELD:.0f} s.",
        "", "| Trouble | It took, s | Tasks/s before | Tasks/s after | After / before, % | First task ended after it, s | Longest standstill, s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, _ in TROUBLES:
        lines.append(
            f"| {name} | {spread(name, 'trouble', 1)} | {spread(name, 'before')} | {spread(name, 'after')} | {spread(name, 'ratio', 0, 100)} "
            f"| {spread(name, 'first', 2)} | {spread(name, 'standstill', 2)} |")
    totals = {name: sum(book[name] for book in books) for name in books[0]}
    lines += [
        "", f"- Of {totals['accepted']:,} accepted tasks {totals['lost']} were lost and {totals['unended']} left unended. "
        f"{totals['effectsTwice']} side effects came twice, {totals['effectsMissing']} are missing; {totals['toldTwice']} `task.completed` events came "
        f"twice, {totals['untold']} are missing. Attempts may run again, and did {totals['runsAgain']:,} times ({totals['failedAttempts']:,} failed "
        f"attempts are on record); {totals['refused']:,} enqueues were refused meanwhile."]
    return lines


def main(program):
    with tempfile.TemporaryDirectory(prefix="drive-troubles-") as root:
        os.chmod(root, 0o755)
        found = measure(os.path.abspath(program), root)
    print(json.dumps(found["books"]))
    print(json.dumps(found["samples"]))
    verdicts(found, lambda *words: print(*words, sep=" | "))
    print("\n".join(section(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
