/* SPDX-License-Identifier: MIT */
/*
 * Every kind of file that the library reads back, with every bit flipped and cut at every length: file by file
 * with the properties of its fuzz target, and each file of a state folder with a whole engine over it. A call that
 * was opted out is never stored; a call to be kept is stored whole, or that it is not is told; what was not
 * damaged is not lost.
 *
 *   test_damage        places with a step between, as tests
 *   test_damage all    every place and bit
 */
#include "../support.h"

#include "engine.h"

#include "../../lib/ledger/ledger_internal.h"
#include "../../lib/storage/spool_internal.h"

#include <signal.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int everything;

/* ---- a file by itself ---- */

static void run_change(const fuzz_target *target, uint8_t op, size_t place, uint8_t bit)
{
	uint8_t input[] = {0, op, (uint8_t)place, (uint8_t)(place >> 8), bit};
	char name[64];

	(void)snprintf(name, sizeof name, op == FUZZ_CUT ? "cut to %zu" : "byte %zu ^ %02x", place, bit);
	fuzz_name_input(name);
	fuzz_run(target, input, op == FUZZ_CUT ? 4 : 5);
}

static void test_file(void **state)
{
	const fuzz_target *target = *state;
	size_t size = target->file(), at, bit, runs = 0;
	/* a prime, so that all places in a field have their turn */
	size_t step = everything ? 1 : T_SANITIZED ? size / 20 | 1 : size / 150 | 1;

	assert_in_range(size, 1, UINT16_MAX);
	for (at = 0; at < size; at += step)
		for (bit = 0; bit < 8; bit++)
			if (everything || bit == at % 8) {
				run_change(target, FUZZ_XOR, at, (uint8_t)(1u << bit));
				runs++;
			}
	for (at = 0; at < size; at += step, runs++)
		run_change(target, FUZZ_CUT, at, 0);
	print_message("%s: %zu bytes, %zu changes\n", target->name, size, runs);
}

/* ---- a state folder ---- */

/* What may be lost with a file of this kind, which has to be told then. */
enum { LOSES_NOTHING, LOSES_KEPT };

typedef struct victim {
	const char *path; /* NULL: the one file whose name ends so */
	const char *end;
	int uploading;
	int loses;
	size_t told; /* runs in which the kept call was not stored whole, which was told */
	size_t runs;
	size_t tombstone[2]; /* the first of the two: from where to where in the file; 0: none */
	size_t last_length;  /* where the last record of a segment has its length; 0: none */
} victim;

/* A segment that ends too early, or seems to, looks as it does after every crash: nothing tells that more was
 * there. */
static int looks_torn(const victim *v, size_t at, int cut)
{
	return v->last_length > 0 && (cut || (at >= v->last_length && at < v->last_length + 4));
}

static void check(victim *v, world *w, size_t at, int cut)
{
	int kept = engine_stored(w, ENGINE_KEPT, ENGINE_AUDIO) == 1;
	int at_tombstone = at >= v->tombstone[0] && at < v->tombstone[1];

	v->runs++;
	/* A ledger cut off before the tombstone, which stands there twice, has nothing of an opt-out that was
	 * answered and then had no time to begin erasing. */
	if (!cut || !at_tombstone)
		assert_false(engine_gone_is_out(w));
	engine_check_records(w);
	if (kept)
		return;
	assert_int_equal(v->loses, LOSES_KEPT);
	assert_true(w->told > 0 || looks_torn(v, at, cut));
	v->told += w->told > 0;
}

static void live(victim *v, const uint8_t *data, size_t size, size_t at, int cut)
{
	int i, round;
	world w;

	engine_world(&w, v->uploading);
	mem_put(w.m, v->path, data, size);
	for (round = 0; round < 2; round++) {
		assert_int_equal(engine_open(&w), RCO_OK);
		for (i = 0; i < 4; i++)
			engine_advance(&w, 20000);
		engine_close(&w);
		if (round == 0)
			engine_shorten_ledgers(w.m);
	}
	check(v, &w, at, cut);
	mem_free(w.m);
}

static size_t used(const uint8_t *data, size_t size)
{
	size_t n = size;

	while (n > 0 && data[n - 1] == 0)
		n--;
	return n + 16 < size ? n + 16 : size;
}

static void find_tombstone(victim *v, const uint8_t *data, size_t size)
{
	static const uint8_t any[RCO__LEDGER_HASH];
	rco__ledger_entry entry;
	rco__ledger_scan scan;

	if (strstr(v->path, "/ledger/") == NULL)
		return;
	rco__ledger_scan_start(&scan, data, size, any);
	while (rco__ledger_scan_next(&scan, &entry))
		if (memcmp(entry.subject, engine_gone_receipt, 16) == 0) {
			v->tombstone[0] = scan.at - rco__ledger_entry_bytes(entry.payload_size);
			v->tombstone[1] = scan.at;
			break; /* the first of the two */
		}
	assert_true(v->tombstone[1] > 0);
}

static size_t last_record(const char *path, const uint8_t *data, size_t size)
{
	size_t at = RCO__SPOOL_SEG_HEADER, last = 0;
	rco__record r;

	if (strstr(path, ".rcos") == NULL)
		return 0;
	while (at < size && rco__record_parse(data + at, size - at, &r) == RCO_OK) {
		last = at;
		at += rco__record_size(r.cipher_size);
	}
	assert_true(last > 0);
	return last;
}

