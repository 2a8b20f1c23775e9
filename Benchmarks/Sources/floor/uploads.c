#define _GNU_SOURCE
#include "uploads.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_UPLOADS = 4096 };

static Upload uploads[MOST_UPLOADS];
static int used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int upload_create(const char *folder, uint64_t size, uint64_t chunk) {
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/floor-XXXXXX", folder) >= sizeof path) return -1;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) return -1;
    unlink(path);
    if (size > 0 && fallocate(fd, 0, 0, (off_t)size) != 0) {
        close(fd);
        return -1;
    }
    pthread_mutex_lock(&lock);
    int number = used < MOST_UPLOADS ? used++ : -1;
    if (number >= 0) uploads[number] = (Upload){.fd = fd, .size = size, .chunk = chunk, .sender = -1};
    pthread_mutex_unlock(&lock);
    if (number < 0) close(fd);
    return number;
}

Upload *upload_find(int number) {
    pthread_mutex_lock(&lock);
    bool found = number >= 0 && number < used;
    pthread_mutex_unlock(&lock);
    return found ? &uploads[number] : NULL;
}

void upload_take_over(Upload *upload, int connection) {
    pthread_mutex_lock(&lock);
    if (upload->sender >= 0) shutdown(upload->sender, SHUT_RDWR);
    upload->sender = connection;
    pthread_mutex_unlock(&lock);
}

void upload_leave(Upload *upload, int connection) {
    pthread_mutex_lock(&lock);
    if (upload->sender == connection) upload->sender = -1;
    pthread_mutex_unlock(&lock);
}
