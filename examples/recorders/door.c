/* SPDX-License-Identifier: MIT */
/*
 * The door: what dialplans and agents say, a line each, and what they are answered. Each connection has a thread,
 * so that a recorder that does not answer keeps nobody waiting but who asked for its stop.
 */
#include "calls.h"
#include "net.h"

#include <recoptout/agent.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	LINE_ROOM = 8192,
	ERASED_SOON_MS = 250, /* what is erased so soon is worth waiting for: the sentence can say so */
	LINE_LIMIT_MS = 1000, /* a line half said, or an answer not read, for so long: closed */
	TICK_MS = 250,
	VISITORS_MAX = 200,
	STACK_BYTES = 256 * 1024
};

/* ---- answers ---- */

static void answer_json(char *answer, size_t room, json_t *object)
{
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	(void)snprintf(answer, room, "%s\n", text != NULL ? text : "{\"ok\":false,\"error\":\"RCO_E_NO_MEMORY\"}");
	free(text);
	json_decref(object);
}

static void answer_code(char *answer, size_t room, int rc, const char *detail)
{
	answer_json(
		answer, room,
		json_pack("{s:b, s:s, s:s}", "ok", rc == RCO_OK, "error", rco_error_name(rc), "detail", detail));
}

/* ---- start ---- */

/* Is it one of `words`, which have blanks between? */
static int is_among(const char *word, const char *words)
{
	size_t n = strlen(word);

	while (n > 0 && *words != '\0') {
		size_t one = strcspn(words, " ");

		if (one == n && strncmp(word, words, n) == 0)
			return 1;
		words += one + (words[one] == ' ');
	}
	return 0;
}

/* What is said that no recorder of this kind has, or twice; NULL if nothing is. */
static const char *strange_key(gateway *g, const rec_call *part, char text[WHY_MAX])
{
	const char *keys = g->o.adapter->keys(&g->o.settings);
	size_t i, k;

	for (i = 0; i < part->n; i++) {
		const char *key = part->given[i].key;

		if (!is_among(key, keys)) {
			(void)snprintf(text, WHY_MAX, "%s= is not known here; the keys are: %s", key, keys);
			return text;
		}
		for (k = 0; k < i && strcmp(key, "file") != 0 && strcmp(key, "copy") != 0; k++)
			if (strcmp(part->given[k].key, key) == 0) {
				(void)snprintf(text, WHY_MAX, "%s= came twice; only file= and copy= may", key);
				return text;
			}
	}
	return NULL;
}

static int read_values(rec_call *call, char **rest)
{
	char *word;

	while ((word = strtok_r(NULL, " ", rest)) != NULL) {
		char *is = strchr(word, '=');

		if (is == NULL || call->n == VALUES_MAX || (size_t)(is - word) >= sizeof call->given[0].key ||
		    strlen(is + 1) >= VALUE_MAX)
			return -1;
		*is = '\0';
		(void)snprintf(call->given[call->n].key, sizeof call->given[0].key, "%s", word);
		(void)snprintf(call->given[call->n].value, VALUE_MAX, "%s", is + 1);
		call->n++;
	}
	return 0;
}

static int is_same(const rec_call *a, const rec_call *b)
{
	size_t i;

	for (i = 0; i < a->n && a->n == b->n; i++)
		if (strcmp(a->given[i].key, b->given[i].key) != 0 ||
		    strcmp(a->given[i].value, b->given[i].value) != 0)
			return 0;
	return a->n == b->n;
}

/* Another recording of a call that goes on, or the same after a restart. After an objection it is to be stopped,
 * too. */
