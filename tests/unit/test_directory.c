/* SPDX-License-Identifier: MIT */
/*
 * The directory backend beyond what every backend has to do (that is in
 * test_conformance.c): what is on disk after a crash at any point and
 * after each file operation failed once, hostile keys, and which files of the
 * host it removes and which it refuses.
 */
#include "../support.h"

#include "../../lib/base/error.h"
#include "../../lib/storage/storage_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART = 3000, PATH_CAP = 512 };

/* ---- a file system whose n-th operation fails ---- */

typedef struct nth {
	t_disk disk;
	uint64_t calls, fail_at; /* fail_at: number of the call, 0 none */
	uint64_t kind_calls[T_DISK_KINDS];
	int fail_kind; /* that kind fails always, -1 none */
	int code;
	int torn; /* a write that fails has written half of it */
} nth;

static int asked(t_demand *d, void *user_data)
{
	nth *n = user_data;

	n->kind_calls[d->kind]++;
	d->done = d->kind == T_DISK_WRITE && n->torn ? T_DISK_HALF : T_DISK_NOTHING;
	if (++n->calls == n->fail_at || n->fail_kind == d->kind)
		return rco__fail(n->code, "operation %llu was made to fail", (unsigned long long)n->calls);
	return RCO_OK;
}

static void nth_init(nth *n)
{
	memset(n, 0, sizeof *n);
	n->fail_kind = -1;
	n->code = RCO_E_IO;
	t_disk_init(&n->disk, NULL, asked, n);
	n->disk.table.stamp = NULL; /* what `exists` says has to do */
}

/* ---- a directory in a folder of its own ---- */

typedef struct place {
	char root[128], folder[160];
	nth fs;
	rco_directory *dir;
	rco_result result; /* of the latest slot */
	char logged[1024];
} place;

static void on_log(uint32_t level, const char *message, size_t length, void *user_data)
{
	place *p = user_data;

	(void)level;
	(void)length;
	(void)snprintf(p->logged, sizeof p->logged, "%s", message);
}

static int open_dir(place *p)
{
	rco_directory_options options = {.struct_size = (uint32_t)sizeof options, .path = p->folder};
	rco__env env;

	assert_int_equal(rco__env_init(&env, NULL, NULL, on_log, p), RCO_OK);
	env.fs = &p->fs.disk.table;
	return rco__directory_open(&env, &options, &p->dir);
}

static int setup(void **state)
{
	place *p = calloc(1, sizeof *p);

	assert_non_null(p);
	t_tempdir(NULL, p->root, sizeof p->root);
	t_join(p->folder, sizeof p->folder, p->root, "out");
	nth_init(&p->fs);
	assert_int_equal(open_dir(p), RCO_OK);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	place *p = *state;

	rco_directory_free(p->dir);
	t_rmtree(p->root);
	free(p);
	return 0;
}

/* The process dies: nothing of its memory is left. */
static void crash(place *p)
{
	rco_directory_free(p->dir);
	assert_int_equal(open_dir(p), RCO_OK);
}

static char *path_of(const place *p, const char *name)
{
	static char paths[4][PATH_CAP];
	static size_t next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, PATH_CAP, "%s/%s", p->folder, name);
	return path;
}

static int there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void make_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

/* ---- slots ---- */

static rco_result *fresh(place *p)
{
	memset(&p->result, 0, sizeof p->result);
	p->result.struct_size = (uint32_t)sizeof p->result;
	return &p->result;
}

static rco_object object(uint32_t store, const char *key)
{
	rco_object o = {.struct_size = (uint32_t)sizeof o,
	                .kind = RCO_KIND_AUDIO,
	                .store = store,
	                .key = key,
	                .upload_id = "",
	                .version = "",
	                .call_id = "c",
	                .content_type = "audio/vnd.wave"};

	return o;
}

static void fill(uint8_t data[PART], int part)
{
	size_t i;

	for (i = 0; i < PART; i++)
		data[i] = (uint8_t)(i * 7 + (size_t)part * 31);
}

