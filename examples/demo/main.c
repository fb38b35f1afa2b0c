/* SPDX-License-Identifier: MIT */
/*
 * Twenty-four telephone calls at once, some of whose callers object to being
 * recorded; one process killed in the middle of an erasure; and the proof.
 *
 * Usage: demo [--dir DIR] [--speech FOLDER]
 *   --dir     where state and recordings go (build/demo); its subfolders are
 *             emptied first if an earlier run made them
 *   --speech  8 kHz, 16 bit, mono WAV files; Debian: asterisk-core-sounds-en-wav
 * Exit status: 0 if everything that it proves holds, else 1; 2 wrong usage.
 */
#include "demo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_SPEECH "/usr/share/asterisk/sounds/en_US_f_Allison"
#define MARKER         ".librecoptout-demo"

enum { CHILD_SECONDS = 60, BOARD_FD = 10, SIGNAL_FD = 11 };

/* ---- folders ---- */

static int join(char out[DEMO_PATH], const char *folder, const char *name)
{
	if (snprintf(out, DEMO_PATH, "%s/%s", folder, name) < DEMO_PATH)
		return 0;
	fprintf(stderr, "demo: the path %s is too long\n", folder);
	return -1;
}

static int make_folder(const char *path)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	fprintf(stderr, "demo: cannot make %s: %s\n", path, strerror(errno));
	return -1;
}

/* The folder and those above it. */
static int make_path(const char *path)
{
	char part[DEMO_PATH];

	for (size_t i = 1; path[i - 1] && i < sizeof part; i++) {
		part[i - 1] = path[i - 1];
		part[i] = 0;
		if ((path[i] == '/' || path[i] == 0) && make_folder(part) != 0)
			return -1;
	}
	return 0;
}

static void remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char child[DEMO_PATH];

	while (dir && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    join(child, path, entry->d_name) != 0)
			continue;
		if (unlink(child) != 0 && (errno == EISDIR || errno == EPERM))
			remove_tree(child);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

/* Shared memory has one name space for all users and folders. Also makes the host's folder absolute, since
 * artifacts are registered by absolute path. */
static int name_rings(struct folders *f)
{
	char real[DEMO_PATH];
	uint32_t hash = 2166136261u;

	if (!realpath(f->base, real)) {
		fprintf(stderr, "demo: %s: %s\n", f->base, strerror(errno));
		return -1;
	}
	for (const char *p = real; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;
	snprintf(f->rings, sizeof f->rings, "/dev/shm/librecoptout-demo-%u-%08x", (unsigned)getuid(),
	         (unsigned)hash);
	return join(f->host, real, "host");
}

static int name_folders(struct folders *f, const char *base)
{
	if (snprintf(f->base, sizeof f->base, "%s", base) >= DEMO_PATH / 2) {
		fprintf(stderr, "demo: the path %s is too long\n", base);
		return -1;
	}
	if (join(f->state, base, "state") != 0 || join(f->recordings, base, "recordings") != 0 ||
	    join(f->host, base, "host") != 0 || join(f->log, base, "engine.log") != 0)
		return -1;
	return 0;
}

static int own_folder(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/* Nothing is deleted in a folder that this program did not make. */
static int fresh_folders(struct folders *f)
{
	char marker[DEMO_PATH];
	int fd;

	if (make_path(f->base) != 0 || name_rings(f) != 0 || join(marker, f->base, MARKER) != 0)
		return -1;
	if (access(marker, F_OK) != 0 &&
	    (access(f->state, F_OK) == 0 || access(f->recordings, F_OK) == 0 || access(f->host, F_OK) == 0)) {
		fprintf(stderr, "demo: %s was not made by this program: name an empty folder with --dir\n",
		        f->base);
		return -1;
	}
	fd = open(marker, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0) {
		fprintf(stderr, "demo: cannot write %s: %s\n", marker, strerror(errno));
		return -1;
	}
	close(fd);
	if (access(f->rings, F_OK) == 0 && !own_folder(f->rings)) {
		fprintf(stderr, "demo: %s belongs to somebody else: remove it\n", f->rings);
		return -1;
	}
	unlink(f->log);
	remove_tree(f->state);
	remove_tree(f->recordings);
	remove_tree(f->host);
	remove_tree(f->rings);
	return make_folder(f->host) != 0 || make_folder(f->rings) != 0 ? -1 : 0;
}

/* ---- processes ---- */

/* Memory that outlives a killed child. A fixed number, so that the child finds it after exec. */
static struct board *board_map(int create)
{
	int fd = BOARD_FD;
	void *map;

	if (create) {
		int made = memfd_create("librecoptout-demo", 0);

		fd = made < 0 ? -1 : dup2(made, BOARD_FD);
		if (made >= 0)
			close(made);
		if (fd < 0 || ftruncate(fd, sizeof(struct board)) != 0) {
			fprintf(stderr, "demo: shared memory: %s\n", strerror(errno));
			return NULL;
		}
	}
	map = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		fprintf(stderr, "demo: shared memory: %s\n", strerror(errno));
		return NULL;
	}
	return map;
}

static int child_main(const char *mode, const char *base, const char *speech_folder)
{
	static struct folders folders;
	struct speech speech;
	struct board *board;
	int rc = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* Ctrl-C leaves nobody behind */
	alarm(CHILD_SECONDS);
	board = board_map(0);
	if (!board || name_folders(&folders, base) != 0 || name_rings(&folders) != 0)
		return 1;
	timeline_init(board);
	if (strcmp(mode, "recover") == 0)
		return run_recovery(board, &folders);
	if (speech_load(&speech, speech_folder) == 0)
		rc = run_calls(board, &speech, &folders, SIGNAL_FD);
	/* On a defect only: threads may still be pushing from that memory. */
	fflush(stdout);
	_exit(rc);
}

/* The same program again, as another process: an engine must not be inherited through fork(). */
static pid_t spawn(const char *mode, const char *base, const char *speech_folder)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "demo", "--child", mode, base, speech_folder, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		fprintf(stderr, "demo: fork: %s\n", strerror(errno));
	return pid;
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return status;
}

