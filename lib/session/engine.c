/* SPDX-License-Identifier: MIT */
/* Opening and closing an engine, and what it tells about itself. */
#include "calls.h"
#include "core.h"
#include "recover.h"
#include "work.h"

#include "../base/thread.h"
#include "../base/trust.h"

#include <errno.h>
#include <sched.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t config_v1_size = RCO__SIZE_THROUGH(rco_engine_config, remember_opt_outs);

enum { PATH_CAP = 1024, MAX_WORKERS = 64 };

/* ---- configuration ---- */

static void default32(uint32_t *value, uint32_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

/* For times whose zero means the default, and RCO_NONE_MS none. */
static void default_ms(uint32_t *value, uint32_t otherwise)
{
	default32(value, otherwise);
	if (*value == RCO_NONE_MS)
		*value = 0;
}

static void default64(uint64_t *value, uint64_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static void fill_defaults(rco_engine_config *c)
{
	default64(&c->ring_pool_bytes, 32u << 20);
	default64(&c->segment_bytes, 64u << 20);
	default64(&c->upload_part_bytes, 5u << 20);
	default32(&c->consent, RCO_CONSENT_IMPLIED);
	c->erase_kinds |= RCO_KIND_AUDIO;
	default32(&c->export_format, RCO_EXPORT_WAV);
	default32(&c->export_layout, RCO_LAYOUT_PER_LEG);
	default32(&c->workers, 1);
	default32(&c->flush_interval_ms, 200);
	default_ms(&c->late_opt_out_ms, 10000);
	default32(&c->sweep_delay_ms, 60000); /* RCO_NONE_MS stays: 0 would be a sweep at once */
	default32(&c->erase_deadline_ms, 3600000);
	default32(&c->retry_min_ms, 500);
	default32(&c->retry_max_ms, 60000);
	default32(&c->backend_timeout_ms, 30000);
	default32(&c->early_opt_out_ttl_s, 86400);
	default32(&c->remember_ended_s, 3600);
	default32(&c->early_opt_outs_max, 100000);
	default32(&c->remember_opt_outs, 100000);
}

static int check_config(const rco_engine_config *c)
{
	int rc = rco__struct_known(c->flags, RCO_ENGINE_HOST_DRIVEN | RCO_ENGINE_PRIVATE_RINGS, c->reserved1 != 0,
	                           "rco_engine_config");

	if (rc != RCO_OK)
		return rc;
	if (c->state_dir == NULL || c->state_dir[0] == '\0')
		return rco__fail(RCO_E_INVALID, "rco_engine_config: state_dir is required");
	if (c->upload != NULL && c->deletion == NULL)
		return rco__fail(RCO_E_OPS,
		                 "rco_engine_config: an upload backend needs a deletion backend for what it "
		                 "stores, or nothing that it stores could be erased");
	if ((c->upload == NULL || c->deletion == NULL) && c->output_dir == NULL)
		return rco__fail(RCO_E_INVALID,
		                 "rco_engine_config: set output_dir, or both an upload and a deletion backend");
	if (c->opt_out_enabled > 1 || c->consent > RCO_CONSENT_OFF || c->export_format > RCO_EXPORT_WAV_ZST ||
	    c->export_layout > RCO_LAYOUT_STEREO || c->workers > MAX_WORKERS || c->log_level > RCO_LOG_DEBUG)
		return rco__fail(RCO_E_INVALID, "rco_engine_config: opt_out_enabled, consent, export_format, "
		                                "export_layout, workers or log_level is out of range");
	if (c->erase_kinds & ~(uint32_t)(RCO_KIND_AUDIO | RCO_KIND_TRANSCRIPT | RCO_KIND_ANALYTICS))
		return rco__fail(RCO_E_INVALID, "rco_engine_config: erase_kinds may hold audio, transcript and "
		                                "analytics; call records are always kept");
	if (c->retry_min_ms > 0 && c->retry_max_ms > 0 && c->retry_min_ms > c->retry_max_ms)
		return rco__fail(RCO_E_INVALID, "rco_engine_config: retry_min_ms is larger than retry_max_ms");
	return RCO_OK;
}

static char *copy_path(rco_engine *engine, const char *text)
{
	size_t size = strlen(text) + 1;
	char *out = rco__alloc(&engine->env, size);

	if (out != NULL)
		memcpy(out, text, size);
	return out;
}

static int set_paths(rco_engine *engine, const rco_engine_config *c)
{
	char state[PATH_CAP], quarantine[PATH_CAP];
	int rc = rco__fs_root(engine->env.fs, c->state_dir, RCO__TRUST_OWN, state, sizeof state);

	if (rc == RCO_OK)
		rc = rco__path_join(quarantine, sizeof quarantine, state, "quarantine");
	if (rc != RCO_OK)
		return rc;
	engine->state_dir = copy_path(engine, state);
	engine->quarantine_dir = copy_path(engine, quarantine);
	if (engine->state_dir == NULL || engine->quarantine_dir == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for an engine");
	return RCO_OK;
}

static int lock_state(rco_engine *engine)
{
	char path[PATH_CAP];
	int rc = rco__path_join(path, sizeof path, engine->state_dir, "lock");

	if (rc == RCO_OK)
		rc = engine->env.fs->lock(engine->env.fs->ctx, path, &engine->lock_fd);
	if (rc == RCO_E_BUSY)
		return rco__fail(rc, "%s is in use (%s); one engine for each state_dir", engine->state_dir,
		                 rco_error_detail());
	return rc;
}

/* A page that the kernel hands to a forked child as zeros: telling child from parent costs no system call. */
static int make_alive(rco_engine *engine)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return rco__fail(RCO_E_NO_MEMORY, "cannot map a page: %s", strerror(errno));
	if (madvise(page, 4096, MADV_WIPEONFORK) != 0)
		rco__log(&engine->env, RCO_LOG_WARN,
		         "this kernel cannot tell a forked child (MADV_WIPEONFORK): do not use the engine in one");
	engine->alive = page;
	*engine->alive = 1;
	return RCO_OK;
}

static int make_shards(rco_engine *engine)
{
	int host_driven = (engine->cfg.flags & RCO_ENGINE_HOST_DRIVEN) != 0, rc = RCO_OK;
	uint32_t i, live = host_driven ? 1 : engine->cfg.workers, n = host_driven ? 1 : 2 * live + 3;

	engine->shards = rco__zalloc(&engine->env, n, sizeof *engine->shards);
	if (engine->shards == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for workers");
	engine->n_live = live;
	for (i = 0; i < n && rc == RCO_OK; i++) {
		engine->shards[i].wake_fd = -1;
		rc = rco__shard_init(&engine->shards[i], engine, i,
		                     host_driven         ? RCO__ROLE_ALL
		                     : i < live          ? RCO__ROLE_LIVE
		                     : i < 2 * live      ? RCO__ROLE_FILES
		                     : i == 2 * live     ? RCO__ROLE_FLUSH
		                     : i == 2 * live + 1 ? RCO__ROLE_SPOOL
		                                         : RCO__ROLE_OPT_OUT);
		engine->n_shards = i + 1;
	}
	engine->committer = &engine->shards[n - 1];
	engine->flusher = &engine->shards[host_driven ? 0 : 2 * live];
	engine->spooler = &engine->shards[host_driven ? 0 : 2 * live + 1];
	engine->maintenance = &engine->shards[host_driven ? 0 : live];
	return rc;
}

/* ---- storage ---- */

static int open_spool(rco_engine *engine, const rco_engine_config *c)
{
	rco_key_dir_options ko = {.struct_size = (uint32_t)sizeof ko};
	rco_spool_options so = {
		.struct_size = (uint32_t)sizeof so, .segment_bytes = c->segment_bytes, .epoch_s = c->key_epoch_s};
	char keys[PATH_CAP], spool[PATH_CAP];
	uint64_t moved;
	int rc = rco__path_join(keys, sizeof keys, engine->state_dir, "keys");

	if (rc == RCO_OK)
		rc = rco__path_join(spool, sizeof spool, engine->state_dir, "spool");
	if (rc != RCO_OK)
		return rc;
	so.path = spool;
	so.quarantine_path = engine->quarantine_dir;
	so.keys = c->keys;
	so.keys_user_data = c->keys_user_data;
	if (so.keys == NULL) {
		ko.path = c->key_dir != NULL ? c->key_dir : keys;
		rc = rco__key_dir_open(&engine->env, &ko, &engine->key_dir);
		if (rc != RCO_OK)
			return rc;
		so.keys = rco_key_dir_ops();
		so.keys_user_data = engine->key_dir;
	}
	moved = atomic_load(&engine->quarantined);
	RCO__ASK_HOST(engine, rc, rco__spool_open(&engine->env, &so, &engine->spool));
	if (rc != RCO_OK)
		return rc;
	/* The spool also counts what it leaves in place because other recordings still need the file. */
	moved = atomic_load(&engine->quarantined) - moved;
	if (rco__spool_quarantined(engine->spool) > moved)
		atomic_fetch_add(&engine->quarantined, rco__spool_quarantined(engine->spool) - moved);
	engine->buffer_ud = engine->spool;
	engine->buffer_kind = c->buffer == NULL ? RCO__BUFFER_SPOOL : engine->buffer_kind;
	return rco__buffer_ops_copy(&engine->buffer, rco_spool_buffer_ops());
}

static int open_directory(rco_engine *engine, const rco_engine_config *c)
{
	rco_directory_options o = {.struct_size = (uint32_t)sizeof o, .path = c->output_dir};

	int rc = rco__directory_open(&engine->env, &o, &engine->directory);

	if (rc == RCO_OK && rco__directory_unwritable(engine->directory) != RCO_OK)
		rco__engine_event(
			engine, RCO_EVENT_UPLOAD_RETRY, rco__directory_unwritable(engine->directory), 0,
			"output_dir cannot be written: nothing is stored or erased there until it can: %s",
			rco_error_detail());
	return rc;
}

int rco__at_once(const char *slot, int rc)
{
	return rc <= 0 ? rc
	               : rco__fail(RCO_E_OPS, "the slot %s of a backend answered %d, which is no error", slot, rc);
}

static int attach(rco_engine *engine)
{
	int rc = RCO_OK;

	if (engine->buffer.attach != NULL)
		RCO__ASK_HOST(engine, rc, engine->buffer.attach(engine, engine->buffer_ud));
	engine->attached_buffer = rc == RCO_OK;
	if (rc == RCO_OK && engine->upload.attach != NULL)
		RCO__ASK_HOST(engine, rc, engine->upload.attach(engine, engine->upload_ud));
	engine->attached_upload = rc == RCO_OK;
	if (rc == RCO_OK && engine->deletion.attach != NULL)
		RCO__ASK_HOST(engine, rc, engine->deletion.attach(engine, engine->deletion_ud));
	engine->attached_deletion = rc == RCO_OK;
	return rco__at_once("attach", rc);
}

/* Those that were attached. They may use what they were given until this returns. */
static void detach(rco_engine *engine)
{
	if (engine->attached_deletion && engine->deletion.detach != NULL)
		RCO__IN_HOST(engine, engine->deletion.detach(engine, engine->deletion_ud));
	if (engine->attached_upload && engine->upload.detach != NULL)
		RCO__IN_HOST(engine, engine->upload.detach(engine, engine->upload_ud));
	if (engine->attached_buffer && engine->buffer.detach != NULL)
		RCO__IN_HOST(engine, engine->buffer.detach(engine, engine->buffer_ud));
}

static void close_spool(rco_engine *engine)
{
	rco__left_spool_free(engine->left);
	rco_spool_free(engine->spool);
	rco_key_dir_free(engine->key_dir);
	engine->left = NULL;
	engine->spool = NULL;
	engine->key_dir = NULL;
}

/* The host's buffer, and the spool as long as that has something. */
static int open_buffer(rco_engine *engine, const rco_engine_config *c)
{
	rco_buffer_ops host;
	char spool[PATH_CAP];
	int kind, rc = rco__buffer_ops_copy(&host, c->buffer);

	engine->buffer = host;
	engine->buffer_ud = c->buffer_user_data;
	engine->buffer_kind =
		c->buffer->open == rco_memory_buffer_ops()->open ? RCO__BUFFER_MEMORY : RCO__BUFFER_HOST;
	if (rc == RCO_OK && host.open == rco_spool_buffer_ops()->open)
		engine->host_spool = c->buffer_user_data;
	if (rc == RCO_OK)
		rc = rco__path_join(spool, sizeof spool, engine->state_dir, "spool");
	if (rc == RCO_OK)
		rc = engine->env.fs->exists(engine->env.fs->ctx, spool, &kind, NULL);
	if (rc != RCO_OK || kind == RCO__FS_NONE ||
	    (engine->host_spool != NULL && rco__spool_is_at(engine->host_spool, spool)))
		return rc;
	rc = open_spool(engine, c);
	if (rc == RCO_OK)
		rc = rco__left_spool_new(&engine->env, engine->spool, &host, c->buffer_user_data, &engine->buffer,
		                         &engine->left);
	if (rc != RCO_OK)
		return rc;
	if (engine->left != NULL) {
		engine->buffer_ud = engine->left;
		return RCO_OK;
	}
	close_spool(engine);
	engine->buffer = host;
	engine->buffer_ud = c->buffer_user_data;
	return RCO_OK;
}

static int open_storage(rco_engine *engine, const rco_engine_config *c)
{
	int rc = c->buffer != NULL ? open_buffer(engine, c) : open_spool(engine, c);

	if (rc == RCO_OK && c->output_dir != NULL)
		rc = open_directory(engine, c);
	if (rc != RCO_OK)
		return rc;
	engine->upload_ud = c->upload != NULL ? c->upload_user_data : (void *)engine->directory;
	engine->deletion_ud = c->deletion != NULL ? c->deletion_user_data : (void *)engine->directory;
	rc = rco__upload_ops_copy(&engine->upload, c->upload != NULL ? c->upload : rco_directory_upload_ops());
	if (rc == RCO_OK)
		rc = rco__deletion_ops_copy(&engine->deletion,
		                            c->deletion != NULL ? c->deletion : rco_directory_deletion_ops());
	return rc;
}

/* ---- ledger ---- */

static int open_ledger(rco_engine *engine, const char *name, int for_ever, rco__ledger_replay_fn replay,
                       rco__recovery *recovery, rco__ledger **out)
{
	rco__ledger_options o = {.env = engine->env, .quarantine_dir = engine->quarantine_dir};
	rco__ledger_report report = {0};
	char dir[PATH_CAP];
	int rc = rco__path_join(dir, sizeof dir, engine->state_dir, name);

	if (rc != RCO_OK)
		return rc;
	o.dir = dir;
	o.keep_for_ever = for_ever && engine->cfg.ledger_retention_s == 0;
	o.retention_s = for_ever ? engine->cfg.ledger_retention_s : 0;
	return rco__ledger_open(&o, replay, recovery, &report, out);
}

/* ---- create ---- */

static int open_parts(rco_engine *engine, const rco_engine_config *c)
{
	rco__recovery *recovery = NULL;
	int rc = set_paths(engine, c);

	if (rc == RCO_OK)
		rc = lock_state(engine);
	if (rc == RCO_OK)
		rc = make_shards(engine);
	if (rc == RCO_OK)
		rc = rco__map_init(&engine->by_call, &engine->env);
	if (rc == RCO_OK)
		rc = rco__map_init(&engine->early, &engine->env);
	if (rc == RCO_OK)
		rc = rco__map_init(&engine->past, &engine->env);
	if (rc == RCO_OK)
		rc = rco__map_init(&engine->claims, &engine->env);
	if (rc == RCO_OK)
		rc = rco__signer_open(&engine->env, engine->state_dir, engine->quarantine_dir, &engine->signer);
	if (rc == RCO_OK)
		rc = rco__recovery_create(engine, &recovery);
	if (rc == RCO_OK)
		rc = open_ledger(engine, "ledger", 1, rco__journal_replay_ledger, recovery, &engine->ledger);
	if (rc == RCO_OK)
		rc = open_ledger(engine, "calls", 0, rco__journal_replay_calls, recovery, &engine->calls);
	if (rc == RCO_OK)
		rc = rco__rings_open(engine, c);
	if (rc == RCO_OK)
		rc = open_storage(engine, c);
	if (rc == RCO_OK) {
		atomic_store(&engine->magic, RCO__MAGIC_ENGINE);
		rc = attach(engine);
	}
	if (rc == RCO_OK)
		rc = rco__recovery_run(recovery);
	if (rc == RCO_OK)
		rc = rco__rings_settle(engine);
	if (recovery != NULL)
		rco__recovery_free(recovery);
	if (rc == RCO_OK && atomic_load(&engine->quarantined) > 0)
		rco__engine_event(engine, RCO_EVENT_QUARANTINED, RCO_E_CORRUPT, atomic_load(&engine->quarantined),
		                  "damaged files were set aside in %s; the log names each",
		                  engine->quarantine_dir);
	return rc == RCO_OK ? rco__workers_start(engine) : rc;
}

static void init_locks(rco_engine *engine)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&engine->reg_lock, NULL);
	(void)pthread_mutex_init(&engine->revive_lock, NULL);
	(void)pthread_mutex_init(&engine->claims_lock, NULL);
	(void)pthread_mutex_init(&engine->ops_lock, NULL);
	(void)pthread_mutex_init(&engine->idle_lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&engine->idle, &attr);
	(void)pthread_cond_init(&engine->ops_answered, &attr);
	(void)pthread_condattr_destroy(&attr);
	rco__listeners_init(engine);
	rco__answers_init(engine);
}

static int shut_down(rco_engine *engine, uint32_t timeout_ms);

/* Shutting down asks the backends, which say things of their own: why there is no engine is told afterwards. */
static int give_up(rco_engine *engine, int rc)
{
	char why[1024];

	(void)snprintf(why, sizeof why, "%s", rco_error_detail());
	(void)shut_down(engine, engine->cfg.backend_timeout_ms);
	return rco__fail(rc, "%s", why);
}

int rco__engine_create(const rco_engine_config *config, const rco__fs *fs, rco_engine **out)
{
	rco_engine_config c;
	rco_engine *engine;
	rco__env env;
	int rc;

	rc = rco__struct_copy(&c, sizeof c, config_v1_size, config, "rco_engine_config");
	if (rc == RCO_OK)
		rc = check_config(&c);
	if (rc == RCO_OK)
		rc = rco__env_init(&env, c.allocator, c.clock, c.log, c.log_user_data);
	if (rc != RCO_OK)
		return rc;
	if (sodium_init() < 0)
		return rco__fail(RCO_E_INTERNAL, "libsodium cannot start: no source of randomness");
	if (fs != NULL)
		env.fs = fs;
	engine = rco__zalloc(&env, 1, sizeof *engine);
	if (engine == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for an engine");
	engine->env = env;
	engine->env.log_level = c.log_level;
	engine->env.quarantined = &engine->quarantined;
	rco__roots_use(&engine->roots, &engine->env);
	atomic_store(&engine->refs, 1);
	engine->last_unref = rco__session_destroy;
	engine->lock_fd = -1;
	engine->retired_tail = &engine->retired;
	engine->engine_events_tail = &engine->engine_events;
	init_locks(engine);
	engine->cfg = c;
	fill_defaults(&engine->cfg);
	atomic_store(&engine->enabled, c.opt_out_enabled);
	rc = make_alive(engine);
	if (rc == RCO_OK)
		rc = open_parts(engine, &c);
	rco__clear_registers(); /* of audio that was taken up */
	if (rc != RCO_OK)
		return give_up(engine, rc);
	*out = engine;
	return RCO_OK;
}

int rco_engine_create(const rco_engine_config *config, rco_engine **engine)
{
	rco__error_clear();
	if (engine == NULL)
		return rco__fail(RCO_E_INVALID, "engine is NULL");
	*engine = NULL;
	return rco__engine_create(config, NULL, engine);
}

/* ---- free ---- */

/* From now on no frame is accepted; what was accepted is still to be drained. */
static void shut_gates(rco_engine *engine)
{
	rco_session *s;
	uint32_t i;

	(void)pthread_mutex_lock(&engine->reg_lock);
	for (s = engine->all; s != NULL; s = s->all_next) {
		(void)pthread_mutex_lock(&s->lock);
		atomic_store(&s->why_shut, RCO_E_HANDLE);
		for (i = 0; i < atomic_load(&s->n_legs); i++) {
			rco__ring *ring = rco__leg_ring(s, i);

			if (ring != NULL)
				rco__gate_shut(&ring->gate);
		}
		(void)pthread_mutex_unlock(&s->lock);
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
}

/* Sessions outlive the engine as long as the host has handles, but reach nothing of it any more. */
static void cut_sessions(rco_engine *engine)
{
	rco_session *s;
	uint32_t i;

	(void)pthread_mutex_lock(&engine->reg_lock);
	for (s = engine->all; s != NULL; s = s->all_next) {
		atomic_store(&s->magic, RCO__MAGIC_DEAD);
		for (i = 0; i < atomic_load(&s->n_legs); i++) {
			rco__ring *ring = rco__leg_ring(s, i);

			atomic_store(&s->rings[i], 0);
			while (ring != NULL && !rco__ring_lock_out(ring))
				(void)sched_yield(); /* a media thread between two instructions */
		}
	}
	(void)pthread_mutex_unlock(&engine->reg_lock);
}

static void forget_all(rco_engine *engine)
{
	rco_session *s;

	for (s = rco__registry_next(engine, NULL); s != NULL; s = rco__registry_next(engine, s))
		rco__registry_forget(s);
}

static void free_early_opt_outs(rco_engine *engine)
{
	rco__map_node *node;

	while ((node = rco__map_next(&engine->early, NULL)) != NULL)
		rco__early_release(&engine->env, rco__map_remove(&engine->early, node->key, node->key_size));
	rco__map_destroy(&engine->early);
}

/* Also for an engine that was only half opened. */
static int shut_down(rco_engine *engine, uint32_t timeout_ms)
{
	const struct timespec until = rco__deadline_in(timeout_ms);
	const rco__env *env = &engine->env;
	int rc = RCO_OK;
	uint32_t i;

	shut_gates(engine);
	rco__workers_stop(engine);
	if (engine->shards != NULL && engine->pool != NULL)
		rc = rco__workers_drain(engine, &until);
	rco__engine_events_dispatch(engine);
	detach(engine);
	atomic_store(&engine->magic, RCO__MAGIC_DEAD);
	cut_sessions(engine);
	rco__workers_drop(engine);
	forget_all(engine);
	rco__ops_destroy(engine);
	rco__ledger_close(engine->calls);
	rco__ledger_close(engine->ledger);
	close_spool(engine);
	rco_directory_free(engine->directory);
	rco__pool_close(engine->pool);
	rco__rings_left_free(engine);
	rco__signer_unref(engine->signer);
	free_early_opt_outs(engine);
	rco__past_free_all(engine);
	rco__map_destroy(&engine->by_call);
	for (i = 0; i < engine->n_shards; i++)
		rco__shard_destroy(&engine->shards[i]);
	if (engine->shards != NULL)
		rco__release(env, engine->shards);
	engine->shards = NULL;
	engine->n_shards = 0;
	if (engine->lock_fd >= 0)
		(void)env->fs->close(env->fs->ctx, engine->lock_fd);
	rco__clear_registers(); /* of audio that was drained here */
	if (engine->state_dir != NULL)
		rco__release(env, engine->state_dir);
	if (engine->quarantine_dir != NULL)
		rco__release(env, engine->quarantine_dir);
	rco__engine_unref(engine);
	return rc;
}

int rco_engine_close(rco_engine *engine, uint32_t timeout_ms)
{
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (rco__in_callback())
		return rco__fail(RCO_E_REENTRANT, "an engine cannot be closed from inside a callback");
	if (atomic_exchange(&engine->closing, 1) != 0)
		return rco__fail(RCO_E_BUSY, "another thread is closing this engine");
	rc = shut_down(engine, timeout_ms);
	return rc == RCO_OK ? rc : rco__fail(rc, "the buffer has not taken all that was recorded: see the log");
}

void rco_engine_free(rco_engine *engine)
{
	if (engine != NULL && rco__engine_check(engine) == RCO_OK &&
	    rco_engine_close(engine, engine->cfg.backend_timeout_ms) == RCO_E_REENTRANT)
		rco__log(&engine->env, RCO_LOG_ERROR,
		         "rco_engine_free() was called from inside a callback, and ignored");
}

/* ---- the switch ---- */

int rco_engine_set_opt_out_enabled(rco_engine *engine, int enabled)
{
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (enabled != 0 && enabled != 1)
		return rco__fail(RCO_E_INVALID, "enabled is 1 or 0");
	atomic_store(&engine->enabled, (uint32_t)enabled);
	return RCO_OK;
}

int rco_engine_opt_out_enabled(rco_engine *engine)
{
	int rc = rco__engine_check(engine);

	return rc == RCO_OK ? (int)atomic_load(&engine->enabled) : rc;
}
