/* SPDX-License-Identifier: MIT */
/*
 * MixMonitor, through the manager interface. What was seen of Asterisk 22.10, and read in 18 and 20:
 *
 *   StopMixMonitor   "Success": one of the channel's stopped, with MixMonitorID that one; Error "Could not stop
 *                    monitoring channel": it has none; "No such channel". The last two confirm nothing: on a
 *                    pick-up or a masquerade a MixMonitor goes to another channel, which has another name. The
 * file tells (files.h). GetVar           MIXMONITOR_FILENAME: the name as it is written (x.wav49 is x.WAV), of the
 * last one started Command          "mixmonitor list CHANNEL": id, file, receive and transmit file of each,
 * without their endings; the channel is matched by the beginning of its name, so one that is gone would show
 * another's
 *
 * The name of a channel comes again (DAHDI/3-1), so that what is recorded there may be another call's: then a
 * MixMonitor is stopped by its id, or if the variable and the files say that it is the call's.
 */
#include "asterisk.h"

#include "files.h"
#include "named.h"
#include "net.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MONITORS_MAX = 16, CHANNELS_MAX = 512, CHANNEL_ROOM = 128, SILENT = -1, LOST = -2 };

typedef void line_fn(const char *line, void *arg);

/* ---- the protocol ---- */

typedef struct ami {
	net_text t;
	int number;
	char response[32], message[WHY_MAX];
} ami;

/* Until the response to our action: events may come between, also such that our action brought about. Its words go
 * to `response` and `message`, all its lines to `each`. */
static int answer(ami *a, line_fn *each, void *arg)
{
	char action[32];
	const char *line;
	int ours = 0;

	(void)snprintf(action, sizeof action, "ActionID: r%d", a->number);
	a->response[0] = a->message[0] = '\0';
	while ((line = net_text_line(&a->t)) != NULL) {
		if (line[0] == '\0' && ours && a->response[0] != '\0')
			return 0;
		if (line[0] == '\0')
			ours = a->response[0] = a->message[0] = '\0';
		else if (strncmp(line, "Response: ", 10) == 0)
			(void)snprintf(a->response, sizeof a->response, "%.31s", line + 10);
		else if (strncmp(line, "Message: ", 9) == 0)
			(void)snprintf(a->message, sizeof a->message, "%.200s", line + 9);
		else if (strcmp(line, action) == 0)
			ours = 1;
		else if (ours && each != NULL)
			each(line, arg);
	}
	return a->t.closed ? LOST : SILENT;
}

