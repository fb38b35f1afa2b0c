/* SPDX-License-Identifier: MIT */
/*
 * What has to be true at the end, checked from outside: from the files that
 * are left, the input, and what rco_session_push() answered.
 */
#include "proof.h"

#include <dirent.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void proof_say(struct proof *proof, int good, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	printf("%-5s %s\n", good ? "ok" : "FAIL", text);
	if (!good)
		proof->bad = 1;
}

/* ---- the calls that are kept ---- */

static void find_records(struct proof *proof)
{
	DIR *dir = opendir(proof->folders->recordings);
	struct dirent *entry;
	unsigned found = 0, twice = 0, broken = 0;

	while (dir && (entry = readdir(dir)) != NULL) {
		size_t length = strlen(entry->d_name);
		char path[DEMO_PATH];
		json_t *root;
		const char *id;
		int call;

		if (length < 6 || length > 255 || strcmp(entry->d_name + length - 5, ".json") != 0 ||
		    snprintf(path, sizeof path, "%s/%s", proof->folders->recordings, entry->d_name) >=
		            (int)sizeof path)
			continue;
		root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
		id = json_string_value(json_object_get(root, "call_id"));
		call = id ? plan_index(id) : -1;
		if (call < 0)
			broken++;
		else if (proof->name[call][0])
			twice++;
		else {
			snprintf(proof->name[call], sizeof proof->name[call], "%.*s", (int)(length - 5),
			         entry->d_name);
			found++;
		}
		json_decref(root);
	}
	if (dir)
		closedir(dir);
	proof_say(proof, found == CALLS && !twice && !broken,
	          "call records: %u of %d calls have one that parses (%u double, %u unreadable)", found, CALLS,
	          twice, broken);
}

static uint32_t wav_tag(uint32_t format)
{
	return format == RCO_FORMAT_PCMU_8K ? 7 : format == RCO_FORMAT_PCMA_8K ? 6 : 1;
}

/* Stored must be: the accepted stretches, one behind the other; and, where the kill fell into a push, perhaps its
 * frame. */
static const char *compare_leg(const struct leg_board *lb, const struct leg_audio *audio, const struct wav *wav)
{
	uint64_t accepted = board_accepted(lb), at = 0, pending = atomic_load(&lb->pending_bytes), from;

	for (uint32_t i = 0; i < atomic_load(&lb->runs); i++) {
		uint64_t n;

		from = atomic_load(&lb->run[i].from);
		n = atomic_load(&lb->run[i].to) - from;
		if (wav->data_bytes - at < n)
			return "accepted audio is missing";
		if (memcmp(wav->data + at, audio->data + from, n) != 0)
			return "the audio differs";
		at += n;
	}
	if (at == wav->data_bytes)
		return accepted ? NULL : "nothing was accepted";
	from = atomic_load(&lb->pending_from);
	if (wav->data_bytes - at != pending || memcmp(wav->data + at, audio->data + from, pending) != 0)
		return "there is audio that was not accepted";
	return NULL;
}

static const char *check_leg(const struct proof *proof, unsigned call, unsigned leg, uint64_t *bytes)
{
	uint32_t format = plans[call].format[leg];
	const char *wrong = "is not a WAVE file";
	char path[DEMO_PATH];
	struct wav wav;
	size_t size;
	uint8_t *file;

	if (snprintf(path, sizeof path, "%s/%s.%s.wav", proof->folders->recordings, proof->name[call],
	             leg_labels[leg]) >= (int)sizeof path)
		return "has too long a path";
	file = file_read(path, &size);
	if (!file)
		return "cannot be read";
	if (wav_parse(file, size, &wav) == 0) {
		*bytes += wav.data_bytes;
		if (wav.tag != wav_tag(format) || wav.channels != 1 || wav.rate_hz != rco_format_rate_hz(format) ||
		    wav.bits != 8 * rco_format_sample_bytes(format))
			wrong = "has another format than the call";
		else
			wrong = compare_leg(&proof->board->call[call].leg[leg], &proof->speech->leg[call][leg],
			                    &wav);
	}
	free(file);
	return wrong;
}

static void check_kept(struct proof *proof)
{
	unsigned legs = 0, calls = 0;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < CALLS; i++) {
		if (!plans[i].kept)
			continue;
		calls++;
		for (unsigned leg = 0; leg < LEGS; leg++) {
			const char *wrong = check_leg(proof, i, leg, &bytes);

			if (wrong)
				proof_say(proof, 0, "%s: %s.%s.wav %s", plans[i].id, proof->name[i],
				          leg_labels[leg], wrong);
			else
				legs++;
		}
	}
	proof_say(proof, legs == calls * LEGS,
	          "kept: %u of %u legs of %u calls equal the input, bit for bit (%u kB), the three "
	          "that the kill cut included",
	          legs, calls * LEGS, calls, (unsigned)(bytes / 1000));
}

static int is_expected(const struct proof *proof, const char *file)
{
	char name[512];

	for (unsigned i = 0; i < CALLS; i++) {
		snprintf(name, sizeof name, "%s.json", proof->name[i]);
		if (strcmp(file, name) == 0)
			return 1;
		for (unsigned leg = 0; leg < LEGS && plans[i].kept; leg++) {
			snprintf(name, sizeof name, "%s.%s.wav", proof->name[i], leg_labels[leg]);
			if (strcmp(file, name) == 0)
				return 1;
		}
	}
	return 0;
}

