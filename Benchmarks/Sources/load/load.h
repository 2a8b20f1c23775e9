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
    int connections, count;
    bool multipart, complete;
    const char *put;   // a prefix to PUT to in place of the Drive API
    const char *path;  // to download
} Options;

// Incompressible bytes, once; no two stamps are equal, in this run or another.
void content_prepare(void);
int content_file(void);
const char *content_bytes(void);
void content_stamp(char *stamp, size_t count);

double seconds_now(void);
void on_threads(int count, void (*body)(void *, int), void *argument);
// Sorts the values.
double quantile(double *values, size_t count, double q);

void run_chunks(const Options *options);
void run_many(const Options *options);
void run_small(const Options *options);
void run_download(const Options *options);

#endif