static int begin(place *p, const char *key)
{
	rco_object o = object(RCO_STORE_UPLOAD, key);

	return rco_directory_upload_ops()->begin(&o, 0, fresh(p), p->dir);
}

static int put(place *p, const char *key, uint32_t part)
{
	rco_object o = object(RCO_STORE_UPLOAD, key);
	uint8_t data[PART];

	fill(data, (int)part);
	return rco_directory_upload_ops()->put(&o, part, data, sizeof data, 0, fresh(p), p->dir);
}

static int commit(place *p, const char *key)
{
	rco_object o = object(RCO_STORE_UPLOAD, key);

	return rco_directory_upload_ops()->commit(&o, 0, fresh(p), p->dir);
}

static int give_up(place *p, const char *key)
{
	rco_object o = object(RCO_STORE_UPLOAD, key);

	return rco_directory_upload_ops()->abort(&o, 0, fresh(p), p->dir);
}

static int list(place *p, const char *key)
{
	rco_object o = object(RCO_STORE_UPLOAD, key);

	return rco_directory_upload_ops()->list(&o, 0, fresh(p), p->dir);
}

static int head(place *p, const char *key)
{
	rco_object o = object(RCO_STORE_UPLOAD, key);

	return rco_directory_upload_ops()->head(&o, 0, fresh(p), p->dir);
}

static int rm(place *p, uint32_t store, const char *key)
{
	rco_object o = object(store, key);

	return rco_directory_deletion_ops()->remove(&o, 0, fresh(p), p->dir);
}

static int verify(place *p, uint32_t store, const char *key)
{
	rco_object o = object(store, key);

	return rco_directory_deletion_ops()->verify(&o, 0, fresh(p), p->dir);
}

static int upload(place *p, const char *key)
{
	int rc = begin(p, key);

	if (rc == RCO_OK)
		rc = put(p, key, 1);
	if (rc == RCO_OK)
		rc = put(p, key, 2);
	return rc == RCO_OK ? commit(p, key) : rc;
}

