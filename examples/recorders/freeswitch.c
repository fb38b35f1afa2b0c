/* SPDX-License-Identifier: MIT */
/*
 * FreeSWITCH, through its event socket (mod_event_socket, port 8021).
 *
 *   start CALL-ID uuid=UUID file=NAME        as in: uuid_record UUID start DIR/NAME, or record_session
 *
 * `uuid_buglist UUID` says what is recorded into which files, `uuid_record UUID stop all` stops it, and the list
 * is asked again. What was seen of 1.11:
 * "+OK Success"; "-ERR Cannot locate session!" and, of the list, "-ERR no reply", when the channel is gone; "-ERR
 * Cannot stop record session!" when it has nothing to stop. The errors confirm nothing: a recording may have
 * followed a transfer, the `record` application has no media bug, and a file was open for 200 ms after its channel
 * had gone. The file tells (files.h). Sources: the documentation of mod_event_socket, and of uuid_record and
 * uuid_buglist in mod_commands. FreeSWITCH is not in Debian 12: the tests answer as that one did. Not seen: files
 * that record_post_process_exec_app made of it.
 */
#include "adapter.h"

#include "named.h"
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 8192 };

/* The headers of one message; its body, if it has one, goes to `body`, as much of it as there is room for. 0, or
 * -1 at the end. */
static int message(net_text *t, char type[64], char body[BODY_MAX])
{
	unsigned long size = 0;
	const char *line;

	type[0] = body[0] = '\0';
	while ((line = net_text_line(t)) != NULL && line[0] != '\0') {
		if (strncmp(line, "Content-Type: ", 14) == 0)
			(void)snprintf(type, 64, "%.63s", line + 14);
		else if (strncmp(line, "Content-Length: ", 16) == 0)
			size = strtoul(line + 16, NULL, 10);
		else if (strncmp(line, "Reply-Text: ", 12) == 0)
			(void)snprintf(body, BODY_MAX, "%.200s", line + 12);
	}
	if (line != NULL && size > 0) {
		size_t part = size < BODY_MAX ? size : BODY_MAX - 1;
		const char *bytes = net_text_bytes(t, part);

		if (bytes == NULL || memchr(bytes, '\0', part) != NULL)
			return -1;
		memcpy(body, bytes, part);
		body[part] = '\0';
		return net_text_skip(t, size - part);
	}
	return line != NULL ? 0 : -1;
}

/* Until a message of this type: others (events, log) may come between. */
static int wait_for(net_text *t, const char *wanted, char body[BODY_MAX])
{
	char type[64];

	while (message(t, type, body) == 0) {
		if (strcmp(type, wanted) == 0)
			return 0;
		if (strcmp(type, "text/disconnect-notice") == 0)
			return -1;
	}
	return -1;
}

static int log_in(net_text *t, const rec_settings *s, char why[WHY_MAX])
{
	char body[BODY_MAX];

	if (net_text_open(t, s->at, s->timeout_ms) != 0) {
		(void)snprintf(why, WHY_MAX, "nobody listens at %.150s; is mod_event_socket loaded?", s->at);
		return -1;
	}
	if (wait_for(t, "auth/request", body) != 0 || net_text_say(t, "auth %s\n\n", s->password) != 0 ||
	    wait_for(t, "command/reply", body) != 0) {
		(void)snprintf(why, WHY_MAX,
		               "the event socket at %.100s does not answer, or refuses this machine (acl)", s->at);
		return -1;
	}
	if (strcmp(body, "+OK accepted") == 0)
		return 0;
	(void)snprintf(why, WHY_MAX, "the event socket refuses the password: %.100s", body);
	return -1;
}

/* 0 and the answer in `body`, or -1. */
static int api(net_text *t, char body[BODY_MAX], const char *command, const char *uuid, const char *what)
{
	return net_text_say(t, "api %s %s %s\n\n", command, uuid, what) == 0 ? wait_for(t, "api/response", body)
	                                                                     : -1;
}

static int starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What the two answers say together. */
static rec_outcome judge(const char *stopped, const char *bugs, char why[WHY_MAX])
{
	(void)snprintf(why, WHY_MAX, "FreeSWITCH says: %.*s", (int)strcspn(stopped, "\n"), stopped);
	if (strstr(bugs, "session_record") != NULL)
		(void)snprintf(why, WHY_MAX, "FreeSWITCH still records that channel");
	else if (starts(stopped, "+OK") && strstr(bugs, "</media-bugs>") != NULL)
		return RECORDER_STOPPED;
	else if (starts(stopped, "-ERR Cannot locate session") || starts(stopped, "-ERR No such channel") ||
	         starts(stopped, "-ERR Cannot stop record session") || starts(stopped, "+OK"))
		return RECORDER_KNOWS_NOTHING;
	return RECORDER_UNSURE;
}

