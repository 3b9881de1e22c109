/* connect: one TCP or UDP connection; the failure is one word that a test can compare. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agnhost.h"

static int say(const char *word, int error) {
    if (error == ETIMEDOUT || error == EAGAIN)
        word = "TIMEOUT";
    else if (error == ECONNREFUSED)
        word = "REFUSED";
    if (strcmp(word, "DNS") == 0 || strcmp(word, "OTHER") == 0)
        fprintf(stderr, "%s: %s\n", word, go_error(error));
    else
        fprintf(stderr, "%s\n", word);
    return 1;
}

static int exchange(int fd, const char *data, double seconds) {
    char text[1024];
    struct timeval limit = {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    dprintf(fd, "%s\n", data);
    return read(fd, text, sizeof text) > 0 ? 0 : say("OTHER", errno);
}

int connect_main(int argc, char **argv) {
    const char *to = argument(argc, argv), *protocol = flag_text(argc, argv, "protocol", "tcp"), *kind;
    double seconds = flag_seconds(argc, argv, "timeout", 0);
    char *host = strdup(to ? to : ""), *colon = strrchr(host, ':');
    bool udp = strcmp(protocol, "udp") == 0;
    if (!colon) {
        fprintf(stderr, "UNKNOWN: address %s: missing port in address\n", host);
        return 1;
    }
    if (!udp && *protocol && strcmp(protocol, "tcp") != 0) {
        fprintf(stderr, "Unsupported protocol\n%s", protocol);
        return 1;
    }
    *colon = 0;
    if (*host == '[') { /* [::1]:80 */
        host++;
        host[strcspn(host, "]")] = 0;
    }
    int fd = dial(udp ? SOCK_DGRAM : SOCK_STREAM, host, colon + 1, seconds, &kind);
    if (fd < 0)
        return say(*kind ? kind : "OTHER", errno);
    return udp ? exchange(fd, flag_text(argc, argv, "udp-data", "hostname"), seconds) : 0;
}
