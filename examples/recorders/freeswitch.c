/* SPDX-License-Identifier: MIT */
/*
 * FreeSWITCH, through its event socket (mod_event_socket, port 8021).
 *
 *   start CALL-ID uuid=UUID file=NAME        as in: uuid_record UUID start DIR/NAME, or record_session
 *
 * `uuid_record UUID stop all` stops; then `uuid_buglist UUID` says which media bugs are left: the confirmation is
 * that none of them is "session_record". "No such channel" says that the channel, and its recording with it, is
 * gone. Sources: the documentation of mod_event_socket and of uuid_record and uuid_buglist in mod_commands.
 * FreeSWITCH is not in Debian 12: tested against these exchanges, not against a server. Not seen: files that
 * record_post_process_exec_app made of it.
 */
#include "adapter.h"

#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 8192 };

/* The headers of one message; its body, if it has one, goes to `body`. 0, or -1 at the end. */
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
	if (line == NULL || size >= BODY_MAX)
		return -1;
	if (size > 0) {
		const char *bytes = net_text_bytes(t, size);

		if (bytes == NULL)
			return -1;
		memcpy(body, bytes, size);
		body[size] = '\0';
	}
	return 0;
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

static int is_gone(const char *answer)
{
	return strstr(answer, "No such channel") != NULL || strstr(answer, "Cannot locate session") != NULL;
}

static rec_outcome talk(net_text *t, const rec_settings *s, const char *uuid, char why[WHY_MAX])
{
	char body[BODY_MAX];

	if (wait_for(t, "auth/request", body) != 0 || net_text_say(t, "auth %s\n\n", s->password) != 0 ||
	    wait_for(t, "command/reply", body) != 0) {
		(void)snprintf(why, WHY_MAX,
		               "the event socket at %s does not answer, or refuses this machine (acl)", s->at);
		return RECORDER_UNSURE;
	}
	if (strncmp(body, "+OK", 3) != 0) {
		(void)snprintf(why, WHY_MAX, "the event socket refuses the password: %.100s", body);
		return RECORDER_UNSURE;
	}
	if (net_text_say(t, "api uuid_record %s stop all\n\n", uuid) != 0 ||
	    wait_for(t, "api/response", body) != 0) {
		(void)snprintf(why, WHY_MAX, "FreeSWITCH does not answer the stop");
		return RECORDER_UNSURE;
	}
	if (is_gone(body))
		return RECORDER_STOPPED;
	if (net_text_say(t, "api uuid_buglist %s\n\n", uuid) != 0 || wait_for(t, "api/response", body) != 0) {
		(void)snprintf(why, WHY_MAX, "FreeSWITCH does not say whether it still records");
		return RECORDER_UNSURE;
	}
	if (is_gone(body) || (strstr(body, "</media-bugs>") != NULL && strstr(body, "session_record") == NULL))
		return RECORDER_STOPPED;
	(void)snprintf(why, WHY_MAX, "FreeSWITCH still records channel %.64s", uuid);
	return RECORDER_UNSURE;
}

static rec_outcome stop(const rec_settings *s, const rec_call *call, char why[WHY_MAX])
{
	rec_outcome outcome = RECORDER_UNSURE;
	net_text t;

	if (net_text_open(&t, s->at, s->timeout_ms) == 0)
		outcome = talk(&t, s, rec_value(call, "uuid"), why);
	else
		(void)snprintf(why, WHY_MAX, "nobody listens at %s; is mod_event_socket loaded?", s->at);
	net_text_close(&t);
	return outcome;
}

static void files(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	char path[PATH_ROOM];

	if ((size_t)snprintf(path, sizeof path, "%s/%s", s->dir, rec_value(call, "file")) < sizeof path &&
	    access(path, F_OK) == 0)
		found(path, arg);
}

static const char *check(const rec_settings *s)
{
	if (s->at == NULL || s->password == NULL || s->dir == NULL)
		return "--at HOST:PORT (of the event socket), --password-file and --dir";
	return NULL;
}

static const char *check_call(const rec_settings *s, const rec_call *call)
{
	const char *uuid = rec_value(call, "uuid"), *file = rec_value(call, "file");

	(void)s;
	if (uuid == NULL || strlen(uuid) != 36 || strspn(uuid, "0123456789abcdefABCDEF-") != 36 || file == NULL)
		return "uuid=UUID and file=NAME";
	return strstr(file, "..") != NULL || file[0] == '/' || file[0] == '\0' ? "file=NAME below --dir" : NULL;
}

const rec_adapter rec_freeswitch = {.name = "freeswitch",
                                    .usage = "  freeswitch   --at HOST:PORT --password-file F --dir DIR\n"
                                             "                                          start CALL-ID uuid=UUID "
                                             "file=NAME\n",
                                    .check = check,
                                    .check_call = check_call,
                                    .stop = stop,
                                    .files = files};
