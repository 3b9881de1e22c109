/* Text as Go programs write it, files read whole, and the two clocks that the subcommands need. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agnhost.h"

static void write_line(const char *format, va_list words) {
    char stamp[32], *text = NULL;
    time_t seconds = time(NULL);
    struct tm parts;
    strftime(stamp, sizeof stamp, "%Y/%m/%d %H:%M:%S", gmtime_r(&seconds, &parts));
    if (vasprintf(&text, format, words) >= 0)
        fprintf(stderr, "%s %s\n", stamp, text);
    free(text);
}

void log_line(const char *format, ...) {
    va_list words;
    va_start(words, format);
    write_line(format, words);
    va_end(words);
}

void fail(const char *format, ...) {
    va_list words;
    va_start(words, format);
    write_line(format, words);
    va_end(words);
    exit(1);
}

void quote(FILE *out, const char *text, size_t length) {
    fputc('"', out);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c == '\r')
            fputs("\\r", out);
        else if (c == '\t')
            fputs("\\t", out);
        else if (c < 0x20 || c == '<' || c == '>' || c == '&')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

const char *go_error(int number) {
    static _Thread_local char text[128];
    snprintf(text, sizeof text, "%s", strerror(number));
    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *content = NULL, piece[4096];
    size_t found, size = 0;
    FILE *out = open_memstream(&content, &size);
    while ((found = fread(piece, 1, sizeof piece, file)) > 0)
        fwrite(piece, 1, found, out);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    fclose(out);
    if (error) { /* a directory opens and does not read */
        free(content);
        errno = error;
        return NULL;
    }
    if (length)
        *length = size;
    return content;
}

double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

const char *host_name(void) {
    static _Thread_local char name[256];
    if (gethostname(name, sizeof name) != 0)
        fail("Error from os.Hostname(): %s", go_error(errno));
    return name;
}

void pause_seconds(double seconds) {
    struct timespec wait = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&wait, &wait) != 0 && errno == EINTR) {
    }
}
