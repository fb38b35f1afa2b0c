/* SPDX-License-Identifier: MIT */
/*
 * A rehearsal: a scripted call on the terminal, with the real library behind it.
 *
 *   simulator SCRIPT.json [--fast | --speed N] [--json] [--fault slow-upload|failing-delete|crash]
 *             [--picture FILE.svg] [--folder DIR] [--dialect NAME]
 *
 * Time is simulated: an engine that the program drives itself, with a clock of its own. So a call can run faster
 * than real time, and with --fast as fast as it goes, always the same.
 */
#include "simulator.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { AFTERWARDS_S = 180 };

static void usage(FILE *to)
{
	(void)fprintf(
		to, "usage: simulator SCRIPT.json [options]\n\n"
		    "  --fast             as fast as it goes; the same every time\n"
		    "  --speed N          N times as fast as real time; default 1\n"
		    "  --json             a JSON object a line, for scripts\n"
		    "  --fault WHAT       slow-upload, failing-delete, or crash (killed in the middle of the "
		    "erasure)\n"
		    "  --picture FILE     draw the call as SVG\n"
		    "  --folder DIR       keep ledger and recordings there; default: a temporary folder, removed\n"
		    "  --dialect NAME     whose tool call is rehearsed; default openai-chat\n"
		    "  --help\n\n"
		    "While it runs: type what the caller says, or /opt-out /pause /resume /hang-up /quit.\n"
		    "Exit code 0 if the call ended as it should: kept bit by bit, or verified to be gone.\n");
}

static int fault_of(const char *name)
{
	static const char *const names[] = {"none", "slow-upload", "failing-delete", "crash"};
	int i;

	for (i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int is_dialect(const char *name)
{
	uint32_t d;

	for (d = 1; rco_dialect_name(d) != NULL; d++)
		if (strcmp(rco_dialect_name(d), name) == 0)
			return 1;
	(void)fprintf(stderr, "simulator: no dialect %s; there are:", name);
	for (d = 1; rco_dialect_name(d) != NULL; d++)
		(void)fprintf(stderr, " %s", rco_dialect_name(d));
	(void)fputc('\n', stderr);
	return 0;
}

static int parse(int argc, char **argv, options *o)
{
	static const struct option known[] = {
		{"fast", no_argument, NULL, 'f'},
		{"speed", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"fault", required_argument, NULL, 'x'},
		{"picture", required_argument, NULL, 'p'},
		{"folder", required_argument, NULL, 'd'},
		{"dialect", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	*o = (options){.speed = 1, .dialect = "openai-chat"};
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'f')
			o->fast = 1;
		else if (c == 's')
			o->speed = strtod(optarg, NULL); /* what is no number is 0, and refused below */
		else if (c == 'j')
			o->json = 1;
		else if (c == 'x')
			o->fault = fault_of(optarg);
		else if (c == 'p')
			o->picture = optarg;
		else if (c == 'd')
			o->folder = optarg;
		else if (c == 'l')
			o->dialect = optarg;
		else if (c == 'h') {
			usage(stdout);
			exit(0);
		} else
			return 0;
	}
	o->interactive = !o->fast && isatty(STDIN_FILENO);
	if (optind + 1 != argc || !(o->speed > 0) || o->fault < 0 || !is_dialect(o->dialect))
		return 0;
	o->script = argv[optind];
	return 1;
}

/* ---- the engine ---- */

static int64_t clock_us(void *user_data)
{
	return ((const call *)user_data)->now_us;
}

static void hear(const rco_event *event, void *user_data)
{
	call *c = user_data;

	tell_event(c, event);
	c->stored |= event->type == RCO_EVENT_STORED;
	c->recorded |= event->type == RCO_EVENT_CALL_RECORD;
	c->swept |= event->type == RCO_EVENT_SWEPT;
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

static int open_call(call *c)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = c->s->call_id};
	int leg, rc = rco_session_create(c->engine, &o, &c->session);

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
	int16_t frame[960];
	int leg;

	for (leg = 0; leg < LEGS; leg++) {
		size_t n = voice_next(&c->voice[leg], now_s(c), frame), i;
		int peak = 0;

		for (i = 0; i < n; i++)
			peak = abs(frame[i]) > peak ? abs(frame[i]) : peak;
		c->level[leg] = peak;
		if (rco_session_push(c->session, c->leg[leg], voice_format(&c->voice[leg]), frame, n * 2) ==
		    RCO_OK)
			keep(c, leg, frame, n);
	}
}

static void tick(call *c)
{
	c->now_us += TICK_MS * 1000;
	if (!c->o->fast) {
		double pause = TICK_MS / 1000.0 / c->o->speed;
		struct timespec t = {.tv_sec = (time_t)pause,
		                     .tv_nsec = (long)((pause - (double)(time_t)pause) * 1e9)};

		while (nanosleep(&t, &t) != 0 && errno == EINTR)
			;
	}
	faults_tick(c->faults);
	(void)rco_engine_run(c->engine, 0);
	if (c->now_us / 1000 % 100 == 0)
		screen_draw(c);
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
		       c->swept;
	return c->stored && c->recorded;
}

/* Until everything that follows has been done, or so long that it should have been. */
static void wait_for_the_end(call *c)
{
	int64_t until = c->now_us + (int64_t)AFTERWARDS_S * 1000000;

	while (!c->quit && c->now_us < until && !is_over(c)) {
		while (c->next_step < c->s->count && c->s->steps[c->next_step].at_s <= now_s(c))
			do_step(c, &c->s->steps[c->next_step++]);
		read_keyboard(c);
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
		read_keyboard(c);
		if (!c->ended)
			speak(c);
		tick(c);
	}
	wait_for_the_end(c);
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

static int judge(call *c)
{
	json_t *files = json_array();
	struct dirent *e;
	DIR *d = opendir(c->out);
	int audio = 0, exact = 0, good;
	uint32_t status = status_of(c);

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)json_array_append_new(files, json_string(e->d_name));
		if (strstr(e->d_name, ".wav") == NULL)
			continue;
		audio++;
		exact += is_bit_exact(c, e->d_name);
	}
	if (d != NULL)
		(void)closedir(d);
	if (status != RCO_STATUS_UNKNOWN)
		good = audio == 0 && (status == RCO_STATUS_VERIFIED || status == RCO_STATUS_NOT_RECORDING);
	else
		good = audio == LEGS && exact == LEGS;
	screen_end(c);
	if (c->o->json)
		tell_json(c, "result",
		          json_pack("{s:b, s:s, s:i, s:O}", "ok", good, "status",
		                    status != 0 ? rco_status_name(status) : "kept", "audio_files", audio, "files",
		                    files));
	else
		(void)printf("\n%s: %d recordings in %s%s\n", status != 0 ? rco_status_name(status) : "kept",
		             audio, c->out, good ? "" : "; THIS IS NOT AS IT SHOULD BE");
	json_decref(files);
	return good;
}

