/* SPDX-License-Identifier: MIT */
/* The process that comes after: it recovers, and compares what there is with what was promised. */
#include "kill.h"

#include "../../lib/base/bytes.h"
#include "../../lib/session/journal.h"
#include "../support.h"
#include "../support_frames.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

enum { PATIENCE_MS = 60000, PLAIN_MAX = 8 << 20 };

typedef struct found_leg {
	uint32_t files;
	uint64_t frames; /* right ones, from the beginning */
	uint64_t wrong;  /* bytes behind them */
} found_leg;

typedef struct found_call {
	found_leg leg[K_LEGS];
	uint32_t records;
	int gone; /* an opt-out stands: no audio may be anywhere */
} found_call;

typedef struct opt_out {
	uint8_t id[16];
	k_call call;
	int known, tombstone, closed;
} opt_out;

typedef struct judging {
	k_world *w;
	k_verdict *v;
	opt_out opts[K_LIVES * K_PLACES * K_CALLS];
	size_t n_opts;
	found_call calls[K_LIVES][K_PLACES][K_CALLS];
} judging;

typedef void (*call_fn)(judging *j, k_call c);

__attribute__((format(printf, 2, 3))) static void fault(judging *j, const char *format, ...)
{
	va_list args;

	if (j->v->faults++ > 0)
		return;
	va_start(args, format);
	(void)vsnprintf(j->v->fault, sizeof j->v->fault, format, args);
	va_end(args);
}

static found_call *found_of(judging *j, k_call c)
{
	return &j->calls[c.life][c.place][c.number];
}

static void each_call(judging *j, call_fn fn)
{
	k_call c;

	for (c.life = 0; c.life < K_LIVES; c.life++)
		for (c.place = 0; c.place < K_PLACES; c.place++)
			for (c.number = 0; c.number < K_CALLS; c.number++)
				fn(j, c);
}

/* ---- the evidence ---- */

static int parse_id(const char *id, k_call *c)
{
	return sscanf(id, "call-%u-%u-%u", &c->life, &c->place, &c->number) == 3 && c->life < K_LIVES &&
	       c->place < K_PLACES && c->number < K_CALLS;
}

static opt_out *opt_of(judging *j, const uint8_t id[16])
{
	size_t i;

	for (i = 0; i < j->n_opts; i++)
		if (memcmp(j->opts[i].id, id, 16) == 0)
			return &j->opts[i];
	if (j->n_opts == sizeof j->opts / sizeof j->opts[0])
		k_die("the ledger knows more opt-outs than there were calls");
	memcpy(j->opts[j->n_opts].id, id, 16);
	return &j->opts[j->n_opts++];
}

static void read_request(judging *j, opt_out *o, const rco__ledger_entry *entry)
{
	char call_id[RCO_CALL_ID_MAX + 1] = "";
	uint8_t recording_id[16];
	rco__cursor cursor;

	rco__cursor_reader(&cursor, entry->payload, entry->payload_size);
	(void)rco__r8(&cursor);
	rco__rbytes(&cursor, recording_id, sizeof recording_id);
	(void)rco__r32(&cursor);
	(void)rco__r64(&cursor);
	(void)rco__r64(&cursor);
	rco__rstr(&cursor, call_id, sizeof call_id);
	if (cursor.failed || !parse_id(call_id, &o->call))
		fault(j, "entry %" PRIu64 " of the ledger is of the call \"%s\"", entry->seq, call_id);
	else
		o->known = 1;
}

static int replay(const rco__ledger_entry *entry, void *user_data)
{
	judging *j = user_data;
	opt_out *o = opt_of(j, entry->subject);

	if (entry->type == RCO__OPT_TOMBSTONE || entry->type == RCO__OPT_EARLY)
		read_request(j, o, entry);
	o->tombstone |= entry->type == RCO__OPT_TOMBSTONE;
	o->closed |= entry->type == RCO__OPT_CLOSED;
	return RCO_OK;
}

static int is_late(const k_note *note)
{
	uint32_t kind = atomic_load(&note->kind);

	return kind == K_LATE || kind == K_LATE_NONBLOCK;
}

/* No audio of these may be anywhere. */
static void look_at_opt(judging *j, const opt_out *o)
{
	const k_note *note = k_note_of(j->w, o->call);
	uint32_t opt = atomic_load(&note->opt);
	char id[37], call[40];

	rco__uuid_text(o->id, id);
	k_call_id(o->call, call, sizeof call);
	if (!o->known)
		fault(j, "the ledger has a receipt %s of no call", id);
	if (found_of(j, o->call)->gone++ > 0)
		fault(j, "%s: two receipts", call);
	j->v->erased += (uint64_t)o->tombstone;
	/* Of a call whose end the next process does not know they stay open, since it may go on. Known for certain
	 * is an end that was told before the objection: after it, there is no ring that would tell. */
	if (o->tombstone && !o->closed && atomic_load(&note->ended) && is_late(note))
		fault(j, "%s: recovery came to rest, and its record is not closed", call);
	if (atomic_load(&note->id_known) && strcmp(note->receipt_id, id) != 0)
		fault(j, "%s: receipt %s, it was %s", call, id, note->receipt_id);
	if (opt == K_OPT_NOT || opt == K_OPT_REFUSED)
		fault(j, "%s: a receipt, and nobody objected", call);
}

