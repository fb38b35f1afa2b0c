/* SPDX-License-Identifier: MIT */
/*
 * Reading what an earlier process left: slots make recordings, segments give
 * them their audio. A record is found again
 * behind damage by its magic and checksum, since records begin at multiples of
 * eight: damage costs the records it hits and no other.
 */
#include "spool_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_DIGITS = 16 };

/* ---- recordings ---- */

int rco__spool_found_slot(rco_spool *spool, uint64_t index, const rco__slot *slot)
{
	rco__spooled *r = rco__spooled_new(spool, slot->id), *other;
	int rc;

	if (r == NULL)
		return RCO_E_NO_MEMORY;
	other = rco__spooled_insert(spool, r);
	if (other != NULL) { /* cannot be: the first stays, and no second key may be left when that is erased */
		rco__log(&spool->env, RCO_LOG_ERROR,
		         "%s: key slot %llu is of the same recording as slot %llu and is wiped", spool->path,
		         (unsigned long long)index, (unsigned long long)other->slot);
		rco__spooled_put(spool, other);
		rco__spooled_free(spool, r);
		return rco__slot_wipe(spool, index);
	}
	r->state = RCO__SPOOLED_OPEN;
	r->slot = index;
	r->epoch = slot->epoch;
	r->serial = slot->serial;
	memcpy(r->wrapped, slot->wrapped, sizeof r->wrapped);
	memcpy(r->meta, slot->meta, slot->meta_size);
	r->meta_size = slot->meta_size;
	rc = rco__epoch_found(spool, slot->epoch);
	rco__spooled_put(spool, r);
	return rc;
}

/* It lies behind damage and cannot be reached, but its segment stays while its call does. */
static int found_stray(rco_spool *spool, rco__spooled *r, rco__segment *segment, const rco__record *record)
{
	size_t size = rco__record_size(record->cipher_size);

	if (r->n_strays == r->cap_strays && (r->n_strays == 0 || r->strays[r->n_strays - 1].segment != segment)) {
		size_t cap = r->cap_strays == 0 ? 4 : r->cap_strays * 2;
		rco__stray *strays = rco__resize(&spool->env, r->strays, cap * sizeof *strays);

		if (strays == NULL)
			return rco__fail(RCO_E_NO_MEMORY, "no memory for the index of a recording");
		r->strays = strays;
		r->cap_strays = cap;
	}
	if (r->n_strays == 0 || r->strays[r->n_strays - 1].segment != segment)
		r->strays[r->n_strays++] = (rco__stray){.segment = segment};
	r->strays[r->n_strays - 1].size += size;
	segment->live += size;
	segment->stuck = 1;
	if (record->coding != RCO__CODING_GAP)
		r->damaged_bytes += record->raw_size;
	return RCO_OK;
}

static int found_record(rco_spool *spool, rco__segment *segment, uint64_t offset, const rco__record *record)
{
	rco__spooled *r = rco__spooled_find(spool, record->id); /* no other thread knows the spool yet */
	rco__piece piece = {.segment = segment, .offset = offset, .gap = record->coding == RCO__CODING_GAP};
	rco__spool_leg *leg;
	uint64_t end = record->position + record->raw_size;
	int rc;

	if (r == NULL || r->serial != record->serial)
		return RCO_OK; /* its recording was erased */
	leg = &r->legs[record->leg];
	if (leg->held == 0)
		leg->format = record->format;
	if (end <= leg->held)
		return RCO_OK; /* written twice: the first time without an answer, or in a compacted segment too */
	/* The last: no segment of ours is so long that the index has no room for the place. */
	if (record->position > leg->held || leg->format != record->format ||
	    offset / RCO__SPOOL_ALIGN > UINT32_MAX)
		return found_stray(spool, r, segment, record);
	rc = rco__leg_reserve(spool, leg);
	if (rc != RCO_OK)
		return rc;
	piece.position = leg->held;
	piece.skip = (uint32_t)(leg->held - record->position);
	piece.size = record->raw_size - piece.skip;
	piece.record_size = (uint32_t)rco__record_size(record->cipher_size);
	segment->live += piece.record_size;
	rco__leg_add(leg, &piece);
	return RCO_OK;
}

/* ---- segments ---- */

/* What is known of a segment when it has been read. */
typedef struct findings {
	uint64_t lost, lost_at; /* bytes of the present damage */
	uint64_t damaged;       /* all of it */
	int torn;               /* the damage looks like a record that was cut off */
	int any;                /* there are bytes other than zero behind the header */
} findings;

