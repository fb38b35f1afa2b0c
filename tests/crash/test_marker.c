/* SPDX-License-Identifier: MIT */
/*
 * P4, P11: audio that can be recognised is looked for wherever a byte of it could have stayed: every file of
 * state, keys and output, the rings, all memory that another process can read of the one that recorded, its
 * registers, and a store in memory: as it was pushed, expanded, and as G.711 codes. After an opt-out there is
 * nothing; before it, the same scan finds it where it has to be.
 *
 * The audio is drawn after the child was forked and reaches it through a pipe, so that what is found there was
 * left by the library.
 */
#include "../../lib/media/chunk.h"
#include "../../lib/media/g711.h"
#include "../../lib/session/state.h"
#include "../support.h"

#include "kill_scan.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEGS = 4, FRAMES = 20, HALF = FRAMES / 2, FRAME_MAX = 640, WINDOW_MS = 600000 };

/* ---- the audio ---- */

typedef struct leg_kind {
	const char *label;
	uint32_t format;
	size_t frame;  /* bytes */
	size_t window; /* so long that it is nowhere by chance */
} leg_kind;

static const leg_kind kinds[LEGS] = {
	{"noise", RCO_FORMAT_PCMU_8K, 160, 8},   /* stored as it is */
	{"alaw", RCO_FORMAT_PCMA_8K, 160, 16},   /* a quarter of its codes */
	{"linear", RCO_FORMAT_S16_16K, 640, 12}, /* faint samples of no law */
	{"decoded", RCO_FORMAT_S16_8K, 320, 16}, /* samples that came through mu-law: kept as its codes */
};

typedef struct audio {
	uint8_t leg[LEGS][FRAMES * FRAME_MAX];
} audio;

static void draw(audio *a)
{
	static uint8_t random[FRAMES * FRAME_MAX];
	int16_t sample;
	size_t leg, i;

	for (leg = 0; leg < LEGS; leg++) {
		size_t n = FRAMES * kinds[leg].frame;

		for (i = 0; i < n; i += 256) /* at most so many at a time are sure to come whole */
			assert_int_equal(getrandom(random + i, n - i < 256 ? n - i : 256, 0),
			                 n - i < 256 ? n - i : 256);
		for (i = 0; i < n; i++)
			switch (leg) {
			case 0:
				a->leg[0][i] = random[i];
				break;
			case 1:
				a->leg[1][i] = (uint8_t)(0xd5 ^ (random[i] & 0x3f)); /* a quarter of the line */
				break;
			case 2:
				sample = (int16_t)((random[i & ~(size_t)1] | (random[i | 1] & 0x07) << 8) - 1024);
				memcpy(a->leg[2] + (i & ~(size_t)1), &sample, 2);
				break;
			default:
				rco__g711_samples(RCO__MU_LAW, &random[i & ~(size_t)1], 1,
				                  a->leg[3] + (i & ~(size_t)1));
				break;
			}
	}
}

/* What a reader of the codes of a law may have made of them. */
static void add_expanded(k_needles *n, rco__law law, const uint8_t *codes, size_t size)
{
	int16_t *samples = calloc(size, 2);

	assert_non_null(samples);
	rco__g711_samples(law, codes, size, samples);
	k_needles_add(n, samples, 2 * size, 16, "linear samples");
	free(samples);
}

/* As the spool has samples that came through mu-law. */
static void add_codes(k_needles *n, const uint8_t *data, size_t size)
{
	uint8_t *codes = calloc(size / 2, 1);

	assert_non_null(codes);
	assert_true(rco__g711_codes(RCO__MU_LAW, data, size / 2, codes));
	k_needles_add(n, codes, size / 2, 16, "companded codes");
	free(codes);
}

