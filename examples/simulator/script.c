/* SPDX-License-Identifier: MIT */
#include "simulator.h"

#include <string.h>

static int bad(const char *path, const char *why)
{
	(void)fprintf(stderr, "simulator: %s: %s\n", path, why);
	return 0;
}

static void copy(char *to, size_t size, const json_t *from, const char *otherwise)
{
	(void)snprintf(to, size, "%s", json_is_string(from) ? json_string_value(from) : otherwise);
}

static int is_known(const char *what)
{
	static const char *const known[] = {"opt_out", "pause", "resume", "hang_up"};
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(what, known[i]) == 0)
			return 1;
	return 0;
}

static int read_step(const char *path, const json_t *from, step *to)
{
	const char *who = json_string_value(json_object_get(from, "who"));
	const json_t *says = json_object_get(from, "says"), *done = json_object_get(from, "do");

	to->at_s = json_number_value(json_object_get(from, "at"));
	if (!json_is_number(json_object_get(from, "at")) || to->at_s < 0)
		return bad(path, "each line of \"lines\" needs \"at\", in seconds from the beginning");
	if (json_is_string(done) && is_known(json_string_value(done))) {
		to->who = -1;
		copy(to->text, sizeof to->text, done, "");
		return 1;
	}
	if (done != NULL)
		return bad(path, "\"do\" is opt_out, pause, resume or hang_up");
	if (who == NULL || (strcmp(who, "caller") != 0 && strcmp(who, "agent") != 0) || !json_is_string(says))
		return bad(path, "a line has \"who\" (caller, agent) and \"says\", or \"do\"");
	to->who = strcmp(who, "agent") == 0 ? AGENT : CALLER;
	copy(to->text, sizeof to->text, says, "");
	return 1;
}

static int read_all(const char *path, const json_t *root, script *s)
{
	const json_t *lines = json_object_get(root, "lines"), *wav = json_object_get(root, "wav");
	size_t i;

	copy(s->language, sizeof s->language, json_object_get(root, "language"), "en");
	copy(s->company, sizeof s->company, json_object_get(root, "company"), "");
	copy(s->call_id, sizeof s->call_id, json_object_get(root, "call_id"), "rehearsal");
	copy(s->wav[CALLER], sizeof s->wav[0], json_object_get(wav, "caller"), "");
	copy(s->wav[AGENT], sizeof s->wav[0], json_object_get(wav, "agent"), "");
	if (!json_is_array(lines) || json_array_size(lines) == 0 || json_array_size(lines) > LINES_MAX)
		return bad(path, "\"lines\" is a list of 1 to 256 lines");
	for (i = 0; i < json_array_size(lines); i++) {
		if (!read_step(path, json_array_get(lines, i), &s->steps[i]))
			return 0;
		if (i > 0 && s->steps[i].at_s < s->steps[i - 1].at_s)
			return bad(path, "the lines are not in the order of their times");
	}
	s->count = i;
	return 1;
}

int script_read(const char *path, script *s)
{
	json_error_t why;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	int good;

	memset(s, 0, sizeof *s);
	if (root == NULL) {
		(void)fprintf(stderr, "simulator: %s, line %d: %s\n", path, why.line, why.text);
		return 0;
	}
	good = read_all(path, root, s);
	json_decref(root);
	return good;
}
