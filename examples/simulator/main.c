/* SPDX-License-Identifier: MIT */
/*
 * A rehearsal: a scripted call on the terminal, with the real library behind it.
 *
 *   simulator SCRIPT.json [--fast | --speed N] [--plain | --json] [--fault slow-upload|failing-delete|crash]
 *             [--picture FILE.svg] [--folder DIR] [--dialect NAME]
 *
 * Time is simulated: an engine that the program drives itself, with a clock of its own. So a call can run faster
 * than real time, and with --fast as fast as it goes, always the same.
 */
#include "simulator.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { AFTERWARDS_S = 180 };

/* Exit code of the first process, when it was left before it could be killed. */
enum { LEFT = 3 };

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void usage(FILE *to)
{
	(void)fputs(
		"usage: simulator SCRIPT.json [options]\n\n"
		"  --fast             as fast as it goes; the same every time\n"
		"  --speed N          N times as fast as real time; default 1\n"
		"  --plain            lines instead of the whole screen; so also where there is no terminal\n"
		"  --json             a JSON object a line, for scripts\n"
		"  --fault WHAT       slow-upload (each part takes 3 s), failing-delete (nothing can be deleted "
		"for 3 s,\n"
		"                     also not a copy that the host has made), or crash (killed in the middle of\n"
		"                     the erasure)\n"
		"  --picture FILE     draw the call as SVG\n"
		"  --folder DIR       keep ledger and recordings there; default: a temporary folder, removed\n"
		"  --dialect NAME     whose tool call is rehearsed; default openai-chat\n"
		"  --help\n\n"
		"While it runs: type what the caller says, or /opt-out /pause /resume /hang-up /quit. An "
		"objection\n"
		"that is typed, in English or German, is understood.\n"
		"Exit code 0 if the call ended as it should: kept bit by bit, or verified to be gone; 1 if not, "
		"or\n"
		"if it was left; 2 for options or a script that cannot be used.\n",
		to);
}

/* A bad option: why, and where more is told. */
static int bad(const char *why, const char *value)
{
	char text[600];

	(void)snprintf(text, sizeof text, "%s%s%s%s", why, value != NULL ? ", not \"" : "",
	               value != NULL ? value : "", value != NULL ? "\"" : "");
	clean(text);
	(void)fprintf(stderr, "simulator: %s\nsimulator --help tells more\n", text);
	return 0;
}

static int set_fault(options *o, const char *name)
{
	static const char *const names[] = {"none", "slow-upload", "failing-delete", "crash"};
	int i;

	for (i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0) {
			o->fault = i;
			return 1;
		}
	return bad("--fault is slow-upload, failing-delete or crash", name);
}

static int set_speed(options *o, const char *text)
{
	char *end;

	o->speed = strtod(text, &end);
	if (end == text || *end != '\0' || !(o->speed >= 0.01 && o->speed <= 1000))
		return bad("--speed is a number from 0.01 to 1000", text);
	return 1;
}

static int set_dialect(options *o, const char *name)
{
	char names[400] = "";
	uint32_t d;

	for (d = 1; rco_dialect_name(d) != NULL; d++) {
		size_t used = strlen(names);

		if (strcmp(rco_dialect_name(d), name) == 0) {
			o->dialect = name;
			return 1;
		}
		(void)snprintf(names + used, sizeof names - used, "%s%s", d > 1 ? " " : "--dialect is one of ",
		               rco_dialect_name(d));
	}
	return bad(names, name);
}

/* The picture is drawn when all is over: that it can be is looked at before, and leaves nothing there. */
static int set_picture(options *o, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), made = fd >= 0;

	o->picture = path;
	if (!made && errno == EEXIST)
		fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || close(fd) != 0 || (made && unlink(path) != 0))
		return bad(strerror(errno), path);
	return 1;
}

static int set(options *o, int option, const char *value)
{
	switch (option) {
	case 'f':
		o->fast = 1;
		return 1;
	case 's':
		return set_speed(o, value);
	case 'j':
		o->json = 1;
		return 1;
	case 'n':
		o->plain = 1;
		return 1;
	case 'x':
		return set_fault(o, value);
	case 'p':
		return set_picture(o, value);
	case 'd':
		o->folder = value;
		return value[0] != '\0' || bad("--folder is the path of a folder", value);
	case 'l':
		return set_dialect(o, value);
	case 'h':
		usage(stdout);
		exit(0);
	default: /* getopt_long() has said why */
		return 0;
	}
}

