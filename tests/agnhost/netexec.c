/* netexec: an HTTP and a UDP server that say who they are, who asks, and dial others on request. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agnhost.h"

static volatile bool udp_ready;
static const char *override_target = "";

struct ending {
    double wait;
    double timeout;
    int code;
};

static void *end_program(void *context) {
    struct ending ending = *(struct ending *)context;
    if (ending.timeout > 0)
        pause_seconds(0.2); /* the answers under way are written */
    log_line("Graceful shutdown completed with: <nil>");
    _exit(ending.code);
}

static void handle_exit(const struct request *request, struct response *response) {
    char *code = query_value(request->query, "code"), *timeout = query_value(request->query, "timeout"),
         *wait = query_value(request->query, "wait");
    static struct ending ending;
    log_line("GET /exit?code=%s&timeout=%s&wait=%s", code, timeout, wait);
    double wait_seconds = *wait ? duration_seconds(wait) : 0, timeout_seconds = *timeout ? duration_seconds(timeout) : 0;
    if (timeout_seconds < 0) {
        fprintf(response->body, "argument 'timeout' must be a valid golang duration or empty, got \"%s\"\n", timeout);
    } else if (wait_seconds < 0) {
        fprintf(response->body, "argument 'wait' must be a valid golang duration or empty, got \"%s\"\n", wait);
    } else {
        ending = (struct ending){wait_seconds, timeout_seconds, atoi(code)};
        pause_seconds(wait_seconds);
        if (timeout_seconds <= 0)
            _exit(ending.code);
        response->close = true;
        start_thread(end_program, &ending);
    }
    free(code), free(timeout), free(wait);
}

static void handle_echo(const struct request *request, struct response *response) {
    char *message = query_value(request->query, "msg"), *code = query_value(request->query, "code");
    log_line("GET /echo?msg=%s&code=%s", message, code);
    response->status = *code ? atoi(code) : 200;
    fputs(message, response->body);
    free(message), free(code);
}

static void handle_header(const struct request *request, struct response *response) {
    char *key = query_value(request->query, "key");
    log_line("GET /header?key=%s", key);
    char *value = header_value(request, key);
    fputs(value, response->body);
    free(key), free(value);
}

static void handle_redirect(const struct request *request, struct response *response) {
    char *location = query_value(request->query, "location"), *code = query_value(request->query, "code");
    log_line("%s /redirect?msg=%s&code=%s", request->method, location, code);
    response->status = *code ? atoi(code) : 302;
    if (!strpbrk(location, "\r\n"))
        snprintf(response->headers, sizeof response->headers, "Location: %s\r\n", location);
    free(location), free(code);
}

static void handle_shell(const struct request *request, struct response *response) {
    char *command = query_value(request->query, "shellCommand"), *wrapped = NULL, *output = NULL, piece[4096];
    size_t size = 0, found;
    if (!*command)
        free(command), command = query_value(request->query, "cmd");
    log_line("GET /shell?cmd=%s", command);
    setenv("AGNHOST_COMMAND", command, 1);
    if (asprintf(&wrapped, "exec /bin/sh -c \"$AGNHOST_COMMAND\" 2>&1") < 0)
        fail("out of memory");
    FILE *pipe = popen(wrapped, "re"), *out = open_memstream(&output, &size);
    while (pipe && (found = fread(piece, 1, sizeof piece, pipe)) > 0)
        fwrite(piece, 1, found, out);
    int status = pipe ? pclose(pipe) : -1;
    fclose(out);
    fputc('{', response->body);
    if (status != 0)
        fprintf(response->body, "\"error\":\"exit status %d\"%s", WIFEXITED(status) ? WEXITSTATUS(status) : -1, size ? "," : "");
    if (size) {
        fputs("\"output\":", response->body);
        quote(response->body, output, size);
    }
    fputc('}', response->body);
    free(command), free(wrapped), free(output);
}

static char *dial_udp(const char *host, const char *port, const char *message, char *error, size_t error_size) {
    const char *kind;
    char text[2048];
    int fd = dial(SOCK_DGRAM, host, port, 5, &kind);
    struct timeval limit = {5, 0};
    ssize_t found = -1;
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (write(fd, message, strlen(message)) >= 0)
            found = read(fd, text, sizeof text);
    }
    if (found <= 0)
        snprintf(error, error_size, "reading from udp connection failed. err:'%s'",
                 errno == EAGAIN ? "i/o timeout" : go_error(errno));
    if (fd >= 0)
        close(fd);
    return found > 0 ? strndup(text, (size_t)found) : NULL;
}

static void add_string(FILE *list, bool *first, const char *text) {
    if (!*first)
        fputc(',', list);
    *first = false;
    quote(list, text, strlen(text));
}

/* {"errors":[...],"responses":[...]}; responses are left out when the last try failed. */
static void dial_all(FILE *out, bool udp, const char *host, const char *port, const char *message, int tries) {
    char *responses = NULL, *errors = NULL, error[512];
    size_t sizes[2];
    FILE *good = open_memstream(&responses, &sizes[0]), *bad = open_memstream(&errors, &sizes[1]);
    bool first_good = true, first_bad = true, last = false;
    for (int i = 0; i < tries; i++) {
        char *found = udp ? dial_udp(host, port, message, error, sizeof error) : http_get(host, port, message, error, sizeof error);
        last = found && *found;
        if (found)
            add_string(good, &first_good, found);
        else
            add_string(bad, &first_bad, error);
        free(found);
    }
    fclose(good), fclose(bad);
    fputc('{', out);
    if (!first_bad)
        fprintf(out, "\"errors\":[%s]%s", errors, last ? "," : "");
    if (last)
        fprintf(out, "\"responses\":[%s]", responses);
    fputc('}', out);
    free(responses), free(errors);
}

