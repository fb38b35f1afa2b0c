/* SPDX-License-Identifier: MIT */
/* Folders, engine, notes and frames of a process that is killed. */
#include "kill.h"

#include "../support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const uint8_t k_magic[K_MAGIC] = {0x4b, 0xd2, 0x91, 0x6e, 0xb7, 0x13, 0xc8, 0x5d};

void k_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	_exit(3);
}

uint64_t k_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* ---- notes ---- */

static k_notes *map_notes(const char *root, int make)
{
	char path[200];
	void *p;
	int fd;

	t_join(path, sizeof path, root, "notes");
	fd = open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT | O_EXCL : 0), 0600);
	if (fd < 0 || (make && ftruncate(fd, sizeof(k_notes)) != 0))
		k_die("%s: %s", path, strerror(errno));
	p = mmap(NULL, sizeof(k_notes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		k_die("mmap of %s: %s", path, strerror(errno));
	(void)close(fd);
	return p;
}

k_note *k_note_of(k_world *w, k_call call)
{
	return &w->notes->calls[call.life][call.place][call.number];
}

void k_call_id(k_call call, char *out, size_t size)
{
	(void)snprintf(out, size, "call-%u-%u-%u", call.life, call.place, call.number);
}

/* ---- worlds ---- */

static void name_parts(k_world *w)
{
	t_join(w->state, sizeof w->state, w->root, "state");
	t_join(w->out, sizeof w->out, w->root, "out");
	if (w->notes->rings[0] != '\0')
		(void)snprintf(w->rings, sizeof w->rings, "%s", w->notes->rings);
	else
		t_join(w->rings, sizeof w->rings, w->root, "rings");
}

static void make_temp(const char *under, char *out, size_t size)
{
	t_join(out, size, under, "rco-kill-XXXXXX");
	if (mkdtemp(out) == NULL)
		k_die("cannot make a folder in %s: %s", under, strerror(errno));
}

void k_world_make(k_world *w, const char *under, k_script script, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	make_temp(under, w->root, sizeof w->root);
	w->notes = map_notes(w->root, 1);
	w->notes->seed = seed;
	w->notes->script = script;
	w->notes->lives = 1;
	if (strncmp(w->root, "/dev/shm/", 9) != 0)
		make_temp(t_shm(), w->notes->rings, sizeof w->notes->rings);
	name_parts(w);
	if (w->notes->rings[0] == '\0' && mkdir(w->rings, 0700) != 0)
		k_die("mkdir %s: %s", w->rings, strerror(errno));
}

void k_world_attach(k_world *w, const char *root)
{
	memset(w, 0, sizeof *w);
	(void)snprintf(w->root, sizeof w->root, "%s", root);
	w->notes = map_notes(root, 0);
	name_parts(w);
}

void k_world_detach(k_world *w)
{
	(void)munmap(w->notes, sizeof *w->notes);
	w->notes = NULL;
}

void k_world_remove(k_world *w)
{
	if (w->notes->rings[0] != '\0')
		t_rmtree(w->rings);
	k_world_detach(w);
	t_rmtree(w->root);
}

struct copying {
	const char *from, *to;
};

static void copy_file(const char *file, void *user_data)
{
	struct copying *c = user_data;
	char path[400], *slash;
	size_t size = 0;
	uint8_t *bytes;

	t_join(path, sizeof path, c->to, file + strlen(c->from) + 1);
	for (slash = path + strlen(c->to); (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			k_die("mkdir %s: %s", path, strerror(errno));
		*slash = '/';
	}
	bytes = t_read_file(file, &size);
	if (bytes == NULL)
		k_die("cannot read %s", file);
	t_write_file(path, bytes, size);
	free(bytes);
}

void k_world_copy(const k_world *w, const char *to)
{
	struct copying c = {w->root, to};
	char rings[200];

	if (mkdir(to, 0700) != 0)
		k_die("mkdir %s: %s", to, strerror(errno));
	t_join(rings, sizeof rings, to, "rings");
	if (mkdir(rings, 0700) != 0)
		k_die("mkdir %s: %s", rings, strerror(errno));
	t_tree_each(w->root, copy_file, &c);
	if (w->notes->rings[0] == '\0')
		return;
	c.from = w->rings;
	c.to = rings;
	t_tree_each(w->rings, copy_file, &c);
}

/* ---- engine ---- */

static int64_t own_wall(void *ud)
{
	return atomic_load(&((k_world *)ud)->wall_us);
}

static int64_t own_mono(void *ud)
{
	return atomic_load(&((k_world *)ud)->mono_us);
}

static void log_line(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)user_data;
	if (getenv("RCO_TEST_LOG") != NULL)
		(void)fprintf(stderr, "    %u %.*s\n", level, (int)length, message);
}

/* By the numbers that are the call's id. */
static void receive(const rco_event *event, void *user_data)
{
	k_world *w = user_data;
	k_note *note;
	k_call c;

	if (event->type == RCO_EVENT_RECOVERED)
		(void)atomic_fetch_add(&w->notes->recovered, 1);
	if (event->type == RCO_EVENT_STORED)
		(void)atomic_fetch_add(&w->notes->stored, 1);
	if (event->type != RCO_EVENT_DURABLE || event->call_id[0] == '\0')
		return;
	if (sscanf(event->call_id, "call-%u-%u-%u", &c.life, &c.place, &c.number) != 3 || c.life >= K_LIVES ||
	    c.place >= K_PLACES || c.number >= K_CALLS)
		k_die("an event of the call \"%s\"", event->call_id);
	note = k_note_of(w, c);
	atomic_store(&note->opt, K_OPT_DURABLE);
}

static void own_clock(k_world *w)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* opt-outs for calls not yet known expire */
	atomic_store(&w->wall_us, (int64_t)now.tv_sec * 1000000);
	atomic_store(&w->mono_us, INT64_C(1000000000));
	w->clock = (rco_clock){.struct_size = (uint32_t)sizeof w->clock,
	                       .wall_us = own_wall,
	                       .monotonic_us = own_mono,
	                       .user_data = w};
	w->cfg.clock = &w->clock;
	w->cfg.flags |= RCO_ENGINE_HOST_DRIVEN;
}

