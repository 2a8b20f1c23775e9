#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

static int noise_file = -1;
static char *noise;
static uint64_t seed[2];
static atomic_uint_fast64_t stamps;

void content_prepare(void) {
    noise_file = memfd_create("noise", MFD_CLOEXEC);
    if (noise_file < 0 || ftruncate(noise_file, NOISE_SIZE) != 0) fail("memory file", NULL);
    noise = mmap(NULL, NOISE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, noise_file, 0);
    if (noise == MAP_FAILED) fail("mmap", NULL);
    if (getrandom(seed, sizeof seed, 0) != sizeof seed) fail("getrandom", NULL);
    uint64_t state = seed[0] | 1;  // xorshift64*: incompressible is all it has to be
    for (size_t i = 0; i < NOISE_SIZE; i += sizeof state) {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        uint64_t word = state * 0x2545F4914F6CDD1DULL;
        memcpy(noise + i, &word, sizeof word);
    }
}

int content_file(void) { return noise_file; }
const char *content_bytes(void) { return noise; }

bool content_send(Client *client, const char *head, uint64_t count, uint64_t piece, bool more) {
    char stamp[STAMP_SIZE];
    for (bool first = true; first || count > 0; first = false) {
        size_t now = (size_t)(count < piece ? count : piece), stamped = now < STAMP_SIZE ? now : STAMP_SIZE;
        count -= now;
        memcpy(stamp, content_bytes(), stamped);
        content_stamp(stamp, stamped);
        if (!client_send_parts(client, first ? head : "", stamp, stamped, NULL, 0, now > stamped || count > 0 || more)) return false;
        if (!client_send_file(client, content_file(), stamped, now - stamped)) return false;
    }
    return true;
}

void content_stamp(char *stamp, size_t count) {
    uint64_t words[3] = {seed[0], seed[1], atomic_fetch_add(&stamps, 1)};
    memcpy(stamp, words, count < sizeof words ? count : sizeof words);
}

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

typedef struct {
    void (*body)(void *, int);
    void *argument;
    int number;
} Job;

static void *run_job(void *job) {
    Job *mine = job;
    mine->body(mine->argument, mine->number);
    return NULL;
}

void on_threads(int count, void (*body)(void *, int), void *argument) {
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    Job *jobs = calloc((size_t)count, sizeof *jobs);
    if (!threads || !jobs) fail("memory", NULL);
    for (int i = 0; i < count; i++) {
        jobs[i] = (Job){body, argument, i};
        if (pthread_create(&threads[i], NULL, run_job, &jobs[i]) != 0) fail("thread", NULL);
    }
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    free(threads);
    free(jobs);
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double quantile(double *values, size_t count, double q) {
    if (count == 0) return 0;
    qsort(values, count, sizeof *values, compare);
    size_t at = (size_t)(q * (double)count);
    return values[at < count ? at : count - 1];
}
