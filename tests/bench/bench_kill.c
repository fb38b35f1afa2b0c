/* SPDX-License-Identifier: MIT */
/*
 * What kill -9 costs. A process records calls, one after the other in several
 * places at once, and writes down in shared memory what was accepted. It is
 * killed at a random moment; another process takes up what is left; and then
 * each accepted frame is looked for in the finished files.
 */
#include "bench.h"
#include "bench_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	ROUNDS = 70,
	KILL_WITHIN_US = 400000, /* of the fork: also while the engine is being opened */
	PLACES = 4,              /* calls at a time, a pushing thread for each */
	CALLS = 64,              /* one after the other in each place, at most */
	LEGS = 2,
	OPT_OUT_EVERY = 5 /* call of a place ends so */
};

enum { OPT_NOT = 0, OPT_ASKED = 1, OPT_RETURNED = 2 };

typedef struct noted {
	_Atomic uint64_t accepted[LEGS]; /* pushes that had returned RCO_OK */
	_Atomic uint32_t opted_out;      /* OPT_... */
	_Atomic uint32_t ended;
} noted;

typedef struct shared {
	noted calls[PLACES][CALLS];
	_Atomic int recovered;
} shared;

typedef struct totals {
	uint64_t accepted, lost, wrong, files, renamed, calls, ended, opted_out, leaked, empty_rounds;
} totals;

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* Frame `n` of a leg: unlike every other frame of any leg. */
static void make_frame(uint32_t place, uint32_t call, uint32_t leg, uint64_t n, uint8_t out[B_FRAME])
{
	uint64_t seed = ((uint64_t)place << 56 | (uint64_t)call << 48 | (uint64_t)leg << 40) + n, word;
	size_t i;

	for (i = 0; i < B_FRAME; i += sizeof word) {
		word = mix(seed * 32 + i / sizeof word);
		memcpy(out + i, &word, sizeof word);
	}
}

/* ---- the process that is killed ---- */

typedef struct place {
	b_world *w;
	shared *sh;
	uint32_t number;
} place;

static rco_session *begin_call(b_world *w, uint32_t number, uint32_t n)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o};
	rco_session *call;
	uint32_t i, leg;
	char text[32];

	(void)snprintf(text, sizeof text, "call-%u-%u", number, n);
	o.call_id = text;
	b_check(rco_session_create(w->engine, &o, &call), "rco_session_create");
	for (i = 0; i < LEGS; i++) { /* the label is in the file's name, and tells whose it is */
		(void)snprintf(text, sizeof text, "p%uc%ul%u", number, n, i);
		b_check(rco_session_add_leg(call, text, RCO_FORMAT_PCMU_8K, &leg), "rco_session_add_leg");
	}
	b_check(rco_session_start(call), "rco_session_start");
	return call;
}

static void push_frames(place *p, rco_session *call, uint32_t n, uint64_t frames)
{
	noted *note = &p->sh->calls[p->number][n];
	uint8_t frame[B_FRAME];
	uint32_t leg;
	int rc;

	while (atomic_load(&note->accepted[LEGS - 1]) < frames)
		for (leg = 0; leg < LEGS; leg++) {
			make_frame(p->number, n, leg, atomic_load(&note->accepted[leg]), frame);
			rc = rco_session_push(call, leg, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
			if (rc == RCO_OK)
				atomic_fetch_add(&note->accepted[leg], 1);
			else if (rc == RCO_E_OVERFLOW)
				(void)sched_yield(); /* it was told, and is not counted as accepted */
			else
				b_die("push: %s", rco_error_name(rc));
		}
}

static void *record(void *arg)
{
	place *p = arg;
	uint32_t n;

	for (n = 0; n < CALLS; n++) {
		rco_session *call = begin_call(p->w, p->number, n);
		noted *note = &p->sh->calls[p->number][n];

		push_frames(p, call, n, 1 + mix(p->number * 1000 + n) % 400);
		if (n % OPT_OUT_EVERY == OPT_OUT_EVERY - 1) {
			atomic_store(&note->opted_out, OPT_ASKED);
			b_check(rco_opt_out(call, NULL, NULL), "rco_opt_out");
			atomic_store(&note->opted_out, OPT_RETURNED);
		}
		b_world_hang_up(call);
		atomic_store(&note->ended, 1);
	}
	for (;;)
		(void)pause();
	return NULL;
}

static void record_until_killed(b_world *w, shared *sh)
{
	place places[PLACES];
	pthread_t thread;
	uint32_t i;

	b_world_open(w);
	for (i = 0; i < PLACES; i++) {
		places[i] = (place){w, sh, i};
		if (pthread_create(&thread, NULL, record, &places[i]) != 0)
			b_die("cannot start a thread");
	}
	for (;;)
		(void)pause();
}

/* ---- the one that comes after it ---- */

static void recover(b_world *w, shared *sh)
{
	b_world_open(w);
	b_check(rco_engine_wait_idle(w->engine, 60000), "rco_engine_wait_idle");
	b_world_close(w);
	atomic_store(&sh->recovered, 1);
	_exit(0);
}

static pid_t spawn(void (*fn)(b_world *w, shared *sh), b_world *w, shared *sh)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		b_die("fork: %s", strerror(errno));
	if (pid == 0)
		fn(w, sh);
	return pid;
}

