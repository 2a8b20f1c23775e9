"""One measurement: the load generator against a contender, with CPU, memory and disturbance read around it."""

import dataclasses
import json
import os
import statistics
import subprocess
import time

from . import machine
from .servers import RowFailed


@dataclasses.dataclass
class Row:
    """One line of the table: every list holds one value per repetition."""

    name: str
    contender: str
    operation: str = "chunk"
    samples: dict = dataclasses.field(default_factory=dict)
    calls: float | None = None  # system calls per operation
    syncs: float | None = None  # fsyncs per operation
    remark: str = ""
    error: str = ""

    def add(self, sample):
        for name, value in sample.items():
            self.samples.setdefault(name, []).append(value)

    def median(self, name):
        values = self.samples.get(name)
        return statistics.median(values) if values else None


def paired_ratio(row, base, name):
    """The median of the ratios of each repetition, with the smallest and the largest."""
    pairs = list(zip(row.samples.get(name, []), base.samples.get(name, [])))
    ratios = sorted(mine / theirs for mine, theirs in pairs if theirs > 0)
    return (statistics.median(ratios), ratios[0], ratios[-1]) if ratios else None


class Meter:
    """Runs the load generator and measures what a contender spends on it."""

    def __init__(self, tools, deadline):
        self.load_path, self.deadline = os.path.join(tools, "load"), deadline
        self.disturbance = []  # share of all cores that others took in timed runs

    def check_time(self):
        if time.monotonic() > self.deadline:
            raise RowFailed("the time given to the whole run was over")

    def load(self, server, mode, **options):
        """The load generator's answer. Options become `--name value`; True becomes `--name` alone."""
        command = [self.load_path, mode, "--port", str(server.port), "--token", server.token]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                command.append(flag)
            elif value not in (None, False):
                command += [flag, str(value)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired as error:
            raise RowFailed(f"{mode}: not through within 300 s") from error
        if done.returncode != 0:
            raise RowFailed(f"{mode}: {done.stderr[-500:].strip()}")
        answer = json.loads(done.stdout)
        if answer.get("refused"):
            raise RowFailed(f"{mode}: {answer['refused']} requests refused: {done.stderr[-300:].strip()}")
        return answer

    def timed(self, server, amount, mode, warm=True, **options):
        """A sample of a run that moves `amount` bytes."""
        self.check_time()
        os.sync()  # what others left dirty is not this run's to write
        if warm:
            machine.warm_memory(2 * amount)
        server.reset_peak()
        busy, begin = machine.busy_seconds(), time.monotonic()
        user, system = server.cpu()
        answer = self.load(server, mode, **options)
        time.sleep(0.1)  # work that trails the last reply counts too
        user, system = server.cpu()[0] - user, server.cpu()[1] - system
        others = machine.busy_seconds() - busy - user - system - answer["client_cpu_s"]
        self.disturbance.append(max(0.0, others) / ((time.monotonic() - begin) * (os.cpu_count() or 1)))
        gib = amount / machine.GIB
        sample = {"cpu": (user + system) / gib, "user": user / gib, "system": system / gib, "peak": server.peak_mib()}
        return sample | {name: value for name, value in answer.items() if isinstance(value, (int, float))}, answer
