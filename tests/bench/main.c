/* SPDX-License-Identifier: MIT */
/*
 * bench [--out DIR] [GROUP...]        measure, print the table, write DIR/results.json
 * bench --list                        the groups
 * bench --draw results.json DIR       the plots of an earlier run as DIR/NAME.svg
 *
 * --out is build/bench without being told otherwise. Only a run of all groups writes results.json; one of some of
 * them writes some.json. A folder of the run, for everything that is measured on a disk, is made in DIR too.
 * The exit code is 1 if a group could not run. A goal that was missed is no error.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, LINE_ROOM = 8192, MOST_SECONDS = 600, LOOK_MS = 200 };

typedef struct run {
	const char *out;
	char disk[PATH_ROOM], memory[PATH_ROOM];
	json_t *results;
	int failed;
} run;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

/* ---- folders ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		fprintf(stderr, "bench: %s could not be removed: %s\n", path, strerror(errno));
}

static int make_folder(char *path, const char *parent)
{
	if (snprintf(path, PATH_ROOM, "%s/rco-bench.XXXXXX", parent) < PATH_ROOM && mkdtemp(path) != NULL)
		return 0;
	path[0] = '\0';
	return -1;
}

/* Each folder of the path; those that are there are fine. */
static int make_folders(const char *path)
{
	char part[PATH_ROOM];
	size_t i, n = strlen(path);

	if (n == 0 || n >= sizeof part)
		return -1;
	for (i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0777) != 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

static int folders_make(run *r)
{
	char real[PATH_ROOM];

	/* Engines and daemons want them absolute. */
	if (make_folders(r->out) != 0 || realpath(r->out, real) == NULL || make_folder(r->disk, real) != 0) {
		fprintf(stderr, "bench: no folder can be made in %s: %s\n", r->out, strerror(errno));
		return -1;
	}
	if (make_folder(r->memory, "/dev/shm") != 0)
		(void)snprintf(r->memory, sizeof r->memory, "%s", r->disk);
	return 0;
}

static void folders_remove(run *r)
{
	if (r->memory[0] != '\0' && strcmp(r->memory, r->disk) != 0)
		remove_tree(r->memory);
	if (r->disk[0] != '\0')
		remove_tree(r->disk);
}

/* ---- the child ---- */

static const b_group *group_of(const char *name)
{
	const b_group *g;

	for (g = b_groups; g->name != NULL; g++)
		if (strcmp(g->name, name) == 0)
			return g;
	return NULL;
}

/* bench --child GROUP DISK MEMORY, with the pipe as descriptor 3. */
static int child_main(char **argv)
{
	const b_group *g = group_of(argv[0]);

	if (g == NULL)
		return 2;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)fcntl(3, F_SETFD, FD_CLOEXEC);
	b_report_to(3);
	b_folders(argv[1], argv[2]);
	g->run();
	return 0;
}

static pid_t child_start(const run *r, const b_group *g, int *from)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends) != 0)
		return -1;
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* What a group or its daemons print must not get between the lines of the table. */
		if (setpgid(0, 0) != 0 || dup2(2, 1) < 0 || dup2(ends[1], 3) < 0)
			_exit(127);
		if (ends[0] != 3)
			(void)close(ends[0]);
		if (ends[1] != 3)
			(void)close(ends[1]);
		(void)execl("/proc/self/exe", "bench", "--child", g->name, r->disk, r->memory, (char *)NULL);
		_exit(127);
	}
	(void)close(ends[1]);
	if (pid < 0)
		(void)close(ends[0]);
	*from = ends[0];
	return pid;
}

/* ---- what it reports ---- */

static json_t *member(json_t *object, const char *name)
{
	json_t *it = json_object_get(object, name);

	if (it == NULL) {
		it = json_object();
		(void)json_object_set_new(object, name, it);
	}
	return it;
}

