// Small files, one request each (`small`), and downloads that are thrown away (`download`).
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { SHORT_STAMP = 24 };

typedef struct {
    const Options *options;
    atomic_int next, refused;
    double *latencies;  // milliseconds, of answers of either kind
} Job;

static void worker(void *argument, int number) {
    Job *job = argument;
    const Options *options = job->options;
    Client client;
    Response response;
    (void)number;
    client_open(&client, &options->server);
    for (;;) {
        int file = atomic_fetch_add(&job->next, 1);
        if (file >= options->count) break;
        char target[300], fields[256] = "Content-Type: application/octet-stream\r\n", head[HEAD_SIZE], stamp[SHORT_STAMP];
        size_t size = (size_t)options->size, stamped = size < SHORT_STAMP ? size : SHORT_STAMP;
        content_stamp(stamp, stamped);
        if (options->put) snprintf(target, sizeof target, "%s/%d", options->put, file);
        else if (options->tus) snprintf(target, sizeof target, "/api/tus");
        else snprintf(target, sizeof target, "/api/files/upload/direct?fileName=small-%d.bin", file);
        if (options->tus) tus_creation(fields, sizeof fields, size);
        client_head(head, &options->server, options->put ? "PUT" : "POST", target, fields, size);
        double begin = seconds_now();
        bool sent = client_send_parts(&client, head, stamp, stamped, content_bytes() + stamped, size - stamped, false);
        if (!client_receive(&client, &response) || !sent) fail("small file", NULL);
        job->latencies[file] = (seconds_now() - begin) * 1e3;
        bool taken = response.status / 100 == 2 && (!options->tus || response.offset == (int64_t)size);
        if (!taken && atomic_fetch_add(&job->refused, 1) == 0)
            fprintf(stderr, "load: first refusal: status %d: %.400s\n", response.status, response.body);
    }
    client_close(&client);
}

void run_small(const Options *options) {
    size_t count = (size_t)options->count;
    Job job = {.options = options, .latencies = calloc(count, sizeof(double))};
    if (!job.latencies || options->size > NOISE_SIZE) fail("a small file of that size", NULL);
    double begin = seconds_now();
    on_threads(options->connections, worker, &job);
    double wall = seconds_now() - begin;
    int refused = atomic_load(&job.refused);
    printf(
        "\"files\":%zu,\"refused\":%d,\"wall_ms\":%.3f,\"files_per_s\":%.3f,"
        "\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f",
        count, refused, wall * 1e3, (double)(count - (size_t)refused) / wall, quantile(job.latencies, count, 0.5),
        quantile(job.latencies, count, 0.95), quantile(job.latencies, count, 0.99), quantile(job.latencies, count, 1));
    free(job.latencies);
}

void run_download(const Options *options) {
    Client client;
    Response response;
    uint64_t bytes = 0;
    client_open(&client, &options->server);
    double begin = seconds_now();
    for (int i = 0; i < options->count; i++) {
        if (!client_call(&client, &options->server, "GET", options->path, "", "", &response)) fail("download", NULL);
        if (response.status != 200) fail("download", &response);
        if (options->size > 0 && response.length != options->size) fail("download of the wrong size", &response);
        bytes += response.length;
    }
    double wall = seconds_now() - begin;
    client_close(&client);
    printf("\"bytes\":%llu,\"wall_ms\":%.3f", (unsigned long long)bytes, wall * 1e3);
}
