/* SPDX-License-Identifier: MIT */
/*
 * Keys of files and the order of calls: whatever the directory backend is asked for, it stays in its folder; what
 * was committed is what was sent; what was removed is not there. A host's files are removed by their exact path
 * only.
 */
#include "fuzz.h"
#include "mem.h"

#include "../../lib/storage/storage_internal.h"

#include <stdio.h>
#include <string.h>

enum { KEYS = 3, PARTS = 8, PART_MAX = 64, STEPS = 64, KEY_ROOM = 300 };

/* What is known of one upload. */
typedef struct upload {
	char key[KEY_ROOM];
	int begun;
	uint32_t parts;
	uint8_t data[PARTS * 256];
	size_t size[PARTS];
} upload;

typedef struct world {
	mem *m;
	rco_directory *directory;
	upload at[KEYS];
} world;

static const char neighbour[] = "/other/file.wav";

static rco_result new_result(void)
{
	rco_result r;

	memset(&r, 0, sizeof r);
	r.struct_size = (uint32_t)sizeof r;
	return r;
}

static rco_object object_of(const char *key, uint32_t store)
{
	rco_object o = {.struct_size = (uint32_t)sizeof o, .kind = RCO_KIND_AUDIO, .store = store, .key = key};

	o.upload_id = o.version = o.call_id = o.content_type = "";
	return o;
}

static const uint8_t *stored(const world *w, const char *key, size_t *size)
{
	char path[MEM_PATH + KEY_ROOM];

	(void)snprintf(path, sizeof path, "/out/%s", key);
	return mem_file(w->m, path, size);
}

static void put(world *w, upload *u, const rco_object *o, fuzz_input *in)
{
	uint32_t part = fuzz_8(in) % (PARTS + 1);
	rco_result r = new_result();
	const uint8_t *bytes;
	size_t n = fuzz_bytes(in, fuzz_8(in) % PART_MAX, &bytes);
	int rc = rco_directory_upload_ops()->put(o, part, bytes, n, 1, &r, w->directory);

	FUZZ_CHECK((rc == RCO_OK) == (r.confirmed == RCO_CONFIRM_DONE));
	FUZZ_CHECK(rc != RCO_OK || (u->begun && part >= 1 && part <= u->parts + 1));
	if (rc != RCO_OK)
		return;
	memcpy(u->data + (part - 1) * 256, bytes, n);
	u->size[part - 1] = n;
	if (part > u->parts)
		u->parts = part;
}

static void commit(world *w, upload *u, const rco_object *o)
{
	rco_result r = new_result();
	int rc = rco_directory_upload_ops()->commit(o, 1, &r, w->directory);
	size_t size, at = 0;
	const uint8_t *file;
	uint32_t i;

	FUZZ_CHECK((rc == RCO_OK) == (r.confirmed == RCO_CONFIRM_DONE));
	FUZZ_CHECK(rc == RCO_OK || !u->begun);
	if (rc != RCO_OK)
		return;
	file = stored(w, u->key, &size);
	FUZZ_CHECK(size > 0 ? file != NULL : 1);
	for (i = 0; u->begun && i < u->parts; i++) {
		FUZZ_CHECK(at + u->size[i] <= size && memcmp(file + at, u->data + i * 256, u->size[i]) == 0);
		at += u->size[i];
	}
	FUZZ_CHECK(!u->begun || at == size);
	u->begun = 0;
}

static void gone(world *w, upload *u, const rco_object *o, int finished_too)
{
	const rco_upload_ops *ops = rco_directory_upload_ops();
	rco_result r = new_result();
	size_t size;
	int rc;

	rc = finished_too ? rco_directory_deletion_ops()->remove(o, 1, &r, w->directory)
	                  : ops->abort(o, 1, &r, w->directory);
	FUZZ_CHECK((rc == RCO_OK) == (r.confirmed == RCO_CONFIRM_GONE));
	if (rc != RCO_OK)
		return;
	u->begun = 0;
	FUZZ_CHECK(!finished_too || stored(w, u->key, &size) == NULL);
	r = new_result();
	if (finished_too)
		FUZZ_CHECK(ops->list(o, 1, &r, w->directory) == RCO_OK && r.confirmed == RCO_CONFIRM_GONE);
}

