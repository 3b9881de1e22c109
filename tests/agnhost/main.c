/* agnhost: one program for the containers of the conformance rows; the first argument says what it is. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agnhost.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} COMMANDS[] = {
    {"connect", connect_main},
    {"dns-server-list", dns_server_list_main},
    {"dns-suffix", dns_suffix_main},
    {"entrypoint-tester", entrypoint_main},
    {"etc-hosts", etc_hosts_main},
    {"grpc-health-checking", grpc_health_main},
    {"liveness", liveness_main},
    {"logs-generator", logs_generator_main},
    {"mounttest", mounttest_main},
    {"netexec", netexec_main},
    {"pause", pause_main},
    {"porter", porter_main},
    {"serve-hostname", serve_hostname_main},
    {"test-webserver", test_webserver_main},
};

/* The program of setuid rows is this one under another name. */
static int effective_user(void) {
    printf("Effective uid: %d\n", geteuid());
    return 0;
}

int main(int argc, char **argv) {
    const char *name = strrchr(argv[0], '/');
    name = name ? name + 1 : argv[0];
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(name, "nnp") == 0)
        return effective_user();
    if (strcmp(name, "mounttest") == 0)
        return mounttest_main(argc, argv);
    for (size_t i = 0; argc > 1 && i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc, argv);
    fprintf(stderr, "Error: unknown command \"%s\" for \"agnhost\"\n", argc > 1 ? argv[1] : "");
    return 1;
}
