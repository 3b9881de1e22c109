/* HTTP/1.1, as little as the rows need: a server with a thread per connection and a client for one GET. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agnhost.h"

#define HEAD_LIMIT 65536
#define BODY_LIMIT (16 << 20)

struct server {
    int fd;
    handler handle;
    void *context;
    struct ssl_ctx_st *tls;
};

struct connection {
    int fd;
    struct server server;
    char remote[64];
    char buffer[HEAD_LIMIT + 1];
    size_t filled;
};

static int hex(char c) { return isdigit((unsigned char)c) ? c - '0' : (tolower(c) - 'a') + 10; }

char *query_value(const char *query, const char *name) {
    size_t length = strlen(name);
    for (const char *part = query; part && *part; part = strchr(part, '&') ? strchr(part, '&') + 1 : NULL) {
        if (strncmp(part, name, length) != 0 || part[length] != '=')
            continue;
        const char *from = part + length + 1;
        char *value = calloc(1, strcspn(from, "&") + 1), *next = value;
        for (; *from && *from != '&'; from++) {
            if (*from == '%' && isxdigit((unsigned char)from[1]) && isxdigit((unsigned char)from[2])) {
                *next++ = (char)(hex(from[1]) * 16 + hex(from[2]));
                from += 2;
            } else {
                *next++ = *from == '+' ? ' ' : *from;
            }
        }
        return value;
    }
    return calloc(1, 1);
}

char *header_value(const struct request *request, const char *name) {
    size_t length = strlen(name);
    for (const char *line = request->headers; line && *line; line = strstr(line, "\r\n") ? strstr(line, "\r\n") + 2 : NULL) {
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1 + strspn(line + length + 1, " \t");
            return strndup(line, strcspn(line, "\r\n"));
        }
    }
    return calloc(1, 1);
}

static bool write_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done <= 0)
            return false;
        data += done;
        size -= (size_t)done;
    }
    return true;
}

static const char *reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 302: return "Found";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 412: return "Precondition Failed";
    case 417: return "Expectation Failed";
    case 500: return "Internal Server Error";
    default: return "Status";
    }
}

/* Read on until a whole head is in the buffer; its length with the empty line, 0 at the end of the connection. */
static size_t read_head(struct connection *it) {
    for (;;) {
        it->buffer[it->filled] = 0;
        char *end = strstr(it->buffer, "\r\n\r\n");
        if (end)
            return (size_t)(end - it->buffer) + 4;
        if (it->filled == HEAD_LIMIT)
            return 0;
        ssize_t found = read(it->fd, it->buffer + it->filled, HEAD_LIMIT - it->filled);
        if (found <= 0)
            return 0;
        it->filled += (size_t)found;
    }
}

static bool read_body(struct connection *it, struct request *request) {
    char *length = header_value(request, "Content-Length");
    request->body_length = strtoul(length, NULL, 10);
    free(length);
    if (request->body_length > BODY_LIMIT)
        return false;
    request->body = calloc(1, request->body_length + 1);
    size_t have = it->filled < request->body_length ? it->filled : request->body_length;
    memcpy(request->body, it->buffer, have);
    memmove(it->buffer, it->buffer + have, it->filled - have);
    it->filled -= have;
    while (have < request->body_length) {
        ssize_t found = read(it->fd, request->body + have, request->body_length - have);
        if (found <= 0)
            return false;
        have += (size_t)found;
    }
    return true;
}

static bool answer(struct connection *it, struct request *request) {
    struct response response = {.status = 200};
    char *body = NULL, *connection = header_value(request, "Connection"), head[2048];
    size_t size = 0;
    response.body = open_memstream(&body, &size);
    response.close = strcasecmp(connection, "close") == 0;
    it->server.handle(request, &response);
    fclose(response.body);
    bool bare = strcmp(request->method, "HEAD") == 0;
    const char *type = strcasestr(response.headers, "Content-Type:") ? "" : "Content-Type: text/plain; charset=utf-8\r\n";
    snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\n%s%sContent-Length: %zu\r\n%s\r\n", response.status,
             reason(response.status), response.headers, type, size, response.close ? "Connection: close\r\n" : "");
    bool sent = write_all(it->fd, head, strlen(head)) && (bare || write_all(it->fd, body, size));
    free(body);
    free(connection);
    return sent && !response.close;
}

