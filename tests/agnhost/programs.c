/* What prints and ends, or prints and waits: entrypoint-tester, pause, logs-generator, the dns- commands. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agnhost.h"

int entrypoint_main(int argc, char **argv) {
    putchar('[');
    for (int i = 0; i < argc; i++)
        printf("%s%s", i ? " " : "", argv[i]);
    puts("]");
    return 0;
}

int pause_main(int argc, char **argv) {
    (void)argc, (void)argv;
    sigset_t signals;
    int received;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    puts("Paused");
    fflush(stdout);
    sigwait(&signals, &received);
    return received == SIGINT ? 1 : 2;
}

/* A line as klog writes it: "I0102 03:04:05.000000       1 logs_generator.go:76] 0 GET /api/... 200". */
static void print_log_line(long id) {
    static const char *const METHODS[] = {"GET", "POST", "PUT"}, *const NAMESPACES[] = {"kube-system", "default", "ns"};
    struct timespec now;
    struct tm parts;
    char stamp[32], name[5] = "";
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(stamp, sizeof stamp, "%m%d %H:%M:%S", gmtime_r(&now.tv_sec, &parts));
    for (int i = 0, length = 3 + rand() % 2; i < length; i++)
        name[i] = "bcdfghjklmnpqrstvwxz2456789"[rand() % 27];
    fprintf(stderr, "I%s.%06ld %7d logs_generator.go:76] %ld %s /api/v1/namespaces/%s/pods/%s %d\n", stamp,
            now.tv_nsec / 1000, getpid(), id, METHODS[rand() % 3], NAMESPACES[rand() % 3], name, 200 + rand() % 400);
}

int logs_generator_main(int argc, char **argv) {
    long lines = flag_number(argc, argv, "log-lines-total", flag_number(argc, argv, "t", 0));
    double seconds = flag_seconds(argc, argv, "run-duration", flag_seconds(argc, argv, "d", 0));
    if (lines <= 0)
        fail("Invalid total number of lines: %ld", lines);
    if (seconds <= 0)
        fail("Invalid duration: %gs", seconds);
    double start = now_seconds();
    for (long id = 0; id < lines; id++) {
        print_log_line(id);
        double next = start + (double)(id + 1) * seconds / (double)lines - now_seconds();
        if (next > 0)
            pause_seconds(next);
    }
    return 0;
}

/* The words after every line of /etc/resolv.conf that starts with `keyword`, joined by commas. */
static int print_resolver(const char *keyword, bool last_line_only) {
    size_t length;
    char *text = read_file("/etc/resolv.conf", &length), *rest = text, *line, *found = calloc(1, length + 2);
    if (!text)
        fail("open /etc/resolv.conf: %s", go_error(errno));
    while ((line = strsep(&rest, "\n"))) {
        char *word = strsep(&line, " \t");
        if (!word || strcmp(word, keyword) != 0)
            continue;
        if (last_line_only)
            *found = 0;
        while ((word = strsep(&line, " \t"))) {
            if (*word && *found)
                strcat(found, ",");
            strcat(found, word);
        }
    }
    puts(found);
    return 0;
}

int dns_suffix_main(int argc, char **argv) {
    (void)argc, (void)argv;
    return print_resolver("search", true);
}

int dns_server_list_main(int argc, char **argv) {
    (void)argc, (void)argv;
    return print_resolver("nameserver", false);
}

int etc_hosts_main(int argc, char **argv) {
    (void)argc, (void)argv;
    char *text = read_file("/etc/hosts", NULL);
    if (!text)
        fail("open /etc/hosts: %s", go_error(errno));
    puts(text);
    return 0;
}
