/*
 * What happens when the system refuses: each operation that must not lose anything runs in a child of its own under a
 * filter that makes one system call fail, for every call that the operation makes. Wanted each time: the error says so
 * with the errno, outputs are as they were, the old file is whole, nothing is left beside it.
 */
#include "base/mem.h"
#include "connector/code_file.h"
#include "os/child.h"
#include "os/file.h"
#include "os/lock.h"
#include "rpc/rpc.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define OLD "the old content"

/* Exit statuses of the children. */
enum { AS_WANTED, NO_ERROR, WRONG_ERROR, OUTPUT_TOUCHED, NO_FILTER };

static char folder[] = "/tmp/aileron-fault-XXXXXX";

static bool make_fail(int call)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	bool made = filter != NULL && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EIO), call, 0) == 0 &&
		    seccomp_load(filter) == 0;
	seccomp_release(filter);
	return made;
}

static int judge_error(const struct err *err)
{
	return err->class == ERR_SYSTEM && err->os_errno == EIO ? AS_WANTED : WRONG_ERROR;
}

static int replacing(int call)
{
	AUTO_FREE char *path = xasprintf("%s/file", folder);
	static struct err err;
	if (!make_fail(call))
		return NO_FILTER;
	return file_replace(path, S("the new content"), 0600, &err) == 0 ? NO_ERROR : judge_error(&err);
}

static int creating(int call)
{
	AUTO_FREE char *path = xasprintf("%s/other", folder);
	static struct err err;
	if (!make_fail(call))
		return NO_FILTER;
	return file_create(path, S("content"), 0600, &err) >= 0 ? NO_ERROR : judge_error(&err);
}

static int reading(int call)
{
	AUTO_FREE char *path = xasprintf("%s/file", folder);
	static struct err err;
	AUTO_BUF out = BUF_INIT(4096);
	if (!make_fail(call))
		return NO_FILTER;
	if (file_read(path, &out, &err) == 0)
		return NO_ERROR;
	return out.n > 0 ? OUTPUT_TOUCHED : judge_error(&err);
}

static int locking(int call)
{
	AUTO_FREE char *path = xasprintf("%s/lock", folder);
	static struct err err;
	struct lock lock = LOCK_INIT;
	if (!make_fail(call))
		return NO_FILTER;
	return lock_try(&lock, path, LOCK_ALONE, &err) >= 0 ? NO_ERROR : judge_error(&err);
}

static int starting(int call)
{
	static struct err err;
	const char *argv[] = {"/bin/true", NULL};
	struct child child = CHILD_INIT;
	child.path = argv[0];
	child.argv = argv;
	if (!make_fail(call))
		return NO_FILTER;
	if (child_start(&child, &err) == 0)
		return NO_ERROR;
	return child.pid != 0 || child.pidfd != -1 ? OUTPUT_TOUCHED : judge_error(&err);
}

static const struct rpc_rule rules[] = {{1, 1, 100, "word"}, {0, 0, 0, NULL}};

static int sending(int call)
{
	static struct err err;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || !make_fail(call))
		return NO_FILTER;
	struct rpc_channel *channel = rpc_channel_new(pair[0], rules);
	struct str part = S("word");
	return rpc_send(channel, 1, 7, &part, 1, &err) == 0 ? NO_ERROR : judge_error(&err);
}

static int receiving(int call)
{
	static struct err err;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || !make_fail(call))
		return NO_FILTER;
	struct rpc_channel *channel = rpc_channel_new(pair[0], rules);
	struct rpc_frame frame = {.id = 99};
	if (rpc_recv(channel, &frame, &err) >= 0)
		return NO_ERROR;
	return frame.id != 99 ? OUTPUT_TOUCHED : judge_error(&err);
}

static int sealing(int call)
{
	static struct err err;
	const uint8_t hash[CODE_FILE_HASH] = {0};
	AUTO_FD fd = file_in_memory("fault", &err);
	if (fd < 0 || write(fd, "code", 4) != 4 || !make_fail(call))
		return NO_FILTER;
	if (code_file_seal(fd, hash, hash, &err) == 0)
		return NO_ERROR;
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_size != 4 ? OUTPUT_TOUCHED : judge_error(&err);
}

/* The old file whole, and no draft, lock or half-made file beside it. */
static void assert_nothing_lost(const char *what)
{
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_name[0] == '.' && (entry->d_name[1] == '\0' || strcmp(entry->d_name, "..") == 0))
			continue;
		if (strcmp(entry->d_name, "file") != 0 && strcmp(entry->d_name, "lock") != 0)
			fail_msg("%s left '%s' behind", what, entry->d_name);
	}
	closedir(dir);
	AUTO_FREE char *path = xasprintf("%s/file", folder);
	AUTO_BUF content = BUF_INIT(4096);
	assert_int_equal(file_read(path, &content, NULL), 0);
	assert_true(str_eq(buf_str(&content), S(OLD)));
}

static const struct {
	const char *what;
	int (*run)(int call);
	int calls[8]; /* the system calls whose failure must be its own */
} operations[] = {
	{"replacing, no temporary file", replacing, {SCMP_SYS(openat), -1}},
	{"replacing, no write", replacing, {SCMP_SYS(write), SCMP_SYS(fsync), -1}},
	{"replacing, no rename", replacing, {SCMP_SYS(renameat), -1}},
	{"creating", creating, {SCMP_SYS(openat), SCMP_SYS(write), SCMP_SYS(fsync), -1}},
	{"reading", reading, {SCMP_SYS(openat), SCMP_SYS(read), -1}},
	{"locking", locking, {SCMP_SYS(openat), SCMP_SYS(flock), -1}},
	{"starting a child", starting, {SCMP_SYS(clone), SCMP_SYS(pipe2), -1}},
	{"sending", sending, {SCMP_SYS(sendmsg), -1}},
	{"receiving", receiving, {SCMP_SYS(recvfrom), -1}},
	{"sealing", sealing, {SCMP_SYS(mmap), -1}},
};

static void nothing_is_lost_when_the_system_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
		for (size_t c = 0; operations[i].calls[c] != -1; c++) {
			pid_t pid = fork();
			assert_true(pid >= 0);
			if (pid == 0)
				_exit(operations[i].run(operations[i].calls[c]));
			int status = 0;
			assert_int_equal(waitpid(pid, &status, 0), pid);
			if (!WIFEXITED(status) || WEXITSTATUS(status) != AS_WANTED)
				fail_msg("%s, call %d: status 0x%x", operations[i].what, operations[i].calls[c],
					 (unsigned)status);
			assert_nothing_lost(operations[i].what);
		}
	}
}

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	AUTO_FREE char *path = xasprintf("%s/file", folder);
	return file_replace(path, S(OLD), 0600, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	AUTO_FREE char *file = xasprintf("%s/file", folder);
	AUTO_FREE char *lock = xasprintf("%s/lock", folder);
	unlink(file);
	unlink(lock);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_when_the_system_refuses)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