static void kill_and_recover(b_world *w, shared *sh, long after_us)
{
	struct timespec t = {.tv_sec = after_us / 1000000, .tv_nsec = after_us % 1000000 * 1000};
	pid_t pid = spawn(record_until_killed, w, sh);
	int status;

	(void)nanosleep(&t, NULL); /* the moment is what is random here: nothing is waited for */
	if (kill(pid, SIGKILL) != 0 || waitpid(pid, &status, 0) != pid)
		b_die("kill: %s", strerror(errno));
	if (!WIFSIGNALED(status))
		b_die("the process that records ended by itself");
	pid = spawn(recover, w, sh);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || !atomic_load(&sh->recovered))
		b_die("the process that recovers did not come to its end");
}

/* ---- what is left ---- */

static uint8_t *read_whole(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *bytes = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		b_die("cannot open %s: %s", path, strerror(errno));
	*size = (size_t)st.st_size;
	bytes = malloc(*size + 1);
	if (bytes == NULL || read(fd, bytes, *size) != (ssize_t)*size)
		b_die("cannot read %s", path);
	(void)close(fd);
	return bytes;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The "data" chunk of a RIFF file. */
static const uint8_t *wav_data(const uint8_t *file, size_t size, size_t *bytes)
{
	size_t at = 12;

	while (size >= 8 && at <= size - 8) {
		*bytes = get32(file + at + 4);
		if (memcmp(file + at, "data", 4) == 0)
			return *bytes <= size - at - 8 ? file + at + 8 : NULL;
		at += 8 + *bytes + (*bytes & 1);
	}
	return NULL;
}

typedef struct found {
	uint64_t frames[PLACES][CALLS][LEGS]; /* right ones, from the beginning */
	uint32_t files[PLACES][CALLS][LEGS];
	uint64_t wrong; /* frames that are not what was pushed */
	uint64_t all, renamed;
} found;

/* Whose audio is it? Its first frame tells. */
static int owner(const uint8_t *data, size_t bytes, uint32_t *p, uint32_t *n, uint32_t *leg)
{
	uint8_t frame[B_FRAME];

	for (*p = 0; *p < PLACES && bytes >= B_FRAME; (*p)++)
		for (*n = 0; *n < CALLS; (*n)++)
			for (*leg = 0; *leg < LEGS; (*leg)++) {
				make_frame(*p, *n, *leg, 0, frame);
				if (memcmp(data, frame, B_FRAME) == 0)
					return 1;
			}
	return 0;
}

static void look_at(const char *path, const char *label, found *f)
{
	uint8_t frame[B_FRAME];
	size_t size, bytes = 0;
	uint8_t *file = read_whole(path, &size);
	const uint8_t *data = wav_data(file, size, &bytes);
	uint32_t p, n, leg;
	char want[32];
	uint64_t i;

	if (data == NULL)
		b_die("%s is not a WAV file", path);
	f->all++;
	if (!owner(data, bytes, &p, &n, &leg)) {
		f->wrong += (bytes + B_FRAME - 1) / B_FRAME;
		free(file);
		return;
	}
	(void)snprintf(want, sizeof want, ".p%uc%ul%u.wav", p, n, leg);
	f->renamed += strcmp(label, want) != 0;
	f->files[p][n][leg]++;
	for (i = 0; i < bytes / B_FRAME; i++) {
		make_frame(p, n, leg, i, frame);
		if (memcmp(data + i * B_FRAME, frame, B_FRAME) != 0)
			break;
	}
	f->frames[p][n][leg] = i;
	f->wrong += (bytes + B_FRAME - 1) / B_FRAME - i;
	free(file);
}

static void look(const char *dir, found *f)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[900];

	memset(f, 0, sizeof *f);
	if (d == NULL) {
		if (errno == ENOENT)
			return;
		b_die("cannot open %s: %s", dir, strerror(errno));
	}
	while ((e = readdir(d)) != NULL) {
		const char *label = strchr(e->d_name, '.');
		size_t length = strlen(e->d_name);

		if (label == NULL || length < 4 || strcmp(e->d_name + length - 4, ".wav") != 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		look_at(path, label, f);
	}
	(void)closedir(d);
}

static void compare_leg(const noted *note, uint32_t leg, uint32_t files, uint64_t frames, totals *t)
{
	uint64_t accepted = atomic_load(&note->accepted[leg]);

	switch (atomic_load(&note->opted_out)) {
	case OPT_RETURNED:
		t->leaked += files;
		break;
	case OPT_NOT:
		t->accepted += accepted;
		if (frames < accepted)
			t->lost += accepted - frames;
		if (frames > accepted + 1 || files > 1) /* one may have been on its way */
			t->wrong++;
		break;
	default: /* killed inside rco_opt_out(): either is right */
		break;
	}
}

static void compare(shared *sh, const found *f, totals *t)
{
	uint64_t before = t->accepted;
	uint32_t p, n, leg;

	for (p = 0; p < PLACES; p++)
		for (n = 0; n < CALLS; n++) {
			const noted *note = &sh->calls[p][n];

			for (leg = 0; leg < LEGS; leg++)
				compare_leg(note, leg, f->files[p][n][leg], f->frames[p][n][leg], t);
			t->calls += atomic_load(&note->accepted[0]) > 0;
			t->ended += atomic_load(&note->ended);
			t->opted_out += atomic_load(&note->opted_out) == OPT_RETURNED;
		}
	t->wrong += f->wrong;
	t->files += f->all;
	t->renamed += f->renamed;
	t->empty_rounds += t->accepted == before;
}

/* ---- the rows ---- */

static void report(const totals *t)
{
	char what[80], note[280];

	(void)snprintf(what, sizeof what, "frames lost to kill -9 at %d random moments", ROUNDS);
	(void)snprintf(
		note, sizeof note,
		"%llu calls, of which %llu had ended by themselves before; %llu of the kills came before the "
		"first frame; %llu frames or files were there that should not be",
		(unsigned long long)t->calls, (unsigned long long)t->ended, (unsigned long long)t->empty_rounds,
		(unsigned long long)t->wrong);
	b_report(&(b_row){.what = what,
	                  .unit = "frames",
	                  .value = (double)t->lost,
	                  .beside = "frames accepted, of calls not opted out",
	                  .beside_value = (double)t->accepted,
	                  .compared = (double)(t->lost + t->wrong),
	                  .how = "lost or wrong",
	                  .kind = B_AT_MOST,
	                  .goal = 0,
	                  .note = note});
	b_report(&(b_row){.what = "audio files of calls opted out before the kill",
	                  .unit = "files",
	                  .value = (double)t->leaked,
	                  .beside = "calls whose opt-out had returned",
	                  .beside_value = (double)t->opted_out,
	                  .compared = (double)t->leaked,
	                  .how = "value",
	                  .kind = B_AT_MOST,
	                  .goal = 0});
	b_report(&(b_row){.what = "audio files that lost their leg's label in the crash",
	                  .unit = "files",
	                  .value = (double)t->renamed,
	                  .beside = "audio files",
	                  .beside_value = (double)t->files,
	                  .compared = (double)t->renamed,
	                  .how = "value",
	                  .kind = B_AT_MOST,
	                  .goal = 0,
	                  .note = "their audio is whole, and counted above"});
}

void b_kill(void)
{
	shared *sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static found f;
	uint64_t random = (uint64_t)b_now_ns();
	totals t = {0};
	int i;

	if (sh == MAP_FAILED)
		b_die("mmap: %s", strerror(errno));
	for (i = 0; i < ROUNDS; i++) {
		b_world w;

		memset(sh, 0, sizeof *sh);
		/* Room for the rings of all: where the disk is slow, those that ended wait for it. */
		b_world_init(&w, b_disk(), B_WORLD_DISK, PLACES * CALLS);
		w.cfg.flush_interval_ms = i % 2 == 0 ? 0 : 20; /* the default; and ten times the frames */
		random = mix(random);
		kill_and_recover(&w, sh, (long)(random % KILL_WITHIN_US));
		look(w.out, &f);
		compare(sh, &f, &t);
		b_world_end(&w);
	}
	report(&t);
	(void)munmap(sh, sizeof *sh);
}
