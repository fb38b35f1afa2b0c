/* SPDX-License-Identifier: MIT */
/* Opening and closing an engine, and what it tells about itself. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t config_v1_size = sizeof(rco_engine_config);

enum { PATH_CAP = 1024, MAX_WORKERS = 64 };

int rco__engine_check(rco_engine *engine)
{
	rco__error_clear();
	if (engine == NULL)
		return rco__fail(RCO_E_INVALID, "engine is NULL");
	if (atomic_load(&engine->magic) != RCO__MAGIC_ENGINE)
		return rco__fail(RCO_E_HANDLE, "the engine was freed");
	if (*engine->alive == 0)
		return rco__fail(RCO_E_FORKED, "the engine belongs to the parent process");
	return RCO_OK;
}

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
	default_ms(&c->window_ms, 10000);
	default32(&c->sweep_delay_ms, 60000); /* RCO_NONE_MS stays: 0 would be a sweep at once */
	default32(&c->erase_deadline_ms, 3600000);
	default32(&c->retry_min_ms, 500);
	default32(&c->retry_max_ms, 60000);
	default32(&c->backend_timeout_ms, 30000);
	default32(&c->prebirth_ttl_s, 86400);
	default32(&c->remember_ended_s, 3600);
}

static int check_config(const rco_engine_config *c)
{
	if ((c->flags & ~(uint32_t)(RCO_ENGINE_HOST_DRIVEN | RCO_ENGINE_PRIVATE_RINGS)) != 0)
		return rco__fail(RCO_E_INVALID, "rco_engine_config: flags has bits that do not exist");
	if (c->state_dir == NULL || c->state_dir[0] == '\0')
		return rco__fail(RCO_E_INVALID, "rco_engine_config: state_dir is required");
	if ((c->upload == NULL || c->deletion == NULL) && c->output_dir == NULL)
		return rco__fail(RCO_E_INVALID,
		                 "rco_engine_config: set output_dir, or both an upload and a deletion backend");
	if (c->opt_out_enabled > 1 || c->consent > RCO_CONSENT_OFF || c->export_format > RCO_EXPORT_WAV_ZST ||
	    c->export_layout > RCO_LAYOUT_STEREO || c->workers > MAX_WORKERS || c->reserved0 != 0)
		return rco__fail(RCO_E_INVALID, "rco_engine_config: opt_out_enabled, consent, export_format, "
		                                "export_layout, workers or reserved0 is out of range");
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
	char quarantine[PATH_CAP];
	int rc = rco__path_join(quarantine, sizeof quarantine, c->state_dir, "quarantine");

	if (rc != RCO_OK)
		return rc;
	engine->state_dir = copy_path(engine, c->state_dir);
	engine->quarantine_dir = copy_path(engine, quarantine);
	if (engine->state_dir == NULL || engine->quarantine_dir == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for an engine");
	return rco__fs_folder(engine->env.fs, engine->state_dir);
}

static int lock_state(rco_engine *engine)
{
	char path[PATH_CAP];
	int rc = rco__path_join(path, sizeof path, engine->state_dir, "lock");

	if (rc == RCO_OK)
		rc = engine->env.fs->lock(engine->env.fs->ctx, path, &engine->lock_fd);
	if (rc == RCO_E_BUSY)
		return rco__fail(rc, "%s is in use by another engine; one engine for each state_dir",
		                 engine->state_dir);
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
	uint32_t i, live = host_driven ? 1 : engine->cfg.workers, n = host_driven ? 1 : 2 * live + 2;

	engine->shards = rco__zalloc(&engine->env, n, sizeof *engine->shards);
	if (engine->shards == NULL)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for workers");
	engine->n_live = live;
	for (i = 0; i < n && rc == RCO_OK; i++) {
		engine->shards[i].wake_fd = -1;
		rc = rco__shard_init(&engine->shards[i], engine, i,
		                     host_driven    ? RCO__ROLE_ALL
		                     : i < live     ? RCO__ROLE_LIVE
		                     : i < 2 * live ? RCO__ROLE_FILES
		                     : i < n - 1    ? RCO__ROLE_FLUSH
		                                    : RCO__ROLE_OPT_OUT);
		engine->n_shards = i + 1;
	}
	engine->notary = &engine->shards[n - 1];
	engine->flusher = &engine->shards[host_driven ? 0 : n - 2];
	engine->housekeeper = &engine->shards[host_driven ? 0 : live];
	return rc;
}

/* ---- storage ---- */

static int open_spool(rco_engine *engine, const rco_engine_config *c)
{
	rco_key_folder_options ko = {.struct_size = (uint32_t)sizeof ko};
	rco_spool_options so = {.struct_size = (uint32_t)sizeof so, .segment_bytes = c->segment_bytes};
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
		rc = rco__key_folder_open(&engine->env, &ko, &engine->key_folder);
		if (rc != RCO_OK)
			return rc;
		so.keys = rco_key_folder_ops();
		so.keys_user_data = engine->key_folder;
	}
	moved = atomic_load(&engine->quarantined);
	rc = rco__spool_open(&engine->env, &so, &engine->spool);
	if (rc != RCO_OK)
		return rc;
	/* The spool also counts what it leaves in place because other recordings still need the file. */
	moved = atomic_load(&engine->quarantined) - moved;
	if (rco__spool_quarantined(engine->spool) > moved)
		atomic_fetch_add(&engine->quarantined, rco__spool_quarantined(engine->spool) - moved);
	engine->buffer_ud = engine->spool;
	return rco__buffer_ops_copy(&engine->buffer, rco_spool_buffer_ops());
}

