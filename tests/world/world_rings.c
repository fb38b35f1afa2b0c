/* SPDX-License-Identifier: MIT */
/* Shared memory: a real file on a tmpfs, of which only the pages that changed are kept. */
#include "store_items.h"
#include "world_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRS = 64 };

/* Folders that are there, for the case that a test ends without cleaning up. */
static char dirs[DIRS][sizeof(((w_rings *)0)->dir)];

static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(path);
}

static void remove_all(void)
{
	size_t i;

	for (i = 0; i < DIRS; i++)
		if (dirs[i][0] != '\0')
			remove_dir(dirs[i]);
}

int w_own_calls;

void w_rings_make(w_rings *rings)
{
	static int registered;
	size_t i = 0;

	if (!registered && atexit(remove_all) == 0)
		registered = 1;
	memset(rings, 0, sizeof *rings);
	rings->fd = -1;
	(void)snprintf(rings->dir, sizeof rings->dir, "/dev/shm/rco-world-XXXXXX");
	if (mkdtemp(rings->dir) == NULL)
		abort();
	while (i < DIRS && dirs[i][0] != '\0')
		i++;
	if (i == DIRS)
		abort(); /* more worlds at once than a test has use for */
	memcpy(dirs[i], rings->dir, sizeof dirs[i]);
}

static void unmap(w_rings *rings)
{
	if (rings->mapped != NULL)
		(void)munmap(rings->mapped, rings->mapped_size);
	if (rings->fd >= 0)
		(void)close(rings->fd);
	rings->mapped = NULL;
	rings->mapped_size = 0;
	rings->fd = -1;
}

static void page_drop(w_page *page)
{
	if (--page->refs == 0)
		free(page);
}

void w_rings_free(w_rings *rings)
{
	size_t i, k;

	unmap(rings);
	remove_dir(rings->dir);
	for (i = 0; i < DIRS; i++)
		if (strcmp(dirs[i], rings->dir) == 0)
			dirs[i][0] = '\0';
	for (i = 0; i < rings->n_states; i++) {
		for (k = 0; k < rings->states[i].n_pages; k++)
			page_drop(rings->states[i].pages[k]);
		free(rings->states[i].pages);
	}
	free(rings->states);
}

/* ---- the file ---- */

static void find_name(w_rings *rings)
{
	DIR *d = opendir(rings->dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name);

		if (n > 6 && n < sizeof rings->name && strcmp(e->d_name + n - 6, ".rings") == 0)
			memcpy(rings->name, e->d_name, n + 1);
	}
	if (d != NULL)
		(void)closedir(d);
}

static void path_of(const w_rings *rings, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/%s", rings->dir, rings->name);
}

/* Map it, unless it is mapped already and still there. */
static void map(w_rings *rings)
{
	char path[160];
	struct stat st;

	if (rings->fd >= 0 && fstat(rings->fd, &st) == 0 && st.st_nlink > 0)
		return;
	unmap(rings);
	rings->name[0] = '\0'; /* it has another one after each clean stop */
	find_name(rings);
	if (rings->name[0] == '\0')
		return;
	path_of(rings, path, sizeof path);
	rings->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (rings->fd < 0 || fstat(rings->fd, &st) != 0 || st.st_size <= 0 || st.st_size % W_RING_PAGE != 0) {
		unmap(rings);
		return;
	}
	rings->mapped_size = (size_t)st.st_size;
	rings->mapped = mmap(NULL, rings->mapped_size, PROT_READ, MAP_SHARED, rings->fd, 0);
	if (rings->mapped == MAP_FAILED)
		abort();
}

/* ---- states ---- */

static w_page *page_of(const w_ring_state *last, size_t k, const uint8_t *bytes)
{
	w_page *page;

	if (last != NULL && k < last->n_pages && memcmp(last->pages[k]->bytes, bytes, W_RING_PAGE) == 0) {
		last->pages[k]->refs++;
		return last->pages[k];
	}
	page = malloc(sizeof *page);
	if (page == NULL)
		abort();
	page->refs = 1;
	memcpy(page->bytes, bytes, W_RING_PAGE);
	return page;
}

static int unchanged(const w_rings *rings, const w_ring_state *last)
{
	size_t k;

	if (last == NULL)
		return rings->mapped == NULL;
	if (last->n_pages * W_RING_PAGE != rings->mapped_size)
		return 0;
	for (k = 0; k < last->n_pages; k++)
		if (memcmp(last->pages[k]->bytes, rings->mapped + k * W_RING_PAGE, W_RING_PAGE) != 0)
			return 0;
	return 1;
}

void w_rings_look(w_rings *rings, size_t position)
{
	w_ring_state *state, *last;
	size_t k;

	w_own_calls++;
	map(rings);
	w_own_calls--;
	if (unchanged(rings, rings->n_states > 0 ? &rings->states[rings->n_states - 1] : NULL))
		return;
	rings->states = s_more(rings->states, rings->n_states, &rings->cap_states, sizeof *rings->states);
	last = rings->n_states > 0 ? &rings->states[rings->n_states - 1] : NULL;
	state = &rings->states[rings->n_states];
	state->at = position;
	memcpy(state->name, rings->name, sizeof state->name);
	state->n_pages = rings->mapped_size / W_RING_PAGE;
	state->pages = malloc((state->n_pages + 1) * sizeof(w_page *));
	if (state->pages == NULL)
		abort();
	for (k = 0; k < state->n_pages; k++)
		state->pages[k] = page_of(last, k, rings->mapped + k * W_RING_PAGE);
	rings->n_states++;
}

static const w_ring_state *state_at(const w_rings *rings, size_t position)
{
	size_t low = 0, high = rings->n_states;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rings->states[middle].at <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &rings->states[low - 1] : NULL;
}

void w_rings_restore(w_rings *to, const w_rings *from, size_t position)
{
	const w_ring_state *state = state_at(from, position);
	char path[160];
	size_t k;
	FILE *f;

	if (state == NULL || state->n_pages == 0)
		return;
	memcpy(to->name, state->name, sizeof to->name);
	path_of(to, path, sizeof path);
	f = fopen(path, "wbe"); /* a new file: removed before, if it was there */
	if (f == NULL)
		abort();
	for (k = 0; k < state->n_pages; k++)
		if (fwrite(state->pages[k]->bytes, W_RING_PAGE, 1, f) != 1)
			abort();
	if (fclose(f) != 0)
		abort();
}

void w_rings_clear(w_rings *rings)
{
	char path[160];

	unmap(rings);
	path_of(rings, path, sizeof path);
	if (rings->name[0] != '\0')
		(void)remove(path);
}

uint64_t w_rings_hash(w_rings *rings, size_t position)
{
	const w_ring_state *state;
	uint64_t hash = 0;
	size_t k;

	w_rings_look(rings, position);
	state = state_at(rings, position);
	for (k = 0; state != NULL && k < state->n_pages; k++)
		hash = w_hash(hash, state->pages[k]->bytes, W_RING_PAGE);
	return hash;
}

void w_rings_read(w_rings *rings, void (*fn)(const uint8_t *data, size_t size, void *user_data), void *user_data)
{
	w_own_calls++;
	map(rings);
	w_own_calls--;
	if (rings->mapped != NULL)
		fn(rings->mapped, rings->mapped_size, user_data);
}
