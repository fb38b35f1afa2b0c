/* SPDX-License-Identifier: MIT */
/* What is no file of a call: the library's own files, and the recordings of other calls, however they are spelt.
 */
#include "../support.h"

#include "../../lib/base/bytes.h"

#include <recoptout/storage.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static t_world w;
static rco_session *other;

static void make_world(uint32_t flags)
{
	t_world_init(&w, T_SPOOL | T_DISK | flags);
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.out;
	t_world_open(&w);
}

static void begin(void)
{
	make_world(0);
	other = t_call(&w, "other");
	t_push(other, 0, 1, 0, 10);
}

static void end(void)
{
	rco_session_free(other);
	t_world_destroy(&w);
}

static const char *below(const char *dir, const char *name)
{
	static char path[4][512];
	static unsigned at;

	at = (at + 1) % 4;
	(void)snprintf(path[at], sizeof path[at], "%s/%s", dir, name);
	return path[at];
}

static int registers(const char *path)
{
	int rc = rco_session_register_artifact(other, RCO_KIND_AUDIO, path, NULL);

	assert_int_equal(rco_engine_register_artifact(w.engine, "other", RCO_KIND_AUDIO, path, NULL), rc);
	if (rc != RCO_OK)
		assert_true(strlen(rco_error_detail()) > 0);
	return rc;
}

static void refuse_file(const char *file, void *user_data)
{
	size_t *n = user_data;

	assert_int_equal(registers(file), RCO_E_INVALID);
	++*n;
}

/* Of a call that is kept, with its window over. */
static void keep(const char *call_id, char name[64])
{
	rco_session *s = t_call(&w, call_id);

	t_push(s, 0, 2, 0, 10);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, call_id, RCO_EVENT_STORED, 1);
	assert_int_equal(t_store_name(&w, call_id, name, 64), 1);
}

static void id_of(rco_session *s, char id[64])
{
	rco_session_stats stats = {.struct_size = (uint32_t)sizeof stats};

	assert_int_equal(rco_session_get_stats(s, &stats), RCO_OK);
	rco__uuid_text(stats.recording_id, id);
}

static int is_verified(void)
{
	assert_int_equal(rco_opt_out(other, NULL, NULL), RCO_OK);
	t_settle(&w);
	return t_status(&w, "other") == RCO_STATUS_VERIFIED;
}

/* ---- its own files ---- */

static void test_every_file_of_the_state(void **state)
{
	size_t before, n = 0;

	(void)state;
	begin();
	before = t_tree_holds(w.state, NULL, 0);
	t_tree_each(w.state, refuse_file, &n);
	assert_true(n >= 6);
	assert_int_equal(n, before);
	assert_true(is_verified());
	assert_true(t_exists(below(w.state, "signing.key")));
	assert_true(t_exists(below(w.state, "spool/slots.rcok")));
	end();
}

static void test_other_spellings(void **state)
{
	char here[256], link_to[256];
	char key[256];

	(void)state;
	begin();
	t_join(key, sizeof key, w.state, "signing.key");
	assert_int_equal(registers(below(w.state, "ledger/../signing.key")), RCO_E_INVALID);
	assert_int_equal(registers(below(w.state, "./signing.key")), RCO_E_INVALID);
	assert_int_equal(registers(below(w.state, "/signing.key")), RCO_E_INVALID);
	assert_int_equal(registers(below(w.artifacts, "../state/signing.key")), RCO_E_INVALID);
	/* what is not there yet */
	assert_int_equal(registers(below(w.state, "ledger/99999999.rcol")), RCO_E_INVALID);
	assert_int_equal(registers(below(w.state, "new/file")), RCO_E_INVALID);
	assert_int_equal(registers(below(w.artifacts, "none/../../state/signing.key")), RCO_E_INVALID);
	assert_int_equal(registers("/none/../../etc/x.wav"), RCO_E_INVALID);
	t_write_file(below(w.artifacts, "rec.wav"), "RIFF", 4);
	assert_int_equal(registers(below(w.artifacts, "rec.wav/")), RCO_E_INVALID);
	assert_true(t_exists(below(w.artifacts, "rec.wav")));
	/* links on the way, and in its place */
	(void)snprintf(link_to, sizeof link_to, "%s", below(w.artifacts, "way"));
	assert_int_equal(symlink(w.state, link_to), 0);
	assert_int_equal(registers(below(link_to, "signing.key")), RCO_E_INVALID);
	assert_int_equal(registers(below(link_to, "new")), RCO_E_INVALID);
	/* a second name */
	assert_int_equal(link(key, below(w.artifacts, "second.wav")), 0);
	assert_int_equal(registers(below(w.artifacts, "second.wav")), RCO_E_INVALID);
	assert_int_equal(unlink(below(w.artifacts, "second.wav")), 0);
	/* a relative path is none of the directory's */
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(w.state), 0);
	assert_int_equal(registers("signing.key"), RCO_E_INVALID);
	assert_int_equal(chdir(here), 0);
	assert_true(is_verified());
	assert_true(t_exists(key));
	end();
}

