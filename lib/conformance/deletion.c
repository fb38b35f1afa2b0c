/* SPDX-License-Identifier: MIT */
/* Obligations of a deletion table that does what it is asked. */
#include "kit.h"

#include <stdio.h>
#include <string.h>

static void removed(rco__kit_ctx *c)
{
	rco__kit_item it, other, never;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_item_make(c, &other, RCO_KIND_AUDIO);
	rco__kit_item_make(c, &never, RCO_KIND_AUDIO);
	rco__kit_remove(c, &never, "");
	rco__kit_store(c, &it, 32);
	rco__kit_store(c, &other, 33);
	rco__kit_remove(c, &it, "");
	rco__kit_expect_hidden(c, &it);
	rco__kit_expect_count(c, &it, 0);
	rco__kit_remove(c, &it, "");
	rco__kit_expect_file(c, &other, 33, 3500);
	rco__kit_remove(c, &other, other.version);
	rco__kit_expect_hidden(c, &other);
	rco__kit_expect_count(c, &other, 0);
}

/* Also what was stored again after a remove that was confirmed. */
static void verified(rco__kit_ctx *c)
{
	rco__kit_item it;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_expect_verified(c, &it, "", RCO_CONFIRM_GONE);
	rco__kit_store(c, &it, 42);
	rco__kit_expect_verified(c, &it, "", RCO_CONFIRM_PRESENT);
	rco__kit_expect_verified(c, &it, it.version, RCO_CONFIRM_PRESENT);
	rco__kit_remove(c, &it, "");
	rco__kit_expect_verified(c, &it, "", RCO_CONFIRM_GONE);
	rco__kit_expect_verified(c, &it, it.version, RCO_CONFIRM_GONE);
	rco__kit_store(c, &it, 43);
	rco__kit_expect_verified(c, &it, "", RCO_CONFIRM_PRESENT);
	rco__kit_remove(c, &it, "");
	rco__kit_expect_verified(c, &it, "", RCO_CONFIRM_GONE);
}

/* A store without versions replaces the file; one with versions has two. */
static void versions(rco__kit_ctx *c)
{
	rco__kit_item it, first;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	rco__kit_store(c, &it, 34);
	first = it;
	rco__kit_store(c, &it, 35);
	rco__kit_expect_file(c, &it, 35, 3500);
	if (first.version[0] != '\0') {
		rco__kit_expect(c, strcmp(first.version, it.version) != 0, "two versions have one name");
		rco__kit_expect_count(c, &it, 2);
		rco__kit_remove(c, &it, first.version);
		rco__kit_expect_verified(c, &it, first.version, RCO_CONFIRM_GONE);
		rco__kit_expect_verified(c, &it, it.version, RCO_CONFIRM_PRESENT);
		rco__kit_expect_file(c, &it, 35, 3500);
		rco__kit_expect_count(c, &it, 1);
		rco__kit_store(c, &it, 36);
	}
	rco__kit_remove(c, &it, "");
	rco__kit_expect_count(c, &it, 0);
	rco__kit_expect_hidden(c, &it);
}

/* A location of the host: either it is not for this backend, or what is not there is gone. */
static void host(rco__kit_ctx *c)
{
	rco__kit_item it;
	int rc;

	rco__kit_item_make(c, &it, RCO_KIND_AUDIO);
	it.store = RCO_STORE_HOST;
	(void)snprintf(it.key, sizeof it.key, "/nonexistent/recoptout/conformance.wav");
	rc = rco__kit_try(c, rco__kit_new_file(c, RCO__KIT_REMOVE, &it));
	if (rc != RCO_OK && rc != RCO_E_DECLINED)
		rco__kit_broken(c, "remove answered %s", rco_error_name(rc));
	rco__kit_expect(c, rco__kit_try(c, rco__kit_new_file(c, RCO__KIT_VERIFY, &it)) == rc,
	                "verify did not answer as remove did");
}

const rco__kit_check rco__kit_deletion_checks[] = {
	{"deletion.remove", "remove leaves nothing of this file, and all of others", removed, RCO__KIT_FILES},
	{"deletion.verify", "verify looks itself, whatever remove has said", verified, RCO__KIT_FILES},
	{"deletion.versions", "remove takes the version that is named and no other, or all of them", versions,
         RCO__KIT_FILES},
	{"deletion.host", "what the host keeps is declined, or looked for", host, RCO__KIT_DELETION},
};

const size_t rco__kit_deletion_count = sizeof rco__kit_deletion_checks / sizeof rco__kit_deletion_checks[0];
