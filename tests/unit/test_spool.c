/* SPDX-License-Identifier: MIT */
/*
 * The spool on good days: what was appended is read back to the bit, once, after a crash too (P5); what was erased
 * is not readable from anywhere, and costs no disk for long (P4); nothing on disk is plain audio (P11).
 */
#include "../support_spool.h"

static const uint32_t formats[] = {RCO_FORMAT_PCMU_8K, RCO_FORMAT_PCMA_8K, RCO_FORMAT_S16_8K,
                                   RCO_FORMAT_S16_16K, RCO_FORMAT_S16_24K, RCO_FORMAT_S16_48K};

/* Every format, in many pieces of odd sizes, over several segments, also read by another process after a crash. */
static void test_round_trip(void **state)
{
	static const size_t sizes[] = {2, 160, 8000, 1234, 16000, 6, 65536};
	uint64_t ends[6] = {0};
	bench b, crashed;
	size_t i, leg;
	b_found f;

	(void)state;
	b_init(&b);
	b.segment_bytes = 50000;
	b_open(&b);
	b_begin(&b, 1);
	for (i = 0; i < 40; i++)
		for (leg = 0; leg < 6; leg++) {
			size_t size = sizes[(i + leg) % 7];
			uint8_t *data = malloc(size);

			assert_non_null(data);
			t_noise(8 + leg, ends[leg], data, size);
			assert_int_equal(b_try_append(&b, 1, (uint32_t)leg, formats[leg], ends[leg], data, size),
			                 RCO_OK);
			ends[leg] += size;
			free(data);
		}
	for (leg = 0; leg < 6; leg++)
		b_holds(&b, 1, (uint32_t)leg, ends[leg]);
	assert_true(b_files(b.spool_path, ".rcos", NULL) > 10);
	b_crash(&b, &crashed);
	b_open(&crashed);
	b_scan(&crashed, &f);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.at[0].meta, "meta");
	assert_int_equal(f.at[0].damaged, 0);
	for (leg = 0; leg < 6; leg++) {
		assert_int_equal(f.at[0].format[leg], formats[leg]);
		assert_int_equal(f.at[0].bytes[leg], ends[leg]);
		b_holds(&crashed, 1, (uint32_t)leg, ends[leg]);
	}
	assert_int_equal(rco__spool_quarantined(crashed.spool), 0);
	b_destroy(&crashed);
	b_destroy(&b);
}

/* Samples that no telephone line had, and some that it had: kept in another way, read back the same. */
static void test_samples(void **state)
{
	int16_t out[4000], in[2][4000];
	size_t i, got;
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	for (i = 0; i < 4000; i++)
		in[0][i] = (int16_t)((i % 200) * 100 - 10000), in[1][i] = (int16_t)(i % 16 * 8);
	for (i = 0; i < 20; i++)
		assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_S16_8K, i * sizeof out, in[i % 2], sizeof out),
		                 RCO_OK);
	b_reopen(&b);
	for (i = 0; i < 20; i++) {
		assert_int_equal(b_try_read(&b, 1, 0, i * sizeof out, out, sizeof out, &got), RCO_OK);
		assert_int_equal(got, sizeof out);
		assert_memory_equal(out, in[i % 2], sizeof out);
	}
	b_destroy(&b);
}

/* A piece that comes again, wholly or in part, appears once; one that leaves a gap is refused. */
static void test_repetition(void **state)
{
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	b_noise(&b, 1, 0, 0, 1000);
	b_noise(&b, 1, 0, 200, 300);
	b_noise(&b, 1, 0, 500, 1500); /* 500 of it are new ones after 1000 */
	b_holds(&b, 1, 0, 2000);
	assert_int_equal(b_try_noise(&b, 1, 0, 2001, 100), RCO_E_INVALID);
	b_noise(&b, 1, 0, 0, 2500);
	b_holds(&b, 1, 0, 2500);
	b_reopen(&b);
	b_holds(&b, 1, 0, 2500);
	b_noise(&b, 1, 0, 2000, 1000);
	b_holds(&b, 1, 0, 3000);
	b_reopen(&b);
	b_holds(&b, 1, 0, 3000);
	b_destroy(&b);
}

