/* SPDX-License-Identifier: MIT */
/*
 * The memory backend beyond what every backend has to do (that is in
 * test_conformance.c): its limit, its account of audio, running out of
 * memory at every allocation, and that no audio is given back unwiped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include <recoptout.h>
#include <recoptout/storage.h>

enum { PIECE = 5000, MARK = 0xa7, THREADS = 4, ROUNDS = 200 };

/* ---- an allocator that counts, fails and looks at what is released ---- */

typedef struct block {
	size_t size;
	uint64_t align;
} block;

typedef struct watch {
	pthread_mutex_t lock;
	uint64_t calls, fail_at; /* fail_at: number of the call that fails, 0 none */
	uint64_t live;
	uint64_t unwiped; /* blocks released with a run of marked bytes in them */
} watch;

static void *take(watch *w, size_t size, int zero)
{
	block *b;
	int fail;

	(void)pthread_mutex_lock(&w->lock);
	fail = ++w->calls == w->fail_at;
	w->live += !fail;
	(void)pthread_mutex_unlock(&w->lock);
	if (fail)
		return NULL;
	b = zero ? calloc(1, sizeof *b + size) : malloc(sizeof *b + size);
	if (b == NULL)
		abort();
	b->size = size;
	return b + 1;
}

static void *w_alloc(size_t size, void *user_data)
{
	return take(user_data, size, 0);
}

static void *w_zalloc(size_t count, size_t size, void *user_data)
{
	return take(user_data, count * size, 1);
}

