// The files of the floor: preallocated, without a name.
#ifndef UPLOADS_H
#define UPLOADS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int fd;
    uint64_t size, chunk;
} Upload;

// The number of a new file, -1 where there is no room.
int upload_create(const char *folder, uint64_t size, uint64_t chunk);
bool upload_find(int number, Upload *upload);

#endif
