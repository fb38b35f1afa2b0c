/* SPDX-License-Identifier: MIT */
#include "store_items.h"
#include "world_internal.h"

#include "../../lib/session/calls.h"

#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind the flush interval come a beat of the flusher and a step of the clock. */
enum { FLUSHED_US = 250000, STEP_US = 20000, EPOCH_S = 20 };

/* ---- clock and memory ---- */

static int64_t wall(void *user_data)
{
	return ((w_world *)user_data)->wall_us;
}

static int64_t mono(void *user_data)
{
	return ((w_world *)user_data)->mono_us;
}

static int out_of_memory(w_world *world)
{
	return w_strikes(world->alloc_fault, ++world->allocations) != 0;
}

static void *take(size_t size, void *user_data)
{
	return out_of_memory(user_data) ? NULL : malloc(size);
}

static void *take_zeroed(size_t count, size_t size, void *user_data)
{
	return out_of_memory(user_data) ? NULL : calloc(count, size);
}

static void *resize(void *ptr, size_t size, void *user_data)
{
	return out_of_memory(user_data) ? NULL : realloc(ptr, size);
}

static void release(void *ptr, void *user_data)
{
	(void)user_data;
	free(ptr);
}

void w_alloc_fault(w_world *world, int which, uint64_t nth)
{
	world->alloc_fault[which] = (w_fault){nth == 0 ? 0 : world->allocations + nth, 1, 0};
}

int w_alloc_struck(const w_world *world, int which)
{
	return world->alloc_fault[which].struck;
}

uint64_t w_alloc_calls(const w_world *world)
{
	return world->allocations;
}

/* ---- frames ---- */

static const uint8_t magic[8] = {0x57, 0xd2, 0x91, 0x6e, 0xb7, 0x13, 0xc8, 0x5d};

size_t w_frame_size(uint32_t format)
{
	return (size_t)rco_format_rate_hz(format) / 50 * rco_format_sample_bytes(format);
}

/* Loud noise in every other call, which is stored as it is; faint in the others, so that it is coded. */
void w_frame(uint32_t call, uint32_t leg, uint32_t number, uint32_t format, uint8_t *out)
{
	size_t size = w_frame_size(format), i;
	uint64_t seed = (uint64_t)call << 40 | (uint64_t)leg << 32 | number, word = 0;
	uint8_t faint = call % 2 == 0 ? 0 : (uint8_t)0xf8;

	memcpy(out, magic, sizeof magic);
	out[8] = (uint8_t)call;
	out[9] = (uint8_t)leg;
	out[10] = (uint8_t)number;
	out[11] = (uint8_t)(number >> 8);
	for (i = 12; i < size; i++) {
		if (i % 8 == 4)
			word = w_mix(seed << 8 | i / 8);
		out[i] = (uint8_t)(word >> (i % 8 * 8)) | faint;
	}
}

uint64_t w_gaps(uint32_t call, uint32_t leg)
{
	return call % 3 != 2 ? w_mix(call * 2 + leg) | 1 : 0;
}

void w_frames_each(const uint8_t *data, size_t size, void (*fn)(uint32_t call, uint32_t leg, void *user_data),
                   void *user_data)
{
	const uint8_t *at = data, *end = data + size;

	while (at != NULL && (size_t)(end - at) >= 12) {
		at = memmem(at, (size_t)(end - at), magic, sizeof magic);
		if (at != NULL && end - at >= 12) {
			fn(at[8], at[9], user_data);
			at++;
		}
	}
}

uint32_t w_call_number(const char *call_id)
{
	if (strncmp(call_id, "call-", 5) != 0 || call_id[5] < '0' || call_id[5] >= '0' + W_CALLS ||
	    call_id[6] != '\0')
		return W_CALLS;
	return (uint32_t)(call_id[5] - '0');
}

/* ---- making ---- */

