/* SPDX-License-Identifier: MIT */
/*
 * The binary interface as it was saved in layout.inc: place and size of every member of every public struct, and
 * every number that crosses it. A struct may have grown since, and there may be more numbers. docs/abi.md says how
 * to change what is here. The assertions need no library: test_layout.sh also compiles this file alone, for other
 * processors.
 */
#include <stddef.h>
#include <stdint.h>

#include <recoptout.h>
#include <recoptout/control.h>
#include <recoptout/sip.h>
#include <recoptout/storage.h>

#include "layout.inc"

struct place_of_64_bits {
	char before;
	uint64_t number;
};

/* Which of the three this processor has. */
#define HERE(bits64, i386, bits32)                                                                                \
	(sizeof(void *) == 8 ? (bits64) : offsetof(struct place_of_64_bits, number) == 4 ? (i386) : (bits32))

#define MEMBER(type, member, bits64, i386, bits32, size64, size32)                                                \
	_Static_assert(offsetof(type, member) == HERE(bits64, i386, bits32), #type "." #member " has moved");     \
	_Static_assert(sizeof(((type *)0)->member) == HERE(size64, size32, size32),                               \
	               #type "." #member " has another size");
#define STRUCT(id, type, bits64, i386, bits32, members)                                                           \
	members(MEMBER) _Static_assert(sizeof(type) >= HERE(bits64, i386, bits32), #type " has shrunk");          \
	_Static_assert(sizeof(type) <= 4096, #type " is larger than any struct_size that is taken");              \
	_Static_assert(offsetof(type, struct_size) == 0 && offsetof(type, flags) == 4, #type " has no head");
#define ELEMENT(id, type, bits64, i386, bits32, members)                                                          \
	members(MEMBER) _Static_assert(sizeof(type) == HERE(bits64, i386, bits32), #type " has another size");
#define NUMBER(name, number) _Static_assert((name) == (number), #name " has another number");

SAVED_STRUCTS(STRUCT)
SAVED_ELEMENTS(ELEMENT)
SAVED_NUMBERS(NUMBER)

/* Enums cross as 32 bits wherever a struct or a function carries one. */
_Static_assert(sizeof(rco_error) == 4, "an enum has another size than int");

#if __STDC_HOSTED__
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Each library tells its own structs. */
static uint32_t told_size(uint32_t id)
{
	const uint32_t core = rco_abi_sizeof(id), agent = rco_agent_abi_sizeof(id);

	assert_true(core == 0 || agent == 0);
	return core + agent;
}

/* The libraries that were built agree with the headers. */
static void test_sizes(void **state)
{
	(void)state;
#define SAME(id, type, ...) assert_int_equal(told_size(id), sizeof(type));
	SAVED_STRUCTS(SAME)
	SAVED_ELEMENTS(SAME)
#undef SAME
	assert_int_equal(rco_agent_abi_sizeof(RCO_STRUCT_TOOL_REQUEST), sizeof(rco_tool_request));
	assert_int_equal(told_size(0), 0);
	assert_int_equal(told_size(UINT32_MAX), 0);
}

static void test_versions(void **state)
{
	(void)state;
	assert_int_equal(rco_abi_version(), 2);
	assert_int_equal(rco_version(), RCO_VERSION_MAJOR * 10000 + RCO_VERSION_MINOR * 100 + RCO_VERSION_PATCH);
	assert_string_equal(rco_version_string(), RCO_VERSION_STRING);
	assert_int_equal(rco_agent_abi_version(), 2);
	assert_string_equal(rco_agent_version_string(), RCO_VERSION_STRING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
