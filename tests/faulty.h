/* SPDX-License-Identifier: MIT */
/* Backends for test_conformance.c: the built-in ones, and one around each of them that answers later, or has a
 * fault. */
#ifndef TESTS_FAULTY_H
#define TESTS_FAULTY_H

#include <recoptout/conformance.h>

#include <pthread.h>

typedef struct t_place {
	char root[128], folder[160], keys[160];
	rco_memory *memory;
	rco_directory *directory;
	rco_spool *spool;
	rco_key_dir *key_dir;
	rco_conformance kit;
} t_place;

void t_place_init(t_place *p, void (*make)(t_place *p));
void t_place_destroy(t_place *p);
void t_make_memory(t_place *p);
void t_make_directory(t_place *p);
void t_make_spool(t_place *p);

typedef enum t_fault {
	T_NONE,
	T_ERASE_LIES,
	T_ERASED_READ_OK,
	T_REVOKE_NOTHING,
	T_APPEND_TWICE,
	T_OVERLAP_LOSES_TAIL,
	T_APPEND_OPENS,
	T_APPEND_LANDS_LATE,
	T_SCAN_FORGETS,
	T_SCAN_FORGETS_AFTER_RESTART,
	T_OK_UNCONFIRMED,
	T_ERROR_CONFIRMS,
	T_NEVER_ANSWERS,
	T_NEVER_RETURNS,
	T_FAILING_LIES,
	T_VISIBLE_EARLY,
	T_LIST_BLIND,
	T_ABORT_LEAVES,
	T_ABORT_TOO_QUICK,
	T_ABORT_NEEDS_ID,
	T_ABORT_TAKES_FILE,
	T_PUT_LANDS_LATE,
	T_COMMIT_LANDS_LATE,
	T_COMMIT_ANY_ERROR,
	T_COMMIT_FORGETS,
	T_PUT_KEEPS_FIRST,
	T_CUT_OFF,
	T_REMOVE_ONE_VERSION,
	T_VERIFY_BLIND,
	T_ANSWERS_DETACHED,
	T_RESULT_LATE
} t_fault;

typedef struct t_wrapper {
	t_place *place;
	t_fault fault;
	int later, failing, restarted;
	rco_engine *engine;
	int attached, running, quit, started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *jobs;
	char last_key[96]; /* what was put */
	uint32_t last_part;
} t_wrapper;

/* What is wrapped around memory keeps it over a restart: a store elsewhere does not die with the process. */
rco_conformance t_wrap(t_wrapper *w, t_place *p, t_fault planted, int later);
void t_unwrap(t_wrapper *w);

#endif