static int open_directory(rco_engine *engine, const rco_engine_config *c)
{
	rco_directory_options o = {.struct_size = (uint32_t)sizeof o, .path = c->output_dir};

	return rco__directory_open(&engine->env, &o, &engine->directory);
}

static int attach(rco_engine *engine)
{
	int rc = RCO_OK;

	if (engine->buffer.attach != NULL)
		rc = engine->buffer.attach(engine, engine->buffer_ud);
	if (rc == RCO_OK && engine->upload.attach != NULL)
		rc = engine->upload.attach(engine, engine->upload_ud);
	if (rc == RCO_OK && engine->deletion.attach != NULL)
		rc = engine->deletion.attach(engine, engine->deletion_ud);
	return rc;
}

static int open_storage(rco_engine *engine, const rco_engine_config *c)
{
	int rc;

	if (c->buffer != NULL) {
		rc = rco__buffer_ops_copy(&engine->buffer, c->buffer);
		engine->buffer_ud = c->buffer_user_data;
	} else {
		rc = open_spool(engine, c);
	}
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

/* ---- ledger and rings ---- */

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
	o.keep_for_ever = for_ever && engine->cfg.evidence_retention_s == 0;
	o.retention_s = for_ever ? engine->cfg.evidence_retention_s : 0;
	return rco__ledger_open(&o, replay, recovery, &report, out);
}

/* The id of the state folder: its rings are found again by it. */
static int state_id(rco_engine *engine, char out[RCO_ID_TEXT + 1])
{
	const rco__fs *fs = engine->env.fs;
	uint8_t id[16];
	size_t size = 0;
	int rc = rco__fs_get(fs, engine->state_dir, "id", out, RCO_ID_TEXT, &size);

	if (rc == RCO_OK && size == RCO_ID_TEXT) {
		out[RCO_ID_TEXT] = '\0';
		if (rco__uuid_parse(out, id) == RCO_OK)
			return RCO_OK;
	} else if (rc != RCO_OK && rc != RCO_E_NOT_FOUND && rc != RCO_E_LIMIT) {
		return rc;
	}
	if (rc != RCO_E_NOT_FOUND)
		rc = rco__quarantine(&engine->env, engine->state_dir, "id", engine->quarantine_dir,
		                     "it is not an id; rings of an earlier process are not found any more");
	if (rc != RCO_OK && rc != RCO_E_NOT_FOUND)
		return rc;
	rco__uuid_new(id);
	rco__uuid_text(id, out);
	return rco__fs_put(fs, engine->state_dir, "id", out, RCO_ID_TEXT);
}

static int open_rings(rco_engine *engine, const rco_engine_config *c)
{
	char id[RCO_ID_TEXT + 1], name[RCO_ID_TEXT + 32];
	const char *dir = c->ring_dir != NULL ? c->ring_dir : "/dev/shm";
	uint64_t damaged = 0;
	int rc = state_id(engine, id);

	if (rc != RCO_OK)
		return rc;
	(void)snprintf(name, sizeof name, "recoptout-%s.rings", id);
	rc = rco__pool_open(&engine->env, engine->cfg.flags & RCO_ENGINE_PRIVATE_RINGS ? NULL : dir, name,
	                    engine->cfg.ring_pool_bytes, &damaged, &engine->pool);
	if (rc == RCO_OK)
		engine->map = rco__pool_map_of(engine->pool);
	atomic_fetch_add(&engine->quarantined, damaged);
	return rc;
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
		rc = rco__map_init(&engine->prebirth, &engine->env);
	if (rc == RCO_OK)
		rc = rco__signer_open(&engine->env, engine->state_dir, engine->quarantine_dir, &engine->signer);
	if (rc == RCO_OK)
		rc = rco__recovery_create(engine, &recovery);
	if (rc == RCO_OK)
		rc = open_ledger(engine, "ledger", 1, rco__journal_replay_ledger, recovery, &engine->ledger);
	if (rc == RCO_OK)
		rc = open_ledger(engine, "calls", 0, rco__journal_replay_calls, recovery, &engine->calls);
	if (rc == RCO_OK)
		rc = open_rings(engine, c);
	if (rc == RCO_OK)
		rc = open_storage(engine, c);
	if (rc == RCO_OK) {
		atomic_store(&engine->magic, RCO__MAGIC_ENGINE);
		rc = attach(engine);
	}
	if (rc == RCO_OK)
		rc = rco__recovery_run(recovery);
	if (recovery != NULL)
		rco__recovery_free(recovery);
	if (rc == RCO_OK && atomic_load(&engine->quarantined) > 0)
		rco__engine_event(engine, RCO_EVENT_QUARANTINED, RCO_E_CORRUPT, atomic_load(&engine->quarantined),
		                  "damaged files were set aside in %.120s; the log names each",
		                  engine->quarantine_dir);
	return rc == RCO_OK ? rco__workers_start(engine) : rc;
}

