/* SPDX-License-Identifier: MIT */
/* Bencode, as rtpengine's ng protocol uses it: enough to write a request and to look up a string of an answer. */
#ifndef RECORDERS_BENCODE_H
#define RECORDERS_BENCODE_H

#include <stddef.h>

/* A string of the dictionary that `data` is; NULL if it is none, or has no such string. Hostile input is expected.
 */
const char *bencode_string(const char *data, size_t size, const char *key, size_t *length);

/* Append KEY and VALUE as strings. Returns the new length, 0 once there was no room. */
size_t bencode_add(char *out, size_t room, size_t length, const char *key, const char *value);

#endif
