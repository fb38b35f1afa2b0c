/* SPDX-License-Identifier: MIT */
#include "peer_rtp.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = B_FRAME_SAMPLES, HEADER = 12, TURNS = 8, TURN_S = 2 };

static char why[256];

int b_peer_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof why, fmt, args);
	va_end(args);
	return -1;
}

const char *b_peer_why(void)
{
	return why;
}

/* ---- the daemon ---- */

int b_peer_installed(const char *program)
{
	const char *path = getenv("PATH"), *end;

	for (; path != NULL && *path != 0; path = *end == 0 ? end : end + 1) {
		char file[B_PATH_ROOM];

		end = path + strcspn(path, ":");
		(void)snprintf(file, sizeof file, "%.*s/%s", (int)(end - path), path, program);
		if (access(file, X_OK) == 0)
			return 1;
	}
	return 0;
}

static _Noreturn void become(char *const argv[], const char *log_path, pid_t parent)
{
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600), null = open("/dev/null", O_RDONLY);

	/* Whatever becomes of the bench, nothing is left running. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(126);
	if (log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(126);
	(void)execvp(argv[0], argv);
	_exit(127);
}

int b_daemon_start(char *const argv[], const char *log_path, pid_t *pid)
{
	pid_t self = getpid();

	*pid = fork();
	if (*pid < 0)
		return b_peer_fail("%s cannot be started: %s", argv[0], strerror(errno));
	if (*pid == 0)
		become(argv, log_path, self);
	return 0;
}

static int ended(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == pid;
}

void b_daemon_stop(pid_t pid)
{
	double until = b_now_ns() + 5e9;

	(void)kill(pid, SIGTERM);
	while (!ended(pid)) {
		if (b_now_ns() > until) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			return;
		}
		(void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

/* The scheduler's count in ns, where /proc/PID/stat has ticks of 10 ms. */
static int thread_cpu(pid_t pid, const char *thread, double *seconds)
{
	unsigned long long ns = 0;
	char path[B_PATH_ROOM];
	FILE *f;
	int ok;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, thread);
	f = fopen(path, "r");
	if (f == NULL)
		return -1;
	ok = fscanf(f, "%llu", &ns) == 1;
	(void)fclose(f);
	*seconds += (double)ns / 1e9;
	return ok ? 0 : -1;
}

int b_daemon_cpu(pid_t pid, double *seconds)
{
	char path[B_PATH_ROOM];
	struct dirent *e;
	int rc = 0;
	DIR *tasks;

	*seconds = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (tasks == NULL)
		return b_peer_fail("the daemon has ended");
	while (rc == 0 && (e = readdir(tasks)) != NULL)
		if (e->d_name[0] != '.')
			rc = thread_cpu(pid, e->d_name, seconds);
	(void)closedir(tasks);
	return rc == 0 ? 0 : b_peer_fail("the daemon's CPU time cannot be read");
}

/* ---- RTP ---- */

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A socket on any port of the loopback; -1 without. */
static int any_port(int type, uint16_t *port)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = loopback(0);
	socklen_t size = sizeof a;

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || getsockname(fd, (struct sockaddr *)&a, &size) != 0) {
		(void)close(fd);
		return -1;
	}
	*port = ntohs(a.sin_port);
	return fd;
}

uint16_t b_free_port(int type)
{
	uint16_t port = 0;
	int fd = any_port(type, &port);

	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? 0 : port;
}

