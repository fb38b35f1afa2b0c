/* SPDX-License-Identifier: MIT */
/*
 * The media thread's path. Beside it memcpy: into the same rings, in the same
 * order, with nothing but an index to advance; and what others do with a frame.
 */
#include "bench.h"
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	G711_BYTES = 160,
	L16_BYTES = 320,
	HOT_BATCHES = 5000,
	HOT_WARM = 8,
	HOT_FRAMES = 32, /* with the warm ones less than a ring holds */
	COLD_CALLS = 10000,
	COLD_CYCLES = 8, /* drains */
	COLD_ROUNDS = 20,
	SINGLES = 1500000,
	SINGLES_BATCH = 40,
	PEER_ROUNDS = 60,
	PEER_FRAMES = 2048
};

/* As little as one can have: where to, and how far one is. */
typedef struct plain_ring {
	_Alignas(64) uint8_t *ring;
	uint64_t index;
	size_t capacity;
} plain_ring;

static const uint8_t frame[L16_BYTES] = {1, 2, 3};

static __attribute__((noinline)) void plain_push(plain_ring *to, const uint8_t *data, size_t size)
{
	size_t at = (size_t)(to->index & (to->capacity - 1)), first = to->capacity - at;

	/* What is copied is as unknown as in the library: else this is not the C library's memcpy but a slower
	 * one. */
	__asm__ volatile("" : "+r"(data), "+r"(size));
	if (first >= size) {
		memcpy(to->ring + at, data, size);
	} else {
		memcpy(to->ring + at, data, first);
		memcpy(to->ring, data + first, size - first);
	}
	to->index += size;
}

/* What reading the clock twice costs, to be taken off. */
static double clock_cost(void)
{
	double took[1001], begin;
	size_t i;

	for (i = 0; i < sizeof took / sizeof took[0]; i++) {
		begin = b_now_ns();
		took[i] = b_now_ns() - begin;
	}
	return b_spread_of(took, sizeof took / sizeof took[0]).p50;
}

static double *room_for(size_t count)
{
	double *room = malloc(count * sizeof *room);

	if (room == NULL)
		b_die("no memory");
	return room;
}

/*
 * This thread stays on one core, so that its caches stay as they are; the engine's
 * threads, which were begun before that, may go where there is room.
 */
static void open_here(b_crowd *c, uint32_t count, uint32_t format)
{
	static cpu_set_t all;
	static int known;
	cpu_set_t one;
	int cpu;

	if (!known && sched_getaffinity(0, sizeof all, &all) != 0)
		b_die("which cores there are: %s", strerror(errno));
	known = 1;
	if (sched_setaffinity(0, sizeof all, &all) != 0)
		b_die("cannot go to any core: %s", strerror(errno));
	b_crowd_open(c, b_memory_dir(), count, format, 1, NULL);
	cpu = sched_getcpu();
	CPU_ZERO(&one);
	CPU_SET((size_t)(cpu < 0 ? 0 : cpu), &one);
	if (sched_setaffinity(0, sizeof one, &one) != 0)
		b_die("cannot stay on one core: %s", strerror(errno));
}

/* ---- hot ---- */

/* In this core's nearest cache, all of it: hot means that there is nothing to wait for. */
static void warm(const plain_ring *to)
{
	size_t i;

	for (i = 0; i < to->capacity; i += 64)
		__asm__ volatile("" : : "r"(*(const volatile uint8_t *)(to->ring + i)));
}

static void push_frames(const b_crowd *c, size_t size, int frames)
{
	rco_session *call = c->calls[0];
	uint32_t format = c->format;
	int i, refused = 0;

	for (i = 0; i < frames; i++)
		refused |= rco_session_push(call, 0, format, frame, size);
	if (refused != 0)
		b_die("a frame was not accepted");
}

static void plain_frames(plain_ring *to, size_t size, int frames)
{
	int i;

	for (i = 0; i < frames; i++)
		plain_push(to, frame, size);
}

static void mutex_frames(plain_ring *to, size_t size, int frames)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int i;

	for (i = 0; i < frames; i++) {
		(void)pthread_mutex_lock(&lock);
		plain_push(to, frame, size);
		(void)pthread_mutex_unlock(&lock);
	}
}

