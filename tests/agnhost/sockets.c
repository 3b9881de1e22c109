/* TCP and UDP sockets on both address families, and threads to serve them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agnhost.h"

static int bound(int type, const char *address, int port) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, off = 0;
    bool is_four = *address && inet_pton(AF_INET, address, &four.sin_addr) == 1;
    if (*address && !is_four && inet_pton(AF_INET6, address, &six.sin6_addr) != 1)
        fail("parseAddress: invalid address %s", address);
    int fd = socket(is_four ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
    if (fd < 0 && !*address) { /* a machine without IPv6 */
        is_four = true;
        fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!is_four && !*address)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    int failed = is_four ? bind(fd, (struct sockaddr *)&four, sizeof four) : bind(fd, (struct sockaddr *)&six, sizeof six);
    if (fd < 0 || failed)
        fail("listen %s:%d: bind: %s", address, port, go_error(errno));
    return fd;
}

int listen_tcp(int port) {
    int fd = bound(SOCK_STREAM, "", port);
    if (listen(fd, 128) != 0)
        fail("listen :%d: %s", port, go_error(errno));
    return fd;
}

int bind_udp(const char *address, int port) { return bound(SOCK_DGRAM, address, port); }

static int try_address(const struct addrinfo *found, double seconds) {
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t size = sizeof error;
    if (fd < 0)
        return -1;
    if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        struct pollfd wait = {fd, POLLOUT, 0};
        error = errno;
        if (error == EINPROGRESS) {
            int ready = poll(&wait, 1, seconds > 0 ? (int)(seconds * 1000) : -1);
            error = ETIMEDOUT;
            if (ready == 1)
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        }
    }
    if (error) {
        close(fd);
        errno = error;
        return -1;
    }
    fcntl(fd, F_SETFL, 0);
    return fd;
}

int dial(int type, const char *host, const char *port, double seconds, const char **kind) {
    struct addrinfo hints = {.ai_socktype = type}, *found = NULL;
    *kind = "";
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure) {
        *kind = "DNS";
        errno = failure == EAI_SYSTEM ? errno : EHOSTUNREACH;
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *one = found; one && fd < 0; one = one->ai_next)
        fd = try_address(one, seconds);
    int error = errno;
    freeaddrinfo(found);
    errno = error;
    return fd;
}

void start_thread(void *(*run)(void *), void *context) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, run, context) != 0)
        fail("cannot start a thread");
    pthread_attr_destroy(&attributes);
}

void peer_name(const struct sockaddr *address, char *text, size_t size) {
    char host[INET6_ADDRSTRLEN];
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)address;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%d", host, ntohs(four->sin_port));
        return;
    }
    const struct sockaddr_in6 *six = (const void *)address;
    if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
        inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], host, sizeof host);
        snprintf(text, size, "%s:%d", host, ntohs(six->sin6_port));
    } else {
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%d", host, ntohs(six->sin6_port));
    }
}
