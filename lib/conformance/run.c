/* SPDX-License-Identifier: MIT */
/* The kit's way from a filled-in struct to its reports: tables, a small engine, and the list of obligations. */
#include "kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_MS = 10000, STRUCT_MAX = 4096, RING_BYTES = 1 << 20, PATH_ROOM = 512 };

static const char *const rules[RCO__KIT_RULES][2] = {
	[RCO__KIT_RULE_FORM] = {"answers.form",
                                "an answer is RCO_OK, RCO_PENDING or an error, and its texts end in NUL"},
	[RCO__KIT_RULE_CONFIRM] = {"answers.confirmed", "RCO_OK comes with a confirmation of what is now so"},
	[RCO__KIT_RULE_ERROR] = {"answers.error", "an error confirms nothing"},
	[RCO__KIT_RULE_RESULT] = {"answers.result", "`result` is used during the call only"},
};

/* ---- what the user filled in ---- */

/* A struct of another version: what this one does not know has to be zero. */
static int copy_struct(void *to, size_t size, size_t least, const void *from)
{
	const uint8_t *bytes = from;
	uint32_t given, i;

	if (from == NULL)
		return RCO_E_INVALID;
	memcpy(&given, from, sizeof given);
	if (given < least || given > STRUCT_MAX)
		return RCO_E_STRUCT_SIZE;
	for (i = (uint32_t)size; i < given; i++)
		if (bytes[i] != 0)
			return RCO_E_NEWER;
	memset(to, 0, size);
	memcpy(to, from, given < size ? given : size);
	return RCO_OK;
}

static int copy_buffer(rco__kit_run *run)
{
	rco_buffer_ops *t = &run->buffer;
	int rc;

	if (run->own.buffer == NULL)
		return RCO_OK;
	rc = copy_struct(t, sizeof *t, sizeof *t, run->own.buffer);
	if (rc != RCO_OK)
		return rc;
	if ((t->flags & ~RCO_BUFFER_GAPS) != 0 || t->reserved != NULL)
		return RCO_E_NEWER;
	if (t->open != NULL && t->append != NULL && t->read != NULL && t->erase != NULL)
		return RCO_OK;
	return rco_error_set_detail(RCO_E_OPS, "buffer table: open, append, read and erase are required");
}

static int copy_upload(rco__kit_run *run)
{
	rco_upload_ops *t = &run->upload;
	int rc;

	if (run->own.upload == NULL)
		return RCO_OK;
	rc = copy_struct(t, sizeof *t, sizeof *t, run->own.upload);
	if (rc != RCO_OK)
		return rc;
	if (t->flags != 0 || t->reserved != NULL)
		return RCO_E_NEWER;
	if (t->begin != NULL && t->put != NULL && t->commit != NULL && t->abort != NULL && t->list != NULL &&
	    t->head != NULL)
		return RCO_OK;
	return rco_error_set_detail(RCO_E_OPS,
	                            "upload table: begin, put, commit, abort, list and head are required");
}

static int copy_deletion(rco__kit_run *run)
{
	rco_deletion_ops *t = &run->deletion;
	int rc;

	if (run->own.deletion == NULL)
		return RCO_OK;
	rc = copy_struct(t, sizeof *t, sizeof *t, run->own.deletion);
	if (rc != RCO_OK)
		return rc;
	if (t->flags != 0 || t->reserved != NULL)
		return RCO_E_NEWER;
	if (t->remove != NULL && t->verify != NULL)
		return RCO_OK;
	return rco_error_set_detail(RCO_E_OPS, "deletion table: remove and verify are required");
}

static int copy_keys(rco__kit_run *run)
{
	rco_key_ops *t = &run->keys;
	int rc;

	if (run->own.keys == NULL)
		return RCO_OK;
	rc = copy_struct(t, sizeof *t, sizeof *t, run->own.keys);
	if (rc != RCO_OK)
		return rc;
	if (t->flags != 0 || t->reserved != NULL)
		return RCO_E_NEWER;
	if (t->wrap != NULL && t->unwrap != NULL)
		return RCO_OK;
	return rco_error_set_detail(RCO_E_OPS, "key table: wrap and unwrap are required");
}

static int copy_kit(rco__kit_run *run, const rco_conformance *kit)
{
	rco_conformance *own = &run->own;
	int rc = copy_struct(own, sizeof *own, sizeof *own, kit);

	if (rc == RCO_OK && (own->flags != 0 || own->reserved0 != 0 || own->reserved1 != NULL))
		rc = RCO_E_NEWER;
	if (rc == RCO_OK && own->buffer == NULL && own->upload == NULL && own->deletion == NULL &&
	    own->keys == NULL)
		rc = RCO_E_INVALID;
	if (rc == RCO_OK)
		rc = copy_buffer(run);
	if (rc == RCO_OK)
		rc = copy_upload(run);
	if (rc == RCO_OK)
		rc = copy_deletion(run);
	if (rc == RCO_OK)
		rc = copy_keys(run);
	if (own->timeout_ms == 0)
		own->timeout_ms = TIMEOUT_MS;
	return rc;
}

