/* SPDX-License-Identifier: MIT */
/* For tests: a backend that has to pass the conformance kit. What it breaks is printed. */
#ifndef TESTS_CONFORMS_H
#define TESTS_CONFORMS_H

#include <recoptout/conformance.h>

void t_conforms(const rco_conformance *kit);

#endif
