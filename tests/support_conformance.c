/* SPDX-License-Identifier: MIT */
/* See conformance.h. Only public headers, so that it shows what they say to somebody who has nothing else. */
#include "conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

enum { PIECE = 1600, BIG = 1 << 20, THREADS = 4, ROUNDS = 20 };

/* ---- making things ---- */

/* Ids that differ between checks as well, for a backend is put through all of them in turn. */
static void make_id(uint8_t id[16])
{
	static _Atomic uint32_t last;
	uint32_t n = ++last;

	memset(id, 0x5a, 16);
	memcpy(id, &n, sizeof n);
	id[6] = 0x40;
	id[8] = 0x80;
}

static uint8_t sound(uint64_t seed, uint64_t position)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u + position * 0xbf58476d1ce4e5b9u;

	return (uint8_t)((x ^ (x >> 29)) * 0x94d049bb133111ebu >> 56);
}

static void make_sound(uint64_t seed, uint64_t position, void *out, size_t size)
{
	uint8_t *to = out;
	size_t i;

	for (i = 0; i < size; i++)
		to[i] = sound(seed, position + i);
}

static rco_result fresh_result(void)
{
	rco_result result;

	memset(&result, 0, sizeof result);
	result.struct_size = (uint32_t)sizeof result;
	return result;
}

/* ---- buffer: the slots with their answers ---- */

static void open_recording(conf *c, const uint8_t id[16], const void *meta, size_t meta_bytes)
{
	rco_recording recording = {
		.struct_size = (uint32_t)sizeof recording, .meta = meta, .meta_bytes = meta_bytes};
	rco_result result = fresh_result();

	memcpy(recording.id, id, 16);
	assert_int_equal(c->buffer->open(&recording, ++c->op, &result, c->buffer_user_data), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_DONE);
}

static int try_append(conf *c, const uint8_t id[16], uint32_t leg, uint32_t format, uint64_t position,
                      const void *data, size_t size)
{
	rco_chunk chunk = {.struct_size = (uint32_t)sizeof chunk,
	                   .leg = leg,
	                   .format = format,
	                   .position_bytes = position,
	                   .time_us = 1700000000000000 + (int64_t)position,
	                   .data = data,
	                   .size_bytes = size};
	rco_result result = fresh_result();
	int rc;

	memcpy(chunk.recording_id, id, 16);
	rc = c->buffer->append(&chunk, ++c->op, &result, c->buffer_user_data);
	assert_int_not_equal(rc, RCO_PENDING);
	if (rc == RCO_OK)
		assert_int_equal(result.confirmed, RCO_CONFIRM_DONE);
	else
		assert_int_not_equal(result.confirmed, RCO_CONFIRM_DONE);
	return rc;
}

static void append(conf *c, const uint8_t id[16], uint32_t leg, uint64_t seed, uint64_t position, size_t size)
{
	uint8_t *data = malloc(size);

	assert_non_null(data);
	make_sound(seed, position, data, size);
	assert_int_equal(try_append(c, id, leg, RCO_FORMAT_PCMU_8K, position, data, size), RCO_OK);
	free(data);
}

/* How much a read gives; -1 if it is refused. */
static long try_read(conf *c, const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap)
{
	rco_result result = fresh_result();
	int rc = c->buffer->read(id, leg, position, data, cap, ++c->op, &result, c->buffer_user_data);

	assert_int_not_equal(rc, RCO_PENDING);
	if (rc != RCO_OK)
		return -1;
	assert_int_equal(result.confirmed, RCO_CONFIRM_DONE);
	assert_true(result.size_bytes <= cap);
	return (long)result.size_bytes;
}

/* The leg holds exactly that sound, read in pieces of `cap`. */
static void expect_sound(conf *c, const uint8_t id[16], uint32_t leg, uint64_t seed, size_t size, size_t cap)
{
	uint8_t *data = malloc(cap);
	uint64_t position = 0;
	long got, i;

	assert_non_null(data);
	while ((got = try_read(c, id, leg, position, data, cap)) > 0) {
		for (i = 0; i < got; i++)
			assert_int_equal(data[i], sound(seed, position + (uint64_t)i));
		position += (uint64_t)got;
	}
	assert_int_equal(got, 0);
	assert_int_equal(position, size);
	free(data);
}

