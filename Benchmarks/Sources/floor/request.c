#define _GNU_SOURCE
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

bool send_all(int fd, const void *bytes, size_t count) {
    const char *next = bytes;
    while (count > 0) {
        ssize_t sent = send(fd, next, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        next += sent;
        count -= (size_t)sent;
    }
    return true;
}

bool reply(Connection *connection, int status, const char *json) {
    char text[1024];
    int length = snprintf(
        text, sizeof text, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
        status == 200 ? "OK" : "Error", strlen(json), json);
    return length > 0 && (size_t)length < sizeof text && send_all(connection->fd, text, (size_t)length);
}

bool reply_fields(Connection *connection, int status, const char *fields) {
    char text[1024];
    int length = snprintf(
        text, sizeof text, "HTTP/1.1 %d Done\r\n%s%s\r\n", status, fields, status == 204 ? "" : "Content-Length: 0\r\n");
    return length > 0 && (size_t)length < sizeof text && send_all(connection->fd, text, (size_t)length);
}

// `name` is the field's with the line end before it and the colon behind it.
static uint64_t number_field(const char *head, const char *name) {
    const char *field = strcasestr(head, name);
    return field ? strtoull(field + strlen(name), NULL, 10) : 0;
}

static long receive(Connection *connection, void *into, size_t room) {
    for (;;) {
        ssize_t got = recv(connection->fd, into, room, 0);
        if (got < 0 && errno == EINTR) continue;
        return got;
    }
}

bool request_read(Connection *connection, Request *request) {
    if (connection->start > 0) {
        memmove(connection->buffer, connection->buffer + connection->start, connection->end - connection->start);
        connection->end -= connection->start;
        connection->start = 0;
    }
    unsigned char *blank;
    while (!(blank = memmem(connection->buffer, connection->end, "\r\n\r\n", 4))) {
        if (connection->end >= 16 * 1024) return false;
        long got = receive(connection, connection->buffer + connection->end, BUFFER_SIZE - connection->end);
        if (got <= 0) return false;
        connection->end += (size_t)got;
    }
    *blank = 0;
    char *head = (char *)connection->buffer;
    connection->start = (size_t)(blank - connection->buffer) + 4;
    if (sscanf(head, "%7s %511s", request->method, request->target) != 2) return false;
    request->left = request->length = number_field(head, "\r\nContent-Length:");
    request->offset = number_field(head, "\r\nUpload-Offset:");
    request->total = number_field(head, "\r\nUpload-Length:");
    if (strcasestr(head, "\r\nExpect: 100-continue")) return send_all(connection->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

long request_piece(Connection *connection, Request *request, const unsigned char **piece) {
    if (request->left == 0) return 0;
    size_t ready = connection->end - connection->start;
    if (ready == 0) {
        size_t room = request->left < BUFFER_SIZE ? (size_t)request->left : BUFFER_SIZE;
        long got = receive(connection, connection->buffer, room);
        if (got <= 0) return -1;
        connection->start = 0;
        connection->end = ready = (size_t)got;
    }
    size_t count = ready < request->left ? ready : (size_t)request->left;
    *piece = connection->buffer + connection->start;
    connection->start += count;
    request->left -= count;
    return (long)count;
}
