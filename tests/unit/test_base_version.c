/* SPDX-License-Identifier: MIT */
/* What the library says of itself agrees with its headers. */
#include "../support_base.h"

#include <recoptout/agent.h>
#include <recoptout/storage.h>

static void the_version_is_the_headers(void **state)
{
	char text[32];

	(void)state;
	assert_int_equal(rco_version(), RCO_VERSION_MAJOR * 10000 + RCO_VERSION_MINOR * 100 + RCO_VERSION_PATCH);
	(void)snprintf(text, sizeof text, "%d.%d.%d", RCO_VERSION_MAJOR, RCO_VERSION_MINOR, RCO_VERSION_PATCH);
	assert_string_equal(rco_version_string(), text);
	assert_int_equal(rco_abi_version(), 2);
}

/* Bindings compare these at import: each id has its struct's size, and every public struct is a whole number of
 * pointers. */
static void sizes_are_those_of_the_structs(void **state)
{
	uint32_t id;

	(void)state;
	for (id = RCO_STRUCT_ENGINE_CONFIG; id <= RCO_STRUCT_CLIENT_OPTIONS; id++) {
		assert_true(rco_abi_sizeof(id) + rco_agent_abi_sizeof(id) >= 16);
		assert_int_equal(rco_abi_sizeof(id) % sizeof(void *), 0);
	}
	assert_int_equal(rco_abi_sizeof(RCO_STRUCT_ENGINE_CONFIG), sizeof(rco_engine_config));
	assert_int_equal(rco_abi_sizeof(RCO_STRUCT_EVENT), sizeof(rco_event));
	assert_int_equal(rco_abi_sizeof(RCO_STRUCT_RESULT), sizeof(rco_result));
	assert_int_equal(rco_abi_sizeof(RCO_STRUCT_SCANNED), sizeof(rco_scanned));
	assert_int_equal(rco_abi_sizeof(RCO_STRUCT_KEY_DIR_OPTIONS), sizeof(rco_key_dir_options));
	assert_int_equal(rco_abi_sizeof(0), 0);
	assert_int_equal(rco_abi_sizeof(RCO_STRUCT_CLIENT_OPTIONS + 1), 0);
	assert_int_equal(rco_abi_sizeof(UINT32_MAX), 0);
}

static void features_are_those_of_the_header(void **state)
{
	static const char *const known[] = {"spool",           "directory", "memory",       "wav",
	                                    "wav.zst",         "stereo",    "shared-rings", "legal-hold",
	                                    "receipt-ed25519", "sip"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		assert_int_equal(rco_has_feature(known[i]), 1);
	assert_int_equal(rco_has_feature("agent"), 0); /* of the other library, which tells those of both */
	assert_int_equal(rco_has_feature("control"), 0);
	assert_int_equal(rco_agent_has_feature("agent"), 1);
	assert_int_equal(rco_agent_has_feature("control"), 1);
	assert_int_equal(rco_agent_has_feature("spool"), 1);
	assert_int_equal(rco_agent_has_feature("spoo"), 0);
	assert_int_equal(rco_agent_has_feature(NULL), 0);
	assert_int_equal(rco_has_feature("spoo"), 0);
	assert_int_equal(rco_has_feature(""), 0);
	assert_int_equal(rco_has_feature(NULL), 0);
}

static void names_cover_their_enums(void **state)
{
	uint32_t i;

	(void)state;
	for (i = RCO_STATE_IDLE; i <= RCO_STATE_CLOSED; i++)
		assert_string_not_equal(rco_session_state_name(i), "unknown");
	for (i = RCO_STATUS_REQUESTED; i <= RCO_STATUS_NOTED; i++)
		assert_string_not_equal(rco_status_name(i), "unknown");
	for (i = RCO_EVENT_STARTED; i <= RCO_EVENT_WORKER_ENDED; i++)
		assert_string_not_equal(rco_event_name(i), "unknown");
	assert_string_equal(rco_session_state_name(RCO_STATE_RECORDING), "recording");
	assert_string_equal(rco_status_name(RCO_STATUS_NOT_RECORDING), "not_recording");
	assert_string_equal(rco_event_name(RCO_EVENT_VERIFIED), "verified");
	assert_string_equal(rco_session_state_name(0), "unknown");
	assert_string_equal(rco_session_state_name(13), "unknown");
	assert_string_equal(rco_status_name(0), "unknown");
	assert_string_equal(rco_status_name(11), "unknown");
	assert_string_equal(rco_event_name(0), "unknown");
	assert_string_equal(rco_event_name(UINT32_MAX), "unknown");
}

static void memzero_wipes(void **state)
{
	uint8_t key[40], zero[40] = {0};

	(void)state;
	memset(key, 0xaa, sizeof key);
	rco_memzero(key, sizeof key - 1);
	assert_memory_equal(key, zero, sizeof key - 1);
	assert_int_equal(key[39], 0xaa);
	rco_memzero(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_is_the_headers),
		cmocka_unit_test(sizes_are_those_of_the_structs),
		cmocka_unit_test(features_are_those_of_the_header),
		cmocka_unit_test(names_cover_their_enums),
		cmocka_unit_test(memzero_wipes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
