/* SPDX-License-Identifier: MIT */
/* Errors inside the library: a code to return, and the sentence behind it for rco_error_detail(). */
#ifndef RCO_BASE_ERROR_H
#define RCO_BASE_ERROR_H

#include <recoptout.h>

/* Remember `fmt` as this thread's rco_error_detail() and return `code`, so that "return rco__fail(...)" reads
 * well. */
int rco__fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for a failed system call: maps `err` (an errno) to a code, appends strerror. `what` names call and
 * file. */
int rco__fail_errno(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Forget this thread's detail: public functions do it first. */
void rco__error_clear(void);

#endif