/* The file is there, two parts, bit by bit, for its owner only. */
static void expect_whole(place *p, const char *name)
{
	uint8_t want[2 * PART], got[2 * PART + 1];
	FILE *file = fopen(path_of(p, name), "rb");
	struct stat st;

	assert_non_null(file);
	assert_int_equal(fread(got, 1, sizeof got, file), 2 * PART);
	(void)fclose(file);
	fill(want, 1);
	fill(want + PART, 2);
	assert_memory_equal(got, want, sizeof want);
	assert_int_equal(stat(path_of(p, name), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* ---- tests ---- */

static void test_modes(void **state)
{
	place *p = *state;
	struct stat st;

	assert_int_equal(stat(p->folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(upload(p, "a.wav"), RCO_OK);
	assert_string_equal(p->result.version, "");
	expect_whole(p, "a.wav");
	assert_false(there(path_of(p, "a.wav.tmp")));
}

static void test_bad_options(void **state)
{
	rco_directory_options o = {.struct_size = (uint32_t)sizeof o};
	uint64_t not_one[64] = {0};
	rco_object obj = object(RCO_STORE_UPLOAD, "k");
	place *p = *state;
	rco_directory *dir;
	char file[PATH_CAP];

	assert_int_equal(rco_directory_create(&o, NULL), RCO_E_INVALID);
	assert_int_equal(rco_directory_create(NULL, &dir), RCO_E_INVALID);
	assert_int_equal(rco_directory_create(&o, &dir), RCO_E_INVALID); /* no path */
	o.path = "";
	assert_int_equal(rco_directory_create(&o, &dir), RCO_E_INVALID);
	o.path = p->folder;
	o.flags = 1;
	assert_int_equal(rco_directory_create(&o, &dir), RCO_E_NEWER);
	o.flags = 0;
	o.struct_size = 8;
	assert_int_equal(rco_directory_create(&o, &dir), RCO_E_STRUCT_SIZE);
	assert_null(dir);
	o.struct_size = (uint32_t)sizeof o;
	(void)snprintf(file, sizeof file, "%s/no/such/parent", p->root);
	o.path = file;
	assert_int_equal(rco_directory_create(&o, &dir), RCO_E_NOT_FOUND);
	(void)snprintf(file, sizeof file, "%s/file", p->root);
	make_file(file, "x");
	assert_true(rco_directory_create(&o, &dir) < 0); /* a file where the folder should be */
	assert_non_null(strstr(rco_error_detail(), file));
	rco_directory_free(NULL);
	assert_int_equal(rco_directory_upload_ops()->begin(&obj, 0, fresh(p), NULL), RCO_E_HANDLE);
	assert_int_equal(rco_directory_upload_ops()->begin(&obj, 0, fresh(p), not_one), RCO_E_HANDLE);
	assert_int_equal(rco_directory_upload_ops()->begin(NULL, 0, fresh(p), p->dir), RCO_E_INVALID);
	assert_int_equal(rco_directory_upload_ops()->begin(&obj, 0, NULL, p->dir), RCO_E_INVALID);
	assert_int_equal(rco_directory_upload_ops()->put(&obj, 1, NULL, 1, 0, fresh(p), p->dir), RCO_E_INVALID);
}

/* Told when it is opened, and in nobody's way: what is in a full one can be removed. */
static void test_folder_cannot_be_written(void **state)
{
	place *p = *state;

	rco_directory_free(p->dir);
	p->dir = NULL;
	p->fs.fail_kind = T_DISK_OPEN;
	p->fs.code = RCO_E_PERMISSION;
	assert_int_equal(open_dir(p), RCO_OK);
	assert_non_null(strstr(p->logged, p->folder));
	rco_directory_free(p->dir);
	p->dir = NULL;
	p->logged[0] = '\0';
	p->fs.code = RCO_E_NO_SPACE;
	assert_int_equal(open_dir(p), RCO_OK);
	assert_non_null(strstr(p->logged, p->folder));
	make_file(path_of(p, "a.wav"), "audio");
	assert_int_equal(begin(p, "b.wav"), RCO_E_NO_SPACE);
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
	assert_false(there(path_of(p, "a.wav")));
	p->fs.fail_kind = -1;
	assert_int_equal(upload(p, "b.wav"), RCO_OK);
}

/* As an ordinary user only: nothing is forbidden to root. */
static void test_permission(void **state)
{
	rco_directory_options o = {.struct_size = (uint32_t)sizeof o};
	place *p = *state;
	rco_directory *dir;

	if (geteuid() == 0)
		skip();
	assert_int_equal(chmod(p->folder, 0500), 0);
	o.path = p->folder;
	assert_int_equal(rco_directory_create(&o, &dir), RCO_OK);
	rco_directory_free(dir);
	assert_int_equal(begin(p, "a.wav"), RCO_E_PERMISSION);
	assert_int_equal(chmod(p->folder, 0700), 0);
}

static void expect_only_tmp(place *p, const char *key)
{
	char tmp[64];

	(void)snprintf(tmp, sizeof tmp, "%s.tmp", key);
	assert_true(there(path_of(p, tmp)));
	assert_false(there(path_of(p, key)));
	assert_int_equal(head(p, key), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
	assert_int_equal(list(p, key), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_PRESENT);
	assert_int_equal(p->result.count, 1);
}

/* P4, P5: a crash between any two slots before the commit leaves KEY.tmp alone, which the next process can see,
 * give up, or write again. */
static void test_crash_before_commit(void **state)
{
	place *p = *state;
	int parts, again;

	for (parts = 0; parts <= 2; parts++)
		for (again = 0; again < 2; again++) {
			assert_int_equal(begin(p, "a.wav"), RCO_OK);
			if (parts >= 1)
				assert_int_equal(put(p, "a.wav", 1), RCO_OK);
			if (parts >= 2)
				assert_int_equal(put(p, "a.wav", 2), RCO_OK);
			crash(p);
			expect_only_tmp(p, "a.wav");
			/* What it does not know it does not go on with, and above all does not commit. */
			assert_int_equal(put(p, "a.wav", 2), RCO_E_NOT_FOUND);
			assert_int_equal(commit(p, "a.wav"), RCO_E_NOT_FOUND);
			expect_only_tmp(p, "a.wav");
			if (again) {
				assert_int_equal(upload(p, "a.wav"), RCO_OK);
				expect_whole(p, "a.wav");
				assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
			} else {
				assert_int_equal(give_up(p, "a.wav"), RCO_OK);
				assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
			}
			assert_int_equal(list(p, "a.wav"), RCO_OK);
			assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
			assert_false(there(path_of(p, "a.wav.tmp")));
		}
}

static void test_crash_after_commit(void **state)
{
	rco_object o = object(RCO_STORE_UPLOAD, "a.wav");
	place *p = *state;

	assert_int_equal(upload(p, "a.wav"), RCO_OK);
	crash(p);
	assert_int_equal(commit(p, "a.wav"), RCO_OK); /* its answer was lost */
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_DONE);
	expect_whole(p, "a.wav");
	/* A file of another length is that of somebody else's upload. */
	assert_int_equal(head(p, "a.wav"), RCO_OK);
	o.size_bytes = p->result.size_bytes;
	assert_int_equal(rco_directory_upload_ops()->commit(&o, 0, fresh(p), p->dir), RCO_OK);
	o.size_bytes++;
	assert_int_equal(rco_directory_upload_ops()->commit(&o, 0, fresh(p), p->dir), RCO_E_NOT_FOUND);
	/* An unfinished one beside a finished one: not the same thing. */
	assert_int_equal(begin(p, "a.wav"), RCO_OK);
	crash(p);
	assert_int_equal(commit(p, "a.wav"), RCO_E_NOT_FOUND);
	assert_int_equal(list(p, "a.wav"), RCO_OK);
	assert_int_equal(p->result.count, 2);
	/* Removing it removes both: the one could become the other. */
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
	assert_int_equal(verify(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
	assert_int_equal(list(p, "a.wav"), RCO_OK);
	assert_int_equal(p->result.count, 0);
}

/* P7: no sync, no DONE; and what failed is not visible. */
static void test_sync_fails(void **state)
{
	place *p = *state;

	assert_int_equal(begin(p, "a.wav"), RCO_OK);
	p->fs.fail_kind = T_DISK_SYNC;
	assert_int_equal(put(p, "a.wav", 1), RCO_E_IO);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	expect_only_tmp(p, "a.wav");
	p->fs.fail_kind = -1;
	/* The system may take what it failed to write for clean: it is cut off and rewritten. */
	p->fs.kind_calls[T_DISK_TRUNCATE] = 0;
	assert_int_equal(put(p, "a.wav", 1), RCO_OK);
	assert_int_equal(p->fs.kind_calls[T_DISK_TRUNCATE], 1);
	assert_int_equal(put(p, "a.wav", 2), RCO_OK);
	p->fs.fail_kind = T_DISK_SYNC_DIR;
	assert_int_equal(commit(p, "a.wav"), RCO_E_IO);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	/* The name is there, but perhaps not after a power cut: nobody may take it for stored. */
	assert_int_equal(head(p, "a.wav"), RCO_E_IO);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "never"), RCO_E_IO);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	assert_int_equal(give_up(p, "never"), RCO_E_IO);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	p->fs.fail_kind = -1;
	assert_int_equal(commit(p, "a.wav"), RCO_OK);
	assert_int_equal(head(p, "a.wav"), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_PRESENT);
	expect_whole(p, "a.wav");
}

/* Of a sync that failed before the commit it is not known what is on disk: no later one calls that whole. */
static void test_last_sync_fails(void **state)
{
	place *p = *state;

	assert_int_equal(begin(p, "empty"), RCO_OK);
	p->fs.fail_kind = T_DISK_SYNC;
	assert_int_equal(commit(p, "empty"), RCO_E_IO);
	p->fs.fail_kind = -1;
	assert_int_equal(commit(p, "empty"), RCO_E_NOT_FOUND);
	assert_int_equal(head(p, "empty"), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
}

/* The bytes are on disk before DONE is said: one sync for each part, one of the folder for the name. */
static void test_syncs_are_made(void **state)
{
	place *p = *state;

	memset(p->fs.kind_calls, 0, sizeof p->fs.kind_calls);
	assert_int_equal(upload(p, "a.wav"), RCO_OK);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC], 2);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC_DIR], 1);
	assert_int_equal(begin(p, "empty"), RCO_OK);
	assert_int_equal(commit(p, "empty"), RCO_OK);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC], 3);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC_DIR], 2);
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC_DIR], 3);
	/* gone already: perhaps by a try whose sync failed */
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC_DIR], 4);
}