static void expect_unreadable(conf *c, const uint8_t id[16])
{
	uint8_t data[64];
	uint32_t leg;

	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		assert_true(try_read(c, id, leg, 0, data, sizeof data) <= 0);
}

static void erase(conf *c, const uint8_t id[16])
{
	rco_result result = fresh_result();

	assert_int_equal(c->buffer->erase(id, ++c->op, &result, c->buffer_user_data), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_GONE);
}

static void seal(conf *c, const uint8_t id[16])
{
	rco_result result = fresh_result();

	if (c->buffer->seal == NULL)
		return;
	assert_int_equal(c->buffer->seal(id, ++c->op, &result, c->buffer_user_data), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_DONE);
}

static void flush(conf *c)
{
	rco_result result = fresh_result();

	if (c->buffer->flush == NULL)
		return;
	assert_int_equal(c->buffer->flush(++c->op, &result, c->buffer_user_data), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_DONE);
}

typedef struct looked_for {
	uint8_t id[16];
	int times;
	size_t meta_bytes;
	uint8_t meta[RCO_META_MAX];
	rco_scanned found;
} looked_for;

static void look(const rco_scanned *found, void *user_data)
{
	looked_for *l = user_data;

	if (memcmp(found->id, l->id, 16) != 0)
		return;
	l->times++;
	l->found = *found;
	l->meta_bytes = 0;
	if (found->meta != NULL) {
		assert_true(found->meta_bytes <= RCO_META_MAX);
		l->meta_bytes = found->meta_bytes;
		memcpy(l->meta, found->meta, found->meta_bytes);
	}
}

static looked_for scan_for(conf *c, const uint8_t id[16])
{
	looked_for l;

	memset(&l, 0, sizeof l);
	memcpy(l.id, id, 16);
	assert_int_equal(c->buffer->scan(look, &l, c->buffer_user_data), RCO_OK);
	return l;
}

/* ---- buffer: the checks ---- */

static void check_open_twice(conf *c)
{
	uint8_t id[16];

	make_id(id);
	open_recording(c, id, "meta", 4);
	append(c, id, 0, 1, 0, PIECE);
	open_recording(c, id, "meta", 4);
	expect_sound(c, id, 0, 1, PIECE, PIECE);
	append(c, id, 0, 1, PIECE, PIECE);
	expect_sound(c, id, 0, 1, 2 * PIECE, PIECE);
	erase(c, id);
}

static void check_legs(conf *c)
{
	uint8_t id[16];
	uint32_t leg;
	size_t i;

	make_id(id);
	open_recording(c, id, "m", 1);
	for (i = 0; i < 5; i++)
		for (leg = 0; leg < RCO_MAX_LEGS; leg++)
			append(c, id, leg, leg, i * PIECE, PIECE);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		expect_sound(c, id, leg, leg, 5 * PIECE, 1000 + leg * 777);
	erase(c, id);
}

static void check_formats(conf *c)
{
	static const uint32_t formats[] = {RCO_FORMAT_PCMU_8K, RCO_FORMAT_PCMA_8K, RCO_FORMAT_S16_8K,
	                                   RCO_FORMAT_S16_16K, RCO_FORMAT_S16_24K, RCO_FORMAT_S16_48K};
	uint8_t id[16], data[PIECE];
	uint32_t leg;

	make_id(id);
	open_recording(c, id, NULL, 0);
	for (leg = 0; leg < 6; leg++) {
		make_sound(leg, 0, data, sizeof data);
		assert_int_equal(try_append(c, id, leg, formats[leg], 0, data, sizeof data), RCO_OK);
	}
	for (leg = 0; leg < 6; leg++)
		expect_sound(c, id, leg, leg, PIECE, 321);
	erase(c, id);
}

static void check_repetition(conf *c)
{
	uint8_t id[16];

	make_id(id);
	open_recording(c, id, "m", 1);
	append(c, id, 1, 7, 0, PIECE);
	append(c, id, 1, 7, 0, PIECE); /* the only piece again */
	append(c, id, 1, 7, PIECE, PIECE);
	append(c, id, 1, 7, 2 * PIECE, PIECE);
	append(c, id, 1, 7, 2 * PIECE, PIECE); /* the last again */
	append(c, id, 1, 7, 0, PIECE);         /* an earlier one again */
	append(c, id, 1, 7, PIECE, PIECE);
	expect_sound(c, id, 1, 7, 3 * PIECE, 4096);
	append(c, id, 1, 7, 3 * PIECE, PIECE);
	expect_sound(c, id, 1, 7, 4 * PIECE, 4096);
	erase(c, id);
}