/* After a crash a recording goes on where it was; its new audio goes to a new segment. */
static void test_goes_on_after_crash(void **state)
{
	bench b, first, second;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 4000);
	b_crash(&b, &first);
	b_open(&first);
	b_begin(&first, 1);
	b_noise(&first, 1, 0, 3000, 5000);
	b_noise(&first, 1, 3, 0, 100);
	b_crash(&first, &second);
	b_open(&second);
	b_holds(&second, 1, 0, 8000);
	b_holds(&second, 1, 3, 100);
	assert_int_equal(b_files(second.spool_path, ".rcos", NULL), 2);
	b_destroy(&second);
	b_destroy(&first);
	b_destroy(&b);
}

static void test_bad_arguments(void **state)
{
	const rco_buffer_ops *ops = rco_spool_buffer_ops();
	rco_recording r = {.struct_size = (uint32_t)sizeof r, .meta_bytes = 1};
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o};
	uint8_t data[64] = {0}, id[16] = {0}, handle[1 << 17] = {0};
	rco_result result = b_result();
	rco_spool *spool = NULL;
	size_t got;
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	assert_int_equal(ops->open(NULL, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->open(&r, 1, &result, b.spool), RCO_E_INVALID); /* meta_bytes without meta */
	r.meta = data;
	r.meta_bytes = RCO_META_MAX + 1;
	assert_int_equal(ops->open(&r, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->open(&r, 1, &result, NULL), RCO_E_HANDLE);
	assert_int_equal(ops->append(NULL, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->append(NULL, 1, &result, (void *)handle), RCO_E_HANDLE);
	assert_int_equal(ops->flush(1, NULL, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->seal(NULL, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->seal(id, 1, &result, b.spool), RCO_E_NOT_FOUND);
	assert_int_equal(ops->erase(NULL, 1, &result, b.spool), RCO_E_INVALID);
	assert_int_equal(ops->scan(NULL, NULL, b.spool), RCO_E_INVALID);
	ops->revoke(NULL, b.spool);
	ops->revoke(id, NULL);
	assert_int_equal(b_try_append(&b, 1, 0, 99, 0, data, 2), RCO_E_FORMAT);
	assert_int_equal(b_try_append(&b, 1, 8, RCO_FORMAT_PCMU_8K, 0, data, 2), RCO_E_INVALID);
	assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_PCMU_8K, 0, NULL, 2), RCO_E_INVALID);
	assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_PCMU_8K, 0, data, 0), RCO_E_INVALID);
	assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_PCMU_8K, 0, data, (1 << 20) + 1), RCO_E_INVALID);
	assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_S16_8K, 0, data, 3), RCO_E_INVALID);
	assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_PCMU_8K, UINT64_MAX - 1, data, 4), RCO_E_INVALID);
	assert_int_equal(b_try_append(&b, 2, 0, RCO_FORMAT_PCMU_8K, 0, data, 4), RCO_E_NOT_FOUND);
	assert_int_equal(b_try_read(&b, 1, 8, 0, data, sizeof data, &got), RCO_E_INVALID);
	assert_int_equal(b_try_read(&b, 2, 0, 0, data, sizeof data, &got), RCO_E_NOT_FOUND);
	assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_S16_8K, 0, data, 4), RCO_OK);
	assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_S16_8K, 1, data, 4), RCO_E_INVALID);
	assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_PCMU_8K, 4, data, 4), RCO_E_FORMAT);
	assert_int_equal(rco_spool_create(&o, NULL), RCO_E_INVALID);
	assert_int_equal(rco_spool_create(NULL, &spool), RCO_E_INVALID);
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_INVALID); /* no path */
	o.path = b.spool_path;
	assert_int_not_equal(rco_spool_create(&o, &spool), RCO_OK); /* no keys */
	o.keys = rco_key_dir_ops();
	o.flags = 1;
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_NEWER);
	assert_null(spool);
	rco_spool_free(NULL);
	b_destroy(&b);
}

/* Two engines on one folder would write over each other: the second is refused, and does no harm. */
static void test_second_is_refused(void **state)
{
	bench b;
	rco_spool *first;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	first = b.spool;
	assert_int_equal(b_try_spool(&b), RCO_E_BUSY);
	assert_non_null(strstr(rco_error_detail(), b.spool_path));
	b.spool = first;
	b_noise(&b, 1, 0, 1000, 1000);
	b_holds(&b, 1, 0, 2000);
	b_reopen(&b);
	b_holds(&b, 1, 0, 2000);
	b_destroy(&b);
}

