/* SPDX-License-Identifier: MIT */
/*
 * Every message in tests/messages, in every dialect that it names, whole and in pieces: the bound call is opted
 * out by those that carry a call of our tool, and goes on being recorded with all others.
 */
#include "../support.h"

#include "../../lib/agent/tool.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct message {
	char *text;
	size_t size;
} message;

static unsigned tried, wrong, changed;

/* ---- changes that change nothing ---- */

static uint64_t chance_state = 1;

static unsigned chance(unsigned below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return (unsigned)(chance_state % below);
}

typedef struct writer {
	char *text;
	size_t size, room;
} writer;

static void put(writer *w, const char *bytes, size_t size)
{
	if (w->size + size >= w->room) {
		w->room = 2 * (w->size + size) + 256;
		w->text = realloc(w->text, w->room);
		assert_non_null(w->text);
	}
	memcpy(w->text + w->size, bytes, size);
	w->size += size;
}

static void put_text(writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void put_blanks(writer *w)
{
	static const char *const blanks[] = {"", "", "", " ", "\n", "\r\n\t", "        "};

	put_text(w, blanks[chance(sizeof blanks / sizeof blanks[0])]);
}

/* Each character as it is, or as an escape. An id is one by its bytes: two places have to write it the same way.
 */
static void put_string(writer *w, const char *text, size_t size, int is_id)
{
	char escape[8];
	size_t i;

	put(w, "\"", 1);
	for (i = 0; i < size; i++) {
		const unsigned char c = (unsigned char)text[i];

		if (c >= 0x80 || (c >= 0x20 && c != '"' && c != '\\' && (is_id || chance(8) != 0))) {
			put(w, text + i, 1);
			continue;
		}
		(void)snprintf(escape, sizeof escape, chance(2) ? "\\u%04x" : "\\u%04X", c);
		put_text(w, escape);
	}
	put(w, "\"", 1);
}

/* Members that mean nothing anywhere, whatever is in them. */
static void put_ballast(writer *w)
{
	static const char *const values[] = {"\"recording_opt_out\"",
	                                     "{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"recording_opt_out\"}",
	                                     "[{\"function\":{\"name\":\"recording_opt_out\"}}]",
	                                     "\"}]}\\\\\"",
	                                     "\"\\ud800\\u0000\"",
	                                     "1e999",
	                                     "18446744073709551616",
	                                     "null",
	                                     "[[[[[[[[[[[[]]]]]]]]]]]]",
	                                     "\"\xfc\"",
	                                     "\"{\\\"name\\\":\\\"x\\\"\"",
	                                     "{}",
	                                     "{\"\":{\"\":[]}}"};
	static const char *const keys[] = {"zz", "recording_opt_out", "x_name", "Type", "", "metadata", "name "};
	const char *key;
	unsigned depth, deep = chance(20) == 0 ? chance(300) : 0;

	key = keys[chance(sizeof keys / sizeof keys[0])];
	put_string(w, key, strlen(key), 0);
	put_text(w, ":");
	for (depth = 0; depth < deep; depth++)
		put_text(w, depth % 2 ? "[" : "{\"name\":");
	put_text(w, values[chance(sizeof values / sizeof values[0])]);
	for (depth = deep; depth-- > 0;)
		put_text(w, depth % 2 ? "]" : "}");
}

static void put_value(writer *w, const json_t *v, int is_id);

static void put_members(writer *w, const json_t *v)
{
	size_t n = json_object_size(v), i, j;
	const char **keys = calloc(n + 1, sizeof *keys);
	const char *key, *other;
	json_t *ignored;
	unsigned extra;

	assert_non_null(keys);
	i = 0;
	json_object_foreach((json_t *)(uintptr_t)v, key, ignored) keys[i++] = key;
	for (i = n; i > 1; i--) {
		j = chance((unsigned)i);
		other = keys[i - 1];
		keys[i - 1] = keys[j];
		keys[j] = other;
	}
	for (i = 0; i < n; i++) {
		for (extra = chance(3) == 0 ? chance(3) : 0; extra > 0; extra--) {
			put_ballast(w);
			put_text(w, ",");
		}
		put_blanks(w);
		put_string(w, keys[i], strlen(keys[i]), 0);
		put_blanks(w);
		put_text(w, ":");
		put_value(w, json_object_get(v, keys[i]),
		          strcmp(keys[i], "id") == 0 || strcmp(keys[i], "tool_call_id") == 0 ||
		                  strcmp(keys[i], "toolCallId") == 0);
		if (i + 1 < n)
			put_text(w, ",");
	}
	free(keys);
}

static void put_value(writer *w, const json_t *v, int is_id)
{
	char *text;
	size_t i;

	put_blanks(w);
	if (json_is_object(v)) {
		put_text(w, "{");
		put_members(w, v);
		put_text(w, "}");
	} else if (json_is_array(v)) {
		put_text(w, "[");
		for (i = 0; i < json_array_size(v); i++) {
			put_text(w, i > 0 ? "," : "");
			put_value(w, json_array_get(v, i), 0);
		}
		put_text(w, "]");
	} else if (json_is_string(v)) {
		put_string(w, json_string_value(v), json_string_length(v), is_id);
	} else {
		text = json_dumps(v, JSON_ENCODE_ANY);
		assert_non_null(text);
		put_text(w, text);
		free(text);
	}
	put_blanks(w);
}

static void read_at_random(rco__message *m, uint32_t dialect, const char *text, size_t size)
{
	size_t at, n;

	rco__message_begin(m, dialect);
	for (at = 0; at < size; at += n) {
		n = 1 + chance(200);
		n = size - at < n ? size - at : n;
		rco__message_feed(m, text + at, n);
	}
	rco__message_end(m);
}

static void fill(message *m, const char *text, size_t size)
{
	memcpy(m->text + m->size, text, size);
	m->size += size;
}

static message made(const json_t *how)
{
	const char *before = json_string_value(json_object_get(how, "before"));
	const char *again = json_string_value(json_object_get(how, "again"));
	const char *after = json_string_value(json_object_get(how, "after"));
	json_int_t times = json_integer_value(json_object_get(how, "times"));
	message m = {0};

	assert_true(before != NULL && again != NULL && after != NULL && times > 0);
	m.text = malloc(strlen(before) + strlen(again) * (size_t)times + strlen(after) + 1);
	assert_non_null(m.text);
	fill(&m, before, strlen(before));
	while (times-- > 0)
		fill(&m, again, strlen(again));
	fill(&m, after, strlen(after));
	return m;
}

static message from_hex(const char *hex)
{
	message m = {malloc(strlen(hex) / 2 + 1), strlen(hex) / 2};
	size_t i;
	unsigned byte;

	assert_non_null(m.text);
	for (i = 0; i < m.size; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		m.text[i] = (char)byte;
	}
	return m;
}

static message text_of(const json_t *line)
{
	const json_t *given = json_object_get(line, "message");
	const char *hex = json_string_value(json_object_get(line, "bytes"));
	message m = {0};

	if (json_object_get(line, "make") != NULL)
		return made(json_object_get(line, "make"));
	if (hex != NULL)
		return from_hex(hex);
	assert_non_null(given);
	if (!json_is_string(given)) {
		m.text = json_dumps(given, JSON_ENCODE_ANY);
		assert_non_null(m.text);
		m.size = strlen(m.text);
		return m;
	}
	m.text = malloc(json_string_length(given) + 1);
	assert_non_null(m.text);
	fill(&m, json_string_value(given), json_string_length(given));
	return m;
}

static uint32_t dialect_of(const char *name)
{
	uint32_t d;

	for (d = 0; rco_dialect_name(d) != NULL; d++)
		if (strcmp(rco_dialect_name(d), name) == 0)
			return d;
	fail_msg("there is no dialect %s", name);
	return 0;
}

static void complain(const json_t *line, const char *dialect, const char *what)
{
	print_error("%s, %s: %s\n", json_string_value(json_object_get(line, "about")), dialect, what);
	wrong++;
}

/* Members in another order, more of them, blanks, escapes: it stays what it is. */
static void try_changed(const json_t *line, const char *dialect, const message *text, const rco__message *is)
{
	json_t *value = json_loadb(text->text, text->size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	unsigned times;

	for (times = 0; value != NULL && text->size < 100000 && times < 10; times++) {
		const uint64_t again = chance_state;
		writer w = {0};
		rco__message m;

		put_value(&w, value, 0);
		read_at_random(&m, dialect_of(dialect), w.text, w.size);
		if (m.calls != is->calls || m.others != is->others || m.dialect != is->dialect ||
		    m.n_ids != is->n_ids || m.list != is->list) {
			complain(line, dialect, "changed, it is something else");
			print_error("%llu: %.*s\n", (unsigned long long)again, (int)w.size, w.text);
		}
		rco__message_free(&m);
		free(w.text);
		changed++;
	}
	json_decref(value);
}

/* In pieces of any size the same is read. */
static void try_pieces(const json_t *line, const char *dialect, const message *text, uint32_t calls,
                       uint32_t others)
{
	static const size_t sizes[] = {1, 7, 64};
	rco__message m;
	size_t i, at;

	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		rco__message_begin(&m, dialect_of(dialect));
		for (at = 0; at < text->size; at += sizes[i])
			rco__message_feed(&m, text->text + at,
			                  text->size - at < sizes[i] ? text->size - at : sizes[i]);
		rco__message_end(&m);
		if (m.calls != calls || m.others != others)
			complain(line, dialect, "in pieces it is something else");
		if (i == 1)
			try_changed(line, dialect, text, &m);
		rco__message_free(&m);
	}
}

static void check_answer(const json_t *line, const char *dialect, const rco_tool_answer *a, int out)
{
	const char *has = json_string_value(json_object_get(line, "has"));
	const char *is = json_string_value(json_object_get(line, "is"));
	const json_t *answers = json_object_get(line, "answers");
	const char *text = rco_tool_answer_json(a, NULL);
	json_t *parsed;

	if (has != NULL && strstr(text, has) == NULL)
		complain(line, dialect, text);
	if (strcmp(dialect, "auto") == 0 && is != NULL && rco_tool_answer_dialect(a) != dialect_of(is))
		complain(line, dialect, rco_dialect_name(rco_tool_answer_dialect(a)));
	if ((rco_tool_answer_calls(a) > 0) != out || (rco_tool_answer_sentence(a)[0] != '\0') != out)
		complain(line, dialect, "the number of calls, or the sentence, is wrong");
	if (strchr(text, '\n') != NULL)
		complain(line, dialect, "the answer is not one line");
	parsed = text[0] != '\0' ? json_loads(text, JSON_DECODE_INT_AS_REAL, NULL) : json_object();
	if (parsed == NULL && strstr(text, "\\ud") == NULL)
		complain(line, dialect, "the answer is no JSON");
	if (answers != NULL && (json_int_t)json_array_size(parsed) != json_integer_value(answers))
		complain(line, dialect, text);
	json_decref(parsed);
}

static void try_one(t_world *w, const json_t *line, const char *dialect, const message *text)
{
	rco_tool_request r = {.struct_size = (uint32_t)sizeof r,
	                      .dialect = dialect_of(dialect),
	                      .json = text->text,
	                      .json_bytes = text->size};
	const char *want = json_string_value(json_object_get(line, "want"));
	rco_tool_answer *a = NULL;
	char id[32];
	int out;

	assert_non_null(want);
	assert_true(strcmp(want, "opt_out") == 0 || strcmp(want, "nothing") == 0);
	(void)snprintf(id, sizeof id, "call-%u", ++tried);
	r.session = t_call(w, id);
	t_push(r.session, 0, 1, 0, 2);
	assert_int_equal(rco_tool_call(w->engine, &r, &a), RCO_OK);
	out = t_push_one(r.session, 0, 1) == RCO_E_OPTED_OUT;
	if (out != (strcmp(want, "opt_out") == 0))
		complain(line, dialect, out ? "was opted out" : "the objection was lost");
	check_answer(line, dialect, a, out);
	try_pieces(line, dialect, text, rco_tool_answer_calls(a), rco_tool_answer_others(a));
	rco_tool_answer_free(a);
	rco_session_free(r.session);
	if (tried % 16 == 0)
		t_advance(w, 20000); /* their memory is given back */
}

static unsigned try_line(t_world *w, const char *text)
{
	json_error_t error;
	json_t *line = json_loads(text, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error), *dialects;
	message m;
	size_t i;

	if (line == NULL)
		fail_msg("%s: %.80s", error.text, text);
	dialects = json_object_get(line, "dialects");
	assert_true(json_array_size(dialects) > 0);
	m = text_of(line);
	for (i = 0; i < json_array_size(dialects); i++)
		try_one(w, line, json_string_value(json_array_get(dialects, i)), &m);
	free(m.text);
	json_decref(line);
	return 1;
}

static unsigned try_file(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned lines = 0;
	char *text = NULL;
	size_t room = 0;
	t_world w;

	assert_non_null(f);
	t_world_init(&w, 0);
	w.cfg.ring_pool_bytes = 4u << 20;
	t_world_open(&w);
	while (getline(&text, &room, f) > 0)
		lines += text[0] == '{' ? try_line(&w, text) : 0;
	t_world_destroy(&w);
	free(text);
	(void)fclose(f);
	return lines;
}

static void test_files(void **state)
{
	size_t here = strlen(__FILE__) - strlen("unit/test_messages.c");
	char folder[512], path[1024];
	unsigned lines = 0;
	struct dirent *entry;
	DIR *dir;

	(void)state;
	(void)snprintf(folder, sizeof folder, "%.*smessages", (int)here, __FILE__);
	dir = opendir(folder);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');

		if (dot == NULL || strcmp(dot, ".jsonl") != 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		lines += try_file(path);
	}
	(void)closedir(dir);
	print_message("%u messages, tried %u times, and changed %u times\n", lines, tried, changed);
	assert_true(lines >= 54);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_files)};

	(void)setenv("TMPDIR", t_shm(), 0); /* many engines, and nothing in here is about a disk */
	return cmocka_run_group_tests_name("messages of platforms", tests, NULL, NULL);
}