/* Its median, for the peers. */
static double hot(const char *what, const char *mutex_what, uint32_t format, size_t size)
{
	double *ours = room_for(HOT_BATCHES), *plain = room_for(HOT_BATCHES), *locked = room_for(HOT_BATCHES);
	double begin, cost = clock_cost();
	b_spread o, p, m;
	plain_ring ring = {0};
	b_crowd c;
	int i;

	open_here(&c, 1, format);
	ring.ring = b_crowd_ring(&c, 0, &ring.capacity);
	for (i = 0; i < HOT_BATCHES; i++) {
		(void)b_crowd_drain(&c);
		warm(&ring);
		push_frames(&c, size, HOT_WARM);
		begin = b_now_ns();
		push_frames(&c, size, HOT_FRAMES);
		ours[i] = (b_now_ns() - begin - cost) / HOT_FRAMES;
		warm(&ring);
		plain_frames(&ring, size, HOT_WARM);
		begin = b_now_ns();
		plain_frames(&ring, size, HOT_FRAMES);
		plain[i] = (b_now_ns() - begin - cost) / HOT_FRAMES;
		begin = b_now_ns();
		mutex_frames(&ring, size, HOT_FRAMES);
		locked[i] = (b_now_ns() - begin - cost) / HOT_FRAMES;
	}
	b_crowd_close(&c);
	o = b_spread_of(ours, HOT_BATCHES);
	p = b_spread_of(plain, HOT_BATCHES);
	m = b_spread_of(locked, HOT_BATCHES);
	b_report(&(b_row){.what = what,
	                  .unit = "ns",
	                  .value = o.p50,
	                  .low = o.p10,
	                  .high = o.p90,
	                  .beside = "memcpy of the same frame",
	                  .beside_value = p.p50,
	                  .compared = o.p50 - p.p50,
	                  .how = "value - beside, ns",
	                  .kind = B_AT_MOST,
	                  .goal = 10});
	b_report(&(b_row){.what = mutex_what,
	                  .unit = "ns",
	                  .value = m.p50,
	                  .low = m.p10,
	                  .high = m.p90,
	                  .beside = "push",
	                  .beside_value = o.p50,
	                  .how = "",
	                  .kind = B_SHOWN});
	free(ours);
	free(plain);
	free(locked);
	return o.p50;
}

/* ---- cold ---- */

static void cold(const char *what, uint32_t format, size_t size, int together)
{
	plain_ring *rings = aligned_alloc(64, COLD_CALLS * sizeof *rings);
	double *ours = room_for(COLD_CYCLES * COLD_ROUNDS), *plain = room_for(COLD_CYCLES * COLD_ROUNDS);
	double *ratio = room_for(COLD_CYCLES * COLD_ROUNDS), begin;
	uint32_t i;
	int cycle, round, n = 0;
	b_spread o, p, r;
	b_crowd c;

	if (rings == NULL)
		b_die("no memory");
	open_here(&c, COLD_CALLS, format);
	for (i = 0; i < COLD_CALLS; i++) {
		rings[i] = (plain_ring){.index = 0};
		rings[i].ring = b_crowd_ring(&c, i, &rings[i].capacity);
		/* Half a ring away from the library's place, or one would warm the other's lines. */
		rings[i].index = rings[i].capacity / 2;
	}
	for (cycle = 0; cycle < COLD_CYCLES; cycle++) {
		(void)b_crowd_drain(&c);
		b_crowd_push(&c, frame, size);
		for (round = 0; round < COLD_ROUNDS; round++, n++) {
			begin = b_thread_ns();
			if (together)
				b_crowd_push_frames(&c, frame, size);
			else
				b_crowd_push(&c, frame, size);
			ours[n] = (b_thread_ns() - begin) / COLD_CALLS;
			begin = b_thread_ns();
			for (i = 0; i < COLD_CALLS; i++)
				plain_push(&rings[c.order[i]], frame, size);
			plain[n] = (b_thread_ns() - begin) / COLD_CALLS;
			ratio[n] = ours[n] / plain[n];
		}
	}
	b_crowd_close(&c);
	o = b_spread_of(ours, (size_t)n);
	p = b_spread_of(plain, (size_t)n);
	r = b_spread_of(ratio, (size_t)n);
	b_report(&(b_row){.what = what,
	                  .unit = "ns",
	                  .value = o.p50,
	                  .low = o.p10,
	                  .high = o.p90,
	                  .beside = "memcpy over the same rings",
	                  .beside_value = p.p50,
	                  .compared = r.p50,
	                  .how = "median of value / beside of each round",
	                  .kind = B_AT_MOST,
	                  .goal = 1.25});
	free(rings);
	free(ours);
	free(plain);
	free(ratio);
}

/* ---- each push alone ---- */

/* Ticks of the finest clock there is without a system call. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	uint32_t aux;

	return __builtin_ia32_rdtscp(&aux);
#else
	return (uint64_t)b_now_ns();
#endif
}

static double ticks_per_ns(void)
{
	double begin = b_now_ns();
	uint64_t from = ticks();

	while (b_now_ns() - begin < 50e6)
		;
	return (double)(ticks() - from) / (b_now_ns() - begin);
}

static void report_single(const char *what, double ours, double bare, b_goal kind)
{
	b_report(&(b_row){.what = what,
	                  .unit = "ns",
	                  .value = ours,
	                  .beside = "the clock alone, twice",
	                  .beside_value = bare,
	                  .compared = ours,
	                  .how = "value, ns",
	                  .kind = kind,
	                  .goal = 2000});
}

/* Beside it the same without a push: what the machine itself takes away from a thread, and what the clock costs.
 */
