/* SPDX-License-Identifier: MIT */
/*
 * A key service in memory, behind rco_key_ops. It is elsewhere: neither a crash nor a power cut changes it. It
 * remembers what it wrapped, so that it can be told whether a key on the disk can still be unwrapped.
 */
#ifndef TESTS_WORLD_KEYS_H
#define TESTS_WORLD_KEYS_H

#include "disk.h"

#include <recoptout/storage.h>

typedef struct w_keys w_keys;

/* Each change is entered in the disk's log. */
w_keys *w_keys_new(w_disk *disk);
void w_keys_free(w_keys *keys);
const rco_key_ops *w_keys_ops(void); /* user_data: the w_keys */
/* As it was at a position of the log, with `disk` for what comes. */
w_keys *w_keys_image(const w_keys *keys, size_t position, w_disk *disk);
uint64_t w_keys_hash(const w_keys *keys);

enum {
	W_KEYS_NONE = 0,
	W_KEYS_ERROR, /* nothing is done, RCO_E_IO */
	W_KEYS_DONE   /* it is done, and RCO_E_IO all the same */
};

/* The n-th call from now on, from 1; nth 0: none. */
void w_keys_fault(w_keys *keys, int which, uint64_t nth, int fault);
int w_keys_struck(const w_keys *keys, int which);
uint64_t w_keys_calls(const w_keys *keys);

/* Is a key of the recording that can still be unwrapped in any file of the disk? */
int w_keys_left(const w_keys *keys, w_disk *disk, const uint8_t recording_id[16]);
/* Epochs that were not destroyed; and those of them that no file of a spool names, so that they never will be. */
size_t w_keys_alive(const w_keys *keys);
size_t w_keys_forgotten(const w_keys *keys, w_disk *disk);

#endif
