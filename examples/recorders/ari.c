/* SPDX-License-Identifier: MIT */
/*
 * Live recordings of ARI. What was seen of Asterisk 22.10, and read in 18 and 20:
 *
 *   GET live NAME      200 with "state", or 404 {"message":"Recording not found"}: the only proof that it ended
 *   DELETE live NAME   204 while it is recorded: stopped and discarded, and GET is 404 some milliseconds later;
 *                      204 too while it is queued behind a playback, and it records all the same when that ends;
 *                      500, then 409, in the beep, and it records until the channel hangs up
 *   GET stored NAME    200 as soon as there is a file, also during the recording
 *
 * So DELETE is sent only to what is being recorded into a file that is there, and GET live is asked until it is
 * 404.
 */
#include "asterisk.h"

#include "files.h"
#include "net.h"

#include <stdio.h>
#include <string.h>

/* Not a status: a 404 that says nothing of a recording. */
enum { NO_ARI = -404, POLL_MS = 20, LEAST_MS = 100 };

static const char prefix[] = "ari:";

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The name that `given` means, which may be percent-encoded; 0 if it is none. */
static int decode(const char *given, char out[VALUE_MAX])
{
	size_t n = 0;

	for (; *given != '\0' && n < VALUE_MAX - 1; given++) {
		unsigned char c = (unsigned char)*given;

		if (c == '%') {
			if (digit(given[1]) < 0 || digit(given[2]) < 0)
				return 0;
			c = (unsigned char)(digit(given[1]) * 16 + digit(given[2]));
			given += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return 0;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return *given == '\0' && out[0] != '/' && folder_name("", out) != NULL;
}

int ari_location(const char *given, char out[PATH_ROOM])
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char name[VALUE_MAX];
	size_t n = sizeof prefix - 1, i;

	if (!decode(given, name))
		return 0;
	(void)snprintf(out, PATH_ROOM, "%s", prefix);
	for (i = 0; name[i] != '\0'; i++) {
		if (n + 4 > PATH_ROOM)
			return 0;
		if (strchr(plain, name[i]) != NULL)
			n += (size_t)snprintf(out + n, PATH_ROOM - n, "%c", name[i]);
		else
			n += (size_t)snprintf(out + n, PATH_ROOM - n, "%%%02X", (unsigned char)name[i]);
	}
	return 1;
}

/* The status; 404 only if ARI itself says that there is no such recording: a wrong path below it is 404, too. */
static long ask(const rec_settings *s, const char *method, const char *kind, const char *location,
                const char *tail, int64_t until_ms, json_t **answer)
{
	int64_t left = until_ms - net_now_ms();
	char url[PATH_ROOM + 512];
	json_t *body = NULL;
	const char *message;
	size_t n = strlen(s->at);
	long status;

	n -= n > 0 && s->at[n - 1] == '/';
	if ((size_t)snprintf(url, sizeof url, "%.*s/recordings/%s/%s%s", (int)n, s->at, kind,
	                     location + sizeof prefix - 1, tail) >= sizeof url)
		return 0;
	status = net_http(method, url, s->user, s->password, NULL, (uint32_t)(left > LEAST_MS ? left : LEAST_MS),
	                  &body);
	message = json_string_value(json_object_get(body, "message"));
	if (status == 404 && (message == NULL || strcmp(message, "Recording not found") != 0))
		status = NO_ARI;
	if (answer != NULL)
		*answer = body;
	else
		json_decref(body);
	return status;
}

static int64_t from_now(const rec_settings *s)
{
	return net_now_ms() + s->timeout_ms;
}

static void explain(const rec_settings *s, long status, char why[WHY_MAX])
{
	(void)snprintf(why, WHY_MAX,
	               status == 0        ? "ARI at %.120s does not answer (%ld); is http.conf enabled?"
	               : status == NO_ARI ? "%.120s is not the URL of ARI (%ld); does it end with /ari?"
	               : status == 401    ? "ARI at %.120s refuses user and password (%ld)"
	               : status == 403 ? "ARI at %.120s lets this user only read (%ld); read_only=no in ari.conf"
	               : status == 409
	                       ? "ARI at %.120s cannot stop it (%ld): it was asked in the beep, and it records on"
	                       : "ARI at %.120s answers with %ld",
	               s->at, status);
}

/* It is not going on. Did it ever? */
static rec_outcome ended(const rec_settings *s, const char *location, const rec_stop *how, int seen,
                         int64_t until_ms, char why[WHY_MAX])
{
	long stored = ask(s, "GET", "stored", location, "", until_ms, NULL);

	if (stored == 200)
		how->found(location, how->arg);
	if (stored == 200 || (stored == 404 && seen))
		return RECORDER_STOPPED;
	if (stored == 404) {
		(void)snprintf(why, WHY_MAX, "ARI knows no recording %.150s, neither live nor stored",
		               location + sizeof prefix - 1);
		return RECORDER_KNOWS_NOTHING;
	}
	explain(s, stored, why);
	return RECORDER_UNSURE;
}

static int may_be_stopped(const rec_settings *s, const char *state, const char *location, int64_t until_ms)
{
	return (strcmp(state, "recording") == 0 || strcmp(state, "paused") == 0) &&
	       ask(s, "GET", "stored", location, "", until_ms, NULL) == 200;
}

rec_outcome ari_stop(const rec_settings *s, const rec_call *call, const rec_stop *how, char why[WHY_MAX])
{
	int64_t until_ms = from_now(s);
	char location[PATH_ROOM], state[32] = "";
	long status, told = 0;
	int seen = how->seen;

	if (!ari_location(rec_value(call, "name"), location))
		return RECORDER_UNSURE;
	if (how->own && !how->mine(location, how->arg)) {
		(void)snprintf(why, WHY_MAX, "another call uses the name by now");
		return RECORDER_KNOWS_NOTHING;
	}
	for (;;) {
		json_t *live = NULL;
		const char *text;

		status = ask(s, "GET", "live", location, "", until_ms, &live);
		text = json_string_value(json_object_get(live, "state"));
		(void)snprintf(state, sizeof state, "%.31s", text != NULL ? text : "in no state that is known");
		json_decref(live);
		if (status == 200 && told == 0 && may_be_stopped(s, state, location, until_ms)) {
			told = how->keep ? ask(s, "POST", "live", location, "/stop", until_ms, NULL)
			                 : ask(s, "DELETE", "live", location, "", until_ms, NULL);
			if (!how->keep && (told == 204 || told == 200))
				how->discards(location, how->arg);
		}
		if (status == 404)
			return ended(s, location, how, seen, until_ms, why);
		if (status == 200 && !seen)
			how->found(location, how->arg);
		seen = seen || status == 200;
		if (status != 200 || (told != 0 && told != 200 && told != 204 && told != 404)) {
			explain(s, status != 200 ? status : told, why);
			return RECORDER_UNSURE;
		}
		if (net_now_ms() >= until_ms)
			break;
		net_pause_ms(POLL_MS);
	}
	(void)snprintf(why, WHY_MAX, "ARI says that the recording is %s%s", state,
	               told == 0 ? ": it can be stopped once it records into a file"
	                         : ", though it took the stop");
	return RECORDER_UNSURE;
}

int ari_names(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	char location[PATH_ROOM];
	int64_t until_ms = from_now(s);
	long status;

	if (!ari_location(rec_value(call, "name"), location))
		return 0;
	status = ask(s, "GET", "live", location, "", until_ms, NULL);
	if (status == 404)
		status = ask(s, "GET", "stored", location, "", until_ms, NULL);
	if (status == 200)
		found(location, arg);
	return status == 200 || status == 404 ? 0 : -1;
}

rec_presence ari_verify(const rec_settings *s, const char *location, char why[WHY_MAX])
{
	long status = ask(s, "GET", "stored", location, "", from_now(s), NULL);

	if (status == 404)
		return RECORDING_GONE;
	if (status == 200)
		return RECORDING_THERE;
	explain(s, status, why);
	return RECORDING_UNKNOWN;
}

/* The answer to an erasure is not taken for one: it is looked for afterwards. */
rec_presence ari_remove(const rec_settings *s, const char *location, char why[WHY_MAX])
{
	(void)ask(s, "DELETE", "stored", location, "", from_now(s), NULL);
	return ari_verify(s, location, why);
}
