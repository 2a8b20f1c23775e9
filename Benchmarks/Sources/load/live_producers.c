// Makers of Custom tasks that nobody runs: each commit gives one task.created per task.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "live.h"

#define TASK "{\"type\":\"Custom\",\"name\":\"bench\",\"kind\":\"bench\"}"

static const char json_type[] = "Content-Type: application/json\r\n";

static void sleep_until(double moment) {
    struct timespec until = {.tv_sec = (time_t)moment};
    until.tv_nsec = (long)((moment - (double)until.tv_sec) * 1e9);
    clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
}

static void raise_to(_Atomic double *most, double value) {
    double seen = atomic_load(most);
    while (value > seen && !atomic_compare_exchange_weak(most, &seen, value)) {}
}

static void *produce(void *argument) {
    Production *production = argument;
    Client *client = malloc(sizeof *client);
    Response response;
    if (!client) fail("memory", NULL);
    client_open(client, production->servers);
    for (;;) {
        int number = atomic_fetch_add(&production->next, 1);
        if (number >= production->count) break;
        if (production->rate > 0) {
            double due = production->begin + number / production->rate;
            sleep_until(due);
            raise_to(&production->latest, day_seconds() - due);
        }
        const Server *server = &production->servers[number % production->accounts];
        const char *target = production->size > 0 ? "/api/tasks/batches" : "/api/tasks";
        if (!client_call(client, server, "POST", target, json_type, production->body, &response)) fail(target, NULL);
        double replied = day_seconds();
        char id[128];
        if (response.status != 201) fail(target, &response);
        if (production->size > 0) continue;
        if (!json_text(response.body, "taskId", id, sizeof id)) fail(target, &response);
        production->made[number] = (Made){.task = task_hash(id), .replied = replied};
    }
    client_close(client);
    free(client);
    raise_to(&production->end, day_seconds());
    atomic_fetch_sub(&production->running, 1);
    return NULL;
}

static char *request_body(int size) {
    if (size == 0) return strdup(TASK);
    char *body = NULL;
    size_t count;
    FILE *text = open_memstream(&body, &count);
    if (!text) fail("memory", NULL);
    fputs("{\"name\":\"bench\",\"tasks\":[", text);
    for (int i = 0; i < size; i++) fprintf(text, "%s%s", i > 0 ? "," : "", TASK);
    fputs("]}", text);
    fclose(text);
    return body;
}

void production_start(Production *production) {
    production->body = request_body(production->size);
    production->made = calloc((size_t)production->count, sizeof *production->made);
    if (!production->body || !production->made) fail("memory", NULL);
    atomic_init(&production->next, 0);
    atomic_init(&production->running, PRODUCERS);
    atomic_init(&production->latest, 0);
    atomic_init(&production->end, 0);
    production->begin = day_seconds();
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, produce, production) != 0) fail("thread", NULL);
        pthread_detach(thread);
    }
}
