/* SPDX-License-Identifier: MIT */
#include "kill_scan.h"

#include "../support.h"

#include <elf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	KEY = 8, /* bytes of a window that are looked up */
	FILTER_BITS = 21,
	TABLE_BITS = 19,
	TEXTS = 64,
	PIECE = 1 << 20,
	THREADS = 64,
	ENTRIES = 512
};

typedef struct text {
	uint8_t *bytes;
	size_t size, window;
	const char *form;
} text;

typedef struct slot {
	uint64_t key;
	uint32_t text, at; /* text 0: empty; else its number and one */
} slot;

struct k_needles {
	text texts[TEXTS];
	uint32_t n_texts, n_slots;
	uint8_t filter[1 << (FILTER_BITS - 3)];
	slot table[1 << TABLE_BITS];
};

static uint64_t key_at(const uint8_t *p)
{
	uint64_t key;

	memcpy(&key, p, sizeof key);
	return key;
}

static uint64_t hash(uint64_t key)
{
	return key * UINT64_C(0x9e3779b97f4a7c15);
}

k_needles *k_needles_new(void)
{
	k_needles *n = calloc(1, sizeof *n);

	assert_non_null(n);
	return n;
}

void k_needles_free(k_needles *n)
{
	uint32_t i;

	for (i = 0; i < n->n_texts; i++)
		free(n->texts[i].bytes);
	free(n);
}

void k_needles_add(k_needles *n, const void *bytes, size_t size, size_t window, const char *form)
{
	text *t = &n->texts[n->n_texts];
	size_t at;

	assert_true(n->n_texts < TEXTS && window >= KEY && size >= window);
	assert_true(n->n_slots + size < (1u << TABLE_BITS) * 3 / 4);
	t->bytes = malloc(size);
	assert_non_null(t->bytes);
	memcpy(t->bytes, bytes, size);
	t->size = size;
	t->window = window;
	t->form = form;
	n->n_texts++;
	for (at = 0; at + window <= size; at++) {
		uint64_t h = hash(key_at(t->bytes + at));
		uint32_t i = (uint32_t)(h >> (64 - TABLE_BITS));

		n->filter[h >> (64 - FILTER_BITS + 3)] |= (uint8_t)(1u << (h >> (64 - FILTER_BITS) & 7));
		while (n->table[i].text != 0)
			i = (i + 1) & ((1u << TABLE_BITS) - 1);
		n->table[i] = (slot){key_at(t->bytes + at), n->n_texts, (uint32_t)at};
		n->n_slots++;
	}
}

/* The form of the needle that is there, or NULL. */
static const char *needle_at(const k_needles *n, const uint8_t *p, size_t left)
{
	uint64_t key = key_at(p), h = hash(key);
	uint32_t i = (uint32_t)(h >> (64 - TABLE_BITS));

	if (!(n->filter[h >> (64 - FILTER_BITS + 3)] >> (h >> (64 - FILTER_BITS) & 7) & 1))
		return NULL;
	for (; n->table[i].text != 0; i = (i + 1) & ((1u << TABLE_BITS) - 1)) {
		const text *t = &n->texts[n->table[i].text - 1];

		if (n->table[i].key == key && left >= t->window &&
		    memcmp(p, t->bytes + n->table[i].at, t->window) == 0)
			return t->form;
	}
	return NULL;
}

static void scan(const k_needles *n, const char *where, uint64_t base, const uint8_t *data, size_t size,
                 k_hits *hits)
{
	const char *form;
	size_t at;

	for (at = 0; at + KEY <= size; at++) {
		form = needle_at(n, data + at, size - at);
		if (form == NULL)
			continue;
		if (hits->n++ == 0)
			(void)snprintf(hits->first, sizeof hits->first, "%s at %" PRIx64 ": %s", where, base + at,
			               form);
	}
	hits->bytes += size;
}

void k_scan_bytes(const k_needles *n, const char *where, const uint8_t *data, size_t size, k_hits *hits)
{
	scan(n, where, 0, data, size, hits);
}

struct tree {
	const k_needles *needles;
	k_hits *hits;
};

static void scan_file(const char *path, void *user_data)
{
	struct tree *t = user_data;
	size_t size = 0;
	uint8_t *bytes = t_read_file(path, &size);

	if (bytes != NULL)
		scan(t->needles, path, 0, bytes, size, t->hits);
	free(bytes);
}

void k_scan_tree(const k_needles *n, const char *dir, k_hits *hits)
{
	struct tree t = {n, hits};

	t_tree_each(dir, scan_file, &t);
}

/* ---- processes ---- */

typedef struct target {
	const k_needles *needles;
	k_hits *hits;
	pid_t pid, threads[THREADS];
	size_t n_threads;
	int mem, pagemap;
	uint64_t page;
	uint8_t *piece;
	uint64_t entries[ENTRIES], entries_from; /* of the page map */
} target;

