/* SPDX-License-Identifier: MIT */
/*
 * P11 no plaintext at rest: with the default buffer, audio that touches a disk is encrypted under a key of its own
 * for each recording. Folders are scanned for audio that can be recognised; the rings, which live in memory, are
 * scanned in the same way and do hold it, so that the scan is known to find it.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

enum { MARKER = 48 };

/* Audio that no compression hides: noise, and the same 48 bytes at the beginning of each frame. */
static void push_marked(rco_session *s, uint64_t seed, size_t frames)
{
	uint8_t frame[T_FRAME];
	size_t i;

	for (i = 0; i < frames; i++) {
		t_noise(seed + 1000, i * T_FRAME, frame, sizeof frame);
		t_noise(seed, 0, frame, MARKER);
		assert_int_equal(rco_session_push(s, 0, RCO_FORMAT_PCMU_8K, frame, sizeof frame), RCO_OK);
	}
}

static size_t found(const char *dir, uint64_t seed)
{
	uint8_t marker[MARKER];

	t_noise(seed, 0, marker, sizeof marker);
	/* half of it: compression may take the other half for a repetition */
	return t_tree_holds(dir, marker, sizeof marker / 2);
}

static void test_scan(void **state)
{
	rco_session *kept, *gone;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	t_world_open(&w);
	kept = t_call(&w, "kept");
	gone = t_call(&w, "gone");
	push_marked(kept, 1, 50);
	push_marked(gone, 2, 50);
	assert_true(found(w.rings, 1) > 0 && found(w.rings, 2) > 0); /* the scan works, and rings are memory */
	assert_int_equal(found(w.root, 1), 0);
	assert_int_equal(found(w.root, 2), 0);
	t_advance(&w, 500);
	/* now it is in the spool: of the right size, and not readable */
	assert_true(t_tree_holds(w.state, NULL, 0) > 0);
	assert_int_equal(found(w.state, 1), 0);
	assert_int_equal(found(w.state, 2), 0);

	assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(found(w.rings, 2), 0);
	assert_int_equal(found(w.root, 2), 0);

	push_marked(kept, 1, 50);
	assert_int_equal(rco_session_end(kept), RCO_OK);
	t_settle(&w);
	assert_int_equal(found(w.state, 1), 0); /* before, during and after the upload */
	t_await(&w, "kept", RCO_EVENT_CALL_RECORD, 1);
	assert_int_equal(found(w.out, 1), 1); /* the finished file is the host's, and plain */
	assert_int_equal(found(w.state, 1), 0);
	t_advance(&w, 5000);
	assert_int_equal(found(w.rings, 1), 0); /* rings that were given back are wiped */
	rco_session_free(kept);
	rco_session_free(gone);
	t_world_close(&w);
	assert_int_equal(found(w.state, 1), 0);
	assert_int_equal(found(w.root, 2), 0);
	t_world_destroy(&w);
}

/* ---- a key of its own for each recording, and gone with it ---- */

static struct keys {
	size_t n;
	uint8_t key[8][32];
	size_t wraps;
} seen;

/* A provider for the test: "wraps" by a fixed mask, and remembers what it was given. */
static int mask_wrap(const uint8_t key[32], const uint8_t id[16], uint8_t *wrapped, size_t *size, uint64_t *epoch,
                     void *ud)
{
	size_t i;

	(void)id, (void)ud;
	seen.wraps++;
	if (seen.n < 8)
		memcpy(seen.key[seen.n++], key, 32);
	for (i = 0; i < 32; i++)
		wrapped[i] = (uint8_t)(key[i] ^ 0x5a);
	*size = 32;
	*epoch = 1;
	return RCO_OK;
}

static int mask_unwrap(uint64_t epoch, const uint8_t *wrapped, size_t size, const uint8_t id[16], uint8_t key[32],
                       void *ud)
{
	size_t i;

	(void)id, (void)ud;
	if (epoch != 1 || size != 32)
		return RCO_E_KEY;
	for (i = 0; i < 32; i++)
		key[i] = (uint8_t)(wrapped[i] ^ 0x5a);
	return RCO_OK;
}

static int masked_key_on_disk(t_world *w, size_t n)
{
	uint8_t masked[32];
	size_t i;

	for (i = 0; i < 32; i++)
		masked[i] = (uint8_t)(seen.key[n][i] ^ 0x5a);
	return t_tree_holds(w->state, masked, sizeof masked) > 0;
}

static void test_a_key_for_each_recording(void **state)
{
	static const rco_key_ops ops = {
		.struct_size = (uint32_t)sizeof ops, .wrap = mask_wrap, .unwrap = mask_unwrap};
	rco_session *s[3];
	t_world w;
	int i, j;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.keys = &ops;
	t_world_open(&w);
	for (i = 0; i < 3; i++) {
		char id[32];

		(void)snprintf(id, sizeof id, "call-%d", i);
		s[i] = t_call(&w, id);
		push_marked(s[i], (uint64_t)i, 20);
		t_advance(&w, 300);
	}
	assert_true(seen.n >= 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(t_tree_holds(w.root, seen.key[i], 32), 0); /* only wrapped */
		assert_true(masked_key_on_disk(&w, (size_t)i));
		for (j = 0; j < i; j++)
			assert_memory_not_equal(seen.key[i], seen.key[j], 32);
	}
	assert_int_equal(rco_opt_out(s[1], NULL, NULL), RCO_OK);
	t_await(&w, "call-1", RCO_EVENT_VERIFIED, 1);
	assert_false(masked_key_on_disk(&w, 1));
	assert_true(masked_key_on_disk(&w, 0));
	assert_true(masked_key_on_disk(&w, 2));
	for (i = 0; i < 3; i++)
		rco_session_free(s[i]);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_a_key_for_each_recording),
	};

	return cmocka_run_group_tests_name("P11 no plaintext at rest", tests, NULL, NULL);
}