static k_needles *needles_of(audio *a)
{
	k_needles *n = k_needles_new();
	size_t leg;

	for (leg = 0; leg < LEGS; leg++)
		k_needles_add(n, a->leg[leg], FRAMES * kinds[leg].frame, kinds[leg].window, kinds[leg].label);
	add_expanded(n, RCO__MU_LAW, a->leg[0], FRAMES * kinds[0].frame);
	add_expanded(n, RCO__A_LAW, a->leg[1], FRAMES * kinds[1].frame);
	add_codes(n, a->leg[3], FRAMES * kinds[3].frame);
	return n;
}

/* ---- the process that records ---- */

typedef enum op {
	OPEN,
	BEGIN,
	PUSH,
	DRAIN,
	OBJECT,
	HANG_UP,
	UPLOAD,
	HOLD,
	RELEASE,
	IDLE,
	VERIFIED,
	STORED,
	QUIT
} op;

typedef struct command {
	uint32_t op, leg;
	uint64_t size;
} command;

typedef struct process {
	t_world *w;
	pid_t pid;
	int to[2], from[2]; /* commands, answers */
	rco_session *s;     /* in the child */
} process;

static void read_all(int fd, void *out, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, (uint8_t *)out + got, size - got);

		if (n <= 0)
			_exit(5); /* the other process is gone */
		got += (size_t)n;
	}
}

static void begin(process *p)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "marked"};
	uint32_t i, leg;

	assert_int_equal(rco_session_create(p->w->engine, &o, &p->s), RCO_OK);
	for (i = 0; i < LEGS; i++)
		assert_int_equal(rco_session_add_leg(p->s, kinds[i].label, kinds[i].format, &leg), RCO_OK);
	assert_int_equal(rco_session_start(p->s), RCO_OK);
}

static void drain(process *p)
{
	if (p->w->flags & T_WORKERS)
		t_wait_buffered(p->s);
	else
		t_advance(p->w, 500);
}

/* Until the first part of the audio is with the store, and its commit waits for the window. */
static void upload(process *p)
{
	while (t_fault_done(&p->w->fault, T_PUT) + t_fault_held(&p->w->fault, T_PUT) == 0)
		if (p->w->flags & T_WORKERS)
			(void)sched_yield();
		else
			t_advance(p->w, 100);
}

static void obey(process *p, const command *c, uint8_t *frame)
{
	switch ((op)c->op) {
	case OPEN:
		t_world_open(p->w);
		break;
	case BEGIN:
		begin(p);
		break;
	case PUSH:
		assert_int_equal(rco_session_push(p->s, c->leg, kinds[c->leg].format, frame, (size_t)c->size),
		                 RCO_OK);
		break;
	case DRAIN:
		drain(p);
		break;
	case OBJECT:
		assert_int_equal(rco_opt_out(p->s, NULL, NULL), RCO_OK);
		break;
	case HANG_UP:
		assert_int_equal(rco_session_end(p->s), RCO_OK);
		break;
	case UPLOAD:
		upload(p);
		break;
	case HOLD: /* the backend takes the part, and does not answer */
		t_fault_set(&p->w->fault, T_PUT, T_HOLD, 1, 0);
		break;
	case RELEASE:
		while (t_fault_release(&p->w->fault, T_PUT) == RCO_E_NOT_FOUND)
			;
		break;
	case IDLE: /* what there is to erase is erased */
		if (p->w->flags & T_WORKERS)
			assert_int_equal(rco_engine_wait_idle(p->w->engine, 60000), RCO_OK);
		else
			t_advance(p->w, 60000);
		break;
	case VERIFIED:
		t_await(p->w, "marked", RCO_EVENT_VERIFIED, 1);
		break;
	case STORED:
		t_await(p->w, "marked", RCO_EVENT_STORED, 1);
		t_await(p->w, "marked", RCO_EVENT_CALL_RECORD, 1);
		break;
	case QUIT:
		break;
	}
}

