/* SPDX-License-Identifier: MIT */
#include "../support.h"
#include "../support_frames.h"
#include "images_calls.h"

#include "../world/chance.h"

#include "../../lib/base/env.h"
#include "../../lib/session/calls.h"
#include "../../lib/storage/storage_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of FROM_NOTHING scenarios three begin with an empty disk. */
enum { RINGS_BYTES = 8 * 16384, PATIENCE = 400, FROM_NOTHING = 16, STEP_MS = 200, DUE_CAP = 4000 };

/* ---- small things ---- */

uint64_t images_noise(uint64_t seed, int call, int leg)
{
	return seed * 64 + (uint64_t)call * 8 + (uint64_t)leg + 1;
}

uint64_t images_gaps(uint64_t seed, int call, int leg)
{
	return seed / 2 % 4 != 1 ? images_noise(seed, call, leg) : 0;
}

const char *images_call_id(int call)
{
	static const char *const ids[IMAGES_CALLS] = {"call-zero", "call-one", "call-two"};

	return ids[call];
}

void images_broken(images_run *run, const char *format, ...)
{
	va_list args;

	if (run->broken != NULL)
		return;
	va_start(args, format);
	if (vasprintf(&run->broken, format, args) < 0)
		abort();
	va_end(args);
}

static void tell(images_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(images_run *run, const char *format, ...)
{
	images_line *line;
	va_list args;

	if (run->n_lines == run->cap_lines) {
		run->cap_lines = run->cap_lines > 0 ? run->cap_lines * 2 : 64;
		run->lines = realloc(run->lines, run->cap_lines * sizeof *run->lines);
		if (run->lines == NULL)
			abort();
	}
	line = &run->lines[run->n_lines++];
	line->position = w_disk_position(run->disk);
	va_start(args, format);
	(void)vsnprintf(line->text, sizeof line->text, format, args);
	va_end(args);
}

/* The disk's story, and between its lines what was done and said. */
static char *story(images_run *run, size_t to)
{
	char *text = NULL, *part;
	size_t size, i, from = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort();
	for (i = 0; i < run->n_lines && run->lines[i].position <= to; i++) {
		part = w_disk_story(run->disk, from, run->lines[i].position);
		(void)fprintf(out, "%s%6zu  -- %s\n", part, run->lines[i].position, run->lines[i].text);
		from = run->lines[i].position;
		free(part);
	}
	part = w_disk_story(run->disk, from, to);
	(void)fputs(part, out);
	free(part);
	(void)fclose(out);
	return text;
}

/* libsodium draws when it starts, and it starts once: that is not to be part of a scenario. */
void images_begin(void)
{
	w_chance_seed(0);
	if (sodium_init() < 0)
		abort();
}

static int64_t wall(void *run)
{
	return ((images_run *)run)->wall_us;
}

static int64_t mono(void *run)
{
	return ((images_run *)run)->mono_us;
}

/* ---- shared memory ---- */

/* One folder of rings for the process: runs follow each other, they never overlap. */
static char rings_folder[64];

static void remove_rings_folder(void)
{
	t_rmtree(rings_folder);
}

static void need_rings_folder(void)
{
	if (rings_folder[0] != '\0')
		return;
	t_tempdir(t_shm(), rings_folder, sizeof rings_folder);
	if (atexit(remove_rings_folder) != 0)
		abort();
}

/* The one file of rings in there; 0 if there is none. */
static int rings_path(char *out, size_t size)
{
	DIR *dir = opendir(rings_folder);
	struct dirent *e;
	int found = 0;

	if (dir == NULL)
		abort();
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] != '.' && strstr(e->d_name, ".tmp") == NULL) {
			t_join(out, size, rings_folder, e->d_name);
			found = 1;
		}
	}
	(void)closedir(dir);
	return found;
}

static void clear_rings(void)
{
	char path[256];

	while (rings_path(path, sizeof path))
		(void)unlink(path);
}