static int start_more(entry *e, const rec_call *part)
{
	gateway *g = e->g;
	int rc = RCO_OK;
	size_t i = 0;

	(void)pthread_mutex_lock(&g->lock);
	while (i < e->n_parts && !is_same(&e->parts[i], part))
		i++;
	if (i == PARTS_MAX)
		rc = RCO_E_LIMIT;
	else if (i < e->n_parts && !e->restored && !e->opted_out)
		rc = RCO_E_CALL_EXISTS;
	else if (i == e->n_parts)
		e->parts[e->n_parts++] = *part;
	if (rc == RCO_OK && e->opted_out) {
		e->clear = 0;
		e->wanted++;
		e->again_ms = 0;
	}
	e->restored = 0;
	(void)pthread_mutex_unlock(&g->lock);
	return rc;
}

/* Does an objection wait for this call? One that has found its call has been worked on since. */
static int is_awaited(gateway *g, const char *call_id)
{
	rco_receipt *r = NULL;
	uint32_t facts = 0;

	if (rco_engine_receipt(g->engine, call_id, &r) == RCO_OK)
		facts = rco_receipt_facts(r);
	rco_receipt_free(r);
	return (facts & RCO_FACT_EARLY) &&
	       !(facts & (RCO_FACT_RECORDED | RCO_FACT_ERASED | RCO_FACT_VERIFIED | RCO_FACT_SWEPT));
}

static int start_new(gateway *g, const rec_call *part)
{
	entry *e = entry_new(g, part->id);
	int rc = RCO_OK;

	if (e == NULL)
		return RCO_E_NO_MEMORY;
	e->parts[0] = *part;
	e->n_parts = 1;
	/* With a session, "not recording" would be said of it while its recorder still goes on. */
	e->early = e->opted_out = is_awaited(g, part->id);
	e->wanted = (unsigned)e->early;
	if (!e->early)
		rc = entry_begin(e);
	if (rc == RCO_OK)
		entry_add(e);
	if (rc == RCO_OK && entry_save(e) != 0)
		rc = RCO_E_NOT_DURABLE;
	entry_unref(e);
	return rc;
}

static int goes_on(entry *e)
{
	int yes;

	(void)pthread_mutex_lock(&e->g->lock);
	yes = e->ended_ns == 0;
	(void)pthread_mutex_unlock(&e->g->lock);
	return yes;
}

static int start(gateway *g, const rec_call *part)
{
	entry *e;
	int rc;

	(void)pthread_mutex_lock(&g->starting);
	e = entry_find(g, part->id);
	if (e == NULL || !goes_on(e)) {
		rc = start_new(g, part);
	} else {
		rc = start_more(e, part);
		if (rc == RCO_OK && entry_save(e) != 0)
			rc = RCO_E_NOT_DURABLE;
	}
	(void)pthread_mutex_unlock(&g->starting);
	entry_unref(e);
	wake(g);
	return rc;
}

static void do_start(gateway *g, const char *call_id, char **rest, char *answer, size_t room)
{
	const char *missing;
	char text[WHY_MAX];
	rec_call part = {.n = 0};
	int rc;

	if (strlen(call_id) > ID_MAX || read_values(&part, rest) != 0) {
		answer_code(answer, room, RCO_E_INVALID, "start CALL-ID [KEY=VALUE]...");
		return;
	}
	(void)snprintf(part.id, sizeof part.id, "%s", call_id);
	missing = strange_key(g, &part, text);
	if (missing == NULL && g->o.adapter->check_call != NULL)
		missing = g->o.adapter->check_call(&g->o.settings, &part);
	rc = missing != NULL ? RCO_E_INVALID : start(g, &part);
	answer_code(answer, room, rc, rc == RCO_OK ? "" : missing != NULL ? missing : rco_strerror(rc));
}

/* ---- opt-out, end ---- */

/* After PENDING: until the recorder's answer is there. 1 if it came. */
static int await_recorder(gateway *g, const char *call_id)
{
	entry *e = entry_find(g, call_id);
	int over = 0;

	if (e != NULL) {
		(void)pthread_mutex_lock(&g->lock);
		over = attempt_wait(e, 3 * g->o.settings.timeout_ms);
		(void)pthread_mutex_unlock(&g->lock);
	}
	entry_unref(e);
	return over;
}

