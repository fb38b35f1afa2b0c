/* SPDX-License-Identifier: MIT */
/*
 * P10 media path: pushing a frame makes no system call, takes no lock, allocates nothing, and never waits. A
 * thread that the kernel kills at its first system call pushes while a consumer works; memory and lock functions
 * are counted for each thread by standing in front of those of the C library.
 */
#include "../support.h"

#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FRAMES = 100000 };

/* volatile: a compiler knows of malloc() that it changes no variable. */
static _Thread_local volatile uint64_t counted;

#if !T_SANITIZED

/* ---- standing in front of malloc and pthread_mutex_lock ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);
extern void __libc_free(void *ptr);

void *malloc(size_t size)
{
	counted++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	counted++;
	return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
	counted++;
	return __libc_realloc(ptr, size);
}

void free(void *ptr)
{
	counted++;
	__libc_free(ptr);
}

typedef int (*lock_fn)(pthread_mutex_t *mutex);

static _Atomic(lock_fn) real_lock, real_trylock;

static lock_fn resolve(_Atomic(lock_fn) *slot, const char *name)
{
	lock_fn fn = atomic_load(slot);

	if (fn == NULL) {
		void *found = dlsym(RTLD_NEXT, name);

		memcpy(&fn, &found, sizeof fn);
		atomic_store(slot, fn);
	}
	return fn;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	counted++;
	return resolve(&real_lock, "pthread_mutex_lock")(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	counted++;
	return resolve(&real_trylock, "pthread_mutex_trylock")(mutex);
}

#endif

/* ---- the media thread ---- */

static struct media {
	rco_session *session;
	uint8_t frame[T_FRAME];
	uint64_t accepted, refused, touched;
	uint64_t position; /* ahead of all that was pushed */
	int bad_rc;
	_Atomic int finished;
} media;

static rco_frame frame_at(uint64_t position)
{
	return (rco_frame){.session = media.session,
	                   .data = media.frame,
	                   .position = position,
	                   .size_bytes = sizeof media.frame,
	                   .format = RCO_FORMAT_PCMU_8K,
	                   .result = 1};
}

/* One behind a gap, one right behind it, one too late, and one that has no position. */
static int push_frames(void)
{
	rco_frame f[] = {frame_at(media.position), frame_at(media.position + sizeof media.frame), frame_at(0),
	                 frame_at(RCO_POSITION_NEXT)};
	int32_t accepted = rco_frames_push(f, 4), n = 0;
	int i;

	/* Ahead of what is pushed until the next time, and no day ahead of what was accepted. */
	media.position += f[0].result == RCO_OK ? 100000 : 6 * sizeof media.frame;
	for (i = 0; i < 4; i++)
		n += f[i].result == RCO_OK;
	if (n != accepted || f[2].result == RCO_OK ||
	    (f[0].result == RCO_OK && f[1].result == RCO_OK && f[2].result != RCO_E_POSITION &&
	     f[2].result != RCO_E_OPTED_OUT))
		return RCO_E_INTERNAL;
	return f[0].result;
}

static void push_many(void)
{
	uint64_t before = counted;
	int i;

	media.position = 6 * sizeof media.frame; /* next to nothing was pushed */
	for (i = 0; i < FRAMES; i++) {
		int rc = i % 2 == 0 ? rco_session_push(media.session, 0, RCO_FORMAT_PCMU_8K, media.frame,
		                                       sizeof media.frame)
		                    : push_frames();

		if (rc == RCO_OK)
			media.accepted++;
		else if (rc == RCO_E_OVERFLOW || rc == RCO_E_OPTED_OUT)
			media.refused++;
		else
			media.bad_rc = rc;
	}
	media.touched = counted - before;
}

