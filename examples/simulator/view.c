/* SPDX-License-Identifier: MIT */
/*
 * The whole screen: who speaks, what is recorded and what has been erased, the conversation, and a line to type
 * in. All of it is drawn from the story; the library of the terminal sends what has changed.
 */
#define NCURSES_WIDECHAR 1
#include "simulator.h"

#include <curses.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

enum {
	LOOK_MS = 40,
	LABEL = 8,
	METER = 12,
	TOP = 7,
	BOTTOM = 3,
	INDENT = 21,
	LEAST_W = 40,
	LEAST_H = 14,
	WRAPPED = 4000,
	TOOL_ROWS = 2
};

enum { PLAIN, C_CALLER, C_AGENT, C_TOOL, C_BAD, C_GOOD, C_DIM, C_STOP };

/* One row of the conversation: a piece of a line that was told. */
typedef struct row {
	size_t line;
	uint16_t from, size; /* in wide characters of it */
} row;

struct view {
	call *c;
	SCREEN *screen;
	wchar_t typing[TEXT_MAX / 4];
	mbstate_t half;     /* of a character */
	size_t typed, back; /* rows that the conversation is scrolled back */
	const char *result; /* when it is over */
	struct timespec looked;
	row rows[WRAPPED];
	size_t count;
	int utf8;
};

/* ---- pieces ---- */

static void put(int y, int x, attr_t attributes, short colour, const char *text)
{
	wchar_t wide[TOLD_MAX];
	const char *from = text;
	mbstate_t state = {0};
	size_t n = mbsrtowcs(wide, &from, sizeof wide / sizeof wide[0] - 1, &state);

	if (n == (size_t)-1)
		n = 0;
	wide[n] = L'\0';
	if (y < 0 || y >= LINES || x < 0 || x >= COLS)
		return;
	(void)attr_set(attributes, colour, NULL);
	(void)mvaddnwstr(y, x, wide, COLS - x); /* what is wider than the row goes on in the next: see put_cut() */
	(void)attr_set(A_NORMAL, 0, NULL);
}

/* At most `width` columns of it. */
static void put_cut(int y, int x, int width, attr_t attributes, short colour, const char *text)
{
	wchar_t wide[TOLD_MAX];
	const char *from = text;
	mbstate_t state = {0};
	size_t n = mbsrtowcs(wide, &from, sizeof wide / sizeof wide[0] - 1, &state), i;
	int columns = 0;

	if (n == (size_t)-1 || y < 0 || y >= LINES)
		return;
	if (width > COLS - x)
		width = COLS - x;
	for (i = 0; i < n; i++) {
		int w = wcwidth(wide[i]);

		if (w < 0 || columns + w > width)
			break;
		columns += w;
	}
	(void)attr_set(attributes, colour, NULL);
	(void)mvaddnwstr(y, x, wide, (int)i);
	(void)attr_set(A_NORMAL, 0, NULL);
}

static void rule(const struct view *v, int y, int x, int width)
{
	cchar_t dash;

	(void)setcchar(&dash, v->utf8 ? L"─" : L"-", A_DIM, C_DIM, NULL);
	(void)mvhline_set(y, x, &dash, width);
}

static const char *clock_of(double s, char out[16])
{
	(void)snprintf(out, 16, "%02d:%04.1f", (int)(s / 60), s - 60 * floor(s / 60));
	return out;
}

/* ---- the head: state, both legs on the time line, what became of it ---- */

static const char *state_of(const call *c)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};

	if (c->t->moment[VERIFIED] >= 0)
		return "verified";
	if (c->session == NULL)
		return "taken up again";
	return rco_session_get_stats(c->session, &st) == RCO_OK ? rco_session_state_name(st.state) : "?";
}

static void draw_title(const call *c)
{
	char text[300], time[16];
	int right;
	short colour = c->t->moment[STOPPED] >= 0 ? C_STOP : C_GOOD;

	(void)snprintf(text, sizeof text, " call %s", c->s->call_id);
	clean(text);
	(void)attr_set(A_REVERSE, 0, NULL);
	(void)mvhline(0, 0, ' ', COLS);
	(void)attr_set(A_NORMAL, 0, NULL);
	put_cut(0, 0, COLS - 34 > 10 ? COLS - 34 : 10, A_REVERSE | A_BOLD, 0, text);
	(void)snprintf(text, sizeof text, " %s ", state_of(c));
	right = COLS - 10 - (int)strlen(text);
	put_cut(0, right > 0 ? right : 0, 26, A_REVERSE | A_BOLD, colour, text);
	put_cut(0, COLS - 8, 8, A_REVERSE, 0, clock_of(now_s(c), time));
}

