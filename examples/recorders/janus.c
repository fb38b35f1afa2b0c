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

#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NO_SUCH_ROOM = 485 }; /* JANUS_AUDIOBRIDGE_ERROR_NO_SUCH_ROOM */

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* POST to PATH below the API; the answer is the caller's, NULL if there was none. Takes `body`. */
static json_t *post(const rec_settings *s, const char *path, json_t *body)
{
	char url[PATH_ROOM];
	json_t *answer = NULL;

	if (body != NULL && (size_t)snprintf(url, sizeof url, "%s%s", s->at, path) < sizeof url)
		(void)net_http("POST", url, NULL, NULL, body, s->timeout_ms, &answer);
	json_decref(body);
	return answer;
}

/* "create" and "attach" answer with a number. */
static json_int_t number(const rec_settings *s, const char *path, json_t *body)
{
	json_t *answer = post(s, path, body);
	json_int_t id = 0;

	if (strcmp(word(answer, "janus"), "success") == 0)
		id = json_integer_value(json_object_get(json_object_get(answer, "data"), "id"));
	json_decref(answer);
	return id;
}

static rec_outcome judge(const json_t *answer, char why[WHY_MAX])
{
	const json_t *data = json_object_get(json_object_get(answer, "plugindata"), "data");

	if (strcmp(word(data, "audiobridge"), "success") == 0 ||
	    json_integer_value(json_object_get(data, "error_code")) == NO_SUCH_ROOM)
		return RECORDER_STOPPED;
	(void)snprintf(why, WHY_MAX, "Janus did not stop: %.150s", word(data, "error"));
	return RECORDER_UNSURE;
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
static rec_outcome stop(const rec_settings *s, const rec_call *call, char why[WHY_MAX])
{
	char path[64], handle_path[128];
	json_int_t session, handle = 0;
	json_t *answer = NULL;
	rec_outcome outcome = RECORDER_UNSURE;

	session = number(s, "", json_pack("{s:s, s:s}", "janus", "create", "transaction", "c"));
	(void)snprintf(path, sizeof path, "/%lld", (long long)session);
	if (session != 0)
		handle = number(s, path,
		                json_pack("{s:s, s:s, s:s}", "janus", "attach", "plugin",
		                          "janus.plugin.audiobridge", "transaction", "a"));
	(void)snprintf(handle_path, sizeof handle_path, "%s/%lld", path, (long long)handle);
	if (handle != 0)
		answer = post(s, handle_path,
		              json_pack("{s:s, s:s, s:o}", "janus", "message", "transaction", "m", "body",
		                        request(call)));
	if (answer != NULL)
		outcome = judge(answer, why);
	else
		(void)snprintf(why, WHY_MAX, "Janus at %s does not answer; is its HTTP transport on?", s->at);
	json_decref(answer);
	if (session != 0)
		json_decref(post(s, path, json_pack("{s:s, s:s}", "janus", "destroy", "transaction", "d")));
	return outcome;
}

static void files(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	static const char *const endings[] = {"", ".tmp"};
	char path[PATH_ROOM];
	size_t i;

	for (i = 0; i < sizeof endings / sizeof endings[0]; i++)
		if ((size_t)snprintf(path, sizeof path, "%s/%s%s", s->dir, rec_value(call, "file"), endings[i]) <
		            sizeof path &&
		    access(path, F_OK) == 0)
			found(path, arg);
}

static const char *check(const rec_settings *s)
{
	return s->at == NULL || s->dir == NULL ? "--at URL (http://127.0.0.1:8088/janus) and --dir (record_dir)"
	                                       : NULL;
}

static const char *check_call(const rec_settings *s, const rec_call *call)
{
	const char *file = rec_value(call, "file");

	(void)s;
	if (rec_value(call, "room") == NULL || file == NULL)
		return "room=NUMBER and file=NAME";
	return file[0] == '\0' || file[0] == '.' || strchr(file, '/') != NULL ? "file=NAME without a folder"
	                                                                      : NULL;
}

const rec_adapter rec_janus = {
	.name = "janus",
	.usage = "  janus        --at URL --dir DIR             start CALL-ID room=N file=NAME "
		 "[secret=WORD]\n",
	.check = check,
	.check_call = check_call,
	.stop = stop,
	.files = files};