void w_complain(w_world *world, const char *format, ...)
{
	va_list args;

	if (world->complaint[0] != '\0')
		return;
	va_start(args, format);
	(void)vsnprintf(world->complaint, sizeof world->complaint, format, args);
	va_end(args);
}

const char *w_complaint(const w_world *world)
{
	return world->complaint;
}

static void look_beside(void *user_data)
{
	w_world *world = user_data;

	w_rings_look(&world->rings, w_disk_position(world->disk));
	if (world->n_times > 0 && world->times[world->n_times - 1].mono_us == world->mono_us)
		return;
	world->times = s_more(world->times, world->n_times, &world->cap_times, sizeof *world->times);
	world->times[world->n_times++] = (w_time){w_disk_position(world->disk), world->wall_us, world->mono_us};
}

/* The clock just before the entry `position`. */
static void set_clock(w_world *world, const w_world *from, size_t position)
{
	size_t low = 0, high = from->n_times;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (from->times[middle].at <= position)
			low = middle + 1;
		else
			high = middle;
	}
	world->wall_us = low > 0 ? from->times[low - 1].wall_us : from->past[0].notes.wall_us;
	world->mono_us = low > 0 ? from->times[low - 1].mono_us : from->past[0].notes.mono_us;
}

/* All but the parts that a crash leaves: disk, store, keys, notes. */
w_world *w_world_bare(const w_setup *setup)
{
	w_world *world = calloc(1, sizeof *world);

	if (world == NULL || sodium_init() < 0)
		abort();
	world->setup = *setup;
	world->wall_us = INT64_C(1767225600000000); /* 2026 */
	world->mono_us = INT64_C(1000000000);
	world->clock = (rco_clock){.struct_size = (uint32_t)sizeof world->clock,
	                           .wall_us = wall,
	                           .monotonic_us = mono,
	                           .user_data = world};
	world->allocator = (rco_allocator){.struct_size = (uint32_t)sizeof world->allocator,
	                                   .alloc = take,
	                                   .zalloc = take_zeroed,
	                                   .resize = resize,
	                                   .release = release,
	                                   .user_data = world};
	world->past = s_more(NULL, 0, &world->cap_past, sizeof *world->past);
	memset(world->past, 0, sizeof *world->past);
	world->n_past = 1;
	world->past[0].notes.wall_us = world->notes.wall_us = world->wall_us;
	world->past[0].notes.mono_us = world->notes.mono_us = world->mono_us;
	w_rings_make(&world->rings);
	return world;
}

w_world *w_world_new(const w_setup *setup)
{
	w_world *world = w_world_bare(setup);

	w_chance_seed(w_mix(setup->seed));
	world->disk = w_disk_new();
	world->store = w_store_new(world->disk, w_mix(setup->seed + 1), &setup->manners);
	if (setup->flags & W_LOSES)
		w_store_loses(world->store);
	world->keys = w_keys_new(world->disk);
	w_table_make(world);
	w_disk_before(world->disk, look_beside, world);
	w_store_watch(world->store, w_watch, world);
	return world;
}

void w_world_free(w_world *world)
{
	if (world == NULL)
		return;
	w_close(world);
	w_store_free(world->store);
	w_keys_free(world->keys);
	w_disk_free(world->disk);
	w_rings_free(&world->rings);
	free(world->past);
	free(world->times);
	free(world);
}

w_disk *w_world_disk(w_world *world)
{
	return world->disk;
}

w_store *w_world_store(w_world *world)
{
	return world->store;
}

w_keys *w_world_keys(w_world *world)
{
	return world->keys;
}

rco_engine *w_world_engine(w_world *world)
{
	return world->engine;
}

size_t w_position(const w_world *world)
{
	return w_disk_position(world->disk);
}

/* ---- notes ---- */