/* Seconds that the time line shows: the call, its window and its erasure, and half a minute at least. */
static double shown_s(const call *c)
{
	double end = c->t->ended_at_s >= 0 ? c->t->ended_at_s + 1 : now_s(c), later = c->t->moment[VERIFIED];

	if (c->t->ended_at_s >= 0 && later >= 0 && later + 1 > end && later < end + 60)
		end = later + 1;
	return end > 30 ? end : 30;
}

static int column_of(const struct view *v, double t, int width)
{
	int x = (int)(t / shown_s(v->c) * width);

	return x < width ? x : width - 1;
}

/* The loudest of what was accepted in a column: 0 none, else 1 to 8. */
static int height_of(const call *c, int leg, int column, int width)
{
	double per = shown_s(c) * 1000 / TICK_MS / width;
	size_t from = (size_t)(column * per), to = (size_t)((column + 1) * per), i;
	int most = 0;

	for (i = from; i < to + (to == from) && i < c->t->ticks && i < PEAKS_MAX; i++)
		most = c->t->peak[leg][i] > most ? c->t->peak[leg][i] : most;
	return most == 0 ? 0 : 1 + (most > 2 ? (int)(sqrt(most / 80.0) * 7.0) : 0);
}

static void draw_leg(const struct view *v, int leg, int y)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	const call *c = v->c;
	int width = COLS - LABEL - METER - 2, x, n;
	int erased = c->t->moment[ERASED] >= 0;

	put(y, 1, A_BOLD, leg == CALLER ? C_CALLER : C_AGENT, leg == CALLER ? "caller" : "agent");
	for (x = 0; x < width; x++) {
		int height = height_of(c, leg, x, width);

		if (height > 8)
			height = 8;
		if (height == 0)
			continue;
		if (erased)
			put(y, LABEL + x, 0, C_STOP, v->utf8 ? "░" : "x");
		else
			put(y, LABEL + x, 0, leg == CALLER ? C_CALLER : C_AGENT,
			    v->utf8      ? blocks[height]
			    : height > 2 ? "#"
			                 : "-");
	}
	if (c->t->moment[STOPPED] >= 0)
		put(y, LABEL + column_of(v, c->t->moment[STOPPED], width), A_BOLD, C_STOP, v->utf8 ? "┃" : "|");
	/* 60 dB in ten places */
	n = c->t->level[leg] > 0 ? (int)((20 * log10(c->t->level[leg]) + 60) / 6) : 0;
	for (x = 0; x < METER - 2; x++)
		put(y, COLS - METER + x, x < n ? 0 : A_DIM, x < n ? (x > 8 ? C_BAD : C_GOOD) : C_DIM,
		    x < n     ? (v->utf8 ? "▮" : "#")
		    : v->utf8 ? "·"
		              : ".");
}

/* Takes `size` columns of the axis, if they are free, with one around. */
static int take_columns(char taken[], int width, int x, int size)
{
	int from = x > 0 ? x - 1 : 0, to = x + size < width ? x + size + 1 : width;

	if (x < 0 || x + size > width || memchr(taken + from, 1, (size_t)(to - from)) != NULL)
		return 0;
	memset(taken + x, 1, (size_t)size);
	return 1;
}

/* A label at its column, or as near to it as there is room. */
static void put_label(char taken[], int width, int x, short colour, const char *text)
{
	int size = (int)strlen(text), at = x, i;

	if (!take_columns(taken, width, at, size)) {
		at = x - size;
		for (i = 0; i <= width && !take_columns(taken, width, at, size); i++)
			at = x + i;
		if (i > width)
			return;
	}
	put_cut(3, LABEL + at, size, A_BOLD, colour, text);
}