static void record(void *arg)
{
	process *p = arg;
	uint8_t *frame = mmap(NULL, FRAME_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	command c = {0};

	assert_ptr_not_equal(frame, MAP_FAILED);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no process behind */
	while (c.op != QUIT) {
		read_all(p->to[0], &c, sizeof c);
		if (c.op == PUSH)
			read_all(p->to[0], frame, (size_t)c.size);
		obey(p, &c, frame);
		rco_memzero(frame, FRAME_MAX); /* the host's own copy */
		if (write(p->from[1], "", 1) != 1)
			_exit(5);
	}
	(void)munmap(frame, FRAME_MAX);
	rco_session_free(p->s);
	t_world_close(p->w);
}

/* Before the audio is drawn. */
static void start(process *p, t_world *w)
{
	*p = (process){.w = w};
	assert_int_equal(pipe(p->to), 0);
	assert_int_equal(pipe(p->from), 0);
	p->pid = t_spawn(record, p);
	(void)close(p->to[0]);
	(void)close(p->from[1]);
}

static void tell_with(process *p, op what, uint32_t leg, const void *data, size_t size)
{
	command c = {.op = what, .leg = leg, .size = size};
	char done;

	assert_int_equal(write(p->to[1], &c, sizeof c), sizeof c);
	if (size > 0)
		assert_int_equal(write(p->to[1], data, size), size);
	assert_int_equal(read(p->from[0], &done, 1), 1); /* else an assertion failed there: RCO_TEST_LOG=1 */
}

static void tell(process *p, op what)
{
	tell_with(p, what, 0, NULL, 0);
}

static void push(process *p, const audio *a, size_t from, size_t frames)
{
	size_t i;
	uint32_t leg;

	for (i = from; i < from + frames; i++)
		for (leg = 0; leg < LEGS; leg++)
			tell_with(p, PUSH, leg, a->leg[leg] + i * kinds[leg].frame, kinds[leg].frame);
}

static void end(process *p, int kill_it)
{
	if (kill_it)
		assert_int_equal(kill(p->pid, SIGKILL), 0);
	else
		tell(p, QUIT);
	assert_int_equal(t_reap(p->pid), kill_it ? -SIGKILL : 0);
	(void)close(p->to[1]);
	(void)close(p->from[0]);
}

/* ---- where it is ---- */

static uint64_t memory_holds(process *p, const k_needles *n, const char *only, const char *except, k_hits *hits)
{
	memset(hits, 0, sizeof *hits);
	if (!k_scan_process(n, p->pid, only, except, hits)) {
		print_message("    processes cannot be traced here: their memory was not looked at\n");
		skip();
	}
	return hits->n;
}

static uint64_t files_hold(const k_needles *n, const char *dir)
{
	k_hits hits = {0};

	k_scan_tree(n, dir, &hits);
	return hits.n;
}

static void assert_nowhere(process *p, const k_needles *n)
{
	k_hits hits;

	if (memory_holds(p, n, NULL, NULL, &hits) > 0)
		print_error("    memory holds %llu pieces, the first in %s\n", (unsigned long long)hits.n,
		            hits.first);
	assert_int_equal(hits.n, 0);
	assert_true(hits.bytes > (1u << 20)); /* it was looked at */
	memset(&hits, 0, sizeof hits);
	k_scan_tree(n, p->w->root, &hits); /* state, keys, output */
	k_scan_tree(n, p->w->rings, &hits);
	if (hits.n > 0)
		print_error("    files hold %llu pieces, the first in %s\n", (unsigned long long)hits.n,
		            hits.first);
	assert_int_equal(hits.n, 0);
}

/* ---- scenarios ---- */

typedef struct scene {
	const char *name;
	uint32_t flags, export_format;
} scene;

static const scene scenes[] = {
	{"driven, directory", T_SPOOL | T_DISK | T_SHARED, RCO_EXPORT_WAV},
	{"driven, directory, zst", T_SPOOL | T_DISK | T_SHARED, RCO_EXPORT_WAV_ZST},
	{"driven, store in memory", T_SPOOL | T_SHARED, RCO_EXPORT_WAV},
	{"driven, buffer in memory", T_DISK | T_SHARED, RCO_EXPORT_WAV},
	{"workers, directory", T_SPOOL | T_DISK | T_SHARED | T_WORKERS, RCO_EXPORT_WAV},
	{"workers, store in memory, zst", T_SPOOL | T_SHARED | T_WORKERS, RCO_EXPORT_WAV_ZST},
};

static void make_world(t_world *w, const scene *s)
{
	t_world_init(w, s->flags);
	w->cfg.export_format = s->export_format;
	if (s->flags & T_WORKERS)
		w->cfg.late_opt_out_ms = WINDOW_MS;
}

/* Ring and spool hold some of it each. */
static void begin_marked(process *p, t_world *w, audio *a, k_needles **n)
{
	k_hits hits;

	tell(p, OPEN);
	tell(p, BEGIN);
	draw(a);
	*n = needles_of(a);
	push(p, a, 0, HALF);
	assert_true(memory_holds(p, *n, w->rings, NULL, &hits) > 0); /* the scan finds it */
	tell(p, DRAIN);
	push(p, a, HALF, HALF);
}

typedef enum moment {
	IN_CALL,
	IN_WINDOW, /* all parts are with the store */
	IN_UPLOAD  /* the store has been given a part, and not answered */
} moment;

static void opt_out_of(const scene *s, moment when, int killed)
{
	k_needles *n;
	process p, next;
	k_hits hits;
	t_world w;
	audio *a = calloc(1, sizeof *a);

	assert_non_null(a);
	make_world(&w, s);
	start(&p, &w);
	start(&next, &w); /* the one that recovers must not have the audio from us either */
	begin_marked(&p, &w, a, &n);
	assert_true(files_hold(n, w.rings) > 0);
	if (when == IN_UPLOAD)
		tell(&p, HOLD);
	if (when != IN_CALL) {
		tell(&p, HANG_UP);
		tell(&p, UPLOAD);
		if (when == IN_UPLOAD || (s->export_format == RCO_EXPORT_WAV && !(s->flags & T_DISK)))
			assert_true(memory_holds(&p, n, NULL, w.rings, &hits) > 0);
		if (when == IN_WINDOW && s->export_format == RCO_EXPORT_WAV && (s->flags & T_DISK))
			assert_true(files_hold(n, w.out) > 0);
	}
	tell(&p, OBJECT);
	if (when == IN_UPLOAD && !killed)
		tell(&p, RELEASE);
	if (killed) {
		end(&p, 1);
		p = next;
		tell(&p, OPEN);
	} else {
		end(&next, 1);
	}
	tell(&p, killed ? IDLE : VERIFIED); /* workers may have been done with it before the kill */
	assert_nowhere(&p, n);
	end(&p, 0);
	assert_int_equal(files_hold(n, w.root) + files_hold(n, w.rings), 0);
	t_world_destroy(&w);
	k_needles_free(n);
	free(a);
}

/*
 * Sanitizers, and a compiler that does not optimise, put on the stack what the shipped code has in registers, and
 * leave it there: their memory says nothing about ours.
 */
static void only_as_shipped(void)
{
#if T_SANITIZED || defined(T_COVERAGE) || !defined(__OPTIMIZE__)
	skip();
#endif
}

static void test_opt_out(void **state)
{
	size_t i;

	(void)state;
	only_as_shipped();
	for (i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
		print_message("    %s\n", scenes[i].name);
		opt_out_of(&scenes[i], IN_CALL, 0);
		opt_out_of(&scenes[i], IN_WINDOW, 0);
		opt_out_of(&scenes[i], IN_UPLOAD, 0);
	}
}

static void test_opt_out_and_crash(void **state)
{
	size_t i;

	(void)state;
	only_as_shipped();
	for (i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
		if (!(scenes[i].flags & T_SPOOL) || !(scenes[i].flags & T_DISK))
			continue; /* what only the memory held is gone with it */
		print_message("    %s\n", scenes[i].name);
		opt_out_of(&scenes[i], IN_CALL, 1);
		opt_out_of(&scenes[i], IN_WINDOW, 1);
		opt_out_of(&scenes[i], IN_UPLOAD, 1);
	}
}

/* A call that is kept: found where it has to be, and nowhere else. */
static void keep(const scene *s)
{
	k_needles *n;
	process p;
	k_hits hits;
	t_world w;
	audio *a = calloc(1, sizeof *a);

	assert_non_null(a);
	make_world(&w, s);
	if (s->flags & T_WORKERS)
		w.cfg.late_opt_out_ms = RCO_NONE_MS;
	start(&p, &w);
	begin_marked(&p, &w, a, &n);
	assert_true(k_not_dumped(p.pid, w.rings));
	tell(&p, DRAIN);
	if (s->flags & T_SPOOL) { /* scratch is wiped after each use, and not only at an opt-out */
		if (memory_holds(&p, n, NULL, w.rings, &hits) > 0)
			print_error("    drained, and memory holds %llu pieces, the first in %s\n",
			            (unsigned long long)hits.n, hits.first);
		assert_int_equal(hits.n, 0);
		assert_int_equal(files_hold(n, w.root), 0);
	}
	tell(&p, HANG_UP);
	tell(&p, STORED);
	if (s->export_format == RCO_EXPORT_WAV && (s->flags & T_DISK))
		assert_true(files_hold(n, w.out) > 0);
	if (s->export_format == RCO_EXPORT_WAV && !(s->flags & T_DISK))
		assert_true(memory_holds(&p, n, NULL, NULL, &hits) > 0); /* that is where the store is */
	if (s->flags & T_DISK) { /* the file is the host's; in the process there is nothing left of it */
		if (memory_holds(&p, n, NULL, NULL, &hits) > 0)
			print_error("    stored, and memory holds %llu pieces, the first in %s\n",
			            (unsigned long long)hits.n, hits.first);
		assert_int_equal(hits.n, 0);
	}
	assert_int_equal(files_hold(n, w.state), 0);
	end(&p, 0);
	t_world_destroy(&w);
	k_needles_free(n);
	free(a);
}

static void test_kept(void **state)
{
	size_t i;

	(void)state;
	only_as_shipped();
	for (i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
		print_message("    %s\n", scenes[i].name);
		keep(&scenes[i]);
	}
}

/* The loader, when it binds a function at its first call, leaves the registers on the stack: those of a thread
 * that has just pushed. The library is linked to be bound at once, and so is this program then. */
static void bind_now(char **argv)
{
	if (getenv("LD_BIND_NOW") != NULL)
		return;
	(void)setenv("LD_BIND_NOW", "1", 1);
	(void)setenv("TMPDIR", "/dev/shm", 0); /* no disk is needed to look for bytes */
	(void)execv("/proc/self/exe", argv);
	abort();
}

/* How the C library is told not to use what the processor has: which registers its copies go through depends on
 * it. */
static const char *const narrower[] = {
#if defined(__x86_64__) && defined(__GLIBC__)
	"glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW",
	"glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX",
	"glibc.cpu.hwcaps=-ERMS,-FSRM",
#endif
	NULL,
};

static int marker_tests(const char *name)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_opt_out),
		cmocka_unit_test(test_opt_out_and_crash),
	};

	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* The same in a process of its own; its summary is added by who counts. The exit code is the number of failures.
 */
static int run_narrower(char **argv, const char *tunables)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		(void)setenv("GLIBC_TUNABLES", tunables, 1);
		(void)setenv("MARKER_GROUP", tunables, 1);
		(void)execv("/proc/self/exe", argv);
		_exit(99);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 99;
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int failed, i;

	(void)argc;
	bind_now(argv);
	if (getenv("MARKER_GROUP") != NULL)
		return marker_tests(getenv("MARKER_GROUP"));
	failed = marker_tests("as this machine copies");
	(void)fflush(stdout);
	for (i = 0; narrower[i] != NULL; i++)
		failed += run_narrower(argv, narrower[i]);
	return failed < 100 ? failed : 99;
}
