/* SPDX-License-Identifier: MIT */
/*
 * For servers with an event loop: no thread of the library's, one descriptor
 * to poll, and an opt-out that does not wait.
 *
 * Usage: 04_host_driven FOLDER
 * FOLDER is made if its parent exists. One call; the caller objects after one
 * second; the program ends when the erasure is verified.
 */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { FRAME = 160 };

struct host {
	rco_engine *engine;
	rco_session *call;
	uint32_t leg;
	int frames;
	int verified;
};

/* Called inside rco_engine_run(), so on the loop's own thread. */
static void on_event(const rco_event *event, void *user_data)
{
	struct host *host = user_data;

	printf("%-8s %s%s%s\n", event->call_id, rco_event_name(event->type), event->message[0] ? ": " : "",
	       event->message);
	if (event->type == RCO_EVENT_VERIFIED)
		host->verified = 1;
}

static void open_engine(struct host *host, const char *folder)
{
	rco_engine_config config = {.struct_size = sizeof config, .flags = RCO_ENGINE_HOST_DRIVEN};
	char state[512], output[512];

	if (snprintf(state, sizeof state, "%s/state", folder) >= (int)sizeof state ||
	    snprintf(output, sizeof output, "%s/recordings", folder) >= (int)sizeof output) {
		fprintf(stderr, "04_host_driven: the path %s is too long\n", folder);
		exit(2);
	}
	config.state_dir = state;
	config.output_dir = output;
	config.opt_out_enabled = 1;
	config.late_opt_out_ms = 500;        /* for a quick end; the default is ten seconds */
	config.sweep_delay_ms = RCO_NONE_MS; /* likewise; the default looks again after a minute */
	config.event = on_event;
	config.event_user_data = host;
	CHECK(rco_engine_create(&config, &host->engine));
}

static void begin_call(struct host *host)
{
	rco_session_options options = {.struct_size = sizeof options, .call_id = "call-1"};

	CHECK(rco_session_create(host->engine, &options, &host->call));
	CHECK(rco_session_add_leg(host->call, "caller", RCO_FORMAT_PCMA_8K, &host->leg));
	CHECK(rco_session_start(host->call));
}

/* Every 20 ms. After a second the caller presses 9. */
static void media_tick(struct host *host)
{
	rco_opt_out_options how = {.struct_size = sizeof how, .flags = RCO_OPT_OUT_NONBLOCK, .source = "dtmf"};
	uint8_t frame[FRAME];
	int rc;

	memset(frame, 0xd5, sizeof frame); /* silence in A-law */
	rc = rco_session_push(host->call, host->leg, RCO_FORMAT_PCMA_8K, frame, sizeof frame);
	if (rc != RCO_E_OPTED_OUT) /* an opted-out call goes on as a call; its frames are refused */
		CHECK(rc);
	if (++host->frames != 50)
		return;
	/* RCO_PENDING: nothing is recorded from here on. That it is on disk, and erased, comes as events. */
	rc = rco_opt_out(host->call, &how, NULL);
	CHECK(rc);
	printf("call-1   opt-out: %s\n", rc == RCO_PENDING ? "stopped, the rest follows" : rco_strerror(rc));
}

static int ticker(void)
{
	const struct itimerspec every = {{0, 20000000}, {0, 20000000}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd < 0 || timerfd_settime(fd, 0, &every, NULL) != 0) {
		fprintf(stderr, "04_host_driven: timer: %s\n", strerror(errno));
		exit(1);
	}
	return fd;
}

static void loop(struct host *host)
{
	struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
	uint64_t ticks;
	uint32_t timeout_ms;

	fds[0].fd = ticker();
	while (!host->verified) {
		CHECK(rco_engine_poll(host->engine, &fds[1].fd, &timeout_ms));
		if (poll(fds, 2, timeout_ms > 1000 ? 1000 : (int)timeout_ms) < 0 && errno != EINTR) {
			fprintf(stderr, "04_host_driven: poll: %s\n", strerror(errno));
			exit(1);
		}
		if (fds[0].revents & POLLIN && read(fds[0].fd, &ticks, sizeof ticks) == (ssize_t)sizeof ticks)
			media_tick(host);
		CHECK(rco_engine_run(host->engine, 0, 0)); /* 0: does what is due, and does not wait */
	}
	close(fds[0].fd);
}

int main(int argc, char **argv)
{
	struct host host = {.engine = NULL};

	if (argc != 2) {
		fprintf(stderr, "usage: 04_host_driven FOLDER\n");
		return 2;
	}
	mkdir(argv[1], 0700); /* if that fails, the next call says why */
	open_engine(&host, argv[1]);
	begin_call(&host);
	loop(&host);
	CHECK(rco_session_end(host.call));
	CHECK(rco_engine_wait_idle(host.engine, 10000)); /* runs the engine meanwhile */
	rco_session_free(host.call);
	rco_engine_free(host.engine);
	return 0;
}
