/* SPDX-License-Identifier: MIT */
/* Cells for keys: zeroed, each one's own, wiped when given back, empty in a forked child, kept out of core dumps.
 */
#include "../support_base.h"

#include "../../lib/base/secmem.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { CELL = 32, MANY = 1300 }; /* more than two slabs */

static const uint8_t zeros[CELL];

static int lines_logged;

static void count_lines(uint32_t level, const char *message, size_t length, void *user_data)
{
	(void)level;
	(void)message;
	(void)length;
	(void)user_data;
	lines_logged++;
}

static rco__secmem *make(struct counting *counting)
{
	rco_allocator alloc = counting_allocator(counting);
	rco__secmem *mem;
	rco__env env;

	lines_logged = 0;
	assert_int_equal(rco__env_init(&env, &alloc, NULL, count_lines, NULL), RCO_OK);
	assert_int_equal(rco__secmem_create(&env, &mem), RCO_OK);
	return mem;
}

static void cells_are_zeroed_and_apart(void **state)
{
	struct counting counting = {0};
	rco__secmem *mem = make(&counting);
	uint8_t *cells[MANY];
	int i, k;

	(void)state;
	for (i = 0; i < MANY; i++) {
		cells[i] = rco__secmem_get(mem);
		assert_non_null(cells[i]);
		assert_memory_equal(cells[i], zeros, CELL);
		memset(cells[i], i % 255 + 1, CELL);
	}
	for (i = 0; i < MANY; i++)
		for (k = 0; k < CELL; k++)
			assert_int_equal(cells[i][k], i % 255 + 1);
	for (i = 0; i < MANY; i++)
		rco__secmem_put(mem, cells[i]);
	rco__secmem_free(mem);
	assert_int_equal(counting.live, 0);
}

static void what_is_given_back_is_wiped_and_used_again(void **state)
{
	struct counting counting = {0};
	rco__secmem *mem = make(&counting);
	uint8_t *cell = rco__secmem_get(mem), *again;

	(void)state;
	assert_non_null(cell);
	memset(cell, 0xaa, CELL);
	rco__secmem_put(mem, cell);
	assert_memory_equal(cell, zeros, CELL); /* the slab is still mapped */
	again = rco__secmem_get(mem);
	assert_ptr_equal(again, cell);
	assert_memory_equal(again, zeros, CELL);
	rco__secmem_put(mem, again);
	rco__secmem_free(mem);
}

static void a_wrong_cell_is_reported_and_changes_nothing(void **state)
{
	struct counting counting = {0};
	rco__secmem *mem = make(&counting);
	uint8_t *a = rco__secmem_get(mem), *b = rco__secmem_get(mem);
	uint8_t foreign[CELL] = {1};
	int before = lines_logged;

	(void)state;
	rco__secmem_put(mem, NULL);
	assert_int_equal(lines_logged, before);
	memset(a, 0xaa, CELL);
	rco__secmem_put(mem, a + 1);
	assert_int_equal(a[0], 0xaa);
	rco__secmem_put(mem, foreign);
	assert_int_equal(foreign[0], 1);
	rco__secmem_put(mem, b);
	rco__secmem_put(mem, b); /* twice: must not be handed out twice afterwards */
	assert_int_equal(lines_logged, before + 3);
	b = rco__secmem_get(mem);
	assert_ptr_not_equal(b, rco__secmem_get(mem));
	rco__secmem_free(mem);
}

