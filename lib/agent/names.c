/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <string.h>

/*
 * "recording_opt_out", also "recordingOptOut" or "RECORDING-OPT-OUT", is looked for. What stands before and behind
 * it decides whether it is our tool ("functions.recording_opt_out", "recording_opt_out<|channel|>commentary") or
 * another one ("get_recording_opt_out", "recording_opt_out_status").
 */

typedef struct span {
	const char *text;
	size_t size;
	int is_name; /* nothing but a name: may be written with blanks and dots */
} span;

/* Letters and digits of ASCII; not by the host's locale. */
static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static int is_alnum(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int is_in(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A character that is no letter of ASCII, no digit and no sign: NUL, a line break, a blank of no width. */
static int is_unseen(char c)
{
	return (unsigned char)c < 0x20 || (unsigned char)c >= 0x7f;
}

static int is_word_at(const char *text, size_t size, const char *word)
{
	size_t i;

	for (i = 0; word[i] != '\0'; i++)
		if (i >= size || lower(text[i]) != word[i])
			return 0;
	return 1;
}

/* These words before or behind our name make it the name of another tool. */
static int is_of_another(const char *word, size_t size)
{
	static const char *const words[] = {
		"get",     "set",     "is",    "has",     "can",    "check",    "list",    "show",
		"read",    "fetch",   "query", "find",    "undo",   "redo",     "revoke",  "reset",
		"cancel",  "revert",  "clear", "disable", "enable", "status",   "state",   "info",
		"help",    "no",      "not",   "un",      "about",  "describe", "explain", "verify",
		"confirm", "history", "count", "log",     "test",   "update",   "delete",  "remove"};
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i]) == size && is_word_at(word, size, words[i]))
			return 1;
	return 0;
}

/* ---- what stands before ---- */

static size_t word_before(const char *text, size_t end)
{
	size_t from = end;

	while (from > 0 && is_alnum(text[from - 1]))
		from--;
	return from;
}

static int ends_with_word(const char *text, size_t size, const char *word)
{
	size_t n = strlen(word);

	return size >= n && is_word_at(text + size - n, n, word) && (size == n || !is_alnum(text[size - n - 1]));
}

/* Platforms put these before every tool's name; "mcp_SERVER_" and "SERVER__" too. */
static int is_prefix(const char *run, size_t size, size_t lines)
{
	static const char *const prefixes[] = {"functions",   "function",    "tools",     "tool",
	                                       "default_api", "default-api", "tool_call", "mcp"};
	size_t i;

	if (size == 0 || lines > 1)
		return 1;
	if (size > 4 && is_word_at(run, size, "mcp") && !is_alnum(run[3]))
		return 1;
	for (i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (ends_with_word(run, size, prefixes[i]))
			return 1;
	return 0;
}

/* "mcp__test__": a server may have any name. */
static int is_server(const char *run, size_t size, size_t lines)
{
	return lines > 1 && size > 5 && is_word_at(run, size, "mcp__");
}

/* "functions recording_opt_out"; "transfer recording_opt_out" is another tool. */
static int is_introduction(const char *word, size_t size)
{
	static const char *const words[] = {"functions", "function", "tools", "tool", "call", "to", "api", "mcp"};
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i]) == size && is_word_at(word, size, words[i]))
			return 1;
	return 0;
}

/* "!recording_opt_out", "~functions.recording_opt_out" */
static int is_negated(const char *text, size_t at)
{
	while (at > 0 && (is_alnum(text[at - 1]) || is_blank(text[at - 1]) || is_in(text[at - 1], "_-.:/")))
		at--;
	return at > 0 && is_in(text[at - 1], "!~");
}

static int before_allows(const span *s, size_t at)
{
	const char *text = s->text;
	size_t end = at, from, word, lines = 0;

	if (at == 0)
		return 1;
	if (is_alnum(text[at - 1])) /* an escape of JSON that nobody decoded? */
		return (at > 1 && text[at - 2] == '\\' && is_in(text[at - 1], "bfnrt")) ||
		       (s->is_name && ends_with_word(text, at, "functions")); /* models forget the dot */
	while (end > 0 && (is_in(text[end - 1], "_-") || (end < at && s->is_name && is_unseen(text[end - 1])))) {
		lines += text[end - 1] == '_';
		end--;
	}
	if (end == at && s->is_name && is_negated(text, at))
		return 0;
	if (end == at && s->is_name && is_unseen(text[at - 1])) {
		while (end > 0 && (is_unseen(text[end - 1]) || is_in(text[end - 1], "_-.:/ ")))
			end--;
		word = word_before(text, end);
		return word == end || is_introduction(text + word, end - word);
	}
	if (end == at) { /* "functions.", "to=", a quote; or a blank, behind which a text may say anything */
		while (end > 0 && (is_in(text[end - 1], ".:/") || (s->is_name && is_blank(text[end - 1]))))
			end--;
		word = word_before(text, end);
		if (s->is_name && end < at && word < end && is_blank(text[at - 1]) &&
		    !is_introduction(text + word, end - word))
			return 0;
		return end == at || !is_of_another(text + word, end - word);
	}
	for (from = end; from > 0 && (is_alnum(text[from - 1]) || is_in(text[from - 1], "_-")); from--)
		;
	word = word_before(text, end);
	if (is_of_another(text + word, end - word) && !is_server(text + from, end - from, lines))
		return 0;
	return is_prefix(text + from, end - from, lines);
}

/* ---- what stands behind ---- */

static size_t skip(const span *s, size_t at, const char *set)
{
	while (at < s->size && is_in(s->text[at], set))
		at++;
	return at;
}

