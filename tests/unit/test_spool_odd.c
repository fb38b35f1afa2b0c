/* SPDX-License-Identifier: MIT */
/* What a spool makes of odd arguments and options, of a key provider that answers nonsense, and of slots and lists
 * of epochs whose checksum is right but which no correct writer makes. */
#include "../support_spool.h"

#include "../../lib/base/bytes.h"

/* ---- arguments ---- */

static void arguments_are_checked(void **state)
{
	const rco_buffer_ops *ops = rco_spool_buffer_ops();
	rco_recording recording = {.struct_size = (uint32_t)sizeof recording, .meta = "m", .meta_bytes = 1};
	rco_chunk chunk = {.struct_size = (uint32_t)sizeof chunk, .format = RCO_FORMAT_PCMU_8K};
	rco_result result = b_result();
	uint8_t id[16] = {1}, data[8];
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	assert_int_equal(ops->open(NULL, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->open(&recording, 1, NULL, b.spool), RCO_E_INVALID);
	recording.meta = NULL;
	assert_int_equal(ops->open(&recording, 1, &result, b.spool), RCO_E_INVALID);
	recording.meta = data;
	recording.meta_bytes = RCO_META_MAX + 1;
	assert_int_equal(ops->open(&recording, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->append(NULL, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->append(&chunk, 1, NULL, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->flush(1, NULL, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->seal(NULL, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->seal(id, 1, NULL, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->read(NULL, 0, 0, data, 8, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->read(id, 0, 0, data, 8, 1, NULL, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->read(id, RCO_MAX_LEGS, 0, data, 8, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->read(id, 0, 0, NULL, 8, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->erase(NULL, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->erase(id, 1, NULL, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->scan(NULL, NULL, b.spool), RCO_E_INVALID);
	assert_int_equal(result.confirmed, 0); /* none of these did anything */
	b_begin(&b, 1);
	b_id(id, 1);
	assert_int_equal(ops->read(id, 0, 0, NULL, 0, 1, &result, b.spool), RCO_OK); /* nothing is wanted */
	b_destroy(&b);
}

static void options_are_checked(void **state)
{
	char path[2000];
	rco_clock clock = {.struct_size = (uint32_t)sizeof clock};
	rco_spool_options o;
	rco_spool *spool;
	bench b;

	(void)state;
	b_init(&b);
	assert_int_equal(b_try_keys(&b), RCO_OK);
	o = (rco_spool_options){.struct_size = (uint32_t)sizeof o,
	                        .keys = rco_key_folder_ops(),
	                        .keys_user_data = b.keys,
	                        .path = ""};
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_INVALID);
	o.path = NULL;
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_INVALID);
	memset(path, 'p', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	o.path = path;
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_LIMIT);
	o.path = b.spool_path;
	o.quarantine_path = path;
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_LIMIT);
	o.quarantine_path = NULL;
	o.clock = &clock; /* without its functions */
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_OPS);
	assert_null(spool);
	assert_int_equal(t_exists(b.spool_path), 0);
	o.clock = NULL;
	o.segment_bytes = UINT64_MAX; /* more than can be: as much as can be */
	t_join(path, sizeof path, b.root, "aside");
	o.quarantine_path = path;
	assert_int_equal(rco_spool_create(&o, &spool), RCO_OK);
	b.spool = spool;
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 500);
	b_holds(&b, 1, 0, 500);
	b_destroy(&b);
}

/* ---- a provider that answers nonsense ---- */

struct provider {
	int wrap_rc, unwrap_rc;
	size_t size;
};

static int p_wrap(const uint8_t key[32], const uint8_t recording_id[16], uint8_t *wrapped, size_t *wrapped_bytes,
                  uint64_t *epoch, void *user_data)
{
	const struct provider *p = user_data;

	(void)recording_id;
	memcpy(wrapped, key, 32);
	*wrapped_bytes = p->size;
	*epoch = 1;
	return p->wrap_rc;
}

static int p_unwrap(uint64_t epoch, const uint8_t *wrapped, size_t wrapped_bytes, const uint8_t recording_id[16],
                    uint8_t key[32], void *user_data)
{
	const struct provider *p = user_data;

	(void)epoch;
	(void)recording_id;
	assert_int_equal(wrapped_bytes, 32);
	memcpy(key, wrapped, 32);
	return p->unwrap_rc;
}

/* An answer that is no error of ours and no success is one of the provider's; the recording is not begun, and is
 * not there after a restart. */
static void a_provider_that_answers_nonsense(void **state)
{
	static const struct {
		int rc;
		size_t size;
	} cases[] = {
		{1, 32}, {RCO_PENDING, 32}, {RCO_OK, 0}, {RCO_OK, RCO_WRAPPED_KEY_MAX + 1}, {RCO_OK, SIZE_MAX}};
	static const rco_key_ops ops = {.struct_size = sizeof ops, .wrap = p_wrap, .unwrap = p_unwrap};
	struct provider p = {.size = 32};
	uint8_t data[8];
	b_found found;
	size_t i, got;
	bench b;

	(void)state;
	b_init(&b);
	b.key_ops = &ops;
	b.key_ud = &p;
	b_open(&b);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		p.wrap_rc = cases[i].rc;
		p.size = cases[i].size;
		assert_int_equal(b_try_begin(&b, 1, "m"), RCO_E_KEY);
		assert_int_equal(b_try_noise(&b, 1, 0, 0, 100), RCO_E_NOT_FOUND);
	}
	b_scan(&b, &found);
	assert_int_equal(found.n, 0);
	p = (struct provider){.size = 32};
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	b_reopen(&b);
	p.unwrap_rc = 1;
	assert_int_equal(b_try_read(&b, 1, 0, 0, data, sizeof data, &got), RCO_E_KEY);
	p.unwrap_rc = RCO_E_NOT_FOUND; /* which would say of the recording that it is not there */
	assert_int_equal(b_try_read(&b, 1, 0, 0, data, sizeof data, &got), RCO_E_KEY);
	p.unwrap_rc = RCO_OK;
	b_holds(&b, 1, 0, 100);
	b_destroy(&b);
}

/* ---- files whose checksum is right ---- */

enum { SLOT = 1024, META_AT = 40 + RCO_WRAPPED_KEY_MAX };

/* Overwrite `size` bytes of a file's piece from..from+bytes, and set the checksum of its first `sum` bytes at
 * `at_sum`. */
static void alter(const char *path, size_t from, size_t at, size_t size, uint64_t value, size_t sum, size_t at_sum)
{
	size_t length, i;
	uint8_t *file = t_read_file(path, &length);

	assert_non_null(file);
	assert_true(from + at_sum + 4 <= length);
	for (i = 0; i < size; i++)
		file[from + at + i] = (uint8_t)(value >> 8 * i);
	rco__put32(file + from + at_sum, rco__crc32c(0, file + from, sum));
	t_write_file(path, file, length);
	free(file);
}

static size_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (size_t)st.st_size;
}

static void leave_two(bench *b, char path[256])
{
	b_init(b);
	b_open(b);
	b_begin(b, 1);
	b_begin(b, 2);
	b_noise(b, 1, 0, 0, 300);
	b_noise(b, 2, 0, 0, 300);
	b_close(b);
	assert_int_equal(b_files(b->spool_path, "slots.rcok", path), 1);
}

/* A slot that cannot be: its recording is lost and set aside without its key, its neighbour is not touched. */
static void impossible_slots_cost_one_recording(void **state)
{
	static const struct {
		size_t at, size;
		uint64_t value;
	} cases[] = {
		{0, 4, 0x12345678},              /* not what a slot begins with */
		{6, 2, RCO_WRAPPED_KEY_MAX + 1}, /* a key longer than there is room for */
		{8, 2, RCO_META_MAX + 1},        /* the same of the meta data */
		{8, 2, UINT16_MAX},
	};
	char path[256];
	b_found found;
	size_t i;
	bench b;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		leave_two(&b, path);
		alter(path, SLOT, cases[i].at, cases[i].size, cases[i].value, META_AT, SLOT - 4);
		b_open(&b);
		assert_int_equal(rco__spool_quarantined(b.spool), 1);
		b_scan(&b, &found);
		assert_int_equal(found.n, 1);
		assert_int_equal(b_where(&found, 2), 0);
		b_holds(&b, 2, 0, 300);
		b_begin(&b, 3); /* in the slot that is free now */
		b_noise(&b, 3, 0, 0, 300);
		b_reopen(&b);
		assert_int_equal(rco__spool_quarantined(b.spool), 0);
		b_holds(&b, 2, 0, 300);
		b_holds(&b, 3, 0, 300);
		b_destroy(&b);
	}
}

static void refuse_newer(bench *b, const char *path)
{
	size_t before_size, size;
	uint8_t *before = t_read_file(path, &before_size), *now;

	assert_int_equal(b_try_keys(b), RCO_OK);
	assert_int_equal(b_try_spool(b), RCO_E_VERSION);
	assert_null(b->spool);
	assert_non_null(strstr(rco_error_detail(), "newer"));
	now = t_read_file(path, &size);
	assert_true(before != NULL && now != NULL && size == before_size);
	assert_memory_equal(before, now, size);
	free(before);
	free(now);
	b_destroy(b);
}

/* Refused as a whole, with no byte of it changed: a newer library can still open it. */
static void newer_files_are_refused_untouched(void **state)
{
	char path[256];
	size_t size;
	bench b;

	(void)state;
	leave_two(&b, path);
	alter(path, SLOT, 4, 2, 2, META_AT, SLOT - 4); /* a slot's version */
	refuse_newer(&b, path);
	leave_two(&b, path);
	alter(path, 0, 8, 2, 2, 32, 32); /* the file's */
	refuse_newer(&b, path);
	leave_two(&b, path);
	alter(path, 0, 12, 4, 2 * SLOT, 32, 32); /* longer slots */
	refuse_newer(&b, path);
	leave_two(&b, path);
	assert_int_equal(b_files(b.spool_path, "epochs.rcoe", path), 1);
	size = size_of(path);
	alter(path, 0, 8, 2, 2, size - 4, size - 4);
	refuse_newer(&b, path);
}

/* The list of epochs only serves to destroy old keys: without it all recordings are there. */
static void impossible_lists_of_epochs_cost_nothing(void **state)
{
	uint8_t big[9000];
	size_t size, i;
	char path[256];
	bench b;

	(void)state;
	for (i = 0; i < 4; i++) {
		leave_two(&b, path);
		assert_int_equal(b_files(b.spool_path, "epochs.rcoe", path), 1);
		size = size_of(path);
		if (i == 0)
			alter(path, 0, 12, 4, 1001, size - 4, size - 4); /* more than there can be */
		else if (i == 1)
			alter(path, 0, 12, 4, 0, size - 4, size - 4); /* fewer than there are */
		else if (i == 2)
			alter(path, 0, 12, 4, 2, size - 4, size - 4); /* more than there are */
		memset(big, 0, sizeof big);
		if (i == 3)
			t_write_file(path, big, sizeof big);
		b_open(&b);
		assert_int_equal(rco__spool_quarantined(b.spool), 1);
		b_holds(&b, 1, 0, 300);
		b_holds(&b, 2, 0, 300);
		b_reopen(&b);
		assert_int_equal(rco__spool_quarantined(b.spool), 0);
		b_holds(&b, 1, 0, 300);
		b_destroy(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(a_provider_that_answers_nonsense),
		cmocka_unit_test(impossible_slots_cost_one_recording),
		cmocka_unit_test(newer_files_are_refused_untouched),
		cmocka_unit_test(impossible_lists_of_epochs_cost_nothing),
	};

	return cmocka_run_group_tests_name("spool, odd", tests, NULL, NULL);
}
