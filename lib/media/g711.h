/* SPDX-License-Identifier: MIT */
/*
 * The two laws of ITU-T G.711, in 16 bits: what a code stands for, and which 16-bit audio is nothing but codes
 * that were expanded, as everything is that came over a telephone line.
 */
#ifndef RCO_MEDIA_G711_H
#define RCO_MEDIA_G711_H

#include <stddef.h>
#include <stdint.h>

typedef enum rco__law { RCO__MU_LAW = 0, RCO__A_LAW = 1 } rco__law;

/* What n codes stand for, as they are sent: mu-law up to 32124, A-law up to 32256. Samples at any address. */
void rco__g711_samples(rco__law law, const uint8_t *codes, size_t n, void *out);

/*
 * The codes of n samples, each of which is exactly the sample of one: 1. Otherwise 0, and `out` holds codes of
 * some of them. Samples are in host order, at any address.
 */
int rco__g711_codes(rco__law law, const void *samples, size_t n, uint8_t *out);

#endif