static int ask(ami *a, line_fn *each, void *arg, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static int ask(ami *a, line_fn *each, void *arg, const char *fmt, ...)
{
	char rest[1536];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(rest, sizeof rest, fmt, ap);
	va_end(ap);
	a->number++;
	if (n < 0 || (size_t)n >= sizeof rest ||
	    net_text_say(&a->t, "%.*s\r\nActionID: r%d\r\n%s\r\n\r\n", (int)strcspn(rest, "\r"), rest, a->number,
	                 rest + strcspn(rest, "\r") + 2) != 0)
		return LOST;
	return answer(a, each, arg);
}

static int is(const ami *a, const char *response, const char *message)
{
	return strcmp(a->response, response) == 0 && strcmp(a->message, message) == 0;
}

/* 0, or why not. The connection is to be closed in any case. `until_ms`: of all that is asked on it. */
static int log_in(ami *a, const rec_settings *s, int64_t until_ms, char why[WHY_MAX])
{
	int64_t left = until_ms - net_now_ms();
	const char *line;
	int rc;

	a->number = 0;
	a->t.fd = -1;
	if (left <= 0 || net_text_open(&a->t, s->at, (uint32_t)left) != 0) {
		(void)snprintf(why, WHY_MAX, "nobody listens at %.150s; is manager.conf enabled?", s->at);
		return SILENT;
	}
	line = net_text_line(&a->t);
	if (line == NULL || strncmp(line, "Asterisk Call Manager/", 22) != 0) {
		(void)snprintf(why, WHY_MAX, "AMI at %.150s does not %s", s->at,
		               line == NULL ? "answer" : "greet as Asterisk does");
		return SILENT;
	}
	rc = ask(a, NULL, NULL, "Action: Login\r\nUsername: %s\r\nSecret: %s\r\nEvents: off", s->user,
	         s->password);
	if (rc != 0)
		(void)snprintf(why, WHY_MAX, "AMI at %.150s does not answer", s->at);
	else if (strcmp(a->response, "Success") != 0)
		(void)snprintf(why, WHY_MAX, "AMI at %.80s refuses the login: %.120s", s->at, a->message);
	return rc == 0 && strcmp(a->response, "Success") != 0 ? SILENT : rc;
}

/* ---- which files ---- */

typedef struct search {
	const rec_settings *s;
	const rec_call *call;
	rec_file_fn *found;
	void *arg;
	int elsewhere; /* Asterisk knows --dir by another path: it was seen to write a file of the call there */
} search;

/* Asterisk, in a container, may know --dir by another path. Only a file that `start` named is looked for by the
 * end of its path, for others of that name may be other calls'. */
static int is_named(search *look, const char *path, char mine[PATH_ROOM])
{
	while ((path = strchr(path, '/')) != NULL) {
		path++;
		if ((size_t)snprintf(mine, PATH_ROOM, "%s/%s", look->s->dir, path) < PATH_ROOM &&
		    rec_asterisk.owns(look->s, look->call, mine) && access(mine, F_OK) == 0)
			return look->elsewhere = 1;
	}
	return 0;
}

static void found_exactly(search *look, const char *path)
{
	const char *name = named_below(look->s, path);
	char mine[PATH_ROOM];

	if (name == NULL && is_named(look, path, mine))
		look->found(mine, look->arg);
	else if (name == NULL)
		look->found(path, look->arg); /* outside: that is to be said */
	else if ((size_t)snprintf(mine, sizeof mine, "%s/%s", look->s->dir, name) < sizeof mine)
		look->found(mine, look->arg);
}

/* What Asterisk's formats write, by the ending of its file. */
static int is_audio(const char *ending)
{
	static const char *const known[] = {
		"wav",     "WAV",    "wav16",   "wav49",   "raw",     "sln",     "sln12", "sln16", "sln24",
		"sln32",   "sln44",  "sln48",   "sln96",   "sln192",  "slin",    "gsm",   "ulaw",  "ul",
		"ulw",     "mu",     "pcm",     "alaw",    "al",      "alw",     "au",    "g719",  "g722",
		"g723",    "g723sf", "g726-16", "g726-24", "g726-32", "g726-40", "g729",  "ilbc",  "siren7",
		"siren14", "vox",    "ogg",     "opus",    "spx",     "mp3"};
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(ending, known[i]) == 0)
			return 1;
	return 0;
}

/* The list has what is being recorded: a neighbour of that name that nobody writes is something else. */
static int may_be_recorded(const search *look, const char *path)
{
	file_id id;
	char ignored[WHY_MAX];

	return file_look(look->s->dir, path, &id, ignored) == FILE_THERE &&
	       file_is_written(look->s->dir, path, &id) != FILE_FREE;
}

/* Does `start` name a file so, but for its ending? */
static int is_named_leaf(const rec_call *call, const char *leaf)
{
	size_t v, n = strlen(leaf);

	for (v = 0; v < call->n; v++) {
		const char *value = call->given[v].value, *slash = strrchr(value, '/');

		value = slash != NULL ? slash + 1 : value;
		if (strcmp(call->given[v].key, "file") == 0 && strncmp(value, leaf, n) == 0 &&
		    (value[n] == '.' || value[n] == '\0'))
			return 1;
	}
	return 0;
}