static void singles(void)
{
	double *ours = room_for(SINGLES), *bare = room_for(SINGLES), per = ticks_per_ns();
	uint64_t begin, end;
	b_spread o, b;
	rco_session *call;
	int i, refused = 0;
	b_crowd c;

	open_here(&c, 1, RCO_FORMAT_S16_8K);
	call = c.calls[0];
	for (i = 0; i < SINGLES; i++) {
		if (i % SINGLES_BATCH == 0) {
			(void)b_crowd_drain(&c);
			push_frames(&c, L16_BYTES, HOT_WARM);
		}
		begin = ticks();
		refused |= rco_session_push(call, 0, RCO_FORMAT_S16_8K, frame, L16_BYTES);
		end = ticks();
		ours[i] = (double)(end - begin) / per;
	}
	for (i = 0; i < SINGLES; i++) {
		if (i % SINGLES_BATCH == 0) {
			(void)b_crowd_drain(&c);
			push_frames(&c, L16_BYTES, HOT_WARM);
		}
		begin = ticks();
		end = ticks();
		bare[i] = (double)(end - begin) / per;
	}
	b_crowd_close(&c);
	if (refused != 0)
		b_die("a frame was not accepted");
	o = b_spread_of(ours, SINGLES);
	b = b_spread_of(bare, SINGLES);
	report_single("one push of L16/8k, with the clock: median", o.p50, b.p50, B_SHOWN);
	report_single("one push of L16/8k, with the clock: p99", o.p99, b.p99, B_SHOWN);
	report_single("one push of L16/8k, with the clock: p99.99", o.p9999, b.p9999, B_AT_MOST);
	report_single("one push of L16/8k, with the clock: worst", o.max, b.max, B_SHOWN);
	free(ours);
	free(bare);
}

/* ---- peers ---- */

static void path_of(char *path, size_t room, const char *name)
{
	if (snprintf(path, room, "%s/%s", b_disk(), name) >= (int)room)
		b_die("the path %s is too long", b_disk());
}

static void by_fwrite(void *arg)
{
	int i;

	for (i = 0; i < PEER_FRAMES; i++)
		if (fwrite(frame, 1, L16_BYTES, arg) != L16_BYTES)
			b_die("fwrite: %s", strerror(errno));
}

static void by_sndfile(void *arg)
{
	int i;

	for (i = 0; i < PEER_FRAMES; i++)
		if (sf_write_short(arg, (const short *)(const void *)frame, L16_BYTES / 2) != L16_BYTES / 2)
			b_die("sf_write_short: %s", sf_strerror(arg));
}

static void by_write(void *arg)
{
	const int *fd = arg;
	int i;

	for (i = 0; i < PEER_FRAMES; i++)
		if (write(*fd, frame, L16_BYTES) != L16_BYTES)
			b_die("write: %s", strerror(errno));
}

static void report_peer(const char *beside, double push, b_spread theirs)
{
	b_report(&(b_row){.what = "push 20 ms of L16/8k, hot",
	                  .unit = "ns",
	                  .value = push,
	                  .beside = beside,
	                  .beside_value = theirs.p50,
	                  .compared = push / theirs.p50,
	                  .how = "value / beside",
	                  .kind = B_LESS,
	                  .goal = 1});
}

static void peers(double push)
{
	SF_INFO info = {.samplerate = 8000, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
	char path[600];
	SNDFILE *sound;
	FILE *file;
	int fd;

	path_of(path, sizeof path, "fwrite");
	file = fopen(path, "wbe");
	if (file == NULL || setvbuf(file, NULL, _IOFBF, 65536) != 0)
		b_die("cannot make %s: %s", path, strerror(errno));
	report_peer("fwrite into 64 KiB", push, b_rounds(PEER_ROUNDS, PEER_FRAMES, by_fwrite, file));
	(void)fclose(file);
	(void)unlink(path);

	path_of(path, sizeof path, "sndfile");
	sound = sf_open(path, SFM_WRITE, &info);
	if (sound == NULL)
		b_die("cannot make %s: %s", path, sf_strerror(NULL));
	report_peer("sf_write_short, WAV", push, b_rounds(PEER_ROUNDS, PEER_FRAMES, by_sndfile, sound));
	(void)sf_close(sound);
	(void)unlink(path);

	path_of(path, sizeof path, "write");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		b_die("cannot make %s: %s", path, strerror(errno));
	report_peer("write(2)", push, b_rounds(PEER_ROUNDS, PEER_FRAMES, by_write, &fd));
	(void)close(fd);
	(void)unlink(path);
}

void b_push(void)
{
	double push;

	(void)hot("push 20 ms of G.711, hot", "  mutex and memcpy, 20 ms of G.711", RCO_FORMAT_PCMU_8K,
	          G711_BYTES);
	push = hot("push 20 ms of L16/8k, hot", "  mutex and memcpy, 20 ms of L16/8k", RCO_FORMAT_S16_8K,
	           L16_BYTES);
	peers(push);
	singles();
	cold("push 20 ms of G.711 to 10,000 calls in turn", RCO_FORMAT_PCMU_8K, G711_BYTES, 0);
	cold("push 20 ms of L16/8k to 10,000 calls in turn", RCO_FORMAT_S16_8K, L16_BYTES, 0);
	cold("the same by rco_frames_push(), G.711", RCO_FORMAT_PCMU_8K, G711_BYTES, 1);
	cold("the same by rco_frames_push(), L16/8k", RCO_FORMAT_S16_8K, L16_BYTES, 1);
}