static void read_ledger(judging *j)
{
	char dir[200], quarantine[200];
	rco__ledger_options o = {.keep_for_ever = 1, .dir = dir, .quarantine_dir = quarantine};
	rco__ledger_report report;
	rco__ledger *ledger;
	size_t i;

	t_join(dir, sizeof dir, j->w->state, "ledger");
	t_join(quarantine, sizeof quarantine, j->w->root, "ledger-quarantine");
	if (rco__env_init(&o.env, NULL, NULL, NULL, NULL) != RCO_OK ||
	    rco__ledger_open(&o, replay, j, &report, &ledger) != RCO_OK) {
		fault(j, "the ledger cannot be read: %s", rco_error_detail());
		return;
	}
	rco__ledger_close(ledger);
	if (report.damaged > 0)
		fault(j, "the ledger is damaged in %" PRIu64 " places", report.damaged);
	for (i = 0; i < j->n_opts; i++)
		look_at_opt(j, &j->opts[i]);
}

static void check_known(judging *j, k_call c)
{
	const k_note *note = k_note_of(j->w, c);
	uint32_t opt = atomic_load(&note->opt);

	/* Stopped after hang-up and not yet durable: no ring is left that could remember it, and it was not told
	 * to be durable. */
	if (opt != K_OPT_DURABLE && (opt != K_OPT_STOPPED || atomic_load(&note->kind) == K_LATE_NONBLOCK))
		return;
	if (!found_of(j, c)->gone)
		fault(j, "call-%u-%u-%u: opted out (%u), and no receipt is known", c.life, c.place, c.number, opt);
	found_of(j, c)->gone = 1;
}

/* What the engine itself says of those that it took up. */
static void ask_engine(judging *j, k_call c)
{
	const uint32_t must = RCO_FACT_STOPPED | RCO_FACT_DURABLE, noted = RCO_FACT_EARLY | RCO_FACT_DURABLE;
	rco_receipt *r = NULL;
	uint32_t status;
	char id[40];

	k_call_id(c, id, sizeof id);
	if (rco_engine_receipt(j->w->engine, id, &r) != RCO_OK) {
		if (atomic_load(&k_note_of(j->w, c)->opt) == K_OPT_DURABLE)
			fault(j, "%s: nothing is known of its opt-out any more", id);
		return;
	}
	status = rco_receipt_status(r);
	/* The kill came before anything else was known of the call: the wish waits. */
	if (atomic_load(&k_note_of(j->w, c)->kind) == K_EARLY && status == RCO_STATUS_NOTED &&
	    rco_receipt_facts(r) == noted) {
		rco_receipt_free(r);
		return;
	}
	if ((rco_receipt_facts(r) & must) != must ||
	    (status != RCO_STATUS_VERIFIED && status != RCO_STATUS_NOT_RECORDING))
		fault(j, "%s: status %s, facts %x after recovery", id, rco_status_name(status),
		      rco_receipt_facts(r));
	rco_receipt_free(r);
}

/* ---- files ---- */

/* The bytes of a finished file, unpacked; NULL and a fault if that cannot be done. */
static uint8_t *load_plain(judging *j, const char *path, size_t *size)
{
	size_t length = strlen(path), n;
	uint8_t *file = t_read_file(path, size), *plain;

	if (file == NULL || length < 4 || strcmp(path + length - 4, ".zst") != 0)
		return file;
	plain = malloc(PLAIN_MAX);
	n = plain != NULL ? ZSTD_decompress(plain, PLAIN_MAX, file, *size) : 0;
	free(file);
	if (plain == NULL || ZSTD_isError(n)) {
		fault(j, "%s cannot be unpacked", path);
		free(plain);
		return NULL;
	}
	*size = n;
	return plain;
}

/* Whatever of an opted-out call is in there, by its frames' beginning. */
static void look_for_gone(judging *j, const char *path, const uint8_t *data, size_t size, int any)
{
	const uint8_t *at = data;
	uint32_t leg;
	k_call c;

	while ((at = memmem(at, size - (size_t)(at - data), k_magic, K_MAGIC)) != NULL) {
		int known = k_owner(at, size - (size_t)(at - data), &c, &leg);

		if (any || !known || found_of(j, c)->gone)
			fault(j, "%s: audio at %zu%s", path, (size_t)(at - data),
			      known && found_of(j, c)->gone ? " of a call that was opted out" : "");
		at++;
	}
}

