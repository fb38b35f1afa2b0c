/* SPDX-License-Identifier: MIT */
/*
 * P11 no plaintext at rest: with the default buffer, audio that touches a disk is encrypted under a key of its own
 * for each recording. Folders are scanned for audio that can be recognised; the rings, which live in memory, are
 * scanned in the same way and do hold it, so that the scan is known to find it.
 */
#include "../support.h"

#include <sodium.h>
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
	uint64_t epoch[8];
} seen;

/* A provider for the test: "wraps" by a fixed mask, and remembers what it was given. */
static int mask_wrap(uint64_t epoch, const uint8_t key[32], uint8_t *wrapped, size_t *size, void *ud)
{
	size_t i;

	(void)ud;
	assert_true(seen.n < 8);
	seen.epoch[seen.n] = epoch;
	memcpy(seen.key[seen.n++], key, 32);
	for (i = 0; i < 32; i++)
		wrapped[i] = (uint8_t)(key[i] ^ 0x5a);
	*size = 32;
	return RCO_OK;
}

static int mask_unwrap(uint64_t epoch, const uint8_t *wrapped, size_t size, uint8_t key[32], void *ud)
{
	size_t i;

	(void)ud;
	if (seen.n == 0 || epoch != seen.epoch[seen.n - 1] || size != 32)
		return RCO_E_KEY;
	for (i = 0; i < 32; i++)
		key[i] = (uint8_t)(wrapped[i] ^ 0x5a);
	return RCO_OK;
}

enum { NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, WRAPPED = NONCE + 32 + 16 };

/* Of the n-th recording, as docs/spool-format.md describes it: its key, and that as it is wrapped. */
static void key_of(const t_world *w, size_t n, uint8_t key[32], uint8_t wrapped[WRAPPED])
{
	static const char label[] = "rco-key-v2";
	uint8_t bound[sizeof label - 1 + 16 + 8], *slots, *slot;
	char path[256];
	size_t size = 0;

	t_join(path, sizeof path, w->state, "spool/slots.rcok");
	slots = t_read_file(path, &size);
	assert_true(slots != NULL && size >= (n + 2) * 1024);
	slot = slots + (n + 1) * 1024;
	memcpy(wrapped, slot + 40, WRAPPED);
	memcpy(bound, label, sizeof label - 1);
	memcpy(bound + sizeof label - 1, slot + 24, 16);
	memcpy(bound + sizeof label - 1 + 16, slot + 16, 8);
	assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, wrapped + NONCE,
	                                                            WRAPPED - NONCE, bound, sizeof bound, wrapped,
	                                                            seen.key[0]),
	                 0);
	free(slots);
}

static void test_a_key_for_each_recording(void **state)
{
	static const rco_key_ops ops = {
		.struct_size = (uint32_t)sizeof ops, .wrap = mask_wrap, .unwrap = mask_unwrap};
	uint8_t key[3][32], wrapped[3][WRAPPED];
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
	assert_int_equal(seen.n, 1); /* the provider is not asked for each call */
	assert_int_equal(t_tree_holds(w.root, seen.key[0], 32), 0);
	for (i = 0; i < 3; i++) {
		key_of(&w, (size_t)i, key[i], wrapped[i]);
		assert_int_equal(t_tree_holds(w.root, key[i], 32), 0); /* only wrapped */
		assert_int_equal(t_tree_holds(w.state, wrapped[i], WRAPPED), 1);
		for (j = 0; j < i; j++)
			assert_memory_not_equal(key[i], key[j], 32);
	}
	assert_int_equal(rco_opt_out(s[1], NULL, NULL), RCO_OK);
	t_await(&w, "call-1", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_tree_holds(w.state, wrapped[1], WRAPPED), 0);
	assert_int_equal(t_tree_holds(w.state, wrapped[0], WRAPPED), 1);
	assert_int_equal(t_tree_holds(w.state, wrapped[2], WRAPPED), 1);
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