/* What happened comes before the seconds: where both do not fit there is no number. */
static void draw_axis(const struct view *v)
{
	const call *c = v->c;
	int width = COLS - LABEL - METER - 2;
	double length = shown_s(c), every = 1, t;
	char text[24], taken[1024] = {0};

	if (width > (int)sizeof taken)
		width = (int)sizeof taken;

	while (length / every * 8 > width)
		every *= every == 1 || every == 10 || every == 100 ? 5 : 2;
	rule(v, 3, LABEL, width);
	if (c->t->moment[STOPPED] >= 0)
		put_label(taken, width, column_of(v, c->t->moment[STOPPED], width), C_STOP, "stop");
	if (c->t->ended_at_s >= 0)
		put_label(taken, width, column_of(v, c->t->ended_at_s, width), PLAIN,
		          c->t->killed ? "killed" : "hung up");
	for (t = 0; t < length; t += every) {
		(void)snprintf(text, sizeof text, "%.0fs", t);
		if (take_columns(taken, width, column_of(v, t, width), (int)strlen(text)))
			put_cut(3, LABEL + column_of(v, t, width), (int)strlen(text), A_DIM, C_DIM, text);
	}
}

static void draw_fate(const struct view *v)
{
	static const char *const names[MOMENTS] = {"asked", "stopped", "on disk", "erased", "verified", "swept"};
	const call *c = v->c;
	double recorded = (double)c->t->recorded_bytes / 1024;
	char text[200];
	int x = 1, i;

	if (c->t->moment[ERASED] >= 0)
		(void)snprintf(text, sizeof text, "recorded %.0f KiB, of which 0 are left", recorded);
	else if (c->t->moment[STOPPED] >= 0)
		(void)snprintf(text, sizeof text, "recorded %.0f KiB, being erased", recorded);
	else
		(void)snprintf(text, sizeof text, "recorded %.0f KiB%s", recorded,
		               c->stored  ? ", stored"
		               : c->ended ? ", kept until the window for a late objection is over"
		                          : "");
	put_cut(4, x, COLS - 2, 0, c->t->moment[STOPPED] >= 0 ? C_STOP : PLAIN, text);
	for (i = STOPPED; i < MOMENTS && x < COLS - 2; i++) {
		int has = c->t->moment[i] >= 0;

		put_cut(5, x, 1, has ? A_BOLD : A_DIM, has ? C_GOOD : C_DIM,
		        has       ? (v->utf8 ? "✓" : "+")
		        : v->utf8 ? "·"
		                  : "-");
		if (has)
			(void)snprintf(text, sizeof text, "%s %.2f", names[i], c->t->moment[i]);
		else
			(void)snprintf(text, sizeof text, "%s", names[i]);
		put_cut(5, x + 2, COLS - x - 2, has ? A_BOLD : A_DIM, has ? C_GOOD : C_DIM, text);
		x += (int)strlen(text) + 4;
	}
}

/* ---- the conversation ---- */

static size_t widen(const told *line, wchar_t out[TOLD_MAX])
{
	const char *from = line->text;
	mbstate_t state = {0};
	size_t n = mbsrtowcs(out, &from, TOLD_MAX - 1, &state);

	return n == (size_t)-1 ? 0 : n;
}

static void add_row(struct view *v, size_t line, size_t from, size_t size)
{
	if (v->count == WRAPPED) {
		memmove(v->rows, v->rows + 1, sizeof v->rows - sizeof v->rows[0]);
		v->count--;
	}
	v->rows[v->count++] = (row){line, (uint16_t)from, (uint16_t)size};
}

/* Breaks a line between words, or where a word is longer than the row. Of what a tool says the beginning is
 * enough. */
static void wrap(struct view *v, size_t number, int width)
{
	const told *line = told_at(v->c->t, number);
	wchar_t wide[TOLD_MAX];
	size_t n = widen(line, wide), from = 0, i, space = 0;
	int columns = 0, rows = 0;

	for (i = 0; i < n && (rows < TOOL_ROWS || strncmp(line->what, "tool", 4) != 0); i++) {
		int w = wcwidth(wide[i]) > 0 ? wcwidth(wide[i]) : 0;

		if (columns + w > width) {
			size_t end = space > from ? space : i;

			add_row(v, number, from, end - from);
			rows++;
			from = end + (space > from);
			i = from;
			columns = 0;
			w = wcwidth(wide[i]) > 0 ? wcwidth(wide[i]) : 0;
		}
		if (wide[i] == L' ')
			space = i;
		columns += w;
	}
	if (i == n)
		add_row(v, number, from, n > from ? n - from : 0);
}