static void compare_frames(found_leg *l, k_call c, uint32_t leg, const uint8_t *samples, size_t size)
{
	uint8_t want[K_FRAME_MAX];
	size_t at = 0, n, gap;

	l->frames = 0;
	for (;;) {
		n = k_frame(c, leg, l->frames, want);
		gap = t_gap_at(k_gaps(c, leg), l->frames, n, k_format(c), samples, size, at);
		if (size - at - gap < n || memcmp(samples + at + gap, want, n) != 0)
			break;
		at += gap + n;
		l->frames++;
	}
	l->wrong += size - at;
}

static void look_at_audio(judging *j, const char *path, const char *label, const uint8_t *file, size_t size)
{
	const uint8_t *samples;
	size_t bytes = 0;
	uint32_t leg;
	k_call c;

	if (sscanf(label, ".v%up%uc%ul%u.wav", &c.life, &c.place, &c.number, &leg) != 4 || c.life >= K_LIVES ||
	    c.place >= K_PLACES || c.number >= K_CALLS || leg >= K_LEGS) {
		fault(j, "%s: not a label that was given", path);
		return;
	}
	samples = t_wav_samples(file, size, &bytes);
	if (samples == NULL) {
		fault(j, "%s is not a WAV file", path);
		return;
	}
	found_of(j, c)->leg[leg].files++;
	compare_frames(&found_of(j, c)->leg[leg], c, leg, samples, bytes);
}

static void look_at_record(judging *j, const char *path, const uint8_t *file)
{
	const char *id = strstr((const char *)file, "\"call-");
	k_call c;

	if (id == NULL || !parse_id(id + 1, &c))
		fault(j, "%s is not a call record", path);
	else
		found_of(j, c)->records++;
}

static void look_at_output(const char *path, void *user_data)
{
	const char *name = strrchr(path, '/') + 1, *label = strchr(name, '.');
	judging *j = user_data;
	size_t size = 0;
	uint8_t *file;

	if (strcmp(name, ".recoptout-store") == 0)
		return; /* the folder's id */
	if (label == NULL || strstr(label, ".tmp") != NULL || name[0] == '.') {
		fault(j, "%s is left over", path);
		return;
	}
	file = load_plain(j, path, &size);
	if (file == NULL)
		return;
	look_for_gone(j, path, file, size, 0);
	if (strcmp(label, ".json") == 0)
		look_at_record(j, path, file);
	else
		look_at_audio(j, path, label, file, size);
	free(file);
}

static void look_at_state(const char *path, void *user_data)
{
	judging *j = user_data;
	size_t size = 0;
	uint8_t *file = t_read_file(path, &size);

	if (file != NULL)
		look_for_gone(j, path, file, size, 1);
	free(file);
}

/* ---- the sum of it ---- */

static void compare_kept(judging *j, k_call c, uint32_t leg)
{
	uint64_t accepted = atomic_load(&k_note_of(j->w, c)->accepted[leg]);
	const found_leg *l = &found_of(j, c)->leg[leg];

	j->v->frames += accepted;
	/* The push that was interrupted may have been accepted. */
	if (l->files > 1 || (accepted > 0 && l->files == 0) || l->frames < accepted || l->frames > accepted + 1 ||
	    l->wrong > 0)
		fault(j,
		      "call-%u-%u-%u leg %u: %" PRIu64 " frames accepted, %" PRIu64 " found in %u files, %" PRIu64
		      " bytes wrong",
		      c.life, c.place, c.number, leg, accepted, l->frames, l->files, l->wrong);
}

static void compare(judging *j, k_call c)
{
	const k_note *note = k_note_of(j->w, c);
	const found_call *f = found_of(j, c);
	uint64_t accepted = atomic_load(&note->accepted[0]) + atomic_load(&note->accepted[1]);
	uint32_t leg;

	j->v->calls += atomic_load(&note->begun);
	j->v->kept += atomic_load(&note->begun) && !f->gone;
	for (leg = 0; leg < K_LEGS; leg++)
		if (!f->gone)
			compare_kept(j, c, leg);
		else if (f->leg[leg].files > 0)
			fault(j, "call-%u-%u-%u leg %u: opted out, and there is a file", c.life, c.place, c.number,
			      leg);
	if (f->records > 1 || (accepted > 0 && f->records == 0))
		fault(j, "call-%u-%u-%u: %u call records", c.life, c.place, c.number, f->records);
}

void k_recover(const char *root, k_verdict *verdict)
{
	judging *j = calloc(1, sizeof *j);
	k_world w;
	int rc;

	if (j == NULL)
		k_die("out of memory");
	k_world_attach(&w, root);
	j->w = &w;
	j->v = verdict;
	k_world_open(&w, K_THREADS);
	rc = rco_engine_wait_idle(w.engine, PATIENCE_MS);
	if (rc != RCO_OK)
		fault(j, "recovery does not come to rest: %s", rco_error_name(rc));
	each_call(j, ask_engine);
	k_world_close(&w);
	read_ledger(j);
	each_call(j, check_known);
	t_tree_each(w.out, look_at_output, j);
	t_tree_each(w.state, look_at_state, j);
	t_tree_each(w.rings, look_at_state, j);
	each_call(j, compare);
	k_world_detach(&w);
	free(j);
}