static void test_no_space(void **state)
{
	place *p = *state;

	assert_int_equal(begin(p, "a.wav"), RCO_OK);
	assert_int_equal(put(p, "a.wav", 1), RCO_OK);
	p->fs.fail_kind = T_DISK_WRITE;
	p->fs.code = RCO_E_NO_SPACE;
	p->fs.torn = 1;
	assert_int_equal(put(p, "a.wav", 2), RCO_E_NO_SPACE);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	expect_only_tmp(p, "a.wav");
	p->fs.fail_kind = -1;
	assert_int_equal(put(p, "a.wav", 2), RCO_OK);
	assert_int_equal(commit(p, "a.wav"), RCO_OK);
	expect_whole(p, "a.wav");
}

static int put_text(place *p, uint32_t part, const char *text)
{
	rco_object o = object(RCO_STORE_UPLOAD, "a.wav");

	return rco_directory_upload_ops()->put(&o, part, text, strlen(text), 0, fresh(p), p->dir);
}

static void expect_text(place *p, const char *text)
{
	char got[64] = "";
	FILE *file = fopen(path_of(p, "a.wav"), "rb");

	assert_non_null(file);
	assert_int_equal(fread(got, 1, sizeof got - 1, file), strlen(text));
	(void)fclose(file);
	assert_string_equal(got, text);
}

