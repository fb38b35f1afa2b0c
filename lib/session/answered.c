/* SPDX-License-Identifier: MIT */
/* Which tool calls have had their answer: platforms tell one call in several events. */
#include "calls.h"
#include "core.h"

#include <sodium.h>
#include <string.h>

void rco__answers_init(rco_engine *engine)
{
	(void)pthread_mutex_init(&engine->answers_lock, NULL);
}

void rco__answers_destroy(rco_engine *engine)
{
	(void)pthread_mutex_destroy(&engine->answers_lock);
	rco__release(&engine->env, engine->answers);
}

static rco__answered *find(rco_engine *engine, const uint8_t *of)
{
	uint32_t i;

	for (i = 0; i < engine->n_answers; i++)
		if (memcmp(engine->answers[i].fingerprint, of, RCO__FINGERPRINT_BYTES) == 0)
			return &engine->answers[i];
	return NULL;
}

/* RCO_OK, or why there is none. */
static int fingerprint(rco_engine *engine, const char *call, const void *id, size_t id_bytes,
                       uint8_t out[RCO__FINGERPRINT_BYTES])
{
	crypto_generichash_state state;
	int rc = rco__engine_check(engine);

	if (rc != RCO_OK)
		return rc;
	if (call == NULL || (id == NULL && id_bytes > 0))
		return rco__fail(RCO_E_INVALID, "call or id is NULL");
	(void)crypto_generichash_init(&state, NULL, 0, RCO__FINGERPRINT_BYTES);
	(void)crypto_generichash_update(&state, (const uint8_t *)call, strlen(call) + 1);
	if (id_bytes > 0)
		(void)crypto_generichash_update(&state, id, id_bytes);
	(void)crypto_generichash_final(&state, out, RCO__FINGERPRINT_BYTES);
	return RCO_OK;
}

int rco_engine_remember_answer(rco_engine *engine, const char *call, const void *id, size_t id_bytes,
                               uint32_t kind)
{
	uint8_t of[RCO__FINGERPRINT_BYTES];
	rco__answered *before;
	int by_another, rc = fingerprint(engine, call, id, id_bytes, of);

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&engine->answers_lock);
	if (engine->answers == NULL)
		engine->answers = rco__alloc(&engine->env, RCO_ANSWERS_MAX * sizeof *engine->answers);
	before = find(engine, of);
	by_another = before != NULL && before->kind != kind;
	if (before == NULL && engine->answers != NULL) {
		memcpy(engine->answers[engine->next_answer].fingerprint, of, RCO__FINGERPRINT_BYTES);
		engine->answers[engine->next_answer].kind = kind;
		engine->next_answer = (engine->next_answer + 1) % RCO_ANSWERS_MAX;
		if (engine->n_answers < RCO_ANSWERS_MAX)
			engine->n_answers++;
	}
	(void)pthread_mutex_unlock(&engine->answers_lock);
	return by_another;
}

int rco_engine_forget_answer(rco_engine *engine, const char *call, const void *id, size_t id_bytes)
{
	uint8_t of[RCO__FINGERPRINT_BYTES];
	rco__answered *found;
	int rc = fingerprint(engine, call, id, id_bytes, of);

	if (rc != RCO_OK)
		return rc;
	(void)pthread_mutex_lock(&engine->answers_lock);
	found = find(engine, of);
	if (found != NULL)
		memset(found, 0, sizeof *found);
	(void)pthread_mutex_unlock(&engine->answers_lock);
	return RCO_OK;
}
