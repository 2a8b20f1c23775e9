// Uploads as one stream: over tus (`stream`, `streams`), by one request of the IETF's (`stream --ietf`), and the time until
// another connection has an upload whose request stalled (`takeover`).
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "load.h"

enum {
    FIRST_BYTES = 64 << 10,     // of the PATCH that takes over
    ODD_BYTES = 12345,          // beyond the half: the stalled request has begun a piece that is not full
    STALL_MICROSECONDS = 300000,
    PATIENCE_MILLISECONDS = 5000,
};

// The content type belongs to the body of creation-with-upload; without a body nobody looks at it.
void tus_creation(char *fields, size_t room, uint64_t size) {
    snprintf(
        fields, room,
        "Tus-Resumable: 1.0.0\r\nUpload-Length: %llu\r\nUpload-Metadata: filename YmVuY2guYmlu\r\n"
        "Content-Type: application/offset+octet-stream\r\n",
        (unsigned long long)size);
}

// Into `target`, the upload's own.
static void create(Client *client, const Options *options, char target[TARGET_SIZE]) {
    Response response;
    char fields[256];
    tus_creation(fields, sizeof fields, options->size);
    if (!client_call(client, &options->server, "POST", "/api/tus", fields, "", &response)) fail("create", NULL);
    if (response.status != 201 || !response.location[0]) fail("create", &response);
    memcpy(target, response.location, TARGET_SIZE);
}

// The head of a PATCH at `offset` that announces `announced` bytes, and `count` of them.
static bool begin_patch(Client *client, const Options *options, const char *target, uint64_t offset, uint64_t announced, uint64_t count) {
    char head[HEAD_SIZE], fields[256];
    snprintf(
        fields, sizeof fields, "Tus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: %llu\r\n",
        (unsigned long long)offset);
    client_head(head, &options->server, "PATCH", target, fields, announced);
    return content_send(client, head, count, options->chunk, false);
}

// The answer to what was sent; a refusal may come before everything was: it is the better message.
static void expect(Client *client, const char *what, bool sent, int status, uint64_t offset) {
    Response response;
    bool received = client_receive(client, &response);
    if (received && (response.status != status || response.offset != (int64_t)offset)) fail(what, &response);
    if (!sent || !received) fail(what, NULL);
}

static void patch(Client *client, const Options *options, const char *target, uint64_t offset, uint64_t count) {
    expect(client, "PATCH", begin_patch(client, options, target, offset, count, count), 204, offset + count);
}

static uint64_t send_tus(Client *client, const Options *options) {
    char target[TARGET_SIZE];
    uint64_t requests = 0, body = options->body ? options->body : options->size;
    create(client, options, target);
    for (uint64_t offset = 0; offset < options->size; offset += body, requests++)
        patch(client, options, target, offset, options->size - offset < body ? options->size - offset : body);
    return requests;
}

static void send_ietf(Client *client, const Options *options) {
    char head[HEAD_SIZE];
    client_head(
        head, &options->server, "POST", "/api/uploads",
        "Upload-Draft-Interop-Version: 8\r\nUpload-Complete: ?1\r\nContent-Type: application/octet-stream\r\n", options->size);
    expect(client, "POST", content_send(client, head, options->size, options->chunk, false), 201, options->size);
}

void run_stream(const Options *options) {
    Client client;
    uint64_t requests = 1;
    double begin = seconds_now();
    client_open(&client, &options->server);
    if (options->ietf) send_ietf(&client, options);
    else requests = send_tus(&client, options);
    double wall = seconds_now() - begin;
    client_close(&client);
    printf("\"requests\":%llu,\"wall_ms\":%.3f", (unsigned long long)requests, wall * 1e3);
}

typedef struct {
    const Options *options;
    double *latencies;  // milliseconds, from before the creation until the last answer
} Crowd;

static void crowd_worker(void *argument, int number) {
    Crowd *crowd = argument;
    Client client;
    client_open(&client, &crowd->options->server);
    double begin = seconds_now();
    send_tus(&client, crowd->options);
    crowd->latencies[number] = (seconds_now() - begin) * 1e3;
    client_close(&client);
}

void run_streams(const Options *options) {
    size_t count = (size_t)options->count;
    Crowd crowd = {.options = options, .latencies = calloc(count, sizeof(double))};
    if (!crowd.latencies) fail("memory", NULL);
    double begin = seconds_now();
    on_threads(options->count, crowd_worker, &crowd);
    double wall = seconds_now() - begin;
    printf(
        "\"uploads\":%zu,\"wall_ms\":%.3f,\"files_per_s\":%.3f,\"upload_p50_ms\":%.3f,\"upload_max_ms\":%.3f", count, wall * 1e3,
        (double)count / wall, quantile(crowd.latencies, count, 0.5), quantile(crowd.latencies, count, 1));
    free(crowd.latencies);
}

// Until the server's side has everything that was sent, and then as long as a stall takes to be one.
static void stall(const Client *client) {
    int waiting = 1;
    for (double end = seconds_now() + PATIENCE_MILLISECONDS / 1e3; waiting > 0; usleep(1000)) {
        if (ioctl(client->fd, SIOCOUTQ, &waiting) != 0) fail("SIOCOUTQ", NULL);
        if (seconds_now() > end) errno = ETIMEDOUT, fail("the half was not taken", NULL);
    }
    usleep(STALL_MICROSECONDS);
}

// The stalled request must end, by an answer or with its connection.
static void expect_ended(const Client *client) {
    struct pollfd stalled = {.fd = client->fd, .events = POLLIN};
    if (poll(&stalled, 1, PATIENCE_MILLISECONDS) != 1) errno = ETIMEDOUT, fail("the stalled request goes on", NULL);
}

typedef struct {
    double head, accepted;  // milliseconds, from sending until the answer
} Takeover;

static Takeover take_over(const Options *options) {
    Client stalled, next;
    Response response;
    Takeover times = {0};
    char target[TARGET_SIZE];
    uint64_t half = options->size / 2 + ODD_BYTES;
    client_open(&stalled, &options->server);
    client_open(&next, &options->server);
    create(&next, options, target);
    if (!begin_patch(&stalled, options, target, 0, options->size, half)) fail("the half", NULL);
    stall(&stalled);
    double begin = seconds_now();
    if (!options->direct) {
        if (!client_call(&next, &options->server, "HEAD", target, "Tus-Resumable: 1.0.0\r\n", "", &response)) fail("HEAD", NULL);
        if (response.status != 200 || response.offset != (int64_t)half) fail("HEAD without the right offset", &response);
        times.head = (seconds_now() - begin) * 1e3;
        begin = seconds_now();
    }
    patch(&next, options, target, half, FIRST_BYTES);
    times.accepted = (seconds_now() - begin) * 1e3;
    expect_ended(&stalled);
    half += FIRST_BYTES;
    patch(&next, options, target, half, options->size - half);
    client_close(&stalled);
    client_close(&next);
    return times;
}

void run_takeover(const Options *options) {
    Takeover *rounds = calloc((size_t)options->count, sizeof *rounds);
    if (!rounds || options->size < 1 << 20) fail("a takeover needs 1 MiB", NULL);
    for (int i = 0; i < options->count; i++) rounds[i] = take_over(options);
    printf("\"head_ms\":[");
    for (int i = 0; i < options->count && !options->direct; i++) printf("%s%.3f", i ? "," : "", rounds[i].head);
    printf("],\"accepted_ms\":[");
    for (int i = 0; i < options->count; i++) printf("%s%.3f", i ? "," : "", rounds[i].accepted);
    printf("]");
    free(rounds);
}
