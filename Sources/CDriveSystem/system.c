#define _GNU_SOURCE
#include "CDriveSystem.h"

#include <errno.h>
#include <fcntl.h>
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
