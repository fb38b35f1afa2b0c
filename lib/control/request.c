/* SPDX-License-Identifier: MIT */
/* What a request means, and what is answered. */
#include "control.h"

#include "../base/bytes.h"
#include "../base/error.h"
#include "../base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	COMPANY_MAX = 256,    /* a longer one is not said */
	PENDING_LISTED = 100, /* if their call ids leave room for so many */
	PENDING_ROOM = RCO_CONTROL_LINE_MAX - 8192
};

/* ---- answers ---- */

/* What begins every answer. */
static rco__text head(int code)
{
	rco__text t = {0};

	rco__text_put(&t, code >= 0 ? "{\"ok\":true" : "{\"ok\":false");
	rco__text_member_number(&t, "code", code);
	rco__text_member(&t, "error", rco_error_name(code));
	return t;
}

/* What ends one; takes the text. NULL as well if it is too long. */
static char *line_of(const rco__request *request, rco__text *t)
{
	if (request != NULL && request->ignored != NULL)
		rco__text_member(t, "ignored", request->ignored);
	if (request != NULL && request->id != NULL) {
		rco__text_name(t, "id");
		rco__text_put(t, request->id);
	}
	rco__text_put(t, "}\n");
	if (!t->failed && t->size <= RCO_CONTROL_LINE_MAX)
		return t->bytes;
	free(t->bytes);
	return NULL;
}

/* It always fits: an id and a detail are bounded. */
char *rco__answer_error(const rco__request *request, int code, const char *detail)
{
	rco__text t = head(code);

	rco__text_member(&t, "detail", detail);
	return line_of(request, &t);
}

/* The error that the library has just answered, with its sentence. */
static char *failed(const rco__request *request, int code)
{
	const char *detail = rco_error_detail();

	return rco__answer_error(request, code, detail[0] != '\0' ? detail : rco_strerror(code));
}

/* Takes the text. */
static char *line_or_error(const rco__request *request, rco__text *t)
{
	const int no_memory = t->failed;
	char *line = line_of(request, t);

	return line != NULL || no_memory
	               ? line
	               : rco__answer_error(request, RCO_E_LIMIT, "the answer is longer than a line may be");
}

static const char *text(const rco__request *request, int member)
{
	return request->text[member];
}

static const char *company_of(const rco__request *request)
{
	const char *company = text(request, RCO__M_COMPANY);

	return company != NULL && strlen(company) <= COMPANY_MAX ? company : NULL;
}

static const rco__outcome nothing_failed;

/* What failed, or is outstanding. */
static void explain(rco__text *t, const rco__outcome *o)
{
	const int why = o->code < 0 ? o->code : o->reason;

	if (o->code >= 0 && why != RCO_OK && why != RCO_PENDING)
		rco__text_member(t, "reason", rco_error_name(why));
	if (why < 0)
		rco__text_member(t, "detail", o->detail[0] != '\0' ? o->detail : rco_strerror(why));
}

/* status, sentence and receipt of an opt-out; the receipt as its own line of text, for its signature is over
 * bytes. Takes the receipt. */
static char *receipt_answer(rco_control *control, const rco__request *request, const rco__outcome *outcome,
                            rco_receipt *receipt)
{
	const uint32_t status = rco_receipt_status(receipt);
	char sentence[8192] = "", signed_text[RCO_RECEIPT_JSON_MAX];
	rco__text t = head(outcome->code);
	size_t len;

	(void)rco_sentence_get(control->book, text(request, RCO__M_LANGUAGE),
	                       rco_sentence_for(outcome->code, status), company_of(request), sentence,
	                       sizeof sentence, NULL);
	rco__text_member(&t, "status", rco_status_name(status));
	rco__text_member(&t, "sentence", sentence);
	explain(&t, outcome);
	if (outcome->code >= 0 && outcome->reason >= 0 &&
	    status == RCO_STATUS_NOTED) /* for a caller who mistyped the id */
		rco__text_member(&t, "detail", "no call of this id is known here; the wish waits for one");
	if (receipt != NULL) {
		t.failed |= rco_receipt_to_json(receipt, signed_text, sizeof signed_text, &len) != RCO_OK;
		if (!t.failed)
			rco__text_member(&t, "receipt", signed_text);
	}
	rco_receipt_free(receipt);
	return line_or_error(request, &t);
}