/* Names that say it in any folder: of other engines, too. */
static void test_names_of_the_library(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd;

	(void)state;
	begin();
	assert_int_equal(registers(below(w.out, ".recoptout-store")), RCO_E_INVALID);
	assert_int_equal(registers(below(w.artifacts, ".recoptout-store")), RCO_E_INVALID);
	assert_int_equal(registers(below(w.artifacts, "recoptout-11111111-1111-4111-8111-111111111111.rings")),
	                 RCO_E_INVALID);
	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s", below(w.artifacts, "control"));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(registers(at.sun_path), RCO_E_INVALID);
	t_write_file(below(w.artifacts, "control.lock"), "", 0);
	assert_int_equal(registers(below(w.artifacts, "control.lock")), RCO_E_INVALID);
	(void)close(fd);
	end();
}

/* Removed by a table of the host's, which may take relative paths, and others than paths. */
static void test_a_table_of_the_hosts(void **state)
{
	char here[256];

	(void)state;
	t_world_init(&w, T_SPOOL);
	t_world_open(&w);
	other = t_call(&w, "other");
	assert_int_equal(registers(below(w.state, "signing.key")), RCO_E_INVALID);
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(w.state), 0);
	assert_int_equal(registers("signing.key"), RCO_E_INVALID);
	assert_int_equal(registers("ledger/../signing.key"), RCO_E_INVALID);
	assert_int_equal(registers("bucket/object.wav"), RCO_OK);
	assert_int_equal(registers("s3://bucket/object.wav"), RCO_OK);
	assert_int_equal(chdir(here), 0);
	end();
}

/* ---- recordings of others ---- */

static void test_the_recording_of_another_call(void **state)
{
	char name[64], file[96], second[256];

	(void)state;
	begin();
	keep("victim", name);
	(void)snprintf(file, sizeof file, "%s.caller.wav", name);
	assert_int_equal(registers(below(w.out, file)), RCO_E_BUSY);
	assert_int_equal(registers(below(w.out, "../out//x/.././/y")), RCO_E_INVALID); /* no such folder */
	(void)snprintf(second, sizeof second, "../out/./%s", file);
	assert_int_equal(registers(below(w.artifacts, second)), RCO_E_BUSY);
	assert_int_equal(link(below(w.out, file), below(w.artifacts, "second.wav")), 0);
	assert_int_equal(registers(below(w.artifacts, "second.wav")), RCO_E_BUSY);
	assert_int_equal(unlink(below(w.artifacts, "second.wav")), 0);
	(void)snprintf(file, sizeof file, "%s.json", name);
	assert_int_equal(registers(below(w.out, file)), RCO_E_BUSY);
	/* forgotten, too: its record is beside it */
	t_advance(&w, 4000000);
	(void)snprintf(file, sizeof file, "%s.caller.wav", name);
	assert_int_equal(registers(below(w.out, file)), RCO_E_BUSY);
	assert_true(is_verified());
	assert_true(t_store_has_noise(&w, "victim", "caller", 2, 10));
	end();
}

/* Its window runs, or it goes on. */
static void test_a_recording_that_is_being_written(void **state)
{
	char id[64], file[96];
	rco_session *s;

	(void)state;
	begin();
	s = t_call(&w, "window");
	t_push(s, 0, 2, 0, 10);
	id_of(s, id);
	(void)snprintf(file, sizeof file, "%s.caller.wav", id);
	assert_int_equal(registers(below(w.out, file)), RCO_E_BUSY);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	(void)snprintf(file, sizeof file, "%s.caller.wav.tmp", id);
	assert_int_equal(registers(below(w.out, file)), RCO_E_BUSY);
	rco_session_free(s);
	t_await(&w, "window", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "window", "caller", 2, 10));
	end();
}

