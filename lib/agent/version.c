/* SPDX-License-Identifier: MIT */
/* What librecoptout-agent says of itself. */
#include <recoptout/control.h>

#include <string.h>

enum { ABI_VERSION = 2 };

const char *rco_agent_version_string(void)
{
	return RCO_VERSION_STRING;
}

uint32_t rco_agent_abi_version(void)
{
	return ABI_VERSION;
}

uint32_t rco_agent_abi_sizeof(uint32_t struct_id)
{
	switch (struct_id) {
	case RCO_STRUCT_TOOL_OPTIONS:
		return sizeof(rco_tool_options);
	case RCO_STRUCT_TOOL_REQUEST:
		return sizeof(rco_tool_request);
	case RCO_STRUCT_CONTROL_OPTIONS:
		return sizeof(rco_control_options);
	case RCO_STRUCT_CLIENT_OPTIONS:
		return sizeof(rco_client_options);
	default:
		return 0;
	}
}

int rco_agent_has_feature(const char *name)
{
	if (name != NULL && (strcmp(name, "agent") == 0 || strcmp(name, "control") == 0))
		return 1;
	return rco_has_feature(name);
}
