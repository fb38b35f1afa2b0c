/* SPDX-License-Identifier: MIT */
/*
 * How backends come in: a table is copied whole, a missing required slot
 * is named, a missing optional one is fine, and the struct_size rules hold for
 * tables of older and newer callers.
 */
#include "../../lib/storage/storage_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Room behind a struct, for callers who know more members than we do. */
enum { BEYOND = 64, ABSURD = 4097 };

/* No slot is ever called here: any address does, and each its own, so that a copy that swaps two is noticed. */
typedef void (*any_fn)(void);

typedef struct slot {
	const char *name;
	size_t offset;
	int required;
} slot;

typedef struct table {
	const char *name;
	size_t size;
	size_t reserved; /* offset of a member that has to be NULL, 0 for none */
	int (*copy)(void *dst, const void *src);
	slot slots[12];
} table;

static int copy_buffer(void *dst, const void *src)
{
	return rco__buffer_ops_copy(dst, src);
}

static int copy_upload(void *dst, const void *src)
{
	return rco__upload_ops_copy(dst, src);
}

static int copy_deletion(void *dst, const void *src)
{
	return rco__deletion_ops_copy(dst, src);
}

static int copy_key(void *dst, const void *src)
{
	return rco__key_ops_copy(dst, src);
}

static int copy_recorder(void *dst, const void *src)
{
	return rco__recorder_ops_copy(dst, src);
}

#define SLOT(type, name, required)                                                                                \
	{                                                                                                         \
#name, offsetof(type, name), required                                                             \
	}

static const table tables[] = {
	{"buffer",
         sizeof(rco_buffer_ops),
         offsetof(rco_buffer_ops, reserved),
         copy_buffer,
         {SLOT(rco_buffer_ops, attach, 0), SLOT(rco_buffer_ops, open, 1), SLOT(rco_buffer_ops, append, 1),
          SLOT(rco_buffer_ops, flush, 0), SLOT(rco_buffer_ops, seal, 0), SLOT(rco_buffer_ops, read, 1),
          SLOT(rco_buffer_ops, revoke, 0), SLOT(rco_buffer_ops, erase, 1), SLOT(rco_buffer_ops, scan, 0)}},
	{"upload",
         sizeof(rco_upload_ops),
         0,
         copy_upload,
         {SLOT(rco_upload_ops, attach, 0), SLOT(rco_upload_ops, begin, 1), SLOT(rco_upload_ops, put, 1),
          SLOT(rco_upload_ops, commit, 1), SLOT(rco_upload_ops, abort, 1), SLOT(rco_upload_ops, list, 1),
          SLOT(rco_upload_ops, head, 1)}},
	{"deletion",
         sizeof(rco_deletion_ops),
         offsetof(rco_deletion_ops, reserved),
         copy_deletion,
         {SLOT(rco_deletion_ops, attach, 0), SLOT(rco_deletion_ops, remove, 1),
          SLOT(rco_deletion_ops, verify, 1)}},
	{"key",
         sizeof(rco_key_ops),
         offsetof(rco_key_ops, reserved),
         copy_key,
         {SLOT(rco_key_ops, wrap, 1), SLOT(rco_key_ops, unwrap, 1), SLOT(rco_key_ops, destroy, 0)}},
	/* resume: required because pause is set; the other case has a test of its own */
	{"recorder",
         sizeof(rco_recorder_ops),
         0,
         copy_recorder,
         {SLOT(rco_recorder_ops, start, 1), SLOT(rco_recorder_ops, stop, 1), SLOT(rco_recorder_ops, pause, 0),
          SLOT(rco_recorder_ops, resume, 1)}},
};

enum { TABLES = sizeof tables / sizeof tables[0], ROOM = 256 };

typedef union space {
	uint64_t align;
	uint8_t bytes[ROOM + BEYOND];
} space;

static void set_slot(space *s, size_t offset, uintptr_t value)
{
	any_fn fn = (any_fn)value;

	memcpy(s->bytes + offset, &fn, sizeof fn);
}

static void set_size(space *s, uint32_t size)
{
	memcpy(s->bytes, &size, sizeof size);
}

static void full(const table *t, space *s)
{
	const slot *sl;

	assert_true(t->size + BEYOND <= sizeof s->bytes);
	memset(s, 0, sizeof *s);
	set_size(s, (uint32_t)t->size);
	for (sl = t->slots; sl->name != NULL; sl++)
		set_slot(s, sl->offset, 0x1000 + sl->offset);
}

static void expect_empty(const space *s, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		assert_int_equal(s->bytes[i], 0);
}

static void test_copied_whole(void **state)
{
	space src, dst;
	size_t i;

	(void)state;
	for (i = 0; i < TABLES; i++) {
		full(&tables[i], &src);
		memset(&dst, 0xee, sizeof dst);
		assert_int_equal(tables[i].copy(&dst, &src), RCO_OK);
		assert_memory_equal(&dst, &src, tables[i].size);
		assert_int_equal(dst.bytes[tables[i].size], 0xee);
	}
}

