/* SPDX-License-Identifier: MIT */
/* What an agent's turn claims, and whether that is so. */
#include "../support.h"

#include <recoptout/agent.h>

#include "../../lib/agent/sentences.h"

#include <stdio.h>
#include <stdlib.h>

enum { STOPPED = RCO_CLAIM_STOPPED, BOTH = RCO_CLAIM_STOPPED | RCO_CLAIM_ERASED, ERASED = RCO_CLAIM_ERASED };

static uint32_t claims(const char *language, const char *text)
{
	return rco_claims(language, text, strlen(text));
}

/* Our own sentences claim what they may, in every language, and no more. */
static void test_own_sentences(void **state)
{
	static const uint32_t wanted[RCO__SENTENCES] = {
		[RCO_SAY_ERASED] = BOTH,     [RCO_SAY_ERASING] = STOPPED, [RCO_SAY_RETRYING] = STOPPED,
		[RCO_SAY_STOPPED] = STOPPED, [RCO_SAY_STOPPING] = 0,      [RCO_SAY_NOT_RECORDING] = STOPPED,
		[RCO_SAY_HELD] = STOPPED,    [RCO_SAY_NOT_AVAILABLE] = 0, [RCO_SAY_ENDED] = 0,
		[RCO_SAY_ERROR] = 0,         [RCO_SAY_ANNOUNCEMENT] = 0,  [RCO_SAY_ASK_CONSENT] = 0,
		[RCO_SAY_NOTED] = 0,
	};
	uint32_t i, sentence;
	int wrong = 0;

	(void)state;
	for (i = 0; rco_language_at(i) != NULL; i++)
		for (sentence = RCO_SAY_ANNOUNCEMENT; sentence < RCO__SENTENCES; sentence++) {
			const char *tag = rco_language_at(i), *text = rco__sentence_built_in(tag, sentence, 0);
			uint32_t got;

			if (sentence == RCO_SAY_GUIDANCE)
				continue;
			got = claims(tag, text);
			if (got != wanted[sentence]) {
				print_error("%s %u: claims %u, not %u: %s\n", tag, sentence, got, wanted[sentence],
				            text);
				wrong++;
			}
		}
	assert_int_equal(wrong, 0);
}

typedef struct example {
	const char *language;
	uint32_t claims;
	const char *text;
} example;

