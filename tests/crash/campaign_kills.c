/* SPDX-License-Identifier: MIT */
/*
 * campaign_kills                        everything: at each system call, then at random
 * campaign_kills --calls SCRIPT [NAME]  only at system calls, of `driven` or `threads`
 * campaign_kills --random ROUNDS SEED   only at random
 * campaign_kills --at SCRIPT NAME N     one kill, again
 * campaign_kills --judge FOLDER         what a kill left, judged again
 */
#include "../support.h"

#include "kill.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LANES = 2,     /* at a time */
	NAMES = 96,    /* system calls */
	SURVIVALS = 3, /* runs that came to their end before the N-th call, before no later one is tried */
	FAULTS = 20,   /* and the campaign gives up */
	ROUNDS = 800,  /* of up to K_LIVES random kills */
	WITHIN_US = 150000,
	SEED = 4,       /* parts of 4096 bytes, WAV, a flush every 20 ms, a window */
	AT_LEAST = 2000 /* kills in all, or the campaign has failed */
};

static const char *const script_names[] = {"driven", "threads"};
static const char *self;

/* The seed of a script: what k_world_open() makes of it. */
static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- at system calls ---- */

typedef struct tally {
	char name[32];
	uint64_t before, most; /* calls before the library is entered; most of any thread in all */
	_Atomic uint64_t next; /* N that a lane takes */
	_Atomic uint64_t kills, survived, faults, calls, erased, frames;
} tally;

typedef struct sweep {
	k_script script;
	uint32_t n;
	tally of[NAMES];
} sweep;

static void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		k_die("mmap: %s", strerror(errno));
	return p;
}

static int reap(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid)
		k_die("waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Run the script below `root` under strace. Its exit code, or minus the signal that ended it. */
static int under_strace(const char *root, const char *log, const char *trace, const char *inject)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		k_die("fork: %s", strerror(errno));
	if (pid == 0) {
		if (inject != NULL)
			(void)execlp("strace", "strace", "-f", "-qqq", "-o", log, "-e", trace, "-e", inject, self,
			             "--load", root, (char *)NULL);
		else
			(void)execlp("strace", "strace", "-f", "-qqq", "-o", log, self, "--load", root,
			             (char *)NULL);
		k_die("strace cannot be run: %s", strerror(errno));
	}
	return reap(pid);
}

/* 1 killed and well, 0 it survived, -1 a fault. */
static int kill_at(k_script script, tally *t, uint64_t n)
{
	char trace[64], inject[96], how[96];
	k_verdict v = {0};
	int rc, bad = 0;
	k_world w;

	(void)snprintf(trace, sizeof trace, "trace=%s", t->name);
	(void)snprintf(inject, sizeof inject, "inject=%s:signal=KILL:when=%llu", t->name, (unsigned long long)n);
	(void)snprintf(how, sizeof how, "--at %s %s %llu", script_names[script], t->name, (unsigned long long)n);
	k_world_make(&w, "/dev/shm", script, SEED);
	rc = under_strace(w.root, "/dev/null", trace, inject);
	if (rc != 0 && rc != -SIGKILL) {
		(void)fprintf(stderr, "FAULT %s: the process under load ended with %d\n", how, rc);
		bad = 1;
	} else {
		bad = k_judge(&w, how, &v);
	}
	(void)atomic_fetch_add(&t->calls, v.calls);
	(void)atomic_fetch_add(&t->erased, v.erased);
	(void)atomic_fetch_add(&t->frames, v.frames);
	if (bad)
		k_world_detach(&w);
	else
		k_world_remove(&w);
	return bad ? -1 : rc == -SIGKILL;
}

static void sweep_one(sweep *s, tally *t, const _Atomic int *give_up)
{
	while (!atomic_load(give_up) && atomic_load(&t->survived) < SURVIVALS) {
		switch (kill_at(s->script, t, atomic_fetch_add(&t->next, 1))) {
		case 1:
			(void)atomic_fetch_add(&t->kills, 1);
			break;
		case 0:
			(void)atomic_fetch_add(&t->survived, 1);
			break;
		default:
			(void)atomic_fetch_add(&t->kills, 1);
			(void)atomic_fetch_add(&t->faults, 1);
		}
	}
}

static tally *tally_of(sweep *s, const char *name)
{
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->of[i].name, name) == 0)
			return &s->of[i];
	if (s->n == NAMES || strlen(name) >= sizeof s->of[0].name)
		k_die("more system calls than there is room for: %s", name);
	(void)snprintf(s->of[s->n].name, sizeof s->of[0].name, "%s", name);
	return &s->of[s->n++];
}

/* Calls of a thread, by its id. */
typedef struct thread_count {
	int tid;
	uint64_t of[NAMES];
} thread_count;

static thread_count *thread_of(thread_count *threads, int tid)
{
	while (threads->tid != 0 && threads->tid != tid)
		threads++;
	threads->tid = tid;
	return threads;
}

/*
 * Which calls there are, from a run that is not killed. strace counts them for each thread by itself. What the
 * loader does before the notes are opened leaves nothing behind, and is left out.
 */