/* A path without its ending: what is recorded under it. */
static void found_any_ending(search *look, const char *path)
{
	const char *slash = strrchr(path, '/'), *leaf = slash != NULL ? slash + 1 : path;
	const char *name = named_below(look->s, path);
	size_t n = strlen(leaf);
	char folder[PATH_ROOM], each[2 * PATH_ROOM];
	struct dirent *entry;
	DIR *d = NULL;

	if (path[0] == '/' && name != NULL)
		(void)snprintf(folder, sizeof folder, "%s/%.*s", look->s->dir, (int)(leaf - name), name);
	else if (look->elsewhere)
		(void)snprintf(folder, sizeof folder, "%s", look->s->dir);
	else if (path[0] == '/' && !is_named_leaf(look->call, leaf)) {
		(void)snprintf(each, PATH_ROOM, UNNAMED "%.900s", path);
		look->found(each, look->arg);
		return;
	} else
		return;
	if (folder[strlen(folder) - 1] == '/')
		folder[strlen(folder) - 1] = '\0';
	if (n > 0)
		d = opendir(folder);
	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, leaf, n) == 0 && entry->d_name[n] == '.' &&
		    is_audio(entry->d_name + n + 1) &&
		    (size_t)snprintf(each, sizeof each, "%s/%s", folder, entry->d_name) < PATH_ROOM &&
		    may_be_recorded(look, each))
			look->found(each, look->arg);
	if (d != NULL)
		(void)closedir(d);
}

/* "Value: /var/spool/asterisk/monitor/x.WAV" */
static void variable(const char *line, void *arg)
{
	if (strncmp(line, "Value: /", 8) == 0)
		found_exactly(arg, line + 7);
}

/* "Output: 0x7f3e98012340\tFILE\tRECEIVE\tTRANSMIT" of `mixmonitor list`; before Asterisk 14 without "Output: ".
 */
static void listed(const char *line, void *arg)
{
	const char *tab = strchr(line, '\t');

	if (strncmp(line, "Output: ", 8) == 0)
		line += 8;
	while (strncmp(line, "0x", 2) == 0 && tab != NULL) {
		const char *next = strchr(tab + 1, '\t');
		size_t n = next != NULL ? (size_t)(next - tab - 1) : strlen(tab + 1);
		char path[PATH_ROOM];

		if (n > 0 && n < sizeof path) {
			(void)snprintf(path, sizeof path, "%.*s", (int)n, tab + 1);
			found_any_ending(arg, path);
		}
		tab = next;
	}
}

static int get_variable(ami *a, const char *channel, search *look)
{
	return ask(a, variable, look, "Action: GetVar\r\nChannel: %s\r\nVariable: MIXMONITOR_FILENAME", channel);
}

/* 0, SILENT, or LOST: a server that ends the connection because it does not know the action is no silent one.
 * `*shown`: the list was. */
static int learn(ami *a, const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg, int *shown)
{
	search look = {s, call, found, arg, 0};
	const char *channel = rec_value(call, "channel");
	int rc = get_variable(a, channel, &look);

	*shown = 0;
	if (rc != 0 || is(a, "Error", "No such channel"))
		return rc;
	rc = ask(a, listed, &look, "Action: Command\r\nCommand: mixmonitor list %s", channel);
	*shown = rc == 0 && strcmp(a->response, "Error") != 0;
	return rc;
}

int ami_names(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	char why[WHY_MAX];
	ami a;
	int rc = log_in(&a, s, net_now_ms() + s->timeout_ms, why), shown;

	if (rc == 0)
		rc = learn(&a, s, call, found, arg, &shown);
	net_text_close(&a.t);
	return rc == 0 ? 0 : -1;
}

/* ---- the MixMonitors that write the call's files ---- */

typedef struct hunt {
	const rec_settings *s;
	const rec_call *call;
	const rec_stop *how;
	int is_it;     /* what was looked at last is the call's */
	int elsewhere; /* as in `search` */
	size_t n;
	char ids[MONITORS_MAX][32];
} hunt;

static void is_it(const char *path, void *arg)
{
	hunt *h = arg;

	h->is_it = h->is_it || h->how->mine(path, h->how->arg);
}

static void compare(const char *line, void *arg)
{
	hunt *h = arg;
	search look = {h->s, h->call, is_it, h, h->elsewhere};

	h->is_it = 0;
	listed(line, &look);
	if (strncmp(line, "Output: ", 8) == 0)
		line += 8;
	if (h->is_it && h->n < MONITORS_MAX)
		(void)snprintf(h->ids[h->n++], sizeof h->ids[0], "%.*s", (int)strcspn(line, "\t"), line);
}