/* Stored once, and nothing else: no second copy under another name, no half-written file. */
static void check_files(struct proof *proof)
{
	const char *folders[] = {proof->folders->recordings, proof->folders->host};
	unsigned expected = 0;

	for (unsigned k = 0; k < 2; k++) {
		DIR *dir = opendir(folders[k]);
		struct dirent *entry;

		while (dir && (entry = readdir(dir)) != NULL) {
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			if (k == 0 && strcmp(entry->d_name, ".recoptout-store") == 0)
				continue; /* the folder's id, see docs/operations.md */
			if (k == 0 && is_expected(proof, entry->d_name))
				expected++;
			else
				proof_say(proof, 0, "%s/%s should not be there", folders[k], entry->d_name);
		}
		if (dir)
			closedir(dir);
	}
	proof_say(proof, expected == CALLS + 22,
	          "files: %u in the folder of recordings, each call stored once; "
	          "none left of the host's own recorder",
	          expected);
}

/* ---- the calls that are not ---- */

static void check_stop(struct proof *proof)
{
	uint64_t accepted = 0, refused = 0;

	for (unsigned i = 0; i < CALLS; i++) {
		for (unsigned leg = 0; leg < LEGS; leg++) {
			accepted += atomic_load(&proof->board->call[i].leg[leg].accepted_after_stop);
			refused += atomic_load(&proof->board->call[i].leg[leg].refused_after_stop);
		}
	}
	proof_say(proof, accepted == 0 && refused > 0,
	          "stop: of %u frames pushed after an opt-out had returned %u were accepted",
	          (unsigned)(accepted + refused), (unsigned)accepted);
}

static int receipt_good(const struct proof *proof, unsigned call)
{
	const struct call_board *cb = &proof->board->call[call];
	char forged[RCO_RECEIPT_JSON_MAX];
	char *id;
	uint32_t status = 0;

	if (rco_receipt_verify(cb->receipt, cb->receipt_length, proof->board->public_key[1], &status) != RCO_OK)
		return 0;
	memcpy(forged, cb->receipt, sizeof forged);
	id = strstr(forged, plans[call].id);
	if (!id || status != cb->status)
		return 0;
	id[strlen(plans[call].id) - 1] ^= 1; /* the same receipt for another call */
	return rco_receipt_verify(forged, cb->receipt_length, proof->board->public_key[1], NULL) ==
	       RCO_E_SIGNATURE;
}

static void check_receipts(struct proof *proof)
{
	unsigned good = 0, out = 0, erased = 0;

	for (unsigned i = 0; i < CALLS; i++) {
		const struct call_board *cb = &proof->board->call[i];

		if (plans[i].kept)
			continue;
		out++;
		if (receipt_good(proof, i))
			good++;
		else
			proof_say(proof, 0, "%s: receipt does not verify: %s", plans[i].id, cb->receipt);
		if (cb->status == RCO_STATUS_VERIFIED || cb->status == RCO_STATUS_NOT_RECORDING)
			erased++;
		else
			proof_say(proof, 0, "%s: status is %s", plans[i].id, rco_status_name(cb->status));
	}
	proof_say(proof, good == out && memcmp(proof->board->public_key[0], proof->board->public_key[1], 32) == 0,
	          "receipts: %u of %u verify with the engine's public key, and no longer with one bit changed",
	          good, out);
	proof_say(proof, erased == out,
	          "erasure: %u of %u calls report it verified, or that there was nothing to erase", erased, out);
	printf("      for example %s\n", proof->board->call[CALLS - 1].receipt);
}

static void check_engine(struct proof *proof)
{
	const struct board *b = proof->board;

	proof_say(proof, b->peak_open == CALLS && b->peak_recording >= 20,
	          "load: %u calls at once, %u of them being recorded", (unsigned)b->peak_open,
	          (unsigned)b->peak_recording);
	proof_say(proof, b->left_pending == 0 && b->quarantined_files == 0 && atomic_load(&b->escalations) == 0,
	          "engine: %u pieces of work left, %u damaged files, %u escalations; %u retries on the way",
	          (unsigned)b->left_pending, (unsigned)b->quarantined_files,
	          (unsigned)atomic_load(&b->escalations), (unsigned)atomic_load(&b->retries));
	proof_say(proof, b->held_after_crash == 1,
	          "legal hold: %u call was still held after the crash, and erased when lifted",
	          (unsigned)b->held_after_crash);
}

static void list_recordings(const struct proof *proof)
{
	timeline_heading("RECORDINGS, to be opened with any player");
	printf("in %s:\n", proof->folders->recordings);
	for (unsigned i = 0; i < CALLS; i++) {
		if (plans[i].kept && proof->name[i][0])
			printf("%s  %s.{%s,%s}.wav\n", plans[i].id, proof->name[i], leg_labels[0], leg_labels[1]);
	}
}

int proof_run(const struct board *board, const struct speech *speech, const struct folders *folders)
{
	static struct proof proof;

	proof.board = board;
	proof.speech = speech;
	proof.folders = folders;
	timeline_heading("PROOF");
	check_engine(&proof);
	find_records(&proof);
	check_kept(&proof);
	check_files(&proof);
	check_stop(&proof);
	check_receipts(&proof);
	proof_search(&proof);
	list_recordings(&proof);
	return proof.bad;
}