static void init_locks(rco_engine *engine)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&engine->reg_lock, NULL);
	(void)pthread_mutex_init(&engine->ops_lock, NULL);
	(void)pthread_mutex_init(&engine->idle_lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&engine->idle, &attr);
	(void)pthread_condattr_destroy(&attr);
	rco__listeners_init(engine);
}

static void shut_down(rco_engine *engine);

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
	engine->env.quarantined = &engine->quarantined;
	atomic_store(&engine->refs, 1);
	engine->lock_fd = -1;
	engine->graveyard_tail = &engine->graveyard;
	engine->engine_events_tail = &engine->engine_events;
	init_locks(engine);
	engine->cfg = c;
	fill_defaults(&engine->cfg);
	atomic_store(&engine->enabled, c.opt_out_enabled);
	rc = make_alive(engine);
	if (rc == RCO_OK)
		rc = open_parts(engine, &c);
	if (rc != RCO_OK) {
		shut_down(engine);
		return rc;
	}
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

void rco__engine_unref(rco_engine *engine)
{
	rco__env env = engine->env;

	if (atomic_fetch_sub(&engine->refs, 1) != 1)
		return;
	while (engine->graveyard != NULL) {
		rco_session *s = engine->graveyard;

		engine->graveyard = s->all_next;
		rco__session_bury(&env, s);
	}
	rco__pool_free(engine->pool);
	(void)pthread_mutex_destroy(&engine->reg_lock);
	(void)pthread_mutex_destroy(&engine->ops_lock);
	(void)pthread_mutex_destroy(&engine->idle_lock);
	(void)pthread_cond_destroy(&engine->idle);
	rco__listeners_destroy(engine);
	if (engine->alive != NULL)
		(void)munmap((void *)(uintptr_t)engine->alive, 4096);
	rco__release(&env, engine);
}

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

/* Nobody else changes the table any more. */
static void forget_all(rco_engine *engine)
{
	rco__map_node *node = rco__map_next(&engine->by_call, NULL);

	while (node != NULL) {
		rco_session *s = node->value;

		node = rco__map_next(&engine->by_call, node);
		rco__registry_forget(s);
	}
}

static void free_prebirths(rco_engine *engine)
{
	rco__map_node *node;

	while ((node = rco__map_next(&engine->prebirth, NULL)) != NULL)
		rco__release(&engine->env, rco__map_remove(&engine->prebirth, node->key, node->key_size));
	rco__map_destroy(&engine->prebirth);
}

/* Also for an engine that was only half opened. */
static void shut_down(rco_engine *engine)
{
	const rco__env *env = &engine->env;
	uint32_t i;

	shut_gates(engine);
	rco__workers_stop(engine);
	if (engine->shards != NULL && engine->pool != NULL)
		rco__workers_drain(engine);
	rco__engine_events_dispatch(engine);
	atomic_store(&engine->magic, RCO__MAGIC_DEAD);
	cut_sessions(engine);
	rco__workers_drop(engine);
	forget_all(engine);
	rco__ops_destroy(engine);
	rco__ledger_close(engine->calls);
	rco__ledger_close(engine->ledger);
	rco_spool_free(engine->spool);
	rco_directory_free(engine->directory);
	rco_key_folder_free(engine->key_folder);
	rco__pool_close(engine->pool);
	rco__signer_unref(engine->signer);
	free_prebirths(engine);
	rco__map_destroy(&engine->by_call);
	for (i = 0; i < engine->n_shards; i++)
		rco__shard_destroy(&engine->shards[i]);
	if (engine->shards != NULL)
		rco__release(env, engine->shards);
	engine->shards = NULL;
	engine->n_shards = 0;
	if (engine->lock_fd >= 0)
		(void)env->fs->close(env->fs->ctx, engine->lock_fd);
	if (engine->state_dir != NULL)
		rco__release(env, engine->state_dir);
	if (engine->quarantine_dir != NULL)
		rco__release(env, engine->quarantine_dir);
	rco__engine_unref(engine);
}

void rco_engine_free(rco_engine *engine)
{
	if (engine == NULL || rco__engine_check(engine) != RCO_OK)
		return;
	if (rco__in_callback()) {
		rco__log(&engine->env, RCO_LOG_ERROR,
		         "rco_engine_free() was called from inside a callback, and ignored");
		return;
	}
	if (atomic_exchange(&engine->closing, 1) != 0)
		return;
	shut_down(engine);
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
