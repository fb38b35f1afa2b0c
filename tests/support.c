/* SPDX-License-Identifier: MIT */
/* The world of a test: engine, clock, events, calls, and what the store holds. */
#include "support.h"

#include "../lib/session/calls.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Longest wait for anything: far more than needed on a busy machine under a sanitizer. */
enum { PATIENCE_MS = 60000 };

/* ---- clock ---- */

static int64_t clock_wall(void *ud)
{
	return atomic_load(&((t_clock *)ud)->wall_us);
}

static int64_t clock_mono(void *ud)
{
	return atomic_load(&((t_clock *)ud)->mono_us);
}

void t_clock_init(t_clock *clock)
{
	atomic_store(&clock->wall_us, INT64_C(1700000000000000));
	atomic_store(&clock->mono_us, INT64_C(1000000000));
}

rco_clock t_clock_table(t_clock *clock)
{
	return (rco_clock){.struct_size = (uint32_t)sizeof(rco_clock),
	                   .wall_us = clock_wall,
	                   .monotonic_us = clock_mono,
	                   .user_data = clock};
}

void t_clock_advance(t_clock *clock, int64_t ms)
{
	(void)atomic_fetch_add(&clock->wall_us, ms * 1000);
	(void)atomic_fetch_add(&clock->mono_us, ms * 1000);
}

/* ---- events ---- */

void t_events_init(t_events *events)
{
	memset(events, 0, sizeof *events);
	(void)pthread_mutex_init(&events->lock, NULL);
	(void)pthread_cond_init(&events->cond, NULL);
}

void t_events_destroy(t_events *events)
{
	(void)pthread_cond_destroy(&events->cond);
	(void)pthread_mutex_destroy(&events->lock);
	free(events->list);
}

void t_events_receive(const rco_event *event, void *user_data)
{
	t_events *events = user_data;
	t_event *e;

	if (events->hook != NULL)
		events->hook(event, events->hook_user_data);
	(void)pthread_mutex_lock(&events->lock);
	if (events->n == events->cap) {
		events->cap = events->cap == 0 ? 64 : events->cap * 2;
		events->list = realloc(events->list, events->cap * sizeof *events->list);
		if (events->list == NULL)
			abort();
	}
	e = &events->list[events->n++];
	memset(e, 0, sizeof *e);
	e->type = event->type;
	e->status = event->status;
	e->attempt = event->attempt;
	e->code = event->code;
	e->count = event->count;
	(void)snprintf(e->call_id, sizeof e->call_id, "%s", event->call_id);
	(void)snprintf(e->receipt_id, sizeof e->receipt_id, "%s", event->receipt_id);
	(void)pthread_cond_broadcast(&events->cond);
	(void)pthread_mutex_unlock(&events->lock);
}

/* lock held */
static size_t count_events(const t_events *events, const char *call_id, uint32_t type, t_event *last)
{
	size_t i, n = 0;

	for (i = 0; i < events->n; i++) {
		if (events->list[i].type != type ||
		    (call_id != NULL && strcmp(events->list[i].call_id, call_id) != 0))
			continue;
		n++;
		if (last != NULL)
			*last = events->list[i];
	}
	return n;
}

size_t t_events_count(t_events *events, const char *call_id, uint32_t type)
{
	size_t n;

	(void)pthread_mutex_lock(&events->lock);
	n = count_events(events, call_id, type, NULL);
	(void)pthread_mutex_unlock(&events->lock);
	return n;
}

uint64_t t_events_sum(t_events *events, const char *call_id, uint32_t type)
{
	uint64_t sum = 0;
	size_t i;

	(void)pthread_mutex_lock(&events->lock);
	for (i = 0; i < events->n; i++)
		if (events->list[i].type == type &&
		    (call_id == NULL || strcmp(events->list[i].call_id, call_id) == 0))
			sum += events->list[i].count;
	(void)pthread_mutex_unlock(&events->lock);
	return sum;
}

int t_events_last(t_events *events, const char *call_id, uint32_t type, t_event *out)
{
	size_t n;

	(void)pthread_mutex_lock(&events->lock);
	n = count_events(events, call_id, type, out);
	(void)pthread_mutex_unlock(&events->lock);
	return n > 0;
}

int t_events_wait(t_events *events, const char *call_id, uint32_t type, size_t n, uint32_t timeout_ms)
{
	struct timespec until;
	size_t got;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(timeout_ms / 1000 + 1);
	(void)pthread_mutex_lock(&events->lock);
	while ((got = count_events(events, call_id, type, NULL)) < n)
		if (pthread_cond_timedwait(&events->cond, &events->lock, &until) != 0)
			break;
	got = count_events(events, call_id, type, NULL);
	(void)pthread_mutex_unlock(&events->lock);
	return got >= n;
}

