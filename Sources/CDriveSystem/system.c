#define _GNU_SOURCE
#include "CDriveSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

int drive_start_writeback(int fd, int64_t offset, int64_t length) {
#if defined(__linux__)
    if (sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE) == 0) return 0;
    return errno == ENOSYS || errno == ESPIPE ? 0 : errno;
#else
    (void)fd; (void)offset; (void)length;
    return 0;
#endif
}

int drive_preallocate(int fd, int64_t length, int keep_size) {
    if (length <= 0) return 0;
#if defined(__linux__)
    int result;
    do {
        result = fallocate(fd, keep_size ? FALLOC_FL_KEEP_SIZE : 0, 0, length);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS) return errno;
#endif
    if (keep_size) return 0;
    return ftruncate(fd, length) == 0 ? 0 : errno;
}

int drive_open_direct(int fd) {
#if defined(__linux__)
    // By the descriptor, not by the path: it is the same file whatever happened to its name.
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
#else
    (void)fd;
    return -1;
#endif
}

int64_t drive_read_cached(int fd, void *into, size_t count, int64_t offset) {
#if defined(__linux__) && defined(RWF_NOWAIT)
    struct iovec part = {.iov_base = into, .iov_len = count};
    ssize_t got = preadv2(fd, &part, 1, offset, RWF_NOWAIT);
    return got > 0 ? got : 0;
#else
    (void)fd; (void)into; (void)count; (void)offset;
    return 0;
#endif
}
