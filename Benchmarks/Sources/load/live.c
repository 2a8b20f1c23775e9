// Listens to many WebSockets with one thread and epoll. Commands come as lines on the standard input, each is answered by one
// JSON object on the standard output; the end of the input ends the program.
//
//   (at the start, once all are signed in)  {"connected":N,"seconds":S}
//   pace RATE SECONDS       makes tasks over all accounts, and says after what time their events came
//   batches COUNT SIZE A    makes batches of tasks in account A (its place in the file), and waits for their events
//   count                   what came since the last answer
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "live.h"

static const double PATIENCE = 10;  // seconds for what is still missing

typedef struct {
    int epoll, accounts, connections;
    Server servers[ACCOUNTS_MOST];
    Socket *sockets;  // number i listens to account i % accounts
    size_t ready, snapshots, created, progress, ended;
    Packet *packets;  // of created tasks
    size_t count, room;
    double last;  // when the last packet of a created task was received
    char command[128];
} Live;

static void take(const Packet *packet, void *argument) {
    Live *live = argument;
    switch (packet->kind) {
    case PACKET_READY: live->ready++; return;
    case PACKET_SNAPSHOT: live->snapshots++; return;
    case PACKET_PROGRESS: live->progress++; return;
    case PACKET_ENDED: live->ended++; return;
    case PACKET_OTHER: return;
    case PACKET_CREATED: break;
    }
    if (live->count == live->room) {
        live->room = live->room > 0 ? 2 * live->room : 4096;
        live->packets = realloc(live->packets, live->room * sizeof *live->packets);
        if (!live->packets) fail("memory", NULL);
    }
    live->packets[live->count++] = *packet;
    live->created++;
    live->last = packet->received;
}

// Reads for at most that long. True where a command came.
static bool listen_for(Live *live, int milliseconds) {
    struct epoll_event events[64];
    int count = epoll_wait(live->epoll, events, 64, milliseconds);
    bool commanded = false;
    if (count < 0 && errno != EINTR) fail("epoll", NULL);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr) socket_read(events[i].data.ptr, take, live);
        else commanded = true;
    }
    return commanded;
}

static void watch(Live *live, int fd, void *what) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(live->epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll", NULL);
}

static void read_tokens(Live *live, const Options *options) {
    FILE *file = options->tokens ? fopen(options->tokens, "r") : NULL;
    char *line = NULL;
    size_t room = 0;
    if (!file) fail("the tokens' file", NULL);
    while (live->accounts < ACCOUNTS_MOST && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\r\n")] = 0;
        live->servers[live->accounts] = options->server;
        live->servers[live->accounts++].token = strdup(line);
    }
    free(line);
    fclose(file);
    if (live->accounts == 0) errno = ENODATA, fail("the tokens' file", NULL);
}

static void connect_all(Live *live) {
    double begin = seconds_now();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max, setrlimit(RLIMIT_NOFILE, &limit);
    live->epoll = epoll_create1(EPOLL_CLOEXEC);
    live->sockets = calloc((size_t)live->connections, sizeof *live->sockets);
    if (live->epoll < 0 || !live->sockets) fail("epoll", NULL);
    for (int i = 0; i < live->connections; i++) {
        socket_open(&live->sockets[i], &live->servers[i % live->accounts]);
        watch(live, live->sockets[i].fd, &live->sockets[i]);
    }
    size_t all = (size_t)live->connections;
    while (live->ready < all || live->snapshots < all) {
        if (seconds_now() - begin > 60) errno = ETIMEDOUT, fail("the signing in of all connections", NULL);
        listen_for(live, 100);
    }
    printf("{\"connected\":%d,\"seconds\":%.3f}\n", live->connections, seconds_now() - begin);
}

static size_t listeners(const Live *live, int account) {
    return (size_t)(live->connections / live->accounts + (account < live->connections % live->accounts));
}

// Reads until the makers are through and `expected` packets are there, or too much time passed.
static void listen_to(Live *live, Production *production, size_t expected) {
    while (atomic_load(&production->running) > 0) listen_for(live, 20);
    while (live->count < expected && day_seconds() - production->end < PATIENCE) listen_for(live, 20);
}

static int compare_made(const void *left, const void *right) {
    uint64_t a = ((const Made *)left)->task, b = ((const Made *)right)->task;
    return (a > b) - (a < b);
}