/* In the child. From here on this thread may only end the process. */
static void allow_nothing_but_the_end(void)
{
	static struct sock_filter only_exit[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	static struct sock_fprog program = {sizeof only_exit / sizeof only_exit[0], only_exit};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		_exit(77);
}

static void *filtered_pusher(void *arg)
{
	(void)arg;
	/* Warm up: what the thread touches first (its error text, the ring's pages) may cost a page fault, no
	 * call. */
	(void)rco_session_push(media.session, 0, RCO_FORMAT_PCMU_8K, media.frame, sizeof media.frame);
	allow_nothing_but_the_end();
	push_many();
	_exit(media.bad_rc != 0 ? 3 : media.touched != 0 ? 4 : media.accepted == 0 ? 5 : 0);
}

/* The control: the filter must bite, or the test says nothing. */
static void *filtered_writer(void *arg)
{
	(void)arg;
	allow_nothing_but_the_end();
	(void)syscall(__NR_getppid);
	_exit(0);
}

struct child {
	t_world *w;
	void *(*thread)(void *arg);
};

static void run_filtered(void *arg)
{
	struct child *c = arg;
	pthread_t thread;

	t_world_open(c->w);
	media.session = t_call(c->w, "media");
	t_thread(&thread, c->thread, NULL);
	(void)pthread_join(thread, NULL); /* never: the thread ends the process */
	_exit(6);
}

static int in_child(uint32_t flags, void *(*thread)(void *arg))
{
	struct child c = {.thread = thread};
	t_world w;
	int rc;

	t_world_init(&w, flags);
	c.w = &w;
	rc = t_reap(t_spawn(run_filtered, &c));
	t_world_destroy(&w);
	return rc;
}

static void test_no_system_call(void **state)
{
	int rc;

	(void)state;
	if (T_SANITIZED)
		skip();
	rc = in_child(T_WORKERS, filtered_writer);
	if (rc == 77)
		skip(); /* no seccomp here */
	assert_int_equal(rc, -SIGSYS);
	t_noise(1, 0, media.frame, sizeof media.frame);
	assert_int_equal(in_child(T_WORKERS, filtered_pusher), 0);
	assert_int_equal(in_child(T_WORKERS | T_SHARED | T_SPOOL | T_DISK, filtered_pusher), 0);
}

/* ---- no lock, no allocation: also while the call is paused, opted out, ended ---- */

static void *counting_pusher(void *arg)
{
	(void)arg;
	(void)rco_session_push(media.session, 0, RCO_FORMAT_PCMU_8K, media.frame, sizeof media.frame);
	push_many();
	atomic_store(&media.finished, 1);
	return NULL;
}

static void test_no_lock_and_no_allocation(void **state)
{
	pthread_t thread;
	uint64_t before;
	t_world w;
	void *volatile p;

	(void)state;
	if (T_SANITIZED)
		skip();
	before = counted;
	p = malloc(8);
	free(p);
	assert_true(counted >= before + 2); /* the counting works */
	before = counted;

	t_world_init(&w, T_WORKERS | T_SPOOL | T_DISK);
	t_world_open(&w);
	media.session = t_call(&w, "media");
	media.accepted = media.refused = 0;
	t_thread(&thread, counting_pusher, NULL);
	assert_int_equal(rco_opt_out(media.session, NULL, NULL), RCO_OK);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(media.bad_rc, 0);
	assert_int_equal(media.accepted + media.refused, FRAMES);
	assert_int_equal(media.touched, 0);
	assert_int_equal(t_push_one(media.session, 0, 1), RCO_E_OPTED_OUT);
	rco_session_free(media.session);
	t_world_destroy(&w);
}

/* ---- never waits: a backend that hangs does not hold up the media thread, nor does one that stops the leg ----
 */

static void test_never_waits_for_a_backend(void **state)
{
	t_world w;
	rco_session *s;
	int i, full = 0;

	(void)state;
	t_world_init(&w, T_WORKERS);
	w.cfg.workers = 1;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_fault_set(&w.fault, T_APPEND, T_BLOCK, 0, 0);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	assert_true(t_fault_wait_blocked(&w.fault));
	/* the only worker hangs in the backend: frames go on being taken until the ring is full, then are refused
	 */
	for (i = 0; i < 1000 && !full; i++) {
		int rc = t_push_one(s, 0, 1);

		assert_true(rc == RCO_OK || rc == RCO_E_OVERFLOW);
		full = rc == RCO_E_OVERFLOW;
	}
	assert_true(full);
	/* and the caller's word counts at once */
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	t_fault_set(&w.fault, T_APPEND, T_PASS, 0, 0);
	t_fault_unblock(&w.fault);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_system_call),
		cmocka_unit_test(test_no_lock_and_no_allocation),
		cmocka_unit_test(test_never_waits_for_a_backend),
	};

	return cmocka_run_group_tests_name("P10 media path", tests, NULL, NULL);
}
