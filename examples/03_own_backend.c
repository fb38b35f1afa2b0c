/* SPDX-License-Identifier: MIT */
/*
 * A store of your own: an upload and a deletion table, here around a list in
 * memory that stands for a remote store. `commit` answers later, from another
 * thread, as a store on a network would.
 *
 * Usage: 03_own_backend STATE_FOLDER
 * Prints what the store is asked to do, for a call that is kept and for one
 * whose caller objects while its upload is on the way. Put through the conformance
 * kit (docs/backends.md) in tests/unit/test_example_backend.c.
 */
#include "common.h"

#include <pthread.h>
#include <string.h>

#include <recoptout/storage.h>

enum { OBJECTS = 16 };

struct object {
	char key[256]; /* "": free */
	int uploading;
	uint32_t parts;
	uint64_t bytes, before_last; /* of the upload; without its last part */
	int finished;
	uint64_t size; /* of the file */
};

struct store {
	pthread_mutex_t lock; /* slots of different calls may come at the same time */
	pthread_cond_t changed;
	rco_engine *engine; /* of attach: for rco_op_complete() */
	struct object object[OBJECTS];
	uint64_t commit_op; /* a commit that waits for its answer, 0: none */
	char commit_key[256];
	char uploading[256]; /* call id of the latest upload that was begun */
	int closing;
};

/* With the lock held. Makes an entry if `make` is set. NULL: none, or full. */
static struct object *find(struct store *s, const char *key, int make)
{
	struct object *unused = NULL;

	for (int i = 0; i < OBJECTS; i++) {
		if (strcmp(s->object[i].key, key) == 0)
			return &s->object[i];
		if (!unused && s->object[i].key[0] == 0)
			unused = &s->object[i];
	}
	if (!make || !unused)
		return NULL;
	memset(unused, 0, sizeof *unused);
	snprintf(unused->key, sizeof unused->key, "%s", key);
	return unused;
}

static int attach(rco_engine *engine, void *user_data)
{
	struct store *s = user_data;

	s->engine = engine;
	return RCO_OK;
}

