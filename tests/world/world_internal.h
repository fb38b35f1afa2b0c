/* SPDX-License-Identifier: MIT */
/* What the parts of the world share. */
#ifndef TESTS_WORLD_WORLD_INTERNAL_H
#define TESTS_WORLD_WORLD_INTERNAL_H

#include "world.h"

/* ---- world_rings.c: shared memory, as it was at each position of the log ---- */

enum { W_RING_PAGE = 4096, W_RING_UNITS = 2 * W_CALLS };

typedef struct w_page {
	size_t refs;
	uint8_t bytes[W_RING_PAGE];
} w_page;

typedef struct w_ring_state {
	size_t at;      /* before the entry with this number */
	char name[80];  /* of the file: a new one after each clean stop */
	w_page **pages; /* NULL: there was no file */
	size_t n_pages;
} w_ring_state;

typedef struct w_rings {
	char dir[64];
	char name[80]; /* of the file, "" if there is none */
	uint8_t *mapped;
	size_t mapped_size;
	int fd;
	w_ring_state *states;
	size_t n_states, cap_states;
} w_rings;

void w_rings_make(w_rings *rings);
void w_rings_free(w_rings *rings);
/* Look at them now; the log has `position` entries. */
void w_rings_look(w_rings *rings, size_t position);
/* Put the file there as it was before the entry `position`. */
void w_rings_restore(w_rings *to, const w_rings *from, size_t position);
/* Remove the file. */
void w_rings_clear(w_rings *rings);
uint64_t w_rings_hash(w_rings *rings, size_t position);
/* Call fn for the bytes of the file, if there is one. */
void w_rings_read(w_rings *rings, void (*fn)(const uint8_t *data, size_t size, void *user_data), void *user_data);

/* ---- the rest ---- */

typedef struct w_fault {
	uint64_t at; /* 0: none */
	int kind, struck;
} w_fault;

typedef struct w_past_notes {
	size_t since; /* entries that had happened, its own included */
	w_notes notes;
} w_past_notes;

typedef struct w_time {
	size_t at; /* before the entry with this number */
	int64_t wall_us, mono_us;
} w_time;

struct w_world {
	w_setup setup;
	w_disk *disk;
	w_store *store;
	w_keys *keys;
	w_rings rings;
	const rco__fs *inner; /* the disk's table, and that which the engine is given */
	rco__fs table;
	int dead; /* the process is: what it still does is not done */
	rco_engine *engine;
	rco_spool *spool; /* W_BUFFER */
	rco_session *session[W_CALLS];
	int64_t wall_us, mono_us;
	rco_clock clock;
	rco_allocator allocator;
	uint64_t allocations, buffer_calls;
	w_fault alloc_fault[W_FAULTS], buffer_fault[W_FAULTS];
	w_notes notes;
	w_past_notes *past;
	size_t n_past, cap_past;
	int64_t pushed_us[W_CALLS][W_LEGS][W_FRAMES];
	uint32_t is_image; /* what another process left */
	uint32_t reopened; /* calls may be older than the engine */
	w_time *times;     /* the clock at positions of the log */
	size_t n_times, cap_times;
	char complaint[400];
};

/* Put what is promised now into the log. */
void w_note(w_world *world);
w_world *w_world_bare(const w_setup *setup);
/* The n-th strikes? */
int w_strikes(w_fault faults[W_FAULTS], uint64_t call);
/* world_kill.c */
void w_table_make(w_world *world);
void w_forgettable(w_notes *notes);
/* world_buffer.c */
int w_buffer_open(w_world *world, rco_engine_config *config);
void w_buffer_close(w_world *world);
/* world_events.c */
void w_event(const rco_event *event, void *user_data);
void w_watch(const char *slot, const rco_object *object, void *user_data);

#endif