static void close_all(call *c)
{
	int leg;

	rco_session_free(c->session);
	rco_engine_free(c->engine);
	faults_close(c->faults);
	for (leg = 0; leg < LEGS; leg++) {
		voice_close(&c->voice[leg]);
		free(c->kept[leg]);
	}
}

static int rehearse(call *c)
{
	int good = open_engine(c) && open_call(c);

	if (good) {
		run_call(c);
		good = judge(c);
		if (c->o->picture != NULL)
			good &= picture_write(c, c->o->picture);
	}
	close_all(c);
	return good;
}

/* The first process dies in the middle; this one takes up what it left. */
static int rehearse_crash(call *c)
{
	pid_t pid;
	int status, good;

	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		return 0;
	if (pid == 0)
		_exit(rehearse(c) ? 0 : 1);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) {
		(void)fprintf(stderr, "simulator: the script has no opt-out in which to crash\n");
		return 0;
	}
	c->now_us += 5000000;
	tell(c, "recovery", "another process opens the same folder");
	good = open_engine(c);
	if (good) {
		c->next_step = c->s->count;
		wait_for_the_end(c);
		good = judge(c);
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

int main(int argc, char **argv)
{
	static script s; /* large */
	char temporary[] = "/tmp/rco-simulator-XXXXXX";
	call c = {.stopped_at_s = -1, .ended_at_s = -1, .now_us = INT64_C(1700000000000000)};
	options o;
	int good, made = 0;

	if (!parse(argc, argv, &o)) {
		usage(stderr);
		return 2;
	}
	if (!script_read(o.script, &s))
		return 2;
	if (o.folder == NULL) {
		o.folder = mkdtemp(temporary);
		made = o.folder != NULL;
	} else if (mkdir(o.folder, 0700) != 0 && errno != EEXIST) {
		made = -1;
	}
	if (o.folder == NULL || made < 0 || strlen(o.folder) > 500) {
		(void)fprintf(stderr, "simulator: cannot make a folder: %s\n", strerror(errno));
		return 2;
	}
	(void)snprintf(c.state, sizeof c.state, "%s/state", o.folder);
	(void)snprintf(c.out, sizeof c.out, "%s/recordings", o.folder);
	c.o = &o;
	c.s = &s;
	c.began_us = c.now_us;
	good = o.fault == FAULT_CRASH ? rehearse_crash(&c) : rehearse(&c);
	if (made)
		(void)remove_tree(o.folder);
	return good ? 0 : 1;
}
