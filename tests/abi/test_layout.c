/* SPDX-License-Identifier: MIT */
/*
 * The binary interface as version 1 froze it: place and size of every member of
 * every public struct, and every number that crosses it. Programs and bindings
 * were built with these; nothing here is ever changed. A struct that grows gets
 * new lines at its end in a list of its own version, and its old size stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <recoptout.h>
#include <recoptout/control.h>
#include <recoptout/sip.h>
#include <recoptout/storage.h>

/* X(struct, member, offset, size), without a gap: the numbers of a machine with 64-bit pointers. */

#define V1_ENGINE_CONFIG(X)                                                                                       \
	X(rco_engine_config, struct_size, 0, 4)                                                                   \
	X(rco_engine_config, flags, 4, 4)                                                                         \
	X(rco_engine_config, ring_pool_bytes, 8, 8)                                                               \
	X(rco_engine_config, segment_bytes, 16, 8)                                                                \
	X(rco_engine_config, upload_part_bytes, 24, 8)                                                            \
	X(rco_engine_config, ledger_retention_s, 32, 8)                                                           \
	X(rco_engine_config, opt_out_enabled, 40, 4)                                                              \
	X(rco_engine_config, consent, 44, 4)                                                                      \
	X(rco_engine_config, erase_kinds, 48, 4)                                                                  \
	X(rco_engine_config, export_format, 52, 4)                                                                \
	X(rco_engine_config, export_layout, 56, 4)                                                                \
	X(rco_engine_config, workers, 60, 4)                                                                      \
	X(rco_engine_config, flush_interval_ms, 64, 4)                                                            \
	X(rco_engine_config, late_opt_out_ms, 68, 4)                                                              \
	X(rco_engine_config, sweep_delay_ms, 72, 4)                                                               \
	X(rco_engine_config, erase_deadline_ms, 76, 4)                                                            \
	X(rco_engine_config, retry_min_ms, 80, 4)                                                                 \
	X(rco_engine_config, retry_max_ms, 84, 4)                                                                 \
	X(rco_engine_config, backend_timeout_ms, 88, 4)                                                           \
	X(rco_engine_config, early_opt_out_ttl_s, 92, 4)                                                          \
	X(rco_engine_config, remember_ended_s, 96, 4)                                                             \
	X(rco_engine_config, reserved0, 100, 4)                                                                   \
	X(rco_engine_config, state_dir, 104, 8)                                                                   \
	X(rco_engine_config, output_dir, 112, 8)                                                                  \
	X(rco_engine_config, key_dir, 120, 8)                                                                     \
	X(rco_engine_config, ring_dir, 128, 8)                                                                    \
	X(rco_engine_config, buffer, 136, 8)                                                                      \
	X(rco_engine_config, buffer_user_data, 144, 8)                                                            \
	X(rco_engine_config, upload, 152, 8)                                                                      \
	X(rco_engine_config, upload_user_data, 160, 8)                                                            \
	X(rco_engine_config, deletion, 168, 8)                                                                    \
	X(rco_engine_config, deletion_user_data, 176, 8)                                                          \
	X(rco_engine_config, keys, 184, 8)                                                                        \
	X(rco_engine_config, keys_user_data, 192, 8)                                                              \
	X(rco_engine_config, allocator, 200, 8)                                                                   \
	X(rco_engine_config, clock, 208, 8)                                                                       \
	X(rco_engine_config, log, 216, 8)                                                                         \
	X(rco_engine_config, log_user_data, 224, 8)                                                               \
	X(rco_engine_config, event, 232, 8)                                                                       \
	X(rco_engine_config, event_user_data, 240, 8)                                                             \
	X(rco_engine_config, early_opt_outs_max, 248, 4)                                                          \
	X(rco_engine_config, remember_opt_outs, 252, 4)

#define V1_SESSION_OPTIONS(X)                                                                                     \
	X(rco_session_options, struct_size, 0, 4)                                                                 \
	X(rco_session_options, flags, 4, 4)                                                                       \
	X(rco_session_options, consent, 8, 4)                                                                     \
	X(rco_session_options, opt_out, 12, 4)                                                                    \
	X(rco_session_options, legal_hold, 16, 4)                                                                 \
	X(rco_session_options, reserved0, 20, 4)                                                                  \
	X(rco_session_options, call_id, 24, 8)                                                                    \
	X(rco_session_options, recorder, 32, 8)                                                                   \
	X(rco_session_options, recorder_user_data, 40, 8)                                                         \
	X(rco_session_options, user_data, 48, 8)                                                                  \
	X(rco_session_options, reserved1, 56, 8)

#define V1_OPT_OUT_OPTIONS(X)                                                                                     \
	X(rco_opt_out_options, struct_size, 0, 4)                                                                 \
	X(rco_opt_out_options, flags, 4, 4)                                                                       \
	X(rco_opt_out_options, wait_status, 8, 4)                                                                 \
	X(rco_opt_out_options, timeout_ms, 12, 4)                                                                 \
	X(rco_opt_out_options, source, 16, 8)                                                                     \
	X(rco_opt_out_options, reserved, 24, 8)

#define V1_EVENT(X)                                                                                               \
	X(rco_event, struct_size, 0, 4)                                                                           \
	X(rco_event, flags, 4, 4)                                                                                 \
	X(rco_event, type, 8, 4)                                                                                  \
	X(rco_event, status, 12, 4)                                                                               \
	X(rco_event, code, 16, 4)                                                                                 \
	X(rco_event, attempt, 20, 4)                                                                              \
	X(rco_event, count, 24, 8)                                                                                \
	X(rco_event, time_us, 32, 8)                                                                              \
	X(rco_event, call_id, 40, 8)                                                                              \
	X(rco_event, receipt_id, 48, 8)                                                                           \
	X(rco_event, message, 56, 8)                                                                              \
	X(rco_event, user_data, 64, 8)                                                                            \
	X(rco_event, recording_id, 72, 16)                                                                        \
	X(rco_event, reserved, 88, 8)

