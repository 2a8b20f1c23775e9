// The floor: what receiving, writing and hashing cost when nothing else is done.
//
//   floor --port P --folder DIR [--no-hash]
//
// One blocking thread per connection, one buffer of 256 KiB each: recv, SHA-256 (per connection, in the order
// received), pwrite. No database, no fsync, no checks. It answers create, chunk, complete, direct, download, tus and the
// IETF's one POST just far enough that the load generator treats it as it treats the server.
#define _GNU_SOURCE
#define OPENSSL_SUPPRESS_DEPRECATED
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "request.h"
#include "uploads.h"

static const char *folder = ".";
static bool hashing = true;

// The body to `fd` from `next` on (or nowhere, fd < 0), hashed on the way. `next` goes along with what was written.
static bool take_body(Connection *connection, Request *request, int fd, atomic_uint_fast64_t *next, SHA256_CTX *hash) {
    const unsigned char *piece;
    long count;
    uint64_t offset = atomic_load(next);
    while ((count = request_piece(connection, request, &piece)) > 0) {
        if (hashing) SHA256_Update(hash, piece, (size_t)count);
        for (long done = 0; fd >= 0 && done < count;) {
            ssize_t wrote = pwrite(fd, piece + done, (size_t)(count - done), (off_t)(offset + (uint64_t)done));
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote <= 0) return false;
            done += wrote;
        }
        offset += (uint64_t)count;
        atomic_store(next, offset);
    }
    return count == 0;
}

static uint64_t json_number(const char *json, const char *name) {
    const char *found = strstr(json, name);
    found = found ? strchr(found + strlen(name), ':') : NULL;
    return found ? strtoull(found + 1, NULL, 10) : 0;
}

static bool create(Connection *connection, Request *request) {
    char json[4096];
    size_t used = 0;
    const unsigned char *piece;
    long count;
    while ((count = request_piece(connection, request, &piece)) > 0) {
        if (used + (size_t)count >= sizeof json) return false;
        memcpy(json + used, piece, (size_t)count);
        used += (size_t)count;
    }
    if (count < 0) return false;
    json[used] = 0;
    uint64_t size = json_number(json, "\"fileSize\""), chunk = json_number(json, "\"chunkSize\"");
    if (chunk == 0) return reply(connection, 400, "{\"error\":\"chunkSize\"}");
    int number = upload_create(folder, size, chunk);
    if (number < 0) return reply(connection, 507, "{\"error\":\"full\"}");
    char text[256];
    snprintf(
        text, sizeof text, "{\"taskId\":\"%d\",\"chunkSize\":%llu,\"chunksCount\":%llu}", number, (unsigned long long)chunk,
        (unsigned long long)((size + chunk - 1) / chunk));
    return reply(connection, 200, text);
}

static bool download(Connection *connection, int number) {
    const Upload *upload = upload_find(number);
    if (!upload) return reply(connection, 404, "{}");
    char head[128];
    int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)upload->size);
    if (!send_all(connection->fd, head, (size_t)length)) return false;
    unsigned char *piece = malloc(BUFFER_SIZE);
    bool sent = piece != NULL;
    for (uint64_t offset = 0; sent && offset < upload->size;) {
        ssize_t count = pread(upload->fd, piece, BUFFER_SIZE, (off_t)offset);
        sent = count > 0 && send_all(connection->fd, piece, (size_t)count);
        offset += sent ? (uint64_t)count : 0;
    }
    free(piece);
    return sent;
}

// tus, and the IETF's one POST: creation with or without bytes, HEAD, PATCH.
static bool stream(Connection *connection, Request *request, SHA256_CTX *hash) {
    bool created = !strcmp(request->method, "POST"), patched = !strcmp(request->method, "PATCH");
    uint64_t size = request->total > 0 ? request->total : request->length;
    const char *at = strrchr(request->target, '/');
    int number = created ? upload_create(folder, size, size) : atoi(at + 1);
    Upload *upload = upload_find(number);
    if (!upload) return reply(connection, created ? 507 : 404, "{}");
    upload_take_over(upload, created || patched ? connection->fd : -1);
    if (patched) atomic_store(&upload->received, request->offset);
    bool taken = take_body(connection, request, upload->fd, &upload->received, hash);
    upload_leave(upload, connection->fd);
    char fields[256];
    snprintf(
        fields, sizeof fields, "Location: /api/tus/%d\r\nUpload-Offset: %llu\r\n", number,
        (unsigned long long)atomic_load(&upload->received));
    return taken && reply_fields(connection, created ? 201 : patched ? 204 : 200, fields);
}

static bool answer(Connection *connection, Request *request, SHA256_CTX *hash) {
    const char *at;
    int number = -1;
    unsigned long long index = 0;
    char text[64];
    atomic_uint_fast64_t next = 0;
    if (!strncmp(request->target, "/api/tus", 8) || !strncmp(request->target, "/api/uploads", 12)) return stream(connection, request, hash);
    if (!strcmp(request->method, "GET")) {
        at = strrchr(request->target, '/');
        return download(connection, at ? atoi(at + 1) : -1);
    }
    if (strstr(request->target, "/upload/create")) return create(connection, request);
    if ((at = strstr(request->target, "/upload/chunk/")) != NULL) {
        const Upload *upload = sscanf(at, "/upload/chunk/%d/%llu", &number, &index) == 2 ? upload_find(number) : NULL;
        if (!upload) return false;
        atomic_store(&next, index * upload->chunk);
        return take_body(connection, request, upload->fd, &next, hash) && reply(connection, 200, "{}");
    }
    if (!take_body(connection, request, -1, &next, hash)) return false;
    at = strstr(request->target, "/upload/complete/");
    snprintf(text, sizeof text, "{\"id\":\"%d\"}", at ? atoi(at + strlen("/upload/complete/")) : 0);
    return reply(connection, 200, text);
}

static void *serve(void *argument) {
    Connection connection = {.fd = (int)(long)argument, .buffer = malloc(BUFFER_SIZE)};
    Request request;
    SHA256_CTX hash;
    SHA256_Init(&hash);
    while (connection.buffer && request_read(&connection, &request) && answer(&connection, &request, &hash)) {
    }
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256_Final(digest, &hash);
    free(connection.buffer);
    close(connection.fd);
    return NULL;
}

int main(int count, char **arguments) {
    int port = 0;
    for (int i = 1; i < count; i++) {
        if (!strcmp(arguments[i], "--no-hash")) hashing = false;
        else if (!strcmp(arguments[i], "--port") && i + 1 < count) port = atoi(arguments[++i]);
        else if (!strcmp(arguments[i], "--folder") && i + 1 < count) folder = arguments[++i];
        else port = -1;
    }
    if (port <= 0) {
        fprintf(stderr, "usage: floor --port P --folder DIR [--no-hash]\n");
        return 64;
    }
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 256) != 0) {
        perror("floor: listen");
        return 71;
    }
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_t thread;
        if (pthread_create(&thread, &detached, serve, (void *)(long)fd) != 0) close(fd);
    }
}
