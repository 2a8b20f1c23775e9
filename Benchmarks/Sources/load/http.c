#define _GNU_SOURCE
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

void fail(const char *what, const Response *response) {
    if (response) fprintf(stderr, "load: %s: status %d: %.400s\n", what, response->status, response->body);
    else fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

void client_open(Client *client, const Server *server) {
    int on = 1;
    struct timeval limit = {.tv_sec = 120};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
    if (inet_pton(AF_INET, server->host, &address.sin_addr) != 1) fail("host is not an IPv4 address", NULL);
    client->start = client->end = 0;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect", NULL);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

void client_close(Client *client) { close(client->fd); }

static bool send_vector(Client *client, struct iovec *parts, size_t count, int flags) {
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t sent = sendmsg(client->fd, &message, flags | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        while (count > 0 && (size_t)sent >= parts->iov_len) sent -= (ssize_t)parts->iov_len, parts++, count--;
        if (count > 0) parts->iov_base = (char *)parts->iov_base + sent, parts->iov_len -= (size_t)sent;
    }
    return true;
}

bool client_send(Client *client, const void *bytes, size_t count, bool more) {
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    return send_vector(client, &part, 1, more ? MSG_MORE : 0);
}

bool client_send_parts(
    Client *client, const char *head, const void *first, size_t first_count, const void *second, size_t second_count, bool more) {
    struct iovec parts[3] = {
        {.iov_base = (void *)head, .iov_len = strlen(head)},
        {.iov_base = (void *)first, .iov_len = first_count},
        {.iov_base = (void *)second, .iov_len = second_count},
    };
    return send_vector(client, parts, second_count > 0 ? 3 : 2, more ? MSG_MORE : 0);
}

bool client_send_file(Client *client, int fd, uint64_t offset, size_t count) {
    off_t at = (off_t)offset;
    while (count > 0) {
        ssize_t sent = sendfile(client->fd, fd, &at, count);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        count -= (size_t)sent;
    }
    return true;
}

// More bytes into the buffer, behind those not yet consumed. False when there is no room or no more to come.
static bool fill(Client *client) {
    if (client->start > 0) {
        memmove(client->buffer, client->buffer + client->start, client->end - client->start);
        client->end -= client->start;
        client->start = 0;
    }
    if (client->end >= sizeof client->buffer - 1) return false;
    for (;;) {
        ssize_t got = recv(client->fd, client->buffer + client->end, sizeof client->buffer - 1 - client->end, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        client->end += (size_t)got;
        return true;
    }
}

// A line without its end, consumed.
static bool read_line(Client *client, char *into, size_t room) {
    char *end;
    while (!(end = memmem(client->buffer + client->start, client->end - client->start, "\r\n", 2))) {
        if (!fill(client)) return false;
    }
    const char *line = client->buffer + client->start;
    size_t count = (size_t)(end - line), kept = count < room ? count : room - 1;
    memcpy(into, line, kept);
    into[kept] = 0;
    client->start += count + 2;
    return true;
}

// `count` bytes of the body: kept while there is room in the response, the rest dropped by the kernel without a copy.
static bool read_body(Client *client, Response *response, uint64_t count) {
    while (count > 0) {
        size_t kept = response->length < BODY_KEPT - 1 ? response->length : BODY_KEPT - 1;
        size_t ready = client->end - client->start;
        if (ready == 0 && kept == BODY_KEPT - 1 && count > sizeof client->buffer) {
            ssize_t dropped = recv(client->fd, NULL, count, MSG_TRUNC);
            if (dropped < 0 && errno == EINTR) continue;
            if (dropped <= 0) return false;
            response->length += (uint64_t)dropped;
            count -= (uint64_t)dropped;
            continue;
        }
        if (ready == 0) {
            if (!fill(client)) return false;
            continue;
        }
        size_t taken = ready < count ? ready : (size_t)count;
        size_t room = BODY_KEPT - 1 - kept, copied = taken < room ? taken : room;
        memcpy(response->body + kept, client->buffer + client->start, copied);
        response->body[kept + copied] = 0;
        response->length += taken;
        client->start += taken;
        count -= taken;
    }
    return true;
}

static bool read_chunked(Client *client, Response *response) {
    char line[256];
    for (;;) {
        if (!read_line(client, line, sizeof line)) return false;
        uint64_t count = strtoull(line, NULL, 16);
        if (count == 0) break;
        if (!read_body(client, response, count) || !read_line(client, line, sizeof line)) return false;
    }
    do {  // trailers, if any
        if (!read_line(client, line, sizeof line)) return false;
    } while (line[0]);
    return true;
}

// The path of an absolute or relative address.
static void keep_location(Response *response, const char *address) {
    address += strspn(address, " ");
    const char *scheme = strstr(address, "://");
    const char *path = scheme ? strchr(scheme + 3, '/') : address;
    snprintf(response->location, sizeof response->location, "%s", path ? path : "/");
}

static bool receive(Client *client, Response *response, bool bodiless) {
    char line[2048];
    uint64_t length;
    bool chunked;
    do {  // informational responses are passed over
        length = 0;
        chunked = false;
        response->length = 0;
        response->body[0] = response->location[0] = 0;
        response->offset = -1;
        if (!read_line(client, line, sizeof line) || sscanf(line, "HTTP/1.1 %d", &response->status) != 1) return false;
        for (;;) {
            if (!read_line(client, line, sizeof line)) return false;
            if (!line[0]) break;
            if (!strncasecmp(line, "Content-Length:", 15)) length = strtoull(line + 15, NULL, 10);
            if (!strncasecmp(line, "Transfer-Encoding:", 18) && strcasestr(line, "chunked")) chunked = true;
            if (!strncasecmp(line, "Upload-Offset:", 14)) response->offset = strtoll(line + 14, NULL, 10);
            if (!strncasecmp(line, "Location:", 9)) keep_location(response, line + 9);
        }
    } while (response->status < 200);
    if (bodiless || response->status == 204 || response->status == 304) return true;
    return chunked ? read_chunked(client, response) : read_body(client, response, length);
}

bool client_receive(Client *client, Response *response) { return receive(client, response, false); }

void client_head(
    char head[HEAD_SIZE], const Server *server, const char *method, const char *target, const char *fields, uint64_t length) {
    int count = snprintf(
        head, HEAD_SIZE, "%s %s HTTP/1.1\r\nHost: %s:%d\r\nAuthorization: Bearer %s\r\n%sContent-Length: %llu\r\n\r\n", method, target,
        server->host, server->port, server->token, fields, (unsigned long long)length);
    if (count < 0 || count >= HEAD_SIZE) fail("a token too long for the head", NULL);
}

bool client_call(
    Client *client, const Server *server, const char *method, const char *target, const char *fields, const char *body,
    Response *response) {
    char head[HEAD_SIZE];
    client_head(head, server, method, target, fields, strlen(body));
    return client_send_parts(client, head, body, strlen(body), NULL, 0, false) && receive(client, response, !strcmp(method, "HEAD"));
}

bool json_text(const char *json, const char *name, char *into, size_t room) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *at = strstr(json, key);
    if (!at) return false;
    at += strlen(key);
    at += strspn(at, " :\t\r\n");
    if (*at == '"') at++;
    size_t count = strcspn(at, "\",} \r\n");
    if (count == 0 || count >= room) return false;
    memcpy(into, at, count);
    into[count] = 0;
    return true;
}