#define V1_SESSION_STATS(X)                                                                                       \
	X(rco_session_stats, struct_size, 0, 4)                                                                   \
	X(rco_session_stats, flags, 4, 4)                                                                         \
	X(rco_session_stats, state, 8, 4)                                                                         \
	X(rco_session_stats, legs, 12, 4)                                                                         \
	X(rco_session_stats, created_us, 16, 8)                                                                   \
	X(rco_session_stats, started_us, 24, 8)                                                                   \
	X(rco_session_stats, ended_us, 32, 8)                                                                     \
	X(rco_session_stats, stopped_us, 40, 8)                                                                   \
	X(rco_session_stats, accepted_bytes, 48, 8)                                                               \
	X(rco_session_stats, accepted_frames, 56, 8)                                                              \
	X(rco_session_stats, overflowed_frames, 64, 8)                                                            \
	X(rco_session_stats, buffered_bytes, 72, 8)                                                               \
	X(rco_session_stats, recording_id, 80, 16)

#define V1_ENGINE_STATS(X)                                                                                        \
	X(rco_engine_stats, struct_size, 0, 4)                                                                    \
	X(rco_engine_stats, flags, 4, 4)                                                                          \
	X(rco_engine_stats, sessions_open, 8, 8)                                                                  \
	X(rco_engine_stats, sessions_recording, 16, 8)                                                            \
	X(rco_engine_stats, uploads_pending, 24, 8)                                                               \
	X(rco_engine_stats, erasures_pending, 32, 8)                                                              \
	X(rco_engine_stats, erasures_escalated, 40, 8)                                                            \
	X(rco_engine_stats, tombstones_waiting, 48, 8)                                                            \
	X(rco_engine_stats, opt_outs_early, 56, 8)                                                                \
	X(rco_engine_stats, holds, 64, 8)                                                                         \
	X(rco_engine_stats, frames_overflowed, 72, 8)                                                             \
	X(rco_engine_stats, quarantined_files, 80, 8)                                                             \
	X(rco_engine_stats, ring_bytes_total, 88, 8)                                                              \
	X(rco_engine_stats, ring_bytes_free, 96, 8)

#define V1_ALLOCATOR(X)                                                                                           \
	X(rco_allocator, struct_size, 0, 4)                                                                       \
	X(rco_allocator, flags, 4, 4)                                                                             \
	X(rco_allocator, alloc, 8, 8)                                                                             \
	X(rco_allocator, zalloc, 16, 8)                                                                           \
	X(rco_allocator, resize, 24, 8)                                                                           \
	X(rco_allocator, release, 32, 8)                                                                          \
	X(rco_allocator, user_data, 40, 8)                                                                        \
	X(rco_allocator, reserved, 48, 8)

#define V1_CLOCK(X)                                                                                               \
	X(rco_clock, struct_size, 0, 4)                                                                           \
	X(rco_clock, flags, 4, 4)                                                                                 \
	X(rco_clock, wall_us, 8, 8)                                                                               \
	X(rco_clock, monotonic_us, 16, 8)                                                                         \
	X(rco_clock, user_data, 24, 8)                                                                            \
	X(rco_clock, reserved, 32, 8)

#define V1_RECORDER_OPS(X)                                                                                        \
	X(rco_recorder_ops, struct_size, 0, 4)                                                                    \
	X(rco_recorder_ops, flags, 4, 4)                                                                          \
	X(rco_recorder_ops, start, 8, 8)                                                                          \
	X(rco_recorder_ops, stop, 16, 8)                                                                          \
	X(rco_recorder_ops, pause, 24, 8)                                                                         \
	X(rco_recorder_ops, resume, 32, 8)

#define V1_RESULT(X)                                                                                              \
	X(rco_result, struct_size, 0, 4)                                                                          \
	X(rco_result, flags, 4, 4)                                                                                \
	X(rco_result, confirmed, 8, 4)                                                                            \
	X(rco_result, reserved0, 12, 4)                                                                           \
	X(rco_result, size_bytes, 16, 8)                                                                          \
	X(rco_result, count, 24, 8)                                                                               \
	X(rco_result, upload_id, 32, 256)                                                                         \
	X(rco_result, version, 288, 256)

#define V1_OBJECT(X)                                                                                              \
	X(rco_object, struct_size, 0, 4)                                                                          \
	X(rco_object, flags, 4, 4)                                                                                \
	X(rco_object, kind, 8, 4)                                                                                 \
	X(rco_object, store, 12, 4)                                                                               \
	X(rco_object, recording_id, 16, 16)                                                                       \
	X(rco_object, size_bytes, 32, 8)                                                                          \
	X(rco_object, key, 40, 8)                                                                                 \
	X(rco_object, upload_id, 48, 8)                                                                           \
	X(rco_object, version, 56, 8)                                                                             \
	X(rco_object, call_id, 64, 8)                                                                             \
	X(rco_object, content_type, 72, 8)                                                                        \
	X(rco_object, reserved, 80, 8)

#define V1_RECORDING(X)                                                                                           \
	X(rco_recording, struct_size, 0, 4)                                                                       \
	X(rco_recording, flags, 4, 4)                                                                             \
	X(rco_recording, id, 8, 16)                                                                               \
	X(rco_recording, meta, 24, 8)                                                                             \
	X(rco_recording, meta_bytes, 32, 8)