void w_note(w_world *world)
{
	if (memcmp(world->notes.call, world->past[world->n_past - 1].notes.call, sizeof world->notes.call) == 0)
		return;
	world->notes.wall_us = world->wall_us;
	world->notes.mono_us = world->mono_us;
	world->past = s_more(world->past, world->n_past, &world->cap_past, sizeof *world->past);
	world->past[world->n_past].since = w_disk_foreign(world->disk, W_LOG_NOTE) + 1;
	world->past[world->n_past].notes = world->notes;
	world->n_past++;
}

const w_notes *w_notes_at(const w_world *world, size_t position)
{
	size_t low = 0, high = world->n_past;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (world->past[middle].since <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return &world->past[low - 1].notes;
}

/* What was pushed before the flush interval, and has been flushed since, no power cut takes any more. */
static void note_flushed(w_world *world)
{
	uint32_t c, l;

	if (world->notes.faults || world->is_image)
		return;
	for (c = 0; c < W_CALLS; c++)
		for (l = 0; l < W_LEGS; l++) {
			w_leg_note *leg = &world->notes.call[c].leg[l];

			if (world->notes.call[c].opt != W_OPT_NOT && world->notes.call[c].opt != W_OPT_REFUSED)
				continue;
			while (leg->durable < leg->accepted &&
			       world->pushed_us[c][l][leg->durable] <= world->mono_us - FLUSHED_US)
				leg->durable++;
		}
}

/* ---- the engine ---- */

static void log_line(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)user_data;
	if (getenv("RCO_TEST_LOG") != NULL)
		(void)fprintf(stderr, "    %u %.*s\n", level, (int)length, message);
}

static void configure(w_world *world, rco_engine_config *c)
{
	memset(c, 0, sizeof *c);
	c->struct_size = (uint32_t)sizeof *c;
	c->flags = RCO_ENGINE_HOST_DRIVEN;
	c->state_dir = "/state";
	c->ring_dir = world->rings.dir;
	c->ring_pool_bytes = (uint64_t)W_RING_UNITS * 16384;
	c->segment_bytes = 48 * 1024;
	c->upload_part_bytes = 4096;
	c->opt_out_enabled = 1;
	c->late_opt_out_ms = world->setup.late_opt_out_ms;
	c->sweep_delay_ms = (uint32_t)(W_STORE_LATE_US / 1000) + 5000;
	c->backend_timeout_ms = 5000;
	c->retry_max_ms = 8000;
	c->export_layout = world->setup.flags & W_STEREO ? RCO_LAYOUT_STEREO : RCO_LAYOUT_PER_LEG;
	c->export_format = world->setup.flags & W_ZST ? RCO_EXPORT_WAV_ZST : RCO_EXPORT_WAV;
	c->keys = w_keys_ops();
	c->keys_user_data = world->keys;
	c->key_epoch_s = EPOCH_S;
	c->allocator = &world->allocator;
	c->clock = &world->clock;
	c->log = log_line;
	c->event = w_event;
	c->event_user_data = world;
	if (world->setup.flags & W_DIRECTORY) {
		c->output_dir = "/out";
		return;
	}
	c->upload = w_store_upload_ops();
	c->deletion = w_store_deletion_ops();
	c->upload_user_data = c->deletion_user_data = world->store;
}

int w_open(w_world *world)
{
	rco_engine_config c;
	int rc = RCO_OK;

	configure(world, &c);
	world->notes.opened_us = world->mono_us;
	(void)w_store_run(world->store, NULL, world->mono_us);
	if (world->setup.flags & W_BUFFER)
		rc = w_buffer_open(world, &c);
	if (rc == RCO_OK)
		rc = rco__engine_create(&c, &world->table, &world->engine);
	if (rc != RCO_OK) {
		world->engine = NULL;
		w_buffer_close(world);
		return rc;
	}
	w_note(world);
	return RCO_OK;
}

