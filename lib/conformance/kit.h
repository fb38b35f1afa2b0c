/* SPDX-License-Identifier: MIT */
/*
 * The conformance kit from inside. Only public functions of librecoptout, so
 * that it works with the shared library, and shows what the headers say to
 * somebody who has nothing else.
 */
#ifndef RCO_CONFORMANCE_KIT_H
#define RCO_CONFORMANCE_KIT_H

#include <recoptout/conformance.h>

#include <pthread.h>
#include <stdatomic.h>

enum { RCO__KIT_SEEN = 320, RCO__KIT_PIECE = 1600, RCO__KIT_THREADS = 4 };

/* What a check needs besides its context. */
enum {
	RCO__KIT_BUFFER = 1 << 0,
	RCO__KIT_UPLOAD = 1 << 1,
	RCO__KIT_DELETION = 1 << 2,
	RCO__KIT_REOPEN = 1 << 3,
	RCO__KIT_FAIL = 1 << 4,
	RCO__KIT_SCAN = 1 << 5,
	RCO__KIT_REVOKE = 1 << 6,
	RCO__KIT_DETACH = 1 << 7, /* of its table */
	RCO__KIT_KEYS = 1 << 8,
	RCO__KIT_DESTROY = 1 << 9,
	RCO__KIT_GAPS = 1 << 10,
	RCO__KIT_FILES = RCO__KIT_UPLOAD | RCO__KIT_DELETION
};

typedef enum rco__kit_slot {
	RCO__KIT_ATTACH,
	RCO__KIT_DO_DETACH,
	RCO__KIT_DO_SCAN,
	RCO__KIT_DO_REVOKE,
	/* those with an operation */
	RCO__KIT_OPEN,
	RCO__KIT_APPEND,
	RCO__KIT_FLUSH,
	RCO__KIT_SEAL,
	RCO__KIT_READ,
	RCO__KIT_ERASE,
	RCO__KIT_BEGIN,
	RCO__KIT_PUT,
	RCO__KIT_COMMIT,
	RCO__KIT_ABORT,
	RCO__KIT_LIST,
	RCO__KIT_HEAD,
	RCO__KIT_REMOVE,
	RCO__KIT_VERIFY,
	RCO__KIT_SLOTS
} rco__kit_slot;

/* What every answer has to be, whatever was asked: seen along the way, told at the end. */
enum { RCO__KIT_RULE_FORM, RCO__KIT_RULE_CONFIRM, RCO__KIT_RULE_ERROR, RCO__KIT_RULE_RESULT, RCO__KIT_RULES };

typedef struct rco__kit_run rco__kit_run;

/* One slot being asked. All that is passed in lives here, until it is answered or nobody is attached any more. */
typedef struct rco__kit_asked {
	struct rco__kit_asked *next;
	rco__kit_run *run;
	rco__kit_slot slot;
	uint32_t table; /* RCO__KIT_BUFFER, ... */
	uint64_t op;    /* 0: none */
	pthread_t thread;
	int returned, code;
	rco_result in_slot, answer;
	char detail[160];

	uint8_t id[16];
	uint8_t meta[RCO_META_MAX];
	char key[96], upload_id[256], version[256];
	rco_recording recording;
	rco_chunk chunk;
	rco_object object;
	uint32_t leg, part;
	uint64_t position;
	uint8_t *data;
	size_t size;
	rco_scan_fn found;
	void *found_user_data;
} rco__kit_asked;

struct rco__kit_run {
	rco_conformance own;
	rco_buffer_ops buffer;
	rco_upload_ops upload;
	rco_deletion_ops deletion;
	rco_key_ops keys;
	rco_engine *engine;
	uint32_t attached;          /* tables */
	pthread_mutex_t lock;       /* over what follows, and `returned` of what is asked */
	pthread_cond_t changed;     /* a slot has returned */
	rco__kit_asked *given_up;   /* the backend may still use it */
	uint32_t stuck;             /* tables of which a slot has not returned */
	int missed[RCO__KIT_SLOTS]; /* how many answers did not come */
	char rule[RCO__KIT_RULES][RCO__KIT_SEEN];
	uint32_t first_id; /* random */
	_Atomic uint32_t last_id;
};

