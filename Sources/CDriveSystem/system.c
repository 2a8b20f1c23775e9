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

static int copy_by_hand(int from, int64_t from_offset, int to, int64_t to_offset, int64_t length, int64_t *copied) {
    char block[65536];
    while (*copied < length) {
        size_t wanted = length - *copied < (int64_t)sizeof block ? (size_t)(length - *copied) : sizeof block;
        ssize_t got = pread(from, block, wanted, from_offset + *copied);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) return 0;
        for (ssize_t done = 0; done < got;) {
            ssize_t put = pwrite(to, block + done, (size_t)(got - done), to_offset + *copied + done);
            if (put < 0 && errno == EINTR) continue;
            if (put <= 0) return put < 0 ? errno : EIO;
            done += put;
        }
        *copied += got;
    }
    return 0;
}

int drive_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, int64_t length, int64_t *copied) {
    *copied = 0;
#if defined(__linux__)
    while (*copied < length) {
        off_t source = from_offset + *copied, target = to_offset + *copied;
        ssize_t got = copy_file_range(from, &source, to, &target, (size_t)(length - *copied), 0);
        if (got > 0) {
            *copied += got;
            continue;
        }
        if (got == 0) return 0;
        if (errno == EINTR) continue;
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return errno;
        int64_t rest = 0;
        int result = copy_by_hand(from, from_offset + *copied, to, to_offset + *copied, length - *copied, &rest);
        *copied += rest;
        return result;
    }
    return 0;
#else
    return copy_by_hand(from, from_offset, to, to_offset, length, copied);
#endif
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