static void count(sweep *s, const char *log)
{
	enum { THREADS = 64 };
	thread_count *threads = calloc(THREADS + 1, sizeof *threads);
	char line[4096], name[64];
	FILE *f = fopen(log, "r");
	int tid, entered = 0;

	if (f == NULL || threads == NULL)
		k_die("cannot read %s", log);
	while (fgets(line, sizeof line, f) != NULL) {
		uint64_t *n;
		tally *t;

		if (sscanf(line, "%d %40[a-z0-9_](", &tid, name) != 2 || strncmp(name, "exit", 4) == 0)
			continue; /* the other half of a call that was interrupted by another's line, or an exit */
		if (!entered && strstr(line, "/notes\"") != NULL)
			entered = 1;
		t = tally_of(s, name);
		n = &thread_of(threads, tid)->of[t - s->of];
		++*n;
		if (!entered)
			t->before = *n;
		t->most = *n > t->most ? *n : t->most;
	}
	(void)fclose(f);
	free(threads);
}

static void find_calls(sweep *s, const char *only)
{
	char log[160];
	uint32_t i;
	k_world w;
	int rc;

	k_world_make(&w, "/dev/shm", s->script, SEED);
	t_join(log, sizeof log, w.root, "strace");
	rc = under_strace(w.root, log, NULL, NULL);
	if (rc != 0)
		k_die("strace -f of a run that is not killed ended with %d. If it says \"Operation not "
		      "permitted\","
		      " ptrace is forbidden here, as in many containers: run them with --cap-add=SYS_PTRACE",
		      rc);
	count(s, log);
	for (i = 0; i < s->n; i++) {
		atomic_store(&s->of[i].next, s->of[i].before + 1);
		if (s->of[i].most <= s->of[i].before || (only != NULL && strcmp(only, s->of[i].name) != 0))
			atomic_store(&s->of[i].survived, SURVIVALS);
	}
	k_world_remove(&w);
}

static void tell_sweep(const sweep *s, double seconds)
{
	uint64_t kills = 0, faults = 0, frames = 0, erased = 0;
	uint32_t i;

	printf("\nscript \"%s\": killed at system calls, %.0f s\n  %-18s %10s %6s %9s %6s\n",
	       script_names[s->script], seconds, "system call", "boundaries", "kills", "recovered", "faults");
	for (i = 0; i < s->n; i++) {
		const tally *t = &s->of[i];
		uint64_t k = atomic_load(&t->kills), f = atomic_load(&t->faults);

		if (k > 0)
			printf("  %-18s %10llu %6llu %9llu %6llu\n", t->name,
			       (unsigned long long)(t->most - t->before), (unsigned long long)k,
			       (unsigned long long)(k - f), (unsigned long long)f);
		kills += k;
		faults += f;
		frames += atomic_load(&t->frames);
		erased += atomic_load(&t->erased);
	}
	printf("  %-18s %10s %6llu %9llu %6llu   %llu opt-outs, %llu kept frames judged\n", "all", "",
	       (unsigned long long)kills, (unsigned long long)(kills - faults), (unsigned long long)faults,
	       (unsigned long long)erased, (unsigned long long)frames);
	(void)fflush(stdout);
}

/* In LANES processes at a time. */
static void in_lanes(void (*fn)(void *arg, uint32_t lane), void *arg)
{
	pid_t pid[LANES];
	uint32_t i;
	int bad = 0;

	(void)fflush(NULL);
	for (i = 0; i < LANES; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			k_die("fork: %s", strerror(errno));
		if (pid[i] == 0) {
			fn(arg, i);
			(void)fflush(NULL);
			_exit(0);
		}
	}
	for (i = 0; i < LANES; i++)
		bad |= reap(pid[i]) != 0;
	if (bad)
		k_die("a process of the campaign did not come to its end");
}

typedef struct sweeping {
	sweep *s;
	_Atomic int give_up;
} sweeping;

static void sweep_lane(void *arg, uint32_t lane)
{
	sweeping *w = arg;
	uint32_t i, j;
	uint64_t faults;

	(void)lane;
	for (i = 0; i < w->s->n; i++) {
		sweep_one(w->s, &w->s->of[i], &w->give_up);
		for (j = 0, faults = 0; j < w->s->n; j++)
			faults += atomic_load(&w->s->of[j].faults);
		if (faults >= FAULTS)
			atomic_store(&w->give_up, 1);
	}
}

/* Adds to *kills; returns the faults. */
static uint64_t sweep_script(k_script script, const char *only, uint64_t *kills)
{
	sweeping *w = share(sizeof *w);
	double began = now_s();
	uint64_t faults = 0;
	uint32_t i;

	w->s = share(sizeof *w->s);
	w->s->script = script;
	find_calls(w->s, only);
	in_lanes(sweep_lane, w);
	tell_sweep(w->s, now_s() - began);
	for (i = 0; i < w->s->n; i++) {
		*kills += atomic_load(&w->s->of[i].kills);
		faults += atomic_load(&w->s->of[i].faults);
	}
	(void)munmap(w->s, sizeof *w->s);
	(void)munmap(w, sizeof *w);
	return faults;
}

