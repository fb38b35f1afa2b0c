/* SPDX-License-Identifier: MIT */
/*
 * The built-in backends are held to what <recoptout/storage.h> asks of
 * anybody's: each is put through every check of conformance.h that its tables
 * allow. Only public headers.
 */
#include "../conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <unistd.h>

enum { BACKENDS = 3, NAME_MAX_BYTES = 96 };

typedef struct place {
	char root[128], folder[160], keys[160];
	rco_memory *memory;
	rco_directory *directory;
	rco_spool *spool;
	rco_key_dir *key_dir;
	conf conf;
} place;

/* A check, and how the backend for it is made. */
typedef struct run {
	void (*make)(place *place);
	const conf_check *check;
	char name[NAME_MAX_BYTES];
	place *place;
} run;

/* ---- memory ---- */

static int memory_get(conf *c, const char *key, void *buf, size_t cap, size_t *size)
{
	place *p = c->own;

	return rco_memory_get(p->memory, key, buf, cap, size);
}

static void make_memory(place *p)
{
	rco_memory_options options = {.struct_size = (uint32_t)sizeof options};

	assert_int_equal(rco_memory_create(&options, &p->memory), RCO_OK);
	p->conf.buffer = rco_memory_buffer_ops();
	p->conf.upload = rco_memory_upload_ops();
	p->conf.deletion = rco_memory_deletion_ops();
	p->conf.buffer_user_data = p->conf.upload_user_data = p->conf.deletion_user_data = p->memory;
	p->conf.get = memory_get;
}

/* ---- directory ---- */

static int directory_get(conf *c, const char *key, void *buf, size_t cap, size_t *size)
{
	place *p = c->own;
	char path[512];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s", p->folder, key);
	file = fopen(path, "rb");
	if (file == NULL)
		return -1;
	*size = cap > 0 ? fread(buf, 1, cap, file) : 0;
	(void)fclose(file);
	return 0;
}

static void open_directory(place *p)
{
	rco_directory_options options = {.struct_size = (uint32_t)sizeof options, .path = p->folder};

	assert_int_equal(rco_directory_create(&options, &p->directory), RCO_OK);
	p->conf.upload_user_data = p->conf.deletion_user_data = p->directory;
}

static void reopen_directory(conf *c)
{
	place *p = c->own;

	rco_directory_free(p->directory);
	open_directory(p);
}

static void make_directory(place *p)
{
	open_directory(p);
	p->conf.upload = rco_directory_upload_ops();
	p->conf.deletion = rco_directory_deletion_ops();
	p->conf.get = directory_get;
	p->conf.reopen = reopen_directory;
}

/* ---- spool ---- */

static void open_spool(place *p)
{
	rco_key_dir_options keys = {.struct_size = (uint32_t)sizeof keys, .path = p->keys};
	rco_spool_options options = {.struct_size = (uint32_t)sizeof options, .path = p->folder};

	assert_int_equal(rco_key_dir_create(&keys, &p->key_dir), RCO_OK);
	options.keys = rco_key_dir_ops();
	options.keys_user_data = p->key_dir;
	assert_int_equal(rco_spool_create(&options, &p->spool), RCO_OK);
	p->conf.buffer_user_data = p->spool;
}

static void close_spool(place *p)
{
	rco_spool_free(p->spool);
	rco_key_dir_free(p->key_dir);
	p->spool = NULL;
	p->key_dir = NULL;
}

static void reopen_spool(conf *c)
{
	place *p = c->own;

	close_spool(p);
	open_spool(p);
}

static void make_spool(place *p)
{
	open_spool(p);
	p->conf.buffer = rco_spool_buffer_ops();
	p->conf.reopen = reopen_spool;
}

/* ---- running ---- */

static int setup(void **state)
{
	run *r = *state;
	const char *base = getenv("TMPDIR");
	place *p = calloc(1, sizeof *p);

	assert_non_null(p);
	r->place = p;
	(void)snprintf(p->root, sizeof p->root, "%s/rco-conf-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(p->root));
	(void)snprintf(p->folder, sizeof p->folder, "%s/store", p->root);
	(void)snprintf(p->keys, sizeof p->keys, "%s/keys", p->root);
	p->conf.own = p;
	r->make(p);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	run *r = *state;
	place *p = r->place;

	if (p == NULL)
		return 0;
	rco_memory_free(p->memory);
	rco_directory_free(p->directory);
	close_spool(p);
	(void)nftw(p->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static void run_check(void **state)
{
	run *r = *state;

	r->check->run(&r->place->conf);
	/* What a check removed is gone from the store's account as well. */
	if (r->place->memory != NULL)
		assert_int_equal(rco_memory_audio_bytes(r->place->memory), 0);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*make)(place *place);
		int tables;
	} backends[BACKENDS] = {{"memory", make_memory, CONF_BUFFER | CONF_UPLOAD | CONF_DELETION},
	                        {"spool", make_spool, CONF_BUFFER},
	                        {"directory", make_directory, CONF_UPLOAD | CONF_DELETION}};
	struct CMUnitTest *tests = calloc(BACKENDS * conf_checks_count, sizeof *tests);
	run *runs = calloc(BACKENDS * conf_checks_count, sizeof *runs);
	size_t i, n = 0;
	int b, failed;

	if (tests == NULL || runs == NULL)
		return 1;
	for (b = 0; b < BACKENDS; b++)
		for (i = 0; i < conf_checks_count; i++) {
			if (conf_checks[i].needs & ~backends[b].tables)
				continue;
			runs[n].make = backends[b].make;
			runs[n].check = &conf_checks[i];
			(void)snprintf(runs[n].name, sizeof runs[n].name, "%s: %s", backends[b].name,
			               conf_checks[i].name);
			tests[n] = (struct CMUnitTest){runs[n].name, run_check, setup, teardown, &runs[n]};
			n++;
		}
	failed = _cmocka_run_group_tests("backend conformance", tests, n, NULL, NULL);
	free(tests);
	free(runs);
	return failed;
}
