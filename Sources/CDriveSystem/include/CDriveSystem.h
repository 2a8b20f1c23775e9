#ifndef C_DRIVE_SYSTEM_H
#define C_DRIVE_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `length` bytes, continuing from `crc` (0 at the start).
uint32_t drive_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The CRC-32C of two runs of bytes one after the other, from the checksum of each and the length of the second.
uint32_t drive_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_length);

/// Asks the kernel to start writing dirty pages of a range to the disk (sync_file_range(2), SYNC_FILE_RANGE_WRITE).
/// Returns 0 or an errno; a kernel without the call answers 0: it is a hint only.
int drive_start_writeback(int fd, int64_t offset, int64_t length);

/// Allocates `length` bytes from the file's start (fallocate(2)); the file's size grows only without `keep_size`.
/// Returns 0 or an errno (ENOSPC where the disk has no room).
int drive_preallocate(int fd, int64_t length, int keep_size);

/// Copies `length` bytes between files: copy_file_range(2), which shares extents where the file system can, or read and
/// write where the system or the pair of file systems has no such call. Stops early at the end of `from`.
/// Returns 0 or an errno; `copied` tells how many bytes are there.
int drive_copy_range(int from, int64_t from_offset, int to, int64_t to_offset, int64_t length, int64_t *copied);

/// A second descriptor of the open file `fd`, for reading and writing around the page cache (O_DIRECT of open(2)).
/// Returns -1 where the system or the file's file system has none.
int drive_open_direct(int fd);

/// Reads bytes that are in the page cache, without waiting for the disk (RWF_NOWAIT of preadv2(2)). Returns how many
/// were read, 0 also where none are cached, the file ends, or the system has no such call.
int64_t drive_read_cached(int fd, void *into, size_t count, int64_t offset);

#endif
