/* SPDX-License-Identifier: MIT */
/*
 * Crash images: a scenario is played on a disk that keeps a log; from every position of the log the images that a
 * crash could leave are built, the library recovers from each, and is judged. The recovery has a log too, from
 * which images are built in turn, and once more from theirs.
 *
 * Which images of a power cut, at a position with n doubts:
 * - n up to IMAGES_WHOLE: every subset;
 * - above: none, all, each operation alone and each missing, each prefix of operations; each sector (or name, or
 *   size) alone and each missing, if n is at most IMAGES_SINGLES, otherwise as many drawn; and IMAGES_DRAWN drawn
 *   subsets of different density.
 *
 * Of a file that is filled with zeros ahead of its use, write after write, the first two steps and the last are
 * positions, and not those between.
 *
 * Recoveries whose log is crashed in turn are drawn: one of `one_in` images; every position of it, killed, and
 * IMAGES_DEEP_POWER drawn power cuts each.
 */
#ifndef TESTS_CRASH_IMAGES_H
#define TESTS_CRASH_IMAGES_H

#include "../world/disk.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Recoveries that are crashed in turn, unless told otherwise: one of so many. */
enum { IMAGES_ONE_IN = 400, IMAGES_ONE_IN_DEEPER = 40 };
enum { IMAGES_WHOLE = 6, IMAGES_SINGLES = 24, IMAGES_DRAWN = 8, IMAGES_DEEP_POWER = 2, IMAGES_DEPTH = 3 };

/* ---- what is crashed ---- */

/* A scenario or a recovery, played to its end on a disk with a log. */
typedef struct images_run images_run;

typedef struct images_choice {
	int how;
	uint64_t arg;
	uint64_t late; /* which requests on their way to the store land after the crash, for subjects that have
	                  such */
} images_choice;

typedef struct images_subject {
	const char *name;
	/* Kinds of kill: with 2 also "kill:1", the rings as they were before the last entry. */
	int kills;
	/* Play the scenario of a seed. What went wrong on the way is told by recover() of every image. */
	images_run *(*play)(uint64_t seed);
	void (*release)(images_run *run);
	const w_disk *(*disk)(const images_run *run);
	/* Requests on their way to the store at a position; NULL if there never are. */
	size_t (*late)(const images_run *run, size_t position);
	/* What a crash at the position leaves, with `bits` for a power cut, NULL for a kill: a run not yet begun.
	 */
	images_run *(*image)(images_run *run, size_t position, const images_choice *choice, const uint64_t *bits,
	                     size_t n_bits);
	/* Hash of all that is left: disk, store, rings; with_promises: and of what is owed. Before it recovers. */
	uint64_t (*hash)(images_run *image, int with_promises);
	/* Start the library on the image, let it recover, and judge. NULL if all promises were kept, otherwise a
	 * text (free() it). It is a run then, with a log that can be crashed. */
	char *(*recover)(images_run *image);
	/* What happened up to a position, free() it; NULL: the disk's story. */
	char *(*story)(images_run *run, size_t to);
} images_subject;

/* ---- choices ---- */

enum {
	IMAGES_KILL,   /* arg: which kind */
	IMAGES_SUBSET, /* arg: bit i is doubt i; n up to 64 */
	IMAGES_NONE,
	IMAGES_ALL,
	IMAGES_ONLY,    /* arg: a doubt */
	IMAGES_WITHOUT, /* arg: a doubt */
	IMAGES_ONLY_OP, /* arg: the log position of an operation, all its doubts */
	IMAGES_WITHOUT_OP,
	IMAGES_BEFORE_OP, /* arg: doubts of operations before that position */
	IMAGES_RANDOM,    /* arg: a seed */
	IMAGES_HOWS
};

typedef struct images_choices {
	images_choice *list;
	size_t n, cap;
} images_choices;

/* All choices for a position, the kills first. */
void images_choices_at(const w_disk *disk, size_t position, int kills, uint64_t seed, images_choices *out);
/* The bits of a choice, for w_disk_image(); NULL for a kill. free() them. */
uint64_t *images_bits(const w_disk *disk, size_t position, images_choice choice, size_t *n_bits);
/* "kill", "subset:5", "only-op:12+3" (after the plus what is late) and so on, and back (0 if it is none). */
void images_choice_text(images_choice choice, char out[64]);
int images_choice_parse(const char *text, images_choice *choice);

/* ---- the campaign ---- */

typedef struct images_step {
	size_t position;
	images_choice choice;
} images_step;

/* A chain of crashes, which a failure is told by and can be played again. */
typedef struct images_path {
	uint64_t seed;
	size_t depth; /* steps */
	images_step steps[IMAGES_DEPTH];
} images_path;

typedef struct images_counts {
	uint64_t scenarios, positions;
	uint64_t built[IMAGES_DEPTH][2]; /* by depth, kill and power */
	uint64_t distinct[IMAGES_DEPTH][2];
	uint64_t recovered, failed;
} images_counts;

typedef struct images_set images_set;

typedef struct images_campaign {
	const images_subject *subjects[2]; /* in turns; the second may be NULL */
	const images_subject *subject;     /* the one whose turn it is */
	uint64_t first_seed, step_seed;    /* seeds first, first + step ... */
	uint64_t max_scenarios;            /* 0: no limit */
	uint64_t max_images;               /* distinct ones; 0: no limit */
	double max_seconds;                /* 0: no limit */
	uint32_t one_in[IMAGES_DEPTH -
	                1]; /* of the images of depth 0, 1: how rare those are whose recovery is crashed */
	uint64_t max_failures;
	FILE *out;
	images_counts counts;
	images_set *seen, *judged;
} images_campaign;

/* Until one of the limits is reached. The number of failures. */
uint64_t images_campaign_run(images_campaign *campaign);
/* Play one path again, and tell its story. 0 if the promises were kept. */
int images_replay(const images_subject *subject, const images_path *path, FILE *out);
/* The table, a line for each count; campaign.sh adds up those of several processes. */
void images_counts_print(const images_counts *counts, double seconds, FILE *out);

#endif
