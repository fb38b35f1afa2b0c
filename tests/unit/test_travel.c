/* SPDX-License-Identifier: MIT */
/*
 * A folder that one process writes and another reads. `test_travel write FOLDER` and `test_travel read FOLDER` do
 * half of it each, so that the two may be machines with other pointers and another order of bytes
 * (tests/tools/cross.sh).
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAMES = 40, SEED = 7 };

typedef struct place {
	char state[160], out[160], receipt[160], recording[160], key[160];
	t_clock clock;
	rco_clock table;
	t_events events;
	rco_engine *engine;
} place;

static void open_place(place *p, const char *folder)
{
	rco_engine_config c = {.struct_size = (uint32_t)sizeof c,
	                       .flags = RCO_ENGINE_HOST_DRIVEN | RCO_ENGINE_PRIVATE_RINGS,
	                       .opt_out_enabled = 1,
	                       .ring_pool_bytes = 1u << 20};

	t_join(p->state, sizeof p->state, folder, "state");
	t_join(p->out, sizeof p->out, folder, "out");
	t_join(p->receipt, sizeof p->receipt, folder, "receipt.json");
	t_join(p->recording, sizeof p->recording, folder, "recording");
	t_join(p->key, sizeof p->key, folder, "key");
	t_clock_init(&p->clock);
	p->table = t_clock_table(&p->clock);
	t_events_init(&p->events);
	c.state_dir = p->state;
	c.output_dir = p->out;
	c.clock = &p->table;
	c.event = t_events_receive;
	c.event_user_data = &p->events;
	assert_int_equal(rco_engine_create(&c, &p->engine), RCO_OK);
}

static void close_place(place *p)
{
	assert_int_equal(rco_engine_close(p->engine, 10000), RCO_OK);
	t_events_destroy(&p->events);
}

static void pass(place *p, int64_t ms)
{
	uint32_t timeout_ms = 0;
	int32_t fd;
	int i;

	t_clock_advance(&p->clock, ms);
	for (i = 0; i < 20 || timeout_ms == 0; i++) {
		assert_int_equal(rco_engine_run(p->engine, 0, 0), RCO_OK);
		assert_int_equal(rco_engine_poll(p->engine, &fd, &timeout_ms), RCO_OK);
	}
}

/* A leg of G.711 and one of linear samples, which the machine has in its own order. */
static rco_session *talk(place *p, const char *call_id, uint32_t hold)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id, .legal_hold = hold};
	uint32_t g711, linear, i;
	uint8_t frame[320];
	rco_session *s;

	assert_int_equal(rco_session_create(p->engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &g711), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "agent", RCO_FORMAT_S16_8K, &linear), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	for (i = 0; i < FRAMES; i++) {
		t_noise(SEED, i * 160u, frame, 160);
		assert_int_equal(rco_session_push(s, g711, RCO_FORMAT_PCMU_8K, frame, 160), RCO_OK);
		t_noise(SEED + 1, i * 320u, frame, 320);
		t_stored_order(frame, 320, 2); /* so that the file is the same everywhere */
		assert_int_equal(rco_session_push(s, linear, RCO_FORMAT_S16_8K, frame, 320), RCO_OK);
	}
	pass(p, 400);
	return s;
}

static void keep_receipt(place *p, rco_session *s)
{
	char json[RCO_RECEIPT_JSON_MAX];
	uint8_t key[32];
	rco_receipt *r;
	size_t len;

	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_int_equal(rco_receipt_to_json(r, json, sizeof json, &len), RCO_OK);
	assert_int_equal(rco_engine_public_key(p->engine, key), RCO_OK);
	t_write_file(p->receipt, json, len);
	t_write_file(p->key, key, sizeof key);
	rco_receipt_free(r);
}

static void write_folder(const char *folder)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_session *kept, *held, *gone;
	place p;

	open_place(&p, folder);
	kept = talk(&p, "kept", 0);
	held = talk(&p, "held", 1);
	gone = talk(&p, "gone", 0);
	assert_int_equal(rco_session_get_stats(kept, &st), RCO_OK);
	t_write_file(p.recording, st.recording_id, 16);
	assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(held, NULL, NULL), RCO_OK);
	assert_int_equal(rco_engine_opt_out(p.engine, "unborn", NULL, NULL), RCO_OK);
	pass(&p, 1000);
	keep_receipt(&p, gone);
	assert_int_equal(rco_session_end(kept), RCO_OK);
	assert_int_equal(rco_session_end(held), RCO_OK);
	rco_session_free(kept);
	rco_session_free(held);
	rco_session_free(gone); /* in the window, and before the second look */
	close_place(&p);
}

