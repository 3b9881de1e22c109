/* TLS in front of a plain server: each connection becomes a socket pair, a thread carries the bytes between the two. */
#define _GNU_SOURCE
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agnhost.h"

struct carried {
    SSL *tls;
    int outside;
    int inside;
};

SSL_CTX *tls_server(const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        fail("cannot use %s with %s: %s", certificate, key, ERR_error_string(ERR_get_error(), NULL));
    return context;
}

/* What came in over TLS goes inside; false at its end. */
static bool carry_in(struct carried *it) {
    char piece[4096];
    int found = SSL_read(it->tls, piece, sizeof piece);
    return found > 0 && write(it->inside, piece, (size_t)found) == found;
}

static bool carry_out(struct carried *it) {
    char piece[4096];
    ssize_t found = read(it->inside, piece, sizeof piece);
    return found > 0 && SSL_write(it->tls, piece, (int)found) == found;
}

static void *carry(void *context) {
    struct carried *it = context;
    struct pollfd waits[2] = {{it->outside, POLLIN, 0}, {it->inside, POLLIN, 0}};
    bool go_on = SSL_accept(it->tls) == 1;
    while (go_on) {
        if (SSL_pending(it->tls) == 0 && poll(waits, 2, -1) < 0)
            break;
        if (SSL_pending(it->tls) || waits[0].revents)
            go_on = carry_in(it);
        if (go_on && waits[1].revents)
            go_on = carry_out(it);
        waits[0].revents = waits[1].revents = 0;
    }
    SSL_shutdown(it->tls);
    SSL_free(it->tls);
    close(it->outside);
    close(it->inside);
    free(it);
    return NULL;
}

int tls_inside(SSL_CTX *context, int outside) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        fail("socketpair failed");
    struct carried *it = malloc(sizeof *it);
    *it = (struct carried){SSL_new(context), outside, pair[0]};
    SSL_set_fd(it->tls, outside);
    start_thread(carry, it);
    return pair[1];
}