/* Parts again and parts out of order; and what a failed part left is not in the file. */
static void test_parts(void **state)
{
	place *p = *state;

	assert_int_equal(begin(p, "a.wav"), RCO_OK);
	assert_int_equal(put_text(p, 0, "xx"), RCO_E_INVALID);
	assert_int_equal(put_text(p, 2, "xx"), RCO_E_INVALID);
	assert_int_equal(put_text(p, 1, "aaaa"), RCO_OK);
	assert_int_equal(put_text(p, 2, "bbbb"), RCO_OK);
	assert_int_equal(put_text(p, 1, "AAAA"), RCO_OK);
	assert_int_equal(put_text(p, 1, "AAAAA"), RCO_E_INVALID);
	assert_int_equal(put_text(p, 2, "BB"), RCO_OK);
	p->fs.fail_kind = T_DISK_WRITE;
	p->fs.torn = 1;
	assert_int_equal(put_text(p, 3, "cccccccc"), RCO_E_IO);
	p->fs.fail_kind = -1;
	assert_int_equal(commit(p, "a.wav"), RCO_OK);
	expect_text(p, "AAAABB");
}

/* One slot, again until it succeeds; with NOT_FOUND the backend asks to begin again. */
static int upload_with_retries(place *p, const char *key, uint64_t *failures)
{
	int step = 0, rc, tries;

	*failures = 0;
	for (tries = 0; tries < 20 && step < 4; tries++) {
		rc = step == 0 ? begin(p, key) : step == 3 ? commit(p, key) : put(p, key, (uint32_t)step);
		if (rc == RCO_OK) {
			assert_int_equal(p->result.confirmed, RCO_CONFIRM_DONE);
			step++;
			continue;
		}
		assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
		assert_true(rco_error_detail()[0] != '\0');
		++*failures;
		if (rc == RCO_E_NOT_FOUND)
			step = 0;
	}
	return step;
}