/* RCO_OK, why it is not, or what is outstanding. */
static int opt_out(gateway *g, const char *call_id, const rco_opt_out_options *o, rco_receipt **r)
{
	int rc = rco_engine_opt_out(g->engine, call_id, o, r);

	return rc == RCO_PENDING && *r != NULL ? rco_receipt_code(*r) : rc;
}

static void do_opt_out(gateway *g, const char *call_id, char *answer, size_t room)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o,
	                         .wait_status = RCO_STATUS_ERASED,
	                         .timeout_ms = ERASED_SOON_MS,
	                         .source = "gateway"};
	char sentence[1024] = "";
	rco_receipt *r = NULL;
	uint32_t status, patience_ms = attempt_patience_ms, timeout_ms = g->o.settings.timeout_ms;
	int64_t began_ms = net_now_ms(), left_ms;
	int rc;

	attempt_patience_ms = 4 * timeout_ms;
	rc = opt_out(g, call_id, &o, &r);
	if (rc == RCO_PENDING && await_recorder(g, call_id)) {
		rco_receipt_free(r);
		r = NULL;
		/* If that one failed there is another, and who objected does not wait for a silent recorder twice.
		 */
		left_ms = began_ms + timeout_ms - net_now_ms();
		attempt_patience_ms = left_ms > 0 ? (uint32_t)left_ms : 0;
		rc = opt_out(g, call_id, &o, &r);
	}
	attempt_patience_ms = patience_ms;
	if (rc == RCO_PENDING) /* it has been asked once, and again */
		rc = RCO_E_CALLBACK;
	if (rc == RCO_E_TIMEOUT) /* stopped and durable; the status says how far the erasure is */
		rc = RCO_OK;
	status = rco_receipt_status(r);
	(void)rco_sentence_get(NULL, g->o.language, rco_sentence_for(rc, status), NULL, sentence, sizeof sentence,
	                       NULL);
	answer_json(answer, room,
	            json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", r != NULL, "error", rco_error_name(rc), "status",
	                      rco_status_name(status), "sentence", sentence, "receipt",
	                      r != NULL ? rco_receipt_id(r) : ""));
	rco_receipt_free(r);
}

static void do_end(gateway *g, const char *call_id, char *answer, size_t room)
{
	entry *e = entry_find(g, call_id);
	int rc = RCO_E_NOT_FOUND;

	if (e != NULL) {
		(void)pthread_mutex_lock(&g->lock);
		rc = e->ended_ns != 0 ? RCO_E_ENDED : RCO_OK;
		if (rc == RCO_OK) {
			e->ended_ns = file_clock_ns();
			e->ending++;
		}
		(void)pthread_mutex_unlock(&g->lock);
	}
	if (rc == RCO_OK) {
		if (e->session != NULL)
			rc = rco_session_end(e->session);
		if (entry_save(e) != 0 && rc == RCO_OK)
			rc = RCO_E_NOT_DURABLE;
		(void)pthread_mutex_lock(&g->lock);
		e->ending--;
		(void)pthread_mutex_unlock(&g->lock);
	}
	entry_unref(e);
	answer_code(answer, room, rc, rc == RCO_E_NOT_FOUND ? "no start of this call has come" : "");
}

/* ---- lines ---- */

/* No control characters, which recorders would take for the end of a header, and UTF-8, for answers are JSON. */
static int is_text(const char *line, size_t size)
{
	json_t *text = json_stringn(line, size);
	size_t i;

	for (i = 0; i < size && text != NULL && (unsigned char)line[i] >= 0x20 && line[i] != 0x7f;)
		i++;
	json_decref(text);
	return text != NULL && i == size;
}