/* What changed since the last time goes to the copy. The file is there from the engine's start to its end. */
static void copy_rings(images_run *run)
{
	static uint8_t now[1 << 18];
	const rco__fs *fs = w_disk_table(run->rings);
	uint8_t before[4096];
	size_t at, part, got;
	char path[256];
	ssize_t n;
	int fd;

	if (run->rings_fd < 0) {
		if (!rings_path(path, sizeof path))
			return;
		run->rings_fd = open(path, O_RDONLY | O_CLOEXEC);
		(void)fs->open(fs->ctx, strrchr(path, '/'), RCO__FS_CREATE, &fd);
		(void)fs->close(fs->ctx, fd);
	}
	n = pread(run->rings_fd, now, sizeof now, 0);
	if (n <= 0 || (size_t)n >= sizeof now || !rings_path(path, sizeof path))
		return;
	if (fs->open(fs->ctx, strrchr(path, '/'), RCO__FS_WRITE, &fd) != RCO_OK)
		abort();
	for (at = 0; at < (size_t)n; at += part) {
		part = (size_t)n - at < sizeof before ? (size_t)n - at : sizeof before;
		(void)fs->read(fs->ctx, fd, before, part, at, &got);
		if (got != part || memcmp(before, now + at, part) != 0)
			(void)fs->write(fs->ctx, fd, now + at, part, at);
	}
	(void)fs->close(fs->ctx, fd);
}

static void put_ring_file(const char *path, const uint8_t *data, size_t size, void *user_data)
{
	char full[256];
	int fd;

	(void)user_data;
	(void)snprintf(full, sizeof full, "%s%s", rings_folder, path);
	fd = open(full, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)close(fd);
}

/* ---- the log's other side ---- */

static void mark(void *user_data)
{
	images_run *run = user_data;
	images_mark *m;

	copy_rings(run);
	while (run->n_marks <= w_disk_position(run->disk)) {
		if (run->n_marks == run->cap_marks) {
			run->cap_marks = run->cap_marks > 0 ? run->cap_marks * 2 : 256;
			run->marks = realloc(run->marks, run->cap_marks * sizeof *run->marks);
			if (run->marks == NULL)
				abort();
		}
		run->n_marks++;
	}
	m = &run->marks[w_disk_position(run->disk)];
	m->store = run->store != NULL ? w_disk_position(run->store) : 0;
	m->rings = w_disk_position(run->rings);
	m->wall_us = run->wall_us;
	m->mono_us = run->mono_us;
	memcpy(m->duty, run->duty, sizeof m->duty);
}

static void note(images_run *run, int kind)
{
	(void)w_disk_foreign(run->disk, kind); /* which marks first */
}

static void store_changes(void *user_data)
{
	note(user_data, IMAGES_STORE);
}

const images_mark *images_mark_at(const images_run *run, size_t position)
{
	return &run->marks[position < run->n_marks ? position : run->n_marks - 1];
}

static void on_event(const rco_event *event, void *user_data)
{
	images_run *run = user_data;
	images_duty *d;
	int i;

	tell(run, "event %s, status %s: %s %s", rco_event_name(event->type), rco_status_name(event->status),
	     event->call_id, event->message);
	for (i = 0; i < IMAGES_CALLS && strcmp(event->call_id, images_call_id(i)) != 0; i++)
		;
	if (i == IMAGES_CALLS)
		return;
	d = &run->duty[i];
	switch (event->type) {
	case RCO_EVENT_OPTED_OUT:
		d->asked = 1;
		break;
	case RCO_EVENT_VERIFIED:
		d->verified = 1;
		d->asked = d->durable = 1;
		break;
	case RCO_EVENT_DURABLE:
	case RCO_EVENT_ERASED:
		d->asked = d->durable = 1;
		break;
	case RCO_EVENT_STORED:
		d->stored = 1;
		break;
	case RCO_EVENT_CALL_RECORD:
		d->recorded = 1;
		break;
	default:
		return;
	}
	note(run, IMAGES_SAID);
}

/* ---- the engine ---- */

static void log_line(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)user_data;
	if (getenv("RCO_TEST_LOG") != NULL)
		(void)fprintf(stderr, "    %u %.*s\n", level, (int)length, message);
}

