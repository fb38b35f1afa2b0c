/* SPDX-License-Identifier: MIT */
#include "bench_world.h"

#include "../../lib/session/calls.h"
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SLOT = 512 };

void b_check(int rc, const char *what)
{
	if (rc < 0)
		b_die("%s: %s: %s", what, rco_error_name(rc), rco_error_detail());
}

/* ---- folders ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void b_remove_tree(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		b_die("cannot remove %s: %s", path, strerror(errno));
}

/* ---- what the engine is given ---- */

static int counted_sync(void *ctx, int fd)
{
	b_world *w = ctx;
	const rco__fs *real = rco__fs_posix();

	atomic_fetch_add(&w->syncs, 1);
	return real->sync(real->ctx, fd);
}

static int counted_sync_dir(void *ctx, const char *path)
{
	b_world *w = ctx;
	const rco__fs *real = rco__fs_posix();

	atomic_fetch_add(&w->syncs, 1);
	return real->sync_dir(real->ctx, path);
}

static int64_t standing_us(void *user_data)
{
	b_world *w = user_data;

	return atomic_load(&w->now_us);
}

static void receive(const rco_event *event, void *user_data)
{
	b_world *w = user_data;

	if (event->type >= B_WORLD_EVENTS)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->events[event->type]++;
	(void)pthread_cond_broadcast(&w->told);
	(void)pthread_mutex_unlock(&w->lock);
}

static void complain(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)user_data;
	(void)length;
	if (level <= RCO_LOG_ERROR)
		fprintf(stderr, "  %s\n", message);
}

/* ---- a world ---- */

void b_world_init(b_world *w, const char *dir, uint32_t flags, uint32_t calls)
{
	static uint32_t worlds;

	memset(w, 0, sizeof *w);
	w->flags = flags;
	if (snprintf(w->root, sizeof w->root, "%s/world%u", dir, worlds++) >= (int)sizeof w->root)
		b_die("the path %s is too long", dir);
	(void)snprintf(w->state, sizeof w->state, "%s/state", w->root);
	(void)snprintf(w->out, sizeof w->out, "%s/out", w->root);
	if (mkdir(w->root, 0700) != 0)
		b_die("cannot make %s: %s", w->root, strerror(errno));
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->told, NULL);
	/* The table's functions take its ctx; those of the real one need none. */
	w->fs = *rco__fs_posix();
	w->fs.ctx = w;
	w->fs.sync = counted_sync;
	w->fs.sync_dir = counted_sync_dir;
	w->cfg.struct_size = (uint32_t)sizeof w->cfg;
	w->cfg.flags = flags & B_WORLD_DRIVEN ? RCO_ENGINE_HOST_DRIVEN : 0;
	w->cfg.state_dir = w->state;
	w->cfg.ring_dir = b_memory_dir();
	w->cfg.ring_pool_bytes = ((uint64_t)calls * 2 + 64) * 16384;
	w->cfg.opt_out_enabled = 1;
	w->cfg.late_opt_out_ms = RCO_NONE_MS;
	w->cfg.sweep_delay_ms = RCO_NONE_MS;
	w->cfg.log = complain;
	w->cfg.event = receive;
	w->cfg.event_user_data = w;
	if (flags & B_WORLD_CLOCK) {
		atomic_store(&w->now_us, INT64_C(1700000000000000));
		w->clock = (rco_clock){.struct_size = (uint32_t)sizeof w->clock,
		                       .wall_us = standing_us,
		                       .monotonic_us = standing_us,
		                       .user_data = w};
		w->cfg.clock = &w->clock;
	}
}

void b_world_open(b_world *w)
{
	rco_memory_options mo = {.struct_size = (uint32_t)sizeof mo};

	if (w->flags & B_WORLD_DISK)
		w->cfg.output_dir = w->out;
	if (!(w->flags & B_WORLD_DISK) || (w->flags & B_WORLD_NO_SPOOL))
		b_check(rco_memory_create(&mo, &w->memory), "rco_memory_create");
	if (!(w->flags & B_WORLD_DISK)) {
		w->cfg.upload = rco_memory_upload_ops();
		w->cfg.deletion = rco_memory_deletion_ops();
		w->cfg.upload_user_data = w->cfg.deletion_user_data = w->memory;
	}
	if (w->flags & B_WORLD_NO_SPOOL) {
		w->cfg.buffer = rco_memory_buffer_ops();
		w->cfg.buffer_user_data = w->memory;
	}
	memset(w->events, 0, sizeof w->events);
	/* Not by the public door only because of the count of syncs. */
	b_check(rco__engine_create(&w->cfg, &w->fs, &w->engine), "rco_engine_create");
}

void b_world_close(b_world *w)
{
	rco_engine_free(w->engine);
	rco_memory_free(w->memory);
	w->engine = NULL;
	w->memory = NULL;
}