void w_close(w_world *world)
{
	uint32_t i;

	if (world->engine == NULL)
		return;
	for (i = 0; i < W_CALLS; i++) {
		w_call_note *n = &world->notes.call[i];

		rco_session_free(world->session[i]);
		world->session[i] = NULL;
		if (n->known && !n->ended && !world->is_image)
			n->ended_us = world->mono_us;
		n->ended |= n->known;
	}
	rco_engine_free(world->engine);
	world->engine = NULL;
	w_buffer_close(world);
	w_store_forget_client(world->store);
	world->reopened = 1;
	if (!world->dead)
		w_note(world);
}

void w_expect_faults(w_world *world)
{
	world->notes.faults = 1;
}

/* ---- time ---- */

void w_run(w_world *world)
{
	uint32_t timeout_ms = 0;
	int32_t fd;
	int i;

	for (i = 0; world->engine != NULL && i < 1000; i++) {
		size_t n = w_store_run(world->store, world->engine, world->mono_us);

		(void)rco_engine_run(world->engine, 0, 0);
		if (world->spool != NULL)
			(void)rco_spool_maintain(world->spool);
		(void)rco_engine_poll(world->engine, &fd, &timeout_ms);
		if (n == 0 && timeout_ms > 0 && i > 0)
			break;
	}
	if (world->engine == NULL)
		(void)w_store_run(world->store, NULL, world->mono_us);
	note_flushed(world);
	w_note(world);
}

/* How long nothing is to be done. */
static int64_t quiet_us(w_world *world, int64_t most)
{
	int64_t due = w_store_due(world->store);
	uint32_t timeout_ms = 1000;
	int32_t fd;

	if (due != INT64_MAX && due - world->mono_us < most)
		most = due - world->mono_us;
	if (world->engine != NULL && rco_engine_poll(world->engine, &fd, &timeout_ms) == RCO_OK &&
	    (int64_t)timeout_ms * 1000 < most)
		most = (int64_t)timeout_ms * 1000;
	return most < 1000 ? 1000 : most;
}

static void step(w_world *world, int64_t us)
{
	world->mono_us += us;
	world->wall_us += us;
	w_run(world);
}

void w_pass(w_world *world, int64_t ms)
{
	int64_t left = ms * 1000;

	w_run(world);
	while (left > 0) {
		int64_t us = quiet_us(world, left < STEP_US ? STEP_US : left);

		if (us > left)
			us = left;
		step(world, us);
		left -= us;
	}
}

int w_settle(w_world *world)
{
	int64_t until = world->mono_us + INT64_C(1000000) * W_PATIENCE_S;

	w_run(world);
	while (world->mono_us < until) {
		if (rco_engine_wait_idle(world->engine, 0) == RCO_OK && w_store_due(world->store) == INT64_MAX)
			return 1;
		step(world, quiet_us(world, 1000000));
	}
	return 0;
}

/* ---- crashes ---- */

size_t w_in_flight(const w_world *world, size_t position)
{
	return w_store_in_flight(world->store, position);
}

/* What may have been accepted, though the push had not returned. */
static void set_most(w_notes *now, const w_notes *later)
{
	uint32_t c, l;

	for (c = 0; c < W_CALLS; c++)
		for (l = 0; l < W_LEGS; l++) {
			w_leg_note *leg = &now->call[c].leg[l];
			const w_leg_note *next = &later->call[c].leg[l];

			leg->accepted_most =
				next->accepted > next->accepted_most ? next->accepted : next->accepted_most;
		}
}