static void check_sizes(conf *c)
{
	uint8_t id[16], meta[RCO_META_MAX];

	make_id(id);
	make_sound(3, 0, meta, sizeof meta);
	open_recording(c, id, meta, sizeof meta);
	append(c, id, 0, 4, 0, 1);
	append(c, id, 0, 4, 1, BIG);
	append(c, id, 0, 4, 1 + BIG, 2);
	expect_sound(c, id, 0, 4, BIG + 3, 100000);
	erase(c, id);
}

static void check_not_open(conf *c)
{
	uint8_t id[16], data[PIECE];

	make_id(id);
	make_sound(5, 0, data, sizeof data);
	assert_int_equal(try_append(c, id, 0, RCO_FORMAT_PCMU_8K, 0, data, sizeof data), RCO_E_NOT_FOUND);
	expect_unreadable(c, id);
	open_recording(c, id, NULL, 0);
	append(c, id, 0, 5, 0, PIECE);
	erase(c, id);
	assert_int_equal(try_append(c, id, 0, RCO_FORMAT_PCMU_8K, 0, data, sizeof data), RCO_E_NOT_FOUND);
	assert_int_equal(try_append(c, id, 0, RCO_FORMAT_PCMU_8K, PIECE, data, sizeof data), RCO_E_NOT_FOUND);
	expect_unreadable(c, id);
}

/* Pieces that are no continuation and no repetition: whatever the answer, nothing of the recording may be harmed.
 */
static void check_error_harmless(conf *c)
{
	uint8_t id[16], data[PIECE];

	make_id(id);
	make_sound(99, 0, data, sizeof data);
	open_recording(c, id, NULL, 0);
	append(c, id, 0, 6, 0, PIECE);
	assert_int_not_equal(try_append(c, id, 0, RCO_FORMAT_PCMU_8K, 10 * PIECE, data, sizeof data), RCO_OK);
	assert_int_not_equal(try_append(c, id, RCO_MAX_LEGS, RCO_FORMAT_PCMU_8K, 0, data, sizeof data), RCO_OK);
	expect_sound(c, id, 0, 6, PIECE, PIECE);
	append(c, id, 0, 6, PIECE, PIECE);
	expect_sound(c, id, 0, 6, 2 * PIECE, PIECE);
	erase(c, id);
}

static void check_flush_seal(conf *c)
{
	uint8_t id[16];

	make_id(id);
	flush(c);
	open_recording(c, id, "m", 1);
	append(c, id, 0, 8, 0, PIECE);
	flush(c);
	flush(c);
	append(c, id, 0, 8, PIECE, PIECE);
	seal(c, id);
	seal(c, id);
	expect_sound(c, id, 0, 8, 2 * PIECE, 999);
	erase(c, id);
}

static void check_read_ends(conf *c)
{
	uint8_t id[16], data[PIECE];
	size_t i;

	make_id(id);
	open_recording(c, id, "m", 1);
	append(c, id, 2, 9, 0, PIECE);
	append(c, id, 2, 9, PIECE, PIECE);
	assert_int_equal(try_read(c, id, 2, 2 * PIECE, data, sizeof data), 0);
	/* A read may stop early, but not at nothing, and not behind the end. */
	for (i = 0; i < 2 * PIECE; i += 397) {
		long got = try_read(c, id, 2, i, data, sizeof data);

		assert_true(got > 0 && (size_t)got <= 2 * PIECE - i);
		assert_int_equal(data[0], sound(9, i));
		assert_int_equal(data[got - 1], sound(9, i + (uint64_t)got - 1));
	}
	assert_int_equal(try_read(c, id, 1, 0, data, sizeof data), 0); /* a leg without audio */
	erase(c, id);
}

static void check_erase(conf *c)
{
	uint8_t id[16], other[16], never[16];

	make_id(id);
	make_id(other);
	make_id(never);
	erase(c, never);
	open_recording(c, id, "one", 3);
	open_recording(c, other, "two", 3);
	append(c, id, 0, 10, 0, PIECE);
	append(c, other, 0, 11, 0, PIECE);
	append(c, id, 0, 10, PIECE, PIECE);
	erase(c, id);
	erase(c, id);
	expect_unreadable(c, id);
	expect_sound(c, other, 0, 11, PIECE, PIECE);
	if (c->buffer->scan != NULL) {
		assert_int_equal(scan_for(c, id).times, 0);
		assert_int_equal(scan_for(c, other).times, 1);
	}
	append(c, other, 0, 11, PIECE, PIECE);
	seal(c, other);
	erase(c, other);
	expect_unreadable(c, other);
}