static void test_folder_that_cannot_be_used(void **state)
{
	rco_spool_options o = {.struct_size = (uint32_t)sizeof o, .keys = rco_key_dir_ops()};
	char path[2048];
	rco_spool *spool;
	bench b;
	int rc;

	(void)state;
	b_init(&b);
	t_join(path, sizeof path, b.root, "file");
	t_write_file(path, "x", 1);
	o.path = path;
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_STATE);
	t_join(path, sizeof path, b.root, "file/spool");
	rc = rco_spool_create(&o, &spool);
	assert_true(rc == RCO_E_IO || rc == RCO_E_NOT_FOUND || rc == RCO_E_PERMISSION);
	assert_non_null(strstr(rco_error_detail(), path));
	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(rco_spool_create(&o, &spool), RCO_E_LIMIT);
	b_destroy(&b);
}

/* In a child the keys read as zeros: nothing may be sealed with them. */
static void in_child(void *arg)
{
	bench *b = arg;

	assert_int_equal(b_try_noise(b, 1, 0, 1000, 1000), RCO_E_FORKED);
	assert_int_equal(b_try_begin(b, 2, "meta"), RCO_E_FORKED);
	assert_int_equal(b_try_erase(b, 1), RCO_E_FORKED);
	b_revoke(b, 1);
}

static void test_child_is_refused(void **state)
{
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	assert_int_equal(t_reap(t_spawn(in_child, &b)), 0);
	b_noise(&b, 1, 0, 1000, 1000);
	b_holds(&b, 1, 0, 2000);
	b_destroy(&b);
}

/* ---- erasing ---- */

/* Magic of the slot that holds the recording's key: where it stands there are id and wrapped key. */
static void read_slot(const bench *b, size_t index, uint8_t slot[1024])
{
	char path[256];
	size_t size = 0;
	uint8_t *data;

	t_join(path, sizeof path, b->spool_path, "slots.rcok");
	data = t_read_file(path, &size);
	assert_non_null(data);
	assert_true(size >= 1024 * (index + 2));
	memcpy(slot, data + 1024 * (index + 1), 1024);
	free(data);
}

/* Nothing of the key is left in any file, reads and appends are refused, a scan does not know it, now or later. */
static void test_erase(void **state)
{
	uint8_t slot[1024], zeros[1024] = {0}, buf[10];
	bench b, crashed;
	size_t got;
	b_found f;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_begin(&b, 2);
	b_noise(&b, 1, 0, 0, 5000);
	b_noise(&b, 2, 0, 0, 5000);
	read_slot(&b, 0, slot);
	assert_true(t_tree_holds(b.root, slot + 40, 72) == 1); /* the wrapped key can be found while it is there */
	b_erase(&b, 1);
	assert_int_equal(t_tree_holds(b.root, slot + 40, 72), 0);
	assert_int_equal(t_tree_holds(b.root, slot + 40, 8), 0);
	read_slot(&b, 0, slot);
	assert_memory_equal(slot, zeros, sizeof zeros);
	assert_int_equal(b_try_read(&b, 1, 0, 0, buf, sizeof buf, &got), RCO_E_NOT_FOUND);
	assert_int_equal(b_try_noise(&b, 1, 0, 5000, 10), RCO_E_NOT_FOUND);
	b_erase(&b, 1);
	b_erase(&b, 77); /* never was */
	b_holds(&b, 2, 0, 5000);
	b_crash(&b, &crashed);
	b_open(&crashed);
	b_scan(&crashed, &f);
	assert_int_equal(f.n, 1);
	assert_int_equal(b_where(&f, 1), -1);
	b_holds(&crashed, 2, 0, 5000);
	b_destroy(&crashed);
	b_destroy(&b);
}

/* An id that comes again after it was erased is another recording; old records of it are nobody's. */
static void test_same_id_again(void **state)
{
	bench b;
	b_found f;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 9); /* keeps the segment alive */
	b_noise(&b, 9, 0, 0, 100);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 3000);
	b_erase(&b, 1);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 500);
	b_noise(&b, 1, 0, 500, 500);
	b_reopen(&b);
	b_scan(&b, &f);
	assert_int_equal(f.at[b_where(&f, 1)].bytes[0], 1000);
	assert_int_equal(f.at[b_where(&f, 1)].damaged, 0);
	b_holds(&b, 1, 0, 1000);
	b_destroy(&b);
}

