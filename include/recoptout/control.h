/* SPDX-License-Identifier: MIT */
/**
 * @file recoptout/control.h
 * The door for other processes: a Unix-domain socket that a running engine
 * serves, and the client for it. The agent's tool handler often runs elsewhere
 * than the media; what it asks for through this door is durable before it is
 * answered.
 *
 * ## Protocol
 * One JSON object (RFC 8259) a line, both ways, at most 64 KiB each; answers in
 * the order of the requests. A request has `"do"` and may have `"id"` (any
 * string or number), which is in its answer:
 *
 *     {"do":"opt_out","call_id":"a84b4c76e66710","source":"agent-tool","language":"de"}
 *     {"ok":true,"code":0,"error":"RCO_OK","status":"durable","sentence":"...","receipt":"{...}"}
 *
 * | do | also | answers |
 * |---|---|---|
 * | `hello` | | `version`, `abi`, `pid`, `opt_out_enabled` |
 * | `opt_out` | `call_id`; `source`, `language`, `company`, `wait` ("erased", "verified"), `timeout_ms` |
 * `status`, `sentence`, `receipt` | | `status` | `call_id`; `language`, `company` | the same, of an opt-out made
 * before | | `pending` | | `count`; `pending`: at most 100 of `call_id`, `receipt_id`, `status`, `requested_us`,
 * `deadline_us`, `attempts` | | `tool` | `dialect`; `strict`, `url`, `call_id` | `definition` | | `tool_call` |
 * `call_id`, `dialect`, `message` (object or string); `language`, `company`, `wait_ms` | `answer`, `calls`,
 * `others`, `status`, `sentence` | | `events` | `call_id` (NULL: all) | `ok`, and from then on a line
 * `{"event":"durable","call_id":...}` for each |
 *
 * An error is `{"ok":false,"code":-22,"error":"RCO_E_ENDED","detail":"..."}`. An
 * opt-out of a call that this engine has not heard of waits for it (P12).
 * Unknown members are ignored; an unknown `do` is an error; a line that is not
 * JSON, or too long, is answered with an error and the connection is closed.
 *
 * ## Who gets in
 * The socket has mode 0600, and its folder has to belong to the engine's user
 * and be writable by nobody else. A peer whose user (SO_PEERCRED) is neither
 * the engine's, nor root, nor in `allowed_uids`, is closed unheard.
 */
#ifndef RECOPTOUT_CONTROL_H
#define RECOPTOUT_CONTROL_H

#include <recoptout/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest request or answer in bytes, with its line break. */
#define RCO_CONTROL_LINE_MAX 65536

/* ------------------------------------------------------------------------
 * The engine's side
 * --------------------------------------------------------------------- */

typedef struct rco_control rco_control;

/** `struct_size` and `path` are REQUIRED. @since 0.1.0 */
typedef struct rco_control_options {
	uint32_t struct_size;
	uint32_t flags;       /**< 0 */
	uint32_t max_clients; /**< at once; more are closed at once; default 64, at most 1,024 */
	uint32_t idle_ms; /**< a client that leaves a line half sent, or an answer unread, for so long is closed;
	                       default 10,000 */
	const char *path; /**< at most 107 bytes; a socket left by a dead process is replaced */
	const uint32_t *allowed_uids; /**< users allowed besides; copied */
	size_t n_allowed_uids;
	const rco_phrasebook *book; /**< or NULL; must outlive the control */
	void *reserved;             /**< NULL */
} rco_control_options;

/**
 * Serve the engine on a socket. Two threads: one for all clients, one that
 * waits for the disk. Neither a slow nor a hostile client holds up another.
 * @return #RCO_OK; #RCO_E_BUSY if another process serves that path;
 *   #RCO_E_PERMISSION if others could write to its folder; #RCO_E_IO;
 *   #RCO_E_INVALID, #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, #RCO_E_HANDLE, #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_control_open(rco_engine *engine, const rco_control_options *options, rco_control **control);

/** Close all connections, remove the socket. What was asked for and not answered stands or not, as
 * after a crash. Before rco_engine_free(). Not from a callback. NULL is ignored. @since 0.1.0 */
RCO_API void rco_control_close(rco_control *control);

/* ------------------------------------------------------------------------
 * The other side
 * --------------------------------------------------------------------- */

/** A connection. One thread at a time. */
typedef struct rco_client rco_client;

/**
 * Connect. Fails unless the socket's owner is this user or root.
 * @param timeout_ms for connecting, and for each answer; 0: 5,000
 * @return #RCO_OK; #RCO_E_NOT_FOUND if nobody serves there; #RCO_E_PERMISSION;
 *   #RCO_E_TIMEOUT; #RCO_E_IO; #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_client_connect(const char *path, uint32_t timeout_ms, rco_client **client);

/**
 * Send one request and wait for its answer.
 * @param request one JSON object without a line break
 * @param answer gets the answer's line with a NUL instead of the line break;
 *   valid until the next call for this client
 * @return #RCO_OK if there is an answer (which may say that something failed);
 *   #RCO_E_TIMEOUT, #RCO_E_IO: whether it was done is not known: connect and
 *   ask again, an opt-out is the same however often it is asked for;
 *   #RCO_E_INVALID, #RCO_E_LIMIT, #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_client_request(rco_client *client, const char *request, const char **answer);

/**
 * Opt a call out.
 * @param receipt NULL, or gets the receipt's JSON line (rco_receipt_verify()); valid until the next call
 * @param status NULL, or gets the #rco_status
 * @return what rco_opt_out_call() returned over there, or as rco_client_request()
 * @since 0.1.0
 */
RCO_API int rco_client_opt_out(rco_client *client, const char *call_id, const char *source, uint32_t *status,
                               const char **receipt);

/**
 * After a request `events`: wait for the next one.
 * @param timeout_ms 0: do not wait
 * @return #RCO_OK with the event's line; #RCO_E_TIMEOUT; #RCO_E_IO the engine is gone
 * @since 0.1.0
 */
RCO_API int rco_client_event(rco_client *client, uint32_t timeout_ms, const char **event);

/** Close the connection. NULL is ignored. @since 0.1.0 */
RCO_API void rco_client_close(rco_client *client);

#ifdef __cplusplus
}
#endif
#endif /* RECOPTOUT_CONTROL_H */