/* FreeSWITCH makes UUIDs, and takes any origination_uuid: what cannot be mistaken for more than one word will do.
 */
static int is_uuid(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@:+=";

	return text[0] != '\0' && text[0] != '-' && strspn(text, plain) == strlen(text);
}

/* How many recordings of the call's files were stopped on that channel, whatever else is recorded there; -1
 * without an answer. FreeSWITCH knows a recording by the path that it was started with. */
static int stop_files(net_text *t, const rec_settings *s, const rec_call *call, const rec_stop *how,
                      const char *uuid)
{
	char body[BODY_MAX], what[2 * PATH_ROOM];
	int n = 0;
	size_t v;

	for (v = 0; v < call->n; v++) {
		const char *given = call->given[v].value;
		const char *name = strcmp(call->given[v].key, "file") == 0 ? named_below(s, given) : NULL;

		(void)snprintf(what, sizeof what, "%s/%s", s->dir, name != NULL ? name : "");
		if (name == NULL || !how->mine(what, how->arg))
			continue;
		(void)snprintf(what, sizeof what, "stop %s/%s", s->dir_given, name);
		if (api(t, body, "uuid_record", uuid, what) != 0)
			return -1;
		n += starts(body, "+OK");
	}
	return n;
}

/* The recording may have gone on with another leg (recording_follow_transfer). Named by its file it is stopped
 * there, and nothing else is: `show channels` begins each line with a channel's uuid. That it did is for the file
 * to tell. */