static void test_its_own_record(void **state)
{
	char id[64], file[96];

	(void)state;
	begin();
	id_of(other, id);
	(void)snprintf(file, sizeof file, "%s.json", id);
	assert_int_equal(registers(below(w.out, file)), RCO_E_INVALID);
	end();
}

/* A recorder of the host that writes there, with names of its own. */
static void test_the_hosts_own_files_in_output_dir(void **state)
{
	static const char uuid[] = "22222222-2222-4222-8222-222222222222.mixed.wav";

	(void)state;
	begin();
	t_write_file(below(w.out, "host.wav"), "audio", 5);
	t_write_file(below(w.out, uuid), "audio", 5);
	assert_int_equal(mkdir(below(w.out, "sub"), 0700), 0);
	t_write_file(below(w.out, "sub/host.wav"), "audio", 5);
	assert_int_equal(registers(below(w.out, "host.wav")), RCO_OK);
	assert_int_equal(registers(below(w.out, uuid)), RCO_OK);
	assert_int_equal(registers(below(w.out, "sub/host.wav")), RCO_OK);
	assert_int_equal(registers(below(w.out, "later.wav")), RCO_OK);
	assert_true(is_verified());
	assert_false(t_exists(below(w.out, "host.wav")));
	assert_false(t_exists(below(w.out, uuid)));
	assert_false(t_exists(below(w.out, "sub/host.wav")));
	end();
}

/* A state folder with the recordings in it: the nearest folder counts. */
static void test_output_dir_below_the_state(void **state)
{
	char out[256];

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_join(out, sizeof out, w.state, "recordings");
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = out;
	t_world_open(&w);
	other = t_call(&w, "other");
	assert_int_equal(registers(below(out, "host.wav")), RCO_OK);
	assert_int_equal(registers(below(out, "../signing.key")), RCO_E_INVALID);
	end();
}

/* State and recordings in one folder: the names tell. */
static void test_output_dir_is_the_state(void **state)
{
	size_t n = 0;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.state;
	t_world_open(&w);
	other = t_call(&w, "other");
	t_tree_each(w.state, refuse_file, &n);
	assert_true(n >= 6);
	assert_int_equal(registers(below(w.state, "host.wav")), RCO_OK);
	assert_int_equal(registers(below(w.state, "sub/host.wav")), RCO_OK);
	end();
}

/* ---- of another engine ---- */

static void test_another_engine(void **state)
{
	t_world b;
	rco_session *s;
	char name[64], file[96];
	size_t n = 0;

	(void)state;
	begin();
	t_world_init(&b, T_SPOOL | T_DISK);
	b.cfg.upload = NULL;
	b.cfg.deletion = NULL;
	b.cfg.output_dir = b.out;
	t_world_open(&b);
	s = t_call(&b, "kept");
	t_push(s, 0, 2, 0, 10);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&b, "kept", RCO_EVENT_STORED, 1);
	t_tree_each(b.state, refuse_file, &n);
	assert_true(n >= 6);
	assert_int_equal(registers(below(b.state, "new/file.wav")), RCO_E_INVALID);
	/* while it does not run, too, and what is kept of its calls */
	t_world_close(&b);
	t_tree_each(b.state, refuse_file, &n);
	assert_int_equal(t_store_name(&b, "kept", name, sizeof name), 1);
	(void)snprintf(file, sizeof file, "%s.caller.wav", name);
	assert_int_equal(registers(below(b.out, file)), RCO_E_BUSY);
	(void)snprintf(file, sizeof file, "%s.json", name);
	assert_int_equal(registers(below(b.out, file)), RCO_E_BUSY);
	assert_int_equal(registers(below(b.out, "host.wav")), RCO_OK);
	assert_true(is_verified());
	t_world_open(&b);
	t_world_destroy(&b);
	end();
}