static char *hello(rco_control *control, const rco__request *request)
{
	rco__text t = head(RCO_OK);

	rco__text_member(&t, "version", rco_version_string());
	rco__text_member_number(&t, "abi", rco_abi_version());
	rco__text_member_number(&t, "pid", getpid());
	rco__text_name(&t, "opt_out_enabled");
	rco__text_put(&t, rco_engine_opt_out_enabled(control->engine) == 1 ? "true" : "false");
	return line_or_error(request, &t);
}

static char *status(rco_control *control, const rco__request *request)
{
	const char *call_id = text(request, RCO__M_CALL_ID);
	rco_receipt *receipt = NULL;
	int rc;

	if (call_id == NULL)
		return rco__answer_error(request, RCO_E_INVALID, "call_id is missing");
	rc = rco_engine_receipt(control->engine, call_id, &receipt);
	return rc == RCO_OK ? receipt_answer(control, request, &nothing_failed, receipt) : failed(request, rc);
}

/* ---- pending ---- */

typedef struct pending {
	rco__text *to;
	uint64_t count, listed;
} pending;

static int list_pending(const rco_pending *p, void *user_data)
{
	pending *list = user_data;

	list->count++;
	if (list->listed == PENDING_LISTED || list->to->size > PENDING_ROOM)
		return 0;
	rco__text_put(list->to, list->listed++ > 0 ? ",{\"call_id\":" : "{\"call_id\":");
	rco__text_string(list->to, p->call_id);
	rco__text_member(list->to, "receipt_id", p->receipt_id);
	rco__text_member(list->to, "status", rco_status_name(p->status));
	rco__text_member_number(list->to, "requested_us", p->requested_us);
	rco__text_member_number(list->to, "attempts", p->attempts);
	rco__text_member_number(list->to, "deadline_us", p->deadline_us);
	rco__text_put(list->to, "}");
	return 0;
}

static char *pending_answer(rco_control *control, const rco__request *request)
{
	rco__text t = head(RCO_OK);
	pending found = {.to = &t};
	int rc;

	rco__text_name(&t, "pending");
	rco__text_put(&t, "[");
	rc = rco_engine_each_pending(control->engine, list_pending, &found);
	if (rc != RCO_OK) {
		free(t.bytes);
		return failed(request, rc);
	}
	rco__text_put(&t, "]");
	rco__text_member_number(&t, "count", (int64_t)found.count);
	return line_or_error(request, &t);
}

/* ---- tools ---- */

static char *definition(rco_control *control, const rco__request *request)
{
	rco_tool_options o = {.struct_size = (uint32_t)sizeof o,
	                      .flags = request->strict ? RCO_TOOL_STRICT : 0u,
	                      .url = text(request, RCO__M_URL),
	                      .description = text(request, RCO__M_DESCRIPTION)};
	char buf[32768];
	rco__text t;
	size_t len;
	int rc;

	if (!rco__request_dialect(request, &o.dialect))
		return rco__answer_error(request, RCO_E_INVALID, "unknown dialect");
	rc = rco_tool_definition(control->engine, &o, buf, sizeof buf, &len);
	if (rc != RCO_OK)
		return failed(request, rc);
	t = head(RCO_OK);
	rco__text_name(&t, "definition");
	rco__text_raw(&t, buf, len);
	return line_or_error(request, &t);
}

static void describe_call(rco__text *t, const rco_tool_answer *a)
{
	rco__text_member_number(t, "calls", rco_tool_answer_calls(a));
	rco__text_member_number(t, "others", rco_tool_answer_others(a));
	rco__text_member(t, "status", rco_status_name(rco_receipt_status(rco_tool_answer_receipt(a))));
	rco__text_member(t, "sentence", rco_tool_answer_sentence(a));
}

/* A message may hold more ids than a line has room for answers. What became of the request is told in any case. */
static char *without_answer(const rco__request *request, const rco_tool_answer *a, int code)
{
	const int stands = code >= 0 && rco_tool_answer_calls(a) > 0;
	rco__text t = head(stands ? RCO_PENDING : RCO_E_LIMIT);

	if (stands)
		rco__text_member(&t, "reason", rco_error_name(RCO_E_LIMIT));
	rco__text_member(&t, "detail",
	                 "the platform's answer is longer than a line may be; the opt-out is as status says");
	describe_call(&t, a);
	return line_or_error(request, &t);
}

