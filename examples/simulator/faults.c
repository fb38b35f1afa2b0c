/* SPDX-License-Identifier: MIT */
/* Backends around the built-in directory that misbehave as an operator wants to see it. */
#include "simulator.h"

#include <stdlib.h>
#include <string.h>

enum { SLOW_MS = 3000, BROKEN_MS = 3000, OPS_MAX = 16 };

struct faults {
	call *c;
	rco_directory *directory;
	rco_upload_ops upload;     /* the directory's */
	rco_deletion_ops deletion; /* the same */
	rco_upload_ops bad_upload;
	rco_deletion_ops bad_deletion;
	unsigned failures, slow;
	int64_t works_again_us;
	struct {
		uint64_t op;
		int64_t due_us;
		int code;
		rco_result result;
	} later[OPS_MAX];
	size_t n_later;
};

/* The part is stored, and the store takes its time to say so. */
static int put(const rco_object *object, uint32_t part, const void *data, size_t size, uint64_t op,
               rco_result *result, void *user_data)
{
	struct faults *f = user_data;
	int rc = f->upload.put(object, part, data, size, 0, result, f->directory);

	if (f->c->o->fault != FAULT_SLOW_UPLOAD || f->n_later == OPS_MAX)
		return rc;
	f->slow++;
	f->later[f->n_later].op = op;
	f->later[f->n_later].due_us = f->c->t->now_us + SLOW_MS * 1000;
	f->later[f->n_later].code = rc;
	f->later[f->n_later++].result = *result;
	return RCO_PENDING;
}

void faults_tick(struct faults *f)
{
	size_t i, left = 0;

	for (i = 0; i < f->n_later; i++) {
		if (f->later[i].due_us > f->c->t->now_us)
			f->later[left++] = f->later[i];
		else
			(void)rco_op_complete(f->c->engine, f->later[i].op, f->later[i].code, &f->later[i].result);
	}
	f->n_later = left;
}

/* From the first time that something is to be deleted, nothing is for a while. */
static int fails(struct faults *f, const rco_object *object)
{
	if (f->c->o->fault != FAULT_FAILING_DELETE || object->kind != RCO_KIND_AUDIO)
		return 0;
	if (f->failures == 0)
		f->works_again_us = f->c->t->now_us + BROKEN_MS * 1000;
	if (f->c->t->now_us >= f->works_again_us)
		return 0;
	f->failures++;
	return 1;
}

static int begin(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct faults *f = user_data;

	return f->upload.begin(object, op, result, f->directory);
}

static int commit(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct faults *f = user_data;

	return f->upload.commit(object, op, result, f->directory);
}

static int abort_upload(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct faults *f = user_data;

	return fails(f, object) ? RCO_E_IO : f->upload.abort(object, op, result, f->directory);
}

static int list(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct faults *f = user_data;

	return f->upload.list(object, op, result, f->directory);
}

static int head(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct faults *f = user_data;

	return f->upload.head(object, op, result, f->directory);
}

static int remove_file(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct faults *f = user_data;

	return fails(f, object) ? RCO_E_IO : f->deletion.remove(object, op, result, f->directory);
}

static int verify(const rco_object *object, uint64_t op, rco_result *result, void *user_data)
{
	struct faults *f = user_data;

	return f->deletion.verify(object, op, result, f->directory);
}

unsigned faults_count(const struct faults *f)
{
	return f->failures + f->slow;
}

struct faults *faults_open(call *c)
{
	rco_directory_options o = {.struct_size = (uint32_t)sizeof o, .path = c->out};
	struct faults *f = calloc(1, sizeof *f);

	if (f == NULL || rco_directory_create(&o, &f->directory) != RCO_OK) {
		(void)fprintf(stderr, "simulator: %s\n", f != NULL ? rco_error_detail() : "no memory");
		free(f);
		return NULL;
	}
	f->c = c;
	f->upload = *rco_directory_upload_ops();
	f->deletion = *rco_directory_deletion_ops();
	f->bad_upload = (rco_upload_ops){.struct_size = (uint32_t)sizeof f->bad_upload,
	                                 .begin = begin,
	                                 .put = put,
	                                 .commit = commit,
	                                 .abort = abort_upload,
	                                 .list = list,
	                                 .head = head};
	f->bad_deletion = (rco_deletion_ops){
		.struct_size = (uint32_t)sizeof f->bad_deletion, .remove = remove_file, .verify = verify};
	return f;
}

void faults_config(struct faults *f, rco_engine_config *config)
{
	config->upload = &f->bad_upload;
	config->upload_user_data = f;
	config->deletion = &f->bad_deletion;
	config->deletion_user_data = f;
}

void faults_close(struct faults *f)
{
	if (f == NULL)
		return;
	rco_directory_free(f->directory);
	free(f);
}