static void notify_damage(rco_spool *spool, const rco__segment *seg, findings *f)
{
	if (f->lost > 0 && f->torn)
		rco__log(&spool->env, RCO_LOG_INFO,
		         "%s/%016llx.rcos: an unfinished record at its end, normal after a crash", spool->path,
		         (unsigned long long)seg->number);
	else if (f->lost > 0)
		rco__log(&spool->env, RCO_LOG_WARN,
		         "%s/%016llx.rcos: %llu bytes from %llu on are damaged and passed over; the rest is kept",
		         spool->path, (unsigned long long)seg->number, (unsigned long long)f->lost,
		         (unsigned long long)f->lost_at);
	if (!f->torn)
		f->damaged += f->lost;
	f->lost = 0;
	f->torn = 0;
}

/* Eight bytes that begin no record. */
static void pass_over(findings *f, uint64_t at, const uint8_t *p, size_t size)
{
	static const uint8_t zeros[RCO__SPOOL_ALIGN];
	size_t n = size < sizeof zeros ? size : sizeof zeros;

	/* Zeros are a place that was taken and not written before the crash. */
	if (memcmp(p, zeros, n) == 0)
		return;
	f->any = 1;
	if (f->lost == 0) {
		f->lost_at = at;
		/* Begun and longer than the file: cut off. */
		f->torn = size < RCO__SPOOL_REC_HEADER || (rco__get32(p) == RCO__SPOOL_REC_MAGIC &&
		                                           rco__get32(p + 32) > size - RCO__SPOOL_REC_HEADER);
	}
	f->lost += n;
}

static int scan_records(rco_spool *spool, rco__segment *seg, rco__window *w, findings *f)
{
	uint64_t at = RCO__SPOOL_SEG_HEADER;
	const uint8_t *p;
	size_t size;
	int rc = RCO_OK;

	while (rc == RCO_OK && at < w->size) {
		rco__record r;

		rc = rco__window_look(spool, w, at, &p, &size);
		if (rc != RCO_OK || size == 0)
			break;
		rc = rco__record_parse(p, size, &r);
		if (rc == RCO_E_VERSION)
			return rco__fail(rc, "%s holds records of a newer library", spool->path);
		if (rc == RCO_OK) {
			f->torn = 0; /* not at the end: no crash did that */
			notify_damage(spool, seg, f);
			f->any = 1;
			rc = found_record(spool, seg, at, &r);
			at += rco__record_size(r.cipher_size);
		} else {
			pass_over(f, at, p, size);
			at += RCO__SPOOL_ALIGN;
			rc = RCO_OK;
		}
	}
	if (rc == RCO_OK)
		notify_damage(spool, seg, f);
	return rc;
}

/* OTHER: of another spool, or of ours before the header of its slot file was damaged. */
enum { HEADER_OURS, HEADER_OTHER, HEADER_EMPTY, HEADER_BAD };

static int check_header(const rco_spool *spool, uint64_t number, const uint8_t *p, size_t size, int *state)
{
	static const uint8_t zeros[RCO__SPOOL_SEG_HEADER];

	*state = HEADER_BAD;
	if (size >= RCO__SPOOL_SEG_HEADER && memcmp(p, RCO__SPOOL_SEG_MAGIC, 8) == 0 &&
	    rco__get32(p + RCO__SPOOL_SEG_CRC_AT) == rco__crc32c(0, p, RCO__SPOOL_SEG_CRC_AT)) {
		if (rco__get16(p + 8) != RCO__SPOOL_SEG_VERSION)
			return rco__fail(
				RCO_E_VERSION,
				"segment %016llx in %s was written by %s version of the library: let that one "
				"finish its calls, or start with an empty folder",
				(unsigned long long)number, spool->path,
				rco__get16(p + 8) < RCO__SPOOL_SEG_VERSION ? "an older" : "a newer");
		*state = rco__get64(p + 16) == number && memcmp(p + 32, spool->id, 16) == 0 ? HEADER_OURS
		                                                                            : HEADER_OTHER;
	} else if (memcmp(p, zeros, size < sizeof zeros ? size : sizeof zeros) == 0) {
		*state = HEADER_EMPTY; /* made just before a power cut */
	}
	return RCO_OK;
}

