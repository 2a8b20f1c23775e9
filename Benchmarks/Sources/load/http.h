// One connection of a client, blocking.
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BODY_KEPT = 8 * 1024, TARGET_SIZE = 512, HEAD_SIZE = 4096 };

typedef struct {
    const char *host;  // IPv4
    int port;
    const char *token;
} Server;

typedef struct {
    int fd;
    char buffer[64 * 1024];
    size_t start, end;  // bytes received and not yet taken
} Client;

typedef struct {
    int status;
    uint64_t length;             // of the whole body
    char body[BODY_KEPT];        // its beginning, ended by 0
    char location[TARGET_SIZE];  // the path in Location; "" where there is none
    int64_t offset;              // Upload-Offset; -1 where there is none
} Response;

// Prints what failed and ends the program with code 1.
void fail(const char *what, const Response *response) __attribute__((noreturn));

void client_open(Client *client, const Server *server);
void client_close(Client *client);
// A request's head with its blank line. `fields` are whole lines; `length` is the body's.
void client_head(
    char head[HEAD_SIZE], const Server *server, const char *method, const char *target, const char *fields, uint64_t length);
bool client_send(Client *client, const void *bytes, size_t count, bool more);
bool client_send_parts(
    Client *client, const char *head, const void *first, size_t first_count, const void *second, size_t second_count, bool more);
bool client_send_file(Client *client, int fd, uint64_t offset, size_t count);
bool client_receive(Client *client, Response *response);
// A whole call; the body may be "".
bool client_call(
    Client *client, const Server *server, const char *method, const char *target, const char *fields, const char *body,
    Response *response);
// A member's text or number; the first of that name wherever it stands.
bool json_text(const char *json, const char *name, char *into, size_t room);

#endif