static int parse(int argc, char **argv, options *o)
{
	static const struct option known[] = {
		{"fast", no_argument, NULL, 'f'},         {"speed", required_argument, NULL, 's'},
		{"plain", no_argument, NULL, 'n'},        {"json", no_argument, NULL, 'j'},
		{"fault", required_argument, NULL, 'x'},  {"picture", required_argument, NULL, 'p'},
		{"folder", required_argument, NULL, 'd'}, {"dialect", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int option;

	*o = (options){.speed = 1, .dialect = "openai-chat"};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (!set(o, option, optarg))
			return 0;
	if (optind == argc)
		return bad("which script? There are some in examples/simulator/scripts", NULL);
	if (optind + 1 < argc)
		return bad("one script is rehearsed at a time", argv[optind + 1]);
	if (o->fast && o->speed != 1)
		return bad("--fast and --speed exclude each other", NULL);
	if (o->json && o->plain)
		return bad("--json and --plain exclude each other", NULL);
	o->interactive = !o->fast && isatty(STDIN_FILENO);
	o->script = argv[optind];
	return 1;
}

/* ---- the engine ---- */

static int64_t clock_us(void *user_data)
{
	return ((const call *)user_data)->t->now_us;
}

static void hear(const rco_event *event, void *user_data)
{
	call *c = user_data;

	tell_event(c, event);
	c->stored |= event->type == RCO_EVENT_STORED;
	c->recorded |= event->type == RCO_EVENT_CALL_RECORD;
	/* In the middle of the erasure: what is to be done is on disk, and not done. */
	if (c->o->fault == FAULT_CRASH && event->type == RCO_EVENT_DURABLE && c->session != NULL) {
		tell(c, "crash", "the process is killed");
		(void)kill(getpid(), SIGKILL);
	}
}

static int open_engine(call *c)
{
	rco_clock clock = {.struct_size = (uint32_t)sizeof clock,
	                   .wall_us = clock_us,
	                   .monotonic_us = clock_us,
	                   .user_data = c};
	rco_engine_config config = {.struct_size = (uint32_t)sizeof config,
	                            .flags = RCO_ENGINE_HOST_DRIVEN,
	                            .ring_pool_bytes = 4u << 20,
	                            .opt_out_enabled = 1,
	                            .state_dir = c->state,
	                            .output_dir = c->out,
	                            .ring_dir = c->o->folder,
	                            .clock = &clock,
	                            .event = hear,
	                            .event_user_data = c};

	c->faults = faults_open(c);
	if (c->faults == NULL)
		return 0;
	faults_config(c->faults, &config);
	if (rco_engine_create(&config, &c->engine) == RCO_OK)
		return 1;
	(void)fprintf(stderr, "simulator: %s\n", rco_error_detail());
	return 0;
}

/* What a recorder of the host's own would have written: what is to be deleted in a call that goes on. */
static int copy_of_the_host(call *c)
{
	FILE *file = fopen(c->copy, "w");

	if (file == NULL || fputs("a copy of the recording\n", file) < 0 || fclose(file) != 0)
		return RCO_E_IO;
	return rco_session_register_artifact(c->session, RCO_KIND_AUDIO, c->copy, NULL);
}

static int open_call(call *c)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = c->s->call_id};
	int leg, rc = rco_session_create(c->engine, &o, &c->session);

	if (rc == RCO_OK && c->o->fault == FAULT_FAILING_DELETE)
		rc = copy_of_the_host(c);

	for (leg = 0; rc == RCO_OK && leg < LEGS; leg++) {
		if (!voice_open(&c->voice[leg], c->s->wav[leg], (uint32_t)leg + 1))
			return 0;
		rc = rco_session_add_leg(c->session, leg == CALLER ? "caller" : "agent",
		                         voice_format(&c->voice[leg]), &c->leg[leg]);
	}
	if (rc == RCO_OK)
		rc = rco_session_start(c->session);
	if (rc != RCO_OK)
		(void)fprintf(stderr, "simulator: %s\n", rco_error_detail());
	return rc == RCO_OK;
}