static short colour_of(const char *what)
{
	if (strcmp(what, "caller") == 0)
		return C_CALLER;
	if (strcmp(what, "agent") == 0)
		return C_AGENT;
	if (strcmp(what, "untrue") == 0 || strcmp(what, "failed") == 0 || strcmp(what, "crash") == 0 ||
	    strcmp(what, "fault") == 0)
		return C_BAD;
	return strncmp(what, "tool", 4) == 0 || strcmp(what, "understood") == 0 ? C_TOOL : C_DIM;
}

static void draw_row(const struct view *v, const row *r, int y)
{
	const told *line = told_at(v->c->t, r->line);
	short colour = colour_of(line->what);
	wchar_t wide[TOLD_MAX];
	size_t n = widen(line, wide);
	char head[40];

	if (r->from == 0) {
		(void)snprintf(head, sizeof head, "%7.2f", line->at_s);
		put(y, 0, A_DIM, C_DIM, head);
		put(y, 9, A_BOLD, colour, line->what);
	}
	(void)attr_set(colour == C_DIM ? A_DIM : A_NORMAL, colour, NULL);
	if (r->from < n)
		(void)mvaddnwstr(y, INDENT, wide + r->from, (int)r->size);
	(void)attr_set(A_NORMAL, 0, NULL);
}

static void draw_conversation(struct view *v)
{
	size_t height = (size_t)(LINES - TOP - BOTTOM), i, first;

	v->count = 0;
	for (i = told_first(v->c->t); i < v->c->t->count; i++)
		wrap(v, i, COLS - INDENT - 1);
	if (v->back > (v->count > height ? v->count - height : 0))
		v->back = v->count > height ? v->count - height : 0;
	first = v->count > height + v->back ? v->count - height - v->back : 0;
	for (i = 0; i < height && first + i < v->count; i++)
		draw_row(v, &v->rows[first + i], TOP + (int)i);
	if (v->back > 0)
		put_cut(LINES - BOTTOM, COLS - 24, 24, A_REVERSE, 0, " more below: PgDn ");
}

/* ---- the line to type in ---- */

static void draw_typing(struct view *v)
{
	size_t from = v->typed, i;
	int room = COLS - 4, columns = 0, y = LINES - 2;

	put_cut(LINES - 1, 1, COLS - 2, A_DIM, C_DIM,
	        v->result != NULL ? "the call is over: press Return"
	                          : "type what the caller says, or /opt-out /pause /resume /hang-up /quit");
	if (v->result != NULL) {
		put_cut(y, 1, COLS - 2, A_BOLD, strstr(v->result, "SHOULD") != NULL ? C_BAD : C_GOOD, v->result);
		(void)curs_set(0);
		return;
	}
	while (from > 0 && columns + wcwidth(v->typing[from - 1]) <= room)
		columns += wcwidth(v->typing[--from]);
	put(y, 0, A_BOLD, C_CALLER, "> ");
	for (i = from; i < v->typed; i++)
		(void)addnwstr(&v->typing[i], 1);
}

static void take_line(struct view *v)
{
	char line[TEXT_MAX];
	size_t used = 0, i;
	mbstate_t state = {0};

	for (i = 0; i < v->typed && used + MB_CUR_MAX < sizeof line; i++) {
		size_t n = wcrtomb(line + used, v->typing[i], &state);

		used += n != (size_t)-1 ? n : 0;
	}
	line[used] = '\0';
	v->typed = 0;
	v->back = 0;
	typed(v->c, line);
}

static void take_character(struct view *v, wchar_t c)
{
	if (c == L'\n' || c == L'\r')
		take_line(v);
	else if (c == 0x7f || c == 8)
		v->typed -= v->typed > 0;
	else if (c == 21) /* Ctrl-U */
		v->typed = 0;
	else if (iswprint((wint_t)c) && wcwidth(c) >= 0 && v->typed < sizeof v->typing / sizeof v->typing[0])
		v->typing[v->typed++] = c;
}

