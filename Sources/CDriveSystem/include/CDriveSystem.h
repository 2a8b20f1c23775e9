#ifndef C_DRIVE_SYSTEM_H
#define C_DRIVE_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `length` bytes, continuing from `crc` (0 at the start).
uint32_t drive_crc32c(uint32_t crc, const void *bytes, size_t length);

/// Asks the kernel to start writing dirty pages of a range to the disk (sync_file_range(2), SYNC_FILE_RANGE_WRITE).
/// Returns 0 or an errno; a kernel without the call answers 0: it is a hint only.
int drive_start_writeback(int fd, int64_t offset, int64_t length);

/// Allocates `length` bytes from the file's start (fallocate(2)); the file's size grows only without `keep_size`.
/// Returns 0 or an errno (ENOSPC where the disk has no room).
int drive_preallocate(int fd, int64_t length, int keep_size);

#endif
