/* The parts of the test image's one program: a file per group of subcommands, `main.c` chooses.
 *
 * What must stay true: what a subcommand prints is what the upstream program of the same name prints, because the
 * conformance rows compare it; the program is static, so the image needs no library.
 */
#ifndef AGNHOST_H
#define AGNHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* -- output.c: writing as Go's fmt, log and encoding/json write -------------------------------------------------- */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2))); /* "2026/01/02 03:04:05 text" on stderr */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2))); /* log_line, then exit 1 */
void quote(FILE *out, const char *text, size_t length);                   /* a JSON string */
const char *go_error(int number);                                         /* strerror in lower case, as Go has it */
char *read_file(const char *path, size_t *length);                        /* NULL with errno; the caller frees it */
double now_seconds(void);                                                 /* monotonic */
const char *host_name(void);
void pause_seconds(double seconds);

/* -- flags.c: --name=value, --name value, -n value ---------------------------------------------------------------- */
const char *flag_text(int argc, char **argv, const char *name, const char *otherwise);
long flag_number(int argc, char **argv, const char *name, long otherwise);
bool flag_bool(int argc, char **argv, const char *name, bool otherwise);
double flag_seconds(int argc, char **argv, const char *name, double otherwise); /* a Go duration: 300ms, 1m30s */
double duration_seconds(const char *text);                                      /* negative: not a duration */
const char *argument(int argc, char **argv); /* the first word that is no flag and no flag's value; NULL: none */

/* -- http.c: a server with a thread per connection, and a client for one GET -------------------------------------- */
struct request {
    char method[16];
    char *path;    /* without the query */
    char *query;   /* still escaped */
    char *target;  /* as it was sent */
    char *headers; /* the lines as they came, the request line left out */
    char *body;
    size_t body_length;
    char remote[64]; /* address:port */
    void *context;
};

struct response {
    int status;
    bool close; /* after this answer */
    char headers[1024];
    FILE *body;
};

typedef void (*handler)(const struct request *, struct response *);

struct ssl_ctx_st;
_Noreturn void serve_http(int port, handler handle, void *context, struct ssl_ctx_st *tls); /* tls NULL: plain */
void serve_http_in_background(int port, handler handle, void *context, struct ssl_ctx_st *tls);
char *query_value(const char *query, const char *name);           /* unescaped, "" if absent; the caller frees it */
char *header_value(const struct request *request, const char *name); /* "" if absent; the caller frees it */
char *http_get(const char *host, const char *port, const char *path, char *error, size_t error_size);

/* -- tls.c -------------------------------------------------------------------------------------------------------- */
struct ssl_ctx_st *tls_server(const char *certificate, const char *key); /* PEM files; ends the program if unusable */
int tls_inside(struct ssl_ctx_st *context, int outside);                 /* the plain side of an accepted connection */

/* -- sockets.c ---------------------------------------------------------------------------------------------------- */
int listen_tcp(int port);                          /* on every address; ends the program if it cannot */
int bind_udp(const char *address, int port);       /* "": on every address */
int dial(int type, const char *host, const char *port, double seconds, const char **kind); /* -1 with errno; kind "DNS" or "" */
void start_thread(void *(*run)(void *), void *context);
struct sockaddr;
void peer_name(const struct sockaddr *address, char *text, size_t size); /* "10.0.0.1:80", "[::1]:80" */

/* -- the subcommands ---------------------------------------------------------------------------------------------- */
int connect_main(int argc, char **argv);
int dns_server_list_main(int argc, char **argv);
int dns_suffix_main(int argc, char **argv);
int entrypoint_main(int argc, char **argv);
int etc_hosts_main(int argc, char **argv);
int grpc_health_main(int argc, char **argv);
int liveness_main(int argc, char **argv);
int logs_generator_main(int argc, char **argv);
int mounttest_main(int argc, char **argv);
int netexec_main(int argc, char **argv);
int pause_main(int argc, char **argv);
int porter_main(int argc, char **argv);
int serve_hostname_main(int argc, char **argv);
int test_webserver_main(int argc, char **argv);

#endif