static void check_revoke(conf *c)
{
	uint8_t id[16], never[16];

	if (c->buffer->revoke == NULL)
		return;
	make_id(id);
	make_id(never);
	open_recording(c, id, "m", 1);
	append(c, id, 0, 12, 0, PIECE);
	flush(c);
	append(c, id, 0, 12, PIECE, PIECE);
	c->buffer->revoke(id, c->buffer_user_data);
	c->buffer->revoke(id, c->buffer_user_data);
	c->buffer->revoke(never, c->buffer_user_data);
	expect_unreadable(c, id);
	erase(c, id);
	expect_unreadable(c, id);
	erase(c, never);
}

static void check_scan(conf *c)
{
	uint8_t id[16], bare[16], meta[RCO_META_MAX];
	looked_for l;

	if (c->buffer->scan == NULL)
		return;
	make_id(id);
	make_id(bare);
	make_sound(13, 0, meta, sizeof meta);
	open_recording(c, id, meta, sizeof meta);
	open_recording(c, bare, NULL, 0);
	append(c, id, 1, 14, 0, PIECE);
	append(c, id, 1, 14, PIECE, PIECE);
	append(c, id, 5, 15, 0, PIECE);
	flush(c);
	l = scan_for(c, id);
	assert_int_equal(l.times, 1);
	assert_int_equal(l.meta_bytes, sizeof meta);
	assert_memory_equal(l.meta, meta, sizeof meta);
	assert_int_equal(l.found.leg_format[1], RCO_FORMAT_PCMU_8K);
	assert_int_equal(l.found.leg_format[0], 0);
	assert_int_equal(l.found.leg_bytes[0], 0);
	assert_int_equal(l.found.leg_bytes[1], 2 * PIECE);
	assert_int_equal(l.found.leg_bytes[5], PIECE);
	assert_int_equal(l.found.damaged_bytes, 0);
	assert_int_equal(scan_for(c, bare).times, 1);
	erase(c, id);
	erase(c, bare);
	assert_int_equal(scan_for(c, id).times, 0);
}

static void check_reopen(conf *c)
{
	uint8_t id[16], gone[16], sealed[16];

	if (c->reopen == NULL || c->buffer->scan == NULL)
		return;
	make_id(id);
	make_id(gone);
	make_id(sealed);
	open_recording(c, id, "meta", 4);
	open_recording(c, gone, "gone", 4);
	open_recording(c, sealed, "seal", 4);
	append(c, id, 0, 16, 0, PIECE);
	append(c, gone, 0, 17, 0, PIECE);
	append(c, sealed, 3, 18, 0, PIECE);
	seal(c, sealed);
	erase(c, gone);
	c->reopen(c);
	assert_int_equal(scan_for(c, gone).times, 0);
	expect_unreadable(c, gone);
	assert_int_equal(scan_for(c, id).times, 1);
	assert_int_equal(scan_for(c, id).meta_bytes, 4);
	assert_int_equal(scan_for(c, id).found.leg_bytes[0], PIECE);
	expect_sound(c, id, 0, 16, PIECE, 500);
	expect_sound(c, sealed, 3, 18, PIECE, 500);
	erase(c, id);
	erase(c, sealed);
	c->reopen(c);
	expect_unreadable(c, id);
	assert_int_equal(scan_for(c, id).times, 0);
	assert_int_equal(scan_for(c, sealed).times, 0);
}

typedef struct worker {
	conf conf; /* its own count of operations */
	int failed;
} worker;

