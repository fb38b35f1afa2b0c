/* SPDX-License-Identifier: MIT */
/* What a spool answers to arguments and options that cannot be. */
#include "../support_spool.h"

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

static int append(bench *b, const rco_chunk *chunk)
{
	rco_result result = b_result();
	rco__append list[2] = {{.chunk = *chunk}, {.chunk = *chunk}};
	int rc = rco_spool_buffer_ops()->append(chunk, 1, &result, b->spool);

	/* The same of one of many that share a write, but that a gap shares none. */
	if (rc != RCO_OK) {
		rco__spool_append_many(b->spool, list, 2);
		assert_true(list[0].rc < 0 && list[1].rc == list[0].rc);
		assert_int_equal(result.confirmed, 0);
	}
	return rc;
}

/* What a piece of a leg has to be: each that is not is refused, and leaves the recording as it was. */
static void pieces_are_checked(void **state)
{
	static uint8_t data[(1 << 20) + 2];
	rco_chunk good = {.struct_size = (uint32_t)sizeof good, .format = RCO_FORMAT_S16_8K, .size_bytes = 320}, c;
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_id(good.recording_id, 1);
	good.data = data;
	c = good, c.format = 0;
	assert_int_equal(append(&b, &c), RCO_E_FORMAT);
	c = good, c.leg = RCO_MAX_LEGS;
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.flags = 1u << 31;
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.flags = RCO_CHUNK_GAP; /* with audio */
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.data = NULL; /* without, and no gap */
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.size_bytes = 0;
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.size_bytes = 321;
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.size_bytes = sizeof data;
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.position_bytes = 1;
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.position_bytes = UINT64_MAX - 1;
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.position_bytes = 320; /* behind the end */
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	c = good, c.data = NULL, c.flags = RCO_CHUNK_GAP, c.size_bytes = (1u << 30) + 2;
	assert_int_equal(append(&b, &c), RCO_E_INVALID);
	b_id(c.recording_id, 7); /* not open */
	c.size_bytes = 320;
	assert_int_equal(append(&b, &c), RCO_E_NOT_FOUND);
	assert_int_equal(append(&b, &good), RCO_OK);
	c = good, c.position_bytes = 320, c.format = RCO_FORMAT_PCMU_8K; /* another than before */
	assert_int_equal(append(&b, &c), RCO_E_FORMAT);
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
	                        .keys = rco_key_dir_ops(),
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(pieces_are_checked),
		cmocka_unit_test(options_are_checked),
	};

	return cmocka_run_group_tests_name("spool arguments", tests, NULL, NULL);
}