void gateway_line(gateway *g, char *line, size_t size, char *answer, size_t room)
{
	char *rest = NULL, *what, *call_id;

	if (size > 0 && line[size - 1] == '\r')
		line[--size] = '\0';
	if (!is_text(line, size)) {
		answer_code(answer, room, RCO_E_INVALID, "a line is UTF-8 without control characters");
		return;
	}
	what = strtok_r(line, " ", &rest);
	call_id = what != NULL ? strtok_r(NULL, " ", &rest) : NULL;
	if (call_id == NULL)
		answer_code(answer, room, RCO_E_INVALID, "start, opt-out or end, and a CALL-ID");
	else if (strcmp(what, "start") == 0)
		do_start(g, call_id, &rest, answer, room);
	else if (rest[strspn(rest, " ")] != '\0') /* a CALL-ID with a blank is not another call's without */
		answer_code(answer, room, RCO_E_INVALID, "opt-out CALL-ID or end CALL-ID, and no more");
	else if (strcmp(what, "opt-out") == 0)
		do_opt_out(g, call_id, answer, room);
	else if (strcmp(what, "end") == 0)
		do_end(g, call_id, answer, room);
	else
		answer_code(answer, room, RCO_E_INVALID, "start, opt-out or end");
}

/* ---- the socket ---- */

static int refuse(const char *path, const char *why)
{
	(void)fprintf(stderr, "recorders: %s: %s\n", path, why);
	return -1;
}

/* Anyone who may write to the folder could put a socket of his own there, and hear every objection. */
static int check_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof((struct sockaddr_un *)NULL)->sun_path];
	struct stat st;

	if (slash == NULL)
		(void)snprintf(folder, sizeof folder, ".");
	else
		(void)snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (stat(folder, &st) != 0)
		return refuse(folder, strerror(errno));
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse(folder, "belongs to another user: put the door into a folder of your own");
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return refuse(
			folder,
			"others may write there: put the door into a folder of your own, of mode 0755 at most");
	return 0;
}

/* A socket that a dead process left is replaced; anything else that has the name is somebody's. */
static int clear_path(const char *path, const struct sockaddr_un *a)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : refuse(path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return refuse(path, "is there, and is no socket");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = fd >= 0 ? connect(fd, (const struct sockaddr *)a, sizeof *a) : -1;
	if (fd >= 0)
		(void)close(fd);
	return rc == 0 ? refuse(path, "another process serves it") : unlink(path);
}

int door_open(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t before;
	int fd, ok;

	if ((size_t)snprintf(a.sun_path, sizeof a.sun_path, "%s", path) >= sizeof a.sun_path)
		return refuse(path, "too long for a socket");
	if (check_folder(path) != 0 || clear_path(path, &a) != 0)
		return -1;
	before = umask(0177);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 128) == 0;
	(void)umask(before);
	if (ok)
		return fd;
	(void)refuse(path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

typedef struct visitors {
	gateway *g;
	pthread_mutex_t lock;
	pthread_cond_t fewer;
	size_t n;
} visitors;

typedef struct visitor {
	visitors *all;
	int fd;
} visitor;

static int send_all(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text) ? 0 : -1;
}

/* A side of the door. */
typedef struct talk {
	gateway *g;
	int fd;
	int unheard;  /* nobody takes the answers */
	int too_long; /* until the end of a line that was refused */
	char line[LINE_ROOM], answer[LINE_ROOM];
	size_t used;
} talk;

/* Who has said something and gone is not there for the answer: the next line may be an objection all the same. */
static void reply(talk *t)
{
	t->unheard = t->unheard || send_all(t->fd, t->answer) != 0;
}

static void refuse_line(talk *t, int rc, const char *why)
{
	answer_code(t->answer, sizeof t->answer, rc, why);
	reply(t);
}

static void take_lines(talk *t)
{
	char *stop;

	while ((stop = memchr(t->line, '\n', t->used)) != NULL) {
		size_t size = (size_t)(stop - t->line);

		*stop = '\0';
		if (!t->too_long) {
			gateway_line(t->g, t->line, size, t->answer, sizeof t->answer);
			reply(t);
		}
		t->too_long = 0;
		t->used -= size + 1;
		memmove(t->line, stop + 1, t->used);
	}
	if (t->used < sizeof t->line)
		return;
	if (!t->too_long)
		refuse_line(t, RCO_E_LIMIT, "no line of ours is so long");
	t->too_long = 1;
	t->used = 0;
}