#define V1_CHUNK(X)                                                                                               \
	X(rco_chunk, struct_size, 0, 4)                                                                           \
	X(rco_chunk, flags, 4, 4)                                                                                 \
	X(rco_chunk, recording_id, 8, 16)                                                                         \
	X(rco_chunk, leg, 24, 4)                                                                                  \
	X(rco_chunk, format, 28, 4)                                                                               \
	X(rco_chunk, position_bytes, 32, 8)                                                                       \
	X(rco_chunk, time_us, 40, 8)                                                                              \
	X(rco_chunk, data, 48, 8)                                                                                 \
	X(rco_chunk, size_bytes, 56, 8)

#define V1_SCANNED(X)                                                                                             \
	X(rco_scanned, struct_size, 0, 4)                                                                         \
	X(rco_scanned, flags, 4, 4)                                                                               \
	X(rco_scanned, id, 8, 16)                                                                                 \
	X(rco_scanned, meta, 24, 8)                                                                               \
	X(rco_scanned, meta_bytes, 32, 8)                                                                         \
	X(rco_scanned, leg_format, 40, 32)                                                                        \
	X(rco_scanned, leg_bytes, 72, 64)                                                                         \
	X(rco_scanned, damaged_bytes, 136, 8)

#define V1_BUFFER_OPS(X)                                                                                          \
	X(rco_buffer_ops, struct_size, 0, 4)                                                                      \
	X(rco_buffer_ops, flags, 4, 4)                                                                            \
	X(rco_buffer_ops, attach, 8, 8)                                                                           \
	X(rco_buffer_ops, detach, 16, 8)                                                                          \
	X(rco_buffer_ops, open, 24, 8)                                                                            \
	X(rco_buffer_ops, append, 32, 8)                                                                          \
	X(rco_buffer_ops, flush, 40, 8)                                                                           \
	X(rco_buffer_ops, seal, 48, 8)                                                                            \
	X(rco_buffer_ops, read, 56, 8)                                                                            \
	X(rco_buffer_ops, revoke, 64, 8)                                                                          \
	X(rco_buffer_ops, erase, 72, 8)                                                                           \
	X(rco_buffer_ops, scan, 80, 8)                                                                            \
	X(rco_buffer_ops, reserved, 88, 8)

#define V1_UPLOAD_OPS(X)                                                                                          \
	X(rco_upload_ops, struct_size, 0, 4)                                                                      \
	X(rco_upload_ops, flags, 4, 4)                                                                            \
	X(rco_upload_ops, attach, 8, 8)                                                                           \
	X(rco_upload_ops, detach, 16, 8)                                                                          \
	X(rco_upload_ops, begin, 24, 8)                                                                           \
	X(rco_upload_ops, put, 32, 8)                                                                             \
	X(rco_upload_ops, commit, 40, 8)                                                                          \
	X(rco_upload_ops, abort, 48, 8)                                                                           \
	X(rco_upload_ops, list, 56, 8)                                                                            \
	X(rco_upload_ops, head, 64, 8)                                                                            \
	X(rco_upload_ops, reserved, 72, 8)

#define V1_DELETION_OPS(X)                                                                                        \
	X(rco_deletion_ops, struct_size, 0, 4)                                                                    \
	X(rco_deletion_ops, flags, 4, 4)                                                                          \
	X(rco_deletion_ops, attach, 8, 8)                                                                         \
	X(rco_deletion_ops, detach, 16, 8)                                                                        \
	X(rco_deletion_ops, remove, 24, 8)                                                                        \
	X(rco_deletion_ops, verify, 32, 8)                                                                        \
	X(rco_deletion_ops, reserved, 40, 8)

#define V1_KEY_OPS(X)                                                                                             \
	X(rco_key_ops, struct_size, 0, 4)                                                                         \
	X(rco_key_ops, flags, 4, 4)                                                                               \
	X(rco_key_ops, wrap, 8, 8)                                                                                \
	X(rco_key_ops, unwrap, 16, 8)                                                                             \
	X(rco_key_ops, destroy, 24, 8)                                                                            \
	X(rco_key_ops, reserved, 32, 8)

#define V1_SPOOL_OPTIONS(X)                                                                                       \
	X(rco_spool_options, struct_size, 0, 4)                                                                   \
	X(rco_spool_options, flags, 4, 4)                                                                         \
	X(rco_spool_options, segment_bytes, 8, 8)                                                                 \
	X(rco_spool_options, path, 16, 8)                                                                         \
	X(rco_spool_options, quarantine_path, 24, 8)                                                              \
	X(rco_spool_options, keys, 32, 8)                                                                         \
	X(rco_spool_options, keys_user_data, 40, 8)                                                               \
	X(rco_spool_options, allocator, 48, 8)                                                                    \
	X(rco_spool_options, clock, 56, 8)                                                                        \
	X(rco_spool_options, log, 64, 8)                                                                          \
	X(rco_spool_options, log_user_data, 72, 8)

#define V1_DIRECTORY_OPTIONS(X)                                                                                   \
	X(rco_directory_options, struct_size, 0, 4)                                                               \
	X(rco_directory_options, flags, 4, 4)                                                                     \
	X(rco_directory_options, path, 8, 8)                                                                      \
	X(rco_directory_options, allocator, 16, 8)                                                                \
	X(rco_directory_options, log, 24, 8)                                                                      \
	X(rco_directory_options, log_user_data, 32, 8)

#define V1_MEMORY_OPTIONS(X)                                                                                      \
	X(rco_memory_options, struct_size, 0, 4)                                                                  \
	X(rco_memory_options, flags, 4, 4)                                                                        \
	X(rco_memory_options, limit_bytes, 8, 8)                                                                  \
	X(rco_memory_options, allocator, 16, 8)                                                                   \
	X(rco_memory_options, reserved, 24, 8)