static const example examples[] = {
	{"en", STOPPED, "Sure, I've stopped the recording."},
	{"en", STOPPED, "Okay, recording is now off. How else can I help?"},
	{"en", STOPPED, "We are no longer recording this call."},
	{"en", STOPPED, "This call is not being recorded anymore."},
	{"en", BOTH, "I have stopped recording and deleted everything."},
	{"en", BOTH, "The recording has been turned off. It has also been erased. Now, about your invoice:"},
	{"en", ERASED, "Your recording was deleted"},
	{"en", ERASED, "I\xe2\x80\x99ve deleted the recording."},
	{"en", 0, "I can stop the recording if you like."},
	{"en", 0, "Would you like the recording to be deleted?"},
	{"en", 0, "Has the recording been deleted?"},
	{"en", 0, "I can't delete the recording."},
	{"en", 0, "The recording has not been stopped yet."},
	{"en", 0, "I will have the recording deleted."},
	{"en", 0, "The recording will be deleted within a minute."},
	{"en", 0, "Your order has been cancelled and your account was deleted."},
	{"en", 0, "I stopped by the store and removed my hat."},
	{"en", 0, "If the recording has been stopped, you will hear a tone."},
	{"en", 0, ""},
	{"en-GB", STOPPED, "The recording has been switched off."},
	{"de", STOPPED, "Gut, ich habe die Aufnahme gestoppt."},
	{"de", STOPPED, "Die Aufzeichnung ist jetzt ausgeschaltet."},
	{"de", STOPPED, "Das Gespräch wird nicht mehr aufgezeichnet."},
	{"de", STOPPED, "Sie werden nicht aufgenommen."},
	{"de", BOTH, "Ich habe die Aufnahme beendet und alles gelöscht."},
	{"de", ERASED, "Die Aufnahme wurde gelöscht."},
	{"de", ERASED, "DIE AUFNAHME WURDE GELÖSCHT!"},
	{"de", 0, "Soll ich die Aufnahme löschen?"},
	{"de", 0, "Die Aufnahme kann leider nicht gelöscht werden."},
	{"de", 0, "Ich werde die Aufnahme gleich stoppen."},
	{"de", 0, "Die Aufzeichnung wird gelöscht."},
	{"de", 0, "Wenn die Aufnahme gestoppt ist, sage ich Bescheid."},
	{"de", 0, "Ihre Bestellung wurde gelöscht."},
	{"de", 0, "Das Gespräch ist beendet."},
	{"fr", BOTH, "J'ai arrêté l'enregistrement et tout effacé."},
	{"fr", 0, "Je peux arrêter l'enregistrement si vous voulez."},
	{"fr", ERASED, "L'enregistrement a été supprimé."},
	{"fr", 0, "L'enregistrement n'a pas été supprimé."},
	{"es", BOTH, "He parado la grabación y la he borrado."},
	{"es", STOPPED, "Ya no se graba esta llamada."},
	{"es", 0, "¿Quiere que se borre la grabación?"},
	{"es", 0, "La grabación no se ha borrado."},
	{"it", BOTH, "Ho fermato la registrazione e l'ho cancellata."},
	{"it", 0, "La registrazione non è stata cancellata."},
	{"nl", BOTH, "Ik heb de opname gestopt en gewist."},
	{"nl", 0, "De opname is nog niet gewist."},
	{"pl", BOTH, "Nagrywanie zatrzymałem, a nagranie usunąłem."},
	{"pl", 0, "Nagranie nie zostało usunięte."},
	{"pt", BOTH, "Parei a gravação e apaguei tudo o que foi gravado."},
	{"pt", 0, "A gravação não foi apagada."},
	{"tr", BOTH, "Kaydı durdurdum ve sildim."},
	{"tr", 0, "Kayıt henüz silinmedi."},
	/* a language that is not known, or none: all of them */
	{"ja", ERASED, "The recording was deleted."},
	{NULL, ERASED, "Die Aufnahme wurde gelöscht."},
	{NULL, 0, "Good morning, how can I help?"},
};