static char *tool_answer(rco_control *control, const rco__request *request, const rco__outcome *before)
{
	rco_tool_answer *a = NULL;
	const int rc = rco__call_message_answer(control, request, &a);
	rco__outcome outcome;
	const char *json;
	rco__text t;
	char *line;
	int no_memory;
	size_t len;

	if (a == NULL)
		return failed(request, rc);
	outcome = *before;
	if (outcome.code == RCO_OK) { /* of what is durable more may be known by now */
		outcome.code = rc;
		outcome.reason = rco_receipt_code(rco_tool_answer_receipt(a));
	}
	t = head(outcome.code);
	json = rco_tool_answer_json(a, &len);
	rco__text_name(&t, "answer");
	rco__text_put(&t, len > 0 ? json : "null");
	describe_call(&t, a);
	explain(&t, &outcome);
	no_memory = t.failed;
	line = line_of(request, &t);
	if (line == NULL && !no_memory)
		line = without_answer(request, a, outcome.code);
	rco_tool_answer_free(a);
	return line;
}

/* ---- opting out ---- */

static int opt_out(rco_control *control, const rco__request *request, uint32_t flags, rco_receipt **receipt)
{
	const char *source = text(request, RCO__M_SOURCE);
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags, .source = source};

	if (source == NULL)
		o.source = request->what == RCO__DO_TOOL_CALL ? "agent-tool" : "control";
	return rco_engine_opt_out(control->engine, text(request, RCO__M_CALL_ID), &o, receipt);
}

static int has_call(rco__request *request)
{
	if (request->what == RCO__DO_OPT_OUT)
		return 1;
	if (request->what != RCO__DO_TOOL_CALL || request->message == NULL)
		return 0;
	rco__call_message_end(request);
	return rco__call_message_calls(request->message) > 0;
}

/* An objection is not refused for what it does not need. */
static void look_for_nonsense(rco__request *request)
{
	const char *source = text(request, RCO__M_SOURCE);
	uint32_t dialect;

	if (request->what != RCO__DO_OPT_OUT && request->what != RCO__DO_TOOL_CALL)
		return;
	if (!rco__request_dialect(request, &dialect))
		request->ignored = "dialect";
	if (source != NULL && !rco__label_ok(source, 1)) {
		request->ignored = "source";
		free(request->text[RCO__M_SOURCE]);
		request->text[RCO__M_SOURCE] = NULL;
	}
}

int rco__request_latch(rco_control *control, rco__request *request, uid_t uid, int *code)
{
	const char *call_id = text(request, RCO__M_CALL_ID);
	int is_new;

	look_for_nonsense(request);
	*code = request->code;
	if (*code != RCO_OK || !has_call(request) || call_id == NULL)
		return 0;
	*code = rco__early_may(control, uid, call_id, &is_new);
	request->refused = *code != RCO_OK;
	if (request->refused)
		return 0;
	*code = opt_out(control, request, RCO_OPT_OUT_NONBLOCK, NULL);
	if (is_new && *code >= 0)
		rco__early_note(control, uid, call_id);
	return *code >= 0;
}

int rco__request_asks(rco_control *control, const rco__request *request)
{
	return rco_engine_recorder_running(control->engine, text(request, RCO__M_CALL_ID)) == 1;
}

static void note_detail(rco__outcome *outcome)
{
	(void)snprintf(outcome->detail, sizeof outcome->detail, "%s", rco_error_detail());
}

void rco__request_stop(rco_control *control, const rco__request *request, rco__outcome *outcome)
{
	int rc;

	rco__error_clear();
	rc = rco_engine_stop_recorder(control->engine, text(request, RCO__M_CALL_ID));
	if (rc == RCO_E_CALLBACK || rc == RCO_E_REENTRANT) { /* it was opted out, and is asked again */
		outcome->reason = rc;
		rc = RCO_PENDING;
	}
	outcome->code = rc;
	note_detail(outcome);
}

void rco__request_do(rco_control *control, const rco__request *request, rco__outcome *outcome)
{
	rco_receipt *receipt = NULL;
	int rc;

	rco__error_clear();
	rc = opt_out(control, request, RCO_OPT_OUT_RECORDER_ASKED, &receipt);
	if (rc != RCO_OK) { /* else it is as good as the stop was */
		outcome->code = rc;
		outcome->reason = rco_receipt_code(receipt);
		note_detail(outcome);
	}
	rco_receipt_free(receipt);
}

uint32_t rco__request_wait_ms(const rco__request *request)
{
	uint32_t ms = request->what == RCO__DO_TOOL_CALL ? request->wait_ms : request->timeout_ms;

	if (request->what == RCO__DO_OPT_OUT && text(request, RCO__M_WAIT) == NULL)
		return 0;
	if (request->what == RCO__DO_OPT_OUT && ms == 0)
		ms = RCO__WAIT_DEFAULT_MS;
	return ms < RCO__WAIT_MAX_MS ? ms : RCO__WAIT_MAX_MS;
}

