/* SPDX-License-Identifier: MIT */
/*
 * What the tests of sessions and promises share: a world with folders, a clock, an engine and a record of its
 * events; backends, a recorder of the host's, a disk and memory that fail and answer late on demand; noise that
 * can be told from any other noise; and child processes.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <pthread.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "support_disk.h"

#include <recoptout.h>
#include <recoptout/storage.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define T_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define T_SANITIZED 1
#endif
#endif
#ifndef T_SANITIZED
#define T_SANITIZED 0
#endif

/* Before a process ends that does not return from main(): `make coverage` counts what it did. */
#ifdef T_COVERAGE
void __gcov_dump(void);
#define T_LAST_WORDS() __gcov_dump()
#else
#define T_LAST_WORDS() ((void)0)
#endif

#define T_FRAME 160u /* bytes of 20 ms of G.711 */

/* ---- folders and files ---- */

/* Shared memory for folders: /dev/shm, or a folder in there that $T_SHM names, by the test that has to clean up
 * after tests that were killed. */
const char *t_shm(void);
/* Make an empty folder below `under` ($TMPDIR or /tmp if NULL); its path goes to out. */
void t_tempdir(const char *under, char *out, size_t size);
/* Remove it with all that is in it. */
void t_rmtree(const char *path);
void t_join(char *out, size_t size, const char *dir, const char *name);
void t_write_file(const char *path, const void *data, size_t size);
int t_exists(const char *path);
/* The file's bytes (free them), NULL if it cannot be read. */
uint8_t *t_read_file(const char *path, size_t *size);
/* Number of regular files below `path` whose bytes contain the marker; with size 0 the number of all files. */
size_t t_tree_holds(const char *path, const void *marker, size_t size);
/* Call fn for each regular file below path. */
void t_tree_each(const char *path, void (*fn)(const char *file, void *user_data), void *user_data);

/* ---- audio ---- */

/* `size` bytes of the noise that `seed` names, beginning at byte `pos`: the same bytes however it is cut up. */
void t_noise(uint64_t seed, uint64_t pos, void *out, size_t size);
int t_is_noise(uint64_t seed, const void *data, size_t size);
/* Linear samples as the machine has them to as they are stored, low byte first, and back; one byte a sample:
 * nothing. */
void t_stored_order(void *samples, size_t size, uint32_t sample_bytes);
/* The samples inside a RIFF/WAVE file, NULL if it is not one. */
const uint8_t *t_wav_samples(const uint8_t *file, size_t size, size_t *samples_bytes);

/* ---- clock ---- */

typedef struct t_clock {
	_Atomic int64_t wall_us, mono_us;
} t_clock;

void t_clock_init(t_clock *clock);
rco_clock t_clock_table(t_clock *clock);
void t_clock_advance(t_clock *clock, int64_t ms);

/* ---- events ---- */

typedef struct t_event {
	uint32_t type, status, attempt;
	int32_t code;
	uint64_t count;
	char call_id[64];
	char receipt_id[40];
} t_event;

typedef struct t_events {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	t_event *list;
	size_t n, cap;
	void (*hook)(const rco_event *event, void *user_data); /* also called, if set */
	void *hook_user_data;
} t_events;

void t_events_init(t_events *events);
void t_events_destroy(t_events *events);
void t_events_receive(const rco_event *event, void *user_data); /* an rco_event_fn */
/* How many of a type came for a call (NULL: any). */
size_t t_events_count(t_events *events, const char *call_id, uint32_t type);
/* The sum of their `count`. */
uint64_t t_events_sum(t_events *events, const char *call_id, uint32_t type);
/* The last of that type; 0 if there was none. */
int t_events_last(t_events *events, const char *call_id, uint32_t type, t_event *out);
/* Wait until n of them came; 1, or 0 after `timeout_ms`. */
int t_events_wait(t_events *events, const char *call_id, uint32_t type, size_t n, uint32_t timeout_ms);

/* ---- backends that misbehave ---- */

enum {
	T_OPEN,
	T_APPEND,
	T_FLUSH,
	T_SEAL,
	T_READ,
	T_ERASE,
	T_BEGIN,
	T_PUT,
	T_COMMIT,
	T_ABORT,
	T_LIST,
	T_HEAD,
	T_REMOVE,
	T_VERIFY,
	T_REVOKE,
	T_SLOTS
};

enum {
	T_PASS = 0,    /* behave */
	T_FAIL,        /* return the code, do nothing */
	T_FAIL_DONE,   /* do it, then return the code */
	T_UNCONFIRMED, /* RCO_OK, but confirm nothing, and do nothing */
	T_HOLD,        /* PENDING; done and answered by t_fault_release() */
	T_DONE_HOLD,   /* done; PENDING; answered by t_fault_release() */
	T_THREAD,      /* PENDING; done and answered by another thread */
	T_TWICE,       /* the same, and answered a second time */
	T_INLINE,      /* answered from inside the slot, before it returns PENDING */
	T_END_THREAD,  /* the thread that called ends in there */
	T_BLOCK        /* wait inside the slot for t_fault_unblock(), then behave, or fail if there is a code */
};

