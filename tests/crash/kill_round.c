/* SPDX-License-Identifier: MIT */
/* Processes: those that are killed, and those that come after them. */
#include "kill.h"

#include "../support.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 180 };

static pid_t fork_or_die(void)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		k_die("fork: %s", strerror(errno));
	if (pid == 0)
		(void)alarm(PATIENCE_S); /* what hangs is told as a fault */
	return pid;
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			k_die("waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

pid_t k_spawn_load(const char *root, uint32_t life)
{
	pid_t pid = fork_or_die();
	k_world w;

	if (pid != 0)
		return pid;
	k_world_attach(&w, root);
	k_load(&w, life);
	_exit(0);
}

static void recover_elsewhere(const char *root, k_verdict *verdict)
{
	k_verdict *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int rc;

	if (shared == MAP_FAILED)
		k_die("mmap: %s", strerror(errno));
	pid = fork_or_die();
	if (pid == 0) {
		k_recover(root, shared);
		_exit(0);
	}
	rc = reap(pid);
	*verdict = *shared;
	(void)munmap(shared, sizeof *shared);
	if (rc == 0)
		return;
	verdict->faults++;
	(void)snprintf(verdict->fault, sizeof verdict->fault, "the process that recovers ended with %d", rc);
}

int k_judge(k_world *w, const char *how, k_verdict *verdict)
{
	char before[160];

	(void)snprintf(before, sizeof before, "%s.before", w->root);
	k_world_copy(w, before);
	recover_elsewhere(w->root, verdict);
	if (verdict->faults == 0) {
		t_rmtree(before);
		return 0;
	}
	(void)fprintf(stderr,
	              "FAULT %s: %s (and %llu more)\n"
	              "  what was left by the kill: %s\n"
	              "  judge it again: build/tests/crash/campaign_kills --judge %s\n",
	              how, verdict->fault, (unsigned long long)verdict->faults - 1, before, before);
	return 1;
}

/* 1 if it was killed, 0 and a fault if it had ended by itself. */
static int kill_after(pid_t pid, uint64_t us, k_verdict *verdict)
{
	struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
	int rc;

	(void)nanosleep(&t, NULL); /* the moment is what is random: nothing is waited for */
	(void)kill(pid, SIGKILL);
	rc = reap(pid);
	if (rc == -SIGKILL)
		return 1;
	verdict->faults++;
	(void)snprintf(verdict->fault, sizeof verdict->fault, "the process under load ended with %d", rc);
	return 0;
}

int k_random_round(const char *under, uint64_t seed, uint32_t within_us, uint32_t *kills, k_verdict *verdict)
{
	char how[80];
	uint32_t life;
	int bad = 0;
	k_world w;

	memset(verdict, 0, sizeof *verdict);
	k_world_make(&w, under, K_HEAVY, seed);
	w.notes->lives = 1 + (uint32_t)(k_mix(seed) % K_LIVES);
	for (life = 0; life < w.notes->lives && !bad; life++) {
		bad = !kill_after(k_spawn_load(w.root, life), k_mix(seed * 4 + life) % within_us, verdict);
		*kills += !bad;
	}
	(void)snprintf(how, sizeof how, "random kill, seed %llu", (unsigned long long)seed);
	if (bad)
		(void)fprintf(stderr, "FAULT %s: %s (%s)\n", how, verdict->fault, w.root);
	else
		bad = k_judge(&w, how, verdict);
	if (!bad)
		k_world_remove(&w);
	else
		k_world_detach(&w);
	return bad;
}
