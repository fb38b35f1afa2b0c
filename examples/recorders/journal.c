/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_MAX_BYTES = 1024, COMPACT_BYTES = 1 << 20 };

struct journal {
	pthread_mutex_t lock;
	char path[PATH_MAX_BYTES], folder[PATH_MAX_BYTES];
	int fd;
	int torn; /* a line may have been cut off: begin with a line break */
	size_t written, kept;
	json_t *records;
};

static int complain(const char *path, const char *what)
{
	(void)fprintf(stderr, "recorders: %s: %s\n", path, what);
	return -1;
}

static void key_of(const json_t *record, char key[24])
{
	(void)snprintf(key, 24, "%lld", (long long)json_integer_value(json_object_get(record, "n")));
}

/* Takes `record`. */
static void keep(journal *j, json_t *record)
{
	char key[24];

	key_of(record, key);
	if (json_object_size(record) > 1) {
		(void)json_object_set_new(j->records, key, record);
	} else {
		(void)json_object_del(j->records, key);
		json_decref(record);
	}
}

/* ---- reading ---- */

static void read_all(journal *j, FILE *f)
{
	char *line = NULL;
	size_t room = 0, bad = 0;
	ssize_t n;

	while ((n = getline(&line, &room, f)) > 0) {
		json_t *record = json_loadb(line, (size_t)n, 0, NULL);

		j->written += (size_t)n;
		j->torn = line[n - 1] != '\n';
		if (json_is_integer(json_object_get(record, "n"))) {
			keep(j, record);
		} else {
			bad += n > 1;
			json_decref(record);
		}
	}
	free(line);
	if (bad > 0)
		(void)fprintf(stderr, "recorders: %s: %zu damaged lines were passed over\n", j->path, bad);
}

static int open_file(journal *j)
{
	struct stat st;
	FILE *f;

	j->fd = open(j->path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (j->fd < 0 || fstat(j->fd, &st) != 0)
		return complain(j->path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0 || st.st_nlink != 1)
		return complain(j->path,
		                "is not a file of this user's alone (owner, mode 0600, one name): it decides what "
		                "is stopped and erased, so look who made it");
	f = fdopen(dup(j->fd), "r");
	if (f == NULL)
		return complain(j->path, strerror(errno));
	read_all(j, f);
	(void)fclose(f);
	return 0;
}

/* ---- writing ---- */

static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	(void)close(fd);
	return rc;
}

static int write_line(int fd, int torn, const json_t *record, size_t *bytes)
{
	char *text = json_dumps(record, JSON_COMPACT | JSON_ENSURE_ASCII), *line = NULL;
	int n = text != NULL ? asprintf(&line, "%s%s\n", torn ? "\n" : "", text) : -1;
	int rc = n > 0 && write(fd, line, (size_t)n) == n ? 0 : -1;

	if (n > 0)
		free(line);
	free(text);
	if (rc == 0)
		*bytes += (size_t)n;
	return rc;
}

/* Only what is still needed. If it fails the old file stays, and stays complete. */
static int rewrite(journal *j)
{
	char tmp[PATH_MAX_BYTES + 8];
	const char *key;
	json_t *record;
	size_t bytes = 0;
	int fd, rc = 0;

	(void)snprintf(tmp, sizeof tmp, "%s.tmp", j->path);
	(void)unlink(tmp);
	fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	json_object_foreach(j->records, key, record) if (rc == 0) rc = write_line(fd, 0, record, &bytes);
	if (rc == 0)
		rc = fdatasync(fd);
	if (rc == 0)
		rc = rename(tmp, j->path);
	if (rc == 0)
		rc = sync_folder(j->folder);
	if (rc != 0) {
		(void)close(fd);
		(void)unlink(tmp);
		return -1;
	}
	(void)close(j->fd);
	j->fd = fd;
	j->torn = 0;
	j->written = j->kept = bytes;
	return 0;
}

journal *journal_open(const char *folder)
{
	journal *j = calloc(1, sizeof *j);

	if (j == NULL)
		return NULL;
	j->fd = -1;
	j->records = json_object();
	(void)snprintf(j->folder, sizeof j->folder, "%s", folder);
	if (j->records == NULL || pthread_mutex_init(&j->lock, NULL) != 0 ||
	    (size_t)snprintf(j->path, sizeof j->path, "%s/calls", folder) >= sizeof j->path || open_file(j) != 0) {
		journal_close(j);
		return NULL;
	}
	if (rewrite(j) != 0) {
		(void)complain(j->path, strerror(errno));
		journal_close(j);
		return NULL;
	}
	return j;
}

const json_t *journal_records(const journal *j)
{
	return j->records;
}

int journal_put(journal *j, json_t *record)
{
	int rc = -1;

	if (record == NULL)
		return -1;
	(void)pthread_mutex_lock(&j->lock);
	rc = write_line(j->fd, j->torn, record, &j->written);
	j->torn = rc != 0;
	/* What fdatasync() refused once is not sure to be there after the next: written again, elsewhere. */
	keep(j, record);
	if (rc != 0 || fdatasync(j->fd) != 0 || (j->written > COMPACT_BYTES && j->written / 4 > j->kept))
		rc = rewrite(j);
	(void)pthread_mutex_unlock(&j->lock);
	return rc;
}

void journal_close(journal *j)
{
	if (j == NULL)
		return;
	if (j->fd >= 0)
		(void)close(j->fd);
	json_decref(j->records);
	free(j);
}
