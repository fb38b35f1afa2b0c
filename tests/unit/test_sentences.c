/* SPDX-License-Identifier: MIT */
/* The sentences: all there in every language, speakable, none says more than is so, and a host's own come first.
 */
#include "../support_base.h"

#include <recoptout/agent.h>

#include "../../lib/agent/sentences.h"

enum { ROOM = 5000 };

static const char *const tags[] = {"en", "de", "fr", "es", "it", "nl", "pl", "pt", "tr"};

static void test_complete(void **state)
{
	uint32_t i, sentence;

	(void)state;
	for (i = 0; i < sizeof tags / sizeof tags[0]; i++) {
		assert_string_equal(rco_language_at(i), tags[i]);
		for (sentence = RCO_SAY_ANNOUNCEMENT; sentence < RCO__SENTENCES; sentence++)
			if (rco__sentence_built_in(tags[i], sentence, 0) == NULL)
				fail_msg("%s has no sentence %u", tags[i], sentence);
		for (sentence = RCO_SAY_ANNOUNCEMENT; sentence < RCO__SENTENCES; sentence++) {
			int named = sentence == RCO_SAY_ANNOUNCEMENT || sentence == RCO_SAY_ASK_CONSENT;
			const char *text = rco__sentence_built_in(tags[i], sentence, 1);

			if ((text != NULL) != named)
				fail_msg("%s: sentence %u with a name", tags[i], sentence);
		}
	}
	assert_null(rco_language_at(i));
	assert_null(rco_language_at(UINT32_MAX));
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

/* A voice reads them out: ends as a sentence, nothing that is read wrongly. */
static void check_spoken(const char *tag, uint32_t sentence, const char *text)
{
	static const char *const never[] = {"(",  ")",   "[",    "]",    "/",    "\\",   "\n",   "\t",  "  ", ";",
	                                    "\"", "...", "z.B.", "e.g.", "i.e.", "ggf.", "bzw.", "etc", "&",  "%"};
	size_t i, size = strlen(text);

	if (size < 20 || size > 330 || (text[size - 1] != '.' && text[size - 1] != '?'))
		fail_msg("%s, sentence %u is not a sentence: %s", tag, sentence, text);
	for (i = 0; i < sizeof never / sizeof never[0]; i++)
		if (strstr(text, never[i]) != NULL)
			fail_msg("%s, sentence %u is not speakable: \"%s\" in: %s", tag, sentence, never[i], text);
	for (i = 0; i < size; i++)
		if (text[i] >= '0' && text[i] <= '9')
			fail_msg("%s, sentence %u has a digit: %s", tag, sentence, text);
}

static void test_speakable(void **state)
{
	uint32_t i, sentence;
	const char *named;

	(void)state;
	for (i = 0; i < sizeof tags / sizeof tags[0]; i++)
		for (sentence = RCO_SAY_ANNOUNCEMENT; sentence < RCO__SENTENCES; sentence++) {
			if (sentence == RCO_SAY_GUIDANCE)
				continue;
			check_spoken(tags[i], sentence, rco__sentence_built_in(tags[i], sentence, 0));
			assert_null(strchr(rco__sentence_built_in(tags[i], sentence, 0), '{'));
			named = rco__sentence_built_in(tags[i], sentence, 1);
			if (named == NULL)
				continue;
			check_spoken(tags[i], sentence, named);
			assert_int_equal(times(named, RCO__COMPANY), 1);
			assert_int_equal(times(named, "{"), 1);
		}
}

/* The guidance names the tool and has a line for each rule. */
static void test_guidance(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof tags / sizeof tags[0]; i++) {
		const char *text = rco__sentence_built_in(tags[i], RCO_SAY_GUIDANCE, 0);

		assert_int_equal(times(text, RCO_TOOL_NAME), 1);
		assert_int_equal(times(text, "\n- "), 5);
		assert_true(strlen(text) < 1500);
	}
}