static void damage(victim *v)
{
	size_t size, end, at, step, bit;
	const uint8_t *good = mem_file(engine_left(v->uploading), v->path, &size);
	uint8_t *bad = malloc(size + 1);

	if (good == NULL)
		print_error("%s is not there\n", v->path);
	assert_true(good != NULL && bad != NULL && size > 0);
	find_tombstone(v, good, size);
	if (last_record(v->path, good, size) > 0)
		v->last_length = last_record(v->path, good, size) + 32;
	end = used(good, size);
	step = everything ? 1 : T_SANITIZED ? end / 3 | 1 : end / 40 | 1;
	memcpy(bad, good, size);
	for (at = 0; at < end; at += step)
		for (bit = 0; bit < 8; bit++)
			if (everything || bit == at % 8) {
				bad[at] ^= (uint8_t)(1u << bit);
				live(v, bad, size, at, 0);
				bad[at] = good[at];
			}
	for (at = 0; at < end; at += step)
		live(v, good, at, at < v->tombstone[1] ? v->tombstone[0] : at, 1);
	free(bad);
	print_message("%s: %zu bytes, %zu changes, kept call not whole and told %zu times\n", v->path, end,
	              v->runs, v->told);
}

static void test_state_file(void **state)
{
	victim v = *(const victim *)*state;

	fuzz_random_reset(1);
	damage(&v);
	/* No test of something that cannot happen: where the call may be lost, it is now and then. */
	assert_int_equal(v.told > 0, v.loses == LOSES_KEPT);
}

/* ---- rings and segment disagree ---- */

enum { DRAINED = 20, WAITING = 5 };

static void record_and_die(void *arg)
{
	t_world *w = arg;
	rco_session *s;

	t_world_open(w);
	s = t_call(w, "call");
	t_push(s, 0, 1, 0, DRAINED / 2);
	t_advance(w, 300);
	t_push(s, 0, 1, DRAINED / 2, DRAINED / 2);
	t_advance(w, 300);
	t_push(s, 0, 1, DRAINED, WAITING);
	(void)raise(SIGKILL);
}

/*
 * The segment's end is gone, which by itself looks like any crash. The rings know better: that audio was lost is
 * told, silence keeps its place, and what follows is where it belongs.
 */
static void test_lost_end_is_told(void **state)
{
	char folder[256], path[256], name[64];
	uint8_t *data, *file;
	const uint8_t *samples;
	size_t size = 0, bytes = 0, last, half = DRAINED / 2 * T_FRAME;
	t_event told;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	assert_int_equal(t_reap(t_spawn(record_and_die, &w)), -SIGKILL);
	t_join(folder, sizeof folder, w.state, "spool");
	t_join(path, sizeof path, folder, "0000000000000001.rcos");
	data = t_read_file(path, &size);
	assert_non_null(data);
	last = last_record(path, data, size);
	t_write_file(path, data, last);
	free(data);
	t_world_open(&w);
	t_await(&w, "call", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_events_last(&w.events, "call", RCO_EVENT_RECOVERED, &told));
	assert_int_equal(told.code, RCO_E_CORRUPT);
	assert_int_equal(told.count, half);
	assert_true(t_store_name(&w, "call", name, sizeof name));
	(void)snprintf(path, sizeof path, "%s.caller.wav", name);
	file = t_store_get(&w, path, &size);
	assert_non_null(file);
	samples = t_wav_samples(file, size, &bytes);
	assert_non_null(samples);
	assert_int_equal(bytes, (DRAINED + WAITING) * T_FRAME);
	assert_true(t_is_noise(1, samples, half));
	data = malloc(bytes);
	assert_non_null(data);
	memset(data, 0xff, half);
	t_noise(1, 2 * half, data + half, WAITING * T_FRAME);
	assert_memory_equal(samples + half, data, half + WAITING * T_FRAME);
	free(data);
	free(file);
	t_world_destroy(&w);
}

static char key_path[MEM_PATH];

static victim victims[] = {
	{.path = "/state/ledger/0000000000000001.rcol"},
	{.path = "/state/calls/0000000000000001.rcol"},
	{.path = "/state/calls/0000000000000001.rcol", .uploading = 1},
	{.path = "/state/spool/0000000000000001.rcos", .loses = LOSES_KEPT},
	{.path = "/state/spool/slots.rcok", .loses = LOSES_KEPT},
	{.path = key_path, .loses = LOSES_KEPT},
	{.end = ".rcoe", .loses = LOSES_KEPT},
	{.path = "/state/signing.key"},
	{.end = ".wav.tmp", .uploading = 1}, /* the unfinished upload */
};

/* Files of one epoch have its number. */
static int name_key(void)
{
	const char *epoch;

	if (mem_count(engine_left(0), ".rcoe", &epoch) != 1)
		return 0;
	(void)snprintf(key_path, sizeof key_path, "/state/keys/epoch-%.16s.key", strrchr(epoch, '/') + 1);
	return 1;
}

int main(int argc, char **argv)
{
	enum { VICTIMS = sizeof victims / sizeof victims[0] };
	struct CMUnitTest tests[32 + VICTIMS + 1];
	fuzz_target *target;
	size_t n = 0, i;

	everything = argc > 1 && strcmp(argv[1], "all") == 0;
	memset(tests, 0, sizeof tests);
	(void)engine_left(1); /* before the other, whose receipt is looked for */
	if (!name_key())
		return 1;
	for (target = fuzz_targets(); target != NULL && n < 32; target = target->next)
		if (target->file != NULL)
			tests[n++] = (struct CMUnitTest){target->name, test_file, NULL, NULL, target};
	for (i = 0; i < VICTIMS; i++) {
		if (victims[i].end != NULL &&
		    mem_count(engine_left(victims[i].uploading), victims[i].end, &victims[i].path) != 1)
			return 1;
		tests[n++] = (struct CMUnitTest){victims[i].path, test_state_file, NULL, NULL, &victims[i]};
	}
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_lost_end_is_told);
	return _cmocka_run_group_tests("damage", tests, n, NULL, NULL);
}