/* ---- world ---- */

static void log_line(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)user_data;
	if (getenv("RCO_TEST_LOG") != NULL)
		(void)fprintf(stderr, "    %u %.*s\n", level, (int)length, message);
}

static void use_backends(t_world *w)
{
	w->fault.deletion = (w->flags & T_DISK) ? rco_directory_deletion_ops() : rco_memory_deletion_ops();
	w->fault.upload = (w->flags & T_DISK) ? rco_directory_upload_ops() : rco_memory_upload_ops();
	w->fault.buffer = rco_memory_buffer_ops();
	w->cfg.deletion = &t_fault_deletion_ops;
	w->cfg.deletion_user_data = &w->fault;
	w->cfg.upload = &t_fault_upload_ops;
	w->cfg.upload_user_data = &w->fault;
	if (!(w->flags & T_DISK))
		w->cfg.output_dir = w->out; /* for files of the host, which the memory store declines */
	if (!(w->flags & T_SPOOL)) {
		w->cfg.buffer = &t_fault_buffer_ops;
		w->cfg.buffer_user_data = &w->fault;
	}
}

void t_world_init(t_world *w, uint32_t flags)
{
	memset(w, 0, sizeof *w);
	w->flags = flags;
	t_tempdir(NULL, w->root, sizeof w->root);
	t_join(w->state, sizeof w->state, w->root, "state");
	t_join(w->out, sizeof w->out, w->root, "out");
	t_join(w->artifacts, sizeof w->artifacts, w->root, "artifacts");
	assert_int_equal(mkdir(w->artifacts, 0700), 0);
	if (flags & T_SHARED)
		t_tempdir(t_shm(), w->rings, sizeof w->rings);
	t_clock_init(&w->clock);
	t_events_init(&w->events);
	t_fault_init(&w->fault);
	w->clock_table = t_clock_table(&w->clock);
	w->cfg.struct_size = (uint32_t)sizeof w->cfg;
	w->cfg.state_dir = w->state;
	w->cfg.opt_out_enabled = 1;
	w->cfg.ring_pool_bytes = 1u << 20;
	w->cfg.event = t_events_receive;
	w->cfg.event_user_data = &w->events;
	w->cfg.log = log_line;
	if (flags & T_WORKERS) {
		w->cfg.workers = 2;
		w->cfg.late_opt_out_ms = RCO_NONE_MS;
		w->cfg.sweep_delay_ms = RCO_NONE_MS;
		w->cfg.retry_min_ms = 10;
		w->cfg.retry_max_ms = 50;
		w->cfg.flush_interval_ms = 20;
	} else {
		w->cfg.flags |= RCO_ENGINE_HOST_DRIVEN;
		w->cfg.clock = &w->clock_table;
	}
	if (flags & T_SHARED)
		w->cfg.ring_dir = w->rings;
	else
		w->cfg.flags |= RCO_ENGINE_PRIVATE_RINGS;
	use_backends(w);
}

int t_world_try_open(t_world *w)
{
	int rc;

	if (w->memory == NULL) {
		rco_memory_options o = {.struct_size = (uint32_t)sizeof o};

		assert_int_equal(rco_memory_create(&o, &w->memory), RCO_OK);
	}
	if ((w->flags & T_DISK) && w->directory == NULL) {
		rco_directory_options o = {.struct_size = (uint32_t)sizeof o, .path = w->out};

		assert_int_equal(rco_directory_create(&o, &w->directory), RCO_OK);
	}
	w->fault.buffer_ud = w->memory;
	w->fault.upload_ud = (w->flags & T_DISK) ? (void *)w->directory : (void *)w->memory;
	w->fault.deletion_ud = w->fault.upload_ud;
	rc = w->fs != NULL ? rco__engine_create(&w->cfg, &w->fs->disk.table, &w->engine)
	                   : rco_engine_create(&w->cfg, &w->engine);
	if (rc != RCO_OK)
		w->engine = NULL;
	return rc;
}

void t_world_open(t_world *w)
{
	int rc = t_world_try_open(w);

	if (rc != RCO_OK)
		print_error("rco_engine_create: %s: %s\n", rco_error_name(rc), rco_error_detail());
	assert_int_equal(rc, RCO_OK);
}

void t_world_close(t_world *w)
{
	t_fault_quiet(&w->fault);
	(void)rco_engine_close(w->engine, 2000); /* of a buffer that never answers nothing is expected */
	w->engine = NULL;
}

void t_world_destroy(t_world *w)
{
	t_world_close(w);
	t_fault_destroy(&w->fault);
	rco_directory_free(w->directory);
	rco_memory_free(w->memory);
	t_events_destroy(&w->events);
	t_rmtree(w->root);
	if (w->rings[0] != '\0')
		t_rmtree(w->rings);
}

