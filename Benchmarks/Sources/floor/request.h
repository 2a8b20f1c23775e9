// HTTP/1.1 just far enough: a head, and a body of known length in pieces.
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUFFER_SIZE = 256 * 1024 };

typedef struct {
    int fd;
    unsigned char *buffer;  // BUFFER_SIZE
    size_t start, end;      // bytes received and not yet taken
} Connection;

typedef struct {
    char method[8];
    char target[512];
    uint64_t length, left;   // of the body
    uint64_t offset, total;  // Upload-Offset and Upload-Length, 0 where they are missing
} Request;

// The next request's head; false at the end of the connection.
bool request_read(Connection *connection, Request *request);
// The next bytes of the body, inside the buffer: their count, 0 at the end, -1 where the connection broke.
long request_piece(Connection *connection, Request *request, const unsigned char **piece);

bool send_all(int fd, const void *bytes, size_t count);
bool reply(Connection *connection, int status, const char *json);
// An answer without a body; `fields` are whole lines.
bool reply_fields(Connection *connection, int status, const char *fields);

#endif
