/*
 * scratch: a folder that a program of tests works in, for cmocka_run_group_tests()
 *
 * Made under /tmp, it is the working directory until it is removed; tests leave nothing in it but a database of ours.
 */
#pragma once
#include <stdlib.h>
#include <unistd.h>

static char scratch_folder[] = "/tmp/aileron-test-XXXXXX";

static int scratch_enter(void **state)
{
	(void)state;
	return mkdtemp(scratch_folder) != NULL && chdir(scratch_folder) == 0 ? 0 : -1;
}

static int scratch_leave(void **state)
{
	static const char *const names[] = {"aileron.db", "aileron.db-wal", "aileron.db-shm"};
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unlink(names[i]);
	return chdir("/") == 0 && rmdir(scratch_folder) == 0 ? 0 : -1;
}
