/* SPDX-License-Identifier: MIT */
/* Taking up what an earlier process left. */
#ifndef RCO_SESSION_RECOVER_H
#define RCO_SESSION_RECOVER_H

#include "found.h"

/* ---- recover.c ---- */
int rco__recovery_run(rco__recovery *recovery); /* after ledger, pool and buffer are open */

/* ---- rings.c ---- */
/* engine->pool, with copies of what an earlier process left elsewhere. */
int rco__rings_open(rco_engine *engine, const rco_engine_config *config);
int rco__rings_settle(rco_engine *engine); /* after recovery, before any worker: that goes, elsewhere */
void rco__rings_left_free(rco_engine *engine);

/* ---- left_spool.c ---- */
/* The table `both` for a spool with recordings and the buffer of the host's; *left is NULL if it has none. */
int rco__left_spool_new(const rco__env *env, rco_spool *spool, const rco_buffer_ops *host, void *host_user_data,
                        rco_buffer_ops *both, rco__left_spool **left);
void rco__left_spool_free(rco__left_spool *left); /* not the spool itself */

#endif
