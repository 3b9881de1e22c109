/* grpc-health-checking: grpc.health.v1.Health/Check over HTTP/2, as much of both as an honest client needs.
 *
 * Headers are not decoded (the Huffman tables would be longer than this file): whatever is called is answered as
 * Check.  The body is read, because the service asked for decides between SERVING and NOT_FOUND.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agnhost.h"

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { SERVING = 1, NOT_SERVING = 2 };

static double started;
static long unhealthy_after;
static const char *service;
static volatile int forced; /* 0: by age, 1: serving, 2: not serving */

static bool read_all(int fd, void *buffer, size_t size) {
    for (char *next = buffer; size;) {
        ssize_t found = read(fd, next, size);
        if (found <= 0)
            return false;
        next += found;
        size -= (size_t)found;
    }
    return true;
}

static void send_frame(int fd, int type, int flags, uint32_t stream, const void *payload, size_t size) {
    unsigned char frame[256] = {(unsigned char)(size >> 16), (unsigned char)(size >> 8), (unsigned char)size,
                                (unsigned char)type, (unsigned char)flags, (unsigned char)(stream >> 24),
                                (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream};
    memcpy(frame + 9, payload, size);
    if (write(fd, frame, size + 9) < 0)
        return; /* the reader sees the end of the connection */
}

/* A header that is not indexed, name and value in plain. */
static size_t literal(unsigned char *to, const char *name, const char *value) {
    size_t names = strlen(name), values = strlen(value);
    to[0] = 0;
    to[1] = (unsigned char)names;
    memcpy(to + 2, name, names);
    to[2 + names] = (unsigned char)values;
    memcpy(to + 3 + names, value, values);
    return names + values + 3;
}

/* `message` is a HealthCheckRequest with its five bytes of gRPC before it. */
static bool asks_for_service(const unsigned char *message, size_t size) {
    size_t length = size > 6 && message[5] == 0x0a ? message[6] : 0;
    return length == strlen(service) && (length == 0 || (size >= 7 + length && memcmp(message + 7, service, length) == 0));
}

static void answer_check(int fd, uint32_t stream, const unsigned char *message, size_t size) {
    unsigned char head[128] = {0x88}; /* :status 200, from the static table */
    size_t length = 1 + literal(head + 1, "content-type", "application/grpc");
    log_line("Serving the Check request for health check, started at %f", started);
    send_frame(fd, HEADERS, END_HEADERS, stream, head, length);
    bool known = asks_for_service(message, size);
    if (known) {
        bool unhealthy = forced == 2 || (forced == 0 && unhealthy_after >= 0 && now_seconds() - started >= (double)unhealthy_after);
        unsigned char reply[7] = {0, 0, 0, 0, 2, 0x08, unhealthy ? NOT_SERVING : SERVING};
        send_frame(fd, DATA, 0, stream, reply, sizeof reply);
    }
    length = literal(head, "grpc-status", known ? "0" : "5");
    if (!known)
        length += literal(head + length, "grpc-message", "unknown service");
    send_frame(fd, HEADERS, END_HEADERS | END_STREAM, stream, head, length);
}

static bool serve_frame(int fd) {
    unsigned char head[9], *payload;
    if (!read_all(fd, head, sizeof head))
        return false;
    size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    uint32_t stream = ((uint32_t)head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    payload = malloc(size + 1);
    bool whole = read_all(fd, payload, size);
    if (whole && head[3] == SETTINGS && !(head[4] & ACK))
        send_frame(fd, SETTINGS, ACK, 0, "", 0);
    if (whole && head[3] == PING && !(head[4] & ACK) && size == 8)
        send_frame(fd, PING, ACK, 0, payload, 8);
    if (whole && head[3] == DATA && size) { /* the request is one small frame; the end of the stream may follow it */
        size_t skipped = head[4] & PADDED ? 1 : 0;
        answer_check(fd, stream, payload + skipped, size - skipped);
    }
    free(payload);
    return whole;
}

static void *serve_connection(void *context) {
    int fd = *(int *)context;
    char preface[24];
    free(context);
    if (read_all(fd, preface, sizeof preface)) {
        send_frame(fd, SETTINGS, 0, 0, "", 0);
        while (serve_frame(fd)) {
        }
    }
    close(fd);
    return NULL;
}

static void answer_http(const struct request *request, struct response *response) {
    if (strcmp(request->path, "/make-not-serving") == 0) {
        log_line("Mark as unhealthy");
        forced = 2;
    } else if (strcmp(request->path, "/make-serving") == 0) {
        log_line("Mark as healthy");
        forced = 1;
    } else {
        response->status = 404;
    }
    fprintf(response->body, "%.9fs", now_seconds() - started);
}

int grpc_health_main(int argc, char **argv) {
    int port = (int)flag_number(argc, argv, "port", 5000), http_port = (int)flag_number(argc, argv, "http-port", 8080);
    started = now_seconds();
    unhealthy_after = flag_number(argc, argv, "delay-unhealthy-sec", -1);
    service = flag_text(argc, argv, "service", "");
    log_line("Http server starting to listen on :%d", http_port);
    serve_http_in_background(http_port, answer_http, NULL, NULL);
    int fd = listen_tcp(port);
    log_line("gRPC server starting to listen on :%d", port);
    for (;;) {
        int *peer = malloc(sizeof *peer);
        if ((*peer = accept(fd, NULL, NULL)) < 0)
            free(peer);
        else
            start_thread(serve_connection, peer);
    }
}