/* Runs the calls, and kills them at the moment they are in the middle of an erasure. */
static int first_process(const struct folders *folders, const char *speech_folder)
{
	struct pollfd pfd = {.events = POLLIN};
	char byte = 0;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) != 0 || dup2(ends[1], SIGNAL_FD) < 0)
		return -1;
	close(ends[1]);
	pid = spawn("calls", folders->base, speech_folder);
	close(SIGNAL_FD); /* now the pipe ends with the child */
	if (pid < 0)
		return -1;
	pfd.fd = ends[0];
	if (poll(&pfd, 1, CHILD_SECONDS * 1000) != 1 || read(ends[0], &byte, 1) != 1)
		byte = 0;
	close(ends[0]);
	kill(pid, SIGKILL);
	status = reap(pid);
	if (byte != 'K' || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		timeline_fail("process 1", "did not get to the middle of the last erasure (wait status %d)",
		              status);
		return -1;
	}
	timeline_note("process",
	              "killed with SIGKILL: calls in progress, uploads in flight, an erasure half done");
	return 0;
}

static int second_process(const struct folders *folders)
{
	pid_t pid = spawn("recover", folders->base, "-");
	int status = pid < 0 ? -1 : reap(pid);

	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		timeline_fail("process 2", "did not finish what was left (wait status %d)", status);
		return -1;
	}
	return 0;
}

static int last_words(struct board *board, int bad)
{
	unsigned kept = 0, out = 0;

	for (unsigned i = 0; i < CALLS; i++) {
		kept += plans[i].kept ? 1 : 0;
		out += plans[i].kept ? 0 : 1;
	}
	printf("\n");
	if (bad || atomic_load(&board->failures) != 0) {
		printf("demo: NOT as promised, see FAIL above (%u in the timeline): FAILED\n",
		       (unsigned)atomic_load(&board->failures));
		return 1;
	}
	printf("demo: %d calls, %u kept bit-exact, %u opted out, 0 bytes of them found: OK\n", CALLS, kept, out);
	return 0;
}

static int parent_main(const char *base, const char *speech_folder)
{
	static struct folders folders;
	struct speech speech;
	struct board *board = board_map(1);
	int rc;

	if (!board || speech_load(&speech, speech_folder) != 0)
		return 1;
	if (name_folders(&folders, base) != 0 || fresh_folders(&folders) != 0)
		return 1;
	board->start_us = now_us();
	timeline_init(board);
	printf("%d calls, two legs each: %zu minutes of speech from %zu files of %s\n", CALLS, speech.seconds / 60,
	       speech.files, speech_folder);
	timeline_heading("TIMELINE of process 1");
	rc = first_process(&folders, speech_folder);
	if (rc == 0)
		rc = proof_after_kill(board, &speech, &folders);
	if (rc == 0) {
		timeline_heading("TIMELINE of process 2, which opens the same folders");
		rc = second_process(&folders);
	}
	if (rc == 0) {
		table_print(board);
		rc = proof_run(board, &speech, &folders);
	}
	rc = last_words(board, rc);
	remove_tree(folders.rings);
	speech_free(&speech);
	return rc;
}

int main(int argc, char **argv)
{
	const char *base = "build/demo", *speech = DEFAULT_SPEECH;

	if (argc == 5 && strcmp(argv[1], "--child") == 0)
		return child_main(argv[2], argv[3], argv[4]);
	for (int i = 1; i < argc; i++) {
		if (i + 1 < argc && strcmp(argv[i], "--dir") == 0) {
			base = argv[++i];
		} else if (i + 1 < argc && strcmp(argv[i], "--speech") == 0) {
			speech = argv[++i];
		} else {
			fprintf(stderr, "usage: demo [--dir DIR] [--speech FOLDER]\n");
			return 2;
		}
	}
	return parent_main(base, speech);
}