static int open_proc(pid_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Threads may be begun while others are being stopped: look until there is no new one. */
static int stop_threads(target *t)
{
	size_t i, before;
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)t->pid);
	do {
		DIR *d = opendir(path);
		struct dirent *e;

		before = t->n_threads;
		if (d == NULL)
			return 0;
		while ((e = readdir(d)) != NULL) {
			pid_t tid = (pid_t)strtol(e->d_name, NULL, 10); /* 0 for what is not a number */
			int status;

			for (i = 0; i < t->n_threads && t->threads[i] != tid; i++)
				;
			if (tid == 0 || i < t->n_threads)
				continue;
			assert_true(t->n_threads < THREADS);
			if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0 ||
			    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0 ||
			    waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) {
				(void)closedir(d);
				return 0;
			}
			t->threads[t->n_threads++] = tid;
		}
		(void)closedir(d);
	} while (t->n_threads > before);
	return 1;
}

static void let_go(target *t)
{
	size_t i;

	for (i = 0; i < t->n_threads; i++)
		(void)ptrace(PTRACE_DETACH, t->threads[i], NULL, NULL);
}

/* What a core dump has as notes: general and vector registers. */
static void scan_registers(target *t, int of_host)
{
	static const struct {
		unsigned long set;
		const char *name;
	} sets[] = {
		{NT_PRSTATUS, "general registers"},
		{NT_FPREGSET, "floating-point registers"},
#ifdef __x86_64__
		{NT_X86_XSTATE, "vector registers"},
#endif
	};
	static uint8_t bytes[16384];
	size_t i, k;

	for (i = 0; i < t->n_threads; i++)
		for (k = 0; (of_host || t->threads[i] != t->pid) && k < sizeof sets / sizeof sets[0]; k++) {
			struct iovec v = {bytes, sizeof bytes};

			if (ptrace(PTRACE_GETREGSET, t->threads[i], sets[k].set, &v) == 0)
				scan(t->needles, sets[k].name, 0, bytes, v.iov_len, t->hits);
		}
}

/* Is the page there at all? What never was, or is nobody's, would only be read as zeros. */
static int present(target *t, uint64_t at)
{
	uint64_t page = at / t->page;

	if (page < t->entries_from || page >= t->entries_from + ENTRIES) {
		ssize_t n = pread(t->pagemap, t->entries, sizeof t->entries, (off_t)(page * sizeof t->entries[0]));
		size_t i = n > 0 ? (size_t)n / sizeof t->entries[0] : 0;

		for (; i < ENTRIES; i++)
			t->entries[i] = UINT64_MAX; /* not known: reading it will tell */
		t->entries_from = page;
	}
	return (t->entries[page - t->entries_from] >> 62) != 0; /* in memory or swapped out */
}

/* Runs of pages that are there; a needle across the border of two pieces is in both. */
static void scan_range(target *t, const char *name, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t end;
		ssize_t n;

		while (from < to && !present(t, from))
			from += t->page;
		for (end = from; end < to && end - from < PIECE && present(t, end); end += t->page)
			;
		if (end == from)
			continue;
		n = pread(t->mem, t->piece, (size_t)(end - from), (off_t)from);
		if (n > 0)
			scan(t->needles, name, from, t->piece, (size_t)n, t->hits);
		from = end - from == PIECE && end < to ? end - t->page : end;
	}
}

static void scan_mappings(target *t, const char *only, const char *except)
{
	char path[64], line[1024], mode[8], name[512];
	uint64_t from, to;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/maps", (int)t->pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		name[0] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %*s %511[^\n]", &from, &to, mode, name) <
		            3 ||
		    mode[0] != 'r' || strncmp(name, "[v", 2) == 0)
			continue;
		if ((only != NULL && strstr(name, only) == NULL) ||
		    (except != NULL && strstr(name, except) != NULL))
			continue;
		scan_range(t, name[0] != '\0' ? name : "memory without a name", from, to);
	}
	(void)fclose(f);
}

int k_scan_process(const k_needles *needles, pid_t pid, const char *only, const char *except, k_hits *hits)
{
	target t = {.entries_from = UINT64_MAX / 2,
	            .needles = needles,
	            .hits = hits,
	            .pid = pid,
	            .page = (uint64_t)sysconf(_SC_PAGESIZE)};
	int ok;

	t.mem = open_proc(pid, "mem");
	t.pagemap = open_proc(pid, "pagemap");
	t.piece = malloc(PIECE);
	assert_non_null(t.piece);
	ok = t.mem >= 0 && t.pagemap >= 0 && stop_threads(&t);
	if (ok) {
		scan_mappings(&t, only, except);
		if (only == NULL)
			scan_registers(&t, except == NULL);
	}
	let_go(&t);
	free(t.piece);
	if (t.mem >= 0)
		(void)close(t.mem);
	if (t.pagemap >= 0)
		(void)close(t.pagemap);
	return ok;
}

int k_not_dumped(pid_t pid, const char *name)
{
	char path[64], line[1024];
	int inside = 0, mappings = 0, left_out = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		uint64_t from, to;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) {
			inside = strstr(line, name) != NULL;
			mappings += inside;
		} else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			left_out += strstr(line, " dd") != NULL;
		}
	}
	(void)fclose(f);
	return mappings > 0 && left_out == mappings;
}
