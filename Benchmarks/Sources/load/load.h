// What the modes share: options, contents, threads, figures.
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

enum { NOISE_SIZE = 16 << 20, STAMP_SIZE = 4096 };

typedef struct {
    Server server;
    uint64_t size, chunk;
    uint64_t body;  // bytes of one request of a stream; 0 for all of them
    int connections, count;
    bool multipart, complete, tus, ietf, direct;
    const char *put;     // a prefix to PUT to in place of the Drive API
    const char *path;    // to download
    const char *tokens;  // a file of them
} Options;

// Incompressible bytes, once; no two stamps are equal, in this run or another.
void content_prepare(void);
int content_file(void);
const char *content_bytes(void);
void content_stamp(char *stamp, size_t count);
// The head and `count` bytes of contents, in pieces of at most NOISE_SIZE that each begin with a stamp.
bool content_send(Client *client, const char *head, uint64_t count, uint64_t piece, bool more);

// The fields of a tus creation.
void tus_creation(char *fields, size_t room, uint64_t size);

double seconds_now(void);
void on_threads(int count, void (*body)(void *, int), void *argument);
// Sorts the values.
double quantile(double *values, size_t count, double q);

void run_chunks(const Options *options);
void run_many(const Options *options);
void run_stream(const Options *options);
void run_streams(const Options *options);
void run_takeover(const Options *options);
void run_small(const Options *options);
void run_download(const Options *options);

#endif
