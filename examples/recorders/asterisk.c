/* SPDX-License-Identifier: MIT */
/*
 * Asterisk. Two ways to record, two ways to stop:
 *
 *   start CALL-ID name=NAME                  a live recording of ARI (POST /channels/ID/record name=NAME); --at
 * URL (http://127.0.0.1:8088/ari) start CALL-ID channel=CHANNEL file=NAME  MixMonitor(NAME), stopped through AMI;
 * --at HOST:PORT (127.0.0.1:5038)
 *
 * ARI: DELETE /recordings/live/NAME stops and discards; 404 "Recording not found" says that none of that name is
 * going on; a stored one is erased by DELETE /recordings/stored/NAME and looked for by GET, wherever the files
 * are. AMI: StopMixMonitor stops one MixMonitor of the channel, and answers "Could not stop monitoring channel"
 * when none is left, which is the confirmation; "No such channel" says that the channel, and with it its
 * MixMonitors, is gone; the file is DIR/NAME on this machine. Sources: Asterisk's REST documentation (recordings)
 * and the manager actions of res_mixmonitor. Asterisk is not in Debian 12: tested against these exchanges, not
 * against a server. Not seen: copies made by MixMonitor's own command (its third argument), and by r() and t()
 * files unless they are named as calls of their own.
 */
#include "adapter.h"

#include "net.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Not a status: a 404 that says nothing of a recording. */
enum { NO_ARI = -404, MONITORS_MAX = 16 };

static int is_ari(const rec_settings *s)
{
	return strncmp(s->at, "http", 4) == 0;
}

/* ---- ARI ---- */

/* Names go into a path: nothing but what RFC 3986 leaves as it is. */
static int is_plain(const char *name)
{
	return name[0] != '\0' && name[0] != '.' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == strlen(name);
}

/* The status; 404 only if ARI itself says that there is no such recording: a wrong path below it is 404, too. */
static long recording(const rec_settings *s, const char *method, const char *kind, const char *name)
{
	char url[PATH_ROOM];
	json_t *answer = NULL;
	const char *message;
	long status;

	if ((size_t)snprintf(url, sizeof url, "%s/recordings/%s/%s", s->at, kind, name) >= sizeof url)
		return 0;
	status = net_http(method, url, s->user, s->password, NULL, s->timeout_ms, &answer);
	message = json_string_value(json_object_get(answer, "message"));
	if (status == 404 && (message == NULL || strcmp(message, "Recording not found") != 0))
		status = NO_ARI;
	json_decref(answer);
	return status;
}

static rec_outcome ari_stop(const rec_settings *s, const char *name, char why[WHY_MAX])
{
	long status = recording(s, "DELETE", "live", name);

	if (status == 204 || status == 200 || status == 404)
		return RECORDER_STOPPED;
	(void)snprintf(why, WHY_MAX,
	               status == 0        ? "ARI at %s does not answer (%ld); is http.conf enabled?"
	               : status == NO_ARI ? "%s is not the URL of ARI (%ld); does it end with /ari?"
	               : status == 401    ? "ARI at %s refuses user and password (%ld)"
	                                  : "ARI at %s answers the stop with %ld",
	               s->at, status);
	return RECORDER_UNSURE;
}

static rec_presence presence(long status, const char *what, char why[WHY_MAX])
{
	if (status == 404)
		return RECORDING_GONE;
	if (status == 200 || status == 204)
		return RECORDING_THERE;
	(void)snprintf(why, WHY_MAX, "ARI answers %ld when asked %s", status, what);
	return RECORDING_UNKNOWN;
}

/* The answer to an erasure is not taken for one: it is looked for afterwards. */
static rec_presence ari_remove(const rec_settings *s, const char *location, char why[WHY_MAX])
{
	(void)recording(s, "DELETE", "stored", location + strlen("ari:"));
	return presence(recording(s, "GET", "stored", location + strlen("ari:")), "for what was erased", why);
}

static rec_presence ari_verify(const rec_settings *s, const char *location, char why[WHY_MAX])
{
	return presence(recording(s, "GET", "stored", location + strlen("ari:")), "whether a recording is there",
	                why);
}

/* ---- AMI ---- */

/* Until the response to our action: events may come between. Its words go to `response` and `message`. */
static int ami_answer(net_text *t, int number, char response[32], char message[WHY_MAX])
{
	char action[16];
	int ours = 0;
	const char *line;

	(void)snprintf(action, sizeof action, "a%d", number);
	response[0] = message[0] = '\0';
	while ((line = net_text_line(t)) != NULL) {
		if (line[0] == '\0' && ours)
			return 0;
		if (line[0] == '\0')
			response[0] = message[0] = '\0';
		else if (strncmp(line, "Response: ", 10) == 0)
			(void)snprintf(response, 32, "%.31s", line + 10);
		else if (strncmp(line, "Message: ", 9) == 0)
			(void)snprintf(message, WHY_MAX, "%.200s", line + 9);
		else if (strncmp(line, "ActionID: ", 10) == 0 && strcmp(line + 10, action) == 0)
			ours = 1;
	}
	return -1;
}