/* A key of the terminal's, or a byte. Bytes make characters here, for the library of the terminal chokes on broken
 * ones. */
static void take_key(struct view *v, int key)
{
	size_t page = (size_t)(LINES - TOP - BOTTOM - 1), n;
	char byte = (char)key;
	wchar_t c;

	switch (key) {
	case KEY_PPAGE:
		v->back += page;
		return;
	case KEY_NPAGE:
		v->back = v->back > page ? v->back - page : 0;
		return;
	case KEY_ENTER:
		take_line(v);
		return;
	case KEY_BACKSPACE:
		v->typed -= v->typed > 0;
		return;
	default:
		break;
	}
	if (key > 0xff)
		return;
	n = mbrtowc(&c, &byte, 1, &v->half);
	if (n == (size_t)-1) {
		memset(&v->half, 0, sizeof v->half);
		n = mbrtowc(&c, &byte, 1, &v->half); /* it may begin the next one */
		if (n == (size_t)-1)
			memset(&v->half, 0, sizeof v->half);
	}
	if (n == 0 || n == 1)
		take_character(v, c);
}

/* ---- all of it ---- */

static void draw(struct view *v)
{
	(void)erase();
	if (COLS < LEAST_W || LINES < LEAST_H) {
		put_cut(0, 0, COLS, A_BOLD, 0, "40 columns and 14 rows are needed");
		(void)refresh();
		return;
	}
	draw_title(v->c);
	draw_leg(v, CALLER, 1);
	draw_leg(v, AGENT, 2);
	draw_axis(v);
	draw_fate(v);
	rule(v, TOP - 1, 0, COLS);
	rule(v, LINES - BOTTOM, 0, COLS);
	draw_conversation(v);
	draw_typing(v);
	(void)refresh();
}

static void take_keys(struct view *v)
{
	int key;

	while (!v->c->quit && (key = getch()) != ERR)
		take_key(v, key);
}

struct view *view_open(call *c)
{
	static const short colours[] = {0,         COLOR_CYAN,  COLOR_GREEN, COLOR_YELLOW,
	                                COLOR_RED, COLOR_GREEN, COLOR_WHITE, COLOR_RED};
	const char *kind = getenv("TERM");
	struct view *v = kind != NULL && strcmp(kind, "dumb") != 0 ? calloc(1, sizeof *v) : NULL;
	short i;

	if (v == NULL)
		return NULL;
	/* The words are UTF-8, also where the system was told of no language. */
	if (setlocale(LC_CTYPE, "") == NULL || MB_CUR_MAX == 1)
		(void)setlocale(LC_CTYPE, "C.UTF-8");
	v->utf8 = MB_CUR_MAX > 1;
	v->c = c;
	v->screen = newterm(NULL, stdout, stdin);
	if (v->screen == NULL) {
		free(v);
		return NULL;
	}
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)nodelay(stdscr, TRUE);
	(void)keypad(stdscr, TRUE);
	(void)set_escdelay(50);
	if (has_colors() && start_color() == OK && use_default_colors() == OK)
		for (i = 1; i < (short)(sizeof colours / sizeof colours[0]); i++)
			(void)init_pair(i, colours[i], -1);
	return v;
}

void view_look(struct view *v)
{
	struct timespec now;

	take_keys(v);
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if ((now.tv_sec - v->looked.tv_sec) * 1000 + (now.tv_nsec - v->looked.tv_nsec) / 1000000 < LOOK_MS)
		return;
	v->looked = now;
	draw(v);
}

void view_wait(struct view *v, const char *result)
{
	int key = 0;

	v->result = result;
	draw(v);
	(void)nodelay(stdscr, FALSE);
	/* ERR: a signal, or the terminal is gone */
	while (!v->c->quit && (key = getch()) != ERR && key != '\r' && key != '\n' && key != KEY_ENTER &&
	       key != 'q') {
		if (key == KEY_PPAGE || key == KEY_NPAGE)
			take_key(v, key);
		draw(v);
	}
}

void view_close(struct view *v)
{
	(void)endwin();
	delscreen(v->screen);
	free(v);
}
