/* SPDX-License-Identifier: MIT */
/* A rehearsed call: what the parts of the simulator share. */
#ifndef EXAMPLES_SIMULATOR_H
#define EXAMPLES_SIMULATOR_H

#include <recoptout/agent.h>
#include <recoptout/storage.h>

#include <jansson.h>
#include <stdio.h>

enum { LEGS = 2, TICK_MS = 20, LINES_MAX = 256, TEXT_MAX = 400, PEAKS = 600 };

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
	int json, fast, interactive;
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

typedef struct call {
	const options *o;
	const script *s;
	int64_t now_us, began_us; /* simulated */
	rco_engine *engine;
	rco_session *session;
	uint32_t leg[LEGS];
	voice voice[LEGS];
	/* what was accepted, to compare with what is stored */
	int16_t *kept[LEGS];
	size_t kept_samples[LEGS], kept_room[LEGS];
	double level[LEGS];
	double stopped_at_s, ended_at_s; /* below 0: not */
	size_t next_step;
	int ended, quit, opted_out, stored, recorded, swept;
	char out[600], state[600];
	struct faults *faults;
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
void faults_close(struct faults *f);

/* ---- screen.c ---- */
void tell(call *c, const char *what, const char *text);
void tell_json(call *c, const char *what, json_t *more); /* takes more */
void tell_event(call *c, const rco_event *event);
void screen_draw(call *c);
void screen_end(call *c);
double now_s(const call *c);

/* ---- talk.c: turns, tools and hanging up ---- */
void do_step(call *c, const step *s);
void read_keyboard(call *c);

/* ---- picture.c ---- */
int picture_write(const call *c, const char *path);

#endif
