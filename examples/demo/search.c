/* SPDX-License-Identifier: MIT */
/* The search for audio that must not be there, and for audio that must, as a test of the search. */
#include "proof.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

enum { VARIANTS = 3 };

struct sets {
	struct scan *gone; /* windows of the calls that were opted out, in several codings */
	struct scan *kept; /* windows of the others, as they were pushed */
	size_t gone_windows, kept_windows, shared_windows;
	uint8_t *variant[CALLS][LEGS][VARIANTS];
};

/* ---- what to look for ---- */

/* A leg of speech as other parts of a system would have it: linear, mu-law, A-law, all at 8 kHz. */
static int add_variants(struct sets *sets, const struct leg_audio *leg, unsigned call, unsigned index)
{
	uint8_t **v = sets->variant[call][index];

	v[0] = malloc(leg->samples * 2);
	v[1] = malloc(leg->samples);
	v[2] = malloc(leg->samples);
	if (!v[0] || !v[1] || !v[2])
		return -1;
	memcpy(v[0], leg->pcm, leg->samples * 2);
	for (size_t i = 0; i < leg->samples; i++) {
		v[1][i] = g711_ulaw(leg->pcm[i]);
		v[2][i] = g711_alaw(leg->pcm[i]);
	}
	sets->gone_windows += scan_add(sets->gone, v[0], leg->samples * 2, call);
	sets->gone_windows += scan_add(sets->gone, v[1], leg->samples, call);
	sets->gone_windows += scan_add(sets->gone, v[2], leg->samples, call);
	return 0;
}

static void sets_free(struct sets *sets)
{
	scan_free(sets->gone);
	scan_free(sets->kept);
	for (unsigned i = 0; i < CALLS * LEGS * VARIANTS; i++)
		free(sets->variant[i / (LEGS * VARIANTS)][i / VARIANTS % LEGS][i % VARIANTS]);
}

static int sets_make(struct sets *sets, const struct speech *speech)
{
	size_t bytes[2] = {0, 0};

	memset(sets, 0, sizeof *sets);
	for (unsigned i = 0; i < CALLS * LEGS; i++) {
		const struct leg_audio *leg = &speech->leg[i / LEGS][i % LEGS];

		bytes[plans[i / LEGS].kept] += leg->bytes + (plans[i / LEGS].kept ? 0 : leg->samples * 4);
	}
	sets->gone = scan_new(bytes[0] / SCAN_WINDOW);
	sets->kept = scan_new(bytes[1] / SCAN_WINDOW);
	if (!sets->gone || !sets->kept)
		return -1;
	for (unsigned i = 0; i < CALLS * LEGS; i++) {
		unsigned call = i / LEGS;
		const struct leg_audio *leg = &speech->leg[call][i % LEGS];

		if (plans[call].kept) {
			sets->kept_windows += scan_add(sets->kept, leg->data, leg->bytes, call);
			continue;
		}
		sets->gone_windows += scan_add(sets->gone, leg->data, leg->bytes, call);
		if (add_variants(sets, leg, call, i % LEGS) != 0)
			return -1;
	}
	/* What a kept call says too (a moment of near silence, the same prompt) proves nothing. */
	for (unsigned i = 0; i < CALLS * LEGS; i++) {
		const struct leg_audio *leg = &speech->leg[i / LEGS][i % LEGS];

		if (plans[i / LEGS].kept)
			sets->shared_windows += scan_exclude(sets->gone, leg->data, leg->bytes);
	}
	return 0;
}

/* ---- the search ---- */

