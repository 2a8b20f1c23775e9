"""The machine: what it is, how much disk is left, how fast it syncs, and memory that is truly there."""

import mmap
import os
import platform
import shutil
import statistics
import time

GIB = 1 << 30
MIB = 1 << 20


def size_text(count):
    """A size in the unit that leaves no fraction."""
    return f"{count // GIB} GiB" if count % GIB == 0 else f"{count // MIB} MiB"


def first_match(path, prefix):
    with open(path) as file:
        for line in file:
            if line.startswith(prefix):
                return line.split(":", 1)[1].strip()
    return "unknown"


def filesystem(folder):
    """The type of the file system that holds `folder`."""
    folder, best = os.path.realpath(folder), ("", "unknown")
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, point, kind = line.split()[:3]
            inside = folder == point or folder.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


def fsync_milliseconds(folder, count=50):
    """The median time of writing 4 KiB and syncing it."""
    path, times = os.path.join(folder, "fsync-probe"), []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(count):
            os.write(fd, bytes(4096))
            begin = time.perf_counter()
            os.fsync(fd)
            times.append((time.perf_counter() - begin) * 1e3)
    finally:
        os.close(fd)
        os.unlink(path)
    return statistics.median(times)


def describe(folder):
    """One line that says what the numbers were taken on; no names of hosts, no paths."""
    memory = int(first_match("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    return (
        f"{os.cpu_count()} cores ({first_match('/proc/cpuinfo', 'model name')}), {memory:.0f} GiB memory, "
        f"Linux {platform.release().split('-')[0]}, {filesystem(folder)}, one fsync {fsync_milliseconds(folder):.2f} ms"
    )


def free_disk(folder):
    return shutil.disk_usage(folder).free


def warm_memory(count):
    """Touches `count` bytes and gives them back.

    A virtual machine's free memory may not be backed by its host; the first touch of such a page costs far more than writing
    it, and whoever runs next would pay. Touching it just before a timed run leaves every contender the same, warm pages.
    """
    available = int(first_match("/proc/meminfo", "MemAvailable").split()[0]) << 10
    count = min(count, available // 2) // MIB * MIB
    if count <= 0:
        return
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_POPULATE", 0x8000)
    mmap.mmap(-1, count, flags=flags).close()


def busy_seconds():
    """CPU time the whole machine has spent on anything but idling."""
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    user, nice, system, _idle, _wait, interrupts, soft = ticks[:7]
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")