/* ---- time ---- */

static void keep(call *c, int leg, const int16_t *samples, size_t n)
{
	if (c->kept_samples[leg] + n > c->kept_room[leg]) {
		size_t room = (c->kept_room[leg] + n) * 2;
		int16_t *more = realloc(c->kept[leg], room * sizeof *more);

		if (more == NULL)
			abort();
		c->kept[leg] = more;
		c->kept_room[leg] = room;
	}
	memcpy(c->kept[leg] + c->kept_samples[leg], samples, n * sizeof *samples);
	c->kept_samples[leg] += n;
}

static void speak(call *c)
{
	story *t = c->t;
	int16_t frame[960];
	int leg;

	for (leg = 0; leg < LEGS; leg++) {
		size_t n = voice_next(&c->voice[leg], now_s(c), frame), i;
		int peak = 0;

		for (i = 0; i < n; i++)
			peak = abs(frame[i]) > peak ? abs(frame[i]) : peak;
		t->level[leg] = peak / 32768.0;
		if (rco_session_push(c->session, c->leg[leg], voice_format(&c->voice[leg]), frame, n * 2) !=
		    RCO_OK)
			continue;
		keep(c, leg, frame, n);
		t->recorded_bytes += n * 2;
		if (t->ticks < PEAKS_MAX)
			t->peak[leg][t->ticks] = (uint8_t)(1 + peak / 129);
	}
}

static void look(call *c)
{
	if (interrupted)
		c->quit = 1;
	if (c->view != NULL)
		view_look(c->view);
	else
		read_keyboard(c);
}

/* So long as a tick lasts, with an eye on the keyboard. */
static void wait_a_tick(call *c)
{
	double left_ms = TICK_MS / c->o->speed;

	while (!c->o->fast && left_ms > 0 && !c->quit) {
		double slice = left_ms < TICK_MS ? left_ms : TICK_MS;
		struct timespec t = {.tv_nsec = (long)(slice * 1e6)};

		(void)nanosleep(&t, NULL); /* a signal ends it: the next look sees why */
		left_ms -= slice;
		look(c);
	}
}

static void tick(call *c)
{
	c->t->now_us += TICK_MS * 1000;
	c->t->ticks++;
	wait_a_tick(c);
	look(c);
	faults_tick(c->faults);
	(void)rco_engine_run(c->engine, 0, 0);
}

static uint32_t status_of(call *c)
{
	rco_receipt *r = NULL;
	uint32_t status = RCO_STATUS_UNKNOWN;

	if (rco_engine_receipt(c->engine, c->s->call_id, &r) == RCO_OK)
		status = rco_receipt_status(r);
	rco_receipt_free(r);
	return status;
}

static int is_over(call *c)
{
	uint32_t status = status_of(c);

	if (status != RCO_STATUS_UNKNOWN)
		return (status == RCO_STATUS_VERIFIED || status == RCO_STATUS_NOT_RECORDING) && c->recorded &&
		       c->t->moment[SWEPT] >= 0;
	return c->stored && c->recorded;
}

/* Until everything that follows has been done, or so long that it should have been. */
static void wait_for_the_end(call *c)
{
	int64_t until = c->t->now_us + (int64_t)AFTERWARDS_S * 1000000;

	c->t->level[CALLER] = c->t->level[AGENT] = 0;
	while (!c->quit && c->t->now_us < until && !is_over(c)) {
		while (c->next_step < c->s->count && c->s->steps[c->next_step].at_s <= now_s(c))
			do_step(c, &c->s->steps[c->next_step++]);
		react(c);
		tick(c);
	}
}

static void run_call(call *c)
{
	step hang_up = {.who = -1, .text = "hang_up"};

	while (!c->ended && !c->quit) {
		while (!c->ended && c->next_step < c->s->count && c->s->steps[c->next_step].at_s <= now_s(c))
			do_step(c, &c->s->steps[c->next_step++]);
		if (!c->ended && c->next_step == c->s->count &&
		    now_s(c) > c->s->steps[c->s->count - 1].at_s + (c->o->interactive ? 60 : 2))
			do_step(c, &hang_up);
		react(c);
		if (!c->ended)
			speak(c);
		tick(c);
	}
}

/* ---- how it ended ---- */