static void handle_dial(const struct request *request, struct response *response) {
    char *host = query_value(request->query, "host"), *port = query_value(request->query, "port"),
         *message = query_value(request->query, "request"), *protocol = query_value(request->query, "protocol"),
         *tries = query_value(request->query, "tries");
    log_line("GET /dial?host=%s&protocol=%s&port=%s&request=%s&tries=%s", host, protocol, port, message, tries);
    bool udp = strcasecmp(protocol, "udp") == 0;
    if (!*message) {
        response->status = 400;
        fputs("request parameter not specified. <nil>\n", response->body);
    } else if (*protocol && !udp && strcasecmp(protocol, "http") != 0) {
        response->status = 400;
        fprintf(response->body, "unsupported protocol. %s\n", protocol);
    } else {
        dial_all(response->body, udp, host, port, message, *tries ? atoi(tries) : 1);
    }
    free(host), free(port), free(message), free(protocol), free(tries);
}

static void handle_root(const struct request *request, struct response *response) {
    (void)request;
    struct timespec now;
    char text[64];
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime_r(&now.tv_sec, &parts));
    log_line("GET /");
    fprintf(response->body, "NOW: %s.%09ld +0000 UTC", text, now.tv_nsec);
}

static void handle_host_name(const struct request *request, struct response *response) {
    log_line("GET %s", request->path);
    fputs(host_name(), response->body);
}

static void handle_client(const struct request *request, struct response *response) {
    log_line("GET /clientip");
    fputs(request->remote, response->body);
}

static void handle_health(const struct request *request, struct response *response) {
    (void)request;
    log_line("GET /healthz");
    response->status = udp_ready ? 200 : 412;
}

static void handle_shutdown(const struct request *request, struct response *response) {
    (void)request, (void)response;
    log_line("GET /shutdown");
    _exit(0);
}

static const struct {
    const char *path;
    handler handle;
} ROUTES[] = {
    {"/clientip", handle_client},   {"/dial", handle_dial},         {"/echo", handle_echo},
    {"/exit", handle_exit},         {"/header", handle_header},     {"/healthz", handle_health},
    {"/hostname", handle_host_name}, {"/hostName", handle_host_name}, {"/redirect", handle_redirect},
    {"/shell", handle_shell},       {"/shutdown", handle_shutdown},
};

static void route(const struct request *request, struct response *response) {
    struct request changed = *request;
    char *target = NULL;
    if (*override_target) {
        target = strdup(override_target);
        char *mark = strchr(target, '?');
        changed.query = mark ? mark + 1 : "";
        if (mark)
            *mark = 0;
        changed.path = target;
    }
    handler found = handle_root;
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++)
        if (strcmp(changed.path, ROUTES[i].path) == 0)
            found = ROUTES[i].handle;
    found(&changed, response);
    free(target);
}

static void answer_datagram(int fd, char *text, size_t length, const struct sockaddr *peer, socklen_t peer_size) {
    char name[64];
    peer_name(peer, name, sizeof name);
    while (length && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = 0;
    for (char *next = text; *next; next++)
        *next = (char)tolower((unsigned char)*next);
    const char *reply = NULL;
    if (strcmp(text, "hostname") == 0) {
        log_line("Sending udp hostName response");
        reply = host_name();
    } else if (strncmp(text, "echo ", 5) == 0) {
        reply = text + 5;
        log_line("Echoing %s to UDP client %s", reply, name);
    } else if (strcmp(text, "clientip") == 0) {
        log_line("Sending clientip back to UDP client %s", name);
        reply = name;
    } else if (length) {
        log_line("Unknown UDP command received from %s: %s", name, text);
    }
    if (reply)
        sendto(fd, reply, strlen(reply), 0, peer, peer_size);
}

static void *serve_udp(void *context) {
    int fd = *(int *)context;
    char text[2049];
    udp_ready = true;
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        ssize_t found = recvfrom(fd, text, sizeof text - 1, 0, (struct sockaddr *)&peer, &size);
        if (found >= 0)
            answer_datagram(fd, text, (size_t)found, (struct sockaddr *)&peer, size);
    }
    return NULL;
}

int netexec_main(int argc, char **argv) {
    int http_port = (int)flag_number(argc, argv, "http-port", 8080), udp_port = (int)flag_number(argc, argv, "udp-port", 8081);
    char *addresses = strdup(flag_text(argc, argv, "udp-listen-addresses", "")), *rest = addresses, *address;
    override_target = flag_text(argc, argv, "http-override", "");
    while (udp_port != -1 && (address = strsep(&rest, ","))) {
        int *fd = malloc(sizeof *fd);
        *fd = bind_udp(address, udp_port);
        log_line("Started UDP server on port %s %d", address, udp_port);
        start_thread(serve_udp, fd);
    }
    log_line("Started HTTP server on port %d", http_port);
    const char *certificate = flag_text(argc, argv, "tls-cert-file", "");
    const char *key = flag_text(argc, argv, "tls-private-key-file", "");
    serve_http(http_port, route, NULL, *certificate ? tls_server(certificate, key) : NULL);
}
