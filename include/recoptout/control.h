/* SPDX-License-Identifier: MIT */
/**
 * @file recoptout/control.h
 * The control socket for other processes: a Unix-domain socket that a running engine
 * serves, and the client for it. The agent's tool handler often runs elsewhere
 * than the media; what it asks for through it is durable before it is
 * answered.
 *
 * ## Protocol
 * One JSON object (RFC 8259) a line, both ways, UTF-8, at most 64 KiB each, with
 * its line break (the last one before the connection's end counts without); the `message` of a tool_call does not
 * count and may be of any size. A request has "do" and may have "id":
 *
 *     > {"do":"opt_out","call_id":"a84b4c76e66710","source":"agent-tool","language":"de","id":7}
 *     < {"ok":true,"code":0,"error":"RCO_OK","status":"durable","sentence":"...","receipt":"{...}","id":7}
 *
 * The id is a string or a number of at most 1,024 bytes; its bytes come back as
 * they were sent. Anything else is an error, which carries no id, and nothing is
 * done. Answers to requests with an id come when they are ready: match them by
 * it. Answers to requests without one come in the order of those requests.
 *
 *     do         members                           answer, besides ok, code, error, id
 *     ---------  --------------------------------  ------------------------------------------
 *     hello                                        version, abi, pid, opt_out_enabled
 *     opt_out    call_id, source, language,        status, sentence, receipt
 *                company, wait, timeout_ms
 *     status     call_id, language, company        status, sentence, receipt
 *     pending                                      count, pending
 *     tool       dialect, strict, url,             definition
 *                description
 *     tool_call  call_id, dialect, message,        answer, calls, others, status, sentence
 *                language, company, source,
 *                wait_ms
 *     events     call_id                           then events, one a line
 *
 * - code is what the function in C returned: negative, and ok false, nothing was done;
 *   0 or 1 ("RCO_PENDING") the request stands. Of 1 reason names what is outstanding
 *   where that has failed so far, as rco_receipt_code() does: "RCO_E_CALLBACK",
 *   "RCO_E_NOT_DURABLE".
 * - `opt_out`, `tool_call`: recording stops when the line has been read; the answer
 *   comes when that is durable. "wait" is "erased" or "verified": the answer waits
 *   for it, at most timeout_ms (default 5,000, at most 60,000). `wait_ms` is the
 *   same for "erased". The answer then tells what has been reached.
 *   A recorder of the host is asked to stop at once, whatever the disk is doing. With more
 *   than 256 requests of a connection waiting the further ones are answered at once, with
 *   code 1 ("RCO_PENDING") and a status that is not durable yet: recording has stopped,
 *   and `status` tells more later. With 4,096, or 1 MiB of answers, not taken the
 *   connection is not read until some are.
 * - `status`: of an opt-out made before; RCO_E_NOT_FOUND without one.
 *   A status "noted" says that this engine knows no such call: the opt-out is kept, and
 *   applies if a call of that id begins. It says nothing about a recording; detail says
 *   that no such call is known, for a caller who mistyped the id.
 * - `pending`: count is that of all; pending lists at most 100 of them, each with
 *   call_id, receipt_id, status, requested_us, deadline_us, attempts.
 * - `tool`: RCO_E_NOT_AVAILABLE while there is none to be offered (P9).
 * - `tool_call`: message is the platform's, as an object or as a string that holds it; give
 *   dialect before message: behind one of more than 256 KiB it comes too late, which is an
 *   error if no call of the tool was found without it. answer is what the platform has to get, null if
 *   it was no call of the tool. If that alone makes the line too long it is left out,
 *   and reason is RCO_E_LIMIT; the opt-out stands, as status says.
 * - `events`: of one call, or of all without call_id; a second request replaces the first:
 *
 *     < {"event":"durable","time_us":1767225600000000,"call_id":"...","receipt_id":"...",
 *        "status":"durable","code":0,"count":0,"attempt":0,"message":""}
 *
 *   (in one line). {"event":"lost","count":3} tells that three did not fit.
 *
 * An error:
 *
 *     > {"do":"opt_out","call_id":"a call of yesterday"}
 *     < {"ok":false,"code":-15,"error":"RCO_E_ENDED","detail":"..."}
 *
 * An opt_out or tool_call is not refused for what it does not need: a source, language,
 * company, wait or dialect that is none is left out, and "ignored" names one of them. Half
 * of a surrogate pair (\ud83d alone) or a NUL in the call_id is RCO_E_CALL_ID, in another
 * member it is left out like that; the connection stays.
 *
 * Codes are those of recoptout.h. An opt-out of a call that this engine has not
 * heard of waits for it (P12). Unknown members are ignored; an unknown "do" is an
 * error; a line that is not JSON, or too long, or has "do", "call_id" or "message"
 * twice, is answered with an error and the connection is closed. A "tool_call" that is cut off in its message or
 * behind it is acted on as far as it came: it may have been an objection.
 *
 * ## Who gets in
 * Root and the engine's user, in any case. Without further options the socket has
 * mode 0600. With #RCO_CONTROL_GROUP it belongs to that group and has mode 0660: its
 * members get in, or of them those in `allowed_uids` if there are any. With
 * `allowed_uids` alone the mode is 0666, and a client who is not one of them (SO_PEERCRED) is
 * closed unheard; prefer a group. The folder has to belong to the engine's user or to
 * root and be writable by nobody else; for others it has to be searchable (0711,
 * or 0750 with that group), and so have the folders above. Who could rename those above
 * could lead clients to another socket of the same user: let it be nobody else, as in /run.
 *
 * ## Shares
 * When all places are taken, the next client gets one from the user that has
 * most, which may be its own: the connection is closed that has not asked for
 * anything for longest; one that has ended needs no place. Half of the places are
 * for root and the engine's user together, if they want them; subscribers to events
 * take at most half (and half of that is for those two), and are closed last. So no
 * user can lock out another, nor itself, from the socket. What was said on a connection
 * that was closed is heard in turn with what others say, of up to 64 such connections;
 * of more, the oldest of the user that has most is not heard any more: nobody makes so
 * many but to hold up others. Of the opt-outs for calls not known
 * (`early_opt_outs_max`) a user other than root and the engine's may have `early_per_user`
 * waiting: one more is refused (#RCO_E_LIMIT, and nothing is kept) until one of them is done
 * with; calls that are known are opted out as ever. So let `early_opt_outs_max` be more than
 * that for all such users together; the count starts again with the engine's process.
 * A user with subordinate users (subuid(5)) comes as each of them: with #RCO_CONTROL_GROUP alone its shares are
 * many, so name the `allowed_uids`, too, where members are not to be trusted with that.
 * A connection that has sent half a line,
 * or left answers unread, for `idle_ms` is closed, however it moves within that
 * time. A process that runs out of descriptors still answers, one connection at a time.
 *
 * ## Children
 * A child after fork() has neither the socket nor a connection: when the engine's process dies its clients see
 * that at once, even if a child of its lives on, nobody else can connect (#RCO_E_NOT_FOUND), and the next engine
 * serves the path at once. A child that is made past pthread_atfork(3), by clone(2) or _Fork(), has them: who
 * connects to it then is told the same, for the one who listened has ended; who was connected before waits for as
 * long as a request may take (#RCO_E_TIMEOUT).
 */