static int ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* Does the file hold what was accepted of its leg? */
static int is_bit_exact(const call *c, const char *name)
{
	char path[1200];
	size_t samples = 0;
	uint32_t rate;
	int16_t *stored;
	int leg = ends_with(name, ".caller.wav") ? CALLER : AGENT, same;

	(void)snprintf(path, sizeof path, "%s/%s", c->out, name);
	stored = wav_read(path, &samples, &rate);
	same = stored != NULL && samples == c->kept_samples[leg] &&
	       memcmp(stored, c->kept[leg], samples * sizeof *stored) == 0;
	free(stored);
	return same;
}

static void judge_fault(call *c)
{
	if (c->o->fault == FAULT_FAILING_DELETE && faults_count(c->faults) == 0)
		tell(c, "fault",
		     "failing-delete did not come into play: nobody objected, and nothing was to be deleted");
	if (c->o->fault == FAULT_SLOW_UPLOAD && faults_count(c->faults) == 0)
		tell(c, "fault", "slow-upload did not come into play: nothing was uploaded");
}

static int judge_files(call *c, json_t *files, int *audio)
{
	struct dirent *e;
	DIR *d = opendir(c->out);
	int exact = 0;
	uint32_t status = status_of(c);

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)json_array_append_new(files, json_string(e->d_name));
		if (strstr(e->d_name, ".wav") == NULL)
			continue;
		*audio += 1;
		exact += is_bit_exact(c, e->d_name);
	}
	if (d != NULL)
		(void)closedir(d);
	if (status == RCO_STATUS_UNKNOWN)
		return *audio == LEGS && exact == LEGS;
	return *audio == 0 && access(c->copy, F_OK) != 0 &&
	       (status == RCO_STATUS_VERIFIED || status == RCO_STATUS_NOT_RECORDING);
}

/* A sentence for the person at the screen. */
static void tell_result(call *c, int good, int audio)
{
	const char *status = status_of(c) != 0 ? rco_status_name(status_of(c)) : "kept";
	char text[800], where[640];

	if (audio == 0)
		where[0] = '\0';
	else if (c->o->temporary)
		(void)snprintf(where, sizeof where,
		               ", in a temporary folder that is removed now (--folder keeps them)");
	else
		(void)snprintf(where, sizeof where, " in %s", c->out);
	if (c->quit)
		(void)snprintf(text, sizeof text, "left before it was over: %s so far, nothing is judged", status);
	else
		(void)snprintf(text, sizeof text, "%s: %d recordings%s%s", status, audio, where,
		               good ? "" : "; THIS IS NOT AS IT SHOULD BE");
	clean(text);
	if (c->view != NULL) {
		size_t i;

		view_wait(c->view, text);
		view_close(c->view);
		c->view = NULL;
		for (i = told_first(c->t); i < c->t->count; i++)
			told_print(stdout, told_at(c->t, i));
	}
	(void)printf("\n%s\n", text);
}

static int judge(call *c)
{
	json_t *files = json_array();
	int audio = 0, good;

	judge_fault(c);
	good = judge_files(c, files, &audio) && !c->quit;
	if (c->o->json)
		tell_json(c, "result",
		          json_pack("{s:b, s:s, s:i, s:O}", "ok", good, "status",
		                    status_of(c) != 0 ? rco_status_name(status_of(c)) : "kept", "audio_files",
		                    audio, "files", files));
	else
		tell_result(c, good, audio);
	json_decref(files);
	c->judged = 1;
	return good;
}

static void close_all(call *c)
{
	int leg;

	if (c->view != NULL)
		view_close(c->view);
	c->view = NULL;
	rco_session_free(c->session);
	rco_engine_free(c->engine);
	faults_close(c->faults);
	for (leg = 0; leg < LEGS; leg++) {
		voice_close(&c->voice[leg]);
		free(c->kept[leg]);
	}
}

static struct view *open_view(call *c)
{
	const options *o = c->o;

	return o->json || o->fast || o->plain || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ? NULL
	                                                                                         : view_open(c);
}

/* What follows when an engine is there. */
static int end_well(call *c)
{
	int good = judge(c);

	if (c->o->picture != NULL)
		good &= picture_write(c, c->o->picture);
	return good;
}