/* Parts that are elsewhere, and copies of files. */
static void test_by_their_names(void **state)
{
	static const char *const names[] = {
		"0000000000000001.rcol", "00000000000000ff.rcos.tmp",  "slots.rcok", "0000000000000001.rcoe",
		"slots.rcok.tmp",        "epoch-0000000000000001.key",
	};
	size_t i;

	(void)state;
	begin();
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(registers(below(w.artifacts, names[i])), RCO_E_INVALID);
	/* a spool and a key folder of their own */
	assert_int_equal(mkdir(below(w.artifacts, "spool"), 0700), 0);
	t_write_file(below(w.artifacts, "spool/slots.rcok"), "", 0);
	assert_int_equal(registers(below(w.artifacts, "spool/lock")), RCO_E_INVALID);
	assert_int_equal(mkdir(below(w.artifacts, "keys"), 0700), 0);
	t_write_file(below(w.artifacts, "keys/epoch-0000000000000001.key"), "", 0);
	assert_int_equal(registers(below(w.artifacts, "keys/lock")), RCO_E_INVALID);
	assert_int_equal(mkdir(below(w.artifacts, "state"), 0700), 0);
	t_write_file(below(w.artifacts, "state/lock"), "", 0);
	assert_int_equal(registers(below(w.artifacts, "state/signing.key")), RCO_E_INVALID);
	end();
}

static void test_names_that_a_host_may_use(void **state)
{
	static const char *const names[] = {"lock",        "x.rcol.wav", "0001.wav", "0000000000000001.wav",
	                                    "signing.key", "ledger.wav"};
	size_t i;

	(void)state;
	begin();
	assert_int_equal(mkdir(below(w.artifacts, "calls"), 0700), 0);
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(registers(below(w.artifacts, names[i])), RCO_OK);
	t_write_file(below(w.artifacts, "lock"), "", 0);
	assert_int_equal(registers(below(w.artifacts, "lock")), RCO_OK);
	assert_int_equal(registers(below(w.artifacts, "calls/x.wav")), RCO_OK);
	assert_true(is_verified());
	assert_false(t_exists(below(w.artifacts, "lock")));
	end();
}

/* ---- what could never be erased ---- */

static void test_never_erasable(void **state)
{
	char name[300], file[256];

	(void)state;
	begin();
	memset(name, 'c', sizeof name);
	name[256] = '\0';
	assert_int_equal(registers(below(w.artifacts, name)), RCO_E_INVALID);
	name[256] = 'c';
	memcpy(name, "none/", 5); /* behind a folder that is not there */
	name[261] = '\0';
	assert_int_equal(registers(below(w.artifacts, name)), RCO_E_INVALID);
	memcpy(name + 256, "c/x", 4); /* on the way */
	memset(name, 'c', 5);
	assert_int_equal(registers(below(w.artifacts, name)), RCO_E_INVALID);
	name[255] = '\0'; /* the longest */
	memcpy(file, name, 256);
	assert_int_equal(registers(below(w.artifacts, file)), RCO_OK);
	assert_int_equal(registers(below(w.artifacts, "later/")), RCO_E_INVALID);
	assert_int_equal(registers(below(w.artifacts, "later/.")), RCO_E_INVALID);
	assert_int_equal(registers("/proc/self/environ"), RCO_E_INVALID);
	assert_int_equal(registers("/proc/none/x.wav"), RCO_E_INVALID);
	if (t_exists("/sys/kernel")) /* not mounted everywhere */
		assert_int_equal(registers("/sys/kernel/x.wav"), RCO_E_INVALID);
	assert_true(is_verified());
	end();
}

/* What a table of the host's understands is its own affair. */
static void test_names_of_a_table_of_the_hosts(void **state)
{
	char name[300];

	(void)state;
	t_world_init(&w, T_SPOOL);
	t_world_open(&w);
	other = t_call(&w, "other");
	memset(name, 'c', sizeof name);
	name[sizeof name - 1] = '\0';
	assert_int_equal(registers(name), RCO_OK);
	name[0] = '/';
	assert_int_equal(registers(name), RCO_OK);
	assert_int_equal(registers("bucket/folder/"), RCO_OK);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_file_of_the_state),
		cmocka_unit_test(test_other_spellings),
		cmocka_unit_test(test_names_of_the_library),
		cmocka_unit_test(test_a_table_of_the_hosts),
		cmocka_unit_test(test_the_recording_of_another_call),
		cmocka_unit_test(test_a_recording_that_is_being_written),
		cmocka_unit_test(test_its_own_record),
		cmocka_unit_test(test_the_hosts_own_files_in_output_dir),
		cmocka_unit_test(test_output_dir_below_the_state),
		cmocka_unit_test(test_output_dir_is_the_state),
		cmocka_unit_test(test_another_engine),
		cmocka_unit_test(test_by_their_names),
		cmocka_unit_test(test_names_that_a_host_may_use),
		cmocka_unit_test(test_never_erasable),
		cmocka_unit_test(test_names_of_a_table_of_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