#ifndef RECOPTOUT_CONTROL_H
#define RECOPTOUT_CONTROL_H

#include <recoptout/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest answer or event, and longest request without its `message`, in bytes, with the line break. */
#define RCO_CONTROL_LINE_MAX 65536

/* ------------------------------------------------------------------------
 * The engine's side
 * --------------------------------------------------------------------- */

typedef struct rco_control rco_control;

/** Flags of #rco_control_options. */
enum {
	RCO_CONTROL_GROUP = 1u << 0 /**< the members of `gid` get in. @since 0.1.0 */
};

/** `struct_size` and `path` are REQUIRED. @since 0.1.0 */
typedef struct rco_control_options {
	uint32_t struct_size;
	uint32_t flags; /**< RCO_CONTROL_... */
	/** connections at once; default 64, or a quarter of RLIMIT_NOFILE if that is less; at most 1,024, and
	    16 fewer than RLIMIT_NOFILE */
	uint32_t max_clients;
	/** for sending a line, from its first byte to its last, and for reading an answer; default 10,000 */
	uint32_t idle_ms;
	const char *path;             /**< at most 107 bytes; a socket left by a dead process is replaced, also
	                                   if a child of it lives on; beside it `path`.lock is made */
	const uint32_t *allowed_uids; /**< users allowed besides; copied */
	size_t n_allowed_uids;        /**< at most 1,024 */
	const rco_phrasebook *book;   /**< or NULL; must outlive the control */
	void *reserved;               /**< NULL */
	uint32_t gid;                 /**< with #RCO_CONTROL_GROUP: a group that this process may give a file to */
	/** opt-outs for calls not known that a user may have waiting, root and the engine's user excepted;
	    default 10,000. @since 0.1.0 */
	uint32_t early_per_user;
	rco_thread_fn thread; /**< told of each thread of the socket; NULL: nobody. @since 0.2.0 */
	void *thread_user_data;
} rco_control_options;