/* Segments go when all their recordings are gone, not before; one that is being written stays. */
static void test_segments_vanish(void **state)
{
	bench b;
	size_t n;

	(void)state;
	b_init(&b);
	b.segment_bytes = 10000;
	b_open(&b);
	b_begin(&b, 1);
	b_begin(&b, 2);
	for (n = 0; n < 10; n++)
		b_noise(&b, 1, 0, n * 4000, 4000);
	b_noise(&b, 2, 0, 0, 4000);
	for (n = 10; n < 20; n++)
		b_noise(&b, 1, 0, n * 4000, 4000);
	assert_true(b_files(b.spool_path, ".rcos", NULL) >= 10);
	b_erase(&b, 1);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 2); /* with call 2 in it; the current one */
	b_holds(&b, 2, 0, 4000);
	b_erase(&b, 2);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 1);
	b_reopen(&b);
	assert_int_equal(b_files(b.spool_path, ".rcos", NULL), 0);
	b_destroy(&b);
}

/* Revoked: unreadable and deaf at once, and a scan of this process does not offer it. Erasing still has to come.
 */
static void test_revoke(void **state)
{
	uint8_t buf[10];
	size_t got;
	bench b;
	b_found f;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 1000);
	b_revoke(&b, 1);
	b_revoke(&b, 1);
	assert_int_equal(b_try_read(&b, 1, 0, 0, buf, sizeof buf, &got), RCO_E_NOT_FOUND);
	assert_int_equal(b_try_noise(&b, 1, 0, 1000, 10), RCO_E_NOT_FOUND);
	assert_int_equal(b_try_begin(&b, 1, "again"), RCO_E_NOT_FOUND);
	b_scan(&b, &f);
	assert_int_equal(f.n, 0);
	b_erase(&b, 1);
	b_reopen(&b);
	b_scan(&b, &f);
	assert_int_equal(f.n, 0);
	b_destroy(&b);
}

struct race {
	bench *b;
	uint8_t n;
	int append_rc;
	uint64_t appended;
	_Atomic int go, started;
};

static void *append_until_refused(void *arg)
{
	struct race *r = arg;

	while (r->appended < 100000000) {
		r->append_rc = b_try_noise(r->b, r->n, 0, r->appended, 400);
		if (r->append_rc != RCO_OK)
			break;
		r->appended += 400;
		atomic_store(&r->started, 1);
	}
	return NULL;
}

/* Opt-outs while threads append, and two erasures of each at once: neighbours keep all, the erased have nothing.
 */
static void *erase_it(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->go))
		;
	b_erase(r->b, r->n);
	return NULL;
}

static void test_races(void **state)
{
	struct race race[3];
	pthread_t append[3], erase[3];
	uint8_t round;
	bench b;
	size_t i;
	b_found f;

	(void)state;
	b_init(&b);
	b.segment_bytes = 20000;
	b_open(&b);
	b_begin(&b, 200);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 3; i++) {
			memset(&race[i], 0, sizeof race[i]);
			race[i].b = &b;
			race[i].n = (uint8_t)(round * 3 + i + 1);
			b_begin(&b, race[i].n);
			t_thread(&append[i], append_until_refused, &race[i]);
			t_thread(&erase[i], erase_it, &race[i]);
		}
		b_noise(&b, 200, 0, round * 1000u, 1000);
		for (i = 0; i < 3; i++)
			while (!atomic_load(&race[i].started))
				;
		for (i = 0; i < 3; i++) {
			atomic_store(&race[i].go, 1);
			b_revoke(&b, race[i].n);
			b_erase(&b, race[i].n);
		}
		assert_int_equal(b_try_flush(&b), RCO_OK);
		for (i = 0; i < 3; i++) {
			assert_int_equal(pthread_join(append[i], NULL), 0);
			assert_int_equal(pthread_join(erase[i], NULL), 0);
			assert_int_equal(race[i].append_rc, RCO_E_NOT_FOUND);
		}
	}
	b_scan(&b, &f);
	assert_int_equal(f.n, 1);
	b_holds(&b, 200, 0, 10000);
	b_reopen(&b);
	b_scan(&b, &f);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.at[0].damaged, 0);
	b_holds(&b, 200, 0, 10000);
	b_destroy(&b);
}

