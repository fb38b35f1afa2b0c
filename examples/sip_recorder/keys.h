/* SPDX-License-Identifier: MIT */
/* Keys that a party presses: events in its audio (RFC 4733), or INFO requests (application/dtmf-relay and the
 * like). */
#ifndef SIP_RECORDER_KEYS_H
#define SIP_RECORDER_KEYS_H

#include <stddef.h>

#include "reorder.h"

enum { DIGITS_MAX = 15, PRESSES = 8 };

/*
 * Keys in the order in which they were pressed, by a number that each has. Phones may send a key in both ways at
 * once, so each way is looked at for itself.
 */
typedef struct digits {
	char last[DIGITS_MAX + 1];
	uint32_t numbers[DIGITS_MAX];
} digits;

/* A press that was counted, by which its other packets are known. */
typedef struct press {
	int used, code, ended;
	uint32_t ssrc, ts;
	uint16_t seq, duration;
} press;

typedef struct keypad {
	digits by_audio, by_info;
	press presses[PRESSES];
	unsigned next;
} keypad;

/* The key, if this packet is the first to arrive of a press; else 0. */
char keys_event(keypad *k, const reorder_packet *p);

/* The key in an INFO request's body; 0 if there is none. */
char keys_info(const char *body, size_t size);

/* 1 if `sequence` has been pressed. The one who acts on that clears them: it has to be pressed again then. */
int digits_hold(const digits *d, const char *sequence);
void digits_add(digits *d, char key);                    /* the last one */
void digits_place(digits *d, uint32_t number, char key); /* each number once; later ones may have come before */
void digits_clear(digits *d);

#endif
