/* SPDX-License-Identifier: MIT */
#include "named.h"

#include "files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *named_below(const rec_settings *s, const char *given)
{
	const char *name = folder_name(s->dir, given);

	return name != NULL || s->dir_given == NULL ? name : folder_name(s->dir_given, given);
}

static int is_named(const char *key)
{
	return strcmp(key, "file") == 0 || strcmp(key, "copy") == 0;
}

/* The i-th path of the v-th value; 0 if it is no file, or has no more. */
static int path_of(const rec_settings *s, const rec_call *call, size_t v, name_fn *name, int i,
                   char out[PATH_ROOM])
{
	const char *given = is_named(call->given[v].key) ? named_below(s, call->given[v].value) : NULL;
	char written[PATH_ROOM];

	return given != NULL && name(given, i, written) &&
	       (size_t)snprintf(out, PATH_ROOM, "%s/%s", s->dir, written) < PATH_ROOM;
}

void named_files(const rec_settings *s, const rec_call *call, name_fn *name, rec_file_fn *found, void *arg)
{
	char path[PATH_ROOM];
	size_t v;
	int i;

	for (v = 0; v < call->n; v++)
		for (i = 0; path_of(s, call, v, name, i, path); i++)
			if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
				found(path, arg);
}

int named_owns(const rec_settings *s, const rec_call *call, name_fn *name, const char *path)
{
	char mine[PATH_ROOM];
	size_t v;
	int i;

	for (v = 0; v < call->n; v++)
		for (i = 0; path_of(s, call, v, name, i, mine); i++)
			if (strcmp(mine, path) == 0)
				return 1;
	return 0;
}

static int is_file_name(const rec_settings *s, const rec_call *call, size_t v, name_fn *name)
{
	char path[PATH_ROOM];
	int i;

	for (i = 0; path_of(s, call, v, name, i, path); i++)
		if (folder_name(s->dir, path) == NULL)
			return 0;
	return i > 0;
}

int named_well(const rec_settings *s, const rec_call *call, name_fn *name)
{
	size_t v, n = 0;

	for (v = 0; v < call->n; v++)
		if (is_named(call->given[v].key)) {
			n += strcmp(call->given[v].key, "file") == 0;
			if (!is_file_name(s, call, v, name))
				return 0;
		}
	return n > 0;
}
