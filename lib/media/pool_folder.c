/* SPDX-License-Identifier: MIT */
/* The folder that rings are in: whether it is to be trusted, and what others left in it. */
#include "../base/error.h"
#include "../base/lock.h"
#include "../base/trust.h"
#include "pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int rco__pool_folder(const char *dir, int *fd)
{
	struct stat st;
	int rc = rco__trust_way(dir);

	*fd = -1;
	if (rc != RCO_OK)
		return rc;
	*fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st) != 0)
		return rco__fail(RCO_E_SHARED_MEMORY, "cannot open %s: %s; set ring_dir to a tmpfs", dir,
		                 strerror(errno));
	return rco__trust_folder(&st, RCO__TRUST_RINGS, dir);
}

int rco__pool_is_rings(const char *name)
{
	static const char front[] = "recoptout-", back[] = ".rings";
	size_t n = strlen(name), edge = sizeof front - 1 + sizeof back - 1;

	return n == edge + RCO_ID_TEXT && strncmp(name, front, sizeof front - 1) == 0 &&
	       strcmp(name + n - (sizeof back - 1), back) == 0;
}

/*
 * Rings that no engine has. Their engine may have been killed and be about to start again, so they are told and
 * not touched; but where its state folder is gone, or an older one was put in its place, nobody looks for them any
 * more, and there is plain audio in them.
 */
static void notify_one(const rco__env *env, int at, const char *dir, const char *name)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_uid != geteuid() ||
	    !rco__lock_is_free(at, name))
		return;
	rco__log(env, RCO_LOG_WARN,
	         "%s/%s belongs to no engine that runs, and may hold audio in plain form. An engine that was "
	         "killed "
	         "takes it up when it starts with the state folder it had; if there is none any more, remove it",
	         dir, name);
}

void rco__pool_notify_left(const rco__env *env, const char *dir)
{
	const struct dirent *entry;
	DIR *list = opendir(dir);

	if (list == NULL) /* a folder in which we may look for names, but not list them */
		return;
	while ((entry = readdir(list)) != NULL)
		if (rco__pool_is_rings(entry->d_name))
			notify_one(env, dirfd(list), dir, entry->d_name);
	(void)closedir(list); /* opened for reading: nothing can be lost by it */
}
