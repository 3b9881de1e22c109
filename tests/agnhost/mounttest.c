/* mounttest: makes and reads files of a volume, and prints what it is, in a fixed order that the rows rely on. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agnhost.h"

#define TMPFS 0x01021994
static const char CONTENT[] = "mount-tester new file\n";
static int failures;

/* "-rwxr-xr-x", as Go's FileMode prints itself; with `whole` also directory, sticky, set-id. */
static const char *mode_text(mode_t mode, bool whole) {
    static char text[32];
    char *next = text;
    static const struct {
        mode_t bit;
        char letter;
    } KINDS[] = {{S_ISUID, 'u'}, {S_ISGID, 'g'}, {S_ISVTX, 't'}};
    if (whole && S_ISDIR(mode))
        *next++ = 'd';
    if (whole && S_ISLNK(mode))
        *next++ = 'L';
    for (size_t i = 0; whole && i < 3; i++)
        if (mode & KINDS[i].bit)
            *next++ = KINDS[i].letter;
    if (next == text)
        *next++ = '-';
    for (int bit = 8; bit >= 0; bit--)
        *next++ = mode & (1u << bit) ? "xwr"[bit % 3] : '-';
    *next = 0;
    return text;
}

static void print_type(const char *path) {
    struct statfs found;
    if (statfs(path, &found) != 0) {
        printf("error from statfs(\"%s\"): %s\n", path, go_error(errno));
        failures++;
    } else if (found.f_type == TMPFS) {
        printf("mount type of \"%s\": tmpfs\n", path);
    } else {
        printf("mount type of \"%s\": %ld\n", path, (long)found.f_type);
    }
}

static void print_content(const char *path) {
    size_t length;
    char *content = read_file(path, &length);
    if (!content) {
        printf("error reading file content for \"%s\": open %s: %s\n", path, path, go_error(errno));
        failures++;
        return;
    }
    printf("content of file \"%s\": ", path);
    fwrite(content, 1, length, stdout);
    putchar('\n');
    free(content);
}

static void make_file(const char *path, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, CONTENT, sizeof CONTENT - 1) != (ssize_t)(sizeof CONTENT - 1)) {
        printf("error writing new file \"%s\": open %s: %s\n", path, path, go_error(errno));
        failures++;
    } else {
        print_content(path);
    }
    if (fd >= 0)
        close(fd);
}

enum { MODE, PERMISSIONS, OWNER };

static void print_stat(const char *path, int what) {
    struct stat found;
    if (stat(path, &found) != 0) {
        printf("error from Stat(\"%s\"): stat %s: %s\n", path, path, go_error(errno));
        failures++;
    } else if (what == MODE) {
        printf("mode of file \"%s\": %s\n", path, mode_text(found.st_mode, true));
    } else if (what == PERMISSIONS) {
        printf("perms of file \"%s\": %s\n", path, mode_text(found.st_mode, false));
    } else {
        printf("owner UID of \"%s\": %u\n", path, found.st_uid);
        printf("owner GID of \"%s\": %u\n", path, found.st_gid);
    }
}

/* Read again every two seconds, until the content is as expected (if asked to stop there) or the time is over. */
static void read_in_loop(const char *path, double seconds, bool stop_when_expected) {
    bool failed = false;
    for (double start = now_seconds(); now_seconds() - start < seconds; pause_seconds(2)) {
        size_t length;
        char *content = read_file(path, &length);
        failed = !content;
        if (failed) {
            printf("Error reading file %s: open %s: %s, retrying\n", path, path, go_error(errno));
            continue;
        }
        printf("content of file \"%s\": ", path);
        fwrite(content, 1, length, stdout);
        putchar('\n');
        bool expected = length == sizeof CONTENT - 1 && memcmp(content, CONTENT, length) == 0;
        free(content);
        if (stop_when_expected && expected)
            break;
        if (stop_when_expected)
            printf("Unexpected content. Expected: %s. Retrying", CONTENT);
    }
    failures += failed;
}

int mounttest_main(int argc, char **argv) {
    const char *path;
    umask(0);
#define PATH_OF(name) (*(path = flag_text(argc, argv, name, "")))
    if (PATH_OF("fs_type"))
        print_type(path);
    if (PATH_OF("new_file_0644"))
        make_file(path, 0644);
    if (PATH_OF("new_file_0666"))
        make_file(path, 0666);
    if (PATH_OF("new_file_0660"))
        make_file(path, 0660);
    if (PATH_OF("new_file_0777"))
        make_file(path, 0777);
    if (PATH_OF("file_mode"))
        print_stat(path, MODE);
    if (PATH_OF("file_perm"))
        print_stat(path, PERMISSIONS);
    if (PATH_OF("file_owner"))
        print_stat(path, OWNER);
    if (PATH_OF("file_content"))
        print_content(path);
    if (PATH_OF("file_content_in_loop"))
        read_in_loop(path, (double)flag_number(argc, argv, "retry_time", 180),
                     flag_bool(argc, argv, "break_on_expected_content", true));
    return failures ? 1 : 0;
}
