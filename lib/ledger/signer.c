/* SPDX-License-Identifier: MIT */
/* The Ed25519 key of a state folder. */
#include "receipt_internal.h"

#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/error.h"

static const char key_name[] = "signing.key";
static const uint8_t key_magic[8] = {'R', 'C', 'O', 'S', 'I', 'G', 'N', '1'};

enum {
	KEY_VERSION = 1,
	KEY_BYTES = 48, /* magic, version u16, reserved u16, seed, CRC-32C u32 */
	KEY_SEED_AT = 12,
	KEY_CRC_AT = 44,
	KEY_READ_MAX = 4096
};

_Static_assert(KEY_SEED_AT + crypto_sign_SEEDBYTES == KEY_CRC_AT, "layout of signing.key");

struct rco__signer {
	rco__env env;
	atomic_uint references;
	uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
	uint8_t *secret; /* crypto_sign_SECRETKEYBYTES, guarded and locked memory */
};

static void encode_key(const uint8_t seed[crypto_sign_SEEDBYTES], uint8_t out[KEY_BYTES])
{
	memset(out, 0, KEY_BYTES);
	memcpy(out, key_magic, sizeof key_magic);
	rco__put16(out + 8, KEY_VERSION);
	memcpy(out + KEY_SEED_AT, seed, crypto_sign_SEEDBYTES);
	rco__put32(out + KEY_CRC_AT, rco__crc32c(0, out, KEY_CRC_AT));
}

/* RCO_OK, RCO_E_CORRUPT, RCO_E_VERSION. */
static int parse_key(const uint8_t *buf, size_t size, uint8_t seed[crypto_sign_SEEDBYTES])
{
	if (size < KEY_BYTES || memcmp(buf, key_magic, sizeof key_magic) != 0)
		return RCO_E_CORRUPT;
	/* Like the checksum, the place of the version is the same in every version. */
	if (rco__crc32c(0, buf, size - 4) != rco__get32(buf + size - 4))
		return RCO_E_CORRUPT;
	if (rco__get16(buf + 8) > KEY_VERSION)
		return RCO_E_VERSION;
	if (size != KEY_BYTES || rco__get16(buf + 8) != KEY_VERSION)
		return RCO_E_CORRUPT;
	memcpy(seed, buf + KEY_SEED_AT, crypto_sign_SEEDBYTES);
	return RCO_OK;
}

static int make_key(const rco__env *env, const char *dir, uint8_t seed[crypto_sign_SEEDBYTES])
{
	uint8_t bytes[KEY_BYTES];
	int rc;

	randombytes_buf(seed, crypto_sign_SEEDBYTES);
	encode_key(seed, bytes);
	rc = rco__fs_put(env->fs, dir, key_name, bytes, sizeof bytes);
	rco_memzero(bytes, sizeof bytes);
	return rc;
}

static int load_key(const rco__env *env, const char *dir, const char *quarantine_dir,
                    uint8_t seed[crypto_sign_SEEDBYTES])
{
	uint8_t bytes[KEY_READ_MAX];
	size_t size = 0;
	int rc;

	rc = rco__fs_get(env->fs, dir, key_name, bytes, sizeof bytes, &size);
	if (rc == RCO_E_NOT_FOUND)
		return make_key(env, dir, seed);
	if (rc == RCO_OK)
		rc = parse_key(bytes, size, seed);
	else if (rc == RCO_E_LIMIT)
		rc = RCO_E_CORRUPT;
	rco_memzero(bytes, sizeof bytes);
	if (rc == RCO_E_VERSION)
		return rco__fail(RCO_E_VERSION, "%s/%s was written by a newer version; update the library", dir,
		                 key_name);
	if (rc != RCO_E_CORRUPT)
		return rc;
	rco__log(env, RCO_LOG_ERROR,
	         "%s/%s is damaged and replaced; receipts signed before verify with the older public key only",
	         dir, key_name);
	rc = rco__quarantine(env, dir, key_name, quarantine_dir, "damaged signing key");
	return rc == RCO_OK ? make_key(env, dir, seed) : rc;
}

static int derive(rco__signer *signer, const uint8_t seed[crypto_sign_SEEDBYTES])
{
	signer->secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);
	if (!signer->secret)
		return rco__fail(RCO_E_NO_MEMORY, "no locked memory for the signing key; check the memlock limit");
	if (crypto_sign_seed_keypair(signer->public_key, signer->secret, seed) != 0)
		return rco__fail(RCO_E_INTERNAL, "the signing key cannot be derived");
	(void)sodium_mprotect_readonly(signer->secret);
	return RCO_OK;
}

int rco__signer_open(const rco__env *env, const char *dir, const char *quarantine_dir, rco__signer **out)
{
	uint8_t seed[crypto_sign_SEEDBYTES];
	rco__signer *signer;
	int rc;

	*out = NULL;
	if (sodium_init() < 0)
		return rco__fail(RCO_E_INTERNAL, "libsodium cannot be initialised");
	signer = rco__zalloc(env, 1, sizeof *signer);
	if (!signer)
		return rco__fail(RCO_E_NO_MEMORY, "no memory for the signing key in %s", dir);
	signer->env = *env;
	atomic_init(&signer->references, 1);
	rc = env->fs->mkdir(env->fs->ctx, dir);
	if (rc == RCO_OK)
		rc = load_key(env, dir, quarantine_dir, seed);
	if (rc == RCO_OK)
		rc = derive(signer, seed);
	rco_memzero(seed, sizeof seed);
	if (rc != RCO_OK) {
		rco__signer_unref(signer);
		return rc;
	}
	*out = signer;
	return RCO_OK;
}

void rco__signer_public(const rco__signer *signer, uint8_t key[32])
{
	memcpy(key, signer->public_key, sizeof signer->public_key);
}

int rco__signer_sign(const rco__signer *signer, const void *message, size_t size, uint8_t signature[64])
{
	if (crypto_sign_detached(signature, NULL, message, size, signer->secret) != 0)
		return rco__fail(RCO_E_INTERNAL, "the receipt cannot be signed");
	return RCO_OK;
}

void rco__signer_ref(rco__signer *signer)
{
	atomic_fetch_add_explicit(&signer->references, 1, memory_order_relaxed);
}

void rco__signer_unref(rco__signer *signer)
{
	rco__env env;

	if (!signer || atomic_fetch_sub_explicit(&signer->references, 1, memory_order_acq_rel) != 1)
		return;
	env = signer->env;
	sodium_free(signer->secret); /* wipes it */
	rco__release(&env, signer);
}
