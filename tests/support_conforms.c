/* SPDX-License-Identifier: MIT */
#include "conforms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void print_broken(const rco_conformance_report *r, void *user_data)
{
	(void)user_data;
	if (r->outcome == RCO_CONFORMANCE_BROKEN)
		print_error("%s: %s, but %s\n", r->name, r->obligation, r->seen);
}

void t_conforms(const rco_conformance *kit)
{
	assert_int_equal(rco_conformance_run(kit, print_broken, NULL), 0);
}