static void test_each_slot_missing(void **state)
{
	char expected[128];
	const slot *sl;
	space src, dst;
	size_t i;

	(void)state;
	for (i = 0; i < TABLES; i++)
		for (sl = tables[i].slots; sl->name != NULL; sl++) {
			full(&tables[i], &src);
			set_slot(&src, sl->offset, 0);
			if (!sl->required) {
				assert_int_equal(tables[i].copy(&dst, &src), RCO_OK);
				continue;
			}
			assert_int_equal(tables[i].copy(&dst, &src), RCO_E_OPS);
			(void)snprintf(expected, sizeof expected, "%s table: required slot '%s' is NULL",
			               tables[i].name, sl->name);
			assert_string_equal(rco_error_detail(), expected);
			expect_empty(&dst, tables[i].size);
		}
}

static void test_resume_without_pause(void **state)
{
	rco_recorder_ops src, dst;
	space s;

	(void)state;
	full(&tables[4], &s);
	memcpy(&src, &s, sizeof src);
	src.pause = NULL;
	src.resume = NULL;
	assert_int_equal(rco__recorder_ops_copy(&dst, &src), RCO_OK);
	assert_null(dst.pause);
	assert_null(dst.resume);
}

static void test_null(void **state)
{
	space dst;
	size_t i;

	(void)state;
	for (i = 0; i < TABLES; i++)
		assert_int_equal(tables[i].copy(&dst, NULL), RCO_E_INVALID);
}

static void test_struct_size(void **state)
{
	static const uint32_t absurd[] = {0, 1, 4, 8, ABSURD, 0x7fffffff, 0xffffffff};
	space src, dst;
	size_t i, j;

	(void)state;
	for (i = 0; i < TABLES; i++) {
		for (j = 0; j < sizeof absurd / sizeof absurd[0]; j++) {
			full(&tables[i], &src);
			set_size(&src, absurd[j]);
			assert_int_equal(tables[i].copy(&dst, &src), RCO_E_STRUCT_SIZE);
			expect_empty(&dst, tables[i].size);
		}
		full(&tables[i], &src);
		set_size(&src, (uint32_t)tables[i].size - 1);
		assert_int_equal(tables[i].copy(&dst, &src), RCO_E_STRUCT_SIZE);
	}
}

static void test_newer_caller(void **state)
{
	space src, dst;
	uint32_t size;
	size_t i;

	(void)state;
	for (i = 0; i < TABLES; i++) {
		full(&tables[i], &src);
		set_size(&src, (uint32_t)tables[i].size + BEYOND);
		/* what it knows and we do not is not used: fine */
		assert_int_equal(tables[i].copy(&dst, &src), RCO_OK);
		memcpy(&size, &dst, sizeof size);
		assert_int_equal(size, tables[i].size);
		/* it is used: not fine */
		src.bytes[tables[i].size + BEYOND - 1] = 1;
		assert_int_equal(tables[i].copy(&dst, &src), RCO_E_NEWER);
		expect_empty(&dst, tables[i].size);
	}
}

static void test_flags_and_reserved(void **state)
{
	space src, dst;
	size_t i;

	(void)state;
	for (i = 0; i < TABLES; i++) {
		full(&tables[i], &src);
		src.bytes[4] = 0x80; /* which none has */
		assert_int_equal(tables[i].copy(&dst, &src), RCO_E_NEWER);
		src.bytes[4] = 1; /* RCO_BUFFER_GAPS, RCO_RECORDER_PUSHES */
		assert_int_equal(tables[i].copy(&dst, &src),
		                 strcmp(tables[i].name, "buffer") == 0 || strcmp(tables[i].name, "recorder") == 0
		                         ? RCO_OK
		                         : RCO_E_NEWER);
		if (tables[i].reserved == 0)
			continue;
		full(&tables[i], &src);
		set_slot(&src, tables[i].reserved, 1);
		assert_int_equal(tables[i].copy(&dst, &src), RCO_E_NEWER);
		expect_empty(&dst, tables[i].size);
	}
}

/* Our own come in the same way. */
static void test_built_in(void **state)
{
	rco_deletion_ops deletion;
	rco_buffer_ops buffer;
	rco_upload_ops upload;

	(void)state;
	assert_int_equal(rco__buffer_ops_copy(&buffer, rco_memory_buffer_ops()), RCO_OK);
	assert_int_equal(rco__upload_ops_copy(&upload, rco_memory_upload_ops()), RCO_OK);
	assert_int_equal(rco__deletion_ops_copy(&deletion, rco_memory_deletion_ops()), RCO_OK);
	assert_int_equal(rco__upload_ops_copy(&upload, rco_directory_upload_ops()), RCO_OK);
	assert_int_equal(rco__deletion_ops_copy(&deletion, rco_directory_deletion_ops()), RCO_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copied_whole),         cmocka_unit_test(test_each_slot_missing),
		cmocka_unit_test(test_resume_without_pause), cmocka_unit_test(test_null),
		cmocka_unit_test(test_struct_size),          cmocka_unit_test(test_newer_caller),
		cmocka_unit_test(test_flags_and_reserved),   cmocka_unit_test(test_built_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