static void add_point(json_t *plots, json_t *line)
{
	json_t *plot = member(plots, json_string_value(json_object_get(line, "plot")));
	json_t *series = member(plot, "series");
	const char *name = json_string_value(json_object_get(line, "series"));
	json_t *points = json_object_get(series, name);

	if (points == NULL) {
		points = json_array();
		(void)json_object_set_new(series, name, points);
	}
	(void)json_array_append_new(points,
	                            json_pack("[OO]", json_object_get(line, "x"), json_object_get(line, "y")));
}

static void add_axes(json_t *plots, json_t *line)
{
	json_t *plot = member(plots, json_string_value(json_object_get(line, "plot")));

	(void)json_object_set(plot, "title", json_object_get(line, "title"));
	(void)json_object_set(plot, "x", json_object_get(line, "x"));
	(void)json_object_set(plot, "y", json_object_get(line, "y"));
}

static void take_line(run *r, json_t *group, const char *text)
{
	json_error_t wrong;
	json_t *line = json_loads(text, 0, &wrong), *plots = member(r->results, "plots");
	const char *type = json_string_value(json_object_get(line, "type"));

	if (type == NULL) {
		(void)json_object_set_new(group, "error", json_string("a row came in pieces"));
	} else if (strcmp(type, "point") == 0) {
		add_point(plots, line);
	} else if (strcmp(type, "axes") == 0) {
		add_axes(plots, line);
	} else if (strcmp(type, "error") == 0) {
		(void)json_object_set(group, "error", json_object_get(line, "error"));
	} else {
		(void)json_object_del(line, "type");
		(void)json_array_append(json_object_get(group, "rows"), line);
		if (strcmp(type, "row") == 0)
			fprintf(stderr, "  %s: %.6g %s\n", json_string_value(json_object_get(line, "what")),
			        json_number_value(json_object_get(line, "value")),
			        json_string_value(json_object_get(line, "unit")));
	}
	json_decref(line);
}

typedef struct lines {
	char text[LINE_ROOM];
	size_t held;
} lines;

/* Whatever is in the pipe. 1: there may be more later. */
static int take_some(run *r, json_t *group, int from, lines *l)
{
	ssize_t n = read(from, l->text + l->held, sizeof l->text - 1 - l->held);
	char *end;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	l->held += (size_t)n;
	l->text[l->held] = '\0';
	while ((end = strchr(l->text, '\n')) != NULL) {
		*end = '\0';
		take_line(r, group, l->text);
		l->held -= (size_t)(end + 1 - l->text);
		memmove(l->text, end + 1, l->held + 1);
	}
	if (l->held == sizeof l->text - 1)
		l->held = 0; /* the rest of it will be told as a row in pieces */
	return n > 0;
}

/* Until the child ended and its pipe is empty; what it has started must not outlive it. Its status. */
static int attend(run *r, json_t *group, pid_t pid, int from)
{
	double until = b_now_ns() + MOST_SECONDS * 1e9;
	struct pollfd p = {.fd = from, .events = POLLIN};
	lines *l = calloc(1, sizeof *l);
	int status = -1;
	nfds_t open = l != NULL;

	(void)fcntl(from, F_SETFL, O_NONBLOCK);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (interrupted || b_now_ns() > until) {
			if (!interrupted)
				(void)json_object_set_new(group, "error",
				                          json_string("was not over in 10 minutes"));
			(void)kill(-pid, SIGKILL);
		}
		if (poll(&p, open, LOOK_MS) > 0)
			open = (nfds_t)take_some(r, group, from, l);
	}
	(void)kill(-pid, SIGKILL);
	while (open && poll(&p, 1, 0) > 0)
		open = (nfds_t)take_some(r, group, from, l);
	free(l);
	return status;
}

