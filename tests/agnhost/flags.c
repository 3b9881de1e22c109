/* Flags as cobra reads them: --name=value, --name value, -n value; a bool flag takes its value with "=" only. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "agnhost.h"

/* The value at `*index`, or NULL if that word is not the flag; `*index` moves to the last word of the flag. */
static const char *value_at(int argc, char **argv, int *index, const char *name, bool takes_word) {
    const char *word = argv[*index];
    if (word[0] != '-')
        return NULL;
    word += word[1] == '-' ? 2 : 1;
    size_t length = strcspn(word, "=");
    if (strlen(name) != length || strncmp(word, name, length) != 0)
        return NULL;
    if (word[length] == '=')
        return word + length + 1;
    if (takes_word && *index + 1 < argc)
        return argv[++*index];
    return takes_word ? "" : "true";
}

static const char *find(int argc, char **argv, const char *name, bool takes_word) {
    const char *found = NULL;
    for (int i = 1; i < argc; i++) {
        const char *value = value_at(argc, argv, &i, name, takes_word);
        found = value ? value : found;
    }
    return found;
}

const char *flag_text(int argc, char **argv, const char *name, const char *otherwise) {
    const char *value = find(argc, argv, name, true);
    return value ? value : otherwise;
}

long flag_number(int argc, char **argv, const char *name, long otherwise) {
    const char *value = find(argc, argv, name, true);
    char *end;
    if (!value)
        return otherwise;
    long number = strtol(value, &end, 10);
    if (*end || !*value)
        fail("Error: invalid argument \"%s\" for \"--%s\" flag", value, name);
    return number;
}

bool flag_bool(int argc, char **argv, const char *name, bool otherwise) {
    const char *value = find(argc, argv, name, false);
    return value ? strcmp(value, "false") != 0 && strcmp(value, "0") != 0 : otherwise;
}

double duration_seconds(const char *text) {
    double seconds = 0;
    if (strcmp(text, "0") == 0)
        return 0;
    if (!*text)
        return -1;
    while (*text) {
        char *unit;
        double number = strtod(text, &unit);
        if (unit == text)
            return -1;
        if (strncmp(unit, "ms", 2) == 0)
            seconds += number / 1000, unit += 2;
        else if (*unit == 's')
            seconds += number, unit++;
        else if (*unit == 'm')
            seconds += number * 60, unit++;
        else if (*unit == 'h')
            seconds += number * 3600, unit++;
        else
            return -1;
        text = unit;
    }
    return seconds;
}

double flag_seconds(int argc, char **argv, const char *name, double otherwise) {
    const char *value = find(argc, argv, name, true);
    if (!value)
        return otherwise;
    double seconds = duration_seconds(value);
    if (seconds < 0)
        fail("Error: invalid argument \"%s\" for \"--%s\" flag", value, name);
    return seconds;
}

const char *argument(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] != '-')
            return argv[i];
        if (!strchr(argv[i], '='))
            i++; /* its value; no subcommand with an argument has a bool flag */
    }
    return NULL;
}
