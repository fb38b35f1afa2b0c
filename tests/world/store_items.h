/* SPDX-License-Identifier: MIT */
/* What the parts of the store share: store_items.c (what is there), store.c (the client), store_look.c (looking).
 */
#ifndef TESTS_WORLD_STORE_ITEMS_H
#define TESTS_WORLD_STORE_ITEMS_H

#include "chance.h"
#include "store.h"

/* Bytes that several states share. */
typedef struct s_blob {
	size_t refs, size;
	uint8_t data[]; /* flexible: as long as they are; a NUL follows */
} s_blob;

s_blob *s_blob_new(const void *data, size_t size);
s_blob *s_blob_ref(s_blob *blob);
void s_blob_drop(s_blob *blob);

/* What exists: in the order in which it came. */
enum {
	S_UPLOAD,
	S_PART,
	S_VERSION,
	S_MARKER,   /* hides the versions before it */
	S_COMPLETED /* not a thing: that this upload was completed, so that no late part brings it back */
};

typedef struct s_item {
	int type;
	uint32_t kind;    /* RCO_KIND_... */
	uint32_t number;  /* of a part */
	uint64_t upload;  /* which one: of the part, or that made the version */
	uint64_t version; /* id */
	int hollow;       /* a version that is listed, and whose bytes are collected */
	s_blob *key, *data;
} s_item;

enum { S_BEGIN, S_PUT, S_COMMIT, S_ABORT, S_LIST, S_HEAD, S_REMOVE, S_VERIFY, S_SLOTS };

extern const char *const s_names[S_SLOTS];

/* A request that was sent. */
typedef struct s_request {
	int slot;
	uint32_t kind;
	uint32_t number;
	uint64_t upload; /* 0: all of that key */
	uint64_t version;
	s_blob *key, *data;
	uint32_t client; /* the process that sent it */
	int lands;       /* else it is lost on the way, which nobody knows */
	int landed;
	int only_hides; /* a removal that comes no further than the marker */
	int hollow;     /* a commit whose upload was aborted meanwhile: `data` is what it will list */
	int64_t land_us, answer_us;
	uint64_t op; /* 0: no answer comes */
	int code;
	rco_result result;
} s_request;

typedef struct s_state {
	s_item *items;
	size_t n_items;
	s_request *requests; /* on their way, or not yet answered */
	size_t n_requests;
	uint64_t last_id;
	int loses; /* an abort beside a commit: see w_store_loses() */
} s_state;

void s_state_copy(s_state *to, const s_state *from);
void s_state_free(s_state *state);
/* The request does what it is to do; code and result are written. */
void s_land(s_state *state, s_request *request);
s_request *s_request_add(s_state *state, const s_request *request); /* takes what it refers to */
void s_request_drop(s_state *state, size_t index);

/* The state after an entry of the log, and what it was about. */
typedef struct s_past {
	size_t since; /* entries that had happened, this one included */
	s_state state;
	char text[160];
} s_past;

struct w_store {
	w_disk *disk;
	w_manners manners;
	w_random random;
	s_state now;
	s_past *past;
	size_t n_past, cap_past;
	uint32_t client;
	int64_t now_us;
	uint64_t calls, strays;
	struct {
		uint64_t at;
		int kind, struck;
	} faults[W_FAULTS];
	void (*watch)(const char *slot, const rco_object *object, void *user_data);
	void *watch_user_data;
};

/* Room for one more; n is what there is. */
void *s_more(void *list, size_t n, size_t *cap, size_t size);
/* The state at a position of the log. */
const s_state *s_state_at(const w_store *store, size_t position);

#endif