/* Each file operation of an upload fails once, whole or torn: what is visible afterwards is all of it. */
static void test_each_operation_fails(void **state)
{
	place *p = *state;
	uint64_t n, calls, failures;
	int torn;

	p->fs.calls = 0;
	assert_int_equal(upload_with_retries(p, "a.wav", &failures), 4);
	assert_int_equal(failures, 0);
	calls = p->fs.calls;
	assert_true(calls >= 10);
	for (torn = 0; torn < 2; torn++)
		for (n = 1; n <= calls; n++) {
			assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
			p->fs.torn = torn;
			p->fs.calls = 0;
			p->fs.fail_at = n;
			assert_int_equal(upload_with_retries(p, "a.wav", &failures), 4);
			p->fs.fail_at = 0;
			assert_true(failures >= 1);
			expect_whole(p, "a.wav");
			assert_int_equal(list(p, "a.wav"), RCO_OK);
			assert_int_equal(p->result.count, 1);
		}
}

/* The same for taking away: GONE is not said before it is, and a repeated try ends it. */
static void test_each_removal_fails(void **state)
{
	char host[PATH_CAP];
	place *p = *state;
	uint64_t n;
	int rc, what;

	(void)snprintf(host, sizeof host, "%s/host.wav", p->root);
	for (what = 0; what < 3; what++)
		for (n = 1; n <= 6; n++) {
			const char *key = what == 2 ? host : "a.wav";
			uint32_t store = what == 2 ? RCO_STORE_HOST : RCO_STORE_UPLOAD;

			make_file(host, "audio");
			assert_int_equal(upload(p, "a.wav"), RCO_OK);
			assert_int_equal(begin(p, "a.wav"), RCO_OK);
			p->fs.calls = 0;
			p->fs.fail_at = n;
			rc = what == 0 ? give_up(p, key) : rm(p, store, key);
			p->fs.fail_at = 0;
			if (p->fs.calls >= n) {
				assert_int_equal(rc, RCO_E_IO);
				assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
			}
			rc = what == 0 ? give_up(p, key) : rm(p, store, key);
			assert_int_equal(rc, RCO_OK);
			assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
			assert_false(what == 0 ? there(path_of(p, "a.wav.tmp"))
			                       : there(what == 2 ? host : path_of(p, "a.wav")));
			assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
		}
	/* and looking says nothing when it could not look */
	p->fs.fail_kind = T_DISK_EXISTS;
	assert_int_equal(verify(p, RCO_STORE_UPLOAD, "a.wav"), RCO_E_IO);
	assert_int_equal(verify(p, RCO_STORE_HOST, host), RCO_E_IO);
	assert_int_equal(list(p, "a.wav"), RCO_E_IO);
	assert_int_equal(head(p, "a.wav"), RCO_E_IO);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
}

/* Somebody else meddles with the unfinished file: never a finished one with a hole in it. */
static void test_changed_under_way(void **state)
{
	place *p = *state;

	assert_int_equal(begin(p, "a.wav"), RCO_OK);
	assert_int_equal(put(p, "a.wav", 1), RCO_OK);
	assert_int_equal(truncate(path_of(p, "a.wav.tmp"), 10), 0);
	assert_int_equal(put(p, "a.wav", 2), RCO_E_NOT_FOUND);
	assert_int_equal(commit(p, "a.wav"), RCO_E_NOT_FOUND);
	assert_int_equal(upload(p, "a.wav"), RCO_OK);
	expect_whole(p, "a.wav");
	assert_int_equal(begin(p, "b.wav"), RCO_OK);
	assert_int_equal(put(p, "b.wav", 1), RCO_OK);
	assert_int_equal(truncate(path_of(p, "b.wav.tmp"), 10), 0);
	assert_int_equal(commit(p, "b.wav"), RCO_E_NOT_FOUND);
	assert_false(there(path_of(p, "b.wav")));
	assert_int_equal(begin(p, "b.wav"), RCO_OK);
	assert_int_equal(unlink(path_of(p, "b.wav.tmp")), 0);
	assert_int_equal(put(p, "b.wav", 1), RCO_E_NOT_FOUND);
	assert_int_equal(upload(p, "b.wav"), RCO_OK);
	expect_whole(p, "b.wav");
}

