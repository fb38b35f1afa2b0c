/* SPDX-License-Identifier: MIT */
/* The quick part of the crash images, and what they found. */
#include "../support.h"
#include "../world/chance.h"
#include "images_calls.h"

#include <stdlib.h>

W_CHANCE_UUID

/* ---- choices ---- */

static void put_sectors(w_disk *disk, const char *path, size_t sectors)
{
	const rco__fs *fs = w_disk_table(disk);
	uint8_t bytes[64 * 512];
	int fd;

	memset(bytes, 'x', sizeof bytes);
	assert_int_equal(fs->open(fs->ctx, path, RCO__FS_CREATE, &fd), RCO_OK);
	assert_int_equal(fs->sync_dir(fs->ctx, "/"), RCO_OK);
	assert_int_equal(fs->reserve(fs->ctx, fd, 0, sizeof bytes), RCO_OK);
	assert_int_equal(fs->sync(fs->ctx, fd), RCO_OK);
	assert_int_equal(fs->write(fs->ctx, fd, bytes, sectors * 512, 0), RCO_OK);
}

static void test_few_doubts_are_all_tried(void **state)
{
	w_disk *disk = w_disk_new();
	images_choices choices = {0};

	(void)state;
	put_sectors(disk, "/x", IMAGES_WHOLE);
	images_choices_at(disk, w_disk_position(disk), 1, 1, &choices);
	assert_int_equal(choices.n, 1 + (1u << IMAGES_WHOLE));
	w_disk_free(disk);
	disk = w_disk_new();
	put_sectors(disk, "/x", IMAGES_WHOLE + 1);
	images_choices_at(disk, w_disk_position(disk), 1, 1, &choices);
	/* kill, none, all; the one operation alone and missing; each sector alone and missing; drawn ones */
	assert_int_equal(choices.n, 3 + 2 + 2 * (IMAGES_WHOLE + 1) + IMAGES_DRAWN);
	put_sectors(disk, "/y", 2);
	images_choices_at(disk, w_disk_position(disk), 1, 1, &choices);
	/* a second operation: alone, missing, and all before it */
	assert_int_equal(choices.n, 3 + 5 + 2 * (IMAGES_WHOLE + 3) + IMAGES_DRAWN);
	w_disk_free(disk);
	free(choices.list);
}

static uint64_t image_hash(const w_disk *disk, images_choice choice)
{
	size_t n_bits, at = w_disk_position(disk);
	uint64_t *bits = images_bits(disk, at, choice, &n_bits), hash;
	w_disk *image =
		w_disk_image(disk, at, choice.how == IMAGES_KILL ? W_CRASH_KILL : W_CRASH_POWER, bits, n_bits);

	hash = w_disk_hash(image);
	w_disk_free(image);
	free(bits);
	return hash;
}

static void test_choices_are_told_and_read_again(void **state)
{
	w_disk *disk = w_disk_new();
	images_choices choices = {0};
	images_choice again;
	char text[64];
	size_t i;

	(void)state;
	put_sectors(disk, "/x", 40);
	images_choices_at(disk, w_disk_position(disk), 2, 7, &choices);
	for (i = 0; i < choices.n; i++) {
		choices.list[i].late = i % 3;
		images_choice_text(choices.list[i], text);
		assert_true(images_choice_parse(text, &again));
		assert_memory_equal(&again, &choices.list[i], sizeof again);
		assert_true(image_hash(disk, again) == image_hash(disk, choices.list[i]));
	}
	assert_false(images_choice_parse("never", &again));
	assert_false(images_choice_parse("only:x", &again));
	assert_true(image_hash(disk, (images_choice){.how = IMAGES_ALL}) ==
	            image_hash(disk, (images_choice){.how = IMAGES_KILL}));
	assert_true(image_hash(disk, (images_choice){.how = IMAGES_NONE}) !=
	            image_hash(disk, (images_choice){.how = IMAGES_ALL}));
	w_disk_free(disk);
	free(choices.list);
}

/* ---- images ---- */

static void test_the_same_seed_is_the_same_log(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 2; seed++) {
		images_run *a = images_calls.play(seed), *b = images_calls.play(seed);
		char *told = w_disk_story(a->disk, 0, SIZE_MAX), *again = w_disk_story(b->disk, 0, SIZE_MAX);

		assert_string_equal(told, again);
		assert_true(w_disk_hash(a->disk) == w_disk_hash(b->disk));
		free(told);
		free(again);
		images_calls.release(a);
		images_calls.release(b);
	}
}

static void try_images(const images_subject *subject, uint64_t first_seed)
{
	images_campaign c = {.subjects = {subject, NULL},
	                     .first_seed = first_seed,
	                     .step_seed = 1,
	                     .max_images = T_SANITIZED ? 40 : 300,
	                     .one_in = {40, 10},
	                     .out = stdout};

	assert_int_equal(images_campaign_run(&c), 0);
	assert_true(c.counts.recovered >= c.max_images);
}

static void test_images_of_calls(void **state)
{
	(void)state;
	try_images(&images_calls, 3);
}

static void test_images_of_the_world(void **state)
{
	(void)state;
	try_images(&images_world, 1);
}

/* ---- found ---- */

/* Folders were made and what is in them was synced, and their own names were not: with the folder all went. */
static void test_folders_survive_a_power_cut(void **state)
{
	static const char *const folders[] = {"/state",      "/state/ledger", "/state/calls",
	                                      "/state/keys", "/state/spool",  "/out"};
	images_run *run = images_calls.play(1);
	const rco__fs *fs;
	w_disk *image;
	size_t i;
	int kind;

	(void)state;
	image = w_disk_image(run->disk, w_disk_position(run->disk), W_CRASH_POWER, NULL, 0);
	fs = w_disk_table(image);
	for (i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		assert_int_equal(fs->exists(fs->ctx, folders[i], &kind, NULL), RCO_OK);
		if (kind != RCO__FS_FOLDER)
			print_error("%s is gone\n", folders[i]);
		assert_int_equal(kind, RCO__FS_FOLDER);
	}
	w_disk_free(image);
	images_calls.release(run);
}

/* The crash came when the call was in the journal, and its tombstone was still the one from before: forgotten. */
static void test_an_opt_out_early_is_not_forgotten(void **state)
{
	images_campaign c = {.subjects = {&images_calls, NULL},
	                     .first_seed = IMAGES_EARLY,
	                     .max_scenarios = 1,
	                     .one_in = {1000000, 1000000},
	                     .out = stdout};

	(void)state;
	assert_int_equal(images_campaign_run(&c), 0);
	assert_int_equal(c.counts.scenarios, 1);
	assert_true(c.counts.recovered > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_doubts_are_all_tried),
		cmocka_unit_test(test_choices_are_told_and_read_again),
		cmocka_unit_test(test_the_same_seed_is_the_same_log),
		cmocka_unit_test(test_images_of_calls),
		cmocka_unit_test(test_images_of_the_world),
		cmocka_unit_test(test_folders_survive_a_power_cut),
		cmocka_unit_test(test_an_opt_out_early_is_not_forgotten),
	};

	images_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