#define V1_KEY_DIR_OPTIONS(X)                                                                                     \
	X(rco_key_dir_options, struct_size, 0, 4)                                                                 \
	X(rco_key_dir_options, flags, 4, 4)                                                                       \
	X(rco_key_dir_options, epoch_s, 8, 4)                                                                     \
	X(rco_key_dir_options, reserved0, 12, 4)                                                                  \
	X(rco_key_dir_options, path, 16, 8)                                                                       \
	X(rco_key_dir_options, allocator, 24, 8)                                                                  \
	X(rco_key_dir_options, clock, 32, 8)                                                                      \
	X(rco_key_dir_options, log, 40, 8)                                                                        \
	X(rco_key_dir_options, log_user_data, 48, 8)                                                              \
	X(rco_key_dir_options, reserved1, 56, 8)

/* X(id, its number, struct, size, members) */
#define V1_FRAME(X)                                                                                               \
	X(rco_frame, session, 0, 8)                                                                               \
	X(rco_frame, data, 8, 8)                                                                                  \
	X(rco_frame, size_bytes, 16, 4)                                                                           \
	X(rco_frame, leg, 20, 4)                                                                                  \
	X(rco_frame, format, 24, 4)                                                                               \
	X(rco_frame, result, 28, 4)

#define V1_PENDING(X)                                                                                             \
	X(rco_pending, struct_size, 0, 4)                                                                         \
	X(rco_pending, flags, 4, 4)                                                                               \
	X(rco_pending, status, 8, 4)                                                                              \
	X(rco_pending, attempts, 12, 4)                                                                           \
	X(rco_pending, requested_us, 16, 8)                                                                       \
	X(rco_pending, deadline_us, 24, 8)                                                                        \
	X(rco_pending, call_id, 32, 8)                                                                            \
	X(rco_pending, receipt_id, 40, 8)

#define V1_TOOL_OPTIONS(X)                                                                                        \
	X(rco_tool_options, struct_size, 0, 4)                                                                    \
	X(rco_tool_options, flags, 4, 4)                                                                          \
	X(rco_tool_options, dialect, 8, 4)                                                                        \
	X(rco_tool_options, reserved0, 12, 4)                                                                     \
	X(rco_tool_options, session, 16, 8)                                                                       \
	X(rco_tool_options, url, 24, 8)                                                                           \
	X(rco_tool_options, description, 32, 8)                                                                   \
	X(rco_tool_options, reserved1, 40, 8)

#define V1_TOOL_REQUEST(X)                                                                                        \
	X(rco_tool_request, struct_size, 0, 4)                                                                    \
	X(rco_tool_request, flags, 4, 4)                                                                          \
	X(rco_tool_request, dialect, 8, 4)                                                                        \
	X(rco_tool_request, wait_ms, 12, 4)                                                                       \
	X(rco_tool_request, session, 16, 8)                                                                       \
	X(rco_tool_request, call_id, 24, 8)                                                                       \
	X(rco_tool_request, language, 32, 8)                                                                      \
	X(rco_tool_request, company, 40, 8)                                                                       \
	X(rco_tool_request, book, 48, 8)                                                                          \
	X(rco_tool_request, json, 56, 8)                                                                          \
	X(rco_tool_request, json_bytes, 64, 8)                                                                    \
	X(rco_tool_request, source, 72, 8)                                                                        \
	X(rco_tool_request, reserved, 80, 8)

#define V1_CONTROL_OPTIONS(X)                                                                                     \
	X(rco_control_options, struct_size, 0, 4)                                                                 \
	X(rco_control_options, flags, 4, 4)                                                                       \
	X(rco_control_options, max_clients, 8, 4)                                                                 \
	X(rco_control_options, idle_ms, 12, 4)                                                                    \
	X(rco_control_options, path, 16, 8)                                                                       \
	X(rco_control_options, allowed_uids, 24, 8)                                                               \
	X(rco_control_options, n_allowed_uids, 32, 8)                                                             \
	X(rco_control_options, book, 40, 8)                                                                       \
	X(rco_control_options, reserved, 48, 8)                                                                   \
	X(rco_control_options, gid, 56, 4)                                                                        \
	X(rco_control_options, early_per_user, 60, 4)

#define V1_CLIENT_OPTIONS(X)                                                                                      \
	X(rco_client_options, struct_size, 0, 4)                                                                  \
	X(rco_client_options, flags, 4, 4)                                                                        \
	X(rco_client_options, timeout_ms, 8, 4)                                                                   \
	X(rco_client_options, server_uid, 12, 4)                                                                  \
	X(rco_client_options, path, 16, 8)                                                                        \
	X(rco_client_options, reserved, 24, 8)

#define V1_RECORDPREF_POLICY(X)                                                                                   \
	X(rco_recordpref_policy, struct_size, 0, 4)                                                               \
	X(rco_recordpref_policy, flags, 4, 4)                                                                     \
	X(rco_recordpref_policy, off, 8, 4)                                                                       \
	X(rco_recordpref_policy, reserved0, 12, 4)                                                                \
	X(rco_recordpref_policy, source, 16, 8)                                                                   \
	X(rco_recordpref_policy, reserved1, 24, 8)

