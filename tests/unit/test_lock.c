#include "os/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

static char path[64];

static int make_name(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/test_lock.XXXXXX");
	int fd = mkstemp(path);
	unlink(path);
	return fd < 0 || close(fd) != 0;
}

static int remove_name(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static void one_excludes_another(void **state)
{
	(void)state;
	AUTO_LOCK one = LOCK_INIT;
	AUTO_LOCK two = LOCK_INIT;
	assert_int_equal(lock_try(&one, path, LOCK_ALONE, NULL), 1);
	struct stat info;
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(lock_try(&two, path, LOCK_ALONE, NULL), 0);
	assert_int_equal(lock_try(&two, path, LOCK_SHARED, NULL), 0);
	assert_int_equal(two.fd, -1);
	lock_release(&one);
	lock_release(&one);
	assert_int_equal(lock_try(&two, path, LOCK_ALONE, NULL), 1);
	assert_int_equal(fcntl(two.fd, F_GETFD), FD_CLOEXEC);
}

static void shared_ones_go_together(void **state)
{
	(void)state;
	AUTO_LOCK one = LOCK_INIT;
	AUTO_LOCK two = LOCK_INIT;
	AUTO_LOCK three = LOCK_INIT;
	assert_int_equal(lock_try(&one, path, LOCK_SHARED, NULL), 1);
	assert_int_equal(lock_try(&two, path, LOCK_SHARED, NULL), 1);
	assert_int_equal(lock_try(&three, path, LOCK_ALONE, NULL), 0);
}

/* Holds the lock, says so through the pipe, and lets go only by dying. */
static void hold_in_child(int *ret_pid, int *ret_hold)
{
	int held[2], hold[2];
	assert_int_equal(pipe(held), 0);
	assert_int_equal(pipe(hold), 0);
	int pid = fork();
	if (pid == 0) {
		close(hold[1]);
		struct lock lock = LOCK_INIT;
		char byte = lock_try(&lock, path, LOCK_ALONE, NULL) == 1;
		if (write(held[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
	}
	char byte = 0;
	assert_int_equal(read(held[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	close(held[0]);
	close(held[1]);
	close(hold[0]);
	*ret_pid = pid;
	*ret_hold = hold[1];
}

static void a_waiter_gets_it_when_the_holder_ends(void **state)
{
	(void)state;
	int pid, hold;
	hold_in_child(&pid, &hold);
	AUTO_LOCK lock = LOCK_INIT;
	assert_int_equal(lock_try(&lock, path, LOCK_ALONE, NULL), 0);
	close(hold);
	assert_int_equal(lock_wait(&lock, path, LOCK_ALONE, NULL), 0);
	assert_true(lock.fd >= 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* As exec hands it over: the same open file under another number. */
static void a_held_lock_can_be_taken_over(void **state)
{
	(void)state;
	struct lock one = LOCK_INIT;
	AUTO_LOCK two = LOCK_INIT;
	AUTO_LOCK three = LOCK_INIT;
	assert_int_equal(lock_try(&one, path, LOCK_ALONE, NULL), 1);
	int copy = dup(one.fd);
	assert_int_equal(lock_adopt(&two, copy, path, NULL), 1);
	assert_int_equal(two.fd, copy);
	assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
	lock_release(&one);
	assert_int_equal(lock_try(&three, path, LOCK_ALONE, NULL), 0);

	/* One that somebody else holds, another file, and no descriptor at all. */
	assert_int_equal(lock_adopt(&three, open(path, O_RDWR), path, NULL), 0);
	assert_int_equal(lock_adopt(&three, open("/dev/null", O_RDWR), path, NULL), 0);
	struct err err = {0};
	assert_int_equal(lock_adopt(&three, 1000, path, &err), -1);
	assert_int_equal(err.os_errno, EBADF);
	assert_int_equal(three.fd, -1);
}

static void a_replaced_file_is_noticed(void **state)
{
	(void)state;
	AUTO_LOCK lock = LOCK_INIT;
	assert_false(lock_is_current(&lock, path));
	assert_int_equal(lock_try(&lock, path, LOCK_ALONE, NULL), 1);
	assert_true(lock_is_current(&lock, path));
	unlink(path);
	assert_false(lock_is_current(&lock, path));
	close(open(path, O_RDWR | O_CREAT, 0600));
	assert_false(lock_is_current(&lock, path));
}

static void a_bad_path_is_an_error(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO_LOCK lock = LOCK_INIT;
	assert_int_equal(lock_try(&lock, "/nonexistent/lock", LOCK_ALONE, &err), -1);
	assert_string_equal(err.message, "cannot open the lock file '/nonexistent/lock': No such file or directory");
	assert_int_equal(symlink("/tmp/elsewhere", path), 0);
	assert_int_equal(lock_wait(&lock, path, LOCK_ALONE, &err), -1);
	assert_int_equal(err.os_errno, ELOOP);
}

#define WITH_NAME(test) cmocka_unit_test_setup_teardown(test, make_name, remove_name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_NAME(one_excludes_another),
		WITH_NAME(shared_ones_go_together),
		WITH_NAME(a_waiter_gets_it_when_the_holder_ends),
		WITH_NAME(a_held_lock_can_be_taken_over),
		WITH_NAME(a_replaced_file_is_noticed),
		WITH_NAME(a_bad_path_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