static void print_times(const char *name, double *values, size_t count) {
    printf(
        "\"%s_p50_ms\":%.3f,\"%s_p99_ms\":%.3f,\"%s_max_ms\":%.3f,", name, quantile(values, count, 0.5), name,
        quantile(values, count, 0.99), name, quantile(values, count, 1));
}

static void pace(Live *live, double rate, double seconds) {
    Production production = {.servers = live->servers, .accounts = live->accounts, .count = (int)(rate * seconds), .rate = rate};
    size_t expected = 0;
    for (int i = 0; i < production.count; i++) expected += listeners(live, i % live->accounts);
    production_start(&production);
    listen_to(live, &production, expected);
    qsort(production.made, (size_t)production.count, sizeof *production.made, compare_made);
    double *events = calloc(live->count + 1, sizeof(double)), *arrivals = calloc(live->count + 1, sizeof(double));
    double *replies = calloc(live->count + 1, sizeof(double)), *commits = calloc(live->count + 1, sizeof(double));
    if (!events || !arrivals || !replies || !commits) fail("memory", NULL);
    size_t known = 0;
    for (size_t i = 0; i < live->count; i++) {
        const Packet *packet = &live->packets[i];
        const Made key = {.task = packet->task};
        const Made *made = bsearch(&key, production.made, (size_t)production.count, sizeof key, compare_made);
        if (!made || packet->created == 0) continue;
        events[known] = (packet->received - packet->created) * 1e3;
        arrivals[known] = (packet->arrived - packet->created) * 1e3;
        replies[known] = (packet->received - made->replied) * 1e3;
        commits[known++] = (made->replied - packet->created) * 1e3;
    }
    printf("{\"events\":%d,\"frames\":%zu,\"missing\":%zd,", production.count, known, (ssize_t)(expected - known));
    print_times("event", events, known);
    print_times("arrival", arrivals, known);
    print_times("reply", replies, known);
    print_times("commit", commits, known);
    printf("\"late_ms\":%.3f}\n", atomic_load(&production.latest) * 1e3);
    free(events), free(arrivals), free(replies), free(commits);
    free(production.made), free(production.body);
}

static void batches(Live *live, int count, int size, int account) {
    if (account < 0 || account >= live->accounts) errno = EINVAL, fail("account", NULL);
    Production production = {.servers = &live->servers[account], .accounts = 1, .count = count, .size = size};
    size_t expected = (size_t)count * (size_t)size * listeners(live, account);
    production_start(&production);
    listen_to(live, &production, expected);
    printf(
        "{\"events\":%d,\"frames\":%zu,\"missing\":%zd,\"made_s\":%.4f,\"seconds\":%.4f}\n", count * size, live->count,
        (ssize_t)(expected - live->count), production.end - production.begin,
        (live->count > 0 ? live->last : production.end) - production.begin);
    free(production.made), free(production.body);
}

static void obey(Live *live) {
    double rate, seconds;
    int count, size, account;
    const char *command = live->command;
    if (!strcmp(command, "count\n"))
        printf("{\"created\":%zu,\"progress\":%zu,\"completed\":%zu}\n", live->created, live->progress, live->ended);
    else if (sscanf(command, "pace %lf %lf", &rate, &seconds) == 2 && rate > 0 && rate * seconds >= 1) pace(live, rate, seconds);
    else if (sscanf(command, "batches %d %d %d", &count, &size, &account) == 3 && count > 0 && size > 0)
        batches(live, count, size, account);
    else {
        fprintf(stderr, "load: not a command: %s", command);
        exit(1);
    }
    live->count = live->created = live->progress = live->ended = 0;
}

int run_live(const Options *options) {
    static Live live;
    setvbuf(stdout, NULL, _IOLBF, 0);
    live.connections = options->connections;
    read_tokens(&live, options);
    connect_all(&live);
    watch(&live, STDIN_FILENO, NULL);
    for (;;) {
        if (!listen_for(&live, -1)) continue;
        ssize_t got = read(STDIN_FILENO, live.command, sizeof live.command - 1);  // who asks waits for the answer: whole lines
        if (got <= 0) return 0;
        live.command[got] = 0;
        obey(&live);
    }
}
