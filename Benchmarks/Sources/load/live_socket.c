// A WebSocket that listens: frames are parsed as they come, and only the beginning of each is kept.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "live.h"

enum { CONTINUATION = 0, CLOSE = 8, PING = 9, CONTROL = 8 };

static void refuse(const char *what, const char *text) {
    fprintf(stderr, "load: %s: %.400s\n", what, text);
    exit(1);
}

void socket_open(Socket *socket, const Server *server) {
    static Client client;  // for its connecting alone
    char head[HEAD_SIZE];
    client_open(&client, server);
    *socket = (Socket){.fd = client.fd};
    int count = snprintf(
        head, sizeof head,
        "GET /ws HTTP/1.1\r\nHost: %s:%d\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        server->host, server->port, server->token);
    if (count < 0 || count >= HEAD_SIZE || !client_send(&client, head, (size_t)count, false)) fail("upgrade", NULL);
    // Up to the blank line and no further: packets may lie behind it.
    for (;;) {
        ssize_t there = recv(socket->fd, head, sizeof head - 1, MSG_PEEK);
        if (there < 0 && errno == EINTR) continue;
        if (there <= 0) fail("upgrade", NULL);
        head[there] = 0;
        char *end = memmem(head, (size_t)there, "\r\n\r\n", 4);
        if (strncmp(head, "HTTP/1.1 101", there < 12 ? (size_t)there : 12) != 0) refuse("upgrade", head);
        if (end && recv(socket->fd, head, (size_t)(end - head) + 4, MSG_WAITALL) == end - head + 4) break;
        if (there == sizeof head - 1) refuse("upgrade", "a head without an end");
        if (!end) usleep(1000);
    }
    int on = 1;
    setsockopt(socket->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (fcntl(socket->fd, F_SETFL, O_NONBLOCK) != 0) fail("O_NONBLOCK", NULL);
}

double day_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t task_hash(const char *id) {
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (; *id; id++) hash = (hash ^ (uint8_t)*id) * 0x100000001b3;
    return hash;
}

static double parsed_time(const char *text) {
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!rest) refuse("not a time", text);
    return (double)timegm(&parts) + (*rest == '.' ? strtod(rest, NULL) : 0);
}

static void classify(const char *text, Packet *packet) {
    char type[64], value[128];
    packet->kind = PACKET_OTHER;
    packet->task = 0;
    packet->created = 0;
    if (!json_text(text, "type", type, sizeof type)) refuse("packet without type", text);
    if (!strcmp(type, "ready")) packet->kind = PACKET_READY;
    else if (!strcmp(type, "snapshot")) packet->kind = PACKET_SNAPSHOT;
    else if (!strcmp(type, "error")) refuse("error packet", text);
    else if (!strcmp(type, "task.progress")) packet->kind = PACKET_PROGRESS;
    else if (!strcmp(type, "task.completed")) packet->kind = PACKET_ENDED;
    else if (!strcmp(type, "task.created")) {
        packet->kind = PACKET_CREATED;
        if (json_text(text, "taskId", value, sizeof value)) packet->task = task_hash(value);
        if (json_text(text, "createdAt", value, sizeof value)) packet->created = parsed_time(value);
    }
}

// The whole head of a frame from the server: never masked.
static unsigned head_size(const Socket *socket) {
    if (socket->head_count < 2) return 2;
    unsigned length = socket->head[1] & 0x7f;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

static uint64_t payload_length(const Socket *socket) {
    uint64_t length = socket->head[1] & 0x7f;
    unsigned size = head_size(socket);
    if (size > 2) length = 0;
    for (unsigned i = 2; i < size; i++) length = length << 8 | socket->head[i];
    return length;
}

static void end_frame(Socket *socket, Packet *packet, void (*take)(const Packet *, void *), void *argument) {
    unsigned code = socket->head[0] & 0x0f;
    socket->payload[socket->kept] = 0;
    socket->head_count = 0;
    if (code == CLOSE) refuse("closed by the server", socket->kept > 2 ? socket->payload + 2 : "without a reason");
    if (code == PING) {
        char pong[6 + 125] = {(char)0x8a, (char)(0x80 | socket->kept)};  // masked with zeros
        memcpy(pong + 6, socket->payload, socket->kept);
        if (send(socket->fd, pong, 6 + socket->kept, MSG_NOSIGNAL) < 0) fail("pong", NULL);
    }
    if (code >= CONTROL || code == CONTINUATION) return;
    classify(socket->payload, packet);
    take(packet, argument);
}

void socket_read(Socket *socket, void (*take)(const Packet *, void *), void *argument) {
    static char buffer[256 << 10];
    char control[256];
    struct iovec part = {.iov_base = buffer, .iov_len = sizeof buffer};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(socket->fd, &message, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) fail("a connection", NULL);
    if (got == 0) refuse("a connection", "ended by the server");
    Packet packet = {.received = day_seconds()};
    packet.arrived = packet.received;
    for (struct cmsghdr *found = CMSG_FIRSTHDR(&message); found; found = CMSG_NXTHDR(&message, found)) {
        if (found->cmsg_level != SOL_SOCKET || found->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec time;
        memcpy(&time, CMSG_DATA(found), sizeof time);
        packet.arrived = (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    }
    for (size_t at = 0, count = (size_t)got; at < count;) {
        if (socket->head_count < head_size(socket)) {
            socket->head[socket->head_count++] = (uint8_t)buffer[at++];
            if (socket->head_count < head_size(socket)) continue;
            socket->left = payload_length(socket);
            socket->kept = 0;
        } else {
            size_t now = count - at < socket->left ? count - at : (size_t)socket->left;
            size_t room = PACKET_KEPT - 1 - socket->kept, kept = now < room ? now : room;
            memcpy(socket->payload + socket->kept, buffer + at, kept);
            socket->kept += (unsigned)kept;
            socket->left -= now;
            at += now;
        }
        if (socket->left == 0) end_frame(socket, &packet, take, argument);
    }
}