/* ---- work ---- */

void t_settle(t_world *w)
{
	uint32_t timeout_ms = 0;
	int32_t fd;
	int i;

	/* A run does a step; it is enough when nothing is due twice running. */
	for (i = 0; i < 2000; i++) {
		assert_int_equal(rco_engine_run(w->engine, 0, 0), RCO_OK);
		assert_int_equal(rco_engine_poll(w->engine, &fd, &timeout_ms), RCO_OK);
		if (timeout_ms > 0 && i >= 20)
			return;
	}
}

void t_advance(t_world *w, int64_t ms)
{
	t_clock_advance(&w->clock, ms);
	t_settle(w);
}

void t_await(t_world *w, const char *call_id, uint32_t type, size_t n)
{
	int i, ok;

	if (w->flags & T_WORKERS) {
		ok = t_events_wait(&w->events, call_id, type, n, PATIENCE_MS);
	} else {
		for (i = 0; i < 5000 && t_events_count(&w->events, call_id, type) < n; i++) {
			assert_int_equal(rco_engine_run(w->engine, 0, 0), RCO_OK);
			if (i % 10 == 9)
				t_clock_advance(&w->clock, i < 2000 ? 50 : 1000);
		}
		ok = t_events_count(&w->events, call_id, type) >= n;
	}
	if (!ok)
		print_error("event %s of %s did not come\n", rco_event_name(type),
		            call_id != NULL ? call_id : "any");
	assert_true(ok);
}

/* ---- calls ---- */

