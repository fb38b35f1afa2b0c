/* SPDX-License-Identifier: MIT */
#ifndef RCO_LEDGER_RECEIPT_INTERNAL_H
#define RCO_LEDGER_RECEIPT_INTERNAL_H

#include "receipt.h"

/* Ed25519, detached. */
int rco__signer_sign(const rco__signer *signer, const void *message, size_t size, uint8_t signature[64]);

#endif
