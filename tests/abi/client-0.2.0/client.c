/* SPDX-License-Identifier: MIT */
/*
 * A host that was compiled with the headers of 0.2.0, which are saved beside it, and with nothing of the present
 * ones: calls kept, opted out, verified; tables for buffer, store and recorder; and every struct given to the
 * library once, with the size that it had. It is not changed when the library changes.
 *
 * Usage: client FOLDER
 */
#include "headers.inc"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST(what)                                                                                                \
	do {                                                                                                      \
		if (!(what)) {                                                                                    \
			fprintf(stderr, "line %d: %s\n  %s\n", __LINE__, #what, rco_error_detail());              \
			exit(1);                                                                                  \
		}                                                                                                 \
	} while (0)

/* ---- a buffer in memory; the engine is run by the one thread of this program */

enum { RECORDINGS = 8, AUDIO = 65536, FRAME = 160, FRAMES = 50 };

static struct kept {
	uint8_t id[16];
	int used;
	uint64_t bytes;
	uint8_t audio[AUDIO];
} kept[RECORDINGS];

static int attached, detached;

static struct kept *recording(const uint8_t id[16])
{
	for (int i = 0; i < RECORDINGS; i++)
		if (kept[i].used && memcmp(kept[i].id, id, 16) == 0)
			return &kept[i];
	return NULL;
}

static int confirm(rco_result *result, uint32_t what)
{
	MUST(result->struct_size >= sizeof *result && result->confirmed == RCO_CONFIRM_UNKNOWN);
	result->confirmed = what;
	return RCO_OK;
}

static int attach(rco_engine *engine, void *user_data)
{
	MUST(engine != NULL && user_data == kept);
	attached++;
	return RCO_OK;
}

static void detach(rco_engine *engine, void *user_data)
{
	MUST(engine != NULL && user_data == kept);
	detached++;
}

static int buffer_open(const rco_recording *r, uint64_t op, rco_result *result, void *user_data)
{
	struct kept *k = recording(r->id);

	(void)op;
	MUST(r->struct_size >= sizeof *r && r->meta_bytes <= RCO_META_MAX && user_data == kept);
	for (int i = 0; i < RECORDINGS && k == NULL; i++)
		if (!kept[i].used)
			k = &kept[i];
	MUST(k != NULL);
	k->used = 1;
	memcpy(k->id, r->id, 16);
	return confirm(result, RCO_CONFIRM_DONE);
}

static int buffer_append(const rco_chunk *chunk, uint64_t op, rco_result *result, void *user_data)
{
	struct kept *k = recording(chunk->recording_id);

	(void)op;
	(void)user_data;
	MUST(chunk->struct_size >= sizeof *chunk && chunk->leg == 0 && chunk->format == RCO_FORMAT_PCMU_8K);
	if (k == NULL)
		return RCO_E_NOT_FOUND;
	MUST(chunk->position_bytes == k->bytes && k->bytes + chunk->size_bytes <= AUDIO);
	memcpy(k->audio + k->bytes, chunk->data, chunk->size_bytes);
	k->bytes += chunk->size_bytes;
	return confirm(result, RCO_CONFIRM_DONE);
}

static int buffer_read(const uint8_t id[16], uint32_t leg, uint64_t position, void *data, size_t cap, uint64_t op,
                       rco_result *result, void *user_data)
{
	struct kept *k = recording(id);

	(void)op;
	(void)user_data;
	if (k == NULL)
		return RCO_E_NOT_FOUND;
	result->size_bytes = leg != 0 || position >= k->bytes ? 0 : k->bytes - position;
	if (result->size_bytes > cap)
		result->size_bytes = cap;
	if (result->size_bytes > 0)
		memcpy(data, k->audio + position, result->size_bytes);
	return confirm(result, RCO_CONFIRM_DONE);
}

static int buffer_erase(const uint8_t id[16], uint64_t op, rco_result *result, void *user_data)
{
	struct kept *k = recording(id);

	(void)op;
	(void)user_data;
	if (k != NULL)
		memset(k, 0, sizeof *k);
	return confirm(result, RCO_CONFIRM_GONE);
}

/* ---- a store in memory */

enum { OBJECTS = 16 };

static struct object {
	char key[128];
	uint32_t kind;
	uint64_t bytes;
	int finished;
} objects[OBJECTS];

static struct object *object(const char *key, int make)
{
	for (int i = 0; i < OBJECTS; i++)
		if (strcmp(objects[i].key, key) == 0)
			return &objects[i];
	for (int i = 0; make && i < OBJECTS; i++)
		if (objects[i].key[0] == 0) {
			snprintf(objects[i].key, sizeof objects[i].key, "%s", key);
			return &objects[i];
		}
	return NULL;
}

static int begin(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	struct object *made = object(o->key, 1);

	(void)op;
	MUST(o->struct_size >= sizeof *o && o->store == RCO_STORE_UPLOAD && user_data == objects && made != NULL);
	made->kind = o->kind;
	made->bytes = 0;
	snprintf(result->upload_id, sizeof result->upload_id, "upload of %s", o->key);
	return confirm(result, RCO_CONFIRM_DONE);
}

static int put(const rco_object *o, uint32_t part, const void *data, size_t size_bytes, uint64_t op,
               rco_result *result, void *user_data)
{
	struct object *made = object(o->key, 0);

	(void)op;
	(void)user_data;
	MUST(made != NULL && part >= 1 && data != NULL && strncmp(o->upload_id, "upload of ", 10) == 0);
	made->bytes += size_bytes;
	return confirm(result, RCO_CONFIRM_DONE);
}

static int commit(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	struct object *made = object(o->key, 0);

	(void)op;
	(void)user_data;
	MUST(made != NULL && o->content_type[0] != 0);
	made->finished = 1;
	snprintf(result->version, sizeof result->version, "1");
	return confirm(result, RCO_CONFIRM_DONE);
}

static int give_up(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	struct object *made = object(o->key, 0);

	(void)op;
	(void)user_data;
	if (made != NULL && !made->finished)
		memset(made, 0, sizeof *made);
	return confirm(result, RCO_CONFIRM_GONE);
}

static int look(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	struct object *made = object(o->key, 0);

	(void)op;
	(void)user_data;
	result->count = made != NULL;
	result->size_bytes = made != NULL ? made->bytes : 0;
	return confirm(result, made != NULL ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE);
}

static int removed;

static int remove_object(const rco_object *o, uint64_t op, rco_result *result, void *user_data)
{
	struct object *made = object(o->key, 0);

	(void)op;
	(void)user_data;
	removed += o->store == RCO_STORE_HOST && strcmp(o->key, "store:transcript") == 0;
	if (made != NULL)
		memset(made, 0, sizeof *made);
	return confirm(result, RCO_CONFIRM_GONE);
}

/* Counts what is in the store. */
static int stored(uint32_t kind)
{
	int count = 0;

	for (int i = 0; i < OBJECTS; i++)
		count += objects[i].key[0] != 0 && objects[i].kind == kind && objects[i].finished;
	return count;
}

/* ---- allocator, clock, log, events, recorder */

static int allocations, lines, starts, stops;
static int events[64], given_back;

static void *allocate(size_t size, void *user_data)
{
	MUST(user_data == &allocations);
	allocations++;
	return malloc(size);
}

static void *allocate_zeroed(size_t count, size_t size, void *user_data)
{
	(void)user_data;
	return calloc(count, size);
}

static void *reallocate(void *ptr, size_t size, void *user_data)
{
	(void)user_data;
	return realloc(ptr, size);
}

static void release(void *ptr, void *user_data)
{
	(void)user_data;
	free(ptr);
}

static int64_t now(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t wall(void *user_data)
{
	(void)user_data;
	return now(CLOCK_REALTIME);
}

static int64_t monotonic(void *user_data)
{
	(void)user_data;
	return now(CLOCK_MONOTONIC);
}

static void on_log(uint32_t level, const char *message, size_t length, void *user_data)
{
	MUST(level >= RCO_LOG_ERROR && strlen(message) == length && user_data == &lines);
	fprintf(stderr, "log: %s\n", message);
	lines++;
}

static void on_event(const rco_event *event, void *user_data)
{
	MUST(event->struct_size >= sizeof *event && user_data == events && rco_event_name(event->type)[0] != 0);
	if (event->type < 64)
		events[event->type]++;
	given_back += event->user_data == &given_back && strcmp(event->call_id, "pushed") == 0;
}

static int start(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	(void)op;
	MUST(strcmp(call_id, "recorded") == 0 && user_data == &starts);
	starts++;
	return confirm(result, RCO_CONFIRM_DONE);
}

static int stop(const char *call_id, uint64_t op, rco_result *result, void *user_data)
{
	(void)op;
	MUST(strcmp(call_id, "recorded") == 0 && user_data == &starts);
	stops++;
	return confirm(result, RCO_CONFIRM_DONE);
}

static int on_pending(const rco_pending *pending, void *user_data)
{
	MUST(pending->struct_size >= sizeof *pending && pending->receipt_id[0] != 0);
	++*(int *)user_data;
	return 0;
}

/* ---- calls */

static rco_engine *open_engine(const char *folder)
{
	const rco_buffer_ops buffer = {.struct_size = sizeof buffer,
	                               .attach = attach,
	                               .detach = detach,
	                               .open = buffer_open,
	                               .append = buffer_append,
	                               .read = buffer_read,
	                               .erase = buffer_erase};
	const rco_upload_ops upload = {.struct_size = sizeof upload,
	                               .begin = begin,
	                               .put = put,
	                               .commit = commit,
	                               .abort = give_up,
	                               .list = look,
	                               .head = look};
	const rco_deletion_ops deletion = {
		.struct_size = sizeof deletion, .remove = remove_object, .verify = look};
	const rco_allocator allocator = {.struct_size = sizeof allocator,
	                                 .alloc = allocate,
	                                 .zalloc = allocate_zeroed,
	                                 .resize = reallocate,
	                                 .release = release,
	                                 .user_data = &allocations};
	const rco_clock clock = {.struct_size = sizeof clock, .wall_us = wall, .monotonic_us = monotonic};
	rco_engine_config config = {.struct_size = sizeof config,
	                            .flags = RCO_ENGINE_HOST_DRIVEN | RCO_ENGINE_PRIVATE_RINGS};
	rco_engine *engine = NULL;

	config.state_dir = folder;
	config.opt_out_enabled = 1;
	config.erase_kinds = RCO_KIND_TRANSCRIPT;
	config.late_opt_out_ms = RCO_NONE_MS;
	config.sweep_delay_ms = RCO_NONE_MS;
	config.ring_pool_bytes = 1 << 20;
	config.buffer = &buffer;
	config.buffer_user_data = kept;
	config.upload = &upload;
	config.upload_user_data = objects;
	config.deletion = &deletion;
	config.deletion_user_data = objects;
	config.allocator = &allocator;
	config.clock = &clock;
	config.log = on_log;
	config.log_user_data = &lines;
	config.event = on_event;
	config.event_user_data = events;
	MUST(rco_engine_create(&config, &engine) == RCO_OK);
	MUST(attached == 1 && allocations > 0);
	return engine;
}

static rco_session *begin_call(rco_engine *engine, const char *call_id, uint32_t *leg)
{
	const rco_recorder_ops recorder = {.struct_size = sizeof recorder, .start = start, .stop = stop};
	rco_session_options options = {
		.struct_size = sizeof options, .call_id = call_id, .user_data = &given_back};
	rco_session *call = NULL;

	if (leg == NULL) {
		options.recorder = &recorder;
		options.recorder_user_data = &starts;
	}
	MUST(rco_session_create(engine, &options, &call) == RCO_OK);
	MUST(leg == NULL || rco_session_add_leg(call, "caller", RCO_FORMAT_PCMU_8K, leg) == RCO_OK);
	MUST(rco_session_start(call) == RCO_OK);
	return call;
}

static void talk(rco_session *call, uint32_t leg)
{
	static const uint8_t audio[FRAME] = {1, 2, 3};
	rco_frame frames[2] = {{.session = call,
	                        .data = audio,
	                        .position = RCO_POSITION_NEXT,
	                        .size_bytes = FRAME,
	                        .leg = leg,
	                        .format = RCO_FORMAT_PCMU_8K}};

	frames[1] = frames[0];
	for (int i = 0; i < FRAMES / 2; i++) {
		MUST(rco_session_push(call, leg, RCO_FORMAT_PCMU_8K, audio, FRAME) == RCO_OK);
		MUST(rco_frames_push(frames, 1) == 1 && frames[0].result == RCO_OK);
	}
	MUST(frames[1].result == 0);
}

/* Nothing is written behind what this program has. */
static const char behind[] = "behind";

/* Stored, and its frames are those that were pushed. */
static void a_call_that_is_kept(rco_engine *engine)
{
	struct {
		rco_session_stats stats;
		char behind[8];
	} its = {.stats.struct_size = sizeof its.stats, .behind = "behind"};
	const rco_session_stats *stats = &its.stats;
	uint32_t leg;
	rco_session *call = begin_call(engine, "kept", &leg);

	talk(call, leg);
	MUST(rco_session_end(call) == RCO_OK && rco_engine_wait_idle(engine, 10000) == RCO_OK);
	MUST(rco_session_get_stats(call, &its.stats) == RCO_OK && stats->struct_size == sizeof *stats);
	MUST(stats->state == RCO_STATE_STORED && stats->legs == 1 && stats->accepted_bytes == FRAME * FRAMES);
	MUST(stats->accepted_frames == FRAMES && stats->buffered_bytes == FRAME * FRAMES &&
	     stats->recording_id[0] + stats->ended_us);
	MUST(strcmp(its.behind, behind) == 0);
	MUST(stored(RCO_KIND_AUDIO) == 1 && stored(RCO_KIND_METADATA) == 1);
	rco_session_free(call);
}

static void verified(rco_engine *engine, rco_receipt *receipt)
{
	char json[RCO_RECEIPT_JSON_MAX];
	uint8_t key[32];
	uint32_t status = 0;
	size_t length = 0;

	MUST(rco_receipt_status(receipt) == RCO_STATUS_VERIFIED && rco_receipt_code(receipt) == RCO_OK);
	MUST(rco_receipt_facts(receipt) & RCO_FACT_ERASED && rco_receipt_facts(receipt) & RCO_FACT_RECORDED);
	MUST(rco_receipt_time_us(receipt, RCO_TIME_VERIFIED) >= rco_receipt_time_us(receipt, RCO_TIME_REQUESTED));
	MUST(rco_receipt_to_json(receipt, json, sizeof json, &length) == RCO_OK && length == strlen(json));
	MUST(rco_engine_public_key(engine, key) == RCO_OK);
	MUST(rco_receipt_verify(json, length, key, &status) == RCO_OK && status == RCO_STATUS_VERIFIED);
	rco_receipt_free(receipt);
}

static void a_call_that_is_opted_out(rco_engine *engine)
{
	const rco_opt_out_options options = {.struct_size = sizeof options, .source = "dtmf"};
	const rco_recordpref_policy policy = {.struct_size = sizeof policy, .off = RCO_OFF_IGNORED};
	struct {
		rco_engine_stats stats;
		char behind[8];
	} its = {.stats.struct_size = sizeof its.stats, .behind = "behind"};
	const rco_engine_stats *stats = &its.stats;
	rco_receipt *receipt = NULL;
	uint32_t leg, done = 9;
	rco_session *call = begin_call(engine, "pushed", &leg);
	int count = 0, rc;

	talk(call, leg);
	MUST(rco_recordpref_apply(call, RCO_RECORDPREF_ON, &policy, &done, NULL) == RCO_OK &&
	     done == RCO_RECORDPREF_DID_NOTHING);
	MUST(rco_session_register_artifact(call, RCO_KIND_TRANSCRIPT, "store:transcript", NULL) == RCO_OK);
	rc = rco_opt_out(call, &options, &receipt);
	MUST(rc == RCO_OK && strcmp(rco_receipt_source(receipt), "dtmf") == 0);
	rco_receipt_free(receipt);
	MUST(rco_session_push(call, leg, RCO_FORMAT_PCMU_8K, "\377", 1) == RCO_E_OPTED_OUT);
	MUST(rco_engine_each_pending(engine, on_pending, &count) == RCO_OK && count == 1);
	MUST(rco_engine_wait_idle(engine, 10000) == RCO_OK);
	MUST(rco_session_receipt(call, &receipt) == RCO_OK);
	verified(engine, receipt);
	MUST(rco_engine_get_stats(engine, &its.stats) == RCO_OK && stats->struct_size == sizeof *stats);
	MUST(stats->sessions_open == 1 && stats->erasures_pending == 0 && stats->ring_bytes_total > 0);
	MUST(strcmp(its.behind, behind) == 0);
	MUST(removed == 1 && stored(RCO_KIND_AUDIO) == 1);
	rco_session_free(call);
}

/* The agent's tool stops the host's recorder. */
static void a_call_of_the_hosts_recorder(rco_engine *engine)
{
	static const char message[] =
		"{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\","
		"\"function\":{\"name\":\"recording_opt_out\",\"arguments\":\"{}\"}}]}";
	rco_session *call = begin_call(engine, "recorded", NULL);
	const rco_tool_options tool = {
		.struct_size = sizeof tool, .dialect = RCO_DIALECT_OPENAI_CHAT, .session = call};
	const rco_tool_request request = {.struct_size = sizeof request,
	                                  .session = call,
	                                  .language = "de",
	                                  .json = message,
	                                  .json_bytes = sizeof message - 1};
	rco_tool_answer *answer = NULL;
	char definition[4096];
	size_t length = 0;

	MUST(starts == 1);
	MUST(rco_tool_definition(engine, &tool, definition, sizeof definition, &length) == RCO_OK && length > 0);
	MUST(rco_tool_call(engine, &request, &answer) >= RCO_OK && rco_tool_answer_calls(answer) == 1 &&
	     stops >= 1);
	MUST(rco_tool_answer_dialect(answer) == RCO_DIALECT_OPENAI_CHAT &&
	     strstr(rco_tool_answer_json(answer, NULL), "call_1"));
	rco_tool_answer_free(answer);
	rco_session_free(call);
}

/* What hosts make for themselves, once each. */
static void the_rest(rco_engine *engine, const char *folder)
{
	char path[2][512];
	rco_key_dir_options key_dir = {.struct_size = sizeof key_dir, .path = path[0]};
	rco_spool_options spool = {.struct_size = sizeof spool, .path = path[1]};
	rco_directory_options directory = {.struct_size = sizeof directory, .path = path[0]};
	rco_memory_options memory = {.struct_size = sizeof memory};
	rco_control_options control = {.struct_size = sizeof control, .path = path[0]};
	rco_client_options client = {.struct_size = sizeof client, .path = path[0]};
	rco_key_dir *keys;
	rco_spool *made_spool;
	rco_directory *made_directory;
	rco_memory *made_memory;
	rco_control *made_control;
	rco_client *made_client;

	snprintf(path[0], sizeof path[0], "%s/other-keys", folder);
	snprintf(path[1], sizeof path[1], "%s/other-spool", folder);
	MUST(rco_key_dir_create(&key_dir, &keys) == RCO_OK);
	spool.keys = rco_key_dir_ops();
	spool.keys_user_data = keys;
	MUST(rco_spool_create(&spool, &made_spool) == RCO_OK);
	rco_spool_free(made_spool);
	rco_key_dir_free(keys);
	snprintf(path[0], sizeof path[0], "%s/other-files", folder);
	MUST(rco_directory_create(&directory, &made_directory) == RCO_OK);
	rco_directory_free(made_directory);
	MUST(rco_memory_create(&memory, &made_memory) == RCO_OK && rco_memory_audio_bytes(made_memory) == 0);
	rco_memory_free(made_memory);
	snprintf(path[0], sizeof path[0], "%s/socket", folder);
	MUST(rco_control_open(engine, &control, &made_control) == RCO_OK);
	MUST(rco_client_open(&client, &made_client) == RCO_OK);
	rco_client_close(made_client);
	rco_control_close(made_control);
}

int main(int argc, char **argv)
{
	char state[512];
	rco_engine *engine;

	MUST(argc == 2);
	snprintf(state, sizeof state, "%s/state", argv[1]);
	engine = open_engine(state);
	a_call_that_is_kept(engine);
	a_call_that_is_opted_out(engine);
	a_call_of_the_hosts_recorder(engine);
	the_rest(engine, argv[1]);
	rco_engine_free(engine);
	MUST(attached == 1 && detached == 1 && lines >= 0);
	MUST(events[RCO_EVENT_STORED] == 1 && events[RCO_EVENT_VERIFIED] == 1 && events[RCO_EVENT_OPTED_OUT] == 2);
	MUST(given_back > 0 && strcmp(rco_status_name(RCO_STATUS_VERIFIED), "verified") == 0);
	MUST(strcmp(rco_error_name(RCO_E_OPTED_OUT), "RCO_E_OPTED_OUT") == 0);
	printf("compiled with %s, ran with %s\n", RCO_VERSION_STRING, rco_version_string());
	return 0;
}