/* Slots of different calls at the same time. No cmocka asserts here: they belong to the main thread. */
static void *work(void *arg)
{
	worker *w = arg;
	conf *c = &w->conf;
	uint8_t id[16], data[256], back[256];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		rco_recording recording = {
			.struct_size = (uint32_t)sizeof recording, .meta = "m", .meta_bytes = 1};
		rco_chunk chunk = {.struct_size = (uint32_t)sizeof chunk,
		                   .format = RCO_FORMAT_PCMU_8K,
		                   .data = data,
		                   .size_bytes = sizeof data};
		rco_result o = fresh_result(), a = fresh_result(), r = fresh_result(), e = fresh_result();

		make_id(id);
		make_sound(id[0], 0, data, sizeof data);
		memcpy(recording.id, id, 16);
		memcpy(chunk.recording_id, id, 16);
		if (c->buffer->open(&recording, 1, &o, c->buffer_user_data) != RCO_OK ||
		    c->buffer->append(&chunk, 2, &a, c->buffer_user_data) != RCO_OK ||
		    c->buffer->read(id, 0, 0, back, sizeof back, 3, &r, c->buffer_user_data) != RCO_OK ||
		    r.size_bytes != sizeof data || memcmp(data, back, sizeof data) != 0 ||
		    c->buffer->erase(id, 4, &e, c->buffer_user_data) != RCO_OK || e.confirmed != RCO_CONFIRM_GONE)
			w->failed = 1;
	}
	return NULL;
}

