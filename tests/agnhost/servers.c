/* The smaller servers: liveness, test-webserver, serve-hostname, porter. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agnhost.h"

extern char **environ;
static double started;

struct liveness {
    double healthy_seconds;
};

static void answer_liveness(const struct request *request, struct response *response) {
    const struct liveness *settings = request->context;
    double age = now_seconds() - started;
    if (strcmp(request->path, "/healthz") == 0) {
        response->status = age > settings->healthy_seconds ? 500 : 200;
        if (response->status == 500)
            fprintf(response->body, "error: %f", age);
        else
            fputs("ok", response->body);
    } else if (strcmp(request->path, "/started") == 0) {
        fprintf(response->body, "%.9fs", age);
    } else if (strcmp(request->path, "/redirect") == 0) {
        char *location = query_value(request->query, "loc");
        response->status = 302;
        if (!strpbrk(location, "\r\n"))
            snprintf(response->headers, sizeof response->headers, "Location: %s\r\n", location);
        free(location);
    } else {
        response->status = 404;
        fputs("404 page not found\n", response->body);
    }
}

/* --healthy-seconds is ours: the time after which /healthz says 500, ten seconds upstream. */
int liveness_main(int argc, char **argv) {
    static struct liveness settings;
    started = now_seconds();
    settings.healthy_seconds = (double)flag_number(argc, argv, "healthy-seconds", 10);
    serve_http(8080, answer_liveness, &settings, NULL);
}

static void answer_file(const struct request *request, struct response *response) {
    size_t size;
    char *content = strstr(request->path, "..") ? NULL : read_file(request->path, &size);
    log_line("%s %s", request->method, request->path);
    if (content) {
        fwrite(content, 1, size, response->body);
    } else if (strcmp(request->path, "/") == 0) {
        fputs("<pre>\n</pre>\n", response->body);
    } else {
        response->status = 404;
        fputs("404 page not found\n", response->body);
    }
    free(content);
}

int test_webserver_main(int argc, char **argv) {
    log_line("Starting to serve files");
    serve_http((int)flag_number(argc, argv, "port", 80), answer_file, NULL, NULL);
}

static bool close_each;

static void answer_host_name(const struct request *request, struct response *response) {
    log_line("HTTP request from %s", request->remote);
    response->close = response->close || close_each;
    fputs(host_name(), response->body);
}

static void *host_name_over_tcp(void *context) {
    int fd = *(int *)context, peer;
    while ((peer = accept(fd, NULL, NULL)) >= 0) {
        dprintf(peer, "%s", host_name());
        close(peer);
    }
    return NULL;
}

struct datagrams {
    int fd;
    const char *reply;
};

static void *answer_datagrams(void *context) {
    struct datagrams *it = context;
    char text[2048];
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        if (recvfrom(it->fd, text, sizeof text, 0, (struct sockaddr *)&peer, &size) >= 0)
            sendto(it->fd, it->reply, strlen(it->reply), 0, (struct sockaddr *)&peer, size);
    }
    return NULL;
}

static void reply_to_datagrams(int port, const char *reply) {
    struct datagrams *it = malloc(sizeof *it);
    *it = (struct datagrams){bind_udp("", port), reply};
    start_thread(answer_datagrams, it);
}

int serve_hostname_main(int argc, char **argv) {
    int port = (int)flag_number(argc, argv, "port", 9376);
    bool tcp = flag_bool(argc, argv, "tcp", false), udp = flag_bool(argc, argv, "udp", false);
    sigset_t signals;
    int received;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    close_each = flag_bool(argc, argv, "close", false);
    if (flag_bool(argc, argv, "http", true) && (tcp || udp))
        fail("Can't server TCP/UDP mode and HTTP mode at the same time");
    if (tcp) {
        int *fd = malloc(sizeof *fd);
        *fd = listen_tcp(port);
        start_thread(host_name_over_tcp, fd);
    }
    if (udp)
        reply_to_datagrams(port, strdup(host_name()));
    if (flag_bool(argc, argv, "http", true))
        serve_http_in_background(port, answer_host_name, NULL, NULL);
    log_line("Serving on port %d.", port);
    sigwait(&signals, &received);
    log_line("Shutting down after receiving signal: terminated.");
    log_line("Awaiting pod deletion.");
    pause_seconds(60);
    return 0;
}

static bool as_json;

static void answer_port(const struct request *request, struct response *response) {
    const char *value = request->context;
    if (!as_json) {
        fputs(value, response->body);
        return;
    }
    snprintf(response->headers, sizeof response->headers, "Content-Type: application/json\r\n");
    fprintf(response->body, "{\"Method\":\"%s\",\"Body\":", request->method);
    quote(response->body, value, strlen(value));
    fputc('}', response->body);
}

static const char *after(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : NULL;
}

static const char *environment(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

/* SERVE_PORT_N, SERVE_TCP_PORT_N, SERVE_TLS_PORT_N and SERVE_UDP_PORT_N. */
int porter_main(int argc, char **argv) {
    as_json = flag_bool(argc, argv, "json-response", false);
    for (char **entry = environ; *entry; entry++) {
        char *value = strchr(*entry, '=') + 1;
        const char *port;
        if ((port = after(*entry, "SERVE_PORT_")) || (port = after(*entry, "SERVE_TCP_PORT_")))
            serve_http_in_background(atoi(port), answer_port, value, NULL);
        else if ((port = after(*entry, "SERVE_TLS_PORT_")))
            serve_http_in_background(atoi(port), answer_port, value,
                                     tls_server(environment("CERT_FILE", "localhost.crt"), environment("KEY_FILE", "localhost.key")));
        else if ((port = after(*entry, "SERVE_UDP_PORT_"))) {
            log_line("Started UDP server on port %d", atoi(port));
            reply_to_datagrams(atoi(port), value);
        }
    }
    for (;;)
        pause();
}
