/* SPDX-License-Identifier: MIT */
/* The signing key of a state folder: made once, kept, and replaced only when it is damaged. */
#include "../support_ledger.h"

#include "../../lib/ledger/receipt.h"

static int setup(void **state)
{
	l_world *w = malloc(sizeof *w);

	assert_non_null(w);
	l_world_init(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	l_world_destroy(*state);
	free(*state);
	return 0;
}

static int open_key(l_world *w, uint8_t key[32])
{
	rco__signer *signer;
	int rc = rco__signer_open(&w->options.env, w->dir, w->quarantine, &signer);

	if (rc != RCO_OK) {
		assert_null(signer);
		return rc;
	}
	rco__signer_public(signer, key);
	rco__signer_unref(signer);
	return RCO_OK;
}

static void made_once(void **state)
{
	l_world *w = *state;
	uint8_t first[32], again[32];
	char path[L_PATH];
	struct stat st;

	assert_int_equal(open_key(w, first), RCO_OK);
	l_path(path, w->dir, "signing.key");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 48);
	assert_true(w->fs.syncs >= 1 && w->fs.dir_syncs >= 1);
	assert_int_equal(open_key(w, again), RCO_OK);
	assert_memory_equal(first, again, 32);
	assert_int_equal(l_count(w->quarantine, NULL), 0);
	assert_int_equal(l_count(w->dir, NULL), 1);
}

/* Every flipped byte and every cut: the old file is set aside, a new key is made, and that one stays. */
static void damaged_is_replaced(void **state)
{
	l_world *w = *state;
	uint8_t first[32], now[32], again[32], *bytes;
	char path[L_PATH];
	size_t size, i;

	w->fs.skip_sync = 1;
	assert_int_equal(open_key(w, first), RCO_OK);
	l_path(path, w->dir, "signing.key");
	bytes = l_slurp(path, &size);
	assert_int_equal(size, 48);
	for (i = 0; i < 2 * size + 2; i++) {
		if (i < size)
			bytes[i] ^= 0x40;
		l_spill(path, bytes, i < size ? size : i < 2 * size ? i - size : size + 3 + (i - 2 * size) * 8000);
		if (i < size)
			bytes[i] ^= 0x40;
		assert_int_equal(open_key(w, now), RCO_OK);
		assert_memory_not_equal(first, now, 32);
		assert_int_equal(l_count(w->quarantine, NULL), 1);
		assert_int_equal(open_key(w, again), RCO_OK);
		assert_memory_equal(now, again, 32);
		assert_int_equal(l_count(w->quarantine, NULL), 1);
		l_empty(w->quarantine);
	}
	l_spill(path, bytes, size);
	assert_int_equal(open_key(w, now), RCO_OK);
	assert_memory_equal(first, now, 32);
	free(bytes);
}

static void newer_is_refused(void **state)
{
	l_world *w = *state;
	uint8_t key[32], *bytes;
	char path[L_PATH];
	size_t size;

	assert_int_equal(open_key(w, key), RCO_OK);
	l_path(path, w->dir, "signing.key");
	bytes = l_slurp(path, &size);
	rco__put16(bytes + 8, 2);
	rco__put32(bytes + 44, rco__crc32c(0, bytes, 44));
	l_spill(path, bytes, size);
	free(bytes);
	assert_int_equal(open_key(w, key), RCO_E_VERSION);
	assert_non_null(strstr(rco_error_detail(), "signing.key"));
	assert_int_equal(l_count(w->quarantine, NULL), 0);
}

/* On a failing disk there is no signer, no half a file, and the next start succeeds. */
static void failing_disk(void **state)
{
	l_world *w = *state;
	uint8_t key[32];

	w->fs.fail_code = RCO_E_NO_SPACE;
	w->fs.fail_writes = 1;
	assert_int_equal(open_key(w, key), RCO_E_NO_SPACE);
	w->fs.fail_code = RCO_E_IO;
	w->fs.fail_syncs = 1;
	assert_int_equal(open_key(w, key), RCO_E_IO);
	assert_int_equal(l_count(w->dir, NULL), 0);
	w->no_memory = 1;
	assert_int_equal(open_key(w, key), RCO_E_NO_MEMORY);
	w->no_memory = 0;
	assert_int_equal(open_key(w, key), RCO_OK);
}

static void references(void **state)
{
	l_world *w = *state;
	rco__signer *signer;
	uint8_t key[32];

	rco__signer_unref(NULL);
	assert_int_equal(rco__signer_open(&w->options.env, w->dir, w->quarantine, &signer), RCO_OK);
	rco__signer_ref(signer);
	rco__signer_unref(signer);
	rco__signer_public(signer, key);
	rco__signer_unref(signer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_once, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(newer_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(failing_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(references, setup, teardown),
	};

	return cmocka_run_group_tests_name("signer", tests, NULL, NULL);
}
