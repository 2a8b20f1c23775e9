"""System calls of a running process, by strace, in a run that is not timed."""

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

from .servers import RowFailed

# Calls that come from waiting, threads and the allocator: their number depends on timing, not on the work done.
WAITING = frozenset(
    """futex epoll_wait epoll_pwait epoll_pwait2 epoll_ctl poll ppoll select pselect6 sched_yield nanosleep clock_nanosleep
    restart_syscall timerfd_settime madvise mmap munmap mprotect mremap brk rt_sigprocmask rt_sigreturn rt_sigaction sigaltstack gettid
    getpid clock_gettime clone clone3 set_robust_list rseq prctl exit sched_getaffinity""".split()
)
SYNCS = frozenset(["fsync", "fdatasync", "syncfs", "sync"])
READS = frozenset("read pread64 readv preadv preadv2 sendfile copy_file_range splice".split())
CALL = re.compile(r"^(\d+)\s+(\w+)\((?:-?\d+<((?:[^<>\\]|\\.)*)>)?")
RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>")
RESULT = re.compile(r"\)\s+=\s+(-?\d+)")


class TraceFailed(RowFailed):
    """strace could not look at the process; timings are not touched by that."""


class Calls:
    """What was counted: `all` calls, `work` without waiting, `syncs`, `data` bytes read from files that are no database."""

    def __init__(self):
        self.all = self.work = self.syncs = self.data = 0
        self.names = collections.Counter()

    def add(self, name, path):
        self.all += 1
        self.names[name] += 1
        if name in SYNCS:
            self.syncs += 1
        woken = path.startswith("anon_inode:") or path.startswith("pipe:")
        if name not in WAITING and not woken:
            self.work += 1

    def add_result(self, name, path, result):
        if name in READS and result > 0 and path.startswith("/") and not is_support(path):
            self.data += result


def is_support(path):
    """Files that are not stored contents: the database and what the system offers."""
    name = os.path.basename(path.removesuffix("(deleted)"))
    system = path.startswith(("/proc/", "/sys/", "/dev/", "/etc/", "/usr/"))
    return system or bool(re.search(r"\.(db|sqlite3?)\b|-(wal|shm|journal)$", name))


def parse(lines):
    calls, pending = Calls(), {}
    for line in lines:
        resumed = RESUMED.match(line)
        if resumed:
            name, path = pending.pop(resumed[1], (resumed[2], ""))
        else:
            begun = CALL.match(line)
            if not begun:
                continue
            name, path = begun[2], begun[3] or ""
            calls.add(name, path)
            if line.rstrip().endswith("<unfinished ...>"):
                pending[begun[1]] = (name, path)
                continue
        result = RESULT.findall(line)
        if result:
            calls.add_result(name, path, int(result[-1]))
    return calls


def available():
    return shutil.which("strace") is not None


@contextlib.contextmanager
def tracing(server):
    """Traces while the block runs. The list it gives holds the `Calls` afterwards."""
    found = []
    output, messages = os.path.join(server.folder, "trace"), os.path.join(server.folder, "trace-messages")
    with open(messages, "wb") as file:
        tracer = subprocess.Popen(
            ["strace", "-f", "-y", "-s", "0", "-o", output, "-p", str(server.pid)], stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        end = time.monotonic() + 10
        while True:
            with open(messages, errors="replace") as file:
                said = file.read()
            if "attached" in said:
                break
            if tracer.poll() is not None or time.monotonic() > end:
                raise TraceFailed(f"strace could not attach: {said[-200:].strip()}")
            time.sleep(0.05)
        time.sleep(0.3)
        yield found
        time.sleep(0.2)
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        try:
            tracer.wait(timeout=20)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.wait(timeout=10)
    with open(output, errors="replace") as lines:
        found.append(parse(lines))