static void check_threads(conf *c)
{
	pthread_t threads[THREADS];
	worker workers[THREADS];
	int i;

	for (i = 0; i < THREADS; i++) {
		workers[i] = (worker){.conf = *c, .failed = 0};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (i = 0; i < THREADS; i++)
		assert_false(workers[i].failed);
}

/* ---- upload and deletion: the slots with their answers ---- */

typedef struct item {
	rco_object object;
	char key[64], upload_id[256], version[256];
} item;

static void make_item(item *it, uint32_t kind)
{
	static _Atomic uint32_t last;

	memset(it, 0, sizeof *it);
	(void)snprintf(it->key, sizeof it->key, "call-%u.caller.wav", ++last);
	it->object.struct_size = (uint32_t)sizeof it->object;
	it->object.kind = kind;
	it->object.store = RCO_STORE_UPLOAD;
	it->object.key = it->key;
	it->object.upload_id = it->upload_id;
	it->object.version = it->version;
	it->object.call_id = "conformance";
	it->object.content_type = "audio/vnd.wave";
	make_id(it->object.recording_id);
}

static void begin(conf *c, item *it)
{
	rco_result result = fresh_result();

	it->upload_id[0] = '\0';
	assert_int_equal(c->upload->begin(&it->object, ++c->op, &result, c->upload_user_data), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_DONE);
	assert_non_null(memchr(result.upload_id, '\0', sizeof result.upload_id));
	memcpy(it->upload_id, result.upload_id, sizeof it->upload_id);
}

static int try_put(conf *c, item *it, uint32_t part, uint64_t seed, size_t position, size_t size)
{
	rco_result result = fresh_result();
	uint8_t *data = malloc(size);
	int rc;

	assert_non_null(data);
	make_sound(seed, position, data, size);
	rc = c->upload->put(&it->object, part, data, size, ++c->op, &result, c->upload_user_data);
	assert_int_not_equal(rc, RCO_PENDING);
	assert_int_equal(rc == RCO_OK, result.confirmed == RCO_CONFIRM_DONE);
	free(data);
	return rc;
}

static void put(conf *c, item *it, uint32_t part, uint64_t seed, size_t position, size_t size)
{
	assert_int_equal(try_put(c, it, part, seed, position, size), RCO_OK);
}

static int try_commit(conf *c, item *it)
{
	rco_result result = fresh_result();
	int rc = c->upload->commit(&it->object, ++c->op, &result, c->upload_user_data);

	assert_int_not_equal(rc, RCO_PENDING);
	assert_int_equal(rc == RCO_OK, result.confirmed == RCO_CONFIRM_DONE);
	memcpy(it->version, result.version, sizeof it->version);
	return rc;
}

static void commit(conf *c, item *it)
{
	assert_int_equal(try_commit(c, it), RCO_OK);
}

static void give_up(conf *c, item *it)
{
	rco_result result = fresh_result();

	assert_int_equal(c->upload->abort(&it->object, ++c->op, &result, c->upload_user_data), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_GONE);
}

static void expect_count(conf *c, item *it, uint64_t count)
{
	rco_result result = fresh_result();

	assert_int_equal(c->upload->list(&it->object, ++c->op, &result, c->upload_user_data), RCO_OK);
	assert_int_equal(result.confirmed, count > 0 ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE);
	assert_int_equal(result.count, count);
}

static void expect_hidden(conf *c, item *it)
{
	rco_result result = fresh_result();
	size_t size;

	assert_int_equal(c->upload->head(&it->object, ++c->op, &result, c->upload_user_data), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_GONE);
	if (c->get != NULL)
		assert_int_not_equal(c->get(c, it->key, NULL, 0, &size), 0);
}

/* There is a finished file, and it holds just this sound. */
static void expect_file(conf *c, item *it, uint64_t seed, size_t size)
{
	rco_result result = fresh_result();
	size_t got = 0, i;
	uint8_t *data;

	assert_int_equal(c->upload->head(&it->object, ++c->op, &result, c->upload_user_data), RCO_OK);
	assert_int_equal(result.confirmed, RCO_CONFIRM_PRESENT);
	assert_int_equal(result.size_bytes, size);
	assert_string_equal(result.version, it->version);
	if (c->get == NULL)
		return;
	data = malloc(size);
	assert_non_null(data);
	assert_int_equal(c->get(c, it->key, data, size, &got), 0);
	assert_int_equal(got, size);
	for (i = 0; i < size; i++)
		assert_int_equal(data[i], sound(seed, i));
	free(data);
}

static void store(conf *c, item *it, uint64_t seed)
{
	begin(c, it);
	put(c, it, 1, seed, 0, 3000);
	put(c, it, 2, seed, 3000, 500);
	commit(c, it);
}

/* Remove it, all versions or one. */
static void remove_all(conf *c, item *it, const char *version)
{
	rco_result result = fresh_result();

	if (c->deletion == NULL)
		return;
	it->object.version = version;
	assert_int_equal(c->deletion->remove(&it->object, ++c->op, &result, c->deletion_user_data), RCO_OK);
	it->object.version = it->version;
	assert_int_equal(result.confirmed, RCO_CONFIRM_GONE);
}

static void expect_verified(conf *c, item *it, const char *version, uint32_t confirm)
{
	rco_result result = fresh_result();

	it->object.version = version;
	assert_int_equal(c->deletion->verify(&it->object, ++c->op, &result, c->deletion_user_data), RCO_OK);
	it->object.version = it->version;
	assert_int_equal(result.confirmed, confirm);
}

/* ---- upload: the checks ---- */

static void check_hidden_until_commit(conf *c)
{
	item it;

	make_item(&it, RCO_KIND_AUDIO);
	expect_count(c, &it, 0);
	expect_hidden(c, &it);
	begin(c, &it);
	expect_hidden(c, &it);
	put(c, &it, 1, 20, 0, 3000);
	expect_hidden(c, &it);
	put(c, &it, 2, 20, 3000, 500);
	expect_hidden(c, &it);
	expect_count(c, &it, 1);
	commit(c, &it);
	expect_file(c, &it, 20, 3500);
	expect_count(c, &it, 1);
	remove_all(c, &it, "");
}

static void check_put_again(conf *c)
{
	item it;

	make_item(&it, RCO_KIND_AUDIO);
	begin(c, &it);
	put(c, &it, 1, 21, 0, 2000);
	put(c, &it, 1, 21, 0, 2000);
	put(c, &it, 2, 21, 2000, 2000);
	put(c, &it, 3, 21, 4000, 100);
	put(c, &it, 3, 21, 4000, 100);
	commit(c, &it);
	expect_file(c, &it, 21, 4100);
	expect_count(c, &it, 1);
	remove_all(c, &it, "");
}

static void check_commit_again(conf *c)
{
	char version[256];
	item it;

	make_item(&it, RCO_KIND_METADATA);
	store(c, &it, 22);
	memcpy(version, it.version, sizeof version);
	commit(c, &it);
	assert_string_equal(it.version, version);
	expect_file(c, &it, 22, 3500);
	expect_count(c, &it, 1);
	remove_all(c, &it, "");
}

static void check_begin_again(conf *c)
{
	item it;

	make_item(&it, RCO_KIND_AUDIO);
	begin(c, &it);
	put(c, &it, 1, 23, 0, 5000);
	begin(c, &it);
	put(c, &it, 1, 24, 0, 700);
	commit(c, &it);
	expect_file(c, &it, 24, 700);
	/* whatever the first try left */
	it.upload_id[0] = '\0';
	give_up(c, &it);
	expect_count(c, &it, 1);
	expect_file(c, &it, 24, 700);
	remove_all(c, &it, "");
}

static void check_abort(conf *c)
{
	item it, never;

	make_item(&never, RCO_KIND_AUDIO);
	give_up(c, &never);
	make_item(&it, RCO_KIND_AUDIO);
	begin(c, &it);
	put(c, &it, 1, 25, 0, 5000);
	give_up(c, &it);
	expect_count(c, &it, 0);
	expect_hidden(c, &it);
	give_up(c, &it);
	/* late work of an upload that was given up brings nothing back */
	assert_int_not_equal(try_put(c, &it, 2, 25, 5000, 10), RCO_OK);
	expect_count(c, &it, 0);
	assert_int_not_equal(try_commit(c, &it), RCO_OK);
	expect_count(c, &it, 0);
	expect_hidden(c, &it);
}

static void check_abort_unknown_id(conf *c)
{
	item it;

	make_item(&it, RCO_KIND_AUDIO);
	begin(c, &it);
	put(c, &it, 1, 26, 0, 100);
	it.upload_id[0] = '\0'; /* the answer was lost in a crash */
	give_up(c, &it);
	expect_count(c, &it, 0);
	expect_hidden(c, &it);
}

static void check_abort_keeps_file(conf *c)
{
	item it;

	make_item(&it, RCO_KIND_AUDIO);
	store(c, &it, 27);
	give_up(c, &it);
	expect_file(c, &it, 27, 3500);
	it.upload_id[0] = '\0';
	give_up(c, &it);
	expect_file(c, &it, 27, 3500);
	expect_count(c, &it, 1);
	remove_all(c, &it, "");
}

static void check_keys_apart(conf *c)
{
	item one, two;

	make_item(&one, RCO_KIND_AUDIO);
	make_item(&two, RCO_KIND_AUDIO);
	begin(c, &one);
	begin(c, &two);
	put(c, &one, 1, 28, 0, 100);
	put(c, &two, 1, 29, 0, 200);
	give_up(c, &one);
	put(c, &two, 2, 29, 200, 200);
	commit(c, &two);
	expect_file(c, &two, 29, 400);
	expect_count(c, &one, 0);
	remove_all(c, &one, "");
	expect_file(c, &two, 29, 400);
	remove_all(c, &two, "");
}

/* An upload that a process left behind is found and given up by the next. */
static void check_upload_reopen(conf *c)
{
	item it, kept;

	if (c->reopen == NULL)
		return;
	make_item(&it, RCO_KIND_AUDIO);
	make_item(&kept, RCO_KIND_AUDIO);
	store(c, &kept, 30);
	begin(c, &it);
	put(c, &it, 1, 31, 0, 1000);
	c->reopen(c);
	expect_file(c, &kept, 30, 3500);
	expect_count(c, &it, 1);
	expect_hidden(c, &it);
	give_up(c, &it);
	expect_count(c, &it, 0);
	store(c, &it, 31);
	expect_file(c, &it, 31, 3500);
	remove_all(c, &it, "");
	remove_all(c, &kept, "");
}

/* ---- deletion: the checks ---- */

static void check_remove(conf *c)
{
	item it, other, never;

	make_item(&it, RCO_KIND_AUDIO);
	make_item(&other, RCO_KIND_AUDIO);
	make_item(&never, RCO_KIND_AUDIO);
	remove_all(c, &never, "");
	expect_verified(c, &never, "", RCO_CONFIRM_GONE);
	store(c, &it, 32);
	store(c, &other, 33);
	expect_verified(c, &it, "", RCO_CONFIRM_PRESENT);
	expect_verified(c, &it, it.version, RCO_CONFIRM_PRESENT);
	remove_all(c, &it, "");
	expect_verified(c, &it, "", RCO_CONFIRM_GONE);
	expect_hidden(c, &it);
	expect_count(c, &it, 0);
	remove_all(c, &it, "");
	expect_verified(c, &it, it.version, RCO_CONFIRM_GONE);
	expect_file(c, &other, 33, 3500);
	remove_all(c, &other, other.version);
	expect_verified(c, &other, "", RCO_CONFIRM_GONE);
	expect_count(c, &other, 0);
}

static void check_versions(conf *c)
{
	char first[256];
	item it;

	make_item(&it, RCO_KIND_AUDIO);
	store(c, &it, 34);
	memcpy(first, it.version, sizeof first);
	store(c, &it, 35);
	expect_file(c, &it, 35, 3500);
	if (first[0] != '\0') {
		assert_string_not_equal(first, it.version);
		expect_count(c, &it, 2);
		remove_all(c, &it, first);
		expect_verified(c, &it, first, RCO_CONFIRM_GONE);
		expect_verified(c, &it, it.version, RCO_CONFIRM_PRESENT);
		expect_file(c, &it, 35, 3500);
		store(c, &it, 36);
	}
	remove_all(c, &it, "");
	expect_verified(c, &it, "", RCO_CONFIRM_GONE);
	expect_verified(c, &it, it.version, RCO_CONFIRM_GONE);
	expect_count(c, &it, 0);
	expect_hidden(c, &it);
}

/* A location of the host: either it is not for this backend, or what is not there is gone. */
static void check_host(conf *c)
{
	rco_result removed = fresh_result(), verified = fresh_result();
	item it;
	int rc;

	make_item(&it, RCO_KIND_AUDIO);
	it.object.store = RCO_STORE_HOST;
	it.object.key = "/nonexistent/recoptout/call.wav";
	rc = c->deletion->remove(&it.object, ++c->op, &removed, c->deletion_user_data);
	assert_int_equal(rc == RCO_OK ? RCO_CONFIRM_GONE : RCO_CONFIRM_UNKNOWN, removed.confirmed);
	assert_true(rc == RCO_OK || rc == RCO_E_DECLINED);
	assert_int_equal(c->deletion->verify(&it.object, ++c->op, &verified, c->deletion_user_data), rc);
	assert_int_equal(rc == RCO_OK ? RCO_CONFIRM_GONE : RCO_CONFIRM_UNKNOWN, verified.confirmed);
}

/* ---- the list ---- */

enum { ALL_FILES = CONF_UPLOAD | CONF_DELETION };

const conf_check conf_checks[] = {
	{"opening an open recording has no effect", check_open_twice, CONF_BUFFER},
	{"eight legs are kept apart", check_legs, CONF_BUFFER},
	{"every format comes back bit by bit", check_formats, CONF_BUFFER},
	{"a piece appended again appears once", check_repetition, CONF_BUFFER},
	{"pieces of 1 byte to 1 MiB, meta of 512 bytes", check_sizes, CONF_BUFFER},
	{"append is NOT_FOUND when not open or erased", check_not_open, CONF_BUFFER},
	{"an error leaves the recording as it was", check_error_harmless, CONF_BUFFER},
	{"flush and seal confirm and can be repeated", check_flush_seal, CONF_BUFFER},
	{"read ends at the end", check_read_ends, CONF_BUFFER},
	{"erase leaves nothing of this and all of others", check_erase, CONF_BUFFER},
	{"revoke makes unreadable at once", check_revoke, CONF_BUFFER},
	{"scan reports each recording once, as it is", check_scan, CONF_BUFFER},
	{"a new process finds what is held, not what was erased", check_reopen, CONF_BUFFER},
	{"calls may be served at the same time", check_threads, CONF_BUFFER},
	{"nothing is visible before commit", check_hidden_until_commit, CONF_UPLOAD},
	{"a part sent again is in the file once", check_put_again, CONF_UPLOAD},
	{"commit again confirms the same version", check_commit_again, CONF_UPLOAD},
	{"begin again starts over", check_begin_again, CONF_UPLOAD},
	{"abort leaves no part and nothing comes back", check_abort, CONF_UPLOAD},
	{"abort without an upload id means every upload of the key", check_abort_unknown_id, CONF_UPLOAD},
	{"abort keeps a file that was committed", check_abort_keeps_file, CONF_UPLOAD},
	{"keys do not touch each other", check_keys_apart, CONF_UPLOAD},
	{"a new process finds unfinished uploads", check_upload_reopen, CONF_UPLOAD},
	{"remove leaves nothing of this and all of others", check_remove, ALL_FILES},
	{"remove takes one version, or all", check_versions, ALL_FILES},
	{"what the host keeps is declined or looked for", check_host, CONF_DELETION},
};

const size_t conf_checks_count = sizeof conf_checks / sizeof conf_checks[0];

void conf_run_all(conf *c)
{
	int have = (c->buffer != NULL ? CONF_BUFFER : 0) | (c->upload != NULL ? CONF_UPLOAD : 0) |
	           (c->deletion != NULL ? CONF_DELETION : 0);
	size_t i;

	for (i = 0; i < conf_checks_count; i++)
		if ((conf_checks[i].needs & ~have) == 0)
			conf_checks[i].run(c);
}