static void stored_as_pushed(const place *p, const char *label, uint64_t seed, size_t bytes)
{
	uint8_t *id, *file;
	const uint8_t *samples;
	char name[400], text[40];
	size_t size, n;

	id = t_read_file(p->recording, &size);
	assert_non_null(id);
	assert_int_equal(size, 16);
	(void)snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
	               id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11],
	               id[12], id[13], id[14], id[15]);
	(void)snprintf(name, sizeof name, "%s/%s.%s.wav", p->out, text, label);
	file = t_read_file(name, &size);
	assert_non_null(file);
	samples = t_wav_samples(file, size, &n);
	assert_non_null(samples);
	assert_int_equal(n, bytes);
	assert_true(t_is_noise(seed, samples, n));
	free(file);
	free(id);
}

static uint32_t status_of(place *p, const char *call_id)
{
	rco_receipt *r;
	uint32_t status;

	assert_int_equal(rco_engine_receipt(p->engine, call_id, &r), RCO_OK);
	status = rco_receipt_status(r);
	rco_receipt_free(r);
	return status;
}

static void same_receipt(place *p)
{
	uint8_t key[32], *json, *saved;
	rco_receipt *r;
	size_t len, size;
	char id[64];

	json = t_read_file(p->receipt, &len);
	saved = t_read_file(p->key, &size);
	assert_non_null(json);
	assert_non_null(saved);
	assert_int_equal(rco_engine_public_key(p->engine, key), RCO_OK);
	assert_memory_equal(key, saved, sizeof key);
	assert_int_equal(rco_receipt_verify((const char *)json, len, key, NULL), RCO_OK);
	assert_int_equal(rco_engine_receipt(p->engine, "gone", &r), RCO_OK);
	(void)snprintf(id, sizeof id, "\"%s\"", rco_receipt_id(r));
	assert_non_null(memmem(json, len, id, strlen(id)));
	rco_receipt_free(r);
	free(json);
	free(saved);
}

static void read_folder(const char *folder)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "unborn"};
	rco_session *s;
	place p;
	int i;

	open_place(&p, folder);
	same_receipt(&p);
	assert_int_equal(status_of(&p, "held"), RCO_STATUS_HELD);
	assert_int_equal(status_of(&p, "unborn"), RCO_STATUS_NOTED);
	assert_int_equal(rco_session_create(p.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	for (i = 0; i < 10; i++)
		pass(&p, 15000);
	stored_as_pushed(&p, "caller", SEED, FRAMES * 160u);
	stored_as_pushed(&p, "agent", SEED + 1, FRAMES * 320u);
	assert_int_equal(status_of(&p, "gone"), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_engine_lift_legal_hold(p.engine, "held"), RCO_OK);
	for (i = 0; i < 10; i++)
		pass(&p, 15000);
	assert_int_equal(status_of(&p, "held"), RCO_STATUS_VERIFIED);
	assert_int_equal(t_events_count(&p.events, NULL, RCO_EVENT_QUARANTINED), 0);
	close_place(&p);
}

static const char *what, *given;

static void test_half(void **state)
{
	(void)state;
	if (strcmp(what, "write") == 0)
		write_folder(given);
	else
		read_folder(given);
}

static void test_both(void **state)
{
	char folder[128];

	(void)state;
	t_tempdir(NULL, folder, sizeof folder);
	write_folder(folder);
	read_folder(folder);
	t_rmtree(folder);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest half[] = {cmocka_unit_test(test_half)};
	const struct CMUnitTest both[] = {cmocka_unit_test(test_both)};

	if (argc == 3 && (strcmp(argv[1], "write") == 0 || strcmp(argv[1], "read") == 0)) {
		what = argv[1];
		given = argv[2];
		return cmocka_run_group_tests(half, NULL, NULL);
	}
	return cmocka_run_group_tests(both, NULL, NULL);
}