/* "recording_opt_out: false", "recording_opt_out(undo=True)", "recording_opt_out()_status" */
static int is_told_more(const span *s, size_t at)
{
	const size_t sign = skip(s, at, " \t"), word = skip(s, sign, " \t:=@");
	size_t end, open;

	if (s->is_name && word < s->size && is_alnum(s->text[word]) && sign < s->size &&
	    is_in(s->text[sign], ":=@"))
		return !is_digit(s->text[word]);
	open = skip(s, at, "([{ \t\"'");
	for (end = open; end < s->size && is_alnum(s->text[end]); end++)
		;
	if (open > at && is_of_another(s->text + open, end - open))
		return 1;
	end = skip(s, at, "()");
	return end > at && end < s->size && (is_alnum(s->text[end]) || is_in(s->text[end], "_-")) &&
	       s->text[end - 1] == ')';
}

/* "_2: false", ", cancel", "() == false": a contrary word, but for what a call's arguments say. */
static int is_contradicted(const span *s, size_t at)
{
	static const char *const words[] = {"false",    "off",       "none",     "null",
	                                    "disabled", "cancelled", "canceled", "never"};
	unsigned depth = 0;
	size_t end, i;
	int value = 0;

	for (; at < s->size; at = end) {
		for (end = at; end < s->size && is_alnum(s->text[end]); end++)
			;
		if (end > at && !value) {
			if (is_of_another(s->text + at, end - at))
				return 1;
			for (i = 0; depth == 0 && i < sizeof words / sizeof words[0]; i++)
				if (strlen(words[i]) == end - at && is_word_at(s->text + at, end - at, words[i]))
					return 1;
		}
		if (end > at) {
			value = depth > 0; /* the first word in brackets names what is set */
			continue;
		}
		if (is_in(s->text[at], "([{"))
			depth++;
		else if (is_in(s->text[at], ")]}") && depth > 0 && --depth == 0)
			value = 0;
		end = at + 1;
	}
	return 0;
}

static int behind_allows(const span *s, size_t at)
{
	size_t end;

	if (is_word_at(s->text + at, s->size - at, ".call(") || /* as Llama calls its own tools */
	    is_word_at(s->text + at, s->size - at, "_mcp_"))    /* the server's name, behind the tool's */
		return 1;
	if (is_told_more(s, at))
		return 0;
	while (at < s->size && (is_in(s->text[at], "_-.:#") || (s->is_name && is_unseen(s->text[at]))))
		at++;
	if (at < s->size && is_digit(s->text[at])) { /* the number of a call, as in ":0" */
		while (at < s->size && is_digit(s->text[at]))
			at++;
		return at == s->size ||
		       (!is_alnum(s->text[at]) && s->text[at] != '_' && !(s->is_name && is_contradicted(s, at)));
	}
	at += at < s->size && s->text[at] == '/';
	if (at < s->size && is_alnum(s->text[at]))
		return 0;
	if (s->is_name && is_contradicted(s, at))
		return 0;
	while (s->is_name && at < s->size && is_blank(s->text[at]))
		at++;
	for (end = at; end < s->size && is_alnum(s->text[end]); end++)
		;
	return !is_of_another(s->text + at, end - at);
}

/* ---- the name itself ---- */

/* What may stand between its words. */
static size_t skip_separators(const span *s, size_t at)
{
	size_t from = at;

	while (at < s->size && at - from < 16) {
		const char *text = s->text + at;
		const size_t left = s->size - at;

		if (*text == '_' || *text == '-' || *text == '\\' ||
		    (s->is_name && (*text == '.' || is_blank(*text))))
			at++;
		else if (is_word_at(text, left, "u005f") || is_word_at(text, left, "u002d"))
			at += 5;
		else
			break;
	}
	return at;
}

/* Returns where it ends, 0 if it is not there. `at` is behind its first word. */
static size_t match_rest(const span *s, size_t at)
{
	at = skip_separators(s, at);
	if (!is_word_at(s->text + at, s->size - at, "opt"))
		return 0;
	at = skip_separators(s, at + 3);
	return is_word_at(s->text + at, s->size - at, "out") ? at + 3 : 0;
}

static const char first_word[] = "recording";

enum { WORD = sizeof first_word - 1 };

/* How far the search may go on when the last of nine bytes is this one (Horspool). */
static size_t step(char last)
{
	switch (lower(last)) {
	case 'r':
		return 4;
	case 'e':
		return 7;
	case 'c':
		return 6;
	case 'o':
		return 5;
	case 'd':
		return 3;
	case 'i':
		return 2;
	case 'n':
		return 1;
	default:
		return WORD;
	}
}

/* The first word at or behind `from`; s->size if there is none. */
static size_t find_word(const span *s, size_t from)
{
	while (from + WORD <= s->size) {
		const char last = s->text[from + WORD - 1];

		if ((last == 'g' || last == 'G') && is_word_at(s->text + from, WORD, first_word))
			return from;
		from += step(last);
	}
	return s->size;
}

/* Where our name begins, at or behind `from`, and where it ends; s->size if it is not there. */
static size_t find(const span *s, size_t from, size_t *end)
{
	size_t at;

	for (at = find_word(s, from); at < s->size; at = find_word(s, at + 1)) {
		*end = match_rest(s, at + WORD);
		if (*end > 0 && before_allows(s, at) && behind_allows(s, *end))
			break;
	}
	return at;
}

int rco__name_is_ours(const char *name, size_t size)
{
	const span s = {name, size, 1};
	size_t end = 0;

	return find(&s, 0, &end) < size;
}

size_t rco__name_find(const char *text, size_t size, size_t from, size_t *end)
{
	const span s = {text, size, 0};

	return find(&s, from, end);
}
