/* SPDX-License-Identifier: MIT */
/* The engine of both processes: the same folders, the same settings. */
#include "stage.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void on_log(uint32_t level, const char *message, size_t length, void *user_data)
{
	const struct stage *stage = user_data;
	FILE *f = fopen(stage->folders->log, "a");

	if (f) {
		fprintf(f, "%u %.*s\n", (unsigned)level, (int)length, message);
		fclose(f);
	}
	if (level <= RCO_LOG_WARN)
		timeline_note("log", "%.*s", (int)length, message);
}

void stage_take_receipt(struct stage *stage, unsigned call, rco_receipt *receipt)
{
	struct call_board *cb = &stage->board->call[call];
	char json[RCO_RECEIPT_JSON_MAX];
	size_t length = 0;
	uint32_t none = 0;
	int rc = rco_receipt_to_json(receipt, json, sizeof json, &length);

	if (rc != RCO_OK) {
		timeline_fail(plans[call].id, "receipt: %s %s", rco_strerror(rc), rco_error_detail());
		return;
	}
	while (!atomic_compare_exchange_weak(&cb->receipt_lock, &none, 1))
		none = 0;
	/* Two threads may come with receipts of different moments: the one that knows more stays. */
	if (rco_receipt_time_us(receipt, RCO_TIME_VERIFIED) != 0 || !(cb->facts & RCO_FACT_VERIFIED)) {
		memcpy(cb->receipt, json, length + 1);
		cb->receipt_length = (uint32_t)length;
		cb->status = rco_receipt_status(receipt);
		cb->facts = rco_receipt_facts(receipt);
	}
	atomic_store(&cb->receipt_lock, 0);
}

static void on_event(const rco_event *event, void *user_data)
{
	struct stage *stage = user_data;
	int call = plan_index(event->call_id);
	rco_receipt *receipt = NULL;

	timeline_event(event);
	if (call < 0)
		return;
	if (event->type == RCO_EVENT_VERIFIED || event->type == RCO_EVENT_SWEPT || event->type == RCO_EVENT_HELD) {
		if (rco_engine_receipt(stage->engine, event->call_id, &receipt) == RCO_OK)
			stage_take_receipt(stage, (unsigned)call, receipt);
		rco_receipt_free(receipt);
	}
	pthread_mutex_lock(&stage->lock);
	atomic_fetch_or(&stage->board->call[call].events, 1u << event->type);
	pthread_cond_broadcast(&stage->happened);
	pthread_mutex_unlock(&stage->lock);
}

int stage_wait_event(struct stage *stage, unsigned call, uint32_t type, uint32_t timeout_ms)
{
	int64_t end_us = now_us() + (int64_t)timeout_ms * 1000;
	struct timespec until = {.tv_sec = end_us / 1000000, .tv_nsec = end_us % 1000000 * 1000};
	int rc = 0;

	pthread_mutex_lock(&stage->lock);
	while (rc == 0 && !(atomic_load(&stage->board->call[call].events) & 1u << type))
		rc = pthread_cond_timedwait(&stage->happened, &stage->lock, &until);
	pthread_mutex_unlock(&stage->lock);
	if (rc == 0)
		return 0;
	timeline_fail(plans[call].id, "no event \"%s\" within %u ms", rco_event_name(type), (unsigned)timeout_ms);
	return -1;
}

static int open_engine(struct stage *stage)
{
	rco_deletion_ops deletion = crash_deletion_ops(&stage->deletion, stage->directory);
	rco_engine_config cfg = {.struct_size = sizeof cfg};
	rco_engine *engine = NULL;
	int rc;

	cfg.state_dir = stage->folders->state;
	cfg.output_dir = stage->folders->recordings;
	cfg.ring_dir = stage->folders->rings;
	cfg.opt_out_enabled = 1;
	cfg.workers = 2;
	cfg.segment_bytes = 8u << 20;
	cfg.flush_interval_ms = 40; /* calls run SPEED times faster than real ones */
	cfg.late_opt_out_ms = 1500;
	cfg.sweep_delay_ms = 500;
	cfg.deletion = &deletion;
	cfg.deletion_user_data = &stage->deletion;
	cfg.log = on_log;
	cfg.log_user_data = stage;
	cfg.event = on_event;
	cfg.event_user_data = stage;
	rc = rco_engine_create(&cfg, &engine);
	if (rc != RCO_OK) {
		timeline_fail("engine", "%s %s", rco_strerror(rc), rco_error_detail());
		return -1;
	}
	stage->engine = engine;
	return 0;
}

int stage_open(struct stage *stage, int signal_fd)
{
	rco_directory_options options = {.struct_size = sizeof options, .path = stage->folders->recordings};
	pthread_condattr_t attr;
	int rc;

	pthread_mutex_init(&stage->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&stage->happened, &attr);
	pthread_condattr_destroy(&attr);
	stage->deletion.signal_fd = signal_fd;
	stage->deletion.board = stage->board;
	rc = rco_directory_create(&options, &stage->directory);
	if (rc != RCO_OK) {
		timeline_fail("engine", "%s %s", rco_strerror(rc), rco_error_detail());
		return -1;
	}
	return open_engine(stage);
}

void stage_close(struct stage *stage)
{
	rco_engine_free(stage->engine);
	rco_directory_free(stage->directory);
	pthread_cond_destroy(&stage->happened);
	pthread_mutex_destroy(&stage->lock);
}
