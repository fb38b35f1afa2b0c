/* SPDX-License-Identifier: MIT */
/* A rehearsed call: what the parts of the simulator share. */
#ifndef EXAMPLES_SIMULATOR_H
#define EXAMPLES_SIMULATOR_H

#include <recoptout/agent.h>
#include <recoptout/storage.h>

#include <jansson.h>
#include <stdio.h>

enum { LEGS = 2, TICK_MS = 20, LINES_MAX = 256, TEXT_MAX = 1000, AT_MAX_S = 3600 };

enum { CALLER = 0, AGENT = 1 };

enum { FAULT_NONE = 0, FAULT_SLOW_UPLOAD, FAULT_FAILING_DELETE, FAULT_CRASH };

/* One line of a script. */
typedef struct step {
	double at_s;
	int who;             /* CALLER, AGENT; -1: something is done */
	char text[TEXT_MAX]; /* what is said, or what is done */
} step;

typedef struct script {
	char language[36], company[64], call_id[64], wav[LEGS][512];
	step steps[LINES_MAX];
	size_t count;
} script;

typedef struct options {
	const char *script, *folder, *picture, *dialect;
	int json, fast, plain, interactive, temporary; /* temporary: the folder is removed in the end */
	double speed;
	int fault;
} options;

/* The sound of one leg. */
typedef struct voice {
	int16_t *wav; /* NULL: generated */
	size_t wav_samples, wav_at;
	uint32_t rate_hz;
	double speaking_until_s, phase;
	uint32_t noise;
} voice;

/* ---- the story: what is shown and drawn ---- */

enum { TOLD_MAX = 1500, TOLD_LINES = 1000, PEAKS_MAX = (AT_MAX_S + 60) * 1000 / TICK_MS };

typedef struct told {
	double at_s;
	char what[16]; /* "caller", "agent", "tool call", "event", ... */
	char text[TOLD_MAX];
} told;

/* Moments of an opt-out, in seconds; below 0: not yet. */
enum { ASKED, STOPPED, DURABLE, ERASED, VERIFIED, SWEPT, MOMENTS };

/* In memory that the next process sees too, when this one is killed. */
typedef struct story {
	int64_t now_us;
	told lines[TOLD_LINES]; /* a rehearsal that tells more forgets its beginning */
	size_t count;           /* ever told */
	uint8_t peak[LEGS]
		    [PEAKS_MAX]; /* loudest sample of each tick that was accepted, in 1/256; 0: not accepted */
	size_t ticks;
	double moment[MOMENTS], ended_at_s;
	int killed;         /* the call ended with the process, and nobody hung up */
	double level[LEGS]; /* of what is heard now, 0 to 1 */
	uint64_t recorded_bytes;
} story;

typedef struct call {
	const options *o;
	const script *s;
	story *t;
	int64_t began_us;
	rco_engine *engine;
	rco_session *session;
	uint32_t leg[LEGS];
	voice voice[LEGS];
	/* what was accepted, to compare with what is stored */
	int16_t *kept[LEGS];
	size_t kept_samples[LEGS], kept_room[LEGS];
	double react_at_s; /* when the agent calls its tool, because of what was typed; below 0: not */
	size_t next_step;
	int ended, quit, stored, recorded, judged;
	char out[600], state[600], copy[620];
	struct faults *faults;
	struct view *view; /* NULL: lines */
} call;

/* ---- script.c ---- */
/* 0 and a sentence on stderr if it cannot be used. */
int script_read(const char *path, script *s);

/* ---- sound.c ---- */
int voice_open(voice *v, const char *wav, uint32_t seed);
void voice_close(voice *v);
void voice_say(voice *v, const char *text, double now_s);
/* The next 20 ms; returns the number of samples. */
size_t voice_next(voice *v, double now_s, int16_t out[960]);
uint32_t voice_format(const voice *v);
/* The samples of a WAV file that the library wrote (16-bit PCM); free them. NULL if it is not there. */
int16_t *wav_read(const char *path, size_t *samples, uint32_t *rate_hz);

/* ---- faults.c ---- */
/* Backends around the directory's, which misbehave as asked. */
struct faults *faults_open(call *c);
void faults_config(struct faults *f, rco_engine_config *config);
void faults_tick(struct faults *f);
/* How often the fault came into play. */
unsigned faults_count(const struct faults *f);
void faults_close(struct faults *f);

/* ---- told.c: what happens, as a line, as JSON, and kept for the view and the picture ---- */
double now_s(const call *c);
/* Nothing in a text from outside may command a terminal: what is not printable UTF-8 becomes '?'. */
void clean(char *text);
void tell(call *c, const char *what, const char *text);
void tell_json(call *c, const char *what, json_t *more); /* takes more */
void tell_event(call *c, const rco_event *event);
/* How much of it there is to be seen: all that was told, or its end. */
size_t told_first(const story *t);
const told *told_at(const story *t, size_t number);
/* A line for a terminal or a pipe. */
void told_print(FILE *to, const told *line);

/* ---- view.c: the whole screen ---- */
/* NULL if there is no terminal that can do it. */
struct view *view_open(call *c);
/* Draws what changed and takes what was typed, at most so often as an eye sees. */
void view_look(struct view *v);
/* Shows how it ended until a key is pressed. */
void view_wait(struct view *v, const char *result);
void view_close(struct view *v);

/* ---- hears.c ---- */
/* Does a caller who says this, in English or German, object to being recorded? */
int is_objection(const char *text);

/* ---- talk.c: turns, tools and hanging up ---- */
void do_step(call *c, const step *s);
/* A line that was typed: what the caller says, or a command. */
void typed(call *c, const char *line);
/* Where there is no view: lines of a terminal. */
void read_keyboard(call *c);
/* The agent calls its tool, if it is time. */
void react(call *c);

/* ---- picture.c ---- */
int picture_write(const call *c, const char *path);

#endif