void k_world_open(k_world *w, k_script script)
{
	uint64_t seed = w->notes->seed;
	int rc;

	memset(&w->cfg, 0, sizeof w->cfg);
	w->cfg.struct_size = (uint32_t)sizeof w->cfg;
	w->cfg.state_dir = w->state;
	w->cfg.output_dir = w->out;
	w->cfg.ring_dir = w->rings;
	w->cfg.opt_out_enabled = 1;
	w->cfg.ring_pool_bytes = script == K_HEAVY ? 4u << 20 : 1u << 20;
	w->cfg.segment_bytes = 1u << 20;
	w->cfg.upload_part_bytes = seed % 2 == 0 ? 4096 : 0; /* several parts, or one */
	w->cfg.export_format = seed / 2 % 4 == 0 ? RCO_EXPORT_WAV_ZST : RCO_EXPORT_WAV;
	w->cfg.workers = 2;
	w->cfg.flush_interval_ms = seed / 8 % 2 == 0 ? 20 : 0;
	w->cfg.late_opt_out_ms = script == K_DRIVEN ? 2000 : seed / 16 % 2 == 0 ? 20 : RCO_NONE_MS;
	w->cfg.sweep_delay_ms = RCO_NONE_MS;
	w->cfg.retry_min_ms = 10;
	w->cfg.retry_max_ms = 50;
	w->cfg.log = log_line;
	w->cfg.event = receive;
	w->cfg.event_user_data = w;
	if (script == K_DRIVEN)
		own_clock(w);
	rc = rco_engine_create(&w->cfg, &w->engine);
	if (rc != RCO_OK)
		k_die("%s: rco_engine_create: %s: %s", w->root, rco_error_name(rc), rco_error_detail());
	(void)atomic_fetch_add(&w->notes->opened, 1);
}

void k_world_close(k_world *w)
{
	rco_engine_free(w->engine);
	w->engine = NULL;
}

/* ---- frames ---- */

uint32_t k_format(k_call call)
{
	static const uint32_t formats[] = {RCO_FORMAT_PCMU_8K, RCO_FORMAT_PCMU_8K, RCO_FORMAT_S16_8K,
	                                   RCO_FORMAT_PCMA_8K, RCO_FORMAT_S16_16K};

	return formats[(call.place + call.number) % 5];
}

/*
 * The magic, whose it is, and noise: loud in every other call, so that its chunks are stored as they are; faint in
 * the others, so that they are coded.
 */
size_t k_frame(k_call call, uint32_t leg, uint64_t n, uint8_t out[K_FRAME_MAX])
{
	uint32_t format = k_format(call), width = rco_format_sample_bytes(format), i;
	size_t size = rco_format_rate_hz(format) / 50 * width;
	uint8_t mask = call.number % 2 == 0 ? 0xff : 0x07;
	uint64_t seed = ((uint64_t)call.life << 60 | (uint64_t)call.place << 56 | (uint64_t)call.number << 48 |
	                 (uint64_t)leg << 40) +
	                n * 128;
	uint64_t word = k_mix(seed);

	memcpy(out, k_magic, K_MAGIC);
	out[8] = (uint8_t)call.life;
	out[9] = (uint8_t)call.place;
	out[10] = (uint8_t)call.number;
	out[11] = (uint8_t)leg;
	for (i = 12; i < size; i++) {
		uint8_t byte;

		if (i % 8 == 0)
			word = k_mix(seed + i / 8);
		byte = (uint8_t)(word >> (i % 8 * 8));
		if (width == 2 && mask != 0xff)
			out[i] = i % 2 == 0 ? byte : 0;
		else
			out[i] = width == 2 ? byte : (uint8_t)((byte & mask) | (uint8_t)~mask);
	}
	return size;
}

uint64_t k_gaps(k_call call, uint32_t leg)
{
	return call.number % 3 != 2 ? k_mix(call.place * 256 + call.number * 2 + leg) | 1 : 0;
}

int k_owner(const uint8_t *at, size_t size, k_call *call, uint32_t *leg)
{
	if (size < 12 || memcmp(at, k_magic, K_MAGIC) != 0)
		return 0;
	*call = (k_call){at[8], at[9], at[10]};
	*leg = at[11];
	return call->life < K_LIVES && call->place < K_PLACES && call->number < K_CALLS && *leg < K_LEGS;
}
