/* SPDX-License-Identifier: MIT */
/*
 * Janus, AudioBridge plugin, through its HTTP JSON API (janus.conf.meetecho.com/docs/audiobridge); tested
 * with 1.1.2 of Debian 12. A room is a call: all who are in it are recorded in one file.
 *
 *   start CALL-ID room=NUMBER file=NAME [secret=WORD]
 *
 * NAME is the room's record_file, below DIR. While it records Janus writes NAME.tmp (record_tmp_ext) or NAME, and
 * closes it when it is told to stop: "success" is the confirmation, for it is answered after that; a room or a
 * session that is gone has closed its file, too. Not seen: per-participant recordings (mjr), unless each is given
 * as a call.
 */
#include "adapter.h"

#include "named.h"
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NO_SUCH_ROOM = 485, /* JANUS_AUDIOBRIDGE_ERROR_NO_SUCH_ROOM */
	LEAST_MS = 100      /* for what is said when the time is over */
};

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* POST to PATH below the API; the answer is the caller's, NULL if there was none. Takes `body`. */
static json_t *post(const rec_settings *s, int64_t until_ms, const char *path, json_t *body)
{
	char url[PATH_ROOM];
	json_t *answer = NULL;
	int64_t left = until_ms - net_now_ms();

	if (body != NULL && (size_t)snprintf(url, sizeof url, "%s%s", s->at, path) < sizeof url)
		(void)net_http("POST", url, NULL, NULL, body, (uint32_t)(left > LEAST_MS ? left : LEAST_MS),
		               &answer);
	json_decref(body);
	return answer;
}

/* "create" and "attach" answer with a number. */
static json_int_t number(const rec_settings *s, int64_t until_ms, const char *path, json_t *body)
{
	json_t *answer = post(s, until_ms, path, body);
	json_int_t id = 0;

	if (strcmp(word(answer, "janus"), "success") == 0)
		id = json_integer_value(json_object_get(json_object_get(answer, "data"), "id"));
	json_decref(answer);
	return id;
}

static rec_outcome judge(const json_t *answer, char why[WHY_MAX])
{
	const json_t *data = json_object_get(json_object_get(answer, "plugindata"), "data");

	if (strcmp(word(data, "audiobridge"), "success") == 0)
		return RECORDER_STOPPED;
	(void)snprintf(why, WHY_MAX, "Janus did not stop: %.150s", word(data, "error"));
	return json_integer_value(json_object_get(data, "error_code")) == NO_SUCH_ROOM ? RECORDER_KNOWS_NOTHING
	                                                                               : RECORDER_UNSURE;
}

static json_t *request(const rec_call *call)
{
	const char *secret = rec_value(call, "secret");
	json_t *body = json_pack("{s:s, s:I, s:b}", "request", "enable_recording", "room",
	                         (json_int_t)strtoll(rec_value(call, "room"), NULL, 10), "record", 0);

	if (secret != NULL)
		(void)json_object_set_new(body, "secret", json_string(secret));
	return body;
}

/* A session of its own for each stop: nothing has to be kept alive. */
static rec_outcome stop(const rec_settings *s, const rec_call *call, const rec_stop *how, char why[WHY_MAX])
{
	int64_t until_ms = net_now_ms() + s->timeout_ms;
	char path[64], handle_path[128];
	json_int_t session, handle = 0;
	json_t *answer = NULL;
	rec_outcome outcome = RECORDER_UNSURE;

	/* Janus does not say what it records a room into; a room has one recording at a time. */
	if (how->own && how->written(how->arg) != 1) {
		(void)snprintf(why, WHY_MAX,
		               "room %.40s may be another call's, and no file of this call is written",
		               rec_value(call, "room"));
		return RECORDER_KNOWS_NOTHING;
	}
	session = number(s, until_ms, "", json_pack("{s:s, s:s}", "janus", "create", "transaction", "c"));
	(void)snprintf(path, sizeof path, "/%lld", (long long)session);
	if (session != 0)
		handle = number(s, until_ms, path,
		                json_pack("{s:s, s:s, s:s}", "janus", "attach", "plugin",
		                          "janus.plugin.audiobridge", "transaction", "a"));
	(void)snprintf(handle_path, sizeof handle_path, "%s/%lld", path, (long long)handle);
	if (handle != 0)
		answer = post(s, until_ms, handle_path,
		              json_pack("{s:s, s:s, s:o}", "janus", "message", "transaction", "m", "body",
		                        request(call)));
	if (answer != NULL)
		outcome = judge(answer, why);
	else
		(void)snprintf(why, WHY_MAX, "Janus at %s does not answer; is its HTTP transport on?", s->at);
	json_decref(answer);
	if (session != 0)
		json_decref(
			post(s, until_ms, path, json_pack("{s:s, s:s}", "janus", "destroy", "transaction", "d")));
	return outcome;
}

static int written(const char *name, int i, char out[PATH_ROOM])
{
	static const char *const endings[] = {"", ".tmp"};

	return i < 2 && snprintf(out, PATH_ROOM, "%s%s", name, endings[i]) < PATH_ROOM;
}

static void files(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	named_files(s, call, written, found, arg);
}

static int owns(const rec_settings *s, const rec_call *call, const char *path)
{
	return named_owns(s, call, written, path);
}

static const char *check(const rec_settings *s)
{
	return s->at == NULL || s->dir == NULL ? "--at URL (http://127.0.0.1:8088/janus) and --dir (record_dir)"
	                                       : NULL;
}

static const char *keys(const rec_settings *s)
{
	(void)s;
	return "room file copy secret";
}

static const char *handle_of(const rec_settings *s, const rec_call *call)
{
	(void)s;
	return rec_value(call, "room");
}

static const char *check_call(const rec_settings *s, const rec_call *call)
{
	const char *room = rec_value(call, "room");

	return room == NULL || strspn(room, "0123456789") != strlen(room) || room[0] == '\0' ||
	                       !named_well(s, call, written)
	               ? "room=NUMBER and file=NAME, below --dir, of at most 251 bytes"
	               : NULL;
}

const rec_adapter rec_janus = {
	.name = "janus",
	.usage = "  janus        --at URL --dir DIR             start CALL-ID room=N file=NAME "
		 "[secret=WORD]\n",
	.named = 1,
	.check = check,
	.keys = keys,
	.handle = handle_of,
	.check_call = check_call,
	.stop = stop,
	.files = files,
	.owns = owns};