static void step(world *w, fuzz_input *in)
{
	const rco_upload_ops *ops = rco_directory_upload_ops();
	uint8_t what = fuzz_8(in);
	upload *u = &w->at[what / 8 % KEYS];
	rco_object o = object_of(u->key, RCO_STORE_UPLOAD);
	rco_result r = new_result();

	switch (what % 8) {
	case 0:
		u->begun = ops->begin(&o, 1, &r, w->directory) == RCO_OK;
		u->parts = 0;
		FUZZ_CHECK(u->begun == (r.confirmed == RCO_CONFIRM_DONE));
		break;
	case 1:
	case 2:
		put(w, u, &o, in);
		break;
	case 3:
		commit(w, u, &o);
		break;
	case 4:
		gone(w, u, &o, 0);
		break;
	case 5:
		gone(w, u, &o, 1);
		break;
	case 6:
		(void)ops->head(&o, 1, &r, w->directory);
		break;
	default:
		w->m->only = NULL; /* a host's file may be anywhere */
		o.store = RCO_STORE_HOST;
		(void)rco_directory_deletion_ops()->remove(&o, 1, &r, w->directory);
		w->m->only = "/out";
		if (strcmp(u->key, neighbour) == 0)
			mem_put(w->m, neighbour, "x", 1);
	}
}

static void take_key(upload *u, fuzz_input *in)
{
	const uint8_t *bytes;
	size_t n = fuzz_bytes(in, fuzz_8(in), &bytes), i;

	for (i = 0; i < n && bytes[i] != 0; i++)
		u->key[i] = (char)bytes[i];
	if (i == 0)
		(void)snprintf(u->key, sizeof u->key, "key.wav");
}

/* Is the key of this one another's before it? */
static int is_taken(const world *w, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
		if (strcmp(w->at[i].key, w->at[at].key) == 0)
			return 1;
	return 0;
}

static void one(const uint8_t *data, size_t size)
{
	rco_directory_options o = {.struct_size = (uint32_t)sizeof o, .path = "/out"};
	fuzz_input in = {data, data + size};
	int64_t now_us = 1;
	static world w;
	rco__env env;
	size_t n, i;
	char c;

	memset(&w, 0, sizeof w);
	w.m = mem_new();
	mem_env(w.m, &now_us, &env);
	FUZZ_CHECK(w.m->table.mkdir(w.m, "/other") == RCO_OK);
	mem_put(w.m, neighbour, "x", 1);
	w.m->only = "/out";
	FUZZ_CHECK(rco__directory_open(&env, &o, &w.directory) == RCO_OK);
	for (i = 0; i < KEYS; i++) {
		take_key(&w.at[i], &in);
		for (c = '1'; is_taken(&w, i); c++) /* each its own */
			w.at[i].key[0] = c;
	}
	for (i = 0; i < STEPS && fuzz_more(&in); i++)
		step(&w, &in);
	FUZZ_CHECK(mem_file(w.m, neighbour, &n) != NULL);
	rco_directory_free(w.directory);
	mem_free(w.m);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const char *const keys[] = {"a.wav", "../x", "/other/file.wav", "a.wav.tmp", ".hidden",
	                                   "a/b",   "a..b"};
	static const uint8_t steps[] = {0, 0, 0, 1, 1, 3, 'a', 'b', 'c', 1, 2, 2, 'd', 'e', 3, 6, 5, 7, 0, 4};
	size_t n;

	if (i >= sizeof keys / sizeof keys[0] || cap < 64)
		return 0;
	n = strlen(keys[i]);
	out[0] = (uint8_t)n;
	memcpy(out + 1, keys[i], n);
	memcpy(out + 1 + n, steps + 1, sizeof steps - 1);
	return n + sizeof steps;
}

FUZZ_TARGET(directory, one, seed, 1024,
            "lib/storage/directory.c lib/storage/directory_delete.c lib/storage/parts.c", NULL)