/* The folder is not there (not mounted?): that its files are not in it says nothing. */
static void test_folder_vanished(void **state)
{
	place *p = *state;
	char away[PATH_CAP];

	assert_int_equal(upload(p, "a.wav"), RCO_OK);
	(void)snprintf(away, sizeof away, "%s.away", p->folder);
	assert_int_equal(rename(p->folder, away), 0);
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_E_NOT_FOUND);
	assert_int_equal(verify(p, RCO_STORE_UPLOAD, "a.wav"), RCO_E_NOT_FOUND);
	assert_int_equal(list(p, "a.wav"), RCO_E_NOT_FOUND);
	assert_int_equal(head(p, "a.wav"), RCO_E_NOT_FOUND);
	assert_int_equal(give_up(p, "a.wav"), RCO_E_NOT_FOUND);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	assert_int_equal(begin(p, "a.wav"), RCO_E_NOT_FOUND);
	assert_int_equal(rename(away, p->folder), 0);
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
	assert_false(there(path_of(p, "a.wav")));
}

static void test_hostile_keys(void **state)
{
	static const char *const keys[] = {"",     ".",   "..",      "../x", "a/b",    "/etc/passwd",
	                                   "a\\b", "a b", ".hidden", "a\nb", "a\xffz", "x.tmp",
	                                   ".tmp", "~",   "a;rm",    "%s%n", "a:b",    "*"};
	char longest[253];
	place *p = *state;
	char outside[PATH_CAP];
	size_t i;

	(void)snprintf(outside, sizeof outside, "%s/x", p->root);
	make_file(outside, "not ours");
	for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		assert_int_equal(begin(p, keys[i]), RCO_E_INVALID);
		assert_int_equal(put(p, keys[i], 1), RCO_E_INVALID);
		assert_int_equal(commit(p, keys[i]), RCO_E_INVALID);
		assert_int_equal(give_up(p, keys[i]), RCO_E_INVALID);
		assert_int_equal(list(p, keys[i]), RCO_E_INVALID);
		assert_int_equal(head(p, keys[i]), RCO_E_INVALID);
		assert_int_equal(rm(p, RCO_STORE_UPLOAD, keys[i]), RCO_E_INVALID);
		assert_int_equal(verify(p, RCO_STORE_UPLOAD, keys[i]), RCO_E_INVALID);
		assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	}
	assert_true(there(outside));
	memset(longest, 'k', sizeof longest);
	longest[252] = '\0';
	assert_int_equal(begin(p, longest), RCO_E_INVALID);
	longest[251] = '\0';
	assert_int_equal(upload(p, longest), RCO_OK);
	expect_whole(p, longest);
}