static void *open_and_append(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->go))
		;
	r->append_rc = b_try_begin(r->b, r->n, "meta");
	if (r->append_rc == RCO_OK)
		r->append_rc = b_try_noise(r->b, r->n, 0, 0, 1000);
	return NULL;
}

/* Two threads open the same recording: one key, so that what either appends can be read after a restart. */
static void test_opened_at_once(void **state)
{
	struct race race[2];
	pthread_t thread[2];
	uint8_t n;
	bench b;
	size_t i;

	(void)state;
	b_init(&b);
	b_open(&b);
	for (n = 1; n <= 16; n++) {
		for (i = 0; i < 2; i++) {
			memset(&race[i], 0, sizeof race[i]);
			race[i].b = &b;
			race[i].n = n;
			t_thread(&thread[i], open_and_append, &race[i]);
		}
		for (i = 0; i < 2; i++)
			atomic_store(&race[i].go, 1);
		for (i = 0; i < 2; i++) {
			assert_int_equal(pthread_join(thread[i], NULL), 0);
			assert_int_equal(race[i].append_rc, RCO_OK);
		}
	}
	b_reopen(&b);
	for (n = 1; n <= 16; n++)
		b_holds(&b, n, 0, 1000);
	assert_null(strstr(b.log, "same recording"));
	b_destroy(&b);
}

/* More recordings than a block of slots, and slots that are used again: each keeps its own key. */
static void test_many_slots(void **state)
{
	bench b;
	uint8_t n;

	(void)state;
	b_init(&b);
	b_open(&b);
	for (n = 1; n <= 150; n++) {
		b_begin(&b, n);
		b_noise(&b, n, 0, 0, 200);
	}
	for (n = 1; n <= 150; n++)
		if (n % 3 == 0)
			b_erase(&b, n);
	for (n = 151; n <= 220; n++) {
		b_begin(&b, n);
		b_noise(&b, n, 0, 0, 200);
	}
	b_reopen(&b);
	for (n = 1; n <= 220; n++) {
		int rc;

		assert_int_equal(b_readable(&b, n, 0, &rc), n > 150 || n % 3 != 0 ? 200 : 0);
	}
	b_destroy(&b);
}

/* ---- disk ---- */

static const char marker[] = "this is what the caller said, in plain words; it must not reach a disk";

/* The scan finds the marker where it is put on purpose, and nowhere else. */
static void test_no_plaintext(void **state)
{
	uint8_t data[8000];
	char path[256];
	size_t i;
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	t_noise(1, 0, data, sizeof data);
	for (i = 0; i < 50; i++) {
		memcpy(data + (i * 37) % 7000, marker, sizeof marker);
		assert_int_equal(b_try_append(&b, 1, 0, RCO_FORMAT_PCMU_8K, i * sizeof data, data, sizeof data),
		                 RCO_OK);
	}
	assert_int_equal(b_try_flush(&b), RCO_OK);
	assert_true(t_tree_holds(b.root, "", 0) >= 5);
	assert_int_equal(t_tree_holds(b.root, marker, 24), 0);
	t_join(path, sizeof path, b.root, "control");
	t_write_file(path, data, sizeof data);
	assert_int_equal(t_tree_holds(b.root, marker, 24), 1);
	b_destroy(&b);
}

/* Everything is for the owner alone. */
static void one_mode(const char *path, void *user_data)
{
	struct stat st;

	(void)user_data;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_modes(void **state)
{
	struct stat st;
	bench b;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	b_noise(&b, 1, 0, 0, 100);
	t_tree_each(b.root, one_mode, NULL);
	assert_int_equal(stat(b.spool_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(b.keys_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	b_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_repetition),
		cmocka_unit_test(test_goes_on_after_crash),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_second_is_refused),
		cmocka_unit_test(test_folder_that_cannot_be_used),
		cmocka_unit_test(test_child_is_refused),
		cmocka_unit_test(test_erase),
		cmocka_unit_test(test_same_id_again),
		cmocka_unit_test(test_segments_vanish),
		cmocka_unit_test(test_revoke),
		cmocka_unit_test(test_races),
		cmocka_unit_test(test_opened_at_once),
		cmocka_unit_test(test_many_slots),
		cmocka_unit_test(test_no_plaintext),
		cmocka_unit_test(test_modes),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