static int open_store(images_run *run)
{
	rco_directory_options options = {.struct_size = (uint32_t)sizeof options, .path = "/out"};
	rco__env env;
	int rc = rco__env_init(&env, NULL, &run->clock, log_line, NULL);

	if (rc != RCO_OK)
		return rc;
	env.fs = w_disk_table(run->store);
	return rco__directory_open(&env, &options, &run->directory);
}

int images_engine_open(images_run *run)
{
	rco_engine_config c = {
		.struct_size = (uint32_t)sizeof c,
		.flags = RCO_ENGINE_HOST_DRIVEN,
		.ring_pool_bytes = RINGS_BYTES,
		.segment_bytes = 16384,
		.opt_out_enabled = 1,
		.flush_interval_ms = IMAGES_FLUSH_MS,
		.late_opt_out_ms = IMAGES_WINDOW_MS,
		.sweep_delay_ms = 400,
		.retry_min_ms = 50,
		.retry_max_ms = 200,
		.upload_part_bytes = 4096,
		.state_dir = "/state",
		.output_dir = "/out",
		.ring_dir = rings_folder,
		.clock = &run->clock,
		.log = log_line,
		.event = on_event,
		.event_user_data = run,
	};
	int rc = RCO_OK;

	run->clock = (rco_clock){.struct_size = (uint32_t)sizeof run->clock,
	                         .wall_us = wall,
	                         .monotonic_us = mono,
	                         .user_data = run};
	if (run->store != NULL) {
		rc = open_store(run);
		c.upload = rco_directory_upload_ops();
		c.deletion = rco_directory_deletion_ops();
		c.upload_user_data = c.deletion_user_data = run->directory;
	}
	return rc == RCO_OK ? rco__engine_create(&c, w_disk_table(run->disk), &run->engine) : rc;
}

void images_engine_close(images_run *run)
{
	rco_engine_free(run->engine);
	run->engine = NULL;
	rco_directory_free(run->directory);
	run->directory = NULL;
}

/* All that is due now; a run does a step, and it is enough when nothing is due twice running. */
static void settle(images_run *run)
{
	uint32_t timeout_ms;
	int32_t fd;
	int i, quiet = 0;

	for (i = 0; i < DUE_CAP && quiet < 2; i++) {
		if (rco_engine_run(run->engine, 0, 0) != RCO_OK ||
		    rco_engine_poll(run->engine, &fd, &timeout_ms) != RCO_OK)
			images_broken(run, "rco_engine_run: %s", rco_error_detail());
		quiet = timeout_ms > 0 ? quiet + 1 : 0;
	}
	if (quiet < 2)
		images_broken(run, "the engine has work without an end: %d steps without time passing", DUE_CAP);
}

void images_advance(images_run *run, int64_t ms)
{
	run->wall_us += ms * 1000;
	run->mono_us += ms * 1000;
	settle(run);
}

/* ---- a scenario ---- */

static uint64_t draw(uint64_t *rng)
{
	*rng = *rng * 6364136223846793005u + 1442695040888963407u;
	return *rng >> 33;
}

typedef struct script {
	images_run *run;
	uint64_t rng;
	rco_session *session[IMAGES_CALLS];
	int ended[IMAGES_CALLS];
} script;

/* Whatever is answered in an accepted frame's place is for the judge of the promises of push, not for us. */
static void push(script *s, int call, int leg, uint32_t frames)
{
	images_duty *d = &s->run->duty[call];
	uint8_t frame[IMAGES_FRAME];

	for (; frames > 0; frames--) {
		t_noise(images_noise(s->run->seed, call, leg), (uint64_t)d->leg[leg].accepted * IMAGES_FRAME,
		        frame, sizeof frame);
		if (t_push_nth(s->session[call], (uint32_t)leg, RCO_FORMAT_PCMU_8K, frame, sizeof frame,
		               images_gaps(s->run->seed, call, leg), d->leg[leg].accepted) != RCO_OK)
			return;
		d->leg[leg].accepted++;
		d->leg[leg].kept++;
	}
}

