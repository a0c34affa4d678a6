#include "os/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <cmocka.h>

/* Every test has a folder of its own, which is the working directory, and leaves it empty of what it does not list. */
static char folder[64];

static int enter_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_file.XXXXXX");
	umask(0);
	return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int leave_folder(void **state)
{
	(void)state;
	const char *words[] = {"rm", "-rf", folder, NULL};
	pid_t pid = fork();
	if (pid == 0) {
		execv("/bin/rm", (char *const *)(uintptr_t)words);
		_exit(1);
	}
	return chdir("/") != 0 || waitpid(pid, NULL, 0) != pid;
}

static int count_names(void)
{
	int n = 0;
	DIR *dir = opendir(".");
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

static void assert_holds(const char *path, const char *text)
{
	AUTO_BUF got = BUF_INIT(1024);
	assert_int_equal(file_read(path, &got, NULL), 0);
	assert_string_equal(got.p, text);
}

static mode_t mode_of(const char *path)
{
	struct stat info;
	assert_int_equal(lstat(path, &info), 0);
	return info.st_mode & 07777;
}

static void a_file_is_replaced_whole(void **state)
{
	(void)state;
	assert_int_equal(file_replace("a", S("one"), 0600, NULL), 0);
	assert_holds("a", "one");
	assert_int_equal(mode_of("a"), 0600);
	int old = open("a", O_RDONLY);
	assert_int_equal(file_publish("a", S("between"), 0600, NULL), 0);
	assert_holds("a", "between");
	assert_int_equal(file_replace("./a", S("another"), 0640, NULL), 0);
	assert_holds("a", "another");
	assert_int_equal(mode_of("a"), 0640);
	char text[8] = {0};
	assert_int_equal(read(old, text, sizeof text), 3); /* who had it open still reads the old one */
	assert_string_equal(text, "one");
	close(old);
	assert_int_equal(count_names(), 1);
}

static void a_failed_replacement_leaves_the_old_one(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(file_replace("a", S("one"), 0600, NULL), 0);
	struct rlimit before, none = {0};
	getrlimit(RLIMIT_FSIZE, &before);
	none.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	int result = file_replace("a", S("two"), 0600, &err);
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(result, -1);
	assert_int_equal(err.os_errno, EFBIG);
	assert_holds("a", "one");
	assert_int_equal(count_names(), 1);

	assert_int_equal(file_replace("no/such", S("x"), 0600, &err), -1);
	assert_string_equal(err.message, "cannot open the folder 'no': No such file or directory");
	assert_int_equal(file_replace("a/", S("x"), 0600, &err), -1);
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(file_replace("d", S("x"), 0600, &err), -1);
	assert_int_equal(count_names(), 2);
}

static void creating_never_replaces(void **state)
{
	(void)state;
	assert_int_equal(file_create("a", S("one"), 0600, NULL), 1);
	assert_int_equal(file_create("a", S("two"), 0600, NULL), 0);
	assert_holds("a", "one");
	assert_int_equal(symlink("nowhere", "b"), 0);
	assert_int_equal(file_create("b", S("two"), 0600, NULL), 0);
	assert_int_equal(access("nowhere", F_OK), -1);
	assert_int_equal(count_names(), 2);
}

static void a_draft_that_is_given_up_is_gone(void **state)
{
	(void)state;
	struct file_draft draft = FILE_DRAFT_INIT;
	assert_int_equal(file_draft_begin(&draft, ".", 0600, NULL), 0);
	assert_true(file_is_draft(draft.name));
	assert_int_equal(count_names(), 1);
	assert_int_equal(file_write_fd(draft.fd, "draft", S("x"), NULL), 0);
	assert_int_equal(fcntl(draft.fd, F_GETFD), FD_CLOEXEC);
	file_draft_release(&draft);
	file_draft_release(&draft);
	assert_int_equal(count_names(), 0);
	assert_false(file_is_draft("a"));
}

static void a_committed_draft_stays_readable(void **state)
{
	(void)state;
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	assert_int_equal(file_draft_begin(&draft, ".", 0600, NULL), 0);
	assert_int_equal(file_write_fd(draft.fd, "draft", S("text"), NULL), 0);
	assert_int_equal(file_draft_commit(&draft, "a", NULL), 0);
	char text[8] = {0};
	assert_int_equal(pread(draft.fd, text, sizeof text, 0), 4);
	assert_string_equal(text, "text");
	file_draft_release(&draft);
	assert_holds("a", "text");
}

static void reading_stops_at_the_cap(void **state)
{
	(void)state;
	assert_int_equal(file_replace("a", S("12345678"), 0600, NULL), 0);
	AUTO_BUF exact = BUF_INIT(8);
	assert_int_equal(file_read("a", &exact, NULL), 0);
	assert_string_equal(exact.p, "12345678");
	AUTO_BUF small = BUF_INIT(7);
	struct err err = {0};
	assert_int_equal(file_read("a", &small, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_string_equal(err.message, "'a' is larger than 7 bytes");
	AUTO_BUF any = BUF_INIT(100);
	assert_int_equal(file_read("b", &any, &err), -1);
	assert_string_equal(err.message, "cannot open 'b': No such file or directory");
	assert_int_equal(file_read(".", &any, &err), -1);
	assert_int_equal(err.os_errno, EISDIR);
	assert_int_equal(file_read("/dev/zero", &any, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
}

static void reading_takes_what_a_pipe_gives(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "abc", 3), 3);
	close(fds[1]);
	AUTO_BUF got = BUF_INIT(100);
	buf_add_z(&got, "before ");
	assert_int_equal(file_read_fd(fds[0], "pipe", &got, NULL), 0);
	assert_string_equal(got.p, "before abc");
	close(fds[0]);
}

static void private_folders_are_made_and_checked(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(file_make_private_folder("x/y/z", NULL), 0);
	assert_int_equal(mode_of("x"), 0700);
	assert_int_equal(mode_of("x/y/z"), 0700);
	assert_int_equal(file_make_private_folder("x/y/z/", NULL), 0);

	assert_int_equal(chmod("x/y/z", 0750), 0);
	assert_int_equal(file_make_private_folder("x/y/z", &err), -1);
	assert_string_equal(err.message,
			    "the folder 'x/y/z' is open to other users (mode 750); make it private with chmod 700");
	assert_int_equal(mode_of("x/y/z"), 0750);

	assert_int_equal(symlink("x/y", "link"), 0);
	assert_int_equal(file_make_private_folder("link", &err), -1);
	assert_int_equal(file_replace("f", S(""), 0600, NULL), 0);
	assert_int_equal(file_make_private_folder("f", &err), -1);
	assert_int_equal(err.os_errno, ENOTDIR);
	assert_int_equal(file_make_private_folder("f/g", &err), -1);
	assert_int_equal(file_make_private_folder("", &err), -1);
	if (geteuid() == 0) {
		assert_int_equal(mkdir("theirs", 0700), 0);
		assert_int_equal(chown("theirs", 65534, 65534), 0);
		assert_int_equal(file_make_private_folder("theirs", &err), -1);
		assert_string_equal(err.message, "the folder 'theirs' belongs to user 65534, not to user 0");
	}
}

static void the_cache_lies_where_the_user_says(void **state)
{
	(void)state;
	setenv("XDG_CACHE_HOME", "/somewhere", 1);
	AUTO_FREE char *named = file_cache_path("code", NULL);
	assert_string_equal(named, "/somewhere/aileron/code");
	setenv("XDG_CACHE_HOME", "relative", 1);
	setenv("HOME", "/home/me", 1);
	AUTO_FREE char *home = file_cache_path("code", NULL);
	assert_string_equal(home, "/home/me/.cache/aileron/code");
	AUTO_FREE char *below = file_home_path(".aileron", NULL);
	assert_string_equal(below, "/home/me/.aileron");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	AUTO_FREE char *user = file_cache_path("code", NULL);
	assert_non_null(strstr(user, "/.cache/aileron/code"));
}

static void a_file_in_memory_has_no_name(void **state)
{
	(void)state;
	AUTO_FD fd = file_in_memory("bytes", NULL);
	assert_true(fd >= 0);
	assert_int_equal(file_write_fd(fd, "bytes", S("abc"), NULL), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(count_names(), 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_file_is_replaced_whole),
		IN_FOLDER(a_failed_replacement_leaves_the_old_one),
		IN_FOLDER(creating_never_replaces),
		IN_FOLDER(a_draft_that_is_given_up_is_gone),
		IN_FOLDER(a_committed_draft_stays_readable),
		IN_FOLDER(reading_stops_at_the_cap),
		IN_FOLDER(reading_takes_what_a_pipe_gives),
		IN_FOLDER(private_folders_are_made_and_checked),
		IN_FOLDER(the_cache_lies_where_the_user_says),
		IN_FOLDER(a_file_in_memory_has_no_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