int rco__request_reached(rco_control *control, const rco__request *request)
{
	const char *wanted = text(request, RCO__M_WAIT);
	rco_receipt *receipt = NULL;
	uint32_t now;

	if (rco_engine_receipt(control->engine, text(request, RCO__M_CALL_ID), &receipt) != RCO_OK)
		return 1; /* forgotten: there is nothing to wait for */
	now = rco_receipt_status(receipt);
	rco_receipt_free(receipt);
	switch (rco__status_erasure(now)) {
	case RCO__ERASURE_OPEN:
		return 0;
	case RCO__ERASURE_DONE:
		return request->what == RCO__DO_TOOL_CALL || wanted == NULL || strcmp(wanted, "verified") != 0;
	default:
		return 1;
	}
}

char *rco__request_finish(rco_control *control, const rco__request *request, const rco__outcome *outcome)
{
	rco_receipt *receipt = NULL;

	if (request->what == RCO__DO_TOOL_CALL)
		return tool_answer(control, request, outcome);
	(void)rco_engine_receipt(control->engine, text(request, RCO__M_CALL_ID), &receipt);
	return receipt != NULL || outcome->code >= 0 ? receipt_answer(control, request, outcome, receipt)
	                                             : rco__answer_error(request, outcome->code, outcome->detail);
}

/* ---- what is answered at once ---- */

static char *refused(rco_control *control, const rco__request *request, int code)
{
	rco__outcome outcome = {.code = code};

	note_detail(&outcome);
	if (request->what == RCO__DO_TOOL_CALL)
		return tool_answer(control, request, &outcome);
	/* These have a sentence for the caller. */
	if (code == RCO_E_ENDED || code == RCO_E_NOT_AVAILABLE)
		return receipt_answer(control, request, &outcome, NULL);
	return rco__answer_error(request, code, outcome.detail[0] != '\0' ? outcome.detail : rco_strerror(code));
}

static char *tool_call(rco_control *control, const rco__request *request)
{
	uint32_t dialect;

	if (text(request, RCO__M_CALL_ID) == NULL)
		return rco__answer_error(request, RCO_E_INVALID, "call_id is missing: which call is meant?");
	if (request->message == NULL)
		return rco__answer_error(request, RCO_E_INVALID, "message is missing");
	if (rco__call_message_unread(request))
		return rco__answer_error(
			request, RCO_E_INVALID,
			"before a message of more than 256 KiB its dialect has to come: nothing was "
			"done");
	if (!rco__request_dialect(request, &dialect) && rco__call_message_calls(request->message) == 0)
		return rco__answer_error(request, RCO_E_INVALID,
		                         "unknown dialect, and in no other a call of the tool");
	return tool_answer(control, request, &nothing_failed);
}

char *rco__request_answer(rco_control *control, const rco__request *request, int code)
{
	rco__text t;

	if (request->code != RCO_OK)
		return rco__answer_error(request, request->code, request->detail);
	if (code < 0)
		return refused(control, request, code);
	switch (request->what) {
	case RCO__DO_HELLO:
		return hello(control, request);
	case RCO__DO_STATUS:
		return status(control, request);
	case RCO__DO_PENDING:
		return pending_answer(control, request);
	case RCO__DO_TOOL:
		return definition(control, request);
	case RCO__DO_TOOL_CALL:
		return tool_call(control, request);
	case RCO__DO_EVENTS:
		t = head(RCO_OK);
		return line_or_error(request, &t);
	case RCO__DO_OPT_OUT:
		return rco__answer_error(request, RCO_E_INVALID, "call_id is missing");
	default:
		return rco__answer_error(request, RCO_E_INVALID,
		                         "\"do\" is hello, opt_out, status, pending, tool, tool_call or events");
	}
}

char *rco__event_line(const rco_event *e)
{
	rco__text t = {0};

	rco__text_put(&t, "{\"event\":");
	rco__text_string(&t, rco_event_name(e->type));
	rco__text_member_number(&t, "time_us", e->time_us);
	rco__text_member(&t, "call_id", e->call_id);
	rco__text_member(&t, "receipt_id", e->receipt_id);
	rco__text_member(&t, "status", rco_status_name(e->status));
	rco__text_member_number(&t, "code", e->code);
	rco__text_member_number(&t, "count", (int64_t)e->count);
	rco__text_member_number(&t, "attempt", e->attempt);
	rco__text_member(&t, "message", e->message);
	return line_of(NULL, &t);
}