static void opt_out(script *s, int call)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = 0};
	images_duty *d = &s->run->duty[call];
	rco_receipt *receipt = NULL;
	int rc;

	if (draw(&s->rng) % 3 == 0)
		o.flags = RCO_OPT_OUT_NONBLOCK;
	/* What it may change is in doubt from before the call; told only when the window has not closed. */
	d->asked = 1;
	if (s->session[call] != NULL)
		rc = rco_opt_out(s->session[call], &o, &receipt);
	else
		rc = rco_engine_opt_out(s->run->engine, images_call_id(call), &o, &receipt);
	tell(s->run, "opt out of %s%s%s: %s", images_call_id(call), o.flags != 0 ? ", not waiting" : "",
	     s->session[call] == NULL ? ", by id" : "", rco_error_name(rc));
	d->durable |= rc == RCO_OK;
	d->latched = rc == RCO_PENDING && s->session[call] != NULL && !s->ended[call];
	if (rc == RCO_E_ENDED)
		d->asked = 0;
	else if (rc < 0 || rco_receipt_code(receipt) < 0)
		images_broken(s->run, "opt-out of %s: %s", images_call_id(call), rco_error_detail());
	rco_receipt_free(receipt);
	note(s->run, IMAGES_SAID);
}

static void begin_call(script *s, int call)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = images_call_id(call)};
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};
	uint32_t leg;
	int i;

	if (rco_session_create(s->run->engine, &o, &s->session[call]) != RCO_OK) {
		images_broken(s->run, "rco_session_create: %s", rco_error_detail());
		return;
	}
	for (i = 0; i < IMAGES_LEGS; i++)
		(void)rco_session_add_leg(s->session[call], i == 0 ? "caller" : "agent", RCO_FORMAT_PCMU_8K, &leg);
	s->run->duty[call].created = 1;
	(void)rco_session_get_stats(s->session[call], &stats);
	memcpy(s->run->duty[call].recording_id, stats.recording_id, 16);
	tell(s->run, "start of %s: %s", images_call_id(call), rco_error_name(rco_session_start(s->session[call])));
}

static void one_step(script *s, int call)
{
	uint64_t what = draw(&s->rng) % 16;

	if (s->session[call] == NULL) {
		if (what == 0 && !s->run->duty[call].asked)
			opt_out(s, call);
		else if (what > 3)
			begin_call(s, call);
		return;
	}
	if (what < 2 && !s->run->duty[call].asked)
		opt_out(s, call);
	else if (what == 2 && !s->ended[call]) {
		s->ended[call] = rco_session_end(s->session[call]) == RCO_OK;
		s->run->duty[call].over = 1;
		tell(s->run, "end of %s", images_call_id(call));
	} else if (what == 3 && !s->ended[call])
		(void)(draw(&s->rng) % 2 != 0 ? rco_session_pause(s->session[call])
		                              : rco_session_resume(s->session[call]));
	else if (!s->ended[call]) {
		push(s, call, 0, (uint32_t)(draw(&s->rng) % 12));
		push(s, call, 1, (uint32_t)(draw(&s->rng) % 6));
	}
}

/* An interval has passed, and the engine had its turn: what was accepted before is durable. */
static void now_sure(images_run *run, const images_duty before[IMAGES_CALLS])
{
	int call, leg;

	for (call = 0; call < IMAGES_CALLS; call++) {
		for (leg = 0; leg < IMAGES_LEGS; leg++)
			run->duty[call].leg[leg].sure = before[call].leg[leg].accepted;
	}
}

static void play_script(script *s)
{
	int calls = 1 + (int)(draw(&s->rng) % IMAGES_CALLS), steps = 8 + (int)(draw(&s->rng) % 12), i, call;
	images_duty before[IMAGES_CALLS];

	for (i = 0; i < steps; i++) {
		for (call = 0; call < calls; call++)
			one_step(s, call);
		memcpy(before, s->run->duty, sizeof before);
		images_advance(s->run, STEP_MS);
		now_sure(s->run, before);
	}
	for (call = 0; call < calls; call++) {
		s->run->duty[call].over |= s->session[call] != NULL;
		rco_session_free(s->session[call]);
		s->session[call] = NULL;
	}
	for (i = (int)(draw(&s->rng) % 8); i > 0; i--)
		images_advance(s->run, STEP_MS);
}

