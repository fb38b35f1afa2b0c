/* SPDX-License-Identifier: MIT */
#include "env.h"

#include "error.h"

#include <string.h>
#include <time.h>

static int64_t clock_us(clockid_t id)
{
	struct timespec ts;

	/* Both clocks exist on every system that we run on, and the pointer is good: it cannot fail. */
	if (clock_gettime(id, &ts) != 0)
		return 0;
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t default_wall_us(void *user_data)
{
	(void)user_data;
	return clock_us(CLOCK_REALTIME);
}

static int64_t default_monotonic_us(void *user_data)
{
	(void)user_data;
	return clock_us(CLOCK_MONOTONIC);
}

static int take_clock(rco_clock *to, const rco_clock *from)
{
	int rc;

	if (from == NULL) {
		*to = (rco_clock){.struct_size = sizeof *to,
		                  .wall_us = default_wall_us,
		                  .monotonic_us = default_monotonic_us};
		return RCO_OK;
	}
	rc = rco__struct_copy(to, sizeof *to, RCO__SIZE_THROUGH(rco_clock, reserved), from, "rco_clock");
	if (rc != RCO_OK)
		return rc;
	if (to->flags != 0 || to->reserved != NULL)
		return rco__fail(RCO_E_NEWER, "rco_clock: flags and reserved have to be zero");
	if (to->wall_us == NULL || to->monotonic_us == NULL)
		return rco__fail(RCO_E_OPS, "rco_clock: set both wall_us and monotonic_us");
	return RCO_OK;
}

int rco__env_init(rco__env *env, const rco_allocator *alloc, const rco_clock *clock, rco_log_fn log,
                  void *log_user_data)
{
	int rc;

	memset(env, 0, sizeof *env);
	rc = rco__allocator_take(&env->alloc, alloc);
	if (rc != RCO_OK)
		return rc;
	rc = take_clock(&env->clock, clock);
	if (rc != RCO_OK)
		return rc;
	env->log = log;
	env->log_user_data = log_user_data;
	env->fs = rco__fs_posix();
	return RCO_OK;
}