#define V1_STRUCTS(X)                                                                                             \
	X(RCO_STRUCT_ENGINE_CONFIG, 1, rco_engine_config, 256, V1_ENGINE_CONFIG)                                  \
	X(RCO_STRUCT_SESSION_OPTIONS, 2, rco_session_options, 64, V1_SESSION_OPTIONS)                             \
	X(RCO_STRUCT_OPT_OUT_OPTIONS, 3, rco_opt_out_options, 32, V1_OPT_OUT_OPTIONS)                             \
	X(RCO_STRUCT_EVENT, 4, rco_event, 96, V1_EVENT)                                                           \
	X(RCO_STRUCT_SESSION_STATS, 5, rco_session_stats, 96, V1_SESSION_STATS)                                   \
	X(RCO_STRUCT_ENGINE_STATS, 6, rco_engine_stats, 104, V1_ENGINE_STATS)                                     \
	X(RCO_STRUCT_ALLOCATOR, 7, rco_allocator, 56, V1_ALLOCATOR)                                               \
	X(RCO_STRUCT_CLOCK, 8, rco_clock, 40, V1_CLOCK)                                                           \
	X(RCO_STRUCT_RECORDER_OPS, 9, rco_recorder_ops, 40, V1_RECORDER_OPS)                                      \
	X(RCO_STRUCT_RESULT, 10, rco_result, 544, V1_RESULT)                                                      \
	X(RCO_STRUCT_OBJECT, 11, rco_object, 88, V1_OBJECT)                                                       \
	X(RCO_STRUCT_RECORDING, 12, rco_recording, 40, V1_RECORDING)                                              \
	X(RCO_STRUCT_CHUNK, 13, rco_chunk, 64, V1_CHUNK)                                                          \
	X(RCO_STRUCT_SCANNED, 14, rco_scanned, 144, V1_SCANNED)                                                   \
	X(RCO_STRUCT_BUFFER_OPS, 15, rco_buffer_ops, 96, V1_BUFFER_OPS)                                           \
	X(RCO_STRUCT_UPLOAD_OPS, 16, rco_upload_ops, 80, V1_UPLOAD_OPS)                                           \
	X(RCO_STRUCT_DELETION_OPS, 17, rco_deletion_ops, 48, V1_DELETION_OPS)                                     \
	X(RCO_STRUCT_KEY_OPS, 18, rco_key_ops, 40, V1_KEY_OPS)                                                    \
	X(RCO_STRUCT_SPOOL_OPTIONS, 19, rco_spool_options, 80, V1_SPOOL_OPTIONS)                                  \
	X(RCO_STRUCT_DIRECTORY_OPTIONS, 20, rco_directory_options, 40, V1_DIRECTORY_OPTIONS)                      \
	X(RCO_STRUCT_MEMORY_OPTIONS, 21, rco_memory_options, 32, V1_MEMORY_OPTIONS)                               \
	X(RCO_STRUCT_KEY_DIR_OPTIONS, 22, rco_key_dir_options, 64, V1_KEY_DIR_OPTIONS)                            \
	X(RCO_STRUCT_PENDING, 24, rco_pending, 48, V1_PENDING)                                                    \
	X(RCO_STRUCT_TOOL_OPTIONS, 25, rco_tool_options, 48, V1_TOOL_OPTIONS)                                     \
	X(RCO_STRUCT_TOOL_REQUEST, 26, rco_tool_request, 88, V1_TOOL_REQUEST)                                     \
	X(RCO_STRUCT_CONTROL_OPTIONS, 27, rco_control_options, 64, V1_CONTROL_OPTIONS)                            \
	X(RCO_STRUCT_RECORDPREF_POLICY, 28, rco_recordpref_policy, 32, V1_RECORDPREF_POLICY)                      \
	X(RCO_STRUCT_CLIENT_OPTIONS, 29, rco_client_options, 32, V1_CLIENT_OPTIONS)

/* Passed in arrays, so it has no head and never grows. */
#define V1_FROZEN(X) X(RCO_STRUCT_FRAME, 23, rco_frame, 32, V1_FRAME)

#if defined(__LP64__)