/* The call is known, and was opted out before it was. */
static void play_early(script *s)
{
	int i;

	opt_out(s, 0);
	begin_call(s, 0);
	for (i = 0; i < 3; i++)
		images_advance(s->run, STEP_MS);
	s->run->duty[0].over = 1;
	rco_session_free(s->session[0]);
	for (i = 0; i < 6; i++)
		images_advance(s->run, STEP_MS);
}

static images_run *run_new(uint64_t seed)
{
	images_run *run = calloc(1, sizeof *run);

	if (run == NULL)
		abort();
	run->seed = seed;
	run->rings_fd = -1;
	run->wall_us = INT64_C(1700000000) * 1000000;
	run->mono_us = 1000000;
	return run;
}

static void watch(images_run *run)
{
	w_disk_before(run->disk, mark, run);
	if (run->store != NULL)
		w_disk_before(run->store, store_changes, run);
}

/* Nothing is put into the logs any more. */
static void finish(images_run *run)
{
	mark(run);
	if (run->engine != NULL)
		images_engine_close(run);
	w_disk_before(run->disk, NULL, NULL);
	if (run->store != NULL)
		w_disk_before(run->store, NULL, NULL);
	if (run->rings_fd >= 0)
		(void)close(run->rings_fd);
	run->rings_fd = -1;
	w_disk_forget_process(run->disk);
}

static void release(images_run *run)
{
	w_disk_free(run->disk);
	w_disk_free(run->store);
	w_disk_free(run->rings);
	free(run->lines);
	free(run->marks);
	free(run->broken);
	free(run);
}

/*
 * Disk and store after a first start and an orderly end, so that not every scenario begins with the same hundred
 * steps. Made once for each kind of store.
 */
static void begin_prepared(images_run *run)
{
	static w_disk *disks[2], *stores[2];
	int kind = run->store != NULL;
	images_run *first;

	if (disks[kind] == NULL) {
		first = run_new(0);
		first->disk = w_disk_new();
		first->store = kind ? w_disk_new() : NULL;
		first->rings = w_disk_new();
		w_chance_seed(1);
		if (images_engine_open(first) != RCO_OK)
			images_broken(run, "rco_engine_create: %s", rco_error_detail());
		images_engine_close(first);
		disks[kind] = w_disk_image(first->disk, w_disk_position(first->disk), W_CRASH_KILL, NULL, 0);
		if (kind)
			stores[kind] =
				w_disk_image(first->store, w_disk_position(first->store), W_CRASH_KILL, NULL, 0);
		release(first);
	}
	w_disk_free(run->disk);
	run->disk = w_disk_image(disks[kind], 0, W_CRASH_KILL, NULL, 0);
	if (kind) {
		w_disk_free(run->store);
		run->store = w_disk_image(stores[kind], 0, W_CRASH_KILL, NULL, 0);
	}
}

static images_run *play(uint64_t seed)
{
	script s = {.rng = seed * 0x9e3779b97f4a7c15u + 7};
	images_run *run = run_new(seed);

	need_rings_folder();
	clear_rings();
	s.run = run;
	run->disk = w_disk_new();
	run->store = seed % 2 == 0 ? w_disk_new() : NULL;
	run->rings = w_disk_new();
	if (seed % FROM_NOTHING > 2) {
		begin_prepared(run);
		clear_rings();
	}
	w_chance_seed(seed);
	watch(run);
	if (images_engine_open(run) != RCO_OK) {
		images_broken(run, "rco_engine_create: %s", rco_error_detail());
		finish(run);
		return run;
	}
	if (seed == IMAGES_EARLY)
		play_early(&s);
	else
		play_script(&s);
	/* A shutdown in order is part of every third scenario. */
	if (seed % 3 == 0)
		images_engine_close(run);
	finish(run);
	return run;
}

/* ---- crash and recovery ---- */

static const w_disk *disk_of(const images_run *run)
{
	return run->disk;
}

static uint64_t fold(uint64_t h, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	size_t i;

	for (i = 0; i < size; i++)
		h = (h ^ bytes[i]) * 0x100000001b3u;
	return h ^ (h >> 29);
}

