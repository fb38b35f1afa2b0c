/* SPDX-License-Identifier: MIT */
/*
 * Asterisk. Two ways to record, two ways to stop:
 *
 *   start CALL-ID name=NAME                      a live recording of ARI; --at URL (http://127.0.0.1:8088/ari)
 *   start CALL-ID channel=CHANNEL file=NAME...   MixMonitor, stopped through AMI; --at HOST:PORT (127.0.0.1:5038)
 *
 * NAME is what ARI or MixMonitor is given. Asterisk is not in Debian 12: the exchanges in ari.c and ami.c were
 * taken from a 22.10, and the tests answer as it did. Sources: Asterisk's REST documentation (recordings), the
 * manager actions of app_mixmonitor.
 */
#include "asterisk.h"

#include "named.h"

#include <stdio.h>
#include <string.h>

static int is_ari(const rec_settings *s)
{
	return strncmp(s->at, "http", 4) == 0;
}

static rec_outcome stop(const rec_settings *s, const rec_call *call, const rec_stop *how, char why[WHY_MAX])
{
	return is_ari(s) ? ari_stop(s, call, how, why) : ami_stop(s, call, how, why);
}

static int names(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	return is_ari(s) ? ari_names(s, call, found, arg) : ami_names(s, call, found, arg);
}

/* As it was named, and as its format ends it: wav49 is written as WAV, and without an ending as raw. */
static int written(const char *name, int i, char out[PATH_ROOM])
{
	const char *dot = strrchr(name, '.'), *slash = strrchr(name, '/'), *ending = NULL;
	size_t n = strlen(name);

	if (dot == NULL || (slash != NULL && dot < slash)) {
		ending = ".raw";
	} else if (strcmp(dot, ".wav49") == 0) {
		ending = ".WAV";
		n = (size_t)(dot - name);
	}
	if (i == 0)
		return snprintf(out, PATH_ROOM, "%s", name) < PATH_ROOM;
	return i == 1 && ending != NULL && snprintf(out, PATH_ROOM, "%.*s%s", (int)n, name, ending) < PATH_ROOM;
}

static void files(const rec_settings *s, const rec_call *call, rec_file_fn *found, void *arg)
{
	if (!is_ari(s))
		named_files(s, call, written, found, arg);
}

static int owns(const rec_settings *s, const rec_call *call, const char *path)
{
	char location[PATH_ROOM];

	if (is_ari(s))
		return ari_location(rec_value(call, "name"), location) && strcmp(location, path) == 0;
	return named_owns(s, call, written, path);
}

static const char *check(const rec_settings *s)
{
	if (s->at == NULL || s->user == NULL || s->password == NULL)
		return "--at (URL of ARI, or HOST:PORT of AMI), --user and --password-file";
	return !is_ari(s) && s->dir == NULL ? "--dir, where MixMonitor writes, usually /var/spool/asterisk/monitor"
	                                    : NULL;
}

static const char *keys(const rec_settings *s)
{
	return is_ari(s) ? "name" : "channel file copy";
}

static const char *handle(const rec_settings *s, const rec_call *call)
{
	return rec_value(call, is_ari(s) ? "name" : "channel");
}

static const char *check_call(const rec_settings *s, const rec_call *call)
{
	const char *name = rec_value(call, "name");
	char location[PATH_ROOM];

	if (is_ari(s))
		return name == NULL || !ari_location(name, location) ? "name=NAME, % and blanks percent-encoded"
		                                                     : NULL;
	name = rec_value(call, "channel");
	return name == NULL || name[0] == '\0' || !named_well(s, call, written)
	               ? "channel=CHANNEL and file=NAME, below --dir, of at most 255 bytes with its ending"
	               : NULL;
}

const rec_adapter rec_asterisk = {
	.name = "asterisk",
	.usage =
		"  asterisk     --at URL --user U --password-file F              start CALL-ID name=NAME (ARI)\n"
		"               --at HOST:PORT --user U --password-file F --dir DIR\n"
		"                                          start CALL-ID channel=CHANNEL file=NAME (MixMonitor)\n",
	.named = 1,
	.check = check,
	.keys = keys,
	.handle = handle,
	.check_call = check_call,
	.stop = stop,
	.files = files,
	.owns = owns,
	.names = names,
	.remove = ari_remove,
	.verify = ari_verify};