/* What was said last, without a line break. An objection counts; of the others it is not known what is missing. */
static void take_rest(talk *t, int ended)
{
	static const char what[] = "opt-out ";

	if (t->used == 0 || t->too_long)
		return;
	if (ended && t->used >= sizeof what && memcmp(t->line, what, sizeof what - 1) == 0) {
		t->line[t->used] = '\0'; /* it has room: a full one is too long */
		gateway_line(t->g, t->line, t->used, t->answer, sizeof t->answer);
		reply(t);
	} else {
		refuse_line(t, RCO_E_INVALID, "a line ends with a line break; this one was not acted on");
	}
}

/* Lines until the other side closes, or leaves one half said. */
static void serve(gateway *g, int fd)
{
	talk t = {.g = g, .fd = fd};
	ssize_t n = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = poll(&p, 1, LINE_LIMIT_MS);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			break;
		n = read(fd, t.line + t.used, sizeof t.line - t.used);
		if (n <= 0)
			break;
		t.used += (size_t)n;
		take_lines(&t);
	}
	take_rest(&t, n <= 0);
}

static void *visit(void *arg)
{
	visitor *v = arg;
	visitors *all = v->all;

	serve(all->g, v->fd);
	(void)close(v->fd);
	free(v);
	(void)pthread_mutex_lock(&all->lock);
	all->n--;
	(void)pthread_cond_signal(&all->fewer);
	(void)pthread_mutex_unlock(&all->lock);
	return NULL;
}

static int spawn(visitor *v)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int rc;

	if (pthread_attr_init(&attributes) != 0)
		return -1;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	rc = pthread_create(&thread, &attributes, visit, v);
	(void)pthread_attr_destroy(&attributes);
	return rc == 0 ? 0 : -1;
}

static void let_in(visitors *all, int fd)
{
	struct timeval limit = {.tv_sec = LINE_LIMIT_MS / 1000};
	visitor *v = malloc(sizeof *v);

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	(void)pthread_mutex_lock(&all->lock);
	all->n++;
	(void)pthread_mutex_unlock(&all->lock);
	if (v != NULL) {
		*v = (visitor){all, fd};
		if (spawn(v) == 0)
			return;
	}
	free(v);
	(void)close(fd);
	(void)pthread_mutex_lock(&all->lock);
	all->n--;
	(void)pthread_mutex_unlock(&all->lock);
}

/* Those who come when there are too many wait in the queue of the socket. */
static int is_full(visitors *all)
{
	int full;

	(void)pthread_mutex_lock(&all->lock);
	full = all->n >= VISITORS_MAX;
	(void)pthread_mutex_unlock(&all->lock);
	return full;
}

void door_serve(gateway *g, int door, volatile const sig_atomic_t *ends)
{
	visitors all = {.g = g, .lock = PTHREAD_MUTEX_INITIALIZER, .fewer = PTHREAD_COND_INITIALIZER};
	struct pollfd p = {.fd = door, .events = POLLIN};

	while (!*ends) {
		int full = is_full(&all);
		int fd = poll(&p, full ? 0 : 1, full ? TICK_MS / 10 : TICK_MS) > 0
		                 ? accept4(door, NULL, NULL, SOCK_CLOEXEC)
		                 : -1;

		if (fd >= 0)
			let_in(&all, fd);
		else if (errno == EMFILE || errno == ENFILE)
			net_pause_ms(TICK_MS / 10); /* who comes waits until others have gone */
		errno = 0;
	}
	(void)pthread_mutex_lock(&all.lock);
	while (all.n > 0)
		(void)pthread_cond_wait(&all.fewer, &all.lock);
	(void)pthread_mutex_unlock(&all.lock);
}