/* A search that finds nothing is worth something only if it would have found it. */
static void check_search_itself(struct proof *proof, const struct sets *sets)
{
	unsigned planted = 0, seen = 0;
	static uint8_t paper[4096];
	uint32_t seed = 1;

	for (size_t i = 0; i < sizeof paper; i++)
		paper[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
	for (unsigned i = 0; i < CALLS * LEGS; i++) {
		const struct leg_audio *leg = &proof->speech->leg[i / LEGS][i % LEGS];
		struct scan_found found = {0};

		if (plans[i / LEGS].kept)
			continue;
		planted++;
		/* The first second that is not silence will do, at an odd place of the source and of the page. */
		for (size_t at = 7; at + 64 <= leg->bytes && !found.total; at += 640) {
			memcpy(paper + 1001, leg->data + at, 64);
			scan_memory(sets->gone, paper, sizeof paper, &found);
		}
		seen += found.windows[i / LEGS] ? 1 : 0;
	}
	proof_say(proof, planted == seen,
	          "search: 64 bytes of each of %u opted-out legs, planted in noise, were found %u times", planted,
	          seen);
}

static void check_search_kept(struct proof *proof, const struct sets *sets)
{
	struct scan_found found = {0};
	unsigned calls = 0, seen = 0;

	if (scan_tree(sets->kept, proof->folders->recordings, &found) != 0)
		proof_say(proof, 0, "%s cannot be searched", proof->folders->recordings);
	for (unsigned i = 0; i < CALLS; i++) {
		calls += plans[i].kept ? 1 : 0;
		seen += found.windows[i] ? 1 : 0;
	}
	proof_say(proof, calls == seen,
	          "search: the same way, %u of %u kept calls are found in the recordings (%u kB)", seen, calls,
	          (unsigned)(found.total * SCAN_WINDOW / 1000));
}

static void report_found(struct proof *proof, const struct scan_found *found)
{
	for (unsigned i = 0; i < CALLS; i++) {
		if (found->windows[i])
			proof_say(proof, 0, "%s: %u bytes of its audio found, e.g. in %s", plans[i].id,
			          (unsigned)(found->windows[i] * SCAN_WINDOW), found->path);
	}
}

static void check_gone(struct proof *proof, const struct sets *sets)
{
	struct scan_found found = {0};

	if (scan_tree(sets->gone, proof->folders->base, &found) != 0 ||
	    scan_tree(sets->gone, proof->folders->rings, &found) != 0)
		proof_say(proof, 0, "some file cannot be searched");
	report_found(proof, &found);
	proof_say(proof, found.total == 0 && found.files > CALLS,
	          "gone: %u bytes of opted-out audio in all %u files left (%u kB: spool, keys, ledger, shared "
	          "memory, "
	          "output), "
	          "searched at every offset for %zu pieces in 3 to 4 codings",
	          (unsigned)(found.total * SCAN_WINDOW), (unsigned)found.files, (unsigned)(found.bytes / 1000),
	          sets->gone_windows - sets->shared_windows);
}

/* What a kill leaves in shared memory is plain audio: of calls still recorded, but of no call whose erasure is
 * done. */
static void check_rings_after_kill(struct proof *proof, const struct sets *sets)
{
	struct scan_found gone = {0}, kept = {0};

	if (scan_tree(sets->gone, proof->folders->rings, &gone) != 0 ||
	    scan_tree(sets->kept, proof->folders->rings, &kept) != 0)
		proof_say(proof, 0, "%s cannot be searched", proof->folders->rings);
	for (unsigned i = 0; i < CALLS; i++) {
		if (!(atomic_load(&proof->board->call[i].events) & 1u << RCO_EVENT_VERIFIED)) {
			gone.total -= gone.windows[i];
			gone.windows[i] = 0;
		}
	}
	report_found(proof, &gone);
	proof_say(
		proof, gone.total == 0,
		"the shared memory that it left holds %u kB of calls still recorded, and %u bytes of calls erased",
		(unsigned)(kept.total * SCAN_WINDOW / 1000), (unsigned)(gone.total * SCAN_WINDOW));
}

static void check_disk_after_kill(struct proof *proof, const struct sets *sets)
{
	struct scan_found gone = {0}, kept = {0};

	if (scan_tree(sets->gone, proof->folders->state, &gone) != 0 ||
	    scan_tree(sets->kept, proof->folders->state, &kept) != 0)
		proof_say(proof, 0, "%s cannot be searched", proof->folders->state);
	report_found(proof, &gone);
	report_found(proof, &kept);
	proof_say(proof, gone.total + kept.total == 0 && gone.files > 0,
	          "the state folder that it left holds no plain audio of any call, kept or not (%u kB searched)",
	          (unsigned)(gone.bytes / 1000));
}

int proof_after_kill(const struct board *board, const struct speech *speech, const struct folders *folders)
{
	struct proof proof = {.board = board, .speech = speech, .folders = folders};
	struct sets sets;

	timeline_heading("BETWEEN THE PROCESSES");
	if (sets_make(&sets, speech) == 0) {
		check_disk_after_kill(&proof, &sets);
		check_rings_after_kill(&proof, &sets);
	} else {
		proof_say(&proof, 0, "out of memory");
	}
	sets_free(&sets);
	return proof.bad;
}

int proof_search(struct proof *proof)
{
	struct sets sets;

	if (sets_make(&sets, proof->speech) == 0) {
		check_search_itself(proof, &sets);
		check_search_kept(proof, &sets);
		check_gone(proof, &sets);
	} else {
		proof_say(proof, 0, "out of memory");
	}
	sets_free(&sets);
	return proof->bad;
}