static void w_release(void *ptr, void *user_data)
{
	watch *w = user_data;
	const uint8_t *bytes = ptr;
	block *b;
	size_t i, run = 0, longest = 0;

	if (ptr == NULL)
		return;
	b = (block *)ptr - 1;
	for (i = 0; i < b->size; i++) {
		run = bytes[i] == MARK ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	(void)pthread_mutex_lock(&w->lock);
	w->live--;
	w->unwiped += longest >= 16;
	(void)pthread_mutex_unlock(&w->lock);
	free(b);
}

static void *w_resize(void *ptr, size_t size, void *user_data)
{
	void *to = take(user_data, size, 0);
	size_t old;

	if (to == NULL || ptr == NULL)
		return to;
	old = ((block *)ptr - 1)->size;
	memcpy(to, ptr, old < size ? old : size);
	w_release(ptr, user_data);
	return to;
}

static void watch_init(watch *w, rco_allocator *table)
{
	memset(w, 0, sizeof *w);
	assert_int_equal(pthread_mutex_init(&w->lock, NULL), 0);
	*table = (rco_allocator){.struct_size = (uint32_t)sizeof *table,
	                         .alloc = w_alloc,
	                         .zalloc = w_zalloc,
	                         .resize = w_resize,
	                         .release = w_release,
	                         .user_data = w};
}

/* ---- slots, shortly ---- */

static rco_result last; /* of the latest slot */

static rco_result *fresh(void)
{
	memset(&last, 0, sizeof last);
	last.struct_size = (uint32_t)sizeof last;
	return &last;
}

static void id_of(uint8_t id[16], uint32_t n)
{
	memset(id, 0, 16);
	memcpy(id, &n, sizeof n);
}

static int open_rec(rco_memory *m, uint32_t n)
{
	rco_recording recording = {.struct_size = (uint32_t)sizeof recording, .meta = "meta", .meta_bytes = 4};

	id_of(recording.id, n);
	return rco_memory_buffer_ops()->open(&recording, 0, fresh(), m);
}

static int append(rco_memory *m, uint32_t n, uint64_t position, size_t size)
{
	static uint8_t data[1 << 16];
	rco_chunk chunk = {.struct_size = (uint32_t)sizeof chunk,
	                   .format = RCO_FORMAT_PCMU_8K,
	                   .position_bytes = position,
	                   .data = data,
	                   .size_bytes = size};

	memset(data, MARK, sizeof data);
	id_of(chunk.recording_id, n);
	return rco_memory_buffer_ops()->append(&chunk, 0, fresh(), m);
}

static int erase(rco_memory *m, uint32_t n)
{
	uint8_t id[16];

	id_of(id, n);
	return rco_memory_buffer_ops()->erase(id, 0, fresh(), m);
}

static rco_object object(const char *key, uint32_t kind)
{
	rco_object o = {.struct_size = (uint32_t)sizeof o,
	                .kind = kind,
	                .store = RCO_STORE_UPLOAD,
	                .key = key,
	                .upload_id = "",
	                .version = "",
	                .call_id = "c",
	                .content_type = "audio/vnd.wave"};

	return o;
}

static int upload(rco_memory *m, const char *key, uint32_t kind, size_t size)
{
	const rco_upload_ops *ops = rco_memory_upload_ops();
	uint8_t data[PIECE];
	rco_object o = object(key, kind);
	int rc = ops->begin(&o, 0, fresh(), m);

	memset(data, MARK, sizeof data);
	if (rc == RCO_OK)
		rc = ops->put(&o, 1, data, size / 2, 0, fresh(), m);
	if (rc == RCO_OK)
		rc = ops->put(&o, 2, data, size - size / 2, 0, fresh(), m);
	return rc == RCO_OK ? ops->commit(&o, 0, fresh(), m) : rc;
}

static rco_memory *create(uint64_t limit, const rco_allocator *allocator)
{
	rco_memory_options options = {
		.struct_size = (uint32_t)sizeof options, .limit_bytes = limit, .allocator = allocator};
	rco_memory *m = NULL;

	assert_int_equal(rco_memory_create(&options, &m), RCO_OK);
	return m;
}

/* ---- tests ---- */

static void test_bad_arguments(void **state)
{
	rco_memory_options options = {.struct_size = (uint32_t)sizeof options};
	uint64_t not_a_store[64] = {0};
	rco_object o = object("k", RCO_KIND_AUDIO);
	rco_memory *m;
	char key[8];
	size_t size;

	(void)state;
	assert_int_equal(rco_memory_create(&options, NULL), RCO_E_INVALID);
	assert_int_equal(rco_memory_create(NULL, &m), RCO_E_INVALID);
	assert_null(m);
	options.struct_size = 3;
	assert_int_equal(rco_memory_create(&options, &m), RCO_E_STRUCT_SIZE);
	options.struct_size = (uint32_t)sizeof options;
	options.flags = 1;
	assert_int_equal(rco_memory_create(&options, &m), RCO_E_NEWER);
	rco_memory_free(NULL);
	m = create(0, NULL);
	assert_int_equal(rco_memory_get(NULL, "k", NULL, 0, &size), RCO_E_HANDLE);
	assert_int_equal(rco_memory_get((rco_memory *)(void *)not_a_store, "k", NULL, 0, &size), RCO_E_HANDLE);
	assert_int_equal(rco_memory_get(m, NULL, NULL, 0, &size), RCO_E_INVALID);
	assert_int_equal(rco_memory_get(m, "k", NULL, 1, &size), RCO_E_INVALID);
	assert_int_equal(rco_memory_key_at(m, 0, NULL, 0), RCO_E_INVALID);
	assert_int_equal(rco_memory_key_at(NULL, 0, key, sizeof key), RCO_E_HANDLE);
	assert_int_equal(rco_memory_audio_bytes(NULL), 0);
	assert_int_equal(rco_memory_buffer_ops()->open(NULL, 0, fresh(), m), RCO_E_INVALID);
	assert_int_equal(rco_memory_buffer_ops()->append(NULL, 0, fresh(), m), RCO_E_INVALID);
	assert_int_equal(rco_memory_buffer_ops()->erase(NULL, 0, fresh(), m), RCO_E_INVALID);
	assert_int_equal(rco_memory_upload_ops()->begin(&o, 0, NULL, m), RCO_E_INVALID);
	assert_int_equal(rco_memory_upload_ops()->begin(&o, 0, fresh(), NULL), RCO_E_HANDLE);
	assert_int_equal(rco_memory_upload_ops()->put(&o, 1, NULL, 5, 0, fresh(), m), RCO_E_INVALID);
	rco_memory_free(m);
}

static void test_bad_pieces(void **state)
{
	rco_chunk chunk = {.struct_size = (uint32_t)sizeof chunk, .data = "abcd", .size_bytes = 4};
	rco_memory *m = create(0, NULL);
	const rco_buffer_ops *ops = rco_memory_buffer_ops();

	(void)state;
	assert_int_equal(open_rec(m, 1), RCO_OK);
	id_of(chunk.recording_id, 1);
	assert_int_equal(ops->append(&chunk, 0, fresh(), m), RCO_E_FORMAT);
	chunk.format = RCO_FORMAT_S16_8K;
	chunk.size_bytes = 3; /* cut inside a sample */
	assert_int_equal(ops->append(&chunk, 0, fresh(), m), RCO_E_INVALID);
	chunk.size_bytes = 0;
	assert_int_equal(ops->append(&chunk, 0, fresh(), m), RCO_E_INVALID);
	chunk.size_bytes = 4;
	chunk.leg = 8;
	assert_int_equal(ops->append(&chunk, 0, fresh(), m), RCO_E_INVALID);
	chunk.leg = 7;
	assert_int_equal(ops->append(&chunk, 0, fresh(), m), RCO_OK);
	chunk.position_bytes = 4;
	chunk.format = RCO_FORMAT_S16_16K; /* not what the leg began with */
	assert_int_equal(ops->append(&chunk, 0, fresh(), m), RCO_E_FORMAT);
	chunk.format = RCO_FORMAT_S16_8K;
	chunk.position_bytes = 2; /* half held, half new: neither continuation nor repetition */
	assert_int_equal(ops->append(&chunk, 0, fresh(), m), RCO_E_INVALID);
	assert_int_equal(rco_memory_audio_bytes(m), 4);
	rco_memory_free(m);
}

static void test_audio_bytes(void **state)
{
	const rco_upload_ops *ops = rco_memory_upload_ops();
	rco_memory *m = create(0, NULL);
	rco_object o = object("b.wav", RCO_KIND_AUDIO);

	(void)state;
	assert_int_equal(open_rec(m, 1), RCO_OK);
	assert_int_equal(append(m, 1, 0, PIECE), RCO_OK);
	assert_int_equal(rco_memory_audio_bytes(m), PIECE);
	assert_int_equal(append(m, 1, 0, PIECE), RCO_OK); /* a repetition is not counted again */
	assert_int_equal(rco_memory_audio_bytes(m), PIECE);
	assert_int_equal(upload(m, "a.wav", RCO_KIND_AUDIO, 1000), RCO_OK);
	assert_int_equal(rco_memory_audio_bytes(m), PIECE + 1000);
	assert_int_equal(upload(m, "a.json", RCO_KIND_METADATA, 400), RCO_OK);
	assert_int_equal(rco_memory_audio_bytes(m), PIECE + 1000);
	assert_int_equal(ops->begin(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 1, "abcdefgh", 8, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 1, "abcdef", 6, 0, fresh(), m), RCO_OK);
	assert_int_equal(rco_memory_audio_bytes(m), PIECE + 1006);
	assert_int_equal(ops->abort(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(rco_memory_audio_bytes(m), PIECE + 1000);
	assert_int_equal(erase(m, 1), RCO_OK);
	assert_int_equal(rco_memory_audio_bytes(m), 1000);
	/* An upload under way goes with the file, which it would bring back. */
	o.key = "a.wav";
	assert_int_equal(ops->begin(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 1, "abcdefgh", 8, 0, fresh(), m), RCO_OK);
	assert_int_equal(rco_memory_deletion_ops()->remove(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(rco_memory_audio_bytes(m), 0);
	assert_int_equal(ops->commit(&o, 0, fresh(), m), RCO_E_NOT_FOUND);
	rco_memory_free(m);
}

static void test_limit(void **state)
{
	rco_memory *m = create(10000, NULL);

	(void)state;
	assert_int_equal(open_rec(m, 1), RCO_OK);
	assert_int_equal(append(m, 1, 0, 6000), RCO_OK);
	assert_int_equal(append(m, 1, 6000, 4001), RCO_E_NO_SPACE);
	assert_int_equal(last.confirmed, RCO_CONFIRM_UNKNOWN);
	assert_int_equal(rco_memory_audio_bytes(m), 6000);
	assert_int_equal(upload(m, "x", RCO_KIND_METADATA, 4002), RCO_E_NO_SPACE);
	assert_int_equal(append(m, 1, 6000, 1000), RCO_OK); /* what there is room for still goes in */
	assert_int_equal(erase(m, 1), RCO_OK);
	assert_int_equal(upload(m, "x", RCO_KIND_METADATA, PIECE), RCO_OK);
	rco_memory_free(m);
}

static void test_looking_in(void **state)
{
	rco_memory *m = create(0, NULL);
	char key[16], small[4];
	uint8_t data[PIECE];
	size_t size, i, seen = 0;

	(void)state;
	assert_int_equal(rco_memory_key_at(m, 0, key, sizeof key), RCO_E_NOT_FOUND);
	assert_int_equal(rco_memory_get(m, "one", NULL, 0, &size), RCO_E_NOT_FOUND);
	assert_int_equal(upload(m, "one", RCO_KIND_AUDIO, 100), RCO_OK);
	assert_int_equal(upload(m, "two", RCO_KIND_AUDIO, 200), RCO_OK);
	assert_int_equal(upload(m, "two", RCO_KIND_AUDIO, 300), RCO_OK); /* a new version, one key */
	for (i = 0; rco_memory_key_at(m, i, key, sizeof key) == RCO_OK; i++)
		seen += strcmp(key, "one") == 0 ? 1u : strcmp(key, "two") == 0 ? 10u : 100u;
	assert_int_equal(seen, 11);
	assert_int_equal(rco_memory_key_at(m, 0, small, 3), RCO_E_LIMIT);
	assert_int_equal(rco_memory_key_at(m, 0, small, 4), RCO_OK);
	assert_int_equal(rco_memory_get(m, "two", NULL, 0, &size), RCO_E_LIMIT);
	assert_int_equal(size, 300);
	assert_int_equal(rco_memory_get(m, "two", data, 299, &size), RCO_E_LIMIT);
	assert_int_equal(rco_memory_get(m, "two", data, 300, &size), RCO_OK);
	assert_int_equal(data[299], MARK);
	rco_memory_free(m);
}

static void test_parts_out_of_order(void **state)
{
	const rco_upload_ops *ops = rco_memory_upload_ops();
	rco_memory *m = create(0, NULL);
	rco_object o = object("p", RCO_KIND_AUDIO);
	char data[16];
	size_t size;

	(void)state;
	assert_int_equal(ops->begin(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 0, "xx", 2, 0, fresh(), m), RCO_E_INVALID);
	assert_int_equal(ops->put(&o, 2, "xx", 2, 0, fresh(), m), RCO_E_INVALID);
	assert_int_equal(ops->put(&o, 1, "aaaa", 4, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 2, "bbbb", 4, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 1, "AAAA", 4, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 1, "AAAAA", 5, 0, fresh(), m), RCO_E_INVALID);
	assert_int_equal(ops->put(&o, 2, "BB", 2, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->commit(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(rco_memory_get(m, "p", data, sizeof data, &size), RCO_OK);
	assert_int_equal(size, 6);
	assert_memory_equal(data, "AAAABB", 6);
	rco_memory_free(m);
}

/* All that a call goes through; stops at the first error. */
static int scenario(rco_memory *m)
{
	rco_object o = object("r.wav", RCO_KIND_AUDIO);
	int rc = open_rec(m, 1);
	uint64_t at;

	for (at = 0; rc == RCO_OK && at < 6 * PIECE; at += PIECE)
		rc = append(m, 1, at, PIECE);
	if (rc == RCO_OK)
		rc = upload(m, "r.wav", RCO_KIND_AUDIO, PIECE);
	if (rc == RCO_OK)
		rc = upload(m, "r.wav", RCO_KIND_AUDIO, PIECE - 2);
	if (rc == RCO_OK)
		rc = rco_memory_deletion_ops()->remove(&o, 0, fresh(), m);
	return rc == RCO_OK ? erase(m, 1) : rc;
}

/* Each allocation fails once: it is reported, nothing leaks, what was held stays whole, and a new try succeeds. */
static void test_out_of_memory(void **state)
{
	rco_allocator table;
	uint64_t n, calls;
	rco_memory *m;
	watch w;

	(void)state;
	watch_init(&w, &table);
	m = create(0, &table);
	w.calls = 0;
	assert_int_equal(scenario(m), RCO_OK);
	calls = w.calls;
	assert_true(calls > 5);
	for (n = 1; n <= calls; n++) {
		w.calls = 0;
		w.fail_at = n;
		assert_int_equal(scenario(m), RCO_E_NO_MEMORY);
		w.fail_at = 0;
		assert_int_equal(scenario(m), RCO_OK);
		assert_int_equal(rco_memory_audio_bytes(m), 0);
	}
	rco_memory_free(m);
	assert_int_equal(w.live, 0);
	w.calls = 0;
	w.fail_at = 1;
	assert_int_equal(
		rco_memory_create(&(rco_memory_options){.struct_size = (uint32_t)sizeof(rco_memory_options),
	                                                .allocator = &table},
	                          &m),
		RCO_E_NO_MEMORY);
	assert_null(m);
	(void)pthread_mutex_destroy(&w.lock);
}

/* P4: no audio goes back to the heap: not by growing, erasing, aborting, removing, nor by freeing the store. */
static void test_wiped(void **state)
{
	const rco_upload_ops *ops = rco_memory_upload_ops();
	rco_object o = object("open", RCO_KIND_AUDIO);
	uint8_t data[64];
	rco_allocator table;
	rco_memory *m;
	watch w;

	(void)state;
	watch_init(&w, &table);
	m = create(0, &table);
	memset(data, MARK, sizeof data);
	assert_int_equal(scenario(m), RCO_OK);
	assert_int_equal(ops->begin(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 1, data, sizeof data, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->begin(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(ops->put(&o, 1, data, sizeof data, 0, fresh(), m), RCO_OK);
	assert_int_equal(upload(m, "kept", RCO_KIND_AUDIO, PIECE), RCO_OK);
	assert_int_equal(open_rec(m, 2), RCO_OK);
	assert_int_equal(append(m, 2, 0, PIECE), RCO_OK);
	rco_memory_free(m);
	assert_int_equal(w.live, 0);
	assert_int_equal(w.unwiped, 0);
	/* and the watch does see what is not wiped */
	w_release(memset(w_alloc(64, &w), MARK, 64), &w);
	assert_int_equal(w.unwiped, 1);
	(void)pthread_mutex_destroy(&w.lock);
}

static void *work(void *arg)
{
	rco_memory *m = arg;
	const rco_upload_ops *up = rco_memory_upload_ops();
	const rco_deletion_ops *del = rco_memory_deletion_ops();
	rco_object o = object("shared", RCO_KIND_AUDIO);
	uint8_t id[16], data[256];
	char key[32];
	int i;

	memset(data, MARK, sizeof data);
	id_of(id, 77);
	for (i = 0; i < ROUNDS; i++) {
		rco_recording rec = {.struct_size = (uint32_t)sizeof rec};
		rco_chunk chunk = {.struct_size = (uint32_t)sizeof chunk,
		                   .format = RCO_FORMAT_PCMA_8K,
		                   .data = data,
		                   .size_bytes = sizeof data};
		rco_result r = {.struct_size = (uint32_t)sizeof r};

		/* All threads on one recording and one key: any order of answers is right, a data race is not. */
		memcpy(rec.id, id, 16);
		memcpy(chunk.recording_id, id, 16);
		(void)rco_memory_buffer_ops()->open(&rec, 0, &r, m);
		(void)rco_memory_buffer_ops()->append(&chunk, 0, &r, m);
		(void)up->begin(&o, 0, &r, m);
		(void)up->put(&o, 1, data, sizeof data, 0, &r, m);
		(void)up->commit(&o, 0, &r, m);
		(void)rco_memory_key_at(m, 0, key, sizeof key);
		(void)del->remove(&o, 0, &r, m);
		(void)rco_memory_buffer_ops()->erase(id, 0, &r, m);
		(void)rco_memory_audio_bytes(m);
	}
	return NULL;
}

static void test_threads(void **state)
{
	rco_memory *m = create(0, NULL);
	rco_object o = object("shared", RCO_KIND_AUDIO);
	pthread_t threads[THREADS];
	int i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, m), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(rco_memory_deletion_ops()->remove(&o, 0, fresh(), m), RCO_OK);
	assert_int_equal(erase(m, 77), RCO_OK);
	assert_int_equal(rco_memory_audio_bytes(m), 0);
	rco_memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_bad_pieces),
		cmocka_unit_test(test_audio_bytes),   cmocka_unit_test(test_limit),
		cmocka_unit_test(test_looking_in),    cmocka_unit_test(test_parts_out_of_order),
		cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