static int read_segment(rco_spool *spool, rco__segment *seg, rco__window *w, int *foreign)
{
	findings f = {.lost = 0};
	const uint8_t *p;
	size_t size;
	int state, rc = rco__window_open(spool, w, seg->fd);

	if (rc == RCO_OK)
		rc = rco__window_look(spool, w, 0, &p, &size);
	if (rc == RCO_OK)
		rc = check_header(spool, seg->number, p, size, &state);
	if (rc == RCO_OK)
		rc = scan_records(spool, seg, w, &f);
	if (rc != RCO_OK)
		return rc;
	/* Records carry all they need: behind a damaged header they are as good. Without any, it is not ours. */
	*foreign = seg->live == 0 &&
	           (state == HEADER_BAD || state == HEADER_OTHER || (state == HEADER_EMPTY && f.any));
	if (seg->live > 0 && (state == HEADER_BAD || state == HEADER_EMPTY)) {
		rco__log(&spool->env, RCO_LOG_WARN, "%s/%016llx.rcos: its header is damaged; its records are kept",
		         spool->path, (unsigned long long)seg->number);
		f.damaged++;
	}
	seg->size = w->size;
	if (f.damaged > 0)
		seg->stuck = 1;
	if (f.damaged > 0 || *foreign)
		atomic_fetch_add(&spool->quarantined, 1);
	return RCO_OK;
}

static int open_segment(rco_spool *spool, uint64_t number, rco__window *w)
{
	const rco__fs *fs = spool->env.fs;
	char name[RCO__SPOOL_NAME], path[RCO__SPOOL_PATH];
	int rc, kind, foreign = 0;
	rco__segment *seg;

	rco__segment_name(number, name);
	rco__spool_file(spool, name, path);
	rc = fs->exists(fs->ctx, path, &kind, NULL);
	if (rc != RCO_OK)
		return rc;
	if (!rco__fs_regular(kind)) {
		rco__log(&spool->env, RCO_LOG_WARN, "%s is no file and is left alone", path);
		return RCO_OK;
	}
	seg = rco__segment_new(spool, number);
	if (seg == NULL)
		return RCO_E_NO_MEMORY;
	rc = fs->open(fs->ctx, path, RCO__FS_READ, &seg->fd);
	if (rc == RCO_OK)
		rc = read_segment(spool, seg, w, &foreign);
	if (rc != RCO_OK && seg->live == 0) {
		rco__segment_free(spool, seg);
		return rc;
	}
	if (foreign) {
		rco__segment_free(spool, seg);
		return rco__quarantine(&spool->env, spool->path, name, spool->quarantine,
		                       "it is no segment of this spool, or none that can be read");
	}
	seg->closed = 1;
	seg->dirty = 1; /* the process before may have died between writing and syncing */
	seg->next = spool->segments;
	spool->segments = seg;
	return rc;
}

/* ---- which there are ---- */

typedef struct numbers {
	rco_spool *spool;
	const char *suffix;
	uint64_t *list;
	size_t count, cap;
	int rc;
} numbers;

static int parse_name(const char *name, const char *suffix, uint64_t *number)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	*number = 0;
	for (i = 0; i < NAME_DIGITS; i++) {
		const char *d = name[i] != '\0' ? strchr(digits, name[i]) : NULL;

		if (d == NULL)
			return 0;
		*number = *number << 4 | (uint64_t)(d - digits);
	}
	/* A number so high is none of ours, and counting on from it would overflow. */
	return *number >> 62 == 0 && strcmp(name + NAME_DIGITS, suffix) == 0;
}

static int add_name(const char *name, void *user_data)
{
	numbers *n = user_data;
	uint64_t number;

	if (!parse_name(name, n->suffix, &number))
		return 0;
	if (n->count == n->cap) {
		size_t cap = n->cap == 0 ? 64 : n->cap * 2;
		uint64_t *list = rco__resize(&n->spool->env, n->list, cap * sizeof *list);

		if (list == NULL) {
			n->rc = rco__fail(RCO_E_NO_MEMORY, "no memory for the names of the spool's files");
			return 1;
		}
		n->list = list;
		n->cap = cap;
	}
	n->list[n->count++] = number;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

int rco__spool_numbers(rco_spool *spool, const char *suffix, uint64_t **list, size_t *count)
{
	const rco__fs *fs = spool->env.fs;
	numbers n = {.spool = spool, .suffix = suffix};
	int rc = fs->list(fs->ctx, spool->path, add_name, &n);

	if (rc == RCO_OK)
		rc = n.rc;
	if (rc == RCO_OK && n.count > 0)
		qsort(n.list, n.count, sizeof *n.list, by_number);
	*list = n.list;
	*count = n.count;
	return rc;
}

int rco__segments_open(rco_spool *spool)
{
	rco__window w = {.cap = 0};
	uint64_t *list = NULL;
	size_t n = 0, i;
	int rc = rco__spool_numbers(spool, ".rcos", &list, &n);

	if (rc == RCO_OK && n > 0)
		rc = rco__window_init(spool, &w);
	for (i = 0; i < n && rc == RCO_OK; i++) {
		rc = open_segment(spool, list[i], &w);
		spool->next_number = list[i] + 1;
	}
	rco__window_free(spool, &w);
	rco__release(&spool->env, list);
	if (rc == RCO_OK)
		rco__segments_tidy(spool);
	return rc;
}