typedef struct t_held t_held;

typedef struct t_fault {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct {
		int mode, code;
		uint32_t times; /* 0: until changed */
		uint64_t calls; /* entered */
		uint64_t audio; /* of those, about audio files */
		uint64_t done;  /* reached the backend and succeeded */
	} slot[T_SLOTS];
	uint64_t appended_bytes;
	uint64_t mixed; /* erasures asked for by a thread that also appended: one that should wait for no disk */
	uint32_t only_kind; /* objects of other kinds behave; 0: all */
	uint32_t only_one;  /* the buffer behaves for all recordings but that of only_id */
	uint8_t only_id[16];
	uint32_t blocked, unblock;
	t_held *held, **held_tail;
	pthread_t threads[64];
	size_t n_threads;
	int twice_rc; /* what the second answer of T_TWICE got */
	rco_engine *engine;
	const rco_buffer_ops *buffer;
	void *buffer_ud;
	const rco_upload_ops *upload;
	void *upload_ud;
	const rco_deletion_ops *deletion;
	void *deletion_ud;
} t_fault;

extern const rco_buffer_ops t_fault_buffer_ops;
extern const rco_upload_ops t_fault_upload_ops;
extern const rco_deletion_ops t_fault_deletion_ops;

void t_fault_init(t_fault *fault);
/* Join its threads and forget what is held. Before the engine is freed; it behaves from then on. */
void t_fault_quiet(t_fault *fault);
void t_fault_destroy(t_fault *fault);
/* The next `times` calls of the slot (0: all) go like that. */
void t_fault_set(t_fault *fault, int slot, int mode, uint32_t times, int code);
/* From now on the buffer misbehaves for this call only. */
void t_fault_only(t_fault *fault, rco_session *session);
uint64_t t_fault_calls(t_fault *fault, int slot);
uint64_t t_fault_audio_calls(t_fault *fault, int slot);
uint64_t t_fault_mixed(t_fault *fault);
uint64_t t_fault_done(t_fault *fault, int slot);
size_t t_fault_held(t_fault *fault, int slot);
/* Answer what is held of a slot. Returns what the last rco_op_complete() said, RCO_E_NOT_FOUND if nothing was
 * held.
 */
int t_fault_release(t_fault *fault, int slot);
/* Wait until a thread is inside a T_BLOCK slot; 0 after 20 seconds. */
int t_fault_wait_blocked(t_fault *fault);
void t_fault_unblock(t_fault *fault);

/* ---- memory that fails ---- */

/* What t_allocator, an allocator for a config, is to do. */
typedef struct t_memory_state {
	_Atomic uint64_t count;     /* allocations so far */
	_Atomic uint64_t failed;    /* of those */
	_Atomic int64_t live;       /* not released */
	_Atomic uint64_t fail_at;   /* this one fails, counted from 1; 0: none */
	_Atomic uint64_t fail_from; /* this one and all that follow */
	_Atomic int fail_all;
} t_memory_state;

extern t_memory_state t_memory;
extern const rco_allocator t_allocator;

/* From now on there is memory, nothing was demanded and nothing failed. */
void t_memory_is_there(void);

/* ---- a file system that fails ---- */

typedef struct t_fs {
	t_disk disk;
	_Atomic int fail;            /* error of every change to a matching path; 0 behaves */
	_Atomic uint32_t fail_after; /* let this many changes pass first */
	_Atomic int sync_only;       /* writes succeed, only making them durable fails */
	_Atomic uint64_t syncs;      /* of matching files that succeeded */
	_Atomic uint64_t changes;    /* writes, syncs, renames ... of matching paths */
	_Atomic uint64_t failed;
	_Atomic uint64_t kill_at; /* the process kills itself before this change, counted from 1; 0: never */
	_Atomic int tear;         /* half of a write that fails is there all the same */
	_Atomic int full;         /* RCO_E_NO_SPACE for whatever makes a file, or a file longer */
	_Atomic int quick;        /* making durable is counted, and not done */
	pthread_mutex_t gate_lock;
	pthread_cond_t gate_moved;
	uint32_t gate_shut;     /* T_FS_...: these wait */
	uint32_t gate_waiting;  /* threads in there */
	uint64_t gate_permits;  /* so many may pass all the same */
	_Atomic int gate_tired; /* somebody waited so long that the test has to have failed */
	char match[64];         /* part of a path */
} t_fs;

void t_fs_init(t_fs *fs, const char *match);

/* A disk that stalls: changes of these kinds to matching files wait until told otherwise. */
enum { T_FS_WRITES = 1u << 0, T_FS_SYNCS = 1u << 1 };

void t_fs_stall(t_fs *fs, uint32_t what);
/* Let n of them pass. */
void t_fs_permit(t_fs *fs, uint64_t n);
/* Wait until a thread is stalled; 0 after 20 seconds. */
int t_fs_wait_stalled(t_fs *fs);
/* Go on. 0 if somebody had given up waiting: what was to go on during the stall did not. */
int t_fs_resume(t_fs *fs);

