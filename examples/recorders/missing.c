/* SPDX-License-Identifier: MIT */
/*
 * What cannot be erased, for nobody knows where it is: a file that `start` named and nobody has seen, and a
 * recording that `start` did not name. It has a name of its own among the call's files; the library is told of it,
 * and as long as it asks for it in vain it calls nothing erased.
 */
#include "calls.h"

#include <stdio.h>
#include <string.h>

static const char unseen[] = "unseen:";

int is_missing(const char *location)
{
	return strncmp(location, unseen, sizeof unseen - 1) == 0 ||
	       strncmp(location, UNNAMED, sizeof UNNAMED - 1) == 0;
}

int was_found(entry *e, const char *location)
{
	rec_call only = {.n = 1};

	if (e == NULL || strncmp(location, unseen, sizeof unseen - 1) != 0)
		return 0;
	(void)snprintf(only.given[0].key, sizeof only.given[0].key, "file");
	(void)snprintf(only.given[0].value, sizeof only.given[0].value, "%s", location + sizeof unseen - 1);
	return was_seen(e, &only);
}

void miss(entry *e, const char *location)
{
	(void)pthread_mutex_lock(&e->g->lock);
	if (known_find(e, location) == NULL && known_add(e, location, &(file_id){0}) != NULL)
		e->dirty = 1;
	(void)pthread_mutex_unlock(&e->g->lock);
}

void miss_unseen(entry *e)
{
	char location[PATH_ROOM];
	size_t i, v;

	for (i = 0; i < e->n_parts; i++)
		for (v = 0; v < e->parts[i].n; v++) {
			(void)snprintf(location, sizeof location, "%s%s", unseen, e->parts[i].given[v].value);
			if (strcmp(e->parts[i].given[v].key, "file") == 0 && !was_found(e, location))
				miss(e, location);
		}
}
