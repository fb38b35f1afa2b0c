/* SPDX-License-Identifier: MIT */
/* Receipts: what is true of an opt-out at one moment, signed with the state folder's Ed25519 key. */
#ifndef RCO_LEDGER_RECEIPT_H
#define RCO_LEDGER_RECEIPT_H

#include "../base/env.h"

typedef struct rco__signer rco__signer;

/* Load dir/signing.key, or make it (0600, durable before return). A damaged one is quarantined and replaced, with
 * a log line: older receipts then verify with the older public key only. Counted references. */
int rco__signer_open(const rco__env *env, const char *dir, const char *quarantine_dir, rco__signer **signer);
void rco__signer_public(const rco__signer *signer, uint8_t key[32]);
void rco__signer_ref(rco__signer *signer);
void rco__signer_unref(rco__signer *signer); /* NULL is ignored; the last one wipes */

typedef struct rco__receipt_data {
	uint8_t id[16];
	uint8_t recording_id[16]; /* zero if the call is not known yet */
	const char *call_id;      /* belongs to the one who has the data: a session, a receipt */
	char source[RCO_LABEL_MAX + 1];
	uint32_t status; /* rco_status */
	uint32_t facts;  /* RCO_FACT_... */
	int code;        /* why the request that gives it is pending; not signed */
	int64_t requested_us, stopped_us, durable_us, erased_us, verified_us;
	int64_t issued_us;       /* when this was true */
	uint64_t ledger_seq;     /* the newest durable entry of the ledger then; 0: none */
	uint8_t ledger_hash[32]; /* its hash */
} rco__receipt_data;

/* A snapshot; takes a reference on the signer; signs lazily, in rco_receipt_to_json(). */
int rco__receipt_new(const rco__env *env, rco__signer *signer, const rco__receipt_data *data,
                     rco_receipt **receipt);

#endif
