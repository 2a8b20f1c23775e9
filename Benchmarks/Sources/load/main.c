// The load generator: one blocking thread per connection, bodies by sendfile out of memory, downloads dropped inside the
// kernel, so that it takes little of the cores it shares with the server. Prints one JSON object; code 1 where a request failed.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "live.h"
#include "load.h"

static const char usage[] =
    "usage: load chunks|many|stream|streams|takeover|small|download|live --port P [--host 127.0.0.1] [--token T]\n"
    "  chunks    one file:  --size BYTES --chunk BYTES --connections K [--multipart] [--no-complete] [--put PREFIX]\n"
    "  many      files at once, a connection each:  --count N --size BYTES --chunk BYTES [--multipart]\n"
    "  stream    one file over tus, one connection:  --size BYTES [--body BYTES of one PATCH] [--ietf: one POST of the IETF's]\n"
    "  streams   files at once over tus, a connection and one PATCH each:  --count N --size BYTES\n"
    "  takeover  of a PATCH that stalled half-way, by HEAD:  --count N --size BYTES [--direct: by PATCH]\n"
    "  small     one request each:  --count N --size BYTES --connections K [--put PREFIX | --tus]\n"
    "  download  GET, contents dropped:  --path PATH [--count N] [--size BYTES it must have]\n"
    "  live      listens to events, by commands on its input:  --tokens FILE of one per account --connections N\n";

static uint64_t number(const char *text) {
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*end || end == text) {
        fprintf(stderr, "load: not a number: %s\n%s", text, usage);
        exit(64);
    }
    return value;
}

int main(int count, char **arguments) {
    Options options = {
        .server = {.host = "127.0.0.1", .token = "none"}, .chunk = 5 << 20, .connections = 1, .count = 1, .complete = true, .path = "/"};
    const char *mode = count > 1 ? arguments[1] : "";
    for (int i = 2; i < count; i++) {
        const char *name = arguments[i];
        if (!strcmp(name, "--multipart")) options.multipart = true;
        else if (!strcmp(name, "--no-complete")) options.complete = false;
        else if (!strcmp(name, "--tus")) options.tus = true;
        else if (!strcmp(name, "--ietf")) options.ietf = true;
        else if (!strcmp(name, "--direct")) options.direct = true;
        else if (i + 1 >= count) mode = "";
        else if (!strcmp(name, "--host")) options.server.host = arguments[++i];
        else if (!strcmp(name, "--port")) options.server.port = (int)number(arguments[++i]);
        else if (!strcmp(name, "--token")) options.server.token = arguments[++i];
        else if (!strcmp(name, "--size")) options.size = number(arguments[++i]);
        else if (!strcmp(name, "--chunk")) options.chunk = number(arguments[++i]);
        else if (!strcmp(name, "--body")) options.body = number(arguments[++i]);
        else if (!strcmp(name, "--connections")) options.connections = (int)number(arguments[++i]);
        else if (!strcmp(name, "--count")) options.count = (int)number(arguments[++i]);
        else if (!strcmp(name, "--put")) options.put = arguments[++i];
        else if (!strcmp(name, "--path")) options.path = arguments[++i];
        else if (!strcmp(name, "--tokens")) options.tokens = arguments[++i];
        else mode = "";
    }
    void (*run)(const Options *) = !strcmp(mode, "chunks") ? run_chunks
        : !strcmp(mode, "many")                            ? run_many
        : !strcmp(mode, "stream")                          ? run_stream
        : !strcmp(mode, "streams")                         ? run_streams
        : !strcmp(mode, "takeover")                        ? run_takeover
        : !strcmp(mode, "small")                           ? run_small
        : !strcmp(mode, "download")                        ? run_download
                                                           : NULL;
    bool live = !strcmp(mode, "live");
    if ((!run && !live) || options.server.port <= 0 || options.chunk == 0 || options.chunk > NOISE_SIZE || options.connections < 1
        || options.count < 1) {
        fputs(usage, stderr);
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    if (live) return run_live(&options);
    content_prepare();
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    printf("{");
    run(&options);
    getrusage(RUSAGE_SELF, &after);
    double cpu = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec)
        + (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    printf(",\"client_cpu_s\":%.3f}\n", cpu);
    return 0;
}