static void a_forked_child_sees_no_key(void **state)
{
	struct counting counting = {0};
	rco__secmem *mem = make(&counting);
	uint8_t *cell = rco__secmem_get(mem);
	int status;
	pid_t child;

	(void)state;
	memset(cell, 0xaa, CELL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(memcmp(cell, zeros, CELL) == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(cell[0], 0xaa);
	rco__secmem_free(mem);
}

/* Flags of the mapping that holds `address`, from the kernel's own report; 0 if it does not say. */
static int mapping_flags(const void *address, char flags[512])
{
	unsigned long long low, high;
	char line[512];
	int inside = 0, found = 0;
	FILE *f = fopen("/proc/self/smaps", "r");

	if (f == NULL)
		return 0;
	while (!found && fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%llx-%llx ", &low, &high) == 2)
			inside = (uintptr_t)address >= low && (uintptr_t)address < high;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = snprintf(flags, 512, "%s", line) > 0;
	}
	(void)fclose(f);
	return found;
}

static void pages_are_kept_from_swap_and_core_dumps(void **state)
{
	struct counting counting = {0};
	rco__secmem *mem = make(&counting);
	uint8_t *cell = rco__secmem_get(mem);
	char flags[512];

	(void)state;
	if (mapping_flags(cell, flags)) {
		assert_non_null(strstr(flags, " dd")); /* do not dump */
		assert_non_null(strstr(flags, " wf")); /* wipe on fork */
		if (MLOCK_WORKS && lines_logged == 0)
			assert_non_null(strstr(flags, " lo")); /* locked */
	}
	rco__secmem_free(mem);
}

/* In a child without the right to lock memory: keys work all the same, and it is said once. */
static int unlocked_child(void)
{
	struct rlimit none = {0, 0};
	struct counting counting = {0};
	rco_allocator alloc = counting_allocator(&counting);
	rco__secmem *mem;
	rco__env env;
	int i;

	lines_logged = 0;
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
		return 0; /* cannot be tried here */
	if (rco__env_init(&env, &alloc, NULL, count_lines, NULL) != RCO_OK ||
	    rco__secmem_create(&env, &mem) != RCO_OK)
		return 2;
	for (i = 0; i < MANY; i++)
		if (rco__secmem_get(mem) == NULL)
			return 3;
	rco__secmem_free(mem);
	return lines_logged == MLOCK_WORKS ? 0 : 4;
}

static void memory_that_cannot_be_locked_is_said_once(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(unlocked_child());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void out_of_memory_is_an_answer(void **state)
{
	struct counting counting = {.fail_at = 1};
	rco_allocator alloc = counting_allocator(&counting);
	rco__secmem *mem;
	rco__env env;

	(void)state;
	assert_int_equal(rco__env_init(&env, &alloc, NULL, NULL, NULL), RCO_OK);
	assert_int_equal(rco__secmem_create(&env, &mem), RCO_E_NO_MEMORY);
	assert_null(mem);
	counting.fail_at = 3; /* the slab */
	assert_int_equal(rco__secmem_create(&env, &mem), RCO_OK);
	assert_null(rco__secmem_get(mem));
	assert_non_null(rco__secmem_get(mem));
	rco__secmem_free(mem);
	rco__secmem_free(NULL);
	assert_int_equal(counting.live, 0);
}

static void *churn(void *arg)
{
	rco__secmem *mem = arg;
	uint8_t *held[16];
	int round, i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < 16; i++) {
			held[i] = rco__secmem_get(mem);
			if (held[i] == NULL || memcmp(held[i], zeros, CELL) != 0)
				return arg;
			memset(held[i], i + 1, CELL);
		}
		for (i = 0; i < 16; i++) {
			if (held[i][0] != i + 1 || held[i][CELL - 1] != i + 1)
				return arg;
			rco__secmem_put(mem, held[i]);
		}
	}
	return NULL;
}

static void threads_never_share_a_cell(void **state)
{
	struct counting counting = {0};
	rco__secmem *mem = make(&counting);
	pthread_t threads[4];
	void *wrong;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, mem), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	rco__secmem_free(mem);
	assert_int_equal(counting.live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_are_zeroed_and_apart),
		cmocka_unit_test(what_is_given_back_is_wiped_and_used_again),
		cmocka_unit_test(a_wrong_cell_is_reported_and_changes_nothing),
		cmocka_unit_test(a_forked_child_sees_no_key),
		cmocka_unit_test(pages_are_kept_from_swap_and_core_dumps),
		cmocka_unit_test(memory_that_cannot_be_locked_is_said_once),
		cmocka_unit_test(out_of_memory_is_an_answer),
		cmocka_unit_test(threads_never_share_a_cell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