void b_world_end(b_world *w)
{
	b_world_close(w);
	b_remove_tree(w->root);
	(void)pthread_cond_destroy(&w->told);
	(void)pthread_mutex_destroy(&w->lock);
}

void b_world_settle(b_world *w)
{
	b_check(rco_engine_run(w->engine, 0, 0), "rco_engine_run");
	b_check(rco_engine_wait_idle(w->engine, 60000), "rco_engine_wait_idle");
}

void b_world_advance(b_world *w, int64_t ms)
{
	atomic_fetch_add(&w->now_us, ms * 1000);
	b_check(rco_engine_run(w->engine, 0, 0), "rco_engine_run");
}

uint64_t b_world_events(b_world *w, uint32_t type)
{
	uint64_t n;

	(void)pthread_mutex_lock(&w->lock);
	n = w->events[type];
	(void)pthread_mutex_unlock(&w->lock);
	return n;
}

void b_world_wait(b_world *w, uint32_t type, uint64_t count)
{
	struct timespec until;
	int rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	(void)pthread_mutex_lock(&w->lock);
	while (w->events[type] < count && rc == 0)
		rc = pthread_cond_timedwait(&w->told, &w->lock, &until);
	if (w->events[type] < count)
		b_die("only %llu of %llu events \"%s\" came within a minute", (unsigned long long)w->events[type],
		      (unsigned long long)count, rco_event_name(type));
	(void)pthread_mutex_unlock(&w->lock);
}

/* ---- calls ---- */

rco_session *b_world_call(b_world *w, const char *call_id, uint32_t legs)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *call;
	char label[16];
	uint32_t i, leg;

	b_check(rco_session_create(w->engine, &o, &call), "rco_session_create");
	for (i = 0; i < legs; i++) {
		(void)snprintf(label, sizeof label, "leg%u", i);
		b_check(rco_session_add_leg(call, label, RCO_FORMAT_PCMU_8K, &leg), "rco_session_add_leg");
	}
	b_check(rco_session_start(call), "rco_session_start");
	return call;
}

void b_world_hang_up(rco_session *call)
{
	b_check(rco_session_end(call), "rco_session_end");
	rco_session_free(call);
}

void b_world_push(rco_session *call, uint32_t legs, const uint8_t *sound, size_t size, uint64_t at)
{
	size_t frames = size / B_FRAME;
	uint32_t i;

	for (i = 0; i < legs; i++) {
		const uint8_t *frame = sound + (at + i * 1000) % frames * B_FRAME;

		b_check(rco_session_push(call, i, RCO_FORMAT_PCMU_8K, frame, B_FRAME), "rco_session_push");
	}
}

/* ---- sound ---- */

/* ITU-T G.711 mu-law of a 16 bit sample: sign, exponent and mantissa of the sample with the bias added. */
static uint8_t mu_law(int16_t sample)
{
	int magnitude = sample < 0 ? -(int)sample : sample, exponent = 7, mask;

	magnitude = (magnitude > 32635 ? 32635 : magnitude) + 132;
	for (mask = 0x4000; exponent > 0 && !(magnitude & mask); mask >>= 1)
		exponent--;
	return (uint8_t) ~((sample < 0 ? 0x80 : 0) | exponent << 4 | (magnitude >> (exponent + 3) & 0x0f));
}

uint8_t *b_world_speech(double seconds, size_t *size)
{
	b_sound sound = b_sound_get("leg", seconds);
	uint8_t *bytes;
	size_t i;

	*size = sound.count / B_FRAME * B_FRAME;
	bytes = malloc(*size + 1);
	if (bytes == NULL || *size == 0)
		b_die("no speech");
	for (i = 0; i < *size; i++)
		bytes[i] = mu_law(sound.samples[i]);
	b_sound_free(&sound);
	return bytes;
}

/* ---- bare fdatasyncs ---- */

int b_slots_open(const char *dir, uint32_t slots)
{
	char path[600];
	uint8_t slot[SLOT];
	uint32_t i;
	int fd;

	(void)snprintf(path, sizeof path, "%s/slots", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, (off_t)slots * SLOT) != 0)
		b_die("cannot make %s", path);
	memset(slot, 0xa5, sizeof slot);
	for (i = 0; i < slots; i++)
		if (pwrite(fd, slot, sizeof slot, (off_t)i * SLOT) != SLOT)
			b_die("cannot write %s: %s", path, strerror(errno));
	if (fsync(fd) != 0)
		b_die("cannot sync %s: %s", path, strerror(errno));
	return fd;
}

double b_slots_sync(int fd, uint32_t slot)
{
	uint8_t bytes[SLOT];
	double begin;

	memset(bytes, (int)(slot & 0xff), sizeof bytes);
	begin = b_now_ns();
	if (pwrite(fd, bytes, sizeof bytes, (off_t)slot * SLOT) != SLOT || fdatasync(fd) != 0)
		b_die("cannot sync a slot: %s", strerror(errno));
	return b_now_ns() - begin;
}