static void test_examples(void **state)
{
	size_t i;
	int wrong = 0;

	(void)state;
	for (i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		uint32_t got = claims(examples[i].language, examples[i].text);

		if (got != examples[i].claims) {
			print_error("%s: claims %u, not %u: %s\n", examples[i].language, got, examples[i].claims,
			            examples[i].text);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

typedef struct tally {
	unsigned claims, missed, everyday, flagged;
} tally;

/* The sentences of tests/claims, whose first letter says what they claim. */
static tally count_file(const char *language)
{
	char path[64], line[512];
	tally t = {0};
	FILE *file;

	(void)snprintf(path, sizeof path, "tests/claims/%s.txt", language);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("%s cannot be read: tests run from the top folder", path);
	while (fgets(line, sizeof line, file) != NULL) {
		const char *kind = strchr("-SEB", line[0]);
		uint32_t wanted, got;

		if (line[0] == '\0' || kind == NULL || line[1] != ' ' || line[strcspn(line, "\n")] != '\n')
			fail_msg("%s: %s", path, line);
		line[strcspn(line, "\n")] = '\0';
		wanted = line[0] == '-' ? 0u : line[0] == 'S' ? STOPPED : line[0] == 'E' ? ERASED : BOTH;
		got = claims(language, line + 2);
		*(wanted == 0 ? &t.everyday : &t.claims) += 1;
		if (got == wanted)
			continue;
		*(wanted == 0 ? &t.flagged : &t.missed) += 1;
		print_message("%s: claims %u, not %u: %s\n", language, got, wanted, line + 2);
	}
	(void)fclose(file);
	return t;
}

/* How much a list of words understands is measured, and may not become less. */
static void test_sentences_of_agents(void **state)
{
	tally english = count_file("en"), german = count_file("de");

	(void)state;
	assert_int_equal(english.claims, 87);
	assert_int_equal(english.everyday, 130);
	assert_true(english.missed <= 2);
	assert_true(english.flagged <= 2);
	assert_int_equal(german.claims, 84);
	assert_int_equal(german.everyday, 124);
	assert_true(german.missed <= 3);
	assert_int_equal(german.flagged, 0);
}

/* Whatever bytes come, nothing is read beyond them, and what is long is looked at to its end. */
static void test_odd_texts(void **state)
{
	static const char claim[] = "The recording was deleted.";
	size_t size = 100000, i;
	char *text = malloc(size + sizeof claim), *exact;

	(void)state;
	assert_non_null(text);
	assert_int_equal(rco_claims("en", NULL, 0), 0);
	for (i = 0; i < size; i++)
		text[i] = i % 7 == 6 ? ' ' : 'a';
	memcpy(text + size, claim, sizeof claim);
	assert_int_equal(rco_claims("en", text, size + sizeof claim - 1), ERASED);
	memset(text, 'a', size);
	text[size - 1] = ' ';
	assert_int_equal(rco_claims("en", text, size + sizeof claim - 1), ERASED);
	for (i = 0; i < size; i++)
		text[i] = (char)(i * 2654435761u >> 13);
	text[size - 1] = '\n';
	(void)rco_claims(NULL, text, size);
	free(text);
	/* cut inside a character */
	for (i = 1; i < 30; i++) {
		exact = malloc(i);
		assert_non_null(exact);
		memcpy(exact,
		       "\xf0\x9f\x98\x80 "
		       "\xc3\xb6\xe2\x80\xa6\xe2\x80\xa6\xc3\xa4\xc3\xa4\xff\xfe\xc3\xb6\xe2\x80\xa6\xf0\x9f\x98"
		       "\x80",
		       i);
		assert_int_equal(rco_claims("de", exact, i), 0);
		free(exact);
	}
}

/* An event says what is untrue at that moment, and only then. */
static void test_turns(void **state)
{
	static const char both[] = "I have stopped the recording and deleted everything.";
	static const char stopped[] = "The recording has been stopped.";
	uint32_t untrue = 99;
	rco_session *s;
	t_event e;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&w, "claims");
	t_push(s, 0, 1, 0, 10);
	t_advance(&w, 300);
	assert_int_equal(rco_session_check_claims(s, "en", "Hello, how can I help?", 22, &untrue), RCO_OK);
	assert_int_equal(untrue, 0);
	/* no tool ran */
	assert_int_equal(rco_session_check_claims(s, "en", both, sizeof both - 1, &untrue), RCO_OK);
	assert_int_equal(untrue, BOTH);
	assert_int_equal(t_events_count(&w.events, "claims", RCO_EVENT_AGENT_CLAIM), 1);
	assert_true(t_events_last(&w.events, "claims", RCO_EVENT_AGENT_CLAIM, &e));
	assert_int_equal(e.count, BOTH);
	assert_int_equal(e.status, RCO_STATUS_UNKNOWN);
	/* stopped, not erased */
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(rco_session_check_claims(s, "en", stopped, sizeof stopped - 1, &untrue), RCO_OK);
	assert_int_equal(untrue, 0);
	assert_int_equal(rco_session_check_claims(s, "en", both, sizeof both - 1, &untrue), RCO_OK);
	assert_int_equal(untrue, ERASED);
	assert_int_equal(t_events_count(&w.events, "claims", RCO_EVENT_AGENT_CLAIM), 2);
	assert_true(t_events_last(&w.events, "claims", RCO_EVENT_AGENT_CLAIM, &e));
	assert_true(e.status == RCO_STATUS_DURABLE || e.status == RCO_STATUS_RETRYING);
	/* and erased */
	t_fault_set(&w.fault, T_ERASE, T_PASS, 0, 0);
	t_await(&w, "claims", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_session_check_claims(s, "en", both, sizeof both - 1, &untrue), RCO_OK);
	assert_int_equal(untrue, 0);
	assert_int_equal(t_events_count(&w.events, "claims", RCO_EVENT_AGENT_CLAIM), 2);

	assert_int_equal(rco_session_check_claims(s, "en", NULL, 3, &untrue), RCO_E_INVALID);
	assert_int_equal(rco_session_check_claims(NULL, "en", both, sizeof both - 1, NULL), RCO_E_INVALID);
	assert_int_equal(rco_session_check_claims(s, "en", both, sizeof both - 1, NULL), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_sentences),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_sentences_of_agents),
		cmocka_unit_test(test_odd_texts),
		cmocka_unit_test(test_turns),
	};

	return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}
