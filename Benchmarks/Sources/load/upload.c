// Chunked uploads: one file over several connections (`chunks`), many files at once (`many`).
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

static const char boundary[] = "----drive-load-7f3a1c";
static const char json_type[] = "Content-Type: application/json\r\n";

typedef struct {
    const Options *options;
    char task[128];
    uint64_t chunks;          // in the file
    atomic_uint_fast64_t next;  // chunk to send
} Job;

typedef struct {
    double begin, sent, done;  // seconds on the monotonic clock
    int retries;               // 202 answers of complete
    char id[128];
} Outcome;

static void create(Client *client, Job *job, int number) {
    const Options *options = job->options;
    Response response;
    char json[512], text[64];
    job->chunks = (options->size + options->chunk - 1) / options->chunk;
    atomic_init(&job->next, 0);
    if (options->put) return;
    snprintf(
        json, sizeof json, "{\"fileName\":\"bench-%d.bin\",\"fileSize\":%llu,"
        "\"contentType\":\"application/octet-stream\",\"chunkSize\":%llu}",
        number, (unsigned long long)options->size, (unsigned long long)options->chunk);
    if (!client_call(client, &options->server, "POST", "/api/files/upload/create", json_type, json, &response)) fail("create", NULL);
    if (response.status / 100 != 2 || !json_text(response.body, "taskId", job->task, sizeof job->task)) fail("create", &response);
    if (json_text(response.body, "chunkSize", text, sizeof text) && strtoull(text, NULL, 10) != options->chunk)
        fail("create gave another chunk size", &response);
}

static void send_chunk(Client *client, Job *job, uint64_t index) {
    const Options *options = job->options;
    uint64_t offset = index * options->chunk;
    size_t count = (size_t)(options->size - offset < options->chunk ? options->size - offset : options->chunk);
    char head[HEAD_SIZE], target[300], fields[160], part[300] = "", tail[64] = "";
    if (options->multipart) {
        snprintf(
            part, sizeof part,
            "--%s\r\nContent-Disposition: form-data; name=\"chunk\"; filename=\"chunk\"\r\nContent-Type: application/octet-stream\r\n\r\n",
            boundary);
        snprintf(tail, sizeof tail, "\r\n--%s--\r\n", boundary);
    }
    if (options->put) snprintf(target, sizeof target, "%s/%llu", options->put, (unsigned long long)index);
    else snprintf(target, sizeof target, "/api/files/upload/chunk/%s/%llu", job->task, (unsigned long long)index);
    snprintf(
        fields, sizeof fields, "Content-Type: %s%s\r\n", options->multipart ? "multipart/form-data; boundary=" : "application/octet-stream",
        options->multipart ? boundary : "");
    client_head(head, &options->server, options->put ? "PUT" : "POST", target, fields, strlen(part) + count + strlen(tail));
    if (strlen(head) + strlen(part) >= sizeof head) fail("a token too long for the head", NULL);
    strcat(head, part);
    bool sent = content_send(client, head, count, count, tail[0]) && (!tail[0] || client_send(client, tail, strlen(tail), false));
    Response response;  // a refusal may come before everything was sent: it is the better message
    bool received = client_receive(client, &response);
    if (received && response.status / 100 != 2) fail("chunk", &response);
    if (!sent || !received) fail("chunk", NULL);
}

static void complete(Client *client, Job *job, Outcome *outcome) {
    const Options *options = job->options;
    char target[300];
    Response response;
    snprintf(outcome->id, sizeof outcome->id, "%s", job->task);
    if (options->put || !options->complete) return;
    snprintf(target, sizeof target, "/api/files/upload/complete/%s", job->task);
    for (;;) {
        if (!client_call(client, &options->server, "POST", target, "", "", &response)) fail("complete", NULL);
        if (response.status != 202) break;
        if (++outcome->retries > 3000) fail("complete never ends", &response);
        usleep(100 * 1000);
    }
    if (response.status != 200 || !json_text(response.body, "id", outcome->id, sizeof outcome->id)) fail("complete", &response);
}

static void send_chunks(Client *client, Job *job) {
    for (;;) {
        uint64_t index = atomic_fetch_add(&job->next, 1);
        if (index >= job->chunks) return;
        send_chunk(client, job, index);
    }
}

static void chunk_worker(void *argument, int number) {
    Job *job = argument;
    Client client;
    (void)number;
    client_open(&client, &job->options->server);
    send_chunks(&client, job);
    client_close(&client);
}

void run_chunks(const Options *options) {
    Job job = {.options = options};
    Outcome outcome = {.begin = seconds_now()};
    Client client;
    client_open(&client, &options->server);
    create(&client, &job, 0);
    double created = seconds_now();
    if (options->connections == 1) send_chunks(&client, &job);
    else on_threads(options->connections, chunk_worker, &job);
    outcome.sent = seconds_now();
    complete(&client, &job, &outcome);
    outcome.done = seconds_now();
    client_close(&client);
    printf(
        "\"task\":\"%s\",\"id\":\"%s\",\"chunks\":%llu,\"create_ms\":%.3f,\"send_ms\":%.3f,\"complete_ms\":%.3f,\"retries_202\":%d,"
        "\"wall_ms\":%.3f",
        job.task, outcome.id, (unsigned long long)job.chunks, (created - outcome.begin) * 1e3, (outcome.sent - created) * 1e3,
        (outcome.done - outcome.sent) * 1e3, outcome.retries, (outcome.done - outcome.begin) * 1e3);
}

typedef struct {
    const Options *options;
    Outcome *outcomes;
} Crowd;

static void crowd_worker(void *argument, int number) {
    Crowd *crowd = argument;
    Job job = {.options = crowd->options};
    Client client;
    Outcome *outcome = &crowd->outcomes[number];
    client_open(&client, &crowd->options->server);
    outcome->begin = seconds_now();
    create(&client, &job, number);
    send_chunks(&client, &job);
    outcome->sent = seconds_now();
    complete(&client, &job, outcome);
    outcome->done = seconds_now();
    client_close(&client);
}

void run_many(const Options *options) {
    size_t count = (size_t)options->count;
    Crowd crowd = {.options = options, .outcomes = calloc(count, sizeof(Outcome))};
    double *latencies = calloc(count, sizeof *latencies);
    if (!crowd.outcomes || !latencies) fail("memory", NULL);
    double begin = seconds_now();
    on_threads(options->count, crowd_worker, &crowd);
    double wall = seconds_now() - begin;
    int retries = 0;
    for (size_t i = 0; i < count; i++) {
        latencies[i] = (crowd.outcomes[i].done - crowd.outcomes[i].sent) * 1e3;
        retries += crowd.outcomes[i].retries;
    }
    printf(
        "\"uploads\":%zu,\"wall_ms\":%.3f,\"files_per_s\":%.3f,\"complete_p50_ms\":%.3f,\"complete_max_ms\":%.3f,\"retries_202\":%d", count,
        wall * 1e3, (double)count / wall, quantile(latencies, count, 0.5), quantile(latencies, count, 1), retries);
    free(crowd.outcomes);
    free(latencies);
}
