/* SPDX-License-Identifier: MIT */
/*
 * A program that listens to the caller, as speech recognition does: it is started for each call, with the Call-ID
 * in its environment (RECOPTOUT_CALL_ID), and is given the audio on its stdin (signed 16 bit, 8 kHz, one channel).
 * One that does not read fast enough loses audio; it never holds up the call. It is not the recorder: what it
 * keeps is its own affair. The Call-ID was chosen by the peer, so it is no word of the command: one that begins
 * with "-" would be an option.
 */
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { WORDS = 32 };

#define ID_VARIABLE "RECOPTOUT_CALL_ID="

/* The command's words, separated by blanks. Changes `line`. */
static int split(char *line, char *words[WORDS + 1])
{
	int n = 0;
	char *rest = NULL, *word = strtok_r(line, " ", &rest);

	for (; word != NULL && n < WORDS; word = strtok_r(NULL, " ", &rest))
		words[n++] = word;
	words[n] = NULL;
	return n > 0 ? 0 : EINVAL;
}

/* The server's own environment and `variable`; NULL short of memory. To be freed, the strings not. */
static char **environment_with(char *variable)
{
	size_t n = 0, kept = 0, i;
	char **all;

	while (environ[n] != NULL)
		n++;
	all = calloc(n + 2, sizeof *all);
	if (all == NULL)
		return NULL;
	for (i = 0; i < n; i++)
		if (strncmp(environ[i], ID_VARIABLE, strlen(ID_VARIABLE)) != 0)
			all[kept++] = environ[i];
	all[kept] = variable;
	return all;
}

static int spawn(int audio, char **words, char **environment)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int err = posix_spawn_file_actions_init(&actions);

	if (err != 0)
		return err;
	err = posix_spawn_file_actions_adddup2(&actions, audio, STDIN_FILENO);
	if (err == 0) /* libre's sockets would go on with it: other calls' audio, and the port after a restart */
		err = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	if (err == 0)
		err = posix_spawnp(&pid, words[0], &actions, NULL, words, environment);
	(void)posix_spawn_file_actions_destroy(&actions);
	return err;
}

static int start(const call *c, int audio, char *line)
{
	char *words[WORDS + 1], *variable = NULL, **environment = NULL;
	int err = split(line, words);

	if (err == 0)
		err = re_sdprintf(&variable, ID_VARIABLE "%s", c->id);
	if (err == 0) {
		environment = environment_with(variable);
		err = environment != NULL ? spawn(audio, words, environment) : ENOMEM;
	}
	free(environment);
	mem_deref(variable);
	return err;
}

void ear_open(call *c)
{
	const char *command = c->server->o.ear;
	int ends[2], err;
	char *line;

	c->ear = -1;
	if (command == NULL || c->session == NULL)
		return;
	line = strdup(command);
	if (line == NULL || pipe2(ends, O_CLOEXEC) != 0) {
		free(line);
		return;
	}
	err = start(c, ends[0], line);
	(void)close(ends[0]);
	free(line);
	if (err == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0) {
		c->ear = ends[1];
		return;
	}
	(void)close(ends[1]);
	say(c->server, "%s: nobody listens: %s", c->id, strerror(err));
}

void ear_hear(call *c, const uint8_t *data, size_t size, int law)
{
	int16_t linear[REORDER_PAYLOAD];
	size_t i;

	if (c->ear < 0)
		return;
	for (i = 0; i < size; i++)
		linear[i] = law == LAW_MU ? g711_ulaw2pcm(data[i]) : g711_alaw2pcm(data[i]);
	if (write(c->ear, linear, size * sizeof linear[0]) < 0 && errno == EPIPE)
		ear_close(c); /* it has heard enough */
}

void ear_close(call *c)
{
	if (c->ear >= 0)
		(void)close(c->ear);
	c->ear = -1;
}

/* Those that ended; nobody is waited for. */
void ear_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}
