/* SPDX-License-Identifier: MIT */
/*
 * What each status says stands in one table (lib/base/status.def). Held to it here: the header, the code, the
 * documents that operators and authors of agents read, and the sentences.
 */
#include "../support_base.h"

#include "../../lib/agent/sentences.h"
#include "../../lib/base/status.h"

#include <recoptout/agent.h>

#include <stdio.h>
#include <stdlib.h>

typedef struct row {
	const char *name; /* of the constant, without RCO_STATUS_ */
	uint32_t number;
	const char *text;
	uint32_t sentence;
	rco__erasure erasure;
	int stopped, deleted;
	const char *truth;
} row;

#define STATUS(name, number, text, sentence, erasure, stopped, deleted, truth)                                    \
	{#name, number, text, RCO_SAY_##sentence, RCO__ERASURE_##erasure, stopped, deleted, truth},
static const row rows[] = {
#include "../../lib/base/status.def"
};
#undef STATUS

enum { ROWS = sizeof rows / sizeof rows[0], TEXT_MAX = 200000 };

/* A file of the repository, from whose root the tests run. */
static char *load(const char *path)
{
	char *text = calloc(1, TEXT_MAX);
	FILE *f = fopen(path, "r");

	assert_non_null(text);
	if (f == NULL)
		fail_msg("%s cannot be opened", path);
	assert_true(fread(text, 1, TEXT_MAX - 1, f) > 100);
	assert_true(feof(f));
	(void)fclose(f);
	return text;
}

static size_t times(const char *text, const char *part)
{
	size_t n = 0;

	while ((text = strstr(text, part)) != NULL) {
		n++;
		text += strlen(part);
	}
	return n;
}

static void test_code(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < ROWS; i++) {
		assert_int_equal(rows[i].number, i); /* none is left out */
		assert_string_equal(rco_status_name(i), rows[i].text);
		assert_int_equal(rco_sentence_for(RCO_OK, i), rows[i].sentence);
		assert_int_equal(rco__status_erasure(i), rows[i].erasure);
		assert_int_equal(rco__status_stopped(i), rows[i].stopped);
		assert_int_equal(rco__status_deleted(i), rows[i].deleted);
		assert_int_equal(rco__status_named(rows[i].text), i);
		/* A deletion is no more certain than the stop, and what is over says so. */
		assert_true(!rows[i].deleted || rows[i].stopped);
		assert_true(!rows[i].deleted || rows[i].erasure == RCO__ERASURE_OVER ||
		            rows[i].erasure == RCO__ERASURE_DONE);
	}
	assert_string_equal(rco_status_name(ROWS), "unknown");
	assert_string_equal(rco_status_name(UINT32_MAX), "unknown");
	assert_int_equal(rco__status_named("nothing of the kind"), RCO_STATUS_UNKNOWN);
	assert_int_equal(rco__status_named(""), RCO_STATUS_UNKNOWN);
	assert_int_equal(rco__status_erasure(ROWS), RCO__ERASURE_OFF);
}

/* What a sentence claims is certain when it is said. */
static void test_sentences_claim_what_is_certain(void **state)
{
	uint32_t i, k;

	(void)state;
	for (i = 0; i < ROWS; i++)
		for (k = 0; rco_language_at(k) != NULL; k++) {
			const char *said = rco__sentence_built_in(rco_language_at(k), rows[i].sentence, 0);
			uint32_t claims = rco_claims(rco_language_at(k), said, strlen(said));

			if ((claims & RCO_CLAIM_STOPPED && !rows[i].stopped) ||
			    (claims & RCO_CLAIM_ERASED && !rows[i].deleted))
				fail_msg("%s in %s: %s", rows[i].text, rco_language_at(k), said);
		}
}

/* The enum of the header: each with its number, under the words of the table, and no other. */
static void test_header(void **state)
{
	char *header = load("include/recoptout.h"), want[400];
	uint32_t i;

	(void)state;
	for (i = 0; i < ROWS; i++) {
		(void)snprintf(want, sizeof want, "\t/** %s */\n\tRCO_STATUS_%s = %u%s\n", rows[i].truth,
		               rows[i].name, rows[i].number, i + 1 < ROWS ? "," : "");
		if (strstr(header, want) == NULL)
			fail_msg("the header does not say: %s", want);
	}
	assert_int_equal(times(strstr(header, "typedef enum rco_status {"), "\tRCO_STATUS_"), ROWS);
	free(header);
}

/* docs/operations.md: name, truth, and what the agent may say, word for word; UNKNOWN is no answer. */
static void test_operations(void **state)
{
	char *page = load("docs/operations.md"), want[1200], said[1024];
	uint32_t i;

	(void)state;
	for (i = 1; i < ROWS; i++) {
		assert_int_equal(rco_sentence_get(NULL, "en", rows[i].sentence, NULL, said, sizeof said, NULL),
		                 RCO_OK);
		(void)snprintf(want, sizeof want, "| `%s` | %s | \"%s\" |\n", rows[i].text, rows[i].truth, said);
		if (times(page, want) != 1)
			fail_msg("docs/operations.md does not say once: %s", want);
	}
	free(page);
}

/* docs/agents.md: a row names the status, its sentence, and whether "deleted" may be said. */
static void test_agents(void **state)
{
	char *page = load("docs/agents.md"), *table = strstr(page, "| status | sentence |");
	uint32_t i;

	(void)state;
	assert_non_null(table);
	*strstr(table, "\n\n") = '\0';
	for (i = 1; i < ROWS; i++) {
		char name[40], *line, *say;
		size_t length;

		(void)snprintf(name, sizeof name, "`%s`", rows[i].text);
		line = strstr(table, name);
		if (line == NULL)
			fail_msg("docs/agents.md has no %s", name);
		length = strcspn(line, "\n");
		say = strstr(line, "`RCO_SAY_");
		assert_true(say != NULL && say < line + length);
#define SAYS(name)                                                                                                \
	if (rows[i].sentence == RCO_SAY_##name)                                                                   \
		assert_int_equal(strncmp(say, "`RCO_SAY_" #name "`", strlen("`RCO_SAY_" #name "`")), 0);
		SAYS(STOPPING)
		SAYS(STOPPED)
		SAYS(ERASING)
		SAYS(RETRYING)
		SAYS(ERASED)
		SAYS(NOT_RECORDING)
		SAYS(HELD)
		SAYS(NOTED)
#undef SAYS
		assert_int_equal(strncmp(line + length - 7, "| yes |", 7) == 0,
		                 rows[i].sentence == RCO_SAY_ERASED);
	}
	free(page);
}

/* The README counts them up; a binding repeats the names of the sentences. */
static void test_other_places(void **state)
{
	char *readme = load("README.md"), *python = load("examples/python/recoptout/agent.py"), want[60];
	uint32_t i;

	(void)state;
	for (i = 1; i < ROWS; i++) {
		char *c;

		(void)snprintf(want, sizeof want, "*%s*", rows[i].text);
		for (c = want; *c != '\0'; c++)
			*c = *c == '_' ? ' ' : *c;
		if (strstr(readme, want) == NULL)
			fail_msg("README.md does not name %s", want);
	}
	assert_non_null(strstr(python, "\"error\",\n            \"noted\",\n"));
	free(readme);
	free(python);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code),   cmocka_unit_test(test_sentences_claim_what_is_certain),
		cmocka_unit_test(test_header), cmocka_unit_test(test_operations),
		cmocka_unit_test(test_agents), cmocka_unit_test(test_other_places),
	};

	return cmocka_run_group_tests_name("statuses", tests, NULL, NULL);
}