static int begin(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct store *s = user_data;
	struct object *o;

	(void)op;
	pthread_mutex_lock(&s->lock);
	o = find(s, object->key, 1);
	if (o) {
		o->uploading = 1; /* a file that is there stays until the commit */
		o->parts = 0;
		o->bytes = o->before_last = 0;
	}
	snprintf(s->uploading, sizeof s->uploading, "%s", object->call_id);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	printf("  store: begin  %s\n", object->key);
	if (!o)
		return RCO_E_NO_SPACE; /* the engine tries again later */
	snprintf(result->upload_id, sizeof result->upload_id, "upload-of-%.64s", object->call_id);
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

/* A part may come again after a failure: it takes the place of what it was. */
static int put(const rco_object *object, uint32_t part, const void *data, size_t size_bytes, uint64_t op,
               rco_result *result, void *user_data)
{
	struct store *s = user_data;
	struct object *o;
	int rc = RCO_OK;

	(void)data;
	(void)op;
	pthread_mutex_lock(&s->lock);
	o = find(s, object->key, 0);
	if (!o || !o->uploading) {
		rc = RCO_E_NOT_FOUND; /* given up, or never begun */
	} else if (part != o->parts && part != o->parts + 1) {
		rc = RCO_E_INVALID;
	} else {
		if (part == o->parts + 1)
			o->before_last = o->bytes;
		o->parts = part;
		o->bytes = o->before_last + size_bytes;
	}
	pthread_mutex_unlock(&s->lock);
	if (rc == RCO_OK)
		result->confirmed = RCO_CONFIRM_DONE;
	return rc;
}

/* Takes its time: another thread finishes it. */
static int commit(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct store *s = user_data;

	(void)result; /* valid during this call only */
	pthread_mutex_lock(&s->lock);
	while (s->commit_op != 0)
		pthread_cond_wait(&s->changed, &s->lock);
	s->commit_op = op;
	snprintf(s->commit_key, sizeof s->commit_key, "%s", object->key);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return RCO_PENDING;
}

/* With the lock held. Also of an upload whose commit was answered before, and the answer lost. */
static struct object *finish(struct store *s, const char *key)
{
	struct object *o = find(s, key, 0);

	if (o && o->uploading) {
		o->uploading = 0;
		o->finished = 1;
		o->size = o->bytes;
	}
	return o;
}

static void *committer(void *arg)
{
	struct store *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->closing) {
		rco_result result = {.struct_size = sizeof result};
		struct object *o;
		uint64_t op = s->commit_op;
		int rc;

		if (op == 0) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		o = finish(s, s->commit_key);
		printf("  store: commit %s, %u bytes\n", s->commit_key, o ? (unsigned)o->size : 0);
		s->commit_op = 0;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock); /* never call into the library with a lock of your own held */
		result.confirmed = o ? RCO_CONFIRM_DONE : RCO_CONFIRM_UNKNOWN;
		rc = rco_op_complete(s->engine, op, o ? RCO_OK : RCO_E_NOT_FOUND, &result);
		if (rc != RCO_OK) /* RCO_E_STALE: too late, the engine has given this try up */
			printf("  store: answer not taken: %s\n", rco_strerror(rc));
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void forget(struct store *s, const char *key, int finished_too)
{
	struct object *o;

	pthread_mutex_lock(&s->lock);
	o = find(s, key, 0);
	if (o)
		o->uploading = 0;
	if (o && (finished_too || !o->finished))
		memset(o, 0, sizeof *o);
	pthread_mutex_unlock(&s->lock);
}

/* Unfinished uploads only: a finished file is the deletion table's. */
static int abort_upload(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	(void)op;
	forget(user_data, object->key, 0);
	printf("  store: abort  %s\n", object->key);
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int look(struct store *s, const rco_object *object, rco_result *result, int finished_only)
{
	struct object *o;

	pthread_mutex_lock(&s->lock);
	o = find(s, object->key, 0);
	if (o && (o->finished || !finished_only)) {
		result->confirmed = RCO_CONFIRM_PRESENT;
		result->size_bytes = o->size;
		result->count = (uint64_t)(o->finished + o->uploading);
	} else {
		result->confirmed = RCO_CONFIRM_GONE;
	}
	pthread_mutex_unlock(&s->lock);
	return RCO_OK;
}

static int list(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	(void)op;
	return look(user_data, object, result, 0);
}

static int head(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	(void)op;
	return look(user_data, object, result, 1);
}

static int remove_object(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	(void)op;
	if (object->store != RCO_STORE_UPLOAD)
		return RCO_E_DECLINED; /* a path on this machine is not ours */
	forget(user_data, object->key, 1);
	printf("  store: remove %s\n", object->key);
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int verify(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	(void)op;
	if (object->store != RCO_STORE_UPLOAD)
		return RCO_E_DECLINED;
	return look(user_data, object, result, 0);
}

static const rco_upload_ops upload = {.struct_size = sizeof upload,
                                      .attach = attach,
                                      .begin = begin,
                                      .put = put,
                                      .commit = commit,
                                      .abort = abort_upload,
                                      .list = list,
                                      .head = head};
static const rco_deletion_ops deletion = {
	.struct_size = sizeof deletion, .remove = remove_object, .verify = verify};

static rco_engine *open_engine(const char *state, struct store *s)
{
	rco_engine_config config = {.struct_size = sizeof config, .state_dir = state, .opt_out_enabled = 1};
	rco_engine *engine = NULL;

	config.upload = &upload; /* tables are copied; what user_data points to has to stay */
	config.upload_user_data = s;
	config.deletion = &deletion;
	config.deletion_user_data = s;
	config.late_opt_out_ms = 500;        /* for a quick end; the default is ten seconds */
	config.sweep_delay_ms = RCO_NONE_MS; /* likewise; the default looks again after a minute */
	CHECK(rco_engine_create(&config, &engine));
	return engine;
}

static rco_session *one_second_call(rco_engine *engine, const char *id)
{
	rco_session_options options = {.struct_size = sizeof options, .call_id = id};
	static const int16_t silence[160];
	rco_session *call = NULL;
	uint32_t leg;

	CHECK(rco_session_create(engine, &options, &call));
	CHECK(rco_session_add_leg(call, "caller", RCO_FORMAT_S16_8K, &leg));
	CHECK(rco_session_start(call));
	for (int i = 0; i < 50; i++)
		CHECK(rco_session_push(call, leg, RCO_FORMAT_S16_8K, silence, sizeof silence));
	CHECK(rco_session_end(call));
	return call;
}

int main(int argc, char **argv)
{
	static struct store s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	rco_opt_out_options how = {.struct_size = sizeof how, .timeout_ms = 5000};
	rco_receipt *receipt = NULL;
	rco_session *call;
	rco_engine *engine;
	pthread_t thread;
	int left = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: 03_own_backend STATE_FOLDER\n");
		return 2;
	}
	engine = open_engine(argv[1], &s);
	if (pthread_create(&thread, NULL, committer, &s) != 0) {
		fprintf(stderr, "03_own_backend: cannot start a thread\n");
		return 1;
	}
	printf("call-1 is kept\n");
	call = one_second_call(engine, "call-1");
	CHECK(rco_engine_wait_idle(engine, 10000));
	rco_session_free(call);

	printf("call-2: the caller objects just after hang-up, while the upload is on the way\n");
	call = one_second_call(engine, "call-2");
	pthread_mutex_lock(&s.lock);
	while (strcmp(s.uploading, "call-2") != 0)
		pthread_cond_wait(&s.changed, &s.lock);
	pthread_mutex_unlock(&s.lock);
	how.wait_status = RCO_STATUS_VERIFIED;
	CHECK(rco_opt_out(call, &how, &receipt));
	printf("call-2: %s\n", rco_status_name(rco_receipt_status(receipt)));
	rco_receipt_free(receipt);
	CHECK(rco_engine_wait_idle(engine, 10000));
	rco_session_free(call);

	rco_engine_free(engine); /* before what its tables point to */
	pthread_mutex_lock(&s.lock);
	s.closing = 1;
	pthread_cond_broadcast(&s.changed);
	pthread_mutex_unlock(&s.lock);
	pthread_join(thread, NULL);
	printf("in the store:\n");
	for (int i = 0; i < OBJECTS; i++) {
		if (s.object[i].finished) {
			printf("  %s\n", s.object[i].key);
			left++;
		}
	}
	return left == 3 ? 0 : 1; /* audio and record of the first call, record of the second */
}