/* ---- at random ---- */

typedef struct randomly {
	uint64_t seed;
	uint32_t rounds;
	_Atomic uint32_t next;
	_Atomic uint64_t kills, faults, calls, erased, frames;
} randomly;

static void random_lane(void *arg, uint32_t lane)
{
	const char *disk = getenv("TMPDIR");
	randomly *r = arg;
	uint32_t i;

	(void)lane;
	if (disk == NULL || disk[0] == '\0')
		disk = "/tmp";
	while ((i = atomic_fetch_add(&r->next, 1)) < r->rounds && atomic_load(&r->faults) < FAULTS) {
		uint32_t kills = 0;
		k_verdict v;

		/* On a disk it waits inside fdatasync(), in memory it gets further. */
		if (k_random_round(i % 2 == 0 ? disk : "/dev/shm", r->seed + i, WITHIN_US, &kills, &v) != 0)
			(void)atomic_fetch_add(&r->faults, 1);
		(void)atomic_fetch_add(&r->kills, kills);
		(void)atomic_fetch_add(&r->calls, v.calls);
		(void)atomic_fetch_add(&r->erased, v.erased);
		(void)atomic_fetch_add(&r->frames, v.frames);
	}
}

static uint64_t kill_randomly(uint32_t rounds, uint64_t seed, uint64_t *kills)
{
	randomly *r = share(sizeof *r);
	double began = now_s();
	uint64_t faults;

	r->seed = seed;
	r->rounds = rounds;
	in_lanes(random_lane, r);
	faults = atomic_load(&r->faults);
	*kills += atomic_load(&r->kills);
	printf("\nrandom, seed %llu: %u folders, %llu kills, %llu calls, %llu of them opted out, %llu kept frames "
	       "judged, %llu faults, %.0f s\n",
	       (unsigned long long)seed, rounds, (unsigned long long)atomic_load(&r->kills),
	       (unsigned long long)atomic_load(&r->calls), (unsigned long long)atomic_load(&r->erased),
	       (unsigned long long)atomic_load(&r->frames), (unsigned long long)faults, now_s() - began);
	(void)munmap(r, sizeof *r);
	return faults;
}

/* ---- one again ---- */

static int judge_copy(const char *folder)
{
	k_world from, w;
	k_verdict v;
	int bad;

	k_world_attach(&from, folder);
	from.notes->rings[0] = '\0'; /* its rings lie in it */
	k_world_make(&w, "/dev/shm", K_DRIVEN, 0);
	t_rmtree(w.root);
	k_world_copy(&from, w.root);
	k_world_detach(&w);
	k_world_attach(&w, w.root);
	bad = k_judge(&w, folder, &v);
	(void)printf("%s: %s\n", folder, bad ? "faults" : "as promised");
	if (bad)
		k_world_detach(&w);
	else
		k_world_remove(&w);
	return bad;
}

static k_script script_of(const char *name)
{
	if (strcmp(name, "driven") != 0 && strcmp(name, "threads") != 0)
		k_die("a script is \"driven\" or \"threads\", not \"%s\"", name);
	return strcmp(name, "driven") == 0 ? K_DRIVEN : K_THREADS;
}

static void load(const char *root)
{
	k_world w;

	k_world_attach(&w, root);
	k_load(&w, 0);
	k_world_detach(&w);
}

static int everything(void)
{
	uint64_t kills = 0, faults;
	double began = now_s();

	faults = sweep_script(K_DRIVEN, NULL, &kills);
	faults += sweep_script(K_THREADS, NULL, &kills);
	faults += kill_randomly(ROUNDS, (uint64_t)time(NULL) * 10000, &kills);
	printf("\n%llu kills in %.0f s, %llu faults\n", (unsigned long long)kills, now_s() - began,
	       (unsigned long long)faults);
	if (kills < AT_LEAST)
		printf("That is fewer than the %d that it has to be.\n", AT_LEAST);
	return faults > 0 || kills < AT_LEAST;
}

int main(int argc, char **argv)
{
	static tally one;
	uint64_t kills = 0;
	char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	if (n < 0)
		k_die("/proc/self/exe: %s", strerror(errno));
	path[n] = '\0';
	self = path;
	if (argc == 1)
		return everything();
	if (argc == 3 && strcmp(argv[1], "--load") == 0) {
		load(argv[2]);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--judge") == 0)
		return judge_copy(argv[2]);
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "--calls") == 0)
		return sweep_script(script_of(argv[2]), argv[3], &kills) > 0;
	if (argc == 4 && strcmp(argv[1], "--random") == 0)
		return kill_randomly((uint32_t)strtoul(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), &kills) >
		       0;
	if (argc == 5 && strcmp(argv[1], "--at") == 0) {
		(void)snprintf(one.name, sizeof one.name, "%s", argv[3]);
		return kill_at(script_of(argv[2]), &one, strtoull(argv[4], NULL, 10)) < 0;
	}
	k_die("usage: see the top of campaign_kills.c");
}
