/* What the parent looks at for control: names, lists, stamps, and what it does not open. */
#include "daemon/watched.h"
#include "base/mem.h"
#include "os/file.h"
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <utime.h>
#include <cmocka.h>

static char home[64];
static struct err err;

static const char *in_home(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *to = path[next++ % 4];
	snprintf(to, sizeof path[0], "%s/%s", home, name);
	return to;
}

static void put(const char *name, const char *text)
{
	assert_int_equal(file_replace(in_home(name), str_from(text), 0600, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(home, sizeof home, "/tmp/aileron-watched-XXXXXX");
	err_clear(&err);
	return mkdtemp(home) != NULL && mkdir(in_home("actions"), 0700) == 0 ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at)
{
	(void)info;
	(void)kind;
	(void)at;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(home, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct watched named(const char *path, bool keep)
{
	static struct watched watched;
	assert_int_equal(watched_name(SUPERVISE_WATCH_ACTIONS, str_from(path), keep, &watched, &err), 0);
	return watched;
}

static void assert_refused(const char *path, const char *message)
{
	static struct watched watched;
	err_clear(&err);
	assert_int_equal(watched_name(SUPERVISE_WATCH_ACTIONS, str_from(path), false, &watched, &err), -1);
	if (strstr(err.message, message) == NULL)
		fail_msg("'%s' is not in '%s'", message, err.message);
}

static void assert_path(const struct watched *watched, const char *expected)
{
	AUTO_BUF path = BUF_INIT(8192);
	watched_put_path(watched, &path);
	assert_string_equal(path.p, expected);
}

static void a_path_that_ends_in_md_is_a_file_and_every_other_a_folder(void **state)
{
	(void)state;
	put("actions/a.md", "text");
	assert_int_equal(symlink(in_home("actions"), in_home("link")), 0);
	struct watched folder = named(in_home("link/../actions//"), false);
	assert_path(&folder, in_home("actions")); /* canonical */
	struct watched file = named(in_home("link/a.md"), false);
	assert_path(&file, in_home("actions/a.md"));
	assert_string_equal(file.name, "a.md");
	struct watched later = named(in_home("nothing/here"), true);
	assert_path(&later, in_home("nothing/here"));
	struct watched root = named("/x.md", true);
	assert_path(&root, "/x.md");
	assert_string_equal(root.folder, "/");
}

static void what_is_no_path_or_not_ours_is_refused(void **state)
{
	(void)state;
	assert_refused("actions", "absolute path");
	assert_refused("", "absolute path");
	assert_refused(in_home("nothing"), "No such file");
	assert_refused(in_home("actions/a.md"), "No such file");
	assert_refused(in_home("actions/.md"), "no name of an action file");
	put("plain", "");
	assert_refused(in_home("plain"), "Not a directory");
	assert_int_equal(mkdir(in_home("folder.md"), 0700), 0);
	assert_refused(in_home("folder.md"), "not an ordinary file");
	assert_int_equal(mkfifo(in_home("pipe.md"), 0600), 0);
	assert_refused(in_home("pipe.md"), "not an ordinary file"); /* and does not wait for who writes into it */
	assert_int_equal(symlink("plain", in_home("link.md")), 0);
	assert_refused(in_home("link.md"), "is a symbolic link");
	static struct watched watched;
	static char longest[PATH_MAX + 2];
	memset(longest, 'x', sizeof longest - 1);
	longest[0] = '/';
	assert_int_equal(watched_name(SUPERVISE_WATCH_ACTIONS, str_from(longest), true, &watched, &err), -1);
	assert_int_equal(watched_name(SUPERVISE_WATCH_ACTIONS, S("/a\0b"), true, &watched, &err), -1);
}

static void of_a_folder_only_its_action_files_are_listed(void **state)
{
	(void)state;
	put("actions/b.md", "b");
	put("actions/a.md", "a");
	put("actions/notes.txt", "");
	put("actions/.hidden.md", "");
	put("actions/a.md~", "");
	assert_int_equal(mkdir(in_home("actions/deeper"), 0700), 0);
	put("actions/deeper/c.md", "");
	assert_int_equal(symlink("nowhere", in_home("actions/dangling.md")), 0);
	struct watched folder = named(in_home("actions"), false);
	AUTO_WATCHED_FILES files = {0};
	assert_int_equal(watched_list(&folder, &files, &err), 0);
	assert_int_equal(files.n, 3);
	assert_string_equal(files.items[0].name, "a.md");
	assert_string_equal(files.items[1].name, "b.md");
	assert_string_equal(files.items[2].name, "dangling.md");

	uint64_t stamp = 0;
	AUTO_FD fd = watched_open(&folder, S("a.md"), &stamp, &err);
	assert_true(fd >= 0);
	assert_true(stamp == files.items[0].stamp);
	char text[2] = "";
	assert_int_equal(read(fd, text, 1), 1);
	assert_string_equal(text, "a");
	assert_true(fcntl(fd, F_GETFL) >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	static const char *const refused[] = {
		"dangling.md", "../actions/a.md", "deeper/c.md", ".hidden.md", "notes.txt", "missing.md", "",
		"/etc/x.md"};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_int_equal(watched_open(&folder, str_from(refused[i]), &stamp, &err), -1);
	struct watched file = named(in_home("actions/b.md"), false);
	assert_int_equal(watched_open(&file, S("a.md"), &stamp, &err), -1); /* the folder was not named */
}

static void a_folder_of_too_many_is_refused(void **state)
{
	(void)state;
	char name[64];
	struct watched folder = named(in_home("actions"), false);
	for (int i = 0; i <= SUPERVISE_WATCH_FILES_MAX; i++) {
		snprintf(name, sizeof name, "actions/%04d.md", i);
		int fd = open(in_home(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		close(fd);
		if (i + 1 != SUPERVISE_WATCH_FILES_MAX)
			continue;
		AUTO_WATCHED_FILES files = {0};
		assert_int_equal(watched_list(&folder, &files, &err), 0);
		assert_int_equal(files.n, SUPERVISE_WATCH_FILES_MAX);
	}
	AUTO_WATCHED_FILES files = {0};
	assert_int_equal(watched_list(&folder, &files, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_null(files.items);
}

/* The stamp of all after each of these is another one. */
static void a_stamp_changes_with_whatever_changes(void **state)
{
	(void)state;
	put("actions/a.md", "one");
	struct watched folder = named(in_home("actions"), false);
	uint64_t seen[8];
	size_t n = 0;
	seen[n++] = watched_stamp(&folder);
	assert_true(watched_stamp(&folder) == seen[0]);
	put("actions/notes.txt", "");
	assert_true(watched_stamp(&folder) == seen[0]); /* none of ours */
	put("actions/a.md", "two");                     /* replaced: another inode */
	seen[n++] = watched_stamp(&folder);
	const struct utimbuf times = {.actime = 1, .modtime = 1};
	assert_int_equal(utime(in_home("actions/a.md"), &times), 0);
	seen[n++] = watched_stamp(&folder);
	assert_int_equal(chmod(in_home("actions/a.md"), 0400), 0);
	seen[n++] = watched_stamp(&folder);
	assert_int_equal(rename(in_home("actions/a.md"), in_home("actions/b.md")), 0);
	seen[n++] = watched_stamp(&folder);
	assert_int_equal(unlink(in_home("actions/b.md")), 0);
	seen[n++] = watched_stamp(&folder);
	assert_int_equal(rename(in_home("actions"), in_home("elsewhere")), 0);
	seen[n++] = watched_stamp(&folder);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = i + 1; k < n; k++)
			assert_true(seen[i] != seen[k]);
	}
	assert_int_equal(rename(in_home("elsewhere"), in_home("actions")), 0);
	assert_true(watched_stamp(&folder) == seen[n - 2]); /* empty, as before */
}

static void of_a_connector_its_two_files_count(void **state)
{
	(void)state;
	static struct watched watched;
	assert_int_equal(watched_name(SUPERVISE_WATCH_CONNECTOR, str_from(in_home("actions")), false, &watched, &err),
			 0);
	uint64_t none = watched_stamp(&watched), stamp;
	put("actions/manifest.toml", "one");
	uint64_t one = watched_stamp(&watched);
	put("actions/connector.wasm", "wasm");
	uint64_t both = watched_stamp(&watched);
	assert_true(none != one && one != both && none != both);
	put("actions/a.md", "");
	assert_true(watched_stamp(&watched) == both);
	assert_int_equal(watched_open(&watched, S("a.md"), &stamp, &err), -1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_path_that_ends_in_md_is_a_file_and_every_other_a_folder),
		TEST(what_is_no_path_or_not_ours_is_refused),
		TEST(of_a_folder_only_its_action_files_are_listed),
		TEST(a_folder_of_too_many_is_refused),
		TEST(a_stamp_changes_with_whatever_changes),
		TEST(of_a_connector_its_two_files_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