static void test_host_files(void **state)
{
	char file[PATH_CAP], missing[PATH_CAP], below[PATH_CAP], folder[PATH_CAP], slash[PATH_CAP];
	place *p = *state;

	(void)snprintf(file, sizeof file, "%s/host call.wav", p->root);
	(void)snprintf(missing, sizeof missing, "%s/no/such/folder/x.wav", p->root);
	make_file(file, "audio");
	(void)snprintf(below, sizeof below, "%s/host call.wav/x.wav", p->root);
	(void)snprintf(folder, sizeof folder, "%s/folder", p->root);
	(void)snprintf(slash, sizeof slash, "%s/folder/", p->root);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(verify(p, RCO_STORE_HOST, file), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_PRESENT);
	assert_int_equal(rm(p, RCO_STORE_HOST, below), RCO_OK); /* a file is no folder: nothing can be below it */
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
	p->fs.kind_calls[T_DISK_SYNC_DIR] = 0;
	assert_int_equal(rm(p, RCO_STORE_HOST, file), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC_DIR], 1); /* durably */
	assert_false(there(file));
	assert_int_equal(verify(p, RCO_STORE_HOST, file), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
	assert_int_equal(rm(p, RCO_STORE_HOST, file), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
	assert_int_equal(rm(p, RCO_STORE_HOST, missing), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_GONE);
	assert_int_equal(rm(p, RCO_STORE_HOST, "s3://bucket/x.wav"), RCO_E_DECLINED);
	assert_int_equal(verify(p, RCO_STORE_HOST, "x.wav"), RCO_E_DECLINED);
	assert_int_equal(rm(p, RCO_STORE_HOST, ""), RCO_E_DECLINED);
	assert_int_equal(rm(p, 3, file), RCO_E_DECLINED);
	assert_int_equal(verify(p, 3, file), RCO_E_DECLINED);
	assert_int_equal(rm(p, RCO_STORE_HOST, folder), RCO_E_INVALID);
	assert_non_null(strstr(rco_error_detail(), "is a folder"));
	assert_int_equal(rm(p, RCO_STORE_HOST, slash), RCO_E_INVALID);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	assert_true(there(folder));
	assert_int_equal(rm(p, RCO_STORE_HOST, "/"), RCO_E_INVALID);
}

/* A link: removing it would leave the audio, following it could remove anything. Neither, and it is said. */
static void test_host_links(void **state)
{
	char file[PATH_CAP], link[PATH_CAP], pipe[PATH_CAP];
	place *p = *state;
	struct stat st;

	(void)snprintf(file, sizeof file, "%s/real.wav", p->root);
	(void)snprintf(link, sizeof link, "%s/link.wav", p->root);
	(void)snprintf(pipe, sizeof pipe, "%s/pipe", p->root);
	make_file(file, "audio");
	assert_int_equal(symlink(file, link), 0);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(rm(p, RCO_STORE_HOST, link), RCO_E_INVALID);
	assert_non_null(strstr(rco_error_detail(), "is a symbolic link in place of the file"));
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_UNKNOWN);
	assert_true(there(file));
	assert_true(there(link));
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rm(p, RCO_STORE_HOST, link), RCO_E_INVALID); /* also when it leads nowhere */
	assert_int_equal(verify(p, RCO_STORE_HOST, link), RCO_OK);
	assert_int_equal(p->result.confirmed, RCO_CONFIRM_PRESENT);
	assert_int_equal(rm(p, RCO_STORE_HOST, pipe), RCO_E_INVALID);
	/* In our own folder: an upload does not write through a link that somebody laid there, but replaces it. */
	make_file(file, "not ours");
	assert_int_equal(symlink(file, path_of(p, "a.wav.tmp")), 0);
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
	assert_false(there(path_of(p, "a.wav.tmp"))); /* nothing of ours, and in the way */
	assert_int_equal(symlink(file, path_of(p, "a.wav.tmp")), 0);
	assert_int_equal(upload(p, "a.wav"), RCO_OK);
	assert_true(there(file)); /* with the 8 bytes it had */
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(rm(p, RCO_STORE_UPLOAD, "a.wav"), RCO_OK);
}

/* A journal names the folder by its id: nobody hears it before a power cut cannot take its file away. */
static void test_an_id_is_durable(void **state)
{
	place *p = *state;
	char id[RCO_ID_TEXT + 1], again[RCO_ID_TEXT + 1];
	uint64_t syncs;

	p->fs.fail_kind = T_DISK_SYNC_DIR;
	assert_int_equal(rco__directory_id(p->dir, id), RCO_E_IO);
	assert_string_equal(id, "");
	assert_int_equal(rco__directory_id(p->dir, id), RCO_E_IO);
	assert_string_equal(id, "");
	p->fs.fail_kind = -1;
	syncs = p->fs.kind_calls[T_DISK_SYNC_DIR];
	assert_int_equal(rco__directory_id(p->dir, id), RCO_OK);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC_DIR], syncs + 1);
	assert_int_equal(rco__directory_id(p->dir, again), RCO_OK);
	assert_int_equal(p->fs.kind_calls[T_DISK_SYNC_DIR], syncs + 1);
	assert_string_equal(id, again);
	assert_int_equal(rco__directory_is(p->dir, id), RCO_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_cannot_be_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_permission, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_id_is_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash_before_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash_after_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_sync_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sync_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_syncs_are_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_operation_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_removal_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed_under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_vanished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_links, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