static int rehearse(call *c)
{
	int good = open_engine(c) && open_call(c);

	if (good) {
		c->view = open_view(c);
		run_call(c);
		wait_for_the_end(c);
		good = end_well(c);
	}
	close_all(c);
	return good;
}

/* The first process dies in the middle; this one takes up what it left, and tells the story on. */
static int rehearse_crash(call *c)
{
	int status, good, terminal;
	struct termios modes;
	pid_t pid, ended;

	terminal = tcgetattr(STDIN_FILENO, &modes) == 0;
	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		return 0;
	if (pid == 0)
		_exit(rehearse(c) ? 0 : c->quit ? LEFT : 1);
	while ((ended = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (ended == pid && WIFEXITED(status) && WEXITSTATUS(status) == LEFT)
		return 0; /* it has said so */
	if (ended != pid || !WIFSIGNALED(status)) {
		(void)fprintf(
			stderr,
			"simulator: the process was to be killed when somebody objects: there was no opt-out\n");
		return 0;
	}
	if (terminal) /* the dead one had it for its screen */
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
	if (c->t->ended_at_s < 0) {
		c->t->ended_at_s = now_s(c);
		c->t->killed = 1;
	}
	c->t->now_us += 5000000;
	c->t->ticks += 5000 / TICK_MS;
	good = open_engine(c);
	if (good) {
		c->ended = 1;
		c->next_step = c->s->count;
		c->view = open_view(c);
		tell(c, "recovery", "another process opens the same folder");
		wait_for_the_end(c);
		good = end_well(c);
	}
	close_all(c);
	return good;
}

static int remove_tree(const char *path)
{
	char name[1400];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		if (unlink(name) != 0)
			(void)remove_tree(name);
	}
	if (d != NULL)
		(void)closedir(d);
	return rmdir(path);
}

static story *new_story(void)
{
	story *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i;

	if (t == MAP_FAILED)
		return NULL;
	t->now_us = INT64_C(1700000000000000);
	t->ended_at_s = -1;
	for (i = 0; i < MOMENTS; i++)
		t->moment[i] = -1;
	return t;
}

/* The folder of the rehearsal, absolute, for a copy is registered by its path. 1: made for it; 0: given; -1:
 * neither. */
static int open_folder(options *o, char temporary[], char absolute[PATH_MAX])
{
	int made = o->folder == NULL;

	if (made)
		o->folder = mkdtemp(temporary);
	else if (mkdir(o->folder, 0700) != 0 && errno != EEXIST)
		return -1;
	if (o->folder == NULL || realpath(o->folder, absolute) == NULL)
		return -1;
	errno = ENAMETOOLONG;
	if (strlen(absolute) > 500)
		return -1;
	o->folder = absolute;
	return made;
}

int main(int argc, char **argv)
{
	static script s; /* large */
	const char *tmpdir = getenv("TMPDIR");
	char temporary[PATH_MAX], folder[PATH_MAX];
	struct sigaction act = {.sa_handler = interrupt};
	call c = {.react_at_s = -1};
	options o;
	int good, made;

	if (!parse(argc, argv, &o) || !script_read(o.script, &s))
		return 2;
	(void)snprintf(temporary, sizeof temporary, "%.400s/rco-simulator-XXXXXX",
	               tmpdir != NULL && tmpdir[0] != '\0' ? tmpdir : "/tmp");
	made = open_folder(&o, temporary, folder);
	c.t = new_story();
	o.temporary = made == 1;
	if (made < 0 || c.t == NULL) {
		(void)bad(strerror(errno), o.folder);
		return 2;
	}
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGHUP, &act, NULL);
	(void)sigaction(SIGPIPE, &act, NULL); /* the reader of what is told has read enough */
	(void)snprintf(c.state, sizeof c.state, "%.500s/state", folder);
	(void)snprintf(c.out, sizeof c.out, "%.500s/recordings", folder);
	(void)snprintf(c.copy, sizeof c.copy, "%.500s/copy-of-the-host", folder);
	c.o = &o;
	c.s = &s;
	c.began_us = c.t->now_us;
	good = o.fault == FAULT_CRASH ? rehearse_crash(&c) : rehearse(&c);
	if (made)
		(void)remove_tree(folder);
	(void)munmap(c.t, sizeof *c.t);
	return good ? 0 : 1;
}