/* How many of the channel's that write a file of the call were stopped; less than 0 without an answer. `*may`: is
 * this user shown the list? */
static int stop_listed(ami *a, hunt *h, const char *channel, int *may)
{
	int n = 0, rc;
	size_t i;

	h->n = 0;
	rc = ask(a, compare, h, "Action: Command\r\nCommand: mixmonitor list %s", channel);
	*may = rc == 0 && strcmp(a->response, "Error") != 0;
	for (i = 0; i < h->n && rc == 0; i++) {
		rc = ask(a, NULL, NULL, "Action: StopMixMonitor\r\nChannel: %s\r\nMixMonitorID: %s", channel,
		         h->ids[i]);
		n += rc == 0 && strcmp(a->response, "Success") == 0;
	}
	return rc == 0 ? n : rc;
}

static size_t list_channels(ami *a, char (*channels)[CHANNEL_ROOM])
{
	const char *line;
	size_t n = 0;

	if (ask(a, NULL, NULL, "Action: CoreShowChannels\r\nX: y") != 0 || strcmp(a->response, "Success") != 0)
		return 0;
	while ((line = net_text_line(&a->t)) != NULL && strcmp(line, "Event: CoreShowChannelsComplete") != 0)
		if (strncmp(line, "Channel: ", 9) == 0 && strlen(line + 9) < CHANNEL_ROOM && n < CHANNELS_MAX)
			(void)snprintf(channels[n++], CHANNEL_ROOM, "%s", line + 9);
	while (line != NULL && line[0] != '\0')
		line = net_text_line(&a->t);
	return line != NULL ? n : 0;
}

/* Stops what writes a file of the call, on whatever channel it is now. That it did is for the files to tell. */
static void stop_elsewhere(ami *a, const rec_settings *s, const rec_call *call, const rec_stop *how)
{
	hunt h = {.s = s, .call = call, .how = how};
	char(*channels)[CHANNEL_ROOM] = calloc(CHANNELS_MAX, CHANNEL_ROOM);
	size_t n = channels != NULL ? list_channels(a, channels) : 0, i;
	int may = 1;

	for (i = 0; i < n && may; i++)
		if (stop_listed(a, &h, channels[i], &may) < 0)
			break;
	free(channels);
}

/* ---- stopping ---- */

/* Who is not shown the list stops what `start` named, and perhaps more: MixMonitors are not known by what they
 * write then. */
static void count(const rec_call *call, const rec_stop *how, int shown, int stopped)
{
	size_t v;

	for (v = 0; v < call->n; v++)
		stopped -= strcmp(call->given[v].key, "file") == 0;
	if (!shown && stopped > 0)
		how->found(UNNAMED "another MixMonitor of the channel, which may not be listed", how->arg);
}

/* Each request stops one MixMonitor of the channel, until none is left. `*stopped`: so many were. */
static rec_outcome stop_all(ami *a, const rec_settings *s, const char *channel, int *stopped, char why[WHY_MAX])
{
	int n;

	for (n = 0; n < MONITORS_MAX; n++) {
		if (ask(a, NULL, NULL, "Action: StopMixMonitor\r\nChannel: %s", channel) != 0) {
			(void)snprintf(why, WHY_MAX, "AMI at %.150s does not answer the stop", s->at);
			return RECORDER_UNSURE;
		}
		if (strcmp(a->response, "Success") == 0) {
			*stopped = n + 1;
			continue;
		}
		(void)snprintf(why, WHY_MAX, "AMI does not stop %.80s: %.120s", channel, a->message);
		if (is(a, "Error", "Could not stop monitoring channel"))
			return n > 0 ? RECORDER_STOPPED : RECORDER_KNOWS_NOTHING;
		return is(a, "Error", "No such channel") ? RECORDER_KNOWS_NOTHING : RECORDER_UNSURE;
	}
	(void)snprintf(why, WHY_MAX, "AMI stopped %d MixMonitors of %.80s, and there are more", n, channel);
	return RECORDER_UNSURE;
}