#define AT(type, member, offset, size)                                                                            \
	_Static_assert(offsetof(type, member) == (offset), #type "." #member " has moved");                       \
	_Static_assert(sizeof(((type *)0)->member) == (size), #type "." #member " has another size");
#define PLUS(type, member, offset, size) +(size)
#define STRUCT(id, number, type, size, members)                                                                   \
	members(AT) _Static_assert((id) == (number), #id " has another number");                                  \
	_Static_assert(sizeof(type) >= (size) && sizeof(type) % 8 == 0, #type " has shrunk or is not padded");    \
	_Static_assert(offsetof(type, struct_size) == 0 && offsetof(type, flags) == 4, #type " has no head");     \
	_Static_assert(0 members(PLUS) == (size), "a member of version 1 of " #type " is not in its list");

V1_STRUCTS(STRUCT)

/* Structs that have grown since: their line comes here, and an assertion that the first new member stands right
 * behind version 1. */
#define GROWN(type) _Generic((type *)0, default : 0)
#define NOT_GROWN(id, number, type, size, members)                                                                \
	_Static_assert(GROWN(type) || sizeof(type) == (size), #type " has grown");

V1_STRUCTS(NOT_GROWN)
V1_FROZEN(NOT_GROWN)
V1_FRAME(AT)

#endif

/* X(name, number) */

#define V1_ERRORS(X)                                                                                              \
	X(RCO_OK, 0)                                                                                              \
	X(RCO_E_INVALID, -1)                                                                                      \
	X(RCO_E_HANDLE, -2)                                                                                       \
	X(RCO_E_STRUCT_SIZE, -3)                                                                                  \
	X(RCO_E_NEWER, -4)                                                                                        \
	X(RCO_E_NO_MEMORY, -5)                                                                                    \
	X(RCO_E_CALL_ID, -6)                                                                                      \
	X(RCO_E_CALL_EXISTS, -7)                                                                                  \
	X(RCO_E_STATE, -8)                                                                                        \
	X(RCO_E_LIMIT, -9)                                                                                        \
	X(RCO_E_FORMAT, -10)                                                                                      \
	X(RCO_E_FRAME, -11)                                                                                       \
	X(RCO_E_OVERFLOW, -12)                                                                                    \
	X(RCO_E_OPTED_OUT, -13)                                                                                   \
	X(RCO_E_PAUSED, -14)                                                                                      \
	X(RCO_E_ENDED, -15)                                                                                       \
	X(RCO_E_NOT_STARTED, -16)                                                                                 \
	X(RCO_E_NO_CONSENT, -17)                                                                                  \
	X(RCO_E_NOT_AVAILABLE, -18)                                                                               \
	X(RCO_E_NOT_DURABLE, -19)                                                                                 \
	X(RCO_E_TIMEOUT, -20)                                                                                     \
	X(RCO_E_REENTRANT, -21)                                                                                   \
	X(RCO_E_FORKED, -22)                                                                                      \
	X(RCO_E_BUSY, -23)                                                                                        \
	X(RCO_E_IO, -24)                                                                                          \
	X(RCO_E_NO_SPACE, -25)                                                                                    \
	X(RCO_E_PERMISSION, -26)                                                                                  \
	X(RCO_E_CORRUPT, -27)                                                                                     \
	X(RCO_E_VERSION, -28)                                                                                     \
	X(RCO_E_OPS, -29)                                                                                         \
	X(RCO_E_CALLBACK, -30)                                                                                    \
	X(RCO_E_DECLINED, -31)                                                                                    \
	X(RCO_E_STALE, -32)                                                                                       \
	X(RCO_E_NOT_FOUND, -33)                                                                                   \
	X(RCO_E_KEY, -34)                                                                                         \
	X(RCO_E_SIGNATURE, -35)                                                                                   \
	X(RCO_E_UNCONFIRMED, -36)                                                                                 \
	X(RCO_E_SHARED_MEMORY, -37)                                                                               \
	X(RCO_E_INTERNAL, -38)                                                                                    \
	X(RCO_PENDING, 1)

#define V1_CONSENT_POLICY(X)                                                                                      \
	X(RCO_CONSENT_DEFAULT, 0)                                                                                 \
	X(RCO_CONSENT_IMPLIED, 1)                                                                                 \
	X(RCO_CONSENT_ASK_FIRST, 2)                                                                               \
	X(RCO_CONSENT_OFF, 3)

#define V1_RECORDER_ACTION(X)                                                                                     \
	X(RCO_RECORDER_START, 1)                                                                                  \
	X(RCO_RECORDER_STOP, 2)                                                                                   \
	X(RCO_RECORDER_PAUSE, 3)                                                                                  \
	X(RCO_RECORDER_RESUME, 4)

#define V1_FORMAT(X)                                                                                              \
	X(RCO_FORMAT_PCMU_8K, 1)                                                                                  \
	X(RCO_FORMAT_PCMA_8K, 2)                                                                                  \
	X(RCO_FORMAT_S16_8K, 3)                                                                                   \
	X(RCO_FORMAT_S16_16K, 4)                                                                                  \
	X(RCO_FORMAT_S16_24K, 5)                                                                                  \
	X(RCO_FORMAT_S16_48K, 6)

#define V1_SESSION_STATE(X)                                                                                       \
	X(RCO_STATE_IDLE, 1)                                                                                      \
	X(RCO_STATE_RECORDING, 2)                                                                                 \
	X(RCO_STATE_PAUSED, 3)                                                                                    \
	X(RCO_STATE_ENDED, 4)                                                                                     \
	X(RCO_STATE_UPLOADING, 5)                                                                                 \
	X(RCO_STATE_STORED, 6)                                                                                    \
	X(RCO_STATE_OPTED_OUT, 7)                                                                                 \
	X(RCO_STATE_CLOSED, 8)

#define V1_STATUS(X)                                                                                              \
	X(RCO_STATUS_UNKNOWN, 0)                                                                                  \
	X(RCO_STATUS_REQUESTED, 1)                                                                                \
	X(RCO_STATUS_STOPPED, 2)                                                                                  \
	X(RCO_STATUS_DURABLE, 3)                                                                                  \
	X(RCO_STATUS_RETRYING, 4)                                                                                 \
	X(RCO_STATUS_ERASED, 5)                                                                                   \
	X(RCO_STATUS_VERIFIED, 6)                                                                                 \
	X(RCO_STATUS_OVERDUE, 7)                                                                                  \
	X(RCO_STATUS_NOT_RECORDING, 8)                                                                            \
	X(RCO_STATUS_HELD, 9)                                                                                     \
	X(RCO_STATUS_NOTED, 10)

#define V1_EVENT_TYPE(X)                                                                                          \
	X(RCO_EVENT_STARTED, 1)                                                                                   \
	X(RCO_EVENT_PAUSED, 2)                                                                                    \
	X(RCO_EVENT_RESUMED, 3)                                                                                   \
	X(RCO_EVENT_ENDED, 4)                                                                                     \
	X(RCO_EVENT_OPTED_OUT, 5)                                                                                 \
	X(RCO_EVENT_STOP_FAILED, 6)                                                                               \
	X(RCO_EVENT_STOPPED, 7)                                                                                   \
	X(RCO_EVENT_DURABLE, 8)                                                                                   \
	X(RCO_EVENT_NOT_DURABLE, 9)                                                                               \
	X(RCO_EVENT_ERASE_RETRY, 10)                                                                              \
	X(RCO_EVENT_ERASED, 11)                                                                                   \
	X(RCO_EVENT_VERIFIED, 12)                                                                                 \
	X(RCO_EVENT_ESCALATED, 13)                                                                                \
	X(RCO_EVENT_SWEPT, 14)                                                                                    \
	X(RCO_EVENT_HELD, 15)                                                                                     \
	X(RCO_EVENT_HOLD_LIFTED, 16)                                                                              \
	X(RCO_EVENT_UPLOAD_STARTED, 17)                                                                           \
	X(RCO_EVENT_UPLOAD_RETRY, 18)                                                                             \
	X(RCO_EVENT_UPLOAD_ABORTED, 19)                                                                           \
	X(RCO_EVENT_STORED, 20)                                                                                   \
	X(RCO_EVENT_CALL_RECORD, 21)                                                                              \
	X(RCO_EVENT_OVERFLOW, 22)                                                                                 \
	X(RCO_EVENT_BUFFER_RETRY, 23)                                                                             \
	X(RCO_EVENT_RECOVERED, 24)                                                                                \
	X(RCO_EVENT_QUARANTINED, 25)                                                                              \
	X(RCO_EVENT_ARTIFACT_ERASED, 26)                                                                          \
	X(RCO_EVENT_CONSENT, 27)                                                                                  \
	X(RCO_EVENT_WORKER_ENDED, 28)                                                                             \
	X(RCO_EVENT_AGENT_CLAIM, 29)

#define V1_CONFIRM(X)                                                                                             \
	X(RCO_CONFIRM_UNKNOWN, 0)                                                                                 \
	X(RCO_CONFIRM_DONE, 1)                                                                                    \
	X(RCO_CONFIRM_GONE, 2)                                                                                    \
	X(RCO_CONFIRM_PRESENT, 3)

#define V1_CONSTANTS(X)                                                                                           \
	X(RCO_MAX_LEGS, 8)                                                                                        \
	X(RCO_ID_BYTES, 16)                                                                                       \
	X(RCO_ID_TEXT, 36)                                                                                        \
	X(RCO_CALL_ID_MAX, 255)                                                                                   \
	X(RCO_LABEL_MAX, 31)                                                                                      \
	X(RCO_LOG_ERROR, 1)                                                                                       \
	X(RCO_LOG_WARN, 2)                                                                                        \
	X(RCO_LOG_INFO, 3)                                                                                        \
	X(RCO_LOG_DEBUG, 4)                                                                                       \
	X(RCO_ENGINE_HOST_DRIVEN, 1)                                                                              \
	X(RCO_ENGINE_PRIVATE_RINGS, 2)                                                                            \
	X(RCO_KIND_AUDIO, 1)                                                                                      \
	X(RCO_KIND_TRANSCRIPT, 2)                                                                                 \
	X(RCO_KIND_ANALYTICS, 4)                                                                                  \
	X(RCO_KIND_METADATA, 8)                                                                                   \
	X(RCO_EXPORT_DEFAULT, 0)                                                                                  \
	X(RCO_EXPORT_WAV, 1)                                                                                      \
	X(RCO_EXPORT_WAV_ZST, 2)                                                                                  \
	X(RCO_LAYOUT_DEFAULT, 0)                                                                                  \
	X(RCO_LAYOUT_PER_LEG, 1)                                                                                  \
	X(RCO_LAYOUT_STEREO, 2)                                                                                   \
	X(RCO_OPT_OUT_INHERIT, 0)                                                                                 \
	X(RCO_OPT_OUT_ENABLED, 1)                                                                                 \
	X(RCO_OPT_OUT_DISABLED, 2)                                                                                \
	X(RCO_OPT_OUT_NONBLOCK, 1)                                                                                \
	X(RCO_OPT_OUT_RECORDER_ASKED, 2)                                                                          \
	X(RCO_FACT_STOPPED, 1)                                                                                    \
	X(RCO_FACT_DURABLE, 2)                                                                                    \
	X(RCO_FACT_ERASED, 4)                                                                                     \
	X(RCO_FACT_VERIFIED, 8)                                                                                   \
	X(RCO_FACT_HELD, 16)                                                                                      \
	X(RCO_FACT_RECORDED, 32)                                                                                  \
	X(RCO_FACT_EARLY, 64)                                                                                     \
	X(RCO_FACT_AFTER_END, 128)                                                                                \
	X(RCO_FACT_SWEPT, 256)                                                                                    \
	X(RCO_FACT_RECOVERED, 512)                                                                                \
	X(RCO_FACT_ESCALATED, 1024)                                                                               \
	X(RCO_FACT_UNREGISTERED, 2048)                                                                            \
	X(RCO_TIME_REQUESTED, 1)                                                                                  \
	X(RCO_TIME_STOPPED, 2)                                                                                    \
	X(RCO_TIME_DURABLE, 3)                                                                                    \
	X(RCO_TIME_ERASED, 4)                                                                                     \
	X(RCO_TIME_VERIFIED, 5)                                                                                   \
	X(RCO_STORE_UPLOAD, 1)                                                                                    \
	X(RCO_STORE_HOST, 2)                                                                                      \
	X(RCO_RECEIPT_JSON_MAX, 4096)                                                                             \
	X(RCO_META_MAX, 512)                                                                                      \
	X(RCO_WRAPPED_KEY_MAX, 256)                                                                               \
	X(RCO_SAY_ANNOUNCEMENT, 1)                                                                                \
	X(RCO_SAY_GUIDANCE, 2)                                                                                    \
	X(RCO_SAY_ASK_CONSENT, 3)                                                                                 \
	X(RCO_SAY_ERASED, 4)                                                                                      \
	X(RCO_SAY_ERASING, 5)                                                                                     \
	X(RCO_SAY_RETRYING, 6)                                                                                    \
	X(RCO_SAY_STOPPED, 7)                                                                                     \
	X(RCO_SAY_STOPPING, 8)                                                                                    \
	X(RCO_SAY_NOT_RECORDING, 9)                                                                               \
	X(RCO_SAY_HELD, 10)                                                                                       \
	X(RCO_SAY_NOT_AVAILABLE, 11)                                                                              \
	X(RCO_SAY_ENDED, 12)                                                                                      \
	X(RCO_SAY_ERROR, 13)                                                                                      \
	X(RCO_SAY_NOTED, 14)                                                                                      \
	X(RCO_DIALECT_AUTO, 0)                                                                                    \
	X(RCO_DIALECT_OPENAI_CHAT, 1)                                                                             \
	X(RCO_DIALECT_OPENAI_RESPONSES, 2)                                                                        \
	X(RCO_DIALECT_OPENAI_REALTIME, 3)                                                                         \
	X(RCO_DIALECT_ANTHROPIC, 4)                                                                               \
	X(RCO_DIALECT_GEMINI, 5)                                                                                  \
	X(RCO_DIALECT_GEMINI_LIVE, 6)                                                                             \
	X(RCO_DIALECT_MCP, 7)                                                                                     \
	X(RCO_DIALECT_MCP_2026, 8)                                                                                \
	X(RCO_DIALECT_ELEVENLABS_WEBHOOK, 9)                                                                      \
	X(RCO_DIALECT_ELEVENLABS_CLIENT, 10)                                                                      \
	X(RCO_DIALECT_VAPI, 11)                                                                                   \
	X(RCO_DIALECT_RETELL, 12)                                                                                 \
	X(RCO_TOOL_STRICT, 1)                                                                                     \
	X(RCO_TOOL_ENVELOPE, 1)                                                                                   \
	X(RCO_TOOL_NONBLOCK, 2)                                                                                   \
	X(RCO_CLAIM_STOPPED, 1)                                                                                   \
	X(RCO_CLAIM_ERASED, 2)                                                                                    \
	X(RCO_ANSWERS_MAX, 4096)                                                                                  \
	X(RCO_LISTENERS_MAX, 16)                                                                                  \
	X(RCO_CONTROL_LINE_MAX, 65536)                                                                            \
	X(RCO_CONTROL_GROUP, 1)                                                                                   \
	X(RCO_CLIENT_SERVER_UID, 1)                                                                               \
	X(RCO_CLIENT_RECONNECT, 2)                                                                                \
	X(RCO_RECORDPREF_ABSENT, 0)                                                                               \
	X(RCO_RECORDPREF_NONE, 1)                                                                                 \
	X(RCO_RECORDPREF_ON, 2)                                                                                   \
	X(RCO_RECORDPREF_PAUSE, 3)                                                                                \
	X(RCO_RECORDPREF_OFF, 4)                                                                                  \
	X(RCO_RECORD_ABSENT, 0)                                                                                   \
	X(RCO_RECORD_OFF, 1)                                                                                      \
	X(RCO_RECORD_PAUSED, 2)                                                                                   \
	X(RCO_RECORD_ON, 3)                                                                                       \
	X(RCO_SDP_MAX, 65536)                                                                                     \
	X(RCO_SDP_AUDIO, -1)                                                                                      \
	X(RCO_SDP_SESSION, -2)                                                                                    \
	X(RCO_OFF_DEFAULT, 0)                                                                                     \
	X(RCO_OFF_IGNORED, 1)                                                                                     \
	X(RCO_OFF_STOPS, 2)                                                                                       \
	X(RCO_OFF_ERASES, 3)                                                                                      \
	X(RCO_RECORDPREF_NONBLOCK, 1)                                                                             \
	X(RCO_RECORDPREF_IGNORE_PAUSE, 2)                                                                         \
	X(RCO_RECORDPREF_IGNORE_ON, 4)                                                                            \
	X(RCO_RECORDPREF_DID_NOTHING, 0)                                                                          \
	X(RCO_RECORDPREF_DID_PAUSE, 1)                                                                            \
	X(RCO_RECORDPREF_DID_RESUME, 2)                                                                           \
	X(RCO_RECORDPREF_DID_OPT_OUT, 3)                                                                          \
	X(RCO_RECORD_LINE_MAX, 20)

#define NUMBER(name, number) _Static_assert((name) == (number), #name " has another number");

V1_ERRORS(NUMBER)
V1_CONSENT_POLICY(NUMBER)
V1_RECORDER_ACTION(NUMBER)
V1_FORMAT(NUMBER)
V1_SESSION_STATE(NUMBER)
V1_STATUS(NUMBER)
V1_EVENT_TYPE(NUMBER)
V1_CONFIRM(NUMBER)
V1_CONSTANTS(NUMBER)
_Static_assert(RCO_NONE_MS == 0xffffffffu, "RCO_NONE_MS has another number");

/* Each library tells its own structs. */
static uint32_t told_size(uint32_t id)
{
	const uint32_t core = rco_abi_sizeof(id), agent = rco_agent_abi_sizeof(id);

	assert_true(core == 0 || agent == 0);
	return core + agent;
}

/* The libraries that were built agree with the headers, and know no struct besides. */
static void test_sizes(void **state)
{
	uint32_t id, known = 0;

	(void)state;
#define SAME(id, number, type, size, members)                                                                     \
	assert_int_equal(told_size(number), sizeof(type));                                                        \
	known++;
	V1_STRUCTS(SAME)
	V1_FROZEN(SAME)
#undef SAME
	assert_int_equal(rco_agent_abi_sizeof(RCO_STRUCT_TOOL_REQUEST), sizeof(rco_tool_request));
	assert_int_equal(told_size(0), 0);
	for (id = known + 1; id < 1000; id++)
		assert_int_equal(told_size(id), 0);
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

/* Enums cross as 32 bits wherever a struct or a function carries one. */
static void test_enums(void **state)
{
	(void)state;
	assert_int_equal(sizeof(rco_error), 4);
	assert_int_equal(sizeof(rco_consent_policy), 4);
	assert_int_equal(sizeof(rco_format), 4);
	assert_int_equal(sizeof(rco_status), 4);
	assert_int_equal(sizeof(rco_confirm), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_enums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
