// Listening to live events over many WebSockets (`live`).
#ifndef LIVE_H
#define LIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load.h"

enum { ACCOUNTS_MOST = 1000, PACKET_KEPT = 512, PRODUCERS = 4 };

// What a packet's beginning tells.
typedef enum { PACKET_OTHER, PACKET_READY, PACKET_SNAPSHOT, PACKET_CREATED, PACKET_PROGRESS, PACKET_ENDED } PacketKind;

typedef struct {
    PacketKind kind;
    uint64_t task;            // a hash of its id; 0 where there is none
    double created;           // createdAt; 0 where there is none
    double arrived, received;  // at the socket, by the kernel; in this program
} Packet;                      // all times are seconds of the day's clock

typedef struct {
    int fd;
    uint8_t head[10];  // of the frame, as far as it is there
    unsigned head_count;
    uint64_t left;  // of the frame's payload
    unsigned kept;
    char payload[PACKET_KEPT];  // its beginning, ended by 0
} Socket;

// Connects, signs in by the header, and waits for the switch of protocols; then the socket blocks no more.
void socket_open(Socket *socket, const Server *server);
// Takes what is there, and calls `take` for every whole message. A connection that ends ends the program.
void socket_read(Socket *socket, void (*take)(const Packet *, void *), void *argument);

// A task that was made.
typedef struct {
    uint64_t task;
    double replied;
} Made;

// Tasks made at a steady pace, or in batches, by threads.
typedef struct {
    const Server *servers;  // one per account
    int accounts;
    int count, size;  // tasks one by one with size 0; else batches of `size`
    double rate;      // tasks per second
    Made *made;       // of tasks one by one
    atomic_int next, running;
    double begin;
    _Atomic double end;     // of the last answer
    _Atomic double latest;  // how late a task was asked for against the pace, at most
    char *body;
} Production;

void production_start(Production *production);

double day_seconds(void);
uint64_t task_hash(const char *id);

int run_live(const Options *options);

#endif
