/* SPDX-License-Identifier: MIT */
/*
 * The way in for every backend, ours and the host's: a table is
 * copied, so that the engine never depends on the host's memory, and what it
 * lacks is told now rather than in the middle of a call.
 */
#include "storage_internal.h"

#include "../base/error.h"

#include <string.h>

typedef struct slot {
	const char *name;
	int present;
} slot;

/* Also empties the copy, so that a table that was refused cannot be called by mistake. */
static int refuse(void *copy, size_t size, int code)
{
	memset(copy, 0, size);
	return code;
}

static int check_zero(const char *table, uint32_t flags, const void *reserved)
{
	if (flags == 0 && reserved == NULL)
		return RCO_OK;
	return rco__fail(RCO_E_NEWER, "%s table: flags and reserved have to be zero", table);
}

static int check_slots(const char *table, const slot *slots, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!slots[i].present)
			return rco__fail(RCO_E_OPS, "%s table: required slot '%s' is NULL", table, slots[i].name);
	return RCO_OK;
}

#define SLOT(table, name)                                                                                         \
	{                                                                                                         \
#name, (table)->name != NULL                                                                      \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int rco__buffer_ops_copy(rco_buffer_ops *dst, const rco_buffer_ops *src)
{
	int rc = rco__struct_copy(dst, sizeof *dst, RCO__SIZE_THROUGH(rco_buffer_ops, reserved), src,
	                          "rco_buffer_ops");
	const slot slots[] = {SLOT(dst, open), SLOT(dst, append), SLOT(dst, read), SLOT(dst, erase)};

	if (rc == RCO_OK)
		rc = check_zero("buffer", dst->flags & ~RCO_BUFFER_GAPS, dst->reserved);
	if (rc == RCO_OK)
		rc = check_slots("buffer", slots, COUNT(slots));
	return rc == RCO_OK ? rc : refuse(dst, sizeof *dst, rc);
}

int rco__upload_ops_copy(rco_upload_ops *dst, const rco_upload_ops *src)
{
	int rc = rco__struct_copy(dst, sizeof *dst, RCO__SIZE_THROUGH(rco_upload_ops, reserved), src,
	                          "rco_upload_ops");
	const slot slots[] = {SLOT(dst, begin), SLOT(dst, put),  SLOT(dst, commit),
	                      SLOT(dst, abort), SLOT(dst, list), SLOT(dst, head)};

	if (rc == RCO_OK)
		rc = check_zero("upload", dst->flags, dst->reserved);
	if (rc == RCO_OK)
		rc = check_slots("upload", slots, COUNT(slots));
	return rc == RCO_OK ? rc : refuse(dst, sizeof *dst, rc);
}

int rco__deletion_ops_copy(rco_deletion_ops *dst, const rco_deletion_ops *src)
{
	int rc = rco__struct_copy(dst, sizeof *dst, RCO__SIZE_THROUGH(rco_deletion_ops, reserved), src,
	                          "rco_deletion_ops");
	const slot slots[] = {SLOT(dst, remove), SLOT(dst, verify)};

	if (rc == RCO_OK)
		rc = check_zero("deletion", dst->flags, dst->reserved);
	if (rc == RCO_OK)
		rc = check_slots("deletion", slots, COUNT(slots));
	return rc == RCO_OK ? rc : refuse(dst, sizeof *dst, rc);
}

int rco__key_ops_copy(rco_key_ops *dst, const rco_key_ops *src)
{
	int rc = rco__struct_copy(dst, sizeof *dst, RCO__SIZE_THROUGH(rco_key_ops, reserved), src, "rco_key_ops");
	const slot slots[] = {SLOT(dst, wrap), SLOT(dst, unwrap)};

	if (rc == RCO_OK)
		rc = check_zero("key", dst->flags, dst->reserved);
	if (rc == RCO_OK)
		rc = check_slots("key", slots, COUNT(slots));
	return rc == RCO_OK ? rc : refuse(dst, sizeof *dst, rc);
}

int rco__recorder_ops_copy(rco_recorder_ops *dst, const rco_recorder_ops *src)
{
	int rc = rco__struct_copy(dst, sizeof *dst, RCO__SIZE_THROUGH(rco_recorder_ops, resume), src,
	                          "rco_recorder_ops");
	/* A backend that can pause has to be able to go on. */
	const slot slots[] = {
		SLOT(dst, start), SLOT(dst, stop), {"resume", dst->resume != NULL || dst->pause == NULL}};

	if (rc == RCO_OK)
		rc = check_zero("recorder", dst->flags & ~(uint32_t)RCO_RECORDER_PUSHES, NULL);
	if (rc == RCO_OK)
		rc = check_slots("recorder", slots, COUNT(slots));
	return rc == RCO_OK ? rc : refuse(dst, sizeof *dst, rc);
}