/* All of a language differ, and no two languages say the same: nothing was copied and left. */
static void test_translated(void **state)
{
	uint32_t i, k, a, b;

	(void)state;
	for (i = 0; i < sizeof tags / sizeof tags[0]; i++)
		for (a = RCO_SAY_ANNOUNCEMENT; a < RCO__SENTENCES; a++) {
			for (b = a + 1; b < RCO__SENTENCES; b++)
				assert_string_not_equal(rco__sentence_built_in(tags[i], a, 0),
				                        rco__sentence_built_in(tags[i], b, 0));
			for (k = i + 1; k < sizeof tags / sizeof tags[0]; k++)
				assert_string_not_equal(rco__sentence_built_in(tags[i], a, 0),
				                        rco__sentence_built_in(tags[k], a, 0));
		}
}

static void say(const rco_phrasebook *book, const char *language, uint32_t sentence, const char *company,
                char *out)
{
	size_t len = 0;

	assert_int_equal(rco_sentence_get(book, language, sentence, company, out, ROOM, &len), RCO_OK);
	assert_int_equal(len, strlen(out));
}

static void test_language_is_found(void **state)
{
	static const struct {
		const char *asked, *got;
	} cases[] = {{"de", "de"},
	             {"de-AT", "de"},
	             {"DE_ch", "de"},
	             {"de-Latn-DE-1996", "de"},
	             {"pt-BR", "pt"},
	             {"en-GB", "en"},
	             {"ja", "en"},
	             {"", "en"},
	             {NULL, "en"},
	             {"-", "en"},
	             {"de-x-private", "de"},
	             {"d", "en"},
	             {"de\x01", "en"},
	             {"../de", "en"},
	             {"de-", "de"},
	             {"deutsch-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "en"}};
	char got[ROOM];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		say(NULL, cases[i].asked, RCO_SAY_ERASED, NULL, got);
		assert_string_equal(got, rco__sentence_built_in(cases[i].got, RCO_SAY_ERASED, 0));
	}
}

static void test_company(void **state)
{
	char got[ROOM];

	(void)state;
	say(NULL, "de", RCO_SAY_ANNOUNCEMENT, "Müller & Söhne", got);
	assert_non_null(strstr(got, "bei Müller & Söhne. Dieses"));
	assert_null(strchr(got, '{'));
	say(NULL, "de", RCO_SAY_ANNOUNCEMENT, "", got);
	assert_string_equal(got, rco__sentence_built_in("de", RCO_SAY_ANNOUNCEMENT, 0));
	/* A name is a name, whatever is in it. */
	say(NULL, "en", RCO_SAY_ANNOUNCEMENT, "{company} %s %n", got);
	assert_non_null(strstr(got, "calling {company} %s %n. This"));
	/* Sentences without a place for it are said as they are. */
	say(NULL, "en", RCO_SAY_ERASED, "Acme", got);
	assert_string_equal(got, rco__sentence_built_in("en", RCO_SAY_ERASED, 0));
}

static void test_room(void **state)
{
	size_t len = 0, whole;
	char got[ROOM];

	(void)state;
	assert_int_equal(rco_sentence_get(NULL, "en", RCO_SAY_ERASED, NULL, NULL, 0, &whole), RCO_E_LIMIT);
	assert_int_equal(whole, strlen(rco__sentence_built_in("en", RCO_SAY_ERASED, 0)));
	memset(got, 'x', sizeof got);
	assert_int_equal(rco_sentence_get(NULL, "en", RCO_SAY_ERASED, NULL, got, whole, &len), RCO_E_LIMIT);
	assert_int_equal(len, whole);
	assert_int_equal(got[0], '\0');
	assert_int_equal(got[whole], 'x');
	assert_int_equal(rco_sentence_get(NULL, "en", RCO_SAY_ERASED, NULL, got, whole + 1, NULL), RCO_OK);
	assert_int_equal(rco_sentence_get(NULL, "en", 0, NULL, got, sizeof got, NULL), RCO_E_INVALID);
	assert_int_equal(rco_sentence_get(NULL, "en", RCO__SENTENCES, NULL, got, sizeof got, NULL), RCO_E_INVALID);
	assert_int_equal(rco_sentence_get(NULL, "en", RCO_SAY_ERASED, NULL, NULL, 5, NULL), RCO_E_INVALID);
}

/* "Deleted" is said for ERASED and VERIFIED alone, whatever the code beside it. */
static void test_truth(void **state)
{
	static const int codes[] = {RCO_OK,        RCO_PENDING,     RCO_E_CALLBACK, RCO_E_NOT_DURABLE,
	                            RCO_E_TIMEOUT, RCO_E_NO_MEMORY, RCO_E_INTERNAL, RCO_E_HANDLE};
	uint32_t status;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof codes / sizeof codes[0]; i++)
		for (status = 0; status < 64; status++) {
			uint32_t said = rco_sentence_for(codes[i], status);

			assert_in_range(said, RCO_SAY_ERASED, RCO__SENTENCES - 1);
			assert_int_equal(said == RCO_SAY_ERASED,
			                 status == RCO_STATUS_ERASED || status == RCO_STATUS_VERIFIED);
			assert_int_equal(said == RCO_SAY_NOT_RECORDING, status == RCO_STATUS_NOT_RECORDING);
		}
	assert_int_equal(rco_sentence_for(RCO_OK, RCO_STATUS_DURABLE), RCO_SAY_ERASING);
	assert_int_equal(rco_sentence_for(RCO_OK, RCO_STATUS_RETRYING), RCO_SAY_RETRYING);
	assert_int_equal(rco_sentence_for(RCO_OK, RCO_STATUS_OVERDUE), RCO_SAY_RETRYING);
	assert_int_equal(rco_sentence_for(RCO_E_NOT_DURABLE, RCO_STATUS_STOPPED), RCO_SAY_STOPPED);
	assert_int_equal(rco_sentence_for(RCO_E_CALLBACK, RCO_STATUS_REQUESTED), RCO_SAY_STOPPING);
	assert_int_equal(rco_sentence_for(RCO_OK, RCO_STATUS_HELD), RCO_SAY_HELD);
	assert_int_equal(rco_sentence_for(RCO_OK, RCO_STATUS_NOTED), RCO_SAY_NOTED);
	assert_int_equal(rco_sentence_for(RCO_E_NOT_DURABLE, RCO_STATUS_REQUESTED), RCO_SAY_STOPPING);
	assert_int_equal(rco_sentence_for(RCO_E_NOT_AVAILABLE, 0), RCO_SAY_NOT_AVAILABLE);
	assert_int_equal(rco_sentence_for(RCO_E_ENDED, 0), RCO_SAY_ENDED);
	assert_int_equal(rco_sentence_for(RCO_OK, RCO_STATUS_UNKNOWN), RCO_SAY_ERROR);
}

