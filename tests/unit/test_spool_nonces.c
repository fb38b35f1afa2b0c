/* SPDX-License-Identifier: MIT */
/* Two records of a recording never have the same nonce: no matter who wrote them, and in which life of the
 * process. */
#include "../support_base.h"
#include "../support_spool.h"

#include "../../lib/storage/spool_internal.h"

enum { EACH = 1500, LIVES = 2, THREADS = 3, ALL = EACH * LIVES * THREADS, CHUNK = 8 };

typedef struct nonces {
	uint8_t list[ALL][24];
	size_t count;
} nonces;

static void collect(const char *file, void *user_data)
{
	nonces *n = user_data;
	rco__record record;
	size_t size, at = RCO__SPOOL_SEG_HEADER;
	uint8_t *data;

	if (strstr(file, ".rcos") == NULL)
		return;
	data = t_read_file(file, &size);
	assert_non_null(data);
	for (; at < size; at += rco__record_size(record.cipher_size)) {
		assert_int_equal(rco__record_parse(data + at, size - at, &record), RCO_OK);
		if (record.id[0] != 1)
			continue;
		assert_true(n->count < ALL);
		memcpy(n->list[n->count++], record.nonce, 24);
	}
	free(data);
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 24);
}

struct writer {
	bench *b;
	uint32_t leg;
	uint64_t from;
};

static void *writes(void *arg)
{
	struct writer *w = arg;
	uint64_t i;

	for (i = w->from; i < w->from + EACH; i++)
		b_noise(w->b, 1, w->leg, i * CHUNK, CHUNK);
	return NULL;
}

static void test_no_nonce_twice(void **state)
{
	static nonces n;
	bench b;
	size_t i;
	uint64_t life;

	(void)state;
	b_init(&b);
	b_open(&b);
	b_begin(&b, 1);
	for (life = 0; life < LIVES; life++) {
		pthread_t threads[THREADS];
		struct writer w[THREADS];

		for (i = 0; i < THREADS; i++) {
			w[i] = (struct writer){&b, (uint32_t)i, life * EACH};
			assert_int_equal(pthread_create(&threads[i], NULL, writes, &w[i]), 0);
		}
		b_begin(&b, 2);
		b_noise(&b, 2, 0, 0, 100);
		b_erase(&b, 2);
		for (i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
		b_reopen(&b);
	}
	memset(&n, 0, sizeof n);
	t_tree_each(b.spool_path, collect, &n);
	assert_int_equal(n.count, ALL);
	qsort(n.list, ALL, 24, compare);
	/* Nor its beginning: what counts up from a number in memory does so on both sides of a machine copied
	 * alive. */
	for (i = 1; i < ALL; i++)
		assert_memory_not_equal(n.list[i - 1], n.list[i], 8);
	b_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_nonce_twice)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