/* ---- the engine that answers are given to ---- */

static void remove_folder(const char *path)
{
	char below[PATH_ROOM];
	struct dirent *entry;
	DIR *folder = opendir(path);

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below)
			continue;
		if (unlink(below) != 0)
			remove_folder(below);
	}
	if (folder != NULL)
		(void)closedir(folder);
	(void)rmdir(path);
}

/* One that is there already, whosever it is, is not taken. */
static int make_folder(const rco__kit_run *run, char path[PATH_ROOM])
{
	const char *base = getenv("TMPDIR");
	int n = snprintf(path, PATH_ROOM, "%s/recoptout-conformance-%u-%08x",
	                 base != NULL && base[0] == '/' ? base : "/tmp", (unsigned)getpid(),
	                 (unsigned)run->first_id);

	if (n >= 0 && n < PATH_ROOM && mkdir(path, S_IRWXU) == 0)
		return RCO_OK;
	path[0] = '\0';
	return rco_error_set_detail(RCO_E_IO, "no folder for the kit's engine can be made in $TMPDIR or /tmp");
}

static int create_engine(rco__kit_run *run, rco_memory *memory, const char *folder)
{
	rco_engine_config cfg = {.struct_size = (uint32_t)sizeof cfg};

	cfg.flags = RCO_ENGINE_HOST_DRIVEN | RCO_ENGINE_PRIVATE_RINGS;
	cfg.ring_pool_bytes = RING_BYTES;
	cfg.state_dir = folder;
	cfg.buffer = rco_memory_buffer_ops();
	cfg.upload = rco_memory_upload_ops();
	cfg.deletion = rco_memory_deletion_ops();
	cfg.buffer_user_data = cfg.upload_user_data = cfg.deletion_user_data = memory;
	return rco_engine_create(&cfg, &run->engine);
}

/* ---- running ---- */

static void tell(rco_conformance_report_fn report, void *user_data, const char *name, const char *obligation,
                 uint32_t outcome, const char *seen)
{
	rco_conformance_report r = {.struct_size = (uint32_t)sizeof r};

	r.outcome = outcome;
	r.name = name;
	r.obligation = obligation;
	r.seen = seen;
	if (report != NULL)
		report(&r, user_data);
}

static int has_detach(const rco__kit_run *run, uint32_t needs)
{
	if (needs & RCO__KIT_BUFFER)
		return run->buffer.detach != NULL;
	return needs & RCO__KIT_UPLOAD ? run->upload.detach != NULL : run->deletion.detach != NULL;
}

/* What a check takes and is not there, NULL if it can be tried. */
static const char *lacking(const rco__kit_run *run, uint32_t needs)
{
	if ((needs & RCO__KIT_BUFFER) && run->own.buffer == NULL)
		return "there is no buffer table";
	if ((needs & RCO__KIT_UPLOAD) && run->own.upload == NULL)
		return "there is no upload table";
	if ((needs & RCO__KIT_DELETION) && run->own.deletion == NULL)
		return "there is no deletion table";
	if ((needs & RCO__KIT_KEYS) && run->own.keys == NULL)
		return "there is no key table";
	if ((needs & RCO__KIT_REOPEN) && run->own.reopen == NULL)
		return "`reopen` is not given";
	if ((needs & RCO__KIT_FAIL) && run->own.fail == NULL)
		return "`fail` is not given";
	if ((needs & RCO__KIT_SCAN) && run->buffer.scan == NULL)
		return "the buffer has no scan";
	if ((needs & RCO__KIT_REVOKE) && run->buffer.revoke == NULL)
		return "the buffer has no revoke";
	if ((needs & RCO__KIT_GAPS) && !(run->buffer.flags & RCO_BUFFER_GAPS))
		return "the buffer does not say that it takes gaps (RCO_BUFFER_GAPS)";
	if ((needs & RCO__KIT_DETACH) && !has_detach(run, needs))
		return "the table has no detach";
	if ((needs & RCO__KIT_DESTROY) && run->keys.destroy == NULL)
		return "the key table has no destroy";
	return NULL;
}

static int try_one(rco__kit_run *run, const rco__kit_check *check, rco_conformance_report_fn report,
                   void *user_data)
{
	const char *lacks = lacking(run, check->needs);
	rco__kit_ctx c;

	memset(&c, 0, sizeof c);
	c.run = run;
	if (lacks == NULL)
		check->run(&c);
	else
		(void)snprintf(c.not_tried, sizeof c.not_tried, "%s", lacks);
	if (c.broken[0] != '\0') {
		tell(report, user_data, check->name, check->obligation, RCO_CONFORMANCE_BROKEN, c.broken);
		return 1;
	}
	tell(report, user_data, check->name, check->obligation,
	     c.not_tried[0] != '\0' ? RCO_CONFORMANCE_NOT_TRIED : RCO_CONFORMANCE_HELD, c.not_tried);
	return 0;
}