/* What is recorded on the channel may be another call's. */
typedef struct own {
	int gone;    /* there is no such channel */
	int mine;    /* the variable names a file of the call; -1: this user is not told */
	int listed;  /* the list was shown; if the channel may be another's, what it has of the call's was stopped
	              */
	int stopped; /* so many */
} own;

static int find_own(ami *a, hunt *h, const char *channel, own *o)
{
	search look = {h->s, h->call, is_it, h, 0};
	int rc;

	h->is_it = 0;
	rc = get_variable(a, channel, &look);
	o->gone = rc == 0 && is(a, "Error", "No such channel");
	o->mine = rc == 0 && strcmp(a->response, "Success") == 0 ? h->is_it : -1;
	if (rc != 0 || o->gone)
		return rc;
	h->elsewhere = look.elsewhere;
	rc = stop_listed(a, h, channel, &o->listed);
	o->stopped = rc > 0 ? rc : 0;
	return rc < 0 ? rc : 0;
}

/* Without the list: the last MixMonitor of the channel is the call's if the variable names a file of the call that
 * is being written, and if there is no variable to be had, if one is. */
static rec_outcome stop_last(ami *a, const rec_settings *s, const char *channel, char why[WHY_MAX])
{
	if (ask(a, NULL, NULL, "Action: StopMixMonitor\r\nChannel: %s", channel) != 0) {
		(void)snprintf(why, WHY_MAX, "AMI at %.150s does not answer the stop", s->at);
		return RECORDER_UNSURE;
	}
	if (strcmp(a->response, "Success") == 0)
		return RECORDER_STOPPED;
	(void)snprintf(why, WHY_MAX, "AMI does not stop %.80s: %.120s", channel, a->message);
	return is(a, "Error", "Could not stop monitoring channel") || is(a, "Error", "No such channel")
	               ? RECORDER_KNOWS_NOTHING
	               : RECORDER_UNSURE;
}

static rec_outcome judge_own(ami *a, const rec_settings *s, const rec_call *call, const rec_stop *how,
                             const own *o, char why[WHY_MAX])
{
	const char *channel = rec_value(call, "channel");

	if (o->stopped > 0)
		return RECORDER_STOPPED;
	(void)snprintf(why, WHY_MAX, "no MixMonitor of %.80s is known to write a file of the call", channel);
	if (o->gone || o->listed || o->mine == 0 || how->written(how->arg) != 1)
		return RECORDER_KNOWS_NOTHING;
	return stop_last(a, s, channel, why);
}

/* First what it writes: it is not known afterwards. Some users may stop and not list (write=command), and some
 * servers end the connection or say nothing at what they do not know: half of the time is left for the stop. */
static int ask_first(ami *a, hunt *h, int64_t until_ms, own *o, char why[WHY_MAX])
{
	const rec_settings *s = h->s;
	int rc = log_in(a, s, until_ms, why);

	if (rc != 0 || (h->how->keep && !h->how->own))
		return rc;
	a->t.until_ms = until_ms - (until_ms - net_now_ms()) / 2;
	rc = h->how->own ? find_own(a, h, rec_value(h->call, "channel"), o)
	                 : learn(a, s, h->call, h->how->found, h->how->arg, &o->listed);
	a->t.until_ms = until_ms;
	if (rc != LOST)
		return 0;
	net_text_close(&a->t);
	return log_in(a, s, until_ms, why);
}

rec_outcome ami_stop(const rec_settings *s, const rec_call *call, const rec_stop *how, char why[WHY_MAX])
{
	hunt h = {.s = s, .call = call, .how = how};
	own o = {.mine = -1};
	rec_outcome outcome = RECORDER_UNSURE;
	int stopped = 0;
	ami a;

	if (ask_first(&a, &h, net_now_ms() + s->timeout_ms, &o, why) == 0)
		outcome = how->own ? judge_own(&a, s, call, how, &o, why)
		                   : stop_all(&a, s, rec_value(call, "channel"), &stopped, why);
	count(call, how, o.listed, stopped);
	if (outcome == RECORDER_KNOWS_NOTHING && !how->keep)
		stop_elsewhere(&a, s, call, how);
	net_text_close(&a.t);
	return outcome;
}