static uint64_t hash_of(images_run *image, int with_promises)
{
	uint64_t hash = w_disk_hash(image->disk), part = w_disk_hash(image->rings);

	hash = fold(hash, &part, sizeof part);
	part = image->store != NULL ? w_disk_hash(image->store) : 0;
	hash = fold(hash, &part, sizeof part);
	return with_promises ? fold(hash, image->duty, sizeof image->duty) : hash;
}

/* After a power cut nothing better is owed any more than what was sure. */
static void duty_after(images_duty duty[IMAGES_CALLS], const images_mark *m, int crash)
{
	int call, leg;

	memcpy(duty, m->duty, sizeof m->duty);
	for (call = 0; call < IMAGES_CALLS && crash == W_CRASH_POWER; call++) {
		duty[call].latched = 0;
		for (leg = 0; leg < IMAGES_LEGS; leg++)
			duty[call].leg[leg].kept = duty[call].leg[leg].sure;
	}
}

/* Until nothing is left to do, and some time more: a window, a sweep. */
static void let_recover(images_run *run)
{
	rco_engine_stats stats = {.struct_size = (uint32_t)sizeof stats};
	int i, quiet = 0;

	for (i = 0; i < PATIENCE && quiet < 4 && run->broken == NULL; i++) {
		images_advance(run, STEP_MS);
		if (rco_engine_get_stats(run->engine, &stats) != RCO_OK)
			images_broken(run, "rco_engine_get_stats: %s", rco_error_detail());
		quiet = stats.uploads_pending + stats.erasures_pending + stats.tombstones_waiting == 0 ? quiet + 1
		                                                                                       : 0;
	}
	if (quiet < 4)
		images_broken(run, "not idle after %d s: %llu uploads, %llu erasures, %llu tombstones wait",
		              PATIENCE * STEP_MS / 1000, (unsigned long long)stats.uploads_pending,
		              (unsigned long long)stats.erasures_pending,
		              (unsigned long long)stats.tombstones_waiting);
}

static images_run *image_of(images_run *from, size_t position, const images_choice *choice, const uint64_t *bits,
                            size_t n_bits)
{
	int crash = choice->how == IMAGES_KILL ? W_CRASH_KILL : W_CRASH_POWER;
	const images_mark *m = images_mark_at(from, position);
	images_run *run = run_new(from->seed);

	run->disk = w_disk_image(from->disk, position, crash, bits, n_bits);
	run->store = from->store != NULL ? w_disk_image(from->store, m->store, W_CRASH_KILL, NULL, 0) : NULL;
	run->rings =
		crash == W_CRASH_KILL ? w_disk_image(from->rings, m->rings, W_CRASH_KILL, NULL, 0) : w_disk_new();
	duty_after(run->duty, m, crash);
	run->wall_us = m->wall_us + 1000000;
	run->mono_us = crash == W_CRASH_KILL ? m->mono_us + 1000000 : 1000000;
	if (from->broken != NULL)
		images_broken(run, "while it played: %s", from->broken);
	return run;
}

static char *recover(images_run *run)
{
	images_duty duty[IMAGES_CALLS];
	char *broken;
	int i;

	clear_rings();
	w_disk_each(run->rings, put_ring_file, NULL);
	w_chance_seed(w_disk_hash(run->disk) ^ run->seed);
	memcpy(duty, run->duty, sizeof duty);
	for (i = 0; i < IMAGES_CALLS; i++)
		run->duty[i].over |= run->duty[i].created; /* ended by the crash, which matters to the next one */
	watch(run);
	if (images_engine_open(run) == RCO_OK)
		let_recover(run);
	else
		images_broken(run, "rco_engine_create: %s", rco_error_detail());
	if (run->broken == NULL)
		images_judge(run, duty);
	finish(run);
	broken = run->broken;
	run->broken = NULL;
	return broken;
}

const images_subject images_calls = {
	.name = "calls",
	.kills = 1,
	.play = play,
	.release = release,
	.disk = disk_of,
	.image = image_of,
	.hash = hash_of,
	.recover = recover,
	.story = story,
};