/**
 * Serve the engine on a socket. One thread for all clients, up to 16 that wait
 * for the disk, and up to 64 that wait for recorders, started as they are
 * needed. Neither a slow nor a hostile client holds up another.
 * @return #RCO_OK; #RCO_E_BUSY if somebody serves that path;
 *   #RCO_E_PERMISSION if others could write to its folder, or the group may not be
 *   given; #RCO_E_LIMIT if `max_clients` does not fit into RLIMIT_NOFILE, or no
 *   thread can be had; #RCO_E_STATE if something else is at that path; #RCO_E_IO;
 *   #RCO_E_INVALID, #RCO_E_STRUCT_SIZE, #RCO_E_NEWER, #RCO_E_HANDLE, #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_control_open(rco_engine *engine, const rco_control_options *options, rco_control **control);

/** Remove the socket, and close all connections after hearing what was said by then: that stops, is
 * offered to the ledger and is not answered. Waits for what has begun in the engine: for a disk or a
 * recorder that does not answer as long as it does not. Before rco_engine_free(). Not from a callback. In a child
 * after fork() it closes the child's descriptors and no more. NULL is ignored. @since 0.1.0 */
RCO_API void rco_control_close(rco_control *control);

/* ------------------------------------------------------------------------
 * The other side
 * --------------------------------------------------------------------- */

/** A connection. One thread at a time; threads that ask at once have a client each. It is its process's: in a
 * child after fork() all but rco_client_close() answers #RCO_E_FORKED. */
typedef struct rco_client rco_client;

/**
 * Connect. Fails unless the socket's server is this user or root.
 * @param timeout_ms for connecting, and for each answer; 0: 5,000
 * @return #RCO_OK; #RCO_E_NOT_FOUND if nobody serves there; #RCO_E_PERMISSION;
 *   #RCO_E_TIMEOUT; #RCO_E_IO; #RCO_E_INVALID; #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_client_connect(const char *path, uint32_t timeout_ms, rco_client **client);

/** Flags of #rco_client_options. */
enum {
	/** Who is expected to serve there is `server_uid` (or root), not this user. */
	RCO_CLIENT_SERVER_UID = 1u << 0,
	/** A lost connection is made again, within the time of the request that notices, and at most once a
	    second if it does not last; the request is sent again (an opt-out is the same however often it is asked
	   for), and so is `events`. */
	RCO_CLIENT_RECONNECT = 1u << 1
};

/** How to connect. `struct_size` and `path` are REQUIRED. @since 0.1.0 */
typedef struct rco_client_options {
	uint32_t struct_size;
	uint32_t flags;      /**< RCO_CLIENT_... */
	uint32_t timeout_ms; /**< for connecting, and for each answer; 0: 5,000 */
	uint32_t server_uid; /**< with #RCO_CLIENT_SERVER_UID */
	const char *path;    /**< copied */
	void *reserved;      /**< NULL */
} rco_client_options;

/**
 * Connect, as the options say. With #RCO_CLIENT_RECONNECT, too, there has to be
 * somebody now.
 * @return as rco_client_connect(); #RCO_E_STRUCT_SIZE, #RCO_E_NEWER
 * @since 0.1.0
 */
RCO_API int rco_client_open(const rco_client_options *options, rco_client **client);

/**
 * Send one request and wait for its answer. A request without "id" is given one
 * that begins with "rco-"; an id of yours may not begin so. Answers with another id
 * are dropped. After #RCO_E_TIMEOUT further requests go through the same connection,
 * also with the same id: the answer that is late is dropped when it comes. Only if the
 * request had an id that is neither string nor number, is longer than 1,024 bytes or stands
 * there twice, or was no object, the connection is closed.
 * @param request one JSON object without a line break; a tool_call's message may be of any size
 * @param answer gets the answer's line with a NUL instead of the line break;
 *   valid until the next call for this client
 * @return #RCO_OK if there is an answer (which may say that something failed);
 *   #RCO_E_TIMEOUT, #RCO_E_IO: whether it was done is not known: ask again, after #RCO_E_IO
 *   by a new connection; an opt-out is the same however often it is asked for;
 *   #RCO_E_INVALID, also for an id that begins with "rco-"; #RCO_E_LIMIT; #RCO_E_NO_MEMORY
 * @since 0.1.0
 */
RCO_API int rco_client_request(rco_client *client, const char *request, const char **answer);

/**
 * Opt a call out.
 * @param receipt NULL, or gets the receipt's JSON line (rco_receipt_verify()); valid until the next call
 * @param status NULL, or gets the #rco_status
 * @return what rco_engine_opt_out() returned over there, or as rco_client_request(); #RCO_E_IO also if
 *   the answer's ok and code contradict each other
 * @since 0.1.0
 */
RCO_API int rco_client_opt_out(rco_client *client, const char *call_id, const char *source, uint32_t *status,
                               const char **receipt);

/**
 * After a request `events`: wait for the next one. With #RCO_CLIENT_RECONNECT a
 * line {"event":"lost","count":0} tells that the connection was made again, and that
 * events may be missing.
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