static void stop_elsewhere(net_text *t, const rec_settings *s, const rec_call *call, const rec_stop *how)
{
	char channels[BODY_MAX];
	char *line, *rest = NULL;

	if (api(t, channels, "show", "channels", "") != 0)
		return;
	for (line = strtok_r(channels, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		char *comma = strchr(line, ',');

		if (comma != NULL)
			*comma = '\0';
		if (comma != NULL && strcmp(line, "uuid") != 0 && is_uuid(line) &&
		    stop_files(t, s, call, how, line) < 0)
			return;
	}
}

/* The channel may be another call's. */
static rec_outcome stop_own(net_text *t, const rec_settings *s, const rec_call *call, const rec_stop *how,
                            char why[WHY_MAX])
{
	int n = stop_files(t, s, call, how, rec_value(call, "uuid"));

	(void)snprintf(why, WHY_MAX,
	               n < 0 ? "FreeSWITCH does not answer the stop"
	                     : "FreeSWITCH records no file of the call on its channel");
	return n > 0 ? RECORDER_STOPPED : n == 0 ? RECORDER_KNOWS_NOTHING : RECORDER_UNSURE;
}

/* Does `start` name a file so, in whichever folder FreeSWITCH, in a container, thinks that it lies? */
static int is_named(const rec_call *call, const char *leaf)
{
	size_t v;

	for (v = 0; v < call->n; v++) {
		const char *value = call->given[v].value, *slash = strrchr(value, '/');

		if (strcmp(call->given[v].key, "file") == 0 &&
		    strcmp(slash != NULL ? slash + 1 : value, leaf) == 0)
			return 1;
	}
	return 0;
}

/* `*below`: one was seen to be recorded below --dir, so that FreeSWITCH knows that folder by the same name. */
static void found_target(const rec_settings *s, const rec_call *call, const char *target, int *below,
                         rec_file_fn *found, void *arg)
{
	const char *name = target[0] == '/' ? named_below(s, target) : NULL, *slash = strrchr(target, '/');
	char path[2 * PATH_ROOM];

	if (name != NULL && (size_t)snprintf(path, sizeof path, "%s/%s", s->dir, name) < PATH_ROOM) {
		*below = 1;
		found(path, arg);
	} else if (*below || !is_named(call, slash != NULL ? slash + 1 : target)) {
		(void)snprintf(path, PATH_ROOM, UNNAMED "%.900s", target);
		found(path, arg);
	}
}

/* What the list has of recordings. 0, or -1 if it is none, or cut off. */
static int found_listed(const rec_settings *s, const rec_call *call, const char *list, rec_file_fn *found,
                        void *arg)
{
	static const char begin[] = "<target>", end[] = "</target>", recorder[] = "<function>session_record<";
	const char *at;
	char one[PATH_ROOM];
	int below = 0, pass;

	if (strstr(list, "</media-bugs>") == NULL)
		return -1;
	for (pass = 0; pass < 2; pass++) /* what is below --dir may come last */
		for (at = list; (at = strstr(at, recorder)) != NULL;) {
			const char *target = strstr(at, begin),
				   *stop = target != NULL ? strstr(target, end) : NULL;

			if (stop == NULL)
				return -1;
			target += sizeof begin - 1;
			(void)snprintf(one, sizeof one, "%.*s", (int)(stop - target), target);
			found_target(s, call, one, &below, found, arg);
			at = stop;
		}
	return 0;
}

/* Before anything is stopped, for it is not known afterwards. 0; 1 if there is no list, as of a channel that is
 * gone; -1 without an answer. */
static int learn(net_text *t, const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	char list[BODY_MAX];

	if (api(t, list, "uuid_buglist", rec_value(call, "uuid"), "") != 0)
		return -1;
	return found_listed(s, call, list, found, arg) == 0 ? 0 : 1;
}

static int names(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	char why[WHY_MAX];
	net_text t;
	int rc = log_in(&t, s, why) == 0 ? learn(&t, s, call, found, arg) : -1;

	net_text_close(&t);
	return rc < 0 ? -1 : 0;
}

static rec_outcome stop_all(net_text *t, const rec_settings *s, const rec_call *call, const rec_stop *how,
                            char why[WHY_MAX])
{
	const char *uuid = rec_value(call, "uuid");
	char stopped[BODY_MAX], bugs[BODY_MAX];
	int64_t until_ms = t->until_ms;
	int listed;

	t->until_ms = until_ms - (until_ms - net_now_ms()) / 2;
	listed = learn(t, s, call, how->found, how->arg);
	t->until_ms = until_ms;
	if (listed < 0) { /* its answer may come yet, and be taken for another's */
		net_text_close(t);
		if (log_in(t, s, why) != 0)
			return RECORDER_UNSURE;
		t->until_ms = until_ms;
	}
	/* Without the list `all` would end what nobody could name any more: only what has a name is stopped. */
	if (listed != 0 && stop_files(t, s, call, how, uuid) > 0) {
		(void)snprintf(why, WHY_MAX, "FreeSWITCH does not say what it records on the channel");
		return RECORDER_UNSURE;
	}
	if (api(t, stopped, "uuid_record", uuid, "stop all") != 0 || api(t, bugs, "uuid_buglist", uuid, "") != 0) {
		(void)snprintf(why, WHY_MAX, "FreeSWITCH does not answer the stop");
		return RECORDER_UNSURE;
	}
	if (listed != 0 && starts(stopped, "+OK"))
		how->found(UNNAMED "what FreeSWITCH did not list", how->arg);
	return judge(stopped, bugs, why);
}

static rec_outcome talk(net_text *t, const rec_settings *s, const rec_call *call, const rec_stop *how,
                        char why[WHY_MAX])
{
	rec_outcome outcome;

	if (log_in(t, s, why) != 0)
		return RECORDER_UNSURE;
	outcome = how->own ? stop_own(t, s, call, how, why) : stop_all(t, s, call, how, why);
	if (outcome == RECORDER_KNOWS_NOTHING && !how->keep)
		stop_elsewhere(t, s, call, how);
	return outcome;
}

static rec_outcome stop(const rec_settings *s, const rec_call *call, const rec_stop *how, char why[WHY_MAX])
{
	net_text t;
	rec_outcome outcome = talk(&t, s, call, how, why);

	net_text_close(&t);
	return outcome;
}

static int written(const char *name, int i, char out[PATH_ROOM])
{
	return i == 0 && snprintf(out, PATH_ROOM, "%s", name) < PATH_ROOM;
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
	if (s->at == NULL || s->password == NULL || s->dir == NULL)
		return "--at HOST:PORT (of the event socket), --password-file and --dir";
	return NULL;
}

static const char *keys(const rec_settings *s)
{
	(void)s;
	return "uuid file copy";
}

static const char *handle(const rec_settings *s, const rec_call *call)
{
	(void)s;
	return rec_value(call, "uuid");
}

static const char *check_call(const rec_settings *s, const rec_call *call)
{
	const char *uuid = rec_value(call, "uuid");

	return uuid == NULL || !is_uuid(uuid) || !named_well(s, call, written)
	               ? "uuid=UUID (letters, digits and -._~@:+=), and file=NAME, below --dir, of at most 255 "
	                 "bytes"
	               : NULL;
}

const rec_adapter rec_freeswitch = {.name = "freeswitch",
                                    .usage = "  freeswitch   --at HOST:PORT --password-file F --dir DIR\n"
                                             "                                          start CALL-ID uuid=UUID "
                                             "file=NAME\n",
                                    .named = 1,
                                    .removes = 1, /* what is shorter than RECORD_MIN_SEC */
                                    .check = check,
                                    .keys = keys,
                                    .handle = handle,
                                    .check_call = check_call,
                                    .stop = stop,
                                    .files = files,
                                    .owns = owns,
                                    .names = names};