/* ---- an engine and its surroundings ---- */

enum {
	T_DISK = 1u << 0,    /* upload and deletion: a directory in `out`; otherwise memory */
	T_SPOOL = 1u << 1,   /* buffer: the built-in spool; otherwise memory */
	T_WORKERS = 1u << 2, /* two workers, the system's clock; otherwise host-driven with the manual clock */
	T_SHARED = 1u << 3   /* rings in a folder of shared memory; otherwise private */
};

typedef struct t_world {
	uint32_t flags;
	char root[128], state[160], out[160], rings[160], artifacts[160];
	t_clock clock;
	rco_clock clock_table;
	t_events events;
	t_fault fault;
	rco_memory *memory;
	rco_directory *directory;
	rco_engine_config cfg; /* change what you like before t_world_open() */
	t_fs *fs;              /* NULL: the real one */
	rco_engine *engine;
} t_world;

void t_world_init(t_world *world, uint32_t flags);
int t_world_try_open(t_world *world); /* the code of rco_engine_create() */
void t_world_open(t_world *world);    /* which has to succeed */
void t_world_close(t_world *world);   /* frees the engine, keeps the folders: open it again */
void t_world_destroy(t_world *world);

/* Host-driven: do all work that is due now; then the same after some time. */
void t_settle(t_world *world);
void t_advance(t_world *world, int64_t ms);
/* Until n events of the type came, letting time pass. Fails the test after long waiting. */
void t_await(t_world *world, const char *call_id, uint32_t type, size_t n);

/* ---- calls ---- */

/* A started session with legs 0 "caller" and 1 "agent" of PCMU. */
rco_session *t_call(t_world *world, const char *call_id);
rco_session *t_call_with(t_world *world, const rco_session_options *options); /* not started */
/* Push `frames` frames of noise of `seed`, beginning with frame `first`; all have to be accepted. */
void t_push(rco_session *session, uint32_t leg, uint64_t seed, size_t first, size_t frames);
int t_push_one(rco_session *session, uint32_t leg, uint64_t seed);
uint32_t t_state(rco_session *session);
/* With workers: until all that was accepted is in the buffer. */
void t_wait_buffered(rco_session *session);
/* Opt out: RCO_OK, why nothing was done, or what is outstanding (rco_receipt_code()). */
int t_opt_out(rco_session *session, const rco_opt_out_options *options);
int t_opt_out_call(rco_engine *engine, const char *call_id, const rco_opt_out_options *options);
/* Status of the receipt of the call by now; 0 if there is none. */
uint32_t t_status(t_world *world, const char *call_id);

/* ---- the host's recorder ---- */

/* One for the whole program; arrays are by RCO_RECORDER_START to RCO_RECORDER_RESUME. */
typedef struct t_recorder_state {
	int rc[5];
	uint32_t confirms[5];
	_Atomic int calls[5];
	_Atomic uint64_t op[5];     /* of the last call */
	void (*inside)(int action); /* also called, before it answers, if set */
	char order[64];             /* s start, x stop, p pause, r resume */
	char call_id[64];
	pthread_mutex_t lock;
} t_recorder_state;

extern t_recorder_state t_recorder;
extern const rco_recorder_ops t_recorder_ops;
extern const rco_recorder_ops t_recorder_pushes; /* the same, with RCO_RECORDER_PUSHES */

/* It does all that it is asked, confirms it, and was never called. */
void t_recorder_forget(void);
/* A session without legs that it records, not started. */
rco_session *t_hosted(t_world *world, const char *call_id);

/* ---- what the upload backend holds ---- */

/* Number of finished files whose name ends so. */
size_t t_store_count(t_world *world, const char *suffix);
uint8_t *t_store_get(t_world *world, const char *key, size_t *size);
/* NAME of the call's files, found by its call record; 0 if there is none. */
int t_store_name(t_world *world, const char *call_id, char *name, size_t size);
/* The call record of a call, NULL if there is none; free it. */
char *t_store_record(t_world *world, const char *call_id);
/* Is NAME.LABEL.wav of the call there, and does it hold exactly `frames` frames of noise? */
int t_store_has_noise(t_world *world, const char *call_id, const char *label, uint64_t seed, size_t frames);
/* Number of files (finished or not) that are audio of the call, or of any call for NULL. */
size_t t_store_audio(t_world *world);

/* ---- other threads and processes ---- */

void t_thread(pthread_t *thread, void *(*fn)(void *), void *arg);
/* Fork, run fn in the child, exit with 0; 99 if an assertion failed there (RCO_TEST_LOG=1 shows which). */
pid_t t_spawn(void (*fn)(void *arg), void *arg);
/*
 * For a child that is about to become another user: goes into the folder of `path` as long as it may, and returns
 * the name in there. So the folders above, such as root's home, need not let that user through.
 */
const char *t_go_inside(const char *path);
/* Exit code of a child, or minus the signal that killed it. */
int t_reap(pid_t pid);

#endif
