/* SPDX-License-Identifier: MIT */
#include "simulator.h"

#include <string.h>

static int bad(const char *path, const char *why)
{
	char text[1200];

	(void)snprintf(text, sizeof text, "%s: %s", path, why);
	clean(text);
	(void)fprintf(stderr, "simulator: %s\n", text);
	return 0;
}

/* 0 if it is no string, or does not fit. */
static int copy(char *to, size_t size, const json_t *from, const char *otherwise)
{
	const char *text = from == NULL ? otherwise : json_string_value(from);

	return text != NULL && snprintf(to, size, "%s", text) < (int)size;
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
	if (!json_is_number(json_object_get(from, "at")) || !(to->at_s >= 0 && to->at_s <= AT_MAX_S))
		return bad(path,
		           "each line of \"lines\" needs \"at\", in seconds from the beginning, at most 3600");
	if (json_is_string(done) && is_known(json_string_value(done))) {
		to->who = -1;
		return copy(to->text, sizeof to->text, done, "");
	}
	if (done != NULL)
		return bad(path, "\"do\" is opt_out, pause, resume or hang_up");
	if (who == NULL || (strcmp(who, "caller") != 0 && strcmp(who, "agent") != 0) || !json_is_string(says))
		return bad(path, "a line has \"who\" (caller, agent) and \"says\", or \"do\"");
	to->who = strcmp(who, "agent") == 0 ? AGENT : CALLER;
	return copy(to->text, sizeof to->text, says, "") ||
	       bad(path, "what is said in a line is at most 999 bytes long");
}

static int read_all(const char *path, const json_t *root, script *s)
{
	const json_t *lines = json_object_get(root, "lines"), *wav = json_object_get(root, "wav");
	size_t i;

	if (!json_is_object(root))
		return bad(path, "a script is an object of JSON");
	if (!copy(s->language, sizeof s->language, json_object_get(root, "language"), "en") ||
	    !copy(s->company, sizeof s->company, json_object_get(root, "company"), "") ||
	    !copy(s->call_id, sizeof s->call_id, json_object_get(root, "call_id"), "rehearsal") ||
	    s->call_id[0] == '\0')
		return bad(path,
		           "\"language\", \"company\" and \"call_id\" are strings of at most 35, 63 and 63 bytes");
	if (!copy(s->wav[CALLER], sizeof s->wav[0], json_object_get(wav, "caller"), "") ||
	    !copy(s->wav[AGENT], sizeof s->wav[0], json_object_get(wav, "agent"), "") ||
	    (wav != NULL && !json_is_object(wav)))
		return bad(
			path,
			"\"wav\" has the path of a file for \"caller\" and for \"agent\", at most 511 bytes each");
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
		char text[JSON_ERROR_TEXT_LENGTH + 40];

		(void)snprintf(text, sizeof text, "line %d: %s", why.line, why.text);
		return bad(path, text);
	}
	good = read_all(path, root, s);
	json_decref(root);
	return good;
}