/*
 * An obligation being tried. Once it is broken, or cannot be tried, everything
 * that takes a context does nothing, so that checks are written without a look at
 * each answer.
 */
typedef struct rco__kit_ctx {
	rco__kit_run *run;
	char broken[RCO__KIT_SEEN];
	char not_tried[RCO__KIT_SEEN];
	int hasty; /* give each operation up at once, and ask again */
} rco__kit_ctx;

typedef struct rco__kit_check {
	const char *name, *obligation;
	void (*run)(rco__kit_ctx *c);
	uint32_t needs;
} rco__kit_check;

extern const rco__kit_check rco__kit_buffer_checks[], rco__kit_upload_checks[], rco__kit_deletion_checks[],
	rco__kit_keys_checks[], rco__kit_fault_checks[];
extern const size_t rco__kit_buffer_count, rco__kit_upload_count, rco__kit_deletion_count, rco__kit_keys_count,
	rco__kit_fault_count;

/* ---- ask.c: slots and their answers ---- */

int rco__kit_over(const rco__kit_ctx *c);
void rco__kit_broken(rco__kit_ctx *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rco__kit_expect(rco__kit_ctx *c, int holds, const char *otherwise);

/* All of these pass on what they got, or NULL: then the check is over, and what they got is taken care of. */

/* `size` bytes of data come with it, zeroed. */
rco__kit_asked *rco__kit_new(rco__kit_ctx *c, rco__kit_slot slot, size_t size);
/* Calls the slot, which may answer at once (`code`) or later (RCO_PENDING). */
rco__kit_asked *rco__kit_start(rco__kit_ctx *c, rco__kit_asked *asked);
/* The answer to what was started: `code`, `answer`, `data`. Free it with rco__kit_done(). */
rco__kit_asked *rco__kit_finish(rco__kit_ctx *c, rco__kit_asked *asked);
/* The same, where no answer may come: NULL then, and it is given up. */
rco__kit_asked *rco__kit_finish_if(rco__kit_ctx *c, rco__kit_asked *asked, uint32_t timeout_ms);
/* Start and finish. */
rco__kit_asked *rco__kit_ask(rco__kit_ctx *c, rco__kit_asked *asked);
/* Nobody waits for it any more: an answer that comes is too late. */
void rco__kit_give_up(rco__kit_run *run, rco__kit_asked *asked);
void rco__kit_done(rco__kit_asked *asked);
const char *rco__kit_slot_name(rco__kit_slot slot);
int rco__kit_attach(rco__kit_ctx *c);
void rco__kit_detach(rco__kit_ctx *c);
/* The process ends and the next one begins. */
void rco__kit_restart(rco__kit_ctx *c);

/* ---- run.c ---- */

/* That work on several threads, each with a context of its own. */
void rco__kit_at_once(rco__kit_ctx *c, void *(*work)(void *ctx));

/* ---- steps.c, file_steps.c: what checks are made of ---- */

/* Asks, and RCO_OK has to be the answer. */
void rco__kit_ask_ok(rco__kit_ctx *c, rco__kit_asked *asked);
/* Asks; whatever the answer is. */
int rco__kit_try(rco__kit_ctx *c, rco__kit_asked *asked);

uint8_t rco__kit_sound(uint64_t seed, uint64_t position);
void rco__kit_make_sound(uint64_t seed, uint64_t position, void *out, size_t size);
void rco__kit_id(rco__kit_ctx *c, uint8_t id[16]);

void rco__kit_open(rco__kit_ctx *c, const uint8_t id[16], const void *meta, size_t meta_bytes);
rco__kit_asked *rco__kit_new_piece(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed,
                                   uint64_t position, size_t size);
int rco__kit_try_append(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed, uint64_t position,
                        size_t size);
void rco__kit_append(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed, uint64_t position,
                     size_t size);
/* A gap instead of audio. */
rco__kit_asked *rco__kit_new_gap(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t position,
                                 size_t size);
/* How much it gives, at most 64 KiB of `cap`; `data` may be NULL. */
size_t rco__kit_read(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t position, uint8_t *data,
                     size_t cap, int *code);
void rco__kit_expect_sound(rco__kit_ctx *c, const uint8_t id[16], uint32_t leg, uint64_t seed, uint64_t size,
                           size_t cap);
/* No audio comes; `not_found`: and just that is the answer. */
void rco__kit_expect_none(rco__kit_ctx *c, const uint8_t id[16], int not_found);
void rco__kit_erase(rco__kit_ctx *c, const uint8_t id[16]);
void rco__kit_seal(rco__kit_ctx *c, const uint8_t id[16]);
void rco__kit_flush(rco__kit_ctx *c);
void rco__kit_revoke(rco__kit_ctx *c, const uint8_t id[16]);

typedef struct rco__kit_found {
	uint8_t id[16];
	uint32_t times;
	size_t meta_bytes;
	uint8_t meta[RCO_META_MAX];
	rco_scanned found;
} rco__kit_found;
void rco__kit_scan(rco__kit_ctx *c, const uint8_t id[16], rco__kit_found *found);
void rco__kit_expect_scanned(rco__kit_ctx *c, const uint8_t id[16], uint32_t times);

/* A file, and what is known of it. */
typedef struct rco__kit_item {
	uint32_t kind, store;
	uint8_t id[16];
	uint64_t size_bytes;
	char key[96], upload_id[256], version[256];
} rco__kit_item;

void rco__kit_item_make(rco__kit_ctx *c, rco__kit_item *item, uint32_t kind);
rco__kit_asked *rco__kit_new_file(rco__kit_ctx *c, rco__kit_slot slot, const rco__kit_item *item);
rco__kit_asked *rco__kit_new_part(rco__kit_ctx *c, const rco__kit_item *item, uint32_t part, uint64_t seed,
                                  uint64_t position, size_t size);
void rco__kit_begin(rco__kit_ctx *c, rco__kit_item *item);
int rco__kit_try_put(rco__kit_ctx *c, const rco__kit_item *item, uint32_t part, uint64_t seed, uint64_t position,
                     size_t size);
void rco__kit_put(rco__kit_ctx *c, const rco__kit_item *item, uint32_t part, uint64_t seed, uint64_t position,
                  size_t size);
int rco__kit_try_commit(rco__kit_ctx *c, rco__kit_item *item);
void rco__kit_commit(rco__kit_ctx *c, rco__kit_item *item);
/* 3,500 bytes in two parts. */
void rco__kit_store(rco__kit_ctx *c, rco__kit_item *item, uint64_t seed);
void rco__kit_abort(rco__kit_ctx *c, const rco__kit_item *item);
void rco__kit_abort_all(rco__kit_ctx *c, const rco__kit_item *item);
void rco__kit_expect_count(rco__kit_ctx *c, const rco__kit_item *item, uint64_t count);
void rco__kit_expect_hidden(rco__kit_ctx *c, const rco__kit_item *item);
void rco__kit_expect_file(rco__kit_ctx *c, const rco__kit_item *item, uint64_t seed, size_t size);
/* A file that is this one, whole, or none at all; is there one? Its version then comes to the item. */
int rco__kit_whole_or_none(rco__kit_ctx *c, rco__kit_item *item, uint64_t seed, size_t size);
/* Without a deletion table: no effect. */
void rco__kit_remove(rco__kit_ctx *c, const rco__kit_item *item, const char *version);
void rco__kit_expect_verified(rco__kit_ctx *c, const rco__kit_item *item, const char *version, uint32_t confirm);

#endif