rco_session *t_call_with(t_world *w, const rco_session_options *options)
{
	rco_session *s = NULL;
	uint32_t leg = 9;

	assert_int_equal(rco_session_create(w->engine, options, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	assert_int_equal(leg, 0);
	assert_int_equal(rco_session_add_leg(s, "agent", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	assert_int_equal(leg, 1);
	return s;
}

rco_session *t_call(t_world *w, const char *call_id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *s = t_call_with(w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

void t_push(rco_session *session, uint32_t leg, uint64_t seed, size_t first, size_t frames)
{
	uint8_t frame[T_FRAME];
	size_t i;

	for (i = first; i < first + frames; i++) {
		t_noise(seed, i * T_FRAME, frame, sizeof frame);
		assert_int_equal(rco_session_push(session, leg, RCO_FORMAT_PCMU_8K, frame, sizeof frame), RCO_OK);
	}
}

int t_push_one(rco_session *session, uint32_t leg, uint64_t seed)
{
	uint8_t frame[T_FRAME];

	t_noise(seed, 0, frame, sizeof frame);
	return rco_session_push(session, leg, RCO_FORMAT_PCMU_8K, frame, sizeof frame);
}

uint32_t t_state(rco_session *session)
{
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};

	assert_int_equal(rco_session_get_stats(session, &stats), RCO_OK);
	return stats.state;
}

void t_wait_buffered(rco_session *session)
{
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};

	do {
		(void)sched_yield();
		assert_int_equal(rco_session_get_stats(session, &stats), RCO_OK);
	} while (stats.buffered_bytes < stats.accepted_bytes);
}

static int outstanding(int rc, rco_receipt *r)
{
	if (rc == RCO_PENDING && r != NULL)
		rc = rco_receipt_code(r);
	rco_receipt_free(r);
	return rc;
}

int t_opt_out(rco_session *session, const rco_opt_out_options *options)
{
	rco_receipt *r = NULL;
	int rc = rco_opt_out(session, options, &r);

	return outstanding(rc, r);
}

int t_opt_out_call(rco_engine *engine, const char *call_id, const rco_opt_out_options *options)
{
	rco_receipt *r = NULL;
	int rc = rco_engine_opt_out(engine, call_id, options, &r);

	return outstanding(rc, r);
}

uint32_t t_status(t_world *w, const char *call_id)
{
	rco_receipt *r = NULL;
	uint32_t status;

	if (rco_engine_receipt(w->engine, call_id, &r) != RCO_OK)
		return RCO_STATUS_UNKNOWN;
	status = rco_receipt_status(r);
	rco_receipt_free(r);
	return status;
}

/* ---- the store ---- */

static int ends_with(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* Calls fn for each file of the store until it returns non-zero. */
static int store_each(t_world *w, int (*fn)(t_world *w, const char *key, void *ud), void *ud)
{
	char key[512];
	struct dirent *e;
	size_t i;
	int rc = 0;
	DIR *d;

	if (!(w->flags & T_DISK)) {
		for (i = 0; rc == 0 && rco_memory_key_at(w->memory, i, key, sizeof key) == RCO_OK; i++)
			rc = fn(w, key, ud);
		return rc;
	}
	d = opendir(w->out);
	if (d == NULL)
		return 0;
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			rc = fn(w, e->d_name, ud);
	(void)closedir(d);
	return rc;
}

struct counting {
	const char *suffix;
	size_t n;
};

static int count_key(t_world *w, const char *key, void *ud)
{
	struct counting *c = ud;

	(void)w;
	c->n += (size_t)ends_with(key, c->suffix);
	return 0;
}

size_t t_store_count(t_world *w, const char *suffix)
{
	struct counting c = {suffix, 0};

	(void)store_each(w, count_key, &c);
	return c.n;
}

static int count_audio(t_world *w, const char *key, void *ud)
{
	(void)w;
	*(size_t *)ud += strstr(key, ".wav") != NULL || !ends_with(key, ".json");
	return 0;
}

size_t t_store_audio(t_world *w)
{
	size_t n = 0;

	(void)store_each(w, count_audio, &n);
	return n;
}

uint8_t *t_store_get(t_world *w, const char *key, size_t *size)
{
	char path[1024];
	uint8_t *data;

	if (w->flags & T_DISK) {
		t_join(path, sizeof path, w->out, key);
		return t_read_file(path, size);
	}
	if (rco_memory_get(w->memory, key, NULL, 0, size) == RCO_E_NOT_FOUND)
		return NULL;
	data = malloc(*size + 1);
	if (data == NULL || rco_memory_get(w->memory, key, data, *size, size) != RCO_OK) {
		free(data);
		return NULL;
	}
	data[*size] = 0;
	return data;
}

struct naming {
	char quoted[300];
	char *name;
	size_t size;
};

static int is_record(t_world *w, const char *key, void *ud)
{
	struct naming *n = ud;
	uint8_t *text;
	size_t size = 0;
	int found;

	if (!ends_with(key, ".json"))
		return 0;
	text = t_store_get(w, key, &size);
	found = text != NULL && strstr((const char *)text, n->quoted) != NULL;
	free(text);
	if (found)
		(void)snprintf(n->name, n->size, "%.*s", (int)(strlen(key) - 5), key);
	return found;
}

int t_store_name(t_world *w, const char *call_id, char *name, size_t size)
{
	struct naming n = {.name = name, .size = size};

	(void)snprintf(n.quoted, sizeof n.quoted, "\"%s\"", call_id);
	return store_each(w, is_record, &n);
}

char *t_store_record(t_world *w, const char *call_id)
{
	char name[256], key[300];
	size_t size;

	if (!t_store_name(w, call_id, name, sizeof name))
		return NULL;
	(void)snprintf(key, sizeof key, "%s.json", name);
	return (char *)t_store_get(w, key, &size);
}

int t_store_has_noise(t_world *w, const char *call_id, const char *label, uint64_t seed, size_t frames)
{
	char name[256], key[300];
	const uint8_t *samples;
	size_t size = 0, n = 0;
	uint8_t *file;
	int ok;

	if (!t_store_name(w, call_id, name, sizeof name))
		return 0;
	(void)snprintf(key, sizeof key, "%s.%s.wav", name, label);
	file = t_store_get(w, key, &size);
	if (file == NULL)
		return 0;
	samples = t_wav_samples(file, size, &n);
	ok = samples != NULL && n == frames * T_FRAME && t_is_noise(seed, samples, n);
	if (!ok)
		print_error("%s: %zu bytes of samples, expected %zu\n", key, n, frames * (size_t)T_FRAME);
	free(file);
	return ok;
}

/* ---- threads and processes ---- */

void t_thread(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	if (pthread_create(thread, NULL, fn, arg) != 0)
		abort();
}

static struct {
	void (*fn)(void *arg);
	void *arg;
} in_child;

static void child_test(void **state)
{
	(void)state;
	in_child.fn(in_child.arg);
}

pid_t t_spawn(void (*fn)(void *arg), void *arg)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(child_test)};
	pid_t pid;
	int failed;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* A group of its own, or a failed assertion would go on with the parent's tests. Its report would
		 * be taken for the parent's. */
		if (getenv("RCO_TEST_LOG") == NULL &&
		    (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL))
			_exit(98);
		in_child.fn = fn;
		in_child.arg = arg;
		failed = cmocka_run_group_tests(tests, NULL, NULL);
		T_LAST_WORDS();
		_exit(failed == 0 ? 0 : 99);
	}
	return pid;
}

const char *t_go_inside(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[512];

	assert_non_null(slash);
	(void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	assert_int_equal(chdir(folder), 0);
	return slash + 1;
}

int t_reap(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
