/* SPDX-License-Identifier: MIT */
/*
 * The demonstration behind `make demo`: what its processes share.
 *
 * The parent plans, starts two child processes one after the other, kills the
 * first, and proves the result. What the children did is written on the
 * "board", a piece of shared memory that outlives them.
 */
#ifndef DEMO_H
#define DEMO_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <recoptout.h>

enum {
	CALLS = 24,
	LEGS = 2,
	SPEED = 5,     /* times faster than real time */
	FRAME_MS = 20, /* one push */
	RUNS = 8,      /* stretches of accepted audio that a leg may fall into */
	DEMO_PATH = 4096
};

/* ---- the plan: plan.c ---- */

struct plan {
	const char *id;
	uint32_t format[LEGS];
	uint32_t seconds; /* of speech for each leg */
	int kept;         /* 1: must be stored bit-exact; 0: must be gone */
	const char *asked;
};

extern const struct plan plans[CALLS];
extern const char *const leg_labels[LEGS];

int plan_index(const char *call_id); /* -1: not one of ours */
const char *plan_format_name(uint32_t format);

/* ---- speech: speech.c ---- */

struct wav {
	uint32_t tag; /* 1 PCM, 6 A-law, 7 mu-law */
	uint32_t channels;
	uint32_t rate_hz;
	uint32_t bits;
	const uint8_t *data;
	size_t data_bytes;
};

struct leg_audio {
	int16_t *pcm; /* the speech, 8 kHz */
	size_t samples;
	uint8_t *data; /* the same in the leg's format: what is pushed */
	size_t bytes;
	size_t frame_bytes;
};

struct speech {
	struct leg_audio leg[CALLS][LEGS];
	size_t files;
	size_t seconds;
};

int wav_parse(const uint8_t *file, size_t size, struct wav *wav); /* 0, or -1 if it is no WAVE file */
int wav_header(uint8_t out[44], uint32_t rate_hz, uint32_t data_bytes);
uint8_t *file_read(const char *path, size_t *size); /* NULL: told on stderr */
uint8_t g711_ulaw(int16_t sample);
uint8_t g711_alaw(int16_t sample);
int speech_load(struct speech *speech, const char *folder); /* 0, or -1: told on stderr */
void speech_free(struct speech *speech);

/* ---- the board ---- */

struct run {
	_Atomic uint64_t from, to; /* bytes of the leg's audio */
};

struct leg_board {
	_Atomic uint32_t runs;
	struct run run[RUNS];
	/* A frame that is being pushed right now: after a SIGKILL it may or may not have been accepted. */
	_Atomic uint64_t pending_from, pending_bytes;
	_Atomic uint64_t refused_frames;
	_Atomic uint64_t accepted_after_stop; /* must stay 0 */
	_Atomic uint64_t refused_after_stop;
};

struct call_board {
	struct leg_board leg[LEGS];
	_Atomic uint32_t stopped;  /* rco_opt_out() has returned */
	_Atomic uint32_t answered; /* and its answer is written here: */
	int32_t opt_out_code;
	uint32_t status;
	uint32_t facts;
	uint32_t artifacts;      /* files of the host's that were registered */
	int64_t asked_ms;        /* in the call's own time */
	int64_t stop_us;         /* how long rco_opt_out() took */
	_Atomic uint32_t events; /* bit N: event of type N seen */
	_Atomic uint32_t receipt_lock;
	uint32_t receipt_length;
	char receipt[RCO_RECEIPT_JSON_MAX];
};

struct board {
	int64_t start_us; /* monotonic clock */
	_Atomic uint32_t failures;
	_Atomic uint32_t retries, escalations, overflows;
	uint64_t peak_open, peak_recording;
	uint32_t host_bytes;       /* what the host's own recorder had written when it was stopped */
	uint32_t held_after_crash; /* calls under legal hold that the second process found */
	uint64_t left_pending;     /* uploads and erasures not done at the end */
	uint64_t quarantined_files;
	uint8_t public_key[2][32]; /* as each process saw it */
	struct call_board call[CALLS];
};

struct folders {
	char base[DEMO_PATH];
	char state[DEMO_PATH];
	char recordings[DEMO_PATH];
	char host[DEMO_PATH];
	char rings[DEMO_PATH];
	char log[DEMO_PATH];
};

/* ---- timeline.c ---- */

int64_t now_us(void); /* monotonic */
void sleep_until_us(int64_t at_us);
void timeline_init(struct board *board);
void timeline_note(const char *call_id, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void timeline_event(const rco_event *event);
void timeline_heading(const char *text);
/* Something is not as it has to be: printed, counted, and makes the demo fail. */
void timeline_fail(const char *call_id, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- the two children: calls.c, recover.c ---- */

int run_calls(struct board *board, const struct speech *speech, const struct folders *folders, int signal_fd);
int run_recovery(struct board *board, const struct folders *folders);

/* ---- the table and the proof: table.c, proof.c ---- */

void table_print(const struct board *board);
/* 0 if everything holds. */
int proof_after_kill(const struct board *board, const struct speech *speech, const struct folders *folders);
int proof_run(const struct board *board, const struct speech *speech, const struct folders *folders);
uint64_t board_accepted(const struct leg_board *leg);

#endif
