/* SPDX-License-Identifier: MIT */
/* What the figures were taken on. */
#include "harness.h"

#include <recoptout.h>

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The value of "KEY : value" in a file of /proc; "" without it. */
static void value_of(const char *path, const char *key, char *out, size_t room)
{
	char line[1024];
	FILE *file = fopen(path, "re");
	const char *value;

	out[0] = '\0';
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, key, strlen(key)) != 0 || (value = strchr(line, ':')) == NULL)
			continue;
		value += strspn(value, ": \t");
		(void)snprintf(out, room, "%.*s", (int)strcspn(value, "\n"), value);
		break;
	}
	if (file != NULL)
		(void)fclose(file);
}

/* Whether path is below the mount point; its length, so that the longest can be taken. */
static size_t below(const char *path, const char *mount)
{
	size_t n = strlen(mount);

	if (strncmp(path, mount, n) != 0 || (n > 1 && path[n] != '/' && path[n] != '\0'))
		return 0;
	return n;
}

static void file_system_of(const char *folder, char *out, size_t room)
{
	char line[4096], mount[1024], type[64], real[4096];
	size_t best = 0, n;
	const char *rest;
	FILE *file = fopen("/proc/self/mountinfo", "re");

	(void)snprintf(out, room, "unknown");
	if (realpath(folder, real) == NULL)
		real[0] = '\0';
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		rest = strstr(line, " - ");
		if (rest == NULL || sscanf(line, "%*s %*s %*s %*s %1023s", mount) != 1 ||
		    sscanf(rest, " - %63s", type) != 1)
			continue;
		n = below(real, mount);
		if (n >= best && n > 0) {
			best = n;
			(void)snprintf(out, room, "%s", type);
		}
	}
	if (file != NULL)
		(void)fclose(file);
}

json_t *b_machine(const char *folder)
{
	char cpu[256], memory[64], fs[64], kernel[256], date[32];
	double load[1] = {0};
	struct utsname name;
	time_t now = time(NULL);
	struct tm tm;

	value_of("/proc/cpuinfo", "model name", cpu, sizeof cpu);
	value_of("/proc/meminfo", "MemTotal", memory, sizeof memory);
	file_system_of(folder, fs, sizeof fs);
	kernel[0] = date[0] = '\0';
	if (uname(&name) == 0)
		(void)snprintf(kernel, sizeof kernel, "%.64s %.128s %.32s", name.sysname, name.release,
		               name.machine);
	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)getloadavg(load, 1);
	return json_pack("{ss ss sI ss ss ss ss ss sf}", "date", date, "cpu", cpu, "cores",
	                 (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory", memory, "kernel", kernel,
	                 "file_system", fs, "compiler", "cc " __VERSION__, "library", rco_version_string(),
	                 "load_before", load[0]);
}