static void test_phrasebook(void **state)
{
	char got[ROOM], big[4002];
	rco_phrasebook *book = NULL;

	(void)state;
	assert_int_equal(rco_phrasebook_create(NULL, &book), RCO_OK);
	assert_int_equal(rco_phrasebook_set(book, "de", RCO_SAY_ERASED, "Alles gelöscht."), RCO_OK);
	assert_int_equal(rco_phrasebook_set(book, "de-AT", RCO_SAY_ERASED, "Alles weg."), RCO_OK);
	assert_int_equal(rco_phrasebook_set(book, "JA", RCO_SAY_ERASED, "録音は削除されました。"), RCO_OK);
	say(book, "de", RCO_SAY_ERASED, NULL, got);
	assert_string_equal(got, "Alles gelöscht.");
	say(book, "de-at", RCO_SAY_ERASED, NULL, got);
	assert_string_equal(got, "Alles weg.");
	say(book, "de-CH", RCO_SAY_ERASED, NULL, got);
	assert_string_equal(got, "Alles gelöscht.");
	say(book, "ja-JP", RCO_SAY_ERASED, NULL, got);
	assert_string_equal(got, "録音は削除されました。");
	say(book, "ja-JP", RCO_SAY_ERASING, NULL, got);
	assert_string_equal(got, rco__sentence_built_in("en", RCO_SAY_ERASING, 0));
	say(book, "en", RCO_SAY_ERASED, NULL, got);
	assert_string_equal(got, rco__sentence_built_in("en", RCO_SAY_ERASED, 0));

	/* One with a name in it where there is no name: the built-in one. */
	assert_int_equal(rco_phrasebook_set(book, "en", RCO_SAY_ANNOUNCEMENT, "{company} and {company} record."),
	                 RCO_OK);
	say(book, "en", RCO_SAY_ANNOUNCEMENT, "Acme", got);
	assert_string_equal(got, "Acme and Acme record.");
	say(book, "en", RCO_SAY_ANNOUNCEMENT, NULL, got);
	assert_string_equal(got, rco__sentence_built_in("en", RCO_SAY_ANNOUNCEMENT, 0));

	/* replaced, removed */
	assert_int_equal(rco_phrasebook_set(book, "de", RCO_SAY_ERASED, "Anders."), RCO_OK);
	say(book, "de", RCO_SAY_ERASED, NULL, got);
	assert_string_equal(got, "Anders.");
	assert_int_equal(rco_phrasebook_set(book, "de", RCO_SAY_ERASED, NULL), RCO_OK);
	assert_int_equal(rco_phrasebook_set(book, "de", RCO_SAY_ERASED, NULL), RCO_OK);
	say(book, "de", RCO_SAY_ERASED, NULL, got);
	assert_string_equal(got, rco__sentence_built_in("de", RCO_SAY_ERASED, 0));

	memset(big, 'a', sizeof big);
	big[4001] = '\0';
	assert_int_equal(rco_phrasebook_set(book, "en", RCO_SAY_ERASED, big), RCO_E_INVALID);
	big[4000] = '\0';
	assert_int_equal(rco_phrasebook_set(book, "en", RCO_SAY_ERASED, big), RCO_OK);
	assert_int_equal(rco_phrasebook_set(book, "en", RCO_SAY_ERASED, ""), RCO_E_INVALID);
	assert_int_equal(rco_phrasebook_set(book, "e n", RCO_SAY_ERASED, "x"), RCO_E_INVALID);
	assert_int_equal(rco_phrasebook_set(book, NULL, RCO_SAY_ERASED, "x"), RCO_E_INVALID);
	assert_int_equal(rco_phrasebook_set(book, "en", 0, "x"), RCO_E_INVALID);
	assert_int_equal(rco_phrasebook_set(book, "en", RCO__SENTENCES, "x"), RCO_E_INVALID);
	assert_int_equal(rco_phrasebook_set(NULL, "en", RCO_SAY_ERASED, "x"), RCO_E_INVALID);
	assert_int_equal(rco_phrasebook_create(NULL, NULL), RCO_E_INVALID);
	rco_phrasebook_free(book);
	rco_phrasebook_free(NULL);
}

