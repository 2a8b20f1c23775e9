// The files of the floor: preallocated, without a name.
#ifndef UPLOADS_H
#define UPLOADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int fd;
    uint64_t size, chunk;
    atomic_uint_fast64_t received;  // of a stream: where its next byte goes
    int sender;                     // the connection that sends a stream; -1 where none does
} Upload;

// The number of a new file, -1 where there is no room.
int upload_create(const char *folder, uint64_t size, uint64_t chunk);
// NULL where there is none of that number.
Upload *upload_find(int number);
// `connection` sends from now on, and who did before is cut off. -1 only cuts off.
void upload_take_over(Upload *upload, int connection);
void upload_leave(Upload *upload, int connection);

#endif