static void run_group(run *r, const b_group *g)
{
	json_t *group = json_pack("{ss ss s[]}", "name", g->name, "about", g->about, "rows");
	char why[128];
	double begin = b_now_ns();
	int from = -1, status;
	pid_t pid;

	(void)json_array_append_new(json_object_get(r->results, "groups"), group);
	if (g->run == NULL) {
		(void)json_object_set_new(group, "error", json_string("not built"));
		r->failed = 1;
		return;
	}
	fprintf(stderr, "%s: %s\n", g->name, g->about);
	if (folders_make(r) != 0 || (pid = child_start(r, g, &from)) < 0) {
		(void)json_object_set_new(group, "error", json_string("could not be started"));
		folders_remove(r);
		r->failed = 1;
		return;
	}
	status = attend(r, group, pid, from);
	(void)close(from);
	folders_remove(r);
	(void)json_object_set_new(group, "seconds", json_real((b_now_ns() - begin) / 1e9));
	if (json_object_get(group, "error") == NULL && status != 0) {
		(void)snprintf(why, sizeof why, WIFSIGNALED(status) ? "ended by signal %d" : "ended with code %d",
		               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		(void)json_object_set_new(group, "error", json_string(why));
	}
	if (json_object_get(group, "error") != NULL)
		r->failed = 1;
}

/* ---- the parent ---- */

static int write_results(const run *r, const char *name)
{
	char path[PATH_ROOM], temporary[PATH_ROOM];

	if (snprintf(path, sizeof path, "%s/%s.json", r->out, name) >= (int)sizeof path ||
	    snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary ||
	    json_dump_file(r->results, temporary, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0 ||
	    rename(temporary, path) != 0) {
		fprintf(stderr, "bench: %s.json cannot be written into %s\n", name, r->out);
		return -1;
	}
	printf("\n%s\n", path);
	return 0;
}

static int measure(run *r, char **names)
{
	struct sigaction act = {.sa_handler = on_signal};
	const b_group *g;
	char **name;

	for (name = names; *name != NULL; name++)
		if (group_of(*name) == NULL) {
			fprintf(stderr, "bench: there is no group \"%s\"; see bench --list\n", *name);
			return 2;
		}
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	if (make_folders(r->out) != 0) {
		fprintf(stderr, "bench: %s cannot be made: %s\n", r->out, strerror(errno));
		return 1;
	}
	r->results = json_pack("{so s[] s{}}", "machine", b_machine(r->out), "groups", "plots");
	for (g = b_groups; g->name != NULL && !interrupted; g++) {
		for (name = names; *name != NULL && strcmp(*name, g->name) != 0; name++)
			;
		if (*names == NULL || *name != NULL)
			run_group(r, g);
	}
	if (interrupted)
		return 128 + interrupted;
	b_table(stdout, r->results);
	if (write_results(r, *names == NULL ? "results" : "some") != 0 || b_plots(r->results, r->out) != 0)
		return 1;
	return r->failed;
}

static int draw(const char *path, const char *dir)
{
	json_error_t wrong;
	json_t *results = json_load_file(path, 0, &wrong);
	int rc;

	if (results == NULL) {
		fprintf(stderr, "bench: %s: %s\n", path, wrong.text);
		return 1;
	}
	rc = make_folders(dir) == 0 ? b_plots(results, dir) : -1;
	json_decref(results);
	return rc == 0 ? 0 : 1;
}

static int usage(void)
{
	fprintf(stderr, "usage: bench [--out DIR] [GROUP...] | --list | --draw RESULTS.json DIR\n");
	return 2;
}

int main(int argc, char **argv)
{
	run r = {.out = "build/bench"};
	const b_group *g;
	int rc;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 5 && strcmp(argv[1], "--child") == 0)
		return child_main(argv + 2);
	if (argc == 4 && strcmp(argv[1], "--draw") == 0)
		return draw(argv[2], argv[3]);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (g = b_groups; g->name != NULL; g++)
			printf("%-10s %s%s\n", g->name, g->about, g->run == NULL ? " (not built)" : "");
		return 0;
	}
	argv++;
	if (*argv != NULL && strcmp(*argv, "--out") == 0) {
		if (argv[1] == NULL)
			return usage();
		r.out = argv[1];
		argv += 2;
	}
	if (*argv != NULL && **argv == '-')
		return usage();
	rc = measure(&r, argv);
	json_decref(r.results);
	return rc;
}