int b_rtp_open(b_rtp *rtp, const b_audio *ulaw)
{
	int room = 4 << 20;
	size_t i;

	memset(rtp, 0, sizeof *rtp);
	rtp->audio = ulaw;
	for (i = 0; i < B_RTP_LEGS; i++)
		rtp->legs[i].at = b_audio_offset(ulaw, i, B_RTP_LEGS);
	rtp->fd = any_port(SOCK_DGRAM, &rtp->port);
	if (rtp->fd < 0)
		return b_peer_fail("no UDP socket: %s", strerror(errno));
	(void)setsockopt(rtp->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	return 0;
}

void b_rtp_close(b_rtp *rtp)
{
	(void)close(rtp->fd);
}

/* RFC 3550, payload type 0. */
static int send_packet(b_rtp *rtp, size_t i)
{
	b_rtp_leg *leg = &rtp->legs[i];
	struct sockaddr_in to = loopback(leg->port);
	uint8_t packet[HEADER + FRAME] = {0x80, 0};
	uint32_t words[2] = {htonl(leg->stamp), htonl(0x10000000 + (uint32_t)i)};
	uint16_t seq = htons(leg->seq);

	memcpy(packet + 2, &seq, 2);
	memcpy(packet + 4, words, 8);
	memcpy(packet + HEADER, b_audio_next(rtp->audio, &leg->at), FRAME);
	leg->seq++;
	leg->stamp += FRAME;
	if (sendto(rtp->fd, packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to) != (ssize_t)sizeof packet)
		return b_peer_fail("sending RTP: %s", strerror(errno));
	rtp->sent++;
	return 0;
}

static void take_packets(b_rtp *rtp)
{
	uint8_t packet[2048];

	while (recv(rtp->fd, packet, sizeof packet, MSG_DONTWAIT) > 0)
		rtp->received++;
}

static void wait_until(double when_ns)
{
	struct timespec t = {.tv_sec = (time_t)(when_ns / 1e9)};

	t.tv_nsec = (long)(when_ns - (double)t.tv_sec * 1e9);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

int b_rtp_send(b_rtp *rtp, double seconds)
{
	double next = b_now_ns();
	int tick, ticks = (int)(seconds * 50);
	size_t i;

	for (tick = 0; tick < ticks; tick++) {
		for (i = 0; i < B_RTP_LEGS; i++)
			if (send_packet(rtp, i) != 0)
				return -1;
		take_packets(rtp);
		next += 20e6;
		wait_until(next);
	}
	take_packets(rtp);
	return 0;
}

/* ---- the measurement ---- */

/* CPU seconds of the daemon for an hour of one call, measured over one turn. */
static int turn(b_rtp *rtp, pid_t pid, double *hour)
{
	double from, to;

	/* What switching left to do is done by then. */
	if (b_rtp_send(rtp, 0.3) != 0 || b_daemon_cpu(pid, &from) != 0 || b_rtp_send(rtp, TURN_S) != 0 ||
	    b_daemon_cpu(pid, &to) != 0)
		return -1;
	*hour = (to - from) / B_RTP_CALLS / TURN_S * 3600;
	return 0;
}

int b_rtp_measure(b_rtp *rtp, pid_t pid, int (*record)(int on, void *arg), void *arg, b_rtp_cost *cost)
{
	double plain[TURNS], recording[TURNS], more[TURNS];
	int i;

	if (b_rtp_send(rtp, 1) != 0)
		return -1;
	rtp->sent = rtp->received = 0;
	for (i = 0; i < TURNS; i++) {
		if (turn(rtp, pid, &plain[i]) != 0 || record(1, arg) != 0 || turn(rtp, pid, &recording[i]) != 0 ||
		    record(0, arg) != 0)
			return -1;
		more[i] = recording[i] - plain[i];
	}
	/* A daemon that drops half of it is cheap. */
	if (rtp->received < rtp->sent * 9 / 10)
		return b_peer_fail("of %zu packets sent only %zu came back", rtp->sent, rtp->received);
	cost->plain = b_spread_of(plain, TURNS);
	cost->recording = b_spread_of(recording, TURNS);
	cost->more = b_spread_of(more, TURNS);
	return 0;
}

void b_rtp_report(const char *what, const char *note, const b_rtp_cost *cost, double ours)
{
	char text[512];

	(void)snprintf(
		text, sizeof text,
		"%d calls in real time, %d turns of %d s each way; recording adds %.2f to %.2f%s; %s; our whole "
		"cost of such a call is %.2f",
		B_RTP_CALLS, TURNS, TURN_S, cost->more.p10, cost->more.p90,
		cost->more.p10 > 0 ? "" : ", which is less than the daemon varies by", note, ours);
	b_report(&(b_row){.what = what,
	                  .unit = "CPU s per hour of call",
	                  .value = cost->recording.p50,
	                  .low = cost->recording.p10,
	                  .high = cost->recording.p90,
	                  .beside = "the same daemon and RTP, not recording",
	                  .beside_value = cost->plain.p50,
	                  .compared = cost->more.p50,
	                  .how = "value - beside, turn by turn",
	                  .kind = B_SHOWN,
	                  .note = text});
}