static void test_memory(void **state)
{
	struct counting c = {0};
	rco_allocator a = counting_allocator(&c);
	rco_phrasebook *book = NULL;
	char got[ROOM];

	(void)state;
	c.fail_at = 1;
	assert_int_equal(rco_phrasebook_create(&a, &book), RCO_E_NO_MEMORY);
	assert_null(book);
	c.fail_at = 0;
	assert_int_equal(rco_phrasebook_create(&a, &book), RCO_OK);
	assert_int_equal(rco_phrasebook_set(book, "en", RCO_SAY_ERASED, "First."), RCO_OK);
	c.fail_at = c.demands + 1;
	assert_int_equal(rco_phrasebook_set(book, "en", RCO_SAY_ERASED, "Second."), RCO_E_NO_MEMORY);
	say(book, "en", RCO_SAY_ERASED, NULL, got);
	assert_string_equal(got, "First."); /* as it was */
	rco_phrasebook_free(book);
	assert_int_equal(c.live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_speakable),
		cmocka_unit_test(test_guidance),
		cmocka_unit_test(test_translated),
		cmocka_unit_test(test_language_is_found),
		cmocka_unit_test(test_company),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_truth),
		cmocka_unit_test(test_phrasebook),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("sentences", tests, NULL, NULL);
}
