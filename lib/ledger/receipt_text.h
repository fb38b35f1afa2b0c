/* SPDX-License-Identifier: MIT */
/* The end of a receipt's line, shared by the writer and the verifier. */
#ifndef RCO_LEDGER_RECEIPT_TEXT_H
#define RCO_LEDGER_RECEIPT_TEXT_H

/* {...,"key":"<64 hex>","sig":"<88 base64>"} */
#define RCO__RECEIPT_DOMAIN    "librecoptout-receipt-v1\n"
#define RCO__RECEIPT_SIG_OPEN  ",\"sig\":\""
#define RCO__RECEIPT_SIG_CLOSE "\"}"

enum { RCO__RECEIPT_SIG_TEXT = 88 };

#endif