/* Each request stops one MixMonitor of the channel, until none is left. */
static rec_outcome ami_stop_all(net_text *t, const rec_settings *s, const char *channel, char why[WHY_MAX])
{
	char response[32], message[WHY_MAX];
	int n;

	for (n = 0; n < MONITORS_MAX; n++) {
		if (net_text_say(t, "Action: StopMixMonitor\r\nActionID: a%d\r\nChannel: %s\r\n\r\n", n,
		                 channel) != 0 ||
		    ami_answer(t, n, response, message) != 0) {
			(void)snprintf(why, WHY_MAX, "AMI at %s does not answer the stop", s->at);
			return RECORDER_UNSURE;
		}
		if (strcmp(response, "Success") == 0)
			continue;
		if (strcmp(message, "No such channel") == 0 ||
		    strcmp(message, "Could not stop monitoring channel") == 0)
			return RECORDER_STOPPED;
		break;
	}
	(void)snprintf(why, WHY_MAX, "AMI does not stop: %.200s", message);
	return RECORDER_UNSURE;
}

static rec_outcome ami_talk(net_text *t, const rec_settings *s, const char *channel, char why[WHY_MAX])
{
	char response[32], message[WHY_MAX];

	if (net_text_line(t) == NULL || /* its greeting */
	    net_text_say(t, "Action: Login\r\nActionID: a-1\r\nUsername: %s\r\nSecret: %s\r\nEvents: off\r\n\r\n",
	                 s->user, s->password) != 0 ||
	    ami_answer(t, -1, response, message) != 0) {
		(void)snprintf(why, WHY_MAX, "AMI at %s does not answer", s->at);
		return RECORDER_UNSURE;
	}
	if (strcmp(response, "Success") != 0) {
		(void)snprintf(why, WHY_MAX, "AMI at %s refuses the login: %.150s", s->at, message);
		return RECORDER_UNSURE;
	}
	return ami_stop_all(t, s, channel, why);
}

static rec_outcome ami_stop(const rec_settings *s, const char *channel, char why[WHY_MAX])
{
	rec_outcome outcome = RECORDER_UNSURE;
	net_text t;

	if (net_text_open(&t, s->at, s->timeout_ms) == 0)
		outcome = ami_talk(&t, s, channel, why);
	else
		(void)snprintf(why, WHY_MAX, "nobody listens at %s; is manager.conf enabled?", s->at);
	net_text_close(&t);
	return outcome;
}

/* ---- both ---- */

static rec_outcome stop(const rec_settings *s, const rec_call *call, char why[WHY_MAX])
{
	return is_ari(s) ? ari_stop(s, rec_value(call, "name"), why)
	                 : ami_stop(s, rec_value(call, "channel"), why);
}

static void files(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	char path[PATH_ROOM], why[WHY_MAX];

	if (is_ari(s)) {
		(void)snprintf(path, sizeof path, "ari:%s", rec_value(call, "name"));
		if (ari_verify(s, path, why) == RECORDING_THERE)
			found(path, arg);
		return;
	}
	if ((size_t)snprintf(path, sizeof path, "%s/%s", s->dir, rec_value(call, "file")) < sizeof path &&
	    access(path, F_OK) == 0)
		found(path, arg);
}

static const char *check(const rec_settings *s)
{
	if (s->at == NULL || s->user == NULL || s->password == NULL)
		return "--at (URL of ARI, or HOST:PORT of AMI), --user and --password-file";
	return !is_ari(s) && s->dir == NULL ? "--dir, where MixMonitor writes, usually /var/spool/asterisk/monitor"
	                                    : NULL;
}

/* No line break gets in: `start` is one line, and a blank ends a value. */
static const char *check_call(const rec_settings *s, const rec_call *call)
{
	const char *name = rec_value(call, "name"), *file = rec_value(call, "file");

	if (is_ari(s))
		return name == NULL || !is_plain(name) ? "name=NAME, letters, digits, -._~" : NULL;
	if (rec_value(call, "channel") == NULL || file == NULL)
		return "channel=CHANNEL and file=NAME";
	return strstr(file, "..") != NULL || file[0] == '/' || file[0] == '\0' ? "file=NAME below --dir" : NULL;
}

const rec_adapter rec_asterisk = {
	.name = "asterisk",
	.usage =
		"  asterisk     --at URL --user U --password-file F              start CALL-ID name=NAME (ARI)\n"
		"               --at HOST:PORT --user U --password-file F --dir DIR\n"
		"                                          start CALL-ID channel=CHANNEL file=NAME (MixMonitor)\n",
	.check = check,
	.check_call = check_call,
	.stop = stop,
	.files = files,
	.remove = ari_remove,
	.verify = ari_verify};