static int try_all(rco__kit_run *run, rco_conformance_report_fn report, void *user_data)
{
	const struct {
		const rco__kit_check *checks;
		size_t count;
	} lists[] = {{rco__kit_buffer_checks, rco__kit_buffer_count},
	             {rco__kit_upload_checks, rco__kit_upload_count},
	             {rco__kit_deletion_checks, rco__kit_deletion_count},
	             {rco__kit_keys_checks, rco__kit_keys_count},
	             {rco__kit_fault_checks, rco__kit_fault_count}};
	size_t list, i;
	int broken = 0;

	for (list = 0; list < sizeof lists / sizeof lists[0]; list++)
		for (i = 0; i < lists[list].count; i++)
			broken += try_one(run, &lists[list].checks[i], report, user_data);
	return broken;
}

static int tell_rules(rco__kit_run *run, rco_conformance_report_fn report, void *user_data)
{
	int rule, broken = 0;

	for (rule = 0; rule < RCO__KIT_RULES; rule++) {
		int is_broken = run->rule[rule][0] != '\0';

		tell(report, user_data, rules[rule][0], rules[rule][1],
		     is_broken ? RCO_CONFORMANCE_BROKEN : RCO_CONFORMANCE_HELD, run->rule[rule]);
		broken += is_broken;
	}
	return broken;
}

/* Ids and keys of this run: a backend may hold those of others. */
static uint32_t random_enough(const rco__kit_run *run)
{
	uint64_t x = (uint64_t)(uintptr_t)run ^ (uint64_t)getpid() << 32;
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	x ^= (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	return (uint32_t)((x * 0x9e3779b97f4a7c15u) >> 32);
}

static int run_attached(rco__kit_run *run, rco_conformance_report_fn report, void *user_data)
{
	rco__kit_ctx c;
	int rc, broken;

	memset(&c, 0, sizeof c);
	c.run = run;
	rc = rco__kit_attach(&c);
	if (rc != RCO_OK) {
		rco__kit_detach(&c);
		return rc;
	}
	broken = try_all(run, report, user_data);
	memset(c.broken, 0, sizeof c.broken);
	rco__kit_detach(&c);
	return broken + tell_rules(run, report, user_data);
}

static void init_locks(rco__kit_run *run)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&run->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&run->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

/* Not while a slot has still to return: it has the engine, and comes back to the rest. */
static void destroy(rco__kit_run *run, rco_memory *memory)
{
	if (run->stuck != 0)
		return;
	rco_engine_free(run->engine);
	rco_memory_free(memory);
	(void)pthread_cond_destroy(&run->changed);
	(void)pthread_mutex_destroy(&run->lock);
	free(run);
}

int rco_conformance_run(const rco_conformance *kit, rco_conformance_report_fn report, void *user_data)
{
	rco_memory_options options = {.struct_size = (uint32_t)sizeof options};
	rco__kit_run *run = calloc(1, sizeof *run);
	rco_memory *memory = NULL;
	char folder[PATH_ROOM] = "";
	int rc;

	if (run == NULL)
		return RCO_E_NO_MEMORY;
	init_locks(run);
	run->first_id = random_enough(run);
	rc = copy_kit(run, kit);
	if (rc == RCO_OK && run->own.state_dir == NULL)
		rc = make_folder(run, folder);
	if (rc == RCO_OK)
		rc = rco_memory_create(&options, &memory);
	if (rc == RCO_OK)
		rc = create_engine(run, memory, folder[0] != '\0' ? folder : run->own.state_dir);
	if (rc == RCO_OK)
		rc = run_attached(run, report, user_data);
	destroy(run, memory);
	if (folder[0] != '\0')
		remove_folder(folder);
	return rc;
}

/* ---- several calls at once ---- */

void rco__kit_at_once(rco__kit_ctx *c, void *(*work)(void *ctx))
{
	rco__kit_ctx each[RCO__KIT_THREADS];
	pthread_t thread[RCO__KIT_THREADS];
	int i, started = 0;

	memset(each, 0, sizeof each);
	for (i = 0; i < RCO__KIT_THREADS; i++) {
		each[i].run = c->run;
		if (pthread_create(&thread[i], NULL, work, &each[i]) != 0)
			break;
		started++;
	}
	for (i = 0; i < started; i++) {
		(void)pthread_join(thread[i], NULL);
		rco__kit_expect(c, each[i].broken[0] == '\0', each[i].broken);
		if (each[i].not_tried[0] != '\0' && !rco__kit_over(c))
			memcpy(c->not_tried, each[i].not_tried, sizeof c->not_tried);
	}
}
