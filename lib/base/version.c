/* SPDX-License-Identifier: MIT */
/* What the library says of itself: its version, sizes, features and the names of its enums. */
#include <recoptout.h>
#include <recoptout/sip.h>
#include <recoptout/storage.h>

#include <sodium.h>
#include <string.h>

#define ABI_VERSION 2u

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

uint32_t rco_version(void)
{
	return RCO_VERSION_MAJOR * 10000u + RCO_VERSION_MINOR * 100u + RCO_VERSION_PATCH;
}

const char *rco_version_string(void)
{
	return RCO_VERSION_STRING;
}

uint32_t rco_abi_version(void)
{
	return ABI_VERSION;
}

uint32_t rco_abi_sizeof(uint32_t struct_id)
{
	static const uint32_t sizes[] = {
		[RCO_STRUCT_ENGINE_CONFIG] = sizeof(rco_engine_config),
		[RCO_STRUCT_SESSION_OPTIONS] = sizeof(rco_session_options),
		[RCO_STRUCT_OPT_OUT_OPTIONS] = sizeof(rco_opt_out_options),
		[RCO_STRUCT_EVENT] = sizeof(rco_event),
		[RCO_STRUCT_SESSION_STATS] = sizeof(rco_session_stats),
		[RCO_STRUCT_ENGINE_STATS] = sizeof(rco_engine_stats),
		[RCO_STRUCT_ALLOCATOR] = sizeof(rco_allocator),
		[RCO_STRUCT_CLOCK] = sizeof(rco_clock),
		[RCO_STRUCT_RECORDER_OPS] = sizeof(rco_recorder_ops),
		[RCO_STRUCT_RESULT] = sizeof(rco_result),
		[RCO_STRUCT_OBJECT] = sizeof(rco_object),
		[RCO_STRUCT_RECORDING] = sizeof(rco_recording),
		[RCO_STRUCT_CHUNK] = sizeof(rco_chunk),
		[RCO_STRUCT_SCANNED] = sizeof(rco_scanned),
		[RCO_STRUCT_BUFFER_OPS] = sizeof(rco_buffer_ops),
		[RCO_STRUCT_UPLOAD_OPS] = sizeof(rco_upload_ops),
		[RCO_STRUCT_DELETION_OPS] = sizeof(rco_deletion_ops),
		[RCO_STRUCT_KEY_OPS] = sizeof(rco_key_ops),
		[RCO_STRUCT_SPOOL_OPTIONS] = sizeof(rco_spool_options),
		[RCO_STRUCT_DIRECTORY_OPTIONS] = sizeof(rco_directory_options),
		[RCO_STRUCT_MEMORY_OPTIONS] = sizeof(rco_memory_options),
		[RCO_STRUCT_KEY_DIR_OPTIONS] = sizeof(rco_key_dir_options),
		[RCO_STRUCT_FRAME] = sizeof(rco_frame),
		[RCO_STRUCT_PENDING] = sizeof(rco_pending),
		[RCO_STRUCT_RECORDPREF_POLICY] = sizeof(rco_recordpref_policy),
	};

	return struct_id < COUNT(sizes) ? sizes[struct_id] : 0;
}

int rco_has_feature(const char *name)
{
	static const char *const features[] = {"spool",           "directory", "memory",       "wav",
	                                       "wav.zst",         "stereo",    "shared-rings", "legal-hold",
	                                       "receipt-ed25519", "sip"};
	size_t i;

	if (name == NULL)
		return 0;
	for (i = 0; i < COUNT(features); i++)
		if (strcmp(name, features[i]) == 0)
			return 1;
	return 0;
}

static const char *name_in(const char *const names[], size_t count, uint32_t value)
{
	if (value >= count || names[value] == NULL)
		return "unknown";
	return names[value];
}

const char *rco_status_name(uint32_t status)
{
#define STATUS(name, number, text, sentence, erasure, stopped, deleted, truth) [RCO_STATUS_##name] = text,
	static const char *const names[] = {
#include "status.def"
	};
#undef STATUS

	return names[status < COUNT(names) ? status : RCO_STATUS_UNKNOWN];
}

const char *rco_session_state_name(uint32_t state)
{
	static const char *const names[] = {
		[RCO_STATE_IDLE] = "idle",           [RCO_STATE_RECORDING] = "recording",
		[RCO_STATE_PAUSED] = "paused",       [RCO_STATE_ENDED] = "ended",
		[RCO_STATE_UPLOADING] = "uploading", [RCO_STATE_STORED] = "stored",
		[RCO_STATE_OPTED_OUT] = "opted_out", [RCO_STATE_CLOSED] = "closed",
	};

	return name_in(names, COUNT(names), state);
}

const char *rco_event_name(uint32_t type)
{
	static const char *const names[] = {
		[RCO_EVENT_STARTED] = "started",
		[RCO_EVENT_PAUSED] = "paused",
		[RCO_EVENT_RESUMED] = "resumed",
		[RCO_EVENT_ENDED] = "ended",
		[RCO_EVENT_OPTED_OUT] = "opted_out",
		[RCO_EVENT_STOP_FAILED] = "stop_failed",
		[RCO_EVENT_STOPPED] = "stopped",
		[RCO_EVENT_DURABLE] = "durable",
		[RCO_EVENT_NOT_DURABLE] = "not_durable",
		[RCO_EVENT_ERASE_RETRY] = "erase_retry",
		[RCO_EVENT_ERASED] = "erased",
		[RCO_EVENT_VERIFIED] = "verified",
		[RCO_EVENT_ESCALATED] = "escalated",
		[RCO_EVENT_SWEPT] = "swept",
		[RCO_EVENT_HELD] = "held",
		[RCO_EVENT_HOLD_LIFTED] = "hold_lifted",
		[RCO_EVENT_UPLOAD_STARTED] = "upload_started",
		[RCO_EVENT_UPLOAD_RETRY] = "upload_retry",
		[RCO_EVENT_UPLOAD_ABORTED] = "upload_aborted",
		[RCO_EVENT_STORED] = "stored",
		[RCO_EVENT_CALL_RECORD] = "call_record",
		[RCO_EVENT_OVERFLOW] = "overflow",
		[RCO_EVENT_BUFFER_RETRY] = "buffer_retry",
		[RCO_EVENT_RECOVERED] = "recovered",
		[RCO_EVENT_QUARANTINED] = "quarantined",
		[RCO_EVENT_ARTIFACT_ERASED] = "artifact_erased",
		[RCO_EVENT_CONSENT] = "consent",
		[RCO_EVENT_WORKER_ENDED] = "worker_ended",
		[RCO_EVENT_AGENT_CLAIM] = "agent_claim",
		[RCO_EVENT_REQUEST_DONE] = "request_done",
	};

	return name_in(names, COUNT(names), type);
}

void rco_memzero(void *ptr, size_t size_bytes)
{
	if (ptr != NULL)
		sodium_memzero(ptr, size_bytes);
}