static bool serve_request(struct connection *it) {
    size_t head = read_head(it);
    if (!head)
        return false;
    struct request request = {.context = it->server.context};
    char *text = strndup(it->buffer, head - 2), version[16] = "";
    memmove(it->buffer, it->buffer + head, it->filled - head);
    it->filled -= head;
    memcpy(request.remote, it->remote, sizeof request.remote);
    request.target = calloc(1, head);
    bool go_on = false;
    if (sscanf(text, "%15s %s %15s", request.method, request.target, version) == 3) {
        char *line_end = strstr(text, "\r\n");
        request.headers = line_end + 2;
        request.path = strdup(request.target);
        char *mark = strchr(request.path, '?');
        request.query = mark ? mark + 1 : "";
        if (mark)
            *mark = 0;
        go_on = read_body(it, &request) && answer(it, &request) && strcmp(version, "HTTP/1.0") != 0;
        free(request.body);
        free(request.path);
    }
    free(request.target);
    free(text);
    return go_on;
}

static void *serve_connection(void *context) {
    struct connection *it = context;
    while (serve_request(it)) {
    }
    shutdown(it->fd, SHUT_WR);
    close(it->fd);
    free(it);
    return NULL;
}

static void *accept_all(void *context) {
    struct server *server = context;
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        int fd = accept4(server->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        struct connection *it = calloc(1, sizeof *it);
        it->fd = server->tls ? tls_inside(server->tls, fd) : fd;
        it->server = *server;
        peer_name((struct sockaddr *)&peer, it->remote, sizeof it->remote);
        start_thread(serve_connection, it);
    }
    return NULL;
}

static struct server *new_server(int port, handler handle, void *context, struct ssl_ctx_st *tls) {
    struct server *server = calloc(1, sizeof *server);
    *server = (struct server){listen_tcp(port), handle, context, tls};
    return server;
}

void serve_http(int port, handler handle, void *context, struct ssl_ctx_st *tls) {
    accept_all(new_server(port, handle, context, tls));
    abort();
}

void serve_http_in_background(int port, handler handle, void *context, struct ssl_ctx_st *tls) {
    start_thread(accept_all, new_server(port, handle, context, tls));
}

char *http_get(const char *host, const char *port, const char *path, char *error, size_t error_size) {
    const char *kind;
    int fd = dial(SOCK_STREAM, host, port, 5, &kind);
    if (fd < 0) {
        snprintf(error, error_size, "Get \"http://%s:%s/%s\": dial tcp %s:%s: %s", host, port, path, host, port,
                 errno == ETIMEDOUT ? "i/o timeout" : go_error(errno));
        return NULL;
    }
    struct timeval limit = {5, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char *head = NULL, *text = NULL, piece[4096];
    size_t size = 0;
    if (asprintf(&head, "GET /%s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n", path, host, port) < 0)
        fail("out of memory");
    FILE *out = open_memstream(&text, &size);
    ssize_t found = write_all(fd, head, strlen(head)) ? 1 : -1;
    while (found > 0 && (found = read(fd, piece, sizeof piece)) > 0)
        fwrite(piece, 1, (size_t)found, out);
    int number = errno;
    fclose(out);
    close(fd);
    free(head);
    char *body = strstr(text, "\r\n\r\n");
    if (found < 0 || !body) {
        snprintf(error, error_size, "Get \"http://%s:%s/%s\": %s", host, port, path, found < 0 ? go_error(number) : "EOF");
        free(text);
        return NULL;
    }
    char *result = strdup(body + 4);
    free(text);
    return result;
}
