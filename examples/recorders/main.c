/* SPDX-License-Identifier: MIT */
/*
 * Opt-out for an installation that records already: this program stands beside its recorder. It is told of each
 * call that is being recorded, stops the recorder when a caller objects, and erases what it wrote. README.md says
 * how.
 */
#include "files.h"
#include "gateway.h"

#include <curl/curl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const rec_adapter *const adapters[] = {&rec_rtpengine, &rec_janus, &rec_asterisk, &rec_freeswitch};

static volatile sig_atomic_t ends;

static void end(int sig)
{
	(void)sig;
	ends = 1;
}

static void usage(FILE *out)
{
	size_t i;

	(void)fputs("usage: recorders RECORDER --at WHERE --state DIR --output DIR --door SOCKET [option]...\n\n"
	            "RECORDER, what it needs, and what is said of a call:\n",
	            out);
	for (i = 0; i < sizeof adapters / sizeof adapters[0]; i++)
		(void)fputs(adapters[i]->usage, out);
	(void)fputs("\n"
	            "  --state DIR         ledger of the library\n"
	            "  --output DIR        call records\n"
	            "  --door SOCKET       Unix socket for: start CALL-ID ..., opt-out CALL-ID, end CALL-ID; a "
	            "line each,\n"
	            "                      answered by a line of JSON\n"
	            "  --control SOCKET    the library's own socket, for agents (recoptout/control.h)\n"
	            "  --language TAG      of the sentence in the answer to opt-out (en)\n"
	            "  --window-ms N       an objection counts so long after the end of a call (10000)\n"
	            "  --watch-s N         late files are looked for so long after the end of a call (120)\n"
	            "  --timeout-ms N      the recorder has to answer within (2000)\n"
	            "  --help              this text\n",
	            out);
}

/* ---- options ---- */

static const struct option known[] = {{"at", 1, NULL, 'a'},       {"dir", 1, NULL, 'd'},
                                      {"user", 1, NULL, 'u'},     {"password-file", 1, NULL, 'p'},
                                      {"state", 1, NULL, 's'},    {"output", 1, NULL, 'o'},
                                      {"door", 1, NULL, 'D'},     {"control", 1, NULL, 'c'},
                                      {"language", 1, NULL, 'l'}, {"window-ms", 1, NULL, 'w'},
                                      {"watch-s", 1, NULL, 'W'},  {"timeout-ms", 1, NULL, 't'},
                                      {"help", 0, NULL, 'h'},     {NULL, 0, NULL, 0}};

/* The first line of a file that only its owner reads. */
static const char *password(const char *path)
{
	static char text[256];
	FILE *f = fopen(path, "r");
	struct stat st;

	if (f == NULL || fstat(fileno(f), &st) != 0 || (st.st_mode & 077) != 0 ||
	    fgets(text, sizeof text, f) == NULL) {
		(void)fprintf(stderr, "recorders: %s: cannot be read, or others can (chmod 600)\n", path);
		exit(2);
	}
	(void)fclose(f);
	text[strcspn(text, "\r\n")] = '\0';
	return text;
}

static uint32_t number(const char *text)
{
	char *rest;
	unsigned long n = strtoul(text, &rest, 10);

	if (text[0] < '0' || text[0] > '9' || *rest != '\0' || n > 86400000) {
		(void)fprintf(stderr, "recorders: %s is no number\n", text);
		exit(2);
	}
	return (uint32_t)n;
}

static void take(gateway_options *o, const char **door, int which, const char *value)
{
	switch (which) {
	case 'a':
		o->settings.at = value;
		break;
	case 'd':
		o->settings.dir = value;
		break;
	case 'u':
		o->settings.user = value;
		break;
	case 'p':
		o->settings.password = password(value);
		break;
	case 's':
		o->state = value;
		break;
	case 'o':
		o->output = value;
		break;
	case 'D':
		*door = value;
		break;
	case 'c':
		o->control = value;
		break;
	case 'l':
		o->language = value;
		break;
	case 'w':
		o->late_opt_out_ms = number(value);
		break;
	case 'W':
		o->watch_s = number(value);
		break;
	case 't':
		o->settings.timeout_ms = number(value);
		break;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(2);
	}
}

static const char *read_options(gateway_options *o, int argc, char **argv)
{
	const char *door = NULL, *missing = NULL;
	size_t i;
	int which;

	*o = (gateway_options){.settings = {.timeout_ms = 2000}, .watch_s = 120, .language = "en"};
	while ((which = getopt_long(argc, argv, "", known, NULL)) != -1)
		take(o, &door, which, optarg);
	for (i = 0; i < sizeof adapters / sizeof adapters[0] && optind + 1 == argc; i++)
		if (strcmp(argv[optind], adapters[i]->name) == 0)
			o->adapter = adapters[i];
	if (o->adapter == NULL || o->state == NULL || o->output == NULL || door == NULL) {
		usage(stderr);
		exit(2);
	}
	missing = o->adapter->check(&o->settings);
	if (missing != NULL) {
		(void)fprintf(stderr, "recorders: %s needs %s\n", o->adapter->name, missing);
		exit(2);
	}
	return door;
}

/* Said now, not when a caller objects. */
static int check_folder(gateway_options *o)
{
	static char real[PATH_ROOM];
	const char *wrong = folder_check(o->settings.dir, real), *doubt;

	if (wrong != NULL) {
		(void)fprintf(stderr, "recorders: %s\n", wrong);
		return -1;
	}
	o->settings.dir_given = o->settings.dir;
	o->settings.dir = real;
	doubt = folder_doubts(real);
	if (doubt != NULL)
		(void)fprintf(stderr, "recorders: --dir %s: %s\n", real, doubt);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = end}, ignore = {.sa_handler = SIG_IGN};
	gateway_options o;
	const char *path = read_options(&o, argc, argv);
	gateway *g;
	int door;

	if ((o.settings.dir != NULL && check_folder(&o) != 0) || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return 2;
	(void)sigaction(SIGIO, &ignore, NULL); /* somebody opens a file while we hold its lease */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	g = gateway_open(&o);
	if (g == NULL)
		return 1;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	door = door_open(path);
	if (door >= 0) {
		(void)printf("recorders: %s, door %s\n", o.adapter->name, path);
		(void)fflush(stdout);
		door_serve(g, door, &ends);
		(void)close(door);
		(void)unlink(path);
	}
	gateway_close(g);
	curl_global_cleanup();
	return door >= 0 ? 0 : 1;
}