w_world *w_world_image(w_world *from, const w_moment *m)
{
	w_world *world = w_world_bare(&from->setup);
	size_t rings_at = m->position;

	memset(&world->setup.manners, 0, sizeof world->setup.manners);
	world->disk = w_disk_image(from->disk, m->position, m->crash, m->choice, m->choice_bits);
	world->store = w_store_image(from->store, m->position, m->late, world->disk);
	world->keys = w_keys_image(from->keys, m->position, world->disk);
	world->notes = *w_notes_at(from, m->position);
	set_most(&world->notes, w_notes_at(from, m->position + 1));
	set_clock(world, from, m->position);
	world->wall_us += 1000000;
	world->mono_us += 1000000;
	world->notes.wall_us = world->wall_us;
	world->notes.mono_us = world->mono_us;
	world->notes.power |= m->crash == W_CRASH_POWER;
	world->is_image = world->reopened = 1;
	w_forgettable(&world->notes);
	world->past[0].notes = world->notes;
	w_rings_look(&from->rings, w_position(from));
	if (m->rings_before && rings_at > 0)
		rings_at--;
	if (m->crash == W_CRASH_KILL)
		w_rings_restore(&world->rings, &from->rings, rings_at);
	w_chance_seed(w_mix(from->setup.seed + 2) ^ w_mix(m->position));
	w_table_make(world);
	w_disk_before(world->disk, look_beside, world);
	w_store_watch(world->store, w_watch, world);
	return world;
}

void w_world_go_on(w_world *image)
{
	image->is_image = 0;
	image->notes.power = 0;
	image->past[0].notes = image->notes;
}

uint64_t w_world_hash(w_world *world, int with_notes)
{
	uint64_t hash = w_disk_hash(world->disk);

	hash = w_mix(hash ^ w_store_hash(world->store));
	hash = w_mix(hash ^ w_keys_hash(world->keys));
	hash = w_mix(hash ^ w_rings_hash(&world->rings, w_position(world)));
	if (with_notes)
		hash = w_hash(hash, &world->notes, sizeof world->notes);
	return hash;
}

/* ---- telling ---- */

static void tell_notes(FILE *out, const w_past_notes *past)
{
	static const char *const words[] = {"", " asked to opt out", " opted out", " opted out, durable",
	                                    " refused"};
	uint32_t c;

	(void)fprintf(out, "%6zu  noted at %.3f s:", past->since - 1, (double)past->notes.mono_us / 1e6);
	for (c = 0; c < W_CALLS; c++) {
		const w_call_note *n = &past->notes.call[c];

		if (!n->known && n->opt == W_OPT_NOT)
			continue;
		(void)fprintf(out, " call-%u: %u+%u frames (%u+%u durable)%s%s%s%s%s;", (unsigned)c,
		              n->leg[0].accepted, n->leg[1].accepted, n->leg[0].durable, n->leg[1].durable,
		              n->ended ? " ended" : "", words[n->opt], n->hold ? " held" : "",
		              n->stored ? " stored" : "", n->status != 0 ? rco_status_name(n->status) : "");
	}
	(void)fputc('\n', out);
}

/* Lines begin with the number of the entry: by that they are brought into one order. */
static int by_number(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	long p = strtol(*x, NULL, 10), q = strtol(*y, NULL, 10);

	if (p != q)
		return p < q ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

static char *in_order(char *text)
{
	size_t n = 0, i, size;
	char *p, **lines, *sorted = NULL;
	FILE *out;

	for (p = text; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	lines = calloc(n + 1, sizeof *lines);
	out = open_memstream(&sorted, &size);
	if (lines == NULL || out == NULL)
		abort();
	for (i = 0, p = text; i < n; i++, p = strchr(p, '\0') + 1) {
		*strchr(p, '\n') = '\0';
		lines[i] = p;
	}
	qsort(lines, n, sizeof *lines, by_number);
	for (i = 0; i < n; i++)
		if (strstr(lines[i], "(another's, kind") == NULL)
			(void)fprintf(out, "%s\n", lines[i]);
	(void)fclose(out);
	free(lines);
	free(text);
	return sorted;
}

char *w_world_story(w_world *world, size_t from, size_t to)
{
	char *text = NULL, *disk = w_disk_story(world->disk, from, to);
	char *store = w_store_story(world->store, from, to);
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort();
	(void)fprintf(out, "%s%s", disk, store);
	for (i = 1; i < world->n_past; i++)
		if (world->past[i].since > from && world->past[i].since <= to)
			tell_notes(out, &world->past[i]);
	(void)fclose(out);
	free(disk);
	free(store);
	return in_order(text);
}
