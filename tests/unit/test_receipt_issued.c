/* SPDX-License-Identifier: MIT */
/* What a receipt says of itself: when it was issued, and which ledger stood behind it. */
#include "../support.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../lib/ledger/ledger_internal.h"

/* The receipt of a call by its id, verified and parsed. */
static json_t *receipt_of(t_world *w, const char *call_id, int64_t *issued_us)
{
	char text[RCO_RECEIPT_JSON_MAX];
	uint32_t status = 0;
	rco_receipt *r = NULL;
	uint8_t key[32];
	size_t len = 0;
	json_t *json;

	assert_int_equal(rco_engine_receipt(w->engine, call_id, &r), RCO_OK);
	assert_int_equal(rco_receipt_to_json(r, text, sizeof text, &len), RCO_OK);
	assert_int_equal(rco_engine_public_key(w->engine, key), RCO_OK);
	assert_int_equal(rco_receipt_verify(text, len, key, &status), RCO_OK);
	assert_int_equal(status, rco_receipt_status(r));
	*issued_us = rco_receipt_time_us(r, RCO_TIME_ISSUED);
	rco_receipt_free(r);
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	return json;
}

typedef struct looking {
	uint64_t seq;
	char hash[65]; /* of the entry with that number, "" if it is not there */
} looking;

/* As docs/ledger-format.md has it, from the files alone. */
static void look(const char *path, void *user_data)
{
	looking *l = user_data;
	size_t size = 0, at;
	uint8_t *file = t_read_file(path, &size);

	assert_non_null(file);
	for (at = 128; at + 88 <= size; at += 8) {
		if (memcmp(file + at, "RCOE", 4) != 0 || rco__get64(file + at + 16) != l->seq)
			continue;
		(void)sodium_bin2hex(l->hash, sizeof l->hash, file + at + 48, 32);
		break;
	}
	free(file);
}

static void assert_head(t_world *w, const json_t *receipt)
{
	looking l = {.seq = (uint64_t)json_integer_value(json_object_get(receipt, "ledger_seq"))};
	char dir[256];

	t_join(dir, sizeof dir, w->state, "ledger");
	t_tree_each(dir, look, &l);
	assert_true(l.seq > 0);
	assert_string_equal(json_string_value(json_object_get(receipt, "ledger_hash")), l.hash);
}

static void test_time_of_issue(void **state)
{
	json_t *first, *second;
	int64_t at[2];
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	first = receipt_of(&w, "call", &at[0]);
	assert_int_equal(at[0], w.clock.wall_us);
	t_advance(&w, 5000);
	second = receipt_of(&w, "call", &at[1]);
	assert_int_equal(at[1], at[0] + 5000000);
	assert_string_not_equal(json_string_value(json_object_get(first, "issued_at")),
	                        json_string_value(json_object_get(second, "issued_at")));
	assert_string_equal(json_string_value(json_object_get(first, "requested_at")),
	                    json_string_value(json_object_get(second, "requested_at")));
	json_decref(first);
	json_decref(second);
	t_world_destroy(&w);
}

/* Of a durable opt-out it is at or behind its own entry, and so through an erasure and over a restart. */
static void test_head_of_the_chain(void **state)
{
	json_int_t before, now;
	json_t *receipt;
	rco_session *s;
	int64_t at;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 20);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	receipt = receipt_of(&w, "call", &at);
	assert_head(&w, receipt);
	before = json_integer_value(json_object_get(receipt, "ledger_seq"));
	assert_true(before >= 2); /* the tombstone, which stands there twice */
	json_decref(receipt);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	assert_int_equal(rco_engine_opt_out(w.engine, "another", NULL, NULL), RCO_OK);
	receipt = receipt_of(&w, "call", &at);
	assert_head(&w, receipt);
	now = json_integer_value(json_object_get(receipt, "ledger_seq"));
	assert_true(now > before);
	json_decref(receipt);
	t_advance(&w, 1000);
	t_world_close(&w);
	t_world_open(&w);
	receipt = receipt_of(&w, "call", &at);
	assert_head(&w, receipt);
	assert_true(json_integer_value(json_object_get(receipt, "ledger_seq")) >= now);
	json_decref(receipt);
	t_world_destroy(&w);
}

/* Without a single durable entry there is no head, and no claim of one. */
static void test_no_head_yet(void **state)
{
	static t_fs fs;
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	json_t *receipt;
	int64_t at;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_fs_init(&fs, "/ledger/");
	w.fs = &fs;
	t_world_open(&w);
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", &o, NULL), RCO_PENDING);
	receipt = receipt_of(&w, "call", &at);
	assert_true(at > 0);
	assert_null(json_object_get(receipt, "ledger_seq"));
	assert_null(json_object_get(receipt, "ledger_hash"));
	json_decref(receipt);
	atomic_store(&fs.fail, 0);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_of_issue),
		cmocka_unit_test(test_head_of_the_chain),
		cmocka_unit_test(test_no_head_yet),
	};

	return cmocka_run_group_tests_name("receipts as issued", tests, NULL, NULL);
}
